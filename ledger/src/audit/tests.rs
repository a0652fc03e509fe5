//! The audit passes what is sound and finds what is not, wherever it is.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use certchain_proto::{Height, codec};

use super::{AuditOptions, AuditReport, run};
use crate::{
    chain::{Stored, number_key},
    evidence::SealedHeader,
    fixtures::{NAME, Network, Node, lived, small},
    genesis::GenesisBlock,
    governance::GovernanceApplication,
    identity::keys,
    store::{
        BODIES, Batch, Column, HEADERS, HISTORY, INDEX, MAX_HEADER_BYTES, META, PAST_VALUES,
        RECEIPTS, Range, STATE_BUCKETS, Store, VALUES,
    },
};

fn audit(path: &Path, genesis: &GenesisBlock) -> AuditReport {
    let options = AuditOptions {
        threads: 2,
        store: small(),
    };
    let rules = super::AuditRules::main(&GovernanceApplication);
    run(path, NAME, genesis, rules, options, &mut |_| ())
}

/// A node's folder, closed: once as it was killed, once with all in tables.
fn closed(flushed: bool) -> (tempfile::TempDir, GenesisBlock, Height) {
    let node = lived();
    let height = node.chain.head().height();
    let Node {
        chain,
        folder,
        genesis,
        ..
    } = node;
    drop(chain);
    if flushed {
        let store = Store::open(folder.path(), &small()).unwrap();
        for column in [
            META,
            HEADERS,
            BODIES,
            RECEIPTS,
            INDEX,
            VALUES,
            PAST_VALUES,
            HISTORY,
            STATE_BUCKETS,
        ] {
            store.flush(column).unwrap();
        }
    }
    (folder, genesis, height)
}

#[test]
fn what_is_sound_passes() {
    for flushed in [false, true] {
        let (folder, genesis, height) = closed(flushed);
        let mut heights = Vec::new();
        let options = AuditOptions {
            threads: 3,
            store: small(),
        };
        let rules = super::AuditRules::main(&GovernanceApplication);
        let report = run(folder.path(), NAME, &genesis, rules, options, &mut |p| {
            heights.push(p.height.get())
        });
        assert_eq!(report.failure, None);
        assert_eq!((report.height, report.head), (height, height));
        assert_eq!(heights, (1..=height.get()).collect::<Vec<_>>());
        assert_eq!(report.transactions, 30);
    }
}

#[test]
fn it_reads_beside_a_running_node_and_with_proposals_waiting() {
    let node = lived();
    let waiting = node.check(node.registrations(70..72));
    node.chain.store_body(&waiting).unwrap();
    let report = audit(node.folder.path(), &node.genesis);
    assert_eq!(report.failure, None);
    node.commit(node.registrations(72..74));
    assert_eq!(audit(node.folder.path(), &node.genesis).failure, None);
}

#[test]
fn another_genesis_or_no_database_is_told() {
    let (folder, genesis, _) = closed(false);
    let other = GenesisBlock::main(&Network::new(7).genesis).unwrap();
    assert!(!audit(folder.path(), &other).holds());
    let empty = tempfile::tempdir().unwrap();
    let failure = audit(empty.path(), &genesis).failure.unwrap();
    assert!(failure.reason.contains("no database"), "{}", failure.reason);
}

/// Changes one entry of the database in place, as somebody with the right tools could.
fn tamper(
    column: Column,
    change: impl FnOnce(&Store) -> (Vec<u8>, Option<Vec<u8>>),
) -> AuditReport {
    let (folder, genesis, _) = closed(false);
    {
        let store = Store::open(folder.path(), &small()).unwrap();
        let (key, value) = change(&store);
        let mut batch = Batch::default();
        match value {
            Some(value) => batch.put(column, key, value),
            None => batch.delete(column, key),
        }
        store.write(batch, false).unwrap();
    }
    let report = audit(folder.path(), &genesis);
    assert!(!report.holds(), "a change in {column} passed");
    report
}

fn first(store: &Store, column: Column, skip: usize) -> (Vec<u8>, Vec<u8>) {
    let range = Range::Bulk { prefix: &[] };
    let item = store.scan(column, range).unwrap().nth(skip);
    let (key, value) = item.unwrap().unwrap();
    (key.to_vec(), value.to_vec())
}

