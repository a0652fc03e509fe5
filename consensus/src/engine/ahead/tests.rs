//! The bounds of what waits for the next height.

use certchain_proto::limits::MAX_BLOCK_TRANSACTIONS;

use super::*;
use crate::{
    engine::fixtures::{header, pre_prepare, prepare as vote, validator},
    limits::MAX_PRE_PREPARE_BYTES,
};

fn proposal(view: u32, transactions: usize) -> Message {
    Message::PrePrepare(pre_prepare(header(view, 0), transactions))
}

/// A proposal that is taken for just so many bytes.
fn proposal_of(view: u32, bytes: usize) -> Message {
    let message = proposal(view, (bytes - proposal(view, 0).size()) / 32);
    assert_eq!(message.size(), bytes);
    message
}

fn views(ahead: Ahead) -> Vec<u32> {
    let mut ahead = ahead;
    ahead.drain().iter().map(|m| m.view().get()).collect()
}

#[test]
fn s_5_one_proposal_of_the_largest_kind_and_votes_have_room() {
    let largest = proposal(9, MAX_BLOCK_TRANSACTIONS);
    assert!(largest.size() > MAX_PRE_PREPARE_BYTES - 8 * 1024);
    let mut ahead = Ahead::default();
    assert_eq!(ahead.keep(largest), Kept::Yes);
    for view in 10..20 {
        assert_eq!(ahead.keep(vote(view)), Kept::Yes);
    }
    assert_eq!(ahead.most_of_one().0, 11);
    // A second such proposal of a later view takes the place of the first.
    assert_eq!(ahead.keep(proposal(20, MAX_BLOCK_TRANSACTIONS)), Kept::Yes);
    let (messages, bytes) = ahead.most_of_one();
    assert_eq!(messages, 11);
    assert!(bytes <= AHEAD_BYTES_PER_SENDER && AHEAD_BYTES_PER_SENDER < 2 * MAX_PRE_PREPARE_BYTES);
    assert_eq!(views(ahead), (10..=20).collect::<Vec<_>>());
}

#[test]
fn s_5_bytes_are_counted_to_the_last() {
    let half = AHEAD_BYTES_PER_SENDER / 2;
    let mut ahead = Ahead::default();
    assert_eq!(ahead.keep(proposal_of(1, half)), Kept::Yes);
    let rest = AHEAD_BYTES_PER_SENDER - half;
    assert_eq!(ahead.keep(proposal_of(2, rest)), Kept::Yes);
    assert_eq!(ahead.most_of_one(), (2, AHEAD_BYTES_PER_SENDER));
    // Full: who comes with more makes room by its own lower views, or finds none.
    assert_eq!(ahead.keep(vote(0)), Kept::Full);
    assert_eq!(ahead.keep(vote(3)), Kept::Yes);
    assert_eq!(ahead.most_of_one(), (2, rest + vote(3).size()));
    assert_eq!(views(ahead), [2, 3]);
    // As large as may be, alone; larger, not at all, and nothing makes way for it.
    let mut ahead = Ahead::default();
    assert_eq!(ahead.keep(vote(1)), Kept::Yes);
    let larger = proposal_of(2, AHEAD_BYTES_PER_SENDER + 32);
    assert_eq!(ahead.keep(larger), Kept::Full);
    assert_eq!(ahead.most_of_one().0, 1);
    assert_eq!(
        ahead.keep(proposal_of(2, AHEAD_BYTES_PER_SENDER)),
        Kept::Yes
    );
    assert_eq!(views(ahead), [2]);
}

#[test]
fn s_5_a_message_makes_room_in_lower_views_only() {
    let mut ahead = Ahead::default();
    assert!(ahead.is_empty());
    let last = 5 + AHEAD_MESSAGES_PER_SENDER as u32 - 1;
    for view in 5..=last {
        assert_eq!(ahead.keep(vote(view)), Kept::Yes);
    }
    assert_eq!(ahead.keep(vote(5)), Kept::Repeated);
    assert_eq!(ahead.keep(proposal(5, 0)), Kept::Full, "of the lowest view");
    assert_eq!(ahead.keep(vote(4)), Kept::Full, "below it");
    assert_eq!(ahead.keep(proposal(6, 0)), Kept::Yes, "above it");
    assert_eq!(ahead.most_of_one().0, AHEAD_MESSAGES_PER_SENDER);
    assert_eq!(ahead.signers(), [validator(2)]);
    let mut expected: Vec<u32> = (6..=last).collect();
    expected.insert(0, 6);
    assert_eq!(views(ahead), expected);
}
