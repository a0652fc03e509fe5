//! `certchain-node show`: who a node is and where it can be reached, from its configuration.

use std::path::PathBuf;

use certchain_config::NodeConfig;
use certchain_net::NetworkKey;
use certchain_proto::SecretKey;
use serde_json::json;

/// Shows a node's public side: name, keys' ids and addresses. Needs no running daemon.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node's configuration.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Prints it.
///
/// # Errors
/// If the configuration or a key file is refused.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let config = NodeConfig::load(&args.config)?;
    let mut seed = config.read_network_seed()?;
    let network_key = SecretKey::from_seed(&seed).public().to_string();
    let peer_id = NetworkKey::from_seed(&mut seed)?.peer_id().to_string();
    let vote_key = config.read_vote_key()?.public().to_string();
    let next_vote_key = config.read_next_vote_key()?;
    let next_vote_key = next_vote_key.map(|key| key.public().to_string());
    let file = std::path::absolute(&args.config)?;
    let data_dir = std::path::absolute(&config.data_dir)?;
    if args.json {
        // One line, so that scripts can put it into a document of theirs.
        let document = json!({
            "name": config.name.as_str(),
            "grpc": config.grpc.to_string(),
            "grpc_url": format!("http://{}", config.grpc),
            "metrics": config.metrics.to_string(),
            "metrics_url": format!("http://{}/metrics", config.metrics),
            "listen": config.listen.to_string(),
            "data_dir": data_dir,
            "config": file,
            "peer_id": peer_id,
            "network_key": network_key,
            "vote_key": vote_key,
            "next_vote_key": next_vote_key,
            "chains": config.chains,
        });
        println!("{document}");
        return Ok(());
    }
    println!("node {}", config.name);
    println!("  peer id        {peer_id}");
    println!("  network key    {network_key}");
    println!("  vote key       {vote_key}");
    if let Some(next) = next_vote_key {
        println!("  next vote key  {next}");
    }
    println!("  peers          {}", config.listen);
    println!("  gRPC           http://{}", config.grpc);
    println!("  metrics        http://{}/metrics", config.metrics);
    println!("  data           {}", data_dir.display());
    Ok(())
}
