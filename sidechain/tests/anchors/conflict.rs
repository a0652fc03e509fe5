//! What freezes a side chain, and what does not.

use certchain_ledger::{
    evidence::SealedHeader,
    execution::{Application, Effects},
    history::HistoryProof,
    identity::{IdentityStatus, keys},
    refusal::Refusal,
    side_chains::{self, ActivationRecord},
};
use certchain_proto::{
    CommitCertificate, Epoch, Height,
    hash::{BlockId, StateRoot},
    wire::v1::{Code, ReportConflict, transaction_body::Kind},
};
use certchain_sidechain::anchor::{MainApplication, conflict_message};

use crate::world::{
    QUORUM, World, certify, holder, identity, key, later_set, made_up, resealed,
    sealed_by_later_set, vote_key,
};

/// Another block of the same height, sealed as well.
fn other(block: &SealedHeader) -> SealedHeader {
    let mut outcome = block.outcome.clone();
    outcome.state_root = StateRoot::from_bytes([1; 32]);
    SealedHeader {
        header: block.header.clone(),
        certificate: certify(&block.header, &outcome, QUORUM),
        outcome,
    }
}

fn same_height(world: &World, one: &SealedHeader, two: &SealedHeader) -> Kind {
    Kind::ReportConflict(conflict_message(&world.side.id, one, two, None))
}

/// A block at height 3 over another history: genesis, block 1, a stranger.
fn forked(world: &World) -> (SealedHeader, BlockId, HistoryProof) {
    let stranger = BlockId::from_bytes([66; 32]);
    let ids = [
        world.side.blocks[0].id(),
        world.side.blocks[1].id(),
        stranger,
    ];
    let (root, proof) = made_up(&ids, 2);
    let block = resealed(&world.side.blocks[3], |header| {
        header.history_root = root;
        header.parent = stranger;
    });
    (block, stranger, proof)
}

fn reported(world: &mut World, kind: Kind, signer: u8) -> Result<Effects, Refusal> {
    world.execute(kind, &[&key(signer)])
}

#[test]
fn two_sealed_blocks_of_one_height_freeze() {
    let mut world = World::new();
    world.apply(world.anchor(2, 0));
    let (one, two) = (world.side.blocks[2].clone(), other(&world.side.blocks[2]));
    let report = same_height(&world, &one, &two);
    let effects = world.apply(report.clone());
    assert_eq!(effects.subject, Some(*world.side.id.as_bytes()));
    let freeze = world.side_record().frozen.unwrap();
    assert_eq!(freeze.height, Height::new(2));
    assert_eq!(freeze.main_height, world.main.head().height());
    assert_eq!((freeze.first, freeze.second), (one.id(), two.id()));
    assert_eq!(world.side_record().last_anchor, Height::new(2));
    // Frozen is frozen: no anchors, no second report.
    assert_eq!(world.code(world.anchor(5, 2)), Code::Frozen);
    assert_eq!(world.code(report), Code::Frozen);
}

#[test]
fn one_block_with_two_certificates_freezes_nothing() {
    let mut world = World::new();
    let one = world.side.blocks[2].clone();
    let mut two = one.clone();
    two.certificate = certify(&one.header, &one.outcome, &[0, 2, 3]);
    assert_ne!(one.certificate, two.certificate);
    let report = same_height(&world, &one, &two);
    assert_eq!(world.code(report), Code::NoConflict);
    let report = same_height(&world, &one, &one);
    assert_eq!(world.code(report), Code::NoConflict);
}

#[test]
fn another_block_in_a_sealed_history_freezes() {
    let mut world = World::new();
    let lower = world.side.blocks[2].clone();
    let (higher, held, proof) = forked(&world);
    let message = conflict_message(&world.side.id, &lower, &higher, Some((&held, &proof)));
    world.apply(Kind::ReportConflict(message));
    let freeze = world.side_record().frozen.unwrap();
    assert_eq!(freeze.height, Height::new(2));
    assert_eq!((freeze.first, freeze.second), (lower.id(), held));
}

#[test]
fn blocks_of_one_history_freeze_nothing() {
    let mut world = World::new();
    let (lower, higher) = (&world.side.blocks[2], &world.side.blocks[5]);
    let held = lower.id();
    let proof = world.side.proof(2, 5);
    let good = conflict_message(&world.side.id, lower, higher, Some((&held, &proof)));
    assert_eq!(
        world.code(Kind::ReportConflict(good.clone())),
        Code::NoConflict
    );
    type Change = fn(&mut ReportConflict);
    let cases: [(Change, Code); 8] = [
        (|m| m.held = vec![1; 32], Code::BadProof),
        (|m| m.held.clear(), Code::BadField),
        (|m| m.history_proof.clear(), Code::BadField),
        (|m| m.history_proof[0] ^= 1, Code::BadProof),
        (
            |m| std::mem::swap(&mut m.lower, &mut m.higher),
            Code::BadField,
        ),
        (|m| m.higher = m.lower.clone(), Code::BadField),
        (|m| m.chain_id[3] ^= 1, Code::UnknownChain),
        (|m| m.lower.truncate(100), Code::BadField),
    ];
    for (number, (change, code)) in cases.into_iter().enumerate() {
        let mut message = good.clone();
        change(&mut message);
        let actual = world.code(Kind::ReportConflict(message));
        assert_eq!(actual, code, "case {number}");
    }
    let elsewhere = world.side.proof(1, 5);
    let (lower, higher) = (&world.side.blocks[2], &world.side.blocks[5]);
    let held = world.side.blocks[1].id();
    let message = conflict_message(&world.side.id, lower, higher, Some((&held, &elsewhere)));
    assert_eq!(world.code(Kind::ReportConflict(message)), Code::BadProof);
}

