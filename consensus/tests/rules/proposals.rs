//! PR and PP.

use certchain_consensus::{BodyFault, Event, TimerKind};
use certchain_proto::{Height, TimeMs, View};

use crate::{
    Row, check,
    sandbox::{GENESIS, Sandbox, genesis, index, params, pre_prepare},
};

fn nothing(_: &mut Sandbox) {}

fn work(pending: bool) -> Event {
    Event::WorkChanged { pending }
}

#[test]
fn pp_1_the_primary_asks_for_a_block_when_there_is_work() {
    check(&[
        Row {
            name: "the primary with work",
            me: 0,
            before: nothing,
            event: |_| work(true),
            expect: &["request 1/0", "set View 1/0 +2000"],
        },
        Row {
            name: "another validator with work waits, and its patience runs",
            me: 1,
            before: nothing,
            event: |_| work(true),
            expect: &["set View 1/0 +2000"],
        },
        Row {
            name: "no second request while one is open",
            me: 0,
            before: |s| drop(s.step(work(true))),
            event: |_| work(true),
            expect: &[],
        },
        Row {
            name: "work gone stops the patience",
            me: 1,
            before: |s| drop(s.step(work(true))),
            event: |_| work(false),
            expect: &["stop View 1/0"],
        },
        Row {
            name: "nothing to propose waits for the next report of work",
            me: 0,
            before: |s| drop(s.step(work(true))),
            event: |_| Event::NothingToPropose {
                height: Height::new(1),
                view: View::ZERO,
            },
            expect: &["stop View 1/0"],
        },
        Row {
            name: "asked again on the next report",
            me: 0,
            before: |s| {
                s.step(work(true));
                s.step(Event::NothingToPropose {
                    height: Height::new(1),
                    view: View::ZERO,
                });
            },
            event: |_| work(true),
            expect: &["request 1/0", "set View 1/0 +2000"],
        },
        Row {
            name: "an answer to no request",
            me: 1,
            before: nothing,
            event: |s| s.proposal(0, 1),
            expect: &["refused proposal: an answer of the node to no open request"],
        },
    ]);
}

#[test]
fn pp_1_t_3_a_heartbeat_is_work() {
    let due = |s: &mut Sandbox| s.now = GENESIS + params().heartbeat_ms;
    check(&[
        Row {
            name: "the primary proposes an empty block when it is due",
            me: 0,
            before: due,
            event: |s| s.timer(TimerKind::Heartbeat, 1, 0),
            expect: &["request 1/0 or empty", "set View 1/0 +2000"],
        },
        Row {
            name: "a clock that was set back waits on",
            me: 0,
            before: nothing,
            event: |s| s.timer(TimerKind::Heartbeat, 1, 0),
            expect: &["set Heartbeat 1/0 +19000"],
        },
        Row {
            name: "the others grow impatient",
            me: 2,
            before: due,
            event: |s| s.timer(TimerKind::Heartbeat, 1, 0),
            expect: &["set View 1/0 +2000"],
        },
    ]);
}

#[test]
fn pp_2_the_proposal_is_kept_before_it_is_sent() {
    check(&[
        Row {
            name: "signed, kept, sent, and judged like anybody's",
            me: 0,
            before: |s| drop(s.step(work(true))),
            event: |s| s.proposal(0, 2),
            expect: &["keep pre-prepare 1/0", "all pre-prepare 1/0", "body 1"],
        },
        Row {
            name: "an empty block that is not due is not signed",
            me: 0,
            before: |s| drop(s.step(work(true))),
            event: |s| s.proposal(0, 0),
            expect: &["refused proposal: the node's proposal breaks the terms of the request"],
        },
    ]);
}

#[test]
fn pp_3_a_header_must_follow_from_the_last_block() {
    type Change = fn(&mut certchain_proto::BlockHeader);
    let change: [(&str, Change); 4] = [
        ("protocol", |h| h.protocol += 1),
        ("offset", |h| h.offset += 4),
        ("time_ms", |h| h.time_ms = TimeMs::new(GENESIS)),
        ("tx_count", |h| h.tx_count = 1_000),
    ];
    for (field, change) in change {
        let mut sandbox = Sandbox::new(1);
        sandbox.engine = {
            // A chain whose blocks take fewer transactions than the protocol's limit.
            let params = certchain_consensus::Params {
                max_block_transactions: 10,
                ..params()
            };
            let config = certchain_consensus::EngineConfig {
                chain: crate::sandbox::chain(),
                validators: crate::sandbox::validators(4),
                params,
            };
            let recovered = certchain_consensus::Recovered {
                head: genesis(),
                records: Vec::new(),
            };
            let key = certchain_proto::SecretKey::from_seed(&[2; 32]);
            let key = Box::new(certchain_consensus::KeySigner::new(key));
            certchain_consensus::Engine::new(config, recovered, key).unwrap()
        };
        let mut header = sandbox.header(0, 1);
        change(&mut header);
        let message = sandbox.pre_prepare(&header);
        let words = sandbox.hear(message);
        let expect = format!("refused pre-prepare: its header does not fit the chain: {field}");
        assert!(words.contains(&expect), "{field}: {words:?}");
        assert!(
            !words.iter().any(|w| w.starts_with("body")),
            "{field}: {words:?}"
        );
    }
}

