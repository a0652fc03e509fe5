//! Messages: sorted by height, then put where the rules find them.

use std::cmp::Ordering;

use certchain_proto::{ValidatorIndex, View};

use super::{Engine, ahead::Kept, vote_book::Inserted};
use crate::{
    evidence::Equivocation,
    message::{Commit, Message, NewView, PrePrepare, Prepare, ViewChange},
    output::Action,
    reject::Reason,
    statement::Phase,
};

impl Engine {
    /// A verified message of a validator.
    pub(super) fn receive(&mut self, message: Message) {
        let of_this_set = self.decides(message.epoch());
        if of_this_set && Some(message.signer()) == self.me {
            // What we said, the journal knows; what a lost journal said is no longer ours.
            return self.refuse(&message, Reason::Repeated);
        }
        match message.height().cmp(&self.round.height) {
            Ordering::Less => self.receive_old(&message),
            // VS-4, VS-5
            Ordering::Greater | Ordering::Equal if !of_this_set => {
                self.refuse(&message, Reason::OtherEpoch);
            }
            Ordering::Greater => self.receive_ahead(message),
            Ordering::Equal => self.receive_current(message),
        }
    }

    /// S-1: a statement for a decided height shows that its sender lacks the block, if it is a
    /// VIEW-CHANGE, said twice, or for a height below the last. VS-6: whatever set decided it.
    fn receive_old(&mut self, message: &Message) {
        let (signer, height) = (message.signer(), message.height());
        if height == self.head.height() && !self.decided_by(message.epoch(), height) {
            return self.refuse(message, Reason::OtherEpoch);
        }
        self.refuse(message, Reason::OldHeight);
        let phase = message.statement().slot().phase;
        let lacks_it = height < self.head.height()
            || phase == Phase::ViewChange
            || !self.note_late(signer, phase, message.view());
        if lacks_it {
            self.send_sealed(message.epoch(), signer, height);
        }
    }

    fn receive_ahead(&mut self, message: Message) {
        if message.height() > self.round.height.next() {
            // S-2
            self.refuse(&message, Reason::FarAhead);
            return self.fetch_sealed(Some(message.signer()));
        }
        if let Message::PrePrepare(m) = &message {
            // C-4: it carries proof that our height is decided.
            let certificate = m.contents.parent_certificate.clone();
            self.decide(certificate);
        }
        match self.ahead.keep(message.clone()) {
            Kept::Yes => {}
            Kept::Repeated => self.refuse(&message, Reason::Repeated),
            Kept::Full => self.refuse(&message, Reason::Full),
            Kept::Contradicts(evidence) => {
                self.refuse(&message, Reason::Equivocation);
                self.contradiction(*evidence);
            }
        }
    }

    fn receive_current(&mut self, message: Message) {
        match message {
            Message::PrePrepare(m) => self.receive_pre_prepare(m),
            Message::Prepare(m) => self.receive_prepare(m),
            Message::Commit(m) => self.receive_commit(m),
            Message::ViewChange(m) => self.receive_view_change(m),
            Message::NewView(m) => self.receive_new_view(m),
        }
    }

    fn receive_pre_prepare(&mut self, m: PrePrepare) {
        let (signer, view) = (m.header.proposer, m.header.view);
        if signer != self.primary(view) {
            return self.refuse(&Message::PrePrepare(m), Reason::NotPrimary);
        }
        if view < self.round.view {
            return self.refuse(&Message::PrePrepare(m), Reason::OldView);
        }
        let inserted = self.round.proposals.insert(signer, view, m.clone());
        self.note_insertion(Message::PrePrepare(m), inserted, Message::PrePrepare);
    }

    fn receive_prepare(&mut self, m: Prepare) {
        if m.vote.view < self.round.view {
            return self.refuse(&Message::Prepare(m), Reason::OldView);
        }
        let inserted = self.round.prepares.insert(m.signer, m.vote.view, m);
        self.note_insertion(Message::Prepare(m), inserted, Message::Prepare);
    }

    /// C-3: COMMITs of every view are taken.
    fn receive_commit(&mut self, m: Commit) {
        let inserted = self.round.commits.insert(m.signer, m.vote.view, m);
        if self.note_insertion(Message::Commit(m), inserted, Message::Commit) {
            self.count_commits(m.vote.view);
        }
    }

    fn receive_view_change(&mut self, m: ViewChange) {
        let (signer, view) = (m.signer, m.vote.view);
        let inserted = self.round.changes.insert(signer, view, m.clone());
        let repeated = !self.note_insertion(Message::ViewChange(m), inserted, Message::ViewChange);
        // NV-5: whoever asks twice for a view that is open here missed its opening.
        if repeated
            && view <= self.round.view
            && self.round.open
            && let Some(message) = self.round.opened_by.clone()
        {
            self.act(Action::Send {
                to: signer,
                message,
            });
        }
    }

    fn receive_new_view(&mut self, m: NewView) {
        if m.signer != self.primary(m.view) {
            return self.refuse(&Message::NewView(m), Reason::NotPrimary);
        }
        if m.view < self.round.view {
            return self.refuse(&Message::NewView(m), Reason::OldView);
        }
        let inserted = self.round.new_views.insert(m.signer, m.view, m.clone());
        self.note_insertion(Message::NewView(m), inserted, Message::NewView);
    }

    /// Reports what became of a message; whether it was new.
    fn note_insertion<T>(
        &mut self,
        message: Message,
        inserted: Inserted<T>,
        wrap: fn(T) -> Message,
    ) -> bool {
        match inserted {
            Inserted::New => return true,
            Inserted::Full => self.refuse(&message, Reason::Full),
            Inserted::Known(known) => {
                let known = wrap(known).signed_statement();
                match Equivocation::of(known, message.signed_statement()) {
                    // E-1
                    Some(evidence) => {
                        self.refuse(&message, Reason::Equivocation);
                        self.contradiction(evidence);
                    }
                    None => self.refuse(&message, Reason::Repeated),
                }
            }
        }
        false
    }

    /// Whether this statement of the last decided height is seen for the first time.
    pub(super) fn note_late(&mut self, signer: ValidatorIndex, phase: Phase, view: View) -> bool {
        if self.late.len() >= crate::limits::MAX_LATE_STATEMENTS {
            self.late.pop_first();
        }
        self.late.insert((signer, phase, view))
    }
}
