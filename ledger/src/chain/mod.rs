//! One chain in the database: its head, the judging and execution of blocks on top of it, and all
//! that can be asked about it.
//!
//! Any number of threads may read, judge and execute; commits are made one after the other. Readers
//! wait for a commit only while the tree takes over its new nodes, never while the disk writes.

mod body;
mod check;
mod commit;
mod draft;
mod error;
mod head;
mod lists;
mod main_reader;
mod open;
mod prove;
mod read;
mod reader;
mod sets;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use certchain_proto::{
    ChainId,
    hash::{HeaderDigest, HistoryRoot},
};

use crate::{
    execution::Application,
    history::History,
    state::{StateTree, TreeCounters, TreeMemory},
    store::{StateBuckets, Store},
};

pub(crate) use body::body_key;
pub use check::CheckedBlock;
pub(crate) use check::{check_checkpoint, check_contents, check_header, check_parent_certificate};
pub use commit::{Committed, Executed};
pub(crate) use commit::{decode_parameters, history_key};
pub use draft::Draft;
pub use error::{BlockError, BlockFault, CommitError, ExecuteError, OpenError, ProveError};
pub use head::{Head, next_offset};
pub(crate) use lists::list_key;
pub use lists::{ListPosition, Listed};
pub(crate) use main_reader::{MainAt, MainReader, main_at};
pub(crate) use open::{chain_number, head_pointer};
pub use read::TransactionRecord;
pub(crate) use read::{BLOCK_TAG, TRANSACTION_TAG, encode_place, header};
pub(crate) use reader::{Fetched, StateReader, Stored, key as number_key};

/// What is chosen per node, since no other node can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainOptions {
    /// Whether a commit is on disk when it returns. Off only for replays that can be made again.
    pub sync: bool,
    /// How many of the newest states can be proven.
    pub provable_heights: usize,
    /// Memory of the state tree's cache in bytes.
    pub cache_bytes: usize,
}

impl Default for ChainOptions {
    fn default() -> Self {
        Self {
            sync: true,
            provable_heights: crate::state::DEFAULT_WINDOW,
            cache_bytes: crate::state::DEFAULT_CACHE_BYTES,
        }
    }
}

/// What the blocks of a chain mean, and what they stand on.
#[derive(Clone, Debug)]
pub struct ChainRules {
    /// The rules of its transactions.
    pub application: Arc<dyn Application>,
    /// On a side chain: main, in the same database.
    pub main: Option<Arc<Chain>>,
}

impl ChainRules {
    /// The rules of a chain that stands on no other.
    pub fn main(application: impl Application + 'static) -> Self {
        Self {
            application: Arc::new(application),
            main: None,
        }
    }

    /// The rules of a side chain.
    pub fn side(application: impl Application + 'static, main: Arc<Chain>) -> Self {
        Self {
            application: Arc::new(application),
            main: Some(main),
        }
    }
}

/// What only commits change.
struct Tip {
    /// Of all blocks up to the head.
    history: History,
    /// Bodies on disk for the height after the head.
    bodies: BTreeSet<HeaderDigest>,
}

/// One chain.
pub struct Chain {
    store: Arc<Store>,
    name: String,
    id: ChainId,
    number: u16,
    options: ChainOptions,
    rules: ChainRules,
    /// Main as this side chain reads it.
    main: Option<MainReader>,
    tree: RwLock<StateTree<StateBuckets>>,
    head: RwLock<Arc<Head>>,
    tip: Mutex<Tip>,
    /// What the last draft found out, for the check of the block that is made of it.
    drafted: Mutex<Option<draft::Evaluated>>,
    /// A write failed after the tree had gone on.
    broken: AtomicBool,
}

/// Numbers for an operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainMetrics {
    /// What the state tree has done since the chain was opened.
    pub tree: TreeCounters,
    /// The memory that it holds.
    pub memory: TreeMemory,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chain({} at {})", self.name, self.head().height())
    }
}

impl Chain {
    /// The chain's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The chain's id.
    pub const fn id(&self) -> ChainId {
        self.id
    }

    /// The last committed block.
    pub fn head(&self) -> Arc<Head> {
        Arc::clone(&self.head.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What its transactions mean.
    pub fn application(&self) -> &Arc<dyn Application> {
        &self.rules.application
    }

    /// On a side chain: main.
    pub const fn main_chain(&self) -> Option<&Arc<Self>> {
        self.rules.main.as_ref()
    }

    /// This chain as a side chain's main.
    fn as_main(&self) -> MainReader {
        MainReader::new(Arc::clone(&self.store), self.number)
    }

    /// What the header after the head must name as history root.
    pub fn next_history_root(&self) -> HistoryRoot {
        self.head().next_history_root
    }

    /// [`crate::store::Store::check_room`] of its database.
    ///
    /// # Errors
    /// As there.
    pub fn check_room(&self) -> Result<(), crate::store::StoreError> {
        self.store.check_room()
    }

    /// Numbers for an operator. Walks the window of the tree.
    pub fn metrics(&self) -> ChainMetrics {
        let tree = self.tree();
        ChainMetrics {
            tree: tree.counters(),
            memory: tree.memory(),
        }
    }

    // A thread that panicked while it held one of these locks has broken an invariant of ours;
    // commits put everything that can fail before the first change, so the data is still whole.

    fn tree(&self) -> RwLockReadGuard<'_, StateTree<StateBuckets>> {
        self.tree.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn tree_mut(&self) -> RwLockWriteGuard<'_, StateTree<StateBuckets>> {
        self.tree.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn tip(&self) -> MutexGuard<'_, Tip> {
        self.tip.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self) -> StateReader<'_> {
        StateReader::new(&self.store, self.number)
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }
}

#[cfg(all(test, feature = "store"))]
mod damage_tests;
#[cfg(all(test, feature = "store"))]
mod reading_tests;
#[cfg(all(test, feature = "store"))]
mod sets_tests;
#[cfg(all(test, feature = "store"))]
mod tests;
