//! Every bound of the network layer, in one place.
//!
//! [`Limits`] holds those that an operator or a test may set; the other constants are fixed.

use std::time::Duration;

use crate::error::NetError;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Largest gossip message (a batch of transactions).
pub const MAX_GOSSIP_BYTES: usize = MIB;
/// Largest direct message. View changes carry certificates, so it is far above a vote's size.
pub const MAX_DIRECT_BYTES: usize = 4 * MIB;
/// Largest request for bodies or blocks.
pub const MAX_REQUEST_BYTES: usize = 64 * KIB;
/// Largest answer to a request.
pub const MAX_RESPONSE_BYTES: usize = 16 * MIB;

/// Direct messages that wait for one peer on one channel; beyond it the oldest is dropped.
pub const DIRECT_OUT_FRAMES: usize = 1024;
/// Their bytes.
pub const DIRECT_OUT_BYTES: usize = 16 * MIB;
/// Direct messages of one peer that wait for the application; beyond it the peer is not read.
pub const DIRECT_IN_FRAMES: usize = 256;
/// Their bytes.
pub const DIRECT_IN_BYTES: usize = 8 * MIB;
/// Direct messages of one peer on one channel that are read in a second, and as many besides after a
/// pause: several times what consensus says at its fastest. Whoever sends more is read no faster, so
/// that a flood costs the flooder's time.
pub const DIRECT_IN_RATE: usize = 1_000;
/// Gossip messages of one forwarder that wait for the application; beyond it they are dropped.
pub const GOSSIP_IN_MESSAGES: usize = 256;
/// Their bytes.
pub const GOSSIP_IN_BYTES: usize = 16 * MIB;
/// Requests that one peer may have open with us, and we with it.
pub const REQUESTS_PER_PEER: usize = 8;

/// Established connections in all.
pub const MAX_CONNECTIONS: u32 = 256;
/// Established connections with one peer: two meet when both dial at once.
pub const MAX_CONNECTIONS_PER_PEER: u32 = 2;
/// Inbound connections that have not yet proven their identity.
pub const MAX_PENDING_INBOUND: u32 = 128;
/// Outbound connections being made.
pub const MAX_PENDING_OUTBOUND: u32 = 64;
/// Peers that may be listed at once.
pub const MAX_LISTED_PEERS: usize = 512;
/// Addresses kept for one listed peer.
pub const MAX_ADDRESSES_PER_PEER: usize = 8;
/// Channels (chains) at once.
pub const MAX_CHANNELS: usize = 64;
/// Streams of one connection.
pub const MAX_STREAMS_PER_CONNECTION: usize = 256;
/// Streams of one connection whose protocol is not agreed yet.
pub const MAX_NEGOTIATING_STREAMS: usize = 64;
/// Commands that wait for the swarm's task.
pub const COMMAND_QUEUE: usize = 256;

/// How long a connection may take to be made and to prove both identities.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long opening a stream and its greeting may take.
pub const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one message may take from its first byte to its last.
pub const TRANSFER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the application may think about a request.
pub const SERVE_TIMEOUT: Duration = Duration::from_secs(30);
/// A ping per connection, so that a dead link is noticed.
pub const PING_INTERVAL: Duration = Duration::from_secs(5);
/// A connection whose ping stays unanswered so long is closed.
pub const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Grace for a clean end.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// First wait before a listed peer is dialled again.
pub const REDIAL_FIRST: Duration = Duration::from_millis(200);
/// The wait doubles up to this. Few peers are listed, and a network that heals must not wait for it.
pub const REDIAL_CAP: Duration = Duration::from_millis(1_500);
/// The peer with the greater id lets the other dial first, so that two connections seldom cross.
pub const REDIAL_STAGGER: Duration = Duration::from_millis(150);
/// First wait before a broken direct stream is opened again.
pub const REOPEN_FIRST: Duration = Duration::from_millis(50);
/// The wait doubles up to this.
pub const REOPEN_CAP: Duration = Duration::from_secs(5);
/// A connection or stream that lived so long was healthy: its next failure starts at the first wait.
pub const STABLE_AFTER: Duration = Duration::from_secs(10);

