//! T: what runs when, and what is said again.

use certchain_consensus::{Event, Message, Record, TimerKind};
use certchain_proto::View;

use crate::{
    Row, check,
    sandbox::{Sandbox, commit, genesis, new_view, outcome, params, prepare, sealed, view_change},
};

fn work(pending: bool) -> Event {
    Event::WorkChanged { pending }
}

fn timers(words: &[String]) -> Vec<&str> {
    let timer = |w: &&str| w.starts_with("set ") || w.starts_with("stop ");
    words.iter().map(String::as_str).filter(timer).collect()
}

#[test]
fn t_2_t_4_what_makes_a_view_s_time_and_repeats_run() {
    check(&[
        Row {
            name: "a proposal owes a block, though nobody reported work",
            me: 1,
            before: |_| {},
            event: |s| s.message(s.pre_prepare(&s.header(0, 1))),
            expect: &["body 1", "set View 1/0 +2000", "set Retry 1/0 +500"],
        },
        Row {
            name: "a view above 0 owes one, though nothing is proposed yet",
            me: 3,
            before: |_| {},
            event: |s| {
                let requests = [0, 1, 2].map(|i| view_change(i, 1, 1, None));
                s.message(Message::NewView(new_view(1, &requests)))
            },
            expect: &["set View 1/1 +4000"],
        },
        Row {
            name: "what was said may be lost",
            me: 3,
            before: |s| drop(s.step(work(true))),
            event: |s| s.timer(TimerKind::View, 1, 0),
            expect: &[
                "keep view-change 1/1",
                "all view-change 1/1",
                "set Retry 1/1 +500",
            ],
        },
        Row {
            name: "a decided block has to be fetched",
            me: 1,
            before: |s| {
                s.advance(5_000);
                for i in [0, 2] {
                    s.hear(commit(i, 0, &s.header(0, 3), &outcome(1)));
                }
            },
            event: |s| s.message(commit(3, 0, &s.header(0, 3), &outcome(1))),
            expect: &["fetch 1 from 0", "set Retry 1/0 +500"],
        },
    ]);
}

#[test]
fn t_2_a_proposal_of_our_own_that_is_held_is_waited_for() {
    let mut sandbox = Sandbox::new(0);
    sandbox.step(work(true));
    let early = {
        // The node's clock is ahead of the engine's.
        let now = sandbox.now;
        sandbox.advance(params().time_bound_ms + 300);
        let event = sandbox.proposal(0, 1);
        sandbox.now = now;
        event
    };
    let words = sandbox.step(early);
    assert!(
        words.contains(&"set Early 1/0 +300".to_owned()),
        "{words:?}"
    );
    let words = sandbox.step(work(false));
    assert_eq!(timers(&words), Vec::<&str>::new(), "its time goes on");
}

#[test]
fn t_3_heartbeats_are_watched_by_voters_until_they_are_due() {
    let beats = |words: &[String]| words.iter().any(|w| w.starts_with("set Heartbeat"));
    let mut voter = Sandbox::unstarted(Some(2), 4, genesis(), Vec::new());
    assert!(beats(&voter.start()));
    let mut follower = Sandbox::unstarted(None, 4, genesis(), Vec::new());
    assert_eq!(timers(&follower.start()), Vec::<&str>::new());
    voter.advance(params().heartbeat_ms);
    let words = voter.step(voter.timer(TimerKind::Heartbeat, 1, 0));
    assert!(!beats(&words), "it is due, nothing to wait for: {words:?}");
    // In whatever view, it is the same timer.
    let mut voter = Sandbox::new(3);
    let requests = [0, 1, 2].map(|i| view_change(i, 1, 1, None));
    let words = voter.hear(Message::NewView(new_view(1, &requests)));
    assert!(!beats(&words), "{words:?}");
}

#[test]
fn pp_4_the_watch_for_an_early_proposal_ends_with_it() {
    let mut sandbox = Sandbox::new(1);
    let mut header = sandbox.header(0, 1);
    header.time_ms = header.time_ms.saturating_add(params().time_bound_ms + 300);
    let words = sandbox.hear(sandbox.pre_prepare(&header));
    assert_eq!(words, ["set Early 1/0 +300"]);
    sandbox.advance(300);
    let words = sandbox.step(work(true));
    assert!(words.contains(&"body 1".to_owned()), "{words:?}");
    assert!(words.contains(&"stop Early 1/0".to_owned()), "{words:?}");
}

#[test]
fn t_4_one_who_decides_alone_repeats_nothing() {
    let mut sandbox = Sandbox::with(Some(0), 1, genesis(), Vec::new());
    sandbox.step(work(true));
    let words = sandbox.step(sandbox.proposal(0, 1));
    assert!(
        words.contains(&"keep pre-prepare 1/0".to_owned()),
        "{words:?}"
    );
    let idle = |w: &String| !w.starts_with("all") && !w.starts_with("set Retry");
    assert!(words.iter().all(idle), "{words:?}");
}

