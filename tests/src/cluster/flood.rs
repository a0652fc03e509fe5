//! A validator that floods: a client with its keys, in the place of its daemon, that sends the others
//! votes for far heights and views, each signed as it must be, as fast as they are taken.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use certchain_config::{NetAddress, NodeConfig};
use certchain_consensus::{
    Message,
    message::{Commit, Prepare, ViewChange},
    statement::{Statement, ViewChangeVote},
};
use certchain_net::{
    Address, ChannelId, ListedPeer, Network, NetworkConfig, NetworkHandle, NetworkKey, PeerId,
    Subscription,
};
use certchain_proto::{
    ChainId, CommitVote, Epoch, Height, PrepareVote, SecretKey, ValidatorIndex, View, codec,
    hash::{HeaderDigest, OutcomeDigest},
};
use serde::Serialize;
use tokio::task::JoinHandle;

use super::{
    Client, Cluster,
    fixtures::derive,
    wait::{PATIENCE, until},
};

/// Votes for far heights that are signed ahead; they go out again and again.
const FAR: u64 = 20_000;
/// Votes for the present height and the next ones, in far views; signed anew as blocks come.
const NEAR: u64 = 120;
/// How often they are.
const RENEWED: Duration = Duration::from_millis(500);
/// Pause when all queues are full: what the others take meanwhile waits in the queues already.
const FULL: Duration = Duration::from_millis(1);

/// A frame between nodes that carries a message of consensus, as the daemon writes it.
#[derive(Serialize)]
enum Frame {
    Consensus(Vec<u8>),
}

/// A connected client in the place of a validator.
#[derive(Debug)]
pub struct Flooder {
    network: NetworkHandle,
    flooding: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
}

/// What it signs with, and for which chain.
struct Signer {
    chain: ChainId,
    key: SecretKey,
    me: ValidatorIndex,
    drawn: u64,
}

impl Signer {
    fn bytes(&mut self) -> [u8; 32] {
        self.drawn += 1;
        derive(&[5; 32], "flood", self.drawn)
    }

    /// A vote for this height in a far view; another one each time.
    fn vote(&mut self, height: Height) -> Vec<u8> {
        let (chain, epoch) = (self.chain, Epoch::ZERO);
        let drawn = self.bytes();
        let view = View::new(u32::from_le_bytes([drawn[0], drawn[1], drawn[2], 0]) + 1);
        let header = HeaderDigest::from_bytes(drawn);
        let signer = self.me;
        let message = match self.drawn % 3 {
            0 => {
                let vote = PrepareVote {
                    chain,
                    epoch,
                    height,
                    view,
                    header,
                };
                let signature = self.key.sign(&Statement::Prepare(vote).signing_hash());
                Message::Prepare(Prepare {
                    vote,
                    signer,
                    signature,
                })
            }
            1 => {
                let vote = CommitVote {
                    chain,
                    epoch,
                    height,
                    view,
                    header,
                    outcome: OutcomeDigest::from_bytes(self.bytes()),
                };
                let signature = self.key.sign(&Statement::Commit(vote).signing_hash());
                Message::Commit(Commit {
                    vote,
                    signer,
                    signature,
                })
            }
            _ => {
                let vote = ViewChangeVote {
                    chain,
                    epoch,
                    height,
                    view,
                    prepared: None,
                };
                let signature = self.key.sign(&Statement::ViewChange(vote).signing_hash());
                Message::ViewChange(ViewChange {
                    vote,
                    signer,
                    signature,
                    certificate: None,
                })
            }
        };
        codec::encode(&Frame::Consensus(message.encode()))
    }

    fn far(&mut self) -> Arc<[u8]> {
        let [a, b, c, d, e, f, g, h, ..] = self.bytes();
        let above = u64::from_le_bytes([a, b, c, d, e, f, g, h]) >> 1;
        self.vote(Height::new(1_000_000 + above)).into()
    }

    fn near(&mut self, height: u64) -> Vec<Arc<[u8]>> {
        let votes = (0..NEAR).map(|number| self.vote(Height::new(height + 1 + number % 3)).into());
        votes.collect()
    }
}

