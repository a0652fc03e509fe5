//! Governance: what is in force, and what has been proposed.

use certchain_ledger::{
    chain::{Chain, ListPosition},
    execution::Topic,
    governance::{
        Change, ParameterTable, ProposalId, ProposalRecord, ProposalState, RegistrarsRecord,
        TypesRecord, keys, preview, read_members, read_proposal, read_rules, signed_recently,
    },
    parameters::ChainParameters,
    state::StateKey,
    versioned::RecordError,
    view::{ReadError, StateView, Value},
};
use certchain_proto::{
    Height, TimeMs, ValidatorSet,
    wire::v1::{
        self, Code, GetGovernanceRequest, GetGovernanceResponse, GetProposalRequest,
        GetProposalResponse, ListProposalsRequest, ListProposalsResponse, Proposal, Propose,
        RecordedVote, VoteChoice, VotingMember, governance_service_server::GovernanceService,
        propose,
    },
};
use tonic::{Request, Response, Status};

use super::{
    Services,
    cursor::{read_cursor, write_cursor},
    on_worker,
    status::{invalid, refused, unreadable},
};
use crate::chain::ChainHost;

/// Entries of an answer if the request names no number.
const USUAL_ENTRIES: u32 = 16;
/// Most entries of an answer.
const MAX_ENTRIES: u32 = 64;

#[tonic::async_trait]
impl GovernanceService for Services {
    async fn get_governance(
        &self,
        _request: Request<GetGovernanceRequest>,
    ) -> Result<Response<GetGovernanceResponse>, Status> {
        let answer = on_worker(self.chain("")?, |host| in_force(host).map_err(unreadable));
        Ok(Response::new(answer.await?))
    }

    async fn list_proposals(
        &self,
        request: Request<ListProposalsRequest>,
    ) -> Result<Response<ListProposalsResponse>, Status> {
        let request = request.into_inner();
        let before = read_cursor(&request.cursor).ok_or_else(|| {
            invalid(
                "cursor",
                "must be empty or next_cursor of an earlier answer",
            )
        })?;
        let most = match request.limit {
            0 => USUAL_ENTRIES,
            most if most <= MAX_ENTRIES => most,
            _ => return Err(invalid("limit", "must be at most 64")),
        };
        let answer = on_worker(self.chain("")?, move |host| {
            page(host, before, most, request.open_only)
        });
        Ok(Response::new(answer.await?))
    }

    async fn get_proposal(
        &self,
        request: Request<GetProposalRequest>,
    ) -> Result<Response<GetProposalResponse>, Status> {
        let request = request.into_inner();
        let id = ProposalId::from_slice(&request.proposal)
            .ok_or_else(|| invalid("proposal", "must have 32 bytes"))?;
        let answer = on_worker(self.chain("")?, move |host| {
            one(host, &id, request.with_proof)
        });
        Ok(Response::new(answer.await?))
    }
}

/// Main's state after one of its blocks.
struct At<'a> {
    chain: &'a Chain,
    height: Height,
}

impl StateView for At<'_> {
    fn value(&self, key: &StateKey) -> Result<Option<Value>, ReadError> {
        Ok(self.chain.get_at(key, self.height)?)
    }
}

impl At<'_> {
    fn record<T: Default>(
        &self,
        key: StateKey,
        decode: impl FnOnce(&[u8]) -> Result<T, RecordError>,
    ) -> Result<T, ReadError> {
        let value = self.value(&key)?;
        let record = value.map(|value| decode(&value)).transpose();
        Ok(record
            .map_err(|source| ReadError::record(key, source))?
            .unwrap_or_default())
    }
}

/// What is told of proposals is told as of one block, whatever is committed meanwhile.
struct Now<'a> {
    state: At<'a>,
    time: TimeMs,
    validators: std::sync::Arc<ValidatorSet>,
}

