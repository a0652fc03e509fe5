//! Committed data follows from committed data: the order of primaries, and each transaction once.

use std::collections::BTreeMap;

use certchain_proto::{BlockHeader, Height, hash::WitnessId};

use super::Violation;
use crate::blocks::Block;

/// Headers and transactions that honest nodes have committed.
#[derive(Debug)]
pub struct Order {
    n: usize,
    rotation: u64,
    headers: BTreeMap<Height, BlockHeader>,
    transactions: BTreeMap<WitnessId, Height>,
}

impl Order {
    /// For `n` validators, of whom the next begins at each height that `rotation` divides.
    pub fn new(n: usize, rotation: u64) -> Self {
        Self {
            n,
            rotation,
            headers: BTreeMap::new(),
            transactions: BTreeMap::new(),
        }
    }

    /// How many decide the heights that are looked at from here on.
    pub fn seat(&mut self, n: usize) {
        self.n = n;
    }

    /// A node commits a block. Whether it is the one that others committed, [`super::Agreement`] says.
    ///
    /// # Errors
    /// If its proposer or its place in the order of primaries is not what the blocks below give, or
    /// it holds a transaction of another one.
    pub fn committed(&mut self, node: usize, block: &Block) -> Result<(), Violation> {
        let header = &block.header;
        let fail = |what: String| {
            let height = header.height;
            Err(Violation(format!("node {node}, height {height}: {what}")))
        };
        let offset = self.offset(header.height);
        if header.offset != offset {
            return fail(format!("offset {}, it must be {offset}", header.offset));
        }
        let place = (offset + u64::from(header.view.get())) % self.n as u64;
        if u64::from(header.proposer.get()) != place {
            return fail(format!("proposed by {}, not by {place}", header.proposer));
        }
        for id in &block.contents.witness_ids {
            let first = *self.transactions.entry(*id).or_insert(header.height);
            if first != header.height {
                return fail(format!("a transaction of height {first} once more"));
            }
        }
        self.headers.insert(header.height, header.clone());
        Ok(())
    }

    /// Rule PR-2: where the order of primaries starts at a height, from the two blocks below.
    pub fn offset(&self, height: Height) -> u64 {
        let below = |steps: u64| {
            let height = height.get().checked_sub(steps)?;
            self.headers.get(&Height::new(height))
        };
        let Some(parent) = below(1) else {
            return 0;
        };
        let before = below(2).map_or(0, |h| h.view.get());
        let finished_by_others = u64::from(parent.parent_view.get().saturating_sub(before));
        let rotates = height.get().is_multiple_of(self.rotation);
        parent.offset + u64::from(parent.view.get()) + finished_by_others + u64::from(rotates)
    }
}
