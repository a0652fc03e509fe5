//! Why a pack proves nothing.

use certchain_ledger::{evidence::EvidenceError, versioned::RecordError};
use certchain_proto::{ChainId, Height};

/// Why a pack proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// The bytes are no pack.
    #[error("these bytes are no pack: {0}; ask the holder for it again")]
    Form(#[from] RecordError),
    /// The parts do not belong together.
    #[error("{0} does not fit the other parts of the pack; build it again")]
    Parts(&'static str),
    /// A part shows that something is absent.
    #[error("{0} is absent from the state; it cannot be proven there")]
    Absent(&'static str),
    /// A proven value cannot be read.
    #[error("{what} cannot be read: {source}; this release may be too old")]
    Record {
        /// Which one.
        what: &'static str,
        /// Why.
        source: RecordError,
    },
    /// It is of another network.
    #[error("the pack is of main chain {actual}, you trust {expected}; refuse it")]
    OtherMain {
        /// The verifier's.
        expected: ChainId,
        /// The pack's.
        actual: ChainId,
    },
    /// It rests on something that this verifier does not hold.
    #[error("the pack needs {0}, which you do not hold; get it, or ask for another pack")]
    Trust(&'static str),
    /// Its block of main and the one that the verifier holds are not of one history.
    #[error(
        "the pack's block of main at height {0} is not in the history that you trust; refuse it"
    )]
    OtherHistory(Height),
    /// Its block of main does not hold.
    #[error("the pack's block of main is not proven: {0}")]
    Main(#[source] EvidenceError),
    /// A proof in main's state does not hold.
    #[error("{what} is not proven in main's state: {source}")]
    MainState {
        /// Of what.
        what: &'static str,
        /// Why.
        source: EvidenceError,
    },
    /// The side block is not the anchored one.
    #[error("main has anchored another block at side height {0}; refuse the pack")]
    NotAnchored(Height),
    /// The side block is not in the anchored one's history.
    #[error("the side block is not in the history of the anchored one: {0}")]
    SideHistory(#[source] EvidenceError),
    /// The proof of the certificate's record does not hold.
    #[error("the certificate is not proven in the side chain's state: {0}")]
    Certificate(#[source] EvidenceError),
    /// The side chain is frozen at or below the anchored block.
    #[error(
        "the side chain is frozen since two blocks were sealed at height {0}, and the pack rests on \
         a block from there on; wait until governance names the chain that lives"
    )]
    Frozen(Height),
}
