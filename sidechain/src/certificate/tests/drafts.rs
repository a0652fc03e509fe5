//! What a certificate's draft may say.

use certchain_config::catalogue::SideChain;
use certchain_proto::{
    TimeMs,
    wire::v1::{
        CertificateDraft, Code, ContentReference, IssueCertificate, encrypted_fields::Content,
        transaction_body::Kind,
    },
};

use super::{
    wishes::{encrypted, issue, reference},
    world::{BLOCK_MS, START, World, agency, citizen, company, raw},
};

const YEAR_MS: u64 = 365 * 24 * 60 * 60 * 1000;

#[test]
fn drafts_that_are_not_in_order_are_refused() {
    type Change = fn(&mut CertificateDraft);
    let table: &[(&str, Change, Code)] = &[
        ("as it should be", |_| (), Code::Ok),
        (
            "unknown type",
            |m| m.r#type = "title".into(),
            Code::UnknownType,
        ),
        ("no type", |m| m.r#type = String::new(), Code::UnknownType),
        (
            "type of another chain",
            |m| m.r#type = "degree".into(),
            Code::UnknownType,
        ),
        (
            "no holder",
            |m| {
                m.holders.clear();
                m.encrypted.clear();
            },
            Code::BadField,
        ),
        (
            "three holders",
            |m| {
                m.holders = (0..3).map(|n| raw(citizen(n))).collect();
                m.encrypted = (0..3).map(|n| encrypted(citizen(n))).collect();
            },
            Code::BadField,
        ),
        (
            "a holder twice",
            |m| {
                m.holders.push(m.holders[0].clone());
                m.encrypted.push(m.encrypted[0].clone());
            },
            Code::BadField,
        ),
        (
            "short holder",
            |m| m.holders[0].truncate(31),
            Code::BadField,
        ),
        (
            "short field root",
            |m| m.field_root.truncate(31),
            Code::BadField,
        ),
        ("short nonce", |m| m.nonce.truncate(15), Code::BadField),
        ("long nonce", |m| m.nonce.push(0), Code::BadField),
        ("no claim", |m| m.claim.clear(), Code::BadField),
        ("short claim", |m| m.claim.truncate(31), Code::BadField),
        ("no ciphertext", |m| m.encrypted.clear(), Code::BadField),
        (
            "two ciphertexts",
            |m| m.encrypted.push(encrypted(citizen(1))),
            Code::BadField,
        ),
        (
            "short key",
            |m| m.encrypted[0].recipient_key.truncate(31),
            Code::BadField,
        ),
        (
            "no encapsulated key",
            |m| m.encrypted[0].encapsulated_key.clear(),
            Code::BadField,
        ),
        (
            "no content",
            |m| m.encrypted[0].content = None,
            Code::BadField,
        ),
        (
            "empty ciphertext",
            |m| content(m, Content::Ciphertext(Vec::new())),
            Code::BadField,
        ),
        (
            "longest ciphertext",
            |m| content(m, Content::Ciphertext(vec![1; 4096])),
            Code::Ok,
        ),
        (
            "too long",
            |m| content(m, Content::Ciphertext(vec![1; 4097])),
            Code::BadField,
        ),
        ("elsewhere", |m| content(m, reference(1)), Code::Ok),
        (
            "empty elsewhere",
            |m| content(m, reference(0)),
            Code::BadField,
        ),
        (
            "too long elsewhere",
            |m| content(m, reference((16 << 20) + 1)),
            Code::BadField,
        ),
        (
            "short hash",
            |m| refer(m, |r| r.hash.truncate(31)),
            Code::BadField,
        ),
        (
            "no media type",
            |m| refer(m, |r| r.media_type.clear()),
            Code::BadField,
        ),
        (
            "odd media type",
            |m| refer(m, |r| r.media_type = "ä/b".into()),
            Code::BadField,
        ),
        (
            "long media type",
            |m| refer(m, |r| r.media_type = "a".repeat(65)),
            Code::BadField,
        ),
        (
            "long location",
            |m| refer(m, |r| r.location = "a".repeat(257)),
            Code::BadField,
        ),
        (
            "a line break",
            |m| refer(m, |r| r.location = "a\nb".into()),
            Code::BadField,
        ),
        (
            "somebody else's key",
            |m| m.encrypted[0] = encrypted(citizen(1)),
            Code::WrongRecipient,
        ),
        (
            "unknown holder",
            |m| m.holders[0] = vec![9; 32],
            Code::UnknownAccount,
        ),
        (
            "begins too late",
            |m| m.valid_from_ms = START + BLOCK_MS + YEAR_MS + 1,
            Code::BadField,
        ),
        (
            "begins in a year",
            |m| m.valid_from_ms = START + BLOCK_MS + YEAR_MS,
            Code::Ok,
        ),
        ("began long ago", |m| m.valid_from_ms = 1, Code::Ok),
        (
            "over already",
            |m| m.valid_until_ms = START + BLOCK_MS,
            Code::BadField,
        ),
        (
            "ends soon",
            |m| m.valid_until_ms = START + BLOCK_MS + 1,
            Code::Ok,
        ),
        (
            "ends before it begins",
            |m| {
                m.valid_from_ms = START + 9_000;
                m.valid_until_ms = START + 9_000;
            },
            Code::BadField,
        ),
    ];
    let mut world = World::new(SideChain::Property);
    for (name, change, code) in table {
        let mut draft = world.draft(1, &[citizen(0)]);
        change(&mut draft);
        let refusal = world.refusal(issue(agency(0), draft), &[agency(0)]);
        let actual = refusal.as_ref().map_or(Code::Ok, |r| r.code());
        assert_eq!(actual, *code, "{name}: {refusal:?}");
    }
    let nothing = Kind::IssueCertificate(IssueCertificate {
        issuer: raw(agency(0)),
        ..IssueCertificate::default()
    });
    assert_eq!(world.code(nothing, &[agency(0)]), Code::BadField);
}

fn content(m: &mut CertificateDraft, content: Content) {
    m.encrypted[0].content = Some(content);
}

fn refer(m: &mut CertificateDraft, change: impl FnOnce(&mut ContentReference)) {
    let Content::Reference(mut inner) = reference(9) else {
        panic!("a reference");
    };
    change(&mut inner);
    content(m, Content::Reference(inner));
}

#[test]
fn validity_follows_the_catalogue() {
    let mut world = World::new(SideChain::Health);
    let now = world.now();
    let id = world.issued(1, &[citizen(0)]);
    assert_eq!(world.record(&id).valid_from, TimeMs::new(now));
    assert_eq!(
        world.record(&id).valid_until,
        Some(TimeMs::new(now + YEAR_MS))
    );
    let now = world.now();
    let mut code = |from, until| {
        let draft = CertificateDraft {
            valid_from_ms: from,
            valid_until_ms: until,
            ..world.draft(2, &[citizen(0)])
        };
        world.code(issue(agency(0), draft), &[agency(0)])
    };
    assert_eq!(code(0, now + YEAR_MS), Code::Ok);
    assert_eq!(code(0, now + YEAR_MS + 1), Code::BadField);
    assert_eq!(code(now - 1, now + YEAR_MS), Code::BadField);
    assert_eq!(code(now - YEAR_MS, 0), Code::BadField);
    assert_eq!(code(now - YEAR_MS + 1, 0), Code::Ok);
    // The catalogue of these tests gives business licences no end, so the draft must.
    let mut world = World::new(SideChain::Business);
    let endless = CertificateDraft {
        valid_until_ms: 0,
        ..world.draft(1, &[company(0)])
    };
    assert_eq!(
        world.code(issue(agency(0), endless), &[agency(0)]),
        Code::BadField
    );
}
