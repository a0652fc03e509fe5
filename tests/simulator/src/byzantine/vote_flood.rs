//! As many validly signed different votes and VIEW-CHANGEs as possible for the present and the next
//! height over many views: attacks the bounds on what is kept of one sender (S-5, limits).

use certchain_consensus::{Message, statement::ViewChangeVote};
use certchain_proto::{PrepareVote, View};

use super::{Behaviour, Letter, Tools, craft::with_outcome, limit::Limit};

/// Bursts in a tenth of a second.
const BURSTS: u32 = 3;

/// Walks through the views, each time with something new.
#[derive(Debug, Default)]
pub struct VoteFlood {
    limit: Limit,
    step: u32,
}

impl Behaviour for VoteFlood {
    fn hears(&mut self, tools: &mut Tools<'_>, message: &Message) -> Vec<Letter> {
        if !self.limit.now(tools.now, BURSTS) {
            return Vec::new();
        }
        let slot = message.statement().slot();
        let mut letters = Vec::new();
        for height in [tools.height(), tools.height().next()] {
            self.step = (self.step + 1) % 80;
            let view = View::new(tools.view().get().saturating_add(self.step / 2));
            let vote = PrepareVote {
                chain: slot.chain,
                epoch: slot.epoch,
                height,
                view,
                header: tools.any_header(),
            };
            let request = ViewChangeVote {
                chain: slot.chain,
                epoch: slot.epoch,
                height,
                view: view.next(),
                prepared: None,
            };
            let outcome = tools.any_outcome();
            letters.extend(tools.to_others(&tools.prepare(vote)));
            letters.extend(tools.to_others(&tools.commit(with_outcome(vote, outcome))));
            letters.extend(tools.to_others(&tools.ask(request, None)));
        }
        letters
    }
}
