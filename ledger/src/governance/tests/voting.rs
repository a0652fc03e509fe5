//! Who votes, when, and what comes of it.

use super::*;

fn a_change() -> Change {
    Change::SetTagKeyVersion { version: 2 }
}

#[test]
fn votes_are_refused_with_their_codes() {
    let mut world = World::new();
    let id = world.propose(0, 10, &a_change());
    world.vote(1, &id, true);
    let good = match world.vote_kind(2, &id, true) {
        Kind::Vote(message) => message,
        other => panic!("{other:?}"),
    };
    type Spoil = fn(&mut Vote);
    let cases: &[(&str, Spoil, Code)] = &[
        ("as it should be", |_| (), Code::Ok),
        ("another epoch", |m| m.epoch = 7, Code::UnknownValidator),
        ("no such place", |m| m.validator = 4, Code::UnknownValidator),
        (
            "a far place",
            |m| m.validator = 1 << 20,
            Code::UnknownValidator,
        ),
        ("another's place", |m| m.validator = 3, Code::WrongKey),
        ("no choice", |m| m.choice = 0, Code::BadField),
        ("an unknown choice", |m| m.choice = 3, Code::BadField),
        ("no proposal", |m| m.proposal.clear(), Code::BadField),
        (
            "another proposal",
            |m| m.proposal = vec![1; 32],
            Code::UnknownProposal,
        ),
    ];
    for (why, spoil, expected) in cases {
        let mut message = good.clone();
        spoil(&mut message);
        let code = world.code(Kind::Vote(message), &[&vote_key(2)]);
        assert_eq!(code, *expected, "{why}");
    }
    let kind = || Kind::Vote(good.clone());
    assert_eq!(world.code(kind(), &[]), Code::MissingSigner);
    let both = [&vote_key(2), &vote_key(3)];
    assert_eq!(world.code(kind(), &both), Code::SurplusSigner);
    assert_eq!(
        world.code(kind(), &[&secret("stranger", 1)]),
        Code::WrongKey
    );
    // A second vote, of either kind.
    for approve in [true, false] {
        let again = world.vote_kind(1, &id, approve);
        assert_eq!(world.code(again, &[&vote_key(1)]), Code::AlreadyVoted);
    }
    assert_eq!(world.record(&id).votes.len(), 1);
}

#[test]
fn a_vote_that_stands_twice_in_a_block_counts_once() {
    let mut world = World::new();
    let id = world.propose(0, 10, &a_change());
    let kinds = [(1, true), (1, true), (1, false), (2, true)];
    let votes = kinds.map(|(by, approve)| {
        let kind = world.vote_kind(by, &id, approve);
        world.sign(kind, &[&vote_key(by)])
    });
    let codes = world.block(votes.to_vec());
    assert_eq!(
        codes,
        [Code::Ok, Code::AlreadyVoted, Code::AlreadyVoted, Code::Ok]
    );
    let record = world.record(&id);
    assert_eq!((record.votes.len(), record.state), (2, ProposalState::Open));
}

#[test]
fn a_quorum_accepts_and_those_who_cannot_be_outvoted_reject() {
    for (members, approvals, rejections, expected) in [
        (4, 2, 1, ProposalState::Open),
        (
            4,
            3,
            0,
            ProposalState::Accepted {
                height: Height::new(4),
            },
        ),
        (
            4,
            2,
            2,
            ProposalState::Rejected {
                height: Height::new(5),
            },
        ),
        (
            4,
            0,
            2,
            ProposalState::Rejected {
                height: Height::new(3),
            },
        ),
        (
            1,
            1,
            0,
            ProposalState::Accepted {
                height: Height::new(2),
            },
        ),
        (
            1,
            0,
            1,
            ProposalState::Rejected {
                height: Height::new(2),
            },
        ),
        (7, 4, 2, ProposalState::Open),
        (
            7,
            5,
            0,
            ProposalState::Accepted {
                height: Height::new(6),
            },
        ),
        (
            7,
            0,
            3,
            ProposalState::Rejected {
                height: Height::new(4),
            },
        ),
    ] {
        let mut world = World::of(members);
        let id = world.propose(0, 20, &a_change());
        for by in 0..approvals {
            world.vote(by, &id, true);
        }
        for by in approvals..approvals + rejections {
            world.vote(by, &id, false);
        }
        let record = world.record(&id);
        assert_eq!(record.state, expected, "{members} {approvals} {rejections}");
        let decided = expected != ProposalState::Open;
        let late = world.vote_kind(members - 1, &id, true);
        let code = world.code(late, &[&vote_key(members - 1)]);
        assert_eq!(code == Code::VotingEnded, decided);
        world.run_to(21);
        let after = world.record(&id).state;
        match expected {
            ProposalState::Open => assert_eq!(after, ProposalState::Expired),
            ProposalState::Accepted { .. } => assert_eq!(after, ProposalState::Executed),
            _ => assert_eq!(after, expected),
        }
        let version = world.parameters.tag_key_version;
        assert_eq!(version == 2, after == ProposalState::Executed);
    }
}

