//! Messages for the next height, kept until it opens.

use std::collections::BTreeMap;

use certchain_proto::{ValidatorIndex, View};

use crate::{
    evidence::Equivocation,
    limits::{AHEAD_BYTES_PER_SENDER, AHEAD_MESSAGES_PER_SENDER},
    message::Message,
    planted::{self, Bug},
    statement::Phase,
};

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Yes,
    Repeated,
    Contradicts(Box<Equivocation>),
    Full,
}

#[derive(Debug, Default)]
struct Shelf {
    messages: BTreeMap<(View, Phase), Message>,
    bytes: usize,
}

/// Messages for one height above the undecided one.
///
/// Invariant: per signer at most the bytes and messages that the limits name.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    by_signer: BTreeMap<ValidatorIndex, Shelf>,
}

impl Ahead {
    /// Keeps a message; the lowest views of its signer make room.
    pub fn keep(&mut self, message: Message) -> Kept {
        let signer = message.signer();
        let signed = message.signed_statement();
        let slot = signed.statement.slot();
        let size = message.size();
        let shelf = self.by_signer.entry(signer).or_default();
        if let Some(known) = shelf.messages.get(&(slot.view, slot.phase)) {
            return match Equivocation::of(known.signed_statement(), signed) {
                Some(evidence) => Kept::Contradicts(Box::new(evidence)),
                None => Kept::Repeated,
            };
        }
        if planted::is(Bug::KeepsAllAhead) {
            shelf.bytes = shelf.bytes.saturating_add(size);
            shelf.messages.insert((slot.view, slot.phase), message);
            return Kept::Yes;
        }
        if size > AHEAD_BYTES_PER_SENDER {
            return Kept::Full;
        }
        while shelf.messages.len() >= AHEAD_MESSAGES_PER_SENDER
            || shelf.bytes.saturating_add(size) > AHEAD_BYTES_PER_SENDER
        {
            match shelf.messages.first_entry() {
                Some(entry) if entry.key().0 < slot.view => {
                    shelf.bytes = shelf.bytes.saturating_sub(entry.remove().size());
                }
                _ => return Kept::Full,
            }
        }
        shelf.bytes = shelf.bytes.saturating_add(size);
        shelf.messages.insert((slot.view, slot.phase), message);
        Kept::Yes
    }

    /// Takes everything, by signer and view.
    pub fn drain(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.by_signer)
            .into_values()
            .flat_map(|shelf| shelf.messages.into_values())
            .collect()
    }

    /// The most messages and the most bytes that wait of one signer.
    pub fn most_of_one(&self) -> (usize, usize) {
        let shelves = self.by_signer.values();
        let messages = shelves.clone().map(|s| s.messages.len()).max();
        let bytes = shelves.map(|s| s.bytes).max();
        (messages.unwrap_or(0), bytes.unwrap_or(0))
    }

    pub fn is_empty(&self) -> bool {
        self.by_signer.is_empty()
    }

    /// Who has shown to be ahead of us.
    pub fn signers(&self) -> Vec<ValidatorIndex> {
        self.by_signer.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests;
