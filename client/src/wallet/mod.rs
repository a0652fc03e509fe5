//! Wallets: an account's keys, encrypted at rest under a passphrase.
//!
//! A wallet is one text file. Its public part (who, address, present public keys) stands in clear;
//! its secret part (present, past and next keys, attribute salts) is sealed with ChaCha20-Poly1305
//! under a key that Argon2id derives from the passphrase. Every byte of the file before the
//! ciphertext is the seal's associated data, and the file has one exact layout, so a change of any
//! byte is refused. A wallet is never overwritten by another one.

mod account;
mod error;
mod file;
mod keys;
mod passphrase;

use std::path::{Path, PathBuf};

use certchain_proto::{Address, PublicKey, SecretKey};

pub use account::{AccountKind, OrganisationCodeError, PublicAccount, UnknownKind};
pub use error::WalletError;
pub use file::KdfParameters;
pub use keys::KeyPair;
pub use passphrase::{MAX_PASSPHRASE_BYTES, Passphrase, PassphraseError};

use crate::{
    atomic_file::{self, Access},
    attributes::AttributeSet,
    text_file::FileError,
};
use file::Secrets;

/// Most past keys that a wallet holds; a rotation above it is refused.
pub const MAX_PAST_KEYS: usize = 1024;

/// Who a new wallet is for.
#[derive(Clone, Debug)]
pub struct NewWallet {
    /// A name for people (see [`certchain_config::Title`]). Never on the chain.
    pub name: String,
    /// Kind of account.
    pub kind: AccountKind,
    /// Organisation code, empty if none.
    pub organisation_code: String,
    /// For the recovery of an account whose keys are lost: its address. Else the address is that of
    /// the new key.
    pub recovers: Option<Address>,
}

/// An open wallet.
#[derive(Debug)]
pub struct Wallet {
    path: PathBuf,
    account: PublicAccount,
    kdf: KdfParameters,
    secrets: Secrets,
    /// What the file held when it was read or written last.
    on_disk: Vec<u8>,
}

impl Wallet {
    /// Makes keys and writes a new wallet.
    ///
    /// # Errors
    /// If the file exists, the description does not fit, or the system refuses.
    pub fn create(
        path: &Path,
        new: NewWallet,
        passphrase: &Passphrase,
        kdf: KdfParameters,
    ) -> Result<Self, WalletError> {
        let pair = KeyPair::generate()?;
        let account = PublicAccount::new(
            new.name,
            new.kind,
            new.organisation_code,
            new.recovers
                .unwrap_or_else(|| Address::of(pair.public_key())),
            pair.public_key().clone(),
            pair.encryption_key(),
        )?;
        let secrets = Secrets {
            keys: vec![pair],
            next: None,
            attributes: None,
        };
        let text = file::seal(&account, &secrets, passphrase, kdf)?;
        atomic_file::create(path, text.as_bytes(), Access::OwnerOnly)
            .map_err(|e| FileError::writing(path, e))?;
        Ok(Self {
            path: path.to_owned(),
            account,
            kdf,
            secrets,
            on_disk: text.into_bytes(),
        })
    }

    /// Writes a new wallet for another device of this one's account: with a signing key of its own,
    /// and the account's encryption keys, so that it reads what is encrypted to the holder. The main
    /// signing key is not in it. The chain learns of the device by a transaction.
    ///
    /// # Errors
    /// If the file exists, there is no randomness, or the system refuses.
    pub fn create_device(&self, path: &Path, passphrase: &Passphrase) -> Result<Self, WalletError> {
        // The past pairs open what was encrypted to them; their new signing halves sign nothing.
        let keys = self.secrets.keys.iter().map(KeyPair::for_device);
        let secrets = Secrets {
            keys: keys.collect::<Result<_, _>>()?,
            next: None,
            attributes: self.secrets.attributes.clone(),
        };
        let mut account = self.account.clone();
        let present = secrets.present();
        account.set_keys(present.public_key().clone(), present.encryption_key());
        let text = file::seal(&account, &secrets, passphrase, self.kdf)?;
        atomic_file::create(path, text.as_bytes(), Access::OwnerOnly)
            .map_err(|e| FileError::writing(path, e))?;
        Ok(Self {
            path: path.to_owned(),
            account,
            kdf: self.kdf,
            secrets,
            on_disk: text.into_bytes(),
        })
    }

