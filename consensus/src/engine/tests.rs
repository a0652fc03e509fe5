//! What no message from outside brings about: J-2, the one place that signs refuses by itself,
//! whatever its callers have checked; and the bound of what is remembered of the last height.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use certchain_proto::{
    CommitCertificate, Epoch, Outcome, SecretKey, Validator,
    hash::{ReceiptsRoot, StateRoot},
};

use super::{
    fixtures::{CHAIN, HEIGHT, header, statements, validator},
    *,
};
use crate::{limits::MAX_LATE_STATEMENTS, signer::KeySigner};

/// Validator 1 of four at height 1, in view 2.
fn engine(me: Option<u16>, open: bool, records: Vec<Record>) -> Engine {
    let key = |i: u16| SecretKey::from_seed(&[i as u8 + 1; 32]);
    let members = (0..4)
        .map(|i| Validator {
            vote_key: key(i).public().clone(),
            network_key: [i as u8; 32],
        })
        .collect();
    let validators = ValidatorSet::new(Epoch::ZERO, members).unwrap();
    let mut header = header(0, 0);
    header.height = Height::ZERO;
    let outcome = Outcome {
        state_root: StateRoot::ZERO,
        receipts_root: ReceiptsRoot::ZERO,
        next_validators: validators.digest(),
    };
    let config = EngineConfig {
        chain: CHAIN,
        validators,
        params: Params::default(),
    };
    let head = Head {
        certificate: CommitCertificate::genesis(header.digest(), outcome.digest()),
        header,
        outcome,
        previous_view: View::ZERO,
    };
    let signer = Box::new(me.map_or_else(KeySigner::default, |me| KeySigner::new(key(me))));
    let mut engine = Engine::new(config, Recovered { head, records }, signer).unwrap();
    engine.round.move_to(View::new(2), open);
    engine
}

/// Whether the engine signs this; if not, it must have halted by this rule.
fn signs(mut engine: Engine, statement: &Statement, refused_by: &str) -> bool {
    if engine.sign(statement).is_some() {
        assert_eq!(engine.halted, None);
        return true;
    }
    match engine.halted {
        Some(HaltReason::Invariant { rule, .. }) => assert_eq!(rule, refused_by, "{statement:?}"),
        other => panic!("{statement:?}: {other:?}"),
    }
    false
}

#[test]
fn j_2_each_phase_has_its_views() {
    const TURN: &str = "J-2: signing out of turn";
    for open in [true, false] {
        for view in 1..=3 {
            let expected = [
                open && view == 2,
                open && view == 2,
                open && view == 2,
                view == 3,
                !open && view == 2,
            ];
            let said = statements(HEIGHT, view)
                .map(|s| signs(engine(Some(1), open, Vec::new()), &s, TURN));
            assert_eq!(said, expected, "view {view}, open {open}");
        }
        for height in [Height::ZERO, HEIGHT.next()] {
            for view in 1..=3 {
                let said = statements(height, view)
                    .map(|s| signs(engine(Some(1), open, Vec::new()), &s, TURN));
                assert_eq!(said, [false; 5], "height {height}, view {view}");
            }
        }
    }
}

#[test]
fn j_2_no_slot_is_signed_twice() {
    for statement in statements(HEIGHT, 2) {
        let open = !matches!(statement, Statement::NewView(_));
        let statement = match statement {
            // The request for a later view is said in that view.
            Statement::ViewChange(_) => statements(HEIGHT, 3)[3],
            other => other,
        };
        let slot = statement.slot();
        let mut again = engine(Some(1), open, Vec::new());
        let said = Arc::new(fixtures::prepare(2));
        again.round.own.insert((slot.view, slot.phase), said);
        assert!(!signs(again, &statement, "J-2: signing a slot twice"));
    }
}

#[test]
fn r_2_r_4_the_silent_sign_nothing() {
    let floor = Record::Sealed { height: HEIGHT };
    let amnesia = Record::Amnesia { nonce: [1; 32] };
    let cases = [
        (None, Vec::new()),
        (Some(1), vec![floor]),
        (Some(1), vec![amnesia]),
    ];
    for (me, records) in cases {
        for statement in statements(HEIGHT, 2) {
            let silent = engine(me, true, records.clone());
            assert!(!signs(silent, &statement, "J-2: signing while silent"));
        }
    }
}

