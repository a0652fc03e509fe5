//! What the handle, the swarm's task and the streams' tasks share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use libp2p::Stream;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::ListedPeer;
use crate::direct::OutQueue;
use crate::error::{NetError, PublishError};
use crate::events::{Connected, Direct, Gossip, GossipToken, Request, Verdict};
use crate::identity::{Address, ChannelId, PeerId};
use crate::inbox::Lanes;
use crate::limits::{Limits, MAX_CHANNELS, OPEN_TIMEOUT};
use crate::stats::Counters;
use crate::streams::{Kind, Open};

/// What only the swarm's task can do.
pub(crate) enum Command {
    Publish {
        channel: ChannelId,
        data: Vec<u8>,
        reply: oneshot::Sender<Result<(), PublishError>>,
    },
    Report {
        token: GossipToken,
        verdict: Verdict,
    },
    SetPeers {
        peers: Vec<ListedPeer>,
        reply: oneshot::Sender<Result<(), NetError>>,
    },
    Subscribe {
        channel: ChannelId,
        reply: oneshot::Sender<()>,
    },
    Unsubscribe {
        channel: ChannelId,
        reply: oneshot::Sender<()>,
    },
    Open {
        peer: PeerId,
        open: Open,
    },
}

/// The inboxes of one subscribed channel, seen from the network.
pub(crate) struct Channel {
    pub(crate) gossip: Lanes<Gossip>,
    pub(crate) direct: Lanes<Direct>,
    pub(crate) requests: Lanes<Request>,
}

impl Channel {
    pub(crate) fn close(&self) {
        self.gossip.close();
        self.direct.close();
        self.requests.close();
    }
}

/// One connected peer, from its first connection to the end of its last.
pub(crate) struct Link {
    pub(crate) peer: PeerId,
    /// Cancelled when the peer is gone: every task that serves it ends.
    pub(crate) gone: CancellationToken,
    /// Queues of direct messages, one per channel; each has a writer task.
    pub(crate) outbound: Mutex<BTreeMap<ChannelId, Arc<OutQueue>>>,
    /// The stream on which the peer now sends direct messages, per channel.
    pub(crate) readers: Mutex<BTreeMap<ChannelId, CancellationToken>>,
    /// Direct streams that the peer may have open.
    pub(crate) direct_streams: Arc<Semaphore>,
    /// Our requests to the peer.
    pub(crate) requesting: Arc<Semaphore>,
    /// The peer's requests to us.
    pub(crate) serving: Arc<Semaphore>,
}

impl Link {
    pub(crate) fn new(peer: PeerId, stop: &CancellationToken, limits: &Limits) -> Self {
        Self {
            peer,
            gone: stop.child_token(),
            outbound: Mutex::default(),
            readers: Mutex::default(),
            // Twice, because an old stream may linger while the peer opens a new one.
            direct_streams: Arc::new(Semaphore::new(2 * MAX_CHANNELS)),
            requesting: Arc::new(Semaphore::new(limits.requests_per_peer)),
            serving: Arc::new(Semaphore::new(limits.requests_per_peer)),
        }
    }
}

pub(crate) struct Shared {
    pub(crate) local: PeerId,
    pub(crate) limits: Limits,
    pub(crate) counters: Counters,
    pub(crate) channels: RwLock<BTreeMap<ChannelId, Arc<Channel>>>,
    pub(crate) links: RwLock<BTreeMap<PeerId, Arc<Link>>>,
    pub(crate) connected: watch::Receiver<Connected>,
    pub(crate) addresses: watch::Receiver<Vec<Address>>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// Senders may be plain threads; the tasks that they start run here.
    pub(crate) runtime: Handle,
}

impl Shared {
    pub(crate) fn channel(&self, channel: &ChannelId) -> Option<Arc<Channel>> {
        read(&self.channels).get(channel).map(Arc::clone)
    }

    pub(crate) fn link(&self, peer: &PeerId) -> Option<Arc<Link>> {
        read(&self.links).get(peer).map(Arc::clone)
    }

    /// Opens a stream to a connected peer.
    pub(crate) async fn open(&self, peer: PeerId, kind: Kind) -> Option<Stream> {
        let (reply, stream) = oneshot::channel();
        let open = Open { kind, reply };
        self.commands
            .send(Command::Open { peer, open })
            .await
            .ok()?;
        timeout(OPEN_TIMEOUT, stream).await.ok()?.ok()
    }
}

// A poisoned lock means that a task panicked while it held it; none of the sections can leave a
// half-made change behind, so the data is still good.

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
