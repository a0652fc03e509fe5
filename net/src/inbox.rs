//! What waits for the application: a bounded lane per peer, emptied in turns.
//!
//! A peer that floods fills its own lane and no other. Who produces faster than the application
//! consumes either waits ([`Lanes::push`], direct messages and requests: its stream is not read
//! meanwhile) or is told so ([`Lanes::try_push`], gossip: the message is dropped and counted).

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::identity::PeerId;

struct Shared<T> {
    state: Mutex<State<T>>,
    max_items: usize,
    max_bytes: usize,
    /// Something was pushed, or no more will be.
    filled: Notify,
    /// Something was taken, or nobody will take more.
    space: Arc<Notify>,
}

/// Invariant: `turn` names exactly the lanes that are not empty, each once; no empty lane is kept.
struct State<T> {
    lanes: BTreeMap<PeerId, Lane<T>>,
    turn: VecDeque<PeerId>,
    closed: bool,
}

struct Lane<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) -> State<T> {
        let mut state = self.lock();
        let left = std::mem::replace(
            &mut *state,
            State {
                lanes: BTreeMap::new(),
                turn: VecDeque::new(),
                closed: true,
            },
        );
        drop(state);
        self.filled.notify_one();
        self.space.notify_waiters();
        left
    }
}

/// Why an item was not taken in; it is handed back.
pub(crate) enum PushError<T> {
    Full(T),
    Closed,
}

/// The producers' side.
pub(crate) struct Lanes<T>(Arc<Shared<T>>);

impl<T> Clone for Lanes<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The application's side of one kind of event on one channel.
pub struct Inbox<T>(Arc<Shared<T>>);

/// A pair of ends. Each peer may have `max_items` items and `max_bytes` bytes waiting; one item is
/// always let in, whatever its size.
pub(crate) fn inbox<T>(max_items: usize, max_bytes: usize) -> (Lanes<T>, Inbox<T>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            lanes: BTreeMap::new(),
            turn: VecDeque::new(),
            closed: false,
        }),
        max_items,
        max_bytes,
        filled: Notify::new(),
        space: Arc::new(Notify::new()),
    });
    (Lanes(Arc::clone(&shared)), Inbox(shared))
}

impl<T> Lanes<T> {
    /// Takes the item in at once or hands it back.
    pub(crate) fn try_push(&self, peer: PeerId, item: T, bytes: usize) -> Result<(), PushError<T>> {
        self.push_locked(&mut self.0.lock(), peer, item, bytes)
    }

    /// Waits for room in the peer's lane.
    pub(crate) async fn push(&self, peer: PeerId, mut item: T, bytes: usize) -> Result<(), Closed> {
        loop {
            let room = {
                let mut state = self.0.lock();
                match self.push_locked(&mut state, peer, item, bytes) {
                    Ok(()) => return Ok(()),
                    Err(PushError::Closed) => return Err(Closed),
                    // Made under the lock, so that no wake-up is missed.
                    Err(PushError::Full(back)) => {
                        item = back;
                        Arc::clone(&self.0.space).notified_owned()
                    }
                }
            };
            room.await;
        }
    }

    fn push_locked(
        &self,
        state: &mut State<T>,
        peer: PeerId,
        item: T,
        bytes: usize,
    ) -> Result<(), PushError<T>> {
        if state.closed {
            return Err(PushError::Closed);
        }
        if let Some(lane) = state.lanes.get_mut(&peer) {
            let total = lane.bytes.saturating_add(bytes);
            if lane.items.len() >= self.0.max_items || total > self.0.max_bytes {
                return Err(PushError::Full(item));
            }
            lane.items.push_back((item, bytes));
            lane.bytes = total;
        } else {
            state.lanes.insert(
                peer,
                Lane {
                    items: VecDeque::from([(item, bytes)]),
                    bytes,
                },
            );
            state.turn.push_back(peer);
        }
        self.0.filled.notify_one();
        Ok(())
    }

    /// Ends the inbox: what waits is dropped, the application sees the end.
    pub(crate) fn close(&self) {
        drop(self.0.close());
    }
}

/// Nobody takes items any more.
#[derive(Debug)]
pub(crate) struct Closed;

