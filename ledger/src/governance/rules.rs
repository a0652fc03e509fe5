//! The rules of the transactions: who proposes, votes and accepts, and what then changes.
//!
//! A rule first checks what the message alone shows, then who signs, then the subject. The first
//! thing that fails gives the code.

use certchain_config::Governance;
use certchain_proto::{
    Address, Epoch, Height, ValidatorIndex,
    transaction::Transaction,
    wire::v1::{AcceptAccreditation, Code, Propose, Vote, VoteChoice, transaction_body::Kind},
};

use super::{
    ProposalId, bad_field,
    changes::{self, Occasion},
    keys,
    record::{CastVote, Change, ProposalList, ProposalRecord, ProposalState, RulesRecord, Voter},
};
use crate::{
    execution::{
        BlockContext, Effects, IndexEntry, Stop, Topic, check_signed_by, check_signed_for,
        check_signer_count,
    },
    identity::{self, IdentityKind},
    refusal::Refusal,
    state::StateKey,
    view::{ReadError, StateView},
};

/// How far above its block a proposal's execution height may lie.
pub const MAX_AHEAD: u64 = 1_000_000;

/// Most proposals that the end of one block decides.
pub const MAX_DUE: usize = 64;

/// The rules of voting that are in force.
///
/// # Errors
/// If the state cannot be read.
pub fn read_rules(view: &dyn StateView) -> Result<Governance, ReadError> {
    let record = changes::read(view, keys::rules(), RulesRecord::decode)?;
    Ok(record.map_or_else(Governance::default, |record| record.rules))
}

/// A proposal; none if there is no such one.
///
/// # Errors
/// If the state cannot be read.
pub fn read_proposal(
    view: &dyn StateView,
    id: &ProposalId,
) -> Result<Option<ProposalRecord>, ReadError> {
    changes::read(view, keys::proposal(id), ProposalRecord::decode)
}

pub(super) fn read_list(view: &dyn StateView, key: StateKey) -> Result<ProposalList, ReadError> {
    let list = changes::read(view, key, ProposalList::decode)?;
    Ok(list.unwrap_or_default())
}

/// What the rules read, and decides a conflict inside a block. A proposal reads besides what its
/// change is about, and how far the proposer's earlier ones have come: neither lets a conflict pass
/// unseen. The former is judged again when the change is carried out, the latter only ever frees
/// places, so that who had one on the state before the block has one in it, too.
pub(super) fn reads(transaction: &Transaction) -> Vec<StateKey> {
    let proposal = |bytes: &[u8]| {
        keys::proposal(&ProposalId::from_slice(bytes).unwrap_or(ProposalId::from_bytes([0; 32])))
    };
    match transaction.kind() {
        Kind::Propose(m) => {
            let signer = transaction.witnesses().first();
            vec![
                keys::rules(),
                keys::open(&signer.map_or([0; 32], |witness| witness.public_key)),
                keys::due(Height::new(m.execution_height)),
                keys::proposal(&transaction.id()),
            ]
        }
        Kind::Vote(m) => vec![keys::rules(), proposal(&m.proposal)],
        Kind::AcceptAccreditation(m) => {
            let agency = Address::from_slice(&m.agency).unwrap_or(Address::from_bytes([0; 32]));
            vec![keys::offers(&agency), identity::keys::identity(&agency)]
        }
        _ => Vec::new(),
    }
}

/// Rule G-1: the validator that a message names, which has signed it.
fn member(
    block: &BlockContext<'_>,
    transaction: &Transaction,
    epoch: u64,
    validator: u32,
) -> Result<Voter, Refusal> {
    let unknown = || Refusal::new(Code::UnknownValidator);
    let validator = ValidatorIndex::new(u16::try_from(validator).map_err(|_| unknown())?);
    let set = block.validators;
    if Epoch::new(epoch) != set.epoch() {
        return Err(unknown());
    }
    let member = set.get(validator).ok_or_else(unknown)?;
    let vote_key = *member.vote_key.as_bytes();
    check_signed_by(transaction, 0, &vote_key)?;
    Ok(Voter {
        epoch: set.epoch(),
        validator,
        vote_key,
    })
}

fn proposal_id(bytes: &[u8]) -> Result<ProposalId, Refusal> {
    ProposalId::from_slice(bytes).ok_or_else(|| bad_field("proposal must have 32 bytes"))
}

