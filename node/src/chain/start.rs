//! Brings one chain up on this node, and down again.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::AtomicBool, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use certchain_config::Timers;
use certchain_consensus::{Action, Engine, EngineConfig, Event, Head, Params, Recovered};
use certchain_ledger::{
    chain::{Chain, ChainOptions, ChainRules, OpenError},
    genesis::GenesisBlock,
    mempool::Mempool,
    signatures::{TransactionVerifier, VerifierLimits},
    store::Store,
};
use certchain_net::{ChannelId, NetworkHandle, SubscribeError};
use certchain_proto::{
    TimeMs, ValidatorIndex, ValidatorSet,
    key::NoRandomness,
    transaction,
    wire::v1::{RestartNotice, TransactionBody, transaction_body::Kind},
};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle as AsyncHandle,
};

use super::{
    anchor,
    engine_thread::{EngineThread, Input, now},
    evidence,
    exchange::Direct,
    executor::{Executor, Task},
    host::ChainHost,
    inbound,
    intake::{self, SubmissionRoom},
    pause::Pause,
    seats::{Known, Seats},
    suspects::Suspects,
    sync,
    vote_keys::{Seat, VoteKeys},
    waiters::Waiters,
};
use crate::{
    journal::{FileJournal, Found, JournalOpenError},
    metrics::{Metrics, chain_label},
    pool::WorkerPool,
    stop::Fatal,
};

/// How often a restart notice is submitted again until it is committed.
const NOTICE_AGAIN: Duration = Duration::from_secs(5);

/// Which chain is to run.
#[derive(Clone, Debug)]
pub struct ChainSpec<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its first block.
    pub genesis: &'a GenesisBlock,
    /// What its blocks mean and stand on.
    pub rules: ChainRules,
    /// On a side chain: main on this node.
    pub main: Option<Arc<ChainHost>>,
    /// Memory of its state tree's cache in bytes.
    pub cache_bytes: usize,
}

/// What all chains of a node share.
#[derive(Clone)]
pub struct Surroundings {
    /// The node's data folder.
    pub data_dir: PathBuf,
    /// The one database.
    pub store: Arc<Store>,
    /// The one swarm.
    pub network: NetworkHandle,
    /// Workers for transactions, blocks and answers.
    pub pool: Arc<WorkerPool>,
    /// Workers for votes.
    pub vote_pool: Arc<WorkerPool>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Ends the process.
    pub fatal: Fatal,
    /// The keys with which this node votes.
    pub vote_keys: VoteKeys,
}

/// Why a chain does not come up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store does not fit or is corrupt.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalOpenError),
    /// The engine refuses what it was given.
    #[error(transparent)]
    Engine(#[from] certchain_consensus::StartError),
    /// No nonce can be drawn for a restart notice.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The network does not take the channel.
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
    /// The system gives no thread.
    #[error("the system gives no more threads: {0}")]
    Thread(std::io::Error),
}

/// A running chain.
pub struct ChainTask {
    /// What its services ask.
    pub host: Arc<ChainHost>,
    engine: JoinHandle<()>,
    executor: JoinHandle<()>,
    tasks: Vec<AsyncHandle<()>>,
}

/// The engine's numbers from genesis.
fn parameters(timers: &Timers, max_block_transactions: u64) -> Params {
    let defaults = Params::default();
    Params {
        rotation: timers.rotation_blocks,
        timeout_ms: timers.view_timeout_ms,
        timeout_cap_ms: timers.view_timeout_cap_ms,
        time_bound_ms: timers.clock_bound_ms,
        time_bound_cap_ms: timers.clock_bound_cap_ms,
        heartbeat_ms: timers.heartbeat_ms,
        max_block_transactions: u32::try_from(max_block_transactions)
            .unwrap_or(defaults.max_block_transactions),
        ..defaults
    }
}

/// The folder of a chain's journal.
pub fn journal_dir(data_dir: &Path, chain: &str) -> PathBuf {
    data_dir.join("journal").join(chain)
}

