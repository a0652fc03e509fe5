//! Transactions of side chains, and those with which main anchors them. They show the form of the
//! messages: the chain id is main's as in the other vectors, so no chain would execute them.

use certchain_proto::wire::v1::{
    AcceptCertificate, CertificateDraft, ContentReference, DeclineCertificate, EncryptedFields,
    IssueBatch, IssueCertificate, RecordCheck, ReportConflict, RevokeCertificate, SubmitAnchor,
    encrypted_fields::Content, transaction_body::Kind,
};
use serde_json::{Value, json};

use crate::{
    golden::hex,
    scenario::{AGENCY, HOLDER, NEW_HOLDER, VOTE, address},
};

fn bytes(seed: u8) -> Vec<u8> {
    address(seed).as_bytes().to_vec()
}

fn inline(recipient: u8) -> EncryptedFields {
    EncryptedFields {
        recipient_key: vec![recipient; 32],
        encapsulated_key: vec![0xe1; 32],
        content: Some(Content::Ciphertext(vec![0xc1; 40])),
    }
}

fn elsewhere(recipient: u8, location: &str) -> EncryptedFields {
    let reference = ContentReference {
        hash: vec![0xc2; 32],
        size: 300_000,
        media_type: "application/vnd.certchain.fields".to_owned(),
        location: location.to_owned(),
    };
    EncryptedFields {
        recipient_key: vec![recipient; 32],
        encapsulated_key: vec![0xe2; 32],
        content: Some(Content::Reference(reference)),
    }
}

fn degree(nonce: u8) -> CertificateDraft {
    CertificateDraft {
        r#type: "degree".to_owned(),
        holders: vec![bytes(HOLDER)],
        field_root: vec![0x81; 32],
        nonce: vec![nonce; 16],
        encrypted: vec![inline(HOLDER)],
        ..CertificateDraft::default()
    }
}

/// Every kind with its signers in order.
pub fn kinds() -> Vec<(Kind, Vec<u8>)> {
    let agency = bytes(AGENCY);
    let title = CertificateDraft {
        r#type: "property".to_owned(),
        valid_from_ms: 1_700_000_000_001,
        valid_until_ms: 1_800_000_000_000,
        claim: vec![0x91; 32],
        encrypted: vec![elsewhere(HOLDER, "")],
        ..degree(0x83)
    };
    let marriage = CertificateDraft {
        r#type: "marriage".to_owned(),
        holders: vec![bytes(HOLDER), bytes(NEW_HOLDER)],
        encrypted: vec![
            inline(HOLDER),
            elsewhere(NEW_HOLDER, "https://store.example/fields"),
        ],
        ..degree(0x84)
    };
    let issue = |certificate, holders_sign| {
        Kind::IssueCertificate(IssueCertificate {
            issuer: agency.clone(),
            certificate: Some(certificate),
            holders_sign,
        })
    };
    let certificate = vec![0xa1; 32];
    vec![
        (issue(degree(0x82), false), vec![AGENCY]),
        (issue(title.clone(), false), vec![AGENCY]),
        (issue(marriage, true), vec![AGENCY, HOLDER, NEW_HOLDER]),
        (
            Kind::IssueBatch(IssueBatch {
                issuer: agency.clone(),
                certificates: vec![degree(0x85), title, degree(0x86)],
            }),
            vec![AGENCY],
        ),
        (
            Kind::AcceptCertificate(AcceptCertificate {
                certificate: certificate.clone(),
                holder: bytes(HOLDER),
            }),
            vec![HOLDER],
        ),
        (
            Kind::DeclineCertificate(DeclineCertificate {
                certificate: certificate.clone(),
                holder: bytes(HOLDER),
                reason: 9,
            }),
            vec![HOLDER],
        ),
        (
            Kind::RevokeCertificate(RevokeCertificate {
                certificate,
                authority: agency,
                reason: 300,
            }),
            vec![AGENCY],
        ),
        (
            Kind::RecordCheck(RecordCheck {
                verifier: bytes(NEW_HOLDER),
                presentation: vec![0xb1; 180],
                holder_signature: vec![0xb2; 64],
                purpose: 3,
            }),
            vec![NEW_HOLDER],
        ),
        (
            Kind::SubmitAnchor(SubmitAnchor {
                chain_id: vec![0xd1; 32],
                sealed_header: vec![0xd2; 400],
                history_proof: vec![0xd3; 80],
            }),
            vec![VOTE[1]],
        ),
        (
            // Two blocks of one height: what is held at the lower one's height is left out.
            Kind::ReportConflict(ReportConflict {
                chain_id: vec![0xd1; 32],
                lower: vec![0xd4; 400],
                higher: vec![0xd5; 400],
                held: Vec::new(),
                history_proof: Vec::new(),
            }),
            vec![VOTE[1]],
        ),
        (
            Kind::ReportConflict(ReportConflict {
                chain_id: vec![0xd1; 32],
                lower: vec![0xd4; 400],
                higher: vec![0xd5; 420],
                held: vec![0xd6; 32],
                history_proof: vec![0xd7; 96],
            }),
            vec![HOLDER],
        ),
    ]
}

