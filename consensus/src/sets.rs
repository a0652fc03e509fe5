//! Who decides in which epoch: what verification asks when it meets a message, a certificate or a
//! block of a set that may not be the present one (VS-4, VS-6).

use std::{collections::BTreeMap, sync::Arc};

use certchain_proto::{Epoch, ValidatorSet};

use crate::limits::KEPT_SETS;

/// Validator sets by epoch, as far as they are known.
///
/// What is said names its epoch and is checked against that epoch's set. Whether that set decides the
/// height in question is the engine's question.
pub trait Membership {
    /// The newest set that is known.
    fn newest(&self) -> &ValidatorSet;

    /// The set of an epoch.
    fn of(&self, epoch: Epoch) -> Option<&ValidatorSet>;
}

/// One set, and no other is known.
impl Membership for ValidatorSet {
    fn newest(&self) -> &ValidatorSet {
        self
    }

    fn of(&self, epoch: Epoch) -> Option<&ValidatorSet> {
        (epoch == self.epoch()).then_some(self)
    }
}

impl<T: Membership + ?Sized> Membership for Arc<T> {
    fn newest(&self) -> &ValidatorSet {
        self.as_ref().newest()
    }

    fn of(&self, epoch: Epoch) -> Option<&ValidatorSet> {
        self.as_ref().of(epoch)
    }
}

/// The present set and the ones before it, which laggards are still of.
///
/// Invariant: at least one set, at most [`KEPT_SETS`]; `newest` has the highest epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sets {
    newest: Arc<ValidatorSet>,
    older: BTreeMap<Epoch, Arc<ValidatorSet>>,
}

impl Sets {
    /// Knows one set.
    pub fn new(set: Arc<ValidatorSet>) -> Self {
        Self {
            newest: set,
            older: BTreeMap::new(),
        }
    }

    /// Learns another set: the next one, or an older one than the newest. The oldest are forgotten
    /// when there are too many. An epoch that is known keeps its set.
    pub fn add(&mut self, set: Arc<ValidatorSet>) {
        let epoch = set.epoch();
        if epoch > self.newest.epoch() {
            let before = std::mem::replace(&mut self.newest, set);
            self.older.insert(before.epoch(), before);
        } else if epoch < self.newest.epoch() {
            self.older.entry(epoch).or_insert(set);
        }
        while self.older.len() >= KEPT_SETS {
            self.older.pop_first();
        }
    }
}

impl Membership for Sets {
    fn newest(&self) -> &ValidatorSet {
        &self.newest
    }

    fn of(&self, epoch: Epoch) -> Option<&ValidatorSet> {
        if epoch == self.newest.epoch() {
            return Some(&self.newest);
        }
        self.older.get(&epoch).map(AsRef::as_ref)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use certchain_proto::{SecretKey, Validator};

    use super::*;

    fn set(epoch: u64) -> Arc<ValidatorSet> {
        let member = Validator {
            vote_key: SecretKey::from_seed(&[1; 32]).public().clone(),
            network_key: [1; 32],
        };
        Arc::new(ValidatorSet::new(Epoch::new(epoch), vec![member]).unwrap())
    }

    #[test]
    fn the_newest_sets_are_known_by_their_epoch() {
        let mut sets = Sets::new(set(3));
        assert_eq!(sets.of(Epoch::new(2)), None);
        sets.add(set(2));
        sets.add(set(4));
        assert_eq!(sets.newest().epoch(), Epoch::new(4));
        for epoch in 2..=4 {
            let known = sets.of(Epoch::new(epoch)).map(ValidatorSet::epoch);
            assert_eq!(known, Some(Epoch::new(epoch)));
        }
        assert_eq!(sets.of(Epoch::new(5)), None);
        for epoch in 5..5 + 2 * KEPT_SETS as u64 {
            sets.add(set(epoch));
        }
        let newest = 4 + 2 * KEPT_SETS as u64;
        let known = (0..=newest).filter(|e| sets.of(Epoch::new(*e)).is_some());
        let expected: Vec<u64> = (newest + 1 - KEPT_SETS as u64..=newest).collect();
        assert_eq!(known.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn one_set_is_the_set_of_its_own_epoch_only() {
        let one = set(7);
        assert_eq!(one.newest().epoch(), Epoch::new(7));
        assert!(one.of(Epoch::new(7)).is_some());
        assert!(one.of(Epoch::new(6)).is_none());
    }
}
