//! What is encrypted to one account: a certificate's fields to its holder, a presentation to its
//! verifier.
//!
//! HPKE (RFC 9180) in base mode with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305.
//! The info string says what is encrypted; the associated data says for which chain, certificate,
//! version and key, so that a ciphertext put elsewhere does not open. [law] for fields:
//!
//! - info `certchain v1 fields`;
//! - associated data: chain id (32) || certificate id (32) || u32le(version, 0 as issued) || the
//!   recipient's X25519 key (32).
//!
//! Whoever seals draws 32 random bytes for every ciphertext and never uses them twice: this crate
//! draws none, so that it stays the same on every machine.

#[cfg(test)]
mod tests;

use std::{convert::Infallible, fmt};

use certchain_proto::{
    ChainId,
    hash::{CertificateId, ContentHash},
    wire::v1::{ContentReference, EncryptedFields, encrypted_fields::Content},
};
use hpke::{
    Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _,
    aead::ChaCha20Poly1305,
    kdf::HkdfSha256,
    kem::X25519HkdfSha256,
    rand_core::{TryCryptoRng, TryRng},
    single_shot_open, single_shot_seal_with_rng,
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::fields::MAX_PLAINTEXT_BYTES;

/// Largest ciphertext that goes on chain; larger ones are kept elsewhere and found by their hash.
pub const MAX_INLINE_BYTES: usize = 4096;
/// Largest content that a chain refers to.
pub const MAX_CONTENT_BYTES: u64 = 16 * 1024 * 1024;
/// Length of an X25519 key and of an encapsulated key in bytes.
pub const KEY_BYTES: usize = 32;
/// Random bytes that one ciphertext needs.
pub const ENTROPY_BYTES: usize = 32;
/// Bytes by which a ciphertext is longer than what it holds.
pub const TAG_BYTES: usize = 16;
/// Media type of fields that are kept off the chain.
pub const FIELDS_MEDIA_TYPE: &str = "application/vnd.certchain.fields";

const FIELDS_INFO: &[u8] = b"certchain v1 fields";

type Private = <X25519HkdfSha256 as hpke::Kem>::PrivateKey;
type Public = <X25519HkdfSha256 as hpke::Kem>::PublicKey;
type Encapsulated = <X25519HkdfSha256 as hpke::Kem>::EncappedKey;

/// Why something cannot be encrypted or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncryptionError {
    /// The recipient's key is none that anything can be encrypted to.
    #[error("the recipient's encryption key is none; ask for its account again")]
    RecipientKey,
    /// The cipher failed, which it never does for what it is given here.
    #[error("the cipher failed; report it")]
    Cipher,
    /// It was encrypted to another key.
    #[error(
        "it is encrypted to another key than this one; use the wallet, or the past key, of its \
             recipient"
    )]
    OtherRecipient,
    /// Wrong key, chain or certificate, or changed bytes.
    #[error("it does not open with this key for this certificate: it was changed, or is another's")]
    DoesNotOpen,
    /// A key has a wrong length, or the content is missing or too large.
    #[error("the encrypted fields are malformed: {field} {problem}")]
    Malformed {
        /// Name in the .proto file.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The ciphertext is kept off the chain and was not given.
    #[error("the ciphertext is kept off the chain; fetch {hash} and give it along")]
    ContentNeeded {
        /// Its name.
        hash: ContentHash,
    },
    /// The content that was given is not the one that the chain refers to.
    #[error("the content is not {hash} of the chain; fetch it elsewhere")]
    OtherContent {
        /// The name on chain.
        hash: ContentHash,
    },
}

/// A ciphertext and what its recipient needs to open it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The recipient's X25519 key.
    pub recipient_key: [u8; KEY_BYTES],
    /// HPKE's encapsulated key.
    pub encapsulated_key: [u8; KEY_BYTES],
    /// The ciphertext with its tag.
    pub ciphertext: Vec<u8>,
}

