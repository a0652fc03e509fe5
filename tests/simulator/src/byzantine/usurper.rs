//! Proposes and opens views when it is not the primary: attacks PR-1 and NV-1.

use certchain_consensus::{
    Message,
    message::{NewView, ViewChange},
};
use certchain_proto::{Signature, View};

use super::{Behaviour, Letter, Tools, craft::vote_for, limit::Limit, memory::Memory};

/// Acts as the primary of every view that it hears of.
#[derive(Debug, Default)]
pub struct Usurper {
    memory: Memory,
    limit: Limit,
}

impl Behaviour for Usurper {
    fn hears(&mut self, tools: &mut Tools<'_>, message: &Message) -> Vec<Letter> {
        self.memory.note(tools, message);
        let slot = message.statement().slot();
        if slot.height != tools.height() || tools.engine.primary(slot.view) == tools.index() {
            return Vec::new();
        }
        match message {
            Message::PrePrepare(m) if self.limit.here(tools.now, slot, 1) => {
                // The same block, as if it were its own.
                let mut own = m.clone();
                own.header.proposer = tools.index();
                let vote = tools.prepare(vote_for(&own.header, slot.view));
                let mut letters = tools.to_others(&tools.propose(own));
                letters.extend(tools.to_others(&vote));
                letters
            }
            Message::ViewChange(m) if self.memory.claims(slot.view).len() >= tools.quorum() => {
                if self.limit.here(tools.now, slot, 1) {
                    return self.open(tools, m);
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}

impl Usurper {
    /// Opens a view as its primary should, and proposes there if a fresh block is due.
    fn open(&self, tools: &Tools<'_>, m: &ViewChange) -> Vec<Letter> {
        let view: View = m.vote.view;
        let claims = self.memory.claims(view);
        let prepared = self.memory.highest(&claims);
        let fresh = prepared.is_none();
        let opening = tools.open(NewView {
            chain: m.vote.chain,
            epoch: m.vote.epoch,
            height: m.vote.height,
            view,
            claims,
            prepared,
            signer: tools.index(),
            signature: Signature::from_bytes(&[0; 64]),
        });
        let mut letters = tools.to_others(&opening);
        if fresh {
            let block = tools.fresh_block(view, Vec::new());
            let vote = tools.prepare(vote_for(&block.header, view));
            letters.extend(tools.to_others(&tools.propose(block)));
            letters.extend(tools.to_others(&vote));
        }
        letters
    }
}
