//! Proofs for those who do not trust this node.

use certchain_proto::{
    Height,
    hash::{ReceiptHash, TransactionId, ValueHash, WitnessId},
    transaction::Transaction,
};

use super::{Chain, ProveError, open::history_node};
use crate::{
    evidence::{HistoryEvidence, InclusionEvidence, SealedHeader, StateEvidence},
    history::HistoryProof,
    merkle,
    receipt::Receipt,
    state::StateKey,
    store::StoreError,
};

impl Chain {
    /// Proves what a key has, or that it is absent, after the block at `height`, by default the
    /// newest. Only the newest heights can be proven.
    ///
    /// # Errors
    /// If the height is not kept, or the state cannot be read.
    pub fn prove(
        &self,
        key: &StateKey,
        height: Option<Height>,
    ) -> Result<StateEvidence, ProveError> {
        let height = height.unwrap_or_else(|| self.head().height());
        // The tree is ahead of the disk while a commit writes.
        let block = self.existing_header(height)?;
        let proof = self.tree().prove(height, key)?;
        let value = self.get_at(key, height)?;
        let root = block.outcome.state_root;
        let proven = proof
            .verify(&root, key)
            .map_err(|_| ProveError::Contradiction { root })?;
        if proven != value.as_deref().map(ValueHash::of) {
            return Err(ProveError::Contradiction { root });
        }
        let value = value.map(|value| value.to_vec());
        Ok(StateEvidence {
            key: *key,
            value,
            proof,
            block,
        })
    }

    /// Proves that the block at `height` belongs to the history of the one at `later`, by default
    /// the newest.
    ///
    /// # Errors
    /// If the heights do not rise or are not there yet.
    pub fn history_proof(
        &self,
        height: Height,
        later: Option<Height>,
    ) -> Result<HistoryEvidence, ProveError> {
        let later = later.unwrap_or_else(|| self.head().height());
        let beyond = ProveError::Height {
            asked: height,
            limit: later,
        };
        let later = self.existing_header(later)?;
        let block = self.existing_header(height)?.id();
        let node = |position| history_node(&self.store, self.number, position);
        let proof = HistoryProof::build(height, later.height().get(), node)?.ok_or(beyond)?;
        Ok(HistoryEvidence {
            block,
            proof,
            later,
        })
    }

    /// Proves what became of a transaction; none if it is not decided.
    ///
    /// # Errors
    /// If the database fails or an entry is damaged.
    pub fn transaction_proof(
        &self,
        id: &TransactionId,
    ) -> Result<Option<InclusionEvidence>, StoreError> {
        let Some((height, index)) = self.place_of(id)? else {
            return Ok(None);
        };
        let corrupt = || StoreError::corrupt(format!("the block at height {height} is damaged"));
        let block = self.block(height)?.ok_or_else(corrupt)?;
        let receipts = self.receipts(height)?.ok_or_else(corrupt)?;
        let witness_ids: Vec<WitnessId> = block
            .transactions
            .iter()
            .map(|bytes| Transaction::decode(bytes).map(|t| t.witness_id()))
            .collect::<Result<_, _>>()
            .map_err(|_| corrupt())?;
        let hashes: Vec<ReceiptHash> = receipts.iter().map(Receipt::hash).collect();
        let place = index as usize;
        Ok(Some(InclusionEvidence {
            transaction: *witness_ids.get(place).ok_or_else(corrupt)?,
            transaction_proof: merkle::prove_transaction(&witness_ids, index)
                .ok_or_else(corrupt)?,
            receipt: *receipts.get(place).ok_or_else(corrupt)?,
            receipt_proof: merkle::prove_receipt(&hashes, index).ok_or_else(corrupt)?,
            block: SealedHeader::from(&block),
        }))
    }

    fn existing_header(&self, height: Height) -> Result<SealedHeader, ProveError> {
        let limit = self.head().height().next();
        let beyond = ProveError::Height {
            asked: height,
            limit,
        };
        if height >= limit {
            return Err(beyond);
        }
        self.sealed_header(height)?.ok_or(beyond)
    }
}
