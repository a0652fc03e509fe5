//! The light client: checks what a node says against a genesis, believing no node.
//!
//! From the genesis follow the chain's id and its validators. A block counts if a quorum of them
//! signed its commit certificate; a value, an identity, a transaction or an older block counts if a
//! path of hashes leads from it to such a block. The client asks nobody, and keeps nothing but the
//! validators.
//!
//! These may change: a block that hands over to others is signed by those before. A client that is
//! given these blocks ([`LightClient::learn`]) follows from set to set, and then believes each set for
//! its own heights only: whoever has left proves nothing that came later. One that was never told
//! of a hand-over cannot know of it, so have it told before it judges
//! ([`crate::connection::Connection::follow_validators`]).
//!
//! What it cannot know is whether a newer block exists: who needs the present compares the block's
//! time, which every answer carries, with what it can accept.

mod certificate;
mod error;
mod governance;
mod sets;
#[cfg(test)]
mod tests;

use certchain_config::{Genesis, node::MAIN};
use certchain_ledger::{
    evidence::{
        EvidenceError, HistoryEvidence, InclusionEvidence, SealedHeader, StateEvidence,
        ValidatorSets, VerifiedHeader, VerifiedValue, identity_as_of,
    },
    identity::{IdentityAt, IdentityVersion, PastVersion, keys},
    merkle::{self, MerkleProof},
    receipt::{LocatedReceipt, Receipt},
    state::StateKey,
};
use certchain_proto::{
    Address, ChainId, CommitCertificate, Height, ValidatorSet,
    certificate::Ed25519Verifier,
    hash::{BlockId, ReceiptHash, TransactionId, WitnessId},
    transaction::Transaction,
    wire::v1,
};
use certchain_sidechain::network::NetworkGenesis;

pub use certificate::{ProvenCertificate, ProvenCheck};
pub use error::LightError;
pub use governance::ProvenProposal;

/// Checks answers about one chain. See the module's document.
#[derive(Clone, Debug)]
pub struct LightClient {
    chain: ChainId,
    sets: ValidatorSets,
    genesis: VerifiedHeader,
}

/// An identity as of a height, proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenIdentity {
    /// The identity; none if it was not registered then.
    pub identity: Option<IdentityAt>,
    /// As of which height.
    pub as_of: Height,
    /// The block that vouches for it, at or above that height.
    pub block: VerifiedHeader,
}

/// An account's keys and status as of a height, proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenKeys {
    /// Keys and status.
    pub version: IdentityVersion,
    /// Height from which they no longer held; none while they do.
    pub until_height: Option<Height>,
    /// As of which height.
    pub as_of: Height,
    /// The block that vouches for it.
    pub block: VerifiedHeader,
}

/// A decided transaction, proven.
#[derive(Clone, Debug)]
pub struct ProvenTransaction {
    /// The transaction; the block's validity vouches for its signatures.
    pub transaction: Transaction,
    /// What became of it.
    pub receipt: LocatedReceipt,
    /// Its block.
    pub block: VerifiedHeader,
}

/// A whole block, proven.
#[derive(Clone, Debug)]
pub struct ProvenBlock {
    /// Header and outcome.
    pub header: VerifiedHeader,
    /// All its transactions, in order.
    pub transactions: Vec<Transaction>,
    /// What became of each.
    pub receipts: Vec<Receipt>,
}

impl LightClient {
    /// Trusts a genesis and follows main.
    ///
    /// # Errors
    /// If its first block cannot be computed, which a valid genesis never causes.
    pub fn new(genesis: &Genesis) -> Result<Self, LightError> {
        Self::of_chain(genesis, MAIN)
    }

    /// Trusts a genesis and follows one of its chains.
    ///
    /// # Errors
    /// If the genesis creates no chain of this name.
    pub fn of_chain(genesis: &Genesis, name: &str) -> Result<Self, LightError> {
        let blocks = NetworkGenesis::new(genesis).map_err(|_| LightError::Genesis)?;
        let block = blocks.named(name).ok_or_else(|| LightError::NoSuchChain {
            name: name.to_owned(),
        })?;
        let genesis = VerifiedHeader {
            id: block.id(),
            header: block.block.header.clone(),
            outcome: block.block.outcome.clone(),
        };
        Ok(Self {
            chain: genesis.header.chain,
            sets: ValidatorSets::new(block.validators.clone()),
            genesis,
        })
    }

    /// The chain.
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// Who decides its newest blocks, as far as this client was told.
    pub const fn validators(&self) -> &ValidatorSet {
        self.sets.newest()
    }

    /// All its validators that are known, each set with its heights.
    pub const fn validator_sets(&self) -> &ValidatorSets {
        &self.sets
    }