impl Flooder {
    /// Connects in the place of a validator whose daemon does not run, and is silent.
    ///
    /// # Errors
    /// If its keys cannot be read or the others do not take it.
    pub async fn connect(cluster: &Cluster, validator: usize) -> anyhow::Result<Self> {
        let node = cluster.node(validator)?;
        ensure!(!node.is_running(), "{} runs", node.name);
        let config = NodeConfig::load(&node.config)?;
        let mut seed = *config.read_network_seed()?;
        let listen: Address = "/ip4/127.0.0.1/tcp/0".parse()?;
        let mut settings = NetworkConfig::new(NetworkKey::from_seed(&mut seed)?, vec![listen]);
        let members = cluster.genesis.validator_set();
        for ((_, member), other) in members.iter().zip(&cluster.nodes) {
            let address = NetAddress::from(other.addresses.listen).to_string();
            settings.peers.push(ListedPeer {
                peer: PeerId::from_public_key(&member.network_key)?,
                addresses: vec![address.parse()?],
            });
        }
        let (network, mut events) = Network::start(settings).await?;
        let chain = cluster.genesis.chain_id();
        let channel = ChannelId::new(*chain.as_bytes());
        let mut tasks = drain(network.subscribe(channel).await?);
        tasks.push(tokio::spawn(async move {
            while events.next().await.is_some() {}
        }));
        let running = cluster.nodes.iter().filter(|node| node.is_running());
        let others = running.clone().count();
        until("the flooder is connected", PATIENCE, || async {
            let connected = network.connected().len();
            ensure!(connected == others, "to {connected} of {others}");
            Ok(())
        })
        .await?;
        let asked = running.clone().next().context("no node runs")?.client()?;
        let signer = Signer {
            chain,
            key: config.read_vote_key()?,
            me: ValidatorIndex::new(u16::try_from(validator)?),
            drawn: 0,
        };
        let (flooding, sent) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let work = flood(
            network.clone(),
            channel,
            signer,
            asked,
            Arc::clone(&flooding),
            Arc::clone(&sent),
        );
        tasks.push(tokio::spawn(work));
        Ok(Self {
            network,
            flooding,
            sent,
            tasks,
        })
    }

    /// Floods, or is silent again.
    pub fn flood(&self, on: bool) {
        self.flooding.store(on, Ordering::Relaxed);
    }

    /// Votes that have left the queues, to all of the others together.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Hangs up.
    pub async fn end(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.network.shutdown().await;
    }
}

/// Takes what comes and drops it: whoever does not read is slower to send to.
fn drain(subscription: Subscription) -> Vec<JoinHandle<()>> {
    let Subscription {
        mut gossip,
        mut direct,
        mut requests,
        ..
    } = subscription;
    vec![
        tokio::spawn(async move { while gossip.recv().await.is_some() {} }),
        tokio::spawn(async move { while direct.recv().await.is_some() {} }),
        tokio::spawn(async move { while requests.recv().await.is_some() {} }),
    ]
}

/// Sends as much as the others take: their queues are always full.
async fn flood(
    network: NetworkHandle,
    channel: ChannelId,
    mut signer: Signer,
    asked: Client,
    flooding: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
) {
    let far: Vec<Arc<[u8]>> = (0..FAR).map(|_| signer.far()).collect();
    let mut near: Vec<Arc<[u8]>> = Vec::new();
    let mut renewed: Option<Instant> = None;
    let mut turn = 0_usize;
    loop {
        if !flooding.load(Ordering::Relaxed) {
            tokio::time::sleep(RENEWED).await;
            continue;
        }
        if renewed.is_none_or(|at| at.elapsed() > RENEWED) {
            if let Ok(status) = asked.status().await {
                near = signer.near(status.height);
            }
            renewed = Some(Instant::now());
        }
        let mut full = true;
        for peer in network.connected() {
            for _ in 0..64 {
                turn = turn.wrapping_add(1);
                // Half of them each.
                let votes = if turn.is_multiple_of(2) { &far } else { &near };
                let Some(vote) = votes.get(turn / 2 % votes.len().max(1)) else {
                    continue;
                };
                match network.send(peer, channel, Arc::clone(vote)) {
                    Ok(0) => {
                        sent.fetch_add(1, Ordering::Relaxed);
                        full = false;
                    }
                    // One older vote has gone for it.
                    Ok(_) | Err(_) => break,
                }
            }
        }
        if full {
            tokio::time::sleep(FULL).await;
        } else {
            tokio::task::yield_now().await;
        }
    }
}
