//! Links between nodes that can be cut, both ways or one way, slowed down and made unreliable: a relay
//! in user space for each ordered pair, so that no rights over the network are needed.
//!
//! What a cut link is given it holds back, as the kernel does while nothing is acknowledged, and gives
//! on when the link is whole again, unless one of the ends has given up by then.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinHandle,
};

/// Bytes that are read at once.
const CHUNK: usize = 16 * 1024;
/// Chunks on their way; more wait in the sender's kernel.
const IN_FLIGHT: usize = 256;
/// What a lost packet costs: the least time after which TCP sends it again.
const RETRANSMISSION: Duration = Duration::from_millis(200);

/// How one direction of a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Whether anything comes through.
    pub open: bool,
    /// How long it takes.
    pub delay: Duration,
    /// How many of a thousand chunks are lost and sent again.
    pub loss: u64,
}

impl Default for Way {
    fn default() -> Self {
        Self {
            open: true,
            delay: Duration::ZERO,
            loss: 0,
        }
    }
}

/// All links of a cluster.
#[derive(Debug)]
pub struct Links {
    /// By sender and receiver.
    ways: Vec<Vec<watch::Sender<Way>>>,
    /// Where a node finds another one, by both.
    doors: Vec<Vec<SocketAddr>>,
    relays: Vec<JoinHandle<()>>,
}

impl Links {
    /// Opens a relay for each ordered pair of nodes that listen at these addresses.
    ///
    /// # Errors
    /// If the system gives no port.
    pub async fn open(nodes: &[SocketAddr]) -> anyhow::Result<Self> {
        let way = || watch::channel(Way::default()).0;
        let ways: Vec<Vec<_>> = nodes
            .iter()
            .map(|_| nodes.iter().map(|_| way()).collect())
            .collect();
        let mut links = Self {
            doors: vec![Vec::new(); nodes.len()],
            relays: Vec::new(),
            ways,
        };
        for dialler in 0..nodes.len() {
            for (dialled, address) in nodes.iter().enumerate() {
                let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
                let door = listener.local_addr()?;
                let there = links.watch(dialler, dialled)?;
                let back = links.watch(dialled, dialler)?;
                let relay = relay(listener, *address, there, back);
                links.relays.push(tokio::spawn(relay));
                links
                    .doors
                    .get_mut(dialler)
                    .context("no such node")?
                    .push(door);
            }
        }
        Ok(links)
    }

    fn watch(&self, from: usize, to: usize) -> anyhow::Result<watch::Receiver<Way>> {
        let way = self.ways.get(from).and_then(|ways| ways.get(to));
        Ok(way.context("no such link")?.subscribe())
    }

    /// Where `dialler` finds `dialled`.
    ///
    /// # Errors
    /// If there is no such node.
    pub fn door(&self, dialler: usize, dialled: usize) -> anyhow::Result<SocketAddr> {
        let door = self.doors.get(dialler).and_then(|doors| doors.get(dialled));
        door.copied().context("no such link")
    }

    /// Changes each direction, by sender and receiver.
    pub fn set(&self, change: impl Fn(usize, usize) -> Way) {
        for (from, ways) in self.ways.iter().enumerate() {
            for (to, way) in ways.iter().enumerate() {
                way.send_replace(change(from, to));
            }
        }
    }

    /// Cuts the network between these nodes and the rest.
    pub fn split(&self, side: &[usize]) {
        self.set(|from, to| Way {
            open: side.contains(&from) == side.contains(&to),
            ..Way::default()
        });
    }

    /// Nobody hears this node any more, while it hears everybody.
    pub fn silence(&self, node: usize) {
        self.set(|from, to| Way {
            open: from != node || to == node,
            ..Way::default()
        });
    }

    /// All is well again.
    pub fn heal(&self) {
        self.set(|_, _| Way::default());
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.relays.iter().for_each(JoinHandle::abort);
    }
}

async fn relay(
    listener: TcpListener,
    target: SocketAddr,
    there: watch::Receiver<Way>,
    back: watch::Receiver<Way>,
) {
    while let Ok((near, _)) = listener.accept().await {
        let (there, back) = (there.clone(), back.clone());
        tokio::spawn(async move {
            // A node that is down refuses; so does its relay.
            let Ok(far) = TcpStream::connect(target).await else {
                return;
            };
            let (_, _) = (near.set_nodelay(true), far.set_nodelay(true));
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::select! {
                () = carry(near_in, far_out, there) => {}
                () = carry(far_in, near_out, back) => {}
            }
        });
    }
}

/// Carries one direction of one connection until an end hangs up.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut way: watch::Receiver<Way>,
) {
    let (sender, mut chunks) = mpsc::channel::<(Instant, Vec<u8>)>(IN_FLIGHT);
    let seen = way.clone();
    let read = async move {
        let mut count = 0;
        loop {
            let mut chunk = vec![0; CHUNK];
            match from.read(&mut chunk).await {
                Ok(0) | Err(_) => return,
                Ok(length) => chunk.truncate(length),
            }
            let Way { delay, loss, .. } = *seen.borrow();
            // Every so-manieth is lost: no chance, so that a test can be seen again.
            count += loss;
            let extra = if count >= 1_000 {
                count -= 1_000;
                RETRANSMISSION
            } else {
                Duration::ZERO
            };
            if sender
                .send((Instant::now() + delay + extra, chunk))
                .await
                .is_err()
            {
                return;
            }
        }
    };
    let write = async move {
        while let Some((at, chunk)) = chunks.recv().await {
            tokio::time::sleep_until(at.into()).await;
            if way.wait_for(|way| way.open).await.is_err() || to.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    // An end that hangs up is heard of behind what it has said, and not over a link that is cut.
    tokio::select! {
        () = write => {}
        () = async { read.await; std::future::pending().await } => {}
    }
}
