//! `certchain-node audit`: replay from genesis.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use certchain_config::{Genesis, node::MAIN};
use certchain_ledger::{
    audit::{self, AuditOptions, AuditReport},
    genesis::GenesisBlock,
};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

/// Exit code of an audit that found something.
const FAILED: u8 = 2;

/// Replays the main chain of a data directory from genesis and checks every signature, certificate,
/// root, receipt and validator set, and everything that the store holds against the replay. Works
/// beside a running node. Ends with 0 only if all holds, with 2 if something does not.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node's data directory.
    #[arg(long, value_name = "DATA")]
    pub dir: PathBuf,
    /// The network's genesis; by default genesis.toml in the data directory or up to three
    /// folders above it.
    #[arg(long, value_name = "FILE")]
    pub genesis: Option<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
    /// Threads that check signatures; by default all processors.
    #[arg(long)]
    pub threads: Option<usize>,
}

/// Audits and reports.
///
/// # Errors
/// If the audit cannot begin.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let genesis = GenesisBlock::main(&Genesis::load(&find_genesis(args)?)?)?;
    let bar = ProgressBar::no_length().with_style(ProgressStyle::with_template(
        "{bar:40} {pos}/{len} blocks, {msg} transactions, {eta} left",
    )?);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let options = AuditOptions {
        threads: args.threads.unwrap_or(cores).max(1),
        ..AuditOptions::default()
    };
    let started = Instant::now();
    let report = audit::run(
        &args.dir.join("store"),
        MAIN,
        &genesis,
        options,
        &mut |progress| {
            bar.set_length(progress.head.get());
            bar.set_position(progress.height.get());
            bar.set_message(progress.transactions.to_string());
        },
    );
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    if args.json {
        print_json(&report, seconds)?;
    } else {
        print_text(&report, seconds);
    }
    Ok(if report.failure.is_none() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    })
}

fn find_genesis(args: &Args) -> anyhow::Result<PathBuf> {
    if let Some(file) = &args.genesis {
        return Ok(file.clone());
    }
    // A devnet's genesis lies beside the folder of its nodes, three levels up.
    let absolute = std::path::absolute(&args.dir)?;
    let candidates: Vec<PathBuf> = absolute
        .ancestors()
        .take(4)
        .map(|folder| folder.join("genesis.toml"))
        .collect();
    candidates
        .into_iter()
        .find(|file| file.is_file())
        .ok_or_else(|| {
            anyhow::anyhow!(
                "no genesis.toml in or above {}; name it with --genesis",
                args.dir.display()
            )
        })
}

fn print_json(report: &AuditReport, seconds: f64) -> anyhow::Result<()> {
    let failure = report.failure.as_ref().map(
        |failure| json!({ "height": failure.height.map(|h| h.get()), "reason": failure.reason }),
    );
    let document = json!({
        "chain": MAIN,
        "ok": report.failure.is_none(),
        "height": report.height.get(),
        "head": report.head.get(),
        "transactions": report.transactions,
        "seconds": seconds,
        "failure": failure,
    });
    println!("{}", serde_json::to_string_pretty(&document)?);
    Ok(())
}

fn print_text(report: &AuditReport, seconds: f64) {
    println!(
        "chain {MAIN}: {} of {} blocks, {} transactions replayed in {seconds:.1} s",
        report.height, report.head, report.transactions
    );
    match &report.failure {
        None => println!("all holds: signatures, certificates, roots, receipts, validator sets"),
        Some(failure) => match failure.height {
            Some(height) => println!("FAILED at height {height}: {}", failure.reason),
            None => println!("FAILED: {}", failure.reason),
        },
    }
}
