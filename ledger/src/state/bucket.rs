//! Buckets: how the leaves of a small subtrie are packed into one stored value.
//!
//! ```text
//! count: u8 | check: 4 bytes of the subtrie's hash | shared: u8 | prefix: shared bytes
//! count times: rest length: u8 | rest of the key | value hash: 32 bytes        (keys ascending)
//! ```

use std::sync::Arc;

use certchain_proto::hash::ValueHash;

use super::hash::{Digest, branch_hash, empty_root, leaf_hash};
use super::key::{MAX_KEY_BYTES, StateKey};

/// Most leaves in a bucket. More leaves mean less memory and more bytes per update.
pub const MAX_BUCKET_LEAVES: usize = 8;

const CHECK_BYTES: usize = 4;
const _: () = assert!(MAX_BUCKET_LEAVES <= u8::MAX as usize);
const _: () = assert!(MAX_KEY_BYTES <= u8::MAX as usize);

/// What is wrong with a stored bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BucketFault {
    /// The value ends early.
    #[error("it ends early")]
    Truncated,
    /// The value goes on after its last leaf.
    #[error("it has {0} bytes too many")]
    TrailingBytes(usize),
    /// No leaf, or more than allowed.
    #[error("it claims {0} leaves")]
    LeafCount(u8),
    /// A key is empty or too long.
    #[error("a key has a wrong length")]
    KeyLength,
    /// Keys do not ascend, or one is a prefix of another.
    #[error("its keys are out of order")]
    KeyOrder,
    /// Keys and values do not hash to what the bucket or the tree says.
    #[error("its hash is wrong")]
    Hash,
    /// The number under which it is stored has a wrong form.
    #[error("it is stored under a malformed key")]
    StoredKey,
}

/// One key with its value hash, and the hash of both once it has been needed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf {
    pub(super) key: StateKey,
    pub(super) value: ValueHash,
    hash: Option<Digest>,
}

impl Leaf {
    pub(super) fn new(key: StateKey, value: ValueHash) -> Self {
        Self {
            key,
            value,
            hash: None,
        }
    }

    pub(super) fn set_value(&mut self, value: ValueHash) {
        self.value = value;
        self.hash = None;
    }
}

/// Where a sorted run of at least two leaves divides: the bit, and the index of the first leaf
/// that has it.
pub(super) fn divide(leaves: &[Leaf]) -> (u16, usize) {
    let (Some(first), Some(last)) = (leaves.first(), leaves.last()) else {
        return (0, 0);
    };
    let position = first.key.divergence(&last.key);
    (
        position,
        leaves.partition_point(|leaf| !leaf.key.bit(position)),
    )
}

/// The hash of the subtrie over sorted leaves, none a prefix of another. Counts the hashes that it
/// computed.
pub(super) fn hash_leaves(leaves: &mut [Leaf], hashed: &mut u64) -> Digest {
    match leaves {
        [] => *empty_root().as_bytes(),
        [leaf] => *leaf.hash.get_or_insert_with(|| {
            *hashed += 1;
            leaf_hash(&leaf.key, &leaf.value)
        }),
        leaves => {
            let (position, middle) = divide(leaves);
            let (left, right) = leaves.split_at_mut(middle);
            *hashed += 1;
            branch_hash(
                position,
                &hash_leaves(left, hashed),
                &hash_leaves(right, hashed),
            )
        }
    }
}

/// Packs sorted leaves whose subtrie has the given hash. `bytes` is for use again and again.
pub(super) fn pack(leaves: &[Leaf], hash: &Digest, bytes: &mut Vec<u8>) -> Arc<[u8]> {
    let shared = match leaves {
        [first, .., last] => usize::from(first.key.divergence(&last.key) / 8),
        _ => 0,
    };
    let mut prefixed = false;
    bytes.clear();
    bytes.push(leaves.len() as u8);
    bytes.extend_from_slice(&hash[..CHECK_BYTES]);
    bytes.push(shared as u8);
    for leaf in leaves {
        let (prefix, rest) = leaf.key.as_bytes().split_at(shared);
        if !prefixed {
            bytes.extend_from_slice(prefix);
            prefixed = true;
        }
        bytes.push(rest.len() as u8);
        bytes.extend_from_slice(rest);
        bytes.extend_from_slice(leaf.value.as_bytes());
    }
    Arc::from(&bytes[..])
}

/// The first key of a packed bucket, which has not been checked.
pub(super) fn first_key(bytes: &[u8]) -> Result<StateKey, BucketFault> {
    let mut rest = bytes;
    let Head { prefix, .. } = Head::read(&mut rest)?;
    read_key(prefix, &mut rest)
}

/// Reads a packed bucket into an empty list and checks it: the leaves, hashed, and the hash of
/// their subtrie.
pub(super) fn unpack(
    bytes: &[u8],
    leaves: &mut Vec<Leaf>,
    hashed: &mut u64,
) -> Result<Digest, BucketFault> {
    let mut rest = bytes;
    let Head {
        count,
        check,
        prefix,
    } = Head::read(&mut rest)?;
    leaves.reserve(usize::from(count));
    for _ in 0..count {
        let key = read_key(prefix, &mut rest)?;
        let value = ValueHash::from_bytes(take::<32>(&mut rest)?);
        if leaves
            .last()
            .is_some_and(|last| last.key >= key || !last.key.is_apart_from(&key))
        {
            return Err(BucketFault::KeyOrder);
        }
        leaves.push(Leaf::new(key, value));
    }
    if !rest.is_empty() {
        return Err(BucketFault::TrailingBytes(rest.len()));
    }
    let hash = hash_leaves(leaves, hashed);
    match hash.starts_with(&check) {
        true => Ok(hash),
        false => Err(BucketFault::Hash),
    }
}

struct Head<'a> {
    count: u8,
    check: [u8; CHECK_BYTES],
    prefix: &'a [u8],
}

impl<'a> Head<'a> {
    fn read(rest: &mut &'a [u8]) -> Result<Self, BucketFault> {
        let [count] = take(rest)?;
        if count == 0 || usize::from(count) > MAX_BUCKET_LEAVES {
            return Err(BucketFault::LeafCount(count));
        }
        let check = take(rest)?;
        let [shared] = take(rest)?;
        Ok(Self {
            count,
            check,
            prefix: take_slice(rest, usize::from(shared))?,
        })
    }
}

fn read_key(prefix: &[u8], rest: &mut &[u8]) -> Result<StateKey, BucketFault> {
    let [length] = take(rest)?;
    let tail = take_slice(rest, usize::from(length))?;
    StateKey::join(prefix, tail).map_err(|_| BucketFault::KeyLength)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], BucketFault> {
    let (head, tail) = rest.split_first_chunk().ok_or(BucketFault::Truncated)?;
    *rest = tail;
    Ok(*head)
}

fn take_slice<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], BucketFault> {
    let (head, tail) = rest
        .split_at_checked(length)
        .ok_or(BucketFault::Truncated)?;
    *rest = tail;
    Ok(head)
}
