//! VC, NV and T.

use certchain_consensus::{Event, TimerKind};

use crate::{
    Row, check,
    sandbox::{Sandbox, commit, new_view, outcome, prepare, prepared, resigned, view_change},
};
use certchain_consensus::Message;

fn work(s: &mut Sandbox) {
    s.step(Event::WorkChanged { pending: true });
}

/// Prepared in view 0 and committed to.
fn committed(s: &mut Sandbox) {
    let header = s.header(0, 1);
    s.prepare_own(&header);
    for i in [0, 2, 3] {
        s.hear(prepare(i, 0, &header));
    }
}

fn timed_out(s: &mut Sandbox) {
    work(s);
    s.step(s.timer(TimerKind::View, 1, 0));
}

fn asks(s: &Sandbox, i: usize, view: u32) -> Event {
    s.message(Message::ViewChange(view_change(i, 1, view, None)))
}

#[test]
fn vc_1_a_view_whose_time_is_up_is_left() {
    check(&[
        Row {
            name: "time is up",
            me: 3,
            before: work,
            event: |s| s.timer(TimerKind::View, 1, 0),
            expect: &["keep view-change 1/1", "all view-change 1/1"],
        },
        Row {
            name: "a timer that does not run is stale",
            me: 3,
            before: |_| {},
            event: |s| s.timer(TimerKind::View, 1, 0),
            expect: &[],
        },
        Row {
            name: "a timer of another view is stale",
            me: 3,
            before: work,
            event: |s| s.timer(TimerKind::View, 1, 1),
            expect: &[],
        },
        Row {
            name: "the promise: no PREPARE below the view asked for",
            me: 3,
            before: |s| {
                let header = s.header(0, 1);
                work(s);
                s.hear(s.pre_prepare(&header));
                s.step(s.timer(TimerKind::View, 1, 0));
            },
            event: |s| Event::BodyReady {
                header: s.header(0, 1).digest(),
            },
            expect: &["execute 1"],
        },
        Row {
            name: "the promise: no COMMIT below the view asked for",
            me: 3,
            before: |s| {
                let header = s.header(0, 1);
                work(s);
                s.hear(s.pre_prepare(&header));
                s.step(Event::BodyReady {
                    header: header.digest(),
                });
                for i in [0, 1, 2] {
                    s.hear(prepare(i, 0, &header));
                }
                s.step(s.timer(TimerKind::View, 1, 0));
            },
            event: |s| Event::Executed {
                header: s.header(0, 1).digest(),
                outcome: outcome(1),
            },
            expect: &[],
        },
        Row {
            name: "but certificates of any view are accepted",
            me: 3,
            before: |s| {
                committed(s);
                s.step(s.timer(TimerKind::View, 1, 0));
                s.hear(commit(0, 0, &s.header(0, 1), &outcome(1)));
            },
            event: |s| s.message(commit(1, 0, &s.header(0, 1), &outcome(1))),
            expect: &["commit 1"],
        },
    ]);
}

#[test]
fn vc_1_the_request_carries_the_highest_certificate() {
    let mut sandbox = Sandbox::new(3);
    committed(&mut sandbox);
    let digest = sandbox.header(0, 1).digest();
    sandbox.step(sandbox.timer(TimerKind::View, 1, 0));
    let request = sandbox.actions.iter().find_map(|a| match a {
        certchain_consensus::Action::Broadcast(m) => match m.as_ref() {
            Message::ViewChange(m) => Some(m.clone()),
            _ => None,
        },
        _ => None,
    });
    let request = request.expect("a VIEW-CHANGE");
    assert_eq!(request.vote.prepared.map(|p| p.header), Some(digest));
    assert!(request.certificate.is_some_and(|c| c.signatures.len() >= 3));
}

#[test]
fn vc_2_patience_with_a_view_asked_for_starts_with_a_quorum() {
    check(&[
        Row {
            name: "two of four ask: wait",
            me: 3,
            before: timed_out,
            event: |s| asks(s, 0, 1),
            expect: &[],
        },
        Row {
            name: "three of four: the clock runs, twice as long",
            me: 3,
            before: |s| {
                timed_out(s);
                s.step(asks(s, 0, 1));
            },
            event: |s| asks(s, 2, 1),
            expect: &["set View 1/1 +4000"],
        },
        Row {
            name: "whoever asks for later views counts too",
            me: 3,
            before: |s| {
                timed_out(s);
                s.step(asks(s, 0, 1));
            },
            event: |s| asks(s, 2, 9),
            expect: &["set View 1/1 +4000"],
        },
    ]);
}

