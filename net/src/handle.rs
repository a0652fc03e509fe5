//! The application's side: start, speak, stop.

use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use futures::StreamExt;
use libp2p::core::transport::ListenerId;
use libp2p::swarm::SwarmEvent;
use libp2p::{Swarm, TransportError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::behaviour::{self, Behaviour};
use crate::config::{ListedPeer, NetworkConfig};
use crate::dialer::Dialer;
use crate::direct;
use crate::error::{FetchError, NetError, PublishError, SendError, SubscribeError};
use crate::events::{Connected, GossipToken, NetworkEvents, Subscription, Verdict};
use crate::fetch;
use crate::identity::{Address, ChannelId, PeerId};
use crate::inbox::inbox;
use crate::limits::{COMMAND_QUEUE, MAX_CHANNELS, OPEN_TIMEOUT, SHUTDOWN_TIMEOUT};
use crate::shared::{Channel, Command, Shared, read, write};
use crate::stats::{Counters, Stats};
use crate::swarm::Loop;

/// Starts networks.
#[derive(Debug)]
pub struct Network;

/// Speaks to the network from any task. When the last clone is dropped, the network ends, though
/// less politely than by [`NetworkHandle::shutdown`].
#[derive(Clone)]
pub struct NetworkHandle {
    shared: Arc<Shared>,
    _guard: Arc<DropGuard>,
}

impl Network {
    /// Listens, and begins to dial the listed peers. Must run inside a tokio runtime.
    ///
    /// Returns when every listening address is bound, see [`NetworkHandle::local_addresses`].
    pub async fn start(config: NetworkConfig) -> Result<(NetworkHandle, NetworkEvents), NetError> {
        config.limits.check()?;
        let key = config.key.to_libp2p();
        let mut swarm = behaviour::build(&key, &config.limits)?;
        let bound = listen(&mut swarm, &config.listen).await?;

        let local = config.key.peer_id();
        let (commands, received) = mpsc::channel(COMMAND_QUEUE);
        let (connected, connected_watch) = watch::channel(Connected::default());
        let (addresses, addresses_watch) = watch::channel(bound);
        let shared = Arc::new(Shared {
            local,
            limits: config.limits,
            counters: Counters::default(),
            channels: RwLock::default(),
            links: RwLock::default(),
            connected: connected_watch.clone(),
            addresses: addresses_watch,
            commands,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            runtime: tokio::runtime::Handle::current(),
        });
        let mut state = Loop {
            swarm,
            shared: Arc::clone(&shared),
            commands: received,
            connected,
            addresses,
            dialer: Dialer::new(local),
            times_connected: 0,
        };
        state.set_peers(config.peers)?;
        shared.tasks.spawn(state.run());
        let guard = Arc::new(shared.stop.clone().drop_guard());
        Ok((
            NetworkHandle {
                shared,
                _guard: guard,
            },
            NetworkEvents::new(connected_watch),
        ))
    }
}

/// Binds every address and waits until the real ones are known.
async fn listen(
    swarm: &mut Swarm<Behaviour>,
    wanted: &[Address],
) -> Result<Vec<Address>, NetError> {
    for address in wanted {
        probe(address)?;
    }
    let mut pending: HashMap<ListenerId, Address> = HashMap::new();
    for address in wanted {
        let listener = swarm
            .listen_on(address.to_multiaddr())
            .map_err(|error| match error {
                TransportError::Other(source) => listen_error(address, source),
                TransportError::MultiaddrNotSupported(_) => {
                    listen_error(address, io::ErrorKind::Unsupported.into())
                }
            })?;
        pending.insert(listener, address.clone());
    }
    let mut bound = Vec::new();
    let binding = async {
        while !pending.is_empty() {
            match swarm.select_next_some().await {
                SwarmEvent::NewListenAddr {
                    listener_id,
                    address,
                } => {
                    pending.remove(&listener_id);
                    bound.extend(Address::from_multiaddr(address));
                }
                SwarmEvent::ListenerClosed {
                    listener_id,
                    reason: Err(source),
                    ..
                }
                | SwarmEvent::ListenerError {
                    listener_id,
                    error: source,
                } => {
                    if let Some(address) = pending.remove(&listener_id) {
                        return Err(listen_error(&address, source));
                    }
                }
                // Nobody is listed yet: whoever connects so early is refused and comes again.
                _ => {}
            }
        }
        Ok(())
    };
    match timeout(OPEN_TIMEOUT, binding).await {
        Ok(result) => result?,
        Err(_) => {
            if let Some(address) = pending.into_values().next() {
                return Err(listen_error(&address, io::ErrorKind::TimedOut.into()));
            }
        }
    }
    Ok(bound)
}

/// The transport sets SO_REUSEPORT, with which two daemons of one user could share a port and each
/// get some of the connections. So the port is first bound without it.
fn probe(address: &Address) -> Result<(), NetError> {
    match address.to_socket() {
        Some(socket) if socket.port() != 0 => TcpListener::bind(socket)
            .map(drop)
            .map_err(|source| listen_error(address, source)),
        _ => Ok(()),
    }
}

fn listen_error(address: &Address, source: io::Error) -> NetError {
    let address = address.clone();
    if source.kind() == io::ErrorKind::AddrInUse {
        NetError::AddressInUse { address }
    } else {
        NetError::Listen { address, source }
    }
}

impl NetworkHandle {
    /// The node's own id.
    pub fn local_peer(&self) -> PeerId {
        self.shared.local
    }

    /// The addresses that are really bound, with the ports that the system chose.
    pub fn local_addresses(&self) -> Vec<Address> {
        self.shared.addresses.borrow().clone()
    }

    /// The peers that can be reached now.
    pub fn connected(&self) -> Vec<PeerId> {
        self.shared.connected.borrow().keys().copied().collect()
    }

    /// Counters for metrics.
    pub fn stats(&self) -> Stats {
        self.shared
            .counters
            .snapshot(self.shared.connected.borrow().len())
    }

    /// Replaces the list of peers: new ones may connect and are dialled, removed ones are
    /// disconnected.
    pub async fn set_peers(&self, peers: Vec<ListedPeer>) -> Result<(), NetError> {
        let (reply, done) = oneshot::channel();
        let command = Command::SetPeers { peers, reply };
        self.shared
            .commands
            .send(command)
            .await
            .map_err(|_| NetError::Stopped)?;
        done.await.map_err(|_| NetError::Stopped)?
    }

    /// Takes part in a channel. What peers send on it before is refused.
    pub async fn subscribe(&self, channel: ChannelId) -> Result<Subscription, SubscribeError> {
        let limits = &self.shared.limits;
        let (gossip_in, gossip) = inbox(limits.gossip_in_messages, limits.gossip_in_bytes);
        let (direct_in, direct) = inbox(limits.direct_in_frames, limits.direct_in_bytes);
        let (requests_in, requests) = inbox(
            limits.requests_per_peer,
            limits
                .requests_per_peer
                .saturating_mul(limits.request_bytes),
        );
        {
            let mut channels = write(&self.shared.channels);
            // Asked under the lock: the end takes the channels away after it has set the token.
            if self.shared.stop.is_cancelled() {
                return Err(SubscribeError::Stopped);
            }
            if channels.contains_key(&channel) {
                return Err(SubscribeError::AlreadySubscribed { channel });
            }
            if channels.len() >= MAX_CHANNELS {
                return Err(SubscribeError::TooManyChannels { most: MAX_CHANNELS });
            }
            channels.insert(
                channel,
                Arc::new(Channel {
                    gossip: gossip_in,
                    direct: direct_in,
                    requests: requests_in,
                }),
            );
        }
        let (reply, done) = oneshot::channel();
        let command = Command::Subscribe { channel, reply };
        self.shared
            .commands
            .send(command)
            .await
            .map_err(|_| SubscribeError::Stopped)?;
        done.await.map_err(|_| SubscribeError::Stopped)?;
        Ok(Subscription {
            channel,
            gossip,
            direct,
            requests,
        })
    }

    /// Leaves a channel; its inboxes end.
    pub async fn unsubscribe(&self, channel: ChannelId) {
        let Some(inboxes) = write(&self.shared.channels).remove(&channel) else {
            return;
        };
        inboxes.close();
        for link in read(&self.shared.links).values() {
            direct::end_channel(link, &channel);
        }
        let (reply, done) = oneshot::channel();
        // If the network has ended, so has the subscription.
        if self
            .shared
            .commands
            .send(Command::Unsubscribe { channel, reply })
            .await
            .is_ok()
        {
            let _ = done.await;
        }
    }

    /// Gossips a message to every node of the channel. The same bytes go out once in a while only.
    pub async fn publish(&self, channel: ChannelId, data: Vec<u8>) -> Result<(), PublishError> {
        let limit = self.shared.limits.gossip_bytes;
        if data.len() > limit {
            return Err(PublishError::TooLarge {
                size: data.len(),
                limit,
            });
        }
        if self.shared.channel(&channel).is_none() {
            return Err(PublishError::NotSubscribed { channel });
        }
        let (reply, done) = oneshot::channel();
        let command = Command::Publish {
            channel,
            data,
            reply,
        };
        self.shared
            .commands
            .send(command)
            .await
            .map_err(|_| PublishError::Stopped)?;
        done.await.map_err(|_| PublishError::Stopped)?
    }

    /// Says what the application thinks of a gossip message. Without a verdict, or with one later
    /// than some ten seconds, it is not forwarded.
    pub async fn report(&self, token: GossipToken, verdict: Verdict) {
        // If the network has ended, there is nobody to forward to.
        let _ = self
            .shared
            .commands
            .send(Command::Report { token, verdict })
            .await;
    }

    /// Queues a direct message; never waits. Says how many older messages for this peer and channel
    /// were dropped to make room.
    pub fn send(
        &self,
        peer: PeerId,
        channel: ChannelId,
        data: impl Into<Arc<[u8]>>,
    ) -> Result<usize, SendError> {
        direct::send(&self.shared, &peer, channel, data.into())
    }

    /// Queues a direct message for every connected peer; never waits. Says for how many.
    pub fn broadcast(
        &self,
        channel: ChannelId,
        data: impl Into<Arc<[u8]>>,
    ) -> Result<usize, SendError> {
        let data = data.into();
        let mut queued = 0;
        for peer in self.connected() {
            match direct::send(&self.shared, &peer, channel, Arc::clone(&data)) {
                Ok(_) => queued += 1,
                // It has just left.
                Err(SendError::NotConnected { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(queued)
    }

    /// Asks a peer and waits for the answer, at most until the deadline. Whether the answer is true
    /// is for the caller to find out.
    pub async fn request(
        &self,
        peer: PeerId,
        channel: ChannelId,
        data: &[u8],
        deadline: Duration,
    ) -> Result<Vec<u8>, FetchError> {
        fetch::request(&self.shared, peer, channel, data, deadline).await
    }

    /// Ends the network: subscriptions end, connections are closed, the port is free afterwards.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        if timeout(SHUTDOWN_TIMEOUT * 2, self.shared.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("network tasks did not end in time");
        }
    }
}

impl std::fmt::Debug for NetworkHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetworkHandle")
            .field("local", &self.shared.local)
            .finish()
    }
}
