//! What changes of validators and observers alter, in words.

use certchain_config::Application;
use certchain_proto::{Validator, ValidatorSet};

use super::{ChangeLine, line};
use crate::{
    governance::{
        membership::read_members,
        record::{Change, Member, MembersRecord, Observer},
    },
    validator_set::read_set,
    view::{ReadError, StateView},
};

/// As [`super::preview`], for these changes.
pub(super) fn preview(view: &dyn StateView, change: &Change) -> Result<Vec<ChangeLine>, ReadError> {
    let record = read_members(view)?;
    let set = read_set(view)?;
    let validators = record.members.len();
    Ok(match change {
        Change::AdmitValidator(application) => vec![
            line(
                format!("validator {}", application.name),
                "",
                keys_of(application),
            ),
            count(validators, validators.saturating_add(1)),
        ],
        Change::RemoveValidator {
            vote_key,
            follow_ms,
        } => {
            let (name, before) = seat(&record, set.as_ref(), vote_key);
            let after = match follow_ms {
                0 => String::new(),
                _ => format!("follows for {follow_ms} ms"),
            };
            vec![
                line(format!("validator {name}"), before, after),
                count(validators, validators.saturating_sub(1)),
            ]
        }
        Change::RotateValidatorKeys {
            vote_key,
            application,
        } => {
            let (name, before) = seat(&record, set.as_ref(), vote_key);
            vec![line(
                format!("keys of validator {name}"),
                before,
                keys_of(application),
            )]
        }
        Change::AdmitObserver { name, network_key } => {
            let key = hex::encode(network_key);
            vec![line(format!("observer {name}"), "", key)]
        }
        Change::DismissObserver { network_key } => {
            let with = |o: &&Observer| o.network_key == *network_key;
            let name = record.observers.iter().find(with);
            let name = name.map_or("", |observer| &observer.name);
            let key = hex::encode(network_key);
            vec![line(format!("observer {name}"), key, "")]
        }
        // The others are told where they belong.
        _ => Vec::new(),
    })
}

fn count(before: usize, after: usize) -> ChangeLine {
    line("validators", before.to_string(), after.to_string())
}

fn keys_of(application: &Application) -> String {
    in_words(&Validator {
        vote_key: application.vote_key.clone(),
        network_key: *application.network_key.as_bytes(),
    })
}

fn in_words(validator: &Validator) -> String {
    let network = hex::encode(validator.network_key);
    format!("votes with {}, connects with {network}", validator.vote_key)
}

/// Name and keys of the validator with a vote key; empty if there is none.
fn seat(
    record: &MembersRecord,
    set: Option<&ValidatorSet>,
    vote_key: &[u8; 32],
) -> (String, String) {
    let mut seats = set
        .into_iter()
        .flat_map(ValidatorSet::iter)
        .zip(&record.members);
    let found = seats.find(|((_, v), _)| v.vote_key.as_bytes() == vote_key);
    found.map_or_else(
        || (hex::encode(vote_key), String::new()),
        |((_, validator), Member { name, .. })| (name.clone(), in_words(validator)),
    )
}
