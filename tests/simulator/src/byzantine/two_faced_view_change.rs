//! VIEW-CHANGEs for one view with different claims to different receivers, each claim a real one:
//! attacks NV-2, whose choice rests on claims as signed, and E-1, which proves the contradiction.

use std::sync::Arc;

use certchain_consensus::{Message, message::PreparedCertificate};

use super::{Behaviour, Letter, Tools, memory::Memory, unrest::Unrest};

/// Remembers certificates and claims any of them, or none.
#[derive(Debug, Default)]
pub struct TwoFacedViewChange {
    unrest: Unrest,
    memory: Memory,
}

impl Behaviour for TwoFacedViewChange {
    fn hears(&mut self, tools: &mut Tools<'_>, message: &Message) -> Vec<Letter> {
        self.memory.note(tools, message);
        Vec::new()
    }

    fn sends(
        &mut self,
        tools: &mut Tools<'_>,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Vec<Letter> {
        self.memory.note(tools, message);
        let Message::ViewChange(honest) = message.as_ref() else {
            return self.unrest.sends(tools, message, receivers);
        };
        let all = self.memory.certificates(tools.quorum());
        let mut claims: Vec<Option<PreparedCertificate>> = all.into_values().map(Some).collect();
        claims.push(None);
        // Not alone with the truth even if there is nothing else to claim.
        claims.extend(self.memory.past().cloned().map(Some));
        let mut letters = Vec::new();
        for to in receivers {
            let claim = claims[tools.rng.index(claims.len())].clone();
            letters.push(Letter::new(*to, &tools.ask(honest.vote, claim)));
        }
        letters
    }

    fn ignores(&mut self, message: &Message) -> bool {
        self.unrest.ignores(message)
    }
}
