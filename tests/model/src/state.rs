//! Everything that honest validators have said, and what follows from it at once.

use crate::{Block, Certificate, Claim, Setup, View};

/// What one validator has said in one view: at most one of each (J-2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Said {
    /// Its PREPARE.
    pub prepare: Option<Block>,
    /// Its COMMIT.
    pub commit: Option<Block>,
    /// Its VIEW-CHANGE for this view.
    pub asked: Option<Claim>,
}

/// What a primary has said in its view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Led {
    /// Its PRE-PREPARE.
    pub proposed: Option<Block>,
    /// Its NEW-VIEW: the block chosen, or a fresh one.
    pub opened: Option<Option<Block>>,
}

/// The state of a height.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State {
    /// The highest view that each one asked for, or spoke in.
    pub(crate) at: Vec<View>,
    /// By view, then validator; as long as the highest view needs.
    pub(crate) said: Vec<Said>,
    /// By view; as long as the highest view needs.
    pub(crate) led: Vec<Led>,
    /// Somebody voted below a view that it had asked for.
    pub(crate) voted_below: bool,
}

impl State {
    /// Nobody has said anything.
    pub fn new(setup: &Setup) -> Self {
        Self {
            at: vec![0; setup.n()],
            said: Vec::new(),
            led: Vec::new(),
            voted_below: false,
        }
    }

    fn members(&self) -> usize {
        self.at.len()
    }

    /// The highest view in which anything was said.
    pub fn highest_view(&self) -> View {
        let views = (self.said.len() / self.members().max(1)).max(self.led.len());
        View::try_from(views.saturating_sub(1)).unwrap_or(View::MAX)
    }

    /// What a validator has said in a view.
    pub fn said(&self, who: usize, view: View) -> Said {
        let place = usize::from(view) * self.members() + who;
        self.said.get(place).copied().unwrap_or_default()
    }

    /// What all have said in a view.
    pub(crate) fn said_in(&self, view: View) -> &[Said] {
        let from = usize::from(view) * self.members();
        self.said.get(from..from + self.members()).unwrap_or(&[])
    }

    pub(crate) fn said_mut(&mut self, who: usize, view: View) -> Option<&mut Said> {
        let needed = (usize::from(view) + 1) * self.members();
        if self.said.len() < needed {
            self.said.resize(needed, Said::default());
        }
        let place = usize::from(view) * self.members() + who;
        self.said.get_mut(place)
    }

    pub(crate) fn led(&self, view: View) -> Led {
        self.led.get(usize::from(view)).copied().unwrap_or_default()
    }

    pub(crate) fn led_mut(&mut self, view: View) -> Option<&mut Led> {
        let needed = usize::from(view) + 1;
        if self.led.len() < needed {
            self.led.resize(needed, Led::default());
        }
        self.led.get_mut(usize::from(view))
    }

    /// The block that an honest primary has proposed in a view.
    pub fn proposed(&self, view: View) -> Option<Block> {
        self.led(view).proposed
    }

    /// What an honest primary has opened a view with: a block, or that it takes a fresh one.
    pub fn opened(&self, view: View) -> Option<Option<Block>> {
        self.led(view).opened
    }

    /// The latest request of a validator, and its view: 0 if there is none.
    pub fn latest_request(&self, who: usize) -> (View, Claim) {
        let from = self.at.get(who).copied().unwrap_or(0);
        let asked = |view: View| Some((view, self.said(who, view).asked?));
        (1..=from).rev().find_map(asked).unwrap_or((0, None))
    }

    /// The highest view in which a validator has said COMMIT.
    pub(crate) fn latest_commit(&self, who: usize) -> Option<View> {
        let from = self.at.get(who).copied().unwrap_or(0);
        (0..=from)
            .rev()
            .find(|view| self.said(who, *view).commit.is_some())
    }

    /// P-2: whether a quorum may have said PREPARE for a block in a view.
    pub fn may_be_prepared(&self, setup: &Setup, view: View, block: Block) -> bool {
        let votes = self.said_in(view).iter();
        let honest = votes.filter(|said| said.prepare == Some(block)).count();
        // Faulty ones alone prepare nothing: whoever weakens quorums that far checks nothing.
        honest > 0 && honest + setup.byzantine() >= setup.quorum()
    }

    /// C-3: whether a quorum may have said COMMIT for a block in a view.
    pub fn may_be_decided(&self, setup: &Setup, view: View, block: Block) -> bool {
        let votes = self.said_in(view).iter();
        let honest = votes.filter(|said| said.commit == Some(block)).count();
        honest > 0 && honest + setup.byzantine() >= setup.quorum()
    }

    /// All certificates that can exist of a view.
    pub fn certificates_of<'a>(
        &'a self,
        setup: &'a Setup,
        view: View,
    ) -> impl Iterator<Item = Certificate> + 'a {
        let votes = self.said_in(view);
        let first = move |place: usize, block: Block| {
            votes[..place]
                .iter()
                .all(|said| said.prepare != Some(block))
        };
        votes
            .iter()
            .enumerate()
            .filter_map(move |(place, said)| said.prepare.filter(|block| first(place, *block)))
            .filter(move |block| self.may_be_prepared(setup, view, *block))
            .map(move |block| Certificate { view, block })
    }
}
