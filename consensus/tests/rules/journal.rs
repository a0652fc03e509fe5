//! J and R.

use std::collections::BTreeMap;

use certchain_consensus::{
    Event, Journal, JournalError, Message, Promises, Record, StartError, TimerKind,
    journal::JournalFault,
};
use certchain_proto::{BlockHeader, Height, View};

use crate::sandbox::{
    Kept, Sandbox, commit, genesis, new_view, outcome, prepare, prepared, view_change,
};

struct Full;

impl Journal for Full {
    fn append(&mut self, _: &[Record]) -> Result<(), JournalError> {
        Err(JournalError::NoRoom { needed: 1 })
    }
}

/// Runs until our COMMIT in view 0 is out.
fn committed(me: usize) -> Sandbox {
    let mut sandbox = Sandbox::new(me);
    let header = sandbox.header(0, 1);
    sandbox.prepare_own(&header);
    for i in 0..4 {
        sandbox.hear(prepare(i, 0, &header));
    }
    sandbox
}

#[test]
fn j_1_nothing_leaves_before_the_journal_has_it() {
    let mut sandbox = Sandbox::new(1);
    let header = sandbox.header(0, 1);
    sandbox.hear(sandbox.pre_prepare(&header));
    let now = certchain_proto::TimeMs::new(sandbox.now);
    let out = sandbox.engine.step(
        now,
        Event::BodyReady {
            header: header.digest(),
        },
    );
    assert!(out.needs_sync());
    let error = out.commit(&mut Full).expect_err("no room");
    assert_eq!(error.source, JournalError::NoRoom { needed: 1 });
    // With room the same output, and what followed it, leaves in order.
    let mut held = *error.output;
    let outcome = outcome(1);
    held.join(sandbox.engine.step(
        now,
        Event::Executed {
            header: header.digest(),
            outcome,
        },
    ));
    let mut kept = Kept::default();
    let actions = held.commit(&mut kept).expect("room");
    assert_eq!(kept.0.len(), 2, "header and PREPARE: {:?}", kept.0);
    assert!(!actions.is_empty());
}

#[test]
fn j_2_r_1_a_restart_repeats_and_never_signs_anew() {
    let before = committed(1);
    let header = before.header(0, 1);
    let sent: Vec<Record> = before.journal.0.clone();
    let mut after = Sandbox::unstarted(Some(1), 4, genesis(), sent.clone());
    let words = after.start();
    let expect = [
        "fetch 1",
        "all prepare 1/0",
        "all commit 1/0",
        "body 1 by header again",
    ];
    assert_eq!(crate::without_timers(&words, &expect), expect);
    for action in &after.actions {
        if let certchain_consensus::Action::Broadcast(m) = action {
            let same =
                |r: &Record| matches!(r, Record::Signed(kept) if kept.as_ref() == m.as_ref());
            assert!(sent.iter().any(same), "{m:?} was not said before");
        }
    }
    // Everything comes again; nothing is signed.
    after.step(Event::BodyReady {
        header: header.digest(),
    });
    after.step(Event::Executed {
        header: header.digest(),
        outcome: outcome(1),
    });
    after.hear(after.pre_prepare(&header));
    for i in [0, 2, 3] {
        after.hear(prepare(i, 0, &header));
    }
    assert_eq!(after.journal.0, sent);
    // And the decision needs only two more.
    after.hear(commit(0, 0, &header, &outcome(1)));
    let words = after.hear(commit(3, 0, &header, &outcome(1)));
    assert!(words.contains(&"commit 1".to_owned()), "{words:?}");
}

#[test]
fn r_1_another_proposal_after_a_restart_gets_no_vote() {
    let before = committed(1);
    let mut after = Sandbox::with(Some(1), 4, genesis(), before.journal.0.clone());
    let other = after.header(0, 2);
    after.hear(after.pre_prepare(&other));
    let words = after.step(Event::BodyReady {
        header: other.digest(),
    });
    assert_eq!(
        words,
        ["refused body: an answer of the node to no open request"]
    );
}

#[test]
fn c_2_the_lock_on_an_outcome_survives_restart_and_view() {
    let before = committed(3);
    let header = before.header(0, 1);
    let mut after = Sandbox::with(Some(3), 4, genesis(), before.journal.0.clone());
    let requests = [
        view_change(0, 1, 1, Some(prepared(0, &header, &[0, 1, 2]))),
        view_change(1, 1, 1, None),
        view_change(2, 1, 1, None),
    ];
    after.hear(Message::NewView(new_view(1, &requests)));
    after.step(Event::BodyReady {
        header: header.digest(),
    });
    for i in [0, 1, 2] {
        after.hear(prepare(i, 1, &header));
    }
    let executed = Event::Executed {
        header: header.digest(),
        outcome: outcome(2),
    };
    assert_eq!(after.step(executed), ["halt own outcome"]);
}

