//! The tree: its committed versions, and how a pending update becomes the newest one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use certchain_proto::Height;
use certchain_proto::hash::StateRoot;

use super::arena::{Arena, Bucket, Child, IdPool, NodeRef};
use super::bucket::{BucketFault, Leaf, unpack};
use super::cache::{Cache, DEFAULT_CACHE_BYTES, size};
use super::error::StateError;
use super::hash::empty_root;
use super::store::{BucketWrite, BucketWrites, TreeStore};
use super::update::{Pending, Retired};

/// How many of the newest versions stay provable unless the caller says otherwise.
pub const DEFAULT_WINDOW: usize = 64;

/// The authenticated state of one chain.
///
/// Reading, proving and [`Self::apply`] take `&self` and may run side by side; [`Self::commit`]
/// takes `&mut self` and is short, so the owner puts the tree behind a read-write lock. The lock
/// need not be held while the block is written to disk: what a commit wrote is answered from memory
/// until the next commit, before which the write must have succeeded. If the write fails, the tree
/// is ahead of the disk and must be opened anew.
#[derive(Debug)]
pub struct StateTree<S> {
    pub(super) store: S,
    pub(super) arena: Arena,
    pub(super) ids: IdPool,
    /// Oldest first; empty before genesis. Heights are consecutive.
    pub(super) versions: VecDeque<Version>,
    pub(super) window: usize,
    cache: Cache,
    /// Tells pending updates of this tree from those of others.
    pub(super) identity: Arc<()>,
    pub(super) counters: Counters,
}

/// One committed version.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) height: Height,
    /// `None` if the tree is empty.
    pub(super) top: Option<Child>,
    /// The nodes that the next version no longer has.
    pub(super) retired: Retired,
}

impl Version {
    fn root(&self) -> StateRoot {
        root_of(self.top.as_ref())
    }
}

/// The root of a tree with this topmost node.
pub(super) fn root_of(top: Option<&Child>) -> StateRoot {
    top.map_or_else(empty_root, |top| StateRoot::from_bytes(top.hash))
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) hashed: AtomicU64,
    pub(super) read: AtomicU64,
    written: AtomicU64,
    bytes: AtomicU64,
}

/// What a tree has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeCounters {
    /// Hashes computed.
    pub nodes_hashed: u64,
    /// Buckets read from the store.
    pub buckets_read: u64,
    /// Buckets written or deleted.
    pub buckets_written: u64,
    /// Bytes of bucket numbers and values handed to the store.
    pub bytes_written: u64,
}

/// The memory that a tree holds, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeMemory {
    /// Nodes above the leaves, of all versions in the window.
    pub nodes: usize,
    /// Buckets kept since they were written, within the limit of the cache.
    pub cache: usize,
    /// Overwritten buckets, kept for proofs of earlier versions.
    pub history: usize,
}

impl<S: TreeStore> StateTree<S> {
    pub(super) fn assemble(store: S, arena: Arena, ids: IdPool, window: usize) -> Self {
        Self {
            store,
            arena,
            ids,
            versions: VecDeque::new(),
            window: window.max(1),
            cache: Cache::new(DEFAULT_CACHE_BYTES),
            identity: Arc::new(()),
            counters: Counters::default(),
        }
    }

    /// The newest version's height; `None` before genesis.
    pub fn height(&self) -> Option<Height> {
        self.versions.back().map(|version| version.height)
    }

    /// The newest version's root.
    pub fn root(&self) -> StateRoot {
        self.versions.back().map_or_else(empty_root, Version::root)
    }

    /// The oldest height that can be proven.
    pub fn oldest_height(&self) -> Option<Height> {
        self.versions.front().map(|version| version.height)
    }

    /// The store below.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The store below, for a caller that keeps it in the tree and writes to it.
    pub fn store_mut(&mut self) -> &mut S {
        &mut self.store
    }

