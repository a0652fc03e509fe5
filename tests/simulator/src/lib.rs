//! The deterministic simulator: the real engine of every validator in one thread, under a seeded
//! network, seeded crashes, torn journals, lost journals and blocks, pauses, wrong clocks and faulty
//! validators.
//!
//! A run has two phases. In the first everything breaks, and only safety is asked for. Then the
//! network heals and all nodes are back, and within the bound of the design there must be blocks.
//! The same seed gives the same run, on every machine, which a hash of everything that happened shows;
//! a failure names its seed and tells the last that happened.
//!
//! Over the engine with planted bugs (`tests/planted`) the same simulator shows what it would find.

mod acts;
mod binding;
pub mod blocks;
pub mod byzantine;
mod changes;
pub mod checkers;
pub mod flood;
pub mod journal;
pub mod keys;
mod node;
mod notice;
pub mod plan;
pub mod rng;
pub mod sets;
pub mod trace;
pub mod twins;
mod world;

use std::fmt;

pub use self::plan::Change;
use self::{blocks::GENESIS_TIME, plan::Plan, rng::Rng, trace::Trace, world::World};

#[cfg(feature = "planted-bugs")]
pub use certchain_consensus::planted::{Bug, plant};

/// Blocks that must be made after the network has healed.
const BLOCKS_AFTER_HEAL: u64 = 3;

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Heights reached by the last honest node.
    pub height: u64,
    /// Height when the network healed.
    pub height_at_heal: u64,
    /// Milliseconds from healing to the first new block.
    pub first_block_after_ms: u64,
    /// Engine steps taken.
    pub steps: u64,
    /// Hash of everything that happened.
    pub trace: String,
    /// How often faulty nodes did something else than their engines wanted.
    pub deviations: u64,
    /// What they sent that did not verify.
    pub unverifiable: u64,
    /// How often the set of validators changed.
    pub epochs: u64,
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
    /// The last that happened: who did what when, and why what was refused.
    pub trace: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}seed {}: {}\n  {}{}\n  replay: SIMULATOR_SEED={} cargo test -p certchain-simulator --test \
             seeds -- --nocapture",
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

/// Runs one seed with all faulty nodes misbehaving in this way, if one is given.
///
/// # Errors
/// As [`run`].
pub fn run_with(seed: u64, way: Option<usize>, aloud: bool) -> Result<Report, Box<Failure>> {
    match attempt(seed, way, Change::Drawn, Trace::new(false, aloud)) {
        // Once more, with words.
        Err(failure) if !aloud => {
            attempt(seed, way, Change::Drawn, Trace::new(true, false)).and(Err(failure))
        }
        result => result,
    }
}

/// Whether a seed breaks a rule, without its story.
pub fn breaks(seed: u64, way: Option<usize>, change: Change) -> Option<String> {
    let failure = attempt(seed, way, change, Trace::new(false, false)).err()?;
    Some(failure.violation)
}

fn attempt(
    seed: u64,
    way: Option<usize>,
    change: Change,
    trace: Trace,
) -> Result<Report, Box<Failure>> {
    let mut rng = Rng::new(seed);
    let mut plan = Plan::draw_with(&mut rng, way);
    let change = match way {
        Some(way) if byzantine::needs_changes(way) => Change::Always,
        Some(_) | None => change,
    };
    plan.draw_changes(seed, change);
    let mut world = World::new(plan.clone(), rng, trace);
    drive(&mut world, seed).map_err(|violation| {
        Box::new(Failure {
            seed,
            violation,
            plan: format!("{plan:?}"),
            statuses: world.statuses(),
            trace: world.trace.last_lines(),
        })
    })
}

/// Runs one seed in which the set changes at every height, for so many heights under crashes, splits
/// and losses.
///
/// # Errors
/// As [`run`], or if the heights are not reached.
pub fn run_changing(seed: u64, heights: u64) -> Result<Report, Box<Failure>> {
    let attempt = |trace| {
        let plan = Plan::long(seed, heights);
        let mut world = World::new(plan.clone(), Rng::new(seed), trace);
        drive_far(&mut world, seed, heights).map_err(|violation| {
            Box::new(Failure {
                seed,
                violation,
                plan: format!("{plan:?}"),
                statuses: world.statuses(),
                trace: world.trace.last_lines(),
            })
        })
    };
    attempt(Trace::new(false, false))
        .or_else(|failure| attempt(Trace::new(true, false)).and(Err(failure)))
}

fn drive_far(world: &mut World, seed: u64, heights: u64) -> Result<Report, String> {
    let end = GENESIS_TIME + world.plan.heal_at;
    let everybody = |w: &World| w.heights().iter().all(|h| *h >= heights);
    if !world.run_until(end, everybody).map_err(|v| v.to_string())? {
        let reached = world.heights();
        return Err(format!("not everybody has height {heights}: {reached:?}"));
    }
    world.heal();
    drive(world, seed)
}

fn drive(world: &mut World, seed: u64) -> Result<Report, String> {
    let healed = GENESIS_TIME + world.plan.heal_at;
    world
        .run_until(healed, |_| false)
        .map_err(|v| v.to_string())?;
    let before = world.heights().into_iter().max().unwrap_or(0);
    let params = Plan::params();
    // After a heal: a block within (f + 2) caps and a network round trip; lost messages are said
    // again within the cap of repeats.
    let absent = (world.plan.byzantine.len()
        + world.plan.amnesiacs
        + usize::from(world.plan.loser.or(world.plan.deviant).is_some())) as u64;
    let bound = (absent + 2) * params.timeout_cap_ms + 2 * params.retry_cap_ms + 500;
    let reached = |height: u64| move |w: &World| w.heights().iter().any(|h| *h >= height);
    let first = world
        .run_until(healed + bound, reached(before + 1))
        .map_err(|v| v.to_string())?;
    if !first {
        return Err(format!(
            "no block within {bound} ms after the network has healed"
        ));
    }
    let first_block_after_ms = world.now - healed;
    let goal = before + BLOCKS_AFTER_HEAL;
    let all = |w: &World| w.heights().iter().all(|h| *h >= goal);
    let end = world.now + BLOCKS_AFTER_HEAL * bound;
    if !world.run_until(end, all).map_err(|v| v.to_string())? {
        return Err(format!(
            "not everybody has height {goal} long after the network has healed"
        ));
    }
    // a restart notice waits for its turn among the transactions.
    let end = world.now + BLOCKS_AFTER_HEAL * bound;
    let voting = |w: &World| w.silent().is_empty();
    if !world.run_until(end, voting).map_err(|v| v.to_string())? {
        return Err(format!(
            "nodes {:?} may not vote long after the network has healed",
            world.silent()
        ));
    }
    Ok(Report {
        trace: world.trace.hash(),
        seed,
        height: world.heights().into_iter().min().unwrap_or(0),
        height_at_heal: before,
        first_block_after_ms,
        steps: world.steps,
        deviations: world.deviations,
        unverifiable: world.unverifiable.values().sum(),
        epochs: world.epochs.present().epoch().get(),
    })
}
