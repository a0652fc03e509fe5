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

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use certchain_consensus::{
    Journal, JournalError, Promises, Record, journal::JournalFault, limits::MAX_RECORD_BYTES,
};
use certchain_proto::{codec, context, hash::hash_parts};

/// Least size of a segment; a full one is rewritten with the records that still bind.
const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;
const MAGIC: &[u8; 16] = b"certchain journ1";
const SEGMENT_HEADER: u64 = 16 + 8 + 8 + 32;
const FRAME_HEADER: usize = 4 + 8 + 32;
const SLOT_BYTES: usize = 512;
const HEAD_FILE: &str = "journal-head";
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    update: u64,
    generation: u64,
    number: u64,
    hash: [u8; 32],
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

fn segment_path(directory: &Path, generation: u64) -> PathBuf {
    directory.join(format!("journal-{generation:016}"))
}

fn open_segment(directory: &Path, generation: u64) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(segment_path(directory, generation))
}

/// Generations of the segments in a directory.
fn segments(directory: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        if let Some(digits) = name.to_str().and_then(|n| n.strip_prefix("journal-"))
            && digits.len() == 16
            && let Ok(generation) = digits.parse()
        {
            found.push(generation);
        }
    }
    Ok(found)
}

fn remove_others(directory: &Path, keep: u64) -> io::Result<()> {
    for generation in segments(directory)?.into_iter().filter(|g| *g != keep) {
        fs::remove_file(segment_path(directory, generation))?;
    }
    File::open(directory)?.sync_all()
}

fn rolled(before: &[u8; 32], number: u64, payload: &[u8]) -> [u8; 32] {
    let length = (payload.len() as u64).to_le_bytes();
    hash_parts(
        context::JOURNAL,
        &[before, &number.to_le_bytes(), &length, payload],
    )
}

/// The frames of `records` behind `head`, which moves on.
fn frames(head: &mut Head, records: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        let payload = codec::encode(record);
        head.number = head.number.saturating_add(1);
        head.hash = rolled(&head.hash, head.number, &payload);
        bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&head.number.to_le_bytes());
        bytes.extend_from_slice(&head.hash);
        bytes.extend_from_slice(&payload);
    }
    bytes
}

/// Writes a whole new segment, synced with its directory entry: end, size, and head behind it.
fn write_segment(
    directory: &Path,
    base: &Head,
    records: &[Record],
) -> io::Result<(u64, u64, Head)> {
    let mut head = *base;
    let body = frames(&mut head, records);
    let end = SEGMENT_HEADER.saturating_add(body.len() as u64);
    let size = SEGMENT_BYTES.max(end.saturating_mul(2));
    let path = segment_path(directory, base.generation);
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(&path)?;
    let mut bytes = Vec::with_capacity(end as usize);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&base.generation.to_le_bytes());
    bytes.extend_from_slice(&base.number.to_le_bytes());
    bytes.extend_from_slice(&base.hash);
    bytes.extend_from_slice(&body);
    file.write_all_at(&bytes, 0)?;
    // Zeros are written, not merely promised, so that no append can find the disk full.
    zero(&file, end, size)?;
    file.sync_all()?;
    File::open(directory)?.sync_all()?;
    Ok((end, size, head))
}

fn zero(file: &File, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; 1024 * 1024];
    let mut at = from;
    while at < to {
        let length = to.saturating_sub(at).min(zeros.len() as u64);
        file.write_all_at(zeros.get(..length as usize).unwrap_or(&zeros), at)?;
        at = at.saturating_add(length);
    }
    Ok(())
}

fn slot(head: &Head) -> [u8; SLOT_BYTES] {
    let mut bytes = Vec::with_capacity(SLOT_BYTES);
    bytes.extend_from_slice(&head.update.to_le_bytes());
    bytes.extend_from_slice(&head.generation.to_le_bytes());
    bytes.extend_from_slice(&head.number.to_le_bytes());
    bytes.extend_from_slice(&head.hash);
    let check = hash_parts(context::JOURNAL, &[b"head", &bytes]);
    bytes.extend_from_slice(&check);
    let mut slot = [0; SLOT_BYTES];
    for (place, byte) in slot.iter_mut().zip(bytes) {
        *place = byte;
    }
    slot
}