#[test]
fn vc_3_f_plus_1_pull_to_the_highest_view_that_all_of_them_reached() {
    check(&[
        Row {
            name: "one alone makes nobody jump",
            me: 3,
            before: |_| {},
            event: |s| asks(s, 0, 4_000_000_000),
            expect: &[],
        },
        Row {
            name: "two of four do, to the lower of their views",
            me: 3,
            before: |s| drop(s.step(asks(s, 0, 4_000_000_000))),
            event: |s| asks(s, 2, 5),
            expect: &[
                "keep view-change 1/5",
                "all view-change 1/5",
                "set View 1/5 +60000",
            ],
        },
    ]);
}

#[test]
fn nv_1_the_primary_opens_its_view_on_a_quorum_for_exactly_it() {
    check(&[
        Row {
            name: "a quorum: open it, and propose a fresh block, empty if need be",
            me: 1,
            before: |s| {
                timed_out(s);
                s.step(asks(s, 0, 1));
            },
            event: |s| asks(s, 2, 1),
            expect: &[
                "keep new-view 1/1",
                "all new-view 1/1",
                "request 1/1 or empty",
            ],
        },
        Row {
            name: "requests for later views are none for this one",
            me: 1,
            before: |s| {
                timed_out(s);
                s.step(asks(s, 0, 1));
            },
            event: |s| asks(s, 2, 2),
            expect: &[],
        },
        Row {
            name: "a certificate: its block, by header, from its signers",
            me: 1,
            before: |s| {
                timed_out(s);
                s.step(asks(s, 0, 1));
            },
            event: |s| {
                let certificate = prepared(0, &s.header(0, 1), &[0, 2, 3]);
                s.message(Message::ViewChange(view_change(2, 1, 1, Some(certificate))))
            },
            expect: &[
                "keep new-view 1/1",
                "all new-view 1/1",
                "body 1 by header again",
            ],
        },
    ]);
}

#[test]
fn nv_2_the_highest_certificate_wins() {
    let mut sandbox = Sandbox::new(3);
    for view in [0, 1] {
        sandbox.step(asks(&sandbox, 0, view + 2));
    }
    // Two blocks were prepared, one in view 0, one in view 1.
    let low = sandbox.header(0, 1);
    let high = sandbox.header(1, 2);
    let requests = [
        view_change(0, 1, 2, Some(prepared(0, &low, &[0, 1, 2]))),
        view_change(1, 1, 2, Some(prepared(1, &high, &[0, 1, 2]))),
        view_change(2, 1, 2, None),
    ];
    let message = Message::NewView(new_view(2, &requests));
    let words = sandbox.hear(message);
    assert!(
        words.contains(&"body 1 by header again".to_owned()),
        "{words:?}"
    );
    let words = sandbox.step(Event::BodyReady {
        header: high.digest(),
    });
    assert!(words.contains(&"keep prepare 1/2".to_owned()), "{words:?}");
    let words = sandbox.step(Event::BodyReady {
        header: low.digest(),
    });
    assert!(!words.iter().any(|w| w.contains("prepare")), "{words:?}");
}

