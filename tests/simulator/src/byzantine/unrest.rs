//! Some attacks need views that change while something is prepared. A primary provokes that: it shows
//! its proposal to just so many that with its own PREPARE it gets prepared, keeps its COMMIT, and does
//! not hear those of others, so that its own engine leaves the view as theirs do.

use std::{collections::BTreeMap, sync::Arc};

use certchain_consensus::Message;
use certchain_proto::{Height, View};

use super::{Letter, Tools};

/// Who is shown the proposals of its unquiet views.
#[derive(Debug, Default)]
pub struct Unrest {
    /// None: the view is left in peace.
    shown: BTreeMap<(Height, View), Option<Vec<usize>>>,
}

impl Unrest {
    /// What its engine wants, but for half of the views in which it proposes.
    pub fn sends(
        &mut self,
        tools: &mut Tools<'_>,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Vec<Letter> {
        let at = (message.height(), message.view());
        if matches!(message.as_ref(), Message::PrePrepare(_)) && !self.shown.contains_key(&at) {
            let shown = tools.rng.coin().then(|| just_enough(tools));
            self.shown.insert(at, shown);
        }
        let Some(Some(shown)) = self.shown.get(&at) else {
            return tools.to(receivers, message);
        };
        tools.preparing = true;
        let told = |to: &&usize| match message.as_ref() {
            Message::PrePrepare(_) | Message::Prepare(_) => shown.contains(to),
            Message::Commit(_) => false,
            Message::ViewChange(_) | Message::NewView(_) => true,
        };
        let told: Vec<usize> = receivers.iter().filter(told).copied().collect();
        tools.to(&told, message)
    }

    /// Whether this is a COMMIT in one of its unquiet views.
    pub fn ignores(&self, message: &Message) -> bool {
        let at = (message.height(), message.view());
        matches!(message, Message::Commit(_)) && matches!(self.shown.get(&at), Some(Some(_)))
    }
}

/// A quorum with itself, drawn by lot.
fn just_enough(tools: &mut Tools<'_>) -> Vec<usize> {
    let mut others = tools.others();
    while others.len() >= tools.quorum() {
        let place = tools.rng.index(others.len());
        others.swap_remove(place);
    }
    others
}
