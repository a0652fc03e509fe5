//! The tree against a naive model, and the model itself.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod model;
mod proofs;
mod storage;
mod versions;

use std::collections::BTreeMap;

use certchain_proto::Height;
use certchain_proto::hash::{StateRoot, ValueHash};

use super::*;

/// What the tree should hold.
type Model = BTreeMap<Vec<u8>, [u8; 32]>;

/// Changes of one version.
type Batch = BTreeMap<Vec<u8>, Option<[u8; 32]>>;

/// The root of a model, bit by bit and from the format's description only.
fn naive_root(model: &Model) -> [u8; 32] {
    if model.is_empty() {
        return blake3::derive_key("certchain v1 state empty", b"");
    }
    naive_node(&model.iter().collect::<Vec<_>>(), 0)
}

fn naive_node(leaves: &[(&Vec<u8>, &[u8; 32])], position: u16) -> [u8; 32] {
    if let [(key, value)] = leaves {
        let length = u16::try_from(key.len()).unwrap().to_le_bytes();
        let input = [&length[..], key.as_slice(), value.as_slice()].concat();
        return blake3::derive_key("certchain v1 state leaf", &input);
    }
    let bit = |key: &[u8]| {
        let byte = key.get(usize::from(position) / 8).copied().unwrap_or(0);
        (byte >> (7 - position % 8)) & 1 == 1
    };
    let (right, left): (Vec<_>, Vec<_>) = leaves.iter().partition(|(key, _)| bit(key));
    if left.is_empty() || right.is_empty() {
        return naive_node(leaves, position + 1);
    }
    let key = blake3::derive_key("certchain v1 state branch", &position.to_le_bytes());
    let children = [
        naive_node(&left, position + 1),
        naive_node(&right, position + 1),
    ]
    .concat();
    *blake3::keyed_hash(&key, &children).as_bytes()
}

fn apply_to_model(model: &mut Model, batch: &Batch) {
    for (key, value) in batch {
        match value {
            Some(value) => model.insert(key.clone(), *value),
            None => model.remove(key),
        };
    }
}

fn key(bytes: &[u8]) -> StateKey {
    StateKey::new(bytes).unwrap()
}

fn updates(batch: &Batch) -> Vec<(StateKey, Option<ValueHash>)> {
    batch
        .iter()
        .map(|(bytes, value)| (key(bytes), value.map(ValueHash::from_bytes)))
        .collect()
}

fn new_tree(window: usize) -> StateTree<MemoryStore> {
    StateTree::open(MemoryStore::default(), None, window).unwrap()
}

/// Applies and commits a batch on the newest version.
fn advance(tree: &mut StateTree<MemoryStore>, batch: &Batch) -> BucketWrites {
    let pending = tree.apply(tree.height(), updates(batch)).unwrap();
    let root = pending.root();
    let writes = tree.commit(pending).unwrap();
    tree.store_mut().write(&writes);
    assert_eq!(tree.root(), root);
    writes
}

/// A tree with `count` keys of 33 bytes, and its model.
fn filled(count: u32, window: usize) -> (StateTree<MemoryStore>, Model) {
    let (mut tree, mut model) = (new_tree(window), Model::new());
    let batch: Batch = (0..count)
        .map(|index| (hashed_key(index), Some(value(index))))
        .collect();
    apply_to_model(&mut model, &batch);
    let _ = advance(&mut tree, &batch);
    (tree, model)
}

fn hashed_key(index: u32) -> Vec<u8> {
    let mut bytes = vec![1];
    bytes.extend_from_slice(blake3::hash(&index.to_le_bytes()).as_bytes());
    bytes
}

fn value(number: u32) -> [u8; 32] {
    *blake3::hash(&[b"value", &number.to_le_bytes()[..]].concat()).as_bytes()
}

fn reopen(tree: &StateTree<MemoryStore>) -> Result<StateTree<MemoryStore>, StateError> {
    open_store(tree.store().clone(), tree)
}

/// Opens a store as that of a tree's newest version.
fn open_store(
    store: MemoryStore,
    tree: &StateTree<MemoryStore>,
) -> Result<StateTree<MemoryStore>, StateError> {
    StateTree::open(store, tree.height().map(|height| (height, tree.root())), 8)
}

fn height(number: u64) -> Height {
    Height::new(number)
}

fn root(bytes: [u8; 32]) -> StateRoot {
    StateRoot::from_bytes(bytes)
}
