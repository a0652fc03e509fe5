#![allow(clippy::unwrap_used)]

use super::*;
use crate::SecretKey;

fn members(n: usize) -> Vec<Validator> {
    let member = |i: usize| Validator {
        vote_key: SecretKey::from_seed(&[i as u8 + 1; 32]).public().clone(),
        network_key: [i as u8; 32],
    };
    (0..n).map(member).collect()
}

fn set(n: usize) -> ValidatorSet {
    ValidatorSet::new(Epoch::new(7), members(n)).unwrap()
}

#[test]
fn f_and_q_are_those_of_the_design() {
    let sizes: Vec<(usize, usize)> = (1..=10)
        .map(|n| (set(n).faulty(), set(n).quorum()))
        .collect();
    let expected = [
        (0, 1),
        (0, 2),
        (0, 2),
        (1, 3),
        (1, 4),
        (1, 4),
        (2, 5),
        (2, 6),
        (2, 6),
        (3, 7),
    ];
    assert_eq!(sizes, expected);
    for n in 1..=MAX_VALIDATORS {
        let (f, q) = (set(n).faulty(), set(n).quorum());
        assert!(2 * q > n + f, "two quorums of {n} share an honest member");
        assert!(q <= n - f, "the honest of {n} are a quorum");
    }
}

#[test]
fn members_are_found_by_place_and_key() {
    let set = set(4);
    assert_eq!((set.epoch(), set.len()), (Epoch::new(7), 4));
    assert!(!set.is_empty());
    assert_eq!(set.iter().count(), 4);
    for (place, member) in members(5).into_iter().enumerate() {
        let index = ValidatorIndex::new(place as u16);
        let here = (place < 4).then_some(index);
        assert_eq!(set.get(index), here.map(|_| &member));
        assert_eq!(set.index_of(&member.vote_key), here);
        assert_eq!(set.index_of_network_key(&member.network_key), here);
    }
}

#[test]
fn lists_that_are_no_set_are_refused_when_made_and_when_decoded() {
    let mut voter_twice = members(4);
    voter_twice[3].vote_key = voter_twice[1].vote_key.clone();
    let mut peer_twice = members(4);
    peer_twice[2].network_key = peer_twice[0].network_key;
    let cases = [
        (Vec::new(), Err(ValidatorSetError::Empty)),
        (members(MAX_VALIDATORS), Ok(())),
        (
            members(MAX_VALIDATORS + 1),
            Err(ValidatorSetError::TooMany {
                actual: MAX_VALIDATORS + 1,
            }),
        ),
        (voter_twice, Err(ValidatorSetError::Duplicate { index: 3 })),
        (peer_twice, Err(ValidatorSetError::Duplicate { index: 2 })),
    ];
    for (list, expected) in cases {
        let made = ValidatorSet::new(Epoch::new(7), list.clone());
        assert_eq!(made.clone().map(|_| ()), expected);
        // What encodes like a set of these members.
        let bytes = codec::encode(&(Epoch::new(7), list));
        let read = codec::decode::<ValidatorSet>(&bytes, bytes.len());
        assert_eq!(read.ok(), made.ok());
    }
}

#[test]
fn the_digest_names_epoch_and_members() {
    let other_epoch = ValidatorSet::new(Epoch::new(8), members(4)).unwrap();
    assert_ne!(set(4).digest(), other_epoch.digest());
    assert_ne!(set(4).digest(), set(5).digest());
    assert_eq!(set(4).digest(), set(4).digest());
}