#[test]
fn r_1_the_promise_of_a_view_change_survives() {
    let mut before = Sandbox::new(3);
    let header = before.header(0, 1);
    before.hear(before.pre_prepare(&header));
    before.step(before.timer(TimerKind::View, 1, 0));
    let mut after = Sandbox::unstarted(Some(3), 4, genesis(), before.journal.0.clone());
    let words = after.start();
    let expect = ["fetch 1", "all view-change 1/1"];
    assert_eq!(crate::without_timers(&words, &expect), expect);
    let words = after.hear(after.pre_prepare(&header));
    assert_eq!(words, ["refused pre-prepare: its view is over"]);
    assert!(!after.engine.status().open);
}

/// A node that entered view 1 by its NEW-VIEW and heard a quorum's PREPAREs there before it had the
/// body: what it then writes begins with the certificate.
fn prepared_in_view_1_before_its_own_vote() -> (Sandbox, BlockHeader) {
    let mut sandbox = Sandbox::new(3);
    let header = sandbox.header(0, 1);
    let certificate = prepared(0, &header, &[0, 1, 2]);
    let requests = [0, 1, 2].map(|i| view_change(i, 1, 1, Some(certificate.clone())));
    sandbox.hear(Message::NewView(new_view(1, &requests)));
    for i in [0, 1, 2] {
        sandbox.hear(prepare(i, 1, &header));
    }
    (sandbox, header)
}

/// What must be possible after a restart with a prepared certificate of view 1 and nothing said
/// there: the view is open, its block is the certificate's, and it can be voted for and left.
fn goes_on_in_view_1(records: Vec<Record>, header: &BlockHeader) {
    let digest = header.digest();
    let mut after = Sandbox::with(Some(3), 4, genesis(), records.clone());
    let status = after.engine.status();
    assert_eq!(status.halted, None);
    assert_eq!((status.view, status.open), (View::new(1), true));
    // Another block gets no vote in that view, whoever proposes it.
    after.hear(after.pre_prepare(&after.header(1, 2)));
    after.step(Event::BodyReady { header: digest });
    let words = after.step(Event::Executed {
        header: digest,
        outcome: outcome(1),
    });
    assert!(after.journal.0.iter().any(|r| matches!(r, Record::Signed(m)
        if matches!(m.as_ref(), Message::Prepare(p) if p.vote.header == digest && p.vote.view == View::new(1)))));
    for i in [0, 1, 2] {
        after.hear(prepare(i, 1, header));
    }
    assert!(
        after.journal.0.iter().any(|r| matches!(r, Record::Signed(m)
        if matches!(m.as_ref(), Message::Commit(c) if c.vote.view == View::new(1)))),
        "{words:?}"
    );
    // Without anything more it gives the view up in time, and says on what it stands.
    let mut silent = Sandbox::with(Some(3), 4, genesis(), records);
    let words = silent.step(silent.timer(TimerKind::View, 1, 1));
    assert!(
        words.contains(&"all view-change 1/2".to_owned()),
        "{words:?}"
    );
}

#[test]
fn r_1_a_write_torn_after_the_prepared_certificate_stops_nobody() {
    let (mut before, header) = prepared_in_view_1_before_its_own_vote();
    let words = before.step(Event::BodyReady {
        header: header.digest(),
    });
    let written = ["keep prepared 1/1", "keep header 1", "keep prepare 1/1"];
    assert_eq!(words[..3], written);
    for torn in 1..written.len() {
        goes_on_in_view_1(before.journal.0[..torn].to_vec(), &header);
    }
}

#[test]
fn r_1_r_4_a_certificate_of_an_amnesiac_stops_nobody() {
    let nonce = [5; 32];
    let mut before = Sandbox::with(Some(3), 4, genesis(), vec![Record::Amnesia { nonce }]);
    let header = before.header(0, 1);
    let certificate = prepared(0, &header, &[0, 1, 2]);
    let requests = [0, 1, 2].map(|i| view_change(i, 1, 1, Some(certificate.clone())));
    before.hear(Message::NewView(new_view(1, &requests)));
    for i in [0, 1, 2] {
        before.hear(prepare(i, 1, &header));
    }
    let words = before.step(Event::AmnesiaCleared {
        height: Height::ZERO,
    });
    assert!(words.contains(&"keep prepared 1/1".to_owned()), "{words:?}");
    goes_on_in_view_1(before.journal.0, &header);
}