    /// Reads the public part, without a passphrase; nothing vouches for it but the file's owner.
    ///
    /// # Errors
    /// If the file is no wallet.
    pub fn inspect(path: &Path) -> Result<PublicAccount, WalletError> {
        Ok(file::read(path)?.account)
    }

    /// Opens a wallet.
    ///
    /// # Errors
    /// If the file is no wallet, was altered, or the passphrase is another.
    pub fn open(path: &Path, passphrase: &Passphrase) -> Result<Self, WalletError> {
        let sealed = file::read(path)?;
        let secrets = sealed.open(path, passphrase)?;
        Ok(Self {
            path: path.to_owned(),
            account: sealed.account,
            kdf: sealed.kdf,
            secrets,
            on_disk: sealed.text.into_bytes(),
        })
    }

    /// Seals the wallet again, with fresh salt and nonce, and puts it in the place of its file.
    /// With another passphrase than before this changes the passphrase.
    ///
    /// # Errors
    /// If the file was changed by another program since it was read, or cannot be written.
    pub fn save(&mut self, passphrase: &Passphrase) -> Result<(), WalletError> {
        let present = atomic_file::read_limited(&self.path, file::MAX_FILE_BYTES)
            .map_err(|e| FileError::reading(&self.path, file::WHAT, e))?;
        if present != self.on_disk {
            return Err(WalletError::ChangedMeanwhile {
                path: self.path.clone(),
            });
        }
        let text = file::seal(&self.account, &self.secrets, passphrase, self.kdf)?;
        atomic_file::replace(&self.path, text.as_bytes(), Access::OwnerOnly)
            .map_err(|e| FileError::writing(&self.path, e))?;
        self.on_disk = text.into_bytes();
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The public part.
    pub const fn account(&self) -> &PublicAccount {
        &self.account
    }

    /// The account's name on the chain.
    pub const fn address(&self) -> Address {
        self.account.address()
    }

    /// The present key pair.
    pub fn keys(&self) -> &KeyPair {
        self.secrets.present()
    }

    /// The present signing key.
    pub fn signing_key(&self) -> &SecretKey {
        self.keys().signing_key()
    }

    /// Earlier key pairs, oldest first: they still open what was encrypted to them.
    pub fn past_keys(&self) -> &[KeyPair] {
        self.secrets.past()
    }

    /// The key pair of a rotation that has begun, if any.
    pub fn next_keys(&self) -> Option<&KeyPair> {
        self.secrets.next.as_ref()
    }

    /// Begins a rotation: makes the next key pair, or finds the one of a rotation that was
    /// interrupted. The caller saves the wallet before it submits the rotation, so that a crash
    /// cannot lose a key that the chain knows.
    ///
    /// # Errors
    /// If there is no randomness, or the wallet is full.
    pub fn begin_rotation(&mut self) -> Result<PublicKey, WalletError> {
        if self.secrets.keys.len() > MAX_PAST_KEYS {
            return Err(WalletError::TooManyKeys);
        }
        let next = match self.secrets.next.take() {
            Some(next) => next,
            None => KeyPair::generate()?,
        };
        let public = next.public_key().clone();
        self.secrets.next = Some(next);
        Ok(public)
    }

    /// Ends a rotation that the chain has executed: the next keys become the present ones. Says
    /// whether a rotation had begun. The caller saves the wallet.
    pub fn complete_rotation(&mut self) -> bool {
        let Some(next) = self.secrets.next.take() else {
            return false;
        };
        self.account
            .set_keys(next.public_key().clone(), next.encryption_key());
        self.secrets.keys.push(next);
        true
    }

    /// The salted attributes, if the wallet holds them.
    pub const fn attributes(&self) -> Option<&AttributeSet> {
        self.secrets.attributes.as_ref()
    }

    /// Takes the salted attributes into the wallet. The caller saves it.
    pub fn set_attributes(&mut self, attributes: AttributeSet) {
        self.secrets.attributes = Some(attributes);
    }
}

#[cfg(test)]
mod tests;
