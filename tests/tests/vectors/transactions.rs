//! Transactions of every kind, and what is refused.

use certchain_proto::{
    Signature,
    transaction::{self, Transaction, Witness},
    wire::{
        DESCRIPTORS,
        v1::{
            self, AddDevice, Code, CompleteRecovery, DecideRecovery, ObjectToRecovery, RecoverKey,
            ReinstateIdentity, RemoveDevice, RestartNotice, RevokeIdentity, RotateKey,
            SignedTransaction, SuspendIdentity, TransactionSignature, transaction_body::Kind,
        },
    },
};
use prost::Message as _;
use serde_json::{Value, json};

use crate::{
    golden::{check, hex},
    governance,
    scenario::{
        AGENCY, HOLDER, NEW_HOLDER, REGISTRAR, VOTE, address, body, register, registration, secret,
        signed,
    },
    side_chains,
};

/// Every kind with its signers in order: those of identities, of side chains, of governance.
pub fn kinds() -> Vec<(Kind, Vec<u8>)> {
    let mut kinds = kinds_of_main();
    kinds.extend(side_chains::kinds());
    kinds.extend(governance::kinds());
    kinds
}

fn kinds_of_main() -> Vec<(Kind, Vec<u8>)> {
    let person = address(HOLDER).as_bytes().to_vec();
    let (agency, registrar) = (
        address(AGENCY).as_bytes().to_vec(),
        address(REGISTRAR).as_bytes().to_vec(),
    );
    let new_key = secret(NEW_HOLDER).public().as_bytes().to_vec();
    let device = new_key.clone();
    let organisation = v1::RegisterIdentity {
        kind: v1::IdentityKind::Organisation as i32,
        public_key: new_key.clone(),
        organisation_code: "91440300-MA5".to_owned(),
        tag: vec![0x54; 32],
        tag_key_version: 300,
        ..register()
    };
    vec![
        (
            Kind::RegisterIdentity(register()),
            vec![AGENCY, REGISTRAR, HOLDER],
        ),
        (
            Kind::RegisterIdentity(organisation),
            vec![AGENCY, REGISTRAR, NEW_HOLDER],
        ),
        (
            Kind::RotateKey(RotateKey {
                address: person.clone(),
                public_key: new_key.clone(),
                encryption_key: vec![0x55; 32],
            }),
            vec![HOLDER, NEW_HOLDER],
        ),
        (
            Kind::RecoverKey(RecoverKey {
                address: person.clone(),
                public_key: new_key,
                encryption_key: vec![0x55; 32],
                agency: agency.clone(),
                registrar: registrar.clone(),
            }),
            vec![AGENCY, REGISTRAR, NEW_HOLDER],
        ),
        (
            Kind::SuspendIdentity(SuspendIdentity {
                address: person.clone(),
                authority: registrar.clone(),
                reason: 7,
            }),
            vec![REGISTRAR],
        ),
        (
            Kind::ReinstateIdentity(ReinstateIdentity {
                address: person.clone(),
                authority: registrar.clone(),
                reason: 65_535,
            }),
            vec![REGISTRAR],
        ),
        (
            Kind::RevokeIdentity(RevokeIdentity {
                address: person.clone(),
                agency: agency.clone(),
                registrar: registrar.clone(),
                reason: 128,
                end: 0,
            }),
            vec![AGENCY, REGISTRAR],
        ),
        (
            Kind::RevokeIdentity(RevokeIdentity {
                address: person.clone(),
                agency: agency.clone(),
                registrar: registrar.clone(),
                reason: 1,
                end: v1::IdentityEnd::Deceased as i32,
            }),
            vec![AGENCY, REGISTRAR],
        ),
        (
            Kind::AddDevice(AddDevice {
                address: person.clone(),
                public_key: device.clone(),
            }),
            vec![HOLDER, NEW_HOLDER],
        ),
        (
            Kind::RemoveDevice(RemoveDevice {
                address: person.clone(),
                public_key: device.clone(),
            }),
            vec![NEW_HOLDER],
        ),
        (
            Kind::ObjectToRecovery(ObjectToRecovery {
                address: person.clone(),
            }),
            vec![HOLDER],
        ),
        (
            Kind::DecideRecovery(DecideRecovery {
                address: person.clone(),
                agency: agency.clone(),
                registrar: registrar.clone(),
                public_key: device.clone(),
                confirm: true,
            }),
            vec![AGENCY, REGISTRAR],
        ),
        (
            // A refusal is a default, so its field is left out.
            Kind::DecideRecovery(DecideRecovery {
                address: person.clone(),
                agency,
                registrar,
                public_key: device.clone(),
                confirm: false,
            }),
            vec![AGENCY, REGISTRAR],
        ),
        (
            Kind::CompleteRecovery(CompleteRecovery {
                address: person,
                public_key: device,
            }),
            vec![NEW_HOLDER],
        ),
        (
            // The first epoch and validator are defaults, so their fields are left out.
            Kind::RestartNotice(RestartNotice {
                epoch: 0,
                validator: 0,
                restart_nonce: vec![0x71; 32],
            }),
            vec![VOTE[0]],
        ),
        (
            Kind::RestartNotice(RestartNotice {
                epoch: 3,
                validator: 2,
                restart_nonce: vec![0x72; 32],
            }),
            vec![VOTE[2]],
        ),
    ]
}