#[test]
fn nv_3_a_view_that_has_been_opened_is_entered() {
    let opened = |prepared_on: bool| {
        move |s: &Sandbox| {
            let certificate = prepared_on.then(|| prepared(0, &s.header(0, 1), &[0, 1, 2]));
            let requests = [
                view_change(0, 1, 1, certificate),
                view_change(1, 1, 1, None),
                view_change(2, 1, 1, None),
            ];
            s.message(Message::NewView(new_view(1, &requests)))
        }
    };
    // Fresh: the primary's proposal for it is taken, also one that came before.
    let mut sandbox = Sandbox::new(3);
    let fresh = sandbox.header(1, 0);
    assert_eq!(
        sandbox.hear(sandbox.pre_prepare(&fresh)),
        Vec::<String>::new()
    );
    let words = sandbox.step(opened(false)(&sandbox));
    let expect = ["body 1", "set View 1/1 +4000"];
    assert_eq!(crate::without_timers(&words, &expect), expect);
    // A proposal for a view that must decide another block is not.
    let mut sandbox = Sandbox::new(3);
    sandbox.step(opened(true)(&sandbox));
    let words = sandbox.hear(sandbox.pre_prepare(&fresh));
    assert!(!words.iter().any(|w| w.starts_with("body")), "{words:?}");
    // The primary of another view opens nothing.
    let mut sandbox = Sandbox::new(3);
    let requests = [0, 1, 2].map(|i| view_change(i, 1, 1, None));
    let words = sandbox.hear(Message::NewView(new_view(2, &requests)));
    assert_eq!(
        words,
        ["refused new-view: its signer is not the primary of its view"]
    );
    // A view that is behind us stays closed.
    let mut sandbox = Sandbox::new(3);
    sandbox.step(asks(&sandbox, 0, 3));
    sandbox.step(asks(&sandbox, 1, 3));
    let words = sandbox.step(opened(false)(&sandbox));
    assert_eq!(words, ["refused new-view: its view is over"]);
}

#[test]
fn nv_3_a_block_proposed_again_is_not_judged_by_our_clock() {
    let mut sandbox = Sandbox::new(3);
    let header = sandbox.header(0, 1);
    sandbox.advance(10_000_000);
    let requests = [
        view_change(0, 1, 1, Some(prepared(0, &header, &[0, 1, 2]))),
        view_change(1, 1, 1, None),
        view_change(2, 1, 1, None),
    ];
    let words = sandbox.hear(Message::NewView(new_view(1, &requests)));
    assert!(
        words.contains(&"body 1 by header again".to_owned()),
        "{words:?}"
    );
    let words = sandbox.step(Event::BodyReady {
        header: header.digest(),
    });
    assert!(words.contains(&"all prepare 1/1".to_owned()), "{words:?}");
}

#[test]
fn nv_3_a_prepared_block_that_does_not_follow_from_our_last_opens_nothing() {
    let mut sandbox = Sandbox::new(3);
    let mut header = sandbox.header(0, 1);
    header.offset += 4;
    let certificate = prepared(0, &header, &[0, 1, 2]);
    let requests = [0, 1, 2].map(|i| view_change(i, 1, 1, Some(certificate.clone())));
    let words = sandbox.hear(Message::NewView(new_view(1, &requests)));
    assert_eq!(
        words,
        ["refused new-view: its header does not fit the chain: offset"]
    );
    assert_eq!(sandbox.engine.status().view, certchain_proto::View::ZERO);
}

#[test]
fn nv_5_whoever_asks_twice_for_an_open_view_is_sent_its_opening() {
    let mut sandbox = Sandbox::new(3);
    let requests = [0, 1, 2].map(|i| view_change(i, 1, 1, None));
    sandbox.hear(Message::NewView(new_view(1, &requests)));
    assert_eq!(sandbox.step(asks(&sandbox, 0, 1)), Vec::<String>::new());
    let words = sandbox.step(asks(&sandbox, 0, 1));
    assert_eq!(
        words,
        ["to 0 new-view 1/1", "refused view-change: it is known"]
    );
}

#[test]
fn e_1_two_openings_of_one_view_are_evidence() {
    let mut sandbox = Sandbox::new(3);
    let requests = [0, 1, 2].map(|i| view_change(i, 1, 1, None));
    sandbox.hear(Message::NewView(new_view(1, &requests)));
    let mut other = new_view(1, &requests);
    let third = view_change(3, 1, 1, None);
    other.claims[2].signer = third.signer;
    other.claims[2].signature = third.signature;
    let words = sandbox.hear(Message::NewView(resigned(other)));
    assert_eq!(words[0], "evidence NewView of 1");
}

