//! Addresses, keys and signatures; every way to check signatures must say the same.

#![no_main]

use certchain_fuzz::{Decoder, canonical, coded};
use certchain_proto::{
    Address, ChainId, PublicKey, SecretKey, Signature,
    certificate::{Ed25519Verifier, SignatureVerifier as _},
    hash::SigningHash,
    signature::SignatureBatch,
};
use curve25519_dalek::{
    EdwardsPoint, Scalar,
    constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION},
};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest as _, Sha512};

const DECODERS: &[Decoder] = &[
    ("signature", coded::<Signature>),
    ("public key", coded::<PublicKey>),
    ("address", coded::<Address>),
    ("chain id", coded::<ChainId>),
    ("bare public key", |bytes| {
        Some(PublicKey::from_bytes(bytes).ok()?.as_bytes().to_vec())
    }),
    ("bare signature", |bytes| {
        Some(Signature::from_slice(bytes)?.to_bytes().to_vec())
    }),
    ("bare address", |bytes| {
        Some(Address::from_slice(bytes)?.as_bytes().to_vec())
    }),
];

type Item = (PublicKey, SigningHash, Signature);

/// Cuts the next `N` bytes; what is missing at the end are zeros.
fn cut<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (head, rest) = bytes.split_at(N.min(bytes.len()));
    *bytes = rest;
    let mut taken = [0; N];
    taken[..head.len()].copy_from_slice(head);
    taken
}

/// A signature with parts of small order in R: the equation with the cofactor takes it, the one
/// without refuses it, so a batch and single checks that do not both use the same one differ.
fn twisted(seed: u8, torsion: u8, message: &SigningHash) -> (PublicKey, Signature) {
    let secret = Scalar::from(u64::from(seed) + 2);
    let key = (ED25519_BASEPOINT_POINT * secret).compress().to_bytes();
    let nonce = Scalar::from(u64::from(seed) + 1_000);
    let small: EdwardsPoint = EIGHT_TORSION[usize::from(torsion % 8)];
    let r = (ED25519_BASEPOINT_POINT * nonce + small)
        .compress()
        .to_bytes();
    let digest = Sha512::new()
        .chain_update(r)
        .chain_update(key)
        .chain_update(message.as_bytes());
    let s = nonce + Scalar::from_bytes_mod_order_wide(&digest.finalize().into()) * secret;
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r);
    signature[32..].copy_from_slice(s.as_bytes());
    let key = PublicKey::from_bytes(&key).expect("a multiple of the base point");
    (key, Signature::from_bytes(&signature))
}

/// The next key, message and signature: right, twisted, damaged, or as the bytes say.
fn item(bytes: &mut &[u8]) -> Option<Item> {
    let [way, seed, place, with] = cut::<4>(bytes);
    let mut message = SigningHash::from_bytes([way / 8; 32]);
    let own = SecretKey::from_seed(&[seed % 4 + 1; 32]);
    let (key, signature) = match way % 8 {
        0 | 1 => (own.public().clone(), own.sign(&message)),
        2 | 3 => twisted(seed % 4, place, &message),
        4 => (own.public().clone(), Signature::from_bytes(&cut(bytes))),
        5 => {
            message = SigningHash::from_bytes(cut(bytes));
            let key = PublicKey::from_bytes(&cut::<32>(bytes));
            (key.ok()?, Signature::from_bytes(&cut(bytes)))
        }
        _ => {
            let (key, signature) = twisted(seed % 4, place, &message);
            let mut damaged = signature.to_bytes();
            damaged[usize::from(place) % 64] ^= with;
            (key, Signature::from_bytes(&damaged))
        }
    };
    Some((key, message, signature))
}

/// ZIP 215: the batch says yes exactly if each single check does.
fn signatures(mut bytes: &[u8]) {
    let mut items: Vec<Item> = Vec::new();
    while !bytes.is_empty() && items.len() < 6 {
        items.extend(item(&mut bytes));
    }
    let single: Vec<bool> = items
        .iter()
        .map(|(key, message, signature)| key.verify(message, signature).is_ok())
        .collect();
    let mut batch = SignatureBatch::with_capacity(items.len());
    for (key, message, signature) in &items {
        batch.push(key, message, signature);
    }
    let each: Vec<bool> = batch.verify_each().iter().map(Result::is_ok).collect();
    assert_eq!(each, single);
    let all = single.iter().all(|holds| *holds);
    assert_eq!(batch.verify().is_ok(), all, "{items:?}");
    assert_eq!(Ed25519Verifier.verify_all(&items), all, "{items:?}");
}

fuzz_target!(|bytes: &[u8]| {
    canonical(DECODERS, bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(address) = text.parse::<Address>() {
            assert_eq!(address.to_string().parse(), Ok(address));
            assert_eq!(address.to_string(), text.to_lowercase());
        }
        if let Ok(key) = PublicKey::from_hex(text) {
            assert_eq!(PublicKey::from_hex(&key.to_string()), Ok(key));
        }
        if let Some(chain) = ChainId::from_hex(text) {
            assert_eq!(ChainId::from_hex(&chain.to_string()), Some(chain));
        }
    }
    signatures(bytes);
});