fn parse_slot(bytes: &[u8]) -> Option<Head> {
    let check: [u8; 32] = bytes.get(56..88)?.try_into().ok()?;
    if hash_parts(context::JOURNAL, &[b"head", bytes.get(..56)?]) != check {
        return None;
    }
    Some(Head {
        update: number_at(bytes, 0)?,
        generation: number_at(bytes, 8)?,
        number: number_at(bytes, 16)?,
        hash: bytes.get(24..56)?.try_into().ok()?,
    })
}

fn number_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// Writes a head file anew, whole or not at all.
fn write_head_file(directory: &Path, head: &Head) -> io::Result<()> {
    let temporary = directory.join("journal-head.new");
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(&temporary)?;
    file.write_all_at(&[0; 2 * SLOT_BYTES], 0)?;
    file.write_all_at(
        &slot(head),
        (head.update % 2).saturating_mul(SLOT_BYTES as u64),
    )?;
    file.sync_all()?;
    fs::rename(&temporary, directory.join(HEAD_FILE))?;
    File::open(directory)?.sync_all()
}

/// The newer of the slots that hold.
fn read_head(directory: &Path) -> io::Result<Option<Head>> {
    let bytes = match fs::read(directory.join(HEAD_FILE)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(bytes
        .chunks(SLOT_BYTES)
        .filter_map(parse_slot)
        .max_by_key(|h| h.update))
}

struct Read {
    records: Vec<Record>,
    end: u64,
    segment_bytes: u64,
    number: u64,
    hash: [u8; 32],
    torn: bool,
}

fn read_journal(directory: &Path) -> io::Result<Result<(Head, Read), Loss>> {
    let Some(head) = read_head(directory)? else {
        return Ok(Err(Loss::NoHead));
    };
    let bytes = match fs::read(segment_path(directory, head.generation)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Err(Loss::NoSegment)),
        Err(error) => return Err(error),
    };
    Ok(parse_segment(&bytes, &head).map(|read| (head, read)))
}

/// Reads frames until one does not hold, and compares with the head.
fn parse_segment(bytes: &[u8], head: &Head) -> Result<Read, Loss> {
    let base = (|| {
        let magic = bytes.get(..16)? == MAGIC && number_at(bytes, 16)? == head.generation;
        let hash: [u8; 32] = bytes.get(32..64)?.try_into().ok()?;
        magic.then_some((number_at(bytes, 24)?, hash))
    })();
    let (mut number, mut hash) = base.ok_or(Loss::NoSegment)?;
    let mut at_head = (number == head.number).then_some(hash);
    let mut at = SEGMENT_HEADER as usize;
    let mut records = Vec::new();
    while let Some((record, next)) = parse_frame(bytes, at, number, &hash) {
        number = number.saturating_add(1);
        hash = next;
        at = at.saturating_add(FRAME_HEADER).saturating_add(record.1);
        records.push(record.0);
        if number == head.number {
            at_head = Some(hash);
        }
    }
    match at_head {
        None if number < head.number => return Err(Loss::Behind),
        None => return Err(Loss::OtherHash),
        Some(found) if found != head.hash => return Err(Loss::OtherHash),
        Some(_) => {}
    }
    let torn = bytes
        .get(at..)
        .is_some_and(|rest| rest.iter().any(|b| *b != 0));
    let (end, segment_bytes) = (at as u64, bytes.len() as u64);
    Ok(Read {
        records,
        end,
        segment_bytes,
        number,
        hash,
        torn,
    })
}

type Frame = ((Record, usize), [u8; 32]);

fn parse_frame(bytes: &[u8], at: usize, before: u64, hash: &[u8; 32]) -> Option<Frame> {
    let header = bytes.get(at..at.checked_add(FRAME_HEADER)?)?;
    let length = u32::from_le_bytes(header.get(..4)?.try_into().ok()?) as usize;
    let number = number_at(header, 4)?;
    if length == 0 || length > MAX_RECORD_BYTES || number != before.checked_add(1)? {
        return None;
    }
    let start = at.checked_add(FRAME_HEADER)?;
    let payload = bytes.get(start..start.checked_add(length)?)?;
    let next = rolled(hash, number, payload);
    if next != *header.get(12..44)? {
        return None;
    }
    let record = codec::decode(payload, MAX_RECORD_BYTES).ok()?;
    Some(((record, length), next))
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