#[test]
fn nobody_votes_after_the_end() {
    let mut world = World::new();
    let id = world.propose(0, 1_000, &a_change());
    world.vote(0, &id, true);
    world.vote(1, &id, true);
    let ends = world.record(&id).ends.get();
    let period = world.network.genesis.governance.voting_period_ms;
    assert_eq!(ends, START.get() + 1 + period);
    // The transactions' own time lasts, as a client would sign them then.
    let late = |world: &mut World| {
        world.nonce += 1;
        let kind = world.vote_kind(2, &id, true);
        let until = TimeMs::new(world.time + 1_000);
        let nonce = world.nonce;
        let transaction = world.network.signed(kind, until, nonce, &[&vote_key(2)]);
        world.evaluate(&transaction).map(|_| ())
    };
    world.time = ends - 2;
    assert!(late(&mut world).is_ok());
    world.time = ends - 1;
    assert_eq!(late(&mut world).unwrap_err().code(), Code::VotingEnded);
    // Its place is free again, though its record says so only from its height on.
    assert!(!world.record(&id).takes_place(TimeMs::new(ends)));
    assert_eq!(world.record(&id).state, ProposalState::Open);
    let due = world.record(&id).execution_height.get();
    world.run_to(due);
    assert_eq!(world.record(&id).state, ProposalState::Expired);
    assert!(!world.state.contains_key(&keys::due(Height::new(due))));
}

#[test]
fn a_validator_has_so_many_open_proposals_and_no_more() {
    let mut world = World::new();
    let first: Vec<_> = (0..4)
        .map(|n| world.propose(0, 30 + n, &a_change()))
        .collect();
    // However many it sends, none comes in, and none of them leaves a trace.
    let before = world.state.clone();
    for _ in 0..500 {
        let kind = world.propose_kind(0, 30, &a_change());
        assert_eq!(world.code(kind, &[&vote_key(0)]), Code::TooManyProposals);
    }
    assert_eq!(world.state, before);
    // The others have places of their own.
    world.propose(1, 30, &a_change());
    // A place is free once a proposal is rejected, or carried out.
    world.vote(1, &first[0], false);
    world.vote(2, &first[0], false);
    world.propose(0, 40, &a_change());
    let kind = world.propose_kind(0, 30, &a_change());
    assert_eq!(world.code(kind, &[&vote_key(0)]), Code::TooManyProposals);
    for by in 0..3 {
        world.vote(by, &first[1], true);
    }
    let kind = world.propose_kind(0, 30, &a_change());
    assert_eq!(
        world.code(kind.clone(), &[&vote_key(0)]),
        Code::TooManyProposals,
        "accepted, not carried out"
    );
    world.run_to(world.record(&first[1]).execution_height.get());
    let change = Change::SetTagKeyVersion { version: 3 };
    let kind = world.propose_kind(0, 30, &change);
    assert_eq!(world.code(kind, &[&vote_key(0)]), Code::Ok);
}

#[test]
fn two_proposals_of_one_block_share_the_last_place() {
    let mut world = World::new();
    for n in 0..3 {
        world.propose(2, 30 + n, &a_change());
    }
    let kind = world.propose_kind(2, 40, &a_change());
    let both = [0, 1].map(|_| world.sign(kind.clone(), &[&vote_key(2)]));
    assert_eq!(
        world.block(both.to_vec()),
        [Code::Ok, Code::TooManyProposals]
    );
}

#[test]
fn a_height_takes_so_many_proposals_and_no_more() {
    let mut world = World::of(20);
    let due = 200;
    for n in 0..super::super::MAX_DUE as u64 {
        let in_blocks = due - world.height - 1;
        world.propose(n / 4, in_blocks, &a_change());
    }
    let in_blocks = due - world.height - 1;
    let kind = world.propose_kind(19, in_blocks, &a_change());
    assert_eq!(world.code(kind, &[&vote_key(19)]), Code::TooManyProposals);
    let kind = world.propose_kind(19, in_blocks + 1, &a_change());
    assert_eq!(world.code(kind, &[&vote_key(19)]), Code::Ok);
    world.run_to(due);
}

