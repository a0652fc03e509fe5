//! What a node hands out so that nobody has to trust it, and how it is verified: from a value along
//! its proof to a state root, from there to the block's outcome and header, from there to the
//! certificate of a quorum of validators.

mod sets;
mod state_value;
mod wire;

use certchain_proto::{
    BlockHeader, ChainId, CommitCertificate, Height, Outcome, ValidatorSet,
    certificate::{CertificateError, SignatureVerifier},
    codec::DecodeError,
    hash::{BlockId, WitnessId},
};
use serde::{Deserialize, Serialize};

use crate::{
    history::{HistoryError, HistoryProof},
    merkle::{MerkleError, MerkleProof},
    receipt::Receipt,
    state::ProofError,
};

pub use sets::{SetChange, SetError, ValidatorSets};
pub use state_value::{StateEvidence, VerifiedValue, identity_as_of};
pub use wire::WireError;

/// Why evidence is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// The block belongs to another chain.
    #[error("the block is of chain {actual}, not {expected}; ask the right chain")]
    Chain {
        /// The chain asked about.
        expected: ChainId,
        /// The chain named.
        actual: ChainId,
    },
    /// Header, outcome and certificate speak of different blocks.
    #[error("header, outcome and certificate do not belong together; do not trust this node")]
    Parts,
    /// The certificate does not hold.
    #[error("the block is not decided by the validators: {0}")]
    Certificate(#[from] CertificateError),
    /// The proof of a value does not hold.
    #[error("the state proof does not hold: {0}")]
    State(#[from] ProofError),
    /// The value is not the one that is proven.
    #[error("the value is not the one that the proof is for; do not trust this node")]
    Value,
    /// A path in a tree of transactions or receipts does not hold.
    #[error("the proof of inclusion does not hold: {0}")]
    Merkle(#[from] MerkleError),
    /// Transaction and receipt stand in different places.
    #[error("the proofs of transaction and receipt are for different places; refuse them")]
    Place,
    /// A path in the history does not hold.
    #[error("the history proof does not hold: {0}")]
    History(#[from] HistoryError),
    /// The proof is for another height than the header covers.
    #[error("the history proof covers {size} blocks, the header's history has {height}; refuse it")]
    HistorySize {
        /// Blocks that the proof says.
        size: u64,
        /// Blocks that the header covers.
        height: Height,
    },
    /// A proven value is not a record of its kind.
    #[error("a proven value cannot be read: {0}; this release may be too old")]
    Record(#[from] DecodeError),
    /// The leaf answers another question.
    #[error("the evidence is for another key, or for other heights, than asked; refuse it")]
    OtherQuestion,
}

/// A block without its transactions, with all that proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedHeader {
    /// The order.
    pub header: BlockHeader,
    /// The result.
    pub outcome: Outcome,
    /// The votes that decided it; the empty certificate for genesis.
    pub certificate: CommitCertificate,
}

/// A block that a quorum of validators decided.
///
/// Invariant: made by [`SealedHeader::verify`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedHeader {
    /// The block's name.
    pub id: BlockId,
    /// The order.
    pub header: BlockHeader,
    /// The result.
    pub outcome: Outcome,
}

impl SealedHeader {
    /// The block's name, if the parts belong together.
    pub fn id(&self) -> BlockId {
        BlockId::of(&self.header.digest(), &self.outcome.digest())
    }

    /// Its height.
    pub const fn height(&self) -> Height {
        self.header.height
    }

    /// Checks that the validators of `chain` decided this block. A genesis block carries no
    /// signatures, so it is refused here: who trusts a genesis computes its block.
    ///
    /// # Errors
    /// If the parts do not belong together or the certificate does not hold.
    pub fn verify(
        &self,
        chain: ChainId,
        validators: &ValidatorSet,
        verifier: &dyn SignatureVerifier,
    ) -> Result<VerifiedHeader, EvidenceError> {
        self.check_parts(chain)?;
        if self.certificate.height == Height::ZERO {
            return Err(EvidenceError::Parts);
        }
        self.certificate.verify(chain, validators, verifier)?;
        Ok(VerifiedHeader {
            id: self.certificate.block_id(),
            header: self.header.clone(),
            outcome: self.outcome.clone(),
        })
    }

    /// Checks everything but signatures.
    pub(crate) fn check_parts(&self, chain: ChainId) -> Result<(), EvidenceError> {
        let (header, certificate) = (&self.header, &self.certificate);
        if header.chain != chain {
            return Err(EvidenceError::Chain {
                expected: chain,
                actual: header.chain,
            });
        }
        let together = certificate.height == header.height
            && certificate.epoch == header.epoch
            && certificate.view >= header.view
            && certificate.header == header.digest()
            && certificate.outcome == self.outcome.digest();
        if together {
            Ok(())
        } else {
            Err(EvidenceError::Parts)
        }
    }
}

/// Evidence that a block belongs to the history of a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEvidence {
    /// The earlier block.
    pub block: BlockId,
    /// The path; names the earlier block's height.
    pub proof: HistoryProof,
    /// The later block.
    pub later: SealedHeader,
}

impl HistoryEvidence {
    /// Checks it; gives the later block.
    ///
    /// # Errors
    /// If the later block is not decided, or the path does not hold.
    pub fn verify(
        &self,
        chain: ChainId,
        validators: &ValidatorSet,
        verifier: &dyn SignatureVerifier,
    ) -> Result<VerifiedHeader, EvidenceError> {
        let later = self.later.verify(chain, validators, verifier)?;
        later.verify_history(&self.proof, &self.block)?;
        Ok(later)
    }
}

impl VerifiedHeader {
    /// Checks that `block` belongs to this block's history, at the height that the proof names.
    ///
    /// # Errors
    /// If the path is of another size or does not hold.
    pub fn verify_history(
        &self,
        proof: &HistoryProof,
        block: &BlockId,
    ) -> Result<(), EvidenceError> {
        let height = self.header.height;
        if proof.size != height.get() {
            return Err(EvidenceError::HistorySize {
                size: proof.size,
                height,
            });
        }
        Ok(proof.verify(&self.header.history_root, block)?)
    }
}

/// Evidence of what became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionEvidence {
    /// The transaction, by body and signatures.
    pub transaction: WitnessId,
    /// Its path.
    pub transaction_proof: MerkleProof,
    /// What became of it.
    pub receipt: Receipt,
    /// The receipt's path.
    pub receipt_proof: MerkleProof,
    /// The block that vouches for both.
    pub block: SealedHeader,
}

impl InclusionEvidence {
    /// Checks it; gives the block.
    ///
    /// # Errors
    /// If the block is not decided, or a path does not hold.
    pub fn verify(
        &self,
        chain: ChainId,
        validators: &ValidatorSet,
        verifier: &dyn SignatureVerifier,
    ) -> Result<VerifiedHeader, EvidenceError> {
        let block = self.block.verify(chain, validators, verifier)?;
        let (one, other) = (&self.transaction_proof, &self.receipt_proof);
        if one.index != other.index
            || one.count != other.count
            || one.count != block.header.tx_count
        {
            return Err(EvidenceError::Place);
        }
        one.verify_transaction(&block.header.tx_root, &self.transaction)?;
        other.verify_receipt(&block.outcome.receipts_root, &self.receipt.hash())?;
        Ok(block)
    }
}
