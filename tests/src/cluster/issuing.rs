//! Certificates that keep being issued while a test breaks things, and the account of what became of
//! each of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use certchain_client::{
    connection::ConnectionError,
    wallet::{AccountKind, Wallet},
};
use certchain_proto::{
    hash::CertificateId,
    transaction::transaction_id,
    wire::v1::{Code, Receipt, SignedTransaction},
};
use tokio::task::JoinSet;

use super::{
    Cluster,
    certificates::{Desk, field},
    check::Place,
    wait::{PATIENCE, until},
};

/// One certificate of the load.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Its chain.
    pub chain: &'static str,
    /// Its id.
    pub certificate: CertificateId,
    /// What was signed.
    pub transaction: SignedTransaction,
    /// The receipt, if one was seen.
    pub receipt: Option<Receipt>,
}

/// A running load: workers at every node for each chain.
#[derive(Debug)]
pub struct Issuing {
    stop: Arc<AtomicBool>,
    acknowledged: BTreeMap<&'static str, Arc<AtomicU64>>,
    workers: JoinSet<anyhow::Result<Vec<Sent>>>,
}

/// Fields that a certificate of a chain may have.
///
/// # Errors
/// If the load knows no such chain.
pub fn values(chain: &str, number: u64) -> anyhow::Result<Vec<(String, String)>> {
    match chain {
        "degree" => Ok(vec![
            field("school", "University"),
            field("subject", format!("Subject {number}")),
            field("level", "Bachelor"),
            field("awarded_on", "2026-06-30"),
        ]),
        "health" => Ok(vec![
            field("occupation", format!("Cook {number}")),
            field("examined_on", "2026-09-01"),
            field("clinic", "Clinic 1"),
        ]),
        _ => anyhow::bail!("no values for chain {chain}"),
    }
}

impl Issuing {
    /// Starts to issue on these chains, through every node, to holders who are registered first.
    ///
    /// # Errors
    /// If a holder cannot be registered.
    pub async fn start(cluster: &Cluster, chains: &[&'static str]) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut acknowledged = BTreeMap::new();
        let mut workers = JoinSet::new();
        let desk = Desk::open(cluster, &[0]).await?;
        let mut holders = Vec::new();
        for _ in 0..chains.len() * cluster.nodes.len() {
            holders.push(desk.register(AccountKind::Citizen).await?);
        }
        // Every node knows the holders before certificates are asked of it.
        let height = cluster.node(0)?.status().await?.height;
        for node in &cluster.nodes {
            node.wait_height(height, PATIENCE).await?;
        }
        for chain in chains {
            let counter = Arc::new(AtomicU64::new(0));
            for node in 0..cluster.nodes.len() {
                let worker = Worker {
                    chain,
                    holder: holders.pop().context("a holder for each worker")?,
                    desk: desk.at(cluster, &[node]).await?,
                    stop: Arc::clone(&stop),
                    acknowledged: Arc::clone(&counter),
                };
                workers.spawn(worker.run());
            }
            acknowledged.insert(*chain, counter);
        }
        Ok(Self {
            stop,
            acknowledged,
            workers,
        })
    }

    /// Waits until this many more certificates are acknowledged on each chain.
    ///
    /// # Errors
    /// If they do not come.
    pub async fn wait_more(&self, count: u64) -> anyhow::Result<()> {
        let reached = |counter: &Arc<AtomicU64>| counter.load(Ordering::Relaxed);
        let goals: Vec<(&str, u64)> = self
            .acknowledged
            .iter()
            .map(|(chain, counter)| (*chain, reached(counter) + count))
            .collect();
        until(&format!("{count} more certificates"), PATIENCE, || async {
            for (chain, goal) in &goals {
                let now = self
                    .acknowledged
                    .get(chain)
                    .map(reached)
                    .unwrap_or_default();
                ensure!(now >= *goal, "{now} of {goal} on {chain}");
            }
            Ok(())
        })
        .await
    }

    /// Ends the load.
    ///
    /// # Errors
    /// If a worker failed.
    pub async fn finish(mut self) -> anyhow::Result<Vec<Sent>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        while let Some(sent) = self.workers.join_next().await {
            all.extend(sent.context("a worker of the load failed")??);
        }
        Ok(all)
    }
}

