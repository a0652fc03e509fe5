//! Whole nodes in one thread: for main and two side chains the real engines, mempools and ledgers of
//! every validator, over disks in memory that lose what was not synced, under a seeded network,
//! seeded crashes in the middle of writes, full disks, lost journals and stops.
//!
//! `certchain-simulator` tries the engine against everything that faulty validators may do, with blocks
//! that mean nothing. Here the blocks are real, and what is tried is all that stands around the engines:
//! what is proposed, checked, executed, stored, anchored, found again after a crash, and told to clients.
//! Signatures are the daemon's. In half of the runs all validators are honest, in the others some
//! misbehave, as many as can be borne at most: in every way that the other simulator knows, and in some
//! that need a real ledger.
//!
//! A run has two phases. In the first everything breaks, and only safety is asked for. Then the network
//! heals and all nodes are back, and within the bound of the design every chain must have blocks. At the
//! end one node's store is audited from genesis. The same seed gives the same run, on every machine.

// A failure of the town's own signing is a mistake in this crate, not in what it tries.
#![allow(clippy::expect_used)]

mod acts;
mod exchange;
mod faulty;
mod journal;
mod ledger_checker;
mod node;
mod plan;
mod town;
mod weakness;
mod wishes;
mod world;

use std::{fmt, sync::Arc};

use certchain_ledger::{
    audit::{self, AuditOptions, AuditRules},
    store::Store,
};
use certchain_sidechain::{anchor::MainApplication, certificate::CertificateApplication};
use certchain_simulator::{checkers::Violation, rng::Rng, trace::Trace};

pub use self::{
    faulty::{WAYS, name as way_name},
    weakness::Weakness,
};
use self::{
    node::{CHAINS, MAIN, params},
    plan::Plan,
    town::{SIDES, START},
    world::World,
};

/// Blocks that every chain must make after the network has healed.
const BLOCKS_AFTER_HEAL: u64 = 2;

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Heights that the last node has reached, by chain.
    pub heights: Vec<u64>,
    /// Milliseconds from healing to a new block on every chain.
    pub blocks_after_ms: u64,
    /// Engine steps taken.
    pub steps: u64,
    /// Receipts that clients have seen.
    pub receipts: u64,
    /// How often faulty nodes did something else than their engines wanted.
    pub deviations: u64,
    /// What they sent that did not verify.
    pub unverifiable: u64,
    /// Hash of everything that happened.
    pub trace: String,
}

/// A run that broke a rule.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed that shows it again.
    pub seed: u64,
    /// The rule.
    pub violation: String,
    /// The plan of the run.
    pub plan: String,
    /// Where everybody stood.
    pub statuses: String,
    /// The last that happened.
    pub trace: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}seed {}: {}\n  {}{}\n  replay: SIMULATOR_SEED={} cargo test -p certchain-network-simulator \
             -- --nocapture",
            self.trace, self.seed, self.violation, self.plan, self.statuses, self.seed
        )
    }
}

impl std::error::Error for Failure {}

/// Runs one seed; `aloud` prints every step.
///
/// # Errors
/// If a checker objects or there is no progress after the network has healed.
pub fn run(seed: u64, aloud: bool) -> Result<Report, Box<Failure>> {
    run_with(seed, None, aloud)
}

/// Runs one seed with as many faulty nodes as can be borne, all misbehaving in this way, if one is
/// given.
///
/// # Errors
/// As [`run`].
pub fn run_with(seed: u64, way: Option<usize>, aloud: bool) -> Result<Report, Box<Failure>> {
    match attempt(seed, way, None, Trace::new(false, aloud)) {
        // Once more, with words.
        Err(failure) if !aloud => {
            attempt(seed, way, None, Trace::new(true, false)).and(Err(failure))
        }
        result => result,
    }
}

/// Which rule a run breaks in which every node makes this mistake.
pub fn breaks(seed: u64, weakness: Weakness) -> Option<String> {
    let failure = attempt(seed, None, Some(weakness), Trace::new(false, false)).err()?;
    Some(failure.violation)
}

