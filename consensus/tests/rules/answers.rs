//! PP-1, PP-2, PP-6, PP-7, X-1: the node's answers, asked for or not.

use certchain_consensus::{Action, BodyFault, Event, Message, TimerKind};
use certchain_proto::{Height, View};

use crate::{
    Row, check,
    sandbox::{Sandbox, commit, genesis, index, new_view, outcome, params, prepared, view_change},
};

const NO_PROPOSAL: &str = "refused proposal: an answer of the node to no open request";
const NO_BODY: &str = "refused body: an answer of the node to no open request";

fn proposed(s: &mut Sandbox) {
    s.hear(s.pre_prepare(&s.header(0, 1)));
}

fn ready(s: &Sandbox) -> Event {
    Event::BodyReady {
        header: s.header(0, 1).digest(),
    }
}

fn invalid(s: &Sandbox) -> Event {
    Event::BodyInvalid {
        header: s.header(0, 1).digest(),
        fault: BodyFault::Inadmissible,
    }
}

fn executed(s: &Sandbox) -> Event {
    Event::Executed {
        header: s.header(0, 1).digest(),
        outcome: outcome(1),
    }
}

fn work(s: &mut Sandbox) {
    s.step(Event::WorkChanged { pending: true });
}

fn nothing(height: u64) -> Event {
    Event::NothingToPropose {
        height: Height::new(height),
        view: View::ZERO,
    }
}

#[test]
fn pp_1_pp_2_proposals_that_nobody_asked_for_are_not_taken() {
    check(&[
        Row {
            name: "a proposal without a request",
            me: 0,
            before: |_| {},
            event: |s| s.proposal(0, 1),
            expect: &[NO_PROPOSAL],
        },
        Row {
            name: "a proposal for a height that is decided meanwhile",
            me: 0,
            before: |s| {
                work(s);
                for i in [1, 2, 3] {
                    s.hear(commit(i, 0, &s.header(0, 2), &outcome(1)));
                }
            },
            event: |s| s.proposal(0, 1),
            expect: &[NO_PROPOSAL],
        },
        Row {
            name: "nothing to propose without a request",
            me: 0,
            before: |_| {},
            event: |_| nothing(1),
            expect: &[NO_PROPOSAL],
        },
        Row {
            name: "nothing to propose for another height",
            me: 0,
            before: work,
            event: |_| nothing(2),
            expect: &[NO_PROPOSAL],
        },
        Row {
            name: "nothing to propose where an empty block would do",
            me: 0,
            before: |s| {
                s.advance(params().heartbeat_ms);
                work(s);
            },
            event: |_| nothing(1),
            expect: &[NO_PROPOSAL],
        },
    ]);
}

#[test]
fn pp_6_one_answer_for_each_request() {
    check(&[
        Row {
            name: "ready twice",
            me: 1,
            before: |s| {
                proposed(s);
                s.step(ready(s));
            },
            event: ready,
            expect: &[NO_BODY],
        },
        Row {
            name: "invalid after ready",
            me: 1,
            before: |s| {
                proposed(s);
                s.step(ready(s));
            },
            event: invalid,
            expect: &[NO_BODY],
        },
        Row {
            name: "ready after invalid",
            me: 1,
            before: |s| {
                proposed(s);
                s.step(invalid(s));
            },
            event: ready,
            expect: &[NO_BODY],
        },
        Row {
            name: "the same result twice",
            me: 1,
            before: |s| {
                proposed(s);
                s.step(ready(s));
                s.step(executed(s));
            },
            event: executed,
            expect: &[],
        },
    ]);
}

#[test]
fn pp_6_the_body_is_asked_of_those_who_hold_it() {
    let holders = |s: &Sandbox| {
        s.actions.iter().find_map(|a| match a {
            Action::CheckBody(r) => Some(r.holders.clone()),
            _ => None,
        })
    };
    let mut sandbox = Sandbox::new(1);
    proposed(&mut sandbox);
    assert_eq!(holders(&sandbox), Some(vec![index(0)]), "its proposer");
    let mut sandbox = Sandbox::new(3);
    let certificate = prepared(0, &sandbox.header(0, 1), &[0, 1, 2]);
    let requests = [
        view_change(0, 1, 1, Some(certificate)),
        view_change(1, 1, 1, None),
        view_change(2, 1, 1, None),
    ];
    sandbox.hear(Message::NewView(new_view(1, &requests)));
    let signers = [0, 1, 2].map(index).to_vec();
    assert_eq!(holders(&sandbox), Some(signers), "who prepared it");
}

#[test]
fn pp_7_only_a_voter_that_waits_for_this_block_leaves_its_view() {
    // A follower votes for nothing and asks for nothing.
    let mut sandbox = Sandbox::with(None, 4, genesis(), Vec::new());
    proposed(&mut sandbox);
    assert_eq!(sandbox.step(invalid(&sandbox)), Vec::<String>::new());
    // Another block is decided; it is fetched, and nobody needs this one.
    let mut sandbox = Sandbox::new(1);
    let other = sandbox.header(0, 2);
    proposed(&mut sandbox);
    for i in [0, 2, 3] {
        sandbox.hear(commit(i, 0, &other, &outcome(1)));
    }
    assert_eq!(sandbox.step(invalid(&sandbox)), Vec::<String>::new());
    assert_eq!(sandbox.engine.status().view, View::ZERO);
}

#[test]
fn j_1_what_promises_nothing_costs_no_sync() {
    let mut sandbox = Sandbox::new(1);
    let now = certchain_proto::TimeMs::new(sandbox.now);
    let event = sandbox.message(sandbox.pre_prepare(&sandbox.header(0, 1)));
    let out = sandbox.engine.step(now, event);
    assert!(!out.needs_sync());
    let timer = sandbox.timer(TimerKind::View, 1, 0);
    let out = sandbox.engine.step(now, timer);
    assert!(out.needs_sync(), "a request for a later view does");
}
