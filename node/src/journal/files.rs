//! The journal's files and their bytes: segments, frames, the head's two slots.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use certchain_consensus::{Record, limits::MAX_RECORD_BYTES};
use certchain_proto::{codec, context, hash::hash_parts};

use super::Loss;

/// Least size of a segment; a full one is rewritten with the records that still bind.
pub(super) const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;
pub(super) const MAGIC: &[u8; 16] = b"certchain journ1";
pub(super) const SEGMENT_HEADER: u64 = 16 + 8 + 8 + 32;
pub(super) const FRAME_HEADER: usize = 4 + 8 + 32;
pub(super) const SLOT_BYTES: usize = 512;
pub(super) const HEAD_FILE: &str = "journal-head";

/// What the head file says: the last frame that was promised to be on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub update: u64,
    pub generation: u64,
    pub number: u64,
    pub hash: [u8; 32],
}

pub(super) fn segment_path(directory: &Path, generation: u64) -> PathBuf {
    directory.join(format!("journal-{generation:016}"))
}

pub(super) fn open_segment(directory: &Path, generation: u64) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(segment_path(directory, generation))
}

/// Generations of the segments in a directory.
pub(super) fn segments(directory: &Path) -> io::Result<Vec<u64>> {
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

pub(super) fn remove_others(directory: &Path, keep: u64) -> io::Result<()> {
    for generation in segments(directory)?.into_iter().filter(|g| *g != keep) {
        fs::remove_file(segment_path(directory, generation))?;
    }
    File::open(directory)?.sync_all()
}

pub(super) fn rolled(before: &[u8; 32], number: u64, payload: &[u8]) -> [u8; 32] {
    let length = (payload.len() as u64).to_le_bytes();
    hash_parts(
        context::JOURNAL,
        &[before, &number.to_le_bytes(), &length, payload],
    )
}

/// The frames of `records` behind `head`, which moves on.
pub(super) fn frames(head: &mut Head, records: &[Record]) -> Vec<u8> {
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
pub(super) fn write_segment(
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

pub(super) fn zero(file: &File, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; 1024 * 1024];
    let mut at = from;
    while at < to {
        let length = to.saturating_sub(at).min(zeros.len() as u64);
        file.write_all_at(zeros.get(..length as usize).unwrap_or(&zeros), at)?;
        at = at.saturating_add(length);
    }
    Ok(())
}

pub(super) fn slot(head: &Head) -> [u8; SLOT_BYTES] {
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

pub(super) fn parse_slot(bytes: &[u8]) -> Option<Head> {
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

pub(super) fn number_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// Writes a head file anew, whole or not at all.
pub(super) fn write_head_file(directory: &Path, head: &Head) -> io::Result<()> {
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
pub(super) fn read_head(directory: &Path) -> io::Result<Option<Head>> {
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

pub(super) struct Read {
    pub records: Vec<Record>,
    pub end: u64,
    pub segment_bytes: u64,
    pub number: u64,
    pub hash: [u8; 32],
    pub torn: bool,
}

pub(super) fn read_journal(directory: &Path) -> io::Result<Result<(Head, Read), Loss>> {
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
pub(super) fn parse_segment(bytes: &[u8], head: &Head) -> Result<Read, Loss> {
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

pub(super) fn parse_frame(bytes: &[u8], at: usize, before: u64, hash: &[u8; 32]) -> Option<Frame> {
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
