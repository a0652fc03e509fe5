//! Pauses: while a disk is full this node takes no part in deciding a chain's blocks. It says so, and
//! goes on by itself when there is room.

use std::{
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::metrics::{Metrics, chain_label};

/// How long a full disk is left alone before it is looked at again.
pub const NO_ROOM_PAUSE: Duration = Duration::from_secs(1);

/// What finds no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The journal of votes: nothing is signed.
    Journal,
    /// The database: nothing is proposed, checked or stored.
    Store,
}

/// Whether a chain pauses on this node.
#[derive(Debug)]
pub struct Pause {
    chain: String,
    metrics: Arc<Metrics>,
    journal: AtomicBool,
    store: AtomicBool,
}

impl Pause {
    /// No pause.
    pub fn new(chain: &str, metrics: Arc<Metrics>) -> Self {
        let pause = Self {
            chain: chain.to_owned(),
            metrics,
            journal: AtomicBool::new(false),
            store: AtomicBool::new(false),
        };
        pause.show();
        pause
    }

    const fn flag(&self, part: Part) -> &AtomicBool {
        match part {
            Part::Journal => &self.journal,
            Part::Store => &self.store,
        }
    }

    fn show(&self) {
        self.metrics
            .paused
            .get_or_create(&chain_label(&self.chain))
            .set(i64::from(self.is_paused()));
    }

    /// A part finds no room; told once, however often it looks.
    pub fn begin(&self, part: Part, reason: &dyn Display) {
        if !self.flag(part).swap(true, Ordering::AcqRel) {
            tracing::error!(
                chain = %self.chain, ?part, %reason,
                "the disk is full; voting pauses until there is room"
            );
            self.show();
        }
    }

    /// A part finds room.
    pub fn end(&self, part: Part) {
        if self.flag(part).swap(false, Ordering::AcqRel) {
            tracing::warn!(chain = %self.chain, ?part, "the disk has room again; voting goes on");
            self.show();
        }
    }

    /// Whether one of the parts pauses.
    pub fn is_paused(&self) -> bool {
        self.journal.load(Ordering::Acquire) || self.store.load(Ordering::Acquire)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_pauses_until_all_its_parts_have_room() {
        let metrics = Arc::new(Metrics::new());
        let pause = Pause::new("main", Arc::clone(&metrics));
        let shown = || {
            let text = metrics.render().unwrap();
            let line = text
                .lines()
                .find(|l| l.starts_with("certchain_paused{chain=\"main\"}"));
            line.and_then(|l| l.rsplit(' ').next()).map(str::to_owned)
        };
        assert_eq!(shown().as_deref(), Some("0"));
        pause.begin(Part::Store, &"no room");
        pause.begin(Part::Journal, &"no room");
        pause.end(Part::Store);
        assert!(pause.is_paused());
        assert_eq!(shown().as_deref(), Some("1"));
        pause.end(Part::Journal);
        assert!(!pause.is_paused());
        assert_eq!(shown().as_deref(), Some("0"));
    }
}
