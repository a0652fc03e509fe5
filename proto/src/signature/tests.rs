#![allow(clippy::unwrap_used, clippy::expect_used)]

use curve25519_dalek::{EdwardsPoint, Scalar, constants::EIGHT_TORSION};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::{key::KeyError, key::SecretKey};

struct EdgeCase {
    message: [u8; 32],
    key: [u8; 32],
    signature: Signature,
    zip215: bool,
}

/// The twelve published vectors of "Taming the many EdDSAs", table 5.
fn edge_cases() -> Vec<EdgeCase> {
    let text = include_str!("../../../tests/vectors/ed25519_edge_cases.json");
    let cases: Value = serde_json::from_str(text).unwrap();
    let field = |case: &Value, name: &str| hex::decode(case[name].as_str().unwrap()).unwrap();
    cases
        .as_array()
        .unwrap()
        .iter()
        .map(|case| EdgeCase {
            message: field(case, "message").try_into().unwrap(),
            key: field(case, "public_key").try_into().unwrap(),
            signature: Signature::from_slice(&field(case, "signature")).unwrap(),
            zip215: case["zip215"].as_bool().unwrap(),
        })
        .collect()
}

fn zebra_says(key: &[u8; 32], message: &[u8], signature: &Signature) -> bool {
    let Ok(key) = ed25519_zebra::VerificationKey::try_from(*key) else {
        return false;
    };
    key.verify(
        &ed25519_zebra::Signature::from(signature.to_bytes()),
        message,
    )
    .is_ok()
}

fn single_says(key: &[u8; 32], message: &[u8; 32], signature: &Signature) -> bool {
    CompressedEdwardsY(*key)
        .decompress()
        .is_some_and(|point| verify_single(key, &point, message, signature).is_ok())
}

fn batch_says(key: &[u8; 32], message: &[u8; 32], signature: &Signature) -> bool {
    let Some(point) = CompressedEdwardsY(*key).decompress() else {
        return false;
    };
    // Beside a good signature, so that the multi-scalar multiplication has several terms.
    let good = SecretKey::from_seed(&[9; 32]);
    let good_message = SigningHash::from_bytes([1; 32]);
    let good_signature = good.sign(&good_message);
    let mut batch = SignatureBatch::default();
    batch.push(good.public(), &good_message, &good_signature);
    batch.push_raw(key, &point, message, signature);
    batch.verify().is_ok()
}

#[test]
fn published_edge_cases_get_the_answer_of_zip_215_on_every_path() {
    let cases = edge_cases();
    assert_eq!(cases.len(), 12);
    for (number, case) in cases.iter().enumerate() {
        let EdgeCase {
            message,
            key,
            signature,
            zip215,
        } = case;
        assert_eq!(
            zebra_says(key, message, signature),
            *zip215,
            "oracle, vector {number}"
        );
        assert_eq!(
            single_says(key, message, signature),
            *zip215,
            "single, vector {number}"
        );
        assert_eq!(
            batch_says(key, message, signature),
            *zip215,
            "batch, vector {number}"
        );
    }
}

#[test]
fn keys_of_the_published_edge_cases_are_refused_when_parsed() {
    for (number, case) in edge_cases().iter().enumerate() {
        let parsed = PublicKey::from_bytes(&case.key);
        // Vectors 6 and 7 have honest keys and too large an s; all others have crafted keys.
        if number == 6 || number == 7 {
            let key = parsed.unwrap();
            let message = SigningHash::from_bytes(case.message);
            assert_eq!(key.verify(&message, &case.signature), Err(SignatureError));
        } else {
            assert!(parsed.is_err(), "vector {number}");
        }
    }
}

#[test]
fn keys_are_canonical_torsion_free_and_not_the_identity() {
    let identity = EdwardsPoint::default().compress().to_bytes();
    assert_eq!(
        PublicKey::from_bytes(&identity).unwrap_err(),
        KeyError::Identity
    );
    for torsion in &EIGHT_TORSION[1..] {
        let small = torsion.compress().to_bytes();
        assert_eq!(
            PublicKey::from_bytes(&small).unwrap_err(),
            KeyError::Torsion
        );
        let mixed = (EdwardsPoint::mul_base(&Scalar::from(7u8)) + torsion)
            .compress()
            .to_bytes();
        assert_eq!(
            PublicKey::from_bytes(&mixed).unwrap_err(),
            KeyError::Torsion
        );
    }
    // y = 1 + p encodes the identity a second way; y = p + 3 has no second point below 2^255.
    let mut high = [0xff; 32];
    high[0] = 0xee;
    high[31] = 0x7f;
    assert_eq!(
        PublicKey::from_bytes(&high).unwrap_err(),
        KeyError::NotAPoint
    );
    assert_eq!(
        PublicKey::from_bytes(&[1; 31]).unwrap_err(),
        KeyError::Length { actual: 31 }
    );
    assert!(PublicKey::from_bytes(SecretKey::from_seed(&[3; 32]).public().as_bytes()).is_ok());
}

