//! VS: sets that change from one height to the next.

use std::sync::Arc;

use certchain_consensus::{
    Action, Engine, EngineConfig, Event, Head, KeySigner, Membership, Message, Record, Recovered,
    Sealed, Sets, StartError, TimerKind, journal::JournalFault, verify::Invalid,
};
use certchain_proto::{
    BlockHeader, Epoch, Height, Outcome, Validator, ValidatorSet, View,
    certificate::{CertificateError, Ed25519Verifier, IndexedSignature},
};

use crate::sandbox::{
    Kept, Sandbox, certificate, chain, commit, genesis, index, key, new_key, outcome,
    outcome_naming, params, pre_prepare, prepare, view_change,
};

/// The set of an epoch; members by the numbers of their keys.
fn set(epoch: u64, keys: &[usize]) -> ValidatorSet {
    let members = keys
        .iter()
        .map(|k| Validator {
            vote_key: key(*k).public().clone(),
            network_key: [*k as u8 + 1; 32],
        })
        .collect();
    ValidatorSet::new(Epoch::new(epoch), members).unwrap()
}

const FIRST: [usize; 4] = [0, 1, 2, 3];

/// A node with these keys on `head`, whose next height `set` decides.
fn node(keys: &[usize], head: Head, set: ValidatorSet, records: Vec<Record>) -> Sandbox {
    let n = set.len();
    let config = EngineConfig {
        chain: chain(),
        validators: set,
        params: params(),
    };
    let signer = keys
        .iter()
        .fold(KeySigner::default(), |s, k| s.and(new_key(*k)));
    let journal = Kept(records.clone());
    let recovered = Recovered { head, records };
    let mut sandbox = Sandbox {
        engine: Engine::new(config, recovered, Box::new(signer)).unwrap(),
        journal,
        now: crate::sandbox::GENESIS + 1_000,
        n,
        actions: Vec::new(),
    };
    sandbox.start();
    sandbox
}

fn first(keys: &[usize]) -> Sandbox {
    node(keys, genesis(), set(0, &FIRST), Vec::new())
}

/// The same message, said by who sits at its signer's place among `keys`.
fn by(keys: &[usize], mut message: Message) -> Message {
    let signer = key(keys[usize::from(message.signer().get())]);
    let signature = signer.sign(&message.statement().signing_hash());
    match &mut message {
        Message::PrePrepare(m) => m.signature = signature,
        Message::Prepare(m) => m.signature = signature,
        Message::Commit(m) => m.signature = signature,
        Message::ViewChange(m) => m.signature = signature,
        Message::NewView(m) => m.signature = signature,
    }
    message
}

fn verified(message: Message, sets: &dyn Membership) -> Event {
    let verified = message.verify(chain(), sets, &Ed25519Verifier).unwrap();
    Event::Message(Box::new(verified))
}

fn told(header: &BlockHeader, set: &ValidatorSet) -> Event {
    Event::Validators {
        header: header.digest(),
        validators: Box::new(set.clone()),
    }
}

fn executed(header: &BlockHeader, outcome: &Outcome) -> Event {
    Event::Executed {
        header: header.digest(),
        outcome: outcome.clone(),
    }
}

/// A commit certificate by these places of a set with these keys.
fn decided(
    keys: &[usize],
    places: &[usize],
    header: &BlockHeader,
    outcome: &Outcome,
) -> certchain_proto::CommitCertificate {
    let mut c = certificate(0, header, outcome, &[]);
    c.signatures = places
        .iter()
        .map(|p| {
            let Message::Commit(m) = by(keys, commit(*p, 0, header, outcome)) else {
                unreachable!()
            };
            IndexedSignature {
                validator: index(*p),
                signature: m.signature,
            }
        })
        .collect();
    c
}

fn sealed(
    keys: &[usize],
    header: &BlockHeader,
    outcome: &Outcome,
    sets: &dyn Membership,
) -> Result<Event, Invalid> {
    let places: Vec<usize> = (0..keys.len()).collect();
    let sealed = Sealed {
        header: header.clone(),
        outcome: outcome.clone(),
        certificate: decided(keys, &places, header, outcome),
    };
    let verified = sealed.verify(chain(), sets, &Ed25519Verifier)?;
    Ok(Event::Sealed(Box::new(verified)))
}

