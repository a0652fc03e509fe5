//! A presentation with the fields that it shows: what goes from holder to verifier, and nowhere
//! else.
//!
//! Format [law], in the codec's form, at most [`MAX_PACKAGE_BYTES`]: `{ version: u8 = 1,
//! presentation: Vec<u8>, signature: [u8; 64], type: String, commitments: Vec<[u8; 32]>, shown:
//! Vec<{ index: u16, name: String, value: String, salt: [u8; 32] }> }` with
//!
//! - `presentation` the encoded message as the holder signed it, `signature` over
//!   `H("certchain v1 sign presentation", presentation)`;
//! - `commitments` those of all slots of the certificate, in order, so that its field root can be
//!   computed again; `shown` in rising order of their slots, none twice;
//! - `disclosed hash = H("certchain v1 disclosed fields", type key || field root || for each shown
//!   field u16le(index) || commitment[index])`.
//!
//! A slot whose value is empty may be shown too: it proves that the certificate does without it.

mod error;
pub mod sealed;
pub mod text;

#[cfg(test)]
mod tests;

use std::fmt;

use certchain_config::{CertificateType, catalogue::MAX_FIELDS};
use certchain_proto::{
    Address, ChainId, PublicKey, SecretKey, Signature, TimeMs, codec,
    hash::{CertificateId, FieldRoot, PresentationId},
};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub use error::{BuildError, PackageError, VerifyError};

use crate::{
    fields::{CertificateFields, SALT_BYTES, check_value, commitment, field_root},
    presentation::{
        Audience, BEARER_LIFE_MS, NONCE_BYTES, Presentation, SignedPresentation, disclosed_hash,
    },
};

/// Largest encoding of a package.
pub const MAX_PACKAGE_BYTES: usize = 16 * 1024;

const PACKAGE_VERSION: u8 = 1;

/// A field that is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct ShownField {
    index: u16,
    name: String,
    value: String,
    salt: [u8; SALT_BYTES],
}

impl ShownField {
    /// Its slot, from 0.
    pub const fn index(&self) -> u16 {
        self.index
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value; empty if the certificate does without it.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for ShownField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShownField({}, contents not shown)", self.index)
    }
}

/// What a holder decides about a presentation besides the fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentationTerms {
    /// The side chain.
    pub chain: ChainId,
    /// The certificate.
    pub certificate: CertificateId,
    /// The holder.
    pub holder: Address,
    /// Who may record a check.
    pub audience: Audience,
    /// The verifier's challenge, at most
    /// [`MAX_CHALLENGE_BYTES`](crate::presentation::MAX_CHALLENGE_BYTES); may be empty.
    pub challenge: Vec<u8>,
    /// Fresh random bytes.
    pub nonce: [u8; NONCE_BYTES],
    /// Block time from which it can no longer be recorded.
    pub expires: TimeMs,
}

/// What a verifier knows, from proven records, when it judges a package.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The side chain.
    pub chain: ChainId,
    /// The certificate.
    pub certificate: CertificateId,
    /// Its type, from the catalogue.
    pub certificate_type: &'a CertificateType,
    /// Its field root, from its record.
    pub field_root: FieldRoot,
    /// The holder.
    pub holder: Address,
    /// The holder's present keys, from main: any of them may have signed.
    pub holder_keys: &'a [PublicKey],
    /// Who verifies.
    pub verifier: Address,
    /// The challenge that it gave; none if it gave none and takes any.
    pub challenge: Option<&'a [u8]>,
    /// Block time, or the verifier's clock.
    pub now: TimeMs,
    /// How far the clocks of others may be ahead, in milliseconds.
    pub clock_bound_ms: u64,
    /// The chain's transaction window in milliseconds: the longest life of a presentation that
    /// names its verifier.
    pub window_ms: u64,
}

