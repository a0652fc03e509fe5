//! What a node does whose disk is full: it pauses, says so, and goes on when there is room, while the
//! others go on without it.

use std::time::Duration;

use anyhow::ensure;
use certchain_ledger::store::StoreOptions;
use certchain_tests::cluster::{
    Cluster, ClusterOptions, disk,
    load::Load,
    wait::{PATIENCE, until},
};

/// The node with the small disk.
const SMALL: usize = 1;
/// What its disk holds: what must be kept free, the journals of six chains, and some blocks.
const BYTES: u64 = 480 << 20;
/// Receipts that must keep coming.
const GOES_ON: u64 = 60;
/// Pause of a worker of the load between two submissions: not the load fills the disk, the test does.
const PACE: Duration = Duration::from_millis(30);

/// Waits until the node pauses, or does not, and checks all places where it says so.
async fn wait_paused(cluster: &Cluster, paused: bool) -> anyhow::Result<()> {
    let node = cluster.node(SMALL)?;
    let line = "certchain_paused{chain=\"main\"}";
    until(&format!("pauses: {paused}"), PATIENCE, || async {
        let told = node.metric(line).await?;
        ensure!((told == 1.0) == paused, "{line} is {told}");
        let voting = node.status().await?.voting;
        ensure!(voting != paused, "its status says voting: {voting}");
        Ok(())
    })
    .await
}

/// The others decide blocks, and the one that pauses does not.
async fn others_go_on(cluster: &Cluster, load: &Load) -> anyhow::Result<()> {
    let small = cluster.node(SMALL)?;
    let before = small.status().await?.height;
    load.wait_more(GOES_ON).await?;
    let other = cluster.node(SMALL + 1)?;
    let reached = other.status().await?.height;
    other.wait_height(reached + 3, PATIENCE).await?;
    let after = small.status().await?.height;
    ensure!(after == before, "it stores blocks: {before} became {after}");
    Ok(())
}

async fn catches_up(cluster: &Cluster) -> anyhow::Result<()> {
    let reached = cluster.node(SMALL + 1)?.status().await?.height;
    let small = cluster.node(SMALL)?;
    small.wait_height(reached, PATIENCE).await?;
    Ok(())
}

#[tokio::test]
async fn a_full_disk_pauses_voting_until_there_is_room() -> anyhow::Result<()> {
    if !disk::inside("a_full_disk_pauses_voting_until_there_is_room")? {
        return Ok(());
    }
    let mut cluster = Cluster::create(ClusterOptions::default()).await?;
    cluster.small_disk(SMALL, BYTES)?;
    cluster.start_all().await?;
    let load = Load::start_paced(&cluster, 1, PACE)?;
    load.wait_more(GOES_ON).await?;

    // Less than the reserve is left, then nothing at all.
    let half = StoreOptions::default().reserve_bytes / 2;
    cluster.disk(SMALL)?.fill(half)?;
    wait_paused(&cluster, true).await?;
    others_go_on(&cluster, &load).await?;

    // It can be ended and started meanwhile.
    let status = cluster.node_mut(SMALL)?.terminate().await?;
    ensure!(status.success(), "it ended with {status}");
    cluster.node_mut(SMALL)?.start().await?;
    wait_paused(&cluster, true).await?;
    cluster.disk(SMALL)?.fill(0)?;
    others_go_on(&cluster, &load).await?;
    wait_paused(&cluster, true).await?;

    // It goes on by itself, and its vote counts: without another one the quorum of three needs it.
    cluster.disk(SMALL)?.clear(0)?;
    cluster.disk(SMALL)?.clear(half)?;
    wait_paused(&cluster, false).await?;
    catches_up(&cluster).await?;
    cluster.node_mut(SMALL + 2)?.kill()?;
    load.wait_more(GOES_ON).await?;
    cluster.node_mut(SMALL + 2)?.start().await?;
    cluster.wait_ready(PATIENCE).await?;

    // Killed while the disk is full it does not start, says why, and starts when there is room.
    cluster.disk(SMALL)?.fill(0)?;
    wait_paused(&cluster, true).await?;
    cluster.node_mut(SMALL)?.kill()?;
    let (status, said) = cluster.node_mut(SMALL)?.start_refused().await?;
    ensure!(!status.success(), "it starts on a full disk:\n{said}");
    ensure!(said.contains("No space left on device"), "it says:\n{said}");
    cluster.disk(SMALL)?.clear(0)?;
    cluster.node_mut(SMALL)?.start().await?;
    cluster.wait_ready(PATIENCE).await?;
    catches_up(&cluster).await?;

    load.wait_more(GOES_ON).await?;
    let report = load.finish().await?;
    report.settle(&cluster, &[SMALL, SMALL + 2]).await?;
    let log = cluster.node(SMALL)?.log_text();
    for said in ["the disk is full; voting", "the disk has room again"] {
        ensure!(log.contains(said), "its log does not say: {said}");
    }
    cluster.finish().await?;
    Ok(())
}