#[test]
fn blocks_that_no_quorum_sealed_freeze_nothing() {
    let mut world = World::new();
    let one = world.side.blocks[2].clone();
    let mut two = other(&one);
    two.certificate = certify(&two.header, &two.outcome, &[0, 1]);
    assert_eq!(world.code(same_height(&world, &one, &two)), Code::BadProof);
    two.certificate = certify(&two.header, &two.outcome, &[1, 1, 2]);
    assert_eq!(world.code(same_height(&world, &one, &two)), Code::BadProof);
    let unknown = resealed(&one, |header| header.epoch = Epoch::new(7));
    let report = same_height(&world, &one, &unknown);
    assert_eq!(world.code(report), Code::BadProof);
    // Two real blocks of main's height are none of this chain's.
    let main = world.main.blocks[2].clone();
    assert_eq!(world.code(same_height(&world, &one, &main)), Code::BadProof);
    assert_eq!(world.side_record().frozen, None);
}

#[test]
fn a_history_over_another_genesis_freezes() {
    let mut world = World::new();
    let genesis = world.side.blocks[0].clone();
    let stranger = BlockId::from_bytes([66; 32]);
    let (root, proof) = made_up(&[stranger], 0);
    let higher = resealed(&world.side.blocks[1], |header| {
        header.history_root = root;
    });
    let mut invented = resealed(&genesis, |header| header.tx_count = 1);
    invented.certificate =
        CommitCertificate::genesis(invented.header.digest(), invented.outcome.digest());
    let held = Some((&stranger, &proof));
    let wrong = conflict_message(&world.side.id, &invented, &higher, held);
    assert_eq!(world.code(Kind::ReportConflict(wrong)), Code::BadProof);
    let right = conflict_message(&world.side.id, &genesis, &higher, held);
    assert_eq!(world.code(Kind::ReportConflict(right)), Code::Ok);
}

#[test]
fn whoever_has_an_account_or_votes_may_report() {
    let mut world = World::new();
    let (one, two) = (world.side.blocks[2].clone(), other(&world.side.blocks[2]));
    let report = same_height(&world, &one, &two);
    // An agency of genesis, a citizen, a validator.
    for signer in [1, 3, 102] {
        assert!(reported(&mut world, report.clone(), signer).is_ok());
    }
    let code = |world: &mut World, signer| {
        let refused = reported(world, report.clone(), signer);
        refused.map_or_else(|refusal| refusal.code(), |_| Code::Ok)
    };
    assert_eq!(code(&mut world, 55), Code::UnknownAccount);
    for (status, expected) in [
        (IdentityStatus::Suspended, Code::Suspended),
        (IdentityStatus::Revoked, Code::Revoked),
    ] {
        world.set(keys::identity(&holder()), identity(3, status).encode());
        assert_eq!(code(&mut world, 3), expected);
    }
    // After a change of keys only the present one speaks.
    let rotated = identity(60, IdentityStatus::Active).encode();
    world.set(keys::identity(&holder()), rotated);
    let first = certchain_proto::Address::of(key(60).public());
    world.set(keys::rotated_key(&first), holder().as_bytes().to_vec());
    assert_eq!(code(&mut world, 60), Code::Ok);
    assert_eq!(code(&mut world, 3), Code::WrongKey);
    let surplus = world.execute(report, &[&vote_key(0), &vote_key(1)]);
    assert_eq!(surplus.unwrap_err().code(), Code::SurplusSigner);
}

#[test]
fn retired_epochs_freeze_nothing() {
    let mut world = World::new();
    let next = ActivationRecord {
        validators: later_set(),
        activation: Height::new(2),
    };
    let at = side_chains::activation(&world.side.id, Epoch::new(1));
    world.set(at, next.encode());
    let mut record = world.side_record();
    record.epoch = Epoch::new(1);
    record.newest = Epoch::new(1);
    world.set(side_chains::side_chain(&world.side.id), record.encode());
    let (one, two) = (world.side.blocks[2].clone(), other(&world.side.blocks[2]));
    let report = same_height(&world, &one, &two);
    let effects = world.apply(report);
    assert_eq!(effects.subject, Some(*world.side.id.as_bytes()));
    assert!(effects.writes.is_empty());
    assert_eq!(world.side_record().frozen, None);
    // One of the present epoch is enough to freeze, be it the first or the second.
    let living = resealed(&two, |header| header.epoch = Epoch::new(1));
    let living = sealed_by_later_set(&living);
    let report = same_height(&world, &living, &one);
    assert_eq!(world.execute(report, &[&key(1)]).unwrap().writes.len(), 1);
    let report = same_height(&world, &one, &living);
    world.apply(report);
    assert!(world.side_record().frozen.is_some());
}

#[test]
fn reads_name_the_chain_and_the_account() {
    let mut world = World::new();
    let (one, two) = (world.side.blocks[2].clone(), other(&world.side.blocks[2]));
    let report = same_height(&world, &one, &two);
    let transaction = world.sign(report, &[&key(3)]);
    let reads = MainApplication.reads(&transaction);
    assert!(reads.contains(&side_chains::side_chain(&world.side.id)));
    assert!(reads.contains(&side_chains::activation(&world.side.id, Epoch::ZERO)));
    assert!(reads.contains(&keys::identity(&holder())));
}
