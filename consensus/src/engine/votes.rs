//! P and C: votes for an order, votes for a result, and the decision.

use certchain_proto::{
    CommitCertificate, CommitVote, PrepareVote, ValidatorIndex, ValidatorSet, View,
    certificate::IndexedSignature,
    hash::{HeaderDigest, OutcomeDigest},
};

use super::{
    Engine,
    round::{Body, Round},
};
use crate::{
    config::Head,
    journal::Record,
    message::{Commit, Message, Prepare, PreparedCertificate},
    output::{Action, Decision, HaltReason},
    planted::{self, Bug},
    statement::{Phase, Statement},
};

impl Engine {
    /// P-1: votes for the accepted block once its body is whole, checked and on disk.
    pub(super) fn prepare(&mut self) -> bool {
        let Some((digest, candidate)) = self.round.accepted_candidate() else {
            return false;
        };
        let wanted = self.round.open
            && (candidate.body == Body::Ready || planted::is(Bug::PreparesBeforeBody))
            && self.round.decided.is_none()
            && self.can_sign()
            && !self.round.has_said(Phase::Prepare);
        let Some(me) = self.me.filter(|_| wanted) else {
            return false;
        };
        let header = candidate.header.clone();
        let vote = PrepareVote {
            chain: self.chain,
            epoch: header.epoch,
            height: self.round.height,
            view: self.round.view,
            header: digest,
        };
        let Some(signature) = self.sign(&Statement::Prepare(vote)) else {
            return false;
        };
        // With every PREPARE: the journal may have been rewritten since the last one for this block,
        // without headers that no vote named any more.
        self.promise(Record::Header(Box::new(header.as_ref().clone())));
        let message = Prepare {
            vote,
            signer: me,
            signature,
        };
        self.round.prepares.insert(me, vote.view, message);
        self.say(Message::Prepare(message));
        true
    }

    /// P-2: a quorum of PREPAREs of this view for the accepted block is a prepared certificate.
    pub(super) fn become_prepared(&mut self) -> bool {
        let Some((digest, candidate)) = self.round.accepted_candidate() else {
            return false;
        };
        let view = self.round.view;
        if self.round.prepared.as_ref().is_some_and(|p| p.view >= view) {
            return false;
        }
        let signatures: Vec<IndexedSignature> = self
            .round
            .prepares
            .of_view(view)
            .filter(|(_, m)| {
                m.vote.header == digest || planted::is(Bug::CountsPreparesForOtherBlocks)
            })
            .map(|(validator, m)| IndexedSignature {
                validator,
                signature: m.signature,
            })
            .collect();
        let missing = usize::from(planted::is(Bug::PreparedBelowQuorum));
        if signatures.len() + missing < self.quorum() {
            return false;
        }
        let header = candidate.header.as_ref().clone();
        let certificate = PreparedCertificate {
            view,
            header,
            signatures,
        };
        // Nothing is promised by it until a COMMIT or VIEW-CHANGE stands on it.
        if !planted::is(Bug::CommitsWithoutStoredCertificate) {
            self.lazy
                .push(Record::Prepared(Box::new(certificate.clone())));
        }
        self.round.prepared = Some(certificate);
        true
    }

    /// C-1, C-2: votes for order and result once prepared in this view and executed.
    pub(super) fn commit(&mut self) -> bool {
        let Some((digest, candidate)) = self.round.accepted_candidate() else {
            return false;
        };
        let view = self.round.view;
        let prepared = self.round.prepared.as_ref().is_some_and(|p| {
            (p.view == view || planted::is(Bug::CommitsOnOldCertificate))
                && p.header.digest() == digest
        });
        let wanted = self.round.open
            && prepared
            && self.round.decided.is_none()
            && self.can_sign()
            && self.round.has_said(Phase::Prepare)
            && !self.round.has_said(Phase::Commit);
        let (Some(me), Some(outcome)) = (
            self.me.filter(|_| wanted),
            // VS-2
            candidate.result(self.present_set()).map(|o| o.digest()),
        ) else {
            return false;
        };
        let height = self.round.height;
        if let Some(&before) = self.round.locks.get(&digest)
            && before != outcome
            && !planted::is(Bug::VotesForTwoOutcomes)
        {
            self.halt(HaltReason::OwnOutcome {
                height,
                header: digest,
                before,
                now: outcome,
            });
            return false;
        }
        let epoch = candidate.header.epoch;
        let vote = CommitVote {
            chain: self.chain,
            epoch,
            height,
            view,
            header: digest,
            outcome,
        };
        let Some(signature) = self.sign(&Statement::Commit(vote)) else {
            return false;
        };
        let message = Commit {
            vote,
            signer: me,
            signature,
        };
        self.round.locks.insert(digest, outcome);
        self.round.commits.insert(me, view, message);
        self.say(Message::Commit(message));
        self.count_commits(view);
        true
    }

