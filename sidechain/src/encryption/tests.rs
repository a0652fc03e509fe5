#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

fn bytes<const N: usize>(digits: &str) -> [u8; N] {
    hex::decode(digits).unwrap().try_into().unwrap()
}

fn pair(seed: u8) -> ([u8; 32], [u8; 32]) {
    let (secret, public) = X25519HkdfSha256::derive_keypair(&[seed; 32]);
    (secret.to_bytes().into(), public.to_bytes().into())
}

fn scope() -> FieldsScope {
    FieldsScope {
        chain: ChainId::from_bytes([1; 32]),
        certificate: CertificateId::from_bytes([2; 32]),
        version: 0,
    }
}

/// RFC 9180, appendix A.2.1, sequence number 0.
#[test]
fn the_suite_is_that_of_the_rfc() {
    let info = hex::decode("4f6465206f6e2061204772656369616e2055726e").unwrap();
    let entropy = bytes("909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b");
    let recipient = bytes("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a");
    let secret = bytes("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb");
    let plaintext = b"Beauty is truth, truth beauty";
    let sealed = seal(&recipient, &info, b"Count-0", plaintext, &entropy).unwrap();
    assert_eq!(
        hex::encode(sealed.encapsulated_key),
        "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a"
    );
    assert_eq!(
        hex::encode(&sealed.ciphertext),
        "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db\
         21993c62ce81883d2dd1b51a28"
    );
    assert_eq!(
        *open(&secret, &info, b"Count-0", &sealed).unwrap(),
        plaintext
    );
}

#[test]
fn only_the_recipient_opens_and_only_in_its_scope() {
    let ((secret, public), (other_secret, other_public)) = (pair(1), pair(2));
    let sealed = scope().seal(&public, b"fields", &[3; 32]).unwrap();
    assert_eq!(*scope().open(&secret, &sealed).unwrap(), b"fields");
    assert_eq!(
        scope().open(&other_secret, &sealed),
        Err(EncryptionError::OtherRecipient)
    );
    // The wrong key under a false label.
    let mut relabelled = sealed.clone();
    relabelled.recipient_key = other_public;
    assert_eq!(
        scope().open(&other_secret, &relabelled),
        Err(EncryptionError::DoesNotOpen)
    );
    let scopes = [
        FieldsScope {
            chain: ChainId::from_bytes([9; 32]),
            ..scope()
        },
        FieldsScope {
            certificate: CertificateId::from_bytes([9; 32]),
            ..scope()
        },
        FieldsScope {
            version: 1,
            ..scope()
        },
    ];
    for elsewhere in scopes {
        let error = elsewhere.open(&secret, &sealed).unwrap_err();
        assert_eq!(error, EncryptionError::DoesNotOpen, "{elsewhere:?}");
    }
    assert_eq!(
        open(
            &secret,
            b"certchain v1 other",
            &scope().associated(&public),
            &sealed
        ),
        Err(EncryptionError::DoesNotOpen)
    );
}

#[test]
fn any_changed_byte_is_refused() {
    let (secret, public) = pair(1);
    let sealed = scope().seal(&public, b"fields", &[3; 32]).unwrap();
    assert_eq!(sealed.ciphertext.len(), 6 + TAG_BYTES);
    for index in 0..sealed.ciphertext.len() {
        let mut bad = sealed.clone();
        bad.ciphertext[index] ^= 1;
        assert!(scope().open(&secret, &bad).is_err(), "byte {index}");
    }
    // The top bit of an X25519 key is ignored by the curve, not by the key schedule.
    for index in 0..KEY_BYTES {
        let mut bad = sealed.clone();
        bad.encapsulated_key[index] ^= 0x80;
        assert!(scope().open(&secret, &bad).is_err(), "key byte {index}");
    }
    let mut short = sealed;
    short.ciphertext.truncate(TAG_BYTES - 1);
    assert_eq!(
        scope().open(&secret, &short),
        Err(EncryptionError::DoesNotOpen)
    );
}

#[test]
fn keys_of_small_order_are_refused() {
    let mut one = [0; 32];
    one[0] = 1;
    for key in [[0; 32], one] {
        assert_eq!(
            scope().seal(&key, b"fields", &[3; 32]),
            Err(EncryptionError::RecipientKey)
        );
    }
    let (secret, public) = pair(1);
    let mut sealed = scope().seal(&public, b"fields", &[3; 32]).unwrap();
    sealed.encapsulated_key = [0; 32];
    assert_eq!(
        scope().open(&secret, &sealed),
        Err(EncryptionError::DoesNotOpen)
    );
}

#[test]
fn small_ciphertexts_travel_in_the_draft_and_large_ones_by_hash() {
    let (secret, public) = pair(1);
    let largest = vec![7; MAX_INLINE_BYTES - TAG_BYTES];
    let sealed = scope().seal(&public, &largest, &[3; 32]).unwrap();
    let (wire, kept) = sealed.clone().into_wire();
    assert_eq!(kept, None);
    assert_eq!(Sealed::from_wire(&wire, None), Ok(sealed));

    let larger = vec![7; MAX_INLINE_BYTES - TAG_BYTES + 1];
    let sealed = scope().seal(&public, &larger, &[4; 32]).unwrap();
    let (wire, kept) = sealed.clone().into_wire();
    let kept = kept.unwrap();
    assert_eq!(Sealed::from_wire(&wire, Some(&kept)), Ok(sealed.clone()));
    assert_eq!(
        *scope()
            .open(&secret, &Sealed::from_wire(&wire, Some(&kept)).unwrap())
            .unwrap(),
        larger
    );
    let hash = ContentHash::of(&kept);
    assert_eq!(
        Sealed::from_wire(&wire, None),
        Err(EncryptionError::ContentNeeded { hash })
    );
    let mut other = kept.clone();
    other[0] ^= 1;
    for content in [&other[..], &kept[1..], &[]] {
        assert_eq!(
            Sealed::from_wire(&wire, Some(content)),
            Err(EncryptionError::OtherContent { hash })
        );
    }
}

#[test]
fn malformed_messages_are_refused() {
    let (_, public) = pair(1);
    let (good, _) = scope().seal(&public, b"x", &[3; 32]).unwrap().into_wire();
    let mut cases = Vec::new();
    let mut bad = good.clone();
    bad.recipient_key.pop();
    cases.push((bad, "recipient_key"));
    let mut bad = good.clone();
    bad.encapsulated_key.push(0);
    cases.push((bad, "encapsulated_key"));
    let mut bad = good.clone();
    bad.content = None;
    cases.push((bad, "content"));
    let mut bad = good.clone();
    bad.content = Some(Content::Ciphertext(vec![0; MAX_INLINE_BYTES + 1]));
    cases.push((bad, "ciphertext"));
    let reference = |hash: usize, size| {
        Some(Content::Reference(ContentReference {
            hash: vec![0; hash],
            size,
            media_type: String::new(),
            location: String::new(),
        }))
    };
    let mut bad = good.clone();
    bad.content = reference(31, 1);
    cases.push((bad, "hash"));
    let mut bad = good;
    bad.content = reference(32, u64::MAX);
    cases.push((bad, "size"));
    for (bad, expected) in cases {
        let Err(EncryptionError::Malformed { field, .. }) = Sealed::from_wire(&bad, Some(&[]))
        else {
            panic!("{expected}");
        };
        assert_eq!(field, expected);
    }
}
