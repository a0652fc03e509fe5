//! The text files that parties hand to each other: TOML in one exact layout.
//!
//! Each kind of file is written by a fixed template and, after parsing, written again and compared,
//! so that a file has one form, and a change of any byte is noticed before its contents are used.

use std::{fmt::Write as _, io, path::Path, path::PathBuf};

use serde::de::DeserializeOwned;

use crate::atomic_file::read_limited;

/// Why a text file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is a file already.
    #[error("{path} exists already and is not overwritten; choose another name")]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// There is no such file.
    #[error("{path} does not exist; check the path")]
    Missing {
        /// Which file.
        path: PathBuf,
    },
    /// More bytes than a file of this kind ever has.
    #[error("{path} is larger than any {what}; check the path")]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// The kind of file expected.
        what: &'static str,
    },
    /// The system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Not a file of this kind.
    #[error("{path} is not a {what}: {problem}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// The kind of file expected.
        what: &'static str,
        /// What is wrong, with the line if the parser knows it.
        problem: String,
    },
    /// Meaning or layout was changed after it was written.
    #[error("{path} has been altered since this program wrote it; ask for the original")]
    Altered {
        /// Which file.
        path: PathBuf,
    },
}

impl FileError {
    /// Names the file in an error of the system while reading.
    pub fn reading(path: &Path, what: &'static str, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path },
            io::ErrorKind::FileTooLarge => Self::TooLarge { path, what },
            _ => Self::Io {
                action: "read",
                path,
                source,
            },
        }
    }

    /// Names the file in an error of the system while writing.
    pub fn writing(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::AlreadyExists => Self::Exists { path },
            _ => Self::Io {
                action: "write",
                path,
                source,
            },
        }
    }

    /// Says that a file is not of its kind.
    pub(crate) fn malformed(path: &Path, what: &'static str, problem: impl ToString) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            what,
            problem: problem.to_string(),
        }
    }
}

/// Reads UTF-8 text of at most `limit` bytes.
pub(crate) fn read_text(path: &Path, what: &'static str, limit: u64) -> Result<String, FileError> {
    let bytes = read_limited(path, limit).map_err(|e| FileError::reading(path, what, e))?;
    String::from_utf8(bytes).map_err(|_| FileError::malformed(path, what, "it is not UTF-8 text"))
}

/// Parses TOML into a type that refuses unknown keys.
pub(crate) fn parse<T: DeserializeOwned>(
    path: &Path,
    what: &'static str,
    text: &str,
) -> Result<T, FileError> {
    // The message only: the full display repeats the line, which may hold a secret.
    toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .and_then(|span| text.get(..span.start))
            .map_or(1, |before| before.matches('\n').count() + 1);
        FileError::malformed(path, what, format!("line {line}: {}", error.message()))
    })
}

/// Appends `key = "value"` with the value quoted.
pub(crate) fn line(out: &mut String, key: &str, value: &str) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{key} = \"");
    for character in value.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push_str("\"\n");
}

/// Reads lower-case hexadecimal digits for exactly `N` bytes.
pub(crate) fn hex_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn quoting_survives_a_parser() {
        #[derive(serde::Deserialize)]
        struct Plain {
            key: String,
        }
        for value in [
            "",
            "plain",
            "quo\"te \\ back",
            "tab\tnew\nline\u{7f}\u{85}",
            "王小明",
        ] {
            let mut text = String::new();
            line(&mut text, "key", value);
            let plain: Plain = parse(Path::new("x"), "test", &text).unwrap();
            assert_eq!(plain.key, value);
        }
    }

    #[test]
    fn parse_errors_name_the_line_and_repeat_no_contents() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Plain {
            #[allow(dead_code)]
            key: u32,
        }
        let error =
            parse::<Plain>(Path::new("f"), "test", "key = 1\nother = \"s3cret\"\n").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("line 2"), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}