impl<T> Inbox<T> {
    /// The next item, the peers taking turns. None when the subscription or the network has ended.
    /// Cancel-safe: an item is either returned or still there.
    pub async fn recv(&mut self) -> Option<T> {
        loop {
            {
                let mut state = self.0.lock();
                if let Some(item) = self.take(&mut state) {
                    return Some(item);
                }
                if state.closed {
                    return None;
                }
            }
            // A push between the check and here leaves a permit behind.
            self.0.filled.notified().await;
        }
    }

    /// The next item, if one waits.
    pub fn try_recv(&mut self) -> Option<T> {
        self.take(&mut self.0.lock())
    }

    fn take(&self, state: &mut State<T>) -> Option<T> {
        let peer = state.turn.pop_front()?;
        let lane = state.lanes.get_mut(&peer)?;
        let (item, bytes) = lane.items.pop_front()?;
        lane.bytes = lane.bytes.saturating_sub(bytes);
        if lane.items.is_empty() {
            state.lanes.remove(&peer);
        } else {
            state.turn.push_back(peer);
        }
        self.0.space.notify_waiters();
        Some(item)
    }
}

impl<T> Drop for Inbox<T> {
    fn drop(&mut self) {
        drop(self.0.close());
    }
}

impl<T> std::fmt::Debug for Inbox<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox")
            .field("peers_waiting", &self.0.lock().turn.len())
            .finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::identity::NetworkKey;
    use std::time::Duration;

    fn peer(seed: u8) -> PeerId {
        NetworkKey::from_seed(&mut [seed; 32]).unwrap().peer_id()
    }

    #[test]
    fn peers_take_turns_and_keep_their_order() {
        let (lanes, mut inbox) = inbox(10, 1000);
        for number in 0..5 {
            assert!(lanes.try_push(peer(1), number, 1).is_ok());
        }
        assert!(lanes.try_push(peer(2), 100, 1).is_ok());
        let got: Vec<i32> = std::iter::from_fn(|| inbox.try_recv()).collect();
        assert_eq!(got, [0, 100, 1, 2, 3, 4]);
    }

    #[test]
    fn a_full_lane_is_one_peers_affair() {
        let (lanes, mut inbox) = inbox(2, 10);
        assert!(lanes.try_push(peer(1), 'a', 6).is_ok());
        assert!(
            matches!(lanes.try_push(peer(1), 'b', 6), Err(PushError::Full('b'))),
            "bytes"
        );
        assert!(lanes.try_push(peer(1), 'c', 1).is_ok());
        assert!(
            matches!(lanes.try_push(peer(1), 'd', 1), Err(PushError::Full('d'))),
            "items"
        );
        assert!(
            lanes.try_push(peer(2), 'e', 99).is_ok(),
            "one item is always let in"
        );
        assert_eq!(inbox.try_recv(), Some('a'));
        assert!(lanes.try_push(peer(1), 'f', 6).is_ok());
    }

    #[tokio::test]
    async fn push_waits_for_room_and_recv_for_items() {
        let (lanes, mut inbox) = inbox(1, 10);
        lanes.push(peer(1), 1, 1).await.unwrap();
        let second = tokio::spawn({
            let lanes = lanes.clone();
            async move { lanes.push(peer(1), 2, 1).await }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished(), "the lane is full");
        assert_eq!(inbox.recv().await, Some(1));
        let next = tokio::time::timeout(Duration::from_secs(10), inbox.recv()).await;
        assert_eq!(next.unwrap(), Some(2));
        second.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn either_end_closes() {
        let (lanes, mut inbox) = inbox(1, 10);
        lanes.push(peer(1), 1, 1).await.unwrap();
        let waiting = tokio::spawn({
            let lanes = lanes.clone();
            async move { lanes.push(peer(1), 2, 1).await }
        });
        tokio::task::yield_now().await;
        lanes.close();
        assert!(waiting.await.unwrap().is_err());
        assert_eq!(inbox.recv().await, None);
        drop(inbox);
        assert!(matches!(
            lanes.try_push(peer(1), 3, 1),
            Err(PushError::Closed)
        ));
    }
}
