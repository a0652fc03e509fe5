//! Messages as a faulty validator makes them: signed with its own key, whatever they say.

use std::sync::Arc;

use certchain_consensus::{
    Message,
    message::{Commit, NewView, PrePrepare, Prepare, PreparedCertificate, SignedClaim, ViewChange},
    statement::{Phase, Slot, Statement, ViewChangeVote},
};
use certchain_proto::{
    BlockHeader, CommitVote, PrepareVote, View,
    certificate::IndexedSignature,
    codec,
    context::HashContext,
    hash::{HeaderDigest, OutcomeDigest, hash_parts},
    hash_context,
};

use super::Tools;

const PHANTOM: HashContext = hash_context!("certchain simulator phantom header");

/// A header that nobody has seen, the same one for all faulty validators in a view.
pub fn phantom(mut slot: Slot) -> HeaderDigest {
    slot.phase = Phase::Prepare;
    HeaderDigest::from_bytes(hash_parts(PHANTOM, &[&codec::encode(&slot)]))
}

/// The vote for a header in a view.
pub fn vote_for(header: &BlockHeader, view: View) -> PrepareVote {
    PrepareVote {
        chain: header.chain,
        epoch: header.epoch,
        height: header.height,
        view,
        header: header.digest(),
    }
}

/// A COMMIT's statement from a PREPARE's.
pub fn with_outcome(vote: PrepareVote, outcome: OutcomeDigest) -> CommitVote {
    CommitVote {
        chain: vote.chain,
        epoch: vote.epoch,
        height: vote.height,
        view: vote.view,
        header: vote.header,
        outcome,
    }
}

/// A VIEW-CHANGE as a NEW-VIEW carries it.
pub fn claim(m: &ViewChange) -> SignedClaim {
    SignedClaim {
        signer: m.signer,
        prepared: m.vote.prepared,
        signature: m.signature,
    }
}

impl Tools<'_> {
    /// A PREPARE of its own.
    pub fn prepare(&self, vote: PrepareVote) -> Arc<Message> {
        let signature = self.sign(&Statement::Prepare(vote));
        let signer = self.index();
        Arc::new(Message::Prepare(Prepare {
            vote,
            signer,
            signature,
        }))
    }

    /// A COMMIT of its own.
    pub fn commit(&self, vote: CommitVote) -> Arc<Message> {
        let signature = self.sign(&Statement::Commit(vote));
        let signer = self.index();
        Arc::new(Message::Commit(Commit {
            vote,
            signer,
            signature,
        }))
    }

    /// A PRE-PREPARE under its own signature, whoever the header says proposed it.
    pub fn propose(&self, mut m: PrePrepare) -> Arc<Message> {
        m.signature = self.sign(&Message::PrePrepare(m.clone()).statement());
        Arc::new(Message::PrePrepare(m))
    }

    /// A VIEW-CHANGE of its own with this claim.
    pub fn request(&self, mut vote: ViewChangeVote, on: Option<PreparedCertificate>) -> ViewChange {
        vote.prepared = on.as_ref().map(PreparedCertificate::reference);
        ViewChange {
            vote,
            signer: self.index(),
            signature: self.sign(&Statement::ViewChange(vote)),
            certificate: on,
        }
    }

    /// The same as a message.
    pub fn ask(&self, vote: ViewChangeVote, on: Option<PreparedCertificate>) -> Arc<Message> {
        Arc::new(Message::ViewChange(self.request(vote, on)))
    }

    /// A NEW-VIEW of its own.
    pub fn open(&self, mut m: NewView) -> Arc<Message> {
        m.signer = self.index();
        m.signature = self.sign(&Statement::NewView(m.vote()));
        Arc::new(Message::NewView(m))
    }

    /// Its own signature under a PREPARE, as certificates hold it.
    pub fn mark(&self, vote: PrepareVote) -> IndexedSignature {
        IndexedSignature {
            validator: self.index(),
            signature: self.sign(&Statement::Prepare(vote)),
        }
    }
}