    /// Checks that a block was decided: by a quorum of the validators of its epoch and height, or by
    /// being the genesis block.
    ///
    /// # Errors
    /// If it was not, its parts do not fit together, or its epoch is not known yet.
    pub fn header(&self, block: &v1::BlockHeader) -> Result<VerifiedHeader, LightError> {
        let sealed = plain_header(block)?;
        if sealed.height() == Height::ZERO {
            let genesis = CommitCertificate::genesis(
                self.genesis.header.digest(),
                self.genesis.outcome.digest(),
            );
            return if sealed.id() == self.genesis.id && sealed.certificate == genesis {
                Ok(self.genesis.clone())
            } else {
                Err(LightError::OtherGenesis)
            };
        }
        Ok(self.sets.verify(self.chain, &sealed, &Ed25519Verifier)?)
    }

    fn evidence(&self, message: &v1::StateEvidence) -> Result<VerifiedValue, LightError> {
        let evidence = StateEvidence::try_from(message)?;
        let block = self.header(message.block.as_ref().ok_or(LightError::NoProof)?)?;
        Ok(evidence.verify_under(block)?)
    }

    /// Checks a value of the state, or its absence.
    ///
    /// # Errors
    /// If the proof does not hold, or is for another key or height than asked.
    pub fn state_value(
        &self,
        key: &StateKey,
        at_height: Option<Height>,
        answer: &v1::GetStateProofResponse,
    ) -> Result<VerifiedValue, LightError> {
        let value = self.evidence(&v1::StateEvidence {
            key: key.as_bytes().to_vec(),
            value: answer.value.clone(),
            proof: answer.proof.clone(),
            block: answer.block.clone(),
        })?;
        if at_height.is_some_and(|height| height != value.block.header.height) {
            return Err(LightError::OtherQuestion);
        }
        if answer.present != value.value.is_some() {
            return Err(LightError::Contradiction { what: "presence" });
        }
        Ok(value)
    }

    /// Checks an identity. Asked without a height, the answer holds as of its own block.
    ///
    /// # Errors
    /// If evidence is missing, does not hold, answers another question, or proves something else
    /// than the plain answer says.
    pub fn identity(
        &self,
        address: &Address,
        at_height: Option<Height>,
        answer: &v1::GetIdentityResponse,
    ) -> Result<ProvenIdentity, LightError> {
        let evidence = answer.evidence.as_ref().ok_or(LightError::NoProof)?;
        let proven = self.identity_leaves(address, at_height, evidence, answer.present.as_ref())?;
        let plain = proven.identity.as_ref().map(v1::Identity::from);
        if plain != answer.identity {
            return Err(LightError::Contradiction {
                what: "the identity",
            });
        }
        Ok(proven)
    }

    /// Checks that no identity had this address at a height (left out: at the answer's block), from
    /// a proof of the state at its record's key: there is no record, or it is younger.
    ///
    /// # Errors
    /// If the proof does not hold, or shows the identity.
    pub fn identity_absent(
        &self,
        address: &Address,
        at_height: Option<Height>,
        answer: &v1::GetStateProofResponse,
    ) -> Result<VerifiedHeader, LightError> {
        let leaf = self.state_value(&keys::identity(address), None, answer)?;
        let as_of = at_height.unwrap_or(leaf.block.header.height);
        match identity_as_of(address, as_of, &leaf, None)? {
            None => Ok(leaf.block),
            Some(_) => Err(LightError::Contradiction { what: "absence" }),
        }
    }

    /// Checks an account's keys. Asked without a height, the answer holds as of its own block.
    ///
    /// # Errors
    /// As [`Self::identity`].
    pub fn public_key(
        &self,
        address: &Address,
        at_height: Option<Height>,
        answer: &v1::GetPublicKeyResponse,
    ) -> Result<ProvenKeys, LightError> {
        let leaf = self.evidence(answer.evidence.as_ref().ok_or(LightError::NoProof)?)?;
        let as_of = at_height.unwrap_or(leaf.block.header.height);
        let (version, until_height) = if leaf.key == keys::identity(address) {
            let identity = identity_as_of(address, as_of, &leaf, None)?;
            let identity = identity.ok_or(LightError::Contradiction { what: "the keys" })?;
            (identity.version, None)
        } else {
            let bytes = leaf.value.as_deref().ok_or(LightError::OtherQuestion)?;
            let past = PastVersion::decode(bytes).map_err(EvidenceError::from)?;
            // Its heights are in the past of the block that holds it, so they are final.
            if leaf.key != keys::past(address, past.version.sequence)
                || !past.version.holds_at(as_of, Some(past.until_height))
            {
                return Err(LightError::OtherQuestion);
            }
            (past.version, Some(past.until_height))
        };
        let same = answer.public_key == version.public_key
            && answer.devices == version.devices
            && answer.encryption_key == version.encryption_key
            && answer.status == version.status.to_wire() as i32;
        if !same {
            return Err(LightError::Contradiction { what: "the keys" });
        }
        Ok(ProvenKeys {
            version,
            until_height,
            as_of,
            block: leaf.block,
        })
    }

