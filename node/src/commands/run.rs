//! `certchain-node run`: the daemon.

use std::path::PathBuf;

use certchain_config::{LogFormat as ConfiguredFormat, NodeConfig};

use crate::{
    daemon,
    logging::{self, LogFormat},
    stop::Fatal,
};

/// Runs a node until it gets SIGTERM or SIGINT.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node's configuration, as `certchain-node init` writes it.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Runs the daemon.
///
/// # Errors
/// If it cannot start or had to end.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let config = NodeConfig::load(&args.config)?;
    let format = match config.log.format {
        ConfiguredFormat::Text => LogFormat::Text,
        ConfiguredFormat::Json => LogFormat::Json,
    };
    logging::start(&config.log.filter, format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(daemon::run(config, Fatal::default()))?;
    Ok(())
}
