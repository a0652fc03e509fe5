//! T: when views end, when we repeat ourselves, when an empty block is due.

use std::sync::Arc;

use certchain_proto::{TimeMs, ValidatorIndex, View};

use super::Engine;
use crate::{
    config::doubled,
    limits::RESENT_COMMITS,
    message::Message,
    output::Action,
    planted::{self, Bug},
    statement::Phase,
    timer::{TimerId, TimerKind},
};

impl Engine {
    /// A timer has run out. Only the one that runs counts; others are stale.
    pub(super) fn timer_fired(&mut self, id: TimerId) {
        if self.timers.get(&id.kind) != Some(&id) {
            return;
        }
        self.timers.remove(&id.kind);
        match id.kind {
            // VC-1
            TimerKind::View => self.start_view_change(self.round.view.next()),
            // T-4
            TimerKind::Retry => {
                self.round.retries = self.round.retries.saturating_add(1);
                self.repeat_ourselves();
            }
            // PP-1, PP-4: the rules look at the clock themselves.
            TimerKind::Heartbeat | TimerKind::Early => {}
        }
    }

    /// Starts and stops timers as the state asks for.
    pub(super) fn see_to_timers(&mut self) {
        // T-1, T-2
        let runs = self.can_sign()
            && !self.round.is_settled()
            && if self.round.open {
                self.has_work()
            } else {
                self.quorum_asks()
            };
        let timeout = self.params.timeout(self.round.view);
        self.keep_timer(TimerKind::View, runs, timeout);
        // T-4
        let waits = !self.round.own.is_empty()
            || self.round.accepted.is_some()
            || self.round.decided.is_some()
            || !self.ahead.is_empty();
        let patience = doubled(
            self.params.retry_ms,
            View::new(self.round.retries),
            self.params.retry_cap_ms,
        );
        self.keep_timer(TimerKind::Retry, waits && !self.alone(), patience);
        // T-3
        let until_due = self.heartbeat_at().since(self.now);
        self.keep_timer(
            TimerKind::Heartbeat,
            self.can_sign() && until_due > 0,
            until_due,
        );
        // PP-4
        let held = self.timers.get(&TimerKind::Early).is_some_and(|id| {
            id.height == self.round.height
                && id.view == self.round.view
                && self.round.open
                && self.round.accepted.is_none()
        });
        if !held {
            self.cancel_timer(TimerKind::Early);
        }
    }

    /// T-2: whether this open view owes a block: transactions wait, an empty block is due, a
    /// proposal is on its way, or a view change shows that there was something.
    fn has_work(&self) -> bool {
        self.pending
            || self.heartbeat_due()
            || self.round.accepted.is_some()
            || self.round.view > View::ZERO
            || !self.round.own.is_empty()
    }

    /// T-3: when an empty block is due at the present height.
    fn heartbeat_at(&self) -> TimeMs {
        self.head.time().saturating_add(self.params.heartbeat_ms)
    }

    pub(super) fn heartbeat_due(&self) -> bool {
        self.now >= self.heartbeat_at()
    }

    fn alone(&self) -> bool {
        self.me.is_some() && self.validators.len() == 1
    }

    fn keep_timer(&mut self, kind: TimerKind, runs: bool, after_ms: u64) {
        if runs {
            self.set_timer(kind, self.now.saturating_add(after_ms));
        } else {
            self.cancel_timer(kind);
        }
    }

    /// Sets a timer for the present height and view, unless just that one runs.
    pub(super) fn set_timer(&mut self, kind: TimerKind, at: TimeMs) {
        // An empty block is due whatever the view.
        let view = if kind == TimerKind::Heartbeat {
            View::ZERO
        } else {
            self.round.view
        };
        let id = TimerId {
            kind,
            height: self.round.height,
            view,
        };
        if self.timers.insert(kind, id) != Some(id) {
            self.act(Action::SetTimer { id, at });
        }
    }

    pub(super) fn cancel_timer(&mut self, kind: TimerKind) {
        if let Some(id) = self.timers.remove(&kind) {
            self.act(Action::CancelTimer { id });
        }
    }

    /// T-4: says again, byte for byte, what may have been lost and can still matter, and asks for
    /// blocks that others have shown to have.
    pub(super) fn repeat_ourselves(&mut self) {
        let Repeats { to_silent, to_all } = self.repeats();
        let silent: Vec<ValidatorIndex> = self
            .validators
            .iter()
            .map(|(validator, _)| validator)
            .filter(|v| Some(*v) != self.me)
            .filter(|v| self.round.prepares.get(*v, self.round.view).is_none())
            .collect();
        if !self.alone() {
            for message in to_silent {
                for to in &silent {
                    self.act(Action::Send {
                        to: *to,
                        message: message.clone(),
                    });
                }
            }
            for message in to_all {
                self.act(Action::Broadcast(message));
            }
        }
        self.fetch_if_behind();
    }

    /// T-5: tells one who can be reached again what we would repeat. After a long silence the pauses
    /// between repeats have grown; a network that heals should not have to wait for them.
    pub(super) fn greet(&mut self, validator: ValidatorIndex) {
        if Some(validator) == self.me || self.validators.get(validator).is_none() {
            return;
        }
        let Repeats { to_silent, to_all } = self.repeats();
        for message in to_silent.into_iter().chain(to_all) {
            self.act(Action::Send {
                to: validator,
                message,
            });
        }
    }

    /// What we said that can still matter, in the order of saying.
    fn repeats(&self) -> Repeats {
        let view = self.round.view;
        let (mut to_silent, mut to_all) = (Vec::new(), Vec::new());
        if planted::is(Bug::NeverRepeats) {
            return Repeats { to_silent, to_all };
        }
        let mut commits = 0;
        for ((said_in, phase), message) in self.round.own.iter().rev() {
            let current = *said_in == view;
            match phase {
                Phase::PrePrepare | Phase::NewView if current => to_silent.push(message.clone()),
                Phase::Prepare if current => to_all.push(message.clone()),
                Phase::Commit if commits < RESENT_COMMITS => {
                    commits += 1;
                    to_all.push(message.clone());
                }
                Phase::PrePrepare
                | Phase::Prepare
                | Phase::Commit
                | Phase::ViewChange
                | Phase::NewView => {}
            }
        }
        // A view's opening before its proposal, and both before votes on it.
        to_silent.sort_by_key(|m: &Arc<Message>| matches!(m.as_ref(), Message::PrePrepare(_)));
        // As they were said first: PREPARE before COMMIT.
        to_all.reverse();
        // NV-5: also once the view is open, for those who cannot know that yet.
        to_all.extend(self.round.own_view_change().cloned());
        Repeats { to_silent, to_all }
    }
}

/// What is said again, to those who have shown no sign of having heard it, and to all.
struct Repeats {
    to_silent: Vec<Arc<Message>>,
    to_all: Vec<Arc<Message>>,
}
