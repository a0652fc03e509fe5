//! What comes from peers: votes to the engine, transactions to the mempool, questions to the store.
//!
//! Who sends more than its room is not waited for: consensus says everything again in time, and a
//! flood costs only the flooder's own messages. A peer that has lately sent a consensus message that
//! does not verify has room for one at a time. How many messages of a peer are verified follows from
//! what consensus needs ([`Budgets`]), not from what it sends.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use certchain_consensus::{Event, Invalid, limits::MAX_MESSAGE_BYTES};
use certchain_net::{Direct as Frame, Gossip, Inbox, PeerId, Request, Verdict};
use certchain_proto::certificate::Ed25519Verifier;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    budget::Budgets, evidence, exchange::Direct, host::ChainHost, intake, serve, suspects::Sender,
    sync,
};

/// Bytes of consensus messages of one peer that may wait for the engine.
const ROOM_PER_PEER: usize = 2 * MAX_MESSAGE_BYTES;

/// Least room of a message: a peer has at most 128 on their way, far below the workers' queue.
const LEAST_ROOM: usize = ROOM_PER_PEER / 128;

/// Gossip messages that go through the workers at once.
const GOSSIP_AT_ONCE: usize = 4;

/// Hands direct messages on until the network ends.
pub async fn direct(host: Arc<ChainHost>, mut inbox: Inbox<Frame>) {
    let (rooms, budgets) = (Rooms::default(), Budgets::default());
    while let Some(frame) = inbox.recv().await {
        match Direct::decode(&frame.data) {
            Ok(Direct::Consensus(bytes)) => {
                let height = host.chain.head().header.height;
                if budgets.take(frame.from, Instant::now(), height) {
                    consensus(&host, &rooms, frame.from, bytes);
                } else {
                    tracing::debug!(
                        chain = %host.name, from = %frame.from, "a peer says more than it needs to"
                    );
                }
            }
            Ok(Direct::Tip(height)) => sync::note_tip(&host, frame.from, height),
            Ok(Direct::Evidence(found)) => {
                if let Some(room) = rooms.take(frame.from, frame.data.len()) {
                    evidence::from_peer(&host, *found, room);
                }
            }
            Err(error) => {
                tracing::debug!(chain = %host.name, from = %frame.from, %error, "not a message");
            }
        }
    }
}

/// Verifies a consensus message on a worker and hands it to the engine.
fn consensus(host: &Arc<ChainHost>, rooms: &Rooms, from: PeerId, bytes: Vec<u8>) {
    let suspected = host.suspects.contains(&Sender::Peer(from), Instant::now());
    let weight = if suspected {
        ROOM_PER_PEER
    } else {
        bytes.len()
    };
    let Some(room) = rooms.take(from, weight) else {
        tracing::debug!(chain = %host.name, %from, "a peer sends faster than the engine takes");
        return;
    };
    let worker = Arc::clone(host);
    let queued = host.vote_pool.run(move || {
        let message = match certchain_consensus::Message::decode(&bytes, MAX_MESSAGE_BYTES) {
            Ok(message) => message,
            Err(error) => {
                tracing::debug!(chain = %worker.name, %from, %error, "consensus message refused");
                return;
            }
        };
        match message.verify(worker.id, &worker.seats.sets(), &Ed25519Verifier) {
            Ok(verified) => {
                worker.tell_with(Event::Message(Box::new(verified)), Some(room));
            }
            Err(error) => {
                tracing::debug!(chain = %worker.name, %from, %error, "consensus message refused");
                // VS-7: somebody knows a later set, so we may be behind.
                if let Invalid::Epoch { expected, actual } = &error
                    && actual > expected
                {
                    worker.tell(Event::LaterEpoch { epoch: *actual });
                }
                if !error.may_be_honest() {
                    worker.suspects.note(Sender::Peer(from), Instant::now());
                }
            }
        }
    });
    if let Err(error) = queued {
        tracing::debug!(chain = %host.name, %error, "a consensus message was shed");
    }
}

/// Hands gossiped transactions on until the network ends.
pub async fn gossip(host: Arc<ChainHost>, mut inbox: Inbox<Gossip>) {
    let places = Arc::new(Semaphore::new(GOSSIP_AT_ONCE));
    while let Some(message) = inbox.recv().await {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let host = Arc::clone(&host);
        tokio::spawn(async move {
            let Gossip {
                from, data, token, ..
            } = message;
            let worker = Arc::clone(&host);
            let job = move || intake::take_gossip(&worker, from, &data);
            let verdict = host.pool.call(job).await.unwrap_or(Verdict::Ignore);
            host.network.report(token, verdict).await;
            drop(place);
        });
    }
}

/// Answers questions until the network ends.
pub async fn requests(host: Arc<ChainHost>, mut inbox: Inbox<Request>) {
    while let Some(request) = inbox.recv().await {
        serve::answer(&host, request);
    }
}

/// How much of each peer may wait.
#[derive(Default)]
struct Rooms {
    by_peer: Mutex<BTreeMap<PeerId, Arc<Semaphore>>>,
}

impl Rooms {
    /// Room for so many bytes, if this peer has it left. Peers are listed ones, so the map is
    /// bounded.
    fn take(&self, peer: PeerId, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes.max(LEAST_ROOM)).ok()?;
        let room = Arc::clone(
            self.by_peer
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(peer)
                .or_insert_with(|| Arc::new(Semaphore::new(ROOM_PER_PEER))),
        );
        room.try_acquire_many_owned(bytes).ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use certchain_net::NetworkKey;

    use super::*;

    #[test]
    fn a_peer_has_its_own_room_and_a_suspect_room_for_one() {
        let peer = |seed| NetworkKey::from_seed(&mut [seed; 32]).unwrap().peer_id();
        let rooms = Rooms::default();
        let small: Vec<_> = (0..).map_while(|_| rooms.take(peer(1), 1)).collect();
        assert_eq!(small.len(), 128);
        let whole = rooms
            .take(peer(2), ROOM_PER_PEER)
            .expect("a room of its own");
        assert!(rooms.take(peer(2), 1).is_none(), "one at a time");
        drop(whole);
        assert!(rooms.take(peer(2), 1).is_some());
    }
}
