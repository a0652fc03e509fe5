//! What can go wrong, one enum per operation.

use std::io;
use std::time::Duration;

use crate::identity::{Address, ChannelId, PeerId};

/// The network could not be started or its peers not be set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// Another process listens there.
    #[error("{address} is in use by another process; stop it or set another listening address")]
    AddressInUse {
        /// Where this node should have listened.
        address: Address,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; set an address of this machine")]
    Listen {
        /// Where this node should have listened.
        address: Address,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A limit of the configuration makes no sense.
    #[error("network limit `{name}` is {value}; it must lie between 1 and {most}")]
    BadLimit {
        /// The limit's name.
        name: &'static str,
        /// The value given.
        value: usize,
        /// The largest value that is allowed.
        most: usize,
    },
    /// More peers listed than a node will keep.
    #[error("{count} peers are listed; the limit is {most}")]
    TooManyPeers {
        /// Peers in the list.
        count: usize,
        /// Most that may be listed.
        most: usize,
    },
    /// A part of the network stack refused its settings.
    #[error("the network cannot be set up: {reason}")]
    Setup {
        /// What the part said.
        reason: String,
    },
    /// The network has been shut down.
    #[error("the network has been shut down")]
    Stopped,
}

/// A channel could not be subscribed to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The channel has a subscription.
    #[error("channel {channel} is subscribed already; end that subscription first")]
    AlreadySubscribed {
        /// The channel.
        channel: ChannelId,
    },
    /// Too many channels.
    #[error("a node takes part in {most} channels at most")]
    TooManyChannels {
        /// Most channels.
        most: usize,
    },
    /// The network has been shut down.
    #[error("the network has been shut down")]
    Stopped,
}

/// A message could not be gossiped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Too many bytes.
    #[error("a message of {size} bytes cannot be gossiped; split it, the limit is {limit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The channel is not subscribed to.
    #[error("channel {channel} is not subscribed; subscribe before publishing")]
    NotSubscribed {
        /// The channel.
        channel: ChannelId,
    },
    /// Nobody is there to hear it.
    #[error("no connected peer takes part in this channel; try again when one is connected")]
    NoPeers,
    /// The same bytes went out or came in on this channel a short while ago.
    #[error("the same message was seen on this channel a short while ago")]
    Duplicate,
    /// Every peer's queue is full.
    #[error("the queues of all peers are full; slow down and try again")]
    Full,
    /// The message could not be signed or encoded.
    #[error("the message could not be prepared: {reason}")]
    Encoding {
        /// What the gossip layer said.
        reason: String,
    },
    /// The network has been shut down.
    #[error("the network has been shut down")]
    Stopped,
}

/// A direct message was not queued.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The peer is not connected; nothing waits for absent peers.
    #[error("peer {peer} is not connected; send again when it is")]
    NotConnected {
        /// The peer.
        peer: PeerId,
    },
    /// Too many bytes.
    #[error("a direct message of {size} bytes is too large; the limit is {limit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The channel is not subscribed to.
    #[error("channel {channel} is not subscribed; subscribe before sending")]
    NotSubscribed {
        /// The channel.
        channel: ChannelId,
    },
}

/// A request brought no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The peer is not connected.
    #[error("peer {peer} is not connected; ask another")]
    NotConnected {
        /// The peer.
        peer: PeerId,
    },
    /// The request has too many bytes.
    #[error("a request of {size} bytes is too large; ask for less, the limit is {limit}")]
    RequestTooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The answer would have too many bytes.
    #[error("the answer announces {size} bytes; ask for less, the limit is {limit}")]
    ResponseTooLarge {
        /// The size that the peer announced.
        size: usize,
        /// Our limit.
        limit: usize,
    },
    /// No answer in time.
    #[error("no answer within {deadline:?}; ask another peer")]
    Deadline {
        /// The time that was given.
        deadline: Duration,
    },
    /// The peer said no.
    #[error("the peer refused: {refusal}; ask another")]
    Refused {
        /// Why.
        refusal: Refusal,
    },
    /// The connection or stream broke.
    #[error("the connection broke before the answer was complete; ask again")]
    Broken,
    /// The network has been shut down.
    #[error("the network has been shut down")]
    Stopped,
}

/// Why a peer refused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Its application gave no answer.
    #[error("it has no answer")]
    Declined,
    /// It serves too many of our requests already, or its application is too slow.
    #[error("it is busy")]
    Busy,
    /// It takes no part in the channel.
    #[error("it takes no part in the channel")]
    UnknownChannel,
    /// The request is above its limit.
    #[error("the request is above its limit")]
    RequestTooLarge,
    /// Its answer is above its own limit.
    #[error("its answer is above its limit")]
    ResponseTooLarge,
    /// A reason that this version does not know.
    #[error("reason {0}")]
    Other(u8),
}
