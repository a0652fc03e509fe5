//! The protocol of one height in small numbers: which validator may say what when. Rules are cited by
//! the numbers of the document of `certchain-consensus`, on which nothing here depends.
//!
//! There is no network and no clock. What was said may be heard by anybody at any later time, or never:
//! a step is enabled if *some* choice of what was heard allows it, and no step is ever due. That covers
//! all losses, delays, repeats and orders of messages. Crashes and restarts are covered by the same
//! means: everything said is durable (J-1), what else a validator knew binds it to nothing, and one that
//! is away says nothing. An amnesiac is away for the height.
//!
//! Faulty validators take no steps. They count as having said everything that their keys can sign, to
//! whomever it suits; what they cannot make is an honest vote, and so a certificate without q - f of
//! those.
//!
//! Left out: bodies, times, executions and their results, other heights.
//!
//! The state space of small setups is checked whole (`tests/exhaustive.rs`), and the simulator follows
//! what the real engines say in it: what an engine says must be enabled here.

mod claims;
mod properties;
mod rules;
mod setup;
mod state;
mod symmetry;

pub use properties::Decision;
pub use rules::{apply, enabled, steps};
pub use setup::{Setup, Weakness};
pub use state::{Said, State};

use std::fmt;

/// A view of the height.
pub type View = u16;

/// A block, named by the view of its fresh proposal. An honest primary makes one per view, number 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    /// The view in which it was fresh.
    pub view: View,
    /// Which of the blocks that this view's primary made.
    pub number: u16,
}

/// Names a prepared certificate: q PREPAREs of one view for one block (P-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Certificate {
    /// The view of the PREPAREs.
    pub view: View,
    /// What they are for.
    pub block: Block,
}

/// What a VIEW-CHANGE says of its sender, and what a NEW-VIEW chooses: the highest certificate, or none.
pub type Claim = Option<Certificate>;

/// Something that an honest validator says for the first time. Primaries are named by their view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// PRE-PREPARE: the primary of the block's view proposes it.
    Propose {
        /// The fresh block.
        block: Block,
    },
    /// PREPARE.
    Prepare {
        /// Who votes.
        who: usize,
        /// In which view.
        view: View,
        /// For what.
        block: Block,
    },
    /// COMMIT.
    Commit {
        /// Who votes.
        who: usize,
        /// In which view.
        view: View,
        /// For what.
        block: Block,
    },
    /// VIEW-CHANGE.
    AskForView {
        /// Who asks.
        who: usize,
        /// For which view.
        view: View,
        /// On what it says to be prepared.
        claim: Claim,
    },
    /// NEW-VIEW: the primary opens its view.
    OpenView {
        /// The view.
        view: View,
        /// The certificate whose block the view decides on; none is a fresh one.
        choice: Claim,
    },
}

/// Why a step may not be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Why {
    /// The rule that forbids it.
    pub rule: &'static str,
    /// What is wrong.
    pub what: &'static str,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}