/// Rules G-2, G-3 and G-7.
pub(super) fn propose(
    view: &dyn StateView,
    block: &BlockContext<'_>,
    transaction: &Transaction,
    m: &Propose,
) -> Result<Effects, Stop> {
    check_signer_count(transaction, 1)?;
    let change = Change::from_wire(m.change.as_ref())?;
    let proposer = member(block, transaction, m.epoch, m.validator)?;
    let execution_height = Height::new(m.execution_height);
    let last = Height::new(block.height.get().saturating_add(MAX_AHEAD));
    if execution_height <= block.height || execution_height > last {
        let text = format!("it must lie above {} and not above {last}", block.height);
        return Err(Refusal::about(Code::BadExecutionHeight, text).into());
    }

    let rules = read_rules(view)?;
    let id = transaction.id();
    let open_key = keys::open(&proposer.vote_key);
    let mut open = ProposalList::default();
    for earlier in read_list(view, open_key)?.ids {
        let record = read_proposal(view, &earlier)?;
        if record.is_some_and(|record| record.takes_place(block.time)) {
            open.ids.push(earlier);
        }
    }
    if open.ids.len() as u64 >= rules.open_proposals {
        let text = format!("{} of this validator are open", open.ids.len());
        return Err(Refusal::about(Code::TooManyProposals, text).into());
    }
    let due_key = keys::due(execution_height);
    let mut due = read_list(view, due_key)?;
    if due.ids.len() >= MAX_DUE {
        let text = format!("height {execution_height} is full, choose another");
        return Err(Refusal::about(Code::TooManyProposals, text).into());
    }
    let occasion = Occasion {
        proposal: id,
        block,
    };
    changes::outcome(view, occasion, &change)?;

    let record = ProposalRecord {
        proposer,
        change,
        opened_height: block.height,
        opened_time: block.time,
        ends: block.time.saturating_add(rules.voting_period_ms),
        execution_height,
        votes: Vec::new(),
        state: ProposalState::Open,
    };
    open.ids.push(id);
    due.ids.push(id);
    let mut effects = Effects {
        subject: Some(*id.as_bytes()),
        index: vec![IndexEntry {
            owner: Topic::NOBODY,
            topic: Topic::Proposals,
            id: *id.as_bytes(),
        }],
        ..Effects::default()
    };
    effects.set(keys::proposal(&id), &record.encode());
    effects.set(open_key, &open.encode());
    effects.set(due_key, &due.encode());
    Ok(effects)
}

/// Rules G-4 and G-5.
pub(super) fn vote(
    view: &dyn StateView,
    block: &BlockContext<'_>,
    transaction: &Transaction,
    m: &Vote,
) -> Result<Effects, Stop> {
    check_signer_count(transaction, 1)?;
    let id = proposal_id(&m.proposal)?;
    let approve = match VoteChoice::try_from(m.choice) {
        Ok(VoteChoice::Approve) => true,
        Ok(VoteChoice::Reject) => false,
        Ok(VoteChoice::Unspecified) | Err(_) => {
            return Err(bad_field("choice must be approve or reject").into());
        }
    };
    let voter = member(block, transaction, m.epoch, m.validator)?;
    let unknown = || Refusal::about(Code::UnknownProposal, id.to_string());
    let mut record = read_proposal(view, &id)?.ok_or_else(unknown)?;
    if !record.is_open(block.time) {
        return Err(Refusal::new(Code::VotingEnded).into());
    }
    let same = |vote: &CastVote| vote.voter.vote_key == voter.vote_key;
    if record.votes.iter().any(same) {
        return Err(Refusal::new(Code::AlreadyVoted).into());
    }
    let vote = CastVote {
        voter,
        approve,
        height: block.height,
        time: block.time,
    };
    record.cast(vote, block.validators, &read_rules(view)?);
    let mut effects = Effects {
        subject: Some(*id.as_bytes()),
        ..Effects::default()
    };
    effects.set(keys::proposal(&id), &record.encode());
    Ok(effects)
}

/// An agency accepts an accreditation: only then may it issue.
pub(super) fn accept(
    view: &dyn StateView,
    transaction: &Transaction,
    m: &AcceptAccreditation,
) -> Result<Effects, Stop> {
    check_signer_count(transaction, 1)?;
    let id = proposal_id(&m.proposal)?;
    let agency =
        Address::from_slice(&m.agency).ok_or_else(|| bad_field("agency must have 32 bytes"))?;
    let mut record = changes::account(view, &agency)?;
    if !changes::can_be_agency(&record) {
        return Err(Refusal::about(Code::NotEntitled, agency.to_string()).into());
    }
    changes::check_active(&record)?;
    check_signed_for(transaction, 0, &record.present)?;
    let mut offers = changes::offers(view, &agency)?;
    let place = offers.offers.iter().position(|offer| offer.proposal == id);
    let Some(place) = place else {
        return Err(Refusal::new(Code::NoOffer).into());
    };
    let offer = offers.offers.remove(place);
    for name in offer.types {
        if !record.may_issue.contains(&name) {
            record.may_issue.push(name);
        }
    }
    record.kind = IdentityKind::Agency;
    let mut effects = Effects {
        subject: Some(*agency.as_bytes()),
        ..Effects::default()
    };
    effects.set(identity::keys::identity(&agency), &record.encode());
    effects.set(keys::offers(&agency), &offers.encode());
    Ok(effects)
}
