//! A primary that proposes one block to some and another one to the rest, and votes for both.

use std::sync::Arc;

use certchain_consensus::{
    Message,
    message::{PrePrepare, Prepare},
    statement::Statement,
};
use certchain_proto::{PrepareVote, Signature, TimeMs};

use super::{Behaviour, Letter, Tools};

/// Splits the others in two.
#[derive(Debug)]
pub struct EquivocatingPrimary;

impl Behaviour for EquivocatingPrimary {
    fn sends(
        &mut self,
        tools: &mut Tools<'_>,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Vec<Letter> {
        let Message::PrePrepare(first) = message.as_ref() else {
            return tools.to(receivers, message);
        };
        let second = Arc::new(twin(tools, first));
        let mut letters = Vec::new();
        for to in receivers {
            let chosen = if tools.rng.coin() { message } else { &second };
            letters.push((*to, Arc::clone(chosen)));
            let header = match chosen.as_ref() {
                Message::PrePrepare(m) => &m.header,
                _ => continue,
            };
            let vote = PrepareVote {
                chain: header.chain,
                epoch: header.epoch,
                height: header.height,
                view: header.view,
                header: header.digest(),
            };
            let signature = tools.sign(&Statement::Prepare(vote));
            let prepare = Prepare {
                vote,
                signer: tools.index(),
                signature,
            };
            letters.push((*to, Arc::new(Message::Prepare(prepare))));
        }
        letters
    }
}

fn twin(tools: &Tools<'_>, first: &PrePrepare) -> Message {
    let mut header = first.header.clone();
    header.time_ms = TimeMs::new(header.time_ms.get() + 1);
    let signature = Signature::from_bytes(&[0; 64]);
    let mut m = PrePrepare {
        header,
        contents: first.contents.clone(),
        signature,
    };
    m.signature = tools.sign(&Message::PrePrepare(m.clone()).statement());
    Message::PrePrepare(m)
}