    fn identity_leaves(
        &self,
        address: &Address,
        at_height: Option<Height>,
        evidence: &v1::StateEvidence,
        present: Option<&v1::StateEvidence>,
    ) -> Result<ProvenIdentity, LightError> {
        let leaf = self.evidence(evidence)?;
        let present = present.map(|present| self.evidence(present)).transpose()?;
        let as_of = at_height.unwrap_or(leaf.block.header.height);
        let identity = identity_as_of(address, as_of, &leaf, present.as_ref())?;
        Ok(ProvenIdentity {
            identity,
            as_of,
            block: leaf.block,
        })
    }

    /// Checks that a transaction was decided, and how.
    ///
    /// # Errors
    /// If a proof is missing, does not hold, or is of another transaction.
    pub fn transaction(
        &self,
        id: &TransactionId,
        answer: &v1::GetTransactionResponse,
    ) -> Result<ProvenTransaction, LightError> {
        let envelope = answer.transaction.clone().ok_or(LightError::NoProof)?;
        let transaction = Transaction::from_envelope(envelope)?;
        let message = answer.receipt.as_ref().ok_or(LightError::NoProof)?;
        let receipt = Receipt::try_from(message)?;
        if transaction.id() != *id || receipt.transaction != *id {
            return Err(LightError::OtherQuestion);
        }
        let proof = |proof: &Option<v1::MerkleProof>| {
            let proof = proof.as_ref().ok_or(LightError::NoProof)?;
            Ok::<_, LightError>(MerkleProof::try_from(proof)?)
        };
        let evidence = InclusionEvidence {
            transaction: transaction.witness_id(),
            transaction_proof: proof(&answer.transaction_proof)?,
            receipt,
            receipt_proof: proof(&answer.receipt_proof)?,
            block: plain_header(answer.block.as_ref().ok_or(LightError::NoProof)?)?,
        };
        let validators = self.sets.deciding(&evidence.block)?;
        let block = evidence.verify(self.chain, validators, &Ed25519Verifier)?;
        let located = LocatedReceipt {
            height: block.header.height,
            index: evidence.transaction_proof.index,
            block: block.id,
            receipt,
        };
        if v1::Receipt::from(&located) != *message {
            return Err(LightError::Contradiction {
                what: "the receipt's fields",
            });
        }
        Ok(ProvenTransaction {
            transaction,
            receipt: located,
            block,
        })
    }

    /// Checks a block with all its transactions and receipts.
    ///
    /// # Errors
    /// If it was not decided, or holds other transactions or receipts than it commits to.
    pub fn block(&self, block: &v1::Block) -> Result<ProvenBlock, LightError> {
        let header = self.header(block.header.as_ref().ok_or(LightError::NoProof)?)?;
        let transactions = block
            .transactions
            .iter()
            .map(|envelope| Transaction::from_envelope(envelope.clone()))
            .collect::<Result<Vec<_>, _>>()?;
        let receipts = block
            .receipts
            .iter()
            .map(Receipt::try_from)
            .collect::<Result<Vec<_>, _>>()?;
        let ids: Vec<WitnessId> = transactions.iter().map(Transaction::witness_id).collect();
        let hashes: Vec<ReceiptHash> = receipts.iter().map(Receipt::hash).collect();
        if merkle::tx_root(&ids) != header.header.tx_root
            || merkle::receipts_root(&hashes) != header.outcome.receipts_root
        {
            return Err(LightError::Contradiction {
                what: "the block's contents",
            });
        }
        for (index, (message, receipt)) in block.receipts.iter().zip(&receipts).enumerate() {
            let located = LocatedReceipt {
                height: header.header.height,
                index: u32::try_from(index).map_err(|_| LightError::OtherQuestion)?,
                block: header.id,
                receipt: *receipt,
            };
            if v1::Receipt::from(&located) != *message {
                return Err(LightError::Contradiction {
                    what: "a receipt's fields",
                });
            }
        }
        Ok(ProvenBlock {
            header,
            transactions,
            receipts,
        })
    }

    /// Checks that a block stands at a height in the history of a later block.
    ///
    /// # Errors
    /// If the proof does not hold or is for another height.
    pub fn history(
        &self,
        height: Height,
        answer: &v1::GetHistoryProofResponse,
    ) -> Result<(BlockId, VerifiedHeader), LightError> {
        let evidence = HistoryEvidence::try_from(answer)?;
        if evidence.proof.height != height {
            return Err(LightError::OtherQuestion);
        }
        let later = self.header(answer.block.as_ref().ok_or(LightError::NoProof)?)?;
        later.verify_history(&evidence.proof, &evidence.block)?;
        Ok((evidence.block, later))
    }
}

/// Reads a header, whose plain fields, which are what people read, must say what is hashed.
fn plain_header(message: &v1::BlockHeader) -> Result<SealedHeader, LightError> {
    let sealed = SealedHeader::try_from(message)?;
    if v1::BlockHeader::from(&sealed) == *message {
        Ok(sealed)
    } else {
        Err(LightError::Contradiction {
            what: "the block's fields",
        })
    }
}