/// Takes the next block from sync, by the present set with these keys, naming `next`.
fn take(
    s: &mut Sandbox,
    keys: &[usize],
    present: &ValidatorSet,
    next: &ValidatorSet,
) -> BlockHeader {
    let header = s.header(0, 1);
    let outcome = outcome_naming(header.height.get() as u8, next);
    s.step(sealed(keys, &header, &outcome, present).unwrap());
    s.step(executed(&header, &outcome));
    if next != present {
        s.step(told(&header, next));
    }
    assert_eq!(s.engine.head().height(), header.height, "taken");
    header
}

fn sets(known: &[&ValidatorSet]) -> Sets {
    let mut sets = Sets::new(Arc::new(known[0].clone()));
    for set in &known[1..] {
        sets.add(Arc::new((*set).clone()));
    }
    sets
}

/// Validator 1 of the first four has voted PREPARE, and everybody else has.
fn prepared_naming(next: &ValidatorSet) -> (Sandbox, BlockHeader, Outcome) {
    let mut s = first(&[1]);
    let header = s.header(0, 1);
    s.hear(s.pre_prepare(&header));
    s.step(Event::BodyReady {
        header: header.digest(),
    });
    for i in [0, 2, 3] {
        s.hear(prepare(i, 0, &header));
    }
    (s, header, outcome_naming(1, next))
}

#[test]
fn vs_2_a_result_is_whole_only_with_the_set_that_it_names() {
    let next = set(1, &[0, 1, 2, 4]);
    let (mut s, header, outcome) = prepared_naming(&next);
    let unasked = ["refused validators: an answer of the node to no open request"];
    assert_eq!(s.step(told(&header, &next)), unasked, "before the result");
    assert!(
        s.step(executed(&header, &outcome)).is_empty(),
        "no COMMIT yet"
    );
    let other = ["refused validators: not the validator set that the block's outcome names"];
    for wrong in [set(1, &[0, 1, 2, 5]), set(2, &[0, 1, 2, 4]), set(0, &FIRST)] {
        assert_eq!(s.step(told(&header, &wrong)), other);
    }
    let words = s.step(told(&header, &next));
    assert!(words.contains(&"all commit 1/0".to_owned()), "{words:?}");
    assert_eq!(s.step(told(&header, &next)), unasked, "a second time");

    // A decision waits for it as well.
    let (mut s, header, outcome) = prepared_naming(&next);
    s.step(executed(&header, &outcome));
    for i in [0, 2, 3] {
        s.hear(commit(i, 0, &header, &outcome));
    }
    assert!(s.engine.status().decided);
    assert_eq!(s.engine.status().height, Height::new(1));
    let words = s.step(told(&header, &next));
    assert!(words.contains(&"commit 1".to_owned()), "{words:?}");
    let commits = s.actions.iter().find_map(|a| match a {
        Action::Commit(d) => d.next_validators.as_deref().cloned(),
        _ => None,
    });
    assert_eq!(commits, Some(next));
    assert_eq!(s.engine.status().epoch, Epoch::new(1));
}

#[test]
fn vs_2_a_result_that_names_no_other_set_needs_none() {
    let mut s = first(&[1]);
    let header = s.decide_one();
    assert_eq!(s.engine.status().epoch, Epoch::ZERO);
    let words = s.step(told(&header, &set(0, &FIRST)));
    let unasked = ["refused validators: an answer of the node to no open request"];
    assert_eq!(words, unasked);
}

#[test]
fn vs_2_a_set_that_is_not_of_the_next_epoch_halts() {
    for epoch in [0, 2, 9] {
        let next = set(epoch, &[0, 1, 2, 4]);
        let (mut s, header, outcome) = prepared_naming(&next);
        s.step(executed(&header, &outcome));
        assert_eq!(s.step(told(&header, &next)), ["halt next epoch"], "{epoch}");
    }
}

