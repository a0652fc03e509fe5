//! Registrations that keep coming while a test breaks things, and the account of what became of
//! each of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use certchain_proto::{
    hash::TransactionId,
    wire::v1::{Code, Receipt, SignedTransaction},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::task::JoinSet;

use super::{
    Client, Cluster, Office,
    check::Place,
    wait::{PATIENCE, until},
};

/// Registrations of one submission.
const BATCH: u64 = 8;
/// How long a worker waits for a receipt before it goes on; what is open is settled at the end.
const RECEIPT_WAIT: Duration = Duration::from_secs(4);
/// Questions to one node at a time.
const AT_ONCE: usize = 32;

/// A transaction that a node has said yes to.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// As signed.
    pub transaction: SignedTransaction,
    /// Which node.
    pub node: usize,
    /// The receipt, if one was seen.
    pub receipt: Option<Receipt>,
}

/// What became of a load.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// All that was admitted.
    pub admitted: BTreeMap<TransactionId, Admitted>,
    /// Requests that failed, as they do when their node is killed.
    pub failures: u64,
}

/// A running load: one worker per node.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    decided: Arc<AtomicU64>,
    workers: JoinSet<Report>,
}

impl Load {
    /// Starts to register the people from `first` on.
    ///
    /// # Errors
    /// If a node's address is none.
    pub fn start(cluster: &Cluster, first: u64) -> anyhow::Result<Self> {
        Self::start_paced(cluster, first, Duration::ZERO)
    }

    /// [`Self::start`] with a pause of each worker between two submissions.
    ///
    /// # Errors
    /// As there.
    pub fn start_paced(cluster: &Cluster, first: u64, pace: Duration) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let decided = Arc::new(AtomicU64::new(0));
        let next = Arc::new(AtomicU64::new(first));
        let mut workers = JoinSet::new();
        for (index, node) in cluster.nodes.iter().enumerate() {
            let worker = Worker {
                index,
                client: node.client()?,
                office: Arc::clone(&cluster.office),
                pace,
                next: Arc::clone(&next),
                stop: Arc::clone(&stop),
                decided: Arc::clone(&decided),
            };
            workers.spawn(worker.run());
        }
        Ok(Self {
            stop,
            decided,
            workers,
        })
    }

    /// Receipts seen so far.
    pub fn decided(&self) -> u64 {
        self.decided.load(Ordering::Relaxed)
    }

    /// Waits until this many more receipts have been seen.
    ///
    /// # Errors
    /// If they do not come.
    pub async fn wait_more(&self, count: u64) -> anyhow::Result<()> {
        let goal = self.decided() + count;
        until(&format!("{count} more receipts"), PATIENCE, || async {
            ensure!(self.decided() >= goal, "{} of {goal}", self.decided());
            Ok(())
        })
        .await
    }

    /// Ends the load.
    ///
    /// # Errors
    /// If a worker failed.
    pub async fn finish(mut self) -> anyhow::Result<Report> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Report::default();
        while let Some(report) = self.workers.join_next().await {
            let report = report.context("a worker of the load failed")?;
            all.admitted.extend(report.admitted);
            all.failures += report.failures;
        }
        Ok(all)
    }
}

struct Worker {
    index: usize,
    client: Client,
    office: Arc<Office>,
    pace: Duration,
    next: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    decided: Arc<AtomicU64>,
}

