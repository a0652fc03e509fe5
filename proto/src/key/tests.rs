#![allow(clippy::unwrap_used)]

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::*;
use crate::codec;

fn keys() -> Vec<PublicKey> {
    let public = |seed: u8| SecretKey::from_seed(&[seed; 32]).public().clone();
    (1..9).map(public).collect()
}

#[test]
fn keys_are_told_apart_and_sorted_by_their_bytes() {
    let hash = |key: &PublicKey| {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        hasher.finish()
    };
    for a in keys() {
        for b in keys() {
            let order = a.as_bytes().cmp(b.as_bytes());
            assert_eq!((a.cmp(&b), a.partial_cmp(&b)), (order, Some(order)));
            assert_eq!(a == b, order.is_eq());
            assert_eq!(hash(&a) == hash(&b), order.is_eq());
        }
    }
}

#[test]
fn a_key_is_the_same_through_bytes_digits_and_codec() {
    for key in keys() {
        let digits = hex::encode(key.as_bytes());
        assert_eq!(PublicKey::from_hex(&digits), Ok(key.clone()));
        let bytes = codec::encode(&key);
        assert_eq!(bytes, key.as_bytes());
        assert_eq!(codec::decode::<PublicKey>(&bytes, 32), Ok(key));
    }
    // The identity point: well-formed, and no key.
    let mut identity = [0; 32];
    identity[0] = 1;
    assert!(codec::decode::<PublicKey>(&identity, 32).is_err());
    let length = |text: &str| PublicKey::from_hex(text).map(|_| ());
    assert_eq!(length("zz0011"), Err(KeyError::Length { actual: 3 }));
    assert_eq!(length("001122"), Err(KeyError::Length { actual: 3 }));
}

#[test]
fn a_secret_key_is_its_seed() {
    let seed = [9; 32];
    let key = SecretKey::from_seed(&seed);
    assert_eq!(key.to_seed(), seed);
    let again = SecretKey::from_seed(&key.to_seed());
    assert_eq!(again.public(), key.public());
    let message = SigningHash::from_bytes([4; 32]);
    let signed = key.sign(&message);
    assert_eq!(key.public().verify(&message, &signed), Ok(()));
    let other = SigningHash::from_bytes([5; 32]);
    assert_eq!(key.public().verify(&other, &signed), Err(SignatureError));
}
