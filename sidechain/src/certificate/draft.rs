//! A certificate's draft: what its message alone shows, by the rules of its chain.

use certchain_ledger::{refusal::Refusal, state::StateKey};
use certchain_proto::{
    Address, ChainId, TimeMs,
    hash::{CertificateId, FieldRoot},
    wire::v1::{
        CertificateDraft, Code, ContentReference, EncryptedFields, encrypted_fields::Content,
    },
};

use super::types::{Claims, TypeRules};

/// Longest ciphertext that goes on chain.
pub const MAX_CIPHERTEXT_BYTES: usize = 4096;
/// Longest ciphertext that is kept elsewhere.
pub const MAX_CONTENT_BYTES: u64 = 16 * 1024 * 1024;
/// Longest media type of bytes that are kept elsewhere.
pub const MAX_MEDIA_TYPE_BYTES: usize = 64;
/// Longest location of bytes that are kept elsewhere.
pub const MAX_LOCATION_BYTES: usize = 256;

/// A draft whose message is in order.
///
/// Invariants: as many holders as the chain's types have, none twice; as many ciphertexts; a claim
/// exactly if a field is claimed.
pub(super) struct Draft<'a> {
    pub(super) id: CertificateId,
    pub(super) type_name: &'a str,
    pub(super) holders: Vec<Address>,
    pub(super) field_root: FieldRoot,
    pub(super) valid_from: Option<TimeMs>,
    pub(super) valid_until: Option<TimeMs>,
    pub(super) claim: Option<[u8; 32]>,
    pub(super) encrypted: &'a [EncryptedFields],
}

pub(super) fn bad(text: impl Into<String>) -> Refusal {
    Refusal::about(Code::BadField, text)
}

pub(super) fn field<const N: usize>(bytes: &[u8], name: &str) -> Result<[u8; N], Refusal> {
    bytes
        .try_into()
        .map_err(|_| bad(format!("{name} must have {N} bytes")))
}

pub(super) fn address(bytes: &[u8], name: &str) -> Result<Address, Refusal> {
    field(bytes, name).map(Address::from_bytes)
}

/// A number of the network's published lists.
pub(super) fn listed(number: u32, name: &str) -> Result<u16, Refusal> {
    match u16::try_from(number) {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(bad(format!("{name} must be 1 to 65535"))),
    }
}

impl<'a> Draft<'a> {
    /// Checks the message, field by field.
    pub(super) fn parse(
        chain: &ChainId,
        issuer: &Address,
        rules: &TypeRules,
        m: &'a CertificateDraft,
    ) -> Result<Self, Refusal> {
        if !rules.holders.contains(&m.holders.len()) {
            let (least, most) = (rules.holders.start(), rules.holders.end());
            let text = format!(
                "{} holders, the type has {least} to {most}",
                m.holders.len()
            );
            return Err(bad(text));
        }
        let mut holders = Vec::with_capacity(m.holders.len());
        for bytes in &m.holders {
            let holder = address(bytes, "each of holders")?;
            if holders.contains(&holder) {
                return Err(bad(format!("holder {holder} stands twice")));
            }
            holders.push(holder);
        }
        let field_root = FieldRoot::from_bytes(field(&m.field_root, "field_root")?);
        let nonce: [u8; 16] = field(&m.nonce, "nonce")?;
        let claim = match (rules.claims, m.claim.is_empty()) {
            (Claims::Field(name), true) => {
                return Err(bad(format!("claim is missing: the hash of field '{name}'")));
            }
            (Claims::Field(_), false) => Some(field(&m.claim, "claim")?),
            (Claims::Nothing | Claims::Holders, true) => None,
            (Claims::Nothing | Claims::Holders, false) => {
                return Err(bad("claim must be empty for this type"));
            }
        };
        if m.encrypted.len() != holders.len() {
            let (actual, needed) = (m.encrypted.len(), holders.len());
            let text = format!("{actual} of encrypted, there must be one per holder: {needed}");
            return Err(bad(text));
        }
        m.encrypted.iter().try_for_each(check_encrypted)?;
        let time = |ms: u64| (ms > 0).then_some(TimeMs::new(ms));
        Ok(Self {
            id: CertificateId::of(chain, issuer, &m.r#type, &field_root, &nonce),
            type_name: &m.r#type,
            holders,
            field_root,
            valid_from: time(m.valid_from_ms),
            valid_until: time(m.valid_until_ms),
            claim,
            encrypted: &m.encrypted,
        })
    }

    /// The keys of what it claims.
    pub(super) fn claim_keys(&self, rules: &TypeRules) -> Vec<StateKey> {
        rules.claim_keys(self.claim.as_ref(), self.holders.iter())
    }
}

fn check_encrypted(m: &EncryptedFields) -> Result<(), Refusal> {
    field::<32>(&m.recipient_key, "recipient_key")?;
    field::<32>(&m.encapsulated_key, "encapsulated_key")?;
    match &m.content {
        Some(Content::Ciphertext(bytes)) => match bytes.len() {
            1..=MAX_CIPHERTEXT_BYTES => Ok(()),
            actual => Err(bad(format!(
                "ciphertext has {actual} bytes, 1 to {MAX_CIPHERTEXT_BYTES} go on chain; use a \
                 reference"
            ))),
        },
        Some(Content::Reference(reference)) => check_reference(reference),
        None => Err(bad("a ciphertext or a reference to it is missing")),
    }
}

fn check_reference(m: &ContentReference) -> Result<(), Refusal> {
    field::<32>(&m.hash, "reference.hash")?;
    if !(1..=MAX_CONTENT_BYTES).contains(&m.size) {
        let text = format!("reference.size must be 1 to {MAX_CONTENT_BYTES}");
        return Err(bad(text));
    }
    let printable = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if !(1..=MAX_MEDIA_TYPE_BYTES).contains(&m.media_type.len()) || !printable(&m.media_type) {
        let text = format!(
            "reference.media_type must have 1 to {MAX_MEDIA_TYPE_BYTES} of printable ASCII"
        );
        return Err(bad(text));
    }
    if m.location.len() > MAX_LOCATION_BYTES || m.location.chars().any(char::is_control) {
        let text = format!(
            "reference.location must have at most {MAX_LOCATION_BYTES} bytes, none of control"
        );
        return Err(bad(text));
    }
    Ok(())
}
