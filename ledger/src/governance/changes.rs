//! What each change demands of the state, and what it writes. The same function judges a change
//! when it is proposed and carries it out at its height.

use std::{collections::BTreeMap, sync::Arc};

use certchain_config::{genesis::MAX_REGISTRARS, parameters};
use certchain_proto::{Address, codec, wire::v1::Code};

use super::{
    ProposalId, keys, membership,
    record::{
        Change, MAX_OFFERS, MAX_TYPES, Offer, OffersRecord, ParameterTable, RegistrarsRecord,
        RulesRecord, TypesRecord,
    },
};
use crate::{
    execution::{BlockContext, Stop},
    identity::{self, IdentityKind, IdentityRecord},
    parameters::ChainParameters,
    refusal::Refusal,
    state::StateKey,
    versioned::RecordError,
    view::{ReadError, StateView, Value},
};

/// What a change writes.
pub(super) type Writes = BTreeMap<StateKey, Option<Value>>;

/// The proposal whose change is judged, and the block that judges it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occasion<'a> {
    pub(super) proposal: ProposalId,
    pub(super) block: &'a BlockContext<'a>,
}

/// What carrying out the change on this state writes.
///
/// # Errors
/// The code of the first rule that it breaks; or that the state cannot be read.
pub(super) fn outcome(
    view: &dyn StateView,
    occasion: Occasion<'_>,
    change: &Change,
) -> Result<Writes, Stop> {
    match change {
        Change::AccreditAgency { agency, types } => accredit(view, occasion, agency, types),
        Change::WithdrawAccreditation { agency, types } => withdraw(view, agency, types),
        Change::AppointRegistrar { address } => appoint(view, address),
        Change::DismissRegistrar { address } => dismiss(view, address),
        Change::SetParameters(table) => set_parameters(view, table),
        Change::SetTagKeyVersion { version } => set_tag_key_version(view, *version),
        Change::AdmitValidator(application) => {
            membership::admit_validator(view, occasion.block, application)
        }
        Change::RemoveValidator {
            vote_key,
            follow_ms,
        } => membership::remove_validator(view, occasion.block, vote_key, *follow_ms),
        Change::RotateValidatorKeys {
            vote_key,
            application,
        } => membership::rotate_keys(view, occasion.block, vote_key, application),
        Change::AdmitObserver { name, network_key } => {
            membership::admit_observer(view, occasion.block, name, network_key)
        }
        Change::DismissObserver { network_key } => {
            membership::dismiss_observer(view, occasion.block, network_key)
        }
    }
}

pub(super) fn put(writes: &mut Writes, key: StateKey, value: Vec<u8>) {
    writes.insert(key, Some(Arc::from(value)));
}

/// A record of the state; none if it is not there.
pub(super) fn read<T>(
    view: &dyn StateView,
    key: StateKey,
    decode: impl FnOnce(&[u8]) -> Result<T, RecordError>,
) -> Result<Option<T>, ReadError> {
    let Some(value) = view.value(&key)? else {
        return Ok(None);
    };
    let record = decode(&value).map_err(|source| ReadError::record(key, source))?;
    Ok(Some(record))
}

/// An account.
pub(super) fn account(view: &dyn StateView, address: &Address) -> Result<IdentityRecord, Stop> {
    let key = identity::keys::identity(address);
    let record = read(view, key, IdentityRecord::decode)?;
    let unknown = || Refusal::about(Code::UnknownAccount, address.to_string());
    Ok(record.ok_or_else(unknown)?)
}

pub(super) fn check_active(record: &IdentityRecord) -> Result<(), Refusal> {
    match record.present.status.refusal() {
        None => Ok(()),
        Some(code) => Err(Refusal::new(code)),
    }
}

pub(super) fn offers(view: &dyn StateView, agency: &Address) -> Result<OffersRecord, ReadError> {
    let record = read(view, keys::offers(agency), OffersRecord::decode)?;
    Ok(record.unwrap_or_default())
}

