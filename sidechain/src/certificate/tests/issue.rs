//! Issue of single certificates.

use certchain_config::catalogue::SideChain;
use certchain_ledger::{
    execution::{IndexEntry, Topic},
    identity::IdentityStatus,
};
use certchain_proto::wire::v1::{CertificateDraft, Code, IssueCertificate, transaction_body::Kind};

use super::{
    wishes::{accept, batch, issue, revoke},
    world::{BLOCK_MS, START, Who, World, address, agency, bytes, citizen, company, verifier},
};
use crate::certificate::{CertificateStatus, HolderRecord};

#[test]
fn a_certificate_is_issued_as_drafted() {
    let mut world = World::new(SideChain::Property);
    let draft = CertificateDraft {
        valid_from_ms: START + 5_000_000,
        ..world.draft(1, &[citizen(0), company(1)])
    };
    let id = world.id(agency(0), &draft);
    let transaction = world.sign(issue(agency(0), draft), &[agency(0)]);
    let name = transaction.id();
    let done = world.block(vec![transaction]);
    assert_eq!(done.receipts[0].subject(), Some(*id.as_bytes()));
    let entry = |who, topic| IndexEntry {
        owner: address(who),
        topic,
        id: *id.as_bytes(),
    };
    assert_eq!(
        done.index,
        [
            (0, 0, entry(citizen(0), Topic::Held)),
            (0, 1, entry(company(1), Topic::Held)),
            (0, 2, entry(agency(0), Topic::Issued)),
        ]
    );
    let record = world.record(&id);
    assert_eq!(record.type_name, "property");
    assert_eq!(record.issuer, address(agency(0)));
    assert_eq!(record.serial, 1);
    let holder = |who| HolderRecord {
        address: address(who),
        accepted: None,
    };
    assert_eq!(record.holders, [holder(citizen(0)), holder(company(1))]);
    assert_eq!(record.field_root.as_bytes(), &bytes("field root", 1));
    assert_eq!(record.claim, Some(bytes("parcel", 1)));
    assert_eq!(record.transaction, name);
    assert_eq!((record.line, record.version, record.reason), (0, 0, 0));
    assert_eq!(record.issued_height.get(), 1);
    assert_eq!(record.issued_time.get(), START + BLOCK_MS);
    assert_eq!(record.valid_from.get(), START + 5_000_000);
    assert_eq!(record.valid_until, None);
    assert_eq!(record.status, CertificateStatus::Issued);
    assert_eq!(world.serials(agency(0)), 1);
}

#[test]
fn only_an_accredited_active_agency_issues() {
    let mut world = World::new(SideChain::Degree);
    let draft = world.draft(1, &[citizen(0)]);
    let code = |world: &mut World, issuer: Who, signers: &[Who]| {
        world.code(issue(issuer, draft.clone()), signers)
    };
    assert_eq!(code(&mut world, agency(0), &[agency(0)]), Code::Ok);
    assert_eq!(
        code(&mut world, agency(2), &[agency(2)]),
        Code::NotAccredited
    );
    assert_eq!(
        code(&mut world, citizen(1), &[citizen(1)]),
        Code::NotEntitled
    );
    assert_eq!(
        code(&mut world, verifier(1), &[verifier(1)]),
        Code::NotEntitled
    );
    assert_eq!(
        code(&mut world, agency(9), &[agency(9)]),
        Code::UnknownAccount
    );
    assert_eq!(code(&mut world, agency(0), &[agency(1)]), Code::WrongKey);
    assert_eq!(code(&mut world, agency(0), &[]), Code::MissingSigner);
    let surplus = code(&mut world, agency(0), &[agency(0), citizen(0)]);
    assert_eq!(surplus, Code::SurplusSigner);
    world.set_status(agency(0), IdentityStatus::Suspended);
    assert_eq!(code(&mut world, agency(0), &[agency(0)]), Code::Suspended);
    world.set_status(agency(0), IdentityStatus::Revoked);
    assert_eq!(code(&mut world, agency(0), &[agency(0)]), Code::Revoked);
}

#[test]
fn refusals_name_whom_they_are_about() {
    let mut world = World::new(SideChain::Degree);
    world.set_status(citizen(0), IdentityStatus::Suspended);
    let draft = world.draft(1, &[citizen(0)]);
    let refusal = world
        .refusal(issue(agency(0), draft), &[agency(0)])
        .unwrap();
    let text = refusal.to_string();
    let start = format!("holder {}: ", address(citizen(0)));
    assert!(text.starts_with(&start), "{text}");
}

