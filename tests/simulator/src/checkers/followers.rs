//! Nobody is left behind: who has heard f + 1 others ask for later views is there too (VC-3).

use std::collections::BTreeMap;

use certchain_consensus::{Message, Status};
use certchain_proto::{Height, View};

use super::{Violation, faulty};

/// The latest views that others asked for, as each honest process has heard.
#[derive(Debug)]
pub struct Followers {
    f: usize,
    heard: Vec<(Height, BTreeMap<usize, View>)>,
}

impl Followers {
    /// For `nodes`, of whom at first `n` are validators.
    pub fn new(n: usize, nodes: usize) -> Self {
        Self {
            f: faulty(n),
            heard: vec![(Height::ZERO, BTreeMap::new()); nodes],
        }
    }

    /// How many decide the heights that are looked at from here on.
    pub fn seat(&mut self, n: usize) {
        self.f = faulty(n);
    }

    /// A node that decides `height`, at this place if at any, hears something.
    pub fn hears(&mut self, node: usize, me: Option<usize>, height: Height, message: &Message) {
        let Message::ViewChange(m) = message else {
            return;
        };
        let signer = usize::from(m.signer.get());
        if m.vote.height != height || Some(signer) == me {
            return;
        }
        let heard = &mut self.heard[node];
        if heard.0 != height {
            *heard = (height, BTreeMap::new());
        }
        let latest = heard.1.entry(signer).or_default();
        *latest = (*latest).max(m.vote.view);
    }

    /// What memory held is gone.
    pub fn crashed(&mut self, node: usize) {
        self.heard[node].1.clear();
    }

    /// Where a node stands after a step.
    ///
    /// # Errors
    /// If f + 1 others are known to be further, at least one of them honest.
    pub fn stands(&self, node: usize, status: &Status) -> Result<(), Violation> {
        let (height, heard) = &self.heard[node];
        if *height != status.height || !status.can_sign || status.decided {
            return Ok(());
        }
        let mut views: Vec<View> = heard.values().copied().collect();
        views.sort_unstable_by(|a, b| b.cmp(a));
        match views.get(self.f) {
            Some(view) if *view > status.view => Err(Violation(format!(
                "node {node}, height {height}: still in view {}, f + 1 others asked for {view}",
                status.view
            ))),
            Some(_) | None => Ok(()),
        }
    }
}
