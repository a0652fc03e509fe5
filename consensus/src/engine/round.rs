//! The state of one undecided height.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use certchain_proto::{
    BlockHeader, CommitCertificate, Height, Outcome, ValidatorIndex, ValidatorSet, View,
    hash::{HeaderDigest, OutcomeDigest, ValidatorSetDigest},
};

use super::vote_book::VoteBook;
use crate::{
    limits::{MAX_CANDIDATES, VIEW_CHANGES_PER_SENDER, VOTE_VIEWS_PER_SENDER},
    message::{
        Commit, Contents, Message, NewView, PrePrepare, Prepare, PreparedCertificate, ViewChange,
    },
    planted::{self, Bug},
    statement::Phase,
};

/// How far a block's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// The node has not been asked for it.
    Unasked,
    /// The node has been asked.
    Asked,
    /// Complete, checked, on disk.
    Ready,
    /// Never valid.
    Invalid,
}

/// A block that this height may be decided on.
#[derive(Debug)]
pub(super) struct Candidate {
    pub header: Arc<BlockHeader>,
    pub contents: Option<Arc<Contents>>,
    pub holders: Vec<ValidatorIndex>,
    /// Whether it was proposed to us fresh, so that comparisons with our own tips apply.
    pub first_proposal: bool,
    pub body: Body,
    pub execution_asked: bool,
    pub outcome: Option<Outcome>,
    /// VS-2: the set that the outcome names, if it is another one than the present and has been told.
    pub next_validators: Option<Arc<ValidatorSet>>,
}

impl Candidate {
    pub fn known_by_header(header: BlockHeader, holders: Vec<ValidatorIndex>) -> Self {
        Self {
            header: Arc::new(header),
            contents: None,
            holders,
            first_proposal: false,
            body: Body::Unasked,
            execution_asked: false,
            outcome: None,
            next_validators: None,
        }
    }

    pub fn proposed(m: &PrePrepare) -> Self {
        Self {
            header: Arc::new(m.header.clone()),
            contents: Some(Arc::new(m.contents.clone())),
            holders: vec![m.header.proposer],
            first_proposal: true,
            body: Body::Unasked,
            execution_asked: false,
            outcome: None,
            next_validators: None,
        }
    }

    /// X-1, VS-2: the result of our own execution, once it is whole: with the set that it names, if
    /// that is not `present`.
    pub fn result(&self, present: ValidatorSetDigest) -> Option<&Outcome> {
        self.outcome
            .as_ref()
            .filter(|o| o.next_validators == present || self.next_validators.is_some())
    }
}

/// One undecided height.
///
/// Invariants: no own message has a view above `view`; a closed view has no accepted block;
/// `prepared` has a view not above `view`; an accepted block is a candidate.
#[derive(Debug)]
pub(super) struct Round {
    pub height: Height,
    /// PR-2: where the order of primaries starts.
    pub offset: u64,
    /// The view we are in, or have asked for.
    pub view: View,
    /// Whether it is open: it is 0, or a NEW-VIEW opened it.
    pub open: bool,
    /// Whether the open view takes a fresh proposal.
    pub fresh: bool,
    /// The block that the open view decides on.
    pub accepted: Option<HeaderDigest>,
    pub candidates: BTreeMap<HeaderDigest, Candidate>,
    /// The highest prepared certificate.
    pub prepared: Option<PreparedCertificate>,
    /// C-2: outcomes that we committed to.
    pub locks: BTreeMap<HeaderDigest, OutcomeDigest>,
    /// What we said.
    pub own: BTreeMap<(View, Phase), Arc<Message>>,
    /// Proof that this height is decided.
    pub decided: Option<CommitCertificate>,
    pub proposals: VoteBook<PrePrepare>,
    pub prepares: VoteBook<Prepare>,
    pub commits: VoteBook<Commit>,
    pub changes: VoteBook<ViewChange>,
    pub new_views: VoteBook<NewView>,
    /// The NEW-VIEW that opened `view`, for those who missed it.
    pub opened_by: Option<Arc<Message>>,
    /// The view for which the node has been asked for a proposal, and whether it may be empty.
    pub requested: Option<(View, bool)>,
    /// Phases in which evidence against a signer has been given.
    pub evidence: BTreeSet<(ValidatorIndex, Phase)>,
    /// How often we repeated ourselves in this view.
    pub retries: u32,
}

