//! How errors of the library become exit codes.

use certchain_client::{
    NoRandomness,
    attributes::AttributeError,
    connection::ConnectionError,
    light::LightError,
    tag::DocumentError,
    text_file::FileError,
    transaction::DraftError,
    wallet::{PassphraseError, WalletError},
};
use certchain_config::ConfigError;
use certchain_proto::wire::v1::Code;

use super::exit_code::Exit;

/// Why a command ends without having done what it was asked for.
#[derive(Debug)]
pub struct Failure {
    /// What scripts see.
    pub exit: Exit,
    /// What people see.
    pub message: String,
    /// The chain's stable code, if it refused.
    pub code: Option<Code>,
}

impl Failure {
    /// A failure without a code of the chain.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            code: None,
        }
    }

    /// A mistake in the command line that clap cannot see.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }
}

impl From<ConnectionError> for Failure {
    fn from(error: ConnectionError) -> Self {
        let (exit, code) = match &error {
            ConnectionError::Url { .. }
            | ConnectionError::NoNode
            | ConnectionError::TooManyNodes => (Exit::Usage, None),
            ConnectionError::Unreachable { .. } => (Exit::Unreachable, None),
            ConnectionError::Timeout { .. } => (Exit::Timeout, None),
            ConnectionError::NotFound { .. } => (Exit::NotFound, None),
            ConnectionError::Refused {
                code: Code::Unavailable,
                ..
            } => (Exit::Unreachable, Some(Code::Unavailable)),
            ConnectionError::Refused { code, .. } => (Exit::Refused, Some(*code)),
            ConnectionError::Status { .. } | ConnectionError::Answer { .. } => (Exit::Failed, None),
        };
        Self {
            exit,
            message: error.to_string(),
            code,
        }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::new(Exit::File, error.to_string())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::File, error.to_string())
    }
}

impl From<WalletError> for Failure {
    fn from(error: WalletError) -> Self {
        let exit = match &error {
            WalletError::File(_) => Exit::File,
            WalletError::Name | WalletError::OrganisationCode(_) => Exit::Usage,
            WalletError::WrongPassphrase { .. }
            | WalletError::KdfLimits { .. }
            | WalletError::Contents { .. }
            | WalletError::ChangedMeanwhile { .. }
            | WalletError::TooManyKeys
            | WalletError::Kdf => Exit::Wallet,
            WalletError::NoRandomness(_) => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<PassphraseError> for Failure {
    fn from(error: PassphraseError) -> Self {
        let exit = match &error {
            PassphraseError::File(_) => Exit::File,
            PassphraseError::Empty | PassphraseError::TooLong => Exit::Wallet,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<DraftError> for Failure {
    fn from(error: DraftError) -> Self {
        let exit = match &error {
            DraftError::NotYourTurn { .. } | DraftError::OtherKey => Exit::Wallet,
            DraftError::Signature { .. } => Exit::Unverified,
            DraftError::File(_)
            | DraftError::Transaction(_)
            | DraftError::Surplus { .. }
            | DraftError::Complete { .. }
            | DraftError::Incomplete { .. } => Exit::File,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<LightError> for Failure {
    fn from(error: LightError) -> Self {
        Self::new(Exit::Unverified, error.to_string())
    }
}

impl From<AttributeError> for Failure {
    fn from(error: AttributeError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<DocumentError> for Failure {
    fn from(error: DocumentError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<NoRandomness> for Failure {
    fn from(error: NoRandomness) -> Self {
        Self::new(Exit::Failed, error.to_string())
    }
}
