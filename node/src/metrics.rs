//! What operators watch: Prometheus metrics, by chain.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// The label that tells chains apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ChainLabel {
    /// The chain's name.
    pub chain: String,
}

/// The label that tells the stages of a block apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StageLabel {
    /// The chain's name.
    pub chain: String,
    /// `check`, `execute`, `store`, or `decide`: from proposal seen to block decided.
    pub stage: &'static str,
}

/// The label that tells refused transactions apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RefusalLabel {
    /// The chain's name.
    pub chain: String,
    /// The code's name.
    pub code: &'static str,
}

/// All metrics of a node.
pub struct Metrics {
    registry: Registry,
    /// Height of the last decided block.
    pub height: Family<ChainLabel, Gauge>,
    /// View in which the next height is being decided.
    pub view: Family<ChainLabel, Gauge>,
    /// Connected peers.
    pub peers: Gauge,
    /// Connections refused because the peer is not listed.
    pub refused_peers: Gauge,
    /// Waiting transactions.
    pub mempool: Family<ChainLabel, Gauge>,
    /// 1 while this node takes part in the chain, 0 if its part has halted.
    pub healthy: Family<ChainLabel, Gauge>,
    /// 1 while a full disk keeps this node from voting.
    pub paused: Family<ChainLabel, Gauge>,
    /// Decided transactions.
    pub transactions: Family<ChainLabel, Counter>,
    /// Refused transactions.
    pub refusals: Family<RefusalLabel, Counter>,
    /// Synced writes of journal and store.
    pub synced_writes: Family<ChainLabel, Counter>,
    /// Kept evidence of members that signed two votes for one slot.
    pub equivocations: Family<ChainLabel, Counter>,
    /// Time spent by stage.
    pub stage_seconds: Family<StageLabel, Histogram>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

fn stage_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.000_25, 2.0, 16))
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("certchain"),
            height: Family::default(),
            view: Family::default(),
            peers: Gauge::default(),
            refused_peers: Gauge::default(),
            mempool: Family::default(),
            healthy: Family::default(),
            paused: Family::default(),
            transactions: Family::default(),
            refusals: Family::default(),
            synced_writes: Family::default(),
            equivocations: Family::default(),
            stage_seconds: Family::new_with_constructor(stage_histogram),
        };
        let registry = &mut metrics.registry;
        registry.register(
            "height",
            "Height of the last decided block",
            metrics.height.clone(),
        );
        registry.register(
            "view",
            "View of the height being decided",
            metrics.view.clone(),
        );
        registry.register("peers", "Connected peers", metrics.peers.clone());
        registry.register(
            "refused_peers",
            "Connections refused because the peer is not listed",
            metrics.refused_peers.clone(),
        );
        registry.register(
            "mempool_transactions",
            "Waiting transactions",
            metrics.mempool.clone(),
        );
        registry.register(
            "healthy",
            "1 while this node takes part in the chain, 0 if its part has halted",
            metrics.healthy.clone(),
        );
        registry.register(
            "paused",
            "1 while a full disk keeps this node from voting",
            metrics.paused.clone(),
        );
        registry.register(
            "transactions",
            "Decided transactions",
            metrics.transactions.clone(),
        );
        registry.register(
            "refusals",
            "Refused transactions by code",
            metrics.refusals.clone(),
        );
        registry.register(
            "synced_writes",
            "Synced writes of journal and store",
            metrics.synced_writes.clone(),
        );
        registry.register(
            "equivocations",
            "Members that signed two votes for one slot",
            metrics.equivocations.clone(),
        );
        registry.register_with_unit(
            "stage",
            "Time spent on a block by stage",
            Unit::Seconds,
            metrics.stage_seconds.clone(),
        );
        metrics
    }

    /// Notes time spent on one stage of a block.
    pub fn stage(&self, chain: &str, stage: &'static str, time: Duration) {
        self.stage_seconds
            .get_or_create(&StageLabel {
                chain: chain.to_owned(),
                stage,
            })
            .observe(time.as_secs_f64());
    }

    /// The text that Prometheus reads.
    ///
    /// # Errors
    /// If formatting fails.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// The label of a chain.
pub fn chain_label(chain: &str) -> ChainLabel {
    ChainLabel {
        chain: chain.to_owned(),
    }
}

/// Binds the address of the metrics endpoint, so that a port in use is told at start.
///
/// # Errors
/// If the address cannot be bound.
pub async fn bind(address: SocketAddr) -> std::io::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::bind(address).await
}

/// Serves `/metrics` until the future `stop` ends.
///
/// # Errors
/// If the listener fails.
pub async fn serve(
    listener: tokio::net::TcpListener,
    metrics: Arc<Metrics>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(render))
        .with_state(metrics);
    axum::serve(listener, router)
        .with_graceful_shutdown(stop)
        .await
}

async fn render(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match metrics.render() {
        Ok(text) => (StatusCode::OK, [("content-type", TYPE)], text),
        Err(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [("content-type", "text/plain")],
            String::new(),
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_told_by_chain() {
        let metrics = Metrics::new();
        metrics.height.get_or_create(&chain_label("main")).set(7);
        metrics.stage("main", "execute", Duration::from_millis(3));
        let text = metrics.render().unwrap();
        assert!(
            text.contains("certchain_height{chain=\"main\"} 7"),
            "{text}"
        );
        assert!(text.contains("stage=\"execute\""), "{text}");
    }
}
