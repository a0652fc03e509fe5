//! What must hold of the ledgers, derived by code of its own: one result of each block, roots that
//! follow from what a block holds, every transaction once and in one place, nothing lost of which a
//! client has a receipt, and checkpoints that name blocks of main.

use std::collections::BTreeMap;

use certchain_ledger::{
    chain::Committed,
    receipt::{LocatedReceipt, Receipt},
};
use certchain_proto::{
    Height, Outcome,
    context::{self, HashContext},
    hash::{BlockId, HeaderDigest, TransactionId, hash_parts},
};
use certchain_simulator::checkers::Violation;

use crate::node::{MAIN, Node, name};

/// Where a transaction stands, and what became of it.
type Place = (Height, u32, Receipt);

/// What is known of all ledgers.
#[derive(Debug, Default)]
pub struct LedgerChecker {
    outcomes: BTreeMap<(usize, HeaderDigest), Outcome>,
    places: BTreeMap<(usize, TransactionId), Place>,
    told: BTreeMap<(usize, TransactionId), Place>,
    main: BTreeMap<Height, BlockId>,
}

/// A Merkle root as the formats document tells it: a node without a partner moves up.
fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    fn top(leaves: &[[u8; 32]]) -> [u8; 32] {
        match leaves {
            [] => [0; 32],
            [leaf] => hash(context::MERKLE_LEAF, &[leaf]),
            _ => {
                // The left part is the largest full tree that leaves something for the right.
                let half = leaves.len().next_power_of_two() / 2;
                let (left, right) = leaves.split_at(half);
                hash(context::MERKLE_NODE, &[&top(left), &top(right)])
            }
        }
    }
    fn hash(context: HashContext, parts: &[&[u8]]) -> [u8; 32] {
        hash_parts(context, parts)
    }
    let count = u32::try_from(leaves.len())
        .unwrap_or(u32::MAX)
        .to_le_bytes();
    hash(context::MERKLE_ROOT, &[&count, &top(leaves)])
}

impl LedgerChecker {
    /// A node has executed a block.
    ///
    /// # Errors
    /// If another one, or it itself before, had another result.
    pub fn executed(
        &mut self,
        node: usize,
        chain: usize,
        header: HeaderDigest,
        outcome: &Outcome,
    ) -> Result<(), Violation> {
        let known = self.outcomes.entry((chain, header));
        let first = known.or_insert_with(|| outcome.clone());
        if first == outcome {
            return Ok(());
        }
        let name = name(chain);
        Err(Violation(format!(
            "{name}: node {node} executes {header} to {outcome:?}, before it was {first:?}"
        )))
    }

    /// A node has put a block on its disk.
    ///
    /// # Errors
    /// If its roots do not follow, or a transaction stands elsewhere too.
    pub fn committed(
        &mut self,
        node: usize,
        chain: usize,
        committed: &Committed,
    ) -> Result<(), Violation> {
        let head = &committed.head;
        let height = head.height();
        let fail = |what: String| {
            let name = name(chain);
            Err(Violation(format!(
                "{name}: node {node}, height {height}: {what}"
            )))
        };
        let ids = committed.transactions.iter();
        let ids: Vec<_> = ids.map(|t| *t.witness_id().as_bytes()).collect();
        if root(&ids) != *head.header.tx_root.as_bytes() {
            return fail("tx_root is not that of its transactions".to_owned());
        }
        let hashes = committed.receipts.iter();
        let hashes: Vec<_> = hashes.map(|r| *r.hash().as_bytes()).collect();
        if root(&hashes) != *head.outcome.receipts_root.as_bytes() {
            return fail("receipts_root is not that of its receipts".to_owned());
        }
        let all = committed.transactions.iter().zip(&committed.receipts);
        for (index, (transaction, receipt)) in all.enumerate() {
            let (id, index) = (transaction.id(), u32::try_from(index).unwrap_or(u32::MAX));
            let place = (height, index, *receipt);
            let first = self.places.entry((chain, id)).or_insert(place);
            if *first != place {
                return fail(format!(
                    "{id} stands here ({place:?}) and there ({first:?})"
                ));
            }
        }
        if chain == MAIN {
            self.main.insert(height, head.id);
        }
        match head.header.checkpoint {
            Some(checkpoint) if checkpoint.height > Height::ZERO => {
                match self.main.get(&checkpoint.height) {
                    Some(block) if *block == checkpoint.block => Ok(()),
                    _ => fail(format!("{checkpoint:?} is not main's block")),
                }
            }
            Some(_) | None => Ok(()),
        }
    }

    /// A client is told what became of its transaction.
    ///
    /// # Errors
    /// If it is not what the chain holds.
    pub fn told(
        &mut self,
        node: usize,
        chain: usize,
        receipt: LocatedReceipt,
    ) -> Result<(), Violation> {
        let LocatedReceipt {
            height,
            index,
            receipt,
            block: _,
        } = receipt;
        let id = receipt.transaction;
        let place = (height, index, receipt);
        if self.places.get(&(chain, id)) != Some(&place) {
            let name = name(chain);
            return Err(Violation(format!(
                "{name}: node {node} tells of {id} what no block holds"
            )));
        }
        self.told.insert((chain, id), place);
        Ok(())
    }

    /// A node has opened its chains.
    ///
    /// # Errors
    /// If blocks are gone that it had, or transactions of which clients have receipts.
    pub fn comes_back(&self, node: &Node, chain: usize) -> Result<(), Violation> {
        let ledger = &node.hosts[chain].chain;
        let (index, name) = (node.index, name(chain));
        let (head, reached) = (ledger.head().height(), node.reached[chain]);
        if head < reached {
            return Err(Violation(format!(
                "{name}: node {index} comes back at height {head}, it had {reached}"
            )));
        }
        let mine = self
            .told
            .iter()
            .filter(|((c, _), place)| *c == chain && place.0 <= head);
        for ((_, id), (height, place, receipt)) in mine {
            let found = ledger.receipt(id).ok().flatten();
            let same = found
                .is_some_and(|f| f.height == *height && f.index == *place && f.receipt == *receipt);
            if !same {
                return Err(Violation(format!(
                    "{name}: node {index} has lost {id} of height {height}, which a client was told"
                )));
            }
        }
        Ok(())
    }
}