/// Encrypts to `recipient_key`. `entropy` are random bytes that were never used before.
///
/// # Errors
/// If the key is none.
pub fn seal(
    recipient_key: &[u8; KEY_BYTES],
    info: &[u8],
    associated: &[u8],
    plaintext: &[u8],
    entropy: &[u8; ENTROPY_BYTES],
) -> Result<Sealed, EncryptionError> {
    let public = Public::from_bytes(recipient_key).map_err(|_| EncryptionError::RecipientKey)?;
    let mut draw = OneDraw::new(entropy);
    let sealed = single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &public,
        info,
        plaintext,
        associated,
        &mut draw,
    );
    let (encapsulated, ciphertext) = sealed.map_err(|error| match error {
        // The shared secret is zero: a key of small order, to which everybody could decrypt.
        hpke::HpkeError::EncapError => EncryptionError::RecipientKey,
        _ => EncryptionError::Cipher,
    })?;
    if draw.overdrawn {
        return Err(EncryptionError::Cipher);
    }
    Ok(Sealed {
        recipient_key: *recipient_key,
        encapsulated_key: encapsulated.to_bytes().into(),
        ciphertext,
    })
}

/// Opens what was encrypted to the public half of `secret`.
///
/// # Errors
/// If it is another's, was changed, or was sealed under another info or other associated data.
pub fn open(
    secret: &[u8; KEY_BYTES],
    info: &[u8],
    associated: &[u8],
    sealed: &Sealed,
) -> Result<Zeroizing<Vec<u8>>, EncryptionError> {
    let secret = Private::from_bytes(secret).map_err(|_| EncryptionError::DoesNotOpen)?;
    let own: [u8; KEY_BYTES] = X25519HkdfSha256::sk_to_pk(&secret).to_bytes().into();
    if own != sealed.recipient_key {
        return Err(EncryptionError::OtherRecipient);
    }
    let encapsulated = Encapsulated::from_bytes(&sealed.encapsulated_key)
        .map_err(|_| EncryptionError::DoesNotOpen)?;
    single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &secret,
        &encapsulated,
        info,
        &sealed.ciphertext,
        associated,
    )
    .map(Zeroizing::new)
    .map_err(|_| EncryptionError::DoesNotOpen)
}

/// Which certificate of which chain fields are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldsScope {
    /// The chain.
    pub chain: ChainId,
    /// The certificate.
    pub certificate: CertificateId,
    /// Count of changes of its content; 0 as issued.
    pub version: u32,
}

impl FieldsScope {
    fn associated(&self, recipient_key: &[u8; KEY_BYTES]) -> [u8; 100] {
        let mut bytes = [0; 100];
        let parts: [&[u8]; 4] = [
            self.chain.as_bytes(),
            self.certificate.as_bytes(),
            &self.version.to_le_bytes(),
            recipient_key,
        ];
        for (place, byte) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *place = *byte;
        }
        bytes
    }

    /// Encrypts fields to a holder.
    ///
    /// # Errors
    /// As [`seal`].
    pub fn seal(
        &self,
        recipient_key: &[u8; KEY_BYTES],
        plaintext: &[u8],
        entropy: &[u8; ENTROPY_BYTES],
    ) -> Result<Sealed, EncryptionError> {
        let associated = self.associated(recipient_key);
        seal(recipient_key, FIELDS_INFO, &associated, plaintext, entropy)
    }

    /// Opens fields as their holder.
    ///
    /// # Errors
    /// As [`open`].
    pub fn open(
        &self,
        secret: &[u8; KEY_BYTES],
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, EncryptionError> {
        let associated = self.associated(&sealed.recipient_key);
        open(secret, FIELDS_INFO, &associated, sealed)
    }
}

