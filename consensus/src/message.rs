//! The messages of the protocol as they travel and as they lie in the journal.

use certchain_proto::{
    BlockHeader, ChainId, CommitCertificate, CommitVote, Epoch, Height, PrepareVote, Signature,
    ValidatorIndex, View,
    certificate::IndexedSignature,
    codec::{self, DecodeError},
    context,
    hash::{HeaderDigest, WitnessId, hash_parts},
};
use serde::{Deserialize, Serialize};

use crate::{
    limits::MAX_MESSAGE_BYTES,
    statement::{
        NewViewVote, PrePrepareVote, PreparedRef, SignedStatement, Statement, ViewChangeVote,
    },
};

/// What a proposal carries beside its header; transactions lacking here are fetched by witness id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// The commit certificate of the block before, whose digest the header names.
    pub parent_certificate: CommitCertificate,
    /// The transactions in order, by id and signatures.
    pub witness_ids: Vec<WitnessId>,
}

impl Contents {
    /// What the primary's signature binds.
    pub fn digest(&self) -> [u8; 32] {
        hash_parts(context::PROPOSAL_CONTENTS, &[&codec::encode(self)])
    }
}

/// A primary's fresh proposal. Its view is the header's view and its signer the header's proposer;
/// a block that an earlier view prepared is proposed again by NEW-VIEW itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrePrepare {
    /// The header proposed.
    pub header: BlockHeader,
    /// What it stands for.
    pub contents: Contents,
    /// The proposer's signature.
    pub signature: Signature,
}

/// A vote for an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepare {
    /// The statement.
    pub vote: PrepareVote,
    /// Who votes.
    pub signer: ValidatorIndex,
    /// The voter's signature.
    pub signature: Signature,
}

/// A vote for an order and a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The statement.
    pub vote: CommitVote,
    /// Who votes.
    pub signer: ValidatorIndex,
    /// The voter's signature.
    pub signature: Signature,
}

/// Proof that a quorum voted PREPARE for one header in one view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparedCertificate {
    /// The one view of all votes.
    pub view: View,
    /// The header voted for, whole, so that it can be proposed again.
    pub header: BlockHeader,
    /// Signers, strictly rising, at least a quorum.
    pub signatures: Vec<IndexedSignature>,
}

impl PreparedCertificate {
    /// Its short name.
    pub fn reference(&self) -> PreparedRef {
        PreparedRef {
            view: self.view,
            header: self.header.digest(),
        }
    }

    /// The statement that each signer signed.
    pub fn vote(&self) -> PrepareVote {
        PrepareVote {
            chain: self.header.chain,
            epoch: self.header.epoch,
            height: self.header.height,
            view: self.view,
            header: self.header.digest(),
        }
    }

    /// Who signed; each of them holds the block's bodies on disk.
    pub fn signers(&self) -> Vec<ValidatorIndex> {
        self.signatures.iter().map(|s| s.validator).collect()
    }
}

/// A request for a later view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewChange {
    /// The statement.
    pub vote: ViewChangeVote,
    /// Who asks.
    pub signer: ValidatorIndex,
    /// The sender's signature.
    pub signature: Signature,
    /// The certificate that the statement claims.
    pub certificate: Option<PreparedCertificate>,
}

/// A VIEW-CHANGE as a NEW-VIEW carries it: as signed, without the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedClaim {
    /// Who asked for the view.
    pub signer: ValidatorIndex,
    /// What it claimed to be prepared on.
    pub prepared: Option<PreparedRef>,
    /// Its signature under the VIEW-CHANGE.
    pub signature: Signature,
}

/// A primary's opening of a later view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewView {
    /// The chain.
    pub chain: ChainId,
    /// The set's generation.
    pub epoch: Epoch,
    /// The height being decided.
    pub height: Height,
    /// The view that opens.
    pub view: View,
    /// At least a quorum of requests for exactly this view, by strictly rising signer.
    pub claims: Vec<SignedClaim>,
    /// The full certificate of the highest claim; none if nobody claimed one.
    pub prepared: Option<PreparedCertificate>,
    /// The primary.
    pub signer: ValidatorIndex,
    /// The primary's signature.
    pub signature: Signature,
}

impl NewView {
    /// The VIEW-CHANGE that a claim stands for.
    pub fn claimed(&self, claim: &SignedClaim) -> ViewChangeVote {
        ViewChangeVote {
            chain: self.chain,
            epoch: self.epoch,
            height: self.height,
            view: self.view,
            prepared: claim.prepared,
        }
    }

    /// The highest view in which a sender claims to have been prepared.
    pub fn highest_claim(&self) -> Option<View> {
        self.claims
            .iter()
            .filter_map(|c| c.prepared)
            .map(|p| p.view)
            .max()
    }

    /// What the primary signs.
    pub fn vote(&self) -> NewViewVote {
        NewViewVote {
            chain: self.chain,
            epoch: self.epoch,
            height: self.height,
            view: self.view,
            claims: hash_parts(context::VIEW_CHANGE, &[&codec::encode(&self.claims)]),
            prepared: self.prepared.as_ref().map(PreparedCertificate::reference),
        }
    }
}

