//! Records of the state as bytes: a version, then the record in the codec's form.

use certchain_proto::codec::{self, DecodeError};
use serde::{Serialize, de::DeserializeOwned};

pub use crate::identity::RECORD_VERSION;

/// Why bytes are no record.
pub type RecordError = DecodeError;

/// The bytes of a record.
pub fn encode<T: Serialize>(record: &T) -> Vec<u8> {
    codec::encode_versioned(RECORD_VERSION, record)
}

/// Reads the bytes of a record of at most `limit` bytes.
///
/// # Errors
/// If the version is another or the rest is no such record.
pub fn decode<T: Serialize + DeserializeOwned>(
    bytes: &[u8],
    limit: usize,
) -> Result<T, RecordError> {
    codec::decode_versioned(RECORD_VERSION, bytes, limit)
}
