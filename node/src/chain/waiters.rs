//! Who waits for the decision of which transaction, and which were given up lately.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use certchain_ledger::refusal::Refusal;
use certchain_proto::hash::TransactionId;
use tokio::sync::oneshot;

/// Most waits at once; beyond it callers are asked to poll.
const MAX_WAITS: usize = 100_000;

/// Most refusals that are remembered: long enough for whoever submits and then asks.
const MAX_REFUSALS: usize = 8_192;

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
    refusals: BTreeMap<TransactionId, Refusal>,
    /// The same, oldest first.
    refused_in_order: VecDeque<TransactionId>,
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
            waits.wake(id);
        }
    }

    /// Wakes all who wait for an admitted transaction that this node has given up, and remembers
    /// why. Called under the mempool's lock, so that it is in order with [`Self::admitted`].
    pub fn refused(&self, id: TransactionId, refusal: Refusal) {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        if waits.refusals.insert(id, refusal).is_none() {
            waits.refused_in_order.push_back(id);
        }
        while waits.refused_in_order.len() > MAX_REFUSALS {
            if let Some(oldest) = waits.refused_in_order.pop_front() {
                waits.refusals.remove(&oldest);
            }
        }
        waits.wake(&id);
    }

    /// Forgets why a transaction was given up: it is admitted again. Called under the mempool's lock.
    pub fn admitted(&self, id: &TransactionId) {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        if waits.refusals.remove(id).is_some() {
            waits.refused_in_order.retain(|refused| refused != id);
        }
    }

    /// Why a transaction was given up, if it was lately and did not come back since.
    pub fn refusal(&self, id: &TransactionId) -> Option<Refusal> {
        let waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.refusals.get(id).cloned()
    }
}

impl Waits {
    fn wake(&mut self, id: &TransactionId) {
        for sender in self.by_transaction.remove(id).into_iter().flatten() {
            self.count -= 1;
            // Who waited may have gone.
            let _ = sender.send(());
        }
    }

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
    use certchain_proto::wire::v1::Code;

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

    #[tokio::test]
    async fn who_waits_for_what_is_given_up_is_woken_and_learns_why() {
        let waiters = Waiters::default();
        let id = TransactionId::from_bytes([1; 32]);
        let waiting = waiters.wait(id).unwrap();
        assert_eq!(waiters.refusal(&id), None);
        waiters.refused(id, Code::ClaimTaken.into());
        assert!(waiting.await.is_ok());
        // Who comes later learns it too, until it is admitted again.
        assert_eq!(waiters.refusal(&id), Some(Code::ClaimTaken.into()));
        waiters.admitted(&id);
        assert_eq!(waiters.refusal(&id), None);
        assert_eq!(waiters.waits.lock().unwrap().count, 0);
    }

    #[test]
    fn refusals_are_bounded() {
        let waiters = Waiters::default();
        let id = |n: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&n.to_le_bytes());
            TransactionId::from_bytes(bytes)
        };
        for n in 0..MAX_REFUSALS + 10 {
            waiters.refused(id(n), Code::Expired.into());
        }
        assert_eq!(waiters.waits.lock().unwrap().refusals.len(), MAX_REFUSALS);
        assert_eq!(waiters.refusal(&id(9)), None);
        assert!(waiters.refusal(&id(10)).is_some());
    }
}
