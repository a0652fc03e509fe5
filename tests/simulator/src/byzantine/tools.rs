//! What a faulty validator works with.

use std::sync::Arc;

use certchain_consensus::{Engine, Message, Signer, statement::Statement};
use certchain_proto::{Epoch, Height, Signature, ValidatorIndex, View, hash::WitnessId};

use super::Letter;
use crate::{
    blocks::{Block, chain},
    checkers,
    keys::{self, Scheme},
    node::Node,
    rng::Rng,
};

/// A look at its own node, its own key, and chance.
#[derive(Debug)]
pub struct Tools<'a> {
    /// Its place.
    pub me: usize,
    /// Members of the set.
    pub n: usize,
    /// True time.
    pub now: u64,
    /// Its engine, which follows the rules.
    pub engine: &'a Engine,
    /// Its last block.
    pub tip: &'a Block,
    /// Chance.
    pub rng: &'a mut Rng,
    /// Deviations that do not show in what is sent.
    pub deviations: u64,
    /// Whether what it does now only prepares its attack and counts as none.
    pub preparing: bool,
    /// Transactions that it has made up.
    pub invented: Vec<WitnessId>,
    /// Private, so that behaviours reach no other key than by [`Tools::elsewhere`].
    scheme: Scheme,
}

impl<'a> Tools<'a> {
    /// For a node whose process lives.
    pub fn new(
        node: &'a Node,
        n: usize,
        scheme: Scheme,
        now: u64,
        rng: &'a mut Rng,
    ) -> Option<Self> {
        Some(Self {
            me: node.index,
            n,
            now,
            engine: node.engine.as_ref()?,
            tip: node.tip(),
            rng,
            deviations: 0,
            preparing: false,
            invented: Vec::new(),
            scheme,
        })
    }

    /// Its place, as messages name it.
    pub fn index(&self) -> ValidatorIndex {
        ValidatorIndex::new(self.me as u16)
    }

    /// The height that its engine decides.
    pub fn height(&self) -> Height {
        self.engine.head().height().next()
    }

    /// The view of its engine.
    pub fn view(&self) -> View {
        self.engine.status().view
    }

    /// How many make a quorum.
    pub fn quorum(&self) -> usize {
        checkers::quorum(self.n)
    }

    /// Signs what it likes.
    pub fn sign(&self, statement: &Statement) -> Signature {
        keys::signer(self.scheme, self.me).sign(&statement.signing_hash())
    }

    /// What any validator signs on another chain that runs with the same keys, or signed in another
    /// epoch of this one: never anything that counts here.
    pub fn elsewhere(&self, signer: usize, statement: &Statement) -> Option<Signature> {
        let slot = statement.slot();
        let here = slot.chain == chain() && slot.epoch == Epoch::ZERO;
        let sign = || keys::signer(self.scheme, signer).sign(&statement.signing_hash());
        (!here).then(sign)
    }

    /// Everybody else.
    pub fn others(&self) -> Vec<usize> {
        (0..self.n).filter(|i| *i != self.me).collect()
    }

    /// The message to each of these.
    pub fn to(&self, receivers: &[usize], message: &Arc<Message>) -> Vec<Letter> {
        let letter = |to: &usize| Letter::new(*to, message);
        receivers.iter().map(letter).collect()
    }

    /// The message to everybody else.
    pub fn to_others(&self, message: &Arc<Message>) -> Vec<Letter> {
        self.to(&self.others(), message)
    }
}