impl ChainTask {
    /// Opens the chain and starts its threads and tasks.
    ///
    /// # Errors
    /// If store, journal, engine or network refuse.
    pub async fn start(spec: ChainSpec<'_>, shared: &Surroundings) -> Result<Self, StartError> {
        let ChainSpec {
            name,
            genesis,
            rules,
            main,
            cache_bytes,
        } = spec;
        let id = genesis.chain();
        let options = ChainOptions {
            cache_bytes,
            ..ChainOptions::default()
        };
        let store = Arc::clone(&shared.store);
        let chain = Arc::new(Chain::open(store, name, genesis, rules, options)?);
        let head = chain.head();
        let seats = Seats::new(&head, shared.vote_keys.clone());
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|_| NoRandomness)?;
        let opened = FileJournal::open(&journal_dir(&shared.data_dir, name), nonce)?;
        if let Found::Amnesia(loss) = opened.found {
            tracing::warn!(
                chain = name,
                ?loss,
                "the journal of votes is missing or older than it should be; this node votes again \
                 once a restart notice of its is committed"
            );
        }
        let config = EngineConfig {
            chain: id,
            validators: (*head.validators).clone(),
            params: parameters(
                &head.parameters.timers,
                head.parameters.limits.block_transactions,
            ),
        };
        let recovered = Recovered {
            head: Head {
                header: head.header.clone(),
                outcome: head.outcome.clone(),
                certificate: head.certificate.clone(),
                previous_view: head.previous_view,
            },
            records: opened.records,
        };
        let signer = Box::new(shared.vote_keys.clone());
        let engine = Engine::new(config, recovered, signer)?;

        let channel = ChannelId::new(*id.as_bytes());
        let subscription = shared.network.subscribe(channel).await?;
        let (engine_sender, inputs) = mpsc::channel();
        let (executor_sender, work) = mpsc::channel();
        let (submissions, submitted) = tokio::sync::mpsc::channel(intake::QUEUE);
        let (status_sender, status) = watch::channel(engine.status());
        let (height, _) = watch::channel(head.header.height);
        let host = Arc::new(ChainHost {
            name: name.to_owned(),
            id,
            channel,
            mempool: Mutex::new(Mempool::new(
                &head.parameters,
                Arc::clone(chain.application()),
            )),
            mempool_grew: Notify::new(),
            verifier: TransactionVerifier::new(VerifierLimits::default()),
            suspects: Suspects::default(),
            seats,
            pool: Arc::clone(&shared.pool),
            vote_pool: Arc::clone(&shared.vote_pool),
            network: shared.network.clone(),
            metrics: Arc::clone(&shared.metrics),
            waiters: Waiters::default(),
            evidence_dir: shared.data_dir.join("evidence").join(name),
            restart_nonce: OnceLock::new(),
            engine: engine_sender,
            executor: executor_sender,
            submissions,
            submission_room: SubmissionRoom::default(),
            status,
            height,
            tips: Mutex::new(BTreeMap::new()),
            sync_wanted: Notify::new(),
            halted: OnceLock::new(),
            pause: Arc::new(Pause::new(name, Arc::clone(&shared.metrics))),
            work_announced: AtomicBool::new(false),
            main,
            chain,
        });
        show_start(&host);
        anchor::halt_if_frozen(&host);

