//! What a faulty validator posts.

use std::sync::Arc;

use certchain_consensus::Message;

/// A message, to whom it goes, and when.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The receiver.
    pub to: usize,
    /// The message.
    pub message: Arc<Message>,
    /// How long the sender keeps it before it posts it.
    pub after_ms: u64,
}

impl Letter {
    /// Posted at once.
    pub fn new(to: usize, message: &Arc<Message>) -> Self {
        Self::later(to, message, 0)
    }

    /// Posted after a while.
    pub fn later(to: usize, message: &Arc<Message>, after_ms: u64) -> Self {
        Self {
            to,
            message: Arc::clone(message),
            after_ms,
        }
    }
}
