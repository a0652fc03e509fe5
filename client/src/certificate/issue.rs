//! The issuer's side.

use std::ops::RangeInclusive;

use certchain_config::{CertificateType, SideChain};
use certchain_proto::{
    Address, ChainId, TimeMs,
    hash::CertificateId,
    wire::v1::{CertificateDraft, transaction_body::Kind},
};
use certchain_sidechain::{
    encryption::{ENTROPY_BYTES, EncryptionError, FieldsScope},
    fields::{CertificateFields, FieldError, SALT_BYTES},
};
use prost::Message as _;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use crate::{
    NoRandomness, random,
    transaction::{issue_batch, issue_certificate},
    wallet::PublicAccount,
};

/// Most certificates of one batch.
pub const MAX_BATCH: usize = 1024;

/// Room that a transaction needs besides its certificates: body, issuer, signature.
const ENVELOPE_BYTES: usize = 512;

/// Why a certificate cannot be drafted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// Not as many holders as the type has.
    #[error("{actual} holders; certificates of this type have {least} to {most}")]
    Holders {
        /// How many were given.
        actual: usize,
        /// Least number.
        least: usize,
        /// Largest number.
        most: usize,
    },
    /// One holder stands twice.
    #[error("{holder} is named as holder twice")]
    RepeatedHolder {
        /// The holder.
        holder: Address,
    },
    /// The values break the type's schema.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The fields cannot be encrypted to a holder.
    #[error("{holder}: {source}")]
    Encryption {
        /// The holder.
        holder: Address,
        /// Why.
        source: EncryptionError,
    },
    /// Its end is not after its beginning.
    #[error("the certificate would end before it begins; check the two times")]
    Validity,
    /// One certificate of a type that needs its holders' signatures.
    #[error("certificates of this type are issued one by one, since their holders sign too")]
    NoBatch,
    /// A batch without certificates, or too many.
    #[error("a batch has 1 to {MAX_BATCH} certificates, not {actual}; split it")]
    Batch {
        /// How many were given.
        actual: usize,
    },
    /// The machine gave no random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// A holder as its issuer knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Its account.
    pub address: Address,
    /// Its present X25519 key; ask the main chain for it.
    pub encryption_key: [u8; 32],
}

impl From<&PublicAccount> for Recipient {
    fn from(account: &PublicAccount) -> Self {
        Self {
            address: account.address(),
            encryption_key: *account.encryption_key(),
        }
    }
}

/// A certificate that is to be issued.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    /// The side chain of its type.
    pub chain: ChainId,
    /// Who issues it.
    pub issuer: Address,
    /// Its type, from the catalogue.
    pub certificate_type: &'a CertificateType,
    /// Names and values of its fields; values are put into NFC. Optional ones may be left out.
    pub values: &'a [(String, String)],
    /// Its holders, in the order in which they sign if they do.
    pub holders: &'a [Recipient],
    /// Block time from which it is valid; none: from its issue on.
    pub valid_from: Option<TimeMs>,
    /// Block time from which it is expired; none: as the catalogue says.
    pub valid_until: Option<TimeMs>,
}

/// A certificate that is ready to be issued.
#[derive(Clone, Debug, PartialEq)]
pub struct PreparedCertificate {
    /// Its id, known before it is on chain.
    pub id: CertificateId,
    /// What the chain gets.
    pub draft: CertificateDraft,
    /// The chain that keeps certificates of its type.
    pub keeper: SideChain,
    /// The issuer's own copy of the fields with their salts.
    pub fields: CertificateFields,
    /// Ciphertexts that are too large for the chain: put them into a node's store first.
    pub contents: Vec<Vec<u8>>,
}

/// How many holders a certificate has.
const fn holders_of(chain: SideChain) -> RangeInclusive<usize> {
    match chain {
        SideChain::Marriage => 2..=2,
        SideChain::Property => 1..=2,
        SideChain::Degree | SideChain::Business | SideChain::Health => 1..=1,
    }
}

/// Whether the holders sign the issue too.
pub const fn holders_sign(chain: SideChain) -> bool {
    matches!(chain, SideChain::Marriage)
}

