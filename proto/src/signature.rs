//! Ed25519 signatures, verified by the equation of ZIP 215 on every path.
//!
//! ZIP 215 (<https://zips.z.cash/zip-0215>): R may be any encoding that decompresses, s must be
//! below the group order, and `8 (s B - k A - R)` must be the identity, with
//! `k = SHA-512(R, A, M)` over the bytes as they came. Because the equation is multiplied by the
//! cofactor, a batch and its single checks agree on every input ("Taming the many EdDSAs",
//! Chalkias, Garillot, Nikolaenko 2020), which the equations of RFC 8032 without cofactor do not.
//! Public keys are restricted further when they are parsed (see [`crate::key`]).

use std::collections::BTreeMap;

use curve25519_dalek::{
    EdwardsPoint, Scalar,
    constants::ED25519_BASEPOINT_POINT,
    edwards::CompressedEdwardsY,
    traits::{IsIdentity, VartimeMultiscalarMul},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha512};

use crate::{hash::SigningHash, key::PublicKey};

/// The length of a signature in bytes.
pub const SIGNATURE_BYTES: usize = 64;

/// A signature does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not hold for this key and message")]
pub struct SignatureError;

/// An Ed25519 signature as it came; nothing about it is checked yet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Signature {
    r: [u8; 32],
    s: [u8; 32],
}

impl Signature {
    /// Takes 64 bytes: R, then s.
    pub fn from_bytes(bytes: &[u8; SIGNATURE_BYTES]) -> Self {
        let (mut r, mut s) = ([0; 32], [0; 32]);
        r.copy_from_slice(&bytes[..32]);
        s.copy_from_slice(&bytes[32..]);
        Self { r, s }
    }

    /// Takes a slice, if it has 64 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_bytes)
    }

    /// R, then s.
    pub fn to_bytes(&self) -> [u8; SIGNATURE_BYTES] {
        let mut bytes = [0; SIGNATURE_BYTES];
        bytes[..32].copy_from_slice(&self.r);
        bytes[32..].copy_from_slice(&self.s);
        bytes
    }

    fn response(&self) -> Result<Scalar, SignatureError> {
        Option::from(Scalar::from_canonical_bytes(self.s)).ok_or(SignatureError)
    }

    fn commitment(&self) -> Result<EdwardsPoint, SignatureError> {
        CompressedEdwardsY(self.r)
            .decompress()
            .ok_or(SignatureError)
    }

    fn challenge(&self, key: &[u8; 32], message: &[u8]) -> Scalar {
        let digest = Sha512::new()
            .chain_update(self.r)
            .chain_update(key)
            .chain_update(message);
        Scalar::from_bytes_mod_order_wide(&digest.finalize().into())
    }
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signature({}..)", hex::encode(&self.r[..6]))
    }
}

/// The single check, on key bytes and point that need not be a [`PublicKey`], so that the published
/// vectors with crafted keys reach it.
pub(crate) fn verify_single(
    key: &[u8; 32],
    point: &EdwardsPoint,
    message: &[u8],
    signature: &Signature,
) -> Result<(), SignatureError> {
    let s = signature.response()?;
    let r = signature.commitment()?;
    let k = signature.challenge(key, message);
    let difference = EdwardsPoint::vartime_double_scalar_mul_basepoint(&k, &-point, &s) - r;
    if difference.mul_by_cofactor().is_identity() {
        Ok(())
    } else {
        Err(SignatureError)
    }
}

struct Item<'a> {
    key: &'a [u8; 32],
    point: &'a EdwardsPoint,
    message: &'a [u8; 32],
    signature: &'a Signature,
}

/// Many signatures checked with one multi-scalar multiplication.
///
/// Says yes exactly if every single check would, but for a chance of 2^-128 that an attacker who
/// cannot foresee the random coefficients has.
#[derive(Default)]
pub struct SignatureBatch<'a> {
    items: Vec<Item<'a>>,
}

impl<'a> SignatureBatch<'a> {
    /// An empty batch.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            items: Vec::with_capacity(capacity),
        }
    }

    /// Adds a signature.
    pub fn push(&mut self, key: &'a PublicKey, message: &'a SigningHash, signature: &'a Signature) {
        self.push_raw(key.as_bytes(), key.point(), message.as_bytes(), signature);
    }

    pub(crate) fn push_raw(
        &mut self,
        key: &'a [u8; 32],
        point: &'a EdwardsPoint,
        message: &'a [u8; 32],
        signature: &'a Signature,
    ) {
        self.items.push(Item {
            key,
            point,
            message,
            signature,
        });
    }

    /// How many signatures it holds.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Checks all at once.
    ///
    /// # Errors
    /// If at least one does not hold; [`Self::verify_each`] tells which.
    pub fn verify(&self) -> Result<(), SignatureError> {
        if self.items.is_empty() {
            return Ok(());
        }
        let mut coefficients = Coefficients::new(&self.items)?;
        let mut base = Scalar::ZERO;
        // Signatures of one key share one term.
        let mut keys: BTreeMap<&[u8; 32], (Scalar, &EdwardsPoint)> = BTreeMap::new();
        let mut scalars = Vec::with_capacity(2 * self.items.len() + 1);
        let mut points = Vec::with_capacity(2 * self.items.len() + 1);
        for item in &self.items {
            let z = coefficients.next();
            base -= z * item.signature.response()?;
            scalars.push(z);
            points.push(item.signature.commitment()?);
            let k = item.signature.challenge(item.key, item.message);
            keys.entry(item.key).or_insert((Scalar::ZERO, item.point)).0 += z * k;
        }
        for (scalar, point) in keys.into_values() {
            scalars.push(scalar);
            points.push(*point);
        }
        scalars.push(base);
        points.push(ED25519_BASEPOINT_POINT);
        let sum = EdwardsPoint::vartime_multiscalar_mul(&scalars, &points);
        if sum.mul_by_cofactor().is_identity() {
            Ok(())
        } else {
            Err(SignatureError)
        }
    }

    /// Checks each on its own, in the order of pushing.
    pub fn verify_each(&self) -> Vec<Result<(), SignatureError>> {
        self.items
            .iter()
            .map(|item| verify_single(item.key, item.point, item.message, item.signature))
            .collect()
    }
}

/// The random coefficients of a batch: 128 bits each, from fresh randomness and all inputs, so that
/// not even a broken random generator makes them foreseeable to who has not fixed the inputs.
struct Coefficients {
    stream: blake3::OutputReader,
}

impl Coefficients {
    fn new(items: &[Item<'_>]) -> Result<Self, SignatureError> {
        let mut seed = [0; 32];
        // Without randomness the batch says no, and callers fall back to single checks.
        getrandom::fill(&mut seed).map_err(|_| SignatureError)?;
        let mut hasher = blake3::Hasher::new_keyed(&seed);
        for item in items {
            hasher.update(item.key);
            hasher.update(item.message);
            hasher.update(&item.signature.r);
            hasher.update(&item.signature.s);
        }
        Ok(Self {
            stream: hasher.finalize_xof(),
        })
    }

    fn next(&mut self) -> Scalar {
        let mut bytes = [0; 32];
        self.stream.fill(&mut bytes[..16]);
        // Zero would drop the signature from the sum; one in 2^128 is no reason to loop.
        Scalar::from_bytes_mod_order(bytes)
    }
}

#[cfg(test)]
mod tests;
