//! How the daemon ends: on request, or because going on could break a promise.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// Why the process must end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StopReason {
    /// A vote could not be made durable; what is on disk is unknown.
    #[error("chain {chain}: {error}")]
    Journal {
        /// The chain.
        chain: String,
        /// What happened.
        error: String,
    },
    /// A block could not be executed or stored.
    #[error(
        "chain {chain}: a block could not be executed or stored ({error}); check the disk, then start \
         the node again"
    )]
    Store {
        /// The chain.
        chain: String,
        /// What happened.
        error: String,
    },
    /// A service ended that must not.
    #[error("the {service} service ended: {error}")]
    Service {
        /// Which one.
        service: &'static str,
        /// What happened.
        error: String,
    },
}

/// Ends the process, from any thread; the first reason is kept.
#[derive(Clone, Debug, Default)]
pub struct Fatal {
    token: CancellationToken,
    reason: Arc<OnceLock<StopReason>>,
}

impl Fatal {
    /// Asks everybody to end because of this.
    pub fn stop(&self, reason: StopReason) {
        tracing::error!(%reason, "the node must end");
        // Of several reasons the first counts.
        let _ = self.reason.set(reason);
        self.token.cancel();
    }

    /// Asks everybody to end, without a fault.
    pub fn request(&self) {
        self.token.cancel();
    }

    /// Whether the process is ending.
    pub fn is_stopping(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Ends when the process should.
    pub async fn stopping(&self) {
        self.token.cancelled().await;
    }

    /// For futures that own their waiting.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// The fault, if there is one.
    pub fn reason(&self) -> Option<&StopReason> {
        self.reason.get()
    }
}
