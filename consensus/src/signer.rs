//! The seam behind which the vote key lies: a file, an HSM, or a simulator's cheap scheme.

use certchain_proto::{PublicKey, SecretKey, Signature, hash::SigningHash};

/// Signs what the engine has decided to say.
///
/// An implementation that cannot sign must block or end the process: the engine has no use for a
/// vote without a signature.
pub trait Signer {
    /// The signature under this hash.
    fn sign(&self, hash: &SigningHash) -> Signature;
}

/// A vote key in memory.
pub struct KeySigner {
    key: SecretKey,
}

impl KeySigner {
    /// Takes the key.
    pub fn new(key: SecretKey) -> Self {
        Self { key }
    }

    /// The key that others check with.
    pub fn public_key(&self) -> PublicKey {
        self.key.public().clone()
    }
}

impl Signer for KeySigner {
    fn sign(&self, hash: &SigningHash) -> Signature {
        self.key.sign(hash)
    }
}

impl std::fmt::Debug for KeySigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeySigner")
    }
}
