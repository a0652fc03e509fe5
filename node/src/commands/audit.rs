//! `certchain-node audit`: replay from genesis.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use super::story;
use anyhow::Context as _;
use certchain_config::{Genesis, catalogue::SideChain, node::MAIN};
use certchain_ledger::{
    audit::{self, AnchorReport, AuditOptions, AuditReport, AuditRules, Failure},
    execution::Application,
    genesis::GenesisBlock,
};
use certchain_proto::hash::CertificateId;
use certchain_sidechain::{
    anchor::MainApplication, certificate::CertificateApplication, network::NetworkGenesis,
};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

/// Exit code of an audit that found something.
const FAILED: u8 = 2;

/// Replays the chains of a data directory from genesis and checks every signature, certificate,
/// root, receipt and validator set, every identity answer of the side chains, every anchor, and
/// everything that the store holds against the replay. Works beside a running node. Ends with 0
/// only if all holds, with 2 if something does not.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node's data directory.
    #[arg(long, value_name = "DATA")]
    pub dir: PathBuf,
    /// The network's genesis; by default genesis.toml in the data directory or up to three
    /// folders above it.
    #[arg(long, value_name = "FILE")]
    pub genesis: Option<PathBuf>,
    /// Only this chain, and main, on which the others stand; may be given more than once. By default
    /// all six, and one that the data directory does not hold is a finding.
    #[arg(long, value_name = "NAME")]
    pub chain: Vec<String>,
    /// Tell the story of this certificate too: everything that happened to it, out of the blocks.
    #[arg(long, value_name = "ID")]
    pub certificate: Option<String>,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
    /// Threads that check signatures; by default all processors.
    #[arg(long)]
    pub threads: Option<usize>,
}

/// One chain's part of the report.
struct ChainReport {
    name: String,
    report: AuditReport,
}

/// Audits and reports.
///
/// # Errors
/// If the audit cannot begin.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let genesis = NetworkGenesis::new(&Genesis::load(&find_genesis(args)?)?)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let options = AuditOptions {
        threads: args.threads.unwrap_or(cores).max(1),
        ..AuditOptions::default()
    };
    let started = Instant::now();
    let path = args.dir.join("store");
    let mut reports = Vec::new();
    let mut failed = false;
    for name in names(args) {
        let Some(block) = genesis.named(&name) else {
            anyhow::bail!("the genesis creates no chain '{name}'; leave --chain out or correct it");
        };
        let report = audit_chain(&path, &name, block, options);
        failed = report.failure.is_some();
        reports.push(ChainReport { name, report });
        if failed {
            // What stands on a chain that does not hold proves nothing.
            break;
        }
    }
    let mut anchors = Ok(AnchorReport::default());
    if !failed {
        anchors = audit::compare_anchors(&path, MAIN, options);
    }
    let seconds = started.elapsed().as_secs_f64();
    let story = match &args.certificate {
        Some(text) if !failed && anchors.is_ok() => {
            let id = CertificateId::from_hex(text)
                .context("--certificate takes 64 hexadecimal digits")?;
            Some(story::tell(&path, &genesis, &id)?)
        }
        _ => None,
    };
    if args.json {
        print_json(&reports, &anchors, story, seconds)?;
    } else {
        print_text(&reports, &anchors, seconds);
        if let Some(story) = &story {
            print_story(story);
        }
    }
    Ok(if failed || anchors.is_err() {
        ExitCode::from(FAILED)
    } else {
        ExitCode::SUCCESS
    })
}

