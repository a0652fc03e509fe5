//! Presentations and checks.

use certchain_config::catalogue::SideChain;
use certchain_ledger::{
    execution::{IndexEntry, Topic},
    identity::{IdentityKind, IdentityStatus},
};
use certchain_proto::{
    hash::{CertificateId, DisclosedHash, PresentationId},
    wire::v1::{CertificateDraft, Code, Presentation, RecordCheck, transaction_body::Kind},
};
use prost::Message as _;

use super::{
    wishes::{accept, decline, issue, revoke},
    world::{BLOCK_MS, Who, World, address, agency, bytes, citizen, company, key, raw, verifier},
};
use crate::{
    certificate::{CheckRecord, CheckResult, keys},
    presentation::signing_hash,
};

/// A presentation of a certificate for a verifier, that ends in 10 s.
pub(super) fn shown(
    world: &World,
    id: &CertificateId,
    holder: Who,
    to: Option<Who>,
) -> Presentation {
    Presentation {
        chain_id: world.chain_id().as_bytes().to_vec(),
        certificate: id.as_bytes().to_vec(),
        holder: raw(holder),
        verifier: to.map(raw).unwrap_or_default(),
        challenge: vec![3; 8],
        nonce: bytes("presentation", world.height)[..16].to_vec(),
        expires_ms: world.now() + 10_000,
        disclosed_hash: bytes("disclosed", 0).to_vec(),
    }
}

/// The wish to record a presentation that its holder has signed.
fn check(by: Who, m: &Presentation, signer: Who) -> Kind {
    let presentation = m.encode_to_vec();
    let signature = key(signer).sign(&signing_hash(&presentation));
    Kind::RecordCheck(RecordCheck {
        verifier: raw(by),
        presentation,
        holder_signature: signature.to_bytes().to_vec(),
        purpose: 2,
    })
}

/// What a check finds in the next block.
fn result(world: &mut World, id: &CertificateId, holder: Who) -> CheckResult {
    let by = verifier(0);
    let m = shown(world, id, holder, Some(by));
    world.apply(check(by, &m, holder), &[by]);
    let id = PresentationId::of(&m.encode_to_vec());
    CheckRecord::decode(&world.side[&keys::check(&id)])
        .unwrap()
        .result
}

#[test]
fn a_check_is_recorded_with_its_result() {
    let mut world = World::new(SideChain::Degree);
    let [holder, by] = [citizen(0), verifier(0)];
    let id = world.active(1, &[holder]);
    for to in [Some(by), None] {
        let m = shown(&world, &id, holder, to);
        let name = PresentationId::of(&m.encode_to_vec());
        let time = world.now();
        let done = world.apply(check(by, &m, holder), &[by]);
        assert_eq!(done.receipts[0].subject(), Some(*name.as_bytes()));
        let entry = |who, topic| IndexEntry {
            owner: address(who),
            topic,
            id: *name.as_bytes(),
        };
        assert_eq!(
            done.index,
            [
                (0, 0, entry(holder, Topic::Checked)),
                (0, 1, entry(by, Topic::Checks)),
            ]
        );
        let record = CheckRecord::decode(&world.side[&keys::check(&name)]).unwrap();
        let expected = CheckRecord {
            certificate: id,
            holder: address(holder),
            verifier: address(by),
            bearer: to.is_none(),
            purpose: 2,
            disclosed: DisclosedHash::from_bytes(bytes("disclosed", 0)),
            result: CheckResult::Valid,
            height: certchain_proto::Height::new(world.height),
            time: certchain_proto::TimeMs::new(time),
        };
        assert_eq!(record, expected);
    }
}

#[test]
fn every_state_of_a_certificate_has_its_result() {
    let mut world = World::new(SideChain::Health);
    let [a, b] = [citizen(0), citizen(1)];
    let id = world.issued(1, &[a]);
    assert_eq!(result(&mut world, &id, a), CheckResult::NotAccepted);
    world.apply(accept(&id, a), &[a]);
    assert_eq!(result(&mut world, &id, a), CheckResult::Valid);

    world.set_status(agency(0), IdentityStatus::Suspended);
    assert_eq!(result(&mut world, &id, a), CheckResult::Valid);
    world.set_status(agency(0), IdentityStatus::Revoked);
    assert_eq!(result(&mut world, &id, a), CheckResult::IssuerRevoked);
    // What an office issued before it was closed stands.
    world.set_status(agency(0), IdentityStatus::Closed);
    assert_eq!(result(&mut world, &id, a), CheckResult::Valid);
    world.set_status(a, IdentityStatus::Deceased);
    assert_eq!(result(&mut world, &id, a), CheckResult::HolderNotActive);
    world.set_status(a, IdentityStatus::Suspended);
    assert_eq!(result(&mut world, &id, a), CheckResult::HolderNotActive);
    world.set_status(a, IdentityStatus::Revoked);
    assert_eq!(result(&mut world, &id, a), CheckResult::HolderNotActive);
    world.set_status(a, IdentityStatus::Active);
    world.set_status(agency(0), IdentityStatus::Active);
    world.apply(revoke(&id, agency(0)), &[agency(0)]);
    assert_eq!(result(&mut world, &id, a), CheckResult::Revoked);

    let id = world.issued(2, &[b]);
    world.apply(decline(&id, b), &[b]);
    assert_eq!(result(&mut world, &id, b), CheckResult::Declined);

    // Not yet valid for three blocks, valid for two, then over.
    let first = world.now();
    let draft = CertificateDraft {
        valid_from_ms: first + 3 * BLOCK_MS,
        valid_until_ms: first + 5 * BLOCK_MS,
        ..world.draft(3, &[a])
    };
    let id = world.id(agency(0), &draft);
    world.apply(issue(agency(0), draft), &[agency(0)]);
    world.apply(accept(&id, a), &[a]);
    let found: Vec<CheckResult> = (0..4).map(|_| result(&mut world, &id, a)).collect();
    let expected = [
        CheckResult::NotYetValid,
        CheckResult::Valid,
        CheckResult::Valid,
        CheckResult::Expired,
    ];
    assert_eq!(found, expected);
    // What was revoked stays revoked when its time is over.
    world.apply(revoke(&id, agency(0)), &[agency(0)]);
    assert_eq!(result(&mut world, &id, a), CheckResult::Revoked);
}

