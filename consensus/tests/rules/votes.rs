//! P, X, C and E.

use certchain_consensus::{Event, Message};

use crate::{
    Row, check,
    sandbox::{Sandbox, certificate, commit, new_view, outcome, pre_prepare, prepare, view_change},
};

fn proposed(s: &mut Sandbox) {
    let header = s.header(0, 1);
    s.hear(s.pre_prepare(&header));
}

fn voted(s: &mut Sandbox) {
    let header = s.header(0, 1);
    proposed(s);
    s.step(Event::BodyReady {
        header: header.digest(),
    });
}

fn prepared(s: &mut Sandbox) {
    let header = s.header(0, 1);
    voted(s);
    s.hear(prepare(0, 0, &header));
    s.hear(prepare(2, 0, &header));
}

fn committed(s: &mut Sandbox) {
    let header = s.header(0, 1);
    prepared(s);
    s.step(Event::Executed {
        header: header.digest(),
        outcome: outcome(1),
    });
}

fn executed(s: &Sandbox) -> Event {
    Event::Executed {
        header: s.header(0, 1).digest(),
        outcome: outcome(1),
    }
}

#[test]
fn p_1_the_body_comes_before_the_vote() {
    check(&[
        Row {
            name: "a proposal alone asks for its body",
            me: 1,
            before: |_| {},
            event: |s| s.message(s.pre_prepare(&s.header(0, 1))),
            expect: &["body 1"],
        },
        Row {
            name: "a body on disk is voted for and executed",
            me: 1,
            before: proposed,
            event: |s| Event::BodyReady {
                header: s.header(0, 1).digest(),
            },
            expect: &[
                "keep header 1",
                "keep prepare 1/0",
                "execute 1",
                "all prepare 1/0",
            ],
        },
        Row {
            name: "a body that nobody asked for",
            me: 1,
            before: |_| {},
            event: |s| Event::BodyReady {
                header: s.header(0, 1).digest(),
            },
            expect: &["refused body: an answer of the node to no open request"],
        },
    ]);
}

#[test]
fn c_1_commit_needs_the_certificate_and_the_result() {
    check(&[
        Row {
            name: "executed, two votes of four: no",
            me: 1,
            before: |s| {
                voted(s);
                s.hear(prepare(0, 0, &s.header(0, 1)));
            },
            event: executed,
            expect: &[],
        },
        Row {
            name: "three votes, not executed: no, and nothing to sync",
            me: 1,
            before: |s| {
                voted(s);
                s.hear(prepare(0, 0, &s.header(0, 1)));
            },
            event: |s| s.message(prepare(2, 0, &s.header(0, 1))),
            expect: &[],
        },
        Row {
            name: "both: the certificate is kept with the vote",
            me: 1,
            before: prepared,
            event: executed,
            expect: &["keep prepared 1/0", "keep commit 1/0", "all commit 1/0"],
        },
        Row {
            name: "votes for another block do not count",
            me: 1,
            before: |s| {
                voted(s);
                s.step(executed(s));
                s.hear(prepare(0, 0, &s.header(0, 1)));
            },
            event: |s| s.message(prepare(2, 0, &s.header(0, 2))),
            expect: &[],
        },
        Row {
            name: "a quorum without a body of ours is no reason to vote",
            me: 1,
            before: |s| {
                proposed(s);
                s.hear(prepare(0, 0, &s.header(0, 1)));
                s.hear(prepare(2, 0, &s.header(0, 1)));
            },
            event: |s| s.message(prepare(3, 0, &s.header(0, 1))),
            expect: &[],
        },
    ]);
}

