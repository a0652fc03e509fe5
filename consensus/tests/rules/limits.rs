//! Everything received is bounded by sender, height and view.

use certchain_consensus::{
    Load, Message, Record,
    limits::{
        AHEAD_MESSAGES_PER_SENDER, MAX_CLAIM_BYTES, MAX_HEADER_BYTES, MAX_LATE_STATEMENTS,
        MAX_MESSAGE_BYTES, MAX_NEW_VIEW_BYTES, MAX_PRE_PREPARE_BYTES, MAX_RECORD_BYTES,
        MAX_VIEW_CHANGE_BYTES, VOTE_VIEWS_PER_SENDER,
    },
};
use certchain_proto::{
    Checkpoint, Height, View, codec,
    hash::{BlockId, StateRoot},
    limits::{MAX_BLOCK_TRANSACTIONS, MAX_VALIDATORS},
};

use crate::sandbox::{
    Sandbox, commit, new_view, outcome, pre_prepare, prepare, prepared, view_change,
};

#[test]
fn one_sender_s_flood_stays_its_own() {
    let mut sandbox = Sandbox::new(1);
    let header = sandbox.header(0, 1);
    // Votes for many views: the highest stay, lower ones find no room.
    for view in (0..200).rev() {
        let words = sandbox.hear(prepare(2, view, &header));
        let full =
            words.contains(&"refused prepare: too many messages of this validator wait".into());
        let room = 200 - view as usize <= VOTE_VIEWS_PER_SENDER;
        assert_eq!(full, !room, "view {view}");
    }
    // The next height.
    let mut next = header;
    next.height = Height::new(2);
    let mut refused = 0;
    for view in (0..200).rev() {
        let words = sandbox.hear(prepare(2, view, &next));
        refused += words.iter().filter(|w| w.contains("too many")).count();
    }
    assert_eq!(refused, 200 - AHEAD_MESSAGES_PER_SENDER);
    // Another sender is heard as before.
    assert!(sandbox.hear(prepare(3, 0, &next)).is_empty());
}

#[test]
fn the_largest_messages_fit_and_larger_ones_do_not() {
    let sandbox = Sandbox::new(1);
    let mut header = sandbox.header(0, MAX_BLOCK_TRANSACTIONS);
    header.checkpoint = Some(Checkpoint {
        height: Height::new(u64::MAX),
        block: BlockId::ZERO,
        state_root: StateRoot::ZERO,
    });
    assert!(codec::encode(&header).len() <= MAX_HEADER_BYTES);
    let everybody: Vec<usize> = vec![0; MAX_VALIDATORS];
    let mut contents = sandbox.contents(MAX_BLOCK_TRANSACTIONS);
    contents.parent_certificate = crate::sandbox::certificate(0, &header, &outcome(1), &everybody);
    let proposal = pre_prepare(header.clone(), contents);
    let certificate = prepared(0, &header, &everybody);
    let request = view_change(0, 1, 1, Some(certificate));
    let requests: Vec<_> = everybody.iter().map(|_| request.clone()).collect();
    let opening = new_view(1, &requests);
    assert!(codec::encode(&opening.claims[0]).len() <= MAX_CLAIM_BYTES);
    let sizes = [
        (proposal, MAX_PRE_PREPARE_BYTES),
        (Message::ViewChange(request), MAX_VIEW_CHANGE_BYTES),
        (Message::NewView(opening), MAX_NEW_VIEW_BYTES),
    ];
    for (message, limit) in sizes {
        let bytes = message.encode();
        assert!(
            bytes.len() <= limit,
            "{}: {} bytes",
            message.kind(),
            bytes.len()
        );
        assert!(
            bytes.len() <= message.size(),
            "{}: {}",
            message.kind(),
            message.size()
        );
        assert_eq!(Message::decode(&bytes, MAX_MESSAGE_BYTES), Ok(message));
        assert!(Message::decode(&bytes, bytes.len() - 1).is_err());
    }
    const { assert!(MAX_RECORD_BYTES > MAX_MESSAGE_BYTES) };
}

