//! Holds its COMMITs back until others have asked for the next view, and then tells some: attacks
//! C-3, by which COMMITs of a view that was left still count, and part (b) of the proof of safety.

use std::sync::Arc;

use certchain_consensus::Message;

use super::{Behaviour, Letter, Tools, limit::Limit, unrest::Unrest};

/// COMMITs that are kept.
const KEPT: usize = 8;

/// Speaks when it is nearly too late.
#[derive(Debug, Default)]
pub struct LateVotes {
    held: Vec<Arc<Message>>,
    limit: Limit,
    unrest: Unrest,
}

impl Behaviour for LateVotes {
    fn sends(
        &mut self,
        tools: &mut Tools<'_>,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Vec<Letter> {
        if !matches!(message.as_ref(), Message::Commit(_)) {
            return self.unrest.sends(tools, message, receivers);
        }
        if !self.held.contains(message) {
            self.held.push(Arc::clone(message));
        }
        if self.held.len() > KEPT {
            self.held.remove(0);
        }
        Vec::new()
    }

    fn hears(&mut self, tools: &mut Tools<'_>, message: &Message) -> Vec<Letter> {
        let slot = message.statement().slot();
        if !matches!(message, Message::ViewChange(_)) || !self.limit.here(tools.now, slot, 2) {
            return Vec::new();
        }
        let side = tools.rng.next_u64();
        let mut letters = Vec::new();
        for held in &self.held {
            let due = held.height() == slot.height && held.view() < slot.view;
            let told = |to: &usize| due && (side >> to) & 1 == 1;
            let told: Vec<usize> = tools.others().into_iter().filter(told).collect();
            letters.extend(tools.to(&told, held));
        }
        letters
    }

    fn ignores(&mut self, message: &Message) -> bool {
        self.unrest.ignores(message)
    }
}