#[test]
fn a_changed_missing_or_surplus_entry_is_found_in_every_column() {
    for column in [
        HEADERS,
        BODIES,
        RECEIPTS,
        INDEX,
        VALUES,
        PAST_VALUES,
        HISTORY,
        STATE_BUCKETS,
    ] {
        let skip = if column == RECEIPTS { 1 } else { 2 };
        let report = tamper(column, |store| {
            let (key, mut value) = first(store, column, skip);
            let last = value.len() - 1;
            value[last] ^= 0x10;
            (key, Some(value))
        });
        assert!(report.failure.unwrap().height.is_some(), "{column}");
        tamper(column, |store| (first(store, column, skip).0, None));
        tamper(column, |store| {
            let (mut key, value) = first(store, column, skip);
            let last = key.len() - 1;
            key[last] = key[last].wrapping_add(100);
            (key, Some(value))
        });
    }
}

#[test]
fn the_height_of_a_bad_block_is_named() {
    // A header with another time: its digest, and all that hangs on it, is another.
    let report = tamper(HEADERS, |store| {
        let key = number_key(0, &[&Height::new(3).to_be_bytes()]);
        let bytes = store.get(HEADERS, &key).unwrap().unwrap();
        let mut sealed: SealedHeader = codec::decode(&bytes, MAX_HEADER_BYTES).unwrap();
        sealed.header.time_ms = sealed.header.time_ms.next();
        (key, Some(codec::encode(&sealed)))
    });
    assert_eq!(report.height, Height::new(2));
    assert_eq!(report.failure.unwrap().height, Some(Height::new(3)));

    // One signature of a certificate.
    let report = tamper(HEADERS, |store| {
        let key = number_key(0, &[&Height::new(2).to_be_bytes()]);
        let bytes = store.get(HEADERS, &key).unwrap().unwrap();
        let mut sealed: SealedHeader = codec::decode(&bytes, MAX_HEADER_BYTES).unwrap();
        sealed.certificate.signatures[1].signature = sealed.certificate.signatures[0].signature;
        (key, Some(codec::encode(&sealed)))
    });
    let failure = report.failure.unwrap();
    assert_eq!(failure.height, Some(Height::new(2)));
    assert!(failure.reason.contains("signature"), "{}", failure.reason);

    // A value that no block wrote.
    let report = tamper(VALUES, |store| {
        let set = keys::validators();
        let key = number_key(0, &[set.as_bytes()]);
        let bytes = store.get(VALUES, &key).unwrap().unwrap();
        let mut value = Stored::decode(&bytes).unwrap();
        value.height = value.height.next();
        (
            key,
            Some(Stored::encode(value.height, value.value.as_deref())),
        )
    });
    assert!(report.failure.unwrap().reason.contains("07"));
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let data = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.ends_with(".sst") || name.ends_with(".log") || name.starts_with("MANIFEST")
    };
    let all = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> = all.filter(data).collect();
    all.sort();
    all
}

/// One bit anywhere in the files of the database. RocksDB reads on without the filter of a table if
/// that is damaged, so a bit in one of these, on which no entry depends, may go unseen; a bit in a
/// log or manifest never.
#[test]
fn a_flipped_bit_in_any_file_is_found_without_panic() {
    for flushed in [false, true] {
        let (folder, genesis, _) = closed(flushed);
        assert_eq!(audit(folder.path(), &genesis).failure, None);
        let (mut found, mut missed) = (0, 0);
        for (number, file) in files(folder.path()).into_iter().enumerate() {
            let good = fs::read(&file).unwrap();
            if good.is_empty() {
                continue;
            }
            let step = (good.len() / 12).max(1);
            for position in (number % step.min(7)..good.len()).step_by(step) {
                let mut bad = good.clone();
                bad[position] ^= 1 << (position % 8);
                fs::write(&file, &bad).unwrap();
                let report = audit(folder.path(), &genesis);
                if report.holds() {
                    assert!(
                        file.extension().is_some_and(|e| e == "sst"),
                        "{file:?} at {position}"
                    );
                    missed += 1;
                } else {
                    found += 1;
                }
            }
            fs::write(&file, &good).unwrap();
        }
        assert_eq!(audit(folder.path(), &genesis).failure, None);
        assert!(missed * 20 <= found, "{found} found, {missed} missed");
    }
}
