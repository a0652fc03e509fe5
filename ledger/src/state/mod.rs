//! The authenticated state: one root that commits to every key and value hash that somebody may
//! have to prove, and short proofs that a key has a value or is absent.
//!
//! # Shape (part of the chain's format)
//!
//! A binary Patricia trie with path compression over BLAKE3. Bits are numbered from the most
//! significant bit of byte 0; bits past a key's end read 0; no key is a prefix of another, since
//! the first byte names a namespace and a namespace has one key length.
//!
//! - empty tree: `derive_key("certchain v1 state empty", "")`
//! - leaf: `derive_key("certchain v1 state leaf", u16le(key length) || key || value hash)`
//! - branch at bit `p`, the first bit in which the keys below it differ:
//!   `keyed_hash(K[p], left || right)` with `K[p] = derive_key("certchain v1 state branch", u16le(p))`
//!
//! A branch costs one compression, a leaf with a key of up to 30 bytes one, up to 94 bytes two. The
//! position is in the branch's key, so a proof cannot move a branch, which is what makes proofs of
//! absence sound (see [`StateProof`]).
//!
//! # Packing (free to change)
//!
//! A subtrie of at most [`MAX_BUCKET_LEAVES`] leaves whose parent holds more is a *bucket*: one
//! database value with full keys (shared prefix cut off) and value hashes. Which leaves share a
//! bucket follows from the set of keys alone, not from the order of updates. The branches above
//! the buckets live in memory only and are rebuilt when the tree is opened, which verifies every
//! leaf against the expected root. So an update writes one small value, and reads one, unless it was
//! written so lately that it is still in memory (see [`DEFAULT_CACHE_BYTES`]). What is read later
//! is checked against the hash in the branch above it.
//!
//! # Versions
//!
//! Nodes are never changed in place: [`StateTree::apply`] builds a [`Pending`] beside the committed
//! version and takes `&self`; several candidates for one height may exist, and dropping one discards
//! it. [`StateTree::commit`] makes one of them the newest version and hands out the bucket writes,
//! which the caller puts into the one atomic write of the block. The newest versions stay provable
//! (see [`DEFAULT_WINDOW`]); older ones are refused, never answered as "absent".

mod arena;
mod bucket;
mod cache;
mod error;
mod hash;
mod key;
mod open;
mod proof;
mod prove;
mod store;
mod tree;
mod update;

#[cfg(test)]
mod tests;

pub use bucket::{BucketFault, MAX_BUCKET_LEAVES};
pub use cache::DEFAULT_CACHE_BYTES;
pub use error::{StateError, StoreFailure};
pub use hash::empty_root;
pub use key::{KeyError, MAX_KEY_BYTES, POSITION_LIMIT, StateKey};
pub use proof::{ProofError, ProofLeaf, ProofStep, StateProof};
pub use store::{BucketId, BucketWrite, BucketWrites, MemoryStore, TreeStore, Visit};
pub use tree::{DEFAULT_WINDOW, StateTree, TreeCounters, TreeMemory};
pub use update::Pending;
