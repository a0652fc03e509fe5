//! What main's progress means for a side chain's blocks: which to wait with, and which first proposals
//! are too old.

use std::sync::Arc;

use certchain_proto::{BlockHeader, Height};

use super::{Executor, Task};

/// What part of the staleness bound a first proposal's checkpoint may be behind main's newest block:
/// an honest primary may hear of a main block so much later than its voters.
const CHECKPOINT_SLACK: u64 = 6;

impl Executor {
    /// The checkpoint's height, if main on this node has not come to it yet. It is waited for, never
    /// refused: main's voters may have shown it to others first.
    pub(super) fn missing_checkpoint(&self, header: &BlockHeader) -> Option<Height> {
        let main = self.host.chain.main_chain()?;
        let height = header.checkpoint?.height;
        (height > main.head().height()).then_some(height)
    }

    /// Whether a first proposal stands on a main block that was not the last one for long when it was
    /// made, as far as our own main shows: else a primary could pin an old state, in which a holder is
    /// not suspended yet. Voters compare for first proposals only; a block that a quorum has prepared
    /// or decided is not asked.
    pub(super) fn lags_behind_main(&self, header: &BlockHeader) -> bool {
        let (Some(main), Some(checkpoint)) = (self.host.chain.main_chain(), header.checkpoint)
        else {
            return false;
        };
        let head = main.head();
        if head.height() <= checkpoint.height {
            return false;
        }
        let slack = head.parameters.timers.staleness_ms / CHECKPOINT_SLACK;
        match main.sealed_header(checkpoint.height.next()) {
            Ok(Some(next)) => next.header.time_ms.saturating_add(slack) < header.time_ms,
            // Judged in full below.
            Ok(None) | Err(_) => false,
        }
    }

    /// Hands a task to this executor again once main has come to a height, unless this chain's own
    /// height is decided before.
    pub(super) fn hand_after_main(
        &mut self,
        main_height: Height,
        header: &BlockHeader,
        task: Task,
    ) {
        let Some(main) = self.host.main.clone() else {
            return;
        };
        let height = header.height;
        let synced = matches!(task, Task::Synced(_));
        // One copy of a block waits, however often it comes; main may be far behind.
        if !self.waiting.insert((header.digest(), synced)) {
            return;
        }
        let host = Arc::clone(&self.host);
        self.runtime.spawn(async move {
            let (mut main_heights, mut heights) = (main.heights(), host.heights());
            tokio::select! {
                reached = main_heights.wait_for(|h| *h >= main_height) => {
                    if reached.is_ok() {
                        host.hand(task);
                    }
                }
                _ = heights.wait_for(|h| *h >= height) => {}
            }
        });
    }
}
