//! Ed25519 keys: parsed and checked once, then trusted.

use std::fmt;

use curve25519_dalek::{
    EdwardsPoint, Scalar,
    edwards::CompressedEdwardsY,
    traits::{Identity, IsIdentity},
};
use ed25519_dalek::Signer as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroize;

use crate::{
    hash::SigningHash,
    signature::{self, Signature, SignatureError},
};

/// Why 32 bytes are not a public key that CertChain takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Wrong length.
    #[error("a public key has 32 bytes, not {actual}")]
    Length {
        /// Bytes given.
        actual: usize,
    },
    /// No point of the curve has this encoding, or not as its canonical one.
    #[error("the bytes are not the canonical encoding of a point of Curve25519")]
    NotAPoint,
    /// The point has a part of small order, with which signatures of others can be shifted.
    #[error("the public key has a small-order component; make a new key")]
    Torsion,
    /// The identity point: anybody can sign for it.
    #[error("the public key is the identity point; make a new key")]
    Identity,
}

/// An Ed25519 public key.
///
/// Invariant: canonical encoding, in the prime-order subgroup, not the identity. The decompressed
/// point is kept, since every verification needs it.
#[derive(Clone)]
pub struct PublicKey {
    bytes: [u8; 32],
    point: EdwardsPoint,
}

impl PublicKey {
    /// Parses and checks a key.
    ///
    /// # Errors
    /// If the invariant of the type does not hold.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| KeyError::Length {
            actual: bytes.len(),
        })?;
        let point = CompressedEdwardsY(bytes)
            .decompress()
            .ok_or(KeyError::NotAPoint)?;
        // Decompression takes encodings with y >= p and the sign bit on x = 0; a key has one name.
        if point.compress().to_bytes() != bytes {
            return Err(KeyError::NotAPoint);
        }
        if point.is_identity() {
            return Err(KeyError::Identity);
        }
        if !is_torsion_free(&point) {
            return Err(KeyError::Torsion);
        }
        Ok(Self { bytes, point })
    }

    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    /// As [`Self::from_bytes`]; text that is not hexadecimal has the wrong length.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let bytes = hex::decode(text).map_err(|_| KeyError::Length {
            actual: text.len() / 2,
        })?;
        Self::from_bytes(&bytes)
    }

    /// The canonical encoding.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    pub(crate) const fn point(&self) -> &EdwardsPoint {
        &self.point
    }

    /// Checks one signature by the ZIP-215 equation.
    ///
    /// # Errors
    /// If the signature does not hold.
    pub fn verify(&self, message: &SigningHash, signed: &Signature) -> Result<(), SignatureError> {
        signature::verify_single(&self.bytes, &self.point, message.as_bytes(), signed)
    }
}

/// Whether the group order times the point is the identity: (l - 1) A = -A. The point is public,
/// so the faster multiplication in variable time is fit.
fn is_torsion_free(point: &EdwardsPoint) -> bool {
    let minus_one = -Scalar::ONE;
    let product =
        EdwardsPoint::vartime_double_scalar_mul_basepoint(&minus_one, point, &Scalar::ZERO);
    product + point == EdwardsPoint::identity()
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for PublicKey {}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.bytes.cmp(&other.bytes)
    }
}

impl std::hash::Hash for PublicKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.bytes))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}..)", hex::encode(&self.bytes[..6]))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.bytes.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = <[u8; 32]>::deserialize(deserializer)?;
        Self::from_bytes(&bytes).map_err(serde::de::Error::custom)
    }
}

/// An Ed25519 secret key. Its bytes are wiped when it is dropped and never shown.
pub struct SecretKey {
    key: ed25519_dalek::SigningKey,
    public: PublicKey,
}

/// The machine gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random bytes; no key can be made")]
pub struct NoRandomness;

impl SecretKey {
    /// Makes a new key from the operating system's random numbers.
    ///
    /// # Errors
    /// If there are none.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| NoRandomness)?;
        let key = Self::from_seed(&seed);
        seed.zeroize();
        Ok(key)
    }

    /// The key with this seed (RFC 8032, section 5.1.5).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let bytes = key.verifying_key().to_bytes();
        // A clamped scalar is a multiple of 8, nonzero modulo the group order, so the point is in
        // the prime-order group and not the identity: the checks of a parsed key hold.
        let point = EdwardsPoint::mul_base(&key.to_scalar());
        Self {
            key,
            public: PublicKey { bytes, point },
        }
    }

    /// The seed, for storage in an encrypted wallet; the caller wipes it.
    pub fn to_seed(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    /// The public key.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs the hash of a statement (see [`crate::context`] for what may be signed).
    pub fn sign(&self, message: &SigningHash) -> Signature {
        Signature::from_bytes(&self.key.sign(message.as_bytes()).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {:?})", self.public)
    }
}

#[cfg(test)]
mod tests;
