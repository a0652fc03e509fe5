//! Acceptance, refusal and revocation.

use certchain_config::catalogue::SideChain;
use certchain_ledger::identity::IdentityStatus;
use certchain_proto::{
    hash::CertificateId,
    wire::v1::{
        AcceptCertificate, CertificateDraft, Code, DeclineCertificate, RevokeCertificate,
        SubmitAnchor, transaction_body::Kind,
    },
};

use super::{
    wishes::{accept, decline, issue, revoke},
    world::{BLOCK_MS, START, World, agency, bytes, citizen, key, raw},
};
use crate::certificate::{CertificateStatus, keys};

const NOBODYS: CertificateId = CertificateId::from_bytes([9; 32]);

#[test]
fn a_certificate_is_active_once_every_holder_has_accepted() {
    let mut world = World::new(SideChain::Property);
    let [a, b] = [citizen(0), citizen(1)];
    let id = world.issued(1, &[a, b]);
    let done = world.apply(accept(&id, b), &[b]);
    assert_eq!(done.receipts[0].subject(), Some(*id.as_bytes()));
    let record = world.record(&id);
    assert_eq!(record.status, CertificateStatus::Issued);
    assert_eq!(record.status_height.get(), 1);
    assert_eq!(record.holders[0].accepted, None);
    let time = START + 2 * BLOCK_MS;
    assert_eq!(record.holders[1].accepted.unwrap().get(), time);
    assert_eq!(world.code(accept(&id, b), &[b]), Code::WrongStatus);
    assert_eq!(world.code(decline(&id, b), &[b]), Code::WrongStatus);
    world.apply(accept(&id, a), &[a]);
    let record = world.record(&id);
    assert_eq!(record.status, CertificateStatus::Active);
    assert_eq!(record.status_height.get(), 3);
    assert_eq!(record.status_time.get(), START + 3 * BLOCK_MS);
    assert_eq!(world.code(accept(&id, a), &[a]), Code::WrongStatus);
    assert_eq!(world.code(decline(&id, a), &[a]), Code::WrongStatus);
}

#[test]
fn both_holders_may_accept_in_one_block() {
    let mut world = World::new(SideChain::Property);
    let [a, b] = [citizen(0), citizen(1)];
    let id = world.issued(1, &[a, b]);
    let both = vec![
        world.sign(accept(&id, a), &[a]),
        world.sign(accept(&id, b), &[b]),
    ];
    let done = world.block(both);
    assert!(done.receipts.iter().all(|receipt| receipt.is_ok()));
    assert_eq!(world.record(&id).status, CertificateStatus::Active);
}

#[test]
fn only_an_active_holder_accepts_or_declines() {
    for step in [accept, decline] {
        let mut world = World::new(SideChain::Degree);
        let a = citizen(0);
        let id = world.issued(1, &[a]);
        let mut code =
            |id: &CertificateId, holder, signers: &[_]| world.code(step(id, holder), signers);
        assert_eq!(code(&id, a, &[a]), Code::Ok);
        assert_eq!(code(&id, a, &[]), Code::MissingSigner);
        assert_eq!(code(&id, a, &[a, agency(0)]), Code::SurplusSigner);
        assert_eq!(code(&id, a, &[citizen(1)]), Code::WrongKey);
        assert_eq!(code(&id, citizen(1), &[citizen(1)]), Code::NotHolder);
        assert_eq!(code(&id, agency(0), &[agency(0)]), Code::NotEntitled);
        assert_eq!(code(&id, citizen(9), &[citizen(9)]), Code::UnknownAccount);
        assert_eq!(code(&NOBODYS, a, &[a]), Code::UnknownCertificate);
        world.set_status(a, IdentityStatus::Suspended);
        assert_eq!(world.code(step(&id, a), &[a]), Code::Suspended);
        world.set_status(a, IdentityStatus::Revoked);
        assert_eq!(world.code(step(&id, a), &[a]), Code::Revoked);
        for ended in [IdentityStatus::Deceased, IdentityStatus::Closed] {
            world.set_status(a, ended);
            assert_eq!(world.code(step(&id, a), &[a]), Code::Ended);
        }
        world.set_status(a, IdentityStatus::Active);
        let device = citizen(9);
        let key = *key(device).public().as_bytes();
        world.change(a, |record| record.present.devices = vec![key]);
        assert_eq!(world.code(step(&id, a), &[device]), Code::Ok);
    }
}