#[test]
fn a_presentation_is_recorded_once() {
    let mut world = World::new(SideChain::Degree);
    let holder = citizen(0);
    let id = world.active(1, &[holder]);
    let bearer = shown(&world, &id, holder, None);
    // Two verifiers at once: one comes first.
    let both = vec![
        world.sign(check(verifier(0), &bearer, holder), &[verifier(0)]),
        world.sign(check(verifier(1), &bearer, holder), &[verifier(1)]),
    ];
    let done = world.block(both);
    let codes: Vec<Code> = done.receipts.iter().map(|r| r.code()).collect();
    assert_eq!(codes, [Code::Ok, Code::PresentationUsed]);
    let again = world.code(check(verifier(0), &bearer, holder), &[verifier(0)]);
    assert_eq!(again, Code::PresentationUsed);
}

#[test]
fn a_check_in_the_block_of_the_revocation_sees_it() {
    let mut world = World::new(SideChain::Degree);
    let holder = citizen(0);
    let id = world.active(1, &[holder]);
    let m = shown(&world, &id, holder, None);
    let both = vec![
        world.sign(revoke(&id, agency(0)), &[agency(0)]),
        world.sign(check(verifier(0), &m, holder), &[verifier(0)]),
    ];
    world.block(both);
    let name = PresentationId::of(&m.encode_to_vec());
    let record = CheckRecord::decode(&world.side[&keys::check(&name)]).unwrap();
    assert_eq!(record.result, CheckResult::Revoked);
}

#[test]
fn presentations_are_refused_with_their_reason() {
    type Change = fn(&World, &mut Presentation);
    let table: &[(&str, Change, Code)] = &[
        ("as it should be", |_, _| (), Code::Ok),
        (
            "another chain",
            |_, m| m.chain_id = vec![1; 32],
            Code::WrongChain,
        ),
        (
            "short chain",
            |_, m| m.chain_id.truncate(31),
            Code::BadField,
        ),
        (
            "short certificate",
            |_, m| m.certificate.truncate(31),
            Code::BadField,
        ),
        (
            "unknown certificate",
            |_, m| m.certificate = vec![1; 32],
            Code::UnknownCertificate,
        ),
        (
            "short verifier",
            |_, m| m.verifier.truncate(31),
            Code::BadField,
        ),
        (
            "another verifier",
            |_, m| m.verifier = raw(verifier(1)),
            Code::WrongVerifier,
        ),
        ("no challenge", |_, m| m.challenge.clear(), Code::Ok),
        (
            "longest challenge",
            |_, m| m.challenge = vec![1; 32],
            Code::Ok,
        ),
        (
            "long challenge",
            |_, m| m.challenge = vec![1; 33],
            Code::BadField,
        ),
        (
            "huge challenge",
            |_, m| m.challenge = vec![1; 600],
            Code::BadField,
        ),
        ("short nonce", |_, m| m.nonce.truncate(15), Code::BadField),
        (
            "short hash",
            |_, m| m.disclosed_hash.truncate(31),
            Code::BadField,
        ),
        (
            "over",
            |w, m| m.expires_ms = w.now(),
            Code::PresentationExpired,
        ),
        ("nearly over", |w, m| m.expires_ms = w.now() + 1, Code::Ok),
        (
            "as long as may be",
            |w, m| m.expires_ms = w.now() + 600_000,
            Code::Ok,
        ),
        (
            "too long",
            |w, m| m.expires_ms = w.now() + 600_001,
            Code::PresentationExpired,
        ),
        (
            "bearer's minute",
            |w, m| {
                m.verifier.clear();
                m.expires_ms = w.now() + 62_000;
            },
            Code::Ok,
        ),
        (
            "bearer's minute is over",
            |w, m| {
                m.verifier.clear();
                m.expires_ms = w.now() + 62_001;
            },
            Code::PresentationExpired,
        ),
    ];
    let mut world = World::new(SideChain::Degree);
    let [holder, by] = [citizen(0), verifier(0)];
    let id = world.active(1, &[holder]);
    for (name, change, code) in table {
        let mut m = shown(&world, &id, holder, Some(by));
        change(&world, &mut m);
        let refusal = world.refusal(check(by, &m, holder), &[by]);
        let actual = refusal.as_ref().map_or(Code::Ok, |r| r.code());
        assert_eq!(actual, *code, "{name}: {refusal:?}");
    }
}

