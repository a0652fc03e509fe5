//! The attributes of an identity (name, date of birth, ...) as salted commitments.
//!
//! Nothing of them reaches the chain in clear: the chain holds one root, the holder keeps names,
//! values and salts, and shows a verifier those that it wants to show.
//!
//! Format (quoted by docs/formats.md):
//!
//! - an identity has exactly 16 slots; each holds a name, a value and 32 random bytes of salt; in an
//!   unused slot name and value are empty and the salt is random all the same, so that nobody can
//!   count the attributes;
//! - `commitment = H("certchain v1 field commitment",
//!   salt || u16le(len(name)) || name || u32le(len(value)) || value)`;
//! - `root = H("certchain v1 attribute root", commitment[0] || ... || commitment[15])`;
//!
//! with H the BLAKE3 key derivation mode under that context. Names have 1 to 64 of `a-z`, `0-9`,
//! `_`, `-` and `.`, none twice; values have 1 to 1024 bytes of UTF-8 in form NFC. Used slots are
//! drawn at random, so that a slot's number tells nothing either.

use std::{collections::BTreeSet, fmt, path::Path};

use certchain_proto::{
    context,
    hash::{AttributeRoot, hash_parts},
};
use serde::Deserialize;
use unicode_normalization::{UnicodeNormalization as _, is_nfc};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{
    NoRandomness,
    atomic_file::{self, Access},
    random,
    text_file::{FileError, hex_array, line, parse, read_text},
};

/// Number of slots of an identity.
pub const ATTRIBUTE_SLOTS: usize = 16;
/// Longest name in bytes.
pub const MAX_NAME_BYTES: usize = 64;
/// Longest value in bytes.
pub const MAX_VALUE_BYTES: usize = 1024;

const SALT_BYTES: usize = 32;
const FORMAT: &str = "certchain attributes 1";
const WHAT: &str = "attributes file";
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// Why attributes are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// More attributes than slots.
    #[error("{actual} attributes, an identity has {ATTRIBUTE_SLOTS} slots")]
    TooMany {
        /// How many were given.
        actual: usize,
    },
    /// The name has a wrong length or character.
    #[error("attribute name '{name}' must have 1 to {MAX_NAME_BYTES} of a-z, 0-9, '_', '-', '.'")]
    Name {
        /// The name, cut to 80 characters.
        name: String,
    },
    /// A name stands twice.
    #[error("attribute '{name}' is given twice")]
    Repeated {
        /// The name.
        name: String,
    },
    /// The value is empty, too long or not in NFC.
    #[error("the value of attribute '{name}' must have 1 to {MAX_VALUE_BYTES} bytes of NFC text")]
    Value {
        /// The attribute's name; never its value.
        name: String,
    },
    /// The number of slots is another.
    #[error("{actual} slots, an identity has exactly {ATTRIBUTE_SLOTS}")]
    Slots {
        /// How many were given.
        actual: usize,
    },
    /// The machine gave no random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// One slot: an attribute with its salt, or an unused one.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Slot {
    name: String,
    value: String,
    salt: [u8; SALT_BYTES],
}

impl Slot {
    /// The attribute's name, empty if unused.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The attribute's value, empty if unused.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether it holds no attribute.
    pub fn is_unused(&self) -> bool {
        self.name.is_empty()
    }

    /// What the root covers.
    pub fn commitment(&self) -> [u8; 32] {
        // Lengths fit: MAX_NAME_BYTES and MAX_VALUE_BYTES are checked when a slot is made.
        hash_parts(
            context::FIELD_COMMITMENT,
            &[
                &self.salt,
                &(self.name.len() as u16).to_le_bytes(),
                self.name.as_bytes(),
                &(self.value.len() as u32).to_le_bytes(),
                self.value.as_bytes(),
            ],
        )
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot(contents not shown)")
    }
}

/// All attributes of an identity with their salts: the holder's secret.
///
/// Invariant: exactly [`ATTRIBUTE_SLOTS`] slots, names and values as the module's document says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeSet {
    slots: Vec<Slot>,
}

impl AttributeSet {
    /// Salts attributes and puts them into slots drawn at random. Values are put into NFC.
    ///
    /// # Errors
    /// If there are too many, a name or value does not fit, or there is no randomness.
    pub fn new(attributes: &[(String, String)]) -> Result<Self, AttributeError> {
        if attributes.len() > ATTRIBUTE_SLOTS {
            return Err(AttributeError::TooMany {
                actual: attributes.len(),
            });
        }
        let mut slots = Vec::with_capacity(ATTRIBUTE_SLOTS);
        for (name, value) in attributes {
            slots.push(Slot {
                name: name.clone(),
                value: value.nfc().collect(),
                salt: random()?,
            });
        }
        while slots.len() < ATTRIBUTE_SLOTS {
            slots.push(Slot {
                name: String::new(),
                value: String::new(),
                salt: random()?,
            });
        }
        // Fisher and Yates; the bias of a 64-bit remainder of at most 16 is below 2^-59.
        for last in (1..slots.len()).rev() {
            let draw = u64::from_le_bytes(random()?);
            slots.swap(last, (draw % (last as u64 + 1)) as usize);
        }
        Self::from_slots(slots)
    }

