//! What main's state holds of the side chains: how each came to be, who decides its blocks, which of
//! its blocks are anchored, and whether it is frozen. The rules that change it stand in the crate
//! `certchain-sidechain`; here are the records, since a side chain's blocks are judged by them too.
//!
//! Keys of main's state [law], beside those of [`crate::identity::keys`]:
//!
//! | byte | key | value |
//! | --- | --- | --- |
//! | 9 | chain id (32) | [`SideChainRecord`] |
//! | 10 | chain id (32), epoch (8) | [`ActivationRecord`] |
//! | 11 | chain id (32), side height (8) | [`AnchorRecord`] |
//! | 13 | | [`SideChainList`] |

use certchain_config::Genesis;
use certchain_proto::{
    ChainId, Epoch, Height, TimeMs, ValidatorSet,
    block::Checkpoint,
    codec,
    hash::{BlockId, StateRoot, ValidatorSetDigest},
};
use serde::{Deserialize, Serialize};

use crate::{
    state::StateKey,
    versioned::{self, RecordError},
    view::{ReadError, StateView},
};

/// Namespace of side chains.
pub const SIDE_CHAIN: u8 = 9;
/// Namespace of validator sets.
pub const ACTIVATION: u8 = 10;
/// Namespace of anchors.
pub const ANCHOR: u8 = 11;

/// Namespace of the list of side chains.
pub const LIST: u8 = 13;

/// Largest encoding of any of these records.
const MAX_RECORD_BYTES: usize = 16 * 1024;

/// How a side chain came to be; its id is made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreationRecord {
    /// Main's block that created it; 0 if genesis did.
    pub height: Height,
    /// That block's time.
    pub time: TimeMs,
    /// Its first epoch.
    pub epoch: Epoch,
    /// The first set.
    pub validators: ValidatorSetDigest,
}

/// A side chain as main knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideChainRecord {
    /// Its name.
    pub name: String,
    /// How it came to be.
    pub creation: CreationRecord,
    /// Name of its first block, at height 0, which counts as anchored.
    pub genesis: BlockId,
    /// The epoch of the last anchored block, the first one if none is: earlier ones are retired.
    pub epoch: Epoch,
    /// The epoch of the newest validator set that main has given it.
    pub newest: Epoch,
    /// Height of the last anchored block, 0 if none is.
    pub last_anchor: Height,
    /// Where and why it was frozen.
    pub frozen: Option<FreezeRecord>,
}

/// All side chains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideChainList {
    /// In the order of their creation.
    pub chains: Vec<ChainId>,
}

/// Two sealed blocks that no chain can both hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreezeRecord {
    /// Main's block that took the report.
    pub main_height: Height,
    /// The height at which two blocks are sealed.
    pub height: Height,
    /// One of them.
    pub first: BlockId,
    /// The other.
    pub second: BlockId,
}

/// A validator set of a side chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivationRecord {
    /// The set.
    pub validators: ValidatorSet,
    /// It decides side blocks that follow one whose checkpoint is at or above this main block.
    pub activation: Height,
}

/// A side block that main has verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnchorRecord {
    /// The side block's height.
    pub height: Height,
    /// Its name.
    pub block: BlockId,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its time.
    pub time: TimeMs,
    /// The side state after it.
    pub state_root: StateRoot,
    /// Its checkpoint.
    pub checkpoint: Checkpoint,
    /// The main block that holds the anchor.
    pub main_height: Height,
}

macro_rules! codecs {
    ($($name:ident)*) => {$(
        impl $name {
            /// The bytes that the state holds.
            pub fn encode(&self) -> Vec<u8> {
                versioned::encode(self)
            }

            /// Reads the bytes that the state holds.
            ///
            /// # Errors
            /// If they are no such record.
            pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
                versioned::decode(bytes, MAX_RECORD_BYTES)
            }
        }
    )*};
}

codecs! { SideChainRecord ActivationRecord AnchorRecord SideChainList }

impl CreationRecord {
    /// The creation of a side chain by genesis: main's validators decide it, until governance says
    /// otherwise.
    pub fn of_genesis(genesis: &Genesis) -> Self {
        Self {
            height: Height::ZERO,
            time: genesis.time_ms,
            epoch: Epoch::ZERO,
            validators: genesis.validator_set().digest(),
        }
    }

    /// The id of a side chain of this name that came to be so.
    pub fn chain_id(&self, main: &ChainId, name: &str) -> ChainId {
        ChainId::side(main, name, &codec::encode(self))
    }
}

/// Where a side chain's record is.
pub fn side_chain(chain: &ChainId) -> StateKey {
    key(SIDE_CHAIN, chain, &[])
}

/// Where the validator set of an epoch is.
pub fn activation(chain: &ChainId, epoch: Epoch) -> StateKey {
    key(ACTIVATION, chain, &epoch.get().to_be_bytes())
}

/// Where the anchor of a side block is.
pub fn anchor(chain: &ChainId, height: Height) -> StateKey {
    key(ANCHOR, chain, &height.to_be_bytes())
}

/// Where the list of side chains is.
#[allow(clippy::expect_used)]
pub fn list() -> StateKey {
    StateKey::new(&[LIST]).expect("a namespace alone is a key")
}

/// The list of side chains in a state of main.
///
/// # Errors
/// If the state cannot be read.
pub fn read_list(view: &dyn StateView) -> Result<SideChainList, ReadError> {
    Ok(read(view, list(), SideChainList::decode)?.unwrap_or_default())
}

#[allow(clippy::expect_used)]
fn key(namespace: u8, chain: &ChainId, rest: &[u8]) -> StateKey {
    let mut bytes = Vec::with_capacity(41);
    bytes.push(namespace);
    bytes.extend_from_slice(chain.as_bytes());
    bytes.extend_from_slice(rest);
    StateKey::new(&bytes).expect("all namespaces have keys of 33 or 41 bytes")
}

/// A side chain's record in a state of main.
///
/// # Errors
/// If the state cannot be read.
pub fn read_side_chain(
    view: &dyn StateView,
    chain: &ChainId,
) -> Result<Option<SideChainRecord>, ReadError> {
    read(view, side_chain(chain), SideChainRecord::decode)
}

/// The validator set of an epoch in a state of main.
///
/// # Errors
/// If the state cannot be read.
pub fn read_activation(
    view: &dyn StateView,
    chain: &ChainId,
    epoch: Epoch,
) -> Result<Option<ActivationRecord>, ReadError> {
    read(view, activation(chain, epoch), ActivationRecord::decode)
}

/// The anchor of a side block in a state of main.
///
/// # Errors
/// If the state cannot be read.
pub fn read_anchor(
    view: &dyn StateView,
    chain: &ChainId,
    height: Height,
) -> Result<Option<AnchorRecord>, ReadError> {
    read(view, anchor(chain, height), AnchorRecord::decode)
}

fn read<T>(
    view: &dyn StateView,
    key: StateKey,
    decode: impl FnOnce(&[u8]) -> Result<T, RecordError>,
) -> Result<Option<T>, ReadError> {
    let Some(value) = view.value(&key)? else {
        return Ok(None);
    };
    let record = decode(&value).map_err(|source| ReadError::record(key, source))?;
    Ok(Some(record))
}