#[test]
fn t_4_of_views_that_are_over_only_commits_and_requests_are_repeated() {
    let mut sandbox = Sandbox::new(1);
    let header = sandbox.header(0, 1);
    sandbox.prepare_own(&header);
    for i in [0, 2, 3] {
        sandbox.hear(prepare(i, 0, &header));
    }
    sandbox.step(sandbox.timer(TimerKind::View, 1, 0));
    let words = sandbox.step(sandbox.timer(TimerKind::Retry, 1, 1));
    let said = ["all commit 1/0", "all view-change 1/1"];
    assert_eq!(crate::without_timers(&words, &said), said);
    // We open view 1 and leave it: the opening is over.
    for i in [0, 2] {
        sandbox.hear(Message::ViewChange(view_change(i, 1, 1, None)));
    }
    let words = sandbox.step(sandbox.timer(TimerKind::Retry, 1, 1));
    let to_all = words.iter().filter(|w| w.contains("new-view")).count();
    assert_eq!(to_all, 3, "{words:?}");
    sandbox.step(sandbox.timer(TimerKind::View, 1, 1));
    let words = sandbox.step(sandbox.timer(TimerKind::Retry, 1, 2));
    let said = ["all commit 1/0", "all view-change 1/2"];
    assert_eq!(crate::without_timers(&words, &said), said);
}

#[test]
fn t_4_the_newest_commits_are_repeated_in_their_order() {
    let header = Sandbox::new(1).header(0, 1);
    let mut records = vec![Record::Header(Box::new(header.clone()))];
    for view in 0..7 {
        let vote = commit(1, view, &header, &outcome(1));
        records.push(Record::Signed(Box::new(vote)));
    }
    let mut sandbox = Sandbox::unstarted(Some(1), 4, genesis(), records);
    let words = sandbox.start();
    let said: Vec<_> = words.iter().filter(|w| w.contains("commit")).collect();
    let newest = [
        "all commit 1/3",
        "all commit 1/4",
        "all commit 1/5",
        "all commit 1/6",
    ];
    assert_eq!(said, newest);
}

#[test]
fn t_4_a_follower_that_waits_for_a_block_asks_for_it() {
    let mut sandbox = Sandbox::with(None, 4, genesis(), Vec::new());
    sandbox.hear(sandbox.pre_prepare(&sandbox.header(0, 1)));
    sandbox.advance(500);
    let words = sandbox.step(sandbox.timer(TimerKind::Retry, 1, 0));
    assert_eq!(words[0], "fetch 1", "{words:?}");
    // Whoever votes is told by the others, who see its votes repeated.
    let mut sandbox = Sandbox::new(1);
    sandbox.hear(sandbox.pre_prepare(&sandbox.header(0, 1)));
    sandbox.advance(500);
    let words = sandbox.step(sandbox.timer(TimerKind::Retry, 1, 0));
    assert!(!words.iter().any(|w| w.starts_with("fetch")), "{words:?}");
}

#[test]
fn s_1_a_laggard_is_answered_once_in_half_a_pause() {
    let mut sandbox = Sandbox::new(1);
    sandbox.decide_one();
    let gives = |s: &mut Sandbox| {
        let words = s.hear(Message::ViewChange(view_change(3, 1, 1, None)));
        words.contains(&"give 1 to 3".to_owned())
    };
    assert!(gives(&mut sandbox));
    sandbox.advance(params().retry_ms / 2 - 1);
    assert!(!gives(&mut sandbox));
    sandbox.advance(1);
    assert!(gives(&mut sandbox));
    // A clock that was set back makes nobody wait for long.
    sandbox.now -= 10_000;
    assert!(gives(&mut sandbox));
}

#[test]
fn s_1_a_height_below_the_last_needs_no_repeat() {
    let mut sandbox = Sandbox::new(1);
    let first = sandbox.decide_one();
    let second = sandbox.decide_one();
    let late = |s: &mut Sandbox, header| s.hear(commit(3, 7, header, &outcome(1))).len();
    assert_eq!(late(&mut sandbox, &second), 1, "refused, perhaps only late");
    assert_eq!(late(&mut sandbox, &first), 2, "refused, and answered");
    // Sealed blocks of heights that are not the next say nothing, whatever is in them.
    let words = sandbox.step(sealed(&first, &outcome(2)));
    assert_eq!(words, ["refused sealed block: its height is decided"]);
    let mut above = sandbox.header(0, 1);
    above.height = above.height.next();
    let words = sandbox.step(sealed(&above, &outcome(1)));
    assert_eq!(words, ["refused sealed block: its height is ahead of ours"]);
    assert_eq!(sandbox.engine.status().halted, None);
}

#[test]
fn vc_1_a_view_that_was_opened_is_left_for_good() {
    let mut sandbox = Sandbox::new(3);
    let requests = [0, 1, 2].map(|i| view_change(i, 1, 1, None));
    sandbox.hear(Message::NewView(new_view(1, &requests)));
    sandbox.step(sandbox.timer(TimerKind::View, 1, 1));
    let status = sandbox.engine.status();
    assert_eq!((status.view, status.open), (View::new(2), false));
}
