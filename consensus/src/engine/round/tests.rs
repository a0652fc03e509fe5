//! What is kept of the blocks of one height, and the invariants that are checked after each step.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use certchain_proto::hash::OutcomeDigest;

use super::*;
use crate::engine::fixtures::{
    HEIGHT, commit, decided, header, pre_prepare, prepare, prepared, validator,
};

fn fresh(mark: u64) -> (HeaderDigest, Candidate) {
    let header = header(0, mark);
    let digest = header.digest();
    (digest, Candidate::proposed(&pre_prepare(header, 1)))
}

fn by_header(mark: u64, holders: &[u16]) -> (HeaderDigest, Candidate) {
    let header = header(0, mark);
    let holders = holders.iter().copied().map(validator).collect();
    (header.digest(), Candidate::known_by_header(header, holders))
}

#[test]
fn what_is_known_of_a_block_stays_known() {
    let mut round = Round::new(HEIGHT, 0);
    let (digest, candidate) = by_header(1, &[0, 3]);
    round.add_candidate(digest, candidate);
    let (_, candidate) = fresh(1);
    round.add_candidate(digest, candidate);
    let known = &round.candidates[&digest];
    assert!(known.contents.is_some(), "its contents came later");
    assert_eq!(known.holders, [0, 3, 2].map(validator));
    assert!(!known.first_proposal, "a quorum stands behind it");
    let (_, candidate) = by_header(1, &[3, 1]);
    round.add_candidate(digest, candidate);
    let known = &round.candidates[&digest];
    assert!(known.contents.is_some());
    assert_eq!(known.holders, [0, 3, 2, 1].map(validator));
    // Contents that are there are not replaced.
    let other = Candidate::proposed(&pre_prepare(header(0, 1), 7));
    round.add_candidate(digest, other);
    let contents = round.candidates[&digest].contents.as_ref().unwrap();
    assert_eq!(contents.witness_ids.len(), 1);
}

#[test]
fn pp_4_what_a_quorum_prepared_is_judged_anew() {
    let cases = [
        (Body::Unasked, Body::Unasked),
        (Body::Asked, Body::Unasked),
        (Body::Invalid, Body::Unasked),
        (Body::Ready, Body::Ready),
    ];
    for (before, after) in cases {
        let mut round = Round::new(HEIGHT, 0);
        let (digest, mut candidate) = fresh(1);
        candidate.body = before;
        round.add_candidate(digest, candidate);
        // The same proposal again changes nothing.
        round.add_candidate(digest, fresh(1).1);
        let known = &round.candidates[&digest];
        assert!(known.first_proposal);
        assert_eq!(known.body, before);
        round.add_candidate(digest, by_header(1, &[1]).1);
        let known = round.candidates.get_mut(&digest).unwrap();
        assert!(!known.first_proposal);
        assert_eq!(known.body, after);
        // Once only: the second answer of the node stands.
        known.body = Body::Invalid;
        round.add_candidate(digest, by_header(1, &[3]).1);
        assert_eq!(round.candidates[&digest].body, Body::Invalid);
    }
}

#[test]
fn blocks_that_bind_nobody_make_room() {
    let mut round = Round::new(HEIGHT, 0);
    let blocks: Vec<_> = (0..MAX_CANDIDATES as u64).map(fresh).collect();
    let digests: Vec<HeaderDigest> = blocks.iter().map(|(digest, _)| *digest).collect();
    for (digest, candidate) in blocks {
        round.add_candidate(digest, candidate);
    }
    assert_eq!(round.candidates.len(), MAX_CANDIDATES);
    round.accepted = Some(digests[0]);
    round.decided = Some(decided(&header(0, 1)));
    round.prepared = Some(prepared(0, &header(0, 2)));
    round.locks.insert(digests[3], OutcomeDigest::ZERO);
    let (digest, candidate) = fresh(100);
    round.add_candidate(digest, candidate);
    let mut expected = digests[..4].to_vec();
    expected.push(digest);
    expected.sort_unstable();
    let kept: Vec<HeaderDigest> = round.candidates.keys().copied().collect();
    assert_eq!(kept, expected);
}

#[test]
fn a_height_is_settled_once_its_decided_block_is_known() {
    let mut round = Round::new(HEIGHT, 0);
    let (digest, candidate) = fresh(1);
    round.add_candidate(digest, candidate);
    assert!(!round.is_settled());
    round.decided = Some(decided(&header(0, 2)));
    assert!(!round.is_settled());
    round.decided = Some(decided(&header(0, 1)));
    assert!(round.is_settled());
}

#[test]
fn a_broken_invariant_is_named() {
    type Break = fn(&mut Round);
    let cases: [(Break, Option<&str>); 9] = [
        (|_| {}, None),
        (
            |r| drop(r.own.insert((r.view, Phase::Prepare), Arc::new(prepare(2)))),
            None,
        ),
        (
            |r| {
                drop(
                    r.own
                        .insert((r.view.next(), Phase::Commit), Arc::new(commit(3))),
                )
            },
            Some("own message above the present view"),
        ),
        (|r| r.open = false, None),
        (|r| r.accepted = r.candidates.keys().next().copied(), None),
        (
            |r| {
                r.open = false;
                r.accepted = r.candidates.keys().next().copied();
            },
            Some("closed view with an accepted block"),
        ),
        (|r| r.prepared = Some(prepared(2, &header(0, 1))), None),
        (
            |r| r.prepared = Some(prepared(3, &header(0, 1))),
            Some("prepared certificate above the present view"),
        ),
        (
            |r| r.accepted = Some(HeaderDigest::ZERO),
            Some("accepted block that is no candidate"),
        ),
    ];
    for (number, (change, expected)) in cases.into_iter().enumerate() {
        let mut round = Round::new(HEIGHT, 0);
        let (digest, candidate) = fresh(1);
        round.add_candidate(digest, candidate);
        round.move_to(View::new(2), true);
        change(&mut round);
        assert_eq!(round.violation(), expected, "case {number}");
    }
}
