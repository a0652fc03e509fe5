//! What a network is started with.

use crate::identity::{Address, NetworkKey, PeerId};
use crate::limits::Limits;

/// A peer that may connect to us, and where to dial it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPeer {
    /// Who it is.
    pub peer: PeerId,
    /// Where it listens. Without an address it is never dialled, but may dial us.
    pub addresses: Vec<Address>,
}

/// What a network is started with.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// The node's network key.
    pub key: NetworkKey,
    /// Where to listen; port 0 lets the system choose.
    pub listen: Vec<Address>,
    /// The peers listed at the start. The node itself may be among them and is passed over.
    pub peers: Vec<ListedPeer>,
    /// Bounds.
    pub limits: Limits,
}

impl NetworkConfig {
    /// A configuration with default limits and no peers yet.
    pub fn new(key: NetworkKey, listen: Vec<Address>) -> Self {
        Self {
            key,
            listen,
            peers: Vec::new(),
            limits: Limits::default(),
        }
    }
}