    /// What has been done since opening.
    pub fn counters(&self) -> TreeCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TreeCounters {
            nodes_hashed: read(&self.counters.hashed),
            buckets_read: read(&self.counters.read),
            buckets_written: read(&self.counters.written),
            bytes_written: read(&self.counters.bytes),
        }
    }

    /// What it holds in memory. Walks the window, so it is for metrics, not for every request.
    pub fn memory(&self) -> TreeMemory {
        let retired = self
            .versions
            .iter()
            .flat_map(|version| &version.retired.buckets);
        let kept = retired.filter_map(|(slot, _)| self.arena.buckets.get(*slot).kept.as_ref());
        TreeMemory {
            nodes: self.arena.memory_bytes(),
            cache: self.cache.bytes(),
            history: kept.map(size).sum(),
        }
    }

    /// Sets how many bytes of buckets stay in memory after they were written. The newest commit's
    /// always do.
    pub fn set_cache_bytes(&mut self, bytes: usize) {
        self.cache.set_limit(bytes);
    }

    /// Buckets in memory, over all versions in the window.
    pub fn buckets_in_memory(&self) -> usize {
        self.arena.buckets.in_use()
    }

    /// Makes a pending update the newest version, one height above its parent (genesis: 0), and
    /// hands out what must be written in the same atomic write as its block.
    ///
    /// On an error nothing has changed. Other pending updates on the same parent become stale.
    pub fn commit(&mut self, pending: Pending) -> Result<BucketWrites, StateError> {
        if !Arc::ptr_eq(&pending.identity, &self.identity) {
            return Err(StateError::ForeignPending);
        }
        if pending.parent != self.height() {
            return Err(StateError::StaleParent {
                parent: pending.parent,
                newest: self.height(),
            });
        }
        self.arena.branches.check_room(pending.branches.len())?;
        self.arena.buckets.check_room(pending.buckets.len())?;

        let mut writes = Vec::with_capacity(pending.buckets.len());
        let mut old_ids = Vec::with_capacity(pending.retired.buckets.len());
        let Pending { mut retired, .. } = pending;
        for (slot, packed) in &mut retired.buckets {
            let bucket = self.arena.buckets.get_mut(*slot);
            self.cache.retire(bucket, packed.take());
            old_ids.push(bucket.id);
        }
        // Overwriting the number of a retired bucket saves the store a deletion.
        let mut old_ids = old_ids.into_iter();
        let mut slots = Vec::with_capacity(pending.buckets.len());
        for new in pending.buckets {
            let id = old_ids.next().unwrap_or_else(|| self.ids.take());
            writes.push(BucketWrite {
                id,
                value: Some(Arc::clone(&new.packed)),
            });
            let bucket = Bucket::new(id, new.leaves, Some(Arc::clone(&new.packed)));
            let slot = self.arena.buckets.insert(bucket);
            self.cache.push(slot, &new.packed);
            slots.push(slot);
        }
        for id in old_ids {
            writes.push(BucketWrite { id, value: None });
            self.ids.give_back(id);
        }
        // Children stand before their parents.
        let mut numbers: Vec<u32> = Vec::with_capacity(pending.branches.len());
        let settle = |node: NodeRef, numbers: &[u32]| match (node.is_pending(), node.is_bucket()) {
            (false, _) => node,
            (true, true) => NodeRef::bucket(slots[node.index() as usize]),
            (true, false) => NodeRef::branch(numbers[node.index() as usize]),
        };
        for mut branch in pending.branches {
            branch.left.node = settle(branch.left.node, &numbers);
            branch.right.node = settle(branch.right.node, &numbers);
            numbers.push(self.arena.branches.insert(branch));
        }
        let top = pending.top.map(|top| Child {
            node: settle(top.node, &numbers),
            ..top
        });
        self.cache.trim(&mut self.arena.buckets, slots.len());

        if let Some(newest) = self.versions.back_mut() {
            newest.retired = retired;
        }
        let height = pending.parent.map_or(Height::ZERO, Height::next);
        let version = Version {
            height,
            top,
            retired: Retired::default(),
        };
        self.versions.push_back(version);
        self.shrink_window();

        // A store takes sorted keys best.
        writes.sort_unstable_by_key(|write| write.id);
        let writes = BucketWrites(writes);
        self.counters
            .written
            .fetch_add(writes.len() as u64, Ordering::Relaxed);
        self.counters
            .bytes
            .fetch_add(writes.bytes(), Ordering::Relaxed);
        Ok(writes)
    }

    /// Forgets versions beyond the window: what one retired is reachable from none after it.
    fn shrink_window(&mut self) {
        while self.versions.len() > self.window {
            let Some(oldest) = self.versions.pop_front() else {
                return;
            };
            for index in oldest.retired.branches {
                self.arena.branches.free(index);
            }
            for (slot, _) in oldest.retired.buckets {
                self.cache.forget(&mut self.arena.buckets, slot);
            }
        }
    }

    /// The version of a height.
    pub(super) fn version(&self, height: Height) -> Result<&Version, StateError> {
        let oldest = self.oldest_height();
        oldest
            .and_then(|oldest| height.get().checked_sub(oldest.get()))
            .and_then(|index| self.versions.get(usize::try_from(index).ok()?))
            .ok_or(StateError::OutsideWindow {
                asked: height,
                oldest,
                newest: self.height(),
            })
    }

    /// The packed leaves of buckets, from memory or from the store.
    pub(super) fn fetch(&self, slots: &[u32]) -> Result<Vec<Arc<[u8]>>, StateError> {
        let buckets = || slots.iter().map(|slot| self.arena.buckets.get(*slot));
        let mut ids: Vec<_> = buckets()
            .filter(|bucket| bucket.kept.is_none())
            .map(|bucket| bucket.id)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        self.counters
            .read
            .fetch_add(ids.len() as u64, Ordering::Relaxed);
        let stored = match ids.is_empty() {
            true => Vec::new(),
            false => self.store.read_buckets(&ids)?,
        };
        buckets()
            .map(|bucket| {
                let missing = StateError::MissingBucket { id: bucket.id };
                if let Some(kept) = &bucket.kept {
                    return Ok(Arc::clone(kept));
                }
                let index = ids.binary_search(&bucket.id).ok();
                let value = index.and_then(|index| stored.get(index)?.as_ref());
                value.map(Arc::clone).ok_or(missing)
            })
            .collect()
    }

    /// Unpacks a bucket into an empty list and checks it against the hash that the tree has for it.
    pub(super) fn open_bucket(
        &self,
        bucket: &Child,
        packed: &[u8],
        leaves: &mut Vec<Leaf>,
        hashed: &mut u64,
    ) -> Result<(), StateError> {
        let fault = match unpack(packed, leaves, hashed) {
            Ok(hash) if hash == bucket.hash => return Ok(()),
            Ok(_) => BucketFault::Hash,
            Err(fault) => fault,
        };
        Err(self.corrupt(bucket, fault))
    }

    pub(super) fn corrupt(&self, bucket: &Child, fault: BucketFault) -> StateError {
        StateError::CorruptBucket {
            id: self.arena.buckets.get(bucket.node.index()).id,
            fault,
        }
    }
}
