//! VC and NV: leaving a view that gets nowhere, and opening a later one.

use std::sync::Arc;

use certchain_proto::{ValidatorIndex, View};

use super::{Engine, round::Candidate};
use crate::{
    message::{Message, NewView, PreparedCertificate, SignedClaim, ViewChange},
    planted::{self, Bug},
    reject::Reason,
    statement::{Statement, ViewChangeVote},
};

impl Engine {
    /// VC-1: asks for a later view. From here on no PREPARE or COMMIT below it is ever signed.
    pub(super) fn start_view_change(&mut self, view: View) {
        let Some(me) = self.me else { return };
        if !self.can_sign() || self.round.is_settled() || view <= self.round.view {
            return;
        }
        let certificate = self
            .round
            .prepared
            .clone()
            .filter(|_| !planted::is(Bug::HidesCertificate));
        let vote = ViewChangeVote {
            chain: self.chain,
            epoch: self.validators.epoch(),
            height: self.round.height,
            view,
            prepared: certificate.as_ref().map(PreparedCertificate::reference),
        };
        let Some(signature) = self.sign(&Statement::ViewChange(vote)) else {
            return;
        };
        if planted::is(Bug::VotesAfterLeaving) {
            if self
                .round
                .own
                .contains_key(&(view, crate::statement::Phase::ViewChange))
            {
                return;
            }
        } else {
            self.round.move_to(view, false);
        }
        let message = ViewChange {
            vote,
            signer: me,
            signature,
            certificate,
        };
        self.round.changes.insert(me, view, message.clone());
        self.say(Message::ViewChange(message));
    }

    /// VC-3: f + 1 senders above us pull us to the highest view that f + 1 of them have reached; at
    /// least one of them is honest.
    pub(super) fn follow_others(&mut self) -> bool {
        if !self.can_sign() || self.round.is_settled() {
            return false;
        }
        let mut above: Vec<View> = self
            .round
            .changes
            .highest()
            .filter(|(signer, view)| Some(*signer) != self.me && *view > self.round.view)
            .map(|(_, view)| view)
            .collect();
        above.sort_unstable_by(|a, b| b.cmp(a));
        let needed = match self.validators.faulty() {
            _ if planted::is(Bug::FollowsOne) => 0,
            _ if planted::is(Bug::FollowsNobody) => usize::MAX,
            faulty => faulty,
        };
        let Some(&view) = above.get(needed) else {
            return false;
        };
        self.start_view_change(view);
        true
    }

    /// VC-2: whether a quorum asks for the view that we asked for, or for later ones.
    pub(super) fn quorum_asks(&self) -> bool {
        if planted::is(Bug::RunsAheadAlone) {
            return true;
        }
        let asking = self
            .round
            .changes
            .highest()
            .filter(|(_, v)| *v >= self.round.view)
            .count();
        asking >= self.quorum()
    }

    /// NV-1: the primary of the view asked for opens it on a quorum of requests for exactly it.
    pub(super) fn open_view(&mut self) -> bool {
        let Some(me) = self.me else { return false };
        let view = self.round.view;
        if self.round.open
            || !self.is_primary()
            || !self.can_sign()
            || self.round.is_settled()
            || self.round.new_views.get(me, view).is_some()
        {
            return false;
        }
        let requests: Vec<(ValidatorIndex, &ViewChange)> =
            self.round.changes.of_view(view).collect();
        let missing = usize::from(planted::is(Bug::OpensBelowQuorum));
        if requests.len() + missing < self.quorum() {
            return false;
        }
        let claims = requests
            .iter()
            .map(|(signer, m)| SignedClaim {
                signer: *signer,
                prepared: m.vote.prepared,
                signature: m.signature,
            })
            .collect();
        // NV-2: the block of the highest certificate, or a fresh one.
        let mut prepared = requests
            .iter()
            .max_by_key(|(_, m)| m.vote.prepared)
            .and_then(|(_, m)| m.certificate.clone());
        if planted::is(Bug::OpensWithFreshBlock) {
            prepared = None;
        }
        if planted::is(Bug::OpensWithLowestCertificate) {
            let certificates = requests.iter().filter_map(|(_, m)| m.certificate.clone());
            prepared = certificates.min_by_key(|c| c.view);
        }
        let mut message = NewView {
            chain: self.chain,
            epoch: self.validators.epoch(),
            height: self.round.height,
            view,
            claims,
            prepared,
            signer: me,
            signature: certchain_proto::Signature::from_bytes(&[0; 64]),
        };
        let Some(signature) = self.sign(&Statement::NewView(message.vote())) else {
            return false;
        };
        message.signature = signature;
        self.round.new_views.insert(me, view, message.clone());
        self.say(Message::NewView(message));
        true
    }

    /// NV-3: enters the highest view above ours, or the one we asked for, that has been opened.
    pub(super) fn enter_view(&mut self) -> bool {
        if self.round.is_settled() {
            return false;
        }
        let wanted = if planted::is(Bug::EntersLowerViews) && !self.round.open {
            View::ZERO
        } else if self.round.open {
            self.round.view.next()
        } else {
            self.round.view
        };
        let Some((signer, view)) = self
            .round
            .new_views
            .slots()
            .filter(|(_, view)| *view >= wanted && *view > View::ZERO)
            .max_by_key(|(_, view)| *view)
        else {
            return false;
        };
        let Some(message) = self.round.new_views.get(signer, view).cloned() else {
            return false;
        };
        // The claims prove the certificate's quorum, and a quorum checked its header; a header that
        // does not follow from our last block can only come from more than f faulty.
        if let Some(certificate) = &message.prepared
            && let Err(reason) = self.fits_prepared(&certificate.header)
        {
            self.round.new_views.remove(signer, view);
            self.refuse(&Message::NewView(message), reason);
            return true;
        }
        self.enter(message);
        true
    }

    fn fits_prepared(&self, header: &certchain_proto::BlockHeader) -> Result<(), Reason> {
        let bound = self.params.time_bound(header.view);
        if planted::is(Bug::RefusesOldPreparedBlocks)
            && header.time_ms.saturating_add(bound) < self.now
        {
            return Err(Reason::Late);
        }
        self.fits_chain(header)
    }

    /// NV-3, NV-4: the view is open; its block is the prepared one, which needs no PRE-PREPARE, or
    /// the fresh one that its primary will propose.
    pub(super) fn enter(&mut self, message: NewView) {
        self.round.move_to(message.view, true);
        match &message.prepared {
            Some(certificate) => {
                let digest = certificate.header.digest();
                let candidate =
                    Candidate::known_by_header(certificate.header.clone(), certificate.signers());
                self.round.add_candidate(digest, candidate);
                self.round.accepted = Some(digest);
            }
            None => self.round.fresh = true,
        }
        self.round.opened_by = Some(Arc::new(Message::NewView(message)));
    }
}
