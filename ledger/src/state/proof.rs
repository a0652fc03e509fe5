//! Proofs that a key has a value, or that it is absent, under a state root.

use certchain_proto::hash::{StateRoot, ValueHash};
use serde::{Deserialize, Serialize};

use super::hash::{branch_hash, empty_root, leaf_hash};
use super::key::{POSITION_LIMIT, StateKey};

/// One branch on the way down: its position and the hash of the child that the way leaves aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofStep {
    /// The bit at which the branch divides.
    pub position: u16,
    /// The hash of the other child.
    pub sibling: [u8; 32],
}

/// The leaf at which the way ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofLeaf {
    /// Its key: the asked one, or for a proof of absence another.
    pub key: StateKey,
    /// Its value hash.
    pub value: ValueHash,
}

/// The way from the root to the leaf at which the bits of one key lead, for presence and absence.
///
/// Why it is sound: the verifier recomputes the root from the leaf up, at each branch putting the
/// running hash on the side that the asked key's bit names. Hashes of branches commit to their
/// positions and those of leaves to their keys, in different contexts, so equal roots mean that
/// this is the real way of the asked key down the real tree. In the real tree all keys below a
/// branch's side have that bit, so if the asked key were present its way would end at its own leaf;
/// ending at another leaf (or in the empty tree) proves absence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateProof {
    /// From the top down.
    steps: Vec<ProofStep>,
    /// None only for the empty tree.
    leaf: Option<ProofLeaf>,
}

/// Why a proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// More steps than a key has bits.
    #[error("the proof has {count} steps; a key allows at most {POSITION_LIMIT}; refuse it")]
    TooLong {
        /// How many.
        count: usize,
    },
    /// A position is not above the one before it, or not below the limit.
    #[error("the proof's step {step} has position {position}, out of order or range; refuse it")]
    Position {
        /// Which step, from the top.
        step: usize,
        /// Its position.
        position: u16,
    },
    /// The leaf could not stand where the proof puts it.
    #[error("the proof's leaf is not on the way of the asked key at bit {position}; refuse it")]
    LeafOffPath {
        /// The bit at which leaf and asked key part although they share a branch's side.
        position: u16,
    },
    /// Steps without a leaf at their end.
    #[error("the proof has steps but no leaf; refuse it")]
    NoLeaf,
    /// The hashes lead to another root.
    #[error("the proof leads to root {found}, not {expected}; ask for one at the right height")]
    Root {
        /// The root that was asked for.
        expected: StateRoot,
        /// The root that the proof leads to.
        found: StateRoot,
    },
}

impl StateProof {
    /// Puts a proof together from its parts, as received; [`Self::verify`] judges it.
    pub fn from_parts(steps: Vec<ProofStep>, leaf: Option<ProofLeaf>) -> Result<Self, ProofError> {
        if steps.len() > usize::from(POSITION_LIMIT) {
            return Err(ProofError::TooLong { count: steps.len() });
        }
        Ok(Self { steps, leaf })
    }

    /// A proof made by the tree, whose positions rise below the limit by construction.
    pub(super) fn assemble(steps: Vec<ProofStep>, leaf: Option<ProofLeaf>) -> Self {
        Self { steps, leaf }
    }

    /// The branches, from the top down.
    pub fn steps(&self) -> &[ProofStep] {
        &self.steps
    }

    /// The leaf at the end.
    pub fn leaf(&self) -> Option<&ProofLeaf> {
        self.leaf.as_ref()
    }

    /// Checks the proof for `key` under `root`: the key's value hash, or `None` if the proof shows
    /// that the key is absent.
    pub fn verify(
        &self,
        root: &StateRoot,
        key: &StateKey,
    ) -> Result<Option<ValueHash>, ProofError> {
        if self.steps.len() > usize::from(POSITION_LIMIT) {
            return Err(ProofError::TooLong {
                count: self.steps.len(),
            });
        }
        let mut lowest = 0;
        for (step, &ProofStep { position, .. }) in self.steps.iter().enumerate() {
            if position < lowest || position >= POSITION_LIMIT {
                return Err(ProofError::Position { step, position });
            }
            lowest = position + 1;
        }
        let found = match &self.leaf {
            None if self.steps.is_empty() => empty_root(),
            None => return Err(ProofError::NoLeaf),
            Some(leaf) => self.climb(leaf, key)?,
        };
        if found != *root {
            return Err(ProofError::Root {
                expected: *root,
                found,
            });
        }
        Ok(self
            .leaf
            .as_ref()
            .filter(|leaf| leaf.key == *key)
            .map(|leaf| leaf.value))
    }

    /// Recomputes the root along the way of `key`. Positions have been checked.
    fn climb(&self, leaf: &ProofLeaf, key: &StateKey) -> Result<StateRoot, ProofError> {
        let mut hash = leaf_hash(&leaf.key, &leaf.value);
        for &ProofStep {
            position,
            ref sibling,
        } in self.steps.iter().rev()
        {
            let right = key.bit(position);
            if leaf.key.bit(position) != right {
                return Err(ProofError::LeafOffPath { position });
            }
            hash = match right {
                false => branch_hash(position, &hash, sibling),
                true => branch_hash(position, sibling, &hash),
            };
        }
        Ok(StateRoot::from_bytes(hash))
    }
}
