//! A disk that lost the end of the write-ahead log, or bits anywhere, gives an earlier state or a clean
//! refusal, never a wrong state. The thorough tests (every byte, a thousand bits) are run by name with
//! `--ignored`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use certchain_proto::{Height, hash::BlockId};

use super::{Chain, ChainOptions, ChainRules};
use crate::{
    fixtures::{NAME, Network, Node, small},
    genesis::GenesisBlock,
    identity::IdentityApplication,
    store::{Store, StoreOptions},
};

/// The last bytes of the log that are cut one by one.
const TAIL: u64 = 64 * 1024;

/// Blocks that are made; their writes fill more than the tail.
const ROUNDS: u64 = 12;

/// A node that was killed with everything in its log, and the blocks that it has.
struct Killed {
    folder: tempfile::TempDir,
    genesis: GenesisBlock,
    blocks: BTreeMap<Height, BlockId>,
}

/// A node whose memory tables are too large to be written out meanwhile.
fn unflushed() -> Node {
    let network = Network::new(4);
    let genesis = GenesisBlock::main(&network.genesis).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let large = StoreOptions {
        write_buffer_bytes: 256 << 20,
        ..small()
    };
    let store = Store::open(folder.path(), &large).unwrap();
    let rules = ChainRules::main(IdentityApplication);
    let chain = Chain::open(store, NAME, &genesis, rules, ChainOptions::default()).unwrap();
    Node {
        network,
        genesis,
        folder,
        chain,
    }
}

fn killed() -> Killed {
    let node = unflushed();
    for round in 0..ROUNDS {
        node.commit(node.registrations(10 * round..10 * round + 10));
    }
    let head = node.chain.head().height().get();
    let blocks = (0..=head).map(Height::new).map(|height| {
        let sealed = node.chain.sealed_header(height).unwrap().unwrap();
        (height, sealed.id())
    });
    let blocks = blocks.collect();
    let Node {
        chain,
        folder,
        genesis,
        ..
    } = node;
    drop(chain);
    Killed {
        folder,
        genesis,
        blocks,
    }
}

fn log(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .max()
        .unwrap()
}

fn bytes_of(file: &Path) -> u64 {
    fs::metadata(file).unwrap().len()
}

fn copied(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
    }
    to
}

/// The height that a damaged folder opens at, if it opens: then all that it holds must be right, and
/// the chain must go on from there. A refusal says why.
fn opens(folder: &Path, killed: &Killed) -> Result<Height, String> {
    let store = Store::open(folder, &small()).map_err(|e| e.to_string())?;
    let rules = ChainRules::main(IdentityApplication);
    let options = ChainOptions::default();
    let chain =
        Chain::open(store, NAME, &killed.genesis, rules, options).map_err(|e| e.to_string())?;
    let head = chain.head();
    assert_eq!(
        Some(&head.id),
        killed.blocks.get(&head.height()),
        "another head"
    );
    for (height, id) in killed.blocks.range(..=head.height()) {
        match chain.sealed_header(*height) {
            Ok(Some(sealed)) => assert_eq!(sealed.id(), *id, "another block {height}"),
            // Known to be damaged when it is read.
            Ok(None) | Err(_) => return Err(format!("block {height} cannot be read")),
        }
    }
    Ok(head.height())
}

#[test]
fn a_log_cut_anywhere_gives_an_earlier_state() {
    cut_the_log(997);
}

#[test]
#[ignore = "opens a database for each of 65,536 cuts"]
fn a_log_cut_at_every_byte_gives_an_earlier_state() {
    cut_the_log(1);
}

fn cut_the_log(step: u64) {
    let killed = killed();
    let whole = fs::read(log(killed.folder.path())).unwrap();
    let last = *killed.blocks.keys().next_back().unwrap();
    let end = whole.len() as u64;
    assert!(end > TAIL, "the log has {end} bytes only");
    let mut heights = BTreeMap::new();
    let mut cut = end;
    while cut + TAIL >= end {
        let torn = copied(killed.folder.path());
        let file = log(torn.path());
        fs::write(&file, &whole[..cut as usize]).unwrap();
        let height = opens(torn.path(), &killed).unwrap_or_else(|e| panic!("cut at {cut}: {e}"));
        heights.insert(cut, height);
        cut -= step;
    }
    assert_eq!(heights.get(&end), Some(&last));
    assert!(heights.values().is_sorted(), "{heights:?}");
    let different: std::collections::BTreeSet<&Height> = heights.values().collect();
    assert!(
        different.len() > 3,
        "too few blocks in the tail: {heights:?}"
    );
}

#[test]
fn flipped_bits_give_the_right_state_or_a_refusal() {
    flip_bits(60);
}

#[test]
#[ignore = "opens a database for each of 1,000 bits"]
fn a_thousand_flipped_bits_give_the_right_state_or_a_refusal() {
    flip_bits(1_000);
}

fn flip_bits(flips: u64) {
    let killed = killed();
    let mut files: Vec<PathBuf> = fs::read_dir(killed.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && bytes_of(path) > 0)
        .collect();
    files.sort();
    let (mut right, mut refused) = (0, 0);
    for flip in 0..flips {
        // The same sequence each time, so that a failure can be seen again.
        let drawn = blake3::hash(&flip.to_le_bytes());
        let drawn = u64::from_le_bytes(drawn.as_bytes()[..8].try_into().unwrap());
        let file = &files[(drawn % files.len() as u64) as usize];
        let bent = copied(killed.folder.path());
        let path = bent.path().join(file.file_name().unwrap());
        let mut bytes = fs::read(&path).unwrap();
        let place = ((drawn >> 8) % bytes.len() as u64) as usize;
        bytes[place] ^= 1 << (drawn >> 61);
        fs::write(&path, &bytes).unwrap();
        match opens(bent.path(), &killed) {
            Ok(_) => right += 1,
            Err(why) => {
                assert!(!why.is_empty());
                refused += 1;
            }
        }
    }
    assert!(
        right + refused > 0 && refused > 0,
        "{right} right, {refused} refused"
    );
}
