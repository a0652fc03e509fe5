//! What a validator that floods costs the others: throughput and memory of three nodes with and without.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use certchain_config::Parameters;
use certchain_tests::cluster::{
    Cluster, ClusterOptions, binaries::workspace, check::agreement, flood::Flooder, wait::PATIENCE,
};
use tokio::time::Instant;

use crate::{
    failover::PARAMETERS,
    figures::Figures,
    throughput::{self, Load},
};

/// Nodes; the last one is the one that floods.
const NODES: usize = 4;
/// Runs of each kind, in turn, so that what else the machine does meets both.
const ROUNDS: u64 = 3;
/// Registrations that are submitted and not decided yet.
const AHEAD: u64 = 4_000;
/// How long the flood goes on without load, for the memory that it takes.
const ALONE: Duration = Duration::from_secs(10);

/// Streams so many registrations in each run into three nodes, whose fourth is silent or floods.
pub async fn measure(
    transactions: u64,
    parent: PathBuf,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let parameters = Parameters::load(&workspace().join(PARAMETERS))?;
    let mut cluster = Cluster::create(ClusterOptions {
        nodes: NODES,
        timers: parameters.timers,
        limits: parameters.limits,
        parent: Some(parent),
        ..ClusterOptions::default()
    })
    .await?;
    for node in 0..NODES - 1 {
        cluster.node_mut(node)?.start().await?;
    }
    cluster.wait_ready(PATIENCE).await?;
    let flooder = Flooder::connect(&cluster, NODES - 1).await?;
    // What a load makes a node keep, it keeps before either kind is measured.
    let mut numbers = 0..;
    let mut run = async |figures: &mut Figures| {
        let first = numbers.next().context("no more runs")? * transactions;
        let groups = throughput::sign_ahead(&cluster, first, transactions, figures).await?;
        let load = Load {
            chain: "main",
            groups,
            ahead: AHEAD,
        };
        anyhow::Ok(throughput::drive(&cluster, load).await?.seconds)
    };
    run(figures).await?;
    let (mut quiet, mut flooded) = (0.0, 0.0);
    let (mut votes, mut time) = (0, 0.0);
    for _ in 0..ROUNDS {
        quiet += run(figures).await?;
        let (before, begun) = (flooder.sent(), Instant::now());
        flooder.flood(true);
        flooded += run(figures).await?;
        flooder.flood(false);
        votes += flooder.sent() - before;
        time += begun.elapsed().as_secs_f64();
    }
    let count = (transactions * ROUNDS) as f64;
    figures.set("quiet_transactions_per_s", count / quiet);
    figures.set("flooded_transactions_per_s", count / flooded);
    figures.set("flooded_share", quiet / flooded);
    figures.set("flood_votes_per_s", votes as f64 / time);
    figures.set("flood_memory_mib", grown(&cluster, &flooder).await?);
    agreement(&cluster).await?;
    flooder.end().await;
    cluster.terminate().await?;
    cluster.dismiss();
    Ok(())
}

/// The most by which a node's memory grows while only the flood comes.
async fn grown(cluster: &Cluster, flooder: &Flooder) -> anyhow::Result<f64> {
    let running = || cluster.nodes.iter().filter(|node| node.is_running());
    let now = || -> anyhow::Result<Vec<f64>> {
        running().map(|node| node.memory_mib("VmRSS:")).collect()
    };
    let before = now()?;
    flooder.flood(true);
    tokio::time::sleep(ALONE).await;
    let after = now()?;
    flooder.flood(false);
    let growth = before.iter().zip(&after).map(|(b, a)| a - b);
    Ok(growth.fold(0.0, f64::max))
}