    /// Takes all slots, checked.
    fn from_slots(slots: Vec<Slot>) -> Result<Self, AttributeError> {
        if slots.len() != ATTRIBUTE_SLOTS {
            return Err(AttributeError::Slots {
                actual: slots.len(),
            });
        }
        let mut names = BTreeSet::new();
        for slot in &slots {
            if slot.is_unused() && slot.value.is_empty() {
                continue;
            }
            let name = || slot.name.chars().take(80).collect();
            if !name_fits(&slot.name) {
                return Err(AttributeError::Name { name: name() });
            }
            if !names.insert(&slot.name) {
                return Err(AttributeError::Repeated { name: name() });
            }
            let value_fits =
                (1..=MAX_VALUE_BYTES).contains(&slot.value.len()) && is_nfc(&slot.value);
            if !value_fits {
                return Err(AttributeError::Value { name: name() });
            }
        }
        Ok(Self { slots })
    }

    /// All slots in order.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The attributes, by name.
    pub fn attributes(&self) -> Vec<(&str, &str)> {
        let mut attributes: Vec<_> = self
            .slots
            .iter()
            .filter(|slot| !slot.is_unused())
            .map(|slot| (slot.name(), slot.value()))
            .collect();
        attributes.sort_unstable();
        attributes
    }

    /// What the chain holds.
    pub fn root(&self) -> AttributeRoot {
        let mut commitments = [0; ATTRIBUTE_SLOTS * 32];
        for (place, slot) in commitments.chunks_exact_mut(32).zip(&self.slots) {
            place.copy_from_slice(&slot.commitment());
        }
        AttributeRoot::from_bytes(hash_parts(context::ATTRIBUTE_ROOT, &[&commitments]))
    }

    /// Appends the slots in the form in which a wallet encrypts them: per slot salt, u16le name
    /// length, name, u16le value length, value.
    pub(crate) fn write_secret(&self, out: &mut Zeroizing<Vec<u8>>) {
        for slot in &self.slots {
            out.extend_from_slice(&slot.salt);
            for text in [&slot.name, &slot.value] {
                out.extend_from_slice(&(text.len() as u16).to_le_bytes());
                out.extend_from_slice(text.as_bytes());
            }
        }
    }

    /// The number of bytes that [`Self::write_secret`] appends.
    pub(crate) fn secret_len(&self) -> usize {
        self.slots
            .iter()
            .map(|slot| SALT_BYTES + 4 + slot.name.len() + slot.value.len())
            .sum()
    }

    /// Reads what [`Self::write_secret`] wrote from the front of `input`.
    pub(crate) fn read_secret(input: &mut &[u8]) -> Option<Self> {
        let mut slots = Vec::with_capacity(ATTRIBUTE_SLOTS);
        for _ in 0..ATTRIBUTE_SLOTS {
            let salt = *input.split_off(..SALT_BYTES)?.first_chunk()?;
            let mut text = || {
                let length = u16::from_le_bytes(*input.split_off(..2)?.first_chunk()?);
                let bytes = input.split_off(..usize::from(length))?;
                Some(std::str::from_utf8(bytes).ok()?.to_owned())
            };
            slots.push(Slot {
                name: text()?,
                value: text()?,
                salt,
            });
        }
        Self::from_slots(slots).ok()
    }

    /// Writes names, values and salts in clear, for the way from the counter to the holder. The
    /// file is its owner's only, and must not exist yet.
    ///
    /// # Errors
    /// If it exists or cannot be written.
    pub fn write_file(&self, path: &Path) -> Result<(), FileError> {
        atomic_file::create(path, self.render().as_bytes(), Access::OwnerOnly)
            .map_err(|e| FileError::writing(path, e))
    }

    /// Reads such a file.
    ///
    /// # Errors
    /// If it cannot be read, is of another kind, or was altered.
    pub fn read_file(path: &Path) -> Result<Self, FileError> {
        let text = Zeroizing::new(read_text(path, WHAT, MAX_FILE_BYTES)?);
        let raw: RawFile = parse(path, WHAT, &text)?;
        if raw.format != FORMAT {
            return Err(FileError::malformed(
                path,
                WHAT,
                "it is of another format or release",
            ));
        }
        let slots = raw
            .slot
            .into_iter()
            .map(|slot| {
                let salt = hex_array(&slot.salt)
                    .ok_or_else(|| FileError::malformed(path, WHAT, "a salt is not 32 bytes"))?;
                Ok(Slot {
                    name: slot.name,
                    value: slot.value,
                    salt,
                })
            })
            .collect::<Result<Vec<_>, FileError>>()?;
        let set = Self::from_slots(slots).map_err(|e| FileError::malformed(path, WHAT, e))?;
        if *set.render() != *text {
            return Err(FileError::Altered {
                path: path.to_owned(),
            });
        }
        Ok(set)
    }