/// A presentation with the fields that it shows. Holds personal data; wiped when dropped.
///
/// Invariants: 1 to [`MAX_FIELDS`] commitments; shown fields in rising order of their slots.
#[derive(Clone, PartialEq, Eq)]
pub struct PresentationPackage {
    signed: SignedPresentation,
    type_name: String,
    commitments: Vec<[u8; 32]>,
    shown: Vec<ShownField>,
}

impl fmt::Debug for PresentationPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentationPackage")
            .field("presentation", self.signed.presentation())
            .field("shown", &self.shown)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct RawPackage {
    version: u8,
    presentation: Vec<u8>,
    signature: Signature,
    type_name: String,
    commitments: Vec<[u8; 32]>,
    shown: Vec<ShownField>,
}

impl PresentationPackage {
    /// Shows the fields with these names, signed with the holder's present key.
    ///
    /// # Errors
    /// If a name is unknown or repeated, the challenge is too long, or the package is too large.
    pub fn build(
        fields: &CertificateFields,
        names: &[&str],
        terms: &PresentationTerms,
        key: &SecretKey,
    ) -> Result<Self, BuildError> {
        for (place, name) in names.iter().enumerate() {
            let name = || name.chars().take(80).collect::<String>();
            if fields.value(names[place]).is_none() {
                return Err(BuildError::UnknownField { name: name() });
            }
            if names[..place].contains(&names[place]) {
                return Err(BuildError::RepeatedField { name: name() });
            }
        }
        let shown: Vec<_> = (0u16..)
            .zip(fields.slots())
            .filter(|(_, slot)| names.contains(&slot.name()))
            .map(|(index, slot)| ShownField {
                index,
                name: slot.name().to_owned(),
                value: slot.value().to_owned(),
                salt: *slot.salt(),
            })
            .collect();
        let commitments = fields.commitments();
        let presentation = Presentation {
            chain: terms.chain,
            certificate: terms.certificate,
            holder: terms.holder,
            audience: terms.audience,
            challenge: terms.challenge.clone(),
            nonce: terms.nonce,
            expires: terms.expires,
            disclosed: disclosed_hash(
                fields.type_name(),
                &fields.root(),
                with_commitments(&shown, &commitments),
            ),
        };
        let package = Self {
            signed: SignedPresentation::sign(&presentation, key)?,
            type_name: fields.type_name().to_owned(),
            commitments,
            shown,
        };
        let actual = package.encode().len();
        if actual > MAX_PACKAGE_BYTES {
            return Err(BuildError::TooLarge { actual });
        }
        Ok(package)
    }