        let runtime = tokio::runtime::Handle::current();
        let executor = Executor::new(
            Arc::clone(&host),
            shared.fatal.clone(),
            runtime.clone(),
            work,
        );
        let executing = Arc::clone(&host);
        let executor = spawn(format!("executor-{name}"), move || {
            let run = std::panic::AssertUnwindSafe(|| executor.run());
            if std::panic::catch_unwind(run).is_err() {
                executing.halt("the executor violated a rule of its own; report this".into());
            }
        })?;
        let dispatcher = Arc::clone(&host);
        let thread = EngineThread {
            chain: name.to_owned(),
            engine,
            journal: opened.journal,
            inputs,
            dispatch: Box::new(move |action| dispatch(&dispatcher, &runtime, action)),
            status: status_sender,
            fatal: shared.fatal.clone(),
            metrics: Arc::clone(&shared.metrics),
            pause: Arc::clone(&host.pause),
        };
        let watched = Arc::clone(&host);
        let engine = spawn(format!("engine-{name}"), move || {
            let run = std::panic::AssertUnwindSafe(|| thread.run());
            if std::panic::catch_unwind(run).is_err() {
                watched.halt("the consensus engine violated a rule of its own; report this".into());
            }
        })?;
        let tasks = vec![
            tokio::spawn(intake::run(Arc::clone(&host), submitted)),
            tokio::spawn(inbound::direct(Arc::clone(&host), subscription.direct)),
            tokio::spawn(inbound::gossip(Arc::clone(&host), subscription.gossip)),
            tokio::spawn(inbound::requests(Arc::clone(&host), subscription.requests)),
            tokio::spawn(sync::run(Arc::clone(&host), shared.fatal.clone())),
            tokio::spawn(anchor::run(Arc::clone(&host))),
        ];
        Ok(Self {
            host,
            engine,
            executor,
            tasks,
        })
    }

    /// A peer can be reached: tell it how far we are.
    pub fn peer_connected(&self, peer: certchain_net::PeerId) {
        send_tip(&self.host, peer);
        let validators = self.host.seats.newest();
        if let Some(validator) = validators.index_of_network_key(peer.public_key()) {
            self.host.tell(Event::Connected { validator });
        }
    }

    /// A peer has gone.
    pub fn peer_disconnected(&self, peer: &certchain_net::PeerId) {
        sync::forget(&self.host, peer);
    }

    /// Ends the chain's threads; what is decided is on disk already. Blocks.
    pub fn stop(self) {
        let Self {
            host,
            engine,
            executor,
            tasks,
        } = self;
        for task in tasks {
            task.abort();
        }
        // Whoever has ended already takes nothing.
        let _ = host.engine.send(Input::Stop);
        let _ = host.executor.send(Task::Stop);
        for thread in [engine, executor] {
            if thread.join().is_err() {
                tracing::error!(chain = %host.name, "a thread of the chain had panicked");
            }
        }
    }
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    std::thread::Builder::new()
        .name(name)
        .spawn(run)
        .map_err(StartError::Thread)
}

fn show_start(host: &ChainHost) {
    let head = host.chain.head();
    let label = chain_label(&host.name);
    let height = head.header.height.get();
    host.metrics
        .height
        .get_or_create(&label)
        .set(i64::try_from(height).unwrap_or(i64::MAX));
    host.metrics.healthy.get_or_create(&label).set(1);
    let known = host.seats.now();
    tracing::info!(
        chain = %host.name, id = %host.id, height, block = %head.id,
        epoch = known.newest.epoch().get(), validators = known.newest.len(),
        me = ?known.me().map(ValidatorIndex::get), votes_with = key_name(&known), "chain open"
    );
}

/// Which of our keys the newest set names.
fn key_name(known: &Known) -> Option<&'static str> {
    known.seat.as_ref().map(|seat| seat.key_name)
}

/// Carries out what the engine wants done; never blocks its thread.
fn dispatch(host: &Arc<ChainHost>, runtime: &tokio::runtime::Handle, action: Action) {
    match action {
        Action::Broadcast(message) => {
            let bytes = Direct::Consensus(message.encode()).encode();
            if let Err(error) = host.network.broadcast(host.channel, bytes) {
                tracing::warn!(chain = %host.name, %error, "a vote was not sent");
            }
        }
        Action::Send { to, message } => {
            let bytes = Direct::Consensus(message.encode()).encode();
            if let Some(peer) = host.peer_of(to)
                && let Err(error) = host.network.send(peer, host.channel, bytes)
            {
                tracing::debug!(chain = %host.name, %peer, %error, "a vote was not sent");
            }
        }
        Action::RequestProposal(request) => host.hand(Task::Propose(request)),
        Action::CheckBody(request) => host.hand(Task::CheckBody(request)),
        Action::Execute { header } => host.hand(Task::Execute(header)),
        Action::Commit(decision) => {
            // VS-3: the places in the actions that follow are those of the new set.
            if let Some(next) = &decision.next_validators {
                change_seats(host, Arc::clone(next));
            }
            host.hand(Task::Commit(decision));
        }
        Action::FetchSealed { from, height } => {
            if let Some(peer) = from.and_then(|index| host.peer_of(index)) {
                let mut tips = host.tips.lock().unwrap_or_else(PoisonError::into_inner);
                let tip = tips.entry(peer).or_insert(height);
                *tip = (*tip).max(height);
            }
            host.sync_wanted.notify_one();
        }
        Action::SendSealed { epoch, to, .. } => {
            // Its place may be ours by now, and nobody is connected with itself.
            if let Some(peer) = host.peer_of_epoch(epoch, to) {
                send_tip(host, peer);
            }
        }
        Action::Evidence(found) => {
            let worker = Arc::clone(host);
            if let Err(error) = host.vote_pool.run(move || evidence::found(&worker, *found)) {
                tracing::error!(chain = %host.name, %error, "evidence was not kept");
            }
        }
        Action::Halt(reason) => host.halt(reason.to_string()),
        Action::SubmitRestartNotice { nonce } => {
            // Asked again after a restart of the process and, with the same nonce, when another set
            // gives us a place: the task that runs already finds it.
            if host.restart_nonce.set(nonce).is_err() {
                return;
            }
            let host = Arc::clone(host);
            runtime.spawn(async move { submit_notice(host, nonce).await });
        }
        // The engine's thread keeps the timers.
        Action::SetTimer { .. } | Action::CancelTimer { .. } => {}
    }
}

