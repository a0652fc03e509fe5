//! Which packed buckets stay in memory after they were written.
//!
//! A bucket that was written lately is likely to be written again, and a read from the store costs
//! more than all else in an update. Buckets leave in the order in which they came, when the bytes
//! exceed the limit; those of the newest commit never do, since the store may not have them yet.

use std::collections::VecDeque;
use std::sync::Arc;

use super::arena::{Bucket, Slab};

/// How many bytes of buckets a tree keeps in memory unless told otherwise.
pub const DEFAULT_CACHE_BYTES: usize = 64 << 20;

/// What a kept bucket takes besides its bytes, roughly.
const OVERHEAD: usize = 64;
/// Buckets that were overwritten meanwhile hold their place in the queue; this bounds them.
const BYTES_PER_PLACE: usize = 256;

pub(super) fn size(packed: &Arc<[u8]>) -> usize {
    packed.len() + OVERHEAD
}

/// The order in which buckets leave.
#[derive(Debug)]
pub(super) struct Cache {
    /// Slots, each at most once, all with `queued` set.
    queue: VecDeque<u32>,
    /// Size of what is queued and not retired.
    bytes: usize,
    limit: usize,
}

impl Cache {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            bytes: 0,
            limit,
        }
    }

    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes in a new bucket.
    pub(super) fn push(&mut self, slot: u32, packed: &Arc<[u8]>) {
        self.queue.push_back(slot);
        self.bytes += size(packed);
    }

    /// Marks a bucket that the newest version no longer has. What it held is kept for the history.
    pub(super) fn retire(&mut self, bucket: &mut Bucket, packed: Option<Arc<[u8]>>) {
        if let (true, Some(kept)) = (bucket.queued, &bucket.kept) {
            self.bytes -= size(kept);
        }
        bucket.kept = packed;
        bucket.retired = true;
    }

    /// Frees a retired bucket, now or when its place in the queue comes.
    pub(super) fn forget(&mut self, buckets: &mut Slab<Bucket>, slot: u32) {
        let bucket = buckets.get_mut(slot);
        bucket.kept = None;
        bucket.forgotten = true;
        if !bucket.queued {
            buckets.free(slot);
        }
    }

    /// Lets buckets go, but for the last `newest` ones, until the rest is within bounds.
    pub(super) fn trim(&mut self, buckets: &mut Slab<Bucket>, newest: usize) {
        let places = self.limit / BYTES_PER_PLACE;
        while self.queue.len() > newest
            && (self.bytes > self.limit || self.queue.len() - newest > places)
        {
            let Some(slot) = self.queue.pop_front() else {
                return;
            };
            let bucket = buckets.get_mut(slot);
            bucket.queued = false;
            if bucket.forgotten {
                buckets.free(slot);
            } else if !bucket.retired
                && let Some(kept) = bucket.kept.take()
            {
                self.bytes -= size(&kept);
            }
        }
    }
}
