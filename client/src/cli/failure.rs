//! How errors of the library become exit codes.

use certchain_client::{
    NoRandomness,
    attributes::AttributeError,
    certificate::{OpenError, PrepareError, PresentError},
    connection::{ConnectionError, FollowError},
    light::LightError,
    qr::{ReadError, RenderError, WriteError},
    tag::DocumentError,
    text_file::FileError,
    transaction::DraftError,
    wallet::{PassphraseError, WalletError},
};
use certchain_config::ConfigError;
use certchain_proto::wire::v1::Code;
use certchain_sidechain::{
    encryption::EncryptionError,
    pack::PackError,
    package::{VerifyError, sealed, text::TextError},
};

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

impl From<FollowError> for Failure {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Connection(error) => error.into(),
            FollowError::Light(error) => error.into(),
        }
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

impl From<PrepareError> for Failure {
    fn from(error: PrepareError) -> Self {
        let exit = match &error {
            PrepareError::NoRandomness(_) => Exit::Failed,
            PrepareError::Holders { .. }
            | PrepareError::RepeatedHolder { .. }
            | PrepareError::Field(_)
            | PrepareError::Encryption { .. }
            | PrepareError::Validity
            | PrepareError::NoBatch
            | PrepareError::Batch { .. } => Exit::Usage,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let exit = match &error {
            OpenError::NotHolder { .. } | OpenError::NotForThisWallet => Exit::Wallet,
            OpenError::OtherType { .. } => Exit::Usage,
            OpenError::Encryption(EncryptionError::ContentNeeded { .. }) => Exit::NotFound,
            OpenError::Malformed { .. }
            | OpenError::OtherCertificate { .. }
            | OpenError::Encryption(_)
            | OpenError::Fields(_)
            | OpenError::OtherRoot { .. }
            | OpenError::OtherClaim => Exit::Unverified,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<PresentError> for Failure {
    fn from(error: PresentError) -> Self {
        let exit = match &error {
            PresentError::NoRandomness(_) => Exit::Failed,
            PresentError::Build(_) | PresentError::Encryption(_) | PresentError::Bearer => {
                Exit::Usage
            }
        };
        Self::new(exit, error.to_string())
    }
}

impl From<sealed::OpenError> for Failure {
    fn from(error: sealed::OpenError) -> Self {
        let exit = match &error {
            sealed::OpenError::Encryption(EncryptionError::OtherRecipient) => Exit::Wallet,
            sealed::OpenError::Encryption(_) | sealed::OpenError::Package(_) => Exit::Unverified,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        Self::new(Exit::Unverified, error.to_string())
    }
}

impl From<PackError> for Failure {
    fn from(error: PackError) -> Self {
        let exit = match &error {
            PackError::Form(_) => Exit::File,
            PackError::Parts(_)
            | PackError::Absent(_)
            | PackError::Record { .. }
            | PackError::OtherMain { .. }
            | PackError::Trust(_)
            | PackError::OtherHistory(_)
            | PackError::UnknownEpoch { .. }
            | PackError::Validators(_)
            | PackError::Main(_)
            | PackError::MainState { .. }
            | PackError::NotAnchored(_)
            | PackError::SideHistory(_)
            | PackError::Certificate(_)
            | PackError::Frozen(_) => Exit::Unverified,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<TextError> for Failure {
    fn from(error: TextError) -> Self {
        Self::new(Exit::File, error.to_string())
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::new(Exit::File, error.to_string())
    }
}

impl From<RenderError> for Failure {
    fn from(error: RenderError) -> Self {
        let exit = match &error {
            RenderError::TooLong { .. } => Exit::Usage,
            RenderError::Encoder => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Ending => Self::usage(error.to_string()),
            WriteError::Render(error) => error.into(),
            WriteError::File(error) => error.into(),
        }
    }
}
