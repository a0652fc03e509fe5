//! A vote is on disk before it is on the wire, and so is the body that it is for.

use certchain_consensus::{Message, Record};

use super::Violation;

/// Checks a message that is about to leave against what its sender's disk holds.
///
/// # Errors
/// If a power cut now would make the sender forget it.
pub fn check(
    node: usize,
    message: &Message,
    journal: &[Record],
    body_stored: bool,
) -> Result<(), Violation> {
    let stored = journal
        .iter()
        .rev()
        .any(|record| matches!(record, Record::Signed(signed) if signed.as_ref() == message));
    let fail = |what: &str| {
        let (kind, height, view) = (message.kind(), message.height(), message.view());
        Err(Violation(format!(
            "node {node}, height {height}, view {view}: {kind} {what}"
        )))
    };
    if !stored {
        return fail("sent before it was in the journal");
    }
    match message {
        Message::Prepare(_) if !body_stored => fail("sent before the body was on disk"),
        Message::Commit(commit) => {
            let certified = journal.iter().any(|record| {
                matches!(record, Record::Prepared(p)
                    if p.view > commit.vote.view
                        || (p.view == commit.vote.view
                            && p.header.digest() == commit.vote.header))
            });
            if certified {
                Ok(())
            } else {
                fail("sent before its prepared certificate was stored")
            }
        }
        Message::PrePrepare(_)
        | Message::Prepare(_)
        | Message::ViewChange(_)
        | Message::NewView(_) => Ok(()),
    }
}
