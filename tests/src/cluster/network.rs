//! A network of nodes in a temporary folder: keys, genesis and configurations are made with the
//! operator's own commands, then the daemons run.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use certchain_config::{Genesis, Limits, NetAddress, Timers, node::MAIN};
use certchain_proto::{SecretKey, wire::v1::GetStatusResponse};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{
    Links, Node, Office,
    binaries::workspace,
    check::{CHAINS, agreement_on},
    disk::SmallDisk,
    node::{operate, text},
    ports::PortHold,
    wait::PATIENCE,
};

/// How much of each log a failing test shows.
const SHOWN_LINES: usize = 60;

/// Name of the networks that tests make.
pub const NETWORK: &str = "test-network";

/// The catalogue of every test network: one type for each side chain.
const CATALOGUE: &str = "config/devnet/catalogue.toml";
/// What the agency of a test network may issue: everything.
const AGENCY_MAY_ISSUE: &str = "marriage,property,degree,business_licence,health_certificate";
/// What its school may issue.
const SCHOOL_MAY_ISSUE: &str = "degree";

/// What kind of cluster.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Number of nodes, all validators.
    pub nodes: usize,
    /// When the chain does what.
    pub timers: Timers,
    /// How much it takes.
    pub limits: Limits,
    /// What the nodes log.
    pub log: String,
    /// Whether nodes reach each other through [`Links`], which can be cut.
    pub linked: bool,
    /// Where the folder of the cluster is made; left out: where the system has temporary files.
    pub parent: Option<PathBuf>,
}

impl Default for ClusterOptions {
    /// Four nodes with timers short enough for tests.
    fn default() -> Self {
        Self {
            nodes: 4,
            timers: Timers {
                view_timeout_ms: 800,
                view_timeout_cap_ms: 6_000,
                heartbeat_ms: 1_500,
                side_heartbeat_ms: 4_000,
                anchor_interval_ms: 1_500,
                staleness_ms: 15_000,
                rotation_blocks: 50,
                ..Timers::default()
            },
            limits: Limits::default(),
            log: "info".to_owned(),
            linked: false,
            parent: None,
        }
    }
}

impl ClusterOptions {
    /// So many nodes.
    pub fn of(nodes: usize) -> Self {
        Self {
            nodes,
            ..Self::default()
        }
    }
}

/// How a cluster ended.
#[derive(Clone, Debug)]
pub struct Ending {
    /// Height of main on which all agreed.
    pub height: u64,
    /// What the audit of each node's data reports.
    pub reports: Vec<Value>,
}

/// How far an audit's report says that it has come on a chain.
pub fn audited_height(report: &Value, chain: &str) -> Option<u64> {
    let chains = report.get("chains")?.as_array()?;
    let found = chains
        .iter()
        .find(|part| part.get("chain").and_then(Value::as_str) == Some(chain))?;
    found.get("height")?.as_u64()
}

/// A network.
#[derive(Debug)]
pub struct Cluster {
    /// The nodes, in the order of the validators of genesis, then those that were added.
    pub nodes: Vec<Node>,
    /// What they agreed on.
    pub genesis: Genesis,
    /// Who registers people.
    pub office: Arc<Office>,
    links: Option<Links>,
    // After the nodes, so that disks and folder go away when they have ended, disks first.
    disks: BTreeMap<usize, SmallDisk>,
    folder: TempDir,
    done: bool,
    _turn: OwnedMutexGuard<()>,
}

/// One cluster per process at a time: two would only make each other slow.
async fn turn() -> OwnedMutexGuard<()> {
    static TURN: OnceLock<Arc<Mutex<()>>> = OnceLock::new();
    Arc::clone(TURN.get_or_init(Arc::default))
        .lock_owned()
        .await
}

impl Cluster {
    /// Makes a network and starts all its nodes; returns when all are ready.
    ///
    /// # Errors
    /// If that does not work out.
    pub async fn start(options: ClusterOptions) -> anyhow::Result<Self> {
        let mut cluster = Self::create(options).await?;
        cluster.start_all().await?;
        Ok(cluster)
    }

