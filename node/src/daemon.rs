//! The daemon: from a configuration to a running node, and to a clean end.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use certchain_config::{Genesis, NodeConfig, node::MAIN};
use certchain_ledger::{
    chain::{ChainRules, OpenError},
    store::{Store, StoreOptions},
};
use certchain_net::{
    Address, IdentityError, NetError, Network, NetworkConfig, NetworkEvents, NetworkHandle,
    NetworkKey, PeerEvent,
};

use certchain_sidechain::{
    anchor::MainApplication, certificate::CertificateApplication, network::NetworkGenesis,
};

use crate::{
    admission::{AdmissionError, PeerList},
    chain::{ChainSpec, ChainTask, Surroundings, VoteKeys},
    grpc::{self, Certificates, Services},
    metrics::{self, Metrics},
    pool::WorkerPool,
    stop::{Fatal, StopReason},
};

/// Jobs that wait for a worker.
const POOL_QUEUE: usize = 4_096;

/// Memory of the state trees' caches, shared evenly by the chains of the node.
const CACHE_BYTES: usize = 96 << 20;

/// How often gauges that nobody pushes are read.
const GAUGE_INTERVAL: Duration = Duration::from_secs(1);

/// Why the daemon does not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// Another daemon uses the data directory.
    #[error(
        "{folder} is in use by another certchain-node; stop that one, or give this one a data_dir \
         of its own"
    )]
    DataDirInUse {
        /// The data directory.
        folder: PathBuf,
    },
    /// The data directory cannot be used.
    #[error("the data directory {folder} cannot be used: {source}")]
    DataDir {
        /// The data directory.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The configuration or genesis is wrong.
    #[error(transparent)]
    Config(#[from] certchain_config::ConfigError),
    /// A key file is wrong.
    #[error(transparent)]
    Secret(#[from] certchain_config::SecretFileError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] certchain_ledger::store::StoreError),
    /// A chain does not come up.
    #[error("chain {chain}: {source}")]
    Chain {
        /// The chain.
        chain: String,
        /// Why.
        source: crate::chain::StartError,
    },
    /// The network does not start.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A key or an address in the configuration is none of the network.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Nobody can be let in.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// gRPC does not start.
    #[error(transparent)]
    Grpc(#[from] grpc::ServerError),
    /// The folder of ciphertexts cannot be used.
    #[error(transparent)]
    Objects(#[from] grpc::ContentStoreError),
    /// The metrics endpoint does not start.
    #[error(
        "metrics cannot listen on {address}: {source}; stop what uses it or set another address"
    )]
    Metrics {
        /// Where it should have listened.
        address: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system gives no thread or signal handler.
    #[error("the system refuses what the node needs to run: {0}")]
    System(std::io::Error),
    /// The node had to end.
    #[error("{0}")]
    Fatal(StopReason),
}

/// Holds the data directory for this process; the lock ends with the process.
struct DataDirLock {
    _file: File,
}

impl DataDirLock {
    fn take(folder: &Path) -> Result<Self, DaemonError> {
        let failed = |source| DaemonError::DataDir {
            folder: folder.to_owned(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let path = folder.join("lock");
        let mut options = OpenOptions::new();
        let file = options
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(DaemonError::DataDirInUse {
                folder: folder.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

/// Runs a node until it is asked to stop, by `fatal` or by SIGTERM or SIGINT.
///
/// # Errors
/// If it cannot start, or had to end.
pub async fn run(config: NodeConfig, fatal: Fatal) -> Result<(), DaemonError> {
    let lock = DataDirLock::take(&config.data_dir)?;
    let genesis = Genesis::load(&config.genesis)?;
    let vote_keys = VoteKeys::new(config.read_vote_key()?, config.read_next_vote_key()?);
    tracing::info!(next_vote_key = vote_keys.has_next(), "vote key loaded");
    // Bound before the store is opened, so that a port in use is told at once.
    let grpc_listener = grpc::bind(config.grpc).await?;
    let metrics_listener =
        metrics::bind(config.metrics)
            .await
            .map_err(|source| DaemonError::Metrics {
                address: config.metrics,
                source,
            })?;
    let certificates = Certificates::open(&genesis, &config.objects)?;
    let store = Store::open(&config.data_dir.join("store"), &StoreOptions::default())?;
    let (network, events) = start_network(&config).await?;

    let metrics = Arc::new(Metrics::new());
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let pool = Arc::new(WorkerPool::start(cores, POOL_QUEUE).map_err(DaemonError::System)?);
    let vote_pool = Arc::new(WorkerPool::start(1, POOL_QUEUE).map_err(DaemonError::System)?);
    let shared = Surroundings {
        data_dir: config.data_dir.clone(),
        store,
        network: network.clone(),
        pool: Arc::clone(&pool),
        vote_pool: Arc::clone(&vote_pool),
        metrics: Arc::clone(&metrics),
        fatal: fatal.clone(),
        vote_keys,
    };
    let (chains, peer_list) = start_chains(&config, &genesis, &shared).await?;
    let chains = Arc::new(chains);

    let limits = grpc::Limits {
        request_bytes: usize::try_from(config.grpc_limits.request_bytes).unwrap_or(usize::MAX),
        concurrent_requests: usize::try_from(config.grpc_limits.concurrent_requests)
            .unwrap_or(usize::MAX),
        connections: usize::try_from(config.grpc_limits.connections).unwrap_or(usize::MAX),
        request_timeout: Duration::from_millis(config.grpc_limits.request_timeout_ms),
    };
    let services = Services {
        node: config.name.to_string(),
        peer_id: network.local_peer().to_string(),
        network: genesis.network.to_string(),
        max_wait: limits.request_timeout.mul_f32(0.9),
        chains: Arc::new(
            chains
                .iter()
                .map(|c| (c.host.name.clone(), Arc::clone(&c.host)))
                .collect::<BTreeMap<_, _>>(),
        ),
        certificates: Arc::new(certificates),
    };
    let grpc = tokio::spawn(watched(
        "gRPC",
        grpc::serve(grpc_listener, services, limits, fatal.clone()),
        fatal.clone(),
    ));
    let stopping = fatal.clone();
    let stop = async move { stopping.stopping().await };
    let metrics_server = tokio::spawn(watched(
        "metrics",
        metrics::serve(metrics_listener, Arc::clone(&metrics), stop),
        fatal.clone(),
    ));
    let peers = tokio::spawn(follow_peers(events, Arc::clone(&chains)));
    let admission = tokio::spawn(peer_list.run());
    let gauges = tokio::spawn(read_gauges(Arc::clone(&metrics), network.clone()));
    tracing::info!(
        node = %config.name, grpc = %config.grpc, metrics = %config.metrics,
        listen = ?network.local_addresses(), peer_id = %network.local_peer(), "node started"
    );

    wait_for_end(&fatal).await?;
    tracing::info!("stopping");
    peers.abort();
    admission.abort();
    gauges.abort();
    for service in [grpc, metrics_server] {
        // Requests get a moment to end; the sockets close with the process at the latest.
        let _ = tokio::time::timeout(Duration::from_secs(3), service).await;
    }
    // The task that follows peers holds the list until it has really ended.
    let _ = peers.await;
    if let Ok(chains) = Arc::try_unwrap(chains) {
        let ended = tokio::task::spawn_blocking(move || {
            // Side chains first: they read main.
            chains.into_iter().rev().for_each(ChainTask::stop);
            pool.stop();
            vote_pool.stop();
        });
        let _ = ended.await;
    }
    network.shutdown().await;
    drop(lock);
    match fatal.reason() {
        Some(reason) => Err(DaemonError::Fatal(reason.clone())),
        None => {
            tracing::info!("stopped");
            Ok(())
        }
    }
}

/// Starts main, lets in whom it admits, then starts the side chains that stand on it.
async fn start_chains(
    config: &NodeConfig,
    genesis: &Genesis,
    shared: &Surroundings,
) -> Result<(Vec<ChainTask>, PeerList), DaemonError> {
    let blocks = NetworkGenesis::new(genesis).map_err(|error| DaemonError::Chain {
        chain: MAIN.to_owned(),
        source: OpenError::from(error).into(),
    })?;
    let failed = |chain: &str| {
        let chain = chain.to_owned();
        move |source| DaemonError::Chain { chain, source }
    };
    let cache_bytes = CACHE_BYTES / config.chains.len().max(1);
    let main = ChainSpec {
        name: MAIN,
        genesis: &blocks.main,
        rules: ChainRules::main(MainApplication),
        main: None,
        cache_bytes,
    };
    let main = ChainTask::start(main, shared).await.map_err(failed(MAIN))?;
    let main_host = Arc::clone(&main.host);
    let network = shared.network.clone();
    let mut peer_list = PeerList::new(Arc::clone(&main_host), network, &config.peers)?;
    peer_list.refresh().await?;
    let mut chains = vec![main];
    for (side, genesis) in &blocks.sides {
        if !config.chains.iter().any(|chain| chain == side.name()) {
            continue;
        }
        let application = CertificateApplication::new(*side);
        let spec = ChainSpec {
            name: side.name(),
            genesis,
            rules: ChainRules::side(application, Arc::clone(&main_host.chain)),
            main: Some(Arc::clone(&main_host)),
            cache_bytes,
        };
        let chain = ChainTask::start(spec, shared)
            .await
            .map_err(failed(side.name()))?;
        peer_list.add_side(Arc::clone(&chain.host));
        chains.push(chain);
    }
    Ok((chains, peer_list))
}

/// Starts the swarm. It lists nobody before main's state is there to say whom.
async fn start_network(config: &NodeConfig) -> Result<(NetworkHandle, NetworkEvents), DaemonError> {
    let mut seed = *config.read_network_seed()?;
    let key = NetworkKey::from_seed(&mut seed)?;
    let listen: Address = config.listen.to_string().parse()?;
    Ok(Network::start(NetworkConfig::new(key, vec![listen])).await?)
}

/// Tells the chains of peers that come and go.
async fn follow_peers(mut events: NetworkEvents, chains: Arc<Vec<ChainTask>>) {
    while let Some(event) = events.next().await {
        match event {
            PeerEvent::Connected(peer) => {
                tracing::info!(%peer, "peer connected");
                chains.iter().for_each(|chain| chain.peer_connected(peer));
            }
            PeerEvent::Disconnected(peer) => {
                tracing::info!(%peer, "peer disconnected");
                chains
                    .iter()
                    .for_each(|chain| chain.peer_disconnected(&peer));
            }
        }
    }
}

async fn read_gauges(metrics: Arc<Metrics>, network: NetworkHandle) {
    loop {
        metrics
            .peers
            .set(i64::try_from(network.connected().len()).unwrap_or(i64::MAX));
        metrics
            .refused_peers
            .set(i64::try_from(network.stats().refused_unlisted).unwrap_or(i64::MAX));
        tokio::time::sleep(GAUGE_INTERVAL).await;
    }
}

/// A service must not end before the node does.
async fn watched<E: std::fmt::Display>(
    service: &'static str,
    run: impl Future<Output = Result<(), E>>,
    fatal: Fatal,
) {
    let result = run.await;
    if !fatal.is_stopping() {
        let error = result
            .err()
            .map_or("it stopped by itself".to_owned(), |e| e.to_string());
        fatal.stop(StopReason::Service { service, error });
    }
}

/// Waits for SIGTERM, SIGINT or a reason to end.
async fn wait_for_end(fatal: &Fatal) -> Result<(), DaemonError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(DaemonError::System)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DaemonError::System)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = fatal.stopping() => {}
    }
    fatal.request();
    Ok(())
}
