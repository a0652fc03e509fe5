//! `certchain-node peers`: the peers of a node's configuration, from their member files.

use std::path::PathBuf;

use anyhow::Context as _;
use certchain_config::{Member, NodeConfig, Peer, document::Document, node, secret};
use certchain_proto::SecretKey;

/// Writes the members' addresses into a node's configuration, in place of the peers that stand
/// there; the node itself is left out. Everything else in the file stays as it is.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node's configuration.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The members' public files.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub member: Vec<PathBuf>,
}

/// Writes the peers.
///
/// # Errors
/// If a file is refused or cannot be written.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let document = Document::read(&args.config)?;
    let config = NodeConfig::read(&document)?;
    let own = SecretKey::from_seed(&*config.read_network_seed()?);
    let mut peers = Vec::with_capacity(args.member.len());
    for file in &args.member {
        let member = Member::load(file)?;
        if member.network_key() != own.public() {
            peers.push(Peer {
                name: member.name().clone(),
                network_key: member.network_key().clone(),
                address: member.listen(),
            });
        }
    }
    let text = node::replace_peers(&document, &peers)?;
    secret::replace(&args.config, 0o644, text.as_bytes())
        .with_context(|| format!("cannot write {}", args.config.display()))?;
    println!("{} peers written to {}", peers.len(), args.config.display());
    Ok(())
}
