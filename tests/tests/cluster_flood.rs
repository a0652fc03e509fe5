//! What the network bears of a validator that floods it with votes, each signed as it must be. How much
//! throughput that costs the benchmark measures, where nothing else runs beside.

use anyhow::ensure;
use certchain_tests::cluster::{
    Cluster, ClusterOptions,
    check::agreement,
    flood::Flooder,
    load::Load,
    wait::{PATIENCE, until},
};

/// The one whose place the flooder takes.
const FLOODS: usize = 3;
/// Votes that the others must have taken from it, all together.
const VOTES: u64 = 20_000;
/// Receipts that must keep coming.
const GOES_ON: u64 = 100;
/// What a node's memory may grow by meanwhile, in MiB; the load's own blocks are in it.
const MOST_MIB: f64 = 64.0;

fn memory(cluster: &Cluster) -> anyhow::Result<Vec<f64>> {
    let running = cluster.nodes.iter().filter(|node| node.is_running());
    running.map(|node| node.memory_mib("VmRSS:")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_that_floods_stops_nobody_and_fills_no_memory() -> anyhow::Result<()> {
    let mut cluster = Cluster::create(ClusterOptions::default()).await?;
    for node in 0..FLOODS {
        cluster.node_mut(node)?.start().await?;
    }
    cluster.wait_ready(PATIENCE).await?;
    let flooder = Flooder::connect(&cluster, FLOODS).await?;
    let load = Load::start(&cluster, 1)?;
    load.wait_more(GOES_ON).await?;
    let before = memory(&cluster)?;
    flooder.flood(true);
    for _ in 0..3 {
        load.wait_more(GOES_ON).await?;
    }
    until("the flood is taken", PATIENCE, || async {
        let sent = flooder.sent();
        ensure!(sent >= VOTES, "{sent} of {VOTES} votes");
        Ok(())
    })
    .await?;
    load.wait_more(GOES_ON).await?;
    let after = memory(&cluster)?;
    for (node, (before, after)) in before.iter().zip(&after).enumerate() {
        let grown = after - before;
        println!("node {node} grew by {grown:.1} MiB");
        ensure!(grown <= MOST_MIB, "node {node} grew by {grown} MiB");
    }
    flooder.flood(false);
    flooder.end().await;
    load.finish().await?.settle(&cluster, &[]).await?;
    agreement(&cluster).await?;
    cluster.dismiss();
    Ok(())
}
