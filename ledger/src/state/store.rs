//! The seam between the tree and where its buckets are kept.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::error::StateError;

/// The number under which a bucket is stored. Numbers are recycled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketId(u32);

impl BucketId {
    /// Wraps a number.
    pub const fn new(id: u32) -> Self {
        Self(id)
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for BucketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is shown each bucket of a scan.
pub type Visit<'a> = dyn FnMut(BucketId, &[u8]) -> Result<(), StateError> + 'a;

/// Reads buckets of one chain. Writes go through the caller, who owns the atomic write of a block.
pub trait TreeStore {
    /// Reads buckets by number, in the order of `ids` (which are ascending and distinct).
    fn read_buckets(&self, ids: &[BucketId]) -> Result<Vec<Option<Arc<[u8]>>>, StateError>;

    /// Shows every bucket to `visit`, in any order, until it fails.
    fn scan_buckets(&self, visit: &mut Visit<'_>) -> Result<(), StateError>;
}

/// One change of the stored buckets.
#[derive(Clone, Debug)]
pub struct BucketWrite {
    /// Which bucket.
    pub id: BucketId,
    /// Its new bytes; `None` deletes it.
    pub value: Option<Arc<[u8]>>,
}

/// What a commit must write, all of it in one atomic write with the block.
#[must_use = "the buckets must be written together with the block"]
#[derive(Clone, Debug, Default)]
pub struct BucketWrites(pub(super) Vec<BucketWrite>);

impl BucketWrites {
    /// The changes, each bucket at most once.
    pub fn iter(&self) -> std::slice::Iter<'_, BucketWrite> {
        self.0.iter()
    }

    /// How many buckets change.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of ids and values, without what the store adds.
    pub fn bytes(&self) -> u64 {
        let value = |write: &BucketWrite| write.value.as_ref().map_or(0, |value| value.len());
        self.0.iter().map(|write| 4 + value(write) as u64).sum()
    }
}

/// Buckets in memory, for a replay that keeps nothing.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(BTreeMap<BucketId, Arc<[u8]>>);

impl MemoryStore {
    /// Takes over the changes of a commit.
    pub fn write(&mut self, writes: &BucketWrites) {
        for write in writes.iter() {
            match &write.value {
                Some(value) => self.0.insert(write.id, Arc::clone(value)),
                None => self.0.remove(&write.id),
            };
        }
    }

    /// How many buckets there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TreeStore for MemoryStore {
    fn read_buckets(&self, ids: &[BucketId]) -> Result<Vec<Option<Arc<[u8]>>>, StateError> {
        Ok(ids
            .iter()
            .map(|id| self.0.get(id).map(Arc::clone))
            .collect())
    }

    fn scan_buckets(&self, visit: &mut Visit<'_>) -> Result<(), StateError> {
        self.0.iter().try_for_each(|(id, value)| visit(*id, value))
    }
}
