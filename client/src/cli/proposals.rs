//! Reports on governance.

use certchain_client::transaction::describe_change;
use certchain_proto::{
    Address,
    wire::v1::{
        ChainLimits, ChainTimers, Code, GetGovernanceResponse, GetProposalResponse,
        GovernanceRules, Proposal, ProposalStatus, RecordedVote, VoteChoice,
    },
};
use serde_json::{Value, json};

use super::{
    failure::Failure,
    lookup::wrong,
    output::Report,
    show::{code_name, word},
};

fn status_word(status: i32) -> String {
    match ProposalStatus::try_from(status) {
        Ok(status) => word(status.as_str_name(), "PROPOSAL_STATUS_"),
        Err(_) => format!("unknown ({status})"),
    }
}

fn choice_word(choice: i32) -> String {
    match VoteChoice::try_from(choice) {
        Ok(choice) => word(choice.as_str_name(), "VOTE_CHOICE_"),
        Err(_) => format!("unknown ({choice})"),
    }
}

fn vote_value(vote: &RecordedVote) -> Value {
    json!({
        "validator": vote.validator,
        "epoch": vote.epoch,
        "choice": choice_word(vote.choice),
        "height": vote.height,
        "time_ms": vote.time_ms,
        "counts": vote.counts,
        "vote_key": hex::encode(&vote.vote_key),
    })
}

fn change_of(proposal: &Proposal) -> String {
    let proposed = proposal.proposed.as_ref();
    describe_change(proposed.and_then(|proposed| proposed.change.as_ref()))
}

/// A proposal with what it changes and who has voted.
pub fn proposal_report(title: &str, answer: &GetProposalResponse) -> Result<Report, Failure> {
    let proposal = answer.proposal.as_ref();
    let proposal = proposal.ok_or_else(|| wrong("the proposal"))?;
    let proposed = proposal.proposed.as_ref();
    let proposed = proposed.ok_or_else(|| wrong("the proposal"))?;
    let changes = proposal
        .changes
        .iter()
        .map(|line| json!({ "what": line.what, "before": line.before, "after": line.after }));
    let changes: Vec<Value> = changes.collect();
    let votes: Vec<Value> = proposal.votes.iter().map(vote_value).collect();
    let failed = Some(proposal.failure).filter(|code| *code != Code::Ok as i32);
    Ok(Report::new(title)
        .hex("proposal", &proposal.proposal)
        .field("change", change_of(proposal))
        .field("status", status_word(proposal.status))
        .maybe("failure", failed.map(code_name))
        .field("proposer", proposed.validator)
        .hex("proposer_key", &proposal.proposer_key)
        .field("opened_height", proposal.opened_height)
        .time("opened_time_ms", proposal.opened_time_ms)
        .time("ends_time_ms", proposal.ends_ms)
        .field("execution_height", proposed.execution_height)
        .maybe(
            "decided_height",
            Some(proposal.decided_height).filter(|height| *height != 0),
        )
        .field("approvals", proposal.approvals)
        .field("rejections", proposal.rejections)
        .field("needed", proposal.needed)
        .field("validators", proposal.validators)
        .field("changes", changes)
        .field("votes", votes)
        .field("as_of_height", answer.height))
}

/// Proposals in short.
pub fn list_report(proposals: &[Proposal], height: u64) -> Report {
    let rows = proposals.iter().map(|proposal| {
        json!({
            "proposal": hex::encode(&proposal.proposal),
            "status": status_word(proposal.status),
            "approvals": proposal.approvals,
            "needed": proposal.needed,
            "rejections": proposal.rejections,
            "execution_height": proposal.proposed.as_ref().map(|p| p.execution_height),
            "change": change_of(proposal),
        })
    });
    Report::new(format!("Proposals as of height {height}, newest first"))
        .field("proposals", rows.collect::<Vec<_>>())
        .field("height", height)
}

/// Who votes and how, and what is in force.
pub fn in_force_report(answer: &GetGovernanceResponse) -> Report {
    let members = answer.members.iter().map(|member| {
        json!({
            "validator": member.validator,
            "name": member.name,
            "organisation_code": member.organisation_code,
            "signed_recently": member.signed_recently,
            "signed_height": member.signed_height,
            "vote_key": hex::encode(&member.vote_key),
            "network_key": hex::encode(&member.network_key),
        })
    });
    let observers = answer.observers.iter().map(|observer| {
        json!({
            "name": observer.name,
            "until_ms": Some(observer.until_ms).filter(|until| *until != 0),
            "network_key": hex::encode(&observer.network_key),
        })
    });
    let registrars = answer.registrars.iter().map(|bytes| {
        Address::from_slice(bytes).map_or_else(|| hex::encode(bytes), |address| address.to_string())
    });
    Report::new(format!("In force as of height {}", answer.height))
        .field("epoch", answer.epoch)
        .field("members", members.collect::<Vec<_>>())
        .field("needed", answer.needed)
        .field("observers", observers.collect::<Vec<_>>())
        .field(
            "governance",
            values(&rules(answer.governance.unwrap_or_default())),
        )
        .field("limits", values(&limits(answer.limits.unwrap_or_default())))
        .field("timers", values(&timers(answer.timers.unwrap_or_default())))
        .field("tag_key_version", answer.tag_key_version)
        .field("registrars", registrars.collect::<Vec<_>>())
        .field("types", answer.types.clone())
        .field("height", answer.height)
        .time("time_ms", answer.time_ms)
}

/// A table, one value a line.
fn values(table: &[(&str, u64)]) -> Vec<Value> {
    let lines = table.iter();
    lines
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect()
}

fn rules(table: GovernanceRules) -> Vec<(&'static str, u64)> {
    vec![
        ("threshold_percent", table.threshold_percent),
        ("voting_period_ms", table.voting_period_ms),
        ("open_proposals", table.open_proposals),
    ]
}

fn limits(table: ChainLimits) -> Vec<(&'static str, u64)> {
    vec![
        ("transaction_bytes", table.transaction_bytes),
        ("block_bytes", table.block_bytes),
        ("block_transactions", table.block_transactions),
        ("transaction_window_ms", table.transaction_window_ms),
        ("mempool_transactions", table.mempool_transactions),
        ("mempool_bytes", table.mempool_bytes),
        ("mempool_per_sender", table.mempool_per_sender),
    ]
}

fn timers(table: ChainTimers) -> Vec<(&'static str, u64)> {
    vec![
        ("view_timeout_ms", table.view_timeout_ms),
        ("view_timeout_cap_ms", table.view_timeout_cap_ms),
        ("heartbeat_ms", table.heartbeat_ms),
        ("staleness_ms", table.staleness_ms),
        ("clock_bound_ms", table.clock_bound_ms),
        ("clock_bound_cap_ms", table.clock_bound_cap_ms),
        ("rotation_blocks", table.rotation_blocks),
        ("block_interval_ms", table.block_interval_ms),
        ("side_heartbeat_ms", table.side_heartbeat_ms),
        ("anchor_interval_ms", table.anchor_interval_ms),
        ("anchor_blocks", table.anchor_blocks),
        ("recovery_wait_ms", table.recovery_wait_ms),
    ]
}