#[test]
fn holders_are_active_and_of_the_right_kind() {
    let takes = |chain, who: Who, status| {
        let mut world = World::new(chain);
        world.set_status(who, status);
        let mut holders = vec![who];
        if chain == SideChain::Marriage {
            holders.push(citizen(3));
        }
        let mut signers = vec![agency(0)];
        if chain == SideChain::Marriage {
            signers.extend(&holders);
        }
        let draft = world.draft(1, &holders);
        world.code(issue(agency(0), draft), &signers)
    };
    let fits = [
        (SideChain::Marriage, [Code::Ok, Code::NotEntitled]),
        (SideChain::Property, [Code::Ok, Code::Ok]),
        (SideChain::Degree, [Code::Ok, Code::NotEntitled]),
        (SideChain::Business, [Code::Ok, Code::Ok]),
        (SideChain::Health, [Code::Ok, Code::NotEntitled]),
    ];
    for (chain, [a_citizen, a_company]) in fits {
        let active = IdentityStatus::Active;
        assert_eq!(takes(chain, citizen(0), active), a_citizen, "{chain:?}");
        assert_eq!(takes(chain, company(0), active), a_company, "{chain:?}");
        for who in [agency(1), verifier(0)] {
            assert_eq!(takes(chain, who, active), Code::NotEntitled, "{chain:?}");
        }
        let suspended = takes(chain, citizen(0), IdentityStatus::Suspended);
        assert_eq!(suspended, Code::Suspended, "{chain:?}");
        let revoked = takes(chain, citizen(0), IdentityStatus::Revoked);
        assert_eq!(revoked, Code::Revoked, "{chain:?}");
    }
}

#[test]
fn fields_are_encrypted_to_the_present_key() {
    let mut world = World::new(SideChain::Degree);
    world.change(citizen(0), |r| r.present.encryption_key = bytes("new", 0));
    let draft = world.draft(1, &[citizen(0)]);
    let code = world.code(issue(agency(0), draft.clone()), &[agency(0)]);
    assert_eq!(code, Code::WrongRecipient);
    let mut anew = draft;
    anew.encrypted[0].recipient_key = bytes("new", 0).to_vec();
    assert_eq!(world.code(issue(agency(0), anew), &[agency(0)]), Code::Ok);
}

#[test]
fn a_marriage_needs_both_spouses() {
    let mut world = World::new(SideChain::Marriage);
    let couple = [citizen(0), citizen(1)];
    let draft = world.draft(1, &couple);
    let wish = issue(agency(0), draft.clone());
    let [a, b] = couple;
    let mut code = |signers: &[Who]| world.code(wish.clone(), signers);
    assert_eq!(code(&[agency(0), a, b]), Code::Ok);
    assert_eq!(code(&[agency(0), b, a]), Code::MissingSigner);
    assert_eq!(code(&[agency(0), a]), Code::MissingSigner);
    assert_eq!(code(&[agency(0), a, citizen(2)]), Code::WrongKey);
    assert_eq!(code(&[agency(0), a, b, citizen(2)]), Code::SurplusSigner);
    let alone = Kind::IssueCertificate(IssueCertificate {
        issuer: super::world::raw(agency(0)),
        holders_sign: false,
        certificate: Some(draft.clone()),
    });
    assert_eq!(world.code(alone, &[agency(0)]), Code::BadField);
    let single = world.draft(2, &[a]);
    assert_eq!(
        world.code(issue(agency(0), single), &[agency(0), a]),
        Code::BadField
    );
    let claiming = CertificateDraft {
        claim: vec![1; 32],
        ..draft.clone()
    };
    let code = world.code(issue(agency(0), claiming), &[agency(0), a, b]);
    assert_eq!(code, Code::BadField);
    let code = world.code(batch(agency(0), vec![draft]), &[agency(0)]);
    assert_eq!(code, Code::BadField);
    // Where nobody's consent is needed, nobody gives it.
    let mut world = World::new(SideChain::Degree);
    let signed = Kind::IssueCertificate(IssueCertificate {
        issuer: super::world::raw(agency(0)),
        holders_sign: true,
        certificate: Some(world.draft(1, &[a])),
    });
    assert_eq!(world.code(signed, &[agency(0), a]), Code::BadField);
}

