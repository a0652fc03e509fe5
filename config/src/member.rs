//! The public files from which a genesis is put together: `member.toml` of a node's operator and
//! `account.toml` of a registrar or agency. They hold no secret and may be sent by mail; the
//! receiver compares the keys by another way, as with any key.

use std::path::Path;

use certchain_proto::{
    Address, PublicKey, SecretKey, Signature, codec, context,
    hash::{SigningHash, hash_parts},
};
use serde::{Deserialize, Serialize};

use crate::{
    catalogue::CertificateType,
    document::Document,
    error::{ConfigError, Problem},
    genesis::{self, GenesisAgency, GenesisRegistrar, GenesisValidator},
    genesis_file::{self, Reader},
    names::{Name, NetAddress, OrganisationCode, Title},
};

/// What a node's operator hands to the founders of a network. Both keys have signed all of it, so
/// that nobody can enter a key that is not its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    content: MemberContent,
    vote_signature: Signature,
    network_signature: Signature,
}

/// The signed part. [law] The order of the fields is the order in which they are hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct MemberContent {
    name: Name,
    organisation_code: OrganisationCode,
    vote_key: PublicKey,
    network_key: PublicKey,
    listen: NetAddress,
}

impl MemberContent {
    fn signing_hash(&self) -> SigningHash {
        SigningHash::from_bytes(hash_parts(context::SIGN_MEMBER, &[&codec::encode(self)]))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMember {
    name: String,
    organisation_code: String,
    vote_key: String,
    network_key: String,
    listen: String,
    vote_signature: String,
    network_signature: String,
}

impl Member {
    /// Signs an application with both keys.
    pub fn sign(
        name: Name,
        organisation_code: OrganisationCode,
        listen: NetAddress,
        vote_key: &SecretKey,
        network_key: &SecretKey,
    ) -> Self {
        let content = MemberContent {
            name,
            organisation_code,
            vote_key: vote_key.public().clone(),
            network_key: network_key.public().clone(),
            listen,
        };
        let hash = content.signing_hash();
        Self {
            content,
            vote_signature: vote_key.sign(&hash),
            network_signature: network_key.sign(&hash),
        }
    }

    /// Reads a file and checks that its sender holds both keys.
    ///
    /// # Errors
    /// If it is no member file, or a signature does not hold.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        Self::read(&Document::read(file)?)
    }

    /// Reads a text, as [`Self::load`].
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn read(document: &Document) -> Result<Self, ConfigError> {
        let raw: RawMember = document.parse()?;
        let at = Reader {
            document,
            path: String::new(),
        };
        let content = MemberContent {
            name: at.name("name", &raw.name)?,
            organisation_code: at.code(&raw.organisation_code)?,
            vote_key: at.key("vote_key", &raw.vote_key)?,
            network_key: at.key("network_key", &raw.network_key)?,
            listen: raw
                .listen
                .parse()
                .map_err(|problem| document.refuse("listen", problem))?,
        };
        let hash = content.signing_hash();
        let vote_signature = signature(document, "vote_signature", &raw.vote_signature)?;
        let network_signature = signature(document, "network_signature", &raw.network_signature)?;
        if content.vote_key.verify(&hash, &vote_signature).is_err() {
            return Err(document.refuse("vote_signature", Problem::Possession { key: "vote_key" }));
        }
        if content
            .network_key
            .verify(&hash, &network_signature)
            .is_err()
        {
            let problem = Problem::Possession { key: "network_key" };
            return Err(document.refuse("network_signature", problem));
        }
        Ok(Self {
            content,
            vote_signature,
            network_signature,
        })
    }

    /// The text of the file.
    // Strings only, which TOML always holds.
    #[allow(clippy::expect_used)]
    pub fn to_toml(&self) -> String {
        let raw = RawMember {
            name: self.content.name.to_string(),
            organisation_code: self.content.organisation_code.to_string(),
            vote_key: self.content.vote_key.to_string(),
            network_key: self.content.network_key.to_string(),
            listen: self.content.listen.to_string(),
            vote_signature: hex::encode(self.vote_signature.to_bytes()),
            network_signature: hex::encode(self.network_signature.to_bytes()),
        };
        let body = toml::to_string(&raw).expect("strings are always TOML");
        format!(
            "# Public: hand this file to those who put the genesis together, and to your peers.\n\
             # Both keys have signed it; after a change run `certchain-node init` again.\n\n{body}"
        )
    }

    /// Name of its node.
    pub const fn name(&self) -> &Name {
        &self.content.name
    }

    /// Code of the organisation.
    pub const fn organisation_code(&self) -> &OrganisationCode {
        &self.content.organisation_code
    }

    /// The key with which it votes.
    pub const fn vote_key(&self) -> &PublicKey {
        &self.content.vote_key
    }

    /// The key that names it on the network.
    pub const fn network_key(&self) -> &PublicKey {
        &self.content.network_key
    }

    /// Where it listens.
    pub const fn listen(&self) -> NetAddress {
        self.content.listen
    }

    /// Its entry in a genesis.
    pub fn to_validator(&self) -> GenesisValidator {
        GenesisValidator {
            name: self.content.name.clone(),
            organisation_code: self.content.organisation_code.clone(),
            vote_key: self.content.vote_key.clone(),
            network_key: self.content.network_key.clone(),
        }
    }
}

pub(crate) fn signature(
    document: &Document,
    key: &str,
    text: &str,
) -> Result<Signature, ConfigError> {
    let bytes = hex::decode(text).ok();
    bytes
        .and_then(|bytes| Signature::from_slice(&bytes))
        .ok_or_else(|| document.refuse(key, Problem::SignatureText))
}

/// Kinds of accounts, as in transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountKind {
    /// A natural person.
    Citizen,
    /// A company or other legal person.
    Organisation,
    /// A certifying and issuing agency.
    Agency,
    /// Checks certificates.
    Verifier,
    /// Reads, signs nothing.
    Auditor,
    /// An information centre.
    Registrar,
}

