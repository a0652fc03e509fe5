//! What PREPARE and COMMIT votes sign, and the commit certificate that a quorum of COMMITs makes.

use serde::{Deserialize, Serialize};

use crate::{
    codec, context,
    hash::{BlockId, CertificateDigest, HeaderDigest, OutcomeDigest, SigningHash, hash_parts},
    ids::{ChainId, Epoch, Height, ValidatorIndex, View},
    key::PublicKey,
    limits::MAX_VALIDATORS,
    signature::{Signature, SignatureBatch},
    validators::ValidatorSet,
};

/// The statement "this header has its place at this height", signed in the second phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrepareVote {
    /// The chain.
    pub chain: ChainId,
    /// The set's generation.
    pub epoch: Epoch,
    /// The height being decided.
    pub height: Height,
    /// The view in which the vote is cast.
    pub view: View,
    /// The order voted for.
    pub header: HeaderDigest,
}

impl PrepareVote {
    /// What the vote's signature signs.
    pub fn signing_hash(&self) -> SigningHash {
        SigningHash::from_bytes(hash_parts(context::SIGN_PREPARE, &[&codec::encode(self)]))
    }
}

/// The statement "this header is decided with this outcome", signed in the third phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitVote {
    /// The chain.
    pub chain: ChainId,
    /// The set's generation.
    pub epoch: Epoch,
    /// The height being decided.
    pub height: Height,
    /// The view in which the vote is cast.
    pub view: View,
    /// The order voted for.
    pub header: HeaderDigest,
    /// The result voted for.
    pub outcome: OutcomeDigest,
}

impl CommitVote {
    /// What the vote's signature signs.
    pub fn signing_hash(&self) -> SigningHash {
        SigningHash::from_bytes(hash_parts(context::SIGN_COMMIT, &[&codec::encode(self)]))
    }
}

/// One member's signature in a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedSignature {
    /// Who signed.
    pub validator: ValidatorIndex,
    /// The signature under the certificate's statement.
    pub signature: Signature,
}

/// Why a certificate proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It speaks of another epoch than the set that should have signed.
    #[error("certificate of epoch {actual}, the validator set has epoch {expected}")]
    Epoch {
        /// The set's epoch.
        expected: Epoch,
        /// The certificate's epoch.
        actual: Epoch,
    },
    /// It speaks of another height, header or outcome than asked about.
    #[error("the certificate is for another block")]
    OtherBlock,
    /// Fewer signers than a quorum.
    #[error("{actual} signers, a quorum is {needed}")]
    Quorum {
        /// Signers needed.
        needed: usize,
        /// Signers present.
        actual: usize,
    },
    /// Signers out of order, twice, or not in the set.
    #[error("signers are not strictly rising members of the validator set")]
    Signers,
    /// A signature does not hold.
    #[error("a signature of the certificate does not hold")]
    Signature,
    /// Genesis has an empty certificate, and this is not it.
    #[error("the certificate of the genesis block must be the empty one")]
    NotGenesis,
}

/// Checks signatures; the seam behind which a simulator may use a cheaper scheme.
pub trait SignatureVerifier {
    /// Whether all of these hold. Never says yes to a set that contains a wrong one.
    fn verify_all(&self, items: &[(PublicKey, SigningHash, Signature)]) -> bool;
}

/// The real scheme: Ed25519 by the ZIP-215 equation, in one batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ed25519Verifier;

impl SignatureVerifier for Ed25519Verifier {
    fn verify_all(&self, items: &[(PublicKey, SigningHash, Signature)]) -> bool {
        if let [(key, message, signature)] = items {
            return key.verify(message, signature).is_ok();
        }
        let mut batch = SignatureBatch::with_capacity(items.len());
        for (key, message, signature) in items {
            batch.push(key, message, signature);
        }
        batch.verify().is_ok()
    }
}

/// Proof that a quorum decided a block: COMMIT votes of one view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitCertificate {
    /// Generation of the set that signed.
    pub epoch: Epoch,
    /// Height decided.
    pub height: Height,
    /// The one view of all votes.
    pub view: View,
    /// The order decided.
    pub header: HeaderDigest,
    /// The result decided.
    pub outcome: OutcomeDigest,
    /// Signers, strictly rising, at least a quorum.
    pub signatures: Vec<IndexedSignature>,
}

impl CommitCertificate {
    /// The certificate of a genesis block, which nobody signs: every node computes that block.
    pub fn genesis(header: HeaderDigest, outcome: OutcomeDigest) -> Self {
        Self {
            epoch: Epoch::ZERO,
            height: Height::ZERO,
            view: View::ZERO,
            header,
            outcome,
            signatures: Vec::new(),
        }
    }

    /// The name of the block that it decides.
    pub fn block_id(&self) -> BlockId {
        BlockId::of(&self.header, &self.outcome)
    }

    /// What the next header names.
    pub fn digest(&self) -> CertificateDigest {
        CertificateDigest::from_bytes(hash_parts(
            context::COMMIT_CERTIFICATE,
            &[&codec::encode(self)],
        ))
    }

    /// The statement that each signer signed.
    pub fn vote(&self, chain: ChainId) -> CommitVote {
        CommitVote {
            chain,
            epoch: self.epoch,
            height: self.height,
            view: self.view,
            header: self.header,
            outcome: self.outcome,
        }
    }

    /// Checks that a quorum of `validators` signed this for `chain`.
    ///
    /// # Errors
    /// If the epoch differs, signers are too few, unknown or repeated, or a signature fails. The
    /// genesis certificate is accepted only in its empty form.
    pub fn verify(
        &self,
        chain: ChainId,
        validators: &ValidatorSet,
        verifier: &dyn SignatureVerifier,
    ) -> Result<(), CertificateError> {
        if self.height == Height::ZERO {
            let empty = Self::genesis(self.header, self.outcome);
            return if *self == empty {
                Ok(())
            } else {
                Err(CertificateError::NotGenesis)
            };
        }
        if self.epoch != validators.epoch() {
            return Err(CertificateError::Epoch {
                expected: validators.epoch(),
                actual: self.epoch,
            });
        }
        let message = self.vote(chain).signing_hash();
        verify_quorum(&message, &self.signatures, validators, verifier)
    }
}

/// Checks that `signatures` are those of a quorum of distinct members under one message.
///
/// # Errors
/// As [`CommitCertificate::verify`].
pub fn verify_quorum(
    message: &SigningHash,
    signatures: &[IndexedSignature],
    validators: &ValidatorSet,
    verifier: &dyn SignatureVerifier,
) -> Result<(), CertificateError> {
    let needed = validators.quorum();
    if signatures.len() < needed {
        return Err(CertificateError::Quorum {
            needed,
            actual: signatures.len(),
        });
    }
    if signatures.len() > MAX_VALIDATORS {
        return Err(CertificateError::Signers);
    }
    let mut items = Vec::with_capacity(signatures.len());
    let mut previous: Option<ValidatorIndex> = None;
    for item in signatures {
        let member = validators
            .get(item.validator)
            .ok_or(CertificateError::Signers)?;
        if previous.is_some_and(|p| p >= item.validator) {
            return Err(CertificateError::Signers);
        }
        previous = Some(item.validator);
        items.push((member.vote_key.clone(), *message, item.signature));
    }
    if verifier.verify_all(&items) {
        Ok(())
    } else {
        Err(CertificateError::Signature)
    }
}

#[cfg(test)]
mod tests;
