//! The public part of a wallet, as agencies and registrars get it.

use std::{fmt, path::Path, str::FromStr};

use certchain_config::{OrganisationCode, Title};
use certchain_proto::{Address, PublicKey, address::AddressError, wire::v1::IdentityKind};
use serde::Deserialize;

use crate::{
    atomic_file::{self, Access},
    text_file::{FileError, hex_array, line, parse, read_text},
};

use super::WalletError;

const WHAT: &str = "account file";
const MAX_FILE_BYTES: u64 = 16 * 1024;

/// The kinds of accounts that have wallets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccountKind {
    /// A natural person.
    Citizen,
    /// A company or other legal person.
    Organisation,
    /// A certifying agency.
    Agency,
    /// Checks certificates.
    Verifier,
    /// Reads everything that can be read.
    Auditor,
    /// An information centre.
    Registrar,
}

/// A text names no kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kinds are citizen, organisation, agency, verifier, auditor and registrar")]
pub struct UnknownKind;

impl AccountKind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::Citizen,
        Self::Organisation,
        Self::Agency,
        Self::Verifier,
        Self::Auditor,
        Self::Registrar,
    ];

    /// The kind's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Citizen => "citizen",
            Self::Organisation => "organisation",
            Self::Agency => "agency",
            Self::Verifier => "verifier",
            Self::Auditor => "auditor",
            Self::Registrar => "registrar",
        }
    }

    /// The kind as transactions name it.
    pub const fn to_wire(self) -> IdentityKind {
        match self {
            Self::Citizen => IdentityKind::Citizen,
            Self::Organisation => IdentityKind::Organisation,
            Self::Agency => IdentityKind::Agency,
            Self::Verifier => IdentityKind::Verifier,
            Self::Auditor => IdentityKind::Auditor,
            Self::Registrar => IdentityKind::Registrar,
        }
    }

    /// The kind from a transaction.
    pub const fn from_wire(kind: IdentityKind) -> Option<Self> {
        match kind {
            IdentityKind::Unspecified => None,
            IdentityKind::Citizen => Some(Self::Citizen),
            IdentityKind::Organisation => Some(Self::Organisation),
            IdentityKind::Agency => Some(Self::Agency),
            IdentityKind::Verifier => Some(Self::Verifier),
            IdentityKind::Auditor => Some(Self::Auditor),
            IdentityKind::Registrar => Some(Self::Registrar),
        }
    }
}

impl fmt::Display for AccountKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for AccountKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(UnknownKind)
    }
}

/// Why an organisation code does not fit the account's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrganisationCodeError {
    /// The kind needs one.
    #[error("an account of this kind needs an organisation code: 2 to 32 of A-Z, 0-9 and '-'")]
    Needed,
    /// The kind has none.
    #[error("citizens and auditors have no organisation code; leave it out")]
    Surplus,
    /// A wrong length or character.
    #[error("an organisation code has 2 to 32 of A-Z, 0-9 and '-'")]
    Characters,
}

/// Whether the code fits the kind.
fn check_code(kind: AccountKind, code: &str) -> Result<(), OrganisationCodeError> {
    match (kind, code) {
        (AccountKind::Citizen | AccountKind::Auditor, "") | (AccountKind::Registrar, "") => Ok(()),
        (AccountKind::Citizen | AccountKind::Auditor, _) => Err(OrganisationCodeError::Surplus),
        (AccountKind::Organisation | AccountKind::Agency | AccountKind::Verifier, "") => {
            Err(OrganisationCodeError::Needed)
        }
        (
            AccountKind::Organisation
            | AccountKind::Agency
            | AccountKind::Verifier
            | AccountKind::Registrar,
            code,
        ) => OrganisationCode::parse(code)
            .map(|_| ())
            .map_err(|_| OrganisationCodeError::Characters),
    }
}

/// Who an account is and what its public keys are.
///
/// Invariant: the name is a [`Title`]; the organisation code fits the kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicAccount {
    name: String,
    kind: AccountKind,
    organisation_code: String,
    address: Address,
    public_key: PublicKey,
    encryption_key: [u8; 32],
}

impl PublicAccount {
    /// Puts an account together.
    ///
    /// # Errors
    /// If the name or the organisation code does not fit.
    pub fn new(
        name: String,
        kind: AccountKind,
        organisation_code: String,
        address: Address,
        public_key: PublicKey,
        encryption_key: [u8; 32],
    ) -> Result<Self, WalletError> {
        Title::parse(&name).map_err(|_| WalletError::Name)?;
        check_code(kind, &organisation_code)?;
        Ok(Self {
            name,
            kind,
            organisation_code,
            address,
            public_key,
            encryption_key,
        })
    }

    /// A name for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Kind of account.
    pub const fn kind(&self) -> AccountKind {
        self.kind
    }

    /// Organisation code, empty if none.
    pub fn organisation_code(&self) -> &str {
        &self.organisation_code
    }

    /// The account's name on the chain.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// The Ed25519 key.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The X25519 key.
    pub const fn encryption_key(&self) -> &[u8; 32] {
        &self.encryption_key
    }

    pub(super) fn set_keys(&mut self, public_key: PublicKey, encryption_key: [u8; 32]) {
        self.public_key = public_key;
        self.encryption_key = encryption_key;
    }

    /// Appends the account's lines of TOML.
    pub(super) fn render(&self, out: &mut String) {
        line(out, "name", &self.name);
        line(out, "kind", self.kind.as_str());
        line(out, "organisation_code", &self.organisation_code);
        line(out, "address", &self.address.to_string());
        line(out, "public_key", &self.public_key.to_string());
        line(out, "encryption_key", &hex::encode(self.encryption_key));
    }

    /// Writes a file for others; it must not exist yet.
    ///
    /// # Errors
    /// If it exists or cannot be written.
    pub fn write_file(&self, path: &Path) -> Result<(), FileError> {
        let mut text = String::new();
        self.render(&mut text);
        atomic_file::create(path, text.as_bytes(), Access::Everybody)
            .map_err(|e| FileError::writing(path, e))
    }

    /// Reads such a file, which may have been written by hand.
    ///
    /// # Errors
    /// If it cannot be read or a field is missing, unknown or wrong.
    pub fn read_file(path: &Path) -> Result<Self, WalletError> {
        let text = read_text(path, WHAT, MAX_FILE_BYTES)?;
        let raw: RawAccount = parse(path, WHAT, &text)?;
        raw.check(path, WHAT)
    }
}

/// The fields as they stand in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAccount {
    name: String,
    kind: String,
    #[serde(default)]
    organisation_code: String,
    address: String,
    public_key: String,
    encryption_key: String,
}

impl RawAccount {
    pub(super) fn check(
        self,
        path: &Path,
        what: &'static str,
    ) -> Result<PublicAccount, WalletError> {
        let kind: AccountKind = self
            .kind
            .parse()
            .map_err(|e: UnknownKind| FileError::malformed(path, what, e))?;
        let address: Address = self
            .address
            .parse()
            .map_err(|e: AddressError| FileError::malformed(path, what, e))?;
        let public_key = PublicKey::from_hex(&self.public_key)
            .map_err(|e| FileError::malformed(path, what, format!("public_key: {e}")))?;
        let encryption_key = hex_array(&self.encryption_key).ok_or_else(|| {
            let problem = "encryption_key must have 64 hexadecimal digits in lower case";
            FileError::malformed(path, what, problem)
        })?;
        PublicAccount::new(
            self.name,
            kind,
            self.organisation_code,
            address,
            public_key,
            encryption_key,
        )
    }
}
