//! The one database of a node: column families by kind, the number of a chain before every key.
//!
//! | column | key after the chain's number | value |
//! | --- | --- | --- |
//! | `meta` | (no number) `format`; `chain/` name; `head/` number | format version; chain; last block |
//! | `headers` | height | [`crate::evidence::SealedHeader`] |
//! | `bodies` | height, header digest | [`Body`], also of proposals that are not decided |
//! | `receipts` | height | receipts, one after the other |
//! | `index` | 0, block id | height |
//! | `index` | 1, transaction id | height, place |
//! | `values` | state key | height of its last change, value; no value: deleted |
//! | `past_values` | state key, height of change | value until the next change; empty: absent |
//! | `history` | level, index | node of the history |
//! | `state_buckets` | bucket | see [`crate::state`] |
//!
//! Numbers are big-endian, so that they sort. Everything of a block but its body goes in with one
//! atomic, synced write; the body was synced before anybody voted for it and stays where it is.
//!
//! # Recovery
//!
//! A process that is killed may leave the last record of the write-ahead log half written; that
//! write was never acknowledged. RocksDB's mode `TolerateCorruptedTailRecords` drops such a tail
//! and refuses any other damage. The default mode would silently stop at the first damage, losing
//! acknowledged blocks; the strictest mode would refuse to start after an ordinary kill. One hole is
//! closed here: a record whose *length* is damaged looks like a torn tail, so [`tail`] tells them
//! apart before the database is opened.
//!
//! # A full disk
//!
//! RocksDB refuses everything after a write that found the disk full, and the state in memory would be
//! ahead of the disk. So nothing is written while less than a reserve is free ([`Store::check_room`]):
//! bodies and blocks are refused before anything has changed, and taken when there is room again.

mod buckets;
#[cfg(feature = "store")]
mod columns;
mod database;
mod error;
mod memory;
#[cfg(feature = "store")]
mod rocks;
#[cfg(feature = "store")]
mod tail;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use certchain_proto::{
    BlockHeader, ChainId, CommitCertificate, codec,
    limits::{MAX_BLOCK_BYTES, MAX_BLOCK_TRANSACTIONS, MAX_CERTIFICATE_BYTES},
};
use serde::{Deserialize, Serialize};

pub use buckets::StateBuckets;
pub use database::Batch;
#[cfg(all(test, feature = "store"))]
pub(crate) use database::STATE_BUCKETS;
pub(crate) use database::Slice;
pub(crate) use database::{
    BODIES, Column, Entry, HEADERS, HISTORY, INDEX, META, PAST_VALUES, RECEIPTS, Range, VALUES,
};
use database::{Database, Entries};
pub use error::StoreError;
pub use memory::{DiskFault, MemoryDisk};
#[cfg(feature = "store")]
use rocks::RocksDatabase;

/// Version of the layout above. Another one is refused, never guessed at.
const FORMAT: u32 = 1;
const FORMAT_KEY: &[u8] = b"format";
const CHAIN_PREFIX: &[u8] = b"chain/";
const HEAD_PREFIX: &[u8] = b"head/";

/// Largest encoding of a stored body.
pub(crate) const MAX_BODY_BYTES: usize =
    MAX_BLOCK_BYTES + MAX_BLOCK_TRANSACTIONS * 8 + MAX_CERTIFICATE_BYTES + 4096;
/// Largest encoding of a stored sealed header.
pub(crate) const MAX_HEADER_BYTES: usize = MAX_CERTIFICATE_BYTES + 4096;

/// How much memory the database may take, and how much of the disk it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// Bytes of blocks kept in memory, over all columns and chains.
    pub cache_bytes: usize,
    /// Bytes of writes kept in memory, over all columns and chains.
    pub write_buffer_bytes: usize,
    /// Bytes that must be free on the disk before anything is written; see [`Store::check_room`].
    pub reserve_bytes: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 96 << 20,
            write_buffer_bytes: 96 << 20,
            // The write buffers go to disk twice, as log and as tables; the rest is for merging them.
            reserve_bytes: 256 << 20,
        }
    }
}

/// A block's order with all that it stands for: what a proposal is once its transactions are there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// The order.
    pub header: BlockHeader,
    /// The certificate of the block before that the header names.
    pub parent_certificate: CommitCertificate,
    /// Encoded `SignedTransaction` messages in order.
    pub transactions: Vec<Vec<u8>>,
}

/// A chain that the database holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredChain {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: ChainId,
    /// Its number in this database.
    pub number: u16,
}

#[derive(Serialize, Deserialize)]
struct ChainEntry {
    number: u16,
    id: ChainId,
}

/// The database of a node.
pub struct Store {
    database: Box<dyn Database>,
    path: PathBuf,
    read_only: bool,
    reserve_bytes: u64,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.path.display())
    }
}

#[cfg(feature = "store")]
impl Store {
    /// Opens the database at `path`, or makes it. One process at a time can hold it.
    ///
    /// # Errors
    /// If another process holds it, it is damaged, was written in another format, or the disk
    /// fails.
    pub fn open(path: &Path, options: &StoreOptions) -> Result<Arc<Self>, StoreError> {
        tail::check(path)?;
        let database = RocksDatabase::open(path, options)?;
        Self::begin(Box::new(database), path, options.reserve_bytes)
    }

    /// Opens the database to read it, and changes nothing. Works beside a process that holds it;
    /// later writes of that process are not seen.
    ///
    /// # Errors
    /// As [`Self::open`], and if there is no database.
    pub fn open_read_only(path: &Path, options: &StoreOptions) -> Result<Arc<Self>, StoreError> {
        if !path.join("CURRENT").is_file() {
            return Err(StoreError::Missing {
                path: path.to_owned(),
            });
        }
        tail::check(path)?;
        Self::open_to_read(path, options, false)
    }

