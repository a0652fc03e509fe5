//! The command line.

mod anchor;
mod batch;
mod certificate;
mod chain;
mod check;
mod devices;
mod exit_code;
mod failure;
mod governance;
mod holding;
mod identity;
mod inbox;
mod issue;
mod listing;
mod lookup;
mod membership;
mod offline;
mod output;
mod present;
mod proposals;
mod recovery;
mod registration;
mod second_signer;
mod sending;
mod session;
mod show;
mod show_certificate;
mod table;
mod trusted_header;
mod wallet;

use std::{io, process::ExitCode};

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use exit_code::Exit;
use failure::Failure;
use session::Common;

/// CertChain: wallets, identities, certificates and chains
#[derive(Parser, Debug)]
#[command(name = "certchain", version, after_help = exit_code::HELP, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Make and manage wallets
    #[command(subcommand)]
    Wallet(wallet::WalletCommand),
    /// Register identities, ask for them, change their keys and status
    #[command(subcommand)]
    Identity(identity::IdentityCommand),
    /// Issue, receive, show and revoke certificates
    #[command(subcommand)]
    Certificate(Box<certificate::CertificateCommand>),
    /// Certificates that were sent to me, opened and verified
    Inbox(inbox::InboxArgs),
    /// Check a certificate that somebody shows, and record the check
    Check(Box<check::CheckArgs>),
    /// Change the network by vote: propose, vote, see what is in force
    #[command(subcommand)]
    Governance(Box<governance::GovernanceCommand>),
    /// Read a chain: status, blocks, transactions, proofs, anchors
    #[command(subcommand)]
    Chain(chain::ChainCommand),
    /// Write a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// Why a command stops early.
pub enum Stop {
    /// It failed.
    Failure(Failure),
    /// Who reads the output has gone; no reason to complain.
    OutputClosed(io::Error),
    /// The answer was written and says what happened; only the exit code is another.
    Told(Exit),
}

impl<E: Into<Failure>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failure(error.into())
    }
}

/// What commands give back.
pub type CommandResult = Result<(), Stop>;

/// Parses the command line, runs the command, reports an error, gives the exit code.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output and are no error.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage.into()
            } else {
                Exit::Done.into()
            };
        }
    };
    let output = cli.common.output();
    match execute(cli) {
        Ok(()) => Exit::Done.into(),
        Err(Stop::Told(exit)) => exit.into(),
        Err(Stop::OutputClosed(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Exit::Done.into()
        }
        Err(Stop::OutputClosed(error)) => {
            let message = format!("cannot write the answer: {error}");
            output.failure(&Failure::new(Exit::Failed, message));
            Exit::Failed.into()
        }
        Err(Stop::Failure(failure)) => {
            output.failure(&failure);
            failure.exit.into()
        }
    }
}

fn execute(cli: Cli) -> CommandResult {
    let common = &cli.common;
    match cli.command {
        Command::Wallet(command) => wallet::run(common, command),
        Command::Identity(command) => runtime()?.block_on(identity::run(common, command)),
        Command::Certificate(command) => runtime()?.block_on(certificate::run(common, *command)),
        Command::Inbox(args) => runtime()?.block_on(inbox::run(common, args)),
        Command::Check(args) => runtime()?.block_on(check::run(common, *args)),
        Command::Governance(command) => runtime()?.block_on(governance::run(common, *command)),
        Command::Chain(command) => runtime()?.block_on(chain::run(common, command)),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "certchain", &mut script);
            common.output().raw(&script).map_err(Stop::OutputClosed)
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
