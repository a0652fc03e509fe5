//! VIEW-CHANGEs that hide from some what their sender was prepared on.

use std::sync::Arc;

use certchain_consensus::{Message, message::ViewChange, statement::Statement};

use super::{Behaviour, Letter, Tools};

/// Tells some the truth and others that it was never prepared.
#[derive(Debug)]
pub struct HiddenCertificate;

impl Behaviour for HiddenCertificate {
    fn sends(
        &mut self,
        tools: &mut Tools<'_>,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Vec<Letter> {
        let Message::ViewChange(honest) = message.as_ref() else {
            return tools.to(receivers, message);
        };
        let mut vote = honest.vote;
        vote.prepared = None;
        let signature = tools.sign(&Statement::ViewChange(vote));
        let lie = ViewChange {
            vote,
            signer: honest.signer,
            signature,
            certificate: None,
        };
        let lie = Arc::new(Message::ViewChange(lie));
        receivers
            .iter()
            .map(|to| {
                (
                    *to,
                    Arc::clone(if tools.rng.per_mille(700) {
                        &lie
                    } else {
                        message
                    }),
                )
            })
            .collect()
    }
}
