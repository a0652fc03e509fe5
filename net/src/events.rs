//! What the network hands to the application.
//!
//! Every channel has an inbox of its own for each kind of event, and every peer a lane of its own in
//! each inbox. So neither a flood of one kind, nor one chain whose application lags, nor one peer
//! that sends too much, delays anything else.

use std::collections::BTreeMap;
use std::sync::Arc;

use libp2p::gossipsub::MessageId;
use tokio::sync::{oneshot, watch};

use crate::error::Refusal;
use crate::identity::{ChannelId, PeerId};
use crate::inbox::Inbox;

/// The inboxes of one channel. Dropping one ends that kind of event; dropping all does not end the
/// subscription, see [`NetworkHandle::unsubscribe`](crate::NetworkHandle::unsubscribe).
#[derive(Debug)]
pub struct Subscription {
    /// The channel.
    pub channel: ChannelId,
    /// Gossip that waits for a verdict.
    pub gossip: Inbox<Gossip>,
    /// Direct messages.
    pub direct: Inbox<Direct>,
    /// Requests that wait for an answer.
    pub requests: Inbox<Request>,
}

/// A gossip message, seen for the first time, not forwarded yet.
#[derive(Debug)]
pub struct Gossip {
    /// The peer that passed it on, proven by its connection.
    pub from: PeerId,
    /// The node that signed it as its author, if it has one of our kind of keys.
    pub author: Option<PeerId>,
    /// The channel.
    pub channel: ChannelId,
    /// The bytes.
    pub data: Vec<u8>,
    /// Give it back with the verdict. Without one the message is not forwarded.
    pub token: GossipToken,
}

/// Stands for one gossip message until the verdict.
#[derive(Debug)]
pub struct GossipToken {
    pub(crate) id: MessageId,
    pub(crate) forwarder: libp2p::PeerId,
}

/// What the application says about a gossip message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Good: forward it.
    Accept,
    /// Bad, and no honest node would have forwarded it: drop and count it.
    Reject,
    /// Neither: drop it quietly.
    Ignore,
}

/// A direct message. One peer's messages on one channel arrive in the order in which they were
/// sent; some may be missing, for a slow receiver or after a broken connection.
#[derive(Debug)]
pub struct Direct {
    /// Who sent it, proven by its connection.
    pub from: PeerId,
    /// The channel.
    pub channel: ChannelId,
    /// The bytes.
    pub data: Vec<u8>,
}

/// A peer asks something.
#[derive(Debug)]
pub struct Request {
    /// Who asks, proven by its connection.
    pub from: PeerId,
    /// The channel.
    pub channel: ChannelId,
    /// The question.
    pub data: Vec<u8>,
    /// Takes the answer. Dropped unused, it tells the peer that there is none.
    pub responder: Responder,
}

/// Takes the answer to one request.
#[derive(Debug)]
pub struct Responder {
    pub(crate) reply: oneshot::Sender<Result<Vec<u8>, Refusal>>,
}

impl Responder {
    /// Answers.
    pub fn respond(self, data: Vec<u8>) {
        drop(self.reply.send(Ok(data)));
    }

    /// Says that there is no answer.
    pub fn decline(self) {
        drop(self.reply.send(Err(Refusal::Declined)));
    }

    /// Whether the peer has stopped waiting, so that the work can be spared.
    pub fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}

/// Connected peers, each with a number that is new for every time it was connected.
pub(crate) type Connected = Arc<BTreeMap<PeerId, u64>>;

/// A change among the connected peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerEvent {
    /// The peer can be reached from now on.
    Connected(PeerId),
    /// The peer cannot be reached any more; what was queued for it is gone.
    Disconnected(PeerId),
}

/// Tells of peers that come and go. It needs no queue: who reads late gets the difference to what
/// it last saw. A peer that went and came back meanwhile is told as both; one that came and went is
/// not told at all.
#[derive(Debug)]
pub struct NetworkEvents {
    watch: watch::Receiver<Connected>,
    told: BTreeMap<PeerId, u64>,
}

impl NetworkEvents {
    pub(crate) fn new(watch: watch::Receiver<Connected>) -> Self {
        Self {
            watch,
            told: BTreeMap::new(),
        }
    }

    /// The next change; None when the network has been shut down. Cancel-safe.
    pub async fn next(&mut self) -> Option<PeerEvent> {
        loop {
            if let Some(event) = self.difference() {
                return Some(event);
            }
            self.watch.changed().await.ok()?;
        }
    }

    fn difference(&mut self) -> Option<PeerEvent> {
        let now = Arc::clone(&self.watch.borrow());
        let gone = self
            .told
            .iter()
            .find(|(peer, time)| now.get(*peer) != Some(*time));
        if let Some(peer) = gone.map(|(peer, _)| *peer) {
            self.told.remove(&peer);
            return Some(PeerEvent::Disconnected(peer));
        }
        let (peer, time) = now
            .iter()
            .find(|(peer, _)| !self.told.contains_key(*peer))?;
        self.told.insert(*peer, *time);
        Some(PeerEvent::Connected(*peer))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::identity::NetworkKey;

    #[tokio::test]
    async fn a_late_reader_learns_of_a_reconnection() {
        let peer = NetworkKey::from_seed(&mut [3; 32]).unwrap().peer_id();
        let (send, watch) = watch::channel(Connected::default());
        let mut events = NetworkEvents::new(watch);
        send.send_replace(Arc::new(BTreeMap::from([(peer, 1)])));
        assert_eq!(events.next().await, Some(PeerEvent::Connected(peer)));
        send.send_replace(Connected::default());
        send.send_replace(Arc::new(BTreeMap::from([(peer, 2)])));
        assert_eq!(events.next().await, Some(PeerEvent::Disconnected(peer)));
        assert_eq!(events.next().await, Some(PeerEvent::Connected(peer)));
        drop(send);
        assert_eq!(events.next().await, None);
    }
}
