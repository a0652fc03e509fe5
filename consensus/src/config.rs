//! What an engine is started with.

use certchain_proto::{
    BlockHeader, ChainId, CommitCertificate, Epoch, Height, Outcome, TimeMs, ValidatorSet, View,
    hash::BlockId, limits::MAX_BLOCK_TRANSACTIONS,
};

use crate::journal::{JournalFault, Record};
use crate::planted::{self, Bug};

/// The numbers of the protocol. K and the heartbeat interval are the same on all nodes of a chain,
/// or they refuse each other's blocks; the others steer patience only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// K: the primary moves on by one at each height that it divides.
    pub rotation: u64,
    /// How long view 0 may take before a replica asks for the next; doubles per view.
    pub timeout_ms: u64,
    /// Where the doubling stops; above the worst time to fetch and execute a block.
    pub timeout_cap_ms: u64,
    /// How long a statement waits for an effect before it is sent again; doubles per repeat.
    pub retry_ms: u64,
    /// Where that doubling stops.
    pub retry_cap_ms: u64,
    /// How far a first proposal's time may be from the voter's clock in view 0; doubles per view.
    pub time_bound_ms: u64,
    /// Where that doubling stops.
    pub time_bound_cap_ms: u64,
    /// Least time between a block and an empty one after it in view 0.
    pub heartbeat_ms: u64,
    /// Most transactions in a block.
    pub max_block_transactions: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            rotation: 1_000,
            timeout_ms: 2_000,
            timeout_cap_ms: 60_000,
            retry_ms: 500,
            retry_cap_ms: 8_000,
            time_bound_ms: 5_000,
            time_bound_cap_ms: 600_000,
            heartbeat_ms: 20_000,
            max_block_transactions: MAX_BLOCK_TRANSACTIONS as u32,
        }
    }
}

/// Why an engine cannot start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// A number of the parameters makes no sense.
    #[error("consensus parameter {name} is out of range: it must be {needed}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// What it must be.
        needed: &'static str,
    },
    /// The set given is not the one that the last block names.
    #[error(
        "the validator set given is not the one that the last block names for the next height; the store is corrupt"
    )]
    OtherValidators,
    /// The journal's promises for the next height are of another epoch than its set.
    #[error(
        "the journal holds votes of epoch {promised} for height {height}, which the validator set of epoch {set} decides; journal and ledger are not of one node"
    )]
    OtherEpoch {
        /// The height.
        height: Height,
        /// The epoch of the promises.
        promised: Epoch,
        /// The epoch of the set.
        set: Epoch,
    },
    /// The last block does not belong to this chain, or its parts do not belong together.
    #[error(
        "header, outcome and certificate of the last block do not belong together; the store is corrupt"
    )]
    Head,
    /// The journal contradicts itself.
    #[error("the journal cannot be used: {0}")]
    Journal(#[from] JournalFault),
}

impl Params {
    /// Checks that the numbers can work.
    ///
    /// # Errors
    /// Names the first that cannot.
    pub fn check(&self) -> Result<(), StartError> {
        let rules: [(bool, &'static str, &'static str); 8] = [
            (self.rotation >= 1, "rotation", "at least 1"),
            (self.timeout_ms >= 1, "timeout_ms", "at least 1"),
            (
                self.timeout_cap_ms >= self.timeout_ms,
                "timeout_cap_ms",
                "at least timeout_ms",
            ),
            (self.retry_ms >= 1, "retry_ms", "at least 1"),
            (
                self.retry_cap_ms >= self.retry_ms,
                "retry_cap_ms",
                "at least retry_ms",
            ),
            (self.time_bound_ms >= 1, "time_bound_ms", "at least 1"),
            (
                self.time_bound_cap_ms >= self.time_bound_ms,
                "time_bound_cap_ms",
                "at least time_bound_ms",
            ),
            (
                self.max_block_transactions >= 1
                    && self.max_block_transactions as usize <= MAX_BLOCK_TRANSACTIONS,
                "max_block_transactions",
                "at least 1 and at most the protocol's limit",
            ),
        ];
        match rules.into_iter().find(|(holds, _, _)| !holds) {
            None => Ok(()),
            Some((_, name, needed)) => Err(StartError::Parameter { name, needed }),
        }
    }

    /// T-1: how long view `view` may take.
    pub fn timeout(&self, view: View) -> u64 {
        if planted::is(Bug::DoublesForEver) {
            return doubled(self.timeout_ms, view, u64::MAX >> 1);
        }
        doubled(self.timeout_ms, view, self.timeout_cap_ms)
    }

    /// PP-4: how far a first proposal in view `view` may be from the voter's clock.
    pub fn time_bound(&self, view: View) -> u64 {
        doubled(self.time_bound_ms, view, self.time_bound_cap_ms)
    }
}

/// `base` doubled once per view, at most `cap`.
pub(crate) fn doubled(base: u64, view: View, cap: u64) -> u64 {
    let factor = 1u64.checked_shl(view.get()).unwrap_or(u64::MAX);
    base.saturating_mul(factor).min(cap)
}

/// Which chain, and decided by whom. Who we are among them follows from the keys that our signer holds.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// The chain.
    pub chain: ChainId,
    /// Who decides the height above the last block: the set that its outcome names.
    pub validators: ValidatorSet,
    /// The numbers.
    pub params: Params,
}

/// The last sealed block, and what of the one before it the next order of primaries depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its order.
    pub header: BlockHeader,
    /// Its result.
    pub outcome: Outcome,
    /// A certificate that decides it; the empty one for genesis.
    pub certificate: CommitCertificate,
    /// `view` of the header before it; 0 for genesis and for the first block.
    pub previous_view: View,
}

impl Head {
    /// The block's name.
    pub fn id(&self) -> BlockId {
        self.certificate.block_id()
    }

    /// Its height.
    pub fn height(&self) -> Height {
        self.header.height
    }

    /// Its time.
    pub fn time(&self) -> TimeMs {
        self.header.time_ms
    }

    /// PR-2: where the order of primaries starts for the next height.
    pub fn next_offset(&self, rotation: u64) -> u64 {
        if self.header.height == Height::ZERO {
            return 0;
        }
        let finished_by_others = u64::from(
            self.header
                .parent_view
                .get()
                .saturating_sub(self.previous_view.get()),
        );
        if planted::is(Bug::KeepsDeadPrimary) {
            return self.header.offset;
        }
        let rotated = u64::from(
            self.header
                .height
                .next()
                .get()
                .is_multiple_of(rotation.max(1)),
        );
        self.header
            .offset
            .wrapping_add(u64::from(self.header.view.get()))
            .wrapping_add(finished_by_others)
            .wrapping_add(rotated)
    }

    /// The epoch of the set that decided it; none for genesis, which nobody decided.
    pub(crate) fn decided_in(&self) -> Option<Epoch> {
        (self.height() > Height::ZERO).then_some(self.header.epoch)
    }

    pub(crate) fn is_whole(&self, chain: ChainId) -> bool {
        self.header.chain == chain
            && self.certificate.height == self.header.height
            && self.certificate.header == self.header.digest()
            && self.certificate.outcome == self.outcome.digest()
            && self.certificate.view >= self.header.view
    }
}

/// What the disk gave back.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The last block that the ledger holds.
    pub head: Head,
    /// What the journal holds, in the order of writing.
    pub records: Vec<Record>,
}
