//! R: taking up our promises after a restart.

use std::sync::Arc;

use certchain_proto::View;

use super::{Engine, round::Candidate};
use crate::{
    message::Message,
    output::HaltReason,
    planted::{self, Bug},
    statement::Phase,
};

impl Engine {
    /// hands what we promised for the height that has just opened back to ourselves.
    pub(super) fn restore_promises(&mut self) {
        // J-5: a start has refused it; here the heights between have been decided since.
        let (height, epoch) = (self.round.height, self.validators.epoch());
        if self.promises.other_epoch(height, epoch).is_some() {
            let (view, rule) = (self.round.view, "J-5: promises of another epoch");
            return self.halt(HaltReason::Invariant { height, view, rule });
        }
        let Some(promises) = self.promises.take(self.round.height) else {
            return;
        };
        if planted::is(Bug::ForgetsVotesAtRestart) {
            return;
        }
        let round = &mut self.round;
        round.locks = promises.locks();
        round.prepared = promises.prepared().cloned();
        if let Some(prepared) = &round.prepared {
            let candidate = Candidate::known_by_header(prepared.header.clone(), prepared.signers());
            round.add_candidate(prepared.header.digest(), candidate);
        }
        for header in promises.headers() {
            let digest = header.digest();
            round.add_candidate(
                digest,
                Candidate::known_by_header(header.clone(), Vec::new()),
            );
        }
        for message in promises.messages().values() {
            let slot = message.statement().slot();
            round
                .own
                .insert((slot.view, slot.phase), Arc::new(message.clone()));
            match message {
                Message::PrePrepare(m) => {
                    round
                        .proposals
                        .insert(m.header.proposer, slot.view, m.clone());
                }
                Message::Prepare(m) => {
                    round.prepares.insert(m.signer, slot.view, *m);
                }
                Message::Commit(m) => {
                    round.commits.insert(m.signer, slot.view, *m);
                }
                Message::ViewChange(m) => {
                    round.changes.insert(m.signer, slot.view, m.clone());
                }
                Message::NewView(m) => {
                    round.new_views.insert(m.signer, slot.view, m.clone());
                }
            }
        }
        let certified = promises.prepared().map_or(View::ZERO, |p| p.view);
        self.restore_view(promises.view().max(certified));
        self.count_commits(self.round.view);
    }

    /// the view is the highest in which we spoke or hold a prepared certificate. It is open if
    /// we did there what only an open view allows, or if the certificate shows that a quorum did;
    /// otherwise its primary will send its opening again.
    fn restore_view(&mut self, view: View) {
        let own = |phase| self.round.own.get(&(view, phase)).cloned();
        // Only this block can be prepared in the certificate's view (claim 1 a).
        let certified = self
            .round
            .prepared
            .as_ref()
            .filter(|p| p.view == view)
            .map(|p| p.header.digest());
        let voted = own(Phase::Prepare).and_then(|m| m.header());
        if let Some(Message::NewView(m)) = own(Phase::NewView).as_deref() {
            self.enter(m.clone());
        } else {
            let spoke = [Phase::PrePrepare, Phase::Prepare, Phase::Commit];
            let open = view == View::ZERO
                || certified.is_some()
                || spoke.into_iter().any(|p| own(p).is_some());
            self.round.move_to(view, open);
            // Without its opening we do not know whether a view above 0 takes a fresh block; what
            // we voted for tells.
            self.round.fresh = view == View::ZERO;
        }
        if let Some(digest) = voted.or(certified)
            && self.round.candidates.contains_key(&digest)
        {
            self.round.accepted = Some(digest);
        }
    }
}
