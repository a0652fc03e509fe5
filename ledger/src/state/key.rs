//! Keys of the state tree and their bits.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest key in bytes.
pub const MAX_KEY_BYTES: usize = 96;

/// Branch positions are below this: one for each bit of the longest key.
pub const POSITION_LIMIT: u16 = 768;

const _: () = assert!(MAX_KEY_BYTES * 8 == POSITION_LIMIT as usize);

/// A key of the state tree: a namespace byte, then fields of fixed length.
///
/// Kept in place and padded with zeros, since trees handle them by the thousand. Keys order like
/// their bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct StateKey {
    // Invariant: bytes at and past `length` are 0; 1 <= length <= MAX_KEY_BYTES.
    bytes: [u8; MAX_KEY_BYTES],
    length: u8,
}

/// Why bytes are no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A key has at least its namespace byte.
    #[error("a state key is empty; it must start with its namespace byte")]
    Empty,
    /// Longer than any namespace's keys.
    #[error("a state key has {length} bytes; at most {MAX_KEY_BYTES} are allowed")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
}

impl StateKey {
    /// Takes the bytes of a key.
    pub fn new(key: &[u8]) -> Result<Self, KeyError> {
        Self::join(key, &[])
    }

    /// Takes a key in two parts: a shared prefix and the rest.
    pub(super) fn join(prefix: &[u8], rest: &[u8]) -> Result<Self, KeyError> {
        let length = prefix.len().saturating_add(rest.len());
        if length == 0 {
            return Err(KeyError::Empty);
        }
        let too_long = KeyError::TooLong { length };
        let short = u8::try_from(length).map_err(|_| too_long)?;
        let mut bytes = [0; MAX_KEY_BYTES];
        bytes
            .get_mut(..prefix.len())
            .ok_or(too_long)?
            .copy_from_slice(prefix);
        bytes
            .get_mut(prefix.len()..length)
            .ok_or(too_long)?
            .copy_from_slice(rest);
        Ok(Self {
            bytes,
            length: short,
        })
    }

    /// The key without padding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The first byte, which names the namespace.
    pub fn namespace(&self) -> u8 {
        self.bytes[0]
    }

    /// The number of bits up to the key's end.
    pub(super) fn bits(&self) -> u16 {
        u16::from(self.length) * 8
    }

    /// The bit at `position`, which must be below [`POSITION_LIMIT`].
    #[inline]
    pub(super) fn bit(&self, position: u16) -> bool {
        self.bytes[usize::from(position >> 3)] & (0x80 >> (position & 7)) != 0
    }

    /// The first bit in which the padded keys differ; [`POSITION_LIMIT`] if they do not.
    #[inline]
    pub(super) fn divergence(&self, other: &Self) -> u16 {
        let words = self
            .bytes
            .as_chunks::<8>()
            .0
            .iter()
            .zip(other.bytes.as_chunks::<8>().0);
        let mut position = 0;
        for (mine, theirs) in words {
            let difference = u64::from_be_bytes(*mine) ^ u64::from_be_bytes(*theirs);
            if difference != 0 {
                return position + difference.leading_zeros() as u16;
            }
            position += 64;
        }
        POSITION_LIMIT
    }

    /// Whether the keys differ before either of them ends, as no two keys of a tree may fail to.
    #[inline]
    pub(super) fn is_apart_from(&self, other: &Self) -> bool {
        self.divergence(other) < self.bits().min(other.bits())
    }
}

impl TryFrom<Vec<u8>> for StateKey {
    type Error = KeyError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, KeyError> {
        Self::new(&bytes)
    }
}

impl From<StateKey> for Vec<u8> {
    fn from(key: StateKey) -> Self {
        key.as_bytes().to_vec()
    }
}

impl AsRef<[u8]> for StateKey {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Display for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.as_bytes()))
    }
}

impl fmt::Debug for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateKey({self})")
    }
}