#[test]
fn vs_3_our_place_is_looked_up_by_our_keys() {
    struct Case {
        name: &'static str,
        held: &'static [usize],
        next: &'static [usize],
        before: Option<usize>,
        after: Option<usize>,
    }
    let cases = [
        Case {
            name: "stays",
            held: &[1],
            next: &[0, 1, 2, 4],
            before: Some(1),
            after: Some(1),
        },
        Case {
            name: "moves",
            held: &[1],
            next: &[4, 0, 5, 1, 2],
            before: Some(1),
            after: Some(3),
        },
        Case {
            name: "leaves",
            held: &[1],
            next: &[0, 2, 3, 4],
            before: Some(1),
            after: None,
        },
        Case {
            name: "joins",
            held: &[4],
            next: &[0, 2, 3, 4],
            before: None,
            after: Some(3),
        },
        Case {
            name: "votes with another key",
            held: &[1, 5],
            next: &[0, 5, 2, 3],
            before: Some(1),
            after: Some(1),
        },
        Case {
            name: "has lost its new key",
            held: &[1],
            next: &[0, 5, 2, 3],
            before: Some(1),
            after: None,
        },
    ];
    for case in cases {
        let next = set(1, case.next);
        let mut s = first(case.held);
        assert_eq!(
            s.engine.status().me,
            case.before.map(index),
            "{}",
            case.name
        );
        take(&mut s, &FIRST, &set(0, &FIRST), &next);
        let status = s.engine.status();
        assert_eq!(status.me, case.after.map(index), "{}", case.name);
        assert_eq!(status.can_sign, case.after.is_some(), "{}", case.name);
        assert_eq!(status.epoch, Epoch::new(1), "{}", case.name);
    }
}

/// Lets the node vote PREPARE and COMMIT at the present height, decided by a set with these keys above
/// one that `below` decided.
fn vote(
    s: &mut Sandbox,
    keys: &[usize],
    present: &ValidatorSet,
    below: &ValidatorSet,
) -> (BlockHeader, Outcome) {
    let header = s.header(0, 1);
    let outcome = outcome_naming(header.height.get() as u8, present);
    let me = s.engine.status().me;
    let all = sets(&[below, present]);
    if me != Some(header.proposer) {
        let proposal = by(keys, pre_prepare(header.clone(), s.contents(1)));
        s.step(verified(proposal, &all));
    }
    s.step(Event::BodyReady {
        header: header.digest(),
    });
    s.step(executed(&header, &outcome));
    for place in (0..keys.len()).filter(|p| Some(index(*p)) != me) {
        s.step(verified(by(keys, prepare(place, 0, &header)), present));
    }
    (header, outcome)
}

fn said(s: &Sandbox, height: u64) -> Vec<Message> {
    let of = |r: &Record| match r {
        Record::Signed(m) if m.height() == Height::new(height) => Some(m.as_ref().clone()),
        _ => None,
    };
    s.journal.0.iter().filter_map(of).collect()
}

#[test]
fn vs_3_votes_are_signed_with_the_key_that_the_set_names() {
    // Validator 1 rotates from key 1 to key 5 and moves to the end.
    let keys = [0, 2, 3, 5];
    let next = set(1, &keys);
    let mut s = first(&[1, 5]);
    take(&mut s, &FIRST, &set(0, &FIRST), &next);
    vote(&mut s, &keys, &next, &set(0, &FIRST));
    let votes = said(&s, 2);
    assert_eq!(votes.len(), 2, "PREPARE and COMMIT: {votes:?}");
    for message in votes {
        assert_eq!(message.signer(), index(3));
        assert_eq!(message.epoch(), Epoch::new(1));
        let verdict = message.verify(chain(), &next, &Ed25519Verifier);
        assert!(verdict.is_ok(), "{verdict:?}");
    }
}

#[test]
fn vs_3_the_order_of_primaries_goes_on_modulo_the_new_set() {
    let mut s = first(&[1]);
    // The first view of height 1 has failed: the order goes on from place 1.
    let mut header = s.header(1, 1);
    header.view = View::new(1);
    let five = [0, 1, 2, 3, 4];
    let (old, next) = (set(0, &FIRST), set(1, &five));
    let outcome = outcome_naming(1, &next);
    let mut c = certificate(1, &header, &outcome, &[0, 2, 3]);
    c.view = View::new(1);
    let block = Sealed {
        header: header.clone(),
        outcome: outcome.clone(),
        certificate: c,
    };
    let block = block.verify(chain(), &old, &Ed25519Verifier).unwrap();
    s.step(Event::Sealed(Box::new(block)));
    s.step(executed(&header, &outcome));
    s.step(told(&header, &next));
    let primary = |s: &Sandbox, view| s.engine.primary(View::new(view));
    assert_eq!(primary(&s, 0), index(1));
    assert_eq!(primary(&s, 3), index(4), "five take turns");
    assert_eq!(primary(&s, 4), index(0));
}

