//! The chain's limits and timers. They stand in genesis, since all nodes must agree on them; later
//! they change by vote, never by a node's own configuration.

use std::path::Path;

use certchain_proto::limits::{MAX_BLOCK_BYTES, MAX_BLOCK_TRANSACTIONS, MAX_TRANSACTION_BYTES};
use serde::{Deserialize, Serialize};

use crate::{
    document::Document,
    error::{ConfigError, ContentError, Problem},
    governance::Governance,
};

/// How much a chain takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Largest transaction in bytes, signatures included.
    pub transaction_bytes: u64,
    /// Largest sum of transaction bytes in one block.
    pub block_bytes: u64,
    /// Most transactions in one block.
    pub block_transactions: u64,
    /// W: longest time in milliseconds between a block and the end of validity of a transaction
    /// that it holds. Executed ids are remembered for so long.
    pub transaction_window_ms: u64,
    /// Most transactions that wait in a node's mempool.
    pub mempool_transactions: u64,
    /// Most bytes that wait in a node's mempool.
    pub mempool_bytes: u64,
    /// Most transactions of one sender that wait in a node's mempool.
    pub mempool_per_sender: u64,
}

/// When a chain does what. All in milliseconds but `rotation_blocks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timers {
    /// How long a replica waits for a decision in view 0 while there is work.
    pub view_timeout_ms: u64,
    /// The most that the wait grows to; it doubles with each failed view.
    pub view_timeout_cap_ms: u64,
    /// How long an idle chain rests before an empty block.
    pub heartbeat_ms: u64,
    /// How old the main chain's state may be on which others rely.
    pub staleness_ms: u64,
    /// How far a proposal's time may be from a voter's clock in view 0.
    pub clock_bound_ms: u64,
    /// The most that this bound grows to; it doubles with each failed view.
    pub clock_bound_cap_ms: u64,
    /// K: after how many blocks the primary changes even if it is good.
    pub rotation_blocks: u64,
    /// Shortest pause between two blocks while a block's worth of work is not yet there.
    pub block_interval_ms: u64,
    /// How long an idle side chain rests before an empty block.
    pub side_heartbeat_ms: u64,
    /// How long a side block waits at most before a validator anchors it in main.
    pub anchor_interval_ms: u64,
    /// After how many side blocks a validator anchors the last one at once.
    pub anchor_blocks: u64,
    /// How long the old keys of an account may object to its recovery.
    pub recovery_wait_ms: u64,
}

/// A file with limits, timers and rules of voting, for a new genesis or for a proposal; what is left out has its defaults, a table that
/// is there is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// How much the chain takes.
    pub limits: Limits,
    /// When it does what.
    pub timers: Timers,
    /// How it votes.
    pub governance: Governance,
    /// Version of the key that makes the tags of identities.
    pub tag_key_version: u32,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            timers: Timers::default(),
            governance: Governance::default(),
            tag_key_version: 1,
        }
    }
}

impl Parameters {
    /// Reads a file.
    ///
    /// # Errors
    /// If a value is missing, out of range, or contradicts another.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        Self::load_over(file, Self::default())
    }

    /// Reads a file; a table that is left out is that of `otherwise`.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_over(file: &Path, otherwise: Self) -> Result<Self, ConfigError> {
        /// As it stands in the file.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Raw {
            limits: Option<Limits>,
            timers: Option<Timers>,
            governance: Option<Governance>,
            tag_key_version: Option<u32>,
        }
        let document = Document::read(file)?;
        let raw: Raw = document.parse()?;
        let parameters = Self {
            limits: raw.limits.unwrap_or(otherwise.limits),
            timers: raw.timers.unwrap_or(otherwise.timers),
            governance: raw.governance.unwrap_or(otherwise.governance),
            tag_key_version: raw.tag_key_version.unwrap_or(otherwise.tag_key_version),
        };
        check(
            &parameters.limits,
            &parameters.timers,
            &parameters.governance,
        )
        .and_then(|()| check_tag_key_version(parameters.tag_key_version))
        .map_err(|error| document.refuse_content(error))?;
        Ok(parameters)
    }
}

/// Checks a whole table of parameters, of a genesis or of a proposal.
///
/// # Errors
/// The first value that is out of range or contradicts another, by its key.
pub fn check(
    limits: &Limits,
    timers: &Timers,
    governance: &Governance,
) -> Result<(), ContentError> {
    limits.check()?;
    timers.check(limits)?;
    governance.check()
}

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;

/// Longest transaction window: ids of that time are kept in memory or close to it.
const MAX_WINDOW_MS: u64 = 7 * DAY;
const MAX_MEMPOOL_TRANSACTIONS: u64 = 1_000_000;
const MAX_MEMPOOL_BYTES: u64 = 1024 * 1024 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Self {
            transaction_bytes: 64 * 1024,
            block_bytes: 2 * 1024 * 1024,
            block_transactions: 4096,
            transaction_window_ms: 10 * MINUTE,
            mempool_transactions: 40_000,
            mempool_bytes: 64 * 1024 * 1024,
            mempool_per_sender: 20_000,
        }
    }
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            view_timeout_ms: 1_000,
            view_timeout_cap_ms: 30_000,
            heartbeat_ms: 20_000,
            side_heartbeat_ms: HOUR,
            anchor_interval_ms: 5_000,
            anchor_blocks: 50,
            recovery_wait_ms: 7 * DAY,
            staleness_ms: 60_000,
            clock_bound_ms: 2_000,
            clock_bound_cap_ms: 30_000,
            rotation_blocks: 100,
            block_interval_ms: 20,
        }
    }
}

