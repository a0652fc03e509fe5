//! How long a registration takes at a quiet, steady rate.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use certchain_proto::wire::v1::Code;
use certchain_tests::cluster::{Client, Cluster, Node};
use hdrhistogram::Histogram;
use tokio::{task::JoinSet, time::Instant};

use crate::figures::Figures;

/// Registrations per second.
const RATE: u64 = 100;
/// Registrations before the measured ones, so that connections exist and caches are warm.
const WARM_UP: u64 = RATE;
/// First number of the people of this run.
const FIRST_PERSON: u64 = 1 << 40;

/// Submits at a fixed rate, in turn to all nodes, whether or not earlier ones are decided. The time
/// counts from the moment at which a registration was due, so that a stalled generator shows.
pub async fn measure(cluster: &Cluster, seconds: u64, figures: &mut Figures) -> anyhow::Result<()> {
    let clients: Vec<Client> = cluster
        .nodes
        .iter()
        .map(Node::client)
        .collect::<Result<_, _>>()?;
    let office = Arc::clone(&cluster.office);
    let count = WARM_UP + RATE * seconds;
    let signed: Vec<_> = (0..count)
        .map(|number| office.register(FIRST_PERSON + number))
        .collect();
    let mut waits = JoinSet::new();
    let started = Instant::now();
    for (number, (transaction, client)) in
        (0u64..).zip(signed.into_iter().zip(clients.iter().cycle()))
    {
        let due = started + Duration::from_micros(number * 1_000_000 / RATE);
        tokio::time::sleep_until(due).await;
        let client = client.clone();
        waits.spawn(async move {
            let receipt = client.submit_and_wait(transaction).await?;
            Ok::<_, tonic::Status>((number, receipt.code, due.elapsed()))
        });
    }
    let mut times = Histogram::<u64>::new(3)?;
    while let Some(ended) = waits.join_next().await {
        let (number, code, time) = ended.context("a waiting task failed")??;
        ensure!(
            code == i32::from(Code::Ok),
            "a registration failed with code {code}"
        );
        if number >= WARM_UP {
            times.record(u64::try_from(time.as_micros())?.max(1))?;
        }
    }
    let ms = |micros: u64| micros as f64 / 1e3;
    figures.set("commit_p50_ms", ms(times.value_at_quantile(0.5)));
    figures.set("commit_p99_ms", ms(times.value_at_quantile(0.99)));
    figures.set("commit_max_ms", ms(times.max()));
    Ok(())
}
