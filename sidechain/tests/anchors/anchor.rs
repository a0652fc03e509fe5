//! What an anchor must be, and what each wrong one gets.

use certchain_config::catalogue::SideChain;
use certchain_ledger::{
    evidence::SealedHeader,
    execution::{Application, BlockContext, ParentSigners, Stop, evaluate, run_block},
    side_chains::{self, ActivationRecord, CreationRecord},
    signatures::TransactionVerifier,
    view::ReadError,
};
use certchain_proto::{
    ChainId, Epoch, Height, TimeMs,
    block::Checkpoint,
    codec,
    hash::{BlockId, StateRoot},
    transaction::Transaction,
    wire::v1::{Code, SubmitAnchor, transaction_body::Kind},
};
use certchain_sidechain::anchor::{MainApplication, anchor_message};

use crate::world::{
    QUORUM, START, World, certify, key, later_set, made_up, resealed, sealed_by_later_set, vote_key,
};

#[test]
fn genesis_knows_the_five_side_chains() {
    let world = World::new();
    let creation = CreationRecord::of_genesis(&world.genesis);
    for side in SideChain::ALL {
        let chain = creation.chain_id(&world.main.id, side.name());
        let view = world.main.state();
        let record = side_chains::read_side_chain(view, &chain).unwrap().unwrap();
        assert_eq!(record.name, side.name());
        assert_eq!((record.epoch, record.frozen), (Epoch::ZERO, None));
        assert_eq!(record.last_anchor, Height::ZERO);
        let set = side_chains::read_activation(view, &chain, Epoch::ZERO);
        let set = set.unwrap().unwrap();
        assert_eq!(&set.validators, world.validators());
        assert_eq!(set.activation, Height::ZERO);
    }
    assert_eq!(world.side_record().genesis, world.side.blocks[0].id());
}

#[test]
fn anchors_follow_each_other_and_all_are_kept() {
    let mut world = World::new();
    let effects = world.apply(world.anchor(2, 0));
    let second = world.side.blocks[2].clone();
    assert_eq!(effects.subject, Some(*second.id().as_bytes()));
    assert_eq!(effects.writes.len(), 2);
    world.apply(world.anchor(5, 2));
    assert_eq!(world.side_record().last_anchor, Height::new(5));
    for (height, main_height) in [(2, 3), (5, 4)] {
        let at = Height::new(height);
        let anchor = side_chains::read_anchor(world.main.state(), &world.side.id, at);
        let anchor = anchor.unwrap().unwrap();
        let block = &world.side.blocks[height as usize];
        assert_eq!((anchor.height, anchor.block), (at, block.id()));
        assert_eq!(anchor.time, block.header.time_ms);
        assert_eq!(anchor.state_root, block.outcome.state_root);
        assert_eq!(Some(anchor.checkpoint), block.header.checkpoint);
        assert_eq!(anchor.epoch, Epoch::ZERO);
        assert_eq!(anchor.main_height, Height::new(main_height));
    }
}

#[test]
fn only_a_validator_of_the_side_chain_anchors() {
    let mut world = World::new();
    let anchor = world.anchor(2, 0);
    let mut code = |signers: &[u8]| {
        let signers: Vec<_> = signers.iter().map(|seed| key(*seed)).collect();
        let signers: Vec<_> = signers.iter().collect();
        let refused = world.execute(anchor.clone(), &signers);
        refused.map_or_else(|refusal| refusal.code(), |_| Code::Ok)
    };
    assert_eq!(code(&[103]), Code::Ok);
    assert_eq!(code(&[]), Code::MissingSigner);
    assert_eq!(code(&[100, 101]), Code::SurplusSigner);
    assert_eq!(code(&[1]), Code::WrongKey);
}

#[test]
fn an_unknown_chain_or_a_message_that_cannot_be_read() {
    let mut world = World::new();
    let Kind::SubmitAnchor(good) = world.anchor(2, 0) else {
        panic!("an anchor");
    };
    type Change = fn(&mut SubmitAnchor);
    let cases: [(Change, Code); 6] = [
        (|_| (), Code::Ok),
        (|m| m.chain_id[0] ^= 1, Code::UnknownChain),
        (|m| m.chain_id.truncate(31), Code::BadField),
        (|m| m.sealed_header.push(0), Code::BadField),
        (|m| m.sealed_header = vec![0; 64 * 1024], Code::BadField),
        (|m| m.history_proof.clear(), Code::BadField),
    ];
    for (number, (change, code)) in cases.into_iter().enumerate() {
        let mut message = good.clone();
        change(&mut message);
        let actual = world.code(Kind::SubmitAnchor(message));
        assert_eq!(actual, code, "case {number}");
    }
}

