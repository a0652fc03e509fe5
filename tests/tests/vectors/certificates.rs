//! Side chains from genesis, their records and keys; certificates' fields and ciphertexts; batches.

use certchain_ledger::{
    execution::Line,
    receipt::{encode_line, line_hash, lines_root},
    side_chains::{
        self, ActivationRecord, AnchorRecord, CreationRecord, FreezeRecord, SideChainRecord,
    },
    state::StateKey,
};
use certchain_proto::{
    Epoch, Height, TimeMs, codec,
    hash::{
        BlockId, CertificateId, ContentHash, DisclosedHash, FieldRoot, PresentationId,
        TransactionId, ValueHash, type_key,
    },
    wire::v1::{EncryptedFields, encrypted_fields::Content},
};
use certchain_sidechain::{
    certificate::{
        CertificateRecord, CertificateStatus, CheckRecord, CheckResult, HolderRecord, keys,
    },
    encryption::{FieldsScope, Sealed},
    fields::{CertificateFields, parcel_claim},
    network::NetworkGenesis,
};
use prost::Message as _;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    golden::{check, fields, hex},
    scenario::{AGENCY, HOLDER, NEW_HOLDER, START, address, genesis},
    story::{
        DEGREE, DRAFT_NONCE, ENTROPY, STUDENT_SECRET, Story, VERIFIER, degree_type, student_key,
    },
};

fn record(of: &str, key: StateKey, value: &impl Serialize, encoded: &[u8]) -> Value {
    json!({
        "record": of,
        "key": hex(key.as_bytes()),
        "fields": fields(value),
        "encoded": hex(encoded),
        "value_hash": hex(ValueHash::of(encoded).as_bytes()),
    })
}

fn leaves<'a>(leaves: impl Iterator<Item = (&'a StateKey, &'a std::sync::Arc<[u8]>)>) -> Value {
    leaves
        .map(|(key, value)| json!({ "key": hex(key.as_bytes()), "value": hex(value) }))
        .collect()
}

#[test]
fn side_chains_of_genesis() {
    let genesis = genesis();
    let network = NetworkGenesis::new(&genesis).unwrap();
    let creation = CreationRecord::of_genesis(&genesis);
    let chains: Vec<Value> = network
        .sides
        .iter()
        .map(|(side, zero)| {
            let id = creation.chain_id(&genesis.chain_id(), side.name());
            assert_eq!(id, zero.chain());
            let block = &zero.block;
            json!({
                "name": side.name(),
                "id": hex(id.as_bytes()),
                "block": {
                    "encoded_header": hex(codec::encode(&block.header)),
                    "encoded_outcome": hex(codec::encode(&block.outcome)),
                    "encoded_certificate": hex(codec::encode(&block.certificate)),
                    "id": hex(block.id().as_bytes()),
                    "leaves": leaves(zero.leaves.iter()),
                },
            })
        })
        .collect();

    let story = Story::new();
    let (main, side) = (&story.main, &story.side);
    let id = &side.id;
    let known = side_chains::side_chain(id);
    let (first, anchored) = (main.value(0, &known), main.value(3, &known));
    let [first, anchored] = [first, anchored].map(|v| SideChainRecord::decode(&v).unwrap());
    let frozen = SideChainRecord {
        epoch: Epoch::new(0x0102_0304_0506_0708),
        newest: Epoch::new(0x4142_4344_4546_4748),
        frozen: Some(FreezeRecord {
            main_height: Height::new(0x1112_1314_1516_1718),
            height: Height::new(0x2122_2324_2526_2728),
            first: BlockId::from_bytes([0xf1; 32]),
            second: BlockId::from_bytes([0xf2; 32]),
        }),
        ..anchored.clone()
    };
    let activation_key = side_chains::activation(id, Epoch::ZERO);
    let activation = ActivationRecord::decode(&main.value(0, &activation_key)).unwrap();
    let later = ActivationRecord {
        activation: Height::new(0x3132_3334_3536_3738),
        ..activation.clone()
    };
    let later_key = side_chains::activation(id, Epoch::new(258));
    let anchor_key = side_chains::anchor(id, Height::new(3));
    let anchor = AnchorRecord::decode(&main.value(3, &anchor_key)).unwrap();
    assert_eq!(anchor.block, side.blocks[3].id());
    let side_chain = |value: &SideChainRecord| record("side_chain", known, value, &value.encode());
    let proof = side.history(0, 3);
    check(
        "side_chains.json",
        &json!({
            "main": hex(main.id.as_bytes()),
            "creation": { "fields": fields(&creation), "encoded": hex(codec::encode(&creation)) },
            "chains": chains,
            "records": [
                side_chain(&first),
                side_chain(&anchored),
                side_chain(&frozen),
                record("activation", activation_key, &activation, &activation.encode()),
                record("activation", later_key, &later, &later.encode()),
                record("anchor", anchor_key, &anchor, &anchor.encode()),
            ],
            "anchor": {
                "encoded_sealed_header": hex(codec::encode(&side.blocks[3])),
                "history_proof": fields(&proof),
                "encoded_history_proof": hex(codec::encode(&proof)),
                "proves": hex(side.blocks[0].id().as_bytes()),
            },
            "blocks": (1..=4)
                .map(|height| ("main", main.sealed_block(height)))
                .chain((1..=3).map(|height| (DEGREE, side.sealed_block(height))))
                .map(|(chain, block)| json!({
                    "chain": chain,
                    "id": hex(block.id().as_bytes()),
                    "fields": fields(&block),
                    "encoded": hex(codec::encode(&block)),
                }))
                .collect::<Vec<_>>(),
        }),
    );
}

