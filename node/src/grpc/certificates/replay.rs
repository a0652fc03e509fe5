//! Which signed queries were used: each is good for one use, and is remembered for as long as its
//! time is good.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use certchain_proto::{
    Address, TimeMs,
    query::{QUERY_LIFE_MS, QUERY_NONCE_BYTES, Query},
};

use super::authorisation::AuthorisationError;

/// Most queries that are remembered.
const MAX_REMEMBERED: usize = 200_000;

/// Most queries of one account that are remembered: more than eight a second for two minutes.
const MAX_OF_ACCOUNT: usize = 1_024;

/// Remembers queries, within bounds.
#[derive(Debug, Default)]
pub(super) struct ReplayCache {
    seen: Mutex<Seen>,
}

type QueryName = (Address, [u8; QUERY_NONCE_BYTES]);

#[derive(Debug, Default)]
struct Seen {
    names: BTreeSet<QueryName>,
    /// The same by the time after which they need not be remembered.
    by_end: BTreeSet<(TimeMs, QueryName)>,
    of_account: BTreeMap<Address, usize>,
}

impl ReplayCache {
    /// Takes a query whose time and signature are good, unless it was taken before.
    pub(super) fn take(&self, query: &Query, now: TimeMs) -> Result<(), AuthorisationError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.forget(now);
        let name = (query.address, query.nonce);
        if seen.names.contains(&name) {
            return Err(AuthorisationError::Seen);
        }
        if seen.names.len() >= MAX_REMEMBERED {
            return Err(AuthorisationError::Full);
        }
        let count = seen.of_account.entry(query.address).or_default();
        if *count >= MAX_OF_ACCOUNT {
            return Err(AuthorisationError::TooMany);
        }
        *count += 1;
        seen.names.insert(name);
        seen.by_end
            .insert((query.time.saturating_add(QUERY_LIFE_MS), name));
        Ok(())
    }
}

impl Seen {
    fn forget(&mut self, now: TimeMs) {
        while let Some((end, name)) = self.by_end.first().copied() {
            if end >= now {
                return;
            }
            self.by_end.pop_first();
            self.names.remove(&name);
            if let Some(count) = self.of_account.get_mut(&name.0) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.of_account.remove(&name.0);
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use certchain_proto::{ChainId, wire::v1::QueryTopic};

    use super::*;

    const NOW: TimeMs = TimeMs::new(1_000_000);

    fn query(account: u8, nonce: u128, time: TimeMs) -> Query {
        Query {
            chain: ChainId::from_bytes([7; 32]),
            topic: QueryTopic::Held,
            address: Address::from_bytes([account; 32]),
            time,
            nonce: nonce.to_le_bytes(),
        }
    }

    #[test]
    fn a_query_is_taken_once_while_it_is_good() {
        let cache = ReplayCache::default();
        let take = |n, nonce, now| cache.take(&query(n, nonce, NOW), now);
        assert_eq!(take(1, 1, NOW), Ok(()));
        assert_eq!(take(1, 1, NOW), Err(AuthorisationError::Seen));
        assert_eq!(take(1, 2, NOW), Ok(()), "another nonce");
        assert_eq!(take(2, 1, NOW), Ok(()), "another account");
        let last = NOW.saturating_add(QUERY_LIFE_MS);
        assert_eq!(take(1, 1, last), Err(AuthorisationError::Seen));
        // From here on its time is refused, and it is forgotten.
        let mut seen = cache.seen.lock().unwrap();
        seen.forget(last.saturating_add(1));
        assert!(seen.names.is_empty() && seen.by_end.is_empty() && seen.of_account.is_empty());
    }

    #[test]
    fn one_account_cannot_fill_the_memory() {
        let cache = ReplayCache::default();
        let take = |n, nonce, now| cache.take(&query(n, nonce, now), now);
        let bound = MAX_OF_ACCOUNT as u128;
        for nonce in 0..bound {
            assert_eq!(take(1, nonce, NOW), Ok(()));
        }
        let one_more = take(1, bound, NOW);
        assert_eq!(one_more, Err(AuthorisationError::TooMany));
        assert_eq!(take(2, 0, NOW), Ok(()));
        let later = NOW.saturating_add(QUERY_LIFE_MS + 1);
        assert_eq!(take(1, 0, later), Ok(()));
    }
}