    fn render(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(4096 + 8 * self.secret_len()));
        text.push_str("# Personal data in clear: give it to the holder only, then delete it.\n");
        line(&mut text, "format", FORMAT);
        for slot in &self.slots {
            text.push_str("\n[[slot]]\n");
            line(&mut text, "name", &slot.name);
            line(&mut text, "value", &slot.value);
            line(&mut text, "salt", &hex::encode(slot.salt));
        }
        text
    }
}

fn name_fits(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.')
        })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    format: String,
    slot: Vec<RawSlot>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSlot {
    name: String,
    value: String,
    salt: String,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn pairs(items: &[(&str, &str)]) -> Vec<(String, String)> {
        items
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    fn example() -> AttributeSet {
        AttributeSet::new(&pairs(&[("name", "王小明"), ("birth_date", "1990-01-02")])).unwrap()
    }

    #[test]
    fn the_format_is_as_documented() {
        let set = example();
        let mut commitments = Vec::new();
        for slot in set.slots() {
            let mut input = slot.salt.to_vec();
            input.extend_from_slice(&(slot.name.len() as u16).to_le_bytes());
            input.extend_from_slice(slot.name.as_bytes());
            input.extend_from_slice(&(slot.value.len() as u32).to_le_bytes());
            input.extend_from_slice(slot.value.as_bytes());
            commitments
                .extend_from_slice(&blake3::derive_key("certchain v1 field commitment", &input));
        }
        assert_eq!(commitments.len(), 512);
        let root = blake3::derive_key("certchain v1 attribute root", &commitments);
        assert_eq!(*set.root().as_bytes(), root);
    }

    #[test]
    fn equal_attributes_have_unlinkable_roots() {
        assert_ne!(example().root(), example().root());
        let salts: BTreeSet<_> = example().slots().iter().map(|slot| slot.salt).collect();
        assert_eq!(salts.len(), ATTRIBUTE_SLOTS);
    }

    #[test]
    fn any_change_changes_the_root() {
        let set = example();
        for index in 0..ATTRIBUTE_SLOTS {
            let mut other = set.clone();
            other.slots[index].salt[0] ^= 1;
            assert_ne!(other.root(), set.root());
        }
        let mut other = set.clone();
        other.slots.swap(0, 1);
        assert_ne!(other.root(), set.root());
    }

    #[test]
    fn values_are_normalised_and_limits_hold() {
        let set = AttributeSet::new(&pairs(&[("name", "Ame\u{301}lie")])).unwrap();
        assert_eq!(set.attributes(), [("name", "Am\u{e9}lie")]);
        assert!(AttributeSet::new(&[]).is_ok());
        let full: Vec<_> = (0..16).map(|i| (format!("a{i}"), "v".to_owned())).collect();
        assert_eq!(AttributeSet::new(&full).unwrap().attributes().len(), 16);
        let many: Vec<_> = (0..17).map(|i| (format!("a{i}"), "v".to_owned())).collect();
        assert_eq!(
            AttributeSet::new(&many),
            Err(AttributeError::TooMany { actual: 17 })
        );
        for (name, value) in [("", "v"), ("Name", "v"), ("a b", "v"), ("n", "")] {
            assert!(
                AttributeSet::new(&pairs(&[(name, value)])).is_err(),
                "{name:?} {value:?}"
            );
        }
        let long = "x".repeat(MAX_VALUE_BYTES + 1);
        assert!(AttributeSet::new(&pairs(&[("n", &long)])).is_err());
        assert!(matches!(
            AttributeSet::new(&pairs(&[("n", "1"), ("n", "2")])),
            Err(AttributeError::Repeated { .. })
        ));
    }

    #[test]
    fn files_come_back_and_altered_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        let set = example();
        set.write_file(&path).unwrap();
        assert_eq!(AttributeSet::read_file(&path).unwrap(), set);
        assert!(matches!(
            set.write_file(&path),
            Err(FileError::Exists { .. })
        ));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("1990-01-02", "1990-01-03")).unwrap();
        // A well-formed other value is another set, whose root then differs from the draft's.
        assert_ne!(AttributeSet::read_file(&path).unwrap().root(), set.root());
        std::fs::write(&path, format!("{text}\n")).unwrap();
        assert!(matches!(
            AttributeSet::read_file(&path),
            Err(FileError::Altered { .. })
        ));
    }

    #[test]
    fn the_secret_form_comes_back() {
        let set = example();
        let mut bytes = Zeroizing::new(Vec::new());
        set.write_secret(&mut bytes);
        assert_eq!(bytes.len(), set.secret_len());
        let mut input = bytes.as_slice();
        assert_eq!(AttributeSet::read_secret(&mut input).unwrap(), set);
        assert!(input.is_empty());
        for cut in [0, 1, 31, 33, bytes.len() - 1] {
            assert!(
                AttributeSet::read_secret(&mut &bytes[..cut]).is_none(),
                "cut at {cut}"
            );
        }
    }
}
