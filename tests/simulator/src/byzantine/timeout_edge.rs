//! A primary that proposes, or opens its view, just before the others' patience ends, so that some of
//! them leave in the middle of the votes: attacks VC-1, C-1 and the timers T-1 and T-2.

use std::{collections::BTreeMap, sync::Arc};

use certchain_consensus::{Message, statement::Slot};

use super::{Behaviour, Letter, Tools};

/// How long before the end of a view it speaks, at most.
const EARLY_MS: u64 = 250;
/// How long after.
const LATE_MS: u64 = 50;

/// Keeps its proposals and openings until they are due.
#[derive(Debug, Default)]
pub struct TimeoutEdge {
    due: BTreeMap<Slot, u64>,
}

impl Behaviour for TimeoutEdge {
    fn sends(
        &mut self,
        tools: &mut Tools<'_>,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Vec<Letter> {
        if !matches!(
            message.as_ref(),
            Message::PrePrepare(_) | Message::NewView(_)
        ) {
            return tools.to(receivers, message);
        }
        let slot = message.statement().slot();
        let due = *self.due.entry(slot).or_insert_with(|| {
            let patience = tools.ground.params().timeout(slot.view) + LATE_MS;
            tools.now + patience - tools.rng.between(0, EARLY_MS + LATE_MS)
        });
        let wait = due.saturating_sub(tools.now);
        let letter = |to: &usize| Letter::later(*to, message, wait);
        receivers.iter().map(letter).collect()
    }
}
