//! The fields of a certificate: checked against the catalogue, salted, committed to.
//!
//! Nothing of them reaches a chain in clear: the chain holds one root and what is encrypted to the
//! holders. The holder keeps values and salts, and shows a verifier those that it wants to show.
//!
//! Format [law]:
//!
//! - a certificate has one slot per field of its type, in the catalogue's order, each with 32 random
//!   bytes of salt; the value of an optional field that is left out is empty;
//! - `commitment = H("certchain v1 field commitment",
//!   salt || u16le(len(name)) || name || u32le(len(value)) || value)`;
//! - `field root = H("certchain v1 field root",
//!   type key || u16le(slots) || commitment[0] || ...)`;
//! - what is encrypted is, in the codec's form, `{ version: u8 = 1, type: String, fields: Vec<{ name:
//!   String, value: String, salt: [u8; 32] }> }` with all slots in order;
//! - the claim of a parcel is `H("certchain v1 claim", value of the field "parcel")`.
//!
//! Values are UTF-8 in NFC. A date is YYYY-MM-DD and a day of the Gregorian calendar from year 1 on;
//! a number is decimal digits without sign or leading zero; an address is as people write it.

mod schema;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;

use certchain_config::{
    CertificateType, SideChain,
    catalogue::{self, PARCEL},
};
use certchain_proto::{
    codec::{self, DecodeError},
    context,
    hash::{FieldRoot, hash_parts, type_key},
};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub use schema::{FieldError, check_value};

/// Length of a salt in bytes.
pub const SALT_BYTES: usize = 32;

/// Largest plaintext of a certificate's fields: every slot of the largest type full, and its frame.
pub const MAX_PLAINTEXT_BYTES: usize =
    catalogue::MAX_FIELDS * (catalogue::MAX_FIELD_BYTES as usize + 32 + SALT_BYTES + 16) + 64;

const PLAINTEXT_VERSION: u8 = 1;

/// Why decrypted bytes are not the fields of a certificate of this type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaintextError {
    /// Not the bytes of fields.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Of another version.
    #[error(
        "the fields are of format {actual}, this release reads {PLAINTEXT_VERSION}; upgrade it"
    )]
    Version {
        /// The version that came.
        actual: u8,
    },
    /// Of another type than asked for.
    #[error("the fields are of a certificate of another type than '{expected}'")]
    OtherType {
        /// The type that was expected.
        expected: String,
    },
    /// Not the type's slots in their order.
    #[error("the fields are not those of the catalogue in its order")]
    Slots,
    /// A value breaks the schema.
    #[error(transparent)]
    Field(#[from] FieldError),
}

/// One field with its salt: its value is empty if the certificate does without it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct FieldSlot {
    name: String,
    value: String,
    salt: [u8; SALT_BYTES],
}

impl FieldSlot {
    /// The field's name in the catalogue.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Its salt.
    pub const fn salt(&self) -> &[u8; SALT_BYTES] {
        &self.salt
    }

    /// What the root covers.
    pub fn commitment(&self) -> [u8; 32] {
        commitment(&self.salt, &self.name, &self.value)
    }
}

impl fmt::Debug for FieldSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldSlot({}, value not shown)", self.name)
    }
}

/// The commitment to one field.
pub fn commitment(salt: &[u8; SALT_BYTES], name: &str, value: &str) -> [u8; 32] {
    // Names and values are far below the limits of these lengths; a longer one, which no certificate
    // has, would only give a commitment that fits nothing.
    hash_parts(
        context::FIELD_COMMITMENT,
        &[
            salt,
            &(name.len() as u16).to_le_bytes(),
            name.as_bytes(),
            &(value.len() as u32).to_le_bytes(),
            value.as_bytes(),
        ],
    )
}

/// The root over the commitments of all slots of a certificate.
pub fn field_root(type_name: &str, commitments: &[[u8; 32]]) -> FieldRoot {
    let key = type_key(type_name);
    // At most MAX_FIELDS.
    let count = (commitments.len() as u16).to_le_bytes();
    let mut parts: Vec<&[u8]> = vec![&key, &count];
    parts.extend(commitments.iter().map(<[u8; 32]>::as_slice));
    FieldRoot::from_bytes(hash_parts(context::FIELD_ROOT, &parts))
}

/// What a property certificate claims: its parcel, of which there is one title at a time.
pub fn parcel_claim(parcel: &str) -> [u8; 32] {
    hash_parts(context::CLAIM, &[parcel.as_bytes()])
}

/// All fields of a certificate with their salts: the holder's secret.
///
/// Invariant: one slot per field of the type, in its order; every value fits its definition.
#[derive(Clone, PartialEq, Eq)]
pub struct CertificateFields {
    type_name: String,
    chain: SideChain,
    slots: Vec<FieldSlot>,
}

impl fmt::Debug for CertificateFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateFields(of a {}, not shown)", self.type_name)
    }
}

