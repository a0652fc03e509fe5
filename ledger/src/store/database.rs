//! The seam between what is stored and the database that stores it: named columns of ordered keys,
//! and batches that go in whole or not at all.

use std::{ops::Deref, sync::Arc};

use super::StoreError;

/// A column's name.
pub(crate) type Column = &'static str;

/// Format, chains, heads.
pub(crate) const META: Column = "meta";
/// Sealed headers by height.
pub(crate) const HEADERS: Column = "headers";
/// Bodies by height and header.
pub(crate) const BODIES: Column = "bodies";
/// Receipts by height.
pub(crate) const RECEIPTS: Column = "receipts";
/// Blocks and transactions by their names.
pub(crate) const INDEX: Column = "index";
/// The present state.
pub(crate) const VALUES: Column = "values";
/// Earlier values of the state.
pub(crate) const PAST_VALUES: Column = "past_values";
/// Nodes of the history.
pub(crate) const HISTORY: Column = "history";
/// Buckets of the state trees.
pub(crate) const STATE_BUCKETS: Column = "state_buckets";

/// One entry: key and value.
pub(crate) type Entry = (Box<[u8]>, Box<[u8]>);

/// Entries in the order of their keys, or backwards.
pub(crate) type Entries<'a> = Box<dyn Iterator<Item = Result<Entry, StoreError>> + 'a>;

/// A value that was read.
pub(crate) enum Slice<'a> {
    /// Where the database keeps it.
    #[cfg(feature = "store")]
    Pinned(rocksdb::DBPinnableSlice<'a>),
    /// In memory.
    Shared(Arc<[u8]>, std::marker::PhantomData<&'a ()>),
}

impl From<Arc<[u8]>> for Slice<'_> {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self::Shared(bytes, std::marker::PhantomData)
    }
}

impl Deref for Slice<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            #[cfg(feature = "store")]
            Self::Pinned(bytes) => bytes,
            Self::Shared(bytes, _) => bytes,
        }
    }
}

/// Which entries to read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Range<'a> {
    /// Upwards from `start`, which has the prefix, as long as keys have it.
    Up { prefix: &'a [u8], start: &'a [u8] },
    /// All with a prefix, upwards, once: read ahead and kept out of the caches.
    Bulk { prefix: &'a [u8] },
    /// Downwards from below `end` to `first`, which is included.
    Down { first: &'a [u8], end: &'a [u8] },
}

/// Changes that belong together.
#[must_use = "nothing is stored before the batch is written"]
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(super) changes: Vec<Change>,
}

/// A column's entry gets this value, or is deleted.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) column: Column,
    pub(super) key: Vec<u8>,
    pub(super) value: Option<Vec<u8>>,
}

impl Batch {
    pub(crate) fn put(
        &mut self,
        column: Column,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
    ) {
        self.changes.push(Change {
            column,
            key: key.into(),
            value: Some(value.into()),
        });
    }

    pub(crate) fn delete(&mut self, column: Column, key: impl Into<Vec<u8>>) {
        self.changes.push(Change {
            column,
            key: key.into(),
            value: None,
        });
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        let bytes = |change: &Change| change.key.len() + change.value.as_ref().map_or(0, Vec::len);
        self.changes.iter().map(bytes).sum()
    }
}

/// A database.
pub(super) trait Database: Send + Sync {
    /// One value.
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Slice<'_>>, StoreError>;

    /// Values in the order of the keys, which may be `sorted`.
    fn get_many(
        &self,
        column: Column,
        keys: &[Vec<u8>],
        sorted: bool,
    ) -> Result<Vec<Option<Slice<'_>>>, StoreError>;

    /// A range of entries as they are now.
    fn scan<'a>(&'a self, column: Column, range: Range<'a>) -> Result<Entries<'a>, StoreError>;

    /// Writes a batch whole or not at all; if `sync`, it outlives a power cut when this returns.
    fn write(&self, batch: Batch, sync: bool) -> Result<(), StoreError>;

    /// How much room the disk has.
    fn free_bytes(&self) -> Result<u64, StoreError>;

    /// Moves a column from the log to its tables, if there are such.
    #[cfg(test)]
    fn flush(&self, _column: Column) -> Result<(), StoreError> {
        Ok(())
    }
}
