//! Main as a side chain reads it: the blocks that may be checkpoints, and the state after each.

use std::{cell::RefCell, collections::HashMap, sync::Arc};

use certchain_proto::{Height, TimeMs, block::Checkpoint};

use super::{BlockError, StateReader, read::header};
use crate::{
    evidence::SealedHeader,
    execution::MainState,
    state::StateKey,
    store::{Store, StoreError},
    view::{ReadError, StateView, Value},
};

/// Main's blocks and values in the database that it shares with the side chains.
#[derive(Clone)]
pub(crate) struct MainReader {
    store: Arc<Store>,
    number: u16,
}

impl MainReader {
    pub(crate) const fn new(store: Arc<Store>, number: u16) -> Self {
        Self { store, number }
    }

    fn sealed(&self, height: Height) -> Result<Option<SealedHeader>, StoreError> {
        header(&self.store, self.number, height)
    }

    /// Main at a checkpoint that is known to be its own block.
    ///
    /// # Errors
    /// If main does not hold the block yet, if it holds another one, or if it cannot be read.
    pub(crate) fn at(&self, checkpoint: Checkpoint) -> Result<MainAt<'_>, BlockError> {
        let height = checkpoint.height;
        let Some(sealed) = self.sealed(height).map_err(ReadError::from)? else {
            return Err(BlockError::UnknownCheckpoint { height });
        };
        if sealed.id() != checkpoint.block || sealed.outcome.state_root != checkpoint.state_root {
            return Err(BlockError::Checkpoint {
                reason: "it is not main's block of its height",
            });
        }
        Ok(MainAt {
            view: CheckpointView {
                reader: StateReader::new(&self.store, self.number),
                height,
                known: RefCell::default(),
            },
            checkpoint,
            time: sealed.header.time_ms,
        })
    }
}

/// Main as a block with this checkpoint sees it: every block of a side chain has one, no block of
/// main has.
///
/// # Errors
/// If the checkpoint is missing, surplus, or not main's block; or main cannot be read.
pub(crate) fn main_at(
    main: Option<&MainReader>,
    checkpoint: Option<Checkpoint>,
) -> Result<Option<MainAt<'_>>, BlockError> {
    let bad = |reason| Err(BlockError::Checkpoint { reason });
    match (main, checkpoint) {
        (None, None) => Ok(None),
        (Some(main), Some(checkpoint)) => main.at(checkpoint).map(Some),
        (None, Some(_)) => bad("blocks of this chain have none"),
        (Some(_), None) => bad("it is missing"),
    }
}

/// Main after one of its blocks.
pub(crate) struct MainAt<'a> {
    view: CheckpointView<'a>,
    checkpoint: Checkpoint,
    time: TimeMs,
}

impl MainAt<'_> {
    pub(crate) const fn state(&self) -> MainState<'_> {
        MainState {
            view: &self.view,
            checkpoint: self.checkpoint,
            time: self.time,
        }
    }
}

/// Main's values after one of its blocks; each is read once.
struct CheckpointView<'a> {
    reader: StateReader<'a>,
    height: Height,
    known: RefCell<HashMap<StateKey, Option<Value>>>,
}

impl StateView for CheckpointView<'_> {
    fn value(&self, key: &StateKey) -> Result<Option<Value>, ReadError> {
        if let Some(known) = self.known.borrow().get(key) {
            return Ok(known.clone());
        }
        let value = self.reader.at(key, self.height)?;
        self.known.borrow_mut().insert(*key, value.clone());
        Ok(value)
    }
}
