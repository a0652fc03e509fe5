//! Lists that belong to addresses: certificates held and issued, checks made and undergone. Derived
//! from the blocks and kept beside them; no part of the state.

use certchain_proto::{Address, Height};

use super::{Chain, reader};
use crate::{
    execution::Topic,
    receipt::decode_lines,
    store::{Entry, INDEX, RECEIPTS, Range, StoreError},
};

/// First byte of a list's entries in the index column.
pub(crate) const LIST_TAG: u8 = 3;

/// A list's keys begin with the chain's number, the tag, the owner and the topic.
const LIST_PREFIX_BYTES: usize = 2 + 1 + 32 + 1;

/// Where an entry of a list comes from; entries are in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListPosition {
    /// The block.
    pub height: Height,
    /// The transaction's place in it.
    pub place: u32,
    /// The entry's number among those of the transaction.
    pub number: u32,
}

impl ListPosition {
    /// Before every entry of a block.
    pub const fn start_of(height: Height) -> Self {
        Self {
            height,
            place: 0,
            number: 0,
        }
    }

    /// The position after this one.
    pub fn next(self) -> Self {
        match self.number.checked_add(1) {
            Some(number) => Self { number, ..self },
            None => Self {
                place: self.place.saturating_add(1),
                number: 0,
                ..self
            },
        }
    }
}

/// An entry of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Where it comes from.
    pub position: ListPosition,
    /// The certificate or check.
    pub id: [u8; 32],
}

pub(crate) fn list_key(number: u16, owner: &Address, topic: Topic, at: ListPosition) -> Vec<u8> {
    reader::key(
        number,
        &[
            &[LIST_TAG],
            owner.as_bytes(),
            &[topic.number()],
            &at.height.to_be_bytes(),
            &at.place.to_be_bytes(),
            &at.number.to_be_bytes(),
        ],
    )
}

impl Chain {
    /// Up to `most` entries of a list, from a position on, in the order of the chain.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn list(
        &self,
        owner: &Address,
        topic: Topic,
        from: ListPosition,
        most: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        let start = list_key(self.number, owner, topic, from);
        let prefix = start.get(..LIST_PREFIX_BYTES).unwrap_or_default().to_vec();
        let range = Range::Up {
            prefix: &prefix,
            start: &start,
        };
        let entries = self.store.scan(INDEX, range)?.take(most);
        entries.map(|entry| listed(&entry?)).collect()
    }

    /// Up to `most` entries of a list, from the one just before a position backwards.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn list_back(
        &self,
        owner: &Address,
        topic: Topic,
        before: ListPosition,
        most: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        let first = list_key(
            self.number,
            owner,
            topic,
            ListPosition::start_of(Height::ZERO),
        );
        let end = list_key(self.number, owner, topic, before);
        // The end is exclusive: the position itself is not read.
        let range = Range::Down {
            first: &first,
            end: &end,
        };
        let entries = self.store.scan(INDEX, range)?.take(most);
        entries.map(|entry| listed(&entry?)).collect()
    }

    /// The lines of the batch at a place of a block; none if no batch stands there.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn batch_lines(
        &self,
        height: Height,
        place: u32,
    ) -> Result<Option<Vec<crate::execution::Line>>, StoreError> {
        let key = reader::key(self.number, &[&height.to_be_bytes(), &place.to_be_bytes()]);
        let found = self.store.get(RECEIPTS, key)?;
        found
            .map(|bytes| {
                decode_lines(&bytes)
                    .ok_or_else(|| StoreError::corrupt("the lines of a batch are malformed"))
            })
            .transpose()
    }
}

fn listed((key, value): &Entry) -> Result<Listed, StoreError> {
    let corrupt = || StoreError::corrupt("an entry of a list is malformed");
    let position = key.get(LIST_PREFIX_BYTES..).and_then(decode_position);
    Ok(Listed {
        position: position.ok_or_else(corrupt)?,
        id: value[..].try_into().map_err(|_| corrupt())?,
    })
}

fn decode_position(bytes: &[u8]) -> Option<ListPosition> {
    let (height, rest) = bytes.split_first_chunk::<8>()?;
    let (place, rest) = rest.split_first_chunk::<4>()?;
    let number: [u8; 4] = rest.try_into().ok()?;
    Some(ListPosition {
        height: Height::new(u64::from_be_bytes(*height)),
        place: u32::from_be_bytes(*place),
        number: u32::from_be_bytes(number),
    })
}
