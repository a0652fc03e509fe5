//! Tells a log whose last write was cut off by a crash from one whose last records were damaged.
//!
//! RocksDB's logs (write-ahead log and manifest) are blocks of 32 KiB that hold fragments: checksum
//! (4), length (2), type (1), payload. The checksum, a masked CRC-32C, covers type and payload but
//! is found by the length. So a damaged length near the end of the file reads like a fragment that
//! was never written to its end, and everything after it would be dropped silently. But then the
//! checksum still matches some *other* length, which it does for a true torn write only by a chance
//! of one in 2^32 per length.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

use super::StoreError;

const BLOCK_BYTES: u64 = 32 * 1024;
const HEADER_BYTES: usize = 7;

/// Checks all logs of the database at `path`.
pub(super) fn check(path: &Path) -> Result<(), StoreError> {
    let failed = |path: &Path, source| StoreError::File {
        path: path.to_owned(),
        source,
    };
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(path, error)),
    };
    for entry in entries {
        let file = entry.map_err(|error| failed(path, error))?.path();
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if !name.ends_with(".log") && !name.starts_with("MANIFEST-") {
            continue;
        }
        let (start, block) = match last_block(&file) {
            Ok(read) => read,
            // A running daemon drops logs that it needs no more.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(&file, error)),
        };
        if let Some(offset) = damaged_length(&block) {
            let offset = start + offset as u64;
            return Err(StoreError::corrupt(format!(
                "{name} has a record with a wrong length at byte {offset}"
            )));
        }
    }
    Ok(())
}

/// The last block of a log and where it starts. Only it can end early; before it, a wrong length
/// makes a wrong checksum.
fn last_block(file: &Path) -> std::io::Result<(u64, Vec<u8>)> {
    let mut file = File::open(file)?;
    let start = file.metadata()?.len().saturating_sub(1) / BLOCK_BYTES * BLOCK_BYTES;
    file.seek(SeekFrom::Start(start))?;
    let mut block = Vec::new();
    file.take(BLOCK_BYTES).read_to_end(&mut block)?;
    Ok((start, block))
}

/// Where a block holds a whole fragment under a wrong length.
fn damaged_length(block: &[u8]) -> Option<usize> {
    let mut rest = block;
    loop {
        let offset = block.len() - rest.len();
        let (stored, length) = match *rest {
            [a, b, c, d, low, high, _, ..] => (
                u32::from_le_bytes([a, b, c, d]),
                u16::from_le_bytes([low, high]),
            ),
            _ => return None,
        };
        let kind = rest.get(HEADER_BYTES - 1).copied()?;
        if kind == 0 && length == 0 && stored == 0 {
            // Space that was reserved and not written to.
            return None;
        }
        let end = HEADER_BYTES + usize::from(length);
        match rest.get(end..) {
            // Its checksum is RocksDB's business.
            Some(after) => rest = after,
            None => return matches_other_length(rest, stored).then_some(offset),
        }
    }
}

fn matches_other_length(fragment: &[u8], stored: u32) -> bool {
    let Some(covered) = fragment.get(HEADER_BYTES - 1..) else {
        return false;
    };
    let mut crc = u32::MAX;
    for (index, byte) in covered.iter().enumerate() {
        crc = step(crc, *byte);
        // The first byte is the type; a fragment without payload is none of ours.
        if index > 0 && masked(!crc) == stored {
            return true;
        }
    }
    false
}

fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// One byte of CRC-32C (Castagnoli), reflected.
fn step(crc: u32, byte: u8) -> u32 {
    TABLE[usize::from((crc as u8) ^ byte)] ^ (crc >> 8)
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                (value >> 1) ^ 0x82f6_3b78
            } else {
                value >> 1
            };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(payload: &[u8]) -> Vec<u8> {
        let mut crc = step(u32::MAX, 1);
        for byte in payload {
            crc = step(crc, *byte);
        }
        let mut bytes = masked(!crc).to_le_bytes().to_vec();
        bytes.extend((payload.len() as u16).to_le_bytes());
        bytes.push(1);
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn the_checksum_is_crc32c() {
        // RFC 3720, appendix B.4: 32 bytes of zeros.
        let crc = [0u8; 32]
            .iter()
            .fold(u32::MAX, |crc, byte| step(crc, *byte));
        assert_eq!(!crc, 0x8a91_36aa);
    }

    #[test]
    fn torn_tails_pass_and_damaged_lengths_do_not() {
        let mut log = fragment(&[7; 100]);
        let second = log.len();
        log.extend(fragment(&[9; 300]));
        assert_eq!(damaged_length(&log), None);
        for cut in second..log.len() {
            assert_eq!(damaged_length(&log[..cut]), None, "cut at {cut}");
        }
        for bit in 0..16 {
            for start in [0, second] {
                let mut bent = log.clone();
                bent[start + 4 + bit / 8] ^= 1 << (bit % 8);
                let length = u16::from_le_bytes([bent[start + 4], bent[start + 5]]);
                if start + HEADER_BYTES + usize::from(length) > bent.len() {
                    assert_eq!(damaged_length(&bent), Some(start), "bit {bit} at {start}");
                }
            }
        }
        let mut reserved = log;
        reserved.extend([0; 4096]);
        assert_eq!(damaged_length(&reserved), None);
    }
}