#[test]
fn vs_3_quorums_are_those_of_the_new_set() {
    // Of seven five decide, of four three.
    let keys = [0, 1, 2, 3, 4, 5, 6];
    let next = set(1, &keys);
    let mut s = first(&[1]);
    take(&mut s, &FIRST, &set(0, &FIRST), &next);
    let (header, outcome) = vote(&mut s, &keys, &next, &set(0, &FIRST));
    for place in [2, 3, 4] {
        s.step(verified(
            by(&keys, commit(place, 0, &header, &outcome)),
            &next,
        ));
    }
    assert_eq!(s.engine.head().height(), Height::new(1), "four of seven");
    s.step(verified(by(&keys, commit(5, 0, &header, &outcome)), &next));
    assert_eq!(s.engine.head().height(), Height::new(2), "five of seven");
}

#[test]
fn vs_3_whoever_left_follows_and_signs_nothing() {
    let keys = [0, 2, 3, 4];
    let (old, next) = (set(0, &FIRST), set(1, &keys));
    let mut s = first(&[1]);
    take(&mut s, &FIRST, &old, &next);
    let header = s.header(0, 1);
    let proposal = by(&keys, pre_prepare(header.clone(), s.contents(1)));
    s.step(verified(proposal, &sets(&[&old, &next])));
    s.step(Event::BodyReady {
        header: header.digest(),
    });
    let (header, outcome) = (header.clone(), outcome_naming(2, &next));
    s.step(executed(&header, &outcome));
    for place in [0, 1, 2, 3] {
        s.step(verified(by(&keys, prepare(place, 0, &header)), &next));
    }
    s.advance(60_000);
    s.step(s.timer(TimerKind::View, 2, 0));
    s.step(Event::WorkChanged { pending: true });
    assert_eq!(said(&s, 2), []);
    // It goes on committing what the others decide.
    for place in [0, 1, 3] {
        s.step(verified(
            by(&keys, commit(place, 0, &header, &outcome)),
            &next,
        ));
    }
    assert_eq!(s.engine.head().height(), Height::new(2));
    // Back in a later set, it votes.
    let back = set(2, &[0, 1, 2, 3]);
    take(&mut s, &keys, &next, &back);
    assert_eq!(s.engine.status().me, Some(index(1)));
    vote(&mut s, &FIRST, &back, &next);
    assert_eq!(said(&s, 4).len(), 2);
}

#[test]
fn vs_4_what_is_said_in_another_epoch_has_no_effect() {
    // Key 3 has been removed; the first set is otherwise the same and all of its keys are abused.
    let keys = [0, 1, 2, 4];
    let (old, next) = (set(0, &FIRST), set(1, &keys));
    let both = sets(&[&old, &next]);
    let refused = |kind: &str| {
        vec![format!(
            "refused {kind}: it is of another epoch than the validator set of its height"
        )]
    };
    let mut s = first(&[1]);
    take(&mut s, &FIRST, &old, &next);
    let mut header = s.header(0, 1);
    header.epoch = Epoch::ZERO;
    let outcome = outcome_naming(2, &next);
    let proposal = pre_prepare(header.clone(), s.contents(1));
    assert_eq!(s.step(verified(proposal, &both)), refused("pre-prepare"));
    for place in FIRST {
        let message = prepare(place, 0, &header);
        assert_eq!(s.step(verified(message, &both)), refused("prepare"));
        let message = commit(place, 0, &header, &outcome);
        assert_eq!(s.step(verified(message, &both)), refused("commit"));
        let message = Message::ViewChange(view_change(place, 2, 1, None));
        assert_eq!(s.step(verified(message, &both)), refused("view-change"));
    }
    let block = sealed(&FIRST, &header, &outcome, &both).unwrap();
    assert_eq!(s.step(block), refused("sealed block"));
    // Nor does a quorum of it make a fork of the height that it did not decide.
    take(&mut s, &keys, &next, &next);
    let block = sealed(&FIRST, &header, &outcome, &both).unwrap();
    assert_eq!(s.step(block), refused("sealed block"));
    let late = prepare(0, 0, &header);
    assert_eq!(s.step(verified(late, &both)), refused("prepare"));
    assert_eq!(s.engine.status().halted, None);
    assert_eq!(said(&s, 2), []);
    // A certificate of the old set for the block below stands in no proposal.
    let below = s.engine.head().clone();
    let mut forged = certificate(0, &below.header, &below.outcome, &[0, 2, 3]);
    forged.epoch = Epoch::ZERO;
    let mut header = s.header(0, 1);
    let mut contents = s.contents(1);
    forged = resealed(forged);
    header.parent_commit = forged.digest();
    contents.parent_certificate = forged;
    let proposal = by(&keys, pre_prepare(header, contents));
    let words = s.step(verified(proposal, &both));
    let expect = "refused pre-prepare: its header does not fit the chain: parent_commit";
    assert!(words.contains(&expect.to_owned()), "{words:?}");
}

