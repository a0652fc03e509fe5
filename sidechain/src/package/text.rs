//! The text in a QR code [law]: a prefix that says what follows, then base45 (RFC 9285) of the
//! bytes, so that all of it is in the alphanumeric set of QR codes.
//!
//! - `CC1:` a package in clear;
//! - `CC2:` a package encrypted to its verifier.

use std::fmt;

use zeroize::Zeroizing;

use super::{
    PackageError, PresentationPackage,
    sealed::{MAX_SEALED_BYTES, SealedPackage},
};

const CLEAR: &str = "CC1:";
const SEALED: &str = "CC2:";

/// The characters of base45, each at the place of its value.
const ALPHABET: &[u8; 45] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

/// Longest text that is read.
pub const MAX_TEXT_BYTES: usize = 4 + MAX_SEALED_BYTES.div_ceil(2) * 3;

/// Why a text is no package.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The text of something else.
    #[error("this is not a presentation of CertChain; ask the holder for its QR code")]
    Foreign,
    /// Of this project, but of a later release.
    #[error("this presentation is of a later release; upgrade this program")]
    Later,
    /// Longer than any package.
    #[error("the text has {actual} characters, a presentation has at most {MAX_TEXT_BYTES}")]
    TooLong {
        /// Characters that came.
        actual: usize,
    },
    /// A character or length that base45 does not have.
    #[error("the text is damaged; scan the QR code again")]
    Damaged,
    /// What it holds is no package.
    #[error(transparent)]
    Package(#[from] PackageError),
}

/// What a text holds.
#[derive(Clone, PartialEq, Eq)]
pub enum Carried {
    /// A package in clear.
    Clear(Box<PresentationPackage>),
    /// A package encrypted to its verifier.
    Sealed(SealedPackage),
}

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clear(package) => package.fmt(f),
            Self::Sealed(sealed) => sealed.fmt(f),
        }
    }
}

impl Carried {
    /// The text.
    pub fn to_text(&self) -> Zeroizing<String> {
        match self {
            Self::Clear(package) => render(CLEAR, &package.encode()),
            Self::Sealed(sealed) => render(SEALED, &sealed.encode()),
        }
    }

    /// Reads a text. White space around it is left out, as copying adds it.
    ///
    /// # Errors
    /// If it is foreign, of a later release, damaged, or holds no package.
    pub fn from_text(text: &str) -> Result<Self, TextError> {
        // A space is a character of base45 (36), but never the last one: that is at most 32 of
        // three characters, and 5 of two.
        let text = text.trim();
        if text.len() > MAX_TEXT_BYTES {
            return Err(TextError::TooLong { actual: text.len() });
        }
        if let Some(body) = text.strip_prefix(CLEAR) {
            let bytes = decode_base45(body).ok_or(TextError::Damaged)?;
            return Ok(Self::Clear(Box::new(PresentationPackage::decode(&bytes)?)));
        }
        if let Some(body) = text.strip_prefix(SEALED) {
            let bytes = decode_base45(body).ok_or(TextError::Damaged)?;
            return Ok(Self::Sealed(SealedPackage::decode(&bytes)?));
        }
        let later = matches!(text.as_bytes(), [b'C', b'C', b'3'..=b'9', b':', ..]);
        Err(if later {
            TextError::Later
        } else {
            TextError::Foreign
        })
    }
}

fn render(prefix: &str, bytes: &[u8]) -> Zeroizing<String> {
    // Room for all, so that no reallocation leaves a copy behind.
    let length = prefix.len() + bytes.len().div_ceil(2) * 3;
    let mut text = Zeroizing::new(String::with_capacity(length));
    text.push_str(prefix);
    for pair in bytes.chunks(2) {
        let (mut number, characters) = match pair {
            [first, second] => (usize::from(u16::from_be_bytes([*first, *second])), 3),
            _ => (pair.first().copied().map_or(0, usize::from), 2),
        };
        for _ in 0..characters {
            text.push(char::from(ALPHABET[number % 45]));
            number /= 45;
        }
    }
    text
}

fn decode_base45(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len().div_ceil(3) * 2));
    for group in text.as_bytes().chunks(3) {
        let mut number = 0usize;
        for character in group.iter().rev() {
            let digit = ALPHABET.iter().position(|c| c == character)?;
            number = number * 45 + digit;
        }
        match group.len() {
            3 => bytes.extend_from_slice(&u16::try_from(number).ok()?.to_be_bytes()),
            2 => bytes.push(u8::try_from(number).ok()?),
            _ => return None,
        }
    }
    Some(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The examples of RFC 9285.
    #[test]
    fn base45_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("AB", "BB8"),
            ("Hello!!", "%69 VD92EX0"),
            ("base-45", "UJCLQE7W581"),
            ("ietf!", "QED8WEX0"),
            ("", ""),
        ] {
            assert_eq!(*render("", bytes.as_bytes()), text);
            assert_eq!(*decode_base45(text).unwrap(), bytes.as_bytes());
        }
        // Above 65535, above 255, a lone character, characters outside the set.
        for bad in ["GGW", "ZZ", "::", "A", "BB8A", "bb8", "BB_", "B8é"] {
            assert!(decode_base45(bad).is_none(), "{bad}");
        }
        assert_eq!(*decode_base45("FGW").unwrap(), [255, 255]);
    }

    #[test]
    fn foreign_and_damaged_texts_are_told_apart() {
        for foreign in [
            "",
            "https://example.org",
            "cc1:BB8",
            "CC:BB8",
            "HC1:6BF",
            "CC1",
            "健康",
        ] {
            assert_eq!(Carried::from_text(foreign), Err(TextError::Foreign));
        }
        assert_eq!(Carried::from_text("CC3:BB8"), Err(TextError::Later));
        for prefix in [CLEAR, SEALED] {
            assert_eq!(
                Carried::from_text(&format!("{prefix}A")),
                Err(TextError::Damaged)
            );
            assert!(matches!(
                Carried::from_text(&format!("{prefix}BB8")),
                Err(TextError::Package(PackageError::Decode(_)))
            ));
            assert!(matches!(
                Carried::from_text(&format!("{prefix}{}", "A".repeat(MAX_TEXT_BYTES))),
                Err(TextError::TooLong { .. })
            ));
        }
    }

    proptest! {
        #[test]
        fn every_text_has_one_reading(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let text = render("", &bytes);
            prop_assert_eq!(&*decode_base45(&text).unwrap(), &bytes);
        }

        #[test]
        fn every_reading_has_one_text(text in "[0-9A-Z $%*+./:-]{0,60}") {
            if let Some(bytes) = decode_base45(&text) {
                prop_assert_eq!(&*render("", &bytes), &text);
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _ = Carried::from_text(&format!("CC1:{text}"));
            let _ = Carried::from_text(&text);
        }
    }
}
