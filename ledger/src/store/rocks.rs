//! RocksDB behind the seam.

use std::path::{Path, PathBuf};

use rocksdb::{
    ColumnFamily, DB, DBRecoveryMode, Direction, IteratorMode, ReadOptions, WriteBatch,
    WriteOptions,
};

use super::{
    StoreError, StoreOptions, columns,
    database::{Batch, Column, Database, Entries, Range, Slice},
};

/// Read at once by a scan of everything.
const READ_AHEAD_BYTES: usize = 2 << 20;

/// The database of a daemon.
pub(super) struct RocksDatabase {
    db: DB,
    path: PathBuf,
}

impl RocksDatabase {
    /// Opens the database at `path`, or makes it.
    pub(super) fn open(path: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        let (db_options, columns) = columns::options(options, false);
        let db = DB::open_cf_descriptors(&db_options, path, columns)
            .map_err(|error| StoreError::opening(path, &error))?;
        Ok(Self::of(db, path))
    }

    fn of(db: DB, path: &Path) -> Self {
        Self {
            db,
            path: path.to_owned(),
        }
    }

    /// Opens the database at `path` beside a process that may hold it; of a damaged one, what comes
    /// before the damage, if that is wanted.
    pub(super) fn open_to_read(
        path: &Path,
        options: &StoreOptions,
        up_to_damage: bool,
    ) -> Result<Self, StoreError> {
        let (mut db_options, columns) = columns::options(options, true);
        if up_to_damage {
            db_options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
        }
        let db = DB::open_cf_descriptors_read_only(&db_options, path, columns, false)
            .map_err(|error| StoreError::opening(path, &error))?;
        Ok(Self::of(db, path))
    }

    fn column(&self, name: Column) -> Result<&ColumnFamily, StoreError> {
        self.db.cf_handle(name).ok_or(StoreError::Column { name })
    }
}

impl Database for RocksDatabase {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Slice<'_>>, StoreError> {
        let found = self.db.get_pinned_cf(self.column(column)?, key)?;
        Ok(found.map(Slice::Pinned))
    }

    fn get_many(
        &self,
        column: Column,
        keys: &[Vec<u8>],
        sorted: bool,
    ) -> Result<Vec<Option<Slice<'_>>>, StoreError> {
        let column = self.column(column)?;
        if let [key] = keys {
            let found = self.db.get_pinned_cf(column, key)?;
            return Ok(vec![found.map(Slice::Pinned)]);
        }
        let found = self.db.batched_multi_get_cf(column, keys, sorted);
        found
            .into_iter()
            .map(|value| Ok(value?.map(Slice::Pinned)))
            .collect()
    }

    fn scan<'a>(&'a self, column: Column, range: Range<'a>) -> Result<Entries<'a>, StoreError> {
        let column = self.column(column)?;
        let mut options = ReadOptions::default();
        let (prefix, mode) = match range {
            Range::Up { prefix, start } => (prefix, IteratorMode::From(start, Direction::Forward)),
            Range::Bulk { prefix } => {
                options.set_readahead_size(READ_AHEAD_BYTES);
                options.fill_cache(false);
                (prefix, IteratorMode::From(prefix, Direction::Forward))
            }
            Range::Down { first, end } => {
                options.set_iterate_lower_bound(first);
                options.set_iterate_upper_bound(end);
                let entries = self.db.iterator_cf_opt(column, options, IteratorMode::End);
                return Ok(Box::new(entries.map(|entry| Ok(entry?))));
            }
        };
        let entries = self.db.iterator_cf_opt(column, options, mode);
        let wanted = entries.take_while(move |entry| match entry {
            Ok((key, _)) => key.starts_with(prefix),
            Err(_) => true,
        });
        Ok(Box::new(wanted.map(|entry| Ok(entry?))))
    }

    fn write(&self, batch: Batch, sync: bool) -> Result<(), StoreError> {
        let mut record = WriteBatch::with_capacity_bytes(batch.bytes() + 16 * batch.changes.len());
        for change in &batch.changes {
            let column = self.column(change.column)?;
            match &change.value {
                Some(value) => record.put_cf(column, &change.key, value),
                None => record.delete_cf(column, &change.key),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        Ok(self.db.write_opt(record, &options)?)
    }

    fn free_bytes(&self) -> Result<u64, StoreError> {
        let disk = rustix::fs::statvfs(&self.path).map_err(|error| StoreError::File {
            path: self.path.clone(),
            source: error.into(),
        })?;
        // What is kept for the superuser does not count.
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    #[cfg(test)]
    fn flush(&self, column: Column) -> Result<(), StoreError> {
        Ok(self.db.flush_cf(self.column(column)?)?)
    }
}
