//! S.

use certchain_consensus::{Event, Message, TimerKind};
use certchain_proto::{Height, hash::BlockId};

use crate::sandbox::{
    Sandbox, certificate, chain, commit, genesis, outcome, prepare, sealed, validators, view_change,
};

#[test]
fn s_1_a_laggard_is_sent_the_block_that_it_lacks() {
    let mut sandbox = Sandbox::new(1);
    let first = sandbox.decide_one();
    let old = "refused view-change: its height is decided".to_owned();
    let request = Message::ViewChange(view_change(3, 1, 1, None));
    assert_eq!(
        sandbox.hear(request.clone()),
        ["give 1 to 3".to_owned(), old.clone()]
    );
    assert_eq!(
        sandbox.hear(request.clone()),
        [old.as_str()],
        "not more often than it repeats"
    );
    sandbox.advance(1_000);
    assert_eq!(sandbox.hear(request), ["give 1 to 3".to_owned(), old]);
    // A vote that is merely late is nothing, one that is repeated is.
    let mut sandbox = Sandbox::new(1);
    let header = sandbox.header(0, 1);
    sandbox.prepare_own(&header);
    for i in [0, 2] {
        sandbox.hear(prepare(i, 0, &header));
        sandbox.hear(commit(i, 0, &header, &outcome(1)));
    }
    let late = "refused commit: its height is decided".to_owned();
    let vote = commit(3, 0, &first, &outcome(1));
    assert_eq!(sandbox.hear(vote.clone()), [late.as_str()]);
    assert_eq!(sandbox.hear(vote), ["give 1 to 3".to_owned(), late.clone()]);
    let seen_before = commit(0, 0, &first, &outcome(1));
    assert_eq!(sandbox.hear(seen_before), ["give 1 to 0".to_owned(), late]);
}

#[test]
fn s_2_whoever_is_behind_fetches() {
    let mut ahead = Sandbox::new(2);
    ahead.decide_one();
    ahead.decide_one();
    let third = ahead.header(0, 1);
    let mut sandbox = Sandbox::new(1);
    sandbox.advance(5_000);
    let words = sandbox.hear(prepare(2, 0, &third));
    assert_eq!(words[0], "fetch 1 from 2");
    let words = sandbox.hear(prepare(3, 0, &third));
    assert!(
        !words.iter().any(|w| w.starts_with("fetch")),
        "once is enough: {words:?}"
    );
    // The next height is waited for a moment, since its votes may overtake ours.
    let mut sandbox = Sandbox::new(1);
    sandbox.advance(5_000);
    let mut second = sandbox.header(0, 1);
    second.height = Height::new(2);
    let words = sandbox.hear(prepare(2, 0, &second));
    assert_eq!(words, ["set Retry 1/0 +500"]);
    sandbox.advance(500);
    let words = sandbox.step(sandbox.timer(TimerKind::Retry, 1, 0));
    assert_eq!(words[0], "fetch 1 from 2");
}

#[test]
fn s_4_blocks_from_sync_are_executed_and_committed() {
    let mut sandbox = Sandbox::with(None, 4, genesis(), Vec::new());
    let header = sandbox.header(0, 1);
    let words = sandbox.step(sealed(&header, &outcome(1)));
    assert!(words.contains(&"execute 1".to_owned()), "{words:?}");
    let event = Event::Executed {
        header: header.digest(),
        outcome: outcome(1),
    };
    let words = sandbox.step(event);
    assert!(words.contains(&"commit 1".to_owned()), "{words:?}");
    let words = sandbox.step(sealed(&header, &outcome(1)));
    assert_eq!(words, ["refused sealed block: its height is decided"]);
    assert!(sandbox.journal.0.is_empty(), "a follower promises nothing");
}

#[test]
fn s_4_another_result_or_another_chain_halts() {
    let mut sandbox = Sandbox::new(1);
    let header = sandbox.header(0, 1);
    sandbox.step(sealed(&header, &outcome(1)));
    let event = Event::Executed {
        header: header.digest(),
        outcome: outcome(2),
    };
    assert_eq!(sandbox.step(event), ["halt other outcome"]);

    let mut sandbox = Sandbox::new(1);
    let mut stranger = sandbox.header(0, 1);
    stranger.parent = BlockId::from_bytes([9; 32]);
    assert_eq!(
        sandbox.step(sealed(&stranger, &outcome(1))),
        ["halt two decisions"]
    );

    let mut sandbox = Sandbox::new(1);
    let first = sandbox.decide_one();
    let mut other = first;
    other.tx_count = 2;
    assert_eq!(
        sandbox.step(sealed(&other, &outcome(1))),
        ["halt two decisions"]
    );

    let mut sandbox = Sandbox::new(1);
    let mut invalid = sandbox.header(0, 1);
    invalid.offset = 1;
    assert_eq!(
        sandbox.step(sealed(&invalid, &outcome(1))),
        ["halt invalid decided"]
    );
}

#[test]
fn s_5_messages_for_the_next_height_wait_for_it() {
    let mut sandbox = Sandbox::new(1);
    let mut ahead = Sandbox::new(2);
    let first = ahead.decide_one();
    let second = ahead.header(0, 1);
    for i in [0, 2, 3] {
        sandbox.hear(prepare(i, 0, &second));
    }
    sandbox.step(sealed(&first, &outcome(1)));
    sandbox.step(Event::Executed {
        header: first.digest(),
        outcome: outcome(1),
    });
    let contents = ahead.contents(1);
    sandbox.hear(crate::sandbox::pre_prepare(second.clone(), contents));
    sandbox.step(Event::BodyReady {
        header: second.digest(),
    });
    let event = Event::Executed {
        header: second.digest(),
        outcome: outcome(1),
    };
    let words = sandbox.step(event);
    assert!(words.contains(&"keep commit 2/0".to_owned()), "{words:?}");
}

#[test]
fn a_certificate_for_a_block_of_this_height_that_we_refused_is_pursued() {
    let mut sandbox = Sandbox::new(1);
    let header = sandbox.header(0, 1);
    sandbox.hear(sandbox.pre_prepare(&header));
    let fault = certchain_consensus::BodyFault::Checkpoint;
    sandbox.step(Event::BodyInvalid {
        header: header.digest(),
        fault,
    });
    for i in [0, 2] {
        sandbox.hear(commit(i, 0, &header, &outcome(1)));
    }
    let words = sandbox.hear(commit(3, 0, &header, &outcome(1)));
    assert!(words.contains(&"body 1 again".to_owned()), "{words:?}");
    let words = sandbox.step(Event::BodyInvalid {
        header: header.digest(),
        fault,
    });
    assert_eq!(words, ["halt invalid decided"]);
}

#[test]
fn the_certificate_of_a_decision_verifies_on_its_own() {
    let mut sandbox = Sandbox::new(1);
    let header = sandbox.decide_one();
    let head = sandbox.engine.head();
    let verifier = certchain_proto::certificate::Ed25519Verifier;
    head.certificate
        .verify(chain(), &validators(4), &verifier)
        .expect("it holds");
    let by_hand = certificate(0, &header, &outcome(1), &[0, 1, 2]);
    assert_eq!(head.certificate.block_id(), by_hand.block_id());
}
