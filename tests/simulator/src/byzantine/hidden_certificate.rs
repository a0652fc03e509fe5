//! VIEW-CHANGEs that hide from some what their sender was prepared on: attacks VC-1 and the choice of
//! NV-2, which must not depend on any single claim.

use std::sync::Arc;

use certchain_consensus::Message;

use super::{Behaviour, Letter, Tools, unrest::Unrest};

/// Tells some the truth and others that it was never prepared.
#[derive(Debug, Default)]
pub struct HiddenCertificate {
    unrest: Unrest,
}

impl Behaviour for HiddenCertificate {
    fn sends(
        &mut self,
        tools: &mut Tools<'_>,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Vec<Letter> {
        let Message::ViewChange(honest) = message.as_ref() else {
            return self.unrest.sends(tools, message, receivers);
        };
        let lie = tools.ask(honest.vote, None);
        let mut letters = Vec::new();
        for to in receivers {
            let lies = tools.rng.per_mille(700);
            letters.push(Letter::new(*to, if lies { &lie } else { message }));
        }
        letters
    }

    fn ignores(&mut self, message: &Message) -> bool {
        self.unrest.ignores(message)
    }
}
