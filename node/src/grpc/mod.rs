//! The gRPC services: what clients may ask, in terms of the chains that this node hosts.
//!
//! Every refusal carries a gRPC status, a sentence that says what to do, and, where the chain
//! refused, the stable code in the metadata key [`CODE_KEY`].

mod certificates;
mod chains;
mod connections;
mod cursor;
mod governance;
mod identities;
mod server;
mod status;
mod transactions;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use certchain_proto::Height;
use tonic::Status;

pub use certificates::{Certificates, ContentStoreError};
pub use server::{Limits, ServerError, bind, serve};
pub use status::CODE_KEY;

use crate::chain::ChainHost;

/// The name that stands for an empty chain name.
const DEFAULT_CHAIN: &str = "main";

/// What the services answer from.
#[derive(Clone)]
pub struct Services {
    /// The node's name.
    pub node: String,
    /// Its libp2p peer id.
    pub peer_id: String,
    /// The network's name.
    pub network: String,
    /// Longest that a request may wait for a decision: a little less than it may take at all, so
    /// that the client is told that the transaction is not lost.
    pub max_wait: Duration,
    /// Its chains by name.
    pub chains: Arc<BTreeMap<String, Arc<ChainHost>>>,
    /// What the certificate service has beside them.
    pub certificates: Arc<Certificates>,
}

#[allow(clippy::result_large_err)]
impl Services {
    /// The chain with this name.
    fn chain(&self, name: &str) -> Result<&Arc<ChainHost>, Status> {
        let name = if name.is_empty() { DEFAULT_CHAIN } else { name };
        self.chains.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.chains.keys().map(String::as_str).collect();
            Status::not_found(format!(
                "this node does not follow a chain '{name}'; it follows {}",
                known.join(", ")
            ))
        })
    }
}

/// A height that a client named, which must not lie above the chain's.
#[allow(clippy::result_large_err)]
fn known_height(host: &ChainHost, asked: Option<u64>) -> Result<Height, Status> {
    let head = host.chain.head().header.height;
    match asked.map(Height::new) {
        None => Ok(head),
        Some(height) if height <= head => Ok(height),
        Some(height) => Err(Status::out_of_range(format!(
            "height {height} is not decided yet; the last block has height {head}"
        ))),
    }
}

/// Does blocking work of a request on a worker.
async fn on_worker<T: Send + 'static>(
    host: &Arc<ChainHost>,
    job: impl FnOnce(&ChainHost) -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    let worker = Arc::clone(host);
    host.pool
        .call(move || job(&worker))
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?
}
