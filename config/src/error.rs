//! What is wrong with a configuration, and where.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use certchain_proto::{address::AddressError, key::KeyError};

use crate::names::{CodeRule, NAME_RULE, TITLE_RULE};

/// A file was refused: which file, which line if known, which key, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file as it was named.
    pub file: PathBuf,
    /// Line from 1, where the text allows to say so.
    pub line: Option<usize>,
    /// Dotted path of the key, such as `validators[2].vote_key`; empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    pub(crate) fn of_file(file: &Path, problem: Problem) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            key: String::new(),
            problem,
        }
    }
}

/// A content was refused that has no file: it was put together by a program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct ContentError {
    /// Dotted path of the key.
    pub key: String,
    /// What is wrong.
    pub problem: Problem,
}

impl ContentError {
    pub(crate) fn new(key: impl Into<String>, problem: Problem) -> Self {
        Self {
            key: key.into(),
            problem,
        }
    }
}

/// What is wrong with a file or with the value of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The operating system does not give or take the file.
    #[error("cannot be {action}: {kind}")]
    Io {
        /// What was tried: "read", "written" ...
        action: &'static str,
        /// The system's reason.
        kind: std::io::ErrorKind,
    },
    /// Far larger than any such file.
    #[error("the file has more than {limit} bytes; this is not such a file")]
    FileTooLarge {
        /// Bytes that are taken.
        limit: u64,
    },
    /// Not UTF-8.
    #[error("the file is not UTF-8 text")]
    NotText,
    /// Not TOML.
    #[error("not valid TOML: {message}")]
    Syntax {
        /// The TOML library's words.
        message: String,
    },
    /// A key that nobody asks for, mostly misspelt.
    #[error("unknown key; {known}")]
    UnknownKey {
        /// The TOML library's list of known keys.
        known: String,
    },
    /// A key that must be there is not.
    #[error("the key is missing")]
    MissingKey,
    /// A value of another type than the key has.
    #[error("{message}")]
    WrongType {
        /// The TOML library's words.
        message: String,
    },
    /// A list that needs at least one entry.
    #[error("the list is empty, at least one entry is needed")]
    EmptyList,
    /// A list with too many entries.
    #[error("{actual} entries, at most {limit} are taken")]
    TooMany {
        /// Entries given.
        actual: usize,
        /// Entries taken.
        limit: usize,
    },
    /// The same value stands at another key and must be unique.
    #[error("the same value stands at {first}; each must have its own")]
    Duplicate {
        /// Path of the first one.
        first: String,
    },
    /// A type lacks the field that its side chain claims by.
    #[error(
        "types of this chain need the field `{name}` of kind text with required = true; what it \
         names has one certificate in force"
    )]
    ClaimedField {
        /// The field's name.
        name: &'static str,
    },
    /// Refers to something that is not defined.
    #[error("`{name}` is not defined in {list}")]
    Undefined {
        /// What was referred to.
        name: String,
        /// Where it should stand.
        list: &'static str,
    },
    /// Not an Ed25519 public key.
    #[error("{0} (64 hexadecimal digits)")]
    PublicKey(KeyError),
    /// Not an X25519 public key that can be encrypted to.
    #[error("is not an X25519 public key (64 hexadecimal digits, not a point of small order)")]
    EncryptionKey,
    /// Not a chain's id.
    #[error("is not a chain id (64 hexadecimal digits); `certchain-node show` tells it")]
    ChainId,
    /// Not 64 bytes in hexadecimal.
    #[error("is not a signature (128 hexadecimal digits)")]
    SignatureText,
    /// The signature that proves possession of a key does not hold.
    #[error("does not prove that the sender holds {key}; ask for the file again")]
    Possession {
        /// The key that it should prove.
        key: &'static str,
    },
    /// The address is none, or belongs to another key.
    #[error("{0}")]
    Address(AddressError),
    /// A right address, but not that of the account's key.
    #[error("is not the address of this account's public key")]
    OtherAddress,
    /// Not a name.
    #[error("is not a name: {NAME_RULE}")]
    Name,
    /// Not a title.
    #[error("is not a title: {TITLE_RULE}")]
    Title,
    /// Not an organisation code.
    #[error("is not an organisation code: {CodeRule}")]
    OrganisationCode,
    /// Not a network address.
    #[error("is not a network address; write /ip4/ADDRESS/tcp/PORT or /ip6/ADDRESS/tcp/PORT")]
    NetAddress,
    /// Not an IP address with a port.
    #[error("is not an address to listen on; write IP:PORT, such as 127.0.0.1:50051")]
    SocketAddress,
    /// A peer at an address that nobody can dial.
    #[error("port 0 cannot be dialled; name the port on which the peer listens")]
    PortZero,
    /// A number outside its range.
    #[error("{value} is out of range, {min} to {max} is possible")]
    OutOfRange {
        /// The number given.
        value: u64,
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
    },
    /// Two values that cannot hold together.
    #[error("contradicts {other}: {rule}")]
    Contradiction {
        /// Path of the other key.
        other: &'static str,
        /// The rule that both must keep.
        rule: &'static str,
    },
    /// A genesis for a protocol that this release does not speak.
    #[error("protocol version {actual}; this release speaks {supported}, use the one that fits")]
    Protocol {
        /// Version of the genesis.
        actual: u16,
        /// Version of this program.
        supported: u16,
    },
    /// A chain name that no network has.
    #[error("`{name}` is not a chain that this release can host")]
    UnknownChain {
        /// The name given.
        name: String,
    },
    /// Every node follows main.
    #[error("`main` is missing; every node follows it")]
    MainMissing,
    /// An account of another kind than the list takes.
    #[error("the account is of kind `{actual}`, `{expected}` is needed here")]
    AccountKind {
        /// Kind of the account.
        actual: &'static str,
        /// Kind that is needed.
        expected: &'static str,
    },
}
