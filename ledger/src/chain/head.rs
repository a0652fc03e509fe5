//! The last committed block and what follows from it for the next.

use std::sync::Arc;

use certchain_proto::{
    BlockHeader, CommitCertificate, Height, Outcome, TimeMs, ValidatorSet, View,
    hash::{BlockId, HistoryRoot},
};

use crate::{evidence::SealedHeader, parameters::ChainParameters};

/// The last committed block.
#[derive(Clone, Debug)]
pub struct Head {
    /// Its order.
    pub header: BlockHeader,
    /// Its result.
    pub outcome: Outcome,
    /// A certificate that decides it.
    pub certificate: CommitCertificate,
    /// Its name.
    pub id: BlockId,
    /// `view` of the header before it; 0 for genesis and for the first block.
    pub previous_view: View,
    /// The set that decided it.
    pub decided_by: Arc<ValidatorSet>,
    /// The set that decides the next block.
    pub validators: Arc<ValidatorSet>,
    /// The chain's parameters for the next block.
    pub parameters: Arc<ChainParameters>,
    /// What the next header must name.
    pub next_history_root: HistoryRoot,
}

impl Head {
    /// Its height.
    pub const fn height(&self) -> Height {
        self.header.height
    }

    /// Its time.
    pub const fn time(&self) -> TimeMs {
        self.header.time_ms
    }

    /// The block without its transactions.
    pub fn sealed(&self) -> SealedHeader {
        SealedHeader {
            header: self.header.clone(),
            outcome: self.outcome.clone(),
            certificate: self.certificate.clone(),
        }
    }

    /// Where the order of primaries starts for the next height.
    pub fn next_offset(&self) -> u64 {
        next_offset(
            &self.header,
            self.previous_view,
            self.parameters.timers.rotation_blocks,
        )
    }
}

/// Where the order of primaries starts for the height after `parent` (rule PR-2 of the consensus
/// crate), `previous_view` being the view of the header before it. The ledger checks it in every
/// block too, so that an audit needs no consensus.
pub fn next_offset(parent: &BlockHeader, previous_view: View, rotation: u64) -> u64 {
    if parent.height == Height::ZERO {
        return 0;
    }
    let finished_by_others =
        u64::from(parent.parent_view.get().saturating_sub(previous_view.get()));
    let rotated = u64::from(parent.height.next().get().is_multiple_of(rotation.max(1)));
    parent
        .offset
        .wrapping_add(u64::from(parent.view.get()))
        .wrapping_add(finished_by_others)
        .wrapping_add(rotated)
}
