//! The parameters of a chain: limits, quotas and times that all nodes must agree on. They live in
//! the state, never in a node's configuration.

use certchain_config::{Limits, Timers};
use certchain_proto::codec::{self, DecodeError};
use serde::{Deserialize, Serialize};

/// Largest encoding of [`ChainParameters`].
const MAX_PARAMETERS_BYTES: usize = 1024;

/// The share of a sender that acts for itself, as a part of the share of a sender that acts for
/// many: `mempool_per_sender` divided by this.
const SELF_SERVICE_DIVISOR: u64 = 256;

/// The least share of a sender that acts for itself.
const SELF_SERVICE_LEAST: u64 = 16;

/// What all nodes of a chain agree on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainParameters {
    /// How much the chain takes.
    pub limits: Limits,
    /// When the chain does what.
    pub timers: Timers,
    /// Version of the key with which the centres make the tags of new identities.
    pub tag_key_version: u32,
}

impl Default for ChainParameters {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            timers: Timers::default(),
            tag_key_version: 1,
        }
    }
}

impl ChainParameters {
    /// Reads the bytes that the state holds.
    ///
    /// # Errors
    /// If they are no parameters.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, MAX_PARAMETERS_BYTES)
    }

    /// Most waiting transactions of an agency or registrar, which submits for many.
    pub const fn quota_authority(&self) -> u64 {
        self.limits.mempool_per_sender
    }

    /// Most waiting transactions of an account that submits for itself.
    pub fn quota_account(&self) -> u64 {
        let share = self.limits.mempool_per_sender / SELF_SERVICE_DIVISOR;
        share
            .max(SELF_SERVICE_LEAST)
            .min(self.limits.mempool_per_sender)
    }
}
