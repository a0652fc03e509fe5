//! The changes of a chain's validators.

use certchain_proto::{Epoch, Height};

use super::{Chain, Head, Stored};
use crate::{
    evidence::SetChange, identity::keys, store::StoreError, validator_set::decode_set,
    view::ReadError,
};

impl Chain {
    /// The blocks that handed over to sets of epochs above `after`, with these sets: the first
    /// `most`, in order. Genesis hands over to nobody.
    ///
    /// # Errors
    /// If the state cannot be read or is damaged.
    pub fn set_changes(&self, after: Epoch, most: usize) -> Result<Vec<SetChange>, ReadError> {
        let head = self.head();
        if after >= head.validators.epoch() {
            return Ok(Vec::new());
        }
        let mut from = self.hand_over(after, &head)?;
        let (mut known, mut changes) = (after, Vec::new());
        while changes.len() < most {
            let left = most.saturating_sub(changes.len());
            let stored = self.reader().since(&keys::validators(), from, left)?;
            let Some(last) = stored.last() else { break };
            from = last.height.next();
            for stored in stored {
                let change = self.set_change(stored)?;
                // A block may write the set anew without changing it.
                if change.validators.epoch() > known {
                    known = change.validators.epoch();
                    changes.push(change);
                }
            }
        }
        Ok(changes)
    }

    /// The height, above that of genesis, of the block that handed over to the epoch after `after`,
    /// which has begun: headers name their epochs, and these rise.
    fn hand_over(&self, after: Epoch, head: &Head) -> Result<Height, StoreError> {
        let (mut low, mut high) = (1, head.height().next().get());
        while low < high {
            let middle = low + (high - low) / 2;
            let height = Height::new(middle);
            let header = self.sealed_header(height)?.ok_or_else(|| {
                StoreError::corrupt(format!("the header at height {height} is missing"))
            })?;
            if header.header.epoch > after {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(Height::new((low - 1).max(1)))
    }

    fn set_change(&self, stored: Stored) -> Result<SetChange, ReadError> {
        let Stored { height, value } = stored;
        let corrupt = || {
            let reason = format!("the validators set at height {height} are not those named there");
            ReadError::from(StoreError::corrupt(reason))
        };
        let block = self.sealed_header(height)?.ok_or_else(corrupt)?;
        let validators = decode_set(&value.ok_or_else(corrupt)?)?;
        if validators.digest() != block.outcome.next_validators {
            return Err(corrupt());
        }
        Ok(SetChange { block, validators })
    }
}
