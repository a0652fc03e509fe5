//! Changes between their protobuf messages and the records of the state.

use certchain_config::{Application, Governance, Limits, Name, OrganisationCode, Timers};
use certchain_proto::{
    Address, PublicKey, Signature,
    wire::v1::{
        AccreditAgency, AdmitObserver, AdmitValidator, AppointRegistrar, ChainLimits, ChainTimers,
        Code, DismissObserver, DismissRegistrar, GovernanceRules, RemoveValidator,
        RotateValidatorKeys, SetParameters, SetTagKeyVersion, ValidatorApplication,
        WithdrawAccreditation, propose::Change as Message,
    },
};

use super::{
    bad_field,
    record::{Change, ParameterTable},
};
use crate::refusal::Refusal;

/// Most types that one change names.
const MAX_NAMED: usize = 64;

fn address(bytes: &[u8], name: &str) -> Result<Address, Refusal> {
    Address::from_slice(bytes).ok_or_else(|| bad_field(format!("{name} must have 32 bytes")))
}

fn types(names: &[String]) -> Result<Vec<String>, Refusal> {
    if names.is_empty() || names.len() > MAX_NAMED {
        return Err(bad_field(format!("types must be 1 to {MAX_NAMED}")));
    }
    if names.iter().any(|name| Name::parse(name).is_err()) {
        return Err(bad_field("types must be names of the catalogue"));
    }
    if !names.is_sorted_by(|one, next| one < next) {
        return Err(bad_field("types must stand in rising order, none twice"));
    }
    Ok(names.to_vec())
}

fn key(bytes: &[u8], name: &str) -> Result<[u8; 32], Refusal> {
    let bytes = bytes.try_into().ok();
    bytes.ok_or_else(|| bad_field(format!("{name} must have 32 bytes")))
}

fn public_key(bytes: &[u8], name: &str) -> Result<PublicKey, Refusal> {
    let bytes = key(bytes, name)?;
    PublicKey::from_bytes(&bytes)
        .map_err(|error| Refusal::about(Code::BadKey, format!("{name}: {error}")))
}

fn name(text: &str) -> Result<Name, Refusal> {
    Name::parse(text).map_err(|problem| bad_field(format!("name {problem}")))
}

fn application(m: Option<&ValidatorApplication>) -> Result<Application, Refusal> {
    let m = m.ok_or_else(|| missing("application"))?;
    let signature = |bytes: &[u8], name: &str| {
        let signature = Signature::from_slice(bytes);
        signature.ok_or_else(|| bad_field(format!("{name} must have 64 bytes")))
    };
    let code = OrganisationCode::parse(&m.organisation_code)
        .map_err(|problem| bad_field(format!("organisation_code {problem}")))?;
    Ok(Application {
        name: name(&m.name)?,
        organisation_code: code,
        vote_key: public_key(&m.vote_key, "vote_key")?,
        network_key: public_key(&m.network_key, "network_key")?,
        vote_signature: signature(&m.vote_signature, "vote_signature")?,
        network_signature: signature(&m.network_signature, "network_signature")?,
    })
}

fn application_to_wire(application: &Application) -> ValidatorApplication {
    ValidatorApplication {
        name: application.name.to_string(),
        organisation_code: application.organisation_code.to_string(),
        vote_key: application.vote_key.as_bytes().to_vec(),
        network_key: application.network_key.as_bytes().to_vec(),
        vote_signature: application.vote_signature.to_bytes().to_vec(),
        network_signature: application.network_signature.to_bytes().to_vec(),
    }
}

fn missing(name: &str) -> Refusal {
    bad_field(format!("{name} is missing"))
}

impl Change {
    /// Reads the message of a proposal.
    ///
    /// # Errors
    /// `BadField` if there is none or a field of it is malformed.
    pub fn from_wire(message: Option<&Message>) -> Result<Self, Refusal> {
        let message = message.ok_or_else(|| bad_field("change is missing or unknown"))?;
        Ok(match message {
            Message::AccreditAgency(m) => Self::AccreditAgency {
                agency: address(&m.agency, "agency")?,
                types: types(&m.types)?,
            },
            Message::WithdrawAccreditation(m) => Self::WithdrawAccreditation {
                agency: address(&m.agency, "agency")?,
                types: types(&m.types)?,
            },
            Message::AppointRegistrar(m) => Self::AppointRegistrar {
                address: address(&m.address, "address")?,
            },
            Message::DismissRegistrar(m) => Self::DismissRegistrar {
                address: address(&m.address, "address")?,
            },
            Message::SetParameters(m) => Self::SetParameters(Box::new(ParameterTable {
                limits: limits(m.limits.as_ref().ok_or_else(|| missing("limits"))?),
                timers: timers(m.timers.as_ref().ok_or_else(|| missing("timers"))?),
                governance: governance(m.governance.as_ref().ok_or_else(|| missing("governance"))?),
            })),
            Message::SetTagKeyVersion(m) => Self::SetTagKeyVersion { version: m.version },
            Message::AdmitValidator(m) => {
                Self::AdmitValidator(Box::new(application(m.application.as_ref())?))
            }
            Message::RemoveValidator(m) => Self::RemoveValidator {
                vote_key: key(&m.vote_key, "vote_key")?,
                follow_ms: m.follow_ms,
            },
            Message::RotateValidatorKeys(m) => Self::RotateValidatorKeys {
                vote_key: key(&m.vote_key, "vote_key")?,
                application: Box::new(application(m.application.as_ref())?),
            },
            Message::AdmitObserver(m) => Self::AdmitObserver {
                name: name(&m.name)?.to_string(),
                network_key: *public_key(&m.network_key, "network_key")?.as_bytes(),
            },
            Message::DismissObserver(m) => Self::DismissObserver {
                network_key: key(&m.network_key, "network_key")?,
            },
        })
    }

