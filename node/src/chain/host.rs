//! What all parts of one chain on this node share, and what its services ask.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};

use certchain_consensus::{Event, Membership as _, Status};
use certchain_ledger::{
    chain::Chain, mempool::Mempool, receipt::LocatedReceipt, refusal::Refusal,
    signatures::TransactionVerifier, store::StoreError,
};
use certchain_net::{ChannelId, NetworkHandle, PeerId};
use certchain_proto::{
    ChainId, Epoch, Height, TimeMs, ValidatorIndex, ValidatorSet, hash::TransactionId,
    wire::v1::SignedTransaction,
};
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot, watch};

use super::{
    engine_thread::{Input, now},
    executor::Task,
    intake::{Admission, Submission, SubmissionRoom},
    pause::Pause,
    seats::Seats,
    suspects::{Sender, Suspects},
    waiters::{TooManyWaits, Waiters},
};
use crate::{
    metrics::{Metrics, chain_label},
    pool::WorkerPool,
};

/// State of a chain on this node, for clients and operators.
#[derive(Clone, Debug)]
pub struct ChainStatus {
    /// View in which the next height is being decided.
    pub view: u32,
    /// Connected peers that are validators.
    pub peers: usize,
    /// Waiting transactions.
    pub mempool: usize,
    /// Whether this node votes here.
    pub voting: bool,
    /// Whether a quorum is connected and no peer has shown to be ahead.
    pub ready: bool,
    /// Why this node's part in the chain has halted.
    pub halted: Option<String>,
}

/// One chain on this node.
pub struct ChainHost {
    /// The chain's name.
    pub name: String,
    /// Its id.
    pub id: ChainId,
    /// Its share of the network.
    pub channel: ChannelId,
    /// Blocks and state.
    pub chain: Arc<Chain>,
    /// Waiting transactions.
    pub mempool: Mutex<Mempool>,
    /// Told after each growth of the mempool.
    pub mempool_grew: Notify,
    /// Checks signatures of transactions.
    pub verifier: TransactionVerifier,
    /// Whose transactions are verified one by one.
    pub suspects: Suspects,
    /// Who decides, and which place is ours. Votes are signed by the engine's signer.
    pub seats: Seats,
    /// Workers for transactions, blocks and answers to peers.
    pub pool: Arc<WorkerPool>,
    /// Workers for votes, which must not wait behind transactions.
    pub vote_pool: Arc<WorkerPool>,
    /// The network.
    pub network: NetworkHandle,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Clients that wait for decisions.
    pub waiters: Waiters,
    /// Where proof of equivocation is kept.
    pub evidence_dir: PathBuf,
    /// Nonce of the restart notice that we wait for, if we lost our journal.
    pub(super) restart_nonce: OnceLock<[u8; 32]>,
    pub(super) engine: mpsc::Sender<Input>,
    pub(super) executor: mpsc::Sender<Task>,
    pub(super) submissions: tokio::sync::mpsc::Sender<Submission>,
    pub(super) submission_room: SubmissionRoom,
    pub(super) status: watch::Receiver<Status>,
    pub(super) height: watch::Sender<Height>,
    pub(super) tips: Mutex<BTreeMap<PeerId, Height>>,
    pub(super) sync_wanted: Notify,
    pub(super) halted: OnceLock<String>,
    /// Whether a full disk keeps this node from voting.
    pub(super) pause: Arc<Pause>,
    pub(super) work_announced: AtomicBool,
    /// On a side chain: main on this node.
    pub main: Option<Arc<ChainHost>>,
}

impl std::fmt::Debug for ChainHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChainHost({})", self.name)
    }
}

impl ChainHost {
    /// Tells the engine.
    pub(super) fn tell(&self, event: Event) {
        self.tell_with(event, None);
    }

    /// Tells the engine what a peer said; `room` is given back after the step.
    pub(super) fn tell_with(&self, event: Event, room: Option<OwnedSemaphorePermit>) {
        // A thread that has ended takes nothing any more; the process is ending too.
        let _ = self.engine.send(Input::Event(event, room));
    }

    /// Hands work to the executor.
    pub(super) fn hand(&self, task: Task) {
        let _ = self.executor.send(task);
    }

    /// Tells the engine whether transactions wait.
    pub fn work_changed(&self) {
        // Told under the lock, so that "work" and "no work" come in the order in which they were true.
        let mempool = self.mempool.lock().unwrap_or_else(PoisonError::into_inner);
        let count = i64::try_from(mempool.len()).unwrap_or(i64::MAX);
        self.metrics
            .mempool
            .get_or_create(&chain_label(&self.name))
            .set(count);
        let pending = !mempool.is_empty();
        if pending {
            self.mempool_grew.notify_waiters();
        }
        // "No work" is told once; "work" each time, since the primary may have had none a moment ago.
        if self.work_announced.swap(pending, Ordering::AcqRel) || pending {
            self.tell(Event::WorkChanged { pending });
        }
        drop(mempool);
    }