    /// The bytes that travel.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(codec::encode(&RawPackage {
            version: PACKAGE_VERSION,
            presentation: self.signed.encoded().to_vec(),
            signature: *self.signed.signature(),
            type_name: self.type_name.clone(),
            commitments: self.commitments.clone(),
            shown: self.shown.clone(),
        }))
    }

    /// Reads bytes that came. Nothing in them is verified yet.
    ///
    /// # Errors
    /// If an invariant of the type does not hold.
    pub fn decode(bytes: &[u8]) -> Result<Self, PackageError> {
        let raw: RawPackage = codec::decode(bytes, MAX_PACKAGE_BYTES)?;
        if raw.version != PACKAGE_VERSION {
            return Err(PackageError::Version {
                actual: raw.version,
            });
        }
        let slots = raw.commitments.len();
        if !(1..=MAX_FIELDS).contains(&slots) {
            return Err(PackageError::Slots { actual: slots });
        }
        let rising = raw
            .shown
            .windows(2)
            .all(|pair| pair[0].index < pair[1].index);
        let inside = raw
            .shown
            .iter()
            .all(|field| usize::from(field.index) < slots);
        if !(rising && inside) {
            return Err(PackageError::Order);
        }
        Ok(Self {
            signed: SignedPresentation::new(&raw.presentation, raw.signature)?,
            type_name: raw.type_name,
            commitments: raw.commitments,
            shown: raw.shown,
        })
    }

    /// The presentation, as a check records it.
    pub const fn signed(&self) -> &SignedPresentation {
        &self.signed
    }

    /// What the presentation says.
    pub const fn presentation(&self) -> &Presentation {
        self.signed.presentation()
    }

    /// The name under which the chain records the check.
    pub fn id(&self) -> PresentationId {
        self.signed.id()
    }

    /// Name of the certificate's type, as the package says.
    pub fn type_name(&self) -> &str {
        &self.type_name
    }

    /// The fields that are shown, as the package says.
    pub fn shown(&self) -> &[ShownField] {
        &self.shown
    }

    /// Checks everything that can be checked without the chain: that it is about this certificate
    /// and by its holder, for this verifier, in time, signed, and that the shown fields are what the
    /// issuer committed to. Whether the certificate is in force, its record tells.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(&self, expected: &Expected<'_>) -> Result<&[ShownField], VerifyError> {
        let presentation = self.signed.presentation();
        if presentation.chain != expected.chain {
            return Err(VerifyError::OtherChain);
        }
        if presentation.certificate != expected.certificate {
            return Err(VerifyError::OtherCertificate {
                actual: presentation.certificate,
            });
        }
        if presentation.holder != expected.holder {
            return Err(VerifyError::OtherHolder {
                actual: presentation.holder,
            });
        }
        if let Audience::Verifier(named) = presentation.audience
            && named != expected.verifier
        {
            return Err(VerifyError::OtherVerifier { named });
        }
        if expected
            .challenge
            .is_some_and(|challenge| challenge != presentation.challenge)
        {
            return Err(VerifyError::OtherChallenge);
        }
        check_time(presentation, expected)?;
        let keys = expected.holder_keys;
        if !keys.iter().any(|key| self.signed.is_signed_by(key)) {
            return Err(VerifyError::BadSignature);
        }
        self.verify_fields(expected.certificate_type, &expected.field_root)?;
        Ok(&self.shown)
    }

    fn verify_fields(
        &self,
        certificate_type: &CertificateType,
        root: &FieldRoot,
    ) -> Result<(), VerifyError> {
        let definitions = &certificate_type.fields;
        let type_name = certificate_type.name.as_str();
        if self.type_name != type_name || self.commitments.len() != definitions.len() {
            return Err(VerifyError::OtherType);
        }
        if field_root(type_name, &self.commitments) != *root {
            return Err(VerifyError::ForeignFields);
        }
        for field in &self.shown {
            let index = usize::from(field.index);
            let (Some(committed), Some(definition)) =
                (self.commitments.get(index), definitions.get(index))
            else {
                return Err(VerifyError::OtherDisclosure);
            };
            let same_name = definition.name.as_str() == field.name;
            if !same_name || commitment(&field.salt, &field.name, &field.value) != *committed {
                return Err(VerifyError::ChangedField {
                    name: field.name.chars().take(80).collect(),
                });
            }
            check_value(definition, &field.value)?;
        }
        let shown = with_commitments(&self.shown, &self.commitments);
        if disclosed_hash(type_name, root, shown) != self.presentation().disclosed {
            return Err(VerifyError::OtherDisclosure);
        }
        Ok(())
    }
}

fn check_time(presentation: &Presentation, expected: &Expected<'_>) -> Result<(), VerifyError> {
    let expires = presentation.expires;
    if expires <= expected.now {
        return Err(VerifyError::Expired { expires });
    }
    let life = match presentation.audience {
        Audience::Bearer => BEARER_LIFE_MS,
        Audience::Verifier(_) => expected.window_ms,
    };
    let latest = expected
        .now
        .saturating_add(life)
        .saturating_add(expected.clock_bound_ms);
    if expires > latest {
        return Err(VerifyError::TooFar { expires });
    }
    Ok(())
}

fn with_commitments<'a>(
    shown: &'a [ShownField],
    commitments: &'a [[u8; 32]],
) -> impl Iterator<Item = (u16, &'a [u8; 32])> {
    shown.iter().filter_map(|field| {
        let commitment = commitments.get(usize::from(field.index))?;
        Some((field.index, commitment))
    })
}