/// Most bytes that the transport accepts in one gossip message around its data.
pub(crate) const GOSSIP_ENVELOPE_BYTES: usize = 4 * KIB;
/// First allocation for an announced body; it grows only as bytes arrive.
pub(crate) const FIRST_ALLOCATION: usize = 64 * KIB;

const _: () = assert!(
    DIRECT_OUT_BYTES >= MAX_DIRECT_BYTES,
    "one message must fit its queue"
);
const _: () = assert!(
    DIRECT_IN_BYTES >= MAX_DIRECT_BYTES,
    "one message must fit its queue"
);
const _: () = assert!(
    GOSSIP_IN_BYTES >= MAX_GOSSIP_BYTES,
    "one message must fit its queue"
);
const _: () = assert!(
    2 * (MAX_CHANNELS + REQUESTS_PER_PEER) < MAX_STREAMS_PER_CONNECTION,
    "every channel and every request needs a stream each way"
);

/// The bounds that may be set per node. All nodes of a network should agree on the sizes.
#[derive(Debug, Clone)]
pub struct Limits {
    /// See [`MAX_GOSSIP_BYTES`].
    pub gossip_bytes: usize,
    /// See [`MAX_DIRECT_BYTES`].
    pub direct_bytes: usize,
    /// See [`MAX_REQUEST_BYTES`].
    pub request_bytes: usize,
    /// See [`MAX_RESPONSE_BYTES`].
    pub response_bytes: usize,
    /// See [`DIRECT_OUT_FRAMES`].
    pub direct_out_frames: usize,
    /// See [`DIRECT_OUT_BYTES`].
    pub direct_out_bytes: usize,
    /// See [`DIRECT_IN_FRAMES`].
    pub direct_in_frames: usize,
    /// See [`DIRECT_IN_BYTES`].
    pub direct_in_bytes: usize,
    /// See [`DIRECT_IN_RATE`].
    pub direct_in_rate: usize,
    /// See [`GOSSIP_IN_MESSAGES`].
    pub gossip_in_messages: usize,
    /// See [`GOSSIP_IN_BYTES`].
    pub gossip_in_bytes: usize,
    /// See [`REQUESTS_PER_PEER`].
    pub requests_per_peer: usize,
    /// See [`MAX_CONNECTIONS`].
    pub connections: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            gossip_bytes: MAX_GOSSIP_BYTES,
            direct_bytes: MAX_DIRECT_BYTES,
            request_bytes: MAX_REQUEST_BYTES,
            response_bytes: MAX_RESPONSE_BYTES,
            direct_out_frames: DIRECT_OUT_FRAMES,
            direct_out_bytes: DIRECT_OUT_BYTES,
            direct_in_frames: DIRECT_IN_FRAMES,
            direct_in_bytes: DIRECT_IN_BYTES,
            direct_in_rate: DIRECT_IN_RATE,
            gossip_in_messages: GOSSIP_IN_MESSAGES,
            gossip_in_bytes: GOSSIP_IN_BYTES,
            requests_per_peer: REQUESTS_PER_PEER,
            connections: MAX_CONNECTIONS,
        }
    }
}

impl Limits {
    /// Sizes travel as 32-bit numbers, and nothing may be zero.
    pub(crate) fn check(&self) -> Result<(), NetError> {
        let bounds = [
            ("gossip_bytes", self.gossip_bytes, 1 << 28),
            ("direct_bytes", self.direct_bytes, 1 << 28),
            ("request_bytes", self.request_bytes, 1 << 28),
            ("response_bytes", self.response_bytes, 1 << 30),
            ("direct_out_frames", self.direct_out_frames, 1 << 20),
            ("direct_out_bytes", self.direct_out_bytes, 1 << 32),
            ("direct_in_frames", self.direct_in_frames, 1 << 20),
            ("direct_in_bytes", self.direct_in_bytes, 1 << 32),
            ("direct_in_rate", self.direct_in_rate, 1 << 20),
            ("gossip_in_messages", self.gossip_in_messages, 1 << 20),
            ("gossip_in_bytes", self.gossip_in_bytes, 1 << 32),
            ("requests_per_peer", self.requests_per_peer, 1 << 6),
            ("connections", self.connections as usize, 1 << 16),
        ];
        for (name, value, most) in bounds {
            if value == 0 || value > most {
                return Err(NetError::BadLimit { name, value, most });
            }
        }
        Ok(())
    }
}
