//! A disk in memory whose power can be cut, for the simulator.

use std::{
    collections::BTreeMap,
    marker::PhantomData,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    StoreError,
    database::{Batch, Change, Column, Database, Entries, Range, Slice},
};

/// What the disk does with the next write, instead of what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// The power goes while it writes: the record is not whole, which its checksum shows, so that it
    /// counts as not written.
    Torn,
    /// The power goes while it writes, and half of the batch is there: what no database may do.
    Half,
    /// The power goes after it has written: whoever wrote does not learn that it is done.
    Unanswered,
}

/// A disk. A process has it open through [`super::Store::in_memory`]; whoever keeps it besides can cut
/// its power and open it again.
#[derive(Debug, Default)]
pub struct MemoryDisk {
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    columns: BTreeMap<Column, BTreeMap<Vec<u8>, Arc<[u8]>>>,
    /// What takes back each write that no sync has covered, the oldest first.
    unsynced: Vec<Vec<Change>>,
    fault: Option<DiskFault>,
    /// It has no room.
    full: bool,
    /// The power went in a write; nothing works until it is back.
    dark: bool,
}

impl MemoryDisk {
    /// Loses what was not synced, but for its first `kept` writes: a log reaches the disk in order.
    pub fn cut_power(&self, kept: usize) {
        let mut content = self.content();
        content.fault = None;
        content.dark = false;
        let kept = kept.min(content.unsynced.len());
        let lost = content.unsynced.split_off(kept);
        content.unsynced.clear();
        for undo in lost.into_iter().rev() {
            content.apply(undo);
        }
    }

    /// The next write meets this, and it alone.
    pub fn fail_next_write(&self, fault: DiskFault) {
        self.content().fault = Some(fault);
    }

    /// Fills the disk, or makes room.
    pub fn fill(&self, full: bool) {
        self.content().full = full;
    }

    /// Whether the power went in a write; it comes back with [`Self::cut_power`].
    pub fn is_dark(&self) -> bool {
        self.content().dark
    }

    // No panic can leave a change half made.
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    /// Makes changes and gives back what undoes them.
    fn apply(&mut self, changes: Vec<Change>) -> Vec<Change> {
        let mut undo = Vec::with_capacity(changes.len());
        for Change { column, key, value } in changes {
            let entries = self.columns.entry(column).or_default();
            let before = match value {
                Some(value) => entries.insert(key.clone(), value.into()),
                None => entries.remove(&key),
            };
            undo.push(Change {
                column,
                key,
                value: before.map(|bytes| bytes.to_vec()),
            });
        }
        undo.reverse();
        undo
    }
}

fn failed(reason: &'static str) -> StoreError {
    StoreError::Io {
        source: reason.into(),
    }
}

impl Database for Arc<MemoryDisk> {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Slice<'_>>, StoreError> {
        let content = self.content();
        let found = content.columns.get(column).and_then(|c| c.get(key));
        Ok(found.map(|bytes| Slice::Shared(Arc::clone(bytes), PhantomData)))
    }

    fn get_many(
        &self,
        column: Column,
        keys: &[Vec<u8>],
        _sorted: bool,
    ) -> Result<Vec<Option<Slice<'_>>>, StoreError> {
        keys.iter().map(|key| self.get(column, key)).collect()
    }

    fn scan<'a>(&'a self, column: Column, range: Range<'a>) -> Result<Entries<'a>, StoreError> {
        let content = self.content();
        let Some(entries) = content.columns.get(column) else {
            return Ok(Box::new(std::iter::empty()));
        };
        let entry = |(key, value): (&Vec<u8>, &Arc<[u8]>)| {
            Ok((
                key.clone().into_boxed_slice(),
                Box::<[u8]>::from(&value[..]),
            ))
        };
        let up = |prefix: &[u8], start: &[u8]| -> Vec<_> {
            let from = (Bound::Included(start), Bound::Unbounded);
            let above = entries.range::<[u8], _>(from);
            let wanted = above.take_while(|(key, _)| key.starts_with(prefix));
            wanted.map(entry).collect()
        };
        let found: Vec<_> = match range {
            Range::Up { prefix, start } => up(prefix, start),
            Range::Bulk { prefix } => up(prefix, prefix),
            Range::Down { first, end } if first < end => {
                let bounds = (Bound::Included(first), Bound::Excluded(end));
                let between = entries.range::<[u8], _>(bounds);
                between.rev().map(entry).collect()
            }
            Range::Down { .. } => Vec::new(),
        };
        Ok(Box::new(found.into_iter()))
    }

    fn write(&self, batch: Batch, sync: bool) -> Result<(), StoreError> {
        let mut content = self.content();
        let fault = content.fault.take();
        let mut changes = batch.changes;
        match fault {
            _ if content.dark => return Err(failed("the power is off")),
            Some(DiskFault::Torn) => changes.clear(),
            Some(DiskFault::Half) => changes.truncate(changes.len() / 2),
            Some(DiskFault::Unanswered) | None => {}
        }
        content.dark = fault.is_some();
        let undo = content.apply(changes);
        if sync {
            content.unsynced.clear();
        } else {
            content.unsynced.push(undo);
        }
        match fault {
            Some(_) => Err(failed("the power was cut")),
            None => Ok(()),
        }
    }

    fn free_bytes(&self) -> Result<u64, StoreError> {
        Ok(if self.content().full { 0 } else { u64::MAX })
    }
}
