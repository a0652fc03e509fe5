//! What can go wrong with a chain.

use certchain_proto::{
    ChainId, Height,
    certificate::CertificateError,
    hash::{BlockId, StateRoot},
};

use crate::{refusal::Refusal, state::StateError, store::StoreError, view::ReadError};

/// Why a chain cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database holds another chain under this name.
    #[error(
        "the database holds chain {stored}, the genesis given is that of {given}; use the genesis \
         that the node was started with, or a new data directory"
    )]
    OtherGenesis {
        /// The chain in the database.
        stored: ChainId,
        /// The chain of the genesis given.
        given: ChainId,
    },
    /// The database was opened to be read and does not hold the chain.
    #[error("the database holds no chain {name}; check the data directory")]
    NoSuchChain {
        /// Its name.
        name: String,
    },
    /// The name cannot be one.
    #[error("a chain's name has 1 to 32 of a-z, 0-9, '-' and '_'")]
    Name,
    /// What is stored contradicts itself.
    #[error(
        "the stored chain is corrupt at height {height}: {reason}; restore the node's data from a \
         peer or a backup"
    )]
    Corrupt {
        /// Where.
        height: Height,
        /// What is wrong.
        reason: String,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state failed.
    #[error(transparent)]
    State(Box<StateError>),
}

/// What is wrong with a block, in the words of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockFault {
    /// The transactions are not those of the header's root, or one stands twice.
    Transactions,
    /// A transaction may not stand in this block.
    Inadmissible,
    /// The header's history root is not that of this chain.
    History,
    /// The checkpoint is not one that this block may name.
    Checkpoint,
    /// Larger than a block may be.
    TooLarge,
    /// The header does not follow the head, or its certificate is not the parent's.
    Header,
}

/// Why a block may not be voted for.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// A field of the header is not what it must be.
    #[error("header field {field} is {actual}, it must be {expected}")]
    Header {
        /// Which field.
        field: &'static str,
        /// What it is.
        actual: String,
        /// What it must be.
        expected: String,
    },
    /// The certificate in the body is not one for the parent.
    #[error("the parent's certificate does not fit: {0}")]
    ParentCertificate(#[source] CertificateError),
    /// An empty block before its time.
    #[error("an empty block {early_ms} ms before the heartbeat is due")]
    Early {
        /// How much too early.
        early_ms: u64,
    },
    /// The checkpoint is not one that this block may name.
    #[error("the block's checkpoint does not fit: {reason}")]
    Checkpoint {
        /// What is wrong.
        reason: &'static str,
    },
    /// Main has not come to the checkpoint yet.
    #[error("main has not come to height {height} yet, on which the block stands; wait for it")]
    UnknownCheckpoint {
        /// The checkpoint's height.
        height: Height,
    },
    /// The checkpoint shows that the chain is frozen.
    #[error("main holds two sealed blocks of one height of this chain: it is frozen")]
    Frozen,
    /// Too many transactions or bytes.
    #[error("{actual} {what} in the block, at most {most} are taken")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// How many.
        actual: u64,
        /// How many are allowed.
        most: u64,
    },
    /// The transactions are not those that the header names.
    #[error("the transactions are not those of the header's tx_root and tx_count")]
    Transactions,
    /// One transaction stands twice.
    #[error("transaction {index} stands in the block twice")]
    Duplicate {
        /// The later place.
        index: usize,
    },
    /// The header's history is not this chain's.
    #[error("the header's history root is not that of this chain")]
    History,
    /// A transaction would not succeed alone.
    #[error("transaction {index} may not stand in this block: {refusal}")]
    Inadmissible {
        /// Its place.
        index: usize,
        /// Why.
        refusal: Refusal,
    },
    /// Our own state could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl BlockError {
    /// What is wrong with the block; none if it is we who could not judge it.
    pub const fn fault(&self) -> Option<BlockFault> {
        match self {
            Self::Header { .. } | Self::ParentCertificate(_) | Self::Early { .. } => {
                Some(BlockFault::Header)
            }
            Self::Checkpoint { .. } | Self::Frozen => Some(BlockFault::Checkpoint),
            Self::TooLarge { .. } => Some(BlockFault::TooLarge),
            Self::Transactions | Self::Duplicate { .. } => Some(BlockFault::Transactions),
            Self::History => Some(BlockFault::History),
            Self::Inadmissible { .. } => Some(BlockFault::Inadmissible),
            Self::UnknownCheckpoint { .. } | Self::Read(_) => None,
        }
    }
}

/// Why a block cannot be executed.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The block does not follow the head.
    #[error("the block follows {parent}, the head is {head}; check it again")]
    Stale {
        /// The block's parent.
        parent: BlockId,
        /// The head.
        head: BlockId,
    },
    /// The checkpoint, which fitted when the block was checked, does not any more.
    #[error(transparent)]
    Checkpoint(#[from] Box<BlockError>),
    /// The state could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Why a block cannot be committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The block does not follow the head.
    #[error("the block follows {parent}, the head is {head}; execute it again")]
    Stale {
        /// The block's parent.
        parent: BlockId,
        /// The head.
        head: BlockId,
    },
    /// The certificate is for another header or outcome than the executed.
    #[error(
        "the certificate decides block {decided}, execution here gave {executed}; this node has \
         diverged, stop it and audit its data"
    )]
    Diverged {
        /// The block that the certificate names.
        decided: BlockId,
        /// The block as executed here.
        executed: BlockId,
    },
    /// The certificate does not hold.
    #[error("the certificate does not hold: {0}")]
    Certificate(#[from] CertificateError),
    /// The database failed; the chain takes no more blocks until it is opened anew.
    #[error("the block could not be written: {0}; restart the node once the disk is well")]
    Store(#[from] StoreError),
    /// The state failed.
    #[error(transparent)]
    State(Box<StateError>),
    /// What a block wrote into the state is not what its key says.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An earlier write failed.
    #[error("an earlier block could not be written; restart the node")]
    Broken,
}

/// Why nothing can be proven.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The state of this height is not kept.
    #[error(transparent)]
    State(Box<StateError>),
    /// No such block.
    #[error("height {asked} is not below {limit}; ask for an earlier one")]
    Height {
        /// The height asked for.
        asked: Height,
        /// The first one that cannot be answered.
        limit: Height,
    },
    /// Stored value and state tree disagree.
    #[error("the stored values do not belong to state root {root}; audit the node's data")]
    Contradiction {
        /// The root.
        root: StateRoot,
    },
    /// The state could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

macro_rules! from_state {
    ($($name:ident)*) => {$(
        impl From<StateError> for $name {
            fn from(error: StateError) -> Self {
                Self::State(Box::new(error))
            }
        }
    )*};
}

from_state! { OpenError CommitError ProveError }