impl AccountKind {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Citizen => "citizen",
            Self::Organisation => "organisation",
            Self::Agency => "agency",
            Self::Verifier => "verifier",
            Self::Auditor => "auditor",
            Self::Registrar => "registrar",
        }
    }
}

/// The public half of an account, as a wallet exports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Name for people.
    pub name: Title,
    /// Kind of account.
    pub kind: AccountKind,
    /// Its organisation code; none for citizens and auditors.
    pub organisation_code: Option<OrganisationCode>,
    /// The key with which it signs.
    pub public_key: PublicKey,
    /// X25519 key.
    pub encryption_key: [u8; 32],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAccount {
    name: String,
    kind: AccountKind,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    organisation_code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    public_key: String,
    encryption_key: String,
}

impl Account {
    /// Reads a file.
    ///
    /// # Errors
    /// If it is no account file, or names an address that its key does not have.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        Self::read(&Document::read(file)?)
    }

    /// Reads a text, as [`Self::load`].
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn read(document: &Document) -> Result<Self, ConfigError> {
        let raw: RawAccount = document.parse()?;
        let at = Reader {
            document,
            path: String::new(),
        };
        let organisation_code = match raw.organisation_code.as_str() {
            "" => None,
            text => Some(at.code(text)?),
        };
        let account = Self {
            name: at.title("name", &raw.name)?,
            kind: raw.kind,
            organisation_code,
            public_key: at.key("public_key", &raw.public_key)?,
            encryption_key: at.encryption_key(&raw.encryption_key)?,
        };
        if !genesis::is_encryption_key(&account.encryption_key) {
            return Err(document.refuse("encryption_key", Problem::EncryptionKey));
        }
        if let Some(text) = raw.address {
            let address: Address = text
                .parse()
                .map_err(|error| document.refuse("address", Problem::Address(error)))?;
            if address != account.address() {
                return Err(document.refuse("address", Problem::OtherAddress));
            }
        }
        Ok(account)
    }

    /// The text of the file.
    // Strings only, which TOML always holds.
    #[allow(clippy::expect_used)]
    pub fn to_toml(&self) -> String {
        let raw = RawAccount {
            name: self.name.to_string(),
            kind: self.kind,
            organisation_code: self
                .organisation_code
                .clone()
                .map(String::from)
                .unwrap_or_default(),
            address: Some(self.address().to_string()),
            public_key: self.public_key.to_string(),
            encryption_key: hex::encode(self.encryption_key),
        };
        let body = toml::to_string(&raw).expect("strings are always TOML");
        format!("# Public half of an account; holds no secret.\n\n{body}")
    }

    /// The account's address.
    pub fn address(&self) -> Address {
        Address::of(&self.public_key)
    }
}

/// Reads a registrar's account file for a genesis.
///
/// # Errors
/// If it is no account file of a registrar with an organisation code.
pub fn load_registrar(file: &Path) -> Result<GenesisRegistrar, ConfigError> {
    let (account, organisation_code) = load_of_kind(file, AccountKind::Registrar)?;
    Ok(GenesisRegistrar {
        name: account.name,
        organisation_code,
        public_key: account.public_key,
        encryption_key: account.encryption_key,
    })
}

/// Reads an agency's account file for a genesis.
///
/// # Errors
/// If it is no account file of an agency with an organisation code.
pub fn load_agency(file: &Path, may_issue: Vec<Name>) -> Result<GenesisAgency, ConfigError> {
    let (account, organisation_code) = load_of_kind(file, AccountKind::Agency)?;
    Ok(GenesisAgency {
        name: account.name,
        organisation_code,
        public_key: account.public_key,
        encryption_key: account.encryption_key,
        may_issue,
    })
}

fn load_of_kind(
    file: &Path,
    expected: AccountKind,
) -> Result<(Account, OrganisationCode), ConfigError> {
    let document = Document::read(file)?;
    let account = Account::read(&document)?;
    if account.kind != expected {
        let problem = Problem::AccountKind {
            actual: account.kind.name(),
            expected: expected.name(),
        };
        return Err(document.refuse("kind", problem));
    }
    let code = account
        .organisation_code
        .clone()
        .ok_or_else(|| document.refuse("organisation_code", Problem::MissingKey))?;
    Ok((account, code))
}

/// Reads a file with a certificate catalogue.
///
/// # Errors
/// If it is none.
pub fn load_catalogue(file: &Path) -> Result<Vec<CertificateType>, ConfigError> {
    genesis_file::read_catalogue(&Document::read(file)?)
}
