//! Everything received is bounded by sender, height and view.

use certchain_consensus::{
    Message,
    limits::{
        AHEAD_MESSAGES_PER_SENDER, MAX_CLAIM_BYTES, MAX_HEADER_BYTES, MAX_MESSAGE_BYTES,
        MAX_NEW_VIEW_BYTES, MAX_PRE_PREPARE_BYTES, MAX_RECORD_BYTES, MAX_VIEW_CHANGE_BYTES,
        VOTE_VIEWS_PER_SENDER,
    },
};
use certchain_proto::{
    Checkpoint, Height, View, codec,
    hash::{BlockId, StateRoot},
    limits::{MAX_BLOCK_TRANSACTIONS, MAX_VALIDATORS},
};

use crate::sandbox::{Sandbox, new_view, outcome, pre_prepare, prepare, prepared, view_change};

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
