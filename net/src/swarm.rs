//! The one task that owns the libp2p swarm: it applies commands, dials, and passes on what arrives.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use libp2p::allow_block_list::NotAllowed;
use libp2p::connection_limits::Exceeded;
use libp2p::gossipsub::{self, MessageAcceptance};
use libp2p::multiaddr::Multiaddr;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionDenied, DialError, ListenError, SwarmEvent};
use libp2p::{Swarm, ping};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::behaviour::{Behaviour, BehaviourEvent};
use crate::config::ListedPeer;
use crate::dialer::Dialer;
use crate::direct;
use crate::error::{NetError, PublishError};
use crate::events::{Connected, Gossip, GossipToken, Verdict};
use crate::fetch;
use crate::gossip::{self, channel_of};
use crate::identity::{Address, ChannelId, PeerId};
use crate::inbox::PushError;
use crate::limits::{MAX_ADDRESSES_PER_PEER, MAX_LISTED_PEERS, SHUTDOWN_TIMEOUT};
use crate::shared::{Command, Link, Shared, write};
use crate::streams::{Inbound, Kind};

/// The running network's state.
pub(crate) struct Loop {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) connected: watch::Sender<Connected>,
    pub(crate) addresses: watch::Sender<Vec<Address>>,
    pub(crate) dialer: Dialer,
    /// Counts up with every peer that connects.
    pub(crate) times_connected: u64,
}

impl Loop {
    pub(crate) async fn run(mut self) {
        let stop = self.shared.stop.clone();
        loop {
            self.dial_due();
            let redial = self.dialer.next();
            tokio::select! {
                () = stop.cancelled() => break,
                Some(command) = self.commands.recv() => self.apply(command),
                event = self.swarm.select_next_some() => self.on_event(event),
                () = sleep_until(redial.unwrap_or_else(Instant::now)), if redial.is_some() => {}
            }
        }
        self.end().await;
    }