/// The same certificate signed by the first set, as of its epoch.
fn resealed(mut c: certchain_proto::CommitCertificate) -> certchain_proto::CommitCertificate {
    let hash = c.vote(chain()).signing_hash();
    for signature in &mut c.signatures {
        let signer = key(FIRST[usize::from(signature.validator.get())]);
        signature.signature = signer.sign(&hash);
    }
    c
}

#[test]
fn vs_4_a_certificate_of_another_epoch_decides_nothing_by_a_later_proposal() {
    // Height 2 is the second set's. A quorum of the first one certifies a block of it all the same,
    // and a member of the second proposes on top.
    let keys = [0, 1, 2, 4];
    let (old, next) = (set(0, &FIRST), set(1, &keys));
    let both = sets(&[&old, &next]);
    let mut s = first(&[1]);
    take(&mut s, &FIRST, &old, &next);
    let mut false_block = s.header(0, 1);
    false_block.epoch = Epoch::ZERO;
    let forged = certificate(0, &false_block, &outcome(7), &[0, 2, 3]);
    let mut above = s.header(0, 1);
    above.height = Height::new(3);
    above.parent = forged.block_id();
    above.parent_commit = forged.digest();
    above.parent_view = forged.view;
    let mut contents = s.contents(1);
    contents.parent_certificate = forged;
    let proposal = by(&keys, pre_prepare(above, contents));
    s.step(verified(proposal, &both));
    assert!(!s.engine.status().decided);
    assert_eq!(s.engine.status().halted, None);
}

#[test]
fn vs_4_a_proposal_carries_the_certificate_of_the_set_before() {
    let keys = [4, 5, 6, 7, 8];
    let (old, next) = (set(0, &FIRST), set(1, &keys));
    let mut s = first(&[5]);
    take(&mut s, &FIRST, &old, &next);
    let header = s.header(0, 1);
    let proposal = by(&keys, pre_prepare(header.clone(), s.contents(1)));
    let only = proposal
        .clone()
        .verify(chain(), &next, &Ed25519Verifier)
        .map(|_| ());
    let unknown = Invalid::Epoch {
        expected: Epoch::new(1),
        actual: Epoch::ZERO,
    };
    assert_eq!(only, Err(unknown), "one who forgot the set below");
    let words = s.step(verified(proposal.clone(), &sets(&[&old, &next])));
    assert!(words.contains(&"body 2".to_owned()), "{words:?}");
    // It must be signed by a quorum of that set, and be of the epoch before at the earliest.
    let Message::PrePrepare(mut m) = proposal else {
        unreachable!()
    };
    m.contents.parent_certificate.signatures.truncate(2);
    m.header.parent_commit = m.contents.parent_certificate.digest();
    let weak = by(&keys, Message::PrePrepare(m.clone()));
    let verdict = weak.verify(chain(), &sets(&[&old, &next]), &Ed25519Verifier);
    let few = CertificateError::Quorum {
        needed: 3,
        actual: 2,
    };
    assert_eq!(verdict.map(|_| ()), Err(few.into()));
    let later = set(2, &keys);
    m.header.epoch = Epoch::new(2);
    let early = by(&keys, Message::PrePrepare(m));
    let verdict = early.verify(chain(), &sets(&[&old, &next, &later]), &Ed25519Verifier);
    assert_eq!(verdict.map(|_| ()), Err(Invalid::OtherCertificate));
}

