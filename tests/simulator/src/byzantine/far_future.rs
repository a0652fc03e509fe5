//! Validly signed votes, proposals and VIEW-CHANGEs for heights and views far ahead, at volume:
//! attacks VC-3, by which one cannot pull others, S-2, by which they make others fetch, and the
//! arithmetic of heights and views.

use std::sync::Arc;

use certchain_consensus::{Message, statement::ViewChangeVote};
use certchain_proto::{Height, PrepareVote, View};

use super::{Behaviour, Letter, Tools, craft::with_outcome, limit::Limit};

/// Bursts in a tenth of a second.
const BURSTS: u32 = 2;

/// Speaks of what is not yet.
#[derive(Debug, Default)]
pub struct FarFuture {
    limit: Limit,
}

impl Behaviour for FarFuture {
    fn hears(&mut self, tools: &mut Tools<'_>, message: &Message) -> Vec<Letter> {
        if !tools.rng.per_mille(200) || !self.limit.now(tools.now, BURSTS) {
            return Vec::new();
        }
        let slot = message.statement().slot();
        let vote = PrepareVote {
            chain: slot.chain,
            epoch: slot.epoch,
            height: far_height(tools),
            view: far_view(tools),
            header: tools.any_header(),
        };
        let request = ViewChangeVote {
            chain: slot.chain,
            epoch: slot.epoch,
            height: vote.height,
            view: vote.view.max(View::new(1)),
            prepared: None,
        };
        let outcome = tools.any_outcome();
        let said = [
            tools.prepare(vote),
            tools.commit(with_outcome(vote, outcome)),
            tools.ask(request, None),
            proposal(tools),
        ];
        said.iter().flat_map(|m| tools.to_others(m)).collect()
    }
}

fn far_height(tools: &mut Tools<'_>) -> Height {
    let present = tools.height().get();
    let distance = match tools.rng.index(6) {
        0 | 1 => 0,
        2 => 1,
        3 => 2,
        4 => tools.rng.between(3, 1_000),
        _ => u64::MAX,
    };
    Height::new(present.saturating_add(distance))
}

fn far_view(tools: &mut Tools<'_>) -> View {
    let present = tools.view().get();
    let distance = match tools.rng.index(4) {
        0 => tools.rng.between(1, 10) as u32,
        1 => tools.rng.between(11, 10_000) as u32,
        2 => tools.rng.between(0, 1 << 31) as u32,
        _ => u32::MAX,
    };
    View::new(present.saturating_add(distance))
}

/// A proposal for a far view of the present height in which it is the primary.
fn proposal(tools: &mut Tools<'_>) -> Arc<Message> {
    let from = far_view(tools).get().min(u32::MAX - tools.n as u32);
    let views = (from..=u32::MAX).take(tools.n).map(View::new);
    let me = tools.index();
    let own = views.into_iter().find(|v| tools.engine.primary(*v) == me);
    tools.propose(tools.fresh_block(own.unwrap_or_default(), Vec::new()))
}