    /// Says goodbye to every peer, so that none has to find out by a time-out.
    async fn end(mut self) {
        for channel in std::mem::take(&mut *write(&self.shared.channels)).into_values() {
            channel.close();
        }
        write(&self.shared.links).clear();
        self.connected.send_replace(Connected::default());
        let peers: Vec<libp2p::PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            // An error says that the peer is gone already.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let closing = async {
            while self.swarm.connected_peers().next().is_some() {
                self.swarm.select_next_some().await;
            }
        };
        if timeout(SHUTDOWN_TIMEOUT, closing).await.is_err() {
            tracing::warn!("some connections did not close in time");
        }
    }

    fn dial_due(&mut self) {
        let now = Instant::now();
        for (peer, addresses) in self.dialer.due(now) {
            let addresses = addresses.iter().map(Address::to_multiaddr).collect();
            let options = DialOpts::peer_id(peer.to_libp2p())
                .addresses(addresses)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .allocate_new_port()
                .build();
            if let Err(error) = self.swarm.dial(options) {
                tracing::debug!(%peer, %error, "peer not dialled");
                self.dialer.failed(&peer, now);
            }
        }
    }

    fn apply(&mut self, command: Command) {
        // An asker that has left needs no reply.
        match command {
            Command::Publish {
                channel,
                data,
                reply,
            } => {
                let _ = reply.send(self.publish(channel, data));
            }
            Command::Report { token, verdict } => self.report(&token, verdict),
            Command::SetPeers { peers, reply } => {
                let _ = reply.send(self.set_peers(peers));
            }
            Command::Subscribe { channel, reply } => {
                // Only a filter could refuse, and none is set on our own subscriptions.
                if let Err(error) = self
                    .swarm
                    .behaviour_mut()
                    .gossip
                    .subscribe(&gossip::topic(&channel))
                {
                    tracing::warn!(%channel, %error, "gossip not subscribed");
                }
                let _ = reply.send(());
            }
            Command::Unsubscribe { channel, reply } => {
                self.swarm
                    .behaviour_mut()
                    .gossip
                    .unsubscribe(&gossip::topic(&channel));
                let _ = reply.send(());
            }
            Command::Open { peer, open } => {
                self.swarm
                    .behaviour_mut()
                    .streams
                    .open(peer.to_libp2p(), open);
            }
        }
    }

    fn publish(&mut self, channel: ChannelId, data: Vec<u8>) -> Result<(), PublishError> {
        let (size, limit) = (data.len(), self.shared.limits.gossip_bytes);
        self.swarm
            .behaviour_mut()
            .gossip
            .publish(gossip::topic(&channel), data)
            .map_err(|error| gossip::publish_error(error, size, limit))?;
        self.shared.counters.gossip_published.one();
        Ok(())
    }

    fn report(&mut self, token: &GossipToken, verdict: Verdict) {
        let counters = &self.shared.counters;
        let (acceptance, counter) = match verdict {
            Verdict::Accept => (MessageAcceptance::Accept, &counters.gossip_accepted),
            Verdict::Reject => (MessageAcceptance::Reject, &counters.gossip_rejected),
            Verdict::Ignore => (MessageAcceptance::Ignore, &counters.gossip_ignored),
        };
        counter.one();
        let in_time = self
            .swarm
            .behaviour_mut()
            .gossip
            .report_message_validation_result(&token.id, &token.forwarder, acceptance);
        if !in_time {
            self.shared.counters.gossip_late.one();
        }
    }

    pub(crate) fn set_peers(&mut self, peers: Vec<ListedPeer>) -> Result<(), NetError> {
        let listed: BTreeMap<PeerId, Vec<Address>> = peers
            .into_iter()
            .filter(|listed| listed.peer != self.shared.local)
            .map(|listed| (listed.peer, listed.addresses))
            .collect();
        if listed.len() > MAX_LISTED_PEERS {
            return Err(NetError::TooManyPeers {
                count: listed.len(),
                most: MAX_LISTED_PEERS,
            });
        }
        let removed: Vec<PeerId> = self
            .dialer
            .peers()
            .filter(|peer| !listed.contains_key(peer))
            .copied()
            .collect();
        for peer in removed {
            tracing::info!(%peer, "peer no longer listed");
            self.dialer.unlist(&peer);
            // This also closes its connections.
            self.swarm
                .behaviour_mut()
                .listed
                .disallow_peer(peer.to_libp2p());
        }
        let now = Instant::now();
        for (peer, mut addresses) in listed {
            addresses.truncate(MAX_ADDRESSES_PER_PEER);
            self.swarm
                .behaviour_mut()
                .listed
                .allow_peer(peer.to_libp2p());
            self.dialer.list(peer, addresses, now);
        }
        Ok(())
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                num_established,
                ..
            } => {
                if let Some(peer) = PeerId::from_libp2p(&peer_id) {
                    self.dialer.connected(&peer, Instant::now());
                    if num_established.get() == 1 {
                        self.add_link(peer);
                    }
                }
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                num_established: 0,
                cause,
                ..
            } => {
                if let Some(peer) = PeerId::from_libp2p(&peer_id) {
                    let cause = cause.map(|cause| cause.to_string());
                    tracing::info!(%peer, cause, "peer disconnected");
                    self.dialer.disconnected(&peer, Instant::now());
                    self.remove_link(&peer);
                }
            }
            SwarmEvent::IncomingConnectionError {
                send_back_addr,
                error,
                ..
            } => {
                self.on_inbound_error(&send_back_addr, error);
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
                self.on_outbound_error(peer_id, &error);
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                tracing::info!(%address, "listening");
                if let Some(address) = Address::from_multiaddr(address) {
                    self.addresses.send_modify(|list| list.push(address));
                }
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                tracing::warn!(%address, "no longer listening");
                if let Some(address) = Address::from_multiaddr(address) {
                    self.addresses
                        .send_modify(|list| list.retain(|known| *known != address));
                }
            }
            SwarmEvent::ListenerClosed {
                reason: Err(error), ..
            }
            | SwarmEvent::ListenerError { error, .. } => {
                tracing::error!(%error, "listener failed; nobody new can connect until a restart");
            }
            _ => {}
        }
    }

    fn on_inbound_error(&self, from: &Multiaddr, error: ListenError) {
        let ListenError::Denied { cause } = error else {
            tracing::debug!(%from, %error, "inbound connection failed");
            return;
        };
        match cause.downcast::<NotAllowed>() {
            Ok(refused) => {
                self.shared.counters.refused_unlisted.one();
                tracing::warn!(%from, "connection refused: {refused}");
            }
            Err(cause) => self.on_limit(cause),
        }
    }

    fn on_limit(&self, cause: ConnectionDenied) {
        self.shared.counters.refused_limit.one();
        match cause.downcast::<Exceeded>() {
            Ok(exceeded) => tracing::warn!("connection refused: {exceeded}"),
            Err(cause) => tracing::warn!("connection refused: {cause}"),
        }
    }

    fn on_outbound_error(&mut self, peer: Option<libp2p::PeerId>, error: &DialError) {
        let Some(peer) = peer.as_ref().and_then(PeerId::from_libp2p) else {
            return;
        };
        self.shared.counters.dials_failed.one();
        if matches!(error, DialError::WrongPeerId { .. }) {
            tracing::warn!(%peer, %error, "another node answers at this peer's address");
        } else {
            tracing::debug!(%peer, %error, "peer not reached");
        }
        self.dialer.failed(&peer, Instant::now());
    }

    fn on_behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Streams(inbound) => self.on_stream(inbound),
            BehaviourEvent::Gossip(event) => self.on_gossip_event(event),
            BehaviourEvent::Ping(ping::Event {
                connection,
                result: Err(error),
                peer,
            }) => {
                // Without the ping protocol it is no node of ours, but it is listed: let it be.
                if !matches!(error, ping::Failure::Unsupported) {
                    self.shared.counters.pings_failed.one();
                    tracing::warn!(%peer, %error, "connection is dead; closed");
                    self.swarm.close_connection(connection);
                }
            }
            BehaviourEvent::Ping(ping::Event { result: Ok(_), .. }) => {}
            BehaviourEvent::Listed(never) | BehaviourEvent::Limits(never) => match never {},
        }
    }

    fn on_stream(&mut self, Inbound { peer, opened }: Inbound) {
        let Some(link) = PeerId::from_libp2p(&peer).and_then(|peer| self.shared.link(&peer)) else {
            return;
        };
        let shared = Arc::clone(&self.shared);
        match opened.kind {
            Kind::Direct => {
                self.shared
                    .tasks
                    .spawn(direct::run_reader(shared, link, opened.stream));
            }
            Kind::Fetch => {
                self.shared
                    .tasks
                    .spawn(fetch::serve(shared, link, opened.stream));
            }
        }
    }

    fn on_gossip_event(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            } => {
                let token = GossipToken {
                    id: message_id,
                    forwarder: propagation_source,
                };
                self.on_gossip(token, message);
            }
            gossipsub::Event::SlowPeer {
                peer_id,
                failed_messages,
            } => {
                let dropped = failed_messages
                    .non_priority
                    .saturating_add(failed_messages.priority);
                self.shared.counters.gossip_dropped_out.add(dropped);
                tracing::debug!(peer = %peer_id, dropped, "peer too slow for gossip");
            }
            gossipsub::Event::GossipsubNotSupported { peer_id } => {
                tracing::warn!(peer = %peer_id, "listed peer does not speak gossipsub");
            }
            gossipsub::Event::Subscribed { .. } | gossipsub::Event::Unsubscribed { .. } => {}
        }
    }

    fn on_gossip(&mut self, token: GossipToken, message: gossipsub::Message) {
        let counters = &self.shared.counters;
        counters.gossip_received.one();
        let channel = channel_of(&message.topic);
        let inboxes = channel.and_then(|channel| self.shared.channel(&channel));
        let from = PeerId::from_libp2p(&token.forwarder);
        let (Some(channel), Some(inboxes), Some(from)) = (channel, inboxes, from) else {
            return self.report(&token, Verdict::Ignore);
        };
        let author = message.source.as_ref().and_then(PeerId::from_libp2p);
        let size = message.data.len();
        let gossip = Gossip {
            from,
            author,
            channel,
            data: message.data,
            token,
        };
        match inboxes.gossip.try_push(from, gossip, size) {
            Ok(()) | Err(PushError::Closed) => {}
            Err(PushError::Full(gossip)) => {
                counters.gossip_dropped_in.one();
                self.report(&gossip.token, Verdict::Ignore);
            }
        }
    }

    fn add_link(&mut self, peer: PeerId) {
        // A connection that a command has just unlisted may still come through here; the list is
        // about to close it.
        tracing::info!(%peer, listed = self.dialer.contains(&peer), "peer connected");
        let link = Link::new(peer, &self.shared.stop, &self.shared.limits);
        write(&self.shared.links).insert(peer, Arc::new(link));
        self.times_connected = self.times_connected.saturating_add(1);
        let time = self.times_connected;
        self.connected.send_modify(|connected| {
            Arc::make_mut(connected).insert(peer, time);
        });
    }

    fn remove_link(&mut self, peer: &PeerId) {
        if let Some(link) = write(&self.shared.links).remove(peer) {
            link.gone.cancel();
        }
        self.connected.send_modify(|connected| {
            Arc::make_mut(connected).remove(peer);
        });
    }
}
