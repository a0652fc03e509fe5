//! A node's own configuration, `node.toml`. Nothing in here may change what a chain decides.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use certchain_proto::{PublicKey, SecretKey, limits::MAX_TRANSACTION_BYTES};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    catalogue::SideChain,
    document::Document,
    error::{ConfigError, Problem},
    genesis_file::Reader,
    names::{Name, NetAddress},
    secret::{self, SecretFileError},
};

/// Most peers.
pub const MAX_PEERS: usize = 256;
/// Most chains of one node: main and every side chain.
pub const MAX_CHAINS: usize = 1 + SideChain::ALL.len();
const MAX_REQUEST_BYTES: u64 = 64 * 1024 * 1024;
const MAX_CONCURRENT: u64 = 65_536;

/// The name of the main chain.
pub const MAIN: &str = "main";

/// A peer that this node dials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub name: Name,
    /// The Ed25519 key that names it on the network.
    pub network_key: PublicKey,
    /// Where it listens.
    pub address: NetAddress,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Levels by target, in the notation of `tracing`: `info`, `info,certchain_net=debug`.
    pub filter: String,
    /// How lines look.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

/// Bounds of the gRPC service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrpcLimits {
    /// Largest request in bytes.
    pub request_bytes: u64,
    /// Most requests of one connection in work at a time; more wait.
    pub concurrent_requests: u64,
    /// Most connections of clients at a time; more are closed.
    pub connections: u64,
    /// Longest time in milliseconds that a request may take, streams and waits for receipts apart.
    pub request_timeout_ms: u64,
}

impl Default for GrpcLimits {
    fn default() -> Self {
        Self {
            request_bytes: 4 * 1024 * 1024,
            concurrent_requests: 1024,
            connections: 1024,
            request_timeout_ms: 30_000,
        }
    }
}

