//! Measures the state tree on RocksDB, all in: batches of random changes, each committed through
//! one write batch with the write-ahead log on. Prints JSON.
//!
//! Usage: `state_tree [KEYS [BATCHES [DIRECTORY]]]`, by default one million keys, 200 batches of
//! 1,000, and a temporary directory.

// It measures time; nothing of it is part of the crate.
#![allow(clippy::disallowed_methods)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use certchain_ledger::state::{DEFAULT_WINDOW, StateKey, StateTree};
use certchain_ledger::store::{Batch, StateBuckets, Store, StoreOptions};
use certchain_proto::hash::ValueHash;

const BATCH: u64 = 1_000;
const CHAIN: u16 = 1;

type Update = (StateKey, Option<ValueHash>);
type Outcome<T> = Result<T, Box<dyn Error>>;

/// What one run of batches cost, per update.
struct Figures {
    wall_us: f64,
    apply_us: f64,
    commit_us: f64,
    write_us: f64,
    processor_us: f64,
    bytes: f64,
    buckets_read: f64,
    hashes: f64,
}

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let keys: u64 = arguments
        .next()
        .map_or(Ok(1_000_000), |text| text.parse())?;
    let batches: u64 = arguments.next().map_or(Ok(200), |text| text.parse())?;
    let temporary = std::env::temp_dir().join(format!("state-tree-{}", std::process::id()));
    let directory = arguments.next().map_or(temporary, PathBuf::from);

    let store = open(&directory)?;
    let mut tree = StateTree::open(buckets(&store), None, DEFAULT_WINDOW)?;
    let load = run(&mut tree, &store, keys.div_ceil(BATCH), false, |batch| {
        (batch * BATCH..(batch + 1) * BATCH)
            .map(|index| update(index, 0))
            .collect()
    })?;
    // The history of the load is replaced by that of the runs below.
    let pick = |batch: u64, salt: u64| -> Vec<Update> {
        let index = |at: u64| random(&[&batch.to_le_bytes(), &at.to_le_bytes()]) % keys;
        let mut indexes: Vec<u64> = (0..BATCH).map(|at| index(at ^ (salt << 32))).collect();
        indexes.sort_unstable();
        indexes.dedup();
        indexes
            .into_iter()
            .map(|index| update(index, salt + batch))
            .collect()
    };
    let updates = run(&mut tree, &store, batches, false, |batch| {
        pick(batch, 1_000_000)
    })?;
    let synced = run(&mut tree, &store, batches, true, |batch| {
        pick(batch, 2_000_000)
    })?;
    let inserts = run(&mut tree, &store, batches, false, |batch| {
        let start = keys.next_multiple_of(BATCH) + batch * BATCH;
        (start..start + BATCH)
            .map(|index| update(index, 0))
            .collect()
    })?;
    let total = keys.next_multiple_of(BATCH) + batches * BATCH;

    let (height, root, memory) = (tree.height(), tree.root(), tree.memory());
    let newest = height.map(|height| (height, root));
    let mut proof_steps = 0;
    let started = Instant::now();
    if let Some(height) = height {
        for index in 0..10_000 {
            proof_steps += tree
                .prove(height, &update(index * 97 % total, 0).0)?
                .steps()
                .len();
        }
    }
    let prove_us = started.elapsed().as_secs_f64() * 1e6 / 1e4;
    drop(tree);
    drop(store);
    let store = open(&directory)?;
    let started = Instant::now();
    let tree = StateTree::open(buckets(&store), newest, DEFAULT_WINDOW)?;
    let open_ms = started.elapsed().as_secs_f64() * 1e3;
    let fresh_memory = tree.memory();

    let per_key = |bytes: usize| bytes as f64 / total as f64;
    println!("{{");
    println!("  \"keys\": {total},");
    println!("  \"tree_update_us\": {:.2},", updates.wall_us);
    println!("  \"tree_update_synced_us\": {:.2},", synced.wall_us);
    println!("  \"tree_insert_us\": {:.2},", inserts.wall_us);
    println!("  \"tree_load_us\": {:.2},", load.wall_us);
    println!("  \"tree_bytes_written_per_update\": {:.0},", updates.bytes);
    println!("  \"tree_bytes_written_per_insert\": {:.0},", inserts.bytes);
    println!(
        "  \"tree_memory_bytes_per_key\": {:.1},",
        per_key(fresh_memory.nodes)
    );
    println!(
        "  \"tree_memory_bytes_per_key_full_window\": {:.1},",
        per_key(memory.nodes)
    );
    println!("  \"tree_history_bytes\": {},", memory.history);
    println!("  \"tree_cache_bytes\": {},", memory.cache);
    println!("  \"open_ms\": {open_ms:.0},");
    println!("  \"prove_us\": {prove_us:.1},");
    println!("  \"proof_steps\": {:.1},", proof_steps as f64 / 1e4);
    for (name, figures, end) in [
        ("update", &updates, ","),
        ("synced", &synced, ","),
        ("insert", &inserts, ""),
    ] {
        println!(
            "  \"{name}_detail\": {{ \"apply_us\": {:.2}, \"commit_us\": {:.2}, \
             \"write_us\": {:.2}, \"processor_us\": {:.2}, \"buckets_read\": {:.2}, \
             \"hashes\": {:.1} }}{end}",
            figures.apply_us,
            figures.commit_us,
            figures.write_us,
            figures.processor_us,
            figures.buckets_read,
            figures.hashes,
        );
    }
    println!("}}");
    drop(tree);
    drop(store);
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}

