//! How many registrations a second the network decides when there is always work.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use certchain_proto::wire::v1::{Code, SignedTransaction, StreamBlocksRequest, SubmitManyRequest};
use certchain_tests::cluster::{Client, Cluster, Node};
use futures::StreamExt as _;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};
use tokio_stream::wrappers::ReceiverStream;

use crate::figures::Figures;

/// Registrations of one message of a stream.
const BATCH: usize = 250;
/// Registrations that are submitted and not decided yet: enough for full blocks, less than the
/// share of the mempool that one agency has.
const AHEAD: u64 = 8_000;
/// Longest time without a new block.
const PATIENCE: Duration = Duration::from_secs(60);

/// Signs registrations of the people from `first` on ahead, on all processors.
pub async fn sign_ahead(
    cluster: &Cluster,
    first: u64,
    count: u64,
    figures: &mut Figures,
) -> anyhow::Result<Vec<Vec<SignedTransaction>>> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let share = count.div_ceil(workers);
    let mut tasks = Vec::new();
    for worker in 0..workers {
        let office = Arc::clone(&cluster.office);
        let numbers = first + worker * share..first + ((worker + 1) * share).min(count);
        tasks.push(tokio::task::spawn_blocking(move || {
            let started = Instant::now();
            let signed: Vec<SignedTransaction> =
                numbers.map(|number| office.register(number)).collect();
            (signed, started.elapsed().as_secs_f64())
        }));
    }
    let mut batches = Vec::new();
    let mut time = 0.0;
    for task in tasks {
        let (signed, seconds) = task.await?;
        time += seconds;
        batches.extend(signed.chunks(BATCH).map(<[SignedTransaction]>::to_vec));
    }
    figures.set("sign_us", time * 1e6 / count.max(1) as f64);
    Ok(batches)
}

/// What the load and the watcher of blocks share.
#[derive(Default)]
struct Progress {
    submitted: AtomicU64,
    decided: AtomicU64,
    changed: Notify,
}

/// What is streamed into a network.
pub struct Load {
    /// The chain.
    pub chain: &'static str,
    /// Signed transactions, in the messages that carry them.
    pub groups: Vec<Vec<SignedTransaction>>,
    /// Most transactions that are submitted and not decided yet.
    pub ahead: u64,
}

/// How a load went.
pub struct Done {
    /// From the first message to the last decision.
    pub seconds: f64,
    /// Transactions in blocks before the last.
    in_full: u64,
    /// Those blocks.
    full_blocks: u64,
    /// Seconds that answers took, summed over messages.
    answer_time: f64,
    /// Transactions answered.
    answers: f64,
}

/// Streams registrations and tells the figures of it.
pub async fn measure(
    cluster: &Cluster,
    batches: Vec<Vec<SignedTransaction>>,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let total: u64 = batches.iter().map(|batch| batch.len() as u64).sum();
    let load = Load {
        chain: "main",
        groups: batches,
        ahead: AHEAD,
    };
    let done = drive(cluster, load).await?;
    let float = |number: u64| number as f64;
    figures.set("nodes", float(cluster.nodes.len() as u64));
    figures.set("transactions", float(total));
    figures.set("transactions_per_s", float(total) / done.seconds);
    figures.set(
        "loaded_block_transactions",
        float(done.in_full) / float(done.full_blocks.max(1)),
    );
    figures.set(
        "submit_many_us",
        done.answer_time * 1e6 / f64::max(done.answers, 1.0),
    );
    Ok(())
}

/// Streams a load into all running nodes in turn and watches the blocks of the first.
pub async fn drive(cluster: &Cluster, load: Load) -> anyhow::Result<Done> {
    let Load {
        chain,
        groups: batches,
        ahead,
    } = load;
    let total: u64 = batches.iter().map(|batch| batch.len() as u64).sum();
    let clients: Vec<Client> = cluster
        .nodes
        .iter()
        .filter(|node| node.is_running())
        .map(Node::client)
        .collect::<Result<_, _>>()?;
    let progress = Arc::new(Progress::default());
    let watcher = clients.first().context("there is no node")?.clone();
    let request = StreamBlocksRequest {
        chain: chain.to_owned(),
        header_only: true,
        ..Default::default()
    };
    let mut blocks = watcher
        .chains
        .clone()
        .stream_blocks(request)
        .await?
        .into_inner();

    let mut tasks = JoinSet::new();
    let mut senders = Vec::new();
    for client in &clients {
        let (sender, receiver) = mpsc::channel(1);
        senders.push(sender);
        tasks.spawn(feed(client.clone(), chain, receiver));
    }
    let started = Instant::now();
    let feeder = Arc::clone(&progress);
    let feeding = tokio::spawn(async move {
        for (batch, sender) in batches.into_iter().zip(senders.iter().cycle()) {
            let count = batch.len() as u64;
            loop {
                let changed = feeder.changed.notified();
                let submitted = feeder.submitted.load(Ordering::Relaxed);
                if submitted - feeder.decided.load(Ordering::Relaxed).min(submitted) < ahead {
                    break;
                }
                changed.await;
            }
            feeder.submitted.fetch_add(count, Ordering::Relaxed);
            if sender.send(batch).await.is_err() {
                return;
            }
        }
    });

    let (mut decided, mut full_blocks, mut in_full) = (0u64, 0u64, 0u64);
    while decided < total {
        let next = tokio::time::timeout(PATIENCE, blocks.next()).await;
        let next = next.with_context(|| format!("no block after {decided} of {total}"))?;
        let block = next.context("the stream of blocks ended")??.block;
        let header = block.and_then(|block| block.header).context("no header")?;
        let count = u64::from(header.tx_count);
        decided += count;
        if count > 0 && decided < total {
            full_blocks += 1;
            in_full += count;
        }
        progress.decided.store(decided, Ordering::Relaxed);
        progress.changed.notify_waiters();
    }
    let seconds = started.elapsed().as_secs_f64();
    feeding.await?;
    let (mut answer_time, mut answers) = (0.0, 0.0);
    while let Some(ended) = tasks.join_next().await {
        let (time, count) = ended??;
        answer_time += time;
        answers += count;
    }
    Ok(Done {
        seconds,
        in_full,
        full_blocks,
        answer_time,
        answers,
    })
}

/// Streams batches into one node; every transaction must be admitted. Gives the seconds that
/// answers took, summed over batches, and the transactions answered.
async fn feed(
    client: Client,
    chain: &'static str,
    mut batches: mpsc::Receiver<Vec<SignedTransaction>>,
) -> anyhow::Result<(f64, f64)> {
    let (sender, receiver) = mpsc::channel::<SubmitManyRequest>(1);
    let stream = client
        .transactions
        .clone()
        .submit_stream(ReceiverStream::new(receiver))
        .await?;
    let mut answers = stream.into_inner();
    let (mut time, mut count) = (0.0, 0.0);
    while let Some(transactions) = batches.recv().await {
        let sent = Instant::now();
        let request = SubmitManyRequest {
            chain: chain.to_owned(),
            transactions,
        };
        sender
            .send(request)
            .await
            .context("the stream of submissions broke")?;
        let answer = answers
            .next()
            .await
            .context("the stream of answers ended")??;
        for admission in answer.admissions {
            ensure!(
                admission.code == i32::from(Code::Ok),
                "a transaction is refused with code {}: {}",
                admission.code,
                admission.message
            );
            count += 1.0;
        }
        time += sent.elapsed().as_secs_f64();
    }
    Ok((time, count))
}
