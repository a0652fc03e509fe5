//! Who decides a chain's blocks and which place is ours, as far as this node knows. It changes with
//! the blocks that change the set; whoever asks gets the sets of that moment.

use std::sync::{Arc, PoisonError, RwLock};

use certchain_consensus::Sets;
use certchain_ledger::chain::Head;
use certchain_proto::{Epoch, ValidatorIndex, ValidatorSet};

use super::vote_keys::{Seat, VoteKeys};

/// The validator sets of a chain, and our place in the newest.
#[derive(Debug)]
pub struct Seats {
    vote_keys: VoteKeys,
    known: RwLock<Known>,
}

/// What is known at a moment.
#[derive(Clone, Debug)]
pub struct Known {
    /// All sets that are known, by epoch.
    pub sets: Arc<Sets>,
    /// Who decides the next block.
    pub newest: Arc<ValidatorSet>,
    /// Our place in it, with the key that it names; none for a follower.
    pub seat: Option<Seat>,
}

impl Known {
    /// Our place among those who decide the next block.
    pub fn me(&self) -> Option<ValidatorIndex> {
        self.seat.as_ref().map(|seat| seat.place)
    }
}

impl Seats {
    /// What the last block tells: who decided it, and who decides the next.
    pub fn new(head: &Head, vote_keys: VoteKeys) -> Self {
        Self::of(
            Arc::clone(&head.decided_by),
            Arc::clone(&head.validators),
            vote_keys,
        )
    }

    fn of(before: Arc<ValidatorSet>, newest: Arc<ValidatorSet>, vote_keys: VoteKeys) -> Self {
        let mut sets = Sets::new(Arc::clone(&newest));
        sets.add(before);
        let known = Known {
            sets: Arc::new(sets),
            seat: vote_keys.seat_in(&newest),
            newest,
        };
        Self {
            vote_keys,
            known: RwLock::new(known),
        }
    }

    /// What is known now.
    pub fn now(&self) -> Known {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Who decides the next block.
    pub fn newest(&self) -> Arc<ValidatorSet> {
        self.now().newest
    }

    /// All sets that are known.
    pub fn sets(&self) -> Arc<Sets> {
        self.now().sets
    }

    /// Our place among those who decide the next block.
    pub fn me(&self) -> Option<ValidatorIndex> {
        self.now().me()
    }

    /// A block has changed the set: this one decides from the next height on.
    pub fn learn(&self, set: Arc<ValidatorSet>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if set.epoch() <= known.newest.epoch() {
            return;
        }
        let mut sets = (*known.sets).clone();
        sets.add(Arc::clone(&set));
        known.sets = Arc::new(sets);
        known.seat = self.vote_keys.seat_in(&set);
        known.newest = set;
    }

    /// The epoch of the newest set.
    pub fn epoch(&self) -> Epoch {
        self.now().newest.epoch()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use certchain_proto::{SecretKey, Validator};

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn set(epoch: u64, keys: &[u8]) -> Arc<ValidatorSet> {
        let validators = keys.iter().map(|seed| Validator {
            vote_key: key(*seed).public().clone(),
            network_key: *key(100 + seed).public().as_bytes(),
        });
        Arc::new(ValidatorSet::new(Epoch::new(epoch), validators.collect()).unwrap())
    }

    fn seats(first: Arc<ValidatorSet>, next: Option<u8>) -> Seats {
        let keys = VoteKeys::new(key(2), next.map(key));
        Seats::of(Arc::clone(&first), first, keys)
    }

    fn told(seats: &Seats) -> Option<(u16, &'static str, SecretKey)> {
        let seat = seats.now().seat?;
        let key = SecretKey::from_seed(&seat.vote_key.to_seed());
        Some((seat.place.get(), seat.key_name, key))
    }

    fn expect(seats: &Seats, place: u16, name: &str, seed: u8) {
        let (found, found_name, found_key) = told(seats).unwrap();
        assert_eq!((found, found_name), (place, name));
        assert_eq!(found_key.public(), key(seed).public());
        assert_eq!(seats.me().map(ValidatorIndex::get), Some(place));
    }

    #[test]
    fn the_set_says_which_of_two_keys_signs() {
        let seats = seats(set(0, &[1, 2, 3]), Some(9));
        expect(&seats, 1, "vote_key", 2);
        seats.learn(set(1, &[1, 9, 3]));
        expect(&seats, 1, "next_vote_key", 9);
        // An old set that is told late changes nothing.
        seats.learn(set(1, &[1, 2, 3]));
        expect(&seats, 1, "next_vote_key", 9);
        seats.learn(set(2, &[1, 3]));
        assert!(told(&seats).is_none(), "it follows");
        seats.learn(set(3, &[1, 3, 9]));
        expect(&seats, 2, "next_vote_key", 9);
    }

    #[test]
    fn the_place_of_two_keys_in_one_set_is_the_engines() {
        // The first in the order of the set, whichever key it names.
        expect(&seats(set(0, &[9, 2]), Some(9)), 0, "next_vote_key", 9);
        expect(&seats(set(0, &[2, 9]), Some(9)), 0, "vote_key", 2);
    }

    #[test]
    fn a_node_without_a_key_in_the_set_follows() {
        let seats = seats(set(0, &[1, 3]), None);
        assert!(told(&seats).is_none());
        seats.learn(set(1, &[1, 9, 3]));
        assert!(told(&seats).is_none(), "a key that it does not hold");
        seats.learn(set(2, &[1, 9, 3, 2]));
        expect(&seats, 3, "vote_key", 2);
    }
}