/// A faulty validator gives its COMMIT only to one that lacks the block. The others hold the block and
/// no quorum of COMMITs; they need it to ask for a later view with them, and it needs the opening of
/// that view, which names the block.
#[test]
fn c_4_whoever_knows_a_decision_without_its_block_still_changes_views() {
    let mut sandbox = Sandbox::new(2);
    let header = sandbox.header(0, 1);
    let digest = header.digest();
    for i in [0, 1, 3] {
        sandbox.hear(commit(i, 0, &header, &outcome(1)));
    }
    assert!(!sandbox.engine.status().decided, "its block is not known");
    let certificate = prepared(0, &header, &[0, 1, 3]);
    let requests = [0, 1].map(|i| view_change(i, 1, 1, Some(certificate.clone())));
    sandbox.hear(Message::ViewChange(requests[0].clone()));
    let words = sandbox.hear(Message::ViewChange(requests[1].clone()));
    let expect = ["keep view-change 1/1", "all view-change 1/1"];
    assert_eq!(crate::without_timers(&words, &expect)[..2], expect);

    let own = view_change(2, 1, 1, None);
    let [first, second] = requests;
    let words = sandbox.hear(Message::NewView(new_view(1, &[first, second, own])));
    assert!(
        words.contains(&"body 1 by header again".to_owned()),
        "{words:?}"
    );
    assert!(sandbox.engine.status().decided);
    // It is decided: no vote is needed, only the block.
    let words = sandbox.step(Event::BodyReady { header: digest });
    assert!(!words.iter().any(|w| w.starts_with("all")), "{words:?}");
    let words = sandbox.step(Event::Executed {
        header: digest,
        outcome: outcome(1),
    });
    assert!(words.contains(&"commit 1".to_owned()), "{words:?}");
}

#[test]
fn t_5_who_can_be_reached_again_is_told_what_would_be_repeated() {
    let mut sandbox = Sandbox::new(1);
    let validator = crate::sandbox::index(2);
    assert!(sandbox.step(Event::Connected { validator }).is_empty());
    for i in [0, 2, 3] {
        sandbox.hear(Message::ViewChange(view_change(i, 1, 1, None)));
    }
    sandbox.step(sandbox.proposal(1, 2));
    let words = sandbox.step(Event::Connected { validator });
    let told = [
        "to 2 new-view 1/1",
        "to 2 pre-prepare 1/1",
        "to 2 view-change 1/1",
    ];
    assert_eq!(crate::without_timers(&words, &told), told);
    // Nobody but validators, and not we ourselves.
    for other in [1, 4] {
        let validator = crate::sandbox::index(other);
        assert!(sandbox.step(Event::Connected { validator }).is_empty());
    }
}

#[test]
fn t_1_patience_doubles_up_to_the_cap() {
    let params = crate::sandbox::params();
    let times: Vec<u64> = [0, 1, 2, 4, 5, 63, 64, u32::MAX]
        .map(|v| params.timeout(certchain_proto::View::new(v)))
        .into();
    assert_eq!(
        times,
        [2_000, 4_000, 8_000, 32_000, 60_000, 60_000, 60_000, 60_000]
    );
}

#[test]
fn t_4_what_may_be_lost_is_said_again_as_it_was() {
    let mut sandbox = Sandbox::new(1);
    let header = sandbox.header(0, 1);
    sandbox.hear(sandbox.pre_prepare(&header));
    sandbox.step(Event::BodyReady {
        header: header.digest(),
    });
    let kept = sandbox.journal.0.len();
    for (pause, next) in [
        (500, 1_000),
        (1_000, 2_000),
        (2_000, 4_000),
        (4_000, 8_000),
        (8_000, 8_000),
    ] {
        sandbox.advance(pause);
        let words = sandbox.step(sandbox.timer(TimerKind::Retry, 1, 0));
        assert_eq!(
            words,
            [
                "all prepare 1/0".to_owned(),
                format!("set Retry 1/0 +{next}")
            ]
        );
    }
    assert_eq!(
        sandbox.journal.0.len(),
        kept,
        "nothing is signed or kept anew"
    );
    // A proposal is repeated to those only who have not voted for it.
    let mut primary = Sandbox::new(0);
    primary.step(Event::WorkChanged { pending: true });
    primary.step(primary.proposal(0, 1));
    primary.hear(prepare(2, 0, &header));
    let words = primary.step(primary.timer(TimerKind::Retry, 1, 0));
    let said: Vec<_> = words.iter().filter(|w| w.contains("pre-prepare")).collect();
    assert_eq!(said, ["to 1 pre-prepare 1/0", "to 3 pre-prepare 1/0"]);
}