/// A title of two owners with everything that a record can hold.
fn title() -> CertificateRecord {
    CertificateRecord {
        type_name: "title".to_owned(),
        issuer: address(AGENCY),
        serial: 0x0102_0304_0506_0708,
        holders: vec![
            HolderRecord {
                address: address(HOLDER),
                accepted: Some(TimeMs::new(START + 7_000)),
            },
            HolderRecord {
                address: address(NEW_HOLDER),
                accepted: None,
            },
        ],
        field_root: FieldRoot::from_bytes([0x81; 32]),
        claim: Some(parcel_claim("HS-0042")),
        issued_height: Height::new(0x1112_1314_1516_1718),
        issued_time: TimeMs::new(START + 6_000),
        transaction: TransactionId::from_bytes([0x82; 32]),
        line: 0x2122_2324,
        valid_from: TimeMs::new(START + 8_000),
        valid_until: Some(TimeMs::new(START + 9_000)),
        version: 0x3132_3334,
        status: CertificateStatus::Revoked,
        status_height: Height::new(0x4142_4344_4546_4748),
        status_time: TimeMs::new(START + 8_500),
        reason: 0x5152,
    }
}

fn bearer_check() -> CheckRecord {
    CheckRecord {
        certificate: CertificateId::from_bytes([0x91; 32]),
        holder: address(HOLDER),
        verifier: address(VERIFIER),
        bearer: true,
        purpose: 0x6162,
        disclosed: DisclosedHash::from_bytes([0x92; 32]),
        result: CheckResult::IssuerRevoked,
        height: Height::new(0x7172_7374_7576_7778),
        time: TimeMs::new(START + 10_000),
    }
}

fn fields_of(all: &CertificateFields) -> Value {
    let slots: Vec<Value> = all
        .slots()
        .iter()
        .map(|slot| {
            json!({
                "name": slot.name(), "value": slot.value(), "salt": hex(slot.salt()),
                "commitment": hex(slot.commitment()),
            })
        })
        .collect();
    let plaintext = all.to_plaintext();
    json!({
        "type": all.type_name(),
        "slots": slots,
        "root": hex(all.root().as_bytes()),
        "encoded_plaintext": hex(&*plaintext),
    })
}

/// A business licence without its optional field.
fn licence() -> CertificateFields {
    let catalogue = genesis().catalogue.clone();
    let licence = catalogue.iter().find(|t| t.name.as_str() == "licence");
    let values = [("owner".to_owned(), address(HOLDER).to_string())];
    CertificateFields::new(licence.unwrap(), &values, &[[0x73; 32], [0x74; 32]]).unwrap()
}

/// The message that carries a ciphertext, and the ciphertext if it is kept elsewhere.
fn wire(sealed: Sealed) -> (EncryptedFields, Option<Vec<u8>>) {
    let (wire, kept) = sealed.clone().into_wire();
    assert_eq!(Sealed::from_wire(&wire, kept.as_deref()), Ok(sealed));
    (wire, kept)
}