#[test]
fn a_certificate_that_does_not_hold() {
    let mut world = World::new();
    let good = world.side.blocks[2].clone();
    let mut code = |signers: &[u16], change: fn(&mut SealedHeader)| {
        let mut block = good.clone();
        block.certificate = certify(&block.header, &block.outcome, signers);
        change(&mut block);
        let anchor = world.anchor_of(&block, 0);
        world.code(anchor)
    };
    assert_eq!(code(&[0, 1, 2, 3], |_| ()), Code::Ok);
    // Not enough, one twice, out of order, a stranger.
    assert_eq!(code(&[0, 1], |_| ()), Code::BadProof);
    assert_eq!(code(&[0, 0, 1], |_| ()), Code::BadProof);
    assert_eq!(code(&[1, 0, 3], |_| ()), Code::BadProof);
    assert_eq!(code(&[0, 1, 4], |_| ()), Code::BadProof);
    let bent: [fn(&mut SealedHeader); 4] = [
        |b| b.header.tx_count += 1,
        |b| b.outcome.state_root = StateRoot::from_bytes([1; 32]),
        |b| b.certificate.view = b.certificate.view.next(),
        |b| b.certificate.signatures[0].signature = b.certificate.signatures[1].signature,
    ];
    for change in bent {
        assert_eq!(code(QUORUM, change), Code::BadProof);
    }
}

#[test]
fn a_block_of_another_chain() {
    let mut world = World::new();
    let other = CreationRecord::of_genesis(&world.genesis).chain_id(&world.main.id, "marriage");
    let foreign = resealed(&world.side.blocks[2], |header| header.chain = other);
    assert_eq!(world.code(world.anchor_of(&foreign, 0)), Code::BadProof);
    // And a good block under the other chain's name.
    let proof = world.side.proof(0, 2);
    let anchor = anchor_message(&other, &world.side.blocks[2], &proof);
    assert_eq!(world.code(Kind::SubmitAnchor(anchor)), Code::BadProof);
}

#[test]
fn a_history_that_does_not_extend_the_last_anchor() {
    let mut world = World::new();
    world.apply(world.anchor(2, 0));
    let block = world.side.blocks[5].clone();
    let mut code = |proof| {
        let anchor = anchor_message(&world.side.id, &block, &proof);
        world.code(Kind::SubmitAnchor(anchor))
    };
    let side = World::new().side;
    assert_eq!(code(side.proof(2, 5)), Code::Ok);
    assert_eq!(code(side.proof(0, 5)), Code::BadProof);
    assert_eq!(code(side.proof(3, 5)), Code::BadProof);
    assert_eq!(code(side.proof(2, 4)), Code::BadProof);
    let mut bent = side.proof(2, 5);
    bent.peaks[0][0] ^= 1;
    assert_eq!(code(bent), Code::BadProof);
    // A sealed block whose history holds another block at the anchored height.
    let forked = resealed(&block, |header| {
        header.history_root = certchain_proto::hash::HistoryRoot::from_bytes([3; 32]);
    });
    assert_eq!(world.code(world.anchor_of(&forked, 2)), Code::BadProof);
    // A sealed block whose history holds the anchored block, but elsewhere.
    let ids: Vec<BlockId> = [0, 1, 1, 2, 4].map(|n| world.side.blocks[n].id()).to_vec();
    let (root, proof) = made_up(&ids, 3);
    let moved = resealed(&block, |header| header.history_root = root);
    let anchor = anchor_message(&world.side.id, &moved, &proof);
    assert_eq!(world.code(Kind::SubmitAnchor(anchor)), Code::BadProof);
}

#[test]
fn a_block_that_is_too_old() {
    let mut world = World::new();
    let newer = world.main.checkpoint(2);
    let moved = resealed(&world.side.blocks[3], |header| {
        header.checkpoint = Some(newer);
    });
    world.apply(world.anchor_of(&moved, 0));
    assert_eq!(world.code(world.anchor_of(&moved, 0)), Code::OldAnchor);
    assert_eq!(world.code(world.anchor(2, 0)), Code::OldAnchor);
    // Above it, but on an older block of main, or before its time.
    assert_eq!(world.code(world.anchor(4, 3)), Code::OldAnchor);
    let early = resealed(&world.side.blocks[4], |header| {
        header.checkpoint = Some(newer);
        header.time_ms = TimeMs::new(START + 3999);
    });
    assert_eq!(world.code(world.anchor_of(&early, 3)), Code::OldAnchor);
    // Equal times and checkpoints are not below; what fails now is its history alone.
    let equal = resealed(&early, |header| header.time_ms = TimeMs::new(START + 4000));
    assert_eq!(world.code(world.anchor_of(&equal, 3)), Code::BadProof);
}

