//! Passphrases.

use std::{fmt, path::Path};

use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use crate::text_file::{FileError, read_text};

/// Longest passphrase in bytes.
pub const MAX_PASSPHRASE_BYTES: usize = 1024;

/// Why a text is no passphrase.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// Nothing at all.
    #[error("the passphrase is empty; choose one of several words")]
    Empty,
    /// Longer than anybody types.
    #[error("the passphrase has more than {MAX_PASSPHRASE_BYTES} bytes")]
    TooLong,
    /// The passphrase file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A passphrase, wiped when dropped. In Unicode form NFC, so that keyboards and systems that write
/// an accented letter differently open the same wallet.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes a text.
    ///
    /// # Errors
    /// If it is empty or far too long.
    pub fn new(text: &str) -> Result<Self, PassphraseError> {
        if text.is_empty() {
            return Err(PassphraseError::Empty);
        }
        if text.len() > MAX_PASSPHRASE_BYTES {
            return Err(PassphraseError::TooLong);
        }
        // NFC at most triples the length; no reallocation leaves a copy behind.
        let mut normal = Zeroizing::new(String::with_capacity(3 * text.len()));
        normal.extend(text.nfc());
        Ok(Self(normal))
    }

    /// Reads a file's first line.
    ///
    /// # Errors
    /// If it cannot be read or is empty.
    pub fn read(path: &Path) -> Result<Self, PassphraseError> {
        let text = Zeroizing::new(read_text(path, "passphrase file", 4096)?);
        Self::new(text.lines().next().unwrap_or_default())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(not shown)")
    }
}
