//! The certificate catalogue: which types of certificates the network knows, and their fields.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    error::{ContentError, Problem},
    names::{Name, Title},
};

/// Most certificate types.
pub const MAX_TYPES: usize = 64;
/// Most fields of one type.
pub const MAX_FIELDS: usize = 32;
/// Longest value of a field in bytes.
pub const MAX_FIELD_BYTES: u32 = 4096;
/// Longest validity: a hundred years.
pub const MAX_VALIDITY_DAYS: u32 = 36_525;

/// The field that names the parcel of a property certificate: a parcel has one title in force, and
/// the draft claims the hash of this field.
pub const PARCEL: &str = "parcel";

/// The side chain that keeps certificates of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SideChain {
    /// Marriages.
    Marriage,
    /// Land and buildings.
    Property,
    /// Degrees and diplomas.
    Degree,
    /// Business licences.
    Business,
    /// Health certificates.
    Health,
}

impl SideChain {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Marriage,
        Self::Property,
        Self::Degree,
        Self::Business,
        Self::Health,
    ];

    /// The chain's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Marriage => "marriage",
            Self::Property => "property",
            Self::Degree => "degree",
            Self::Business => "business",
            Self::Health => "health",
        }
    }
}

/// What the value of a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldKind {
    /// UTF-8 text in normalisation form C.
    Text,
    /// A calendar day, YYYY-MM-DD.
    Date,
    /// A whole number in decimal digits.
    Number,
    /// The address of an account.
    Address,
}

/// One field of a certificate type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Name for programs, unique in the type.
    pub name: Name,
    /// Name for people.
    pub title: Title,
    /// What its value is.
    pub kind: FieldKind,
    /// Longest value in bytes.
    pub max_bytes: u32,
    /// Whether a certificate must have it.
    pub required: bool,
}

/// One type of certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateType {
    /// The side chain that keeps it.
    pub chain: SideChain,
    /// Name for programs, unique in the catalogue.
    pub name: Name,
    /// Name for people.
    pub title: Title,
    /// Days from the beginning of its validity to its end; none: until revoked.
    pub validity_days: Option<u32>,
    /// Its fields in order.
    pub fields: Vec<Field>,
}

pub(crate) fn check(catalogue: &[CertificateType]) -> Result<(), ContentError> {
    if catalogue.len() > MAX_TYPES {
        let problem = Problem::TooMany {
            actual: catalogue.len(),
            limit: MAX_TYPES,
        };
        return Err(ContentError::new("catalogue", problem));
    }
    let mut names = BTreeMap::new();
    for (index, entry) in catalogue.iter().enumerate() {
        let here = format!("catalogue[{index}]");
        if let Some(first) = names.insert(&entry.name, format!("{here}.name")) {
            return Err(ContentError::new(
                format!("{here}.name"),
                Problem::Duplicate { first },
            ));
        }
        check_range(
            &here,
            "validity_days",
            entry.validity_days.unwrap_or(1),
            MAX_VALIDITY_DAYS,
        )?;
        check_fields(&here, &entry.fields)?;
        check_claimed_field(&here, entry)?;
    }
    Ok(())
}

fn check_fields(here: &str, fields: &[Field]) -> Result<(), ContentError> {
    let list = format!("{here}.fields");
    if fields.is_empty() {
        return Err(ContentError::new(list, Problem::EmptyList));
    }
    if fields.len() > MAX_FIELDS {
        let problem = Problem::TooMany {
            actual: fields.len(),
            limit: MAX_FIELDS,
        };
        return Err(ContentError::new(list, problem));
    }
    let mut names = BTreeMap::new();
    for (index, field) in fields.iter().enumerate() {
        let here = format!("{list}[{index}]");
        if let Some(first) = names.insert(&field.name, format!("{here}.name")) {
            return Err(ContentError::new(
                format!("{here}.name"),
                Problem::Duplicate { first },
            ));
        }
        check_range(&here, "max_bytes", field.max_bytes, MAX_FIELD_BYTES)?;
    }
    Ok(())
}

/// Without it the claim of a title would be of nothing that a holder or a verifier can see.
fn check_claimed_field(here: &str, entry: &CertificateType) -> Result<(), ContentError> {
    let claims = |field: &Field| {
        field.name.as_str() == PARCEL && field.kind == FieldKind::Text && field.required
    };
    match entry.chain {
        SideChain::Property if !entry.fields.iter().any(claims) => Err(ContentError::new(
            format!("{here}.fields"),
            Problem::ClaimedField { name: PARCEL },
        )),
        _ => Ok(()),
    }
}

fn check_range(here: &str, key: &str, value: u32, max: u32) -> Result<(), ContentError> {
    if (1..=max).contains(&value) {
        return Ok(());
    }
    let problem = Problem::OutOfRange {
        value: value.into(),
        min: 1,
        max: max.into(),
    };
    Err(ContentError::new(format!("{here}.{key}"), problem))
}