struct Worker {
    chain: &'static str,
    holder: Wallet,
    desk: Desk,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
}

impl Worker {
    async fn run(self) -> anyhow::Result<Vec<Sent>> {
        let mut all = Vec::new();
        let issuer = &self.desk.office.agency;
        for number in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let values = values(self.chain, number)?;
            let holders = [&self.holder];
            let prepared = self
                .desk
                .prepare(self.chain, issuer.address, &holders, &values)?;
            let transaction = self.desk.issuance(issuer, &prepared, &holders)?;
            let answer = self
                .desk
                .connection
                .send_certificate(self.chain, transaction.clone())
                .await;
            let receipt = match answer {
                Ok(answer) => answer.receipt,
                // Its node may be down for a while; or it came back without knowing what it took.
                Err(error) if error.is_node_failure() || is_silence(&error) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    None
                }
                Err(error) => return Err(error.into()),
            };
            if receipt.is_some() {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            all.push(Sent {
                chain: self.chain,
                certificate: prepared.id,
                transaction,
                receipt,
            });
        }
        Ok(all)
    }
}

const fn is_silence(error: &ConnectionError) -> bool {
    matches!(error, ConnectionError::Timeout { .. })
}

/// Checks that nothing acknowledged is lost: every certificate whose receipt was seen stands on
/// every node, issued by the same transaction in the same place, and the serials of each chain have
/// no gaps. Gives the number of acknowledged certificates.
///
/// # Errors
/// If something is lost or differs.
pub async fn settle(cluster: &Cluster, sent: &[Sent]) -> anyhow::Result<usize> {
    let acknowledged: Vec<&Sent> = sent.iter().filter(|one| one.receipt.is_some()).collect();
    ensure!(!acknowledged.is_empty(), "nothing was acknowledged");
    for index in 0..cluster.nodes.len() {
        let desk = Desk::open(cluster, &[index]).await?;
        for one in &acknowledged {
            stands(&desk, one)
                .await
                .with_context(|| format!("node {index}, {}", one.chain))?;
        }
    }
    serials_have_no_gaps(cluster, sent).await?;
    Ok(acknowledged.len())
}

async fn stands(desk: &Desk, one: &Sent) -> anyhow::Result<()> {
    let told = one.receipt.as_ref().context("no receipt")?;
    let id = transaction_id(&one.transaction.body);
    let receipt = desk.connection.wait_receipt(one.chain, &id).await?;
    ensure!(
        Place::from(told) == Place::from(&receipt) && receipt.code == i32::from(Code::Ok),
        "{id} is decided otherwise than told"
    );
    let answer = desk
        .connection
        .certificate(one.chain, &one.certificate, false)
        .await?;
    let record = answer.certificate.context("no record")?;
    ensure!(
        record.issued_height == told.height && record.transaction_id == id.as_bytes(),
        "certificate {} was issued elsewhere",
        one.certificate
    );
    Ok(())
}

/// What was not acknowledged may be issued all the same; with it, the serials are 1, 2, 3 ...
async fn serials_have_no_gaps(cluster: &Cluster, sent: &[Sent]) -> anyhow::Result<()> {
    let desk = Desk::open(cluster, &[0]).await?;
    let mut serials: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for one in sent {
        let answer = desk
            .connection
            .certificate(one.chain, &one.certificate, false)
            .await;
        let record = match answer {
            Ok(answer) => answer.certificate.context("no record")?,
            Err(ConnectionError::Refused {
                code: Code::UnknownCertificate,
                ..
            }) if one.receipt.is_none() => continue,
            Err(error) => return Err(error.into()),
        };
        let first = serials.entry(one.chain).or_default().insert(record.serial);
        ensure!(first, "serial {} of {} twice", record.serial, one.chain);
    }
    for (chain, serials) in serials {
        let expected: BTreeSet<u64> = (1..=u64::try_from(serials.len())?).collect();
        ensure!(serials == expected, "the serials of {chain} have gaps");
    }
    Ok(())
}
