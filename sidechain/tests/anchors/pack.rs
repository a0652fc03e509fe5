//! What packs prove, and what each wrong one gets.

use certchain_ledger::{
    evidence::EvidenceError,
    identity::{IdentityStatus, keys},
    side_chains::{self, FreezeRecord},
};
use certchain_proto::{Epoch, Height, TimeMs, ValidatorSet, hash::BlockId};
use certchain_sidechain::{
    certificate::{CertificateStatus, CheckResult},
    pack::{MainLink, MainTrust, Pack, PackError, PackParts},
};

use crate::world::{
    START, World, a_certificate, agency, holder, identity, later_set, made_up, record, resealed,
    spouse, write,
};

/// Side block 3 is anchored in main's block 3; main goes on to 5.
pub fn anchored() -> World {
    let mut world = World::new();
    world.apply(world.anchor(3, 0));
    world.main.push([], START + 4000, None);
    world.main.push([], START + 5000, None);
    world
}

pub fn by_validators(world: &World) -> MainTrust {
    MainTrust::validators(world.main.id, world.validators().clone())
}

pub fn by_block(world: &World, height: u64) -> MainTrust {
    MainTrust::block(world.main.verified(height))
}

#[test]
fn every_link_proves_the_same() {
    let world = anchored();
    let links = [
        (world.certified(4), by_validators(&world)),
        (MainLink::Held, by_block(&world, 4)),
        (MainLink::Later(world.main.proof(4, 5)), by_block(&world, 5)),
    ];
    for (link, trust) in links {
        // At the anchored block, and at one before it.
        for s in [3, 2] {
            let pack = Pack::new(world.parts(s, 3, 4, link.clone())).unwrap();
            let bytes = pack.encode();
            let pack = Pack::decode(&bytes).unwrap();
            let proven = pack.verify(&trust).unwrap();
            assert_eq!(proven.certificate, a_certificate());
            assert_eq!(
                proven.record,
                record(CertificateStatus::Active, &[holder()])
            );
            assert_eq!((proven.main, proven.chain), (world.main.id, world.side.id));
            assert_eq!(proven.side_chain, "degree");
            assert_eq!(proven.side_height, Height::new(s));
            assert_eq!(proven.side_time, TimeMs::new(START + 1000 * (s + 1)));
            assert_eq!(proven.checkpoint, Some(world.main.checkpoint(1)));
            assert_eq!(proven.anchored_height, Height::new(3));
            assert_eq!(proven.main_height, Height::new(4));
            assert_eq!(proven.main_block, world.main.blocks[4].id());
            assert_eq!(proven.main_time, TimeMs::new(START + 4000));
            assert_eq!(proven.issuer.0, agency());
            let expected = identity(3, IdentityStatus::Active);
            assert_eq!(proven.holders, [(holder(), expected)]);
            assert_eq!(proven.frozen, None);
            let now = proven.main_time;
            assert_eq!(proven.result(&holder(), now), Some(CheckResult::Valid));
            assert_eq!(proven.result(&spouse(), now), None);
        }
    }
}

#[test]
fn a_verifier_needs_what_the_pack_rests_on() {
    let world = anchored();
    let certified = Pack::new(world.parts(3, 3, 4, world.certified(4))).unwrap();
    let held = Pack::new(world.parts(3, 3, 4, MainLink::Held)).unwrap();
    let later = MainLink::Later(world.main.proof(4, 5));
    let later = Pack::new(world.parts(3, 3, 4, later)).unwrap();
    let refused = |pack: &Pack, trust| pack.verify(&trust).unwrap_err();
    for height in [3, 4, 5] {
        let error = refused(&certified, by_block(&world, height));
        assert!(matches!(error, PackError::Trust(_)), "{error}");
    }
    for pack in [&held, &later] {
        let error = refused(pack, by_validators(&world));
        assert!(matches!(error, PackError::Trust(_)), "{error}");
    }
    // Held is the very block; later ends at the very block.
    let error = refused(&held, by_block(&world, 5));
    assert_eq!(error, PackError::OtherHistory(Height::new(4)));
    for height in [3, 4] {
        let error = refused(&later, by_block(&world, height));
        assert!(matches!(error, PackError::Main(_)), "{error}");
    }
    // With both, all three pass.
    let both = |height| {
        let trust = by_validators(&world).and_block(world.main.verified(height));
        trust.unwrap()
    };
    for (pack, height) in [(&certified, 5), (&certified, 4), (&held, 4), (&later, 5)] {
        assert!(pack.verify(&both(height)).is_ok());
    }
}

