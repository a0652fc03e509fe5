//! The three hashes of the tree: empty, leaf, branch. Part of the chain's format.

use std::sync::LazyLock;

use certchain_proto::{
    context::HashContext,
    hash::{StateRoot, ValueHash, hash_parts},
    hash_context,
};

use super::key::{MAX_KEY_BYTES, POSITION_LIMIT, StateKey};

/// The hash of a node.
pub(super) type Digest = [u8; 32];

const EMPTY: HashContext = hash_context!("certchain v1 state empty");
const LEAF: HashContext = hash_context!("certchain v1 state leaf");
const BRANCH: HashContext = hash_context!("certchain v1 state branch");

/// One key per position, so that a branch commits to its position at no cost.
static BRANCH_KEYS: LazyLock<Vec<Digest>> = LazyLock::new(|| {
    (0..POSITION_LIMIT)
        .map(|position| blake3::derive_key(BRANCH.as_str(), &position.to_le_bytes()))
        .collect()
});

/// The root of a tree without keys.
pub fn empty_root() -> StateRoot {
    static ROOT: LazyLock<Digest> = LazyLock::new(|| blake3::derive_key(EMPTY.as_str(), &[]));
    StateRoot::from_bytes(*ROOT)
}

/// The hash of a leaf.
pub(super) fn leaf_hash(key: &StateKey, value: &ValueHash) -> Digest {
    let bytes = key.as_bytes();
    let end = 2 + bytes.len();
    let mut input = [0; 2 + MAX_KEY_BYTES + 32];
    input[..2].copy_from_slice(&(bytes.len() as u16).to_le_bytes());
    input[2..end].copy_from_slice(bytes);
    input[end..end + 32].copy_from_slice(value.as_bytes());
    hash_parts(LEAF, &[&input[..end + 32]])
}

/// The hash of a branch at `position`, which must be below [`POSITION_LIMIT`].
pub(super) fn branch_hash(position: u16, left: &Digest, right: &Digest) -> Digest {
    let mut input = [0; 64];
    input[..32].copy_from_slice(left);
    input[32..].copy_from_slice(right);
    *blake3::keyed_hash(&BRANCH_KEYS[usize::from(position)], &input).as_bytes()
}
