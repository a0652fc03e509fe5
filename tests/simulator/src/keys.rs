//! The validators' keys. Most runs sign with a keyed hash that costs a microsecond; some use the
//! real scheme. Byzantine behaviours hold only their own signer, so they forge with neither.

use std::sync::OnceLock;

use certchain_consensus::Signer;
use certchain_proto::{
    Epoch, PublicKey, SecretKey, Signature, Validator, ValidatorSet,
    certificate::{Ed25519Verifier, SignatureVerifier},
    context::HashContext,
    hash::{SigningHash, hash_parts},
};

const FAST_R: HashContext = HashContext::new("certchain simulator signature r");
const FAST_S: HashContext = HashContext::new("certchain simulator signature s");

/// How validators sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// A keyed hash.
    Fast,
    /// Ed25519 as in the daemon.
    Real,
}

const MOST: usize = 16;

/// The vote key of validator `index`.
pub fn key(index: usize) -> &'static SecretKey {
    static KEYS: OnceLock<Vec<SecretKey>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        (0..MOST)
            .map(|i| SecretKey::from_seed(&[i as u8 + 1; 32]))
            .collect()
    });
    &keys[index]
}

fn fast(key: &PublicKey, hash: &SigningHash) -> Signature {
    let parts: [&[u8]; 2] = [key.as_bytes(), hash.as_bytes()];
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&hash_parts(FAST_R, &parts));
    bytes[32..].copy_from_slice(&hash_parts(FAST_S, &parts));
    Signature::from_bytes(&bytes)
}

/// One validator's signer.
#[derive(Clone, Copy, Debug)]
pub struct SimSigner {
    scheme: Scheme,
    index: usize,
}

impl Signer for SimSigner {
    fn sign(&self, hash: &SigningHash) -> Signature {
        match self.scheme {
            Scheme::Fast => fast(key(self.index).public(), hash),
            Scheme::Real => key(self.index).sign(hash),
        }
    }
}

impl SignatureVerifier for Scheme {
    fn verify_all(&self, items: &[(PublicKey, SigningHash, Signature)]) -> bool {
        match self {
            Self::Fast => items
                .iter()
                .all(|(key, hash, signature)| fast(key, hash) == *signature),
            Self::Real => Ed25519Verifier.verify_all(items),
        }
    }
}

/// The signer of validator `index`.
pub fn signer(scheme: Scheme, index: usize) -> SimSigner {
    SimSigner { scheme, index }
}

/// The first `n` validators.
pub fn validators(n: usize) -> ValidatorSet {
    let members = (0..n)
        .map(|i| Validator {
            vote_key: key(i).public().clone(),
            network_key: [i as u8 + 1; 32],
        })
        .collect();
    ValidatorSet::new(Epoch::ZERO, members).unwrap_or_else(|e| panic!("{n} validators: {e}"))
}
