//! The end of a block: what is due at its height is decided.

use std::collections::BTreeMap;

use certchain_proto::wire::v1::Code;

use super::{
    ProposalId,
    changes::{Occasion, Writes, outcome},
    keys, membership, read_rules,
    record::{ProposalRecord, ProposalState},
    rules::{read_list, read_proposal},
};
use crate::{
    execution::{BlockContext, ParentSigners, Stop},
    state::StateKey,
    view::{Overlay, ReadError, StateView, Value},
};

/// Rule G-6: decides what is due, in the order in which it was proposed. A block at whose height
/// nothing is due costs one look-up.
pub(super) fn end_block(
    view: &dyn StateView,
    block: &BlockContext<'_>,
    parent: &ParentSigners,
) -> Result<BTreeMap<StateKey, Option<Value>>, ReadError> {
    let due_key = keys::due(block.height);
    let mut all = membership::note_signers(view, block, parent)?;
    if view.value(&due_key)?.is_none() {
        return Ok(all);
    }
    let due = read_list(view, due_key)?;
    all.insert(due_key, None);
    let mut overlay = Overlay {
        below: view,
        changed: all.clone().into_iter().collect(),
    };
    for id in due.ids {
        let Some(mut record) = read_proposal(&overlay, &id)? else {
            continue;
        };
        let mut writes = Writes::new();
        record.state = match record.state {
            ProposalState::Open => ProposalState::Expired,
            ProposalState::Accepted { .. } => match carry_out(&overlay, block, id, &record)? {
                Ok(changed) => {
                    writes = changed;
                    ProposalState::Executed
                }
                Err(code) => ProposalState::Failed { code: code as u16 },
            },
            // Nothing but the end of this block makes one of these of it, a vote the last.
            ProposalState::Rejected { .. }
            | ProposalState::Executed
            | ProposalState::Expired
            | ProposalState::Failed { .. } => continue,
        };
        writes.insert(keys::proposal(&id), Some(record.encode().into()));
        overlay
            .changed
            .extend(writes.iter().map(|(key, value)| (*key, value.clone())));
        all.extend(writes);
    }
    Ok(all)
}

/// What an accepted change writes, or why it cannot be carried out.
fn carry_out(
    view: &dyn StateView,
    block: &BlockContext<'_>,
    id: ProposalId,
    record: &ProposalRecord,
) -> Result<Result<Writes, Code>, ReadError> {
    let tally = record.tally(block.validators, &read_rules(view)?);
    if !tally.is_accepted() {
        return Ok(Err(Code::ApprovalsLapsed));
    }
    let occasion = Occasion {
        proposal: id,
        block,
    };
    match outcome(view, occasion, &record.change) {
        Ok(writes) => Ok(Ok(writes)),
        Err(Stop::Refused(refusal)) => Ok(Err(refusal.code())),
        Err(Stop::Failed(error)) => Err(error),
    }
}
