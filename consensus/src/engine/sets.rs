//! VS: the set that decides, which may be another one at each height.

use std::sync::Arc;

use certchain_proto::{
    Epoch, Height, ValidatorIndex, ValidatorSet,
    hash::{HeaderDigest, ValidatorSetDigest},
};

use super::Engine;
use crate::{
    output::{Action, HaltReason},
    planted::{self, Bug},
    reject::Reason,
    signer::Signer,
};

/// VS-3: the place of the first member whose key we hold.
pub(super) fn place(set: &ValidatorSet, signer: &dyn Signer) -> Option<ValidatorIndex> {
    set.iter()
        .find(|(_, member)| signer.holds(&member.vote_key))
        .map(|(place, _)| place)
}

impl Engine {
    /// The name of the set that decides the present height.
    pub(super) fn present_set(&self) -> ValidatorSetDigest {
        self.head.outcome.next_validators
    }

    /// VS-2: the node tells the set that the outcome of a block names.
    pub(super) fn validators_told(&mut self, header: HeaderDigest, set: ValidatorSet) {
        let present = self.present_set();
        let Some(candidate) = self.round.candidates.get_mut(&header) else {
            return self.refuse_answer("validators", Reason::NotAsked);
        };
        let Some(named) = candidate.outcome.as_ref().map(|o| o.next_validators) else {
            return self.refuse_answer("validators", Reason::NotAsked);
        };
        if named == present || candidate.next_validators.is_some() {
            return self.refuse_answer("validators", Reason::NotAsked);
        }
        if set.digest() != named && !planted::is(Bug::TakesAnyNextSet) {
            return self.refuse_answer("validators", Reason::OtherValidators);
        }
        let (before, after) = (self.validators.epoch(), set.epoch());
        if after != before.next() && !planted::is(Bug::TakesAnyNextSet) {
            return self.halt(HaltReason::NextEpoch {
                height: self.round.height,
                header,
                present: before,
                named: after,
            });
        }
        candidate.next_validators = Some(Arc::new(set));
    }

    /// VS-3: another set decides from the height on that has just opened. Whatever we said before was
    /// said as a member of the old one and is not said again.
    pub(super) fn change_set(&mut self, set: &ValidatorSet) {
        if planted::is(Bug::KeepsOldSet) {
            return;
        }
        self.validators = set.clone();
        let left = self.me.is_none() && planted::is(Bug::LeavesForGood);
        if !left && !planted::is(Bug::KeepsOldPlace) {
            self.me = place(&self.validators, self.signer.as_ref());
        }
        if !planted::is(Bug::ForgetsNotice) {
            self.ask_for_notice();
        }
    }

    /// a member that may not sign has its nonce submitted, with the key that the set names.
    pub(super) fn ask_for_notice(&mut self) {
        if let Some(nonce) = self.promises.amnesia().filter(|_| self.me.is_some()) {
            self.act(Action::SubmitRestartNotice { nonce });
        }
    }

    /// VS-4: whether what is said in this epoch counts at the present height.
    pub(super) fn decides(&self, epoch: Epoch) -> bool {
        epoch == self.validators.epoch()
            || planted::is(Bug::CountsOtherEpochs)
            || planted::is(Bug::TakesOtherEpochs)
    }

    /// VS-4: whether a certificate of this epoch can decide `height`, the present one or the last.
    pub(super) fn decided_by(&self, epoch: Epoch, height: Height) -> bool {
        let deciding = if height == self.head.height() {
            self.head.decided_in()
        } else {
            Some(self.validators.epoch())
        };
        deciding.is_none_or(|e| e == epoch) || planted::is(Bug::TakesRetiredDecisions)
    }

    /// VS-7: somebody speaks of a set that we do not know yet. It cannot be verified, so it moves us to
    /// nothing but to ask, which costs little and is not done often.
    pub(super) fn later_epoch(&mut self, epoch: Epoch) {
        if epoch > self.validators.epoch() {
            self.fetch_sealed(None);
        }
    }
}
