//! `certchain governance propose ...` for validators and observers.

use std::path::PathBuf;

use certchain_config::{Application, Name};
use certchain_ledger::governance::Change;
use certchain_proto::wire::v1::GetGovernanceResponse;
use clap::Subcommand;

use super::failure::Failure;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Who takes part in the network.
#[derive(Subcommand, Debug)]
pub enum MembershipCommand {
    /// Let a node vote
    AdmitValidator {
        /// Its application, as `certchain-node apply` made it
        #[arg(long, value_name = "FILE")]
        application: PathBuf,
    },
    /// End a validator
    RemoveValidator {
        /// Name or vote key of the validator
        #[arg(value_name = "NAME|KEY")]
        validator: String,
        /// Days for which its node may go on to follow
        #[arg(long, value_name = "DAYS", default_value_t = 0)]
        follow_days: u64,
    },
    /// Give a validator other keys
    RotateKeys {
        /// Name or present vote key of the validator
        #[arg(value_name = "NAME|KEY")]
        validator: String,
        /// Its application with the new keys
        #[arg(long, value_name = "FILE")]
        application: PathBuf,
    },
    /// Let a node connect and follow without a vote
    AdmitObserver {
        /// Its name
        name: Name,
        /// Its network key
        #[arg(value_name = "KEY")]
        network_key: String,
    },
    /// End an observer
    DismissObserver {
        /// Name or network key of the observer
        #[arg(value_name = "NAME|KEY")]
        observer: String,
    },
}

/// The change that a command names; `present` is what is in force.
///
/// # Errors
/// If a file is none, or a name is unknown.
pub fn change_of(
    command: MembershipCommand,
    present: &GetGovernanceResponse,
) -> Result<Change, Failure> {
    Ok(match command {
        MembershipCommand::AdmitValidator { application } => {
            Change::AdmitValidator(Box::new(Application::load(&application)?.1))
        }
        MembershipCommand::RemoveValidator {
            validator,
            follow_days,
        } => Change::RemoveValidator {
            vote_key: vote_key_of(present, &validator)?,
            follow_ms: follow_days.saturating_mul(DAY_MS),
        },
        MembershipCommand::RotateKeys {
            validator,
            application,
        } => Change::RotateValidatorKeys {
            vote_key: vote_key_of(present, &validator)?,
            application: Box::new(Application::load(&application)?.1),
        },
        MembershipCommand::AdmitObserver { name, network_key } => Change::AdmitObserver {
            name: name.to_string(),
            network_key: key_of(None, &network_key, "observer")?,
        },
        MembershipCommand::DismissObserver { observer } => Change::DismissObserver {
            network_key: observer_key_of(present, &observer)?,
        },
    })
}

/// The vote key of the validator with this name, or the key itself.
fn vote_key_of(present: &GetGovernanceResponse, text: &str) -> Result<[u8; 32], Failure> {
    let named = present.members.iter().find(|member| member.name == text);
    key_of(named.map(|member| &member.vote_key), text, "validator")
}

/// The network key of the observer with this name, or the key itself.
fn observer_key_of(present: &GetGovernanceResponse, text: &str) -> Result<[u8; 32], Failure> {
    let named = present.observers.iter().find(|other| other.name == text);
    key_of(named.map(|other| &other.network_key), text, "observer")
}

fn key_of(named: Option<&Vec<u8>>, text: &str, what: &'static str) -> Result<[u8; 32], Failure> {
    let bytes = match named {
        Some(key) => Some(key.clone()),
        None => hex::decode(text).ok(),
    };
    let key = bytes.and_then(|bytes| bytes.try_into().ok());
    key.ok_or_else(|| {
        Failure::usage(format!(
            "`{text}` is neither the name of a {what} nor a key of 64 hexadecimal digits; \
             `certchain governance show` lists them"
        ))
    })
}
