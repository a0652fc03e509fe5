//! Presentations: what a holder signs when it shows a certificate, and the chain reads when a check
//! of it is recorded.

use certchain_proto::{
    Address, ChainId, PublicKey, SecretKey, Signature, TimeMs, context,
    hash::{
        CertificateId, DisclosedHash, FieldRoot, PresentationId, SigningHash, hash_parts, type_key,
    },
    wire::v1::{Code, Presentation as Wire},
};
use prost::Message as _;

/// Longest challenge of a verifier in bytes.
pub const MAX_CHALLENGE_BYTES: usize = 32;
/// Length of a presentation's nonce in bytes.
pub const NONCE_BYTES: usize = 16;
/// Longest life of a presentation for whoever bears it, in milliseconds.
pub const BEARER_LIFE_MS: u64 = 60_000;
/// Largest encoding of a presentation: all fields at their longest.
pub const MAX_PRESENTATION_BYTES: usize = 320;

/// Why bytes are no presentation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PresentationError {
    /// More bytes than any presentation has.
    #[error("a presentation has at most {MAX_PRESENTATION_BYTES} bytes, not {actual}")]
    TooLarge {
        /// Bytes that came.
        actual: usize,
    },
    /// Not protobuf of the right shape.
    #[error("the bytes are no presentation; build it with the published .proto files")]
    Malformed,
    /// Another encoding of the same message.
    #[error("the presentation is not in canonical form; leave defaults out, write fields in order")]
    NotCanonical,
    /// A field has a wrong length or value.
    #[error("the presentation's {field} {problem}")]
    Field {
        /// Name in the .proto file.
        field: &'static str,
        /// What is wrong and what would be right.
        problem: &'static str,
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

/// Who may record a check of a presentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Whoever bears it, within a minute.
    Bearer,
    /// This verifier alone.
    Verifier(Address),
}

impl Audience {
    /// Whether this verifier may record it.
    pub fn admits(&self, verifier: &Address) -> bool {
        match self {
            Self::Bearer => true,
            Self::Verifier(named) => named == verifier,
        }
    }

    /// The one verifier that may, if one is named.
    pub const fn named(&self) -> Option<Address> {
        match self {
            Self::Bearer => None,
            Self::Verifier(address) => Some(*address),
        }
    }
}

/// A presentation, read or to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presentation {
    /// The side chain.
    pub chain: ChainId,
    /// The certificate.
    pub certificate: CertificateId,
    /// The holder who shows it.
    pub holder: Address,
    /// Who may record a check.
    pub audience: Audience,
    /// The verifier's challenge, at most [`MAX_CHALLENGE_BYTES`]; may be empty.
    pub challenge: Vec<u8>,
    /// Random bytes, so that two presentations of the same are two.
    pub nonce: [u8; NONCE_BYTES],
    /// Block time from which it can no longer be recorded.
    pub expires: TimeMs,
    /// Salted hash of the fields that are shown.
    pub disclosed: DisclosedHash,
}

impl Presentation {
    /// The one encoding, which is signed.
    pub fn encode(&self) -> Vec<u8> {
        Wire {
            chain_id: self.chain.as_bytes().to_vec(),
            certificate: self.certificate.as_bytes().to_vec(),
            holder: self.holder.as_bytes().to_vec(),
            verifier: match &self.audience {
                Audience::Bearer => Vec::new(),
                Audience::Verifier(address) => address.as_bytes().to_vec(),
            },
            challenge: self.challenge.clone(),
            nonce: self.nonce.to_vec(),
            expires_ms: self.expires.get(),
            disclosed_hash: self.disclosed.as_bytes().to_vec(),
        }
        .encode_to_vec()
    }

