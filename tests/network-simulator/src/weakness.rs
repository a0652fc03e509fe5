//! Mistakes that the surroundings of an engine may have, to show that the checkers would find them.

/// One mistake, made by every node of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// Blocks are reported as being on disk before they are synced.
    UnsyncedBlocks,
    /// Bodies are reported as being on disk and are not stored.
    UnstoredBodies,
    /// A write that a power cut meets may reach the disk in part.
    TornBatches,
    /// A validator that lost its journal does not know it.
    SilentAmnesia,
}

impl Weakness {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::UnsyncedBlocks,
        Self::UnstoredBodies,
        Self::TornBatches,
        Self::SilentAmnesia,
    ];
}
