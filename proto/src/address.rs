//! Addresses of accounts: bech32m with the prefix `cc`.

use std::{fmt, str::FromStr};

use bech32::{Bech32m, Hrp, primitives::decode::CheckedHrpstring};
use serde::{Deserialize, Serialize};

use crate::{PublicKey, context, hash::hash_parts};

const PREFIX: &str = "cc";

/// The name of an account: the hash of its first public key. It stays when keys rotate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address([u8; 32]);

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// A wrong character, checksum or mixed case: a typing mistake, mostly.
    #[error("'{text}' is not a bech32m text; copy the address again, it may have a typing mistake")]
    Checksum {
        /// What was given, cut to 100 characters.
        text: String,
    },
    /// A bech32m text, but not of this project.
    #[error("the address starts with '{prefix}1', an address of CertChain starts with 'cc1'")]
    Prefix {
        /// The prefix that was given.
        prefix: String,
    },
    /// Right prefix and checksum, wrong length.
    #[error("the address holds {actual} bytes, 32 are needed")]
    Length {
        /// Bytes that it holds.
        actual: usize,
    },
}

impl Address {
    /// The address of the account whose first public key this is.
    pub fn of(first_key: &PublicKey) -> Self {
        Self(hash_parts(context::ADDRESS, &[first_key.as_bytes()]))
    }

    /// Takes bytes that are already an address.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Takes a slice, if it has 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = bech32::encode::<Bech32m>(Hrp::parse_unchecked(PREFIX), &self.0)
            .map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let checked =
            CheckedHrpstring::new::<Bech32m>(text).map_err(|_| AddressError::Checksum {
                text: text.chars().take(100).collect(),
            })?;
        let prefix = checked.hrp();
        if prefix.to_lowercase() != PREFIX {
            return Err(AddressError::Prefix {
                prefix: prefix.to_string(),
            });
        }
        let bytes: Vec<u8> = checked.byte_iter().collect();
        Self::from_slice(&bytes).ok_or(AddressError::Length {
            actual: bytes.len(),
        })
    }
}
