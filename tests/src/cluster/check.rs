//! What must hold on every cluster, checked from the outside.

use anyhow::{Context as _, ensure};
use certchain_client::{
    connection::{ConnectOptions, Connection},
    light::LightClient,
};
use certchain_config::node::MAIN;
use certchain_ledger::evidence::SealedHeader;
use certchain_proto::wire::v1::{BlockHeader, Receipt};

use super::{Cluster, Node, wait::PATIENCE};

/// Where and how a transaction was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Height.
    pub height: u64,
    /// Place in the block.
    pub index: u32,
    /// The block.
    pub block: Vec<u8>,
    /// The result.
    pub code: i32,
}

impl From<&Receipt> for Place {
    fn from(receipt: &Receipt) -> Self {
        Self {
            height: receipt.height,
            index: receipt.index,
            block: receipt.block_id.clone(),
            code: receipt.code,
        }
    }
}

/// The chains that every node of a test network follows, main first.
pub const CHAINS: [&str; 6] = [MAIN, "marriage", "property", "degree", "business", "health"];

/// [`agreement_on`] main.
///
/// # Errors
/// As there.
pub async fn agreement(cluster: &Cluster) -> anyhow::Result<u64> {
    agreement_on(cluster, MAIN).await
}

/// Checks that all running nodes report the same block id and state root at every height of a chain
/// up to the highest that one of them has, that each block names the one before, and that a quorum
/// of the validators of its epoch has signed each. Gives that height.
///
/// # Errors
/// If a node lags for ever, or something differs or does not hold.
pub async fn agreement_on(cluster: &Cluster, chain: &str) -> anyhow::Result<u64> {
    let running: Vec<&Node> = cluster
        .nodes
        .iter()
        .filter(|node| node.is_running())
        .collect();
    let mut top = 0;
    for node in &running {
        top = top.max(node.status_of(chain).await?.height);
    }
    let mut first: Option<Vec<BlockHeader>> = None;
    for node in &running {
        node.wait_height_of(chain, top, PATIENCE).await?;
        let headers = node.client()?.headers_of(chain, 0, top).await?;
        match &first {
            None => {
                let checked = chained_on(cluster, chain, &headers).await;
                checked.with_context(|| chain.to_owned())?;
                first = Some(headers);
            }
            Some(first) => same(node, first, &headers).with_context(|| chain.to_owned())?,
        }
    }
    Ok(top)
}

fn same(node: &Node, first: &[BlockHeader], headers: &[BlockHeader]) -> anyhow::Result<()> {
    ensure!(
        first.len() == headers.len(),
        "{} gives another number of blocks",
        node.name
    );
    for (one, other) in first.iter().zip(headers) {
        let height = one.height;
        ensure!(
            other.height == height,
            "{}: height {} for {height}",
            node.name,
            other.height
        );
        ensure!(
            one.block_id == other.block_id,
            "{}: another block at {height}",
            node.name
        );
        ensure!(
            one.state_root == other.state_root,
            "{}: another state at {height}",
            node.name
        );
    }
    Ok(())
}

/// Checks main's headers from genesis on.
///
/// # Errors
/// If one does not follow its parent or is not signed by a quorum.
pub async fn chained(cluster: &Cluster, headers: &[BlockHeader]) -> anyhow::Result<()> {
    chained_on(cluster, MAIN, headers).await
}

/// A light client of a chain that trusts genesis and has followed the validators since, as the
/// running nodes tell.
///
/// # Errors
/// If none answers, or what it tells is not proven.
pub async fn light_client(cluster: &Cluster, chain: &str) -> anyhow::Result<LightClient> {
    let running = cluster.nodes.iter().filter(|node| node.is_running());
    let urls = running.map(|node| format!("http://{}", node.addresses.grpc));
    let connection = Connection::new(urls, ConnectOptions::default())?;
    let mut light = LightClient::of_chain(&cluster.genesis, chain)?;
    connection.follow_validators(chain, &mut light).await?;
    Ok(light)
}

/// Checks a chain of headers from genesis on.
///
/// # Errors
/// If one does not follow its parent or is not signed by a quorum.
pub async fn chained_on(
    cluster: &Cluster,
    chain: &str,
    headers: &[BlockHeader],
) -> anyhow::Result<()> {
    let light = light_client(cluster, chain).await?;
    let mut parent: Option<&BlockHeader> = None;
    for (height, header) in (0u64..).zip(headers) {
        let sealed = SealedHeader::try_from(header)?;
        ensure!(
            sealed.id().as_bytes()[..] == header.block_id,
            "the id of {height} is not its own"
        );
        ensure!(
            sealed.header.height.get() == height,
            "a block is missing at {height}"
        );
        light
            .header(header)
            .with_context(|| format!("height {height}"))?;
        if let Some(parent) = parent {
            ensure!(
                parent.block_id == header.parent_id,
                "block {height} has another parent"
            );
            ensure!(
                parent.time_ms < header.time_ms,
                "block {height} is not later"
            );
        }
        parent = Some(header);
    }
    Ok(())
}
