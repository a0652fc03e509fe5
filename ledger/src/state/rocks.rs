//! Buckets in RocksDB: one column family, the chain's prefix before each bucket number.

use std::sync::Arc;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, DB, DBCompressionType, DataBlockIndexType, Direction,
    IteratorMode, Options, ReadOptions, WriteBatch,
};

use super::bucket::BucketFault;
use super::error::StateError;
use super::store::{BucketId, BucketWrites, TreeStore, Visit};

/// Name of the column family that holds the buckets of all chains.
pub const COLUMN_FAMILY: &str = "state_buckets";

/// Block cache that a node should give to the buckets, besides what the trees keep.
pub const BLOCK_CACHE_BYTES: usize = 32 << 20;

/// Options of the column family. What shapes them: values of some 400 bytes that are mostly hashes
/// and do not compress, point reads in ascending order of keys that nearly always exist, and
/// overwriting at random.
pub fn column_options(cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_block_size(4 << 10);
    table.set_bloom_filter(10.0, false);
    table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_compression_type(DBCompressionType::None);
    options.set_optimize_filters_for_hits(true);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_write_buffer_size(32 << 20);
    options.set_max_write_buffer_number(3);
    options.set_target_file_size_base(32 << 20);
    options
}

/// The buckets of one chain in a database that the caller owns, as do all writes.
#[derive(Clone)]
pub struct RocksBuckets {
    db: Arc<DB>,
    column: String,
    prefix: Vec<u8>,
}

/// The database has no column family for buckets.
#[derive(Debug, thiserror::Error)]
#[error("the database has no column family {column}; create it with state::rocks::column_options")]
pub struct MissingColumn {
    column: String,
}

impl std::fmt::Debug for RocksBuckets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "RocksBuckets({}, {})",
            self.column,
            hex::encode(&self.prefix)
        )
    }
}

impl RocksBuckets {
    /// The buckets under `prefix` in a column family. Prefixes of chains that share it must have
    /// one length.
    pub fn new(db: Arc<DB>, column: &str, prefix: &[u8]) -> Result<Self, StateError> {
        let buckets = Self {
            db,
            column: column.to_owned(),
            prefix: prefix.to_vec(),
        };
        buckets.column()?;
        Ok(buckets)
    }

    /// Adds the writes of a commit to the batch of its block.
    pub fn append(&self, writes: &BucketWrites, batch: &mut WriteBatch) -> Result<(), StateError> {
        let column = self.column()?;
        let mut key = Vec::new();
        for write in writes.iter() {
            key.clear();
            self.push_key(write.id, &mut key);
            match &write.value {
                Some(value) => batch.put_cf(column, &key, value),
                None => batch.delete_cf(column, &key),
            }
        }
        Ok(())
    }

    fn column(&self) -> Result<&ColumnFamily, StateError> {
        let missing = || MissingColumn {
            column: self.column.clone(),
        };
        self.db
            .cf_handle(&self.column)
            .ok_or_else(|| StateError::Store(Box::new(missing())))
    }

    fn push_key(&self, id: BucketId, keys: &mut Vec<u8>) {
        keys.extend_from_slice(&self.prefix);
        keys.extend_from_slice(&id.get().to_be_bytes());
    }
}

fn failed(error: rocksdb::Error) -> StateError {
    StateError::Store(Box::new(error))
}

impl TreeStore for RocksBuckets {
    fn read_buckets(&self, ids: &[BucketId]) -> Result<Vec<Option<Arc<[u8]>>>, StateError> {
        let column = self.column()?;
        let mut keys = Vec::new();
        for id in ids {
            self.push_key(*id, &mut keys);
        }
        if ids.len() == 1 {
            let value = self.db.get_pinned_cf(column, &keys).map_err(failed)?;
            return Ok(vec![value.map(|value| Arc::from(&value[..]))]);
        }
        let keys = keys.chunks_exact(self.prefix.len() + 4);
        let values = self.db.batched_multi_get_cf(column, keys, true);
        values
            .into_iter()
            .map(|value| Ok(value.map_err(failed)?.map(|value| Arc::from(&value[..]))))
            .collect()
    }

    fn scan_buckets(&self, visit: &mut Visit<'_>) -> Result<(), StateError> {
        let mut options = ReadOptions::default();
        options.set_readahead_size(2 << 20);
        options.fill_cache(false);
        let start = IteratorMode::From(&self.prefix, Direction::Forward);
        for item in self.db.iterator_cf_opt(self.column()?, options, start) {
            let (key, value) = item.map_err(failed)?;
            let Some(number) = key.strip_prefix(&self.prefix[..]) else {
                break;
            };
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use certchain_proto::hash::ValueHash;

    use super::super::{StateKey, StateTree};
    use super::*;

    fn database(path: &std::path::Path) -> Arc<DB> {
        let cache = Cache::new_lru_cache(1 << 20);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        let columns = [(COLUMN_FAMILY, column_options(&cache))];
        Arc::new(DB::open_cf_with_opts(&options, path, columns).unwrap())
    }

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

    #[test]
    fn two_chains_share_a_column_family_and_reopen() {
        let directory = tempfile::tempdir().unwrap();
        let mut expected = Vec::new();
        {
            let db = database(directory.path());
            for chain in 0..2_u8 {
                let store = RocksBuckets::new(Arc::clone(&db), COLUMN_FAMILY, &[chain]).unwrap();
                let mut tree = StateTree::open(store, None, 4).unwrap();
                for (from, to, salt) in [(0, 3_000, 0), (2_000, 4_000, 1 + chain), (100, 103, 9)] {
                    let pending = tree.apply(tree.height(), updates(from, to, salt)).unwrap();
                    let writes = tree.commit(pending).unwrap();
                    let mut batch = WriteBatch::default();
                    tree.store().append(&writes, &mut batch).unwrap();
                    db.write(batch).unwrap();
                }
                expected.push((tree.height().unwrap(), tree.root()));
            }
        }
        assert_ne!(expected[0], expected[1]);
        let db = database(directory.path());
        for (chain, newest) in expected.iter().enumerate() {
            let prefix = [chain as u8];
            let store = RocksBuckets::new(Arc::clone(&db), COLUMN_FAMILY, &prefix).unwrap();
            let tree = StateTree::open(store, Some(*newest), 4).unwrap();
            for (key, value) in updates(2_500, 3_500, 1 + chain as u8) {
                assert_eq!(tree.get(&key).unwrap(), value);
                let proof = tree.prove(newest.0, &key).unwrap();
                assert_eq!(proof.verify(&newest.1, &key), Ok(value));
            }
        }
        let store = RocksBuckets::new(Arc::clone(&db), COLUMN_FAMILY, &[0]).unwrap();
        assert!(matches!(
            StateTree::open(store, Some(expected[1]), 4),
            Err(StateError::RootMismatch { .. })
        ));
    }

    #[test]
    fn foreign_keys_and_a_missing_column_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let db = database(directory.path());
        assert!(matches!(
            RocksBuckets::new(Arc::clone(&db), "elsewhere", &[0]),
            Err(StateError::Store(_))
        ));
        let column = db.cf_handle(COLUMN_FAMILY).unwrap();
        db.put_cf(column, [7, 1, 2], b"not a bucket").unwrap();
        let store = RocksBuckets::new(Arc::clone(&db), COLUMN_FAMILY, &[7]).unwrap();
        assert!(matches!(
            StateTree::open(store, None, 4),
            Err(StateError::CorruptBucket {
                fault: BucketFault::StoredKey,
                ..
            })
        ));
    }
}