    /// Drops admitted transactions that have become impossible, and tells those who wait for them.
    pub(super) fn give_up(&self, refused: impl IntoIterator<Item = (TransactionId, Refusal)>) {
        let mut mempool = self.mempool.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, refusal) in refused {
            mempool.remove([&id]);
            self.waiters.refused(id, refusal);
        }
    }

    /// The time at which a transaction is judged at admission.
    pub fn admission_time(&self) -> TimeMs {
        now().max(self.chain.head().header.time_ms.saturating_add(1))
    }

    /// Submits transactions and waits for their admission, not for their decision. `client` is the
    /// host that asks, unless it is this node itself.
    ///
    /// # Errors
    /// If the node is stopping or has too many submissions waiting.
    pub async fn submit(
        &self,
        transactions: Vec<SignedTransaction>,
        client: Option<IpAddr>,
    ) -> Result<Vec<Admission>, Busy> {
        let room = self.submission_room.take(&transactions).ok_or(Busy)?;
        let (reply, answer) = oneshot::channel();
        self.submissions
            .try_send(Submission {
                transactions,
                sender: client.map(Sender::client),
                room,
                reply,
            })
            .map_err(|_| Busy)?;
        answer.await.map_err(|_| Busy)
    }

    /// The receipt of a transaction as soon as it is decided.
    ///
    /// # Errors
    /// If this node has admitted it and given it up since, the store cannot be read, or too many
    /// clients wait.
    pub async fn wait_receipt(&self, id: TransactionId) -> Result<LocatedReceipt, WaitError> {
        loop {
            let decided = self.waiters.wait(id)?;
            if let Some(receipt) = self.chain.receipt(&id)? {
                return Ok(receipt);
            }
            if let Some(refusal) = self.waiters.refusal(&id) {
                return Err(WaitError::Refused(refusal));
            }
            decided.await.map_err(|_| WaitError::Stopping)?;
        }
    }

    /// Height of the last block in the store, and its changes.
    pub fn heights(&self) -> watch::Receiver<Height> {
        self.height.subscribe()
    }

    /// Whether a full disk keeps this node from deciding blocks.
    pub fn is_paused(&self) -> bool {
        self.pause.is_paused()
    }

    /// Validators among the connected peers.
    pub fn connected_validators(&self) -> Vec<(ValidatorIndex, PeerId)> {
        let set = self.seats.newest();
        self.network
            .connected()
            .into_iter()
            .filter_map(|peer| Some((set.index_of_network_key(peer.public_key())?, peer)))
            .collect()
    }

    /// The peer of a validator of the newest set.
    pub(super) fn peer_of(&self, validator: ValidatorIndex) -> Option<PeerId> {
        peer_in(&self.seats.newest(), validator)
    }

    /// The peer of a validator of an epoch, if that epoch is known.
    pub(super) fn peer_of_epoch(&self, epoch: Epoch, validator: ValidatorIndex) -> Option<PeerId> {
        peer_in(self.seats.sets().of(epoch)?, validator)
    }

    /// What to tell of the chain's state.
    pub fn status(&self) -> ChainStatus {
        let engine = self.status.borrow().clone();
        let peers = self.connected_validators().len();
        let known = self.seats.now();
        let (newest, me) = (&known.newest, known.me());
        let here = usize::from(me.is_some());
        let head = self.chain.head().header.height;
        let ahead = {
            let tips = self.tips.lock().unwrap_or_else(PoisonError::into_inner);
            // One peer may lie; of f + 1 that show to be ahead one is honest.
            let mut tips: Vec<Height> = tips.values().copied().collect();
            tips.sort_unstable_by(|a, b| b.cmp(a));
            tips.get(newest.faulty())
                .is_some_and(|tip| *tip > head.next())
        };
        let halted = self
            .halted
            .get()
            .cloned()
            .or_else(|| engine.halted.as_ref().map(ToString::to_string));
        ChainStatus {
            view: engine.view.get(),
            peers,
            mempool: self
                .mempool
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .len(),
            voting: me.is_some() && engine.can_sign && halted.is_none() && !self.is_paused(),
            ready: halted.is_none() && !ahead && peers + here >= newest.quorum(),
            halted,
        }
    }

    /// Whether a restart notice is the one that we wait for.
    pub(super) fn is_own_notice(&self, validator: ValidatorIndex, nonce: &[u8; 32]) -> bool {
        self.seats.me() == Some(validator) && self.restart_nonce.get() == Some(nonce)
    }

    /// Stops this node's part in the chain; the other chains go on.
    pub(super) fn halt(&self, reason: String) {
        tracing::error!(chain = %self.name, %reason, "this node's part in the chain has halted");
        self.metrics
            .healthy
            .get_or_create(&chain_label(&self.name))
            .set(0);
        // The first reason is the one to look at.
        let _ = self.halted.set(reason);
        // Nothing more is signed on this chain; its thread ends.
        let _ = self.engine.send(Input::Stop);
    }
}

fn peer_in(set: &ValidatorSet, validator: ValidatorIndex) -> Option<PeerId> {
    PeerId::from_public_key(&set.get(validator)?.network_key).ok()
}

/// The node has no place for more submissions at the moment, or is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node has too many submissions waiting; come again in a moment or use another node")]
pub struct Busy;

/// Why waiting for a receipt ended without one.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// Too many clients wait.
    #[error(transparent)]
    TooMany(#[from] TooManyWaits),
    /// It was admitted, but a block that came before it has made it impossible.
    #[error(transparent)]
    Refused(Refusal),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node is stopping.
    #[error("the node is stopping; ask another one")]
    Stopping,
}
