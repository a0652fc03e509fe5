//! The one encoding of everything that nodes exchange and store (clients see protobuf instead).
//!
//! bincode 2.0.1 with fixed-width little-endian integers and 64-bit lengths. Decoding takes a
//! limit, consumes the whole input, and refuses what would encode to other bytes, so that a value
//! has exactly one encoding. The crate is no longer maintained; golden vectors of every structure
//! let a byte-compatible one take its place.

use bincode::{
    config::{Configuration, Fixint, Limit, LittleEndian},
    enc::write::Writer,
};
use serde::{Serialize, de::DeserializeOwned};

/// Why bytes are not the encoding of a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More bytes than the type's limit.
    #[error("{what} has {actual} bytes, at most {limit} are taken")]
    TooLarge {
        /// The type that was expected.
        what: &'static str,
        /// Bytes that came.
        actual: usize,
        /// Bytes that are taken.
        limit: usize,
    },
    /// The bytes end early, or a tag, length or character is not one that the type has.
    #[error("the bytes are not a {what}")]
    Malformed {
        /// The type that was expected.
        what: &'static str,
    },
    /// The record was written by another release.
    #[error(
        "the {what} has version {actual}, this release reads {supported}: use the release that wrote it, or a later one"
    )]
    Version {
        /// The type that was expected.
        what: &'static str,
        /// Version of the bytes.
        actual: u8,
        /// The version that is read.
        supported: u8,
    },
    /// Bytes are left after the value, or the value has another, canonical encoding.
    #[error("the bytes are not the canonical encoding of a {what}")]
    NotCanonical {
        /// The type that was expected.
        what: &'static str,
    },
}

/// A value did not encode; only a type that serde cannot describe does that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {what} cannot be encoded")]
pub struct EncodeError {
    /// The type.
    pub what: &'static str,
}

const LIMIT: usize = 64 * 1024 * 1024;

/// Room for most of what is encoded: headers, votes, records.
const USUAL_BYTES: usize = 512;

/// Takes an encoding as it comes, most of it byte by byte.
struct Bytes(Vec<u8>);

impl Writer for Bytes {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

const fn configuration() -> Configuration<LittleEndian, Fixint, Limit<LIMIT>> {
    bincode::config::standard()
        .with_little_endian()
        .with_fixed_int_encoding()
        .with_limit::<LIMIT>()
}

/// The short name of a type, for messages.
fn name<T>() -> &'static str {
    let full = std::any::type_name::<T>();
    full.rsplit("::").next().unwrap_or(full)
}

/// Encodes a value.
///
/// # Errors
/// Only for types without a fixed shape, or above the codec's overall limit of 64 MiB.
pub fn try_encode<T: Serialize>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Bytes(Vec::with_capacity(USUAL_BYTES));
    match bincode::serde::encode_into_writer(value, &mut bytes, configuration()) {
        Ok(()) => Ok(bytes.0),
        Err(_) => Err(EncodeError { what: name::<T>() }),
    }
}

/// Encodes a value of our own that is known to fit (headers, votes, records of bounded size).
///
/// # Panics
/// If the type has no fixed shape: a mistake in the program that no input can cause.
#[allow(clippy::expect_used)]
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    try_encode(value).expect("a bounded value of our own always encodes")
}

/// Decodes a value from exactly these bytes.
///
/// # Errors
/// If there are more than `limit` bytes, if they are no such value, or if they are not the one
/// encoding of it.
pub fn decode<T: Serialize + DeserializeOwned>(
    bytes: &[u8],
    limit: usize,
) -> Result<T, DecodeError> {
    let what = name::<T>();
    if bytes.len() > limit.min(LIMIT) {
        return Err(DecodeError::TooLarge {
            what,
            actual: bytes.len(),
            limit: limit.min(LIMIT),
        });
    }
    let (value, used) = bincode::serde::decode_from_slice::<T, _>(bytes, configuration())
        .map_err(|_| DecodeError::Malformed { what })?;
    let again = try_encode(&value).map_err(|_| DecodeError::Malformed { what })?;
    if used != bytes.len() || again != bytes {
        return Err(DecodeError::NotCanonical { what });
    }
    Ok(value)
}

/// Encodes a record of our own with its version in front.
///
/// # Panics
/// As [`encode`].
pub fn encode_versioned<T: Serialize>(version: u8, value: &T) -> Vec<u8> {
    let mut bytes = vec![version];
    bytes.extend(encode(value));
    bytes
}

/// Decodes a record with its version in front.
///
/// # Errors
/// If it has another version, or as [`decode`]; `limit` is that of the bytes after the version.
pub fn decode_versioned<T: Serialize + DeserializeOwned>(
    version: u8,
    bytes: &[u8],
    limit: usize,
) -> Result<T, DecodeError> {
    let what = name::<T>();
    match bytes.split_first() {
        None => Err(DecodeError::Malformed { what }),
        Some((first, rest)) if *first == version => decode(rest, limit),
        Some((first, _)) => Err(DecodeError::Version {
            what,
            actual: *first,
            supported: version,
        }),
    }
}

#[cfg(test)]
mod tests;
