//! How long a network is without blocks when its primary dies.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use certchain_config::Parameters;
use certchain_tests::cluster::{
    Cluster, ClusterOptions, Node, binaries::workspace, load::Load, wait::PATIENCE,
};
use tokio::time::Instant;

use crate::figures::Figures;

/// The devnet's timers.
pub const PARAMETERS: &str = "config/devnet/parameters.toml";
/// How often the height is asked for.
const POLL: Duration = Duration::from_millis(5);
/// Receipts between two deaths.
const BETWEEN: u64 = 40;

/// Kills the primary so many times (SIGKILL) under load, and waits each time for the next block on
/// another node.
pub async fn measure(
    deaths: usize,
    nodes: usize,
    parent: PathBuf,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let parameters = Parameters::load(&workspace().join(PARAMETERS))?;
    let mut cluster = Cluster::start(ClusterOptions {
        nodes,
        timers: parameters.timers,
        limits: parameters.limits,
        parent: Some(parent),
        ..ClusterOptions::default()
    })
    .await?;
    let load = Load::start(&cluster, 1)?;
    let mut times = Vec::with_capacity(deaths);
    for _ in 0..deaths {
        load.wait_more(BETWEEN).await?;
        let primary = cluster.primary().await?;
        cluster.node_mut(primary)?.kill()?;
        let died = Instant::now();
        let survivor = cluster.node((primary + 1) % nodes)?;
        next_block(survivor, died).await?;
        times.push(died.elapsed().as_micros() as f64 / 1e3);
        cluster.node_mut(primary)?.start().await?;
        cluster.node(primary)?.wait_ready(PATIENCE).await?;
        let reached = cluster.node((primary + 1) % nodes)?.status().await?.height;
        cluster
            .node(primary)?
            .wait_height(reached, PATIENCE)
            .await?;
    }
    load.finish().await?;
    cluster.terminate().await?;
    cluster.dismiss();
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times.get((times.len() * share).div_ceil(100).saturating_sub(1));
    figures.set("primary_death_p50_ms", *at(50).context("no death")?);
    figures.set("primary_death_p99_ms", *at(99).context("no death")?);
    figures.set("primary_deaths", times.len() as f64);
    Ok(())
}

/// Waits for a block that the dead one cannot have decided with: the second from now, since votes of
/// the dead may still have been under way for the first.
async fn next_block(survivor: &Node, died: Instant) -> anyhow::Result<()> {
    let client = survivor.client()?;
    let before = client.status().await?.height;
    while client.status().await?.height < before + 2 {
        ensure!(died.elapsed() < PATIENCE, "no block after {PATIENCE:?}");
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}
