//! Numbers and names with a meaning: heights, views, epochs, times, chains.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{context, hash::hash_parts};

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident($int:ty);)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub struct $name($int);

        impl $name {
            /// The first one.
            pub const ZERO: Self = Self(0);

            /// Wraps a number.
            pub const fn new(value: $int) -> Self {
                Self(value)
            }

            /// The number.
            pub const fn get(self) -> $int {
                self.0
            }

            /// The one after this; stays at the largest, which no chain reaches.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }

            /// The one before this, if there is one.
            pub const fn previous(self) -> Option<Self> {
                match self.0.checked_sub(1) {
                    Some(value) => Some(Self(value)),
                    None => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

numbers! {
    /// Position of a block in its chain; genesis has 0.
    Height(u64);
    /// Attempt to decide one height; starts at 0 for each height.
    View(u32);
    /// Generation of a chain's validator set, raised by every change of the set.
    Epoch(u64);
    /// Place of a validator in its set, from 0.
    ValidatorIndex(u16);
    /// Milliseconds since 1970-01-01T00:00:00Z, as block time.
    TimeMs(u64);
}

impl Height {
    /// The big-endian bytes, which sort like the number; used in storage keys.
    pub const fn to_be_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

impl TimeMs {
    /// This time plus a duration in milliseconds, stopping at the largest.
    #[must_use]
    pub const fn saturating_add(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// Milliseconds from `earlier` to this time, 0 if `earlier` is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The name of a chain: for the main chain the hash of its genesis, for a side chain the hash of
/// the main chain's id, its name and its creation record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChainId([u8; 32]);

impl ChainId {
    /// The main chain's id, from the canonical bytes of its genesis.
    pub fn main(genesis: &[u8]) -> Self {
        Self(hash_parts(context::CHAIN_ID_MAIN, &[genesis]))
    }

    /// A side chain's id, from the main chain's, its name and its encoded creation record.
    pub fn side(main: &Self, name: &str, creation: &[u8]) -> Self {
        // The record is self-delimiting and the name's length stands before it.
        Self(hash_parts(
            context::CHAIN_ID_SIDE,
            &[
                &main.0,
                &(name.len() as u64).to_le_bytes(),
                name.as_bytes(),
                creation,
            ],
        ))
    }

    /// Takes bytes that are already a chain id.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Takes a slice, if it has 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainId({}..)", hex::encode(&self.0[..6]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_sort_as_bytes_and_times_stop_at_their_ends() {
        assert_eq!(Height::new(258).to_be_bytes(), [0, 0, 0, 0, 0, 0, 1, 2]);
        let time = TimeMs::new(100);
        assert_eq!(time.saturating_add(5), TimeMs::new(105));
        assert_eq!(TimeMs::new(u64::MAX).saturating_add(5).get(), u64::MAX);
        assert_eq!(time.saturating_add(5).since(time), 5);
        assert_eq!(time.since(time.saturating_add(5)), 0);
    }

    #[test]
    fn a_chain_s_id_is_the_same_through_bytes_and_digits() {
        let id = ChainId::main(b"genesis");
        assert_eq!(ChainId::from_slice(id.as_bytes()), Some(id));
        assert_eq!(ChainId::from_slice(&id.as_bytes()[1..]), None);
        assert_eq!(ChainId::from_hex(&id.to_string()), Some(id));
        assert_eq!(ChainId::from_hex("00"), None);
        assert_ne!(ChainId::main(b"other"), id);
        assert_ne!(
            ChainId::side(&id, "a", b"bc"),
            ChainId::side(&id, "ab", b"c")
        );
    }
}
