//! COMMITs for nobody but one, from whom the block itself is kept: that one alone knows the decision, and
//! the others alone know the block. Attacks C-4 and the view changes that must bring both together.

use std::sync::Arc;

use certchain_consensus::Message;

use super::{Behaviour, Letter, Tools};

/// Chooses another victim for each height.
#[derive(Debug, Default)]
pub struct LonelyCommit;

impl Behaviour for LonelyCommit {
    fn sends(
        &mut self,
        tools: &mut Tools<'_>,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Vec<Letter> {
        let step = 1 + message.height().get() as usize % (tools.n - 1);
        let victim = (tools.me + step) % tools.n;
        let chosen: Vec<usize> = receivers
            .iter()
            .copied()
            .filter(|to| match message.as_ref() {
                Message::PrePrepare(_) | Message::NewView(_) => *to != victim,
                Message::Commit(_) => *to == victim,
                Message::Prepare(_) | Message::ViewChange(_) => true,
            })
            .collect();
        tools.to(&chosen, message)
    }
}
