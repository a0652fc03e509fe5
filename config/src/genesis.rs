//! The genesis of a network: what all its nodes agree on before the first block.

use std::{collections::BTreeMap, ops::Deref, path::Path};

use certchain_proto::{
    Address, ChainId, Epoch, PublicKey, TimeMs, Validator, ValidatorSet, block::PROTOCOL, codec,
    hash::GenesisHash, limits::MAX_VALIDATORS,
};
use serde::{Deserialize, Serialize};

use crate::{
    catalogue::{self, CertificateType},
    document::Document,
    error::{ConfigError, ContentError, Problem},
    genesis_file,
    governance::Governance,
    names::{Name, OrganisationCode, Title},
    parameters::{self, Limits, Timers},
};

/// Most registrars at genesis.
pub const MAX_REGISTRARS: usize = 64;
/// Most agencies at genesis.
pub const MAX_AGENCIES: usize = 256;
/// Largest canonical encoding of a genesis in bytes.
pub const MAX_GENESIS_BYTES: usize = 4 * 1024 * 1024;

/// Times before this or after [`MAX_TIME_MS`] are mistakes: the year 2020.
const MIN_TIME_MS: u64 = 1_577_836_800_000;
/// The year 2200.
const MAX_TIME_MS: u64 = 7_258_118_400_000;

/// A validator of the main chain at genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenesisValidator {
    /// Name of its node.
    pub name: Name,
    /// Code of the organisation that runs it.
    pub organisation_code: OrganisationCode,
    /// The key with which it votes.
    pub vote_key: PublicKey,
    /// The Ed25519 key that names it on the network.
    pub network_key: PublicKey,
}

/// An information centre that may record identities from the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenesisRegistrar {
    /// Name for people.
    pub name: Title,
    /// Its organisation code.
    pub organisation_code: OrganisationCode,
    /// The key with which it signs.
    pub public_key: PublicKey,
    /// X25519 key.
    pub encryption_key: [u8; 32],
}

/// An agency that may certify identities from the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenesisAgency {
    /// Name for people.
    pub name: Title,
    /// Its organisation code.
    pub organisation_code: OrganisationCode,
    /// The key with which it signs.
    pub public_key: PublicKey,
    /// X25519 key.
    pub encryption_key: [u8; 32],
    /// Names of the certificate types that it may issue.
    pub may_issue: Vec<Name>,
}

impl GenesisRegistrar {
    /// The account's address.
    pub fn address(&self) -> Address {
        Address::of(&self.public_key)
    }
}

impl GenesisAgency {
    /// The account's address.
    pub fn address(&self) -> Address {
        Address::of(&self.public_key)
    }
}

/// What a genesis says, not yet checked. [law] The order of the fields is the order in which they
/// are hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenesisContent {
    /// Version of the protocol, [`PROTOCOL`].
    pub protocol: u16,
    /// Name of the network.
    pub network: Name,
    /// Time of the genesis block; later blocks are later.
    pub time_ms: TimeMs,
    /// Main chain's first validators, in the order in which primaries are chosen.
    pub validators: Vec<GenesisValidator>,
    /// The first registrars.
    pub registrars: Vec<GenesisRegistrar>,
    /// The first agencies.
    pub agencies: Vec<GenesisAgency>,
    /// Certificate types.
    pub catalogue: Vec<CertificateType>,
    /// How much the chain takes.
    pub limits: Limits,
    /// When the chain does what.
    pub timers: Timers,
    /// Version of the key with which the information centres make the tags of identities, from 1.
    /// They share the key itself, which stands nowhere here.
    pub tag_key_version: u32,
    /// How main votes.
    pub governance: Governance,
}

/// A checked genesis. Reads like its [`GenesisContent`].
///
/// Invariants: the protocol is ours; no list but the catalogue is empty; no key stands twice
/// anywhere; validator names and codes are unique, as are the codes of registrars and agencies;
/// limits and timers are in range and consistent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "GenesisContent", into = "GenesisContent")]
pub struct Genesis {
    content: GenesisContent,
    validators: ValidatorSet,
}

impl Deref for Genesis {
    type Target = GenesisContent;