fn attempt(
    seed: u64,
    way: Option<usize>,
    weakness: Option<Weakness>,
    trace: Trace,
) -> Result<Report, Box<Failure>> {
    let mut rng = Rng::new(seed);
    let mut plan = Plan::draw(&mut rng, CHAINS, way);
    if weakness.is_some() {
        // A mistake of the honest is to show by itself.
        plan.faulty.clear();
    }
    let failure = |violation: Violation, statuses: String, trace: String| {
        Box::new(Failure {
            seed,
            violation: violation.0,
            plan: format!("{plan:?}"),
            statuses,
            trace,
        })
    };
    let world = World::new(plan.clone(), weakness, rng, trace);
    let mut world = world.map_err(|v| failure(v, String::new(), String::new()))?;
    drive(&mut world, seed).map_err(|v| failure(v, world.statuses(), world.trace.last_lines()))
}

fn drive(world: &mut World, seed: u64) -> Result<Report, Violation> {
    let healed = START + world.plan.heal_at;
    world.run_until(healed, |_| false)?;
    let top = |chain| move |w: &World| w.heights(chain).into_iter().max().unwrap_or(0);
    let before: Vec<u64> = (0..CHAINS).map(|chain| top(chain)(world)).collect();
    // After a heal: a block within (f + 2) caps and a network round trip; lost messages are said
    // again within the cap of repeats; an idle chain rests until its heartbeat. A side chain's block may
    // wait for main's.
    let slowest = world.nodes.iter().find_map(|n| n.hosts.last());
    let params = slowest.map(|host| params(&host.chain)).unwrap_or_default();
    let absent = (world.plan.n as u64).saturating_sub(1) / 3;
    let bound = 2 * ((absent + 2) * params.timeout_cap_ms + 2 * params.retry_cap_ms + 500)
        + params.heartbeat_ms;
    let reached = |more: u64| {
        let goals: Vec<u64> = before.iter().map(|height| height + more).collect();
        move |w: &World| {
            let all = |chain: usize| w.heights(chain).into_iter().all(|h| h >= goals[chain]);
            (0..CHAINS).all(all)
        }
    };
    if !world.run_until(healed + bound, reached(1))? {
        let text = format!("not all chains have a block within {bound} ms after the heal");
        return Err(Violation(text));
    }
    let blocks_after_ms = world.now - healed;
    let end = world.now + BLOCKS_AFTER_HEAL * bound;
    if !world.run_until(end, reached(BLOCKS_AFTER_HEAL))? {
        let text = "not everybody goes on long after the network has healed";
        return Err(Violation(text.to_owned()));
    }
    // a restart notice waits for its turn among the transactions.
    let end = world.now + BLOCKS_AFTER_HEAL * bound;
    if !world.run_until(end, |w| w.silent().is_empty())? {
        let silent = world.silent();
        return Err(Violation(format!(
            "nodes {silent:?} may not vote long after the network has healed"
        )));
    }
    for node in world.honest() {
        (0..CHAINS).try_for_each(|chain| world.ledgers.comes_back(node, chain))?;
    }
    audit_one(world)?;
    Ok(Report {
        seed,
        heights: (0..CHAINS)
            .map(|chain| world.heights(chain).into_iter().min().unwrap_or(0))
            .collect(),
        blocks_after_ms,
        steps: world.steps,
        receipts: world.wishes.receipts,
        deviations: world.deviations,
        unverifiable: world.unverifiable,
        trace: world.trace.hash(),
    })
}

/// Replays all chains of one node from genesis, out of what its disk holds.
fn audit_one(world: &mut World) -> Result<(), Violation> {
    let honest: Vec<usize> = world.honest().map(|node| node.index).collect();
    let node = honest[world.rng.index(honest.len())];
    let store = Store::in_memory(&Arc::clone(&world.nodes[node].disk));
    let store = store.map_err(|e| Violation(format!("node {node}'s disk cannot be read: {e}")))?;
    let options = AuditOptions::default();
    let genesis = &world.town.genesis;
    for chain in 0..CHAINS {
        let name = node::name(chain);
        let application = CertificateApplication::new(SIDES[chain.max(1) - 1]);
        let rules = match chain {
            MAIN => AuditRules::main(&MainApplication),
            _ => AuditRules {
                application: &application,
                main: Some("main"),
            },
        };
        let first = genesis.named(name);
        let first = first.ok_or_else(|| Violation(format!("no genesis of {name}")))?;
        let report = audit::run_on(&store, name, first, rules, options, &mut |_| ());
        if let Some(failure) = report.failure {
            let text = format!("{name}: the audit of node {node} fails: {failure:?}");
            return Err(Violation(text));
        }
    }
    match audit::compare_anchors_of(&store, "main") {
        Ok(_) => Ok(()),
        Err(failure) => Err(Violation(format!("node {node}'s anchors: {failure:?}"))),
    }
}