    /// Makes a network, without starting a node.
    ///
    /// # Errors
    /// If that does not work out.
    pub async fn create(options: ClusterOptions) -> anyhow::Result<Self> {
        let turn = turn().await;
        let mut builder = tempfile::Builder::new();
        builder.prefix("certchain-cluster-");
        let folder = match &options.parent {
            Some(parent) => builder.tempdir_in(parent)?,
            None => builder.tempdir()?,
        };
        let seed = SecretKey::generate()?.to_seed();
        let mut office = Office::new(seed, options.limits.transaction_window_ms / 2);
        let mut nodes = Vec::new();
        for index in 0..options.nodes {
            nodes.push(init_node(folder.path(), index).await?);
        }
        let genesis = make_genesis(folder.path(), &nodes, &office, &options).await?;
        office.chain = genesis.chain_id();
        for node in &nodes {
            join(node, &nodes, &genesis, &options.log).await?;
        }
        let links = if options.linked {
            Some(link(&nodes).await?)
        } else {
            None
        };
        Ok(Self {
            links,
            nodes,
            genesis,
            office: Arc::new(office),
            disks: BTreeMap::new(),
            folder,
            done: false,
            _turn: turn,
        })
    }

    /// Adds a node that no validator lists: it has the genesis and knows where the others listen,
    /// but is no member. It is not started.
    ///
    /// # Errors
    /// If it cannot be made.
    pub async fn outsider(&self) -> anyhow::Result<Node> {
        let node = init_node(self.folder.path(), self.nodes.len()).await?;
        join(
            &node,
            &self.nodes,
            &self.genesis,
            &ClusterOptions::default().log,
        )
        .await?;
        Ok(node)
    }

