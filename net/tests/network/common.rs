//! Nodes for the tests, and waiting for conditions.

use std::future::Future;
use std::time::Duration;

use certchain_net::{
    ChannelId, Limits, ListedPeer, Network, NetworkConfig, NetworkEvents, NetworkHandle,
    NetworkKey, PeerId, Subscription,
};
use tokio::time::{Instant, sleep, timeout};

pub const CHANNEL: ChannelId = ChannelId::new([0xc1; 32]);
pub const OTHER: ChannelId = ChannelId::new([0xc2; 32]);

/// How long anything may take; no test waits so long unless it fails.
pub const DEADLINE: Duration = Duration::from_secs(60);

pub struct Node {
    pub net: NetworkHandle,
    pub events: NetworkEvents,
}

impl Node {
    pub fn peer(&self) -> PeerId {
        self.net.local_peer()
    }

    /// This node as others list it.
    pub fn listed(&self) -> ListedPeer {
        ListedPeer {
            peer: self.peer(),
            addresses: self.net.local_addresses(),
        }
    }

    pub async fn subscribe(&self, channel: ChannelId) -> Subscription {
        self.net.subscribe(channel).await.expect("subscribed")
    }

    pub async fn list(&self, nodes: &[&Node]) {
        let peers = nodes.iter().map(|node| node.listed()).collect();
        self.net.set_peers(peers).await.expect("listed");
    }
}

pub fn key(seed: u8) -> NetworkKey {
    NetworkKey::from_seed(&mut [seed; 32]).expect("a key")
}

pub fn config(seed: u8) -> NetworkConfig {
    NetworkConfig::new(
        key(seed),
        vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")],
    )
}

pub async fn start(seed: u8) -> Node {
    start_with(seed, Limits::default()).await
}

pub async fn start_with(seed: u8, limits: Limits) -> Node {
    start_config(NetworkConfig {
        limits,
        ..config(seed)
    })
    .await
}

pub async fn start_config(config: NetworkConfig) -> Node {
    let (net, events) = Network::start(config).await.expect("started");
    Node { net, events }
}

/// Lists all nodes with all others and waits until each sees each.
pub async fn connect(nodes: &[&Node]) {
    for node in nodes {
        let others: Vec<&Node> = nodes
            .iter()
            .copied()
            .filter(|other| other.peer() != node.peer())
            .collect();
        node.list(&others).await;
    }
    for node in nodes {
        until("all nodes are connected", || {
            node.net.connected().len() == nodes.len() - 1
        })
        .await;
    }
}

/// Waits for a condition.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "not reached: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for a future.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("not reached: {what}"),
    }
}