#[test]
fn vs_5_what_was_kept_under_the_old_set_is_dropped() {
    let keys = [0, 1, 2, 4];
    let (old, next) = (set(0, &FIRST), set(1, &keys));
    let mut s = first(&[1]);
    let mut early = s.header(0, 1);
    early.height = Height::new(2);
    // Place 3 is another's in the new set; one vote too many would make a quorum.
    for place in [0, 2, 3] {
        assert_eq!(
            s.hear(commit(place, 0, &early, &outcome(1)))
                .iter()
                .filter(|w| w.starts_with("refused"))
                .count(),
            0
        );
    }
    let header = s.header(0, 1);
    let result = outcome_naming(1, &next);
    s.step(sealed(&FIRST, &header, &result, &old).unwrap());
    s.step(executed(&header, &result));
    let words = s.step(told(&header, &next));
    let dropped = "refused commit: it is of another epoch than the validator set of its height";
    assert_eq!(
        words.iter().filter(|w| *w == dropped).count(),
        3,
        "{words:?}"
    );
    assert!(!s.engine.status().decided);
    assert_eq!(s.engine.load().ahead_messages, 0);
}

#[test]
fn vs_6_a_laggard_of_an_earlier_set_is_sent_the_block() {
    let keys = [0, 1, 2, 4];
    let (old, next) = (set(0, &FIRST), set(1, &keys));
    let both = sets(&[&old, &next]);
    let mut s = first(&[1]);
    take(&mut s, &FIRST, &old, &next);
    take(&mut s, &keys, &next, &next);
    // It was removed and does not know it.
    let request = Message::ViewChange(view_change(3, 1, 1, None));
    let words = s.step(verified(request, &both));
    assert_eq!(words[0], "give 1 to 3");
    // The member at the same place of the present set is another one, with a pause of its own.
    let mut request = view_change(3, 2, 1, None);
    request.vote.epoch = Epoch::new(1);
    let request = by(&keys, Message::ViewChange(request));
    let words = s.step(verified(request.clone(), &both));
    assert_eq!(words[0], "give 2 to 3 of epoch 1");
    let words = s.step(verified(request, &both));
    assert!(
        !words[0].starts_with("give"),
        "not at once again: {words:?}"
    );
}

#[test]
fn vs_6_a_follower_answers_too() {
    let (old, next) = (set(0, &FIRST), set(1, &[0, 2, 3, 4]));
    let mut s = first(&[1]);
    take(&mut s, &FIRST, &old, &next);
    assert_eq!(s.engine.status().me, None);
    let request = Message::ViewChange(view_change(2, 1, 1, None));
    assert_eq!(s.step(verified(request, &old))[0], "give 1 to 2");
    // What a place of the old set said that is ours no longer is not our own word.
    let request = Message::ViewChange(view_change(1, 1, 1, None));
    assert_eq!(s.step(verified(request, &old))[0], "give 1 to 1");
}

#[test]
fn vs_7_a_later_epoch_makes_us_ask() {
    let mut s = first(&[1]);
    s.advance(5_000);
    let later = |epoch| Event::LaterEpoch {
        epoch: Epoch::new(epoch),
    };
    assert!(s.step(later(0)).is_empty(), "ours");
    assert_eq!(s.step(later(3)), ["fetch 1"]);
    assert!(s.step(later(4)).is_empty(), "once is enough for a while");
    s.advance(1_000);
    assert_eq!(s.step(later(4)), ["fetch 1"]);
}