#[test]
fn pp_3_only_the_primary_proposes() {
    let mut sandbox = Sandbox::new(1);
    let mut header = sandbox.header(0, 1);
    header.proposer = index(2);
    let words = sandbox.hear(pre_prepare(header, sandbox.contents(1)));
    assert_eq!(
        words,
        ["refused pre-prepare: its signer is not the primary of its view"]
    );
}

#[test]
fn pp_4_time() {
    let bound = params().time_bound_ms;
    let at = |s: &Sandbox, time: u64| {
        let mut header = s.header(0, 1);
        header.time_ms = TimeMs::new(time);
        header
    };
    for (name, time, taken) in [
        ("our clock", 0i64, true),
        ("as late as may be", -(bound as i64), true),
        ("too late", -(bound as i64) - 1, false),
        ("as early as may be", bound as i64, true),
    ] {
        let mut sandbox = Sandbox::new(1);
        sandbox.now += 2 * bound;
        let header = at(&sandbox, sandbox.now.saturating_add_signed(time));
        let words = sandbox.hear(sandbox.pre_prepare(&header));
        assert_eq!(
            words.contains(&"body 1".to_owned()),
            taken,
            "{name}: {words:?}"
        );
    }
    // Early: held, then taken.
    let mut sandbox = Sandbox::new(1);
    let header = at(&sandbox, sandbox.now + bound + 300);
    let words = sandbox.hear(sandbox.pre_prepare(&header));
    assert_eq!(words, ["set Early 1/0 +300"]);
    sandbox.advance(300);
    let words = sandbox.step(sandbox.timer(TimerKind::Early, 1, 0));
    assert!(words.contains(&"body 1".to_owned()), "{words:?}");
    // A clock far behind the parent's time takes the least time that there is.
    let mut sandbox = Sandbox::new(1);
    sandbox.now = GENESIS - 100_000;
    let header = at(&sandbox, GENESIS + 1);
    let words = sandbox.hear(sandbox.pre_prepare(&header));
    assert!(words.contains(&"body 1".to_owned()), "{words:?}");
}

#[test]
fn pp_5_an_empty_block_in_view_0_has_its_time() {
    let mut sandbox = Sandbox::new(1);
    let header = sandbox.header(0, 0);
    let words = sandbox.hear(sandbox.pre_prepare(&header));
    assert_eq!(
        words,
        ["refused pre-prepare: an empty block is not due yet"]
    );
    sandbox.now = GENESIS + params().heartbeat_ms;
    let header = sandbox.header(0, 0);
    let words = sandbox.hear(sandbox.pre_prepare(&header));
    assert!(words.contains(&"body 1".to_owned()), "{words:?}");
}

#[test]
fn pp_7_an_invalid_body_is_not_waited_for() {
    check(&[Row {
        name: "leave the view at once",
        me: 1,
        before: |s| {
            let header = s.header(0, 1);
            s.hear(s.pre_prepare(&header));
        },
        event: |s| Event::BodyInvalid {
            header: s.header(0, 1).digest(),
            fault: BodyFault::Inadmissible,
        },
        expect: &["keep view-change 1/1", "all view-change 1/1"],
    }]);
}

#[test]
fn pr_2_the_order_of_primaries_follows_from_committed_headers() {
    let mut head = genesis();
    assert_eq!(head.next_offset(100), 0, "block 1");
    head.header.height = Height::new(5);
    head.header.offset = 3;
    let cases: [(&str, u32, u32, u32, u64, u64); 6] = [
        ("a good primary stays", 0, 0, 0, 100, 3),
        ("a dead one is passed over", 2, 0, 0, 100, 5),
        ("one whose block others had to finish, too", 0, 1, 0, 100, 4),
        ("both", 1, 3, 1, 100, 6),
        ("nobody stays longer than K blocks", 0, 0, 0, 6, 4),
        ("K does not divide", 0, 0, 0, 7, 3),
    ];
    for (name, view, parent_view, previous_view, rotation, expected) in cases {
        head.header.view = View::new(view);
        head.header.parent_view = View::new(parent_view);
        head.previous_view = View::new(previous_view);
        assert_eq!(head.next_offset(rotation), expected, "{name}");
    }
}