#[test]
fn a_checkpoint_that_is_not_an_earlier_block_of_main() {
    let mut world = World::new();
    let own = world.main.checkpoint(1);
    let cases: [(Option<Checkpoint>, Code); 6] = [
        (Some(own), Code::Ok),
        (None, Code::BadProof),
        (
            Some(Checkpoint {
                block: BlockId::from_bytes([9; 32]),
                ..own
            }),
            Code::BadProof,
        ),
        (
            Some(Checkpoint {
                state_root: StateRoot::from_bytes([9; 32]),
                ..own
            }),
            Code::BadProof,
        ),
        (
            Some(Checkpoint {
                height: Height::new(2),
                ..own
            }),
            Code::BadProof,
        ),
        (
            Some(Checkpoint {
                height: Height::new(u64::MAX),
                ..own
            }),
            Code::BadProof,
        ),
    ];
    for (checkpoint, code) in cases {
        let block = resealed(&world.side.blocks[2], |header| {
            header.checkpoint = checkpoint
        });
        assert_eq!(
            world.code(world.anchor_of(&block, 0)),
            code,
            "{checkpoint:?}"
        );
    }
}

#[test]
fn the_block_that_executes_is_not_an_earlier_one() {
    let mut world = World::new();
    let own = world.main.checkpoint(2);
    let block = resealed(&world.side.blocks[2], |header| {
        header.checkpoint = Some(own)
    });
    let anchor = world.anchor_of(&block, 0);
    let transaction = world.sign(anchor, &[&vote_key(0)]);
    let context = BlockContext {
        height: Height::new(2),
        ..world.context()
    };
    let judged = evaluate(&MainApplication, world.main.state(), &context, &transaction);
    assert_eq!(judged.unwrap().unwrap_err().code(), Code::BadProof);
}

#[test]
fn without_the_names_of_earlier_blocks_nothing_is_judged() {
    let mut world = World::new();
    let anchor = world.anchor(2, 0);
    let transaction = world.sign(anchor, &[&vote_key(0)]);
    let context = BlockContext {
        blocks: None,
        ..world.context()
    };
    let failed = MainApplication.execute(world.main.state(), &context, &transaction);
    assert!(matches!(failed, Err(Stop::Failed(ReadError::Store(_)))));
}

#[test]
fn an_old_or_future_epoch() {
    let mut world = World::new();
    let future = resealed(&world.side.blocks[2], |header| header.epoch = Epoch::new(1));
    assert_eq!(world.code(world.anchor_of(&future, 0)), Code::OldEpoch);
    // Epoch 1 decides from main's block 2 on: blocks on block 1 are still of epoch 0.
    let next = |activation| ActivationRecord {
        validators: later_set(),
        activation: Height::new(activation),
    };
    let at = side_chains::activation(&world.side.id, Epoch::new(1));
    let mut record = world.side_record();
    record.newest = Epoch::new(1);
    world.set(side_chains::side_chain(&world.side.id), record.encode());
    world.set(at, next(2).encode());
    assert_eq!(world.code(world.anchor(2, 0)), Code::Ok);
    world.set(at, next(1).encode());
    assert_eq!(world.code(world.anchor(2, 0)), Code::OldEpoch);
    // Epoch 1 is the last anchor's.
    let mut record = world.side_record();
    record.epoch = Epoch::new(1);
    world.set(side_chains::side_chain(&world.side.id), record.encode());
    let anchor = world.anchor(2, 0);
    let refused = world.execute(anchor.clone(), &[&key(200)]).unwrap_err();
    assert_eq!(refused.code(), Code::OldEpoch);
    // The old set's members anchor nothing more.
    assert_eq!(world.code(anchor), Code::WrongKey);
}

