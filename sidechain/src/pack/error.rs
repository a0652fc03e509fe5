//! Why a pack proves nothing.

use certchain_ledger::{
    evidence::{EvidenceError, SetError},
    versioned::RecordError,
};
use certchain_proto::{ChainId, Epoch, Height};

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
    /// Its block of main is of an epoch whose validators this verifier does not know.
    #[error(
        "the pack's block of main is of epoch {epoch}, and you know main's validators up to epoch \
         {newest}; give a newer trusted header (certchain chain header, then --trusted-header), or \
         the validator sets up to that epoch"
    )]
    UnknownEpoch {
        /// The block's.
        epoch: Epoch,
        /// The last that is known.
        newest: Epoch,
    },
    /// Its block of main does not fit the changes of main's validators that are known.
    #[error("the pack's block of main is not one that its validators decide: {0}")]
    Validators(#[source] SetError),
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

impl From<SetError> for PackError {
    fn from(error: SetError) -> Self {
        match error {
            SetError::UnknownEpoch { epoch, newest, .. } => Self::UnknownEpoch { epoch, newest },
            SetError::Block(error) => Self::Main(error),
            error @ (SetError::OutsideEpoch { .. }
            | SetError::OtherChange { .. }
            | SetError::Successor { .. }
            | SetError::OtherSet { .. }) => Self::Validators(error),
        }
    }
}
