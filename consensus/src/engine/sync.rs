//! S: blocks that others have decided, and amnesia's end.

use certchain_proto::{Epoch, Height, TimeMs, ValidatorIndex, View};

use super::{
    Engine,
    round::{Body, Candidate},
};
use crate::{
    journal::Record,
    limits::MAX_ANSWERED,
    output::{Action, Decision, HaltReason},
    planted::{self, Bug},
    reject::{Reason, Rejection},
    verify::Sealed,
};

impl Engine {
    /// S-4: a decided block from sync. It is executed and committed like one that we voted on.
    pub(super) fn sealed(&mut self, sealed: Sealed) {
        let Sealed {
            header,
            outcome,
            certificate,
        } = sealed;
        let height = header.height;
        if planted::is(Bug::CommitsTwice) && height == self.head.height() {
            self.act(Action::Commit(Box::new(Decision {
                header: std::sync::Arc::new(header),
                outcome,
                certificate,
                next_validators: None,
            })));
            return;
        }
        // VS-4: whoever signed it decides nothing here any more.
        let recent = height == self.round.height || height == self.head.height();
        if recent && !self.decided_by(certificate.epoch, height) {
            return self.reject_sealed(height, certificate.view, Reason::OtherEpoch);
        }
        if height != self.round.height {
            if height == self.head.height() && certificate.block_id() != self.head.id() {
                let (first, second) = (self.head.id(), certificate.block_id());
                return self.halt(HaltReason::TwoDecisions {
                    height,
                    first,
                    second,
                });
            }
            let reason = if height < self.round.height {
                Reason::OldHeight
            } else {
                Reason::FarAhead
            };
            return self.reject_sealed(height, certificate.view, reason);
        }
        if header.parent != self.head.id() {
            let (height, first, second) = (self.head.height(), self.head.id(), header.parent);
            return self.halt(HaltReason::TwoDecisions {
                height,
                first,
                second,
            });
        }
        let digest = header.digest();
        if self.fits_chain(&header).is_err() {
            return self.halt(HaltReason::InvalidDecided {
                height,
                header: digest,
            });
        }
        let signers = certificate.signatures.iter().map(|s| s.validator).collect();
        self.decide(certificate);
        self.round
            .add_candidate(digest, Candidate::known_by_header(header, signers));
        if let Some(candidate) = self.round.candidates.get_mut(&digest) {
            // The node holds the body; no vote will be cast on it.
            candidate.body = Body::Ready;
        }
    }

    fn reject_sealed(&mut self, height: Height, view: View, reason: Reason) {
        self.out.reject(Rejection {
            kind: "sealed block",
            signer: None,
            height,
            view,
            reason,
        });
    }

    /// C-4: sees to a decided block that we cannot execute yet.
    pub(super) fn pursue_decision(&mut self) -> bool {
        let Some(certificate) = &self.round.decided else {
            return false;
        };
        let signers: Vec<ValidatorIndex> =
            certificate.signatures.iter().map(|s| s.validator).collect();
        match self.round.candidates.get_mut(&certificate.header) {
            None => {
                let from = signers.into_iter().find(|s| Some(*s) != self.me);
                self.fetch_sealed(from);
                false
            }
            // Refused by comparison with our own tips; a quorum knew better. Ask once more.
            Some(candidate) if candidate.body == Body::Invalid && candidate.first_proposal => {
                candidate.first_proposal = false;
                candidate.body = Body::Unasked;
                candidate.holders = signers;
                true
            }
            Some(_) => false,
        }
    }

    /// S-2: asks for sealed blocks from our height on, not more often than we repeat ourselves.
    pub(super) fn fetch_sealed(&mut self, from: Option<ValidatorIndex>) {
        if planted::is(Bug::NeverFetches) {
            return;
        }
        let height = self.round.height;
        if let Some((asked, until)) = self.fetching
            && asked == height
            && self.is_recent(until)
        {
            return;
        }
        self.fetching = Some((height, self.now.saturating_add(self.params.retry_ms)));
        self.act(Action::FetchSealed { from, height });
    }

    /// S-2: asks again, another one each time, if somebody has shown to be ahead of us.
    pub(super) fn fetch_if_behind(&mut self) {
        let mut known = self.ahead.signers();
        if let Some(certificate) = &self.round.decided {
            known.extend(certificate.signatures.iter().map(|s| s.validator));
        }
        known.retain(|v| Some(*v) != self.me);
        // Whoever may not vote has no repeated vote by which others see that it is behind.
        let follows = !self.can_sign() && self.round.accepted.is_some();
        if known.is_empty() && !follows {
            return;
        }
        let turn = usize::try_from(self.round.retries).unwrap_or(0);
        let from = turn
            .checked_rem(known.len())
            .and_then(|i| known.get(i))
            .copied();
        self.fetch_sealed(from);
    }

    /// S-1: sends a laggard the block that it lacks, not more often than it repeats itself.
    pub(super) fn send_sealed(&mut self, epoch: Epoch, to: ValidatorIndex, height: Height) {
        if let Some((answered, until)) = self.answered.get(&(epoch, to))
            && *answered == height
            && self.is_recent(*until)
        {
            return;
        }
        let until = self.now.saturating_add(self.params.retry_ms / 2);
        self.answered.insert((epoch, to), (height, until));
        if self.answered.len() > MAX_ANSWERED {
            // Of the oldest epoch.
            self.answered.pop_first();
        }
        self.act(Action::SendSealed { epoch, to, height });
    }

    /// Whether a pause until `until` lasts; one that a clock set back would make long does not.
    fn is_recent(&self, until: TimeMs) -> bool {
        until > self.now && until.since(self.now) <= self.params.retry_ms
    }

    /// J-4: the ledger holds a block; promises up to its height may be forgotten.
    pub(super) fn applied(&mut self, height: Height) {
        if height > self.head.height() {
            return self.refuse_answer("applied", Reason::NotAsked);
        }
        self.lazy.retain(|r| !matches!(r, Record::Sealed { .. }));
        self.lazy.push(Record::Sealed { height });
    }

    /// our restart notice is committed; votes may be cast above it.
    pub(super) fn amnesia_cleared(&mut self, height: Height) {
        if planted::is(Bug::StaysSilent) {
            return;
        }
        if self.promises.amnesia().is_none() || height > self.head.height() {
            return self.refuse_answer("restart notice", Reason::NotAsked);
        }
        let record = Record::Cleared { height };
        // A record of this kind contradicts nothing.
        if self.promises.apply(&record).is_ok() {
            self.promise(record);
        }
    }
}
