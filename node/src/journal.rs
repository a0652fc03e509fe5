//! The journal on disk: our promises in consensus, and how a lost or restored disk is noticed.
//!
//! One preallocated segment file holds frames, each a record under a rolling hash; a head file
//! names the last frame. An append syncs the segment, then the head, and only then returns. So a
//! segment ahead of its head is a normal crash, and its torn tail is cut; a segment behind its head,
//! or with another hash at the head's number, is one that was lost or restored: amnesia. Then a
//! fresh journal starts, whose first record says so.
//!
//! A disk restored as a whole, segment and head together, cannot be told from a crash by itself;
//! whoever restores one removes both files first.
//!
//! ```text
//! segment  journal-<generation>   magic 16, generation 8, base number 8, base hash 32, frames ..., zeros
//! frame                           length 4, number 8, rolling hash 32, record
//! head     journal-head           two slots of 512: update 8, generation 8, number 8, hash 32, check 32
//! ```

mod files;

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use certchain_consensus::{Journal, JournalError, Promises, Record, journal::JournalFault};

use self::files::{
    HEAD_FILE, Head, SEGMENT_BYTES, SLOT_BYTES, frames, open_segment, read_head, read_journal,
    remove_others, segment_path, segments, slot, write_head_file, write_segment, zero,
};

const LOCK_FILE: &str = "journal-lock";

/// Why a journal cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum JournalOpenError {
    /// Another process has it open.
    #[error("{} is in use by another process; stop the other daemon first", .0.display())]
    InUse(PathBuf),
    /// `create` found one.
    #[error("{} already holds a journal; a second one would forget what the first promised", .0.display())]
    Exists(PathBuf),
    /// Reading or writing failed.
    #[error("the journal in {} cannot be read or written ({source}); check disk and permissions", .path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// Its hashes hold, but its records contradict each other.
    #[error("the journal cannot be used: {0}; report this as a defect")]
    Fault(#[from] JournalFault),
}

/// In what state a journal was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Whole.
    Whole,
    /// The process ended while writing; what had not been said is cut off.
    TornTail,
    /// Lost or restored: nothing is signed until a restart notice is committed.
    Amnesia(Loss),
}

/// What shows that a journal was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// No head file, or none of its slots holds.
    NoHead,
    /// The segment that the head names is missing or not one.
    NoSegment,
    /// The segment ends before the head's number.
    Behind,
    /// The segment has another hash at the head's number.
    OtherHash,
}

/// An opened journal.
#[derive(Debug)]
pub struct Opened {
    /// For appending.
    pub journal: FileJournal,
    /// What it holds, in the order of writing.
    pub records: Vec<Record>,
    /// In what state it was.
    pub found: Found,
}

/// The journal of one chain in a directory of its own.
///
/// Invariant: between calls, segment and head on disk agree with `head` and `end`.
#[derive(Debug)]
pub struct FileJournal {
    directory: PathBuf,
    /// Held for its lock.
    _lock: File,
    head_file: File,
    segment: File,
    segment_bytes: u64,
    end: u64,
    head: Head,
    promises: Promises,
    syncs: u64,
    failed: bool,
}

impl FileJournal {
    /// Makes an empty journal, once, where the validator's key is made. A daemon never does this: a
    /// journal that is missing later was lost.
    ///
    /// # Errors
    /// If there is one, or the disk refuses.
    pub fn create(directory: &Path) -> Result<(), JournalOpenError> {
        let io = |source| JournalOpenError::Io {
            path: directory.to_path_buf(),
            source,
        };
        fs::create_dir_all(directory).map_err(io)?;
        let _lock = lock(directory)?;
        if directory.join(HEAD_FILE).exists() || !segments(directory).map_err(io)?.is_empty() {
            return Err(JournalOpenError::Exists(directory.to_path_buf()));
        }
        let head = Head {
            update: 1,
            generation: 1,
            number: 0,
            hash: [0; 32],
        };
        write_segment(directory, &head, &[]).map_err(io)?;
        write_head_file(directory, &head).map_err(io)
    }

    /// Opens the journal, cuts a torn tail, and notices loss; then a fresh journal is started that
    /// holds `nonce`, which must be newly drawn from the system's random numbers.
    ///
    /// # Errors
    /// If another process has it, the disk refuses, or its records contradict each other.
    pub fn open(directory: &Path, nonce: [u8; 32]) -> Result<Opened, JournalOpenError> {
        let io = |source| JournalOpenError::Io {
            path: directory.to_path_buf(),
            source,
        };
        fs::create_dir_all(directory).map_err(io)?;
        let lock = lock(directory)?;
        let read = read_journal(directory).map_err(io)?;
        let (head, read) = match read {
            Ok(parts) => parts,
            Err(loss) => return Self::start_again(directory, lock, nonce, loss),
        };
        let mut promises = Promises::default();
        for record in &read.records {
            promises.apply(record)?;
        }
        let segment = open_segment(directory, head.generation).map_err(io)?;
        let found = if read.torn {
            Found::TornTail
        } else {
            Found::Whole
        };
        if read.torn {
            zero(&segment, read.end, read.segment_bytes).map_err(io)?;
            segment.sync_data().map_err(io)?;
        }
        remove_others(directory, head.generation).map_err(io)?;
        let head_file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(directory.join(HEAD_FILE))
            .map_err(io)?;
        let mut journal = Self {
            directory: directory.to_path_buf(),
            _lock: lock,
            head_file,
            segment,
            segment_bytes: read.segment_bytes,
            end: read.end,
            head,
            promises,
            syncs: 0,
            failed: false,
        };
        // What is read back will be said, so the head must cover it first.
        if read.number != head.number {
            journal.head.number = read.number;
            journal.head.hash = read.hash;
            journal.write_head().map_err(io)?;
        }
        Ok(Opened {
            journal,
            records: read.records,
            found,
        })
    }