impl Worker {
    async fn run(self) -> Report {
        let mut report = Report::default();
        while !self.stop.load(Ordering::Relaxed) {
            let first = self.next.fetch_add(BATCH, Ordering::Relaxed);
            let batch: Vec<_> = (first..first + BATCH)
                .map(|number| self.office.register(number))
                .collect();
            match self.client.submit_many(batch.clone()).await {
                Ok(admissions) => {
                    let admitted: Vec<_> = admissions
                        .iter()
                        .zip(batch)
                        .filter(|(admission, _)| admission.code == i32::from(Code::Ok))
                        .filter_map(|(admission, transaction)| {
                            let id = TransactionId::from_slice(&admission.transaction_id)?;
                            Some((id, transaction))
                        })
                        .collect();
                    self.follow(admitted, &mut report).await;
                    tokio::time::sleep(self.pace).await;
                }
                Err(_) => {
                    report.failures += 1;
                    // Its node may be down for a while.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        report
    }

    async fn follow(&self, admitted: Vec<(TransactionId, SignedTransaction)>, report: &mut Report) {
        let waits = admitted
            .iter()
            .map(|(id, _)| self.client.wait_receipt(id, RECEIPT_WAIT));
        let receipts = futures::future::join_all(waits).await;
        for ((id, transaction), receipt) in admitted.into_iter().zip(receipts) {
            match &receipt {
                Ok(_) => {
                    self.decided.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => report.failures += 1,
            }
            let receipt = receipt.ok();
            report.admitted.insert(
                id,
                Admitted {
                    transaction,
                    node: self.index,
                    receipt,
                },
            );
        }
    }
}

impl Report {
    /// Checks that nothing acknowledged is lost: every receipt that was seen stands on every node,
    /// in the same place; whatever a node admitted that was not killed since is decided by itself;
    /// what one of the `killed` admitted is decided after it is handed in again, once. Gives the
    /// number of transactions.
    ///
    /// # Errors
    /// If something is lost, is decided otherwise, or differs between nodes.
    pub async fn settle(&self, cluster: &Cluster, killed: &[usize]) -> anyhow::Result<usize> {
        ensure!(!self.admitted.is_empty(), "the load has admitted nothing");
        let killed: BTreeSet<usize> = killed.iter().copied().collect();
        let running = cluster.nodes.iter().position(super::Node::is_running);
        let running = running.context("no node runs")?;
        let helper = cluster
            .nodes
            .get(running)
            .context("no node runs")?
            .client()?;
        stream::iter(&self.admitted)
            .map(|(id, admitted)| settle_one(&helper, id, admitted, &killed))
            .buffer_unordered(AT_ONCE)
            .try_for_each(|()| async { Ok(()) })
            .await?;
        let mut places: Option<BTreeMap<TransactionId, Place>> = None;
        for node in cluster.nodes.iter().filter(|node| node.is_running()) {
            let client = node.client()?;
            let found: BTreeMap<TransactionId, Place> = stream::iter(self.admitted.keys())
                .map(|id| place_on(&client, id))
                .buffer_unordered(AT_ONCE)
                .try_collect()
                .await
                .with_context(|| node.name.clone())?;
            match &places {
                None => places = Some(found),
                Some(first) => {
                    ensure!(
                        *first == found,
                        "{} has receipts that others do not have",
                        node.name
                    );
                }
            }
        }
        let places = places.context("no node runs")?;
        for (id, admitted) in &self.admitted {
            let place = places.get(id).context("a transaction without place")?;
            if let Some(receipt) = &admitted.receipt {
                ensure!(
                    Place::from(receipt) == *place,
                    "{id} is decided otherwise than told"
                );
            }
        }
        Ok(self.admitted.len())
    }
}

async fn settle_one(
    helper: &Client,
    id: &TransactionId,
    admitted: &Admitted,
    killed: &BTreeSet<usize>,
) -> anyhow::Result<()> {
    if admitted.receipt.is_none() && killed.contains(&admitted.node) {
        // Its mempool died with it, unless others had heard of the transaction.
        match helper.submit(admitted.transaction.clone()).await {
            Ok(_) => {}
            Err(status) if super::client::refusal_code(&status) == Some("CODE_REPLAYED") => {}
            Err(status) => bail!("{id} was admitted once and is refused now: {status}"),
        }
    }
    let receipt = helper.wait_receipt(id, PATIENCE).await;
    let receipt =
        receipt.with_context(|| format!("{id}, admitted by node {}, is lost", admitted.node))?;
    ensure!(
        receipt.code == i32::from(Code::Ok),
        "{id} failed with code {}",
        receipt.code
    );
    Ok(())
}

async fn place_on(client: &Client, id: &TransactionId) -> anyhow::Result<(TransactionId, Place)> {
    let receipt = client.wait_receipt(id, PATIENCE).await;
    let receipt = receipt.with_context(|| format!("{id} has no receipt"))?;
    Ok((*id, Place::from(&receipt)))
}