/// Sets a field unless it is the default, which is left out.
fn set(value: &mut Value, name: &str, field: Value) {
    if field != json!("") && field != json!(0) && field != json!(false) && field != json!([]) {
        value[name] = field;
    }
}

fn encrypted(m: &EncryptedFields) -> Value {
    let mut value = json!({
        "recipient_key": hex(&m.recipient_key), "encapsulated_key": hex(&m.encapsulated_key),
    });
    match m.content.as_ref().unwrap() {
        Content::Ciphertext(ciphertext) => value["ciphertext"] = json!(hex(ciphertext)),
        Content::Reference(m) => {
            let mut reference = json!({
                "hash": hex(&m.hash), "size": m.size, "media_type": m.media_type,
            });
            set(&mut reference, "location", json!(m.location));
            value["reference"] = reference;
        }
    }
    value
}

fn draft(m: &CertificateDraft) -> Value {
    let holders: Vec<String> = m.holders.iter().map(hex).collect();
    let fields: Vec<Value> = m.encrypted.iter().map(encrypted).collect();
    let mut value = json!({
        "type": m.r#type, "holders": holders, "field_root": hex(&m.field_root),
        "nonce": hex(&m.nonce),
    });
    set(&mut value, "valid_from_ms", json!(m.valid_from_ms));
    set(&mut value, "valid_until_ms", json!(m.valid_until_ms));
    set(&mut value, "claim", json!(hex(&m.claim)));
    value["encrypted"] = json!(fields);
    value
}

/// The message's fields by their names in the .proto file; defaults are left out.
pub fn message(kind: &Kind) -> (&'static str, Value) {
    match kind {
        Kind::IssueCertificate(m) => {
            let certificate = draft(m.certificate.as_ref().unwrap());
            let mut value = json!({ "issuer": hex(&m.issuer), "certificate": certificate });
            set(&mut value, "holders_sign", json!(m.holders_sign));
            ("issue_certificate", value)
        }
        Kind::IssueBatch(m) => {
            let certificates: Vec<Value> = m.certificates.iter().map(draft).collect();
            (
                "issue_batch",
                json!({ "issuer": hex(&m.issuer), "certificates": certificates }),
            )
        }
        Kind::AcceptCertificate(m) => (
            "accept_certificate",
            json!({ "certificate": hex(&m.certificate), "holder": hex(&m.holder) }),
        ),
        Kind::DeclineCertificate(m) => (
            "decline_certificate",
            json!({
                "certificate": hex(&m.certificate), "holder": hex(&m.holder), "reason": m.reason,
            }),
        ),
        Kind::RevokeCertificate(m) => (
            "revoke_certificate",
            json!({
                "certificate": hex(&m.certificate), "authority": hex(&m.authority),
                "reason": m.reason,
            }),
        ),
        Kind::RecordCheck(m) => (
            "record_check",
            json!({
                "verifier": hex(&m.verifier), "presentation": hex(&m.presentation),
                "holder_signature": hex(&m.holder_signature), "purpose": m.purpose,
            }),
        ),
        Kind::SubmitAnchor(m) => (
            "submit_anchor",
            json!({
                "chain_id": hex(&m.chain_id), "sealed_header": hex(&m.sealed_header),
                "history_proof": hex(&m.history_proof),
            }),
        ),
        Kind::ReportConflict(m) => {
            let mut value = json!({
                "chain_id": hex(&m.chain_id), "lower": hex(&m.lower), "higher": hex(&m.higher),
            });
            set(&mut value, "held", json!(hex(&m.held)));
            set(&mut value, "history_proof", json!(hex(&m.history_proof)));
            ("report_conflict", value)
        }
        _ => panic!("the kinds of identities stand elsewhere"),
    }
}
