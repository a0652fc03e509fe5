//! Between evidence and its protobuf messages.
//!
//! Messages repeat for people and trusting programs what their `encoded_*` fields say; reading one
//! uses the encoded bytes only, since they are what is hashed.

use certchain_proto::{
    Address, Height, SealedBlock,
    codec::{self, DecodeError},
    hash::{BlockId, ValueHash},
    limits::MAX_CERTIFICATE_BYTES,
    wire::v1,
};

use super::{HistoryEvidence, SealedHeader, SetChange, StateEvidence};
use crate::{
    history::HistoryProof,
    identity::{IdentityAt, IdentityVersion},
    merkle::MerkleProof,
    receipt::{LocatedReceipt, Receipt},
    state::{KeyError, ProofError, ProofLeaf, ProofStep, StateKey, StateProof},
    validator_set::MAX_SET_BYTES,
};

/// Largest encoding of a header or outcome.
const MAX_PART_BYTES: usize = 2 * 1024;

/// Why a message is no evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A part that is needed was left out.
    #[error("the answer lacks {0}; ask again with proof, or another node")]
    Missing(&'static str),
    /// A field does not have the length of a hash.
    #[error("field {0} of the answer must have 32 bytes; do not trust this node")]
    Length(&'static str),
    /// A field is out of range.
    #[error("field {0} of the answer is out of range; do not trust this node")]
    Range(&'static str),
    /// Encoded bytes cannot be read.
    #[error("the answer cannot be read: {0}")]
    Codec(#[from] DecodeError),
    /// A state key cannot be one.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A state proof cannot be one.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

fn hash(bytes: &[u8], field: &'static str) -> Result<[u8; 32], WireError> {
    bytes.try_into().map_err(|_| WireError::Length(field))
}

fn hashes(list: &[Vec<u8>], field: &'static str) -> Result<Vec<[u8; 32]>, WireError> {
    list.iter().map(|bytes| hash(bytes, field)).collect()
}

impl From<&SealedHeader> for v1::BlockHeader {
    fn from(block: &SealedHeader) -> Self {
        let (header, outcome) = (&block.header, &block.outcome);
        Self {
            height: header.height.get(),
            block_id: block.id().as_bytes().to_vec(),
            parent_id: header.parent.as_bytes().to_vec(),
            time_ms: header.time_ms.get(),
            epoch: header.epoch.get(),
            view: header.view.get(),
            proposer: header.proposer.get().into(),
            tx_count: header.tx_count,
            tx_root: header.tx_root.as_bytes().to_vec(),
            history_root: header.history_root.as_bytes().to_vec(),
            state_root: outcome.state_root.as_bytes().to_vec(),
            receipts_root: outcome.receipts_root.as_bytes().to_vec(),
            next_validators: outcome.next_validators.as_bytes().to_vec(),
            encoded_header: codec::encode(header),
            encoded_outcome: codec::encode(outcome),
            encoded_certificate: codec::encode(&block.certificate),
        }
    }
}

impl TryFrom<&v1::BlockHeader> for SealedHeader {
    type Error = WireError;

    fn try_from(message: &v1::BlockHeader) -> Result<Self, WireError> {
        Ok(Self {
            header: codec::decode(&message.encoded_header, MAX_PART_BYTES)?,
            outcome: codec::decode(&message.encoded_outcome, MAX_PART_BYTES)?,
            certificate: codec::decode(&message.encoded_certificate, MAX_CERTIFICATE_BYTES)?,
        })
    }
}

impl From<&SealedBlock> for SealedHeader {
    fn from(block: &SealedBlock) -> Self {
        Self {
            header: block.header.clone(),
            outcome: block.outcome.clone(),
            certificate: block.commit_certificate.clone(),
        }
    }
}

impl From<&SetChange> for v1::ValidatorSetChange {
    fn from(change: &SetChange) -> Self {
        Self {
            block: Some((&change.block).into()),
            validators: codec::encode(&change.validators),
        }
    }
}

impl TryFrom<&v1::ValidatorSetChange> for SetChange {
    type Error = WireError;

    fn try_from(message: &v1::ValidatorSetChange) -> Result<Self, WireError> {
        let block = message.block.as_ref().ok_or(WireError::Missing("block"))?;
        Ok(Self {
            block: block.try_into()?,
            validators: codec::decode(&message.validators, MAX_SET_BYTES)?,
        })
    }
}

impl From<&LocatedReceipt> for v1::Receipt {
    fn from(located: &LocatedReceipt) -> Self {
        let receipt = &located.receipt;
        Self {
            transaction_id: receipt.transaction.as_bytes().to_vec(),
            height: located.height.get(),
            index: located.index,
            code: receipt.code() as i32,
            subject: receipt.subject().map_or_else(Vec::new, |a| a.to_vec()),
            block_id: located.block.as_bytes().to_vec(),
            encoded_receipt: receipt.encode().to_vec(),
        }
    }
}

impl TryFrom<&v1::Receipt> for Receipt {
    type Error = WireError;

    fn try_from(message: &v1::Receipt) -> Result<Self, WireError> {
        Ok(Self::decode(&message.encoded_receipt)?)
    }
}

impl From<&MerkleProof> for v1::MerkleProof {
    fn from(proof: &MerkleProof) -> Self {
        Self {
            index: proof.index,
            count: proof.count,
            siblings: proof.siblings.iter().map(|hash| hash.to_vec()).collect(),
        }
    }
}

impl TryFrom<&v1::MerkleProof> for MerkleProof {
    type Error = WireError;

    fn try_from(message: &v1::MerkleProof) -> Result<Self, WireError> {
        let siblings = hashes(&message.siblings, "siblings")?;
        Ok(Self {
            index: message.index,
            count: message.count,
            siblings,
        })
    }
}

impl From<&HistoryProof> for v1::HistoryProof {
    fn from(proof: &HistoryProof) -> Self {
        Self {
            height: proof.height.get(),
            size: proof.size,
            siblings: proof.siblings.iter().map(|hash| hash.to_vec()).collect(),
            peaks: proof.peaks.iter().map(|hash| hash.to_vec()).collect(),
        }
    }
}

impl TryFrom<&v1::HistoryProof> for HistoryProof {
    type Error = WireError;

    fn try_from(message: &v1::HistoryProof) -> Result<Self, WireError> {
        Ok(Self {
            height: Height::new(message.height),
            size: message.size,
            siblings: hashes(&message.siblings, "siblings")?,
            peaks: hashes(&message.peaks, "peaks")?,
        })
    }
}

impl From<&HistoryEvidence> for v1::GetHistoryProofResponse {
    fn from(evidence: &HistoryEvidence) -> Self {
        Self {
            block_id: evidence.block.as_bytes().to_vec(),
            proof: Some((&evidence.proof).into()),
            block: Some((&evidence.later).into()),
        }
    }
}

impl TryFrom<&v1::GetHistoryProofResponse> for HistoryEvidence {
    type Error = WireError;

    fn try_from(message: &v1::GetHistoryProofResponse) -> Result<Self, WireError> {
        let proof = message.proof.as_ref().ok_or(WireError::Missing("proof"))?;
        let later = message.block.as_ref().ok_or(WireError::Missing("block"))?;
        let block = hash(&message.block_id, "block_id")?;
        Ok(Self {
            block: BlockId::from_bytes(block),
            proof: proof.try_into()?,
            later: later.try_into()?,
        })
    }
}

impl From<&StateProof> for v1::StateProof {
    fn from(proof: &StateProof) -> Self {
        let branch = |step: &ProofStep| v1::StateProofBranch {
            bit: step.position.into(),
            sibling: step.sibling.to_vec(),
        };
        let leaf = proof.leaf();
        Self {
            branches: proof.steps().iter().map(branch).collect(),
            leaf_key: leaf.map_or_else(Vec::new, |leaf| leaf.key.as_bytes().to_vec()),
            leaf_value_hash: leaf.map_or_else(Vec::new, |leaf| leaf.value.as_bytes().to_vec()),
        }
    }
}

impl TryFrom<&v1::StateProof> for StateProof {
    type Error = WireError;

    fn try_from(message: &v1::StateProof) -> Result<Self, WireError> {
        let step = |branch: &v1::StateProofBranch| {
            let position = u16::try_from(branch.bit).map_err(|_| WireError::Range("bit"))?;
            Ok(ProofStep {
                position,
                sibling: hash(&branch.sibling, "sibling")?,
            })
        };
        let steps = message
            .branches
            .iter()
            .map(step)
            .collect::<Result<_, WireError>>()?;
        let leaf = match (
            message.leaf_key.is_empty(),
            message.leaf_value_hash.is_empty(),
        ) {
            (true, true) => None,
            _ => Some(ProofLeaf {
                key: StateKey::new(&message.leaf_key)?,
                value: ValueHash::from_bytes(hash(&message.leaf_value_hash, "leaf_value_hash")?),
            }),
        };
        Ok(Self::from_parts(steps, leaf)?)
    }
}

impl From<&StateEvidence> for v1::StateEvidence {
    fn from(evidence: &StateEvidence) -> Self {
        Self {
            key: evidence.key.as_bytes().to_vec(),
            value: evidence.value.clone().unwrap_or_default(),
            proof: Some((&evidence.proof).into()),
            block: Some((&evidence.block).into()),
        }
    }
}

impl From<&StateEvidence> for v1::GetStateProofResponse {
    fn from(evidence: &StateEvidence) -> Self {
        Self {
            value: evidence.value.clone().unwrap_or_default(),
            present: evidence.value.is_some(),
            proof: Some((&evidence.proof).into()),
            block: Some((&evidence.block).into()),
        }
    }
}

/// No value of the state is empty, so an empty one stands for absence.
impl TryFrom<&v1::StateEvidence> for StateEvidence {
    type Error = WireError;

    fn try_from(message: &v1::StateEvidence) -> Result<Self, WireError> {
        let proof = message.proof.as_ref().ok_or(WireError::Missing("proof"))?;
        let block = message.block.as_ref().ok_or(WireError::Missing("block"))?;
        Ok(Self {
            key: StateKey::new(&message.key)?,
            value: (!message.value.is_empty()).then(|| message.value.clone()),
            proof: proof.try_into()?,
            block: block.try_into()?,
        })
    }
}

impl From<&IdentityAt> for v1::Identity {
    fn from(at: &IdentityAt) -> Self {
        let IdentityAt {
            address,
            record,
            version,
            until_height,
            ..
        } = at;
        let IdentityVersion {
            sequence,
            from_height,
            public_key,
            encryption_key,
            status,
            devices,
            ..
        } = version;
        Self {
            address: address.as_bytes().to_vec(),
            address_text: address.to_string(),
            kind: record.kind.to_wire() as i32,
            status: status.to_wire() as i32,
            public_key: public_key.to_vec(),
            encryption_key: encryption_key.to_vec(),
            attribute_root: record.attribute_root.as_bytes().to_vec(),
            agency: genesis_is_empty(&record.agency),
            registrar: genesis_is_empty(&record.registrar),
            organisation_code: record.organisation_code.clone(),
            registered_height: record.registered_height.get(),
            sequence: *sequence,
            from_height: from_height.get(),
            until_height: until_height.map_or(0, Height::get),
            reason: version.reason.into(),
            devices: devices.iter().map(|key| key.to_vec()).collect(),
        }
    }
}

/// Accounts of genesis have neither agency nor registrar.
fn genesis_is_empty(address: &Address) -> Vec<u8> {
    match address.as_bytes() {
        [0, rest @ ..] if rest.iter().all(|byte| *byte == 0) => Vec::new(),
        bytes => bytes.to_vec(),
    }
}
