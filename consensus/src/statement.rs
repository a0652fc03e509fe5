//! What each kind of message says and signs: one statement per phase, each with its own context.

use certchain_proto::{
    ChainId, CommitVote, Epoch, Height, PrepareVote, Signature, ValidatorIndex, View, codec,
    context,
    hash::{HeaderDigest, SigningHash, hash_parts},
};
use serde::{Deserialize, Serialize};

use crate::planted::{self, Bug};

/// The phases in which a validator speaks at most once per height and view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// A primary's fresh proposal.
    PrePrepare,
    /// A vote for an order.
    Prepare,
    /// A vote for an order and a result.
    Commit,
    /// A request for a later view.
    ViewChange,
    /// A primary's opening of a later view.
    NewView,
}

/// "I, the primary, propose this block": binds header and contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrePrepareVote {
    /// The chain.
    pub chain: ChainId,
    /// The set's generation.
    pub epoch: Epoch,
    /// The height to decide.
    pub height: Height,
    /// The view of the proposal, which is also the header's.
    pub view: View,
    /// The header proposed.
    pub header: HeaderDigest,
    /// Hash of the parent's certificate and the witness ids as sent, so that nobody can swap them
    /// under the primary's signature.
    pub contents: [u8; 32],
}

/// Names a prepared certificate: the view of its votes and the header that they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PreparedRef {
    /// The one view of its votes.
    pub view: View,
    /// The header that they name.
    pub header: HeaderDigest,
}

/// "I sign nothing below this view any more, and this is the highest that I was prepared on".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewChangeVote {
    /// The chain.
    pub chain: ChainId,
    /// The set's generation.
    pub epoch: Epoch,
    /// The height being decided.
    pub height: Height,
    /// The view asked for, above 0.
    pub view: View,
    /// The highest prepared certificate of the sender, if it has one for this height.
    pub prepared: Option<PreparedRef>,
}

/// "I, the primary, open this view on these requests".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewViewVote {
    /// The chain.
    pub chain: ChainId,
    /// The set's generation.
    pub epoch: Epoch,
    /// The height being decided.
    pub height: Height,
    /// The view that opens, above 0.
    pub view: View,
    /// Hash of the requests as carried.
    pub claims: [u8; 32],
    /// The block that the view must decide on, or none: a fresh one.
    pub prepared: Option<PreparedRef>,
}

/// Any of the five.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Statement {
    /// A fresh proposal.
    PrePrepare(PrePrepareVote),
    /// A vote for an order.
    Prepare(PrepareVote),
    /// A vote for an order and a result.
    Commit(CommitVote),
    /// A request for a later view.
    ViewChange(ViewChangeVote),
    /// The opening of a later view.
    NewView(NewViewVote),
}

/// Where a statement stands: whoever makes two different ones in one slot is faulty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Slot {
    /// The chain.
    pub chain: ChainId,
    /// The set's generation.
    pub epoch: Epoch,
    /// The height.
    pub height: Height,
    /// The view.
    pub view: View,
    /// The phase.
    pub phase: Phase,
}

impl Statement {
    /// Where it stands.
    pub fn slot(&self) -> Slot {
        let (chain, epoch, height, view, phase) = match self {
            Self::PrePrepare(v) => (v.chain, v.epoch, v.height, v.view, Phase::PrePrepare),
            Self::Prepare(v) => (v.chain, v.epoch, v.height, v.view, Phase::Prepare),
            Self::Commit(v) => (v.chain, v.epoch, v.height, v.view, Phase::Commit),
            Self::ViewChange(v) => (v.chain, v.epoch, v.height, v.view, Phase::ViewChange),
            Self::NewView(v) => (v.chain, v.epoch, v.height, v.view, Phase::NewView),
        };
        Slot {
            chain,
            epoch,
            height,
            view,
            phase,
        }
    }

    /// What a signature covers: all of it, but for the bugs that are put in.
    fn as_signed(&self) -> Self {
        let mut signed = *self;
        if let Self::ViewChange(vote) = &mut signed {
            if planted::is(Bug::SignsWithoutHeight) {
                vote.height = Height::ZERO;
            }
            if planted::is(Bug::SignsWithoutView) {
                vote.view = View::ZERO;
            }
        }
        signed
    }

    /// What its signature signs; every phase has a context of its own.
    pub fn signing_hash(&self) -> SigningHash {
        match &self.as_signed() {
            Self::PrePrepare(v) => hash(context::SIGN_PRE_PREPARE, &codec::encode(v)),
            Self::Prepare(v) => v.signing_hash(),
            Self::Commit(v) => v.signing_hash(),
            Self::ViewChange(v) => hash(context::SIGN_VIEW_CHANGE, &codec::encode(v)),
            Self::NewView(v) => hash(context::SIGN_NEW_VIEW, &codec::encode(v)),
        }
    }
}

fn hash(context: context::HashContext, bytes: &[u8]) -> SigningHash {
    SigningHash::from_bytes(hash_parts(context, &[bytes]))
}

/// A statement with who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedStatement {
    /// What is said.
    pub statement: Statement,
    /// Who says so.
    pub signer: ValidatorIndex,
    /// The signature under [`Statement::signing_hash`].
    pub signature: Signature,
}
