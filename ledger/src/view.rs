//! Reading the state: by execution, whatever lies below.

use std::{collections::HashMap, sync::Arc};

use certchain_proto::{
    Height,
    codec::DecodeError,
    hash::{BlockId, StateRoot},
};

use crate::{
    state::{StateError, StateKey, StoreFailure},
    versioned::RecordError,
};

/// A value of the state as hashed.
pub type Value = Arc<[u8]>;

/// Why the state could not be read. Never the fault of a transaction or a peer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The database failed.
    #[error("the store failed: {0}; check the disk and the node's log")]
    Store(#[source] StoreFailure),
    /// The state tree failed.
    #[error(transparent)]
    Tree(Box<StateError>),
    /// A stored value is not what its key says.
    #[error("the value under state key {key} is corrupt ({source}); restore the node's data")]
    Value {
        /// The key.
        key: Box<StateKey>,
        /// What is wrong.
        source: DecodeError,
    },
    /// The head moved while a block or transaction was being judged.
    #[error("the chain went on to another block meanwhile; ask again")]
    Moved,
}

impl From<StateError> for ReadError {
    fn from(error: StateError) -> Self {
        Self::Tree(Box::new(error))
    }
}

impl ReadError {
    /// A record that is not what its key says.
    pub fn record(key: StateKey, source: RecordError) -> Self {
        Self::value(key, source)
    }

    pub(crate) fn value(key: StateKey, source: DecodeError) -> Self {
        Self::Value {
            key: Box::new(key),
            source,
        }
    }
}

/// One version of the state.
pub trait StateView {
    /// The value of a key.
    ///
    /// # Errors
    /// If what lies below fails.
    fn value(&self, key: &StateKey) -> Result<Option<Value>, ReadError>;
}

/// Names and state roots of a chain's own earlier blocks.
pub trait BlockNames: std::fmt::Debug {
    /// The name of the block at a height and the root of the state after it; none from the block on
    /// that is being executed.
    ///
    /// # Errors
    /// If what lies below fails.
    fn block(&self, height: Height) -> Result<Option<(BlockId, StateRoot)>, ReadError>;
}

/// Values in memory; what is not there is absent.
impl StateView for HashMap<StateKey, Value> {
    fn value(&self, key: &StateKey) -> Result<Option<Value>, ReadError> {
        Ok(self.get(key).map(Arc::clone))
    }
}

/// What earlier transactions of a block have changed, over the state before the block.
pub(crate) struct Overlay<'a> {
    pub(crate) below: &'a dyn StateView,
    pub(crate) changed: HashMap<StateKey, Option<Value>>,
}

impl StateView for Overlay<'_> {
    fn value(&self, key: &StateKey) -> Result<Option<Value>, ReadError> {
        match self.changed.get(key) {
            Some(value) => Ok(value.as_ref().map(Arc::clone)),
            None => self.below.value(key),
        }
    }
}
