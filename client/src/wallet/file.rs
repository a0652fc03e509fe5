//! The wallet's file: layout, key derivation, seal.
//!
//! Layout 1: a comment line, `format`, the tables `[account]`, `[kdf]` and `[secret]` in this order
//! and with their keys in the order of [`render_header`]. The seal is ChaCha20-Poly1305 under
//! `Argon2id(passphrase, salt)`; associated data is the file up to and excluding the line
//! `ciphertext`. The plaintext is: u8 1 (its layout), u16le count of key pairs, the pairs oldest
//! first (Ed25519 seed, X25519 secret), u8 whether a next pair follows, that pair, u8 whether
//! attributes follow, the slots, zeros up to a multiple of 512 bytes, so that the file's size tells
//! little of what the attributes are.

use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit as _, Nonce,
    aead::{Aead as _, Payload},
};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{
    attributes::AttributeSet,
    random,
    text_file::{FileError, hex_array, line, parse, read_text},
};

use super::{
    MAX_PAST_KEYS, Passphrase, PublicAccount, WalletError, account::RawAccount, keys::KeyPair,
};

pub(super) const WHAT: &str = "wallet";
pub(super) const MAX_FILE_BYTES: u64 = 1024 * 1024;
const FORMAT: &str = "certchain wallet 1";
const KDF: &str = "argon2id";
const CIPHER: &str = "chacha20-poly1305";
const PADDING: usize = 512;
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;
const SECRET_LAYOUT: u8 = 1;

/// The cost of a guess at the passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KdfParameters {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Default for KdfParameters {
    /// 64 MiB and 3 passes: the second recommendation of RFC 9106, with one lane since browsers and
    /// small machines have one thread for it.
    fn default() -> Self {
        Self {
            memory_kib: 64 * 1024,
            passes: 3,
            lanes: 1,
        }
    }
}

impl KdfParameters {
    const MAX_MEMORY_KIB: u32 = 1024 * 1024;
    const MAX_PASSES: u32 = 64;
    const MAX_LANES: u32 = 16;

    /// Chooses the cost: memory in KiB (8 per lane to 1 GiB), passes (1 to 64), lanes (1 to 16).
    /// None if out of these limits.
    pub const fn new(memory_kib: u32, passes: u32, lanes: u32) -> Option<Self> {
        let fits = lanes >= 1
            && lanes <= Self::MAX_LANES
            && passes >= 1
            && passes <= Self::MAX_PASSES
            && memory_kib >= 8 * lanes
            && memory_kib <= Self::MAX_MEMORY_KIB;
        if fits {
            Some(Self {
                memory_kib,
                passes,
                lanes,
            })
        } else {
            None
        }
    }

    fn cipher(self, passphrase: &Passphrase, salt: &[u8]) -> Result<ChaCha20Poly1305, WalletError> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32))
            .map_err(|_| WalletError::Kdf)?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), salt, key.as_mut_slice())
            .map_err(|_| WalletError::Kdf)?;
        ChaCha20Poly1305::new_from_slice(key.as_slice()).map_err(|_| WalletError::Kdf)
    }
}

/// What a wallet seals. Invariant: at least one key pair.
#[derive(Debug)]
pub(super) struct Secrets {
    /// Oldest first; the last one is the present pair.
    pub(super) keys: Vec<KeyPair>,
    /// Of a rotation that has begun.
    pub(super) next: Option<KeyPair>,
    pub(super) attributes: Option<AttributeSet>,
}

impl Secrets {
    #[allow(clippy::expect_used)]
    pub(super) fn present(&self) -> &KeyPair {
        self.keys
            .last()
            .expect("a wallet holds at least one key pair")
    }

    pub(super) fn past(&self) -> &[KeyPair] {
        self.keys.split_last().map_or(&[], |(_, past)| past)
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let pairs = self.keys.len() + usize::from(self.next.is_some());
        let attributes = self.attributes.as_ref().map_or(0, AttributeSet::secret_len);
        let size = (5 + pairs * KeyPair::SECRET_BYTES + attributes).next_multiple_of(PADDING);
        // Room for all, so that no reallocation leaves a copy behind.
        let mut out = Zeroizing::new(Vec::with_capacity(size));
        out.push(SECRET_LAYOUT);
        // At most MAX_PAST_KEYS + 1.
        out.extend_from_slice(&(self.keys.len() as u16).to_le_bytes());
        self.keys
            .iter()
            .for_each(|pair| pair.write_secrets(&mut out));
        out.push(u8::from(self.next.is_some()));
        if let Some(next) = &self.next {
            next.write_secrets(&mut out);
        }
        out.push(u8::from(self.attributes.is_some()));
        if let Some(attributes) = &self.attributes {
            attributes.write_secret(&mut out);
        }
        out.resize(size, 0);
        out
    }

    fn decode(mut input: &[u8]) -> Option<Self> {
        let input = &mut input;
        if *input.split_off_first()? != SECRET_LAYOUT {
            return None;
        }
        let count = u16::from_le_bytes(*input.split_off(..2)?.first_chunk()?);
        if count == 0 || usize::from(count) > MAX_PAST_KEYS + 1 {
            return None;
        }
        let mut keys = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            keys.push(read_pair(input)?);
        }
        let next = if read_flag(input)? {
            Some(read_pair(input)?)
        } else {
            None
        };
        let attributes = if read_flag(input)? {
            Some(AttributeSet::read_secret(input)?)
        } else {
            None
        };
        input.iter().all(|byte| *byte == 0).then_some(Self {
            keys,
            next,
            attributes,
        })
    }
}

