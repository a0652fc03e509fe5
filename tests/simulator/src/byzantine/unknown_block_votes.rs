//! PREPAREs and COMMITs for headers that nobody has seen, the same from all faulty ones: attacks P-1
//! and C-3, by which votes of fewer than a quorum move nobody, and C-4, which fetches what is decided.

use certchain_consensus::Message;
use certchain_proto::{PrepareVote, hash::OutcomeDigest};

use super::{
    Behaviour, Letter, Tools,
    craft::{phantom, with_outcome},
    limit::Limit,
};

/// Votes for phantoms in the views that others speak of, and in the ones after them.
#[derive(Debug, Default)]
pub struct UnknownBlockVotes {
    limit: Limit,
}

impl Behaviour for UnknownBlockVotes {
    fn hears(&mut self, tools: &mut Tools<'_>, message: &Message) -> Vec<Letter> {
        let slot = message.statement().slot();
        if slot.view > tools.view() || !self.limit.here(tools.now, slot, 1) {
            return Vec::new();
        }
        let mut letters = Vec::new();
        for view in [slot.view, slot.view.next()] {
            let mut there = slot;
            there.view = view;
            let vote = PrepareVote {
                chain: slot.chain,
                epoch: slot.epoch,
                height: slot.height,
                view,
                header: phantom(there),
            };
            let outcome = OutcomeDigest::from_bytes(*vote.header.as_bytes());
            letters.extend(tools.to_others(&tools.prepare(vote)));
            letters.extend(tools.to_others(&tools.commit(with_outcome(vote, outcome))));
        }
        letters
    }
}