#[test]
fn r_1_a_primary_says_its_opening_again() {
    let mut before = Sandbox::new(1);
    for i in [0, 2, 3] {
        before.hear(Message::ViewChange(view_change(i, 1, 1, None)));
    }
    before.step(before.proposal(1, 2));
    let mut after = Sandbox::unstarted(Some(1), 4, genesis(), before.journal.0.clone());
    let words = after.start();
    for expect in [
        "to 0 new-view 1/1",
        "to 0 pre-prepare 1/1",
        "all view-change 1/1",
        "body 1",
    ] {
        assert!(words.contains(&expect.to_owned()), "{expect}: {words:?}");
    }
    assert!(!words.iter().any(|w| w.starts_with("request")), "{words:?}");
}

#[test]
fn r_2_a_ledger_that_lost_its_tail_gets_no_votes_for_it() {
    let records = vec![Record::Sealed {
        height: Height::new(1),
    }];
    let mut sandbox = Sandbox::with(Some(1), 4, genesis(), records);
    assert!(!sandbox.engine.status().can_sign);
    let header = sandbox.header(0, 1);
    sandbox.hear(sandbox.pre_prepare(&header));
    let words = sandbox.step(Event::BodyReady {
        header: header.digest(),
    });
    assert_eq!(words, ["execute 1"]);
    sandbox.step(Event::Executed {
        header: header.digest(),
        outcome: outcome(1),
    });
    for i in [0, 2, 3] {
        sandbox.hear(commit(i, 0, &header, &outcome(1)));
    }
    assert!(
        sandbox.engine.status().can_sign,
        "above the floor votes are cast again"
    );
}

#[test]
fn r_3_a_head_that_the_ledger_lost_is_decided_again_with_the_votes_that_the_journal_has() {
    // Height 1 was decided and voting on height 2 had begun, but the ledger lost height 1.
    let mut before = Sandbox::new(1);
    before.decide_one();
    let second = before.header(0, 1);
    before.prepare_own(&second);
    let mut after = Sandbox::with(Some(1), 4, genesis(), before.journal.0.clone());
    assert_eq!(after.engine.status().height, Height::new(1));
    let first = after.header(0, 1);
    let kept = after.journal.0.len();
    after.step(crate::sandbox::sealed(&first, &outcome(1)));
    let words = after.step(Event::Executed {
        header: first.digest(),
        outcome: outcome(1),
    });
    let expect = ["commit 1", "all prepare 2/0", "body 2 by header again"];
    assert_eq!(crate::without_timers(&words, &expect), expect);
    assert_eq!(
        after.journal.0.len(),
        kept,
        "its PREPARE for height 2 stands"
    );
}

#[test]
fn r_4_an_amnesiac_is_silent_until_its_notice_is_committed() {
    let records = vec![Record::Amnesia { nonce: [5; 32] }];
    let mut sandbox = Sandbox::unstarted(Some(1), 4, genesis(), records);
    let words = sandbox.start();
    assert!(words.contains(&"notice".to_owned()), "{words:?}");
    let header = sandbox.header(0, 1);
    sandbox.hear(sandbox.pre_prepare(&header));
    sandbox.step(Event::WorkChanged { pending: true });
    sandbox.step(Event::BodyReady {
        header: header.digest(),
    });
    sandbox.step(Event::Executed {
        header: header.digest(),
        outcome: outcome(1),
    });
    for i in [0, 2, 3] {
        sandbox.hear(prepare(i, 0, &header));
        sandbox.hear(Message::ViewChange(view_change(i, 1, 1, None)));
    }
    assert_eq!(sandbox.journal.0.len(), 1, "{:?}", sandbox.journal.0);
    for i in [0, 2, 3] {
        sandbox.hear(commit(i, 0, &header, &outcome(1)));
    }
    assert_eq!(
        sandbox.engine.head().height(),
        Height::new(1),
        "it follows what others decide"
    );
    // Notice in block 1: votes from block 2.
    let words = sandbox.step(Event::AmnesiaCleared {
        height: Height::new(1),
    });
    assert!(words.contains(&"keep cleared 1".to_owned()), "{words:?}");
    let second = sandbox.header(0, 1);
    sandbox.hear(sandbox.pre_prepare(&second));
    let words = sandbox.step(Event::BodyReady {
        header: second.digest(),
    });
    assert!(words.contains(&"all prepare 2/0".to_owned()), "{words:?}");
}

