//! The history of a chain: a Merkle mountain range over block ids, so that one header commits to
//! every block before it and any of them is proven by a path of logarithmic length.
//!
//! # Shape (part of the chain's format)
//!
//! The history of size `n` covers the blocks 0 to `n - 1`; the header of height `h` commits to size
//! `h`. Its mountains are perfect binary trees, one per set bit of `n`, the largest leftmost.
//!
//! - leaf: the block id itself
//! - inner node: `H(history node, left || right)`
//! - root: `H(history root, u64le(n) || peaks from left to right)`
//!
//! Block ids and inner nodes are hashes in different contexts, so neither passes for the other; the
//! root commits to the size, so the place of every leaf is fixed.

use certchain_proto::{
    Height, context,
    hash::{BlockId, HistoryRoot, hash_parts},
};
use serde::{Deserialize, Serialize};

/// Most mountains, and most levels of one: bits of a height.
const MAX_LEVELS: usize = 64;

/// The place of a node: it covers the blocks `index << level` to `((index + 1) << level) - 1`. Nodes
/// never change once they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodePosition {
    /// Height above the leaves.
    pub level: u8,
    /// Place in its level.
    pub index: u64,
}

/// The right edge of a history: enough to append and to give the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    size: u64,
    /// Left to right; as many as `size` has set bits.
    peaks: Vec<[u8; 32]>,
}

impl Default for History {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl History {
    /// The history of a chain without blocks.
    pub const EMPTY: Self = Self {
        size: 0,
        peaks: Vec::new(),
    };

    /// Takes up a history of `size` blocks from its stored nodes; `None` if one is missing.
    ///
    /// # Errors
    /// What `node` gives.
    pub fn load<E>(
        size: u64,
        mut node: impl FnMut(NodePosition) -> Result<Option<[u8; 32]>, E>,
    ) -> Result<Option<Self>, E> {
        let mut peaks = Vec::new();
        for position in peak_positions(size) {
            match node(position)? {
                Some(hash) => peaks.push(hash),
                None => return Ok(None),
            }
        }
        Ok(Some(Self { size, peaks }))
    }

    /// Number of blocks covered.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// What the header of height `size` must name.
    pub fn root(&self) -> HistoryRoot {
        root_of(self.size, &self.peaks)
    }

    /// Adds the next block and tells the nodes that now exist: its leaf, then those above it.
    pub fn append(&mut self, block: &BlockId) -> Vec<(NodePosition, [u8; 32])> {
        let mut position = NodePosition {
            level: 0,
            index: self.size,
        };
        let mut hash = *block.as_bytes();
        let mut made = vec![(position, hash)];
        // Each trailing set bit of the size is a mountain as high as the one that grows.
        while position.index % 2 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            hash = hash_parts(context::HISTORY_NODE, &[&left, &hash]);
            position = NodePosition {
                level: position.level + 1,
                index: position.index / 2,
            };
            made.push((position, hash));
        }
        self.peaks.push(hash);
        self.size += 1;
        made
    }
}

/// A path from one block to a history's root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryProof {
    /// Height of the block.
    pub height: Height,
    /// Number of blocks that the history covers.
    pub size: u64,
    /// Hashes beside the path inside the mountain, from the leaf upwards.
    pub siblings: Vec<[u8; 32]>,
    /// Peaks of the other mountains, from left to right.
    pub peaks: Vec<[u8; 32]>,
}

/// Why a path proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// The block is not below the size.
    #[error("the proof speaks of block {height} in a history of {size}; refuse it")]
    Height {
        /// Its height.
        height: Height,
        /// The history's size.
        size: u64,
    },
    /// More or fewer hashes than place and size ask for.
    #[error("the proof has a wrong number of hashes for its place; refuse it")]
    Length,
    /// The hashes lead elsewhere.
    #[error("the proof leads to another history root; ask for one of the right header")]
    Root,
}

impl HistoryProof {
    /// Builds the path of block `height` in the history of `size` blocks from stored nodes; `None`
    /// if the block is not covered or a node is missing.
    ///
    /// # Errors
    /// What `node` gives.
    pub fn build<E>(
        height: Height,
        size: u64,
        mut node: impl FnMut(NodePosition) -> Result<Option<[u8; 32]>, E>,
    ) -> Result<Option<Self>, E> {
        let mut siblings = Vec::new();
        let mut peaks = Vec::new();
        if height.get() >= size {
            return Ok(None);
        }
        for peak in peak_positions(size) {
            if height.get() >> peak.level != peak.index {
                match node(peak)? {
                    Some(hash) => peaks.push(hash),
                    None => return Ok(None),
                }
                continue;
            }
            for level in 0..peak.level {
                let index = (height.get() >> level) ^ 1;
                match node(NodePosition { level, index })? {
                    Some(hash) => siblings.push(hash),
                    None => return Ok(None),
                }
            }
        }
        Ok(Some(Self {
            height,
            size,
            siblings,
            peaks,
        }))
    }

