//! Main's anchors against the side chains of the same database.

use certchain_proto::ChainId;

#[cfg(feature = "store")]
use super::AuditOptions;
use super::Failure;
use crate::{
    chain::{Stored, chain_number, head_pointer, header, number_key},
    side_chains::{ANCHOR, AnchorRecord},
    store::{Range, Store, StoreError, VALUES},
};

/// What the comparison of anchors found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnchorReport {
    /// Anchors that name the block that this node holds.
    pub confirmed: u64,
    /// Anchors of blocks above the last one that this node holds: its side chain lags.
    pub ahead: u64,
    /// Anchors of chains that this node does not follow.
    pub not_followed: u64,
}

/// Compares every anchor that main holds with the side chains' blocks. The audits of main and of
/// the side chains must have passed: then their stored values and headers can be relied on.
///
/// # Errors
/// The first anchor that names another block than the side chain holds, at its height on main.
#[cfg(feature = "store")]
pub fn compare_anchors(
    path: &std::path::Path,
    main: &str,
    options: AuditOptions,
) -> Result<AnchorReport, Failure> {
    let unknown = |error: StoreError| Failure {
        height: None,
        reason: error.to_string(),
    };
    let store = Store::open_read_only(path, &options.store).map_err(unknown)?;
    compare_anchors_of(&store, main)
}

/// [`compare_anchors`] for a store that is open.
///
/// # Errors
/// As there.
pub fn compare_anchors_of(store: &Store, main: &str) -> Result<AnchorReport, Failure> {
    let unknown = |error: StoreError| Failure {
        height: None,
        reason: error.to_string(),
    };
    let (number, _) = chain_number(store, main)
        .map_err(unknown)?
        .ok_or_else(|| Failure {
            height: None,
            reason: format!("the database holds no chain {main}"),
        })?;
    let chains = store.chains().map_err(unknown)?;
    let prefix = number_key(number, &[&[ANCHOR]]);
    let mut report = AnchorReport::default();
    let range = Range::Bulk { prefix: &prefix };
    for entry in store.scan(VALUES, range).map_err(unknown)? {
        let (key, bytes) = entry.map_err(unknown)?;
        let rest = key.get(prefix.len()..).unwrap_or_default();
        let Some((chain, record)) = decode(rest, &bytes) else {
            let reason = "an anchor is malformed".to_owned();
            return Err(Failure {
                height: None,
                reason,
            });
        };
        let side = chains.iter().find(|stored| stored.id == chain);
        let Some(side) = side else {
            report.not_followed += 1;
            continue;
        };
        let (head, _) = head_pointer(store, side.number).map_err(unknown)?;
        if record.height > head {
            report.ahead += 1;
            continue;
        }
        let block = header(store, side.number, record.height).map_err(unknown)?;
        let Some(block) = block else {
            let reason = format!(
                "chain {} has no block {}, which is anchored here",
                side.name, record.height
            );
            return Err(Failure::at(record.main_height, reason));
        };
        let same = block.id() == record.block
            && block.header.epoch == record.epoch
            && block.header.time_ms == record.time
            && block.outcome.state_root == record.state_root
            && block.header.checkpoint == Some(record.checkpoint);
        if !same {
            return Err(Failure::at(
                record.main_height,
                format!(
                    "the anchor of chain {} names another block at height {} than the chain holds",
                    side.name, record.height
                ),
            ));
        }
        report.confirmed += 1;
    }
    Ok(report)
}

fn decode(key: &[u8], bytes: &[u8]) -> Option<(ChainId, AnchorRecord)> {
    let chain = ChainId::from_slice(key.get(..32)?)?;
    let value = Stored::decode(bytes).ok()?.value?;
    Some((chain, AnchorRecord::decode(&value).ok()?))
}