#[test]
fn votes_of_those_who_left_do_not_count() {
    let mut world = World::new();
    let id = world.propose(0, 30, &a_change());
    world.vote(0, &id, true);
    world.vote(1, &id, true);
    // 0 leaves, 4 comes; places and epoch change.
    world.change_set(&[1, 2, 3, 4]);
    let by_old_place = world.vote_kind(0, &id, true);
    assert_eq!(
        world.code(by_old_place, &[&vote_key(0)]),
        Code::WrongKey,
        "0 is no member any more"
    );
    let kind = Kind::Vote(Vote {
        epoch: 0,
        validator: 2,
        proposal: id.as_bytes().to_vec(),
        choice: VoteChoice::Approve.into(),
    });
    assert_eq!(world.code(kind, &[&vote_key(2)]), Code::UnknownValidator);
    // 1 has voted, whatever its place is now.
    let again = world.vote_kind(0, &id, true);
    assert_eq!(world.code(again, &[&vote_key(1)]), Code::AlreadyVoted);
    let by_two = world.vote_kind(1, &id, true);
    world.apply(by_two, &[&vote_key(2)]);
    let record = world.record(&id);
    assert_eq!((record.votes.len(), record.state), (2, ProposalState::Open));
    let by_four = world.vote_kind(3, &id, true);
    world.apply(by_four, &[&vote_key(4)]);
    assert!(matches!(
        world.record(&id).state,
        ProposalState::Accepted { .. }
    ));
    // Two of those who approved leave before its height: it is counted once more.
    world.change_set(&[0, 3, 4, 5]);
    world.run_to(world.record(&id).execution_height.get());
    let code = Code::ApprovalsLapsed as u16;
    assert_eq!(world.record(&id).state, ProposalState::Failed { code });
    assert_eq!(world.parameters.tag_key_version, 1);
}

#[test]
fn a_change_that_can_no_longer_be_carried_out_fails_with_its_code() {
    let mut world = World::new();
    let company = world.register(1, WireKind::Organisation);
    let id = world.propose(0, 8, &appoint(&company));
    let twice = world.propose(1, 8, &appoint(&company));
    let tag = world.propose(2, 8, &a_change());
    for id in [&id, &twice] {
        for by in 0..3 {
            world.vote(by, id, true);
        }
    }
    // 8 blocks are over before all have voted on the third: it expires.
    world.vote(0, &tag, true);
    world.run_to(world.record(&tag).execution_height.get());
    assert_eq!(world.record(&id).state, ProposalState::Executed);
    let code = Code::NoChange as u16;
    assert_eq!(world.record(&twice).state, ProposalState::Failed { code });
    assert_eq!(world.record(&tag).state, ProposalState::Expired);

    let mut world = World::new();
    let company = world.register(1, WireKind::Organisation);
    let id = world.propose(0, 8, &appoint(&company));
    for by in 0..3 {
        world.vote(by, &id, true);
    }
    world.suspend(&company);
    world.run_to(world.record(&id).execution_height.get());
    let code = Code::Suspended as u16;
    assert_eq!(world.record(&id).state, ProposalState::Failed { code });
    assert_eq!(world.account(&company).kind, IdentityKind::Organisation);
}

#[test]
fn a_vote_in_the_block_of_its_height_still_counts() {
    let mut world = World::new();
    let id = world.propose(0, 3, &a_change());
    for by in 0..3 {
        world.vote(by, &id, true);
    }
    assert_eq!(world.height, world.record(&id).execution_height.get());
    assert_eq!(world.record(&id).state, ProposalState::Executed);
    assert_eq!(world.parameters.tag_key_version, 2);
}

#[test]
fn the_threshold_is_that_of_the_rules_in_force() {
    let mut world = World::new();
    let all = table(&world, |t| t.governance.threshold_percent = 100);
    assert_eq!(world.decide(&all).state, ProposalState::Executed);
    let id = world.propose(0, 8, &a_change());
    for by in 0..3 {
        world.vote(by, &id, true);
    }
    assert_eq!(world.record(&id).state, ProposalState::Open);
    world.vote(3, &id, true);
    assert!(matches!(
        world.record(&id).state,
        ProposalState::Accepted { .. }
    ));
    // One against is enough now.
    let id = world.propose(1, 8, &Change::SetTagKeyVersion { version: 9 });
    world.vote(2, &id, false);
    assert!(matches!(
        world.record(&id).state,
        ProposalState::Rejected { .. }
    ));
}