#[test]
fn s_1_late_statements_are_forgotten_when_there_are_too_many() {
    let mut engine = engine(Some(1), true, Vec::new());
    let mut note = |view| {
        let new = engine.note_late(validator(3), Phase::Commit, View::new(view));
        (new, engine.late.len())
    };
    assert_eq!(note(1), (true, 1));
    assert_eq!(note(1), (false, 1), "a repeat");
    for view in 2..=MAX_LATE_STATEMENTS as u32 {
        assert_eq!(note(view), (true, view as usize));
    }
    assert_eq!(note(u32::MAX), (true, MAX_LATE_STATEMENTS));
}

/// Validator 2, primary of view 2, which it has asked for like validators 0 and 1.
fn asked_to_open(records: Vec<Record>) -> Engine {
    let mut engine = engine(Some(2), false, records);
    for place in 0..3 {
        let request = fixtures::view_change(place, 2);
        let (signer, view) = (request.signer, request.vote.view);
        engine.round.changes.insert(signer, view, request);
    }
    engine
}

#[test]
fn nv_1_who_opens_a_view_and_when() {
    type Change = fn(&mut Engine);
    let cases: [(&str, Change, bool); 6] = [
        ("its primary on a quorum", |_| {}, true),
        ("it is open", |e| e.round.open = true, false),
        ("another's", |e| e.me = Some(validator(1)), false),
        (
            "two ask",
            |e| e.round.changes.remove(validator(0), View::new(2)),
            false,
        ),
        (
            "the height is settled",
            |e| {
                let header = header(0, 1);
                let candidate = round::Candidate::known_by_header(header.clone(), Vec::new());
                e.round.add_candidate(header.digest(), candidate);
                e.round.decided = Some(fixtures::decided(&header));
            },
            false,
        ),
        (
            "it has done so",
            |e| {
                let opening = fixtures::new_view(2, 2);
                e.round
                    .new_views
                    .insert(opening.signer, opening.view, opening);
            },
            false,
        ),
    ];
    for (name, change, expected) in cases {
        let mut engine = asked_to_open(Vec::new());
        change(&mut engine);
        assert_eq!(engine.open_view(), expected, "{name}");
        assert_eq!(engine.halted, None, "{name}");
    }
    let mut silent = asked_to_open(vec![Record::Amnesia { nonce: [1; 32] }]);
    assert!(!silent.open_view());
    assert_eq!(silent.halted, None);
}

#[test]
fn vc_1_who_asks_for_a_later_view_and_when() {
    let asks = |mut engine: Engine, view| {
        engine.start_view_change(View::new(view));
        assert_eq!(engine.halted, None);
        !engine.round.own.is_empty()
    };
    for open in [true, false] {
        let voter = || engine(Some(1), open, Vec::new());
        assert!(asks(voter(), 3) && asks(voter(), 9));
        assert!(!asks(voter(), 2) && !asks(voter(), 1));
        assert!(!asks(engine(None, open, Vec::new()), 3), "a follower");
        let amnesia = vec![Record::Amnesia { nonce: [1; 32] }];
        assert!(!asks(engine(Some(1), open, amnesia), 3), "an amnesiac");
        let mut settled = voter();
        let header = header(0, 1);
        let candidate = round::Candidate::known_by_header(header.clone(), Vec::new());
        settled.round.add_candidate(header.digest(), candidate);
        settled.round.decided = Some(fixtures::decided(&header));
        assert!(!asks(settled, 3), "the height is settled");
    }
}

#[test]
fn pp_3_a_view_that_takes_no_fresh_block_takes_none() {
    for fresh in [true, false] {
        let mut engine = engine(Some(1), true, Vec::new());
        engine.round.fresh = fresh;
        let mut header = header(2, 0);
        header.parent = engine.head.id();
        header.time_ms = TimeMs::new(1);
        header.tx_count = 1;
        let proposal = fixtures::pre_prepare(header, 1);
        let (primary, view) = (validator(2), View::new(2));
        engine.round.proposals.insert(primary, view, proposal);
        assert_eq!(engine.accept_proposal(), fresh);
        assert!(engine.round.proposals.get(primary, view).is_some());
        assert!(engine.out.rejections().is_empty());
    }
}
