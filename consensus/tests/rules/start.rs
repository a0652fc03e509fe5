//! what an engine starts on, and what it does first.

use certchain_consensus::{
    Action, Engine, EngineConfig, Event, Head, KeySigner, Params, Record, Recovered, StartError,
};
use certchain_proto::{
    ChainId, Height, SecretKey, View, hash::OutcomeDigest, limits::MAX_BLOCK_TRANSACTIONS,
};

use crate::sandbox::{Sandbox, certificate, chain, genesis, index, outcome, params, validators};

fn start(params: Params, head: Head) -> Result<(), StartError> {
    let config = EngineConfig {
        chain: chain(),
        validators: validators(4),
        params,
    };
    let recovered = Recovered {
        head,
        records: Vec::new(),
    };
    let key = KeySigner::new(SecretKey::from_seed(&[2; 32]));
    Engine::new(config, recovered, Box::new(key)).map(|_| ())
}

#[test]
fn r_5_parameters_that_cannot_work_stop_the_start() {
    // The smallest that can.
    let least = Params {
        rotation: 1,
        timeout_ms: 1,
        timeout_cap_ms: 1,
        retry_ms: 1,
        retry_cap_ms: 1,
        time_bound_ms: 1,
        time_bound_cap_ms: 1,
        heartbeat_ms: 0,
        max_block_transactions: 1,
    };
    assert_eq!(start(least.clone(), genesis()), Ok(()));
    let most = Params {
        max_block_transactions: MAX_BLOCK_TRANSACTIONS as u32,
        ..Params::default()
    };
    assert_eq!(start(most, genesis()), Ok(()));
    type Change = fn(&mut Params);
    let cases: [(&str, Change); 9] = [
        ("rotation", |p| p.rotation = 0),
        ("timeout_ms", |p| p.timeout_ms = 0),
        ("timeout_cap_ms", |p| p.timeout_cap_ms = 0),
        ("retry_ms", |p| p.retry_ms = 0),
        ("retry_cap_ms", |p| p.retry_cap_ms = 0),
        ("time_bound_ms", |p| p.time_bound_ms = 0),
        ("time_bound_cap_ms", |p| p.time_bound_cap_ms = 0),
        ("max_block_transactions", |p| p.max_block_transactions = 0),
        ("max_block_transactions", |p| {
            p.max_block_transactions = MAX_BLOCK_TRANSACTIONS as u32 + 1;
        }),
    ];
    for (expected, change) in cases {
        let mut params = least.clone();
        change(&mut params);
        match start(params, genesis()) {
            Err(StartError::Parameter { name, .. }) => assert_eq!(name, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
}

/// A head of height 5 whose parts belong together.
fn head() -> Head {
    let mut head = genesis();
    head.header.height = Height::new(5);
    head.header.view = View::new(1);
    certified(head, 2)
}

fn certified(mut head: Head, view: u32) -> Head {
    head.certificate = certificate(view, &head.header, &head.outcome, &[0, 1, 2]);
    head
}

#[test]
fn r_5_a_last_block_whose_parts_do_not_belong_together_stops_the_start() {
    assert_eq!(start(params(), genesis()), Ok(()));
    assert_eq!(start(params(), head()), Ok(()));
    type Change = fn(Head) -> Head;
    let cases: [(&str, Change); 5] = [
        ("of another chain", |mut h| {
            h.header.chain = ChainId::main(b"another");
            certified(h, 2)
        }),
        ("certified for another height", |mut h| {
            h.certificate.height = Height::new(6);
            h
        }),
        ("another header", |mut h| {
            h.header.offset += 1;
            h
        }),
        ("another outcome", |mut h| {
            h.certificate.outcome = OutcomeDigest::ZERO;
            h
        }),
        ("certified before it was proposed", |h| certified(h, 0)),
    ];
    for (name, change) in cases {
        let verdict = start(params(), change(head()));
        assert_eq!(verdict, Err(StartError::Head), "{name}");
    }
}

#[test]
fn s_3_who_starts_asks_for_blocks_but_for_one_who_decides_alone() {
    let starts = |me, n| Sandbox::unstarted(me, n, genesis(), Vec::new()).start();
    let asks = |words: Vec<String>| words.contains(&"fetch 1".to_owned());
    assert!(asks(starts(Some(1), 4)));
    assert!(asks(starts(None, 4)), "a follower");
    assert!(asks(starts(None, 1)), "a follower of one");
    assert!(!asks(starts(Some(0), 1)), "the one itself");
}

#[test]
fn r_4_the_notice_carries_the_nonce_of_the_journal() {
    let nonce = [7; 32];
    let records = vec![Record::Amnesia { nonce }];
    let mut sandbox = Sandbox::unstarted(Some(1), 4, genesis(), records);
    assert!(sandbox.engine.status().amnesiac);
    sandbox.start();
    let said = |a: &Action| matches!(a, Action::SubmitRestartNotice { nonce: n } if *n == nonce);
    assert!(sandbox.actions.iter().any(said), "{:?}", sandbox.actions);
    // A notice in a block that is not decided here clears nothing, and so does a second one.
    let refused = "refused restart notice: an answer of the node to no open request";
    let height = Height::new(1);
    assert_eq!(sandbox.step(Event::AmnesiaCleared { height }), [refused]);
    assert!(sandbox.engine.status().amnesiac);
    let height = Height::ZERO;
    sandbox.step(Event::AmnesiaCleared { height });
    assert!(!sandbox.engine.status().amnesiac);
    assert_eq!(sandbox.step(Event::AmnesiaCleared { height }), [refused]);
}

#[test]
fn a_look_at_the_engine_shows_where_it_stands() {
    let mut sandbox = Sandbox::new(2);
    let first = sandbox.decide_one();
    let status = sandbox.engine.status();
    assert_eq!(status.height, Height::new(2));
    assert_eq!(status.primary, index(0));
    assert_eq!(status.head_time, first.time_ms);
    let id = certificate(0, &first, &outcome(1), &[]).block_id();
    assert_eq!(status.head, id);
    assert!(status.open && status.can_sign && !status.amnesiac && !status.decided);
}

#[test]
fn r_1_a_write_torn_after_a_header_leaves_view_0_as_it_was() {
    let header = Sandbox::new(1).header(0, 1);
    let records = vec![Record::Header(Box::new(header.clone()))];
    let mut sandbox = Sandbox::with(Some(1), 4, genesis(), records);
    let status = sandbox.engine.status();
    assert_eq!((status.view, status.open), (View::ZERO, true));
    let words = sandbox.hear(sandbox.pre_prepare(&header));
    assert!(words.contains(&"body 1 again".to_owned()), "{words:?}");
    let words = sandbox.step(Event::BodyReady {
        header: header.digest(),
    });
    assert!(words.contains(&"all prepare 1/0".to_owned()), "{words:?}");
}