#[test]
fn r_5_engines_do_not_start_on_nonsense() {
    let before = committed(1);
    let mut records = before.journal.0.clone();
    let other = before.header(0, 2);
    records.push(Record::Signed(Box::new(prepare(1, 0, &other))));
    let contradiction = JournalFault::Contradiction {
        height: Height::new(1),
        view: View::ZERO,
    };
    assert_eq!(start(records), Err(StartError::Journal(contradiction)));
    let mut records = before.journal.0.clone();
    records.push(Record::Signed(Box::new(commit(
        1,
        3,
        &before.header(0, 1),
        &outcome(9),
    ))));
    let two = JournalFault::TwoOutcomes {
        height: Height::new(1),
    };
    assert_eq!(start(records), Err(StartError::Journal(two)));
}

fn start(records: Vec<Record>) -> Result<(), StartError> {
    use certchain_consensus::{Engine, EngineConfig, KeySigner, Recovered};
    let config = EngineConfig {
        chain: crate::sandbox::chain(),
        validators: crate::sandbox::validators(4),
        params: crate::sandbox::params(),
    };
    let key = KeySigner::new(certchain_proto::SecretKey::from_seed(&[2; 32]));
    let recovered = Recovered {
        head: genesis(),
        records,
    };
    Engine::new(config, recovered, Box::new(key)).map(|_| ())
}

#[test]
fn j_4_compaction_keeps_what_binds() {
    let mut sandbox = committed(1);
    let header = sandbox.header(0, 1);
    sandbox.step(sandbox.timer(TimerKind::View, 1, 0));
    for view in 2..12 {
        for i in [0, 2] {
            sandbox.hear(Message::ViewChange(view_change(i, 1, view, None)));
        }
    }
    let full = Promises::replay(&sandbox.journal.0).expect("it replays");
    let live = full.live_records();
    assert!(
        live.len() < sandbox.journal.0.len(),
        "{} records",
        live.len()
    );
    let again = Promises::replay(&live).expect("it replays");
    let height = Height::new(1);
    let (full, again) = (full.height(height).unwrap(), again.height(height).unwrap());
    assert_eq!(full.view(), again.view());
    assert_eq!(full.prepared(), again.prepared());
    assert_eq!(full.locks(), again.locks());
    assert_eq!(
        again.locks(),
        BTreeMap::from([(header.digest(), outcome(1).digest())])
    );
    // An engine on the compacted journal stands where the other one stood.
    let restarted = Sandbox::with(Some(1), 4, genesis(), live);
    assert_eq!(restarted.engine.status().view, View::new(11));
    assert!(!restarted.engine.status().open);
}

/// A journal is rewritten while its engine runs; what is voted for after that must be found again.
#[test]
fn j_4_a_vote_after_compaction_brings_its_header() {
    let mut sandbox = Sandbox::new(3);
    let header = sandbox.header(0, 1);
    sandbox.prepare_own(&header);
    sandbox.step(sandbox.timer(TimerKind::View, 1, 0));
    let live = Promises::replay(&sandbox.journal.0).unwrap().live_records();
    assert!(!live.iter().any(|r| matches!(r, Record::Header(_))));
    sandbox.journal = Kept(live);
    let certificate = prepared(0, &header, &[0, 1, 2]);
    let requests = [0, 1, 2].map(|i| view_change(i, 1, 1, Some(certificate.clone())));
    let words = sandbox.hear(Message::NewView(new_view(1, &requests)));
    assert!(words.contains(&"keep prepare 1/1".to_owned()), "{words:?}");
    // After a crash the vote stands, its block is known, and with two more it is prepared.
    let mut after = Sandbox::with(Some(3), 4, genesis(), sandbox.journal.0.clone());
    after.step(Event::BodyReady {
        header: header.digest(),
    });
    after.step(Event::Executed {
        header: header.digest(),
        outcome: outcome(1),
    });
    after.hear(prepare(0, 1, &header));
    let words = after.hear(prepare(1, 1, &header));
    assert!(words.contains(&"all commit 1/1".to_owned()), "{words:?}");
}

#[test]
fn j_4_promises_of_a_stored_height_are_dropped() {
    let mut sandbox = Sandbox::new(1);
    sandbox.decide_one();
    sandbox.step(Event::Applied {
        height: Height::new(1),
    });
    let second = sandbox.header(0, 1);
    sandbox.prepare_own(&second);
    let promises = Promises::replay(&sandbox.journal.0).expect("it replays");
    assert_eq!(promises.floor(), Height::new(1));
    assert!(promises.height(Height::new(1)).is_none());
    assert!(promises.height(Height::new(2)).is_some());
    let refused = sandbox.step(Event::Applied {
        height: Height::new(9),
    });
    assert_eq!(
        refused,
        ["refused applied: an answer of the node to no open request"]
    );
}
