//! Old VIEW-CHANGEs and NEW-VIEWs of anybody, said again at bad moments, and requests for views far
//! ahead: attacks NV-3, by which views never fall, and VC-3, by which no single one pulls others.

use std::sync::Arc;

use certchain_consensus::{Message, statement::ViewChangeVote};
use certchain_proto::View;

use super::{Behaviour, Letter, Tools};

const KEPT: usize = 64;

/// Collects and replays.
#[derive(Debug, Default)]
pub struct StaleReplay {
    heard: Vec<Arc<Message>>,
}

impl Behaviour for StaleReplay {
    fn hears(&mut self, tools: &mut Tools<'_>, message: &Message) -> Vec<Letter> {
        if matches!(message, Message::ViewChange(_) | Message::NewView(_)) {
            if self.heard.len() >= KEPT {
                let place = tools.rng.index(KEPT);
                self.heard.swap_remove(place);
            }
            self.heard.push(Arc::new(message.clone()));
        }
        if !tools.rng.per_mille(100) {
            return Vec::new();
        }
        if tools.rng.coin() && !self.heard.is_empty() {
            let place = tools.rng.index(self.heard.len());
            return tools.to_others(&self.heard[place]);
        }
        let slot = message.statement().slot();
        let vote = ViewChangeVote {
            chain: slot.chain,
            epoch: slot.epoch,
            height: slot.height,
            view: View::new(1 + tools.rng.between(0, 1 << 31) as u32),
            prepared: None,
        };
        tools.to_others(&tools.ask(vote, None))
    }
}
