//! The seam behind which the vote keys lie: a file, an HSM, or a simulator's cheap scheme.

use std::collections::BTreeMap;

use certchain_proto::{PublicKey, SecretKey, Signature, hash::SigningHash};

/// Signs what the engine has decided to say, with the key that the set of the height names (VS-3).
///
/// It is asked which keys it holds at the start and at each change of the set. While a validator
/// rotates its key it holds both; the old one is asked for no signature once the set names the new
/// one. A key that comes later than the set that names it counts from the next start or change on.
///
/// An implementation that holds a key and cannot sign must block or end the process: the engine has no
/// use for a vote without a signature.
pub trait Signer {
    /// Whether it signs with this key.
    fn holds(&self, key: &PublicKey) -> bool;

    /// The signature of this key under this hash; none if it does not hold the key.
    fn sign(&self, key: &PublicKey, hash: &SigningHash) -> Option<Signature>;
}

/// Vote keys in memory; without any it is a follower's.
#[derive(Default)]
pub struct KeySigner {
    keys: BTreeMap<[u8; 32], SecretKey>,
}

impl KeySigner {
    /// Takes a key.
    pub fn new(key: SecretKey) -> Self {
        Self::default().and(key)
    }

    /// Takes one more.
    #[must_use]
    pub fn and(mut self, key: SecretKey) -> Self {
        self.keys.insert(*key.public().as_bytes(), key);
        self
    }
}

impl Signer for KeySigner {
    fn holds(&self, key: &PublicKey) -> bool {
        self.keys.contains_key(key.as_bytes())
    }

    fn sign(&self, key: &PublicKey, hash: &SigningHash) -> Option<Signature> {
        Some(self.keys.get(key.as_bytes())?.sign(hash))
    }
}

impl std::fmt::Debug for KeySigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeySigner")
    }
}