    /// Reads the bytes that were signed.
    ///
    /// # Errors
    /// If they are too many, malformed, not canonical, or a length is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, PresentationError> {
        if bytes.len() > MAX_PRESENTATION_BYTES {
            return Err(PresentationError::TooLarge {
                actual: bytes.len(),
            });
        }
        let wire = Wire::decode(bytes).map_err(|_| PresentationError::Malformed)?;
        if wire.encode_to_vec() != bytes {
            return Err(PresentationError::NotCanonical);
        }
        let wrong = |field, problem| PresentationError::Field { field, problem };
        let length = |field| wrong(field, "must have 32 bytes");
        let audience = if wire.verifier.is_empty() {
            Audience::Bearer
        } else {
            let address = Address::from_slice(&wire.verifier);
            Audience::Verifier(
                address.ok_or_else(|| wrong("verifier", "must have 32 bytes or none"))?,
            )
        };
        if wire.challenge.len() > MAX_CHALLENGE_BYTES {
            return Err(wrong("challenge", "must have at most 32 bytes"));
        }
        Ok(Self {
            chain: ChainId::from_slice(&wire.chain_id).ok_or_else(|| length("chain_id"))?,
            certificate: CertificateId::from_slice(&wire.certificate)
                .ok_or_else(|| length("certificate"))?,
            holder: Address::from_slice(&wire.holder).ok_or_else(|| length("holder"))?,
            audience,
            challenge: wire.challenge,
            nonce: wire
                .nonce
                .as_slice()
                .try_into()
                .map_err(|_| wrong("nonce", "must have 16 bytes"))?,
            expires: TimeMs::new(wire.expires_ms),
            disclosed: DisclosedHash::from_slice(&wire.disclosed_hash)
                .ok_or_else(|| length("disclosed_hash"))?,
        })
    }
}

/// What the holder of an encoded presentation signs.
pub fn signing_hash(encoded: &[u8]) -> SigningHash {
    SigningHash::from_bytes(hash_parts(context::SIGN_PRESENTATION, &[encoded]))
}

/// A presentation as the chain gets it: the bytes that were signed, what they say, the signature.
///
/// Invariant: the bytes are the one encoding of what they say. The signature is not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedPresentation {
    encoded: Vec<u8>,
    presentation: Presentation,
    signature: Signature,
}

impl SignedPresentation {
    /// Signs as the holder, with its present key.
    ///
    /// # Errors
    /// If the challenge is too long.
    pub fn sign(presentation: &Presentation, key: &SecretKey) -> Result<Self, PresentationError> {
        let encoded = presentation.encode();
        let signature = key.sign(&signing_hash(&encoded));
        Self::new(&encoded, signature)
    }

    /// Takes what came.
    ///
    /// # Errors
    /// As [`Presentation::decode`].
    pub fn new(encoded: &[u8], signature: Signature) -> Result<Self, PresentationError> {
        Ok(Self {
            presentation: Presentation::decode(encoded)?,
            encoded: encoded.to_vec(),
            signature,
        })
    }

    /// The bytes that were signed.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// What they say.
    pub const fn presentation(&self) -> &Presentation {
        &self.presentation
    }

    /// The signature.
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Its name, under which the chain records the check.
    pub fn id(&self) -> PresentationId {
        PresentationId::of(&self.encoded)
    }

    /// Whether the holder signed it with this key.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        key.verify(&signing_hash(&self.encoded), &self.signature)
            .is_ok()
    }
}

/// The salted hash of the fields that a presentation shows: their slots, rising, with their
/// commitments.
pub fn disclosed_hash<'a>(
    type_name: &str,
    root: &FieldRoot,
    shown: impl IntoIterator<Item = (u16, &'a [u8; 32])>,
) -> DisclosedHash {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&type_key(type_name));
    bytes.extend_from_slice(root.as_bytes());
    for (index, commitment) in shown {
        bytes.extend_from_slice(&index.to_le_bytes());
        bytes.extend_from_slice(commitment);
    }
    DisclosedHash::from_bytes(hash_parts(context::DISCLOSED_FIELDS, &[&bytes]))
}
