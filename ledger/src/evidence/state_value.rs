//! Evidence of values of the state, and of identities as of a height.

use certchain_proto::{
    Address, ChainId, Height, ValidatorSet, certificate::SignatureVerifier, hash::ValueHash,
};

use super::{EvidenceError, SealedHeader, VerifiedHeader};
use crate::{
    identity::{IdentityAt, IdentityRecord, PastVersion, keys},
    state::{StateKey, StateProof},
};

/// Evidence of what the state has under a key, or that it has nothing there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateEvidence {
    /// The key.
    pub key: StateKey,
    /// The value as hashed; none if absence is shown.
    pub value: Option<Vec<u8>>,
    /// The path to the state root.
    pub proof: StateProof,
    /// The block that vouches for the root.
    pub block: SealedHeader,
}

/// A value, or its absence, in the state after a decided block.
///
/// Invariant: made by [`StateEvidence::verify`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedValue {
    /// The key.
    pub key: StateKey,
    /// The value; none if the key is absent.
    pub value: Option<Vec<u8>>,
    /// The block after which it holds.
    pub block: VerifiedHeader,
}

impl StateEvidence {
    /// Checks it against a chain and the set that decided its block.
    ///
    /// # Errors
    /// If the block is not decided, or the proof does not lead to its state root.
    pub fn verify(
        &self,
        chain: ChainId,
        validators: &ValidatorSet,
        verifier: &dyn SignatureVerifier,
    ) -> Result<VerifiedValue, EvidenceError> {
        let block = self.block.verify(chain, validators, verifier)?;
        self.verify_under(block)
    }

    /// Checks the proof under a block that is known to be decided.
    ///
    /// # Errors
    /// If the proof does not lead to its state root.
    pub fn verify_under(&self, block: VerifiedHeader) -> Result<VerifiedValue, EvidenceError> {
        let proven = self.proof.verify(&block.outcome.state_root, &self.key)?;
        if proven != self.value.as_deref().map(ValueHash::of) {
            return Err(EvidenceError::Value);
        }
        Ok(VerifiedValue {
            key: self.key,
            value: self.value.clone(),
            block,
        })
    }
}

/// Reads an identity as of `height` from verified leaves: `leaf` is the present record, or a past
/// version together with the present record in `present`, both of one block. None if the account
/// was not registered then; absence of the present record shows that too.
///
/// # Errors
/// If the leaves are not those of this address, or say nothing about this height.
pub fn identity_as_of(
    address: &Address,
    height: Height,
    leaf: &VerifiedValue,
    present: Option<&VerifiedValue>,
) -> Result<Option<IdentityAt>, EvidenceError> {
    let record_leaf = present.unwrap_or(leaf);
    // A leaf tells nothing about what comes after its block.
    if record_leaf.key != keys::identity(address)
        || record_leaf.block.header.height < height
        || record_leaf.block.id != leaf.block.id
    {
        return Err(EvidenceError::OtherQuestion);
    }
    let Some(bytes) = &record_leaf.value else {
        return Ok(None);
    };
    let record = IdentityRecord::decode(bytes)?;
    if height < record.registered_height {
        return Ok(None);
    }
    let (version, until_height) = match present {
        None => (record.present.clone(), None),
        Some(_) => {
            let bytes = leaf.value.as_ref().ok_or(EvidenceError::OtherQuestion)?;
            let past = PastVersion::decode(bytes)?;
            if leaf.key != keys::past(address, past.version.sequence) {
                return Err(EvidenceError::OtherQuestion);
            }
            (past.version, Some(past.until_height))
        }
    };
    if !version.holds_at(height, until_height) {
        return Err(EvidenceError::OtherQuestion);
    }
    Ok(Some(IdentityAt {
        address: *address,
        record,
        version,
        until_height,
        key: leaf.key,
    }))
}
