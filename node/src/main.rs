//! `certchain-node`: the daemon and its operator's tools.

use std::process::ExitCode;

use certchain_node::commands;
use clap::{Parser, Subcommand};

/// A node of a CertChain network.
#[derive(Debug, Parser)]
#[command(name = "certchain-node", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node.
    Run(commands::run::Args),
    /// Make a new node's keys, journal and configuration.
    Init(commands::init::Args),
    /// Assemble a network's genesis from the members' public files.
    Genesis(commands::genesis::Args),
    /// Ask a running network to let this node vote, or vote with other keys.
    Apply(commands::apply::Args),
    /// Make a secret key that is to follow a present one.
    NewKey(commands::new_key::Args),
    /// Write the members' addresses into a node's configuration.
    Peers(commands::peers::Args),
    /// Show who a node is and where it can be reached.
    Show(commands::show::Args),
    /// Replay a node's chains from genesis and check everything.
    Audit(commands::audit::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(args) => commands::run::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Init(args) => commands::init::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Genesis(args) => commands::genesis::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Apply(args) => commands::apply::run(&args).map(|()| ExitCode::SUCCESS),
        Command::NewKey(args) => commands::new_key::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Peers(args) => commands::peers::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Show(args) => commands::show::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Audit(args) => commands::audit::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("certchain-node: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error with its causes, each told once: many of our sentences hold their cause already.
fn told(error: &anyhow::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .fold(String::new(), |told, cause| {
            if told.is_empty() {
                cause
            } else if told.contains(&cause) {
                told
            } else {
                format!("{told}: {cause}")
            }
        })
}