impl Round {
    pub fn new(height: Height, offset: u64) -> Self {
        Self {
            height,
            offset,
            view: View::ZERO,
            open: true,
            fresh: true,
            accepted: None,
            candidates: BTreeMap::new(),
            prepared: None,
            locks: BTreeMap::new(),
            own: BTreeMap::new(),
            decided: None,
            // A primary of two views that we have not reached is far away in time.
            proposals: VoteBook::new(2),
            prepares: VoteBook::new(VOTE_VIEWS_PER_SENDER),
            commits: VoteBook::new(VOTE_VIEWS_PER_SENDER),
            changes: VoteBook::new(VIEW_CHANGES_PER_SENDER),
            new_views: VoteBook::new(2),
            opened_by: None,
            requested: None,
            evidence: BTreeSet::new(),
            retries: 0,
        }
    }

    /// Leaves the present view for `view`.
    pub fn move_to(&mut self, view: View, open: bool) {
        self.view = view;
        self.open = open;
        self.fresh = false;
        self.accepted = None;
        self.opened_by = None;
        self.requested = None;
        self.retries = 0;
    }

    /// Adds a candidate, forgetting others that bind nobody if there are too many. What is known
    /// of the same block stays known.
    pub fn add_candidate(&mut self, digest: HeaderDigest, candidate: Candidate) {
        if let Some(known) = self.candidates.get_mut(&digest) {
            if known.contents.is_none() {
                known.contents = candidate.contents;
            }
            for holder in candidate.holders {
                if !known.holders.contains(&holder) {
                    known.holders.push(holder);
                }
            }
            // What a quorum stands behind is no longer judged by our own clock and tips.
            if !candidate.first_proposal && known.first_proposal {
                known.first_proposal = false;
                if matches!(known.body, Body::Asked | Body::Invalid) {
                    known.body = Body::Unasked;
                }
            }
            return;
        }
        if self.candidates.len() >= MAX_CANDIDATES && !planted::is(Bug::KeepsAllCandidates) {
            let (accepted, decided) = (self.accepted, self.decided.as_ref().map(|c| c.header));
            let prepared = self.prepared.as_ref().map(|p| p.header.digest());
            let locks = &self.locks;
            self.candidates.retain(|d, _| {
                accepted == Some(*d)
                    || decided == Some(*d)
                    || prepared == Some(*d)
                    || locks.contains_key(d)
            });
        }
        self.candidates.insert(digest, candidate);
    }

    /// The block that the open view decides on.
    pub fn accepted_candidate(&self) -> Option<(HeaderDigest, &Candidate)> {
        let digest = self.accepted?;
        Some((digest, self.candidates.get(&digest)?))
    }

    pub fn has_said(&self, phase: Phase) -> bool {
        self.own.contains_key(&(self.view, phase))
    }

    /// Whether the height is decided and its block known by its header: then only its body and its
    /// execution are waited for. Until then a decision is no reason to leave the others alone: it may
    /// be that nobody else has heard all COMMITs, and whoever holds the block needs us to change the
    /// view (C-4).
    pub fn is_settled(&self) -> bool {
        self.decided.as_ref().is_some_and(|certificate| {
            self.candidates.contains_key(&certificate.header) || planted::is(Bug::RestsOnDecision)
        })
    }

    /// The highest VIEW-CHANGE that we signed.
    pub fn own_view_change(&self) -> Option<&Arc<Message>> {
        self.own
            .iter()
            .rev()
            .find(|((_, phase), _)| *phase == Phase::ViewChange)
            .map(|(_, m)| m)
    }

    /// Rule 10 of the house: our own invariants, checked after each step.
    pub fn violation(&self) -> Option<&'static str> {
        if !planted::is(Bug::VotesAfterLeaving)
            && self
                .own
                .keys()
                .next_back()
                .is_some_and(|(view, _)| *view > self.view)
        {
            return Some("own message above the present view");
        }
        if !self.open && self.accepted.is_some() {
            return Some("closed view with an accepted block");
        }
        if self.prepared.as_ref().is_some_and(|p| p.view > self.view) {
            return Some("prepared certificate above the present view");
        }
        if self
            .accepted
            .is_some_and(|d| !self.candidates.contains_key(&d))
        {
            return Some("accepted block that is no candidate");
        }
        None
    }
}

#[cfg(test)]
mod tests;
