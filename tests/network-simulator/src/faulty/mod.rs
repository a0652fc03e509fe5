//! Faulty validators among whole nodes. They run real engines and ledgers and hold their own key only;
//! what they send, hear and serve goes through a behaviour, on every chain. The ways of
//! `certchain_simulator::byzantine` are all there, on real blocks; those that need a real ledger stand
//! here, one file each.

mod bad_transactions;
mod false_anchors;
mod ground;
mod host;
mod wrong_checkpoints;

use certchain_simulator::byzantine::{self, Behaviour, DRAWN_WAYS};

use crate::node::CHAINS;

pub use self::ground::{Ledger, Strange};

type Make = fn() -> Box<dyn Behaviour>;

/// The ways that need a real ledger.
const OWN: [(&str, Make); 3] = [
    ("bad_transactions", || {
        Box::new(bad_transactions::BadTransactions)
    }),
    ("wrong_checkpoints", || {
        Box::new(wrong_checkpoints::WrongCheckpoints)
    }),
    ("false_anchors", || Box::new(false_anchors::FalseAnchors)),
];

/// Where the one stands that misbehaves by what it submits.
const FALSE_ANCHORS: usize = 2;

/// Number of ways.
pub const WAYS: usize = OWN.len() + DRAWN_WAYS;

/// What the way with this number is called.
pub fn name(way: usize) -> &'static str {
    match OWN.get(way % WAYS) {
        Some((name, _)) => name,
        None => byzantine::name(way % WAYS - OWN.len()),
    }
}

fn make(way: usize) -> Box<dyn Behaviour> {
    match OWN.get(way % WAYS) {
        Some((_, make)) => make(),
        None => byzantine::way(way % WAYS - OWN.len()),
    }
}

/// How a node misbehaves.
#[derive(Debug)]
pub struct Faulty {
    way: usize,
    /// By chain, since most remember the present height. Away while it acts.
    behaviours: Vec<Option<Box<dyn Behaviour>>>,
}

impl Faulty {
    /// In this way, on every chain.
    pub fn new(way: usize) -> Self {
        Self {
            way,
            behaviours: (0..CHAINS).map(|_| Some(make(way))).collect(),
        }
    }

    /// Whether what it proposes contains a transaction that only some are given.
    pub fn withholds(&self) -> bool {
        let mut present = self.behaviours.iter().flatten();
        present.any(|behaviour| behaviour.withholds())
    }

    /// Whether it submits anchors and reports that prove nothing.
    pub fn anchors_falsely(&self) -> bool {
        self.way % WAYS == FALSE_ANCHORS
    }
}
