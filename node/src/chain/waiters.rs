//! Who waits for the decision of which transaction.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use certchain_proto::hash::TransactionId;
use tokio::sync::oneshot;

/// Most waits at once; beyond it callers are asked to poll.
const MAX_WAITS: usize = 100_000;

/// Too many clients wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many clients wait for receipts on this node; ask again with GetTransaction")]
pub struct TooManyWaits;

/// Waits for decisions. A waiter that goes away leaves its place at the next decision or sweep.
#[derive(Debug, Default)]
pub struct Waiters {
    waits: Mutex<Waits>,
}

#[derive(Debug, Default)]
struct Waits {
    by_transaction: BTreeMap<TransactionId, Vec<oneshot::Sender<()>>>,
    count: usize,
}

impl Waiters {
    /// Begins to wait. The caller asks for the receipt once more afterwards, since the decision may
    /// have fallen in between.
    ///
    /// # Errors
    /// If too many wait already.
    pub fn wait(&self, id: TransactionId) -> Result<oneshot::Receiver<()>, TooManyWaits> {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        if waits.count >= MAX_WAITS {
            waits.sweep();
        }
        if waits.count >= MAX_WAITS {
            return Err(TooManyWaits);
        }
        let (sender, receiver) = oneshot::channel();
        waits.by_transaction.entry(id).or_default().push(sender);
        waits.count += 1;
        Ok(receiver)
    }

    /// Wakes all who wait for these.
    pub fn decided<'a>(&self, ids: impl Iterator<Item = &'a TransactionId>) {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            for sender in waits.by_transaction.remove(id).into_iter().flatten() {
                waits.count -= 1;
                // Who waited may have gone.
                let _ = sender.send(());
            }
        }
    }
}

impl Waits {
    fn sweep(&mut self) {
        self.by_transaction.retain(|_, senders| {
            senders.retain(|sender| !sender.is_closed());
            !senders.is_empty()
        });
        self.count = self.by_transaction.values().map(Vec::len).sum();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_who_wait_are_woken_once() {
        let waiters = Waiters::default();
        let id = TransactionId::from_bytes([1; 32]);
        let first = waiters.wait(id).unwrap();
        let second = waiters.wait(id).unwrap();
        let other = waiters.wait(TransactionId::from_bytes([2; 32])).unwrap();
        waiters.decided([id].iter());
        assert!(first.await.is_ok() && second.await.is_ok());
        drop(other);
        waiters.waits.lock().unwrap().sweep();
        assert_eq!(waiters.waits.lock().unwrap().count, 0);
    }
}