/// The chains to audit, main first.
fn names(args: &Args) -> Vec<String> {
    let mut names = vec![MAIN.to_owned()];
    if args.chain.is_empty() {
        names.extend(SideChain::ALL.map(|side| side.name().to_owned()));
    }
    for name in &args.chain {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn audit_chain(
    path: &Path,
    name: &str,
    genesis: &GenesisBlock,
    options: AuditOptions,
) -> AuditReport {
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template(
        "{prefix} {bar:40} {pos}/{len} blocks, {msg} transactions, {eta} left",
    ) {
        bar.set_style(style);
    }
    bar.set_prefix(name.to_owned());
    let side = SideChain::ALL.into_iter().find(|side| side.name() == name);
    let application: Box<dyn Application> = match side {
        Some(side) => Box::new(CertificateApplication::new(side)),
        None => Box::new(MainApplication),
    };
    let rules = AuditRules {
        application: &*application,
        main: side.map(|_| MAIN),
    };
    let report = audit::run(path, name, genesis, rules, options, &mut |progress| {
        bar.set_length(progress.head.get());
        bar.set_position(progress.height.get());
        bar.set_message(progress.transactions.to_string());
    });
    bar.finish_and_clear();
    report
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

fn failure_json(failure: &Failure) -> Value {
    json!({ "height": failure.height.map(|h| h.get()), "reason": failure.reason })
}

fn print_json(
    reports: &[ChainReport],
    anchors: &Result<AnchorReport, Failure>,
    story: Option<Value>,
    seconds: f64,
) -> anyhow::Result<()> {
    let chains: Vec<_> = reports
        .iter()
        .map(|ChainReport { name, report }| {
            json!({
                "chain": name,
                "ok": report.failure.is_none(),
                "height": report.height.get(),
                "head": report.head.get(),
                "transactions": report.transactions,
                "failure": report.failure.as_ref().map(failure_json),
            })
        })
        .collect();
    let failure = reports
        .iter()
        .find_map(|chain| chain.report.failure.as_ref())
        .or(anchors.as_ref().err());
    let anchors = anchors.as_ref().ok().map(|found| {
        json!({
            "confirmed": found.confirmed,
            "ahead": found.ahead,
            "not_followed": found.not_followed,
        })
    });
    let transactions: u64 = reports.iter().map(|chain| chain.report.transactions).sum();
    let document = json!({
        "ok": failure.is_none(),
        // Main's, which comes first.
        "height": reports.first().map(|main| main.report.height.get()),
        "head": reports.first().map(|main| main.report.head.get()),
        "transactions": transactions,
        "seconds": seconds,
        "chains": chains,
        "anchors": anchors,
        "certificate": story,
        "failure": failure.map(failure_json),
    });
    println!("{}", serde_json::to_string_pretty(&document)?);
    Ok(())
}

fn print_text(reports: &[ChainReport], anchors: &Result<AnchorReport, Failure>, seconds: f64) {
    for ChainReport { name, report } in reports {
        println!(
            "chain {name}: {} of {} blocks, {} transactions replayed",
            report.height, report.head, report.transactions
        );
        if let Some(failure) = &report.failure {
            return print_failure(failure);
        }
    }
    match anchors {
        Err(failure) => print_failure(failure),
        Ok(found) => {
            println!(
                "anchors: {} name the blocks that this node holds, {} are ahead of its side chains, \
                 {} are of chains that it does not follow",
                found.confirmed, found.ahead, found.not_followed
            );
            println!(
                "all holds after {seconds:.1} s: signatures, certificates, roots, receipts, \
                 validator sets, checkpoints, anchors"
            );
        }
    }
}

fn print_story(story: &Value) {
    let text = |key: &str| match story.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    println!(
        "certificate {}: {} number {} of {} on chain {}, {}",
        text("certificate"),
        text("type"),
        text("serial"),
        text("issuer"),
        text("chain"),
        text("status")
    );
    for event in story
        .get("events")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let part = |key: &str| {
            event.get(key).map_or_else(String::new, |v| {
                v.as_str().map_or_else(|| v.to_string(), str::to_owned)
            })
        };
        println!(
            "  block {}: {} by {}",
            part("height"),
            part("event"),
            part("by")
        );
    }
    let anchored = text("anchored_height");
    match story.get("all_anchored") {
        Some(Value::Bool(true)) => println!("  main anchors all of it, up to block {anchored}"),
        _ => println!("  main has anchored the chain up to block {anchored}, not yet the rest"),
    }
}

fn print_failure(failure: &Failure) {
    match failure.height {
        Some(height) => println!("FAILED at height {height}: {}", failure.reason),
        None => println!("FAILED: {}", failure.reason),
    }
}
