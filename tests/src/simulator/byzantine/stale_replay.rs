//! Old VIEW-CHANGEs and NEW-VIEWs of anybody, said again at bad moments, and requests for views
//! far ahead.

use std::sync::Arc;

use certchain_consensus::{
    Message,
    message::ViewChange,
    statement::{Statement, ViewChangeVote},
};
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
        let others = tools.others();
        if tools.rng.coin() && !self.heard.is_empty() {
            let place = tools.rng.index(self.heard.len());
            let old = Arc::clone(&self.heard[place]);
            return tools.to(&others, &old);
        }
        let slot = message.statement().slot();
        let vote = ViewChangeVote {
            chain: slot.chain,
            epoch: slot.epoch,
            height: slot.height,
            view: View::new(1 + tools.rng.between(0, 1 << 31) as u32),
            prepared: None,
        };
        let signature = tools.sign(&Statement::ViewChange(vote));
        let request = ViewChange {
            vote,
            signer: tools.index(),
            signature,
            certificate: None,
        };
        tools.to(&others, &Arc::new(Message::ViewChange(request)))
    }
}
