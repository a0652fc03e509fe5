//! A package encrypted to the verifier that it names, for ways on which others listen.
//!
//! Format [law], in the codec's form: `{ version: u8 = 1, recipient_key: [u8; 32], encapsulated_key:
//! [u8; 32], ciphertext: Vec<u8> }`, HPKE as in [`crate::encryption`] with the info string
//! `certchain v1 presentation` and the recipient's key as associated data. The plaintext is the
//! encoded package; who it is for and of which certificate it is, stands signed inside.

use certchain_proto::codec;
use serde::{Deserialize, Serialize};

use super::{MAX_PACKAGE_BYTES, PackageError, PresentationPackage};
use crate::encryption::{ENTROPY_BYTES, EncryptionError, KEY_BYTES, Sealed, TAG_BYTES, open, seal};

/// Largest encoding of a sealed package.
pub const MAX_SEALED_BYTES: usize = MAX_PACKAGE_BYTES + TAG_BYTES + 2 * KEY_BYTES + 16;

const SEALED_VERSION: u8 = 1;
const INFO: &[u8] = b"certchain v1 presentation";

/// Why a sealed package does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is encrypted to another, or was changed.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    /// What it holds is no package.
    #[error(transparent)]
    Package(#[from] PackageError),
}

/// A package that only its verifier can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedPackage(Sealed);

#[derive(Serialize, Deserialize)]
struct RawSealed {
    version: u8,
    recipient_key: [u8; KEY_BYTES],
    encapsulated_key: [u8; KEY_BYTES],
    ciphertext: Vec<u8>,
}

impl SealedPackage {
    /// Encrypts a package to its verifier. `entropy` are random bytes that were never used before.
    ///
    /// # Errors
    /// If the key is none.
    pub fn seal(
        package: &PresentationPackage,
        verifier_key: &[u8; KEY_BYTES],
        entropy: &[u8; ENTROPY_BYTES],
    ) -> Result<Self, EncryptionError> {
        let sealed = seal(verifier_key, INFO, verifier_key, &package.encode(), entropy)?;
        Ok(Self(sealed))
    }

    /// Opens it as the verifier.
    ///
    /// # Errors
    /// If it is another's, was changed, or holds no package.
    pub fn open(&self, secret: &[u8; KEY_BYTES]) -> Result<PresentationPackage, OpenError> {
        let plaintext = open(secret, INFO, &self.0.recipient_key, &self.0)?;
        Ok(PresentationPackage::decode(&plaintext)?)
    }

    /// The verifier's key.
    pub const fn recipient_key(&self) -> &[u8; KEY_BYTES] {
        &self.0.recipient_key
    }

    /// The bytes that travel.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(&RawSealed {
            version: SEALED_VERSION,
            recipient_key: self.0.recipient_key,
            encapsulated_key: self.0.encapsulated_key,
            ciphertext: self.0.ciphertext.clone(),
        })
    }

    /// Reads bytes that came.
    ///
    /// # Errors
    /// If they are no sealed package.
    pub fn decode(bytes: &[u8]) -> Result<Self, PackageError> {
        let raw: RawSealed = codec::decode(bytes, MAX_SEALED_BYTES)?;
        if raw.version != SEALED_VERSION {
            return Err(PackageError::Version {
                actual: raw.version,
            });
        }
        Ok(Self(Sealed {
            recipient_key: raw.recipient_key,
            encapsulated_key: raw.encapsulated_key,
            ciphertext: raw.ciphertext,
        }))
    }
}
