//! The real ledger as a faulty validator uses it.

use std::collections::BTreeMap;

use certchain_consensus::Params;
use certchain_ledger::{chain::Chain, merkle, signatures::VerifiedTransaction};
use certchain_proto::{
    BlockHeader, ChainId,
    block::Checkpoint,
    hash::{HistoryRoot, OutcomeDigest, TxRoot, WitnessId},
};
use certchain_simulator::{byzantine::Ground, rng::Rng};

use crate::{
    node::{params, side},
    town::Town,
};

/// What is wrong with a transaction that a faulty validator makes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strange {
    /// Nothing: nobody else has it.
    Unseen,
    /// It ended before the present block.
    Expired,
    /// It ends later than one may.
    TooFar,
    /// The state refuses it.
    Refused,
}

/// A chain of its own node, and what it can make up.
#[derive(Debug)]
pub struct Ledger<'a> {
    /// The chain.
    pub chain: &'a Chain,
    /// Its place among the node's chains.
    pub place: usize,
    /// Who signs.
    pub town: &'a mut Town,
    /// All transactions that there have been.
    pub known: &'a BTreeMap<WitnessId, VerifiedTransaction>,
    /// What has been made up, for the node to give to whoever asks.
    pub made: &'a mut Vec<VerifiedTransaction>,
    /// Its clock.
    pub now: u64,
}

impl Ground for Ledger<'_> {
    fn chain(&self) -> ChainId {
        self.chain.id()
    }

    fn params(&self) -> Params {
        params(self.chain)
    }

    fn tx_root(&self, ids: &[WitnessId]) -> TxRoot {
        merkle::tx_root(ids)
    }

    fn history_root(&self) -> HistoryRoot {
        self.chain.next_history_root()
    }

    fn checkpoint(&self) -> Option<Checkpoint> {
        let head = self.chain.main_chain()?.head();
        Some(Checkpoint {
            height: head.height(),
            block: head.id,
            state_root: head.outcome.state_root,
        })
    }

    /// The real one takes the body, which this block does not have.
    fn outcome(&self, header: &BlockHeader) -> OutcomeDigest {
        OutcomeDigest::from_bytes(*header.digest().as_bytes())
    }

    fn invent(&mut self, rng: &mut Rng) -> WitnessId {
        let strange = match rng.index(6) {
            // Somebody else's, most often executed already, or of another chain.
            0 | 1 if !self.known.is_empty() => {
                let place = rng.index(self.known.len());
                if let Some(id) = self.known.keys().nth(place) {
                    return *id;
                }
                Strange::Unseen
            }
            2 => Strange::Expired,
            3 => Strange::TooFar,
            4 => Strange::Refused,
            _ => Strange::Unseen,
        };
        let (chain, side) = (self.chain.id(), side(self.place));
        let made = self.town.strange(chain, side, strange, self.now);
        let id = made.witness_id();
        self.made.push(made);
        id
    }
}
