//! Names of timers. They leave the engine as actions and come back as events that carry their name,
//! so that a stale one is told from the one that runs.

use certchain_proto::{Height, View};

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerKind {
    /// T-1: the view has had its time.
    View,
    /// T-4: what was said and had no effect is said again.
    Retry,
    /// T-3: an empty block is due.
    Heartbeat,
    /// PP-4: a proposal that came too early can be looked at again.
    Early,
}

/// A timer's name. At most one of each kind runs; a new one replaces the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId {
    /// What it is for.
    pub kind: TimerKind,
    /// The height at which it was set.
    pub height: Height,
    /// The view at which it was set.
    pub view: View,
}