    /// Checks that `block` has this height in the history with this root.
    ///
    /// # Errors
    /// If the path has the wrong form or leads elsewhere.
    pub fn verify(&self, root: &HistoryRoot, block: &BlockId) -> Result<(), HistoryError> {
        let (height, size) = (self.height, self.size);
        if height.get() >= size {
            return Err(HistoryError::Height { height, size });
        }
        if self.siblings.len() >= MAX_LEVELS || self.peaks.len() >= MAX_LEVELS {
            return Err(HistoryError::Length);
        }
        let mut others = self.peaks.iter();
        let mut all = Vec::with_capacity(self.peaks.len() + 1);
        for peak in peak_positions(size) {
            if height.get() >> peak.level != peak.index {
                all.push(*others.next().ok_or(HistoryError::Length)?);
                continue;
            }
            if self.siblings.len() != usize::from(peak.level) {
                return Err(HistoryError::Length);
            }
            let mut hash = *block.as_bytes();
            for (level, sibling) in self.siblings.iter().enumerate() {
                hash = match (height.get() >> level) & 1 {
                    0 => hash_parts(context::HISTORY_NODE, &[&hash, sibling]),
                    _ => hash_parts(context::HISTORY_NODE, &[sibling, &hash]),
                };
            }
            all.push(hash);
        }
        if others.next().is_some() {
            return Err(HistoryError::Length);
        }
        if root_of(size, &all) == *root {
            Ok(())
        } else {
            Err(HistoryError::Root)
        }
    }
}

/// The peaks of a history, left to right.
fn peak_positions(size: u64) -> impl Iterator<Item = NodePosition> {
    (0..64u8)
        .rev()
        .filter(move |level| (size >> level) & 1 == 1)
        .map(move |level| {
            // The blocks left of this mountain fill whole mountains at least twice as large.
            NodePosition {
                level,
                index: (size >> level) - 1,
            }
        })
}

fn root_of(size: u64, peaks: &[[u8; 32]]) -> HistoryRoot {
    let size = size.to_le_bytes();
    let mut parts: Vec<&[u8]> = vec![&size];
    parts.extend(peaks.iter().map(|peak| peak.as_slice()));
    HistoryRoot::from_bytes(hash_parts(context::HISTORY_ROOT, &parts))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::{collections::BTreeMap, convert::Infallible};

    use proptest::prelude::*;

    use super::*;

    fn block(number: u64) -> BlockId {
        BlockId::from_bytes(hash_parts(context::BLOCK_ID, &[&number.to_le_bytes()]))
    }

    /// The definition: cut off the largest power of two, hash it, go on.
    fn naive_root(blocks: &[BlockId]) -> HistoryRoot {
        fn tree(blocks: &[BlockId]) -> [u8; 32] {
            match blocks {
                [one] => *one.as_bytes(),
                many => {
                    let (l, r) = many.split_at(many.len() / 2);
                    hash_parts(context::HISTORY_NODE, &[&tree(l), &tree(r)])
                }
            }
        }
        let mut bytes = (blocks.len() as u64).to_le_bytes().to_vec();
        let mut rest = blocks;
        while !rest.is_empty() {
            let (mountain, after) = rest.split_at(1 << rest.len().ilog2());
            bytes.extend(tree(mountain));
            rest = after;
        }
        HistoryRoot::from_bytes(hash_parts(context::HISTORY_ROOT, &[&bytes]))
    }

    fn grown(size: u64) -> (History, BTreeMap<NodePosition, [u8; 32]>) {
        let (mut history, mut nodes) = (History::EMPTY, BTreeMap::new());
        for number in 0..size {
            nodes.extend(history.append(&block(number)));
        }
        (history, nodes)
    }

    #[test]
    fn agrees_with_the_definition_and_proves_every_block_at_every_size() {
        let (_, nodes) = grown(70);
        let node = |position| Ok::<_, Infallible>(nodes.get(&position).copied());
        let blocks: Vec<BlockId> = (0..70).map(block).collect();
        for size in 0..=70u64 {
            let (history, _) = grown(size);
            let root = history.root();
            assert_eq!(root, naive_root(&blocks[..size as usize]));
            assert_eq!(History::load(size, node).unwrap().unwrap(), history);
            for height in 0..size {
                let proof = HistoryProof::build(Height::new(height), size, node)
                    .unwrap()
                    .unwrap();
                assert_eq!(proof.verify(&root, &block(height)), Ok(()));
                assert_eq!(
                    proof.verify(&root, &block(height + 1)),
                    Err(HistoryError::Root)
                );
            }
            assert!(
                HistoryProof::build(Height::new(size), size, node)
                    .unwrap()
                    .is_none()
            );
        }
    }

    proptest! {
        #[test]
        fn a_bent_proof_fails(size in 1u64..200, at in any::<u64>(), how in 0..6u8, spot in any::<usize>()) {
            let (history, nodes) = grown(size);
            let height = Height::new(at % size);
            let node = |position| Ok::<_, Infallible>(nodes.get(&position).copied());
            let good = HistoryProof::build(height, size, node).unwrap().unwrap();
            let mut bent = good.clone();
            match how {
                0 => bent.size += 1,
                1 => bent.height = Height::new(height.get() + 1),
                2 => bent.siblings.push([1; 32]),
                3 => bent.peaks.push([1; 32]),
                4 if !bent.siblings.is_empty() => {
                    let len = bent.siblings.len();
                    bent.siblings[spot % len][5] ^= 4;
                }
                _ if !bent.peaks.is_empty() => {
                    let len = bent.peaks.len();
                    bent.peaks[spot % len][5] ^= 4;
                }
                _ => bent.peaks.push([0; 32]),
            }
            prop_assert!(bent.verify(&history.root(), &block(height.get())).is_err());
            prop_assert!(good.verify(&history.root(), &block(height.get())).is_ok());
        }
    }

    #[test]
    fn a_missing_node_is_noticed() {
        let (_, mut nodes) = grown(8);
        nodes.remove(&NodePosition { level: 3, index: 0 });
        let node = |position| Ok::<_, Infallible>(nodes.get(&position).copied());
        assert!(History::load(8, node).unwrap().is_none());
    }
}