#[test]
fn other_networks_and_validators_are_refused() {
    let world = anchored();
    let pack = Pack::new(world.parts(3, 3, 4, world.certified(4))).unwrap();
    let other = MainTrust::validators(world.side.id, world.validators().clone());
    let error = pack.verify(&other).unwrap_err();
    assert!(matches!(error, PackError::OtherMain { .. }), "{error}");
    let other = MainTrust::validators(world.main.id, later_set());
    let (epoch, newest) = (Epoch::ZERO, Epoch::new(1));
    assert_eq!(
        pack.verify(&other),
        Err(PackError::UnknownEpoch { epoch, newest })
    );
    let strangers = later_set()
        .iter()
        .map(|(_, member)| member.clone())
        .collect();
    let strangers = ValidatorSet::new(Epoch::ZERO, strangers).unwrap();
    let other = MainTrust::validators(world.main.id, strangers);
    let error = pack.verify(&other).unwrap_err();
    assert!(
        matches!(error, PackError::Main(EvidenceError::Certificate(_))),
        "{error}"
    );
    let foreign = by_validators(&world).and_block(world.side.verified(2));
    assert!(matches!(foreign, Err(PackError::OtherMain { .. })));
}

#[test]
fn two_decided_blocks_of_main_are_noticed() {
    let world = anchored();
    let pack = Pack::new(world.parts(3, 3, 4, world.certified(4))).unwrap();
    let twin = resealed(&world.main.blocks[4], |header| header.tx_count = 1);
    let twin = twin
        .verify(
            world.main.id,
            world.validators(),
            &certchain_proto::certificate::Ed25519Verifier,
        )
        .unwrap();
    let trust = by_validators(&world).and_block(twin).unwrap();
    let error = pack.verify(&trust).unwrap_err();
    assert_eq!(error, PackError::OtherHistory(Height::new(4)));
}

#[test]
fn a_block_of_main_stands_at_its_own_height() {
    let world = anchored();
    let ids: Vec<BlockId> = [0, 1, 2, 4, 3].map(|n| world.main.blocks[n].id()).to_vec();
    let (root, proof) = made_up(&ids, 3);
    let pack = Pack::new(world.parts(3, 3, 4, MainLink::Later(proof))).unwrap();
    let mut trusted = world.main.verified(5);
    trusted.header.history_root = root;
    let error = pack.verify(&MainTrust::block(trusted)).unwrap_err();
    assert_eq!(error, PackError::OtherHistory(Height::new(4)));
}

#[test]
fn a_side_block_that_main_has_not_anchored() {
    let world = anchored();
    let trust = by_validators(&world);
    // Block 4 is sealed and not anchored; block 2 is below the anchor, but its own is not there.
    let error = Pack::new(world.parts(4, 4, 4, world.certified(4))).unwrap_err();
    assert_eq!(error, PackError::Absent("the anchor"));
    // Another block of the anchored height, with another state.
    let mut forged = world.parts(3, 3, 4, world.certified(4));
    let mut twin = forged.record.block.clone();
    twin.header.tx_count = 9;
    forged.record.block = twin;
    let error = Pack::new(forged).unwrap().verify(&trust).unwrap_err();
    assert_eq!(error, PackError::NotAnchored(Height::new(3)));
    // The anchored block's history holds another block there.
    let mut forged = world.parts(2, 3, 4, world.certified(4));
    forged.record.block.header.tx_count = 9;
    let anchored = forged.anchored.as_mut().unwrap();
    anchored.block = forged.record.block.id();
    let error = Pack::new(forged).unwrap().verify(&trust).unwrap_err();
    assert!(matches!(error, PackError::SideHistory(_)), "{error}");
    // A block of another chain stands above it.
    let mut forged = world.parts(2, 3, 4, world.certified(4));
    forged.anchored.as_mut().unwrap().later.header.chain = world.main.id;
    let error = Pack::new(forged).unwrap().verify(&trust).unwrap_err();
    assert_eq!(error, PackError::Parts("the anchored block's chain"));
    // The way is that of another height.
    let mut forged = world.parts(2, 3, 4, world.certified(4));
    forged.anchored.as_mut().unwrap().proof = world.side.proof(1, 3);
    let error = Pack::new(forged).unwrap().verify(&trust).unwrap_err();
    assert!(matches!(error, PackError::Parts(_)), "{error}");
}

#[test]
fn values_other_than_the_proven_ones() {
    let world = anchored();
    let trust = by_validators(&world);
    let forge = |change: fn(&mut PackParts)| {
        let mut parts = world.parts(3, 3, 4, world.certified(4));
        change(&mut parts);
        Pack::new(parts).and_then(|pack| pack.verify(&trust).map(|_| ()))
    };
    assert_eq!(forge(|_| ()), Ok(()));
    let error = forge(|p| {
        let mut better = record(CertificateStatus::Active, &[holder()]);
        better.valid_until = None;
        p.record.value = Some(better.encode());
    });
    assert_eq!(error, Err(PackError::Certificate(EvidenceError::Value)));
    let error = forge(|p| {
        p.issuer.value = Some(identity(3, IdentityStatus::Active).encode());
    });
    assert!(
        matches!(error, Err(PackError::MainState { .. })),
        "{error:?}"
    );
    let error = forge(|p| {
        p.holders[0].value = Some(identity(4, IdentityStatus::Active).encode());
    });
    assert!(
        matches!(error, Err(PackError::MainState { .. })),
        "{error:?}"
    );
    let error = forge(|p| p.holders[0].value = None);
    assert!(matches!(error, Err(PackError::Absent(_))), "{error:?}");
    let error = forge(|p| p.holders.clear());
    assert!(matches!(error, Err(PackError::Parts(_))), "{error:?}");
    let error = forge(|p| p.record.value = Some(vec![2, 0, 0]));
    assert!(matches!(error, Err(PackError::Record { .. })), "{error:?}");
    let error = forge(|p| p.side_chain = "marriage".into());
    assert_eq!(error, Err(PackError::Parts("the side chain's name")));
    let error = forge(|p| {
        p.certificate = certchain_proto::hash::CertificateId::from_bytes([1; 32]);
    });
    assert!(matches!(error, Err(PackError::Parts(_))), "{error:?}");
}

