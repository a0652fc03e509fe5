//! After the replay: the database as a whole against it, so that nothing is missing, surplus or
//! damaged where no block leads.

use std::sync::Arc;

use certchain_proto::{Height, codec};

use super::replay::Replay;
use crate::{
    chain::{Stored, number_key},
    state::StateTree,
    store::{
        BODIES, Body, Column, HEADERS, HISTORY, INDEX, MAX_BODY_BYTES, PAST_VALUES, RECEIPTS,
        Range, StateBuckets, Store, VALUES,
    },
};

pub(super) fn everything(
    store: &Arc<Store>,
    number: u16,
    replay: &Replay<'_>,
) -> Result<(), String> {
    let blocks = replay.head().height().get() + 1;
    let counts = replay.counts();
    compare_values(store, number, replay)?;
    for (column, expected) in [
        (HEADERS, blocks),
        (RECEIPTS, counts.receipts),
        (INDEX, counts.index),
        (PAST_VALUES, counts.past_values),
        (HISTORY, counts.history),
    ] {
        let mut found = 0u64;
        scan(store, number, column, |_, _| {
            found += 1;
            Ok(())
        })?;
        if found != expected {
            return Err(format!(
                "column {column} has {found} entries, {expected} belong to blocks"
            ));
        }
    }
    compare_bodies(store, number, replay)?;
    compare_tree(store, number, replay)
}

/// Shows every entry of the chain in a column, keys without the chain's number. Reading verifies
/// the checksum of every data block.
fn scan(
    store: &Store,
    number: u16,
    column: Column,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), String>,
) -> Result<(), String> {
    let prefix = number_key(number, &[]);
    let range = Range::Bulk { prefix: &prefix };
    let failed = |error| format!("column {column}: {error}");
    for entry in store.scan(column, range).map_err(failed)? {
        let (key, value) = entry.map_err(failed)?;
        visit(key.get(prefix.len()..).unwrap_or_default(), &value)?;
    }
    Ok(())
}

fn compare_values(store: &Store, number: u16, replay: &Replay<'_>) -> Result<(), String> {
    let mut found = 0;
    scan(store, number, VALUES, |key, bytes| {
        let stored = Stored::decode(bytes).map_err(|error| error.to_string())?;
        let key = crate::state::StateKey::new(key).map_err(|error| error.to_string())?;
        let expected = replay.values().get(&key);
        let same = expected
            .is_some_and(|(height, value)| stored.height == *height && stored.value == *value);
        found += 1;
        if same {
            return Ok(());
        }
        let set = expected.map_or_else(|| "no".to_owned(), |(height, _)| height.to_string());
        Err(format!(
            "the stored value of state key {key} is not the one that block {set} set"
        ))
    })?;
    let expected = replay.values().len();
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "the state has {expected} values, {found} are stored"
    ))
}

/// One body for each block; for the height after the head there may be proposals.
fn compare_bodies(store: &Store, number: u16, replay: &Replay<'_>) -> Result<(), String> {
    let head = replay.head().height();
    let mut decided = 0u64;
    scan(store, number, BODIES, |key, bytes| {
        let Some((height, digest)) = key.split_first_chunk::<8>() else {
            return Err("a body is stored under a malformed key".to_owned());
        };
        let height = Height::new(u64::from_be_bytes(*height));
        if height <= head {
            decided += 1;
            return Ok(());
        }
        let body: Body = codec::decode(bytes, MAX_BODY_BYTES)
            .map_err(|error| format!("a stored proposal cannot be read: {error}"))?;
        if height == head.next() && body.header.digest().as_bytes() == digest {
            return Ok(());
        }
        Err(format!(
            "a proposal for height {height} is stored under another name"
        ))
    })?;
    if decided == head.get() {
        return Ok(());
    }
    Err(format!("{decided} bodies are stored for {head} blocks"))
}

/// Rebuilds the stored tree, which hashes every leaf, under the root of the replay.
fn compare_tree(store: &Arc<Store>, number: u16, replay: &Replay<'_>) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let buckets = StateBuckets::new(Arc::clone(store), number);
    let head = replay.head();
    StateTree::open(buckets, Some((head.height(), head.outcome.state_root)), 1)
        .map(|_| ())
        .map_err(|error| text(&error))
}