    fn deref(&self) -> &GenesisContent {
        &self.content
    }
}

impl TryFrom<GenesisContent> for Genesis {
    type Error = ContentError;

    fn try_from(content: GenesisContent) -> Result<Self, ContentError> {
        Self::new(content)
    }
}

impl From<Genesis> for GenesisContent {
    fn from(genesis: Genesis) -> Self {
        genesis.content
    }
}

impl Genesis {
    /// Checks a content.
    ///
    /// # Errors
    /// If an invariant of the type does not hold; names the key and the reason.
    pub fn new(content: GenesisContent) -> Result<Self, ContentError> {
        check(&content)?;
        let members = content.validators.iter().map(|v| Validator {
            vote_key: v.vote_key.clone(),
            network_key: *v.network_key.as_bytes(),
        });
        // All its refusals are checked above, with better names.
        let validators = ValidatorSet::new(Epoch::ZERO, members.collect()).map_err(|_| {
            ContentError::new(
                "validators",
                Problem::Duplicate {
                    first: "validators".to_owned(),
                },
            )
        })?;
        Ok(Self {
            content,
            validators,
        })
    }

    /// Reads a genesis file.
    ///
    /// # Errors
    /// If it is no valid genesis; names file, line, key and reason.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        Self::read(&Document::read(file)?)
    }

    /// Reads a genesis text.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn read(document: &Document) -> Result<Self, ConfigError> {
        let content = genesis_file::read(document)?;
        Self::new(content).map_err(|error| document.refuse_content(error))
    }

    /// The text of a genesis file.
    pub fn to_toml(&self) -> String {
        genesis_file::write(&self.content)
    }

    /// The canonical bytes: what nodes store and what names the chain. How the TOML text is laid
    /// out does not matter to them.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(&self.content)
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// If they are not the encoding of a valid genesis.
    pub fn decode(bytes: &[u8]) -> Result<Self, codec::DecodeError> {
        codec::decode(bytes, MAX_GENESIS_BYTES)
    }

    /// The main chain's id.
    pub fn chain_id(&self) -> ChainId {
        ChainId::main(&self.encode())
    }

    /// The hash of the genesis: the same bytes as the main chain's id.
    pub fn hash(&self) -> GenesisHash {
        GenesisHash::from_bytes(*self.chain_id().as_bytes())
    }

    /// Main chain's first validator set, of epoch 0.
    pub const fn validator_set(&self) -> &ValidatorSet {
        &self.validators
    }
}

fn check(content: &GenesisContent) -> Result<(), ContentError> {
    if content.protocol != PROTOCOL {
        let problem = Problem::Protocol {
            actual: content.protocol,
            supported: PROTOCOL,
        };
        return Err(ContentError::new("protocol", problem));
    }
    let time = content.time_ms.get();
    if !(MIN_TIME_MS..=MAX_TIME_MS).contains(&time) {
        let problem = Problem::OutOfRange {
            value: time,
            min: MIN_TIME_MS,
            max: MAX_TIME_MS,
        };
        return Err(ContentError::new("time_ms", problem));
    }
    check_length("validators", content.validators.len(), MAX_VALIDATORS)?;
    check_length("registrars", content.registrars.len(), MAX_REGISTRARS)?;
    check_length("agencies", content.agencies.len(), MAX_AGENCIES)?;
    check_validators(content)?;
    check_accounts(content)?;
    catalogue::check(&content.catalogue)?;
    check_may_issue(content)?;
    parameters::check(&content.limits, &content.timers, &content.governance)?;
    parameters::check_tag_key_version(content.tag_key_version)
}

fn check_length(key: &str, actual: usize, limit: usize) -> Result<(), ContentError> {
    match actual {
        0 => Err(ContentError::new(key, Problem::EmptyList)),
        _ if actual > limit => Err(ContentError::new(key, Problem::TooMany { actual, limit })),
        _ => Ok(()),
    }
}

/// Values that must be unique, each with the path at which it was first seen.
struct Unique<T>(BTreeMap<T, String>);

impl<T: Ord> Unique<T> {
    const fn new() -> Self {
        Self(BTreeMap::new())
    }