    /// Opens what can be read of a damaged database, up to the first damage, to tell where that is.
    pub(crate) fn open_damaged(path: &Path) -> Result<Arc<Self>, StoreError> {
        Self::open_to_read(path, &StoreOptions::default(), true)
    }

    fn open_to_read(
        path: &Path,
        options: &StoreOptions,
        up_to_damage: bool,
    ) -> Result<Arc<Self>, StoreError> {
        let store = Self {
            database: Box::new(RocksDatabase::open_to_read(path, options, up_to_damage)?),
            path: path.to_owned(),
            read_only: true,
            reserve_bytes: options.reserve_bytes,
        };
        match store.format()? {
            Some(_) => Ok(Arc::new(store)),
            None => Err(StoreError::corrupt("the format version is missing")),
        }
    }
}

impl Store {
    /// Opens what a disk in memory holds, or makes it.
    ///
    /// # Errors
    /// As the daemon's database does.
    pub fn in_memory(disk: &Arc<MemoryDisk>) -> Result<Arc<Self>, StoreError> {
        Self::begin(Box::new(Arc::clone(disk)), Path::new("memory"), 1)
    }

    /// Takes up a database that may be new.
    fn begin(
        database: Box<dyn Database>,
        path: &Path,
        reserve_bytes: u64,
    ) -> Result<Arc<Self>, StoreError> {
        let store = Self {
            database,
            path: path.to_owned(),
            read_only: false,
            reserve_bytes,
        };
        if store.format()?.is_none() {
            if !store.chains()?.is_empty() {
                return Err(StoreError::corrupt("the format version is missing"));
            }
            let mut batch = Batch::default();
            batch.put(META, FORMAT_KEY, FORMAT.to_le_bytes());
            store.write(batch, true)?;
        }
        Ok(Arc::new(store))
    }

    /// The format, if the database is not new.
    fn format(&self) -> Result<Option<u32>, StoreError> {
        let Some(bytes) = self.get(META, FORMAT_KEY)? else {
            return Ok(None);
        };
        match (&bytes[..]).try_into().map(u32::from_le_bytes) {
            Ok(FORMAT) => Ok(Some(FORMAT)),
            Ok(found) => Err(StoreError::Format {
                found,
                supported: FORMAT,
            }),
            Err(_) => Err(StoreError::corrupt("the format version is malformed")),
        }
    }

    /// The chains in it.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn chains(&self) -> Result<Vec<StoredChain>, StoreError> {
        let mut chains = Vec::new();
        let range = Range::Up {
            prefix: CHAIN_PREFIX,
            start: CHAIN_PREFIX,
        };
        for entry in self.scan(META, range)? {
            let (key, value) = entry?;
            let name = key.get(CHAIN_PREFIX.len()..).unwrap_or_default();
            let name = String::from_utf8(name.to_vec())
                .map_err(|_| StoreError::corrupt("a chain's name is malformed"))?;
            let entry: ChainEntry = codec::decode(&value, 64).map_err(|_| {
                StoreError::corrupt(format!("the entry of chain {name} is malformed"))
            })?;
            chains.push(StoredChain {
                name,
                id: entry.id,
                number: entry.number,
            });
        }
        Ok(chains)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the disk has room for a block. Asked before the first byte of it is written: what is
    /// kept free suffices for all that RocksDB still has in memory, so that neither a block nor the
    /// work behind it finds the disk full halfway.
    ///
    /// # Errors
    /// [`StoreError::NoRoom`] if less is free than the reserve, or if the system does not tell.
    pub fn check_room(&self) -> Result<(), StoreError> {
        let free = self.database.free_bytes()?;
        if free < self.reserve_bytes {
            return Err(StoreError::NoRoom {
                path: self.path.clone(),
                free,
                reserve: self.reserve_bytes,
            });
        }
        Ok(())
    }

    /// Whether it was opened to be read only.
    pub const fn is_read_only(&self) -> bool {
        self.read_only
    }

    pub(crate) fn get(
        &self,
        column: Column,
        key: impl AsRef<[u8]>,
    ) -> Result<Option<Slice<'_>>, StoreError> {
        self.database.get(column, key.as_ref())
    }

    /// Values in the order of the keys, which may be `sorted`.
    pub(crate) fn get_many(
        &self,
        column: Column,
        keys: &[Vec<u8>],
        sorted: bool,
    ) -> Result<Vec<Option<Slice<'_>>>, StoreError> {
        self.database.get_many(column, keys, sorted)
    }

    pub(crate) fn scan<'a>(
        &'a self,
        column: Column,
        range: Range<'a>,
    ) -> Result<Entries<'a>, StoreError> {
        self.database.scan(column, range)
    }

    /// Writes a batch whole or not at all; if `sync`, it outlives a power cut when this returns.
    ///
    /// # Errors
    /// If the disk fails or is full.
    pub fn write(&self, batch: Batch, sync: bool) -> Result<(), StoreError> {
        self.database.write(batch, sync)
    }

    #[cfg(test)]
    pub(crate) fn flush(&self, column: Column) -> Result<(), StoreError> {
        self.database.flush(column)
    }

    /// The key and value that make a chain known.
    pub(crate) fn chain_entry(name: &str, number: u16, id: ChainId) -> (Vec<u8>, Vec<u8>) {
        let key = [CHAIN_PREFIX, name.as_bytes()].concat();
        (key, codec::encode(&ChainEntry { number, id }))
    }

    /// The key of a chain's last block.
    pub(crate) fn head_key(number: u16) -> Vec<u8> {
        [HEAD_PREFIX, &number.to_be_bytes()].concat()
    }
}