#[test]
fn s_4_sealed_blocks_of_many_sets_are_taken_one_after_the_other() {
    let members: [&[usize]; 5] = [
        &FIRST,
        &[0, 1, 2, 4],
        &[4, 5, 6, 7, 8],
        &[9, 8, 7, 6],
        &[9, 8, 7, 6, 5, 4, 3],
    ];
    let mut s = first(&[]);
    for (epoch, keys) in members.iter().enumerate() {
        let epoch = epoch as u64;
        let present = set(epoch, keys);
        let after = members.get(epoch as usize + 1);
        let next = after.map_or(present.clone(), |keys| set(epoch + 1, keys));
        // By the set of that height and no other.
        let header = s.header(0, 1);
        let outcome = outcome_naming(header.height.get() as u8, &next);
        let known = sealed(keys, &header, &outcome, &next);
        assert_eq!(known.is_err(), next != present);
        take(&mut s, keys, &present, &next);
    }
    assert_eq!(s.engine.head().height(), Height::new(5));
    assert_eq!(s.engine.status().epoch, Epoch::new(4));
    assert!(s.journal.0.is_empty(), "a follower promises nothing");
}

#[test]
fn r_1_a_restart_at_any_moment_around_a_change_goes_on_as_promised() {
    // Validator 1 moves to place 3 with another key.
    let keys = [0, 2, 3, 5];
    let (old, next) = (set(0, &FIRST), set(1, &keys));
    let (mut s, first_header, result) = prepared_naming(&next);
    s.step(executed(&first_header, &result));
    s.step(told(&first_header, &next));
    let mut moments = vec![("before the decision", s.journal.0.len())];
    // That one holds key 1 only; the same node with both keys:
    let mut s = node(&[1, 5], genesis(), old.clone(), s.journal.0.clone());
    for i in [0, 2] {
        s.hear(commit(i, 0, &first_header, &result));
    }
    s.step(Event::BodyReady {
        header: first_header.digest(),
    });
    s.step(executed(&first_header, &result));
    s.step(told(&first_header, &next));
    assert_eq!(s.engine.status().epoch, Epoch::new(1));
    moments.push(("after the decision", s.journal.0.len()));
    let head = s.engine.head().clone();
    let (second, outcome_2) = vote(&mut s, &keys, &next, &set(0, &FIRST));
    moments.push(("after votes in the new epoch", s.journal.0.len()));
    let records = s.journal.0.clone();
    let votes = said(&s, 2);
    assert_eq!(votes.len(), 2);

    for (name, count) in moments {
        let kept = records[..count].to_vec();
        let spoken: Vec<Message> = votes
            .iter()
            .filter(|v| kept.contains(&Record::Signed(Box::new((*v).clone()))))
            .cloned()
            .collect();
        // The ledger does not hold the block that changes the set: it is decided again.
        let mut s = node(&[1, 5], genesis(), old.clone(), kept.clone());
        assert_eq!(s.engine.status().me, Some(index(1)), "{name}");
        assert_eq!(said(&s, 1).len(), 2, "{name}: nothing is signed anew");
        let block = Sealed {
            header: first_header.clone(),
            outcome: result.clone(),
            certificate: head.certificate.clone(),
        };
        let block = block.verify(chain(), &old, &Ed25519Verifier).unwrap();
        s.step(Event::Sealed(Box::new(block)));
        s.step(executed(&first_header, &result));
        s.step(told(&first_header, &next));
        assert_eq!(s.engine.status().me, Some(index(3)), "{name}");
        vote(&mut s, &keys, &next, &set(0, &FIRST));
        assert_eq!(said(&s, 2), votes, "{name}: promises of height 2 are kept");
        // The ledger holds it: the engine starts with the new set.
        let mut s = node(&[1, 5], head.clone(), next.clone(), kept);
        assert_eq!(s.engine.status().me, Some(index(3)), "{name}");
        assert_eq!(said(&s, 2), spoken, "{name}");
        vote(&mut s, &keys, &next, &set(0, &FIRST));
        assert_eq!(said(&s, 2), votes, "{name}: promises of height 2 are kept");
        for place in [0, 1] {
            let vote = by(&keys, commit(place, 0, &second, &outcome_2));
            s.step(verified(vote, &next));
        }
        assert_eq!(s.engine.head().height(), Height::new(2), "{name}");
    }
}

#[test]
fn r_5_a_set_that_the_last_block_does_not_name_stops_the_start() {
    let start = |validators| {
        let config = EngineConfig {
            chain: chain(),
            validators,
            params: params(),
        };
        let recovered = Recovered {
            head: genesis(),
            records: Vec::new(),
        };
        Engine::new(config, recovered, Box::new(KeySigner::default())).map(|_| ())
    };
    assert_eq!(start(set(0, &FIRST)), Ok(()));
    for wrong in [set(1, &FIRST), set(0, &[0, 1, 2, 4])] {
        assert_eq!(start(wrong), Err(StartError::OtherValidators));
    }
}