    /// The message of a proposal.
    pub fn to_wire(&self) -> Message {
        let raw = |address: &Address| address.as_bytes().to_vec();
        match self {
            Self::AccreditAgency { agency, types } => Message::AccreditAgency(AccreditAgency {
                agency: raw(agency),
                types: types.clone(),
            }),
            Self::WithdrawAccreditation { agency, types } => {
                Message::WithdrawAccreditation(WithdrawAccreditation {
                    agency: raw(agency),
                    types: types.clone(),
                })
            }
            Self::AppointRegistrar { address } => Message::AppointRegistrar(AppointRegistrar {
                address: raw(address),
            }),
            Self::DismissRegistrar { address } => Message::DismissRegistrar(DismissRegistrar {
                address: raw(address),
            }),
            Self::SetParameters(table) => Message::SetParameters(SetParameters {
                limits: Some(limits_to_wire(&table.limits)),
                timers: Some(timers_to_wire(&table.timers)),
                governance: Some(GovernanceRules {
                    threshold_percent: table.governance.threshold_percent,
                    voting_period_ms: table.governance.voting_period_ms,
                    open_proposals: table.governance.open_proposals,
                }),
            }),
            Self::SetTagKeyVersion { version } => {
                Message::SetTagKeyVersion(SetTagKeyVersion { version: *version })
            }
            Self::AdmitValidator(application) => Message::AdmitValidator(AdmitValidator {
                application: Some(application_to_wire(application)),
            }),
            Self::RemoveValidator {
                vote_key,
                follow_ms,
            } => Message::RemoveValidator(RemoveValidator {
                vote_key: vote_key.to_vec(),
                follow_ms: *follow_ms,
            }),
            Self::RotateValidatorKeys {
                vote_key,
                application,
            } => Message::RotateValidatorKeys(RotateValidatorKeys {
                vote_key: vote_key.to_vec(),
                application: Some(application_to_wire(application)),
            }),
            Self::AdmitObserver { name, network_key } => Message::AdmitObserver(AdmitObserver {
                name: name.clone(),
                network_key: network_key.to_vec(),
            }),
            Self::DismissObserver { network_key } => Message::DismissObserver(DismissObserver {
                network_key: network_key.to_vec(),
            }),
        }
    }
}

const fn governance(m: &GovernanceRules) -> Governance {
    Governance {
        threshold_percent: m.threshold_percent,
        voting_period_ms: m.voting_period_ms,
        open_proposals: m.open_proposals,
    }
}

const fn limits(m: &ChainLimits) -> Limits {
    Limits {
        transaction_bytes: m.transaction_bytes,
        block_bytes: m.block_bytes,
        block_transactions: m.block_transactions,
        transaction_window_ms: m.transaction_window_ms,
        mempool_transactions: m.mempool_transactions,
        mempool_bytes: m.mempool_bytes,
        mempool_per_sender: m.mempool_per_sender,
    }
}

const fn limits_to_wire(limits: &Limits) -> ChainLimits {
    ChainLimits {
        transaction_bytes: limits.transaction_bytes,
        block_bytes: limits.block_bytes,
        block_transactions: limits.block_transactions,
        transaction_window_ms: limits.transaction_window_ms,
        mempool_transactions: limits.mempool_transactions,
        mempool_bytes: limits.mempool_bytes,
        mempool_per_sender: limits.mempool_per_sender,
    }
}

const fn timers(m: &ChainTimers) -> Timers {
    Timers {
        view_timeout_ms: m.view_timeout_ms,
        view_timeout_cap_ms: m.view_timeout_cap_ms,
        heartbeat_ms: m.heartbeat_ms,
        staleness_ms: m.staleness_ms,
        clock_bound_ms: m.clock_bound_ms,
        clock_bound_cap_ms: m.clock_bound_cap_ms,
        rotation_blocks: m.rotation_blocks,
        block_interval_ms: m.block_interval_ms,
        side_heartbeat_ms: m.side_heartbeat_ms,
        anchor_interval_ms: m.anchor_interval_ms,
        anchor_blocks: m.anchor_blocks,
        recovery_wait_ms: m.recovery_wait_ms,
    }
}

const fn timers_to_wire(timers: &Timers) -> ChainTimers {
    ChainTimers {
        view_timeout_ms: timers.view_timeout_ms,
        view_timeout_cap_ms: timers.view_timeout_cap_ms,
        heartbeat_ms: timers.heartbeat_ms,
        staleness_ms: timers.staleness_ms,
        clock_bound_ms: timers.clock_bound_ms,
        clock_bound_cap_ms: timers.clock_bound_cap_ms,
        rotation_blocks: timers.rotation_blocks,
        block_interval_ms: timers.block_interval_ms,
        side_heartbeat_ms: timers.side_heartbeat_ms,
        anchor_interval_ms: timers.anchor_interval_ms,
        anchor_blocks: timers.anchor_blocks,
        recovery_wait_ms: timers.recovery_wait_ms,
    }
}
