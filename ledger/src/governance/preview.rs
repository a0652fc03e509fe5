//! A change in words: what it finds, and what it leaves.

mod members;

use certchain_proto::Address;

use super::{
    changes,
    record::{Change, ParameterTable},
};
use crate::{
    identity::{self, IdentityKind, IdentityRecord},
    view::{ReadError, StateView},
};

/// One thing that a change alters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeLine {
    /// What.
    pub what: String,
    /// As it is on the state that was asked.
    pub before: String,
    /// As the change leaves it.
    pub after: String,
}

fn line(
    what: impl Into<String>,
    before: impl Into<String>,
    after: impl Into<String>,
) -> ChangeLine {
    ChangeLine {
        what: what.into(),
        before: before.into(),
        after: after.into(),
    }
}

/// What a change would alter on this state, for people; also one that the state no longer allows.
///
/// # Errors
/// If the state cannot be read.
pub fn preview(view: &dyn StateView, change: &Change) -> Result<Vec<ChangeLine>, ReadError> {
    Ok(match change {
        Change::AccreditAgency { agency, types } => {
            let record = account(view, agency)?;
            let before = record.map(|record| record.may_issue).unwrap_or_default();
            let mut after = before.clone();
            after.extend(types.iter().filter(|name| !before.contains(name)).cloned());
            vec![line(
                format!("types of {agency}, once it has accepted"),
                before.join(", "),
                after.join(", "),
            )]
        }
        Change::WithdrawAccreditation { agency, types } => {
            let record = account(view, agency)?;
            let before = record.map(|record| record.may_issue).unwrap_or_default();
            let stay = before.iter().filter(|name| !types.contains(name));
            let after: Vec<_> = stay.cloned().collect();
            vec![line(
                format!("types of {agency}"),
                before.join(", "),
                after.join(", "),
            )]
        }
        Change::AppointRegistrar { address } => office(view, address, IdentityKind::Registrar)?,
        Change::DismissRegistrar { address } => office(view, address, IdentityKind::Organisation)?,
        Change::SetParameters(table) => parameters(view, table)?,
        Change::SetTagKeyVersion { version } => {
            let present = changes::parameters_of(view)?.tag_key_version;
            vec![line(
                "tag_key_version",
                present.to_string(),
                version.to_string(),
            )]
        }
        Change::AdmitValidator(_)
        | Change::RemoveValidator { .. }
        | Change::RotateValidatorKeys { .. }
        | Change::AdmitObserver { .. }
        | Change::DismissObserver { .. } => members::preview(view, change)?,
    })
}

fn account(view: &dyn StateView, address: &Address) -> Result<Option<IdentityRecord>, ReadError> {
    let key = identity::keys::identity(address);
    changes::read(view, key, IdentityRecord::decode)
}

const fn word(kind: IdentityKind) -> &'static str {
    match kind {
        IdentityKind::Citizen => "citizen",
        IdentityKind::Organisation => "organisation",
        IdentityKind::Agency => "agency",
        IdentityKind::Verifier => "verifier",
        IdentityKind::Auditor => "auditor",
        IdentityKind::Registrar => "registrar",
    }
}

fn office(
    view: &dyn StateView,
    address: &Address,
    after: IdentityKind,
) -> Result<Vec<ChangeLine>, ReadError> {
    let before = account(view, address)?.map_or("", |record| word(record.kind));
    let all = changes::registrars(view)?;
    let others = all.addresses.iter().filter(|other| *other != address);
    let others = others.count();
    let left = others + usize::from(after == IdentityKind::Registrar);
    Ok(vec![
        line(format!("office of {address}"), before, word(after)),
        line(
            "registrars",
            all.addresses.len().to_string(),
            left.to_string(),
        ),
    ])
}

fn parameters(view: &dyn StateView, table: &ParameterTable) -> Result<Vec<ChangeLine>, ReadError> {
    let present = changes::present_table(view)?;
    let pairs = present.named().into_iter().zip(table.named());
    Ok(pairs
        .filter(|((_, old), (_, new))| old != new)
        .map(|((name, old), (_, new))| line(name, old.to_string(), new.to_string()))
        .collect())
}
