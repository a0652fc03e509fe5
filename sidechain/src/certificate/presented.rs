//! Presentations: what a holder signs when it shows a certificate.

use certchain_proto::{
    Address, ChainId, PublicKey, Signature, TimeMs, context,
    hash::{CertificateId, DisclosedHash, PresentationId, SigningHash, hash_parts},
    signature::SignatureError,
    wire::v1::{self, Code},
};
use prost::Message as _;

/// Most bytes of an encoded presentation; the largest has some 250.
pub const MAX_PRESENTATION_BYTES: usize = 512;
/// Longest challenge of a verifier in bytes.
pub const MAX_CHALLENGE_BYTES: usize = 32;
/// For how long a presentation that names no verifier is good.
pub const BEARER_MS: u64 = 60_000;

/// Why bytes are no presentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PresentationError {
    /// More bytes than any has.
    #[error("the presentation has {actual} bytes, none has more than {MAX_PRESENTATION_BYTES}")]
    TooLarge {
        /// Bytes that came.
        actual: usize,
    },
    /// Not protobuf of the right shape.
    #[error("the bytes are no Presentation; build it with the published .proto files")]
    Malformed,
    /// Another encoding of the same message.
    #[error(
        "the presentation is not in canonical form; leave defaults out, write fields in order of \
         their numbers"
    )]
    NotCanonical,
    /// A field with a wrong length.
    #[error("presentation.{field} must have {needed} bytes")]
    Field {
        /// Name in the .proto file.
        field: &'static str,
        /// What would be right.
        needed: &'static str,
    },
}

impl PresentationError {
    /// The stable code of the refusal.
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLarge { .. } | Self::Field { .. } => Code::BadField,
            Self::Malformed => Code::Malformed,
            Self::NotCanonical => Code::NotCanonical,
        }
    }
}

/// A presentation in order, with its names. Its signature is checked by [`Self::verify`].
///
/// Invariant: made of the one encoding of its message, all fields of the right lengths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    id: PresentationId,
    signing_hash: SigningHash,
    chain: ChainId,
    certificate: CertificateId,
    holder: Address,
    verifier: Option<Address>,
    challenge: Vec<u8>,
    expires: TimeMs,
    disclosed: DisclosedHash,
}

/// What the holder of an encoded presentation signs.
pub fn signing_hash(encoded: &[u8]) -> SigningHash {
    SigningHash::from_bytes(hash_parts(context::SIGN_PRESENTATION, &[encoded]))
}

impl Presented {
    /// Reads an encoded `Presentation`.
    ///
    /// # Errors
    /// If there are too many bytes, if they are no presentation or not its one encoding, or if a
    /// field has a wrong length.
    pub fn decode(encoded: &[u8]) -> Result<Self, PresentationError> {
        if encoded.len() > MAX_PRESENTATION_BYTES {
            return Err(PresentationError::TooLarge {
                actual: encoded.len(),
            });
        }
        let m = v1::Presentation::decode(encoded).map_err(|_| PresentationError::Malformed)?;
        if m.encode_to_vec() != encoded {
            return Err(PresentationError::NotCanonical);
        }
        let wrong = |field, needed| PresentationError::Field { field, needed };
        let long = |field| move || wrong(field, "32");
        let verifier = match m.verifier.is_empty() {
            true => None,
            false => {
                Some(Address::from_slice(&m.verifier).ok_or_else(|| wrong("verifier", "0 or 32"))?)
            }
        };
        if m.challenge.len() > MAX_CHALLENGE_BYTES {
            return Err(wrong("challenge", "0 to 32"));
        }
        if m.nonce.len() != 16 {
            return Err(wrong("nonce", "16"));
        }
        Ok(Self {
            id: PresentationId::of(encoded),
            signing_hash: signing_hash(encoded),
            chain: ChainId::from_slice(&m.chain_id).ok_or_else(long("chain_id"))?,
            certificate: CertificateId::from_slice(&m.certificate)
                .ok_or_else(long("certificate"))?,
            holder: Address::from_slice(&m.holder).ok_or_else(long("holder"))?,
            verifier,
            challenge: m.challenge,
            expires: TimeMs::new(m.expires_ms),
            disclosed: DisclosedHash::from_slice(&m.disclosed_hash)
                .ok_or_else(long("disclosed_hash"))?,
        })
    }

    /// Checks the holder's signature.
    ///
    /// # Errors
    /// If it does not hold under this key.
    pub fn verify(&self, key: &PublicKey, signature: &Signature) -> Result<(), SignatureError> {
        key.verify(&self.signing_hash, signature)
    }

    /// Its name, and that of the check recorded of it.
    pub const fn id(&self) -> PresentationId {
        self.id
    }

    /// The side chain.
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// The certificate.
    pub const fn certificate(&self) -> CertificateId {
        self.certificate
    }

    /// Who shows it.
    pub const fn holder(&self) -> Address {
        self.holder
    }

    /// Who may record a check of it; none: whoever bears it.
    pub const fn verifier(&self) -> Option<Address> {
        self.verifier
    }

    /// The verifier's challenge, empty if it gave none.
    pub fn challenge(&self) -> &[u8] {
        &self.challenge
    }

    /// Block time from which it can no longer be recorded.
    pub const fn expires(&self) -> TimeMs {
        self.expires
    }

    /// Salted hash of the fields that are shown.
    pub const fn disclosed(&self) -> DisclosedHash {
        self.disclosed
    }
}
