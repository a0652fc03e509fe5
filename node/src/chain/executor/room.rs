//! Waiting for room on the disk. The executor stands still meanwhile: it drafts no proposal, checks no
//! body and stores no block, so that this node decides nothing that it could not keep.

use std::{
    sync::mpsc::RecvTimeoutError,
    time::{Duration, Instant},
};

use certchain_ledger::store::StoreError;

use super::{Executor, Task};
use crate::chain::pause::{NO_ROOM_PAUSE, Part};

impl Executor {
    /// Waits while the disk is full; whether to go on, which is not so if the node stops.
    pub(super) fn has_room(&mut self) -> bool {
        match self.host.chain.check_room() {
            Err(error) if error.is_no_room() => self.wait_for_room(&error),
            // What the disk says besides, the write itself will tell.
            Ok(()) | Err(_) => true,
        }
    }

    /// Waits until the disk that has refused for this reason has room; whether to go on, as above.
    pub(super) fn wait_for_room(&mut self, reason: &StoreError) -> bool {
        self.host.pause.begin(Part::Store, reason);
        loop {
            if !self.hold_tasks(NO_ROOM_PAUSE) || self.fatal.is_stopping() {
                return false;
            }
            match self.host.chain.check_room() {
                Err(error) if error.is_no_room() => {}
                Ok(()) | Err(_) => {
                    self.host.pause.end(Part::Store);
                    return true;
                }
            }
        }
    }

    /// Keeps tasks for later that come meanwhile. A pause may last for days: of the bodies to check only
    /// the last one keeps its transactions' names, the others are asked of peers if they still matter.
    fn hold_tasks(&mut self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.tasks.recv_timeout(left) {
                Err(RecvTimeoutError::Disconnected) => return false,
                Ok(Task::Stop) => {
                    // Whoever works on something gives it up, and this comes next.
                    self.held.push_front(Task::Stop);
                    return false;
                }
                Err(RecvTimeoutError::Timeout) => return true,
                Ok(task) => {
                    if matches!(task, Task::CheckBody(_)) {
                        for held in &mut self.held {
                            if let Task::CheckBody(request) = held {
                                request.contents = None;
                            }
                        }
                    }
                    self.held.push_back(task);
                }
            }
        }
    }
}
