//! What the machine itself gives: signatures, synced writes, and the state tree alone.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use certchain_proto::{PublicKey, SecretKey, Signature, SignatureBatch, hash::SigningHash};
use certchain_tests::cluster::{binaries::profile_folder, fixtures::derive};

use crate::figures::Figures;

/// Signatures of a batch, each of another key.
const BATCH: usize = 256;
/// How long each figure is measured.
const LONG: Duration = Duration::from_millis(600);
/// Rounds that a median needs.
const LEAST_ROUNDS: usize = 9;
/// Bytes of one synced write: about a journal record.
const WRITE: usize = 4_096;
/// Synced writes.
const WRITES: usize = 300;

/// Measures signatures and synced writes.
pub fn measure(dir: &Path, figures: &mut Figures) -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    figures.set("cores", cores);
    measure_signatures(figures)?;
    figures.set("synced_write_us", synced_write(dir)?);
    Ok(())
}

fn measure_signatures(figures: &mut Figures) -> anyhow::Result<()> {
    let signed: Vec<(PublicKey, SigningHash, Signature)> = (0..BATCH as u64)
        .map(|number| {
            let key = SecretKey::from_seed(&derive(&[1; 32], "bench key", number));
            let message = SigningHash::from_bytes(derive(&[2; 32], "bench message", number));
            (key.public().clone(), message, key.sign(&message))
        })
        .collect();
    let mut wrong = 0u32;
    let batch_us = per_round(|| {
        let mut batch = SignatureBatch::with_capacity(BATCH);
        for (key, message, signature) in &signed {
            batch.push(key, message, signature);
        }
        wrong += u32::from(batch.verify().is_err());
    });
    let single_us = per_round(|| {
        for (key, message, signature) in &signed {
            wrong += u32::from(key.verify(message, signature).is_err());
        }
    });
    ensure!(wrong == 0, "right signatures were refused");
    let count = BATCH as f64;
    figures.set("signature_batch_us", batch_us / count);
    figures.set("signature_single_us", single_us / count);
    Ok(())
}

/// Microseconds of a round, median of many, so that what else the machine does counts little.
fn per_round(mut round: impl FnMut()) -> f64 {
    let mut times = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < LONG || times.len() < LEAST_ROUNDS {
        let started = Instant::now();
        round();
        times.push(started.elapsed());
    }
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    median.as_secs_f64() * 1e6
}

/// Microseconds from write to synced, median.
fn synced_write(dir: &Path) -> anyhow::Result<f64> {
    let path = dir.join(format!("synced-{}", std::process::id()));
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(WRITES);
    for _ in 0..WRITES {
        let started = Instant::now();
        file.write_all(&[7; WRITE])?;
        file.sync_data()?;
        times.push(started.elapsed());
    }
    std::fs::remove_file(&path)?;
    times.sort_unstable();
    let median = times.get(WRITES / 2).context("nothing was measured")?;
    Ok(median.as_secs_f64() * 1e6)
}

/// Runs the benchmark of the state tree, which is a program of its own.
pub fn measure_tree(dir: &Path, keys: u64, figures: &mut Figures) -> anyhow::Result<()> {
    let program = profile_folder()?.join("examples/state_tree");
    let folder = dir.join(format!("state-tree-{}", std::process::id()));
    let output = Command::new(&program)
        .args([&keys.to_string(), "200"])
        .arg(&folder)
        .output()
        .with_context(|| {
            format!(
                "{} cannot be run; build it with `cargo build -p certchain-ledger --example \
                 state_tree`",
                program.display()
            )
        })?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "the state tree's benchmark failed: {errors}"
    );
    let said: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    for name in [
        "tree_update_us",
        "tree_bytes_written_per_update",
        "tree_insert_us",
    ] {
        let value = said.get(name).and_then(serde_json::Value::as_f64);
        figures.set(
            name,
            value.with_context(|| format!("it does not tell {name}"))?,
        );
    }
    figures.set("tree_keys", keys as f64);
    Ok(())
}
