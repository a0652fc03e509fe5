//! Random kills and stops of the processes of a network under load, drawn from a seed.
//!
//! | variable | meaning | left out |
//! | --- | --- | --- |
//! | `CLUSTER_SEED` | the seed of the first network; the same seed draws the same events | drawn, and printed |
//! | `CLUSTER_EVENTS` | events on each network | as the test says |
//! | `CLUSTER_MINUTES` | go on with new networks, each of the next seed, for so long | one network |
//!
//! The events of a seed are always the same; when exactly they hit what the processes are doing is
//! not, so a failure may need its seed a few times.

use std::{
    collections::BTreeSet,
    env, fmt,
    str::FromStr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

use super::{
    Cluster, ClusterOptions, Node,
    fixtures::{derive, now_ms},
    load::Load,
    wait::PATIENCE,
};

/// Receipts that must come during an outage that leaves a quorum, and again after each event.
const GOES_ON: u64 = 30;
/// One event in so many strikes all nodes at once.
const ALL_AT_ONCE: u64 = 8;
/// Longest of most outages.
const SHORT_MS: u64 = 900;
/// One outage in so many is a long one.
const LONG_EVERY: u64 = 12;
/// Longest of those, beyond several timeouts of a view.
const LONG_MS: u64 = 4_000;
/// One event in so many is followed by the next before its nodes have caught up.
const HASTY: u64 = 3;
/// Pause of a worker of the load between two submissions: the load must hit every moment of a block,
/// not fill the disk.
const PACE: Duration = Duration::from_millis(50);

/// What happens to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// SIGKILL, and a new start later.
    Kill,
    /// SIGSTOP, and SIGCONT later.
    Stop,
}

/// Some nodes are struck together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Who, and how.
    pub struck: Vec<(usize, Blow)>,
    /// How long they are away at least.
    pub lasts: Duration,
    /// Whether all must have caught up before the next event.
    pub settles: bool,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (node, blow) in &self.struck {
            let blow = match blow {
                Blow::Kill => "kill",
                Blow::Stop => "stop",
            };
            write!(f, "{blow} {node}, ")?;
        }
        let then = if self.settles { "wait" } else { "at once" };
        write!(f, "{} ms, then {then}", self.lasts.as_millis())
    }
}

/// Numbers that follow from a seed.
struct Chance {
    seed: [u8; 32],
    drawn: u64,
}

impl Chance {
    fn new(seed: u64, nodes: usize) -> Self {
        Self {
            seed: derive(&[0; 32], &format!("events on {nodes} nodes"), seed),
            drawn: 0,
        }
    }

    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: u64) -> u64 {
        self.drawn += 1;
        let [a, b, c, d, e, f, g, h, ..] = derive(&self.seed, "draw", self.drawn);
        u64::from_le_bytes([a, b, c, d, e, f, g, h]) % bound
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    fn blow(&mut self) -> Blow {
        if self.one_in(3) {
            Blow::Stop
        } else {
            Blow::Kill
        }
    }
}

/// The events of a seed on so many nodes: no more at a time than may be faulty, or all.
pub fn draw(seed: u64, nodes: usize, count: usize) -> Vec<Event> {
    let mut chance = Chance::new(seed, nodes);
    let faulty = (nodes.saturating_sub(1) / 3).max(1);
    let mut events = Vec::with_capacity(count);
    for _ in 0..count {
        let struck = if chance.one_in(ALL_AT_ONCE) {
            let blow = chance.blow();
            (0..nodes).map(|node| (node, blow)).collect()
        } else {
            let most = 1 + chance.below(faulty as u64) as usize;
            let mut who = BTreeSet::new();
            while who.len() < most {
                who.insert(chance.below(nodes as u64) as usize);
            }
            who.into_iter().map(|node| (node, chance.blow())).collect()
        };
        let longest = if chance.one_in(LONG_EVERY) {
            LONG_MS
        } else {
            SHORT_MS
        };
        events.push(Event {
            struck,
            lasts: Duration::from_millis(chance.below(longest)),
            settles: !chance.one_in(HASTY),
        });
    }
    events
}

/// What was done to networks, and with what result.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Networks.
    pub networks: u64,
    /// Kills.
    pub kills: u64,
    /// Stops.
    pub stops: u64,
    /// Transactions that were admitted.
    pub transactions: u64,
    /// The seeds that failed, and why.
    pub failures: Vec<(u64, String)>,
}

