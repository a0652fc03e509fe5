//! How many messages of consensus of one peer are verified.
//!
//! An honest validator says a few things at each height, and repeats them now and then. Whoever says
//! more is not listened to for the rest: signatures of messages that the engine would refuse anyway
//! are not worth a processor. Consensus says everything again in time.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use certchain_net::PeerId;
use certchain_proto::Height;

/// What a peer may say for each height that is decided here.
const PER_HEIGHT: u64 = 24;
/// What it may say besides in a second, as views that fail and repetitions need.
const PER_SECOND: u64 = 128;
/// What may be saved up.
const MOST: u64 = 1_024;

#[derive(Clone, Copy, Debug)]
struct Account {
    left: u64,
    /// Up to when seconds have been counted, and up to which height.
    counted: Instant,
    height: Height,
}

impl Account {
    /// Counts what has come up to now, and takes one; whether there was one.
    fn take(&mut self, now: Instant, height: Height) -> bool {
        let passed = now.saturating_duration_since(self.counted);
        let by_time = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        let by_time = by_time.saturating_mul(PER_SECOND) / 1_000;
        if by_time > 0 {
            self.counted = now;
        }
        let heights = height.get().saturating_sub(self.height.get());
        self.height = self.height.max(height);
        let gained = by_time.saturating_add(heights.saturating_mul(PER_HEIGHT));
        let saved = self.left.saturating_add(gained).min(MOST);
        self.left = saved.saturating_sub(1);
        saved > 0
    }
}

/// The accounts of all peers. They are listed ones, so there are few.
#[derive(Debug, Default)]
pub struct Budgets(Mutex<BTreeMap<PeerId, Account>>);

impl Budgets {
    /// Whether one more message of this peer is verified, at the height of our last block.
    pub fn take(&self, peer: PeerId, now: Instant, height: Height) -> bool {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let account = accounts.entry(peer).or_insert(Account {
            left: MOST,
            counted: now,
            height,
        });
        account.take(now, height)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::time::Duration;

    use certchain_net::NetworkKey;

    use super::*;

    /// How long a peer that has said too much waits for one more.
    const WAIT: Duration = Duration::from_millis(1_000 / PER_SECOND + 1);

    #[test]
    fn a_flood_is_cut_and_what_consensus_needs_is_not() {
        let peer = |seed| NetworkKey::from_seed(&mut [seed; 32]).unwrap().peer_id();
        let (budgets, start) = (Budgets::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        // A flood: ten seconds without a block, then ten blocks.
        let mut taken = 0;
        for second in 0..10 {
            let of_it = (0..50_000).filter(|_| budgets.take(peer(1), at(second), Height::ZERO));
            taken += of_it.count() as u64;
        }
        assert_eq!(taken, MOST + 9 * PER_SECOND);
        let ten = Height::new(10);
        let of_it = (0..50_000).filter(|_| budgets.take(peer(1), at(9), ten));
        assert_eq!(of_it.count() as u64, 10 * PER_HEIGHT);
        assert!(budgets.take(peer(1), at(9) + WAIT, ten));
        assert!(!budgets.take(peer(1), at(9) + WAIT, ten));
        // Beside it somebody who says what there is to say at each of a thousand heights a second.
        for height in 0..10_000 {
            let now = start + Duration::from_millis(height);
            for _ in 0..8 {
                assert!(budgets.take(peer(2), now, Height::new(height)));
            }
        }
    }
}
