//! PP: proposals, made and judged; bodies and executions asked for.

use certchain_proto::{
    BlockHeader, Height, Outcome, TimeMs, View, block::PROTOCOL, hash::HeaderDigest,
};

use super::{
    Engine,
    round::{Body, Candidate},
};
use crate::{
    event::Proposal,
    message::{Contents, Message, PrePrepare},
    output::{Action, BodyRequest, HaltReason, ProposalRequest},
    planted::{self, Bug},
    reject::Reason,
    statement::{Phase, PrePrepareVote, Statement},
    timer::TimerKind,
};

/// How a proposal's time compares with our clock.
enum Timeliness {
    Fits,
    Late,
    Early { until: TimeMs },
}

impl Engine {
    /// PP-1: the primary of an open view that takes a fresh block asks the node for one: in view 0
    /// when there is work, later at once.
    pub(super) fn ask_for_proposal(&mut self) -> bool {
        let due = self.heartbeat_due();
        let allow_empty = due || self.round.view > View::ZERO;
        let wanted = self.round.open
            && self.round.fresh
            && self.round.accepted.is_none()
            && self.round.decided.is_none()
            && self.round.requested.is_none()
            && self.is_primary()
            && self.can_sign()
            && !self.round.has_said(Phase::PrePrepare)
            && (allow_empty || self.pending);
        if !wanted {
            return false;
        }
        self.round.requested = Some((self.round.view, allow_empty));
        let min_time = self.head.time().saturating_add(1);
        self.act(Action::RequestProposal(ProposalRequest {
            height: self.round.height,
            view: self.round.view,
            parent: self.head.id(),
            min_time,
            allow_empty,
        }));
        true
    }

    /// The node has nothing: wait until it reports work.
    pub(super) fn nothing_to_propose(&mut self, height: Height, view: View) {
        let asked = self.round.requested == Some((view, false)) && height == self.round.height;
        if !asked {
            return self.refuse_answer("proposal", Reason::NotAsked);
        }
        self.round.requested = None;
        self.pending = false;
    }

    /// PP-2: signs and sends the proposal that the node made, if it is one that we would accept.
    pub(super) fn propose(&mut self, p: Proposal) {
        let asked = self.round.requested.is_some_and(|(view, _)| view == p.view)
            && p.height == self.round.height
            && p.view == self.round.view
            && self.round.open
            && self.round.decided.is_none()
            && self.can_sign();
        let Some(me) = self.me.filter(|_| asked) else {
            return self.refuse_answer("proposal", Reason::NotAsked);
        };
        let Ok(tx_count) = u32::try_from(p.witness_ids.len()) else {
            return self.refuse_answer("proposal", Reason::BadProposal);
        };
        let parent_certificate = self.head.certificate.clone();
        let header = BlockHeader {
            protocol: PROTOCOL,
            chain: self.chain,
            epoch: self.validators.epoch(),
            height: self.round.height,
            view: self.round.view,
            proposer: me,
            offset: self.round.offset,
            parent: self.head.id(),
            parent_commit: parent_certificate.digest(),
            parent_view: parent_certificate.view,
            time_ms: p.time_ms,
            tx_root: p.tx_root,
            tx_count,
            history_root: p.history_root,
            checkpoint: p.checkpoint,
        };
        self.round.requested = None;
        if self.fits_chain(&header).is_err() {
            // Asking again at once would loop; this view's time runs out instead.
            self.round.requested = Some((self.round.view, true));
            return self.refuse_answer("proposal", Reason::BadProposal);
        }
        let contents = Contents {
            parent_certificate,
            witness_ids: p.witness_ids,
        };
        let statement = Statement::PrePrepare(PrePrepareVote {
            chain: self.chain,
            epoch: header.epoch,
            height: header.height,
            view: header.view,
            header: header.digest(),
            contents: contents.digest(),
        });
        let Some(signature) = self.sign(&statement) else {
            return;
        };
        let message = PrePrepare {
            header,
            contents,
            signature,
        };
        self.round
            .proposals
            .insert(me, message.header.view, message.clone());
        self.say(Message::PrePrepare(message));
    }

    /// PP-3, PP-4: accepts the primary's fresh proposal for the open view.
    pub(super) fn accept_proposal(&mut self) -> bool {
        let view = self.round.view;
        if !self.round.open || !self.round.fresh || self.round.accepted.is_some() {
            return false;
        }
        let primary = self.primary(view);
        let Some(proposal) = self.round.proposals.get(primary, view) else {
            return false;
        };
        let proposal = proposal.clone();
        let below = &proposal.contents.parent_certificate;
        let refusal = match self.fits_chain(&proposal.header) {
            Err(reason) => Some(reason),
            // VS-4
            Ok(()) if !self.decided_by(below.epoch, self.head.height()) => {
                Some(Reason::Header("parent_commit"))
            }
            Ok(()) => match self.timeliness(&proposal.header) {
                Timeliness::Fits => None,
                Timeliness::Late => Some(Reason::Late),
                Timeliness::Early { until } => {
                    // Held, not refused.
                    self.set_timer(TimerKind::Early, until);
                    return false;
                }
            },
        };
        if let Some(reason) = refusal {
            self.round.proposals.remove(primary, view);
            self.refuse(&Message::PrePrepare(proposal), reason);
            return false;
        }
        let digest = proposal.header.digest();
        self.round
            .add_candidate(digest, Candidate::proposed(&proposal));
        self.round.accepted = Some(digest);
        true
    }

