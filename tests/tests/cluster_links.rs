//! What the network bears of its network: splits, links that carry one way, delay and loss, processes
//! that stand still. `PARTITION_SECONDS` sets how long the split in halves lasts.

use std::time::{Duration, Instant};

use anyhow::ensure;
use certchain_tests::cluster::{
    Cluster, ClusterOptions, check::agreement, links::Way, load::Load, wait::PATIENCE,
};

/// Receipts that must keep coming while something is broken.
const GOES_ON: u64 = 60;

/// How long two processes stand still.
const STANDS_STILL: Duration = Duration::from_secs(4);

fn linked() -> ClusterOptions {
    ClusterOptions {
        linked: true,
        ..ClusterOptions::default()
    }
}

/// The highest main block that a node has.
async fn top(cluster: &Cluster) -> anyhow::Result<u64> {
    let statuses = cluster.statuses().await?;
    Ok(statuses.iter().map(|s| s.height).max().unwrap_or(0))
}

/// Waits until a node has what the others have now.
async fn catches_up(cluster: &Cluster, node: usize) -> anyhow::Result<()> {
    let reached = top(cluster).await?;
    let node = cluster.node(node)?;
    node.wait_height(reached, PATIENCE).await?;
    Ok(())
}

#[tokio::test]
async fn halves_decide_nothing_and_go_on_together() -> anyhow::Result<()> {
    let lasts = std::env::var("PARTITION_SECONDS").ok();
    let lasts: u64 = lasts.and_then(|v| v.parse().ok()).unwrap_or(20);
    // What is admitted before the split must still be valid after it.
    let mut options = linked();
    options.limits.transaction_window_ms = 4_000 * lasts + 600_000;
    let cluster = Cluster::start(options).await?;
    let load = Load::start(&cluster, 1)?;
    load.wait_more(GOES_ON).await?;
    cluster.links()?.split(&[0, 1]);
    let before = top(&cluster).await?;
    tokio::time::sleep(Duration::from_secs(lasts)).await;
    // What was voted on when the network split may have been decided on one side.
    let after = top(&cluster).await?;
    ensure!(
        after <= before + 1,
        "half of the network went from {before} to {after}"
    );
    cluster.links()?.heal();
    let healed = Instant::now();
    for node in &cluster.nodes {
        node.wait_height(after + 1, PATIENCE).await?;
    }
    let took = healed.elapsed().as_millis();
    println!("{lasts} s of partition; every node has a new block {took} ms after");
    load.wait_more(GOES_ON).await?;
    load.finish().await?.settle(&cluster, &[]).await?;
    cluster.finish().await?;
    Ok(())
}

#[tokio::test]
async fn a_primary_that_is_cut_off_or_not_heard_is_passed_over() -> anyhow::Result<()> {
    let cluster = Cluster::start(linked()).await?;
    let load = Load::start(&cluster, 1)?;
    load.wait_more(GOES_ON).await?;
    for heard in [false, true] {
        let primary = cluster.primary().await?;
        let reached = cluster.node(primary)?.status().await?.height;
        if heard {
            cluster.links()?.silence(primary);
        } else {
            cluster.links()?.split(&[primary]);
        }
        let other = cluster.node((primary + 1) % 4)?;
        other.wait_height(reached + 5, PATIENCE).await?;
        load.wait_more(GOES_ON).await?;
        cluster.links()?.heal();
        catches_up(&cluster, primary).await?;
    }
    load.wait_more(GOES_ON).await?;
    load.finish().await?.settle(&cluster, &[]).await?;
    cluster.finish().await?;
    Ok(())
}

#[tokio::test]
async fn slow_links_and_processes_that_stand_still_cost_time_only() -> anyhow::Result<()> {
    let cluster = Cluster::start(linked()).await?;
    let load = Load::start(&cluster, 1)?;
    load.wait_more(GOES_ON).await?;
    cluster.links()?.set(|from, to| Way {
        delay: Duration::from_millis(20 + 15 * ((from + 2 * to) as u64 % 4)),
        loss: 20,
        ..Way::default()
    });
    load.wait_more(GOES_ON).await?;
    cluster.links()?.heal();

    // The primary stands still: it does not know of it, and the others go on.
    let primary = cluster.primary().await?;
    cluster.node(primary)?.freeze()?;
    let other = cluster.node((primary + 1) % 4)?;
    let reached = other.status().await?.height;
    other.wait_height(reached + 3, PATIENCE).await?;
    load.wait_more(GOES_ON).await?;
    cluster.node(primary)?.resume()?;
    catches_up(&cluster, primary).await?;

    // Two stand still: nothing is decided until they are back.
    for node in [0, 1] {
        cluster.node(node)?.freeze()?;
    }
    let reached = cluster.node(2)?.status().await?.height;
    tokio::time::sleep(STANDS_STILL).await;
    let height = cluster.node(2)?.status().await?.height;
    ensure!(
        height <= reached + 1,
        "two of four decide: {reached} became {height}"
    );
    for node in [0, 1] {
        cluster.node(node)?.resume()?;
    }
    cluster.node(2)?.wait_height(reached + 3, PATIENCE).await?;
    load.wait_more(GOES_ON).await?;
    load.finish().await?.settle(&cluster, &[]).await?;
    agreement(&cluster).await?;
    cluster.finish().await?;
    Ok(())
}