/// Another set decides from the next height on.
fn change_seats(host: &ChainHost, next: Arc<ValidatorSet>) {
    host.seats.learn(next);
    let known = host.seats.now();
    tracing::info!(
        chain = %host.name, epoch = known.newest.epoch().get(), validators = known.newest.len(),
        me = ?known.me().map(ValidatorIndex::get), votes_with = key_name(&known),
        "the validator set has changed"
    );
    // Who left follows by sync, which nobody else asks it to do.
    host.sync_wanted.notify_one();
}

fn send_tip(host: &ChainHost, peer: certchain_net::PeerId) {
    let tip = Direct::Tip(host.chain.head().header.height).encode();
    if let Err(error) = host.network.send(peer, host.channel, tip) {
        tracing::debug!(chain = %host.name, %peer, %error, "no hint sent");
    }
}

/// Submits the restart notice until it is committed.
async fn submit_notice(host: Arc<ChainHost>, nonce: [u8; 32]) {
    loop {
        // The set may change meanwhile: a notice counts for the place that we have then, and is
        // signed with the key that stands there.
        let Known { newest, seat, .. } = host.seats.now();
        let Some(seat) = seat else {
            tokio::time::sleep(NOTICE_AGAIN).await;
            continue;
        };
        let Seat {
            place: me,
            vote_key: key,
            ..
        } = seat;
        let epoch = newest.epoch();
        match host.chain.restart_notice(epoch, me) {
            Ok(Some(record)) if record.nonce == nonce => {
                return host.tell(Event::AmnesiaCleared {
                    height: record.height,
                });
            }
            Ok(_) => {}
            Err(error) => tracing::error!(chain = %host.name, %error, "the state is unreadable"),
        }
        let valid_until = valid_until(&host, now());
        let body = TransactionBody {
            chain_id: host.id.as_bytes().to_vec(),
            // The same notice is the same transaction, however often it is submitted in a window.
            nonce: nonce.iter().take(16).copied().collect(),
            valid_until_ms: valid_until.get(),
            kind: Some(Kind::RestartNotice(RestartNotice {
                epoch: epoch.get(),
                validator: u32::from(me.get()),
                restart_nonce: nonce.to_vec(),
            })),
        };
        match host
            .submit(vec![transaction::sign(&body, &[&key])], None)
            .await
        {
            Ok(admissions) => {
                for refusal in admissions.iter().filter_map(|a| a.result.as_ref().err()) {
                    tracing::warn!(chain = %host.name, %refusal, "the restart notice is refused");
                }
            }
            Err(error) => tracing::debug!(chain = %host.name, %error, "not submitted"),
        }
        tokio::time::sleep(NOTICE_AGAIN).await;
    }
}

/// Half a window from now, rounded so that a repeated notice is the same transaction.
fn valid_until(host: &ChainHost, time: TimeMs) -> TimeMs {
    let window = host
        .chain
        .head()
        .parameters
        .limits
        .transaction_window_ms
        .max(4);
    let step = window / 4;
    TimeMs::new((time.get() / step + 2) * step)
}
