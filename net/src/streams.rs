//! Plain streams to listed peers: one behaviour that opens and accepts them, and nothing more.
//!
//! `libp2p-stream` does the same, but keeps a sender for every connection that ever was, dials on
//! its own, and drops an inbound stream when a second one arrives before the first is picked up.
//! `request-response` knows one deadline for all requests and reads a whole answer before anybody
//! sees it. Both uses here (votes and fetches) need back-pressure and exact deadlines, which a
//! stream in the hands of its own task gives for free.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::{iter, vec};

use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::swarm::derive_prelude::{ConnectionClosed, ConnectionEstablished};
use libp2p::swarm::handler::{ConnectionEvent, FullyNegotiatedInbound};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm,
    NetworkBehaviour, NotifyHandler, SubstreamProtocol, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{PeerId, Stream, StreamProtocol};
use tokio::sync::oneshot;

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Direct messages, one way, long-lived.
    Direct,
    /// One request and its answer.
    Fetch,
}

const DIRECT: StreamProtocol = StreamProtocol::new("/certchain/direct/1");
const FETCH: StreamProtocol = StreamProtocol::new("/certchain/fetch/1");

impl Kind {
    fn protocol(self) -> StreamProtocol {
        match self {
            Kind::Direct => DIRECT,
            Kind::Fetch => FETCH,
        }
    }
}

/// Asks for a stream. When it cannot be opened, `reply` is dropped.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) kind: Kind,
    pub(crate) reply: oneshot::Sender<Stream>,
}

/// A stream that a peer has opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) kind: Kind,
    pub(crate) stream: Stream,
}

/// Emitted to the swarm's owner.
#[derive(Debug)]
pub(crate) struct Inbound {
    pub(crate) peer: PeerId,
    pub(crate) opened: Opened,
}

/// Knows the connections and passes requests to their handlers.
#[derive(Default)]
pub(crate) struct Behaviour {
    /// Connections of each peer, oldest first. No empty list is kept.
    connections: BTreeMap<PeerId, Vec<ConnectionId>>,
    events: VecDeque<ToSwarm<Inbound, Open>>,
}

impl Behaviour {
    /// Opens a stream on the newest connection: an older one may be dead without knowing it yet.
    ///
    /// The swarm must be polled afterwards; its owner's loop does so.
    pub(crate) fn open(&mut self, peer: PeerId, open: Open) {
        let Some(connection) = self.connections.get(&peer).and_then(|list| list.last()) else {
            return;
        };
        self.events.push_back(ToSwarm::NotifyHandler {
            peer_id: peer,
            handler: NotifyHandler::One(*connection),
            event: open,
        });
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Inbound;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id,
                connection_id,
                ..
            }) => self
                .connections
                .entry(peer_id)
                .or_default()
                .push(connection_id),
            FromSwarm::ConnectionClosed(ConnectionClosed {
                peer_id,
                connection_id,
                ..
            }) => {
                if let Some(list) = self.connections.get_mut(&peer_id) {
                    list.retain(|id| *id != connection_id);
                    if list.is_empty() {
                        self.connections.remove(&peer_id);
                    }
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        _: ConnectionId,
        opened: THandlerOutEvent<Self>,
    ) {
        self.events
            .push_back(ToSwarm::GenerateEvent(Inbound { peer, opened }));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Inbound, THandlerInEvent<Self>>> {
        self.events.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// The part of [`Behaviour`] that lives with one connection.
#[derive(Default)]
pub(crate) struct Handler {
    to_open: VecDeque<Open>,
    opened: VecDeque<Opened>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = Opened;
    type InboundProtocol = Accept;
    type OutboundProtocol = Open;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Accept> {
        SubstreamProtocol::new(Accept, ())
    }

    fn connection_keep_alive(&self) -> bool {
        // Listed peers stay connected, idle or not; a delisted one is disconnected by the list.
        true
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Open, (), Self::ToBehaviour>> {
        if let Some(opened) = self.opened.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(opened));
        }
        if let Some(open) = self.to_open.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: SubstreamProtocol::new(open, ()),
            });
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, open: Open) {
        self.to_open.push_back(open);
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<Accept, Open>) {
        // An outbound stream goes to its asker from within the upgrade; a failed one drops it.
        if let ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
            protocol, ..
        }) = event
        {
            self.opened.push_back(protocol);
        }
    }
}

/// Accepts both kinds of stream.
#[derive(Debug)]
pub(crate) struct Accept;

impl UpgradeInfo for Accept {
    type Info = StreamProtocol;
    type InfoIter = vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        vec![DIRECT, FETCH].into_iter()
    }
}

impl InboundUpgrade<Stream> for Accept {
    type Output = Opened;
    type Error = Infallible;
    type Future = Ready<Result<Opened, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        let kind = if protocol == DIRECT {
            Kind::Direct
        } else {
            Kind::Fetch
        };
        ready(Ok(Opened { kind, stream }))
    }
}

impl UpgradeInfo for Open {
    type Info = StreamProtocol;
    type InfoIter = iter::Once<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        iter::once(self.kind.protocol())
    }
}

impl OutboundUpgrade<Stream> for Open {
    type Output = ();
    type Error = Infallible;
    type Future = Ready<Result<(), Infallible>>;

    fn upgrade_outbound(self, stream: Stream, _: StreamProtocol) -> Self::Future {
        // Who asked may have left meanwhile: then the stream closes here.
        drop(self.reply.send(stream));
        ready(Ok(()))
    }
}