impl Sealed {
    /// As a draft carries it: the ciphertext if it is small, else a reference to it, and then the
    /// ciphertext itself for the store that is to keep it.
    pub fn into_wire(self) -> (EncryptedFields, Option<Vec<u8>>) {
        let (content, kept) = if self.ciphertext.len() <= MAX_INLINE_BYTES {
            (Content::Ciphertext(self.ciphertext), None)
        } else {
            let reference = ContentReference {
                hash: ContentHash::of(&self.ciphertext).as_bytes().to_vec(),
                size: self.ciphertext.len() as u64,
                media_type: FIELDS_MEDIA_TYPE.to_owned(),
                location: String::new(),
            };
            (Content::Reference(reference), Some(self.ciphertext))
        };
        let wire = EncryptedFields {
            recipient_key: self.recipient_key.to_vec(),
            encapsulated_key: self.encapsulated_key.to_vec(),
            content: Some(content),
        };
        (wire, kept)
    }

    /// Reads what a draft carries. `content` is the ciphertext, if it is kept off the chain.
    ///
    /// # Errors
    /// If a length is wrong, or the content is missing or another.
    pub fn from_wire(
        wire: &EncryptedFields,
        content: Option<&[u8]>,
    ) -> Result<Self, EncryptionError> {
        let key = |field, bytes: &[u8]| {
            <[u8; KEY_BYTES]>::try_from(bytes).map_err(|_| EncryptionError::Malformed {
                field,
                problem: "must have 32 bytes",
            })
        };
        let ciphertext = match &wire.content {
            Some(Content::Ciphertext(ciphertext)) => {
                if ciphertext.len() > MAX_INLINE_BYTES {
                    return Err(EncryptionError::Malformed {
                        field: "ciphertext",
                        problem: "has more than 4096 bytes",
                    });
                }
                ciphertext.clone()
            }
            Some(Content::Reference(reference)) => referred(reference, content)?,
            None => {
                return Err(EncryptionError::Malformed {
                    field: "content",
                    problem: "is missing",
                });
            }
        };
        Ok(Self {
            recipient_key: key("recipient_key", &wire.recipient_key)?,
            encapsulated_key: key("encapsulated_key", &wire.encapsulated_key)?,
            ciphertext,
        })
    }
}

/// The content that a reference names. Fields are far smaller than the largest content.
fn referred(
    reference: &ContentReference,
    content: Option<&[u8]>,
) -> Result<Vec<u8>, EncryptionError> {
    let hash = ContentHash::from_slice(&reference.hash).ok_or(EncryptionError::Malformed {
        field: "hash",
        problem: "must have 32 bytes",
    })?;
    if reference.size > (MAX_PLAINTEXT_BYTES + TAG_BYTES) as u64 {
        return Err(EncryptionError::Malformed {
            field: "size",
            problem: "is more than the fields of any certificate have",
        });
    }
    let content = content.ok_or(EncryptionError::ContentNeeded { hash })?;
    if content.len() as u64 != reference.size || ContentHash::of(content) != hash {
        return Err(EncryptionError::OtherContent { hash });
    }
    Ok(content.to_vec())
}

/// The caller's random bytes in the form in which the cipher draws them: once.
#[derive(Zeroize, ZeroizeOnDrop)]
struct OneDraw {
    left: Vec<u8>,
    overdrawn: bool,
}

impl OneDraw {
    fn new(entropy: &[u8; ENTROPY_BYTES]) -> Self {
        Self {
            left: entropy.to_vec(),
            overdrawn: false,
        }
    }

    fn fill(&mut self, out: &mut [u8]) {
        // More than there is gives nothing, and is told.
        let start = self.left.len().checked_sub(out.len());
        self.overdrawn |= start.is_none();
        let start = start.unwrap_or(self.left.len());
        // The vector wipes all of its memory when dropped, what was drained included.
        for (place, byte) in out.iter_mut().zip(self.left.drain(start..)) {
            *place = byte;
        }
    }
}

impl fmt::Debug for OneDraw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneDraw(not shown)")
    }
}

impl TryRng for OneDraw {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for OneDraw {}
