//! What the side chains bear: any node killed under load, one chain flooded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use certchain_client::wallet::AccountKind;
use certchain_proto::wire::v1::Code;
use certchain_tests::cluster::{
    Cluster, ClusterOptions,
    certificates::Desk,
    check::CHAINS,
    issuing::{Issuing, settle, values},
    load::Load,
    wait::PATIENCE,
};

use super::anchors_are_confirmed;

/// Certificates that must keep coming on each loaded chain while a node is down.
const GOES_ON: u64 = 12;
/// Registrations that must keep coming meanwhile.
const REGISTRATIONS: u64 = 40;

#[tokio::test]
async fn killing_any_one_node_under_load_loses_nothing_on_any_chain() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(ClusterOptions::default()).await?;
    let issuing = Issuing::start(&cluster, &["degree", "health"]).await?;
    let load = Load::start(&cluster, 1)?;
    issuing.wait_more(GOES_ON).await?;
    let order = [0, 1, 2, 3];
    for victim in order {
        cluster.node_mut(victim)?.kill()?;
        issuing.wait_more(GOES_ON).await?;
        load.wait_more(REGISTRATIONS).await?;
        cluster.node_mut(victim)?.start().await?;
        cluster.node(victim)?.wait_ready(PATIENCE).await?;
        // It comes to where the others are, on every chain, while they go on.
        for chain in CHAINS {
            let survivor = cluster.node((victim + 1) % 4)?;
            let reached = survivor.status_of(chain).await?.height;
            let node = cluster.node(victim)?;
            node.wait_height_of(chain, reached, PATIENCE).await?;
        }
    }
    issuing.wait_more(GOES_ON).await?;
    let sent = issuing.finish().await?;
    load.finish().await?.settle(&cluster, &order).await?;
    let settled = settle(&cluster, &sent).await?;
    ensure!(
        u64::try_from(settled)? >= 2 * 6 * GOES_ON,
        "only {settled} certificates"
    );
    let ending = cluster.finish_audited().await?;
    anchors_are_confirmed(&ending.reports)
}

/// Transactions of one request of the flood.
const FLOOD: usize = 256;
/// How long other chains may take for one certificate while another one is flooded.
const UNHARMED: Duration = Duration::from_secs(15);
/// How long the flood lasts at least; every other chain goes on meanwhile.
const LASTS: Duration = Duration::from_secs(8);
/// How many transactions make a flood.
const ENOUGH: u64 = 1_500;

/// Sends batches to one chain through one node, as fast as they are taken, until told to end: new
/// certificates, whose number is told, and everything once more, which is refused.
async fn flood(
    desk: Desk,
    stop: Arc<AtomicBool>,
    taken: Arc<AtomicU64>,
    first: u64,
) -> anyhow::Result<()> {
    let holder = desk.register(AccountKind::Citizen).await?;
    let school = &desk.office.school;
    let mut number = first;
    while !stop.load(Ordering::Relaxed) {
        let mut batch = Vec::with_capacity(FLOOD);
        for _ in 0..FLOOD {
            let fields = values("degree", number)?;
            let prepared = desk.prepare("degree", school.address, &[&holder], &fields)?;
            batch.push(desk.issuance(school, &prepared, &[])?);
            number += 1;
        }
        for _ in 0..2 {
            let admissions = desk.connection.submit_many("degree", batch.clone()).await?;
            let admitted = admissions.iter().filter(|a| a.code() == Code::Ok).count();
            taken.fetch_add(u64::try_from(admitted)?, Ordering::Relaxed);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_flooded_side_chain_harms_no_other() -> anyhow::Result<()> {
    let cluster = Cluster::start(ClusterOptions::default()).await?;
    let desk = Desk::open(&cluster, &[3]).await?;
    let citizen = desk.register(AccountKind::Citizen).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let taken = Arc::new(AtomicU64::new(0));
    let mut floods = tokio::task::JoinSet::new();
    for node in [0, 1] {
        floods.spawn(flood(
            desk.at(&cluster, &[node]).await?,
            Arc::clone(&stop),
            Arc::clone(&taken),
            u64::try_from(node)? * 1_000_000_000,
        ));
    }
    let agency = &desk.office.agency;
    let begun = Instant::now();
    let mut round = 0;
    while begun.elapsed() < LASTS || taken.load(Ordering::Relaxed) < ENOUGH {
        ensure!(begun.elapsed() < PATIENCE, "the flood does not come");
        let started = Instant::now();
        let fields = values("health", round)?;
        let holders = [&citizen];
        let health = desk.issue("health", agency, &holders, &fields);
        let (registered, issued) = futures::future::join(
            tokio::time::timeout(UNHARMED, desk.register(AccountKind::Citizen)),
            tokio::time::timeout(UNHARMED, health),
        )
        .await;
        registered.context("main was harmed")??;
        issued.context("the health chain was harmed")??;
        println!("round {round}: {:?}", started.elapsed());
        round += 1;
    }
    let flooded = taken.load(Ordering::Relaxed);
    println!("{flooded} transactions of the flood were admitted");
    stop.store(true, Ordering::Relaxed);
    while let Some(flood) = floods.join_next().await {
        flood??;
    }
    // The flood is decided, too, and the flooded chain is anchored again.
    let degree = desk
        .issue("degree", agency, &[&citizen], &values("degree", 7)?)
        .await?;
    let height = degree.receipt()?.height;
    desk.wait_anchor("degree", height, PATIENCE).await?;
    let ending = cluster.finish_audited().await?;
    anchors_are_confirmed(&ending.reports)
}
