//! What can go wrong with a wallet.

use std::path::PathBuf;

use crate::{NoRandomness, text_file::FileError};

use super::{MAX_PAST_KEYS, account::OrganisationCodeError};

/// Why a wallet could not be made, opened or written.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// The file cannot be read or written, or is no wallet.
    #[error(transparent)]
    File(#[from] FileError),
    /// The seal does not open. A wrong passphrase and an altered file cannot be told apart.
    #[error(
        "{path} does not open: wrong passphrase, or the file was damaged; try again, then a copy"
    )]
    WrongPassphrase {
        /// Which wallet.
        path: PathBuf,
    },
    /// The parameters ask for more memory or time than any wallet of ours.
    #[error(
        "{path} asks for key derivation outside the accepted limits; it is not a wallet of ours"
    )]
    KdfLimits {
        /// Which wallet.
        path: PathBuf,
    },
    /// The sealed part opened, but is not what this release understands.
    #[error("{path} opens, but holds what this release does not understand; use a newer one")]
    Contents {
        /// Which wallet.
        path: PathBuf,
    },
    /// Another program wrote the file.
    #[error("{path} was changed by another program meanwhile and is left as it is; try again")]
    ChangedMeanwhile {
        /// Which wallet.
        path: PathBuf,
    },
    /// The name does not fit.
    #[error(
        "a wallet's name must have 1 to 128 bytes of UTF-8 in NFC, no control characters, no blanks \
         at the ends"
    )]
    Name,
    /// The organisation code does not fit.
    #[error(transparent)]
    OrganisationCode(#[from] OrganisationCodeError),
    /// So many rotations that something is wrong.
    #[error("the wallet holds {MAX_PAST_KEYS} past keys and takes no more")]
    TooManyKeys,
    /// Key derivation failed: memory, mostly.
    #[error("the key cannot be derived from the passphrase; is there enough memory?")]
    Kdf,
    /// The machine gave no random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}