pub(super) fn parameters_of(view: &dyn StateView) -> Result<ChainParameters, ReadError> {
    let key = identity::keys::parameters();
    let record = read(view, key, ChainParameters::decode)?;
    Ok(record.unwrap_or_default())
}

pub(super) fn registrars(view: &dyn StateView) -> Result<RegistrarsRecord, ReadError> {
    let record = read(view, keys::registrars(), RegistrarsRecord::decode)?;
    Ok(record.unwrap_or_default())
}

/// Whether an account may become, or is, an agency.
pub(super) fn can_be_agency(record: &IdentityRecord) -> bool {
    matches!(
        record.kind,
        IdentityKind::Agency | IdentityKind::Organisation
    )
}

fn accredit(
    view: &dyn StateView,
    occasion: Occasion<'_>,
    agency: &Address,
    types: &[String],
) -> Result<Writes, Stop> {
    let record = account(view, agency)?;
    if !can_be_agency(&record) {
        let text = format!("{agency} is no agency or organisation");
        return Err(Refusal::about(Code::NotEntitled, text).into());
    }
    check_active(&record)?;
    let known = read(view, keys::types(), TypesRecord::decode)?.unwrap_or_default();
    if let Some(unknown) = types.iter().find(|name| !known.names.contains(name)) {
        return Err(Refusal::about(Code::UnknownType, unknown.clone()).into());
    }
    let fresh = |name: &&String| !record.may_issue.contains(name);
    let fresh: Vec<String> = types.iter().filter(fresh).cloned().collect();
    if fresh.is_empty() {
        return Err(Refusal::about(Code::NoChange, "it may issue all of them already").into());
    }
    let mut offers = offers(view, agency)?;
    if offers.offers.len() >= MAX_OFFERS {
        return Err(Refusal::new(Code::TooManyOffers).into());
    }
    let waiting: usize = offers.offers.iter().map(|offer| offer.types.len()).sum();
    if record.may_issue.len() + waiting + fresh.len() > MAX_TYPES {
        let text = format!("an agency has at most {MAX_TYPES} types");
        return Err(Refusal::about(Code::TooManyOffers, text).into());
    }
    offers.offers.push(Offer {
        proposal: occasion.proposal,
        height: occasion.block.height,
        types: fresh,
    });
    let mut writes = Writes::new();
    put(&mut writes, keys::offers(agency), offers.encode());
    Ok(writes)
}

fn withdraw(view: &dyn StateView, agency: &Address, types: &[String]) -> Result<Writes, Stop> {
    let mut record = account(view, agency)?;
    let mut offers = offers(view, agency)?;
    let held = |name: &String| {
        record.may_issue.contains(name)
            || offers.offers.iter().any(|offer| offer.types.contains(name))
    };
    if let Some(other) = types.iter().find(|name| !held(name)) {
        let text = format!("it may not issue {other}");
        return Err(Refusal::about(Code::NotAccredited, text).into());
    }
    let stays = |name: &String| !types.contains(name);
    record.may_issue.retain(stays);
    // What it has not accepted yet goes too, or it could take it afterwards.
    let before = offers.clone();
    for offer in &mut offers.offers {
        offer.types.retain(stays);
    }
    offers.offers.retain(|offer| !offer.types.is_empty());
    let mut writes = Writes::new();
    put(
        &mut writes,
        identity::keys::identity(agency),
        record.encode(),
    );
    if offers != before {
        put(&mut writes, keys::offers(agency), offers.encode());
    }
    Ok(writes)
}

fn appoint(view: &dyn StateView, address: &Address) -> Result<Writes, Stop> {
    let mut record = account(view, address)?;
    match record.kind {
        IdentityKind::Organisation => {}
        IdentityKind::Registrar => {
            return Err(Refusal::about(Code::NoChange, "it is a registrar already").into());
        }
        IdentityKind::Citizen
        | IdentityKind::Agency
        | IdentityKind::Verifier
        | IdentityKind::Auditor => {
            let text = format!("{address} is no organisation");
            return Err(Refusal::about(Code::NotEntitled, text).into());
        }
    }
    check_active(&record)?;
    let mut all = registrars(view)?;
    if all.addresses.len() >= MAX_REGISTRARS {
        let text = format!("a network has at most {MAX_REGISTRARS} registrars");
        return Err(Refusal::about(Code::NotEntitled, text).into());
    }
    all.addresses.push(*address);
    record.kind = IdentityKind::Registrar;
    let mut writes = Writes::new();
    put(
        &mut writes,
        identity::keys::identity(address),
        record.encode(),
    );
    put(&mut writes, keys::registrars(), all.encode());
    Ok(writes)
}

