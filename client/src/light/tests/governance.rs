//! Proposals: what is told must be what is proven.

use certchain_ledger::governance::{
    CastVote, Change, ProposalId, ProposalRecord, ProposalState, Voter, keys as governance_keys,
};
use certchain_proto::wire::v1::{ProposalStatus, Propose, RecordedVote, VoteChoice};

use super::*;

fn voter(place: u16) -> Voter {
    Voter {
        epoch: Epoch::ZERO,
        validator: ValidatorIndex::new(place),
        vote_key: [place as u8; 32],
    }
}

fn proposal() -> ProposalRecord {
    ProposalRecord {
        proposer: voter(1),
        change: Change::SetTagKeyVersion { version: 2 },
        opened_height: Height::new(3),
        opened_time: TimeMs::new(START + 3_000),
        ends: TimeMs::new(START + 900_000),
        execution_height: Height::new(90),
        votes: vec![CastVote {
            voter: voter(2),
            approve: true,
            height: Height::new(4),
            time: TimeMs::new(START + 4_000),
        }],
        state: ProposalState::Open,
    }
}

fn told(id: &ProposalId) -> v1::Proposal {
    let record = proposal();
    let vote = record.votes[0];
    v1::Proposal {
        proposal: id.as_bytes().to_vec(),
        proposed: Some(Propose {
            epoch: 0,
            validator: 1,
            execution_height: 90,
            change: Some(record.change.to_wire()),
        }),
        proposer_key: vec![1; 32],
        status: ProposalStatus::Open.into(),
        opened_height: 3,
        opened_time_ms: START + 3_000,
        ends_ms: START + 900_000,
        votes: vec![RecordedVote {
            epoch: 0,
            validator: 2,
            vote_key: vec![2; 32],
            choice: VoteChoice::Approve.into(),
            height: 4,
            time_ms: vote.time.get(),
            counts: true,
        }],
        ..v1::Proposal::default()
    }
}

#[test]
fn a_proposal_counts_as_its_record_says_and_not_as_it_is_told() {
    let id = ProposalId::from_bytes([6; 32]);
    let mut world = World::new();
    let key = governance_keys::proposal(&id);
    world.push(vec![(key, proposal().encode())], 0);
    let height = world.blocks.len() as u64 - 1;
    let answer = v1::GetProposalResponse {
        proposal: Some(told(&id)),
        height,
        evidence: Some((&world.evidence(height, &key)).into()),
    };
    let proven = world.light.proposal(&id, &answer).unwrap();
    assert_eq!(proven.record, proposal());
    assert_eq!(proven.block.header.height, Height::new(height));

    let other = ProposalId::from_bytes([7; 32]);
    let error = world.light.proposal(&other, &answer).unwrap_err();
    assert_eq!(error, LightError::OtherQuestion);
    let bare = v1::GetProposalResponse {
        evidence: None,
        ..answer.clone()
    };
    assert_eq!(
        world.light.proposal(&id, &bare).unwrap_err(),
        LightError::NoProof
    );
    type Bend = fn(&mut v1::Proposal);
    let bends: &[Bend] = &[
        |p| p.proposal[0] ^= 1,
        |p| p.proposed = None,
        |p| p.proposed.as_mut().unwrap().validator = 2,
        |p| p.proposed.as_mut().unwrap().execution_height = 91,
        |p| p.proposed.as_mut().unwrap().change = None,
        |p| p.proposer_key[5] ^= 1,
        |p| p.status = ProposalStatus::Executed.into(),
        |p| p.decided_height = 4,
        |p| p.failure = 7,
        |p| p.opened_height = 2,
        |p| p.opened_time_ms += 1,
        |p| p.ends_ms += 1,
        |p| p.votes.clear(),
        |p| p.votes.push(p.votes[0].clone()),
        |p| p.votes[0].choice = VoteChoice::Reject.into(),
        |p| p.votes[0].validator = 3,
        |p| p.votes[0].epoch = 3,
        |p| p.votes[0].vote_key[0] ^= 1,
        |p| p.votes[0].height = 3,
        |p| p.votes[0].time_ms += 1,
    ];
    for (number, bend) in bends.iter().enumerate() {
        let mut bent = answer.clone();
        bend(bent.proposal.as_mut().unwrap());
        let refused = world.light.proposal(&id, &bent);
        assert!(refused.is_err(), "bent as in number {number}");
    }
}
