//! The network between CertChain nodes. It moves bytes and decides nothing.
//!
//! One libp2p swarm per node serves all chains, over TCP with Noise and Yamux. It offers
//!
//! * **who may connect**: only listed peers, in and out; the list can be changed while running;
//!   a listed peer with a known address is dialled until it is connected;
//! * **gossip** for transactions: one gossipsub topic per channel (a chain's share of the network);
//!   nothing is forwarded before the application has given its verdict;
//! * **direct messages** for votes: one ordered stream per peer, channel and direction. Who sends
//!   never waits; a slow receiver loses the oldest messages, as consensus repeats itself;
//! * **requests** for bodies and blocks: question and answer with a deadline each.
//!
//! What arrives waits in bounded inboxes, one per channel and kind, with a lane per peer (see
//! [`Inbox`]): no peer, chain or kind of message can hold up another.
//!
//! What this crate must never do: look into a message. It knows nothing of blocks, votes and
//! transactions; who is listed, what is valid, and whom to ask again is for the node to decide. It
//! promises no delivery: connections break, slow peers lose messages, and whoever needs an answer
//! asks again.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use certchain_net::{ChannelId, Network, NetworkConfig, NetworkKey, Verdict};
//!
//! let key = NetworkKey::from_seed(&mut [7; 32])?;
//! let config = NetworkConfig::new(key, vec!["/ip4/127.0.0.1/tcp/0".parse()?]);
//! let (network, mut peers) = Network::start(config).await?;
//! let mut main = network.subscribe(ChannelId::new([1; 32])).await?;
//! tokio::select! {
//!     Some(event) = peers.next() => println!("{event:?}"),
//!     Some(gossip) = main.gossip.recv() => network.report(gossip.token, Verdict::Accept).await,
//!     Some(vote) = main.direct.recv() => println!("{} bytes from {}", vote.data.len(), vote.from),
//!     Some(request) = main.requests.recv() => request.responder.respond(b"a block".to_vec()),
//! }
//! network.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod behaviour;
mod config;
mod dialer;
mod direct;
mod error;
mod events;
mod fetch;
mod gossip;
mod handle;
mod identity;
mod inbox;
pub mod limits;
mod pace;
mod shared;
mod stats;
mod streams;
mod swarm;
mod wire;

pub use config::{ListedPeer, NetworkConfig};
pub use error::{FetchError, NetError, PublishError, Refusal, SendError, SubscribeError};
pub use events::{
    Direct, Gossip, GossipToken, NetworkEvents, PeerEvent, Request, Responder, Subscription,
    Verdict,
};
pub use handle::{Network, NetworkHandle};
pub use identity::{Address, ChannelId, IdentityError, NetworkKey, PeerId};
pub use inbox::Inbox;
pub use limits::Limits;
pub use stats::Stats;
