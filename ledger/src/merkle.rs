//! The Merkle trees over a block's transactions and over its receipts.
//!
//! # Shape (part of the chain's format)
//!
//! - leaf: `H(merkle leaf, item)`, the item being a witness id or a receipt hash
//! - inner node: `H(merkle node, left || right)`; a node without a partner moves up unchanged
//! - root: `H(merkle root, u32le(count) || top)`, where the top of no leaves is 32 zero bytes
//!
//! The root commits to the count, so that the shape of the tree, and with it the place of each
//! leaf, is fixed and no leaf can be given out for an inner node or the other way round.

use certchain_proto::{
    context,
    hash::{ReceiptHash, ReceiptsRoot, TxRoot, WitnessId, hash_parts},
};
use serde::{Deserialize, Serialize};

/// Most steps that a proof can have: one for each bit of the count.
const MAX_STEPS: usize = 32;

/// A path from one leaf to the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MerkleProof {
    /// Place of the leaf, from 0.
    pub index: u32,
    /// Number of leaves.
    pub count: u32,
    /// Hashes beside the path, from the leaf upwards.
    pub siblings: Vec<[u8; 32]>,
}

/// Why a path proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MerkleError {
    /// The leaf's place is not below the count.
    #[error("the proof speaks of leaf {index} of {count}; refuse it")]
    Index {
        /// Its place.
        index: u32,
        /// The number of leaves.
        count: u32,
    },
    /// More or fewer hashes than the place asks for.
    #[error("the proof has {actual} hashes, its place asks for another number; refuse it")]
    Length {
        /// Hashes that it has.
        actual: usize,
    },
    /// The hashes lead elsewhere.
    #[error("the proof leads to another root; ask for one of the right block")]
    Root,
}

/// The root over a block's transactions.
pub fn tx_root<'a>(witness_ids: impl IntoIterator<Item = &'a WitnessId>) -> TxRoot {
    TxRoot::from_bytes(root_of(leaves(
        witness_ids.into_iter().map(WitnessId::as_bytes),
    )))
}

/// The root over a block's receipts.
pub fn receipts_root<'a>(receipts: impl IntoIterator<Item = &'a ReceiptHash>) -> ReceiptsRoot {
    ReceiptsRoot::from_bytes(root_of(leaves(
        receipts.into_iter().map(ReceiptHash::as_bytes),
    )))
}

/// The path of the transaction at `index`; `None` if there is none.
pub fn prove_transaction(witness_ids: &[WitnessId], index: u32) -> Option<MerkleProof> {
    prove(leaves(witness_ids.iter().map(WitnessId::as_bytes)), index)
}

/// The path of the receipt at `index`; `None` if there is none.
pub fn prove_receipt(receipts: &[ReceiptHash], index: u32) -> Option<MerkleProof> {
    prove(leaves(receipts.iter().map(ReceiptHash::as_bytes)), index)
}

impl MerkleProof {
    /// Checks that `transaction` stands at this place under `root`.
    ///
    /// # Errors
    /// If the path has the wrong form or leads elsewhere.
    pub fn verify_transaction(
        &self,
        root: &TxRoot,
        transaction: &WitnessId,
    ) -> Result<(), MerkleError> {
        self.verify(root.as_bytes(), transaction.as_bytes())
    }

    /// Checks that `receipt` stands at this place under `root`.
    ///
    /// # Errors
    /// If the path has the wrong form or leads elsewhere.
    pub fn verify_receipt(
        &self,
        root: &ReceiptsRoot,
        receipt: &ReceiptHash,
    ) -> Result<(), MerkleError> {
        self.verify(root.as_bytes(), receipt.as_bytes())
    }

    fn verify(&self, root: &[u8; 32], item: &[u8; 32]) -> Result<(), MerkleError> {
        let (mut index, mut width) = (self.index, self.count);
        let length = MerkleError::Length {
            actual: self.siblings.len(),
        };
        if index >= width {
            return Err(MerkleError::Index {
                index,
                count: width,
            });
        }
        if self.siblings.len() > MAX_STEPS {
            return Err(length);
        }
        let mut hash = hash_parts(context::MERKLE_LEAF, &[item]);
        let mut siblings = self.siblings.iter();
        while width > 1 {
            if has_partner(index, width) {
                let sibling = siblings.next().ok_or(length)?;
                hash = match index % 2 {
                    0 => hash_parts(context::MERKLE_NODE, &[&hash, sibling]),
                    _ => hash_parts(context::MERKLE_NODE, &[sibling, &hash]),
                };
            }
            index /= 2;
            width = width.div_ceil(2);
        }
        if siblings.next().is_some() {
            return Err(length);
        }
        if finish(self.count, &hash) == *root {
            Ok(())
        } else {
            Err(MerkleError::Root)
        }
    }
}

fn has_partner(index: u32, width: u32) -> bool {
    index % 2 == 1 || index + 1 < width
}