/// What is encrypted to each holder.
#[derive(Serialize, Deserialize)]
struct FieldsPlaintext {
    version: u8,
    type_name: String,
    fields: Vec<FieldSlot>,
}

impl CertificateFields {
    /// Checks values and salts them, one fresh random salt for each field of the type. Optional
    /// fields may be left out or empty.
    ///
    /// # Errors
    /// If a value is missing, unknown, repeated or breaks the schema, or the salts are not as many
    /// as the fields.
    pub fn new(
        certificate_type: &CertificateType,
        values: &[(String, String)],
        salts: &[[u8; SALT_BYTES]],
    ) -> Result<Self, FieldError> {
        let type_name = certificate_type.name.as_str();
        for (index, (name, _)) in values.iter().enumerate() {
            let field = || name.chars().take(80).collect::<String>();
            if values.iter().take(index).any(|(other, _)| other == name) {
                return Err(FieldError::Repeated { field: field() });
            }
            let known = |definition: &catalogue::Field| definition.name.as_str() == name;
            if !certificate_type.fields.iter().any(known) {
                return Err(FieldError::Unknown {
                    field: field(),
                    type_name: type_name.to_owned(),
                });
            }
        }
        if salts.len() != certificate_type.fields.len() {
            return Err(FieldError::Salts {
                actual: salts.len(),
                needed: certificate_type.fields.len(),
            });
        }
        let mut slots = Vec::with_capacity(salts.len());
        for (definition, salt) in certificate_type.fields.iter().zip(salts) {
            let given = values
                .iter()
                .find(|(name, _)| name == definition.name.as_str());
            let value = given.map_or("", |(_, value)| value);
            check_value(definition, value)?;
            slots.push(FieldSlot {
                name: definition.name.as_str().to_owned(),
                value: value.to_owned(),
                salt: *salt,
            });
        }
        Ok(Self {
            type_name: type_name.to_owned(),
            chain: certificate_type.chain,
            slots,
        })
    }

    /// Name of the certificate's type.
    pub fn type_name(&self) -> &str {
        &self.type_name
    }

    /// All slots, in the catalogue's order.
    pub fn slots(&self) -> &[FieldSlot] {
        &self.slots
    }

    /// The value of a field; none if the type has no such field.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.slots
            .iter()
            .find(|slot| slot.name == name)
            .map(|slot| slot.value.as_str())
    }

    /// The commitments of all slots.
    pub fn commitments(&self) -> Vec<[u8; 32]> {
        self.slots.iter().map(FieldSlot::commitment).collect()
    }

    /// What the chain holds of them.
    pub fn root(&self) -> FieldRoot {
        field_root(&self.type_name, &self.commitments())
    }

    /// What a draft with these fields must claim; none where the chain itself makes the claims, or
    /// the type has none.
    ///
    /// # Errors
    /// If a property certificate names no parcel.
    pub fn claim(&self) -> Result<Option<[u8; 32]>, FieldError> {
        match self.chain {
            SideChain::Property => match self.value(PARCEL) {
                None | Some("") => Err(FieldError::Missing {
                    field: PARCEL.to_owned(),
                }),
                Some(parcel) => Ok(Some(parcel_claim(parcel))),
            },
            SideChain::Marriage | SideChain::Degree | SideChain::Business | SideChain::Health => {
                Ok(None)
            }
        }
    }

    /// The bytes that are encrypted to each holder.
    pub fn to_plaintext(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(codec::encode(&FieldsPlaintext {
            version: PLAINTEXT_VERSION,
            type_name: self.type_name.clone(),
            fields: self.slots.clone(),
        }))
    }

    /// Reads decrypted bytes. Whether they are the fields of a certificate on chain, its field root
    /// tells.
    ///
    /// # Errors
    /// If they are not the fields of a certificate of this type.
    pub fn from_plaintext(
        certificate_type: &CertificateType,
        bytes: &[u8],
    ) -> Result<Self, PlaintextError> {
        let plain: FieldsPlaintext = codec::decode(bytes, MAX_PLAINTEXT_BYTES)?;
        if plain.version != PLAINTEXT_VERSION {
            return Err(PlaintextError::Version {
                actual: plain.version,
            });
        }
        let type_name = certificate_type.name.as_str();
        if plain.type_name != type_name {
            return Err(PlaintextError::OtherType {
                expected: type_name.to_owned(),
            });
        }
        let definitions = &certificate_type.fields;
        let in_order = definitions.len() == plain.fields.len()
            && definitions
                .iter()
                .zip(&plain.fields)
                .all(|(definition, slot)| definition.name.as_str() == slot.name);
        if !in_order {
            return Err(PlaintextError::Slots);
        }
        for (definition, slot) in definitions.iter().zip(&plain.fields) {
            check_value(definition, &slot.value)?;
        }
        Ok(Self {
            type_name: plain.type_name,
            chain: certificate_type.chain,
            slots: plain.fields,
        })
    }
}
