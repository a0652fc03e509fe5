//! The validators' keys. Most runs sign with a keyed hash that costs a microsecond; some use the
//! real scheme. Byzantine behaviours hold only their own signer, so they forge with neither.

use std::{collections::BTreeMap, sync::OnceLock};

use certchain_consensus::Signer;
use certchain_proto::{
    Epoch, PublicKey, SecretKey, Signature, Validator, ValidatorSet,
    certificate::{Ed25519Verifier, SignatureVerifier},
    context::HashContext,
    hash::{SigningHash, hash_parts},
    hash_context,
};

const FAST_R: HashContext = hash_context!("certchain simulator signature r");
const FAST_S: HashContext = hash_context!("certchain simulator signature s");

/// How validators sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// A keyed hash.
    Fast,
    /// Ed25519 as in the daemon.
    Real,
}

const MOST: usize = 16;

/// Vote keys that a node has, one after the other.
pub const GENERATIONS: u32 = 24;

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

/// All keys of a node, the first of them [`key`].
fn keys_of(node: usize) -> &'static [SecretKey] {
    static KEYS: [OnceLock<Vec<SecretKey>>; MOST] = [const { OnceLock::new() }; MOST];
    KEYS[node].get_or_init(|| {
        (0..GENERATIONS)
            .map(|generation| {
                let mut seed = [node as u8 + 1; 32];
                seed[..4].iter_mut().for_each(|b| *b ^= generation as u8);
                SecretKey::from_seed(&seed)
            })
            .collect()
    })
}

/// The vote key of a node after so many rotations.
pub fn key_of(node: usize, generation: u32) -> &'static SecretKey {
    if generation == 0 {
        return key(node);
    }
    &keys_of(node)[(generation % GENERATIONS) as usize]
}

/// Which node's key this is, and which of its keys.
fn owner(wanted: &PublicKey) -> Option<(usize, u32)> {
    static OWNERS: OnceLock<BTreeMap<[u8; 32], (usize, u32)>> = OnceLock::new();
    let owners = OWNERS.get_or_init(|| {
        let places = (0..MOST).flat_map(|node| (0..GENERATIONS).map(move |g| (node, g)));
        places
            .map(|(node, g)| (*key_of(node, g).public().as_bytes(), (node, g)))
            .collect()
    });
    owners.get(wanted.as_bytes()).copied()
}

fn fast(key: &PublicKey, hash: &SigningHash) -> Signature {
    let parts: [&[u8]; 2] = [key.as_bytes(), hash.as_bytes()];
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&hash_parts(FAST_R, &parts));
    bytes[32..].copy_from_slice(&hash_parts(FAST_S, &parts));
    Signature::from_bytes(&bytes)
}

/// One node's signer, which holds all of its keys.
#[derive(Clone, Copy, Debug)]
pub struct SimSigner {
    scheme: Scheme,
    index: usize,
}

impl Signer for SimSigner {
    fn holds(&self, key: &PublicKey) -> bool {
        owner(key).is_some_and(|(node, _)| node == self.index)
    }

    fn sign(&self, key: &PublicKey, hash: &SigningHash) -> Option<Signature> {
        let (node, generation) = owner(key).filter(|(node, _)| *node == self.index)?;
        Some(match self.scheme {
            Scheme::Fast => fast(key, hash),
            Scheme::Real => key_of(node, generation).sign(hash),
        })
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

/// The signer of node `index`.
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
