//! Batches: lines stand or fall one by one.

use certchain_config::catalogue::SideChain;
use certchain_ledger::{
    execution::{Line, Topic},
    identity::IdentityStatus,
    receipt::lines_root,
};
use certchain_proto::{
    hash::CertificateId,
    wire::v1::{CertificateDraft, Code, encrypted_fields::Content},
};

use super::{
    wishes::{batch, encrypted, issue},
    world::{World, address, agency, catalogue, citizen, company, entry, type_name},
};

use crate::{certificate::keys, genesis::genesis_leaves};

#[test]
fn a_bad_line_is_refused_and_the_rest_stands() {
    let mut world = World::new(SideChain::Property);
    world.set_status(citizen(3), IdentityStatus::Suspended);
    let good = |world: &World, n| world.draft(n, &[citizen(0)]);
    let lines: Vec<(CertificateDraft, Code)> = vec![
        (good(&world, 0), Code::Ok),
        (world.draft(1, &[citizen(3)]), Code::Suspended),
        (world.draft(2, &[citizen(99)]), Code::UnknownAccount),
        (good(&world, 3), Code::Ok),
        // Line 0 again, and another title of its parcel.
        (good(&world, 0), Code::CertificateTaken),
        (
            CertificateDraft {
                nonce: vec![5; 16],
                ..good(&world, 0)
            },
            Code::ClaimTaken,
        ),
        (
            CertificateDraft {
                encrypted: vec![encrypted(citizen(1))],
                ..good(&world, 6)
            },
            Code::WrongRecipient,
        ),
        (
            CertificateDraft {
                nonce: Vec::new(),
                ..good(&world, 7)
            },
            Code::BadField,
        ),
        (
            CertificateDraft {
                r#type: "title".to_owned(),
                ..good(&world, 8)
            },
            Code::UnknownType,
        ),
        (world.draft(9, &[company(0), citizen(1)]), Code::Ok),
    ];
    let expected: Vec<Line> = lines
        .iter()
        .map(|(draft, code)| Line {
            code: *code,
            certificate: match draft.nonce.len() {
                16 => world.id(agency(0), draft),
                _ => CertificateId::ZERO,
            },
        })
        .collect();
    let drafts = lines.iter().map(|(draft, _)| draft.clone()).collect();
    let done = world.apply(batch(agency(0), drafts), &[agency(0)]);
    // The receipt stands for all lines.
    let root = lines_root(&expected);
    assert_eq!(done.receipts[0].subject(), Some(*root.as_bytes()));
    assert_eq!(done.lines, [(0, expected)]);
    for (serial, place) in [(1, 0), (2, 3), (3, 9)] {
        let record = world.record(&world.id(agency(0), &lines[place].0));
        assert_eq!(record.serial, serial);
        assert_eq!(record.line as usize, place);
    }
    assert_eq!(world.serials(agency(0)), 3);
    let held = done.index.iter().filter(|(_, _, e)| e.topic == Topic::Held);
    assert_eq!(held.count(), 4);
    let mine = |topic| {
        let entries = done.index.iter().map(|(_, _, entry)| entry);
        entries
            .filter(|e| e.topic == topic && e.owner == address(agency(0)))
            .count()
    };
    assert_eq!(mine(Topic::Issued), 3);
}

#[test]
fn a_batch_without_a_good_line_is_refused_like_its_first() {
    let mut world = World::new(SideChain::Degree);
    world.set_status(citizen(3), IdentityStatus::Revoked);
    let drafts = vec![world.draft(1, &[citizen(3)]), world.draft(2, &[company(0)])];
    let refusal = world
        .refusal(batch(agency(0), drafts), &[agency(0)])
        .unwrap();
    assert_eq!(refusal.code(), Code::Revoked);
    assert!(
        refusal
            .to_string()
            .contains(&address(citizen(3)).to_string())
    );
}

#[test]
fn a_batch_submitted_twice_takes_effect_once() {
    let mut world = World::new(SideChain::Degree);
    let drafts: Vec<_> = (0..5).map(|n| world.draft(n, &[citizen(0)])).collect();
    // Two transactions of the same lines in one block, and a third that shares one line.
    let wish = batch(agency(0), drafts.clone());
    let third = batch(
        agency(0),
        vec![drafts[0].clone(), world.draft(9, &[citizen(1)])],
    );
    let all = vec![
        world.sign(wish.clone(), &[agency(0)]),
        world.sign(wish.clone(), &[agency(0)]),
        world.sign(third, &[agency(0)]),
    ];
    let done = world.block(all);
    let codes: Vec<Code> = done.receipts.iter().map(|r| r.code()).collect();
    assert_eq!(codes, [Code::Ok, Code::CertificateTaken, Code::Ok]);
    let lines: Vec<Code> = done.lines[1].1.iter().map(|line| line.code).collect();
    assert_eq!(done.lines[1].0, 2);
    assert_eq!(lines, [Code::CertificateTaken, Code::Ok]);
    assert_eq!(world.serials(agency(0)), 6);
    assert_eq!(world.code(wish, &[agency(0)]), Code::CertificateTaken);
}

