//! Proposals, proven by main's state.

use certchain_ledger::{
    evidence::{EvidenceError, VerifiedHeader},
    governance::{ProposalRecord, keys},
};
use certchain_proto::{
    TimeMs,
    hash::TransactionId,
    wire::v1::{self, VoteChoice},
};

use super::{LightClient, LightError, certificate::proven_bytes};

/// A proposal's record, proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenProposal {
    /// The record.
    pub record: ProposalRecord,
    /// The block that vouches for it: the record is as of then.
    pub block: VerifiedHeader,
}

impl LightClient {
    /// Checks a proposal: its proposer, change, times, votes and how far it has come. What the change
    /// finds and how the votes count today, the node says.
    ///
    /// # Errors
    /// If there is no proof, it does not hold, is of another proposal, or proves something else than
    /// the plain answer says.
    pub fn proposal(
        &self,
        id: &TransactionId,
        answer: &v1::GetProposalResponse,
    ) -> Result<ProvenProposal, LightError> {
        let leaf = self.evidence(answer.evidence.as_ref().ok_or(LightError::NoProof)?)?;
        if leaf.key != keys::proposal(id) {
            return Err(LightError::OtherQuestion);
        }
        let record = ProposalRecord::decode(proven_bytes(&leaf)?).map_err(EvidenceError::from)?;
        let told = answer.proposal.as_ref();
        let same = told.is_some_and(|told| is_told(&record, id, leaf.block.header.time_ms, told))
            && answer.height == leaf.block.header.height.get();
        if !same {
            return Err(LightError::Contradiction {
                what: "the proposal",
            });
        }
        Ok(ProvenProposal {
            record,
            block: leaf.block,
        })
    }
}

fn is_told(record: &ProposalRecord, id: &TransactionId, time: TimeMs, told: &v1::Proposal) -> bool {
    let (status, decided, failure) = record.status(time);
    let proposed = v1::Propose {
        epoch: record.proposer.epoch.get(),
        validator: record.proposer.validator.get().into(),
        execution_height: record.execution_height.get(),
        change: Some(record.change.to_wire()),
    };
    let same_votes = record.votes.len() == told.votes.len()
        && record.votes.iter().zip(&told.votes).all(|(vote, told)| {
            let choice = match vote.approve {
                true => VoteChoice::Approve,
                false => VoteChoice::Reject,
            };
            told.epoch == vote.voter.epoch.get()
                && told.validator == u32::from(vote.voter.validator.get())
                && told.vote_key == vote.voter.vote_key
                && told.choice == choice as i32
                && told.height == vote.height.get()
                && told.time_ms == vote.time.get()
        });
    same_votes
        && told.status == status as i32
        && told.decided_height == decided.get()
        && told.failure == failure as i32
        && told.proposal == id.as_bytes()
        && told.proposed.as_ref() == Some(&proposed)
        && told.proposer_key == record.proposer.vote_key
        && told.opened_height == record.opened_height.get()
        && told.opened_time_ms == record.opened_time.get()
        && told.ends_ms == record.ends.get()
}