#[test]
fn a_batch_counts_and_judges_what_was_pushed() {
    let mut batch = SignatureBatch::default();
    assert!(batch.is_empty() && batch.verify().is_ok());
    let key = SecretKey::from_seed(&[9; 32]);
    let [signed, other] = [1, 2].map(|mark| SigningHash::from_bytes([mark; 32]));
    let signature = key.sign(&signed);
    batch.push(key.public(), &signed, &signature);
    batch.push(key.public(), &signed, &signature);
    assert_eq!((batch.len(), batch.is_empty()), (2, false));
    assert!(batch.verify().is_ok());
    batch.push(key.public(), &other, &signature);
    assert_eq!(batch.verify(), Err(SignatureError));
    assert_eq!(batch.verify_each(), [Ok(()), Ok(()), Err(SignatureError)]);
}

/// What is done to one signature of a batch.
#[derive(Clone, Debug)]
enum Mutation {
    None,
    TorsionInR(usize),
    TorsionInKey(usize),
    TorsionInBoth(usize, usize),
    WrongMessage,
    WrongResponse,
    NotCanonicalResponse,
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        4 => Just(Mutation::None),
        2 => (1..8usize).prop_map(Mutation::TorsionInR),
        2 => (1..8usize).prop_map(Mutation::TorsionInKey),
        2 => (1..8usize, 1..8usize).prop_map(|(a, b)| Mutation::TorsionInBoth(a, b)),
        1 => Just(Mutation::WrongMessage),
        1 => Just(Mutation::WrongResponse),
        1 => Just(Mutation::NotCanonicalResponse),
    ]
}

/// Signs by hand, with torsion added to R or A where asked; by the equation with cofactor such a
/// signature holds.
fn crafted(seed: u64, message: &[u8; 32], mutation: &Mutation) -> ([u8; 32], Signature) {
    let secret = Scalar::from(seed + 2);
    let nonce = Scalar::from(seed.wrapping_mul(31) + 5);
    let (mut in_r, mut in_key) = (EdwardsPoint::default(), EdwardsPoint::default());
    match mutation {
        Mutation::TorsionInR(index) => in_r = EIGHT_TORSION[*index],
        Mutation::TorsionInKey(index) => in_key = EIGHT_TORSION[*index],
        Mutation::TorsionInBoth(a, b) => {
            in_r = EIGHT_TORSION[*a];
            in_key = EIGHT_TORSION[*b];
        }
        _ => {}
    }
    let key = (EdwardsPoint::mul_base(&secret) + in_key)
        .compress()
        .to_bytes();
    let r = (EdwardsPoint::mul_base(&nonce) + in_r)
        .compress()
        .to_bytes();
    let unfinished = Signature { r, s: [0; 32] };
    let mut signed = *message;
    if matches!(mutation, Mutation::WrongMessage) {
        signed[0] ^= 1;
    }
    let mut s = nonce + unfinished.challenge(&key, &signed) * secret;
    if matches!(mutation, Mutation::WrongResponse) {
        s += Scalar::ONE;
    }
    let mut bytes = s.to_bytes();
    if matches!(mutation, Mutation::NotCanonicalResponse) {
        bytes[31] |= 0x80;
    }
    (key, Signature { r, s: bytes })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn batches_with_random_torsion_never_differ_from_singles(
        items in prop::collection::vec((0..6u64, any::<[u8; 32]>(), mutation()), 1..12),
    ) {
        let made: Vec<_> = items
            .iter()
            .map(|(seed, message, mutation)| (*message, crafted(*seed, message, mutation)))
            .collect();
        let points: Vec<EdwardsPoint> = made
            .iter()
            .map(|(_, (key, _))| CompressedEdwardsY(*key).decompress().unwrap())
            .collect();
        let mut batch = SignatureBatch::with_capacity(made.len());
        for ((message, (key, signature)), point) in made.iter().zip(&points) {
            batch.push_raw(key, point, message, signature);
        }
        let each = batch.verify_each();
        for ((message, (key, signature)), single) in made.iter().zip(&each) {
            prop_assert_eq!(zebra_says(key, message, signature), single.is_ok());
        }
        prop_assert_eq!(batch.verify().is_ok(), each.iter().all(Result::is_ok));
    }
}
