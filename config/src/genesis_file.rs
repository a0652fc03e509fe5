//! The TOML text of a genesis. Every key must be written out, also where a program would know a
//! default: the id of the chain may not depend on the release that reads the file.

use certchain_proto::{PublicKey, TimeMs};
use serde::{Deserialize, Serialize};

use crate::{
    catalogue::{CertificateType, Field, FieldKind, SideChain},
    document::Document,
    error::{ConfigError, Problem},
    genesis::{GenesisAgency, GenesisContent, GenesisRegistrar, GenesisValidator},
    governance::Governance,
    names::{Name, OrganisationCode, Title},
    parameters::{Limits, Timers},
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGenesis {
    protocol: u16,
    network: String,
    time_ms: u64,
    tag_key_version: u32,
    limits: Limits,
    timers: Timers,
    governance: Governance,
    validators: Vec<RawValidator>,
    registrars: Vec<RawRegistrar>,
    agencies: Vec<RawAgency>,
    #[serde(default)]
    catalogue: Vec<RawType>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawValidator {
    name: String,
    organisation_code: String,
    vote_key: String,
    network_key: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRegistrar {
    name: String,
    organisation_code: String,
    public_key: String,
    encryption_key: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAgency {
    name: String,
    organisation_code: String,
    public_key: String,
    encryption_key: String,
    may_issue: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawType {
    chain: SideChain,
    name: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    validity_days: Option<u32>,
    fields: Vec<RawField>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawField {
    name: String,
    title: String,
    kind: FieldKind,
    max_bytes: u32,
    required: bool,
}

/// A file that holds a catalogue alone, as the network's founders agree on it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCatalogue {
    catalogue: Vec<RawType>,
}

/// Turns texts into typed values and names the place of the first that is none.
pub(crate) struct Reader<'a> {
    pub(crate) document: &'a Document,
    pub(crate) path: String,
}

impl Reader<'_> {
    fn refuse(&self, key: &str, problem: Problem) -> ConfigError {
        let path = &self.path;
        self.document.refuse(
            if path.is_empty() {
                key.to_owned()
            } else {
                format!("{path}.{key}")
            },
            problem,
        )
    }

    pub(crate) fn name(&self, key: &str, text: &str) -> Result<Name, ConfigError> {
        Name::parse(text).map_err(|problem| self.refuse(key, problem))
    }

    pub(crate) fn title(&self, key: &str, text: &str) -> Result<Title, ConfigError> {
        Title::parse(text).map_err(|problem| self.refuse(key, problem))
    }

    pub(crate) fn code(&self, text: &str) -> Result<OrganisationCode, ConfigError> {
        OrganisationCode::parse(text).map_err(|problem| self.refuse("organisation_code", problem))
    }

    pub(crate) fn key(&self, key: &str, text: &str) -> Result<PublicKey, ConfigError> {
        PublicKey::from_hex(text).map_err(|error| self.refuse(key, Problem::PublicKey(error)))
    }

    pub(crate) fn encryption_key(&self, text: &str) -> Result<[u8; 32], ConfigError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| self.refuse("encryption_key", Problem::EncryptionKey))?;
        Ok(bytes)
    }
}

/// Reads a genesis text; what needs more than one value is checked by [`crate::Genesis::new`].
pub(crate) fn read(document: &Document) -> Result<GenesisContent, ConfigError> {
    let raw: RawGenesis = document.parse()?;
    let top = Reader {
        document,
        path: String::new(),
    };
    Ok(GenesisContent {
        protocol: raw.protocol,
        network: top.name("network", &raw.network)?,
        time_ms: TimeMs::new(raw.time_ms),
        validators: each(document, "validators", &raw.validators, read_validator)?,
        registrars: each(document, "registrars", &raw.registrars, read_registrar)?,
        agencies: each(document, "agencies", &raw.agencies, read_agency)?,
        catalogue: each(document, "catalogue", &raw.catalogue, read_type)?,
        limits: raw.limits,
        timers: raw.timers,
        tag_key_version: raw.tag_key_version,
        governance: raw.governance,
    })
}

/// Reads a file that holds a catalogue alone.
pub(crate) fn read_catalogue(document: &Document) -> Result<Vec<CertificateType>, ConfigError> {
    let raw: RawCatalogue = document.parse()?;
    let catalogue = each(document, "catalogue", &raw.catalogue, read_type)?;
    crate::catalogue::check(&catalogue).map_err(|error| document.refuse_content(error))?;
    Ok(catalogue)
}

fn each<T, U>(
    document: &Document,
    list: &str,
    items: &[T],
    read: impl Fn(&Reader<'_>, &T) -> Result<U, ConfigError>,
) -> Result<Vec<U>, ConfigError> {
    let items = items.iter().enumerate();
    items
        .map(|(i, item)| {
            read(
                &Reader {
                    document,
                    path: format!("{list}[{i}]"),
                },
                item,
            )
        })
        .collect()
}

fn read_validator(at: &Reader<'_>, raw: &RawValidator) -> Result<GenesisValidator, ConfigError> {
    Ok(GenesisValidator {
        name: at.name("name", &raw.name)?,
        organisation_code: at.code(&raw.organisation_code)?,
        vote_key: at.key("vote_key", &raw.vote_key)?,
        network_key: at.key("network_key", &raw.network_key)?,
    })
}

fn read_registrar(at: &Reader<'_>, raw: &RawRegistrar) -> Result<GenesisRegistrar, ConfigError> {
    Ok(GenesisRegistrar {
        name: at.title("name", &raw.name)?,
        organisation_code: at.code(&raw.organisation_code)?,
        public_key: at.key("public_key", &raw.public_key)?,
        encryption_key: at.encryption_key(&raw.encryption_key)?,
    })
}

fn read_agency(at: &Reader<'_>, raw: &RawAgency) -> Result<GenesisAgency, ConfigError> {
    let types = raw.may_issue.iter().enumerate();
    Ok(GenesisAgency {
        name: at.title("name", &raw.name)?,
        organisation_code: at.code(&raw.organisation_code)?,
        public_key: at.key("public_key", &raw.public_key)?,
        encryption_key: at.encryption_key(&raw.encryption_key)?,
        may_issue: types
            .map(|(i, text)| at.name(&format!("may_issue[{i}]"), text))
            .collect::<Result<_, _>>()?,
    })
}

fn read_type(at: &Reader<'_>, raw: &RawType) -> Result<CertificateType, ConfigError> {
    Ok(CertificateType {
        chain: raw.chain,
        name: at.name("name", &raw.name)?,
        title: at.title("title", &raw.title)?,
        validity_days: raw.validity_days,
        fields: each(
            at.document,
            &format!("{}.fields", at.path),
            &raw.fields,
            read_field,
        )?,
    })
}

fn read_field(at: &Reader<'_>, raw: &RawField) -> Result<Field, ConfigError> {
    Ok(Field {
        name: at.name("name", &raw.name)?,
        title: at.title("title", &raw.title)?,
        kind: raw.kind,
        max_bytes: raw.max_bytes,
        required: raw.required,
    })
}

/// The text of a genesis file.
// The structure consists of strings, whole numbers and lists, all of which TOML can hold; numbers
// above TOML's range are refused by the checks that a genesis has passed.
#[allow(clippy::expect_used)]
pub(crate) fn write(content: &GenesisContent) -> String {
    let raw = RawGenesis {
        protocol: content.protocol,
        network: content.network.to_string(),
        time_ms: content.time_ms.get(),
        tag_key_version: content.tag_key_version,
        limits: content.limits.clone(),
        timers: content.timers.clone(),
        governance: content.governance.clone(),
        validators: content.validators.iter().map(write_validator).collect(),
        registrars: content.registrars.iter().map(write_registrar).collect(),
        agencies: content.agencies.iter().map(write_agency).collect(),
        catalogue: content.catalogue.iter().map(write_type).collect(),
    };
    let body = toml::to_string(&raw).expect("a checked genesis is always TOML");
    format!(
        "# Genesis of a CertChain network. All nodes of the network need the same content;\n\
         # its hash is the main chain's id. Do not change it once the network runs.\n\n{body}"
    )
}

fn write_validator(validator: &GenesisValidator) -> RawValidator {
    RawValidator {
        name: validator.name.to_string(),
        organisation_code: validator.organisation_code.to_string(),
        vote_key: validator.vote_key.to_string(),
        network_key: validator.network_key.to_string(),
    }
}

fn write_registrar(account: &GenesisRegistrar) -> RawRegistrar {
    RawRegistrar {
        name: account.name.to_string(),
        organisation_code: account.organisation_code.to_string(),
        public_key: account.public_key.to_string(),
        encryption_key: hex::encode(account.encryption_key),
    }
}

fn write_agency(account: &GenesisAgency) -> RawAgency {
    RawAgency {
        name: account.name.to_string(),
        organisation_code: account.organisation_code.to_string(),
        public_key: account.public_key.to_string(),
        encryption_key: hex::encode(account.encryption_key),
        may_issue: account.may_issue.iter().map(Name::to_string).collect(),
    }
}

fn write_type(entry: &CertificateType) -> RawType {
    RawType {
        chain: entry.chain,
        name: entry.name.to_string(),
        title: entry.title.to_string(),
        validity_days: entry.validity_days,
        fields: entry.fields.iter().map(write_field).collect(),
    }
}

fn write_field(field: &Field) -> RawField {
    RawField {
        name: field.name.to_string(),
        title: field.title.to_string(),
        kind: field.kind,
        max_bytes: field.max_bytes,
        required: field.required,
    }
}