/// Everything that validators say to each other in consensus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// A fresh proposal.
    PrePrepare(PrePrepare),
    /// A vote for an order.
    Prepare(Prepare),
    /// A vote for an order and a result.
    Commit(Commit),
    /// A request for a later view.
    ViewChange(ViewChange),
    /// The opening of a later view.
    NewView(NewView),
}

impl Message {
    /// Who signed it.
    pub fn signer(&self) -> ValidatorIndex {
        match self {
            Self::PrePrepare(m) => m.header.proposer,
            Self::Prepare(m) => m.signer,
            Self::Commit(m) => m.signer,
            Self::ViewChange(m) => m.signer,
            Self::NewView(m) => m.signer,
        }
    }

    /// The epoch in which it is said; its signer, and everybody whom it names, is a place in the set
    /// of that epoch.
    pub fn epoch(&self) -> Epoch {
        match self {
            Self::PrePrepare(m) => m.header.epoch,
            Self::Prepare(m) => m.vote.epoch,
            Self::Commit(m) => m.vote.epoch,
            Self::ViewChange(m) => m.vote.epoch,
            Self::NewView(m) => m.epoch,
        }
    }

    /// The height that it speaks of.
    pub fn height(&self) -> Height {
        match self {
            Self::PrePrepare(m) => m.header.height,
            Self::Prepare(m) => m.vote.height,
            Self::Commit(m) => m.vote.height,
            Self::ViewChange(m) => m.vote.height,
            Self::NewView(m) => m.height,
        }
    }

    /// The view that it speaks of.
    pub fn view(&self) -> View {
        match self {
            Self::PrePrepare(m) => m.header.view,
            Self::Prepare(m) => m.vote.view,
            Self::Commit(m) => m.vote.view,
            Self::ViewChange(m) => m.vote.view,
            Self::NewView(m) => m.view,
        }
    }

    /// The name of its kind, for logs and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::PrePrepare(_) => "pre-prepare",
            Self::Prepare(_) => "prepare",
            Self::Commit(_) => "commit",
            Self::ViewChange(_) => "view-change",
            Self::NewView(_) => "new-view",
        }
    }

    /// The header that it is about, where it names one.
    pub fn header(&self) -> Option<HeaderDigest> {
        match self {
            Self::PrePrepare(m) => Some(m.header.digest()),
            Self::Prepare(m) => Some(m.vote.header),
            Self::Commit(m) => Some(m.vote.header),
            Self::ViewChange(m) => m.vote.prepared.map(|p| p.header),
            Self::NewView(m) => m.prepared.as_ref().map(|p| p.header.digest()),
        }
    }

    /// What its signature stands under.
    pub fn statement(&self) -> Statement {
        match self {
            Self::PrePrepare(m) => Statement::PrePrepare(PrePrepareVote {
                chain: m.header.chain,
                epoch: m.header.epoch,
                height: m.header.height,
                view: m.header.view,
                header: m.header.digest(),
                contents: m.contents.digest(),
            }),
            Self::Prepare(m) => Statement::Prepare(m.vote),
            Self::Commit(m) => Statement::Commit(m.vote),
            Self::ViewChange(m) => Statement::ViewChange(m.vote),
            Self::NewView(m) => Statement::NewView(m.vote()),
        }
    }

    /// Its statement, signer and signature: all that evidence needs.
    pub fn signed_statement(&self) -> SignedStatement {
        let signature = match self {
            Self::PrePrepare(m) => m.signature,
            Self::Prepare(m) => m.signature,
            Self::Commit(m) => m.signature,
            Self::ViewChange(m) => m.signature,
            Self::NewView(m) => m.signature,
        };
        SignedStatement {
            statement: self.statement(),
            signer: self.signer(),
            signature,
        }
    }

    /// The bytes that travel.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads what a peer sent; nothing about it is verified yet.
    ///
    /// # Errors
    /// If there are more than `limit` (at most [`MAX_MESSAGE_BYTES`]) bytes, or they are not the
    /// canonical encoding of a message.
    pub fn decode(bytes: &[u8], limit: usize) -> Result<Self, DecodeError> {
        codec::decode(bytes, limit.min(MAX_MESSAGE_BYTES))
    }
}

/// About how many bytes a certificate's signature list or a claim list takes per entry.
const ENTRY_BYTES: usize = 112;

impl Message {
    /// About how many bytes it keeps busy, from above.
    pub fn size(&self) -> usize {
        let certificate = |c: &Option<PreparedCertificate>| {
            c.as_ref()
                .map_or(0, |c| 1024 + c.signatures.len() * ENTRY_BYTES)
        };
        512 + match self {
            Self::PrePrepare(m) => {
                1024 + m.contents.witness_ids.len() * 32
                    + m.contents.parent_certificate.signatures.len() * ENTRY_BYTES
            }
            Self::Prepare(_) | Self::Commit(_) => 0,
            Self::ViewChange(m) => certificate(&m.certificate),
            Self::NewView(m) => m.claims.len() * ENTRY_BYTES + certificate(&m.prepared),
        }
    }
}
