//! What an honest validator may say: nothing twice in one slot, nothing below a view that it has
//! left, COMMIT only when prepared, never two outcomes of one block. Restarts change nothing.

use std::collections::{BTreeMap, BTreeSet};

use certchain_consensus::{
    Message,
    statement::{Phase, Slot, Statement},
};
use certchain_proto::{
    Height, View,
    hash::{HeaderDigest, OutcomeDigest},
};

use super::{Violation, quorum};

/// Everything that honest validators have said.
#[derive(Debug)]
pub struct Votes {
    n: usize,
    byzantine: Vec<usize>,
    said: BTreeMap<(usize, Slot), Statement>,
    left: BTreeMap<(usize, Height), View>,
    outcomes: BTreeMap<(usize, Height, HeaderDigest), OutcomeDigest>,
    prepares: BTreeMap<(Height, View, HeaderDigest), BTreeSet<usize>>,
}

impl Votes {
    /// For `n` validators.
    pub fn new(n: usize, byzantine: Vec<usize>) -> Self {
        Self {
            n,
            byzantine,
            said: BTreeMap::new(),
            left: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            prepares: BTreeMap::new(),
        }
    }

    /// An honest validator says something.
    ///
    /// # Errors
    /// If it may not.
    pub fn sent(&mut self, node: usize, message: &Message) -> Result<(), Violation> {
        let statement = message.statement();
        let slot = statement.slot();
        let (height, view) = (slot.height, slot.view);
        let fail = |what: &str| {
            Err(Violation(format!(
                "node {node}, height {height}, view {view}: {what}"
            )))
        };
        match self.said.insert((node, slot), statement) {
            Some(before) if before != statement => {
                return fail(&format!(
                    "two different statements in phase {:?}",
                    slot.phase
                ));
            }
            Some(_) => return Ok(()), // said again, as it was
            None => {}
        }
        let left = self
            .left
            .get(&(node, height))
            .copied()
            .unwrap_or(View::ZERO);
        match statement {
            Statement::Prepare(vote) => {
                if view < left {
                    return fail("PREPARE below a view that it asked for");
                }
                self.prepares
                    .entry((height, view, vote.header))
                    .or_default()
                    .insert(node);
            }
            Statement::Commit(vote) => {
                if view < left {
                    return fail("COMMIT below a view that it asked for");
                }
                let lock = self
                    .outcomes
                    .entry((node, height, vote.header))
                    .or_insert(vote.outcome);
                if *lock != vote.outcome {
                    return fail("COMMIT for two outcomes of one block");
                }
                let honest = self
                    .prepares
                    .get(&(height, view, vote.header))
                    .map_or(0, BTreeSet::len);
                if honest + self.byzantine.len() < quorum(self.n) {
                    return fail("COMMIT without a quorum of PREPAREs");
                }
            }
            Statement::ViewChange(_) => {
                self.left.insert((node, height), view.max(left));
            }
            Statement::PrePrepare(_) | Statement::NewView(_) => {
                debug_assert!(matches!(slot.phase, Phase::PrePrepare | Phase::NewView));
            }
        }
        Ok(())
    }
}
