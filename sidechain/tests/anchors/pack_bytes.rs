//! Packs as bytes: no change of any byte is believed, nothing panics.

use certchain_sidechain::pack::{MAX_PACK_BYTES, MainLink, MainTrust, Pack, PackError};
use proptest::prelude::*;

use crate::pack::{anchored, by_block, by_validators};

fn believed(bytes: &[u8], trust: &MainTrust) -> bool {
    Pack::decode(bytes).is_ok_and(|pack| pack.verify(trust).is_ok())
}

#[test]
fn no_changed_byte_is_believed() {
    let world = anchored();
    let both = by_validators(&world)
        .and_block(world.main.verified(5))
        .unwrap();
    let cases = [
        (
            world.parts(2, 3, 4, world.certified(4)),
            by_validators(&world),
        ),
        (world.parts(3, 3, 4, world.certified(4)), both),
        (world.parts(2, 3, 4, MainLink::Held), by_block(&world, 4)),
        (
            world.parts(3, 3, 4, MainLink::Later(world.main.proof(4, 5))),
            by_block(&world, 5),
        ),
    ];
    for (number, (parts, trust)) in cases.into_iter().enumerate() {
        let good = Pack::new(parts).unwrap().encode();
        assert!(believed(&good, &trust));
        let mut bytes = good.clone();
        for place in 0..good.len() {
            for mask in [0x01, 0x80, 0xff] {
                bytes[place] ^= mask;
                assert!(
                    !believed(&bytes, &trust),
                    "case {number}: byte {place} changed by {mask:#x} is believed"
                );
                bytes[place] ^= mask;
            }
        }
        assert_eq!(bytes, good);
        for length in 0..good.len() {
            assert!(Pack::decode(&good[..length]).is_err());
        }
        bytes.push(0);
        assert!(Pack::decode(&bytes).is_err());
    }
}

#[test]
fn too_many_bytes_or_another_version() {
    let world = anchored();
    let mut bytes = Pack::new(world.parts(3, 3, 4, MainLink::Held))
        .unwrap()
        .encode();
    assert_eq!(bytes[0], 1);
    bytes[0] = 2;
    let error = Pack::decode(&bytes).unwrap_err();
    assert!(error.to_string().contains("version"), "{error}");
    let mut bytes = vec![1];
    bytes.resize(MAX_PACK_BYTES + 2, 0);
    let error = Pack::decode(&bytes).unwrap_err();
    assert!(matches!(error, PackError::Form(_)), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn spliced_packs_are_refused(
        cut in any::<prop::sample::Index>(), length in 1usize..64, with in any::<[u8; 64]>(),
    ) {
        thread_local! {
            static GOOD: (Vec<u8>, MainTrust) = {
                let world = anchored();
                let pack = Pack::new(world.parts(2, 3, 4, world.certified(4))).unwrap();
                (pack.encode(), by_validators(&world))
            };
        }
        GOOD.with(|(good, trust)| {
            let from = cut.index(good.len());
            let to = (from + length).min(good.len());
            let mut bytes = good.clone();
            bytes[from..to].copy_from_slice(&with[..to - from]);
            prop_assert!(bytes == *good || !believed(&bytes, trust));
            bytes.drain(from..to);
            prop_assert!(!believed(&bytes, trust));
            Ok(())
        })?;
    }
}