impl<'a> Now<'a> {
    fn of(chain: &'a Chain) -> Self {
        let head = chain.head();
        Self {
            state: At {
                chain,
                height: head.header.height,
            },
            time: head.header.time_ms,
            validators: std::sync::Arc::clone(&head.validators),
        }
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn in_force(host: &ChainHost) -> Result<GetGovernanceResponse, ReadError> {
    let now = Now::of(&host.chain);
    let (state, set) = (&now.state, &now.validators);
    let rules = read_rules(state)?;
    let key = certchain_ledger::identity::keys::parameters();
    let parameters: ChainParameters = state.record(key, ChainParameters::decode)?;
    let registrars = state.record(keys::registrars(), RegistrarsRecord::decode)?;
    let types = state.record(keys::types(), TypesRecord::decode)?;
    let members = read_members(state)?;
    let needed = rules.needed(set.len(), set.quorum());
    let rotation = parameters.timers.rotation_blocks;
    let table = Change::SetParameters(Box::new(ParameterTable {
        limits: parameters.limits,
        timers: parameters.timers,
        governance: rules,
    }));
    let table = match table.to_wire() {
        propose::Change::SetParameters(table) => table,
        _ => v1::SetParameters::default(),
    };
    Ok(GetGovernanceResponse {
        epoch: set.epoch().get(),
        members: set
            .iter()
            .zip(&members.members)
            .map(|((place, validator), member)| VotingMember {
                validator: place.get().into(),
                vote_key: validator.vote_key.as_bytes().to_vec(),
                name: member.name.clone(),
                organisation_code: member.organisation_code.clone(),
                network_key: validator.network_key.to_vec(),
                signed_height: member.signed.get(),
                signed_recently: signed_recently(member.signed, state.height, set.len(), rotation),
            })
            .collect(),
        needed: count(needed),
        governance: table.governance,
        limits: table.limits,
        timers: table.timers,
        tag_key_version: parameters.tag_key_version,
        registrars: registrars
            .addresses
            .iter()
            .map(|address| address.as_bytes().to_vec())
            .collect(),
        types: types.names,
        height: state.height.get(),
        time_ms: now.time.get(),
        observers: members
            .observers
            .iter()
            .filter(|observer| observer.is_admitted(now.time))
            .map(|observer| v1::Observer {
                name: observer.name.clone(),
                network_key: observer.network_key.to_vec(),
                until_ms: observer.until.map_or(0, TimeMs::get),
            })
            .collect(),
    })
}

#[allow(clippy::result_large_err)]
fn page(
    host: &ChainHost,
    before: Option<ListPosition>,
    most: u32,
    open_only: bool,
) -> Result<ListProposalsResponse, Status> {
    let now = Now::of(&host.chain);
    let newest = ListPosition::start_of(now.state.height.next());
    let before = before.map_or(newest, |before| before.min(newest));
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    // One more shows whether there is more.
    let mut listed = host
        .chain
        .list_back(
            &Topic::NOBODY,
            Topic::Proposals,
            before,
            most.saturating_add(1),
        )
        .map_err(unreadable)?;
    let more = listed.len() > most;
    listed.truncate(most);
    let next_cursor = match listed.last() {
        Some(last) if more => write_cursor(last.position).to_vec(),
        _ => Vec::new(),
    };
    let mut proposals = Vec::with_capacity(listed.len());
    for entry in &listed {
        let id = ProposalId::from_bytes(entry.id);
        let record = read_proposal(&now.state, &id)
            .map_err(unreadable)?
            .ok_or_else(|| unreadable("the list names a proposal that the state does not hold"))?;
        if !open_only || record.takes_place(now.time) {
            proposals.push(message(&now, &id, &record).map_err(unreadable)?);
        }
    }
    Ok(ListProposalsResponse {
        proposals,
        next_cursor,
        height: now.state.height.get(),
    })
}

#[allow(clippy::result_large_err)]
fn one(host: &ChainHost, id: &ProposalId, with_proof: bool) -> Result<GetProposalResponse, Status> {
    let now = Now::of(&host.chain);
    let record = read_proposal(&now.state, id)
        .map_err(unreadable)?
        .ok_or_else(|| refused(&Code::UnknownProposal.into()))?;
    let evidence = match with_proof {
        true => {
            let key = keys::proposal(id);
            let proven = host.chain.prove(&key, Some(now.state.height));
            Some((&proven.map_err(unreadable)?).into())
        }
        false => None,
    };
    Ok(GetProposalResponse {
        proposal: Some(message(&now, id, &record).map_err(unreadable)?),
        height: now.state.height.get(),
        evidence,
    })
}

fn message(now: &Now<'_>, id: &ProposalId, record: &ProposalRecord) -> Result<Proposal, ReadError> {
    let (status, decided, failure) = record.status(now.time);
    let set = &now.validators;
    let tally = record.tally(set, &read_rules(&now.state)?);
    let counts = |key: &[u8; 32]| set.iter().any(|(_, m)| m.vote_key.as_bytes() == key);
    // Carried out: what it found is what the block before left, as far as other changes of the same
    // block do not touch it.
    let before = At {
        chain: now.state.chain,
        height: match record.state {
            ProposalState::Executed => Height::new(record.execution_height.get().saturating_sub(1)),
            _ => now.state.height,
        },
    };
    let changes = preview(&before, &record.change)?;
    let votes = record.votes.iter().map(|vote| RecordedVote {
        epoch: vote.voter.epoch.get(),
        validator: vote.voter.validator.get().into(),
        vote_key: vote.voter.vote_key.to_vec(),
        choice: match vote.approve {
            true => VoteChoice::Approve,
            false => VoteChoice::Reject,
        }
        .into(),
        height: vote.height.get(),
        time_ms: vote.time.get(),
        counts: counts(&vote.voter.vote_key),
    });
    Ok(Proposal {
        proposal: id.as_bytes().to_vec(),
        proposed: Some(Propose {
            epoch: record.proposer.epoch.get(),
            validator: record.proposer.validator.get().into(),
            execution_height: record.execution_height.get(),
            change: Some(record.change.to_wire()),
        }),
        proposer_key: record.proposer.vote_key.to_vec(),
        status: status.into(),
        failure: failure.into(),
        opened_height: record.opened_height.get(),
        opened_time_ms: record.opened_time.get(),
        ends_ms: record.ends.get(),
        decided_height: decided.get(),
        votes: votes.collect(),
        approvals: count(tally.approvals),
        rejections: count(tally.rejections),
        needed: count(tally.needed),
        validators: count(tally.members),
        changes: changes
            .into_iter()
            .map(|line| v1::ChangeLine {
                what: line.what,
                before: line.before,
                after: line.after,
            })
            .collect(),
    })
}
