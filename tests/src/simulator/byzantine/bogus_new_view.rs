//! A primary that opens views with a certificate left out, claims left out, or another block.

use std::sync::Arc;

use certchain_consensus::{Message, message::NewView, statement::Statement};

use super::{Behaviour, Letter, Tools};

/// Sends each receiver its own version of a NEW-VIEW.
#[derive(Debug)]
pub struct BogusNewView;

impl Behaviour for BogusNewView {
    fn sends(
        &mut self,
        tools: &mut Tools<'_>,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Vec<Letter> {
        let Message::NewView(honest) = message.as_ref() else {
            return tools.to(receivers, message);
        };
        let mut letters = Vec::new();
        for to in receivers {
            let mut twisted = honest.clone();
            match tools.rng.index(5) {
                // Any quorum of the claims is a valid choice, the one without certificates too.
                0 => twisted.claims.retain(|c| c.prepared.is_none()),
                1 => {
                    let place = tools.rng.index(twisted.claims.len());
                    twisted.claims.remove(place);
                }
                2 => twisted.prepared = None,
                3 => twisted.claims.iter_mut().for_each(|c| c.prepared = None),
                _ => {}
            }
            if twisted.highest_claim().is_none() {
                twisted.prepared = None;
            }
            letters.push((*to, Arc::new(Message::NewView(signed(tools, twisted)))));
        }
        letters
    }
}

fn signed(tools: &Tools<'_>, mut m: NewView) -> NewView {
    m.signature = tools.sign(&Statement::NewView(m.vote()));
    m
}