#[test]
fn c_3_a_quorum_of_commits_decides() {
    check(&[
        Row {
            name: "two of four: no",
            me: 1,
            before: committed,
            event: |s| s.message(commit(0, 0, &s.header(0, 1), &outcome(1))),
            expect: &[],
        },
        Row {
            name: "three of four",
            me: 1,
            before: |s| {
                committed(s);
                s.hear(commit(0, 0, &s.header(0, 1), &outcome(1)));
            },
            event: |s| s.message(commit(3, 0, &s.header(0, 1), &outcome(1))),
            expect: &["commit 1"],
        },
        Row {
            name: "for another outcome: halt",
            me: 1,
            before: |s| {
                committed(s);
                s.hear(commit(0, 0, &s.header(0, 1), &outcome(9)));
                s.hear(commit(2, 0, &s.header(0, 1), &outcome(9)));
            },
            event: |s| s.message(commit(3, 0, &s.header(0, 1), &outcome(9))),
            expect: &["halt other outcome"],
        },
        Row {
            name: "of different views: no",
            me: 1,
            before: |s| {
                committed(s);
                s.hear(commit(0, 0, &s.header(0, 1), &outcome(1)));
            },
            event: |s| s.message(commit(3, 1, &s.header(0, 1), &outcome(1))),
            expect: &[],
        },
        Row {
            name: "of a later view than ours: yes",
            me: 1,
            before: |s| {
                committed(s);
                s.hear(commit(0, 4, &s.header(0, 1), &outcome(1)));
                s.hear(commit(2, 4, &s.header(0, 1), &outcome(1)));
            },
            event: |s| s.message(commit(3, 4, &s.header(0, 1), &outcome(1))),
            expect: &["commit 1"],
        },
        Row {
            name: "before we have executed: wait",
            me: 1,
            before: |s| {
                voted(s);
                s.hear(commit(0, 0, &s.header(0, 1), &outcome(1)));
                s.hear(commit(2, 0, &s.header(0, 1), &outcome(1)));
            },
            event: |s| s.message(commit(3, 0, &s.header(0, 1), &outcome(1))),
            expect: &[],
        },
        Row {
            name: "then commit on our own result, without a vote",
            me: 1,
            before: |s| {
                voted(s);
                for i in [0, 2, 3] {
                    s.hear(commit(i, 0, &s.header(0, 1), &outcome(1)));
                }
            },
            event: executed,
            expect: &["commit 1"],
        },
        Row {
            name: "of a block that we have never seen: fetch it",
            me: 1,
            before: |s| {
                s.advance(5_000);
                s.hear(commit(0, 0, &s.header(0, 3), &outcome(1)));
                s.hear(commit(2, 0, &s.header(0, 3), &outcome(1)));
            },
            event: |s| s.message(commit(3, 0, &s.header(0, 3), &outcome(1))),
            expect: &["fetch 1 from 0"],
        },
    ]);
}

#[test]
fn c_2_our_own_execution_has_one_result() {
    let mut sandbox = Sandbox::new(1);
    committed(&mut sandbox);
    let header = sandbox.header(0, 1).digest();
    let words = sandbox.step(Event::Executed {
        header,
        outcome: outcome(2),
    });
    assert_eq!(words, ["halt own outcome"]);
    let again = sandbox.step(Event::WorkChanged { pending: true });
    assert!(again.is_empty(), "a halted engine says nothing: {again:?}");
    assert!(sandbox.engine.status().halted.is_some());
}

#[test]
fn c_4_the_next_proposal_proves_the_decision() {
    let mut sandbox = Sandbox::new(1);
    committed(&mut sandbox);
    let first = sandbox.header(0, 1);
    // Validator 0 has decided height 1 and proposes height 2; its COMMITs were lost.
    let mut ahead = Sandbox::new(2);
    ahead.decide_one();
    let parent = certificate(0, &first, &outcome(1), &[0, 2, 3]);
    let mut header = ahead.header(0, 1);
    header.parent_commit = parent.digest();
    let mut contents = ahead.contents(1);
    contents.parent_certificate = parent;
    let words = sandbox.hear(pre_prepare(header, contents));
    let expect = ["commit 1", "body 2"];
    assert_eq!(crate::without_timers(&words, &expect), expect);
}

#[test]
fn e_1_two_statements_in_one_slot_are_evidence_once() {
    let mut sandbox = Sandbox::new(1);
    let (one, two) = (sandbox.header(0, 1), sandbox.header(0, 2));
    sandbox.hear(prepare(2, 0, &one));
    let refused = "refused prepare: it contradicts an earlier message of its signer";
    assert_eq!(
        sandbox.hear(prepare(2, 0, &two)),
        ["evidence Prepare of 2", refused]
    );
    assert_eq!(sandbox.hear(prepare(2, 0, &two)), [refused]);
    assert_eq!(
        sandbox.hear(prepare(2, 0, &one)),
        ["refused prepare: it is known"]
    );
    sandbox.hear(commit(2, 0, &one, &outcome(1)));
    let words = sandbox.hear(commit(2, 0, &one, &outcome(2)));
    assert_eq!(words[0], "evidence Commit of 2");
    sandbox.hear(sandbox.pre_prepare(&one));
    let words = sandbox.hear(sandbox.pre_prepare(&two));
    assert_eq!(words[0], "evidence PrePrepare of 0");
    // One proof for each phase of a height: whoever goes on so in view after view proves no more.
    sandbox.hear(prepare(2, 1, &one));
    assert_eq!(sandbox.hear(prepare(2, 1, &two)), [refused]);
}