    /// How many times a disk was waited for.
    pub fn syncs(&self) -> u64 {
        self.syncs
    }

    fn start_again(
        directory: &Path,
        lock: File,
        nonce: [u8; 32],
        loss: Loss,
    ) -> Result<Opened, JournalOpenError> {
        let io = |source| JournalOpenError::Io {
            path: directory.to_path_buf(),
            source,
        };
        let last = segments(directory)
            .map_err(io)?
            .into_iter()
            .max()
            .unwrap_or(0);
        let named = read_head(directory).map_err(io)?;
        let generation = last
            .max(named.map_or(0, |h| h.generation))
            .saturating_add(1);
        let update = named.map_or(0, |h| h.update).saturating_add(1);
        let base = Head {
            update,
            generation,
            number: 0,
            hash: [0; 32],
        };
        let records = vec![Record::Amnesia { nonce }];
        let (end, segment_bytes, head) = write_segment(directory, &base, &records).map_err(io)?;
        write_head_file(directory, &head).map_err(io)?;
        remove_others(directory, generation).map_err(io)?;
        let journal = Self {
            directory: directory.to_path_buf(),
            _lock: lock,
            head_file: OpenOptions::new()
                .read(true)
                .write(true)
                .open(directory.join(HEAD_FILE))
                .map_err(io)?,
            segment: open_segment(directory, generation).map_err(io)?,
            segment_bytes,
            end,
            head,
            promises: Promises::replay(&records)?,
            syncs: 2,
            failed: false,
        };
        Ok(Opened {
            journal,
            records,
            found: Found::Amnesia(loss),
        })
    }

    fn write_head(&mut self) -> io::Result<()> {
        self.head.update = self.head.update.saturating_add(1);
        let at = (self.head.update % 2).saturating_mul(SLOT_BYTES as u64);
        self.head_file.write_all_at(&slot(&self.head), at)?;
        self.head_file.sync_data()?;
        self.syncs = self.syncs.saturating_add(1);
        Ok(())
    }

    /// Rewrites what still binds, with `records` behind it, into a new segment. Until the head names
    /// it, the old one counts.
    fn compact(&mut self, records: &[Record]) -> Result<(), JournalError> {
        let mut live = self.promises.live_records();
        live.extend_from_slice(records);
        let base = Head {
            update: self.head.update,
            generation: self.head.generation.saturating_add(1),
            number: self.head.number,
            hash: self.head.hash,
        };
        let written = write_segment(&self.directory, &base, &live);
        let (end, segment_bytes, head) = written.map_err(|error| {
            // The old segment is untouched, so nothing has been written yet.
            let _ = fs::remove_file(segment_path(&self.directory, base.generation));
            if matches!(
                error.kind(),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded
            ) {
                JournalError::NoRoom {
                    needed: SEGMENT_BYTES,
                }
            } else {
                JournalError::Failed(error.kind())
            }
        })?;
        let failed = |error: io::Error| JournalError::Failed(error.kind());
        self.segment = open_segment(&self.directory, head.generation).map_err(failed)?;
        self.segment_bytes = segment_bytes;
        self.end = end;
        self.head = head;
        self.syncs = self.syncs.saturating_add(2);
        self.write_head().map_err(failed)?;
        remove_others(&self.directory, head.generation).map_err(failed)
    }

    fn write(&mut self, records: &[Record]) -> Result<(), JournalError> {
        let mut head = self.head;
        let bytes = frames(&mut head, records);
        let room = self.segment_bytes.saturating_sub(self.end);
        // One zero length must stay behind the last frame.
        if (bytes.len() as u64).saturating_add(4) > room {
            self.compact(records)?;
        } else {
            let failed = |error: io::Error| JournalError::Failed(error.kind());
            self.segment
                .write_all_at(&bytes, self.end)
                .map_err(failed)?;
            self.segment.sync_data().map_err(failed)?;
            self.syncs = self.syncs.saturating_add(1);
            self.end = self.end.saturating_add(bytes.len() as u64);
            self.head = head;
            self.write_head().map_err(failed)?;
        }
        for record in records {
            // Contradictions never come this far unless the engine is broken: then it must end.
            let applied = self.promises.apply(record);
            applied.map_err(|_| JournalError::Failed(ErrorKind::InvalidData))?;
        }
        Ok(())
    }
}

impl Journal for FileJournal {
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        if self.failed {
            return Err(JournalError::Failed(ErrorKind::BrokenPipe));
        }
        let result = self.write(records);
        self.failed = matches!(result, Err(JournalError::Failed(_)));
        result
    }
}

fn lock(directory: &Path) -> Result<File, JournalOpenError> {
    let io = |source| JournalOpenError::Io {
        path: directory.to_path_buf(),
        source,
    };
    let path = directory.join(LOCK_FILE);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalOpenError::InUse(directory.to_path_buf())),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

#[cfg(test)]
mod tests;
