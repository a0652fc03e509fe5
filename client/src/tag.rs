//! Identity tags: a pseudonym of a person's document, equal for equal documents, so that one person
//! gets one identity, and meaningless to everybody without the network-wide key.
//!
//! Format (part of the network's rules; every office must get the same tag for the same document):
//!
//! `tag = BLAKE3 keyed_hash(key, "certchain v1 identity tag" || u32le(version) ||
//!  u8(len(country)) || country || u8(len(type)) || type || u8(len(number)) || number)`
//!
//! - country: ISO 3166-1 alpha-2, upper case;
//! - type: 1 to 32 of `a-z`, `0-9` and `-`, lower case (`id`, `passport`, `business-licence`);
//! - number: put into Unicode form NFKC (full-width digits become plain ones), white space and
//!   `-`, `.`, `/` left out, upper case; then 1 to 64 of `A-Z` and `0-9`.

use std::{fmt, path::Path};

use certchain_proto::hash::IdentityTag;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use crate::text_file::{FileError, hex_array, read_text};

const LABEL: &[u8] = b"certchain v1 identity tag";
const WHAT: &str = "tag key file (64 hexadecimal digits on one line)";

/// Why a document has no tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The country is not two letters.
    #[error("the document's country must be its two-letter code of ISO 3166-1, for example CN")]
    Country,
    /// The type has a wrong length or character.
    #[error(
        "the document's type must have 1 to 32 of a-z, 0-9 and '-', for example id or passport"
    )]
    Type,
    /// The number has a wrong length or character.
    #[error("the document's number must have 1 to 64 letters A-Z and digits, besides separators")]
    Number,
}

/// A person's or company's document in canonical form.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    country: String,
    kind: String,
    number: Zeroizing<String>,
}

impl Document {
    /// Puts what is printed on a document into canonical form.
    ///
    /// # Errors
    /// If a part has a wrong length or holds other characters than the module's document allows.
    pub fn new(country: &str, kind: &str, number: &str) -> Result<Self, DocumentError> {
        let country = country.trim().to_ascii_uppercase();
        if country.len() != 2 || !country.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(DocumentError::Country);
        }
        let kind = kind.trim().to_ascii_lowercase();
        let kind_fits = (1..=32).contains(&kind.len())
            && kind
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !kind_fits {
            return Err(DocumentError::Type);
        }
        if number.len() > 1024 {
            return Err(DocumentError::Number);
        }
        let number: Zeroizing<String> = Zeroizing::new(
            number
                .nfkc()
                .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '.' | '/'))
                .map(|c| c.to_ascii_uppercase())
                .collect(),
        );
        let number_fits = (1..=64).contains(&number.len())
            && number
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if !number_fits {
            return Err(DocumentError::Number);
        }
        Ok(Self {
            country,
            kind,
            number,
        })
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Document({} {}, number not shown)",
            self.country, self.kind
        )
    }
}

/// The network-wide key that makes tags; the information centres and agencies share it.
pub struct TagKey {
    key: Zeroizing<[u8; 32]>,
    version: u32,
}

impl TagKey {
    /// Takes a key and its version, from 1.
    pub fn new(key: [u8; 32], version: u32) -> Self {
        Self {
            key: Zeroizing::new(key),
            version,
        }
    }

    /// Reads a file with the key as 64 hexadecimal digits.
    ///
    /// # Errors
    /// If the file cannot be read or holds something else.
    pub fn read(path: &Path, version: u32) -> Result<Self, FileError> {
        let text = Zeroizing::new(read_text(path, WHAT, 256)?);
        let key = hex_array(text.trim())
            .ok_or_else(|| FileError::malformed(path, WHAT, "it holds something else"))?;
        Ok(Self::new(key, version))
    }

    /// The key's version, which transactions name.
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// The tag of a document.
    pub fn tag(&self, document: &Document) -> IdentityTag {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(LABEL);
        hasher.update(&self.version.to_le_bytes());
        for part in [&document.country, &document.kind, &*document.number] {
            // Every part has at most 64 bytes, so its length fits.
            hasher.update(&[part.len() as u8]);
            hasher.update(part.as_bytes());
        }
        IdentityTag::from_bytes(*hasher.finalize().as_bytes())
    }
}

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TagKey(version {}, key not shown)", self.version)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn key() -> TagKey {
        TagKey::new([7; 32], 1)
    }

    #[test]
    fn spellings_of_one_document_have_one_tag() {
        let plain = Document::new("CN", "id", "11010519491231002X").unwrap();
        for (country, kind, number) in [
            ("cn", "ID", "11010519491231002x"),
            (" CN ", "id", "110105 19491231 002-X"),
            ("CN", "id", "１１０１０５１９４９１２３１００２Ｘ"),
        ] {
            let other = Document::new(country, kind, number).unwrap();
            assert_eq!(key().tag(&plain), key().tag(&other), "{number}");
        }
    }

    #[test]
    fn other_documents_keys_and_versions_have_other_tags() {
        let plain = Document::new("CN", "id", "12").unwrap();
        let tag = key().tag(&plain);
        let others = [
            key().tag(&Document::new("DE", "id", "12").unwrap()),
            key().tag(&Document::new("CN", "passport", "12").unwrap()),
            key().tag(&Document::new("CN", "id", "13").unwrap()),
            // Length prefixes keep parts apart.
            key().tag(&Document::new("CN", "id1", "2").unwrap()),
            TagKey::new([8; 32], 1).tag(&plain),
            TagKey::new([7; 32], 2).tag(&plain),
        ];
        assert!(others.iter().all(|other| *other != tag));
    }

    /// The format, computed by hand: a change here splits the network's offices.
    #[test]
    fn the_format_is_as_documented() {
        let mut input = b"certchain v1 identity tag".to_vec();
        input.extend_from_slice(&[1, 0, 0, 0]);
        input.extend_from_slice(b"\x02CN\x02id\x0212");
        let expected = blake3::keyed_hash(&[7; 32], &input);
        let tag = key().tag(&Document::new("CN", "id", "12").unwrap());
        assert_eq!(tag.as_bytes(), expected.as_bytes());
    }

    #[test]
    fn wrong_parts_are_refused() {
        assert_eq!(Document::new("CHN", "id", "1"), Err(DocumentError::Country));
        assert_eq!(
            Document::new("中国", "id", "1"),
            Err(DocumentError::Country)
        );
        assert_eq!(Document::new("CN", "", "1"), Err(DocumentError::Type));
        assert_eq!(
            Document::new("CN", "id card", "1"),
            Err(DocumentError::Type)
        );
        assert_eq!(Document::new("CN", "id", " - "), Err(DocumentError::Number));
        assert_eq!(Document::new("CN", "id", "1;2"), Err(DocumentError::Number));
        assert_eq!(
            Document::new("CN", "id", &"1".repeat(65)),
            Err(DocumentError::Number)
        );
    }

    #[test]
    fn key_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tag.key");
        std::fs::write(&path, format!("{}\n", hex::encode([7; 32]))).unwrap();
        let document = Document::new("CN", "id", "12").unwrap();
        assert_eq!(
            TagKey::read(&path, 1).unwrap().tag(&document),
            key().tag(&document)
        );
        std::fs::write(&path, "abcd").unwrap();
        assert!(matches!(
            TagKey::read(&path, 1),
            Err(FileError::Malformed { .. })
        ));
    }
}
