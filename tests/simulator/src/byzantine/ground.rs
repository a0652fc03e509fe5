//! What a faulty validator can compute of its chain: here the ledger is a simulated one, in the
//! simulator of whole nodes it is real.

use std::fmt::Debug;

use certchain_consensus::Params;
use certchain_proto::{
    BlockHeader, ChainId,
    block::Checkpoint,
    hash::{HistoryRoot, OutcomeDigest, TxRoot, WitnessId},
};

use crate::{
    blocks::{self, Block},
    plan::Plan,
    rng::Rng,
};

/// The ledger behind a faulty validator's engine.
pub trait Ground: Debug {
    /// The chain.
    fn chain(&self) -> ChainId;

    /// The engine's numbers.
    fn params(&self) -> Params;

    /// The root over the transactions of a block.
    fn tx_root(&self, ids: &[WitnessId]) -> TxRoot;

    /// The root over all blocks below the next one.
    fn history_root(&self) -> HistoryRoot;

    /// The block of main on which the next block may stand.
    fn checkpoint(&self) -> Option<Checkpoint>;

    /// What the next block comes to; anything, if that cannot be told without its body.
    fn outcome(&self, header: &BlockHeader) -> OutcomeDigest;

    /// A transaction that nobody else has; its node gives it to whoever asks.
    fn invent(&mut self, rng: &mut Rng) -> WitnessId;
}

/// The simulated ledger, whose transactions are opaque.
#[derive(Debug)]
pub struct Simulated<'a> {
    /// The last block.
    pub tip: &'a Block,
}

impl Ground for Simulated<'_> {
    fn chain(&self) -> ChainId {
        blocks::chain()
    }

    fn params(&self) -> Params {
        Plan::params()
    }

    fn tx_root(&self, ids: &[WitnessId]) -> TxRoot {
        blocks::tx_root(ids)
    }

    fn history_root(&self) -> HistoryRoot {
        blocks::history_root(self.tip)
    }

    fn checkpoint(&self) -> Option<Checkpoint> {
        None
    }

    fn outcome(&self, header: &BlockHeader) -> OutcomeDigest {
        blocks::execute(self.tip, header, false).digest()
    }

    fn invent(&mut self, rng: &mut Rng) -> WitnessId {
        WitnessId::from_bytes(rng.bytes())
    }
}
