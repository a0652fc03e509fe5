//! The audit: replays a chain from genesis out of a data directory and compares everything that is
//! stored with what follows from the blocks.
//!
//! Checked are every signature, certificate, link, root, receipt, validator set and history root of
//! every block; then every value, earlier value, index entry, history node and state bucket of the
//! database, none missing, none surplus. Nothing is written. The state of the replay is kept in
//! memory, so an audit needs memory for the whole state.

mod anchors;
mod compare;
mod load;
mod replay;

use std::sync::Arc;

use certchain_proto::{ChainId, Height};

use crate::{
    chain::{MainReader, chain_number, head_pointer},
    execution::Application,
    genesis::GenesisBlock,
    store::{Store, StoreError, StoreOptions},
};

#[cfg(feature = "store")]
pub use anchors::compare_anchors;
pub use anchors::{AnchorReport, compare_anchors_of};
use replay::{Replay, Rules};

/// How an audit works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditOptions {
    /// Threads that read blocks and verify signatures, besides the one that executes.
    pub threads: usize,
    /// Memory of the database.
    pub store: StoreOptions,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self {
            threads: 2,
            store: StoreOptions::default(),
        }
    }
}

/// What the blocks of the audited chain mean, and what they stand on.
#[derive(Clone, Copy, Debug)]
pub struct AuditRules<'a> {
    /// The rules of its transactions.
    pub application: &'a dyn Application,
    /// On a side chain: main's name in the same database. Its own audit must have passed, since
    /// identity questions are answered from what it stored.
    pub main: Option<&'a str>,
}

impl<'a> AuditRules<'a> {
    /// The rules of a chain that stands on no other.
    pub const fn main(application: &'a dyn Application) -> Self {
        Self {
            application,
            main: None,
        }
    }
}

/// How far an audit has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Blocks that hold.
    pub height: Height,
    /// The last stored block.
    pub head: Height,
    /// Transactions that hold.
    pub transactions: u64,
}

/// The first thing that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The height that it belongs to, where that can be told.
    pub height: Option<Height>,
    /// What is wrong.
    pub reason: String,
}

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditReport {
    /// The chain, as its genesis names it.
    pub chain: ChainId,
    /// The last block that holds.
    pub height: Height,
    /// The last stored block.
    pub head: Height,
    /// Transactions in the blocks that hold.
    pub transactions: u64,
    /// The first thing that does not hold; none if all holds.
    pub failure: Option<Failure>,
}

impl AuditReport {
    /// Of a chain of which nothing has been read.
    fn new(genesis: &GenesisBlock) -> Self {
        Self {
            chain: genesis.chain(),
            height: Height::ZERO,
            head: Height::ZERO,
            transactions: 0,
            failure: None,
        }
    }

    /// Whether everything holds.
    pub const fn holds(&self) -> bool {
        self.failure.is_none()
    }
}

impl Failure {
    fn at(height: Height, reason: impl std::fmt::Display) -> Self {
        Self {
            height: Some(height),
            reason: reason.to_string(),
        }
    }
}

/// Audits the chain `name` of the database at `path` against a genesis. `progress` is called after
/// every few blocks.
#[cfg(feature = "store")]
pub fn run(
    path: &std::path::Path,
    name: &str,
    genesis: &GenesisBlock,
    rules: AuditRules<'_>,
    options: AuditOptions,
    progress: &mut dyn FnMut(Progress),
) -> AuditReport {
    match Store::open_read_only(path, &options.store) {
        Ok(store) => run_on(&store, name, genesis, rules, options, progress),
        Err(error) => AuditReport {
            failure: Some(locate(path, name, &error)),
            ..AuditReport::new(genesis)
        },
    }
}

/// Audits a chain of a store that is open.
pub fn run_on(
    store: &Arc<Store>,
    name: &str,
    genesis: &GenesisBlock,
    rules: AuditRules<'_>,
    options: AuditOptions,
    progress: &mut dyn FnMut(Progress),
) -> AuditReport {
    let mut report = AuditReport::new(genesis);
    if let Err(failure) = audit(store, name, genesis, rules, options, progress, &mut report) {
        report.failure = Some(failure);
    }
    report
}

fn audit(
    store: &Arc<Store>,
    name: &str,
    genesis: &GenesisBlock,
    rules: AuditRules<'_>,
    options: AuditOptions,
    progress: &mut dyn FnMut(Progress),
    report: &mut AuditReport,
) -> Result<(), Failure> {
    let unknown = |error: StoreError| Failure {
        height: None,
        reason: error.to_string(),
    };
    let (number, id) = chain_number(store, name)
        .map_err(unknown)?
        .ok_or_else(|| Failure {
            height: None,
            reason: format!(
                "the database holds no chain {name}; audit the data of a node that follows it, or \
                 name the chains that are to be audited"
            ),
        })?;
    if id != genesis.chain() {
        let reason = format!("the database holds chain {id}, the genesis given is another");
        return Err(Failure::at(Height::ZERO, reason));
    }
    let (head, head_id) = head_pointer(store, number).map_err(unknown)?;
    report.head = head;

    let main = match rules.main {
        None => None,
        Some(main) => {
            let (number, _) =
                chain_number(store, main)
                    .map_err(unknown)?
                    .ok_or_else(|| Failure {
                        height: None,
                        reason: format!("the database holds no chain {main}"),
                    })?;
            Some(MainReader::new(Arc::clone(store), number))
        }
    };
    let rules = Rules {
        application: rules.application,
        main,
    };
    let mut replay = Replay::start(Arc::clone(store), number, genesis, rules)?;
    load::each_block(store, number, head, options.threads, &mut |loaded| {
        let height = replay.next_height();
        let loaded = loaded.map_err(|reason| Failure::at(height, reason))?;
        replay
            .block(loaded)
            .map_err(|reason| Failure::at(height, reason))?;
        report.height = height;
        report.transactions = replay.transactions();
        let transactions = report.transactions;
        progress(Progress {
            height,
            head,
            transactions,
        });
        Ok(())
    })?;
    if replay.head_id() != head_id {
        return Err(Failure::at(
            head,
            "the entry of the last block names another block",
        ));
    }
    compare::everything(store, number, &replay).map_err(|reason| Failure::at(head, reason))
}

/// Where a database that cannot be opened is damaged: after the last block that can be read.
#[cfg(feature = "store")]
fn locate(path: &std::path::Path, name: &str, error: &StoreError) -> Failure {
    let reason = error.to_string();
    if !error.is_corruption() {
        return Failure {
            height: None,
            reason,
        };
    }
    let readable = Store::open_damaged(path).and_then(|store| {
        let number = chain_number(&store, name)?.map(|(number, _)| number);
        number
            .map(|number| head_pointer(&store, number))
            .transpose()
    });
    let height = match readable {
        Ok(Some((height, _))) => Some(height.next()),
        Ok(None) => Some(Height::ZERO),
        Err(_) => None,
    };
    Failure { height, reason }
}

#[cfg(all(test, feature = "store"))]
mod tests;