    /// C-3: a quorum of COMMITs of one view for one header and outcome decides.
    pub(super) fn count_commits(&mut self, view: View) {
        let mut tally: std::collections::BTreeMap<
            (HeaderDigest, OutcomeDigest),
            Vec<IndexedSignature>,
        > = std::collections::BTreeMap::new();
        for (validator, m) in self.counted_commits(view) {
            let name = match tally.first_key_value() {
                Some((first, _)) if planted::is(Bug::CountsCommitsForOtherOutcomes) => *first,
                _ => (m.vote.header, m.vote.outcome),
            };
            tally.entry(name).or_default().push(IndexedSignature {
                validator,
                signature: m.signature,
            });
        }
        let needed = self.quorum() - usize::from(planted::is(Bug::DecidesBelowQuorum));
        let Some(((header, outcome), signatures)) =
            tally.into_iter().find(|(_, s)| s.len() >= needed)
        else {
            return;
        };
        self.decide(CommitCertificate {
            epoch: self.validators.epoch(),
            height: self.round.height,
            view,
            header,
            outcome,
            signatures,
        });
    }

    /// The COMMITs that count for a view: those of that view.
    fn counted_commits(&self, view: View) -> Vec<(ValidatorIndex, Commit)> {
        if planted::is(Bug::AddsUpViews) {
            return self.round.commits.newest().map(|(v, m)| (v, *m)).collect();
        }
        let commits = self.round.commits.of_view(view);
        commits.map(|(validator, m)| (validator, *m)).collect()
    }

    /// C-3, C-4: takes a verified commit certificate for the present height.
    pub(super) fn decide(&mut self, certificate: CommitCertificate) {
        if certificate.height != self.round.height
            || !self.decided_by(certificate.epoch, certificate.height)
        {
            return;
        }
        match &self.round.decided {
            Some(known) if known.block_id() != certificate.block_id() => {
                let (first, second) = (known.block_id(), certificate.block_id());
                let height = self.round.height;
                self.halt(HaltReason::TwoDecisions {
                    height,
                    first,
                    second,
                });
            }
            Some(_) => {}
            None => self.round.decided = Some(certificate),
        }
    }

    /// C-5: a decided block whose result our own execution confirms becomes part of the chain: the
    /// only place that emits a commit. A quorum for another result halts.
    pub(super) fn seal(&mut self) -> bool {
        let Some(certificate) = &self.round.decided else {
            return false;
        };
        let header = certificate.header;
        let height = self.round.height;
        if let Some(&ours) = self.round.locks.get(&header)
            && ours != certificate.outcome
        {
            let decided = certificate.outcome;
            self.halt(HaltReason::OtherOutcome {
                height,
                header,
                decided,
                ours,
            });
            return false;
        }
        let Some(candidate) = self.round.candidates.get(&header) else {
            return false;
        };
        if candidate.body == Body::Invalid && !candidate.first_proposal {
            self.halt(HaltReason::InvalidDecided { height, header });
            return false;
        }
        let Some(outcome) = candidate.outcome.clone() else {
            return false;
        };
        let (decided, ours) = (certificate.outcome, outcome.digest());
        if decided != ours {
            self.halt(HaltReason::OtherOutcome {
                height,
                header,
                decided,
                ours,
            });
            return false;
        }
        if candidate.result(self.present_set()).is_none() {
            // VS-2: who decides the next height is not known yet.
            return false;
        }
        let next_validators = candidate.next_validators.clone();
        let decision = Decision {
            header: candidate.header.clone(),
            outcome: outcome.clone(),
            certificate: certificate.clone(),
            next_validators: next_validators.clone(),
        };
        let head = Head {
            header: candidate.header.as_ref().clone(),
            outcome,
            certificate: certificate.clone(),
            previous_view: self.head.header.view,
        };
        self.act(Action::Commit(Box::new(decision)));
        self.open_height(head, next_validators.as_deref());
        true
    }

    /// Opens the height above a new head, in view 0, decided by another set if there is one, with what
    /// came early for it.
    fn open_height(&mut self, head: Head, next: Option<&ValidatorSet>) {
        let mut offset = head.next_offset(self.params.rotation);
        if next.is_some() && planted::is(Bug::RestartsOrder) {
            offset = 0;
        }
        let round = std::mem::replace(&mut self.round, Round::new(head.height().next(), offset));
        self.head = head;
        self.late.clear();
        self.late
            .extend(round.prepares.slots().map(|(s, v)| (s, Phase::Prepare, v)));
        self.late
            .extend(round.commits.slots().map(|(s, v)| (s, Phase::Commit, v)));
        // The certificates of a height that is decided bind nobody.
        let height = self.round.height;
        self.lazy
            .retain(|r| !matches!(r, Record::Prepared(p) if p.header.height < height));
        if let Some(next) = next {
            self.change_set(next);
        }
        self.restore_promises();
        if !self.round.own.is_empty() {
            // said before a restart, perhaps never heard.
            self.repeat_ourselves();
        }
        // VS-5: what was kept under another set is refused.
        for message in self.ahead.drain() {
            self.receive(message);
        }
    }
}