fn leaves<'a>(items: impl Iterator<Item = &'a [u8; 32]>) -> Vec<[u8; 32]> {
    items
        .map(|item| hash_parts(context::MERKLE_LEAF, &[item]))
        .collect()
}

fn level_up(level: &[[u8; 32]]) -> Vec<[u8; 32]> {
    level
        .chunks(2)
        .filter_map(|pair| match pair {
            [left, right] => Some(hash_parts(context::MERKLE_NODE, &[left, right])),
            [single] => Some(*single),
            _ => None,
        })
        .collect()
}

fn finish(count: u32, top: &[u8; 32]) -> [u8; 32] {
    hash_parts(context::MERKLE_ROOT, &[&count.to_le_bytes(), top])
}

fn root_of(mut level: Vec<[u8; 32]>) -> [u8; 32] {
    // Blocks hold at most MAX_BLOCK_TRANSACTIONS, far below 2^32.
    let count = level.len() as u32;
    while level.len() > 1 {
        level = level_up(&level);
    }
    finish(count, &level.first().copied().unwrap_or_default())
}

fn prove(mut level: Vec<[u8; 32]>, index: u32) -> Option<MerkleProof> {
    let count = u32::try_from(level.len()).ok()?;
    if index >= count {
        return None;
    }
    let mut siblings = Vec::new();
    let mut place = index as usize;
    while level.len() > 1 {
        if let Some(sibling) = level.get(place ^ 1) {
            siblings.push(*sibling);
        }
        level = level_up(&level);
        place /= 2;
    }
    Some(MerkleProof {
        index,
        count,
        siblings,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, word for word and by recursion: the left side holds the largest power of
    /// two below the count.
    fn naive_top(items: &[[u8; 32]]) -> [u8; 32] {
        match items {
            [] => [0; 32],
            [one] => hash_parts(context::MERKLE_LEAF, &[one]),
            many => {
                let split = many.len().next_power_of_two() / 2;
                let (left, right) = many.split_at(split);
                hash_parts(context::MERKLE_NODE, &[&naive_top(left), &naive_top(right)])
            }
        }
    }

    fn naive_root(items: &[[u8; 32]]) -> [u8; 32] {
        let count = (items.len() as u32).to_le_bytes();
        hash_parts(context::MERKLE_ROOT, &[&count, &naive_top(items)])
    }

    proptest! {
        #[test]
        fn every_leaf_is_proven_and_nothing_else(
            items in proptest::collection::vec(any::<[u8; 32]>(), 0..70),
            place in any::<u32>(), twist in any::<u8>(),
        ) {
            let ids: Vec<WitnessId> = items.iter().copied().map(WitnessId::from_bytes).collect();
            let root = tx_root(&ids);
            prop_assert_eq!(root.as_bytes(), &naive_root(&items));
            for (index, id) in ids.iter().enumerate() {
                let proof = prove_transaction(&ids, index as u32).unwrap();
                prop_assert_eq!(proof.verify_transaction(&root, id), Ok(()));
            }
            prop_assert!(prove_transaction(&ids, ids.len() as u32).is_none());
            if ids.is_empty() {
                return Ok(());
            }
            let index = place % ids.len() as u32;
            let id = ids[index as usize];
            let good = prove_transaction(&ids, index).unwrap();
            let mut long = good.clone();
            long.siblings.push([0; 32]);
            prop_assert!(long.verify_transaction(&root, &id).is_err());
            let mut recounted = good.clone();
            recounted.count = recounted.count.wrapping_add(u32::from(twist) + 1);
            prop_assert!(recounted.verify_transaction(&root, &id).is_err());
            let mut flipped = id.as_bytes().to_owned();
            flipped[usize::from(twist) % 32] ^= 1;
            prop_assert!(good.verify_transaction(&root, &WitnessId::from_bytes(flipped)).is_err());
            if let Some(sibling) = good.siblings.len().checked_sub(1) {
                let mut bent = good.clone();
                bent.siblings[usize::from(twist) % (sibling + 1)][0] ^= 1;
                prop_assert!(bent.verify_transaction(&root, &id).is_err());
                let mut short = good;
                short.siblings.pop();
                prop_assert!(short.verify_transaction(&root, &id).is_err());
            }
        }
    }

    #[test]
    fn a_moved_leaf_is_refused() {
        let ids: Vec<WitnessId> = (0..5u8).map(|i| WitnessId::from_bytes([i; 32])).collect();
        let root = tx_root(&ids);
        let mut proof = prove_transaction(&ids, 2).unwrap();
        proof.index = 3;
        assert_eq!(
            proof.verify_transaction(&root, &ids[2]),
            Err(MerkleError::Root)
        );
        proof.index = 5;
        let refused = proof.verify_transaction(&root, &ids[2]);
        assert_eq!(refused, Err(MerkleError::Index { index: 5, count: 5 }));
    }
}
