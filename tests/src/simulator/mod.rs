//! The deterministic simulator: the real engine of every validator in one thread, under a seeded
//! network, seeded crashes, torn journals, lost journals, wrong clocks and faulty validators.
//!
//! A run has two phases. In the first everything breaks, and only safety is asked for. Then the
//! network heals and all nodes are back, and within the bound of the design there must be blocks.
//! The same seed gives the same run; a failure names its seed.

mod acts;
pub mod blocks;
pub mod byzantine;
pub mod checkers;
pub mod keys;
mod node;
pub mod plan;
pub mod rng;
mod world;

use std::fmt;

use self::{
    blocks::GENESIS_TIME,
    plan::{HEAL_AT, Plan},
    rng::Rng,
    world::World,
};

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
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {}: {}\n  replay with SIMULATOR_SEED={}\n  {}{}",
            self.seed, self.violation, self.seed, self.plan, self.statuses
        )
    }
}

impl std::error::Error for Failure {}

/// Runs one seed; `trace` prints every step.
///
/// # Errors
/// If a checker objects or there is no progress after the network has healed.
pub fn run(seed: u64, trace: bool) -> Result<Report, Box<Failure>> {
    let mut rng = Rng::new(seed);
    let plan = Plan::draw(&mut rng);
    let mut world = World::new(plan.clone(), rng, trace);
    drive(&mut world, seed).map_err(|violation| {
        Box::new(Failure {
            seed,
            violation,
            plan: format!("{plan:?}"),
            statuses: world.statuses(),
        })
    })
}

fn drive(world: &mut World, seed: u64) -> Result<Report, String> {
    let healed = GENESIS_TIME + HEAL_AT;
    world
        .run_until(healed, |_| false)
        .map_err(|v| v.to_string())?;
    let before = world.heights().into_iter().max().unwrap_or(0);
    let params = Plan::params();
    // After a heal: a block within (f + 2) caps and a network round trip; lost messages are said
    // again within the cap of repeats.
    let absent = (world.plan.byzantine.len() + world.plan.amnesiacs) as u64;
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
    Ok(Report {
        seed,
        height: world.heights().into_iter().min().unwrap_or(0),
        height_at_heal: before,
        first_block_after_ms,
        steps: world.steps,
    })
}
