//! What the network bears: any node killed under load, all killed at once, a journal lost.

use std::fs;

use anyhow::{Context as _, ensure};
use certchain_ledger::{
    evidence::StateEvidence,
    identity::{RestartNoticeRecord, keys},
};
use certchain_proto::{
    Epoch, ValidatorIndex, certificate::Ed25519Verifier, wire::v1::GetStateProofRequest,
};
use certchain_tests::cluster::{
    Cluster, ClusterOptions, check::agreement, load::Load, wait::PATIENCE, wait::until,
};

/// Receipts that must keep coming while something is broken.
const GOES_ON: u64 = 100;

#[tokio::test]
async fn any_node_is_killed_under_load_and_nothing_acknowledged_is_lost() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(ClusterOptions::default()).await?;
    let load = Load::start(&cluster, 1)?;
    load.wait_more(GOES_ON).await?;
    // The primary first; it then is the turn of each of the others.
    let primary = cluster.primary().await?;
    let order: Vec<usize> = (0..4).map(|step| (primary + step) % 4).collect();
    for victim in &order {
        cluster.node_mut(*victim)?.kill()?;
        load.wait_more(GOES_ON).await?;
        let survivor = cluster.node((victim + 1) % 4)?;
        let reached = survivor.status().await?.height;
        survivor.wait_height(reached + 3, PATIENCE).await?;
        cluster.node_mut(*victim)?.start().await?;
        let node = cluster.node(*victim)?;
        node.wait_ready(PATIENCE).await?;
        let reached = cluster.node((victim + 1) % 4)?.status().await?.height;
        node.wait_height(reached, PATIENCE).await?;
    }
    // The load goes through the returned ones too.
    load.wait_more(GOES_ON).await?;
    let report = load.finish().await?;
    let settled = report.settle(&cluster, &order).await?;
    ensure!(
        u64::try_from(settled)? >= 6 * GOES_ON,
        "only {settled} transactions"
    );
    cluster.finish().await?;
    Ok(())
}

#[tokio::test]
async fn all_nodes_are_killed_at_once_and_go_on() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(ClusterOptions::default()).await?;
    let mut first = 1;
    for _ in 0..3 {
        let load = Load::start(&cluster, first)?;
        load.wait_more(GOES_ON).await?;
        for node in &mut cluster.nodes {
            node.kill()?;
        }
        let report = load.finish().await?;
        cluster.start_all().await?;
        report.settle(&cluster, &[0, 1, 2, 3]).await?;
        let height = agreement(&cluster).await?;
        cluster.node(0)?.wait_height(height + 1, PATIENCE).await?;
        first += 1_000_000;
    }
    cluster.finish().await?;
    Ok(())
}

#[tokio::test]
async fn a_node_that_lost_its_journal_votes_again_after_a_restart_notice() -> anyhow::Result<()> {
    const LOST: usize = 2;
    let mut cluster = Cluster::start(ClusterOptions::default()).await?;
    let load = Load::start(&cluster, 1)?;
    load.wait_more(GOES_ON).await?;
    let node = cluster.node_mut(LOST)?;
    node.kill()?;
    fs::remove_dir_all(node.data_dir.join("journal"))?;
    node.start().await?;
    let client = cluster.node(LOST)?.client()?;
    let status = until("the amnesiac votes", PATIENCE, || async {
        let status = client.status().await?;
        ensure!(
            status.voting,
            "it does not vote at height {}",
            status.height
        );
        Ok(status)
    })
    .await?;

    // It votes because its notice is in the state, and that is proven.
    let key = keys::restart(Epoch::ZERO, ValidatorIndex::new(u16::try_from(LOST)?));
    let request = GetStateProofRequest {
        key: key.as_bytes().to_vec(),
        ..Default::default()
    };
    let answer = cluster
        .node(0)?
        .client()?
        .chains
        .get_state_proof(request)
        .await?
        .into_inner();
    let evidence = StateEvidence {
        key,
        value: answer.present.then_some(answer.value),
        proof: answer.proof.as_ref().context("no proof")?.try_into()?,
        block: answer.block.as_ref().context("no block")?.try_into()?,
    };
    let (chain, validators) = (cluster.genesis.chain_id(), cluster.genesis.validator_set());
    let proven = evidence.verify(chain, validators, &Ed25519Verifier)?;
    let notice = RestartNoticeRecord::decode(&proven.value.context("there is no notice")?)?;
    ensure!(
        notice.height.get() <= status.height,
        "it votes before its notice is committed"
    );

    // Its vote counts again: with another one down, the quorum of three needs it.
    cluster.node_mut((LOST + 1) % 4)?.kill()?;
    load.wait_more(GOES_ON).await?;
    cluster.node_mut((LOST + 1) % 4)?.start().await?;
    cluster.wait_ready(PATIENCE).await?;
    let report = load.finish().await?;
    report.settle(&cluster, &[LOST, (LOST + 1) % 4]).await?;
    cluster.finish().await?;
    Ok(())
}