#[test]
fn j_5_promises_of_a_height_are_of_its_one_epoch() {
    let header = first(&[1]).header(0, 1);
    let mut other = header.clone();
    other.epoch = Epoch::new(1);
    let start = |records: Vec<Record>| {
        let config = EngineConfig {
            chain: chain(),
            validators: set(0, &FIRST),
            params: params(),
        };
        let recovered = Recovered {
            head: genesis(),
            records,
        };
        Engine::new(config, recovered, Box::new(KeySigner::new(new_key(1)))).map(|_| ())
    };
    let signed = |header: &BlockHeader| Record::Signed(Box::new(prepare(1, 0, header)));
    assert_eq!(start(vec![signed(&header)]), Ok(()));
    let height = Height::new(1);
    let expected = StartError::OtherEpoch {
        height,
        promised: Epoch::new(1),
        set: Epoch::ZERO,
    };
    assert_eq!(start(vec![signed(&other)]), Err(expected));
    let mixed = StartError::Journal(JournalFault::TwoEpochs { height });
    for later in [
        signed(&other),
        Record::Header(Box::new(other.clone())),
        Record::Prepared(Box::new(crate::sandbox::prepared(0, &other, &[0, 1, 2]))),
    ] {
        assert_eq!(start(vec![signed(&header), later]), Err(mixed.clone()));
    }
    // A height that opens later is found out then.
    other.height = Height::new(2);
    let mut s = node(&[1], genesis(), set(0, &FIRST), vec![signed(&other)]);
    let header = s.header(0, 1);
    let old = set(0, &FIRST);
    s.step(sealed(&FIRST, &header, &outcome(1), &old).unwrap());
    let words = s.step(executed(&header, &outcome(1)));
    assert!(words.contains(&"halt invariant".to_owned()), "{words:?}");
}

#[test]
fn r_4_the_notice_is_asked_of_members_and_again_when_a_set_gives_a_place() {
    let nonce = Record::Amnesia { nonce: [7; 32] };
    let notice = |words: &[String]| words.contains(&"notice".to_owned());
    let old = set(0, &FIRST);
    // Who is outside asks for nothing, and still signs nothing when it comes in.
    let outside = node(&[5], genesis(), old.clone(), vec![nonce.clone()]);
    let asked = outside.actions.iter();
    let is_notice = |a: &Action| matches!(a, Action::SubmitRestartNotice { .. });
    assert_eq!(asked.filter(|a| is_notice(a)).count(), 0);
    for (held, next) in [
        (vec![5], vec![0, 1, 2, 5]),
        (vec![1, 5], vec![0, 5, 2, 3]),
        (vec![1], vec![3, 2, 1, 0]),
    ] {
        let mut s = node(&held, genesis(), old.clone(), vec![nonce.clone()]);
        let header = s.header(0, 1);
        let set = set(1, &next);
        let outcome = outcome_naming(1, &set);
        s.step(sealed(&FIRST, &header, &outcome, &old).unwrap());
        s.step(executed(&header, &outcome));
        assert!(notice(&s.step(told(&header, &set))), "{held:?} {next:?}");
        assert!(s.engine.status().me.is_some() && !s.engine.status().can_sign);
        vote(&mut s, &next, &set, &old);
        assert_eq!(said(&s, 2), [], "{held:?} {next:?}");
        // It clears as ever, also after the change.
        let words = s.step(Event::AmnesiaCleared {
            height: Height::new(1),
        });
        assert!(words.contains(&"keep cleared 1".to_owned()), "{words:?}");
        assert!(s.engine.status().can_sign);
    }
    // Who left and has lost nothing votes at once when it is back.
    let mut s = first(&[1]);
    let away = set(1, &[0, 2, 3, 4]);
    take(&mut s, &FIRST, &old, &away);
    let records = s.journal.0.clone();
    let mut s = node(&[1], s.engine.head().clone(), away.clone(), records);
    take(&mut s, &[0, 2, 3, 4], &away, &set(2, &FIRST));
    assert!(s.engine.status().can_sign);
}
