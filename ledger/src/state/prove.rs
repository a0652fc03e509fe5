//! Reading and proving at one of the versions in memory.

use std::sync::atomic::Ordering;

use certchain_proto::Height;
use certchain_proto::hash::ValueHash;

use super::bucket::{Leaf, divide, hash_leaves};
use super::error::StateError;
use super::key::StateKey;
use super::proof::{ProofLeaf, ProofStep, StateProof};
use super::store::TreeStore;
use super::tree::{StateTree, Version};

impl<S: TreeStore> StateTree<S> {
    /// The value hash of a key in the newest version.
    pub fn get(&self, key: &StateKey) -> Result<Option<ValueHash>, StateError> {
        self.versions
            .back()
            .map_or(Ok(None), |version| self.read(version, key))
    }

    /// The value hash of a key at a height of the window.
    pub fn get_at(&self, height: Height, key: &StateKey) -> Result<Option<ValueHash>, StateError> {
        self.read(self.version(height)?, key)
    }

    fn read(&self, version: &Version, key: &StateKey) -> Result<Option<ValueHash>, StateError> {
        let leaves = self.leaves_towards(version, key, |_| ())?;
        let found = leaves.binary_search_by(|leaf| leaf.key.cmp(key));
        Ok(found
            .ok()
            .and_then(|index| leaves.get(index))
            .map(|leaf| leaf.value))
    }

    /// Proves what a key has, or that it is absent, under the root of a height of the window.
    pub fn prove(&self, height: Height, key: &StateKey) -> Result<StateProof, StateError> {
        let version = self.version(height)?;
        let mut steps = Vec::with_capacity(40);
        let mut leaves = self.leaves_towards(version, key, |step| steps.push(step))?;
        let (mut rest, mut hashed) = (leaves.as_mut_slice(), 0);
        while rest.len() > 1 {
            let (position, middle) = divide(rest);
            let (left, right) = rest.split_at_mut(middle);
            let (next, other) = match key.bit(position) {
                false => (left, right),
                true => (right, left),
            };
            steps.push(ProofStep {
                position,
                sibling: hash_leaves(other, &mut hashed),
            });
            rest = next;
        }
        self.counters.hashed.fetch_add(hashed, Ordering::Relaxed);
        let leaf = rest.first().map(|leaf| ProofLeaf {
            key: leaf.key,
            value: leaf.value,
        });
        Ok(StateProof::assemble(steps, leaf))
    }

    /// The leaves of the bucket to which a key's bits lead; none if the version is empty.
    fn leaves_towards(
        &self,
        version: &Version,
        key: &StateKey,
        mut visit: impl FnMut(ProofStep),
    ) -> Result<Vec<Leaf>, StateError> {
        let Some(mut at) = version.top.as_ref() else {
            return Ok(Vec::new());
        };
        while !at.node.is_bucket() {
            let branch = self.arena.branches.get(at.node.index());
            let (next, other) = branch.sides(key);
            visit(ProofStep {
                position: branch.position,
                sibling: other.hash,
            });
            at = next;
        }
        let (mut leaves, mut hashed) = (Vec::new(), 0);
        for packed in self.fetch(&[at.node.index()])? {
            self.open_bucket(at, &packed, &mut leaves, &mut hashed)?;
        }
        self.counters.hashed.fetch_add(hashed, Ordering::Relaxed);
        Ok(leaves)
    }
}