#[test]
fn certificates() {
    let story = Story::new();
    let (side, id) = (&story.side, story.certificate);
    let opened = story.scope().open(&STUDENT_SECRET, &story.sealed).unwrap();
    let read = CertificateFields::from_plaintext(&degree_type(), &opened).unwrap();
    assert_eq!(read, story.fields);
    let (inline, _) = wire(story.sealed.clone());
    // More than goes on chain: it lies elsewhere, under its hash.
    let plain: Vec<u8> = (0..=255).cycle().take(5_000).collect();
    let large = story
        .scope()
        .seal(&student_key(), &plain, &[0x59; 32])
        .unwrap();
    let (reference, kept) = wire(large.clone());
    let kept = kept.unwrap();
    let Some(Content::Reference(named)) = &reference.content else {
        panic!("a large ciphertext stands in the draft");
    };
    assert_eq!(named.hash, ContentHash::of(&kept).as_bytes());

    let at = keys::certificate(&id);
    let of = |height| CertificateRecord::decode(&side.value(height, &at)).unwrap();
    let check_key = keys::check(&story.package.id());
    let checked = CheckRecord::decode(&side.value(3, &check_key)).unwrap();
    assert_eq!(checked.result, CheckResult::Valid);
    let certificate = |value: &CertificateRecord| {
        let key = keys::certificate(&CertificateId::from_bytes([0x93; 32]));
        let key = if value.type_name == DEGREE { at } else { key };
        record("certificate", key, value, &value.encode())
    };
    let bearer_key = keys::check(&PresentationId::from_bytes([0x94; 32]));
    let (_, lines) = &side.effects[3].lines[0];
    let receipt = &side.effects[3].receipts[1];
    let parcel = parcel_claim("HS-0042");
    let key = |key: StateKey| hex(key.as_bytes());
    let type_keys = [DEGREE, "licence", "marriage", "title"]
        .map(|name| json!({ "type": name, "key": hex(type_key(name)) }));
    check(
        "certificates.json",
        &json!({
            "type_keys": type_keys,
            "fields": [fields_of(&story.fields), fields_of(&licence())],
            "certificate_id": {
                "chain": hex(side.id.as_bytes()),
                "issuer": hex(address(AGENCY).as_bytes()),
                "type": DEGREE,
                "field_root": hex(story.fields.root().as_bytes()),
                "nonce": hex(DRAFT_NONCE),
                "id": hex(id.as_bytes()),
            },
            "keys": {
                "certificate": key(at),
                "issuer": hex(address(AGENCY).as_bytes()),
                "serials_degree": key(keys::serials(&address(AGENCY), DEGREE)),
                "serials_degree_value":
                    hex(side.value(3, &keys::serials(&address(AGENCY), DEGREE))),
                "check": key(check_key),
                "type_degree": key(keys::certificate_type(DEGREE)),
            },
            "claims": [
                {
                    "type": "marriage",
                    "holder": hex(address(HOLDER).as_bytes()),
                    "claim": hex(address(HOLDER).as_bytes()),
                    "key": key(keys::claim(address(HOLDER).as_bytes())),
                },
                {
                    "type": "title",
                    "parcel": "HS-0042",
                    "claim": hex(parcel),
                    "key": key(keys::claim(&parcel)),
                },
            ],
            "records": [
                certificate(&of(1)),
                certificate(&of(2)),
                certificate(&title()),
                record("check", check_key, &checked, &checked.encode()),
                record("check", bearer_key, &bearer_check(), &bearer_check().encode()),
            ],
            "ciphertexts": [
                ciphertext(&story.scope(), &ENTROPY, &opened, &story.sealed, &inline),
                ciphertext(&story.scope(), &[0x59; 32], &plain, &large, &reference),
            ],
            "batch": {
                "lines": lines.iter().map(line).collect::<Vec<_>>(),
                "root": hex(lines_root(lines).as_bytes()),
                "encoded_receipt": hex(receipt.encode()),
            },
        }),
    );
    assert_eq!(receipt.subject(), Some(*lines_root(lines).as_bytes()));
    assert_eq!(lines.len(), 3);
}

fn line(line: &Line) -> Value {
    json!({
        "code": line.code as i32,
        "code_name": line.code.as_str_name(),
        "certificate": hex(line.certificate.as_bytes()),
        "line": hex(encode_line(line)),
        "hash": hex(line_hash(line).as_bytes()),
    })
}

fn ciphertext(
    scope: &FieldsScope,
    entropy: &[u8; 32],
    plaintext: &[u8],
    sealed: &Sealed,
    wire: &EncryptedFields,
) -> Value {
    assert_eq!(*scope.open(&STUDENT_SECRET, sealed).unwrap(), plaintext);
    json!({
        "chain": hex(scope.chain.as_bytes()),
        "certificate": hex(scope.certificate.as_bytes()),
        "version": scope.version,
        "recipient_secret": hex(STUDENT_SECRET),
        "recipient_key": hex(sealed.recipient_key),
        "entropy": hex(entropy),
        "plaintext": hex(plaintext),
        "encapsulated_key": hex(sealed.encapsulated_key),
        "ciphertext": hex(&sealed.ciphertext),
        "content_hash": hex(ContentHash::of(&sealed.ciphertext).as_bytes()),
        "encoded_message": hex(wire.encode_to_vec()),
    })
}