    fn insert(&mut self, value: T, path: String) -> Result<(), ContentError> {
        if let Some(first) = self.0.get(&value) {
            let problem = Problem::Duplicate {
                first: first.clone(),
            };
            return Err(ContentError::new(path, problem));
        }
        self.0.insert(value, path);
        Ok(())
    }
}

fn check_validators(content: &GenesisContent) -> Result<(), ContentError> {
    let mut names = Unique::new();
    let mut codes = Unique::new();
    for (index, validator) in content.validators.iter().enumerate() {
        names.insert(&validator.name, format!("validators[{index}].name"))?;
        codes.insert(
            &validator.organisation_code,
            format!("validators[{index}].organisation_code"),
        )?;
    }
    Ok(())
}

/// Keys are unique over everything: a key with two meanings is a mistake or an attack. Codes of
/// accounts are their own list, since the state knows accounts by code, and an agency may well run
/// a node and an account under the same code.
fn check_accounts(content: &GenesisContent) -> Result<(), ContentError> {
    let mut keys = Unique::new();
    let mut codes = Unique::new();
    for (index, validator) in content.validators.iter().enumerate() {
        keys.insert(
            *validator.vote_key.as_bytes(),
            format!("validators[{index}].vote_key"),
        )?;
        keys.insert(
            *validator.network_key.as_bytes(),
            format!("validators[{index}].network_key"),
        )?;
    }
    for (index, account) in content.registrars.iter().enumerate() {
        let here = format!("registrars[{index}]");
        keys.insert(*account.public_key.as_bytes(), format!("{here}.public_key"))?;
        keys.insert(account.encryption_key, format!("{here}.encryption_key"))?;
        check_encryption_key(&here, &account.encryption_key)?;
        codes.insert(
            &account.organisation_code,
            format!("{here}.organisation_code"),
        )?;
    }
    for (index, account) in content.agencies.iter().enumerate() {
        let here = format!("agencies[{index}]");
        keys.insert(*account.public_key.as_bytes(), format!("{here}.public_key"))?;
        keys.insert(account.encryption_key, format!("{here}.encryption_key"))?;
        check_encryption_key(&here, &account.encryption_key)?;
        codes.insert(
            &account.organisation_code,
            format!("{here}.organisation_code"),
        )?;
    }
    Ok(())
}

fn check_encryption_key(here: &str, key: &[u8; 32]) -> Result<(), ContentError> {
    if is_encryption_key(key) {
        return Ok(());
    }
    Err(ContentError::new(
        format!("{here}.encryption_key"),
        Problem::EncryptionKey,
    ))
}

fn check_may_issue(content: &GenesisContent) -> Result<(), ContentError> {
    for (agency, account) in content.agencies.iter().enumerate() {
        let mut seen = Unique::new();
        for (index, name) in account.may_issue.iter().enumerate() {
            let here = format!("agencies[{agency}].may_issue[{index}]");
            if !content.catalogue.iter().any(|entry| entry.name == *name) {
                let problem = Problem::Undefined {
                    name: name.as_str().to_owned(),
                    list: "catalogue",
                };
                return Err(ContentError::new(here, problem));
            }
            seen.insert(name, here)?;
        }
    }
    Ok(())
}

/// Whether an X25519 key can be encrypted to: its canonical form, and not one of the points of
/// small order, with which every shared secret is zero.
pub fn is_encryption_key(key: &[u8; 32]) -> bool {
    const ORDER_8: [[u8; 32]; 2] = [
        [
            0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f,
            0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16,
            0x5f, 0x49, 0xb8, 0x00,
        ],
        [
            0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83,
            0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd,
            0xd0, 0x9f, 0x11, 0x57,
        ],
    ];
    // p = 2^255 - 19, least byte first; p - 1 (order 4) and everything from p on is refused.
    let mut top = [0xff; 32];
    top[0] = 0xec;
    top[31] = 0x7f;
    let below_top = key.iter().rev().lt(top.iter().rev());
    let zero_or_one = key[0] <= 1 && key[1..].iter().all(|b| *b == 0);
    below_top && !zero_or_one && !ORDER_8.contains(key)
}