/// Checks, salts and encrypts.
///
/// # Errors
/// If holders, values or times do not fit the type, a key is none, or there is no randomness.
pub fn prepare(order: &Order<'_>) -> Result<PreparedCertificate, PrepareError> {
    let certificate_type = order.certificate_type;
    check_holders(certificate_type.chain, order.holders)?;
    if let (Some(from), Some(until)) = (order.valid_from, order.valid_until)
        && until <= from
    {
        return Err(PrepareError::Validity);
    }
    let values: Vec<(String, String)> = order
        .values
        .iter()
        .map(|(name, value)| (name.clone(), value.nfc().collect()))
        .collect();
    let mut salts = Zeroizing::new(Vec::with_capacity(certificate_type.fields.len()));
    for _ in &certificate_type.fields {
        salts.push(random::<SALT_BYTES>()?);
    }
    let fields = CertificateFields::new(certificate_type, &values, &salts)?;
    let nonce: [u8; 16] = random()?;
    let id = CertificateId::of(
        &order.chain,
        &order.issuer,
        fields.type_name(),
        &fields.root(),
        &nonce,
    );
    let scope = FieldsScope {
        chain: order.chain,
        certificate: id,
        version: 0,
    };
    let plaintext = fields.to_plaintext();
    let mut encrypted = Vec::with_capacity(order.holders.len());
    let mut contents = Vec::new();
    for holder in order.holders {
        let entropy = Zeroizing::new(random::<ENTROPY_BYTES>()?);
        let sealed = scope
            .seal(&holder.encryption_key, &plaintext, &entropy)
            .map_err(|source| PrepareError::Encryption {
                holder: holder.address,
                source,
            })?;
        let (wire, kept) = sealed.into_wire();
        encrypted.push(wire);
        contents.extend(kept);
    }
    let claim = fields.claim()?;
    let draft = CertificateDraft {
        r#type: fields.type_name().to_owned(),
        holders: order
            .holders
            .iter()
            .map(|holder| holder.address.as_bytes().to_vec())
            .collect(),
        field_root: fields.root().as_bytes().to_vec(),
        nonce: nonce.to_vec(),
        valid_from_ms: order.valid_from.map_or(0, TimeMs::get),
        valid_until_ms: order.valid_until.map_or(0, TimeMs::get),
        claim: claim.map_or_else(Vec::new, |claim| claim.to_vec()),
        encrypted,
    };
    Ok(PreparedCertificate {
        id,
        draft,
        keeper: certificate_type.chain,
        fields,
        contents,
    })
}

fn check_holders(chain: SideChain, holders: &[Recipient]) -> Result<(), PrepareError> {
    let range = holders_of(chain);
    if !range.contains(&holders.len()) {
        return Err(PrepareError::Holders {
            actual: holders.len(),
            least: *range.start(),
            most: *range.end(),
        });
    }
    for (index, holder) in holders.iter().enumerate() {
        if holders
            .iter()
            .take(index)
            .any(|other| other.address == holder.address)
        {
            return Err(PrepareError::RepeatedHolder {
                holder: holder.address,
            });
        }
    }
    Ok(())
}

/// The transaction kind that issues one certificate.
pub fn issue_kind(issuer: Address, certificate: &PreparedCertificate) -> Kind {
    let sign = holders_sign(certificate.keeper);
    issue_certificate(issuer, certificate.draft.clone(), sign)
}

/// The transaction kind that issues many.
///
/// # Errors
/// If they are none or too many, or one needs its holders' signatures.
pub fn batch_kind(
    issuer: Address,
    certificates: &[PreparedCertificate],
) -> Result<Kind, PrepareError> {
    let actual = certificates.len();
    if !(1..=MAX_BATCH).contains(&actual) {
        return Err(PrepareError::Batch { actual });
    }
    if certificates.iter().any(|one| holders_sign(one.keeper)) {
        return Err(PrepareError::NoBatch);
    }
    let drafts = certificates.iter().map(|one| one.draft.clone()).collect();
    Ok(issue_batch(issuer, drafts))
}

/// Splits certificates into batches that each fit into one transaction of at most `limit` bytes, in
/// their order. A certificate that fits into none stands alone.
pub fn split_batches(
    certificates: Vec<PreparedCertificate>,
    limit: usize,
) -> Vec<Vec<PreparedCertificate>> {
    let room = limit.saturating_sub(ENVELOPE_BYTES);
    let mut batches: Vec<Vec<PreparedCertificate>> = Vec::new();
    let mut used = 0usize;
    for certificate in certificates {
        // Tag and length stand before each.
        let size = certificate.draft.encoded_len() + 6;
        match batches.last_mut() {
            Some(batch) if batch.len() < MAX_BATCH && used.saturating_add(size) <= room => {
                batch.push(certificate);
                used += size;
            }
            _ => {
                batches.push(vec![certificate]);
                used = size;
            }
        }
    }
    batches
}