#[test]
fn fields_of_wrong_length_or_range_are_refused() {
    let mut world = World::new(SideChain::Degree);
    let a = citizen(0);
    let id = world.issued(1, &[a]);
    let good = id.as_bytes().to_vec();
    let bad = [
        Kind::AcceptCertificate(AcceptCertificate {
            certificate: good[..31].to_vec(),
            holder: raw(a),
        }),
        Kind::AcceptCertificate(AcceptCertificate {
            certificate: good.clone(),
            holder: Vec::new(),
        }),
        Kind::DeclineCertificate(DeclineCertificate {
            certificate: good.clone(),
            holder: raw(a),
            reason: 0,
        }),
        Kind::DeclineCertificate(DeclineCertificate {
            certificate: good.clone(),
            holder: raw(a),
            reason: 65_536,
        }),
        Kind::RevokeCertificate(RevokeCertificate {
            certificate: good.clone(),
            authority: raw(agency(0)),
            reason: 0,
        }),
        Kind::RevokeCertificate(RevokeCertificate {
            certificate: good,
            authority: vec![1; 33],
            reason: 1,
        }),
    ];
    for kind in bad {
        let text = format!("{kind:?}");
        assert_eq!(world.code(kind, &[a]), Code::BadField, "{text}");
    }
}

#[test]
fn a_declined_certificate_never_was_in_force_and_frees_its_claims() {
    let mut world = World::new(SideChain::Marriage);
    let [a, b, c] = [citizen(0), citizen(1), citizen(2)];
    let id = world.issued(1, &[a, b]);
    world.apply(accept(&id, a), &[a]);
    world.apply(decline(&id, b), &[b]);
    let record = world.record(&id);
    assert_eq!(record.status, CertificateStatus::Declined);
    assert_eq!((record.reason, record.status_height.get()), (4, 3));
    for key in [a, b].map(|who| keys::claim(super::world::address(who).as_bytes())) {
        assert!(!world.side.contains_key(&key));
    }
    assert_eq!(world.code(accept(&id, b), &[b]), Code::WrongStatus);
    assert_eq!(world.code(decline(&id, a), &[a]), Code::WrongStatus);
    let code = world.code(revoke(&id, agency(0)), &[agency(0)]);
    assert_eq!(code, Code::WrongStatus);
    world.active(2, &[a, c]);
}

#[test]
fn revocation_is_for_the_issuer_and_where_allowed_the_accredited() {
    let table = [
        (SideChain::Marriage, Code::Ok, Code::NotAccredited),
        (SideChain::Property, Code::Ok, Code::NotAccredited),
        (SideChain::Degree, Code::NotEntitled, Code::NotEntitled),
        (SideChain::Business, Code::Ok, Code::NotAccredited),
        (SideChain::Health, Code::Ok, Code::NotAccredited),
    ];
    for (chain, accredited, other) in table {
        let mut world = World::new(chain);
        let holders = match chain {
            SideChain::Marriage => vec![citizen(0), citizen(1)],
            _ => vec![citizen(0)],
        };
        let id = world.active(1, &holders);
        let mut code = |authority, signers: &[_]| world.code(revoke(&id, authority), signers);
        assert_eq!(code(agency(0), &[agency(0)]), Code::Ok, "{chain:?}");
        assert_eq!(code(agency(1), &[agency(1)]), accredited, "{chain:?}");
        assert_eq!(code(agency(2), &[agency(2)]), other, "{chain:?}");
        assert_eq!(code(citizen(0), &[citizen(0)]), Code::NotEntitled);
        assert_eq!(code(agency(9), &[agency(9)]), Code::UnknownAccount);
        assert_eq!(code(agency(0), &[agency(1)]), Code::WrongKey);
        assert_eq!(code(agency(0), &[]), Code::MissingSigner);
        // Who has issued may revoke even after its accreditation ended, but not when suspended.
        world.change(agency(0), |record| record.may_issue.clear());
        assert_eq!(world.code(revoke(&id, agency(0)), &[agency(0)]), Code::Ok);
        world.set_status(agency(0), IdentityStatus::Suspended);
        let code = world.code(revoke(&id, agency(0)), &[agency(0)]);
        assert_eq!(code, Code::Suspended);
    }
}

