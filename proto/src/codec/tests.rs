#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use super::*;

#[test]
fn a_limit_is_the_most_that_is_taken() {
    let value: Vec<u8> = vec![7; 100];
    let bytes = encode(&value);
    assert_eq!(decode::<Vec<u8>>(&bytes, bytes.len()), Ok(value));
    let too_large = DecodeError::TooLarge {
        what: name::<Vec<u8>>(),
        actual: bytes.len(),
        limit: bytes.len() - 1,
    };
    assert_eq!(decode::<Vec<u8>>(&bytes, bytes.len() - 1), Err(too_large));
}

#[test]
fn the_codec_takes_64_mebibytes_whatever_a_caller_would_take() {
    // A slice of bytes as a string: nothing is done for each byte.
    let most = "x".repeat((64 << 20) - 8);
    let bytes = try_encode(&most).unwrap();
    assert_eq!(
        decode::<String>(&bytes, usize::MAX).unwrap().len(),
        most.len()
    );
    let above = vec![0; (64 << 20) + 1];
    let too_large = DecodeError::TooLarge {
        what: "String",
        actual: above.len(),
        limit: 64 << 20,
    };
    assert_eq!(decode::<String>(&above, usize::MAX), Err(too_large));
}

#[test]
fn a_value_has_one_encoding() {
    assert_eq!(encode(&1u32), [1, 0, 0, 0]);
    assert_eq!(decode::<u32>(&[1, 0, 0, 0], 99), Ok(1));
    let other = Err(DecodeError::NotCanonical { what: "u32" });
    assert_eq!(
        decode::<u32>(&[1, 0, 0, 0, 0], 99),
        other,
        "a byte too many"
    );
    let short = Err(DecodeError::Malformed { what: "u32" });
    assert_eq!(decode::<u32>(&[1, 0, 0], 99), short);
    // All bytes are used, but a set is written in its order.
    let sorted = encode(&BTreeSet::from([1u8, 2]));
    assert_eq!(
        decode::<BTreeSet<u8>>(&sorted, 99),
        Ok(BTreeSet::from([1, 2]))
    );
    let mut swapped = sorted;
    swapped.swap(8, 9);
    let read = decode::<BTreeSet<u8>>(&swapped, 99);
    assert!(
        matches!(read, Err(DecodeError::NotCanonical { .. })),
        "{read:?}"
    );
}

#[test]
fn a_record_of_another_version_is_named() {
    let bytes = encode_versioned(3, &1u16);
    assert_eq!(bytes, [3, 1, 0]);
    assert_eq!(decode_versioned::<u16>(3, &bytes, 2), Ok(1));
    let version = DecodeError::Version {
        what: "u16",
        actual: 3,
        supported: 4,
    };
    assert_eq!(decode_versioned::<u16>(4, &bytes, 2), Err(version));
    let empty = Err(DecodeError::Malformed { what: "u16" });
    assert_eq!(decode_versioned::<u16>(3, &[], 2), empty);
    assert!(decode_versioned::<u16>(3, &bytes, 1).is_err(), "the limit");
}
