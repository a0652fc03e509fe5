//! Certificates: how many a second one by one and by batch, how long a check takes, what one costs on
//! disk, how far main's anchors lag, and what a proof off line takes.

use std::{path::Path, time::Instant};

use anyhow::{Context as _, ensure};
use certchain_client::{
    certificate::PreparedCertificate,
    wallet::{AccountKind, Wallet},
};
use certchain_config::Timers;
use certchain_proto::wire::v1::{CheckResult, SignedTransaction};
use certchain_sidechain::{
    pack::{MainTrust, Pack},
    presentation::Audience,
};
use certchain_tests::cluster::{
    Cluster, ClusterOptions, certificates::Desk, check::agreement, issuing::values, wait::PATIENCE,
};

use crate::{
    figures::Figures,
    throughput::{Load, drive},
    usage,
};

/// The chain that is loaded.
const CHAIN: &str = "degree";
/// Transactions of one message of a stream.
const GROUP: usize = 100;
/// Certificates of one batch: as many as a transaction of 64 KiB holds with room to spare.
const LINES: usize = 100;
/// Checks whose time is taken.
const CHECKS: usize = 100;
/// Times that a pack is verified.
const VERIFICATIONS: usize = 200;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Amounts {
    /// Nodes.
    pub nodes: usize,
    /// Certificates that are issued one by one.
    pub single: u64,
    /// Certificates that are issued in batches.
    pub batched: u64,
}

/// Measures networks of their own, so that what came before does not weigh on them.
pub async fn measure(amounts: Amounts, dir: &Path, figures: &mut Figures) -> anyhow::Result<()> {
    one_by_one(amounts, dir, figures).await?;
    by_batch(amounts, dir, figures).await
}

async fn start(amounts: Amounts, dir: &Path) -> anyhow::Result<Cluster> {
    Cluster::start(ClusterOptions {
        nodes: amounts.nodes,
        timers: Timers::default(),
        parent: Some(dir.to_owned()),
        ..ClusterOptions::default()
    })
    .await
}

async fn one_by_one(amounts: Amounts, dir: &Path, figures: &mut Figures) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut cluster = start(amounts, dir).await?;
    figures.set("start_s", started.elapsed().as_secs_f64());
    let nodes: Vec<usize> = (0..amounts.nodes).collect();
    let desk = Desk::open(&cluster, &nodes).await?;
    let holder = desk.register(AccountKind::Citizen).await?;
    let prepared = prepare_ahead(&desk, &holder, amounts.single).await?;
    let ciphertext = mean_ciphertext(&prepared);
    let school = &cluster.office.school;
    let mut transactions = Vec::with_capacity(prepared.len());
    for one in &prepared {
        transactions.push(desk.issuance(school, one, &[])?);
    }
    let before = usage::store_bytes(&cluster)?;
    let load = Load {
        chain: CHAIN,
        groups: groups(transactions),
        ahead: 8_000,
    };
    let done = drive(&cluster, load).await?;
    figures.set("certificates_per_s", amounts.single as f64 / done.seconds);
    checks(&desk, &cluster, &holder, figures).await?;
    off_line(&desk, &cluster, &holder, figures).await?;
    usage::memory(&cluster, figures)?;
    agreement(&cluster).await?;
    cluster.terminate().await?;
    let grown = usage::store_bytes(&cluster)? - before;
    let each = grown / amounts.single as f64 - ciphertext;
    figures.set("bytes_per_certificate", each);
    cluster.dismiss();
    Ok(())
}

async fn by_batch(amounts: Amounts, dir: &Path, figures: &mut Figures) -> anyhow::Result<()> {
    let mut cluster = start(amounts, dir).await?;
    let nodes: Vec<usize> = (0..amounts.nodes).collect();
    let desk = Desk::open(&cluster, &nodes).await?;
    let holder = desk.register(AccountKind::Citizen).await?;
    let prepared = prepare_ahead(&desk, &holder, amounts.batched).await?;
    let mut transactions = Vec::new();
    for lines in prepared.chunks(LINES) {
        transactions.push(desk.batch(&cluster.office.school, lines)?);
    }
    let load = Load {
        chain: CHAIN,
        groups: transactions.into_iter().map(|one| vec![one]).collect(),
        ahead: 64,
    };
    let done = drive(&cluster, load).await?;
    figures.set(
        "batch_certificates_per_s",
        prepared.len() as f64 / done.seconds,
    );
    agreement(&cluster).await?;
    cluster.terminate().await?;
    cluster.dismiss();
    Ok(())
}

