//! The nodes above the leaves, numbered, in pages that never move.

use std::ops::Range;
use std::sync::Arc;

use super::error::StateError;
use super::hash::{Digest, branch_hash};
use super::key::StateKey;
use super::store::BucketId;

const PAGE: usize = 4096;
const PENDING: u32 = 1 << 31;
const BUCKET: u32 = 1 << 30;
const LIMIT: u32 = BUCKET;

/// A node: branch or bucket, committed or of a pending update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeRef(u32);

impl NodeRef {
    pub(super) fn branch(index: u32) -> Self {
        Self(index)
    }

    pub(super) fn bucket(index: u32) -> Self {
        Self(index | BUCKET)
    }

    /// The same number within a pending update.
    pub(super) fn pending(self) -> Self {
        Self(self.0 | PENDING)
    }

    pub(super) fn is_pending(self) -> bool {
        self.0 & PENDING != 0
    }

    pub(super) fn is_bucket(self) -> bool {
        self.0 & BUCKET != 0
    }

    pub(super) fn index(self) -> u32 {
        self.0 & (LIMIT - 1)
    }
}

/// A node and its hash. Hashes stand with the parent, so that hashing the way up touches no node
/// beside the way: what costs time here is memory that is not in the processor's cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Child {
    pub(super) node: NodeRef,
    pub(super) hash: Digest,
}

/// A branch above the buckets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Branch {
    pub(super) left: Child,
    pub(super) right: Child,
    pub(super) position: u16,
}

impl Branch {
    /// The child on a key's side, and the other.
    #[inline]
    pub(super) fn sides(&self, key: &StateKey) -> (&Child, &Child) {
        match key.bit(self.position) {
            false => (&self.left, &self.right),
            true => (&self.right, &self.left),
        }
    }

    /// The branch as a child of another.
    pub(super) fn as_child(&self, node: NodeRef) -> Child {
        Child {
            node,
            hash: branch_hash(self.position, &self.left.hash, &self.right.hash),
        }
    }
}

/// A bucket: where its leaves are.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    pub(super) id: BucketId,
    pub(super) leaves: u8,
    /// The packed leaves. Always there in versions that later ones have overwritten, and in the
    /// newest until the next one: the store has others under `id`, or may have.
    pub(super) kept: Option<Arc<[u8]>>,
    /// Has a place in the queue of the cache.
    pub(super) queued: bool,
    /// The newest version no longer has it.
    pub(super) retired: bool,
    /// No version in the window has it.
    pub(super) forgotten: bool,
}

impl Bucket {
    pub(super) fn new(id: BucketId, leaves: u8, kept: Option<Arc<[u8]>>) -> Self {
        let queued = kept.is_some();
        Self {
            id,
            leaves,
            kept,
            queued,
            retired: false,
            forgotten: false,
        }
    }
}

/// Numbered values in pages; freed numbers are used again.
#[derive(Debug)]
pub(super) struct Slab<T> {
    pages: Vec<Vec<T>>,
    free: Vec<u32>,
    next: u32,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            pages: Vec::new(),
            free: Vec::new(),
            next: 0,
        }
    }
}

impl<T> Slab<T> {
    /// Fails unless `count` more values fit.
    pub(super) fn check_room(&self, count: usize) -> Result<(), StateError> {
        let room = (LIMIT - self.next) as usize + self.free.len();
        match count <= room {
            true => Ok(()),
            false => Err(StateError::Full { limit: LIMIT }),
        }
    }

    /// Adds a value; room has been checked.
    pub(super) fn insert(&mut self, value: T) -> u32 {
        if let Some(index) = self.free.pop() {
            *self.get_mut(index) = value;
            return index;
        }
        let index = self.next;
        self.next += 1;
        match self.pages.last_mut() {
            Some(page) if page.len() < PAGE => page.push(value),
            _ => {
                let mut page = Vec::with_capacity(PAGE);
                page.push(value);
                self.pages.push(page);
            }
        }
        index
    }

    /// The value under a number that [`Self::insert`] gave and that has not been freed.
    #[inline]
    pub(super) fn get(&self, index: u32) -> &T {
        &self.pages[index as usize / PAGE][index as usize % PAGE]
    }

    pub(super) fn get_mut(&mut self, index: u32) -> &mut T {
        &mut self.pages[index as usize / PAGE][index as usize % PAGE]
    }

    pub(super) fn free(&mut self, index: u32) {
        self.free.push(index);
    }

    pub(super) fn in_use(&self) -> usize {
        self.next as usize - self.free.len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.pages.len() * PAGE * size_of::<T>() + self.free.capacity() * size_of::<u32>()
    }
}

/// All committed nodes.
#[derive(Debug, Default)]
pub(super) struct Arena {
    pub(super) branches: Slab<Branch>,
    pub(super) buckets: Slab<Bucket>,
}

impl Arena {
    pub(super) fn memory_bytes(&self) -> usize {
        self.branches.memory_bytes() + self.buckets.memory_bytes()
    }
}

/// The numbers that stored buckets may take.
#[derive(Debug, Default)]
pub(super) struct IdPool {
    recycled: Vec<BucketId>,
    /// Unused numbers as found at opening.
    gaps: Vec<Range<u32>>,
    next: u32,
}

impl IdPool {
    /// Takes the numbers in use, ascending.
    pub(super) fn with_used(used: impl Iterator<Item = BucketId>) -> Self {
        let (mut gaps, mut next) = (Vec::new(), 0_u32);
        for id in used {
            if id.get() > next {
                gaps.push(next..id.get());
            }
            next = id.get().saturating_add(1);
        }
        Self {
            recycled: Vec::new(),
            gaps,
            next,
        }
    }

    /// A number that no stored bucket has. There are four times as many as the arena has buckets.
    pub(super) fn take(&mut self) -> BucketId {
        if let Some(id) = self.recycled.pop() {
            return id;
        }
        while let Some(gap) = self.gaps.last_mut() {
            match gap.next() {
                Some(id) => return BucketId::new(id),
                None => self.gaps.pop(),
            };
        }
        let id = self.next;
        self.next += 1;
        BucketId::new(id)
    }

    pub(super) fn give_back(&mut self, id: BucketId) {
        self.recycled.push(id);
    }
}
