//! Why an answer of a node is not believed.

use certchain_ledger::evidence::{EvidenceError, SetError, WireError};
use certchain_proto::{Epoch, transaction::TransactionError};

/// Why an answer of a node is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LightError {
    /// The genesis gives no first block.
    #[error("the genesis block cannot be computed; check the genesis file")]
    Genesis,
    /// The genesis creates no such chain.
    #[error("the genesis creates no chain '{name}'; it is one of main and the side chains")]
    NoSuchChain {
        /// The name asked for.
        name: String,
    },
    /// The node's chain started from another genesis.
    #[error("the node's genesis block is not that of this genesis file; check both")]
    OtherGenesis,
    /// The answer carries no proof.
    #[error("the answer carries no proof; ask again with proof, or another node")]
    NoProof,
    /// The validators that decided it are not known yet.
    #[error(
        "the block is of epoch {epoch} and the validators are known up to epoch {newest}; ask for \
         the validator sets of the chain and check again"
    )]
    UnknownEpoch {
        /// The block's.
        epoch: Epoch,
        /// The last that is known.
        newest: Epoch,
    },
    /// A block or a change of the validators contradicts the sets that are known.
    #[error(transparent)]
    Validators(SetError),
    /// A part cannot be read.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A proof does not hold.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// A transaction in the answer is none.
    #[error("the answer holds a broken transaction: {0}")]
    Transaction(#[from] TransactionError),
    /// The proof is for something else than was asked.
    #[error("the proof is for something else than was asked; do not trust this node")]
    OtherQuestion,
    /// The answer says one thing and proves another.
    #[error("{what} of the answer contradicts what is proven; do not trust this node")]
    Contradiction {
        /// What differs.
        what: &'static str,
    },
}

impl From<SetError> for LightError {
    fn from(error: SetError) -> Self {
        match error {
            SetError::UnknownEpoch { epoch, newest, .. } => Self::UnknownEpoch { epoch, newest },
            SetError::Block(error) => Self::Evidence(error),
            error @ (SetError::OutsideEpoch { .. }
            | SetError::OtherChange { .. }
            | SetError::Successor { .. }
            | SetError::OtherSet { .. }) => Self::Validators(error),
        }
    }
}