/// The message's fields by their names in the .proto file; defaults are left out.
fn message(kind: &Kind) -> (&'static str, Value) {
    match kind {
        Kind::RegisterIdentity(m) => {
            let mut value = json!({
                "kind": m.kind, "public_key": hex(&m.public_key),
                "encryption_key": hex(&m.encryption_key),
                "attribute_root": hex(&m.attribute_root), "tag": hex(&m.tag),
                "tag_key_version": m.tag_key_version, "agency": hex(&m.agency),
                "registrar": hex(&m.registrar),
            });
            if !m.organisation_code.is_empty() {
                value["organisation_code"] = json!(m.organisation_code);
            }
            ("register_identity", value)
        }
        Kind::RotateKey(m) => (
            "rotate_key",
            json!({
                "address": hex(&m.address), "public_key": hex(&m.public_key),
                "encryption_key": hex(&m.encryption_key),
            }),
        ),
        Kind::RecoverKey(m) => (
            "recover_key",
            json!({
                "address": hex(&m.address), "public_key": hex(&m.public_key),
                "encryption_key": hex(&m.encryption_key), "agency": hex(&m.agency),
                "registrar": hex(&m.registrar),
            }),
        ),
        Kind::SuspendIdentity(m) => (
            "suspend_identity",
            json!({
                "address": hex(&m.address), "authority": hex(&m.authority), "reason": m.reason,
            }),
        ),
        Kind::ReinstateIdentity(m) => (
            "reinstate_identity",
            json!({
                "address": hex(&m.address), "authority": hex(&m.authority), "reason": m.reason,
            }),
        ),
        Kind::RevokeIdentity(m) => {
            let mut value = json!({
                "address": hex(&m.address), "agency": hex(&m.agency),
                "registrar": hex(&m.registrar), "reason": m.reason,
            });
            if m.end != 0 {
                value["end"] = json!(m.end);
            }
            ("revoke_identity", value)
        }
        Kind::AddDevice(m) => (
            "add_device",
            json!({ "address": hex(&m.address), "public_key": hex(&m.public_key) }),
        ),
        Kind::RemoveDevice(m) => (
            "remove_device",
            json!({ "address": hex(&m.address), "public_key": hex(&m.public_key) }),
        ),
        Kind::ObjectToRecovery(m) => ("object_to_recovery", json!({ "address": hex(&m.address) })),
        Kind::DecideRecovery(m) => {
            let mut value = json!({
                "address": hex(&m.address), "agency": hex(&m.agency),
                "registrar": hex(&m.registrar), "public_key": hex(&m.public_key),
            });
            if m.confirm {
                value["confirm"] = json!(true);
            }
            ("decide_recovery", value)
        }
        Kind::CompleteRecovery(m) => (
            "complete_recovery",
            json!({ "address": hex(&m.address), "public_key": hex(&m.public_key) }),
        ),
        Kind::RestartNotice(m) => (
            "restart_notice",
            json!({
                "epoch": m.epoch, "validator": m.validator,
                "restart_nonce": hex(&m.restart_nonce),
            }),
        ),
        Kind::IssueCertificate(_)
        | Kind::IssueBatch(_)
        | Kind::AcceptCertificate(_)
        | Kind::DeclineCertificate(_)
        | Kind::RevokeCertificate(_)
        | Kind::RecordCheck(_)
        | Kind::SubmitAnchor(_)
        | Kind::ReportConflict(_) => side_chains::message(kind),
        Kind::Propose(_) | Kind::Vote(_) | Kind::AcceptAccreditation(_) => {
            governance::message(kind)
        }
    }
}

fn vector(kind: &Kind, signers: &[u8]) -> Value {
    let transaction = signed(kind.clone(), signers);
    let bytes = body(kind.clone()).encode_to_vec();
    let (name, message) = message(kind);
    let signatures: Vec<Value> = transaction
        .witnesses()
        .iter()
        .zip(signers)
        .map(|(witness, seed)| {
            json!({
                "seed": hex([*seed; 32]),
                "public_key": hex(witness.public_key),
                "signature": hex(witness.signature.to_bytes()),
            })
        })
        .collect();
    json!({
        "kind": name,
        "message": message,
        "chain_id": hex(&transaction.body().chain_id),
        "nonce": hex(&transaction.body().nonce),
        "valid_until_ms": transaction.body().valid_until_ms,
        "body": hex(&bytes),
        "transaction_id": hex(transaction.id().as_bytes()),
        "signing_hash": hex(transaction.signing_hash().as_bytes()),
        "signatures": signatures,
        "signatures_hash": hex(transaction::signatures_hash(transaction.witnesses()).as_bytes()),
        "witness_id": hex(transaction.witness_id().as_bytes()),
        "encoded": hex(transaction.encoded()),
    })
}

