//! Validator sets and the sizes that follow from them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    PublicKey, codec, context,
    hash::{ValidatorSetDigest, hash_parts},
    ids::{Epoch, ValidatorIndex},
    limits::MAX_VALIDATORS,
};

/// One member of a validator set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validator {
    /// The key with which it votes.
    pub vote_key: PublicKey,
    /// The Ed25519 key that names it on the network.
    pub network_key: [u8; 32],
}

/// Why a list of validators is no set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidatorSetError {
    /// None at all.
    #[error("a chain needs at least one validator")]
    Empty,
    /// More than the protocol takes.
    #[error("{actual} validators, at most {MAX_VALIDATORS} are possible")]
    TooMany {
        /// How many were given.
        actual: usize,
    },
    /// A key stands twice, so one member would count as two.
    #[error("validator {index} repeats a vote key or network key of an earlier one")]
    Duplicate {
        /// The later of the two.
        index: usize,
    },
}

/// The members of one epoch, in the order of which primaries are chosen.
///
/// Invariant: between 1 and [`MAX_VALIDATORS`] members, no vote key or network key twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ValidatorSet {
    epoch: Epoch,
    validators: Vec<Validator>,
}

impl<'de> Deserialize<'de> for ValidatorSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Plain {
            epoch: Epoch,
            validators: Vec<Validator>,
        }
        let plain = Plain::deserialize(deserializer)?;
        Self::new(plain.epoch, plain.validators).map_err(serde::de::Error::custom)
    }
}

impl ValidatorSet {
    /// Makes a set.
    ///
    /// # Errors
    /// If the list is empty, too long, or names a key twice.
    pub fn new(epoch: Epoch, validators: Vec<Validator>) -> Result<Self, ValidatorSetError> {
        if validators.is_empty() {
            return Err(ValidatorSetError::Empty);
        }
        if validators.len() > MAX_VALIDATORS {
            return Err(ValidatorSetError::TooMany {
                actual: validators.len(),
            });
        }
        let mut vote_keys = BTreeSet::new();
        let mut network_keys = BTreeSet::new();
        for (index, validator) in validators.iter().enumerate() {
            if !vote_keys.insert(*validator.vote_key.as_bytes())
                || !network_keys.insert(validator.network_key)
            {
                return Err(ValidatorSetError::Duplicate { index });
            }
        }
        Ok(Self { epoch, validators })
    }

    /// The generation of this set.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Number of members, at least 1.
    pub fn len(&self) -> usize {
        self.validators.len()
    }

    /// Never true; here because `len` is.
    pub fn is_empty(&self) -> bool {
        self.validators.is_empty()
    }

    /// The members in order.
    pub fn iter(&self) -> impl Iterator<Item = (ValidatorIndex, &Validator)> {
        // The length is at most MAX_VALIDATORS, so the index always fits.
        self.validators
            .iter()
            .enumerate()
            .map(|(i, v)| (ValidatorIndex::new(i as u16), v))
    }

    /// One member.
    pub fn get(&self, index: ValidatorIndex) -> Option<&Validator> {
        self.validators.get(usize::from(index.get()))
    }

    /// The place of the member that votes with this key.
    pub fn index_of(&self, vote_key: &PublicKey) -> Option<ValidatorIndex> {
        self.iter()
            .find(|(_, v)| v.vote_key == *vote_key)
            .map(|(i, _)| i)
    }

    /// The place of the member with this network key.
    pub fn index_of_network_key(&self, network_key: &[u8; 32]) -> Option<ValidatorIndex> {
        self.iter()
            .find(|(_, v)| v.network_key == *network_key)
            .map(|(i, _)| i)
    }

    /// f: how many members may be faulty, floor((n - 1) / 3).
    pub fn faulty(&self) -> usize {
        (self.len() - 1) / 3
    }

    /// q: how many distinct signers decide, ceil((n + f + 1) / 2). Any two quorums share at least
    /// f + 1 members, hence an honest one.
    pub fn quorum(&self) -> usize {
        (self.len() + self.faulty() + 1).div_ceil(2)
    }

    /// What outcomes name.
    pub fn digest(&self) -> ValidatorSetDigest {
        ValidatorSetDigest::from_bytes(hash_parts(context::VALIDATOR_SET, &[&codec::encode(self)]))
    }
}

#[cfg(test)]
mod tests;