/// Drafts and encrypts on all processors.
async fn prepare_ahead(
    desk: &Desk,
    holder: &Wallet,
    count: u64,
) -> anyhow::Result<Vec<PreparedCertificate>> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let share = count.div_ceil(workers);
    let recipient = certchain_client::certificate::Recipient::from(holder.account());
    let issuer = desk.office.school.address;
    let mut tasks = Vec::new();
    for worker in 0..workers {
        let numbers = worker * share..((worker + 1) * share).min(count);
        let (desk, recipient) = (desk.clone(), recipient);
        tasks.push(tokio::task::spawn_blocking(move || {
            numbers
                .map(|number| {
                    let fields = values(CHAIN, number)?;
                    desk.prepare_for(CHAIN, issuer, std::slice::from_ref(&recipient), &fields)
                })
                .collect::<anyhow::Result<Vec<_>>>()
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await??);
    }
    Ok(all)
}

fn groups(transactions: Vec<SignedTransaction>) -> Vec<Vec<SignedTransaction>> {
    transactions.chunks(GROUP).map(<[_]>::to_vec).collect()
}

fn mean_ciphertext(prepared: &[PreparedCertificate]) -> f64 {
    let bytes: usize = prepared
        .iter()
        .flat_map(|one| &one.draft.encrypted)
        .map(prost::Message::encoded_len)
        .sum();
    bytes as f64 / prepared.len().max(1) as f64
}

/// From a presentation in the verifier's hands to the chain's result.
async fn checks(
    desk: &Desk,
    cluster: &Cluster,
    holder: &Wallet,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let verifier = desk.register(AccountKind::Verifier).await?;
    let fields = values(CHAIN, u64::MAX)?;
    let issued = desk
        .issue(CHAIN, &cluster.office.school, &[holder], &fields)
        .await?;
    desk.accept(CHAIN, issued.id(), holder).await?;
    let mut times = Vec::with_capacity(CHECKS);
    for _ in 0..CHECKS {
        let audience = Audience::Verifier(verifier.address());
        let package = desk.present(&issued, holder, &["level"], audience)?;
        let started = Instant::now();
        let answer = desk.check(CHAIN, &verifier, package.signed()).await?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        ensure!(answer.result == CheckResult::Valid as i32, "{answer:?}");
    }
    figures.set("check_p50_ms", median(&mut times));
    Ok(())
}

/// Proofs without a node.
async fn off_line(
    desk: &Desk,
    cluster: &Cluster,
    holder: &Wallet,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let fields = values(CHAIN, u64::MAX - 1)?;
    let issued = desk
        .issue(CHAIN, &cluster.office.school, &[holder], &fields)
        .await?;
    let receipt = issued.sent.receipt.as_ref().context("no receipt")?;
    let decided = Instant::now();
    desk.wait_anchor(CHAIN, receipt.height, PATIENCE).await?;
    figures.set("anchor_lag_s", decided.elapsed().as_secs_f64());
    let answer = desk
        .connection
        .pack(CHAIN, &issued.id(), &holder.address())
        .await?;
    let genesis = &cluster.genesis;
    let trust = MainTrust::validators(genesis.chain_id(), genesis.validator_set().clone());
    let mut times = Vec::with_capacity(VERIFICATIONS);
    for _ in 0..VERIFICATIONS {
        let started = Instant::now();
        Pack::decode(&answer.encoded_pack)?.verify(&trust)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    figures.set("offline_verify_ms", median(&mut times));
    figures.set("pack_bytes", answer.encoded_pack.len() as f64);
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
