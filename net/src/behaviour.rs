//! The protocols that run on every connection, put together.

use libp2p::allow_block_list::{self, AllowedPeers};
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::identity::Keypair;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{Swarm, SwarmBuilder, gossipsub, noise, ping, tcp, yamux};

use crate::error::NetError;
use crate::gossip;
use crate::limits::{
    CONNECT_TIMEOUT, Limits, MAX_CONNECTIONS_PER_PEER, MAX_NEGOTIATING_STREAMS,
    MAX_PENDING_INBOUND, MAX_PENDING_OUTBOUND, MAX_STREAMS_PER_CONNECTION, PING_INTERVAL,
    PING_TIMEOUT,
};
use crate::streams;

/// All protocols of a connection. The list and the limits stand first: a connection that they deny
/// never reaches the others.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) listed: allow_block_list::Behaviour<AllowedPeers>,
    pub(crate) limits: connection_limits::Behaviour,
    pub(crate) streams: streams::Behaviour,
    pub(crate) gossip: gossipsub::Behaviour,
    pub(crate) ping: ping::Behaviour,
}

/// Builds the swarm; nothing listens or dials yet.
pub(crate) fn build(key: &Keypair, limits: &Limits) -> Result<Swarm<Behaviour>, NetError> {
    let setup = |error: &dyn std::error::Error| NetError::Setup {
        reason: error.to_string(),
    };
    let behaviour = Behaviour {
        listed: allow_block_list::Behaviour::default(),
        limits: connection_limits::Behaviour::new(
            ConnectionLimits::default()
                .with_max_established(Some(limits.connections))
                .with_max_established_per_peer(Some(MAX_CONNECTIONS_PER_PEER))
                .with_max_pending_incoming(Some(MAX_PENDING_INBOUND))
                .with_max_pending_outgoing(Some(MAX_PENDING_OUTBOUND)),
        ),
        streams: streams::Behaviour::default(),
        gossip: gossip::behaviour(key, limits)?,
        ping: ping::Behaviour::new(
            ping::Config::new()
                .with_interval(PING_INTERVAL)
                .with_timeout(PING_TIMEOUT),
        ),
    };
    let multiplexer = || {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(MAX_STREAMS_PER_CONNECTION);
        config
    };
    let builder = SwarmBuilder::with_existing_identity(key.clone())
        .with_tokio()
        .with_tcp(
            tcp::Config::new().nodelay(true),
            noise::Config::new,
            multiplexer,
        )
        .map_err(|error| setup(&error))?
        .with_behaviour(|_| behaviour)
        .map_err(|error| setup(&error))?
        .with_swarm_config(|config| {
            config.with_max_negotiating_inbound_streams(MAX_NEGOTIATING_STREAMS)
        })
        .with_connection_timeout(CONNECT_TIMEOUT);
    Ok(builder.build())
}