#[test]
fn nobody_shows_what_another_holds() {
    let mut world = World::new(SideChain::Degree);
    let [holder, thief, by] = [citizen(0), citizen(1), verifier(0)];
    let id = world.active(1, &[holder]);
    let mut m = shown(&world, &id, thief, Some(by));
    assert_eq!(world.code(check(by, &m, thief), &[by]), Code::NotHolder);
    m.holder = raw(holder);
    assert_eq!(world.code(check(by, &m, thief), &[by]), Code::BadSignature);
    m.holder = raw(citizen(99));
    assert_eq!(
        world.code(check(by, &m, thief), &[by]),
        Code::UnknownAccount
    );
    // A key that was the holder's once.
    let m = shown(&world, &id, holder, Some(by));
    world.change(holder, |record| {
        record.present.public_key = *key(citizen(50)).public().as_bytes();
    });
    assert_eq!(world.code(check(by, &m, holder), &[by]), Code::BadSignature);
    let code = world.code(check(by, &m, citizen(50)), &[by]);
    assert_eq!(code, Code::Ok);
    // A device of the holder shows it too, and one of the verifier records it; a removed one does not.
    let (device, desk) = (citizen(51), citizen(52));
    let devices = |keys: &[Who]| keys.iter().map(|k| *key(*k).public().as_bytes()).collect();
    world.change(holder, |record| record.present.devices = devices(&[device]));
    world.change(by, |record| record.present.devices = devices(&[desk]));
    assert_eq!(world.code(check(by, &m, device), &[desk]), Code::Ok);
    world.change(by, |record| record.present.devices.clear());
    assert_eq!(world.code(check(by, &m, device), &[desk]), Code::WrongKey);
    world.change(holder, |record| record.present.devices.clear());
    assert_eq!(world.code(check(by, &m, device), &[by]), Code::BadSignature);
}

#[test]
fn no_byte_of_a_presentation_or_its_signature_can_be_changed() {
    let mut world = World::new(SideChain::Degree);
    let [holder, by] = [citizen(0), verifier(0)];
    let id = world.active(1, &[holder]);
    let m = shown(&world, &id, holder, Some(by));
    let Kind::RecordCheck(good) = check(by, &m, holder) else {
        panic!("a check");
    };
    let mut code = |changed: RecordCheck| world.code(Kind::RecordCheck(changed), &[by]);
    assert_eq!(code(good.clone()), Code::Ok);
    for place in 0..good.presentation.len() {
        let mut changed = good.clone();
        changed.presentation[place] ^= 1;
        let answer = code(changed);
        let refusals = [
            Code::BadSignature,
            Code::WrongChain,
            Code::UnknownAccount,
            Code::Malformed,
            Code::NotCanonical,
            Code::BadField,
        ];
        assert!(refusals.contains(&answer), "byte {place}: {answer:?}");
    }
    for place in 0..64 {
        let mut changed = good.clone();
        changed.holder_signature[place] ^= 1;
        assert_eq!(code(changed), Code::BadSignature, "byte {place}");
    }
    let mut short = good.clone();
    short.holder_signature.truncate(63);
    assert_eq!(code(short), Code::BadField);
    for purpose in [0, 65_536] {
        let changed = RecordCheck {
            purpose,
            ..good.clone()
        };
        assert_eq!(code(changed), Code::BadField);
    }
}

#[test]
fn whoever_signs_may_check_but_auditors() {
    let mut world = World::new(SideChain::Degree);
    let holder = citizen(0);
    let id = world.active(1, &[holder]);
    let m = shown(&world, &id, holder, None);
    let mut code = |by: Who, signers: &[Who]| world.code(check(by, &m, holder), signers);
    for by in [verifier(1), agency(2), company(0), citizen(1), holder] {
        assert_eq!(code(by, &[by]), Code::Ok, "{by:?}");
    }
    let auditor = (IdentityKind::Auditor, 0);
    assert_eq!(code(auditor, &[auditor]), Code::NotEntitled);
    assert_eq!(code(verifier(9), &[verifier(9)]), Code::UnknownAccount);
    assert_eq!(code(verifier(0), &[verifier(1)]), Code::WrongKey);
    assert_eq!(code(verifier(0), &[]), Code::MissingSigner);
    world.set_status(verifier(0), IdentityStatus::Suspended);
    let code = world.code(check(verifier(0), &m, holder), &[verifier(0)]);
    assert_eq!(code, Code::Suspended);
}