fn read_pair(input: &mut &[u8]) -> Option<KeyPair> {
    let bytes = input.split_off(..KeyPair::SECRET_BYTES)?.first_chunk()?;
    Some(KeyPair::from_secrets(bytes))
}

fn read_flag(input: &mut &[u8]) -> Option<bool> {
    match *input.split_off_first()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// Seals a wallet with fresh salt and nonce and renders its file.
pub(super) fn seal(
    account: &PublicAccount,
    secrets: &Secrets,
    passphrase: &Passphrase,
    kdf: KdfParameters,
) -> Result<String, WalletError> {
    let salt: [u8; SALT_BYTES] = random()?;
    let nonce: [u8; NONCE_BYTES] = random()?;
    let mut text = render_header(account, kdf, &salt, &nonce);
    let plain = secrets.encode();
    let sealed = kdf
        .cipher(passphrase, &salt)?
        .encrypt(
            &Nonce::from(nonce),
            Payload {
                msg: &plain,
                aad: text.as_bytes(),
            },
        )
        .map_err(|_| WalletError::Kdf)?;
    line(&mut text, "ciphertext", &hex::encode(sealed));
    Ok(text)
}

/// Everything before the ciphertext.
fn render_header(
    account: &PublicAccount,
    kdf: KdfParameters,
    salt: &[u8; SALT_BYTES],
    nonce: &[u8; NONCE_BYTES],
) -> String {
    let mut text = String::from(
        "# Keys of a CertChain account. Without its passphrase the secret part is lost; keep a copy.\n",
    );
    line(&mut text, "format", FORMAT);
    text.push_str("\n[account]\n");
    account.render(&mut text);
    text.push_str("\n[kdf]\n");
    line(&mut text, "name", KDF);
    for (key, value) in [
        ("memory_kib", kdf.memory_kib),
        ("passes", kdf.passes),
        ("lanes", kdf.lanes),
    ] {
        text.push_str(&format!("{key} = {value}\n"));
    }
    line(&mut text, "salt", &hex::encode(salt));
    text.push_str("\n[secret]\n");
    line(&mut text, "cipher", CIPHER);
    line(&mut text, "nonce", &hex::encode(nonce));
    text
}

/// A wallet's file, read and in its exact layout, not opened.
pub(super) struct Sealed {
    pub(super) account: PublicAccount,
    pub(super) kdf: KdfParameters,
    pub(super) text: String,
    header: String,
    salt: [u8; SALT_BYTES],
    nonce: [u8; NONCE_BYTES],
    ciphertext: Vec<u8>,
}

/// Reads a wallet's file.
pub(super) fn read(path: &Path) -> Result<Sealed, WalletError> {
    let text = read_text(path, WHAT, MAX_FILE_BYTES)?;
    let raw: RawWallet = parse(path, WHAT, &text)?;
    if raw.format != FORMAT || raw.kdf.name != KDF || raw.secret.cipher != CIPHER {
        let problem = "its format, kdf or cipher is not one that this release knows";
        return Err(FileError::malformed(path, WHAT, problem).into());
    }
    let kdf =
        KdfParameters::new(raw.kdf.memory_kib, raw.kdf.passes, raw.kdf.lanes).ok_or_else(|| {
            WalletError::KdfLimits {
                path: path.to_owned(),
            }
        })?;
    let digits = |what| FileError::malformed(path, WHAT, format!("{what} has a wrong length"));
    let salt = hex_array(&raw.kdf.salt).ok_or_else(|| digits("salt"))?;
    let nonce = hex_array(&raw.secret.nonce).ok_or_else(|| digits("nonce"))?;
    let ciphertext = hex::decode(&raw.secret.ciphertext).map_err(|_| digits("ciphertext"))?;
    let account = raw.account.check(path, WHAT)?;
    let header = render_header(&account, kdf, &salt, &nonce);
    let mut again = header.clone();
    line(&mut again, "ciphertext", &hex::encode(&ciphertext));
    if again != text {
        return Err(FileError::Altered {
            path: path.to_owned(),
        }
        .into());
    }
    Ok(Sealed {
        account,
        kdf,
        text,
        header,
        salt,
        nonce,
        ciphertext,
    })
}

impl Sealed {
    /// Opens the seal.
    pub(super) fn open(
        &self,
        path: &Path,
        passphrase: &Passphrase,
    ) -> Result<Secrets, WalletError> {
        let cipher = self.kdf.cipher(passphrase, &self.salt)?;
        let payload = Payload {
            msg: &self.ciphertext,
            aad: self.header.as_bytes(),
        };
        let plain = cipher
            .decrypt(&Nonce::from(self.nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| WalletError::WrongPassphrase {
                path: path.to_owned(),
            })?;
        let contents = || WalletError::Contents {
            path: path.to_owned(),
        };
        let secrets = Secrets::decode(&plain).ok_or_else(contents)?;
        // The seal binds both parts; this guards against a wallet sealed wrongly by another program.
        if secrets.present().public_key() != self.account.public_key()
            || secrets.present().encryption_key() != *self.account.encryption_key()
        {
            return Err(contents());
        }
        Ok(secrets)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWallet {
    format: String,
    account: RawAccount,
    kdf: RawKdf,
    secret: RawSecret,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKdf {
    name: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSecret {
    cipher: String,
    nonce: String,
    ciphertext: String,
}
