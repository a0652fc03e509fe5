//! The kinds of side chains: who signs them, and what signers see.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use certchain_proto::{
    Address, ChainId, SecretKey, TimeMs,
    hash::{CertificateId, DisclosedHash},
    limits::MAX_SIGNATURES,
    transaction::TransactionError,
    wire::v1::{
        CertificateDraft, ContentReference, EncryptedFields, ReportConflict, SubmitAnchor,
        encrypted_fields::Content, transaction_body::Kind,
    },
};
use certchain_sidechain::presentation::{Audience, Presentation, SignedPresentation};

use super::*;

fn address(byte: u8) -> Address {
    Address::from_bytes([byte; 32])
}

fn certificate() -> CertificateId {
    CertificateId::from_bytes([6; 32])
}

fn certificate_draft(holders: &[u8]) -> CertificateDraft {
    let encrypted = |content| EncryptedFields {
        recipient_key: vec![0xaa; 32],
        encapsulated_key: vec![0xbb; 32],
        content: Some(content),
    };
    CertificateDraft {
        r#type: "degree".into(),
        holders: holders.iter().map(|byte| vec![*byte; 32]).collect(),
        field_root: vec![0xcc; 32],
        nonce: vec![0xdd; 16],
        valid_from_ms: 0,
        valid_until_ms: 77,
        claim: vec![0xee; 32],
        encrypted: vec![
            encrypted(Content::Ciphertext(vec![0; 99])),
            encrypted(Content::Reference(ContentReference {
                hash: vec![0x99; 32],
                size: 5000,
                media_type: "a/b".into(),
                location: String::new(),
            })),
        ],
    }
}

fn signed_presentation() -> SignedPresentation {
    let presentation = Presentation {
        chain: ChainId::from_bytes([5; 32]),
        certificate: certificate(),
        holder: address(3),
        audience: Audience::Bearer,
        challenge: Vec::new(),
        nonce: [7; 16],
        expires: TimeMs::new(88),
        disclosed: DisclosedHash::from_bytes([0x44; 32]),
    };
    SignedPresentation::sign(&presentation, &SecretKey::from_seed(&[3; 32])).unwrap()
}

/// A kind, its signers, and the account that it is about.
type Case = (Kind, Vec<(Role, u8)>, Option<u8>);

fn kinds() -> Vec<Case> {
    let issue = |holders, sign| issue_certificate(address(1), certificate_draft(holders), sign);
    vec![
        (issue(&[3], false), vec![(Role::Issuer, 1)], Some(3)),
        (
            issue(&[4, 3], true),
            vec![(Role::Issuer, 1), (Role::Holder, 4), (Role::Holder, 3)],
            None,
        ),
        (
            issue_batch(address(1), vec![certificate_draft(&[3]); 10]),
            vec![(Role::Issuer, 1)],
            None,
        ),
        (
            accept_certificate(certificate(), address(3)),
            vec![(Role::Holder, 3)],
            Some(3),
        ),
        (
            decline_certificate(certificate(), address(3), 9),
            vec![(Role::Holder, 3)],
            Some(3),
        ),
        (
            revoke_certificate(certificate(), address(2), 9),
            vec![(Role::Authority, 2)],
            None,
        ),
        (
            record_check(address(2), &signed_presentation(), 9),
            vec![(Role::Verifier, 2)],
            None,
        ),
    ]
}

#[test]
fn each_kind_names_its_signers_and_its_subject() {
    let terms = Terms {
        chain: ChainId::from_bytes([5; 32]),
        valid_until: TimeMs::new(1),
    };
    for (kind, signers, subject) in kinds() {
        let name = kind_name(&kind);
        let draft = Draft::new(&terms.body(kind).unwrap()).unwrap();
        let expected: Vec<_> = signers
            .into_iter()
            .map(|(role, byte)| Party {
                role,
                signer: Signer::Account(address(byte)),
            })
            .collect();
        assert_eq!(draft.parties(), expected, "{name}");
        assert_eq!(draft.subject(), subject.map(address), "{name}");
    }
}

#[test]
fn what_no_wallet_can_sign_is_refused() {
    let field = |kind: &Kind| match parties(kind) {
        Err(TransactionError::Field { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(&Kind::SubmitAnchor(SubmitAnchor::default())), "kind");
    assert_eq!(
        field(&Kind::ReportConflict(ReportConflict::default())),
        "kind"
    );
    let mut empty = issue_certificate(address(1), certificate_draft(&[3]), false);
    if let Kind::IssueCertificate(issue) = &mut empty {
        issue.certificate = None;
    }
    assert_eq!(field(&empty), "certificate");
    let many = vec![3; MAX_SIGNATURES];
    let crowd = issue_certificate(address(1), certificate_draft(&many), true);
    assert_eq!(field(&crowd), "certificate.holders");
    let mut broken = certificate_draft(&[3]);
    broken.holders[0].pop();
    let broken = issue_certificate(address(1), broken, true);
    assert_eq!(field(&broken), "certificate.holders");
    let mut accept = accept_certificate(certificate(), address(3));
    if let Kind::AcceptCertificate(message) = &mut accept {
        message.holder.clear();
    }
    assert_eq!(field(&accept), "holder");
}

#[test]
fn signers_see_what_they_sign() {
    let text = |kind: &Kind| {
        let fields = describe(kind);
        let mut names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), fields.len(), "a name stands twice");
        // A report has these of the transaction itself.
        for taken in ["chain_id", "valid_until_ms", "transaction_id", "signers"] {
            assert!(!names.contains(&taken), "{taken}");
        }
        fields
            .iter()
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect::<String>()
    };
    let issue = text(&issue_certificate(
        address(1),
        certificate_draft(&[4, 3]),
        true,
    ));
    for part in [
        format!("issuer={}", address(1)),
        "type=degree".into(),
        format!("holders={}, {}", address(4), address(3)),
        format!("field_root={}", "cc".repeat(32)),
        format!("certificate_nonce={}", "dd".repeat(16)),
        "certificate_from=from its issue on".into(),
        "certificate_until=77 ms".into(),
        format!("claim={}", "ee".repeat(32)),
        format!("to key {}: 99 bytes here", "aa".repeat(32)),
        format!("5000 bytes elsewhere as {}", "99".repeat(32)),
        "holders_sign=yes".into(),
    ] {
        assert!(issue.contains(&part), "{part} in {issue}");
    }
    let batch = text(&issue_batch(address(1), vec![certificate_draft(&[3]); 10]));
    assert!(batch.contains("certificates=10\n"), "{batch}");
    assert!(batch.contains("and 2 more"), "{batch}");
    let check = text(&record_check(address(2), &signed_presentation(), 9));
    for part in [
        format!("verifier={}", address(2)),
        format!("certificate={}", certificate()),
        format!("holder={}", address(3)),
        "presented_to=whoever bears it".into(),
        "presentation_until=88".into(),
        "purpose=9".into(),
    ] {
        assert!(check.contains(&part), "{part} in {check}");
    }
    let mut broken = record_check(address(2), &signed_presentation(), 9);
    if let Kind::RecordCheck(message) = &mut broken {
        message.presentation.push(0);
    }
    assert!(text(&broken).contains("presentation=broken"));
    for (kind, ..) in kinds() {
        assert!(!text(&kind).is_empty());
    }
    let conflict = Kind::ReportConflict(ReportConflict {
        held: vec![0x12; 32],
        ..Default::default()
    });
    assert!(text(&conflict).contains(&"12".repeat(32)));
    assert!(text(&Kind::SubmitAnchor(SubmitAnchor::default())).contains("sealed_header=0 bytes"));
}