#[test]
fn a_revoked_certificate_stays_so_and_frees_its_claims() {
    let mut world = World::new(SideChain::Marriage);
    let [a, b] = [citizen(0), citizen(1)];
    let id = world.active(1, &[a, b]);
    world.apply(revoke(&id, agency(0)), &[agency(0)]);
    let record = world.record(&id);
    assert_eq!(record.status, CertificateStatus::Revoked);
    assert_eq!((record.reason, record.status_height.get()), (5, 4));
    assert_eq!(
        record.holders[0].accepted.unwrap().get(),
        START + 2 * BLOCK_MS
    );
    let code = world.code(revoke(&id, agency(0)), &[agency(0)]);
    assert_eq!(code, Code::WrongStatus);
    assert_eq!(world.code(accept(&id, a), &[a]), Code::WrongStatus);
    let code = world.code(revoke(&NOBODYS, agency(0)), &[agency(0)]);
    assert_eq!(code, Code::UnknownCertificate);
    world.active(2, &[a, b]);
}

#[test]
fn of_two_revocations_at_once_one_takes_effect() {
    let mut world = World::new(SideChain::Health);
    let id = world.active(1, &[citizen(0)]);
    let both = vec![
        world.sign(revoke(&id, agency(1)), &[agency(1)]),
        world.sign(revoke(&id, agency(0)), &[agency(0)]),
    ];
    let done = world.block(both);
    let codes: Vec<Code> = done.receipts.iter().map(|r| r.code()).collect();
    assert_eq!(codes, [Code::Ok, Code::WrongStatus]);
}

/// A title of parcel 1 for citizen 0 that ends before the block after next.
fn short_title(world: &mut World) -> CertificateId {
    let draft = CertificateDraft {
        valid_until_ms: world.now() + BLOCK_MS + 1,
        ..world.draft(1, &[citizen(0)])
    };
    let id = world.id(agency(0), &draft);
    world.apply(issue(agency(0), draft), &[agency(0)]);
    id
}

fn next_title(world: &World) -> CertificateDraft {
    CertificateDraft {
        nonce: vec![8; 16],
        ..world.draft(1, &[citizen(1)])
    }
}

#[test]
fn an_expired_certificate_holds_no_claims() {
    let mut world = World::new(SideChain::Property);
    let old = short_title(&mut world);
    let draft = next_title(&world);
    let code = world.code(issue(agency(0), draft.clone()), &[agency(0)]);
    assert_eq!(code, Code::ClaimTaken);
    world.block(Vec::new());
    assert!(
        world
            .record(&old)
            .is_expired(certchain_proto::TimeMs::new(world.now()))
    );
    for step in [accept, decline] {
        let code = world.code(step(&old, citizen(0)), &[citizen(0)]);
        assert_eq!(code, Code::WrongStatus);
    }
    let new = world.id(agency(0), &draft);
    world.apply(issue(agency(0), draft), &[agency(0)]);
    // The old one may still be revoked; the new one keeps the parcel.
    world.apply(revoke(&old, agency(0)), &[agency(0)]);
    let claim = keys::claim(&bytes("parcel", 1));
    assert_eq!(*world.side[&claim], *new.as_bytes());
}

#[test]
fn a_takeover_and_the_end_of_the_expired_one_fit_into_one_block() {
    for takeover_first in [true, false] {
        let mut world = World::new(SideChain::Property);
        let old = short_title(&mut world);
        world.block(Vec::new());
        let draft = next_title(&world);
        let new = world.id(agency(0), &draft);
        let mut both = vec![
            world.sign(issue(agency(0), draft), &[agency(0)]),
            world.sign(revoke(&old, agency(1)), &[agency(1)]),
        ];
        if !takeover_first {
            both.reverse();
        }
        let done = world.block(both);
        assert!(done.receipts.iter().all(|receipt| receipt.is_ok()));
        let claim = keys::claim(&bytes("parcel", 1));
        assert_eq!(*world.side[&claim], *new.as_bytes());
        assert_eq!(world.record(&old).status, CertificateStatus::Revoked);
    }
}

#[test]
fn kinds_of_other_chains_do_not_run_here() {
    let mut world = World::new(SideChain::Degree);
    let anchor = Kind::SubmitAnchor(SubmitAnchor::default());
    assert_eq!(world.code(anchor, &[citizen(0)]), Code::KindNotHere);
    let rotate = Kind::RotateKey(certchain_proto::wire::v1::RotateKey::default());
    assert_eq!(world.code(rotate, &[citizen(0)]), Code::KindNotHere);
    // Notices of restarted validators run everywhere; this one names no validator of the set.
    let notice = Kind::RestartNotice(certchain_proto::wire::v1::RestartNotice {
        epoch: 0,
        validator: 7,
        restart_nonce: vec![1; 32],
    });
    assert_eq!(world.code(notice, &[citizen(0)]), Code::UnknownValidator);
}
