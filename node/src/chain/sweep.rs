//! Which waiting transactions are announced again, and when: gossip loses messages, and a primary
//! can only propose what has reached it.
//!
//! The clock decides, not idleness: a chain under load loses gossip as well, and would never find
//! the time. What waited already at the last sweep has had a whole interval to be taken up; it is
//! announced in order of arrival, since primaries take the oldest first.

use std::time::{Duration, Instant};

use certchain_ledger::{mempool::Mempool, signatures::VerifiedTransaction};

use super::exchange::{GOSSIP_BATCH_BYTES, GOSSIP_BATCH_COUNT};

/// Time from one sweep to the next.
pub const INTERVAL: Duration = Duration::from_secs(2);

/// Where sweeping stands.
#[derive(Debug)]
pub struct Sweep {
    last: Instant,
    /// What arrived before this place stood in the mempool at the last sweep.
    mark: u64,
}

impl Sweep {
    /// The first sweep comes an interval from now.
    pub const fn new(now: Instant) -> Self {
        Self { last: now, mark: 0 }
    }

    /// How long until the next one.
    pub fn remaining(&self, now: Instant) -> Duration {
        INTERVAL.saturating_sub(now.saturating_duration_since(self.last))
    }

    /// Sweeps: what has waited since the last time, at most one gossip batch.
    pub fn take(&mut self, now: Instant, mempool: &Mempool) -> Vec<VerifiedTransaction> {
        let mut bytes = 0;
        let waited = mempool
            .arrived_before(self.mark)
            .take(GOSSIP_BATCH_COUNT)
            .take_while(|transaction| {
                bytes += transaction.encoded().len();
                bytes <= GOSSIP_BATCH_BYTES
            })
            .cloned()
            .collect();
        self.last = now;
        self.mark = mempool.mark();
        waited
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use certchain_ledger::{parameters::ChainParameters, signatures::TransactionVerifier};
    use certchain_proto::{
        transaction::{self, Transaction},
        wire::v1::{RotateKey, TransactionBody, transaction_body::Kind},
    };

    use super::*;

    fn waiting(numbers: std::ops::Range<u8>, padding: usize) -> Vec<VerifiedTransaction> {
        let transactions = numbers.map(|n| {
            let body = TransactionBody {
                chain_id: vec![1; 32],
                nonce: vec![n; 16],
                valid_until_ms: 1_000,
                kind: Some(Kind::RotateKey(RotateKey {
                    address: vec![1; padding],
                    ..Default::default()
                })),
            };
            Transaction::from_envelope(transaction::sign(&body, &[])).unwrap()
        });
        let verified = TransactionVerifier::default().verify(transactions.collect());
        verified.into_iter().map(Result::unwrap).collect()
    }

    fn pool() -> Mempool {
        let mut parameters = ChainParameters::default();
        parameters.limits.mempool_per_sender = parameters.limits.mempool_transactions;
        Mempool::new(
            &parameters,
            std::sync::Arc::new(certchain_ledger::identity::IdentityApplication),
        )
    }

    #[test]
    fn what_waited_a_whole_interval_is_announced_however_busy_the_chain_is() {
        let start = Instant::now();
        let (mut sweep, mut pool) = (Sweep::new(start), pool());
        assert_eq!(sweep.remaining(start), INTERVAL);
        let all = waiting(0..3, 32);
        pool.insert(all[0].clone()).unwrap();
        pool.insert(all[1].clone()).unwrap();
        let first = start + INTERVAL;
        assert_eq!(sweep.remaining(first), Duration::ZERO);
        assert!(sweep.take(first, &pool).is_empty(), "none had its time");
        assert_eq!(sweep.remaining(first), INTERVAL);
        // Other work goes on; one leaves, one comes.
        pool.remove([&all[0].id()]);
        pool.insert(all[2].clone()).unwrap();
        let second = first + INTERVAL * 3;
        assert_eq!(sweep.remaining(second), Duration::ZERO);
        let names =
            |list: Vec<VerifiedTransaction>| -> Vec<_> { list.iter().map(|t| t.id()).collect() };
        assert_eq!(names(sweep.take(second, &pool)), [all[1].id()]);
        let third = second + INTERVAL;
        assert_eq!(names(sweep.take(third, &pool)), [all[1].id(), all[2].id()]);
    }

    #[test]
    fn a_sweep_is_one_batch() {
        let (mut sweep, mut pool) = (Sweep::new(Instant::now()), pool());
        for transaction in waiting(0..15, 60_000) {
            pool.insert(transaction).unwrap();
        }
        sweep.take(Instant::now(), &pool);
        let again = sweep.take(Instant::now(), &pool);
        assert_eq!(again.len(), GOSSIP_BATCH_BYTES / again[0].encoded().len());
        assert!(again.len() < 15);
    }
}