/// Strikes networks of `nodes` nodes, with `events` events each unless the environment says
/// otherwise.
///
/// # Errors
/// If something acknowledged is lost, nodes differ, an audit fails or the load does not go on; each
/// with its seed.
pub async fn run(nodes: usize, events: usize) -> anyhow::Result<Account> {
    let events = variable("CLUSTER_EVENTS")?.unwrap_or(events);
    let minutes: u64 = variable("CLUSTER_MINUTES")?.unwrap_or(0);
    let first = match variable("CLUSTER_SEED")? {
        Some(seed) => seed,
        None => now_ms(),
    };
    let begun = Instant::now();
    let mut account = Account::default();
    for seed in first.. {
        account.networks += 1;
        if let Err(error) = strike_network(nodes, events, seed, &mut account).await {
            println!("cluster of {nodes}, seed {seed}: FAILED: {error:#}");
            println!("again: CLUSTER_SEED={seed} CLUSTER_EVENTS={events} with the same test");
            account.failures.push((seed, format!("{error:#}")));
        }
        if begun.elapsed() >= Duration::from_secs(60 * minutes) {
            break;
        }
    }
    println!(
        "clusters of {nodes}: {} networks, {} kills, {} stops, {} transactions, {} failures",
        account.networks,
        account.kills,
        account.stops,
        account.transactions,
        account.failures.len()
    );
    ensure!(
        account.failures.is_empty(),
        "clusters of {nodes} failed with {events} events: {:?}",
        account.failures
    );
    Ok(account)
}

fn variable<T: FromStr>(name: &str) -> anyhow::Result<Option<T>> {
    let Ok(text) = env::var(name) else {
        return Ok(None);
    };
    let value = text.parse().ok();
    value
        .with_context(|| format!("{name} is no number: {text}"))
        .map(Some)
}

/// Starts a network, strikes it under load, and checks what it must have kept.
async fn strike_network(
    nodes: usize,
    count: usize,
    seed: u64,
    account: &mut Account,
) -> anyhow::Result<()> {
    let events = draw(seed, nodes, count);
    println!("cluster of {nodes}, seed {seed}, {count} events");
    let mut options = ClusterOptions::of(nodes);
    // What a killed node had admitted is handed in again at the end and must still be valid.
    options.limits.transaction_window_ms += 20_000 * count as u64;
    let mut cluster = Cluster::start(options).await?;
    let begun = Instant::now();
    let load = Load::start_paced(&cluster, 1, PACE)?;
    load.wait_more(GOES_ON).await?;
    let mut killed = BTreeSet::new();
    for (number, event) in events.iter().enumerate() {
        let at = begun.elapsed().as_secs_f64();
        println!("  {at:6.1} s, event {number}: {event}");
        for (node, blow) in &event.struck {
            match blow {
                Blow::Kill => {
                    account.kills += 1;
                    killed.insert(*node);
                }
                Blow::Stop => account.stops += 1,
            }
        }
        let struck = strike(&mut cluster, event, &load).await;
        struck.with_context(|| format!("event {number} ({event})"))?;
    }
    cluster.wait_ready(PATIENCE).await?;
    load.wait_more(GOES_ON).await?;
    let killed: Vec<usize> = killed.into_iter().collect();
    let settled = load.finish().await?.settle(&cluster, &killed).await?;
    account.transactions += settled as u64;
    let height = cluster.finish().await?;
    let took = begun.elapsed().as_secs();
    println!("  {settled} transactions in {height} blocks of main, all there; {took} s");
    Ok(())
}

/// One event: the blow, the outage, the return, and the load that goes on.
async fn strike(cluster: &mut Cluster, event: &Event, load: &Load) -> anyhow::Result<()> {
    let begun = Instant::now();
    for (node, blow) in &event.struck {
        match blow {
            Blow::Kill => cluster.node_mut(*node)?.kill()?,
            Blow::Stop => cluster.node(*node)?.freeze()?,
        }
    }
    if event.struck.len() < cluster.nodes.len() {
        let others = load.wait_more(GOES_ON).await;
        others.context("the others do not go on")?;
    }
    tokio::time::sleep(event.lasts.saturating_sub(begun.elapsed())).await;
    for (node, blow) in &event.struck {
        if *blow == Blow::Stop {
            cluster.node(*node)?.resume()?;
        }
    }
    // Those that were killed start together, as machines do when the power is back.
    let down = cluster.nodes.iter_mut().filter(|node| !node.is_running());
    futures::future::try_join_all(down.map(Node::start)).await?;
    load.wait_more(GOES_ON).await?;
    if event.settles {
        catch_up(cluster).await?;
    }
    Ok(())
}

/// Waits until every node has what any of them has now.
async fn catch_up(cluster: &Cluster) -> anyhow::Result<()> {
    cluster.wait_ready(PATIENCE).await?;
    let statuses = cluster.statuses().await?;
    let top = statuses.iter().map(|status| status.height).max();
    for node in &cluster.nodes {
        node.wait_height(top.unwrap_or(0), PATIENCE).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_events_and_never_too_many_nodes() {
        for (nodes, faulty) in [(4, 1), (7, 2)] {
            let events = draw(9, nodes, 400);
            assert_eq!(events, draw(9, nodes, 400));
            assert_ne!(events, draw(10, nodes, 400));
            let all = events.iter().filter(|e| e.struck.len() == nodes).count();
            assert!((25..=75).contains(&all), "{all} of 400 strike all nodes");
            for event in events.iter().filter(|e| e.struck.len() != nodes) {
                assert!((1..=faulty).contains(&event.struck.len()), "{event}");
            }
            let blows: Vec<Blow> = events.iter().flat_map(|e| &e.struck).map(|s| s.1).collect();
            assert!(blows.contains(&Blow::Kill) && blows.contains(&Blow::Stop));
        }
    }
}