#[test]
fn parts_of_different_blocks_make_no_pack() {
    let world = anchored();
    let mut parts = world.parts(3, 3, 4, world.certified(4));
    parts.issuer = world.main.evidence(5, &keys::identity(&agency()));
    assert_eq!(Pack::new(parts), Err(PackError::Parts("the issuer")));
    let mut parts = world.parts(2, 3, 4, world.certified(4));
    parts.anchored.as_mut().unwrap().block = BlockId::from_bytes([1; 32]);
    let error = Pack::new(parts).unwrap_err();
    assert_eq!(error, PackError::Parts("the anchored block's history"));
}

#[test]
fn both_holders_are_proven_in_their_order() {
    let mut world = World::new();
    let at = certchain_sidechain::certificate::keys::certificate(&a_certificate());
    let both = record(CertificateStatus::Active, &[spouse(), holder()]);
    let checkpoint = Some(world.main.checkpoint(1));
    world
        .side
        .push([write(at, both.encode())], START + 9000, checkpoint);
    world.apply(world.anchor(6, 0));
    let parts = world.parts(6, 6, 3, world.certified(3));
    let trust = by_validators(&world);
    let proven = Pack::new(parts.clone()).unwrap().verify(&trust).unwrap();
    let addresses: Vec<_> = proven.holders.iter().map(|(address, _)| *address).collect();
    assert_eq!(addresses, [spouse(), holder()]);
    for address in [spouse(), holder()] {
        let result = proven.result(&address, proven.main_time);
        assert_eq!(result, Some(CheckResult::Valid));
    }
    let mut swapped = parts;
    swapped.holders.reverse();
    assert_eq!(Pack::new(swapped), Err(PackError::Parts("a holder")));
}

#[test]
fn a_frozen_chain_proves_nothing_from_there_on() {
    for (at, passes) in [(2, false), (3, false), (4, true)] {
        let mut world = anchored();
        let mut frozen = world.side_record();
        let freeze = FreezeRecord {
            main_height: Height::new(6),
            height: Height::new(at),
            first: BlockId::from_bytes([1; 32]),
            second: BlockId::from_bytes([2; 32]),
        };
        frozen.frozen = Some(freeze);
        world.set(side_chains::side_chain(&world.side.id), frozen.encode());
        let pack = Pack::new(world.parts(3, 3, 6, world.certified(6))).unwrap();
        match pack.verify(&by_validators(&world)) {
            Ok(proven) => assert_eq!((passes, proven.frozen), (true, Some(freeze))),
            Err(error) => {
                assert_eq!((passes, error), (false, PackError::Frozen(Height::new(at))));
            }
        }
    }
}

#[test]
fn what_a_pack_proves_of_a_certificate() {
    let world = anchored();
    let pack = Pack::new(world.parts(3, 3, 4, world.certified(4))).unwrap();
    let good = pack.verify(&by_validators(&world)).unwrap();
    let now = good.main_time;
    let with = |change: fn(&mut certchain_sidechain::pack::VerifiedPack)| {
        let mut changed = good.clone();
        change(&mut changed);
        changed.result(&holder(), now).unwrap()
    };
    assert_eq!(with(|_| ()), CheckResult::Valid);
    let status = |status| {
        let mut changed = good.clone();
        changed.record.status = status;
        changed.result(&holder(), now).unwrap()
    };
    assert_eq!(status(CertificateStatus::Issued), CheckResult::NotAccepted);
    assert_eq!(status(CertificateStatus::Declined), CheckResult::Declined);
    assert_eq!(status(CertificateStatus::Revoked), CheckResult::Revoked);
    let holder_status = with(|p| p.holders[0].1.present.status = IdentityStatus::Suspended);
    assert_eq!(holder_status, CheckResult::HolderNotActive);
    let issuer = with(|p| p.issuer.1.present.status = IdentityStatus::Revoked);
    assert_eq!(issuer, CheckResult::IssuerRevoked);
    let issuer = with(|p| p.issuer.1.present.status = IdentityStatus::Suspended);
    assert_eq!(issuer, CheckResult::Valid);
    let (from, until) = (good.record.valid_from, good.record.valid_until.unwrap());
    let result = |at| good.result(&holder(), at);
    assert_eq!(result(from), Some(CheckResult::Valid));
    let before = TimeMs::new(from.get() - 1);
    assert_eq!(result(before), Some(CheckResult::NotYetValid));
    assert_eq!(result(until), Some(CheckResult::Expired));
}
