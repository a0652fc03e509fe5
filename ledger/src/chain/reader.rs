//! Reading the values of a chain's state, newest and earlier ones.

use std::{collections::HashMap, sync::Arc};

use certchain_proto::Height;

use crate::{
    state::StateKey,
    store::{PAST_VALUES, Range, Store, StoreError, VALUES},
    view::{ReadError, StateView, Value},
};

/// A value and the block that set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) height: Height,
    /// None: deleted there.
    pub(crate) value: Option<Value>,
}

impl Stored {
    pub(crate) fn encode(height: Height, value: Option<&[u8]>) -> Vec<u8> {
        let mut bytes = height.to_be_bytes().to_vec();
        bytes.extend_from_slice(value.unwrap_or_default());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let Some((height, value)) = bytes.split_first_chunk::<8>() else {
            return Err(StoreError::corrupt("a value of the state lacks its height"));
        };
        let value = (!value.is_empty()).then(|| Arc::from(value));
        Ok(Self {
            height: Height::new(u64::from_be_bytes(*height)),
            value,
        })
    }
}

/// A key in any column: the chain's number, then the parts.
pub(crate) fn key(number: u16, parts: &[&[u8]]) -> Vec<u8> {
    let length = 2 + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut key = Vec::with_capacity(length);
    key.extend_from_slice(&number.to_be_bytes());
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

/// Reads from the database.
#[derive(Clone, Copy)]
pub(crate) struct StateReader<'a> {
    store: &'a Store,
    number: u16,
}

impl<'a> StateReader<'a> {
    pub(crate) const fn new(store: &'a Store, number: u16) -> Self {
        Self { store, number }
    }

    /// The newest entry of a key; none if it never had one.
    pub(crate) fn newest(&self, state_key: &StateKey) -> Result<Option<Stored>, StoreError> {
        let stored_key = key(self.number, &[state_key.as_bytes()]);
        let found = self.store.get(VALUES, stored_key)?;
        found.map(|bytes| Stored::decode(&bytes)).transpose()
    }

    /// The value that a key had after the block at `height`.
    pub(crate) fn at(
        &self,
        state_key: &StateKey,
        height: Height,
    ) -> Result<Option<Value>, StoreError> {
        match self.newest(state_key)? {
            None => return Ok(None),
            Some(stored) if stored.height <= height => return Ok(stored.value),
            Some(_) => {}
        }
        let wanted = key(self.number, &[state_key.as_bytes(), &height.to_be_bytes()]);
        let prefix = wanted.len().saturating_sub(8);
        // Just above the wanted key, which is included.
        let end = [&wanted[..], &[0]].concat();
        let range = Range::Down {
            first: wanted.get(..prefix).unwrap_or_default(),
            end: &end,
        };
        let Some(entry) = self.store.scan(PAST_VALUES, range)?.next() else {
            return Ok(None);
        };
        let (found, value) = entry?;
        let same = found.len() == wanted.len() && found.get(..prefix) == wanted.get(..prefix);
        Ok((same && !value.is_empty()).then(|| Arc::from(&value[..])))
    }

    /// The values that a key got from the block at `height` on, the first `most`, in order.
    pub(crate) fn since(
        &self,
        state_key: &StateKey,
        height: Height,
        most: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        // Read first: if a commit replaces it meanwhile, it stands among the earlier ones too.
        let Some(newest) = self.newest(state_key)? else {
            return Ok(Vec::new());
        };
        let start = key(self.number, &[state_key.as_bytes(), &height.to_be_bytes()]);
        let prefix = start.get(..start.len().saturating_sub(8));
        let prefix = prefix.unwrap_or_default();
        let range = Range::Up {
            prefix,
            start: &start,
        };
        let mut found = Vec::new();
        for entry in self.store.scan(PAST_VALUES, range)? {
            if found.len() >= most {
                return Ok(found);
            }
            let (stored_key, value) = entry?;
            let suffix = stored_key.get(prefix.len()..).map(<[u8; 8]>::try_from);
            // Another key that begins like this one.
            let Some(Ok(height)) = suffix else { continue };
            let height = Height::new(u64::from_be_bytes(height));
            if height >= newest.height {
                break;
            }
            let value = (!value.is_empty()).then(|| Arc::from(&value[..]));
            found.push(Stored { height, value });
        }
        if newest.height >= height && found.len() < most {
            found.push(newest);
        }
        Ok(found)
    }

    /// The newest entries of many keys in one request.
    pub(crate) fn fetch(
        &self,
        keys: impl IntoIterator<Item = StateKey>,
    ) -> Result<Fetched<'a>, StoreError> {
        let mut keys: Vec<StateKey> = keys.into_iter().collect();
        keys.sort_unstable();
        keys.dedup();
        let stored_keys: Vec<Vec<u8>> = keys
            .iter()
            .map(|state_key| key(self.number, &[state_key.as_bytes()]))
            .collect();
        let found = self.store.get_many(VALUES, &stored_keys, true)?;
        let mut entries = HashMap::with_capacity(keys.len());
        for (state_key, item) in keys.into_iter().zip(found) {
            let stored = item.map(|bytes| Stored::decode(&bytes)).transpose()?;
            entries.insert(state_key, stored);
        }
        Ok(Fetched {
            reader: *self,
            entries,
        })
    }
}

impl StateView for StateReader<'_> {
    fn value(&self, key: &StateKey) -> Result<Option<Value>, ReadError> {
        Ok(self.newest(key)?.and_then(|stored| stored.value))
    }
}

/// The newest state, of which some entries have been read ahead.
pub(crate) struct Fetched<'a> {
    reader: StateReader<'a>,
    entries: HashMap<StateKey, Option<Stored>>,
}

impl Fetched<'_> {
    /// What was read ahead.
    pub(crate) fn into_entries(self) -> HashMap<StateKey, Option<Stored>> {
        self.entries
    }
}

impl<'a> Fetched<'a> {
    /// Takes up what was read ahead before, of the same state.
    pub(crate) const fn resume(
        reader: StateReader<'a>,
        entries: HashMap<StateKey, Option<Stored>>,
    ) -> Self {
        Self { reader, entries }
    }
}

impl StateView for Fetched<'_> {
    fn value(&self, key: &StateKey) -> Result<Option<Value>, ReadError> {
        match self.entries.get(key) {
            Some(stored) => Ok(stored.as_ref().and_then(|stored| stored.value.clone())),
            None => self.reader.value(key),
        }
    }
}