fn dismiss(view: &dyn StateView, address: &Address) -> Result<Writes, Stop> {
    let mut record = account(view, address)?;
    if record.kind != IdentityKind::Registrar {
        let text = format!("{address} is no registrar");
        return Err(Refusal::about(Code::NotEntitled, text).into());
    }
    let mut all = registrars(view)?;
    all.addresses.retain(|other| other != address);
    let mut active = false;
    for other in &all.addresses {
        active |= check_active(&account(view, other)?).is_ok();
    }
    if !active {
        return Err(Refusal::new(Code::LastRegistrar).into());
    }
    record.kind = IdentityKind::Organisation;
    let mut writes = Writes::new();
    put(
        &mut writes,
        identity::keys::identity(address),
        record.encode(),
    );
    put(&mut writes, keys::registrars(), all.encode());
    Ok(writes)
}

/// What a vote can change. The others are read by engines, which know those with which they started,
/// or by side chains, which have tables of their own; and a shorter window would let ids be executed
/// twice as long as the set of remembered ones follows the new one.
const CHANGEABLE: [&str; 9] = [
    "limits.transaction_bytes",
    "limits.block_bytes",
    "limits.mempool_transactions",
    "limits.mempool_bytes",
    "limits.mempool_per_sender",
    "timers.recovery_wait_ms",
    "governance.threshold_percent",
    "governance.voting_period_ms",
    "governance.open_proposals",
];

/// The table that is in force.
pub(super) fn present_table(view: &dyn StateView) -> Result<ParameterTable, ReadError> {
    let parameters = parameters_of(view)?;
    Ok(ParameterTable {
        limits: parameters.limits,
        timers: parameters.timers,
        governance: super::read_rules(view)?,
    })
}

fn set_parameters(view: &dyn StateView, table: &ParameterTable) -> Result<Writes, Stop> {
    parameters::check(&table.limits, &table.timers, &table.governance)
        .map_err(|error| Refusal::about(Code::BadParameters, error.to_string()))?;
    let present = present_table(view)?;
    if *table == present {
        return Err(Refusal::new(Code::NoChange).into());
    }
    for ((name, new), (_, old)) in table.named().into_iter().zip(present.named()) {
        if new != old && !CHANGEABLE.contains(&name) {
            let text = format!("{name} is {old} and cannot be {new}");
            return Err(Refusal::about(Code::FixedParameter, text).into());
        }
    }
    let parameters = ChainParameters {
        limits: table.limits.clone(),
        timers: table.timers.clone(),
        ..parameters_of(view)?
    };
    let rules = RulesRecord {
        rules: table.governance.clone(),
    };
    let mut writes = Writes::new();
    put(
        &mut writes,
        identity::keys::parameters(),
        codec::encode(&parameters),
    );
    put(&mut writes, keys::rules(), rules.encode());
    Ok(writes)
}

fn set_tag_key_version(view: &dyn StateView, version: u32) -> Result<Writes, Stop> {
    let present = parameters_of(view)?;
    if version == present.tag_key_version {
        return Err(Refusal::new(Code::NoChange).into());
    }
    if version < present.tag_key_version {
        let text = format!("the present version is {}", present.tag_key_version);
        return Err(Refusal::about(Code::BadParameters, text).into());
    }
    let parameters = ChainParameters {
        tag_key_version: version,
        ..present
    };
    let mut writes = Writes::new();
    put(
        &mut writes,
        identity::keys::parameters(),
        codec::encode(&parameters),
    );
    Ok(writes)
}