#[test]
fn the_next_epoch_anchors_and_retires_the_one_before() {
    let mut world = World::new();
    let next = ActivationRecord {
        validators: later_set(),
        activation: Height::new(1),
    };
    let at = side_chains::activation(&world.side.id, Epoch::new(1));
    world.set(at, next.encode());
    let mut record = world.side_record();
    record.newest = Epoch::new(1);
    world.set(side_chains::side_chain(&world.side.id), record.encode());
    let of_next = sealed_by_later_set(&resealed(&world.side.blocks[3], |header| {
        header.epoch = Epoch::new(1);
    }));
    let anchor = world.anchor_of(&of_next, 0);
    // Either set's members may submit; strangers may not.
    assert!(world.execute(anchor.clone(), &[&key(203)]).is_ok());
    let refused = world.execute(anchor.clone(), &[&key(77)]).unwrap_err();
    assert_eq!(refused.code(), Code::WrongKey);
    assert_eq!(world.code(anchor.clone()), Code::Ok);
    // Sealed by the old set under the new epoch's name it is none.
    let by_old = resealed(&world.side.blocks[3], |header| header.epoch = Epoch::new(1));
    assert_eq!(world.code(world.anchor_of(&by_old, 0)), Code::BadProof);
    world.apply(anchor);
    assert_eq!(world.side_record().epoch, Epoch::new(1));
    let late = world.anchor(4, 3);
    let refused = world.execute(late, &[&key(200)]).unwrap_err();
    assert_eq!(refused.code(), Code::OldEpoch);
}

#[test]
fn no_changed_byte_passes() {
    let mut world = World::new();
    world.apply(world.anchor(1, 0));
    let Kind::SubmitAnchor(good) = world.anchor(4, 1) else {
        panic!("an anchor");
    };
    assert_eq!(world.code(Kind::SubmitAnchor(good.clone())), Code::Ok);
    for place in 0..good.sealed_header.len() {
        let mut message = good.clone();
        message.sealed_header[place] ^= 0x41;
        let code = world.code(Kind::SubmitAnchor(message));
        assert_ne!(code, Code::Ok, "byte {place} of the header");
    }
    for place in 0..good.history_proof.len() {
        let mut message = good.clone();
        message.history_proof[place] ^= 0x41;
        let code = world.code(Kind::SubmitAnchor(message));
        assert_ne!(code, Code::Ok, "byte {place} of the proof");
    }
}

fn run(world: &World, transactions: Vec<Transaction>) -> Vec<Code> {
    let context = world.context();
    let view = world.main.state();
    let verified: Vec<_> = TransactionVerifier::default()
        .verify(transactions)
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let alone = verified
        .iter()
        .map(|t| {
            evaluate(&MainApplication, view, &context, t)
                .unwrap()
                .unwrap()
        })
        .collect();
    let none = ParentSigners::default();
    let done = run_block(&MainApplication, view, &context, &verified, alone, &none).unwrap();
    done.receipts.iter().map(|receipt| receipt.code()).collect()
}

#[test]
fn two_anchors_of_one_chain_in_one_block() {
    let mut world = World::new();
    let (two, five) = (world.anchor(2, 0), world.anchor(5, 0));
    let first = world.sign(two.clone(), &[&vote_key(0)]);
    let same = world.sign(two, &[&vote_key(1)]);
    assert_eq!(
        run(&world, vec![first.clone(), same]),
        [Code::Ok, Code::OldAnchor]
    );
    // The later block comes in first: the earlier one is old. The other way round its proof is that
    // of genesis, and no longer fits.
    let later = world.sign(five, &[&vote_key(1)]);
    let order = vec![later.clone(), first.clone()];
    assert_eq!(run(&world, order), [Code::Ok, Code::OldAnchor]);
    assert_eq!(run(&world, vec![first, later]), [Code::Ok, Code::BadProof]);
}

#[test]
fn identities_are_still_mains() {
    let mut world = World::new();
    let rotate = Kind::RotateKey(certchain_proto::wire::v1::RotateKey {
        address: crate::world::holder().as_bytes().to_vec(),
        public_key: key(9).public().as_bytes().to_vec(),
        encryption_key: [9; 32].to_vec(),
    });
    let (old, new) = (key(3), key(9));
    let transaction = world.sign(rotate, &[&old, &new]);
    let judged = evaluate(
        &MainApplication,
        world.main.state(),
        &world.context(),
        &transaction,
    );
    assert!(judged.unwrap().is_ok());
    assert!(!MainApplication.reads(&transaction).is_empty());
    let foreign = ChainId::from_bytes([1; 32]);
    let message = anchor_message(&foreign, &world.side.blocks[1], &world.side.proof(0, 1));
    assert_eq!(codec::encode(&world.side.blocks[1]), message.sealed_header);
    assert_eq!(world.code(Kind::SubmitAnchor(message)), Code::UnknownChain);
}
