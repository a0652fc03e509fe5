//! A primary that opens views with a certificate left out, claims left out, or another block: attacks
//! NV-2, by which every replica recomputes the choice.

use std::sync::Arc;

use certchain_consensus::{Message, message::NewView};

use super::{Behaviour, Letter, Tools, unrest::Unrest};

/// Sends each receiver its own version of a NEW-VIEW.
#[derive(Debug, Default)]
pub struct BogusNewView {
    unrest: Unrest,
}

impl Behaviour for BogusNewView {
    fn sends(
        &mut self,
        tools: &mut Tools<'_>,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Vec<Letter> {
        let Message::NewView(honest) = message.as_ref() else {
            return self.unrest.sends(tools, message, receivers);
        };
        let mut letters = Vec::new();
        for to in receivers {
            let twisted = twist(tools, honest.clone());
            letters.push(Letter::new(*to, &tools.open(twisted)));
        }
        letters
    }

    fn ignores(&mut self, message: &Message) -> bool {
        self.unrest.ignores(message)
    }
}

fn twist(tools: &mut Tools<'_>, mut m: NewView) -> NewView {
    match tools.rng.index(5) {
        // Any quorum of the claims is a valid choice, the one without certificates too.
        0 => m.claims.retain(|c| c.prepared.is_none()),
        1 => {
            let place = tools.rng.index(m.claims.len());
            m.claims.remove(place);
        }
        2 => m.prepared = None,
        3 => m.claims.iter_mut().for_each(|c| c.prepared = None),
        _ => {}
    }
    if m.highest_claim().is_none() {
        m.prepared = None;
    }
    m
}
