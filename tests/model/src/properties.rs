//! What must hold in every state: the claims of the safety argument.

use crate::{Block, Setup, State, View};

/// A block for which a quorum may have said COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decision {
    /// The view of the COMMITs.
    pub view: View,
    /// The block.
    pub block: Block,
}

impl State {
    /// All decisions that can be.
    pub fn decisions(&self, setup: &Setup) -> impl Iterator<Item = Decision> {
        (0..=self.highest_view()).flat_map(move |view| {
            let votes = self.said_in(view).iter().filter_map(|said| said.commit);
            votes
                .filter(move |block| self.may_be_decided(setup, view, *block))
                .map(move |block| Decision { view, block })
        })
    }

    /// Claim 1: no two blocks are decided, in whatever views.
    pub fn agrees(&self, setup: &Setup) -> bool {
        let mut decisions = self.decisions(setup);
        match decisions.next() {
            None => true,
            Some(first) => decisions.all(|other| other.block == first.block),
        }
    }

    /// Claim 1 (a): one view prepares one block, and only that is decided in it.
    pub fn prepares_one_block_per_view(&self, setup: &Setup) -> bool {
        let one = |view: View| {
            let mut certificates = self.certificates_of(setup, view);
            certificates.next();
            certificates.next().is_none()
        };
        let prepared = |d: Decision| self.may_be_prepared(setup, d.view, d.block);
        (0..=self.highest_view()).all(one) && self.decisions(setup).all(prepared)
    }

    /// Claim 1 (b): once a block is decided, later views choose and prepare nothing else.
    pub fn keeps_to_decisions(&self, setup: &Setup) -> bool {
        self.decisions(setup).all(|decision| {
            (decision.view + 1..=self.highest_view()).all(|later| {
                let mut prepared = self.certificates_of(setup, later);
                let choices = self.choices(setup, later);
                let mut chosen = choices.iter().map(|choice| choice.map(|c| c.block));
                let opened = self.opened(later).unwrap_or(Some(decision.block));
                prepared.all(|c| c.block == decision.block)
                    && chosen.all(|block| block == Some(decision.block))
                    && opened == Some(decision.block)
            })
        })
    }

    /// VC-1: nobody has voted below a view that it had asked for.
    pub fn votes_in_order(&self) -> bool {
        !self.voted_below
    }
}