    /// PP-3: what every header must fulfil, fresh, proposed again or sealed.
    pub(super) fn fits_chain(&self, header: &BlockHeader) -> Result<(), Reason> {
        let parent = &self.head.header;
        let rules: [(bool, &'static str); 9] = [
            (header.protocol == PROTOCOL, "protocol"),
            (header.chain == self.chain, "chain"),
            (header.epoch == self.validators.epoch(), "epoch"),
            (header.height == self.round.height, "height"),
            (
                header.offset == self.round.offset || planted::is(Bug::TakesAnyOffset),
                "offset",
            ),
            (header.proposer == self.primary(header.view), "proposer"),
            (
                header.parent == self.head.id() || planted::is(Bug::TakesAnyParent),
                "parent",
            ),
            (header.parent_view >= parent.view, "parent_view"),
            (
                header.tx_count <= self.params.max_block_transactions,
                "tx_count",
            ),
        ];
        if let Some((_, field)) = rules.into_iter().find(|(holds, _)| !holds) {
            return Err(Reason::Header(field));
        }
        if header.time_ms <= parent.time_ms && !planted::is(Bug::TakesAnyTime) {
            return Err(Reason::Header("time_ms"));
        }
        // PP-5
        let heartbeat = parent.time_ms.saturating_add(self.params.heartbeat_ms);
        if header.tx_count == 0 && header.view == View::ZERO && header.time_ms < heartbeat {
            return Err(Reason::EarlyHeartbeat);
        }
        Ok(())
    }

    /// PP-4
    fn timeliness(&self, header: &BlockHeader) -> Timeliness {
        if planted::is(Bug::TakesFutureTimes) {
            return Timeliness::Fits;
        }
        let bound = self.params.time_bound(header.view);
        let time = header.time_ms;
        if time.saturating_add(bound) < self.now {
            return Timeliness::Late;
        }
        let latest = self
            .now
            .saturating_add(bound)
            .max(self.head.time().saturating_add(1));
        if time > latest {
            return Timeliness::Early {
                until: TimeMs::new(time.get().saturating_sub(bound)),
            };
        }
        Timeliness::Fits
    }

    /// PP-6: asks the node for the body of the block that is to be voted on, or is decided.
    pub(super) fn ask_for_body(&mut self) -> bool {
        let decided = self.round.decided.as_ref().map(|c| c.header);
        let wanted = [self.round.accepted, decided];
        let Some(candidate) = wanted
            .into_iter()
            .flatten()
            .find(|d| {
                self.round.candidates.get(d).is_some_and(|c| {
                    c.body == Body::Unasked
                        && (c.first_proposal || !planted::is(Bug::WaitsForPreparedBody))
                })
            })
            .and_then(|d| self.round.candidates.get_mut(&d))
        else {
            return false;
        };
        candidate.body = Body::Asked;
        let request = BodyRequest {
            header: candidate.header.clone(),
            contents: candidate.contents.clone(),
            holders: candidate.holders.clone(),
            first_proposal: candidate.first_proposal,
        };
        self.act(Action::CheckBody(request));
        true
    }

    /// PP-6: the body is whole, valid and on disk.
    pub(super) fn body_ready(&mut self, header: HeaderDigest) {
        match self.round.candidates.get_mut(&header) {
            Some(c) if c.body == Body::Asked => c.body = Body::Ready,
            Some(_) | None => self.refuse_answer("body", Reason::NotAsked),
        }
    }

    /// PP-7: the body will never be valid.
    pub(super) fn body_invalid(&mut self, header: HeaderDigest) {
        match self.round.candidates.get_mut(&header) {
            Some(c) if c.body == Body::Asked => c.body = Body::Invalid,
            Some(_) | None => self.refuse_answer("body", Reason::NotAsked),
        }
    }

    /// PP-7: a primary that proposes what can never be valid is not waited for.
    pub(super) fn leave_invalid(&mut self) -> bool {
        let invalid = self
            .round
            .accepted_candidate()
            .is_some_and(|(_, c)| c.body == Body::Invalid && c.first_proposal);
        if !invalid || self.round.decided.is_some() || !self.can_sign() {
            return false;
        }
        self.start_view_change(self.round.view.next());
        true
    }

    /// execution starts as soon as the body is there; it overlaps the votes.
    pub(super) fn execute(&mut self) -> bool {
        let Some(candidate) = self
            .round
            .candidates
            .values_mut()
            .find(|c| c.body == Body::Ready && !c.execution_asked && c.outcome.is_none())
        else {
            return false;
        };
        candidate.execution_asked = true;
        let header = candidate.header.clone();
        self.act(Action::Execute { header });
        true
    }

    /// the result of our own execution.
    pub(super) fn executed(&mut self, header: HeaderDigest, outcome: Outcome) {
        let Some(candidate) = self
            .round
            .candidates
            .get_mut(&header)
            .filter(|c| c.execution_asked)
        else {
            return self.refuse_answer("execution", Reason::NotAsked);
        };
        match &candidate.outcome {
            None => candidate.outcome = Some(outcome),
            Some(known) if *known == outcome => {}
            Some(known) => {
                let (known, now) = (known.digest(), outcome.digest());
                self.halt(HaltReason::OwnOutcome {
                    height: self.round.height,
                    header,
                    before: known,
                    now,
                });
            }
        }
    }
}
