//! The state tree's buckets in the store: one column, the chain's number before each bucket's.

use std::sync::Arc;

use super::{
    Store, StoreError,
    database::{Batch, Range, STATE_BUCKETS},
};
use crate::state::{BucketFault, BucketId, BucketWrites, StateError, TreeStore, Visit};

/// The buckets of one chain. What a commit changes is written by the caller, with its block.
#[derive(Clone, Debug)]
pub struct StateBuckets {
    store: Arc<Store>,
    prefix: [u8; 2],
}

impl StateBuckets {
    /// The buckets of the chain with this number.
    pub const fn new(store: Arc<Store>, number: u16) -> Self {
        Self {
            store,
            prefix: number.to_be_bytes(),
        }
    }

    /// Adds the writes of a commit to the batch of its block.
    pub fn append(&self, writes: &BucketWrites, batch: &mut Batch) {
        for write in writes.iter() {
            let key = self.key(write.id);
            match &write.value {
                Some(value) => batch.put(STATE_BUCKETS, key, &value[..]),
                None => batch.delete(STATE_BUCKETS, key),
            }
        }
    }

    fn key(&self, id: BucketId) -> [u8; 6] {
        let ([a, b], [c, d, e, f]) = (self.prefix, id.get().to_be_bytes());
        [a, b, c, d, e, f]
    }
}

fn failed(error: StoreError) -> StateError {
    StateError::Store(Box::new(error))
}

impl TreeStore for StateBuckets {
    fn read_buckets(&self, ids: &[BucketId]) -> Result<Vec<Option<Arc<[u8]>>>, StateError> {
        let keys: Vec<Vec<u8>> = ids.iter().map(|id| self.key(*id).to_vec()).collect();
        let values = self.store.get_many(STATE_BUCKETS, &keys, true);
        let values = values.map_err(failed)?.into_iter();
        Ok(values
            .map(|value| value.map(|bytes| Arc::from(&bytes[..])))
            .collect())
    }

    fn scan_buckets(&self, visit: &mut Visit<'_>) -> Result<(), StateError> {
        let range = Range::Bulk {
            prefix: &self.prefix,
        };
        for entry in self.store.scan(STATE_BUCKETS, range).map_err(failed)? {
            let (key, value) = entry.map_err(failed)?;
            let number = key.strip_prefix(&self.prefix[..]).unwrap_or_default();
            match number.try_into() {
                Ok(number) => visit(BucketId::new(u32::from_be_bytes(number)), &value)?,
                Err(_) => {
                    let (id, fault) = (BucketId::new(u32::MAX), BucketFault::StoredKey);
                    return Err(StateError::CorruptBucket { id, fault });
                }
            }
        }
        Ok(())
    }
}

#[cfg(all(test, feature = "store"))]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use certchain_proto::hash::ValueHash;

    use super::*;
    use crate::{
        state::{StateKey, StateTree},
        store::{MemoryDisk, StoreOptions},
    };

    fn updates(from: u32, to: u32, salt: u8) -> Vec<(StateKey, Option<ValueHash>)> {
        let update = |index: u32| {
            let hash = blake3::hash(&index.to_le_bytes());
            let key = StateKey::new(&[&[1][..], hash.as_bytes()].concat()).unwrap();
            (
                key,
                (index % 5 != 4 || salt == 0).then(|| ValueHash::of(&[salt])),
            )
        };
        (from..to).map(update).collect()
    }

    /// Opens the same store anew each time: on the disk, and in memory.
    fn each_kind(test: impl Fn(&dyn Fn() -> Arc<Store>)) {
        let folder = tempfile::tempdir().unwrap();
        test(&|| Store::open(folder.path(), &StoreOptions::default()).unwrap());
        let disk = Arc::new(MemoryDisk::default());
        test(&|| Store::in_memory(&disk).unwrap());
    }

    #[test]
    fn two_chains_share_the_column_and_reopen() {
        each_kind(|open| {
            let mut expected = Vec::new();
            {
                let store = open();
                for chain in 0..2_u16 {
                    let salt = 1 + chain as u8;
                    let buckets = StateBuckets::new(Arc::clone(&store), chain);
                    let mut tree = StateTree::open(buckets, None, 4).unwrap();
                    for (from, to, salt) in [(0, 3_000, 0), (2_000, 4_000, salt), (100, 103, 9)] {
                        let pending = tree.apply(tree.height(), updates(from, to, salt)).unwrap();
                        let writes = tree.commit(pending).unwrap();
                        let mut batch = Batch::default();
                        tree.store().append(&writes, &mut batch);
                        store.write(batch, false).unwrap();
                    }
                    expected.push((tree.height().unwrap(), tree.root()));
                }
            }
            assert_ne!(expected[0], expected[1]);
            let store = open();
            for (chain, newest) in expected.iter().enumerate() {
                let buckets = StateBuckets::new(Arc::clone(&store), chain as u16);
                let tree = StateTree::open(buckets, Some(*newest), 4).unwrap();
                for (key, value) in updates(2_500, 3_500, 1 + chain as u8) {
                    assert_eq!(tree.get(&key).unwrap(), value);
                    let proof = tree.prove(newest.0, &key).unwrap();
                    assert_eq!(proof.verify(&newest.1, &key), Ok(value));
                }
            }
            let buckets = StateBuckets::new(store, 0);
            assert!(matches!(
                StateTree::open(buckets, Some(expected[1]), 4),
                Err(StateError::RootMismatch { .. })
            ));
        });
    }

    #[test]
    fn foreign_keys_are_refused() {
        each_kind(|open| {
            let store = open();
            let mut batch = Batch::default();
            batch.put(STATE_BUCKETS, [0, 7, 1, 2], *b"not a bucket");
            store.write(batch, true).unwrap();
            assert!(matches!(
                StateTree::open(StateBuckets::new(store, 7), None, 4),
                Err(StateError::CorruptBucket {
                    fault: BucketFault::StoredKey,
                    ..
                })
            ));
        });
    }
}
