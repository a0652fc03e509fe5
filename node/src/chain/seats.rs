//! Who decides a chain's blocks and which place is ours, as far as this node knows. It changes with
//! the blocks that change the set; whoever asks gets the sets of that moment.

use std::sync::{Arc, PoisonError, RwLock};

use certchain_consensus::Sets;
use certchain_ledger::chain::Head;
use certchain_proto::{Epoch, SecretKey, ValidatorIndex, ValidatorSet};

/// The validator sets of a chain, and our place in the newest.
#[derive(Debug)]
pub struct Seats {
    vote_key: Arc<SecretKey>,
    known: RwLock<Known>,
}

/// What is known at a moment.
#[derive(Clone, Debug)]
pub struct Known {
    /// All sets that are known, by epoch.
    pub sets: Arc<Sets>,
    /// Who decides the next block.
    pub newest: Arc<ValidatorSet>,
    /// Our place in it; none for a follower.
    pub me: Option<ValidatorIndex>,
}

impl Seats {
    /// What the last block tells: who decided it, and who decides the next.
    pub fn new(head: &Head, vote_key: Arc<SecretKey>) -> Self {
        let newest = Arc::clone(&head.validators);
        let mut sets = Sets::new(Arc::clone(&newest));
        sets.add(Arc::clone(&head.decided_by));
        let me = newest.index_of(vote_key.public());
        let sets = Arc::new(sets);
        let known = RwLock::new(Known { sets, newest, me });
        Self { vote_key, known }
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
        self.now().me
    }

    /// Our vote key; it signs nothing where we have no place.
    pub const fn vote_key(&self) -> &Arc<SecretKey> {
        &self.vote_key
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
        known.me = set.index_of(self.vote_key.public());
        known.newest = set;
    }

    /// The epoch of the newest set.
    pub fn epoch(&self) -> Epoch {
        self.now().newest.epoch()
    }
}