/// A checked configuration. All paths are as they can be opened: relative ones have been taken
/// from the configuration file's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// Name of the node.
    pub name: Name,
    /// Folder of the store and the journal.
    pub data_dir: PathBuf,
    /// The genesis file.
    pub genesis: PathBuf,
    /// File with the secret key with which it votes.
    pub vote_key: PathBuf,
    /// File with the secret key with which it votes where the set names that one instead: while its
    /// vote key is being changed.
    pub next_vote_key: Option<PathBuf>,
    /// File with the secret key that names it on the network.
    pub network_key: PathBuf,
    /// Where it listens for peers.
    pub listen: NetAddress,
    /// Where it serves gRPC.
    pub grpc: SocketAddr,
    /// Where it serves metrics and health over HTTP.
    pub metrics: SocketAddr,
    /// The chains that it hosts; the first is `main`.
    pub chains: Vec<String>,
    /// The peers that it dials.
    pub peers: Vec<Peer>,
    /// What is logged.
    pub log: LogConfig,
    /// Bounds of the gRPC service.
    pub grpc_limits: GrpcLimits,
    /// Folder of the ciphertexts that are kept off the chains.
    pub objects: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNode {
    name: String,
    data_dir: PathBuf,
    genesis: PathBuf,
    listen: String,
    grpc: String,
    metrics: String,
    #[serde(default = "all_chains")]
    chains: Vec<String>,
    keys: RawKeys,
    #[serde(default)]
    log: LogConfig,
    #[serde(default)]
    grpc_limits: GrpcLimits,
    objects: Option<RawObjects>,
    #[serde(default)]
    peers: Vec<RawPeer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawObjects {
    folder: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKeys {
    vote_key: PathBuf,
    next_vote_key: Option<PathBuf>,
    network_key: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPeer {
    name: String,
    network_key: String,
    address: String,
}

/// Names of all chains of a network, main first: what a node hosts if its configuration does not say.
pub fn all_chains() -> Vec<String> {
    let sides = SideChain::ALL.iter().map(|side| side.name());
    std::iter::once(MAIN)
        .chain(sides)
        .map(str::to_owned)
        .collect()
}

impl NodeConfig {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// If it is no valid configuration; names file, line, key and reason.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        Self::read(&Document::read(file)?)
    }

    /// Reads a configuration text; relative paths are taken from the folder of the document's file.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn read(document: &Document) -> Result<Self, ConfigError> {
        let raw: RawNode = document.parse()?;
        let at = Reader {
            document,
            path: String::new(),
        };
        let folder = document.file().parent().unwrap_or(Path::new(""));
        let data_dir = path(document, folder, "data_dir", &raw.data_dir)?;
        let objects = match &raw.objects {
            Some(objects) => path(document, folder, "objects.folder", &objects.folder)?,
            None => data_dir.join("objects"),
        };
        let next = raw.keys.next_vote_key.as_deref();
        let next_vote_key = next
            .map(|next| path(document, folder, "keys.next_vote_key", next))
            .transpose()?;
        let config = Self {
            name: at.name("name", &raw.name)?,
            data_dir,
            genesis: path(document, folder, "genesis", &raw.genesis)?,
            vote_key: path(document, folder, "keys.vote_key", &raw.keys.vote_key)?,
            next_vote_key,
            network_key: path(document, folder, "keys.network_key", &raw.keys.network_key)?,
            listen: raw
                .listen
                .parse()
                .map_err(|problem| document.refuse("listen", problem))?,
            grpc: socket(document, "grpc", &raw.grpc)?,
            metrics: socket(document, "metrics", &raw.metrics)?,
            chains: raw.chains,
            peers: peers(document, &raw.peers)?,
            log: raw.log,
            grpc_limits: raw.grpc_limits,
            objects,
        };
        config
            .check()
            .map_err(|(key, problem)| document.refuse(key, problem))?;
        Ok(config)
    }

    fn check(&self) -> Result<(), (String, Problem)> {
        self.check_key_files()?;
        let sockets = [
            ("listen", self.listen.socket()),
            ("grpc", self.grpc),
            ("metrics", self.metrics),
        ];
        for (later, (key, socket)) in sockets.iter().enumerate() {
            let same = |(_, other): &&(&str, SocketAddr)| socket.port() != 0 && other == socket;
            if let Some((first, _)) = sockets.iter().take(later).find(same) {
                let problem = Problem::Duplicate {
                    first: (*first).to_owned(),
                };
                return Err(((*key).to_owned(), problem));
            }
        }
        check_chains(&self.chains)?;
        // Agencies fill it; it must not mix with the store.
        if self.objects == self.data_dir || self.objects.starts_with(self.data_dir.join("store")) {
            let problem = Problem::Duplicate {
                first: "data_dir".to_owned(),
            };
            return Err(("objects.folder".to_owned(), problem));
        }
        let limits = &self.grpc_limits;
        let ranges = [
            (
                "request_bytes",
                limits.request_bytes,
                2 * MAX_TRANSACTION_BYTES as u64,
                MAX_REQUEST_BYTES,
            ),
            (
                "concurrent_requests",
                limits.concurrent_requests,
                1,
                MAX_CONCURRENT,
            ),
            ("connections", limits.connections, 1, MAX_CONCURRENT),
            (
                "request_timeout_ms",
                limits.request_timeout_ms,
                100,
                3_600_000,
            ),
        ];
        for (key, value, min, max) in ranges {
            if !(min..=max).contains(&value) {
                let problem = Problem::OutOfRange { value, min, max };
                return Err((format!("grpc_limits.{key}"), problem));
            }
        }
        Ok(())
    }

    /// Each key has a file of its own.
    fn check_key_files(&self) -> Result<(), (String, Problem)> {
        let files = [
            ("keys.vote_key", Some(&self.vote_key)),
            ("keys.next_vote_key", self.next_vote_key.as_ref()),
            ("keys.network_key", Some(&self.network_key)),
        ];
        let mut seen = BTreeMap::new();
        for (key, file) in files {
            let Some(file) = file else { continue };
            if let Some(first) = seen.insert(file, key) {
                let first = first.to_owned();
                return Err((key.to_owned(), Problem::Duplicate { first }));
            }
        }
        Ok(())
    }

    /// Reads the key with which the node votes.
    ///
    /// # Errors
    /// If the file is not there, is open to others, or holds no key.
    pub fn read_vote_key(&self) -> Result<SecretKey, SecretFileError> {
        secret::read_secret_key(&self.vote_key)
    }

    /// Reads the key with which the node votes once the set names it, if it has one.
    ///
    /// # Errors
    /// As [`Self::read_vote_key`].
    pub fn read_next_vote_key(&self) -> Result<Option<SecretKey>, SecretFileError> {
        let file = self.next_vote_key.as_deref();
        file.map(secret::read_secret_key).transpose()
    }

    /// Reads the seed of the key that names the node on the network.
    ///
    /// # Errors
    /// As [`Self::read_vote_key`].
    pub fn read_network_seed(&self) -> Result<Zeroizing<[u8; 32]>, SecretFileError> {
        secret::read_seed(&self.network_key)
    }
}

fn path(
    document: &Document,
    folder: &Path,
    key: &str,
    given: &Path,
) -> Result<PathBuf, ConfigError> {
    if given.as_os_str().is_empty() {
        let problem = Problem::WrongType {
            message: "an empty text is not a path".to_owned(),
        };
        return Err(document.refuse(key, problem));
    }
    Ok(folder.join(given))
}

fn socket(document: &Document, key: &str, text: &str) -> Result<SocketAddr, ConfigError> {
    text.parse()
        .map_err(|_| document.refuse(key, Problem::SocketAddress))
}

fn check_chains(chains: &[String]) -> Result<(), (String, Problem)> {
    if chains.is_empty() {
        return Err(("chains".to_owned(), Problem::EmptyList));
    }
    if chains.len() > MAX_CHAINS {
        let problem = Problem::TooMany {
            actual: chains.len(),
            limit: MAX_CHAINS,
        };
        return Err(("chains".to_owned(), problem));
    }
    for (index, chain) in chains.iter().enumerate() {
        let key = format!("chains[{index}]");
        if chain != MAIN && !SideChain::ALL.iter().any(|side| side.name() == chain) {
            let name = chain.clone();
            return Err((key, Problem::UnknownChain { name }));
        }
        if let Some(first) = chains.iter().take(index).position(|other| other == chain) {
            let first = format!("chains[{first}]");
            return Err((key, Problem::Duplicate { first }));
        }
    }
    if !chains.iter().any(|chain| chain == MAIN) {
        return Err(("chains".to_owned(), Problem::MainMissing));
    }
    Ok(())
}

fn peers(document: &Document, raw: &[RawPeer]) -> Result<Vec<Peer>, ConfigError> {
    if raw.len() > MAX_PEERS {
        let problem = Problem::TooMany {
            actual: raw.len(),
            limit: MAX_PEERS,
        };
        return Err(document.refuse("peers", problem));
    }
    let mut seen = BTreeMap::new();
    let mut peers = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        let at = Reader {
            document,
            path: format!("peers[{index}]"),
        };
        let here = format!("peers[{index}].address");
        let address: NetAddress = raw
            .address
            .parse()
            .map_err(|problem| document.refuse(here.as_str(), problem))?;
        if address.socket().port() == 0 {
            return Err(document.refuse(here, Problem::PortZero));
        }
        let peer = Peer {
            name: at.name("name", &raw.name)?,
            network_key: at.key("network_key", &raw.network_key)?,
            address,
        };
        let texts = [
            ("name", peer.name.to_string()),
            ("network_key", peer.network_key.to_string()),
        ];
        for (key, text) in texts {
            let path = format!("peers[{index}].{key}");
            if let Some(first) = seen.insert((key, text), path.clone()) {
                return Err(document.refuse(path, Problem::Duplicate { first }));
            }
        }
        peers.push(peer);
    }
    Ok(peers)
}

