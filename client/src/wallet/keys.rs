//! A signing key and an encryption key that live and rotate together.

use std::fmt;

use certchain_proto::{PublicKey, SecretKey};
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

use crate::{NoRandomness, random};

/// An Ed25519 key for signatures and an X25519 key for what is encrypted to its holder. Both are
/// wiped when dropped and never shown.
pub struct KeyPair {
    signing: SecretKey,
    encryption: StaticSecret,
}

impl KeyPair {
    /// The length of both secrets together.
    pub(super) const SECRET_BYTES: usize = 64;

    /// Makes a new pair.
    ///
    /// # Errors
    /// If there is no randomness.
    pub fn generate() -> Result<Self, NoRandomness> {
        let signing = SecretKey::generate()?;
        let encryption = Zeroizing::new(random::<32>()?);
        Ok(Self {
            signing,
            encryption: StaticSecret::from(*encryption),
        })
    }

    /// Another signing key beside the same encryption key, as a further device of an account has.
    ///
    /// # Errors
    /// If there is no randomness.
    pub(super) fn for_device(&self) -> Result<Self, NoRandomness> {
        Ok(Self {
            signing: SecretKey::generate()?,
            encryption: self.encryption.clone(),
        })
    }

    pub(super) fn from_secrets(bytes: &[u8; Self::SECRET_BYTES]) -> Self {
        let (seed, encryption) = bytes.split_at(32);
        let (mut seed_copy, mut encryption_copy) =
            (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
        seed_copy.copy_from_slice(seed);
        encryption_copy.copy_from_slice(encryption);
        Self {
            signing: SecretKey::from_seed(&seed_copy),
            encryption: StaticSecret::from(*encryption_copy),
        }
    }

    pub(super) fn write_secrets(&self, out: &mut Zeroizing<Vec<u8>>) {
        let seed = Zeroizing::new(self.signing.to_seed());
        out.extend_from_slice(&*seed);
        out.extend_from_slice(self.encryption.as_bytes());
    }

    /// The key that signs.
    pub const fn signing_key(&self) -> &SecretKey {
        &self.signing
    }

    /// The public half of the key that signs.
    pub const fn public_key(&self) -> &PublicKey {
        self.signing.public()
    }

    /// The key that opens what was encrypted to the holder.
    pub const fn encryption_secret(&self) -> &StaticSecret {
        &self.encryption
    }

    /// Its public half.
    pub fn encryption_key(&self) -> [u8; 32] {
        x25519_dalek::PublicKey::from(&self.encryption).to_bytes()
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair(of {:?})", self.public_key())
    }
}
