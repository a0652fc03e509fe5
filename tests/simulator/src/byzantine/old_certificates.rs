//! VIEW-CHANGEs on an older prepared certificate than the highest that their sender has, real ones of
//! this height or of an earlier one: attacks VC-1 and NV-2, where the highest claim decides.

use std::sync::Arc;

use certchain_consensus::{
    Message,
    message::{PreparedCertificate, ViewChange},
};

use super::{Behaviour, Letter, Tools, memory::Memory, unrest::Unrest};

/// Remembers certificates and claims old ones.
#[derive(Debug, Default)]
pub struct OldCertificates {
    unrest: Unrest,
    memory: Memory,
}

impl Behaviour for OldCertificates {
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
        match self.older(tools, honest) {
            Some(older) => tools.to(receivers, &tools.ask(honest.vote, Some(older))),
            None => tools.to(receivers, message),
        }
    }

    fn ignores(&mut self, message: &Message) -> bool {
        self.unrest.ignores(message)
    }
}

impl OldCertificates {
    fn older(&self, tools: &mut Tools<'_>, honest: &ViewChange) -> Option<PreparedCertificate> {
        let all = self.memory.certificates(tools.quorum());
        let older: Vec<PreparedCertificate> = all
            .into_values()
            .filter(|c| Some(c.reference()) < honest.vote.prepared)
            .collect();
        if older.is_empty() {
            return self.memory.past().cloned();
        }
        let place = tools.rng.index(older.len());
        older.into_iter().nth(place)
    }
}