#[test]
fn the_envelope_is_judged_first() {
    let mut world = World::new(SideChain::Degree);
    // Small lines, so that as many as this fit into one transaction.
    let line = |world: &World, n| {
        let mut draft = world.draft(n, &[citizen(0)]);
        draft.encrypted[0].content = Some(Content::Ciphertext(vec![1]));
        draft
    };
    let lines = |world: &World, count| (0..count).map(|n| line(world, n)).collect::<Vec<_>>();
    world.parameters.limits.transaction_bytes = 256 * 1024;
    let mut code = |count: u64, issuer, signers: &[_]| {
        let drafts = lines(&world, count);
        world.code(batch(issuer, drafts), signers)
    };
    assert_eq!(code(0, agency(0), &[agency(0)]), Code::BadField);
    assert_eq!(code(1, agency(0), &[agency(0)]), Code::Ok);
    assert_eq!(code(1024, agency(0), &[agency(0)]), Code::Ok);
    assert_eq!(code(1025, agency(0), &[agency(0)]), Code::BadField);
    assert_eq!(code(1, agency(0), &[agency(1)]), Code::WrongKey);
    assert_eq!(code(1, agency(0), &[]), Code::MissingSigner);
    let surplus = code(1, agency(0), &[agency(0), citizen(0)]);
    assert_eq!(surplus, Code::SurplusSigner);
    assert_eq!(code(1, citizen(0), &[citizen(0)]), Code::NotEntitled);
    assert_eq!(code(1, agency(2), &[agency(2)]), Code::NotAccredited);
    world.set_status(agency(0), IdentityStatus::Suspended);
    let drafts = lines(&world, 2);
    let code = world.code(batch(agency(0), drafts), &[agency(0)]);
    assert_eq!(code, Code::Suspended);
}

#[test]
fn each_line_has_its_own_type() {
    let mut world = World::new(SideChain::Degree);
    let diploma = entry(SideChain::Degree, "diploma");
    world
        .side
        .extend(genesis_leaves(SideChain::Degree, &[diploma]));
    let draft = |world: &World, n, name: &str| CertificateDraft {
        r#type: name.to_owned(),
        ..world.draft(n, &[citizen(0)])
    };
    let names = ["degree", "diploma", "degree", "marriage", "diploma"];
    let drafts: Vec<_> = (0..)
        .zip(names)
        .map(|(n, name)| draft(&world, n, name))
        .collect();
    let mut codes = || {
        let wish = batch(agency(0), drafts.clone());
        let transaction = world.sign(wish, &[agency(0)]);
        let lines = world.evaluate(&transaction).unwrap().lines;
        lines.iter().map(|line| line.code).collect::<Vec<_>>()
    };
    let [fine, none, unknown] = [Code::Ok, Code::NotAccredited, Code::UnknownType];
    assert_eq!(codes(), [fine, none, fine, unknown, none]);
    world.change(agency(0), |record| {
        record.may_issue.push("diploma".to_owned())
    });
    world.apply(batch(agency(0), drafts.clone()), &[agency(0)]);
    let serial = |place: usize| world.record(&world.id(agency(0), &drafts[place])).serial;
    // A counter for each type.
    assert_eq!([0, 1, 2, 4].map(serial), [1, 1, 2, 2]);
}

#[test]
fn a_chain_has_the_types_of_its_own() {
    for chain in SideChain::ALL {
        let leaves = genesis_leaves(chain, &catalogue());
        let own = keys::certificate_type(type_name(chain));
        assert_eq!(leaves.keys().collect::<Vec<_>>(), [&own]);
    }
    // Not even a leaf of its own makes another chain's type one of this chain.
    let mut world = World::new(SideChain::Degree);
    world
        .side
        .extend(genesis_leaves(SideChain::Health, &catalogue()));
    let draft = CertificateDraft {
        r#type: "health_certificate".to_owned(),
        ..world.draft(1, &[citizen(0)])
    };
    let code = world.code(issue(agency(0), draft), &[agency(0)]);
    assert_eq!(code, Code::UnknownType);
}