/// A bound that is far too wide is none: what is refused by it and what is kept under it follow the
/// largest message of each kind closely.
#[test]
fn the_limits_leave_little_room_above_the_largest_messages() {
    const ROOM: usize = 6 * 1024;
    let sandbox = Sandbox::new(1);
    let header = sandbox.header(0, MAX_BLOCK_TRANSACTIONS);
    let everybody: Vec<usize> = vec![0; MAX_VALIDATORS];
    let mut contents = sandbox.contents(MAX_BLOCK_TRANSACTIONS);
    contents.parent_certificate = crate::sandbox::certificate(0, &header, &outcome(1), &everybody);
    let proposal = pre_prepare(header.clone(), contents);
    let request = view_change(0, 1, 1, Some(prepared(0, &header, &everybody)));
    let requests: Vec<_> = everybody.iter().map(|_| request.clone()).collect();
    let opening = new_view(1, &requests);
    let record = Record::Signed(Box::new(proposal.clone()));
    let record = codec::encode(&record).len();
    assert!(record <= MAX_RECORD_BYTES && MAX_RECORD_BYTES <= record + ROOM);
    let sizes = [
        (proposal, MAX_PRE_PREPARE_BYTES),
        (Message::ViewChange(request), MAX_VIEW_CHANGE_BYTES),
        (Message::NewView(opening), MAX_NEW_VIEW_BYTES),
        (prepare(1, 0, &header), ROOM),
    ];
    for (message, limit) in sizes {
        let (kind, bytes) = (message.kind(), message.encode().len());
        assert!(limit <= bytes + ROOM, "{kind}: {bytes}, limit {limit}");
        let size = message.size();
        assert!(
            bytes <= size && size <= bytes + ROOM,
            "{kind}: {bytes}, taken for {size}"
        );
    }
    // Every vote that can be kept of one height can be remembered when the next has begun.
    const { assert!(MAX_LATE_STATEMENTS >= MAX_VALIDATORS * 2 * VOTE_VIEWS_PER_SENDER) };
    const { assert!(MAX_LATE_STATEMENTS <= 4 * MAX_VALIDATORS * 2 * VOTE_VIEWS_PER_SENDER) };
}

/// What the engine tells of its buffers is what a flood has left in them.
#[test]
fn a_look_at_the_load_counts_what_is_kept_of_one_sender() {
    let mut sandbox = Sandbox::new(1);
    assert_eq!(sandbox.engine.load(), Load::default());
    let (one, two) = (sandbox.header(0, 1), sandbox.header(0, 2));
    for view in 0..3 {
        sandbox.hear(prepare(2, view, &one));
    }
    sandbox.hear(commit(3, 0, &one, &outcome(1)));
    assert_eq!(sandbox.engine.load().vote_views, 3);
    for view in 1..5 {
        sandbox.hear(commit(3, view, &one, &outcome(1)));
    }
    assert_eq!(sandbox.engine.load().vote_views, 5);
    for view in 1..3 {
        sandbox.hear(Message::ViewChange(view_change(2, 1, view, None)));
    }
    assert_eq!(sandbox.engine.load().view_changes, 2);
    sandbox.hear(sandbox.pre_prepare(&one));
    let load = sandbox.engine.load();
    assert_eq!((load.openings, load.candidates), (1, 1));
    // One proof against each of two: nobody has two.
    sandbox.hear(prepare(2, 0, &two));
    sandbox.hear(commit(3, 0, &two, &outcome(1)));
    assert_eq!(sandbox.engine.load().evidence, 1);
    sandbox.hear(commit(2, 0, &one, &outcome(1)));
    sandbox.hear(commit(2, 0, &two, &outcome(1)));
    assert_eq!(sandbox.engine.load().evidence, 2);
    let mut next = one;
    next.height = Height::new(2);
    let vote = prepare(2, 0, &next);
    let size = vote.size();
    sandbox.hear(vote);
    let load = sandbox.engine.load();
    assert_eq!((load.ahead_messages, load.ahead_bytes), (1, size));
    assert_eq!(load.late, 0);
    // The next height begins: one empty set of buffers, and the votes of the last to tell repeats by.
    let mut sandbox = Sandbox::new(1);
    sandbox.decide_one();
    let load = sandbox.engine.load();
    assert_eq!((load.vote_views, load.candidates), (0, 0));
    assert_eq!(load.late, 4 + 4, "the fourth COMMIT came late");
}

#[test]
fn a_request_for_the_last_view_of_all_moves_nobody_and_breaks_nothing() {
    let mut sandbox = Sandbox::new(1);
    sandbox.hear(Message::ViewChange(view_change(0, 1, u32::MAX, None)));
    assert_eq!(sandbox.engine.status().view, View::ZERO);
    sandbox.hear(Message::ViewChange(view_change(2, 1, u32::MAX, None)));
    assert_eq!(sandbox.engine.status().view, View::new(u32::MAX));
    let event = sandbox.timer(certchain_consensus::TimerKind::View, 1, u32::MAX);
    sandbox.step(event);
    assert!(sandbox.engine.status().halted.is_none());
}
