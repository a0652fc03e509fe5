//! What the command's exit code tells a script. The numbers are a promise: none is ever reused.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// The chain refuses the transaction, or it did not take effect.
    Refused,
    /// The command line is wrong; clap uses this number too.
    Usage,
    /// The chain holds no such thing.
    NotFound,
    /// No node can be reached.
    Unreachable,
    /// A proof does not hold.
    Unverified,
    /// The wallet does not open, or is not the right one.
    Wallet,
    /// Not decided or answered in time.
    Timeout,
    /// A file is missing, there already, altered or of another kind.
    File,
    /// The node refuses a question or answers nonsense; anything else.
    Failed,
    /// A check was made, and the certificate is not valid.
    NotValid,
}

/// The table at the end of `certchain help`.
pub const HELP: &str = "\
Exit codes:
  0  done
  1  the chain refuses the transaction, or it did not take effect (batch: for a line at least)
  2  the command line is wrong
  3  the chain holds no such thing
  4  no node can be reached
  5  a proof does not hold: do not trust the node's answer
  6  the wallet does not open, or it is not this wallet's turn
  7  not decided or answered in time
  8  a file is missing, exists already, was altered or is of another kind
  9  the node refuses the question or answers nonsense, or something else failed
 10  checked, and the certificate is not valid: the answer says why

The passphrase comes from --passphrase-file, else from CERTCHAIN_PASSPHRASE, else it is asked for.
With --json, standard output holds one JSON document (watch: one a line); an error is a JSON
document on standard error.";

impl Exit {
    /// The number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Unreachable => 4,
            Self::Unverified => 5,
            Self::Wallet => 6,
            Self::Timeout => 7,
            Self::File => 8,
            Self::Failed => 9,
            Self::NotValid => 10,
        }
    }

    /// A word for JSON errors.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::Unreachable => "unreachable",
            Self::Unverified => "unverified",
            Self::Wallet => "wallet",
            Self::Timeout => "timeout",
            Self::File => "file",
            Self::Failed => "failed",
            Self::NotValid => "not_valid",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}