#[test]
fn nobody_is_married_twice() {
    let mut world = World::new(SideChain::Marriage);
    let [a, b, c] = [citizen(0), citizen(1), citizen(2)];
    let first = world.active(1, &[a, b]);
    for couple in [[a, c], [c, a], [c, b]] {
        let draft = world.draft(2, &couple);
        let signers = [agency(1), couple[0], couple[1]];
        assert_eq!(
            world.code(issue(agency(1), draft), &signers),
            Code::ClaimTaken
        );
    }
    world.apply(revoke(&first, agency(1)), &[agency(1)]);
    world.active(2, &[b, c]);
    let draft = world.draft(3, &[a, b]);
    let code = world.code(issue(agency(0), draft), &[agency(0), a, b]);
    assert_eq!(code, Code::ClaimTaken);
}

#[test]
fn of_two_marriages_at_once_one_stands() {
    let mut world = World::new(SideChain::Marriage);
    let [a, b, c] = [citizen(0), citizen(1), citizen(2)];
    let [first, second] = [world.draft(1, &[a, b]), world.draft(2, &[b, c])];
    let [one, other] = [world.id(agency(0), &first), world.id(agency(1), &second)];
    let both = vec![
        world.sign(issue(agency(0), first), &[agency(0), a, b]),
        world.sign(issue(agency(1), second), &[agency(1), b, c]),
    ];
    let done = world.block(both);
    assert_eq!(done.receipts[0].code(), Code::Ok);
    assert_eq!(done.receipts[0].subject(), Some(*one.as_bytes()));
    assert_eq!(done.receipts[1].code(), Code::ClaimTaken);
    assert_eq!(done.receipts[1].subject(), None);
    assert!(
        !world
            .side
            .contains_key(&crate::certificate::keys::certificate(&other))
    );
    assert_eq!((world.serials(agency(0)), world.serials(agency(1))), (1, 0));
    assert!(done.index.iter().all(|(place, _, _)| *place == 0));
}

#[test]
fn a_parcel_has_one_title() {
    let mut world = World::new(SideChain::Property);
    let first = world.issued(1, &[citizen(0)]);
    let again = CertificateDraft {
        nonce: vec![1; 16],
        ..world.draft(1, &[citizen(1)])
    };
    let wish = issue(agency(1), again);
    assert_eq!(world.code(wish.clone(), &[agency(1)]), Code::ClaimTaken);
    world.apply(accept(&first, citizen(0)), &[citizen(0)]);
    assert_eq!(world.code(wish.clone(), &[agency(1)]), Code::ClaimTaken);
    let other = world.draft(2, &[citizen(1)]);
    assert_eq!(world.code(issue(agency(1), other), &[agency(1)]), Code::Ok);
    world.apply(revoke(&first, agency(0)), &[agency(0)]);
    world.apply(wish, &[agency(1)]);
}

#[test]
fn the_same_certificate_is_issued_once() {
    let mut world = World::new(SideChain::Degree);
    world.issued(1, &[citizen(0)]);
    let draft = world.draft(1, &[citizen(0)]);
    let code = world.code(issue(agency(0), draft.clone()), &[agency(0)]);
    assert_eq!(code, Code::CertificateTaken);
    // Another issuer's is another certificate.
    assert_eq!(world.code(issue(agency(1), draft), &[agency(1)]), Code::Ok);
}

#[test]
fn serials_have_no_gaps() {
    let mut world = World::new(SideChain::Degree);
    let drafts: Vec<_> = (0..4).map(|n| world.draft(n, &[citizen(0)])).collect();
    let mut wishes = Vec::new();
    for draft in &drafts {
        for issuer in [agency(0), agency(1)] {
            wishes.push(world.sign(issue(issuer, draft.clone()), &[issuer]));
        }
    }
    // Draft 1 of agency 0 twice in the block: the second one takes no serial.
    wishes.insert(
        4,
        world.sign(issue(agency(0), drafts[1].clone()), &[agency(0)]),
    );
    let done = world.block(wishes);
    assert_eq!(done.receipts[4].code(), Code::CertificateTaken);
    for issuer in [agency(0), agency(1)] {
        let serials = drafts
            .iter()
            .map(|draft| world.record(&world.id(issuer, draft)).serial);
        assert_eq!(serials.collect::<Vec<_>>(), [1, 2, 3, 4]);
    }
}

#[test]
fn without_main_nothing_is_issued() {
    let mut world = World::new(SideChain::Degree);
    world.has_main = false;
    let draft = world.draft(1, &[citizen(0)]);
    assert_eq!(
        world.code(issue(agency(0), draft), &[agency(0)]),
        Code::KindNotHere
    );
}
