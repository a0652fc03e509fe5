//! Which validators decide which heights of a chain, as far as the chain itself has proven it.
//!
//! A block that changes the validators names the next set in its outcome; the present one signs it.
//! So who trusts the first set can follow the chain from set to set, and needs nothing of it but
//! the blocks that handed over.

use certchain_proto::{
    ChainId, Epoch, Height, ValidatorSet, certificate::SignatureVerifier, hash::BlockId,
};

use super::{EvidenceError, SealedHeader, VerifiedHeader};

/// A block that handed over to other validators, and who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetChange {
    /// The block, decided by the set before.
    pub block: SealedHeader,
    /// The set that decides from the next height on.
    pub validators: ValidatorSet,
}

/// Why no known set decides a block, or a change of the set is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// No known set is of this epoch.
    #[error(
        "the block is of epoch {epoch} and the validators are known from epoch {oldest} to \
         {newest}; ask for the validator sets and check again"
    )]
    UnknownEpoch {
        /// The block's.
        epoch: Epoch,
        /// The first that is known.
        oldest: Epoch,
        /// The last that is known.
        newest: Epoch,
    },
    /// The set of this epoch does not decide this height.
    #[error(
        "the validators of epoch {epoch} do not decide height {height}; do not trust this node"
    )]
    OutsideEpoch {
        /// The block's epoch.
        epoch: Epoch,
        /// Its height.
        height: Height,
    },
    /// The block contradicts the hand-over that is proven.
    #[error(
        "block {height} does not fit the change of the validators that is proven; do not trust \
         this node"
    )]
    OtherChange {
        /// The block's height.
        height: Height,
    },
    /// The epoch of the next set is not the one after the block's.
    #[error(
        "a block of epoch {block} cannot hand over to epoch {next}, which must be one more; do not \
         trust this node"
    )]
    Successor {
        /// The block's epoch.
        block: Epoch,
        /// The epoch of the set that is to follow.
        next: Epoch,
    },
    /// The set is not the one that the block names.
    #[error(
        "the validators are not those that block {height} hands over to; do not trust this node"
    )]
    OtherSet {
        /// The block's height.
        height: Height,
    },
    /// The block is not decided.
    #[error(transparent)]
    Block(#[from] EvidenceError),
}

/// The validator sets of a chain that are known, from a first one that is trusted.
///
/// Invariant: their epochs follow without gaps; each set but the last has decided the block that
/// handed over to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidatorSets {
    past: Vec<PastSet>,
    newest: ValidatorSet,
    /// The newest decides all heights above this one, as far as is known.
    above: Height,
}

/// A set that has handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PastSet {
    set: ValidatorSet,
    /// It decided the heights above this one,
    above: Height,
    /// up to this one,
    last: Height,
    /// which is this block's.
    hand_over: BlockId,
}

impl ValidatorSets {
    /// Trusts a set for all heights but that of genesis.
    pub const fn new(first: ValidatorSet) -> Self {
        Self {
            past: Vec::new(),
            newest: first,
            above: Height::ZERO,
        }
    }

    /// The last set that is known.
    pub const fn newest(&self) -> &ValidatorSet {
        &self.newest
    }

    /// The set that decides a block, by the block's own epoch: not checked is whether it did.
    ///
    /// # Errors
    /// If the epoch is not known, its set does not decide this height, or the block names other next
    /// validators than have followed.
    pub fn deciding(&self, block: &SealedHeader) -> Result<&ValidatorSet, SetError> {
        let (epoch, height) = (block.header.epoch, block.height());
        let outside = SetError::OutsideEpoch { epoch, height };
        if epoch == self.newest.epoch() {
            return match height > self.above {
                true => Ok(&self.newest),
                false => Err(outside),
            };
        }
        let found = self
            .past
            .binary_search_by_key(&epoch, |past| past.set.epoch());
        let past = found.ok().and_then(|place| self.past.get(place));
        let past = past.ok_or_else(|| self.unknown(epoch))?;
        if height <= past.above || height > past.last {
            return Err(outside);
        }
        let fits = match height == past.last {
            true => block.id() == past.hand_over,
            false => block.outcome.next_validators == past.set.digest(),
        };
        match fits {
            true => Ok(&past.set),
            false => Err(SetError::OtherChange { height }),
        }
    }

    fn unknown(&self, epoch: Epoch) -> SetError {
        let newest = self.newest.epoch();
        let oldest = self.past.first().map(|past| past.set.epoch());
        SetError::UnknownEpoch {
            epoch,
            oldest: oldest.unwrap_or(newest),
            newest,
        }
    }

    /// Checks that the validators of `chain` decided a block, those of its epoch.
    ///
    /// # Errors
    /// As [`Self::deciding`], or if they did not.
    pub fn verify(
        &self,
        chain: ChainId,
        block: &SealedHeader,
        verifier: &dyn SignatureVerifier,
    ) -> Result<VerifiedHeader, SetError> {
        let set = self.deciding(block)?;
        Ok(block.verify(chain, set, verifier)?)
    }

    /// Takes over a change of the set once it is proven; gives whether it was new.
    ///
    /// # Errors
    /// If a known set did not decide the block, or the block does not hand over to the given set, of
    /// the next epoch. Nothing has changed then.
    pub fn learn(
        &mut self,
        chain: ChainId,
        change: &SetChange,
        verifier: &dyn SignatureVerifier,
    ) -> Result<bool, SetError> {
        let (block, next) = (&change.block, &change.validators);
        let height = block.height();
        if next.epoch().previous() != Some(block.header.epoch) {
            return Err(SetError::Successor {
                block: block.header.epoch,
                next: next.epoch(),
            });
        }
        if next.digest() != block.outcome.next_validators {
            return Err(SetError::OtherSet { height });
        }
        let verified = self.verify(chain, block, verifier)?;
        // Of an earlier epoch only the hand-over that is known passes: the others name another set.
        if block.header.epoch != self.newest.epoch() {
            return Ok(false);
        }
        self.past.push(PastSet {
            set: std::mem::replace(&mut self.newest, next.clone()),
            above: std::mem::replace(&mut self.above, height),
            last: height,
            hand_over: verified.id,
        });
        Ok(true)
    }
}