#[test]
fn one_validator_decides_alone() {
    let mut sandbox = Sandbox::with(Some(0), 1, crate::sandbox::genesis(), Vec::new());
    let words = sandbox.step(Event::WorkChanged { pending: true });
    assert!(words.contains(&"request 1/0".to_owned()), "{words:?}");
    let header = sandbox.header(0, 1);
    sandbox.step(sandbox.proposal(0, 1));
    let words = sandbox.step(Event::BodyReady {
        header: header.digest(),
    });
    assert!(words.contains(&"keep prepare 1/0".to_owned()), "{words:?}");
    let words = sandbox.step(Event::Executed {
        header: header.digest(),
        outcome: sandbox.outcome_of(&header),
    });
    let expect = [
        "keep prepared 1/0",
        "keep commit 1/0",
        "commit 1",
        "request 2/0",
    ];
    assert_eq!(crate::without_timers(&words, &expect), expect);
}

#[test]
fn c_1_a_certificate_of_an_earlier_view_is_none_for_this_one() {
    let mut sandbox = Sandbox::new(3);
    let header = sandbox.header(0, 1);
    sandbox.prepare_own(&header);
    for i in [0, 1, 2] {
        sandbox.hear(prepare(i, 0, &header));
    }
    let certificate = crate::sandbox::prepared(0, &header, &[0, 1, 2]);
    let requests = [0, 1, 2].map(|i| view_change(i, 1, 1, Some(certificate.clone())));
    let words = sandbox.hear(Message::NewView(new_view(1, &requests)));
    assert!(words.contains(&"all prepare 1/1".to_owned()), "{words:?}");
    assert!(!words.iter().any(|w| w.contains("commit")), "{words:?}");
    sandbox.hear(prepare(0, 1, &header));
    let words = sandbox.hear(prepare(1, 1, &header));
    assert!(words.contains(&"all commit 1/1".to_owned()), "{words:?}");
}

#[test]
fn c_3_two_quorums_for_different_blocks_halt() {
    let mut sandbox = Sandbox::new(1);
    let [one, two] = [1, 2].map(|count| sandbox.header(0, count));
    for i in [0, 2, 3] {
        sandbox.hear(commit(i, 0, &one, &outcome(1)));
    }
    for i in [0, 2] {
        sandbox.hear(commit(i, 1, &two, &outcome(1)));
    }
    let words = sandbox.hear(commit(3, 1, &two, &outcome(1)));
    assert_eq!(words, ["halt two decisions"]);
}

#[test]
fn j_1_what_promises_nothing_rides_along_while_it_matters() {
    let mut sandbox = Sandbox::new(1);
    sandbox.decide_one();
    // Prepared at height 2, and block 1 stored: both wait for the next promise.
    let second = sandbox.header(0, 1);
    sandbox.hear(sandbox.pre_prepare(&second));
    sandbox.step(Event::BodyReady {
        header: second.digest(),
    });
    for i in [0, 2] {
        sandbox.hear(prepare(i, 0, &second));
    }
    let height = second.height.previous().unwrap();
    for _ in 0..2 {
        assert_eq!(
            sandbox.step(Event::Applied { height }),
            Vec::<String>::new()
        );
    }
    // Others decide it: its certificate binds nobody any more, that block 1 is stored stays true.
    for i in [0, 2, 3] {
        sandbox.hear(commit(i, 0, &second, &outcome(1)));
    }
    let executed = Event::Executed {
        header: second.digest(),
        outcome: outcome(1),
    };
    let words = sandbox.step(executed);
    assert!(words.contains(&"commit 2".to_owned()), "{words:?}");
    let third = sandbox.header(0, 1);
    sandbox.hear(sandbox.pre_prepare(&third));
    let words = sandbox.step(Event::BodyReady {
        header: third.digest(),
    });
    let kept = ["keep sealed 1", "keep header 3", "keep prepare 3/0"];
    assert_eq!(words[..3], kept);
}

#[test]
fn j_1_a_commit_brings_the_certificate_and_what_is_stored() {
    let mut sandbox = Sandbox::new(1);
    sandbox.decide_one();
    let second = sandbox.header(0, 1);
    sandbox.hear(sandbox.pre_prepare(&second));
    sandbox.step(Event::BodyReady {
        header: second.digest(),
    });
    for i in [0, 2] {
        sandbox.hear(prepare(i, 0, &second));
    }
    let height = second.height.previous().unwrap();
    for _ in 0..2 {
        sandbox.step(Event::Applied { height });
    }
    let words = sandbox.step(Event::Executed {
        header: second.digest(),
        outcome: outcome(1),
    });
    let kept = ["keep prepared 2/0", "keep sealed 1", "keep commit 2/0"];
    assert_eq!(words[..3], kept);
}