    /// Adds such a node to the cluster's own, so that it is started, ended and audited like them; gives
    /// its index. It reaches the others, and they it, without [`Links`], and as long as it is not
    /// admitted [`Self::wait_ready`] waits in vain for it if it runs.
    ///
    /// # Errors
    /// If it cannot be made.
    pub async fn add_outsider(&mut self) -> anyhow::Result<usize> {
        let node = self.outsider().await?;
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    /// The links between its nodes.
    ///
    /// # Errors
    /// If the cluster was not made with them.
    pub fn links(&self) -> anyhow::Result<&Links> {
        self.links.as_ref().context("the cluster is not linked")
    }

    /// Puts a disk of so many bytes under the data of a node that does not run. The test must be
    /// [`inside`](super::disk::inside) a namespace.
    ///
    /// # Errors
    /// If it cannot be mounted.
    pub fn small_disk(&mut self, node: usize, bytes: u64) -> anyhow::Result<()> {
        let disk = SmallDisk::over(&self.node(node)?.data_dir, bytes)?;
        self.disks.insert(node, disk);
        Ok(())
    }

    /// The small disk of a node.
    ///
    /// # Errors
    /// If it has none.
    pub fn disk(&self, node: usize) -> anyhow::Result<&SmallDisk> {
        self.disks.get(&node).context("it has no small disk")
    }

    /// The cluster's folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// One node.
    ///
    /// # Errors
    /// If there are fewer.
    pub fn node(&self, index: usize) -> anyhow::Result<&Node> {
        self.nodes
            .get(index)
            .with_context(|| format!("there is no node {index}"))
    }

    /// One node, to start or end it.
    ///
    /// # Errors
    /// If there are fewer.
    pub fn node_mut(&mut self, index: usize) -> anyhow::Result<&mut Node> {
        self.nodes
            .get_mut(index)
            .with_context(|| format!("there is no node {index}"))
    }

    /// Starts all nodes that do not run and waits until all are ready.
    ///
    /// # Errors
    /// If one does not start.
    pub async fn start_all(&mut self) -> anyhow::Result<()> {
        let starts = self
            .nodes
            .iter_mut()
            .filter(|node| !node.is_running())
            .map(Node::start);
        futures::future::try_join_all(starts).await?;
        self.wait_ready(PATIENCE).await
    }

    /// Waits until all running nodes are ready.
    ///
    /// # Errors
    /// If one is not within the deadline.
    pub async fn wait_ready(&self, deadline: Duration) -> anyhow::Result<()> {
        let running = self.nodes.iter().filter(|node| node.is_running());
        futures::future::try_join_all(running.map(|node| node.wait_ready(deadline))).await?;
        Ok(())
    }

    /// The state of all running nodes.
    ///
    /// # Errors
    /// If one does not answer.
    pub async fn statuses(&self) -> anyhow::Result<Vec<GetStatusResponse>> {
        let running = self.nodes.iter().filter(|node| node.is_running());
        futures::future::try_join_all(running.map(Node::status)).await
    }

    /// The validator that proposed the last block, which is, most of the time, the primary.
    ///
    /// # Errors
    /// If no node answers.
    pub async fn primary(&self) -> anyhow::Result<usize> {
        let node = self
            .nodes
            .iter()
            .find(|node| node.is_running())
            .context("no node runs")?;
        let block = node.client()?.block(None).await?;
        Ok(usize::try_from(
            block.header.context("a block without header")?.proposer,
        )?)
    }

    /// Ends all nodes with SIGTERM.
    ///
    /// # Errors
    /// If one does not end, or not with 0.
    pub async fn terminate(&mut self) -> anyhow::Result<()> {
        for node in self.nodes.iter_mut().filter(|node| node.is_running()) {
            let status = node.terminate().await?;
            ensure!(status.success(), "{} ended with {status}", node.name);
        }
        Ok(())
    }

    /// Checks that all running nodes agree on everything on every chain, then ends them cleanly and
    /// audits the data of each from genesis. Gives main's height.
    ///
    /// # Errors
    /// If something does not hold.
    pub async fn finish(self) -> anyhow::Result<u64> {
        Ok(self.finish_audited().await?.height)
    }

    /// [`Self::finish`] with what the audits report.
    ///
    /// # Errors
    /// If something does not hold.
    pub async fn finish_audited(mut self) -> anyhow::Result<Ending> {
        let mut heights = BTreeMap::new();
        for chain in CHAINS {
            heights.insert(chain, agreement_on(&self, chain).await?);
        }
        self.terminate().await?;
        let mut reports = Vec::new();
        for node in &self.nodes {
            let (report, code) = node.audit(&node.data_dir).await?;
            ensure!(
                code == Some(0) && report.get("ok") == Some(&Value::Bool(true)),
                "the audit of {} ends with {code:?}: {report}",
                node.name
            );
            for (chain, height) in &heights {
                let audited = audited_height(&report, chain);
                ensure!(
                    audited.is_some_and(|audited| audited >= *height),
                    "the audit of {} covers less than {height} blocks of {chain}: {report}",
                    node.name
                );
            }
            reports.push(report);
        }
        self.done = true;
        let height = heights.get(MAIN).copied().context("main was not audited")?;
        Ok(Ending { height, reports })
    }

    /// Ends a test that went well, for those that leave no whole cluster behind; the nodes are
    /// killed. A cluster that is dropped without this or [`Self::finish`] shows its logs.
    pub fn dismiss(mut self) {
        self.done = true;
    }

    /// The end of all logs.
    fn shown_logs(&self) -> String {
        let mut text = String::new();
        for node in &self.nodes {
            let log = node.log_text();
            let lines: Vec<&str> = log.lines().collect();
            let skipped = lines.len().saturating_sub(SHOWN_LINES);
            // Writing to a text cannot fail.
            let _ = writeln!(text, "---- {} ({skipped} lines left out)", node.name);
            for line in lines.iter().skip(skipped) {
                let _ = writeln!(text, "{line}");
            }
        }
        text
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !self.done {
            eprintln!("{}", self.shown_logs());
        }
        if std::thread::panicking() {
            return;
        }
        let panicked = self
            .nodes
            .iter()
            .find(|node| node.log_text().contains("panicked at"));
        if let Some(node) = panicked {
            panic!("a thread of {} panicked:\n{}", node.name, node.log_text());
        }
    }
}

/// Makes a node: its keys, its journal, its configuration.
async fn init_node(folder: &Path, index: usize) -> anyhow::Result<Node> {
    let name = format!("node-{index}");
    let holds = [PortHold::any()?, PortHold::any()?, PortHold::any()?];
    let node = Node::new(&name, &folder.join(&name), holds);
    let (folder, code) = (text(&node.folder)?, node.organisation_code());
    let listen = NetAddress::from(node.addresses.listen).to_string();
    let grpc = node.addresses.grpc.to_string();
    let metrics = node.addresses.metrics.to_string();
    let mut arguments = vec!["init", "--dir", folder, "--name", &name];
    arguments.extend(["--organisation-code", &code, "--listen", &listen]);
    arguments.extend(["--grpc", &grpc, "--metrics", &metrics]);
    operate(&arguments).await?;
    Ok(node)
}

/// Puts the genesis together from the members' public files.
async fn make_genesis(
    folder: &Path,
    nodes: &[Node],
    office: &Office,
    options: &ClusterOptions,
) -> anyhow::Result<Genesis> {
    let registrar = folder.join("registrar.toml");
    fs::write(&registrar, office.registrar_account()?.to_toml())?;
    let agency = folder.join("agency.toml");
    fs::write(&agency, office.agency_account()?.to_toml())?;
    let school = folder.join("school.toml");
    fs::write(&school, office.school_account()?.to_toml())?;
    let catalogue = workspace().join(CATALOGUE);
    let parameters = folder.join("parameters.toml");
    let limits = table("limits", &serde_json::to_value(&options.limits)?)?;
    let timers = table("timers", &serde_json::to_value(&options.timers)?)?;
    fs::write(&parameters, limits + &timers)?;
    let out = folder.join("genesis.toml");
    let members: Vec<PathBuf> = nodes
        .iter()
        .map(|node| node.folder.join("member.toml"))
        .collect();
    let mut arguments = vec!["genesis", "--network", NETWORK, "--member"];
    for member in &members {
        arguments.push(text(member)?);
    }
    let agency = format!("{}={}", text(&agency)?, AGENCY_MAY_ISSUE);
    let school = format!("{}={}", text(&school)?, SCHOOL_MAY_ISSUE);
    arguments.extend(["--registrar", text(&registrar)?]);
    arguments.extend(["--agency", &agency, &school]);
    arguments.extend(["--catalogue", text(&catalogue)?]);
    arguments.extend(["--parameters", text(&parameters)?, "--out", text(&out)?]);
    operate(&arguments).await?;
    Ok(Genesis::load(&out)?)
}

/// A TOML table of numbers.
fn table(name: &str, values: &Value) -> anyhow::Result<String> {
    let mut text = format!("[{name}]\n");
    for (key, value) in values.as_object().context("not a table")? {
        writeln!(text, "{key} = {value}")?;
    }
    Ok(text)
}

/// Puts links between nodes, in the place of the addresses that each has of the others.
async fn link(nodes: &[Node]) -> anyhow::Result<Links> {
    let addresses: Vec<_> = nodes.iter().map(|node| node.addresses.listen).collect();
    let links = Links::open(&addresses).await?;
    for (dialler, node) in nodes.iter().enumerate() {
        let mut config = fs::read_to_string(&node.config)?;
        for (dialled, address) in addresses.iter().enumerate() {
            if dialled != dialler {
                let known = format!("address = \"{}\"", NetAddress::from(*address));
                ensure!(
                    config.contains(&known),
                    "{} does not list {known}",
                    node.name
                );
                let door = NetAddress::from(links.door(dialler, dialled)?);
                config = config.replace(&known, &format!("address = \"{door}\""));
            }
        }
        fs::write(&node.config, config)?;
    }
    Ok(links)
}

/// Gives a node the genesis, its peers and a log level.
async fn join(node: &Node, peers: &[Node], genesis: &Genesis, log: &str) -> anyhow::Result<()> {
    fs::write(node.folder.join("genesis.toml"), genesis.to_toml())?;
    let config = fs::read_to_string(&node.config)?;
    let filter = config.replace("filter = \"info\"", &format!("filter = \"{log}\""));
    fs::write(&node.config, filter)?;
    let members: Vec<PathBuf> = peers
        .iter()
        .map(|peer| peer.folder.join("member.toml"))
        .collect();
    let mut arguments = vec!["peers", "--config", text(&node.config)?, "--member"];
    for member in &members {
        arguments.push(text(member)?);
    }
    operate(&arguments).await
}
