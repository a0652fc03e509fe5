//! The keys with which this node votes: one, or two while its validator changes from one to the other.

use std::sync::Arc;

use certchain_consensus::Signer;
use certchain_proto::{
    PublicKey, SecretKey, Signature, ValidatorIndex, ValidatorSet, hash::SigningHash,
};

/// The vote keys in memory. Which of them counts says the set that decides a height.
#[derive(Clone, Debug)]
pub struct VoteKeys {
    present: Arc<SecretKey>,
    next: Option<Arc<SecretKey>>,
}

/// A place in a set that names a key of ours.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The place.
    pub place: ValidatorIndex,
    /// The key that the set names.
    pub vote_key: Arc<SecretKey>,
    /// What the configuration calls it.
    pub key_name: &'static str,
}

impl VoteKeys {
    /// The present key, and the one that a change of keys brings.
    pub fn new(present: SecretKey, next: Option<SecretKey>) -> Self {
        Self {
            present: Arc::new(present),
            next: next.map(Arc::new),
        }
    }

    /// Whether there is a key for a change of keys.
    pub const fn has_next(&self) -> bool {
        self.next.is_some()
    }

    /// Rule VS-3, as the engine sees it: the place of the first member whose key we hold.
    pub fn seat_in(&self, set: &ValidatorSet) -> Option<Seat> {
        set.iter().find_map(|(place, member)| {
            let (key_name, key) = self.find(&member.vote_key)?;
            Some(Seat {
                place,
                vote_key: Arc::clone(key),
                key_name,
            })
        })
    }

    fn find(&self, public: &PublicKey) -> Option<(&'static str, &Arc<SecretKey>)> {
        let next = self.next.iter().map(|key| ("next_vote_key", key));
        let mut keys = std::iter::once(("vote_key", &self.present)).chain(next);
        keys.find(|(_, key)| key.public() == public)
    }
}

impl Signer for VoteKeys {
    fn holds(&self, key: &PublicKey) -> bool {
        self.find(key).is_some()
    }

    fn sign(&self, key: &PublicKey, hash: &SigningHash) -> Option<Signature> {
        self.find(key).map(|(_, key)| key.sign(hash))
    }
}
