//! The load generator: what a network of four nodes on this one machine takes, how fast, and at
//! what price. Signs ahead, submits over gRPC, prints a table for people and JSON for programs.
//!
//! Whatever is measured on the machine itself (signatures, synced writes) comes from the same run,
//! so that figures of different machines can be compared.

mod certificates;
mod failover;
mod figures;
mod flood;
mod latency;
mod machine;
mod throughput;
mod usage;

use std::path::PathBuf;

use anyhow::Context as _;
use certchain_config::Timers;
use certchain_tests::cluster::{Cluster, ClusterOptions, binaries::profile_folder};
use clap::Parser;

use certificates::Amounts;
use figures::Figures;

/// Measures a network of real nodes on this machine.
#[derive(Debug, Parser)]
struct Args {
    /// Write the figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Number of nodes.
    #[arg(long, default_value_t = 4)]
    nodes: usize,
    /// Registrations of the throughput run.
    #[arg(long, default_value_t = 60_000)]
    transactions: u64,
    /// Certificates that are issued one by one; 0 leaves certificates out.
    #[arg(long, default_value_t = 20_000)]
    certificates: u64,
    /// Certificates that are issued in batches.
    #[arg(long, default_value_t = 60_000)]
    batch_certificates: u64,
    /// Seconds of the latency run, at 100 registrations a second.
    #[arg(long, default_value_t = 15)]
    latency_seconds: u64,
    /// How often the primary is killed under load; 0 leaves that out.
    #[arg(long, default_value_t = 25)]
    deaths: usize,
    /// Registrations of each run with and without a validator that floods; 0 leaves that out.
    #[arg(long, default_value_t = 10_000)]
    flooded: u64,
    /// Keys in the state tree that is updated; 0 leaves the tree out.
    #[arg(long, default_value_t = 1_000_000)]
    tree_keys: u64,
    /// Where the nodes' folders and the tree are made; it should be on the disk that counts. By
    /// default beside the programs.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let dir = match &args.dir {
        Some(dir) => dir.clone(),
        None => profile_folder()?.join("bench-data"),
    };
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    let mut figures = Figures::default();
    machine::measure(&dir, &mut figures)?;
    if args.tree_keys > 0 {
        machine::measure_tree(&dir, args.tree_keys, &mut figures)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    if args.transactions > 0 {
        runtime.block_on(measure_network(&args, dir.clone(), &mut figures))?;
    }
    if args.certificates > 0 {
        let amounts = Amounts {
            nodes: args.nodes,
            single: args.certificates,
            batched: args.batch_certificates,
        };
        runtime.block_on(certificates::measure(amounts, &dir, &mut figures))?;
    }
    if args.deaths > 0 {
        let run = failover::measure(args.deaths, args.nodes, dir.clone(), &mut figures);
        runtime.block_on(run)?;
    }
    if args.flooded > 0 {
        runtime.block_on(flood::measure(args.flooded, dir.clone(), &mut figures))?;
    }
    print!("{}", figures.to_table());
    if let Some(file) = &args.json {
        let text = serde_json::to_string_pretty(&figures.to_json())? + "\n";
        std::fs::write(file, text).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

async fn measure_network(args: &Args, dir: PathBuf, figures: &mut Figures) -> anyhow::Result<()> {
    // The network as operators get it: default limits and timers.
    let options = ClusterOptions {
        nodes: args.nodes,
        timers: Timers::default(),
        parent: Some(dir),
        ..ClusterOptions::default()
    };
    let mut cluster = Cluster::start(options).await?;
    latency::measure(&cluster, args.latency_seconds, figures).await?;
    let load = throughput::sign_ahead(&cluster, 0, args.transactions, figures).await?;
    let before = usage::store_bytes(&cluster)?;
    let processor = usage::processor_seconds(&cluster)?;
    throughput::measure(&cluster, load, figures).await?;
    let processor = usage::processor_seconds(&cluster)? - processor;
    let (count, nodes) = (args.transactions as f64, args.nodes as f64);
    figures.set(
        "node_cpu_us_per_transaction",
        processor * 1e6 / count / nodes,
    );
    usage::memory(&cluster, figures)?;
    certchain_tests::cluster::check::agreement(&cluster).await?;
    cluster.terminate().await?;
    let after = usage::store_bytes(&cluster)?;
    figures.set("bytes_per_transaction", (after - before) / count);
    usage::replay(&cluster, figures).await?;
    cluster.dismiss();
    Ok(())
}