fn open(directory: &Path) -> Outcome<Arc<Store>> {
    Ok(Store::open(directory, &StoreOptions::default())?)
}

fn buckets(store: &Arc<Store>) -> StateBuckets {
    StateBuckets::new(Arc::clone(store), CHAIN)
}

/// The key of a number is a hash, as keys are that users choose.
fn update(index: u64, salt: u64) -> Update {
    let mut bytes = [1; 33];
    bytes[1..].copy_from_slice(blake3::hash(&index.to_le_bytes()).as_bytes());
    let value = *blake3::hash(&[index.to_le_bytes(), salt.to_le_bytes()].concat()).as_bytes();
    match StateKey::new(&bytes) {
        Ok(key) => (key, Some(ValueHash::from_bytes(value))),
        Err(error) => unreachable!("{error}"),
    }
}

fn random(parts: &[&[u8]]) -> u64 {
    let hash = blake3::hash(&parts.concat());
    hash.as_bytes()
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Applies batches; making them is not measured.
fn run(
    tree: &mut StateTree<StateBuckets>,
    store: &Store,
    batches: u64,
    sync: bool,
    make: impl Fn(u64) -> Vec<Update>,
) -> Outcome<Figures> {
    let before = tree.counters();
    let (mut apply, mut commit, mut write) = (0.0, 0.0, 0.0);
    let (mut changes, mut bytes, mut processor) = (0, 0, 0.0);
    for batch in 0..batches {
        let updates = make(batch);
        changes += updates.len();
        let processor_before = processor_seconds();
        let started = Instant::now();
        let pending = tree.apply(tree.height(), updates)?;
        let applied = Instant::now();
        let writes = tree.commit(pending)?;
        let committed = Instant::now();
        let mut record = Batch::default();
        tree.store().append(&writes, &mut record);
        bytes += record.bytes();
        store.write(record, sync)?;
        write += committed.elapsed().as_secs_f64();
        apply += (applied - started).as_secs_f64();
        commit += (committed - applied).as_secs_f64();
        processor += processor_seconds() - processor_before;
    }
    let after = tree.counters();
    let changes = changes as f64;
    Ok(Figures {
        wall_us: (apply + commit + write) * 1e6 / changes,
        apply_us: apply * 1e6 / changes,
        commit_us: commit * 1e6 / changes,
        write_us: write * 1e6 / changes,
        processor_us: processor * 1e6 / changes,
        bytes: bytes as f64 / changes,
        buckets_read: (after.buckets_read - before.buckets_read) as f64 / changes,
        hashes: (after.nodes_hashed - before.nodes_hashed) as f64 / changes,
    })
}

/// Processor time of this process, background threads included, where the system tells.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(11)
        .take(2);
    fields
        .filter_map(|field| field.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}
