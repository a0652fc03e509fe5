//! A primary that proposes one block to some and the same with another time to the rest, and votes
//! for both: attacks PP-2 and part (a) of the proof of safety.

use std::sync::Arc;

use certchain_consensus::{Message, message::PrePrepare};

use super::{Behaviour, Letter, Tools, craft::vote_for};

/// Splits the others in two, anew each time that it speaks.
#[derive(Debug, Default)]
pub struct EquivocatingPrimary;

impl Behaviour for EquivocatingPrimary {
    fn sends(
        &mut self,
        tools: &mut Tools<'_>,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Vec<Letter> {
        let Message::PrePrepare(first) = message.as_ref() else {
            return tools.to(receivers, message);
        };
        let mut second = PrePrepare::clone(first);
        second.header.time_ms = first.header.time_ms.saturating_add(1);
        let view = first.header.view;
        let blocks = [
            (
                Arc::clone(message),
                tools.prepare(vote_for(&first.header, view)),
            ),
            (
                tools.propose(second.clone()),
                tools.prepare(vote_for(&second.header, view)),
            ),
        ];
        let mut letters = Vec::new();
        for to in receivers {
            let (proposal, vote) = &blocks[tools.rng.index(2)];
            letters.push(Letter::new(*to, proposal));
            letters.push(Letter::new(*to, vote));
        }
        letters
    }
}
