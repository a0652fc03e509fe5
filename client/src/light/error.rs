//! Why an answer of a node is not believed.

use certchain_ledger::evidence::{EvidenceError, WireError};
use certchain_proto::transaction::TransactionError;

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