/// The text of a new configuration file, with comments. Paths are written as given.
pub struct NodeTemplate<'a> {
    /// Name of the node.
    pub name: &'a Name,
    /// The genesis file.
    pub genesis: &'a str,
    /// Where it listens for peers.
    pub listen: NetAddress,
    /// Where it serves gRPC.
    pub grpc: SocketAddr,
    /// Where it serves metrics.
    pub metrics: SocketAddr,
}

impl NodeTemplate<'_> {
    /// The text.
    pub fn to_toml(&self) -> String {
        let Self {
            name,
            genesis,
            listen,
            grpc,
            metrics,
        } = self;
        let genesis = toml::Value::String((*genesis).to_owned());
        format!(
            r#"# Configuration of a CertChain node. Relative paths start at this file's folder.

name = "{name}"
# The store, the vote journal and the lock. One daemon per folder.
data_dir = "data"
# The same content on all nodes of a network.
genesis = {genesis}

# Where peers connect. Only listed peers are let in.
listen = "{listen}"
# Where clients connect.
grpc = "{grpc}"
# Prometheus metrics and health over HTTP.
metrics = "{metrics}"

chains = ["main", "marriage", "property", "degree", "business", "health"]

# Secret keys, readable by their owner only (mode 0600).
[keys]
vote_key = "keys/vote.key"
network_key = "keys/network.key"

# What follows has these defaults. Format: "text" or "json".
#[log]
#filter = "info"
#format = "text"

#[grpc_limits]
#request_bytes = 4194304
#concurrent_requests = 1024
#connections = 1024
#request_timeout_ms = 30000

# Where ciphertexts are kept that are too large for the chains. It grows with what agencies put
# there; nothing is deleted.
#[objects]
#folder = "data/objects"
"#
        )
    }
}

/// Puts other peers into a configuration text and leaves all else as it is, comments included.
///
/// # Errors
/// If the text is no valid configuration, before or after.
pub fn replace_peers(document: &Document, peers: &[Peer]) -> Result<String, ConfigError> {
    let before = NodeConfig::read(document)?;
    let mut text = String::new();
    let mut inside = false;
    for line in document.text().lines() {
        let bare = line.trim();
        if bare.starts_with('[') {
            inside = bare.starts_with("[[peers]]");
        }
        if !inside {
            text.push_str(line);
            text.push('\n');
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    for Peer {
        name,
        network_key,
        address,
    } in peers
    {
        text.push_str(&format!(
            "\n[[peers]]\nname = \"{name}\"\nnetwork_key = \"{network_key}\"\naddress = \"{address}\"\n"
        ));
    }
    // Peers that were written in another way (`peers = [...]`) show here as a repeated key.
    let after = NodeConfig::read(&Document::new(document.file(), text.clone()))?;
    if (NodeConfig {
        peers: peers.to_vec(),
        ..before
    }) != after
    {
        let message = "write the peers as [[peers]] tables at the end of the file".to_owned();
        return Err(document.refuse("peers", Problem::WrongType { message }));
    }
    Ok(text)
}
