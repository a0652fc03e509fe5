//! What the engine does with a message that it does not take, and whose fault that is.

use certchain_proto::{Height, ValidatorIndex, View};

/// What follows from a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Nobody's fault: late, repeated, or out of turn.
    Ignore,
    /// It may be right later; its sender sends it again.
    Retry,
    /// Only a faulty validator says this.
    Sender,
}

/// Why a verified message had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// For a height that is decided.
    #[error("its height is decided")]
    OldHeight,
    /// Of another epoch than the set that decides its height.
    #[error("it is of another epoch than the validator set of its height")]
    OtherEpoch,
    /// For a view that is over.
    #[error("its view is over")]
    OldView,
    /// Known already.
    #[error("it is known")]
    Repeated,
    /// Too far ahead of us; we fetch blocks.
    #[error("its height is ahead of ours")]
    FarAhead,
    /// The sender has used up what we keep for it.
    #[error("too many messages of this validator wait")]
    Full,
    /// The signer is not the primary of that view.
    #[error("its signer is not the primary of its view")]
    NotPrimary,
    /// The header does not follow from our last block.
    #[error("its header does not fit the chain: {0}")]
    Header(&'static str),
    /// The proposal's time is before our clock by more than the bound.
    #[error("its block time is too far behind our clock")]
    Late,
    /// Empty in view 0 before its time.
    #[error("an empty block is not due yet")]
    EarlyHeartbeat,
    /// It contradicts an earlier message of its signer.
    #[error("it contradicts an earlier message of its signer")]
    Equivocation,
    /// The node answered something that was not asked, or not any more.
    #[error("an answer of the node to no open request")]
    NotAsked,
    /// The node told another validator set than the outcome names.
    #[error("not the validator set that the block's outcome names")]
    OtherValidators,
    /// The node's proposal breaks the request's terms.
    #[error("the node's proposal breaks the terms of the request")]
    BadProposal,
}

/// A message or answer that had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} for height {height}, view {view}: {reason}")]
pub struct Rejection {
    /// Kind of message.
    pub kind: &'static str,
    /// Who signed it, a place in the set of its epoch; none for the node's own answers.
    pub signer: Option<ValidatorIndex>,
    /// Its height.
    pub height: Height,
    /// Its view.
    pub view: View,
    /// Why.
    pub reason: Reason,
}

impl Rejection {
    /// What follows.
    pub fn blame(&self) -> Blame {
        match self.reason {
            // Nor do we blame who is of another epoch: its place may be somebody else's here.
            Reason::OldHeight
            | Reason::OtherEpoch
            | Reason::OldView
            | Reason::Repeated
            | Reason::NotAsked
            | Reason::OtherValidators
            | Reason::BadProposal => Blame::Ignore,
            Reason::FarAhead | Reason::Full | Reason::Late => Blame::Retry,
            Reason::NotPrimary
            | Reason::Header(_)
            | Reason::EarlyHeartbeat
            | Reason::Equivocation => Blame::Sender,
        }
    }
}