/// The .proto file as compiled, without comments: field numbers are part of the format.
fn schema() -> String {
    let files = prost_types::FileDescriptorSet::decode(DESCRIPTORS)
        .unwrap()
        .file;
    let mut file = files
        .into_iter()
        .find(|file| file.name() == "certchain/v1/transaction.proto")
        .unwrap();
    file.source_code_info = None;
    hex(file.encode_to_vec())
}

#[test]
fn transactions() {
    let vectors: Vec<Value> = kinds()
        .iter()
        .map(|(kind, signers)| vector(kind, signers))
        .collect();
    let no_signatures: &[Witness] = &[];
    check(
        "transactions.json",
        &json!({
            "schema": schema(),
            "transactions": vectors,
            "signatures_hash_of_none": hex(transaction::signatures_hash(no_signatures).as_bytes()),
            "refused": refused(),
        }),
    );
}

fn envelope(body: &[u8], signatures: Vec<TransactionSignature>) -> Vec<u8> {
    SignedTransaction {
        body: body.to_vec().into(),
        signatures,
    }
    .encode_to_vec()
}

fn signature(seed: u8) -> TransactionSignature {
    TransactionSignature {
        public_key: secret(seed).public().as_bytes().to_vec(),
        signature: Signature::from_bytes(&[seed; 64]).to_bytes().to_vec(),
    }
}

/// What no node takes, with the code that it answers.
fn refused() -> Vec<Value> {
    let good = body(Kind::RegisterIdentity(register()));
    let bytes = good.encode_to_vec();
    let joined = |parts: &[&[u8]]| envelope(&parts.concat(), Vec::new());
    // Field 1 (chain id) takes the first 34 bytes, field 2 (nonce) the next 18.
    let (chain, nonce, rest) = (&bytes[..34], &bytes[34..52], &bytes[52..]);
    let until = varint(good.valid_until_ms);
    let padded = [&[0x18], &until[..5], &[until[5] | 0x80, 0x00]].concat();
    let after_until = &rest[1 + until.len()..];
    let decomposed = v1::RegisterIdentity {
        organisation_code: "A\u{308}".into(),
        ..register()
    };
    let mut short_nonce = good.clone();
    short_nonce.nonce.pop();
    let mut other_chain = good.clone();
    other_chain.chain_id.push(0);
    let mut no_kind = good.clone();
    no_kind.kind = None;
    let encoded = registration().encoded().to_vec();
    let bad_signature = TransactionSignature {
        signature: vec![0; 63],
        ..signature(AGENCY)
    };
    let bad_key = TransactionSignature {
        public_key: vec![0; 33],
        ..signature(AGENCY)
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("no bytes: a body without kind", Vec::new()),
        ("envelope cut short", encoded[..encoded.len() - 1].to_vec()),
        (
            "unknown field 15 in the envelope",
            [encoded.as_slice(), &[0x78, 0x01]].concat(),
        ),
        ("body is no protobuf", envelope(&[0xff; 9], Vec::new())),
        (
            "unknown field 4 in the body",
            joined(&[chain, nonce, &rest[..7], &[0x20, 0x01], &rest[7..]]),
        ),
        ("fields out of order", joined(&[nonce, chain, rest])),
        ("a field twice", joined(&[chain, chain, nonce, rest])),
        (
            "a default written out",
            joined(&[chain, nonce, &[0x18, 0x00], after_until]),
        ),
        (
            "a padded varint",
            joined(&[chain, nonce, &padded, after_until]),
        ),
        ("two kinds", joined(&[&bytes, &[0x92, 0x01, 0x00]])),
        (
            "text not in NFC",
            envelope(
                &body(Kind::RegisterIdentity(decomposed)).encode_to_vec(),
                Vec::new(),
            ),
        ),
        (
            "nonce of 15 bytes",
            envelope(&short_nonce.encode_to_vec(), Vec::new()),
        ),
        (
            "chain id of 33 bytes",
            envelope(&other_chain.encode_to_vec(), Vec::new()),
        ),
        ("no kind", envelope(&no_kind.encode_to_vec(), Vec::new())),
        (
            "signature of 63 bytes",
            envelope(&bytes, vec![bad_signature]),
        ),
        ("key of 33 bytes", envelope(&bytes, vec![bad_key])),
        (
            "one key twice",
            envelope(&bytes, vec![signature(AGENCY), signature(AGENCY)]),
        ),
        (
            "nine signatures",
            envelope(&bytes, (1..=9).map(signature).collect()),
        ),
    ];
    cases
        .into_iter()
        .map(|(why, encoded)| {
            let code = Transaction::decode(&encoded).expect_err(why).code();
            assert_ne!(code, Code::Ok);
            json!({ "why": why, "encoded": hex(encoded), "code": code.as_str_name() })
        })
        .collect()
}

fn varint(value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encode_length_delimiter(usize::try_from(value).unwrap(), &mut bytes).unwrap();
    bytes
}