pub(crate) fn within(key: &str, value: u64, min: u64, max: u64) -> Result<(), ContentError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(ContentError::new(
        key,
        Problem::OutOfRange { value, min, max },
    ))
}

/// A share of the validators: more than half, or 0 for a quorum.
pub(crate) fn rule_percent(key: &str, value: u64) -> Result<(), ContentError> {
    if value == 0 {
        return Ok(());
    }
    within(key, value, 51, 100)
}

/// Versions count from 1; 0 stands for accounts of genesis, which have no tag.
pub(crate) fn check_tag_key_version(version: u32) -> Result<(), ContentError> {
    within("tag_key_version", version.into(), 1, u32::MAX.into())
}

fn rule(
    holds: bool,
    key: &str,
    other: &'static str,
    rule: &'static str,
) -> Result<(), ContentError> {
    if holds {
        return Ok(());
    }
    Err(ContentError::new(
        key,
        Problem::Contradiction { other, rule },
    ))
}

impl Limits {
    pub(crate) fn check(&self) -> Result<(), ContentError> {
        within(
            "limits.transaction_bytes",
            self.transaction_bytes,
            1024,
            MAX_TRANSACTION_BYTES as u64,
        )?;
        within(
            "limits.block_bytes",
            self.block_bytes,
            4096,
            MAX_BLOCK_BYTES as u64,
        )?;
        within(
            "limits.block_transactions",
            self.block_transactions,
            1,
            MAX_BLOCK_TRANSACTIONS as u64,
        )?;
        within(
            "limits.transaction_window_ms",
            self.transaction_window_ms,
            1_000,
            MAX_WINDOW_MS,
        )?;
        within(
            "limits.mempool_transactions",
            self.mempool_transactions,
            1,
            MAX_MEMPOOL_TRANSACTIONS,
        )?;
        within(
            "limits.mempool_bytes",
            self.mempool_bytes,
            4096,
            MAX_MEMPOOL_BYTES,
        )?;
        within(
            "limits.mempool_per_sender",
            self.mempool_per_sender,
            1,
            MAX_MEMPOOL_TRANSACTIONS,
        )?;
        rule(
            self.transaction_bytes * 4 <= self.block_bytes,
            "limits.transaction_bytes",
            "limits.block_bytes",
            "a transaction may take at most a quarter of a block",
        )?;
        rule(
            self.block_bytes <= self.mempool_bytes,
            "limits.mempool_bytes",
            "limits.block_bytes",
            "the mempool must hold at least one full block",
        )?;
        rule(
            self.mempool_per_sender <= self.mempool_transactions,
            "limits.mempool_per_sender",
            "limits.mempool_transactions",
            "one sender's share cannot exceed the whole mempool",
        )
    }
}

impl Timers {
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), ContentError> {
        within(
            "timers.view_timeout_ms",
            self.view_timeout_ms,
            20,
            10 * MINUTE,
        )?;
        within(
            "timers.view_timeout_cap_ms",
            self.view_timeout_cap_ms,
            20,
            HOUR,
        )?;
        within("timers.heartbeat_ms", self.heartbeat_ms, 100, DAY)?;
        within("timers.side_heartbeat_ms", self.side_heartbeat_ms, 100, DAY)?;
        within(
            "timers.anchor_interval_ms",
            self.anchor_interval_ms,
            100,
            DAY,
        )?;
        within("timers.anchor_blocks", self.anchor_blocks, 1, 1_000_000)?;
        within(
            "timers.recovery_wait_ms",
            self.recovery_wait_ms,
            1_000,
            365 * DAY,
        )?;
        within("timers.staleness_ms", self.staleness_ms, 300, 30 * DAY)?;
        within(
            "timers.clock_bound_ms",
            self.clock_bound_ms,
            10,
            10 * MINUTE,
        )?;
        within(
            "timers.clock_bound_cap_ms",
            self.clock_bound_cap_ms,
            10,
            HOUR,
        )?;
        within("timers.rotation_blocks", self.rotation_blocks, 1, 1_000_000)?;
        within(
            "timers.block_interval_ms",
            self.block_interval_ms,
            0,
            MINUTE,
        )?;
        rule(
            self.view_timeout_ms <= self.view_timeout_cap_ms,
            "timers.view_timeout_cap_ms",
            "timers.view_timeout_ms",
            "the cap cannot be below the first timeout",
        )?;
        rule(
            self.clock_bound_ms <= self.clock_bound_cap_ms,
            "timers.clock_bound_cap_ms",
            "timers.clock_bound_ms",
            "the cap cannot be below the first bound",
        )?;
        rule(
            self.heartbeat_ms <= self.staleness_ms / 3,
            "timers.heartbeat_ms",
            "timers.staleness_ms",
            "heartbeats come at least three times within the staleness bound",
        )?;
        rule(
            self.block_interval_ms * 2 <= self.view_timeout_ms,
            "timers.block_interval_ms",
            "timers.view_timeout_ms",
            "the pause must be at most half the timeout, or good primaries are voted out",
        )?;
        rule(
            self.block_interval_ms <= self.heartbeat_ms,
            "timers.block_interval_ms",
            "timers.heartbeat_ms",
            "the pause cannot be longer than the heartbeat",
        )?;
        rule(
            self.clock_bound_cap_ms <= limits.transaction_window_ms,
            "timers.clock_bound_cap_ms",
            "limits.transaction_window_ms",
            "block times may not stray further than a transaction lives",
        )
    }
}
