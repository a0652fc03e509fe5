//! State keys, records and the state tree with its proofs.

use std::sync::Arc;

use certchain_ledger::{
    identity::{
        IdentityKind, IdentityRecord, IdentityStatus, IdentityVersion, PastVersion, RecoveryRecord,
        RecoveryStage, RestartNoticeRecord, keys,
    },
    parameters::ChainParameters,
    state::{StateKey, StateProof},
};
use certchain_proto::{
    Epoch, Height, TimeMs, ValidatorIndex, codec,
    hash::{IdentityTag, StateRoot, ValueHash},
};
use serde_json::{Value, json};

use crate::{
    golden::{check, fields, hex},
    scenario::{AGENCY, Chain, HOLDER, Leaves, REGISTRAR, address, citizen, genesis, secret, tree},
};

fn organisation() -> IdentityRecord {
    let mut record = citizen();
    record.kind = IdentityKind::Organisation;
    record.organisation_code = "91440300-MA5".to_owned();
    record.tag_key_version = 300;
    record.present = IdentityVersion {
        sequence: 2,
        from_height: Height::new(900),
        from_time: TimeMs::new(1_700_009_000_000),
        public_key: *secret(0x42).public().as_bytes(),
        encryption_key: [0x55; 32],
        status: IdentityStatus::Revoked,
        reason: 513,
        devices: vec![[0x11; 32], *secret(0x43).public().as_bytes()],
    };
    record
}

fn past() -> PastVersion {
    PastVersion {
        version: IdentityVersion {
            status: IdentityStatus::Suspended,
            ..citizen().present
        },
        until_height: Height::new(77),
    }
}

fn recovery() -> RecoveryRecord {
    RecoveryRecord {
        public_key: *secret(0x42).public().as_bytes(),
        encryption_key: [0x55; 32],
        agency: address(AGENCY),
        registrar: address(REGISTRAR),
        opened_height: Height::new(12),
        opened_time: TimeMs::new(1_700_000_100_000),
        due: TimeMs::new(1_700_000_160_000),
        ends: TimeMs::new(1_700_000_190_000),
        stage: RecoveryStage::Contested,
        stage_height: Height::new(14),
    }
}

fn notice() -> RestartNoticeRecord {
    RestartNoticeRecord {
        epoch: Epoch::new(3),
        validator: ValidatorIndex::new(2),
        nonce: [0x72; 32],
        height: Height::new(88),
    }
}

fn record(of: &str, fields: Value, encoded: Vec<u8>) -> Value {
    json!({
        "record": of,
        "fields": fields,
        "encoded": hex(&encoded),
        "value_hash": hex(ValueHash::of(&encoded).as_bytes()),
    })
}

fn agency_of_genesis() -> IdentityRecord {
    let zero = Chain::new().zero;
    IdentityRecord::decode(&zero.leaves[&keys::identity(&address(AGENCY))]).unwrap()
}

#[test]
fn records() {
    let parameters = ChainParameters {
        limits: genesis().limits.clone(),
        timers: genesis().timers.clone(),
        tag_key_version: genesis().tag_key_version,
    };
    let identities = [citizen(), organisation(), agency_of_genesis()];
    let mut records: Vec<Value> = identities
        .iter()
        .map(|r| record("identity", fields(r), r.encode()))
        .collect();
    records.push(record("past_version", fields(&past()), past().encode()));
    records.push(record("recovery", fields(&recovery()), recovery().encode()));
    records.push(record(
        "restart_notice",
        fields(&notice()),
        notice().encode(),
    ));
    records.push(record(
        "parameters",
        fields(&parameters),
        codec::encode(&parameters),
    ));
    let person = address(HOLDER);
    let tag = IdentityTag::from_bytes([0x53; 32]);
    let key = |key: StateKey| hex(key.as_bytes());
    check(
        "records.json",
        &json!({
            "records": records,
            "keys": {
                "address": hex(person.as_bytes()),
                "identity": key(keys::identity(&person)),
                "tag": key(keys::tag(&tag)),
                "past_sequence_258": key(keys::past(&person, 258)),
                "organisation_91440300-MA5": key(keys::organisation("91440300-MA5")),
                "rotated_key": key(keys::rotated_key(&person)),
                "parameters": key(keys::parameters()),
                "validators": key(keys::validators()),
                "recovery": key(keys::recovery(&person)),
                "restart_epoch_3_validator_2":
                    key(keys::restart(Epoch::new(3), ValidatorIndex::new(2))),
            },
        }),
    );
}

fn proof(asked: &StateKey, proof: &StateProof, root: &StateRoot) -> Value {
    let value = proof.verify(root, asked).unwrap();
    let steps: Vec<Value> = proof
        .steps()
        .iter()
        .map(|step| json!({ "bit": step.position, "sibling": hex(step.sibling) }))
        .collect();
    json!({
        "key": hex(asked.as_bytes()),
        "present": value.is_some(),
        "branches": steps,
        "leaf_key": proof.leaf().map(|leaf| hex(leaf.key.as_bytes())),
        "leaf_value_hash": proof.leaf().map(|leaf| hex(leaf.value.as_bytes())),
    })
}

fn state(what: &str, leaves: &Leaves, absent: &[StateKey]) -> Value {
    let tree = tree(leaves);
    let root = tree.root();
    let proofs: Vec<Value> = leaves
        .keys()
        .chain(absent)
        .map(|key| proof(key, &tree.prove(Height::ZERO, key).unwrap(), &root))
        .collect();
    let list: Vec<Value> = leaves
        .iter()
        .map(|(key, value)| json!({ "key": hex(key.as_bytes()), "value": hex(value) }))
        .collect();
    json!({ "state": what, "leaves": list, "root": hex(root.as_bytes()), "proofs": proofs })
}

/// Short keys whose bits are easy to follow by hand: a namespace byte and one more.
fn small() -> Leaves {
    [
        [2, 0x00],
        [2, 0x01],
        [2, 0x80],
        [2, 0xc0],
        [3, 0x00],
        [4, 0xff],
    ]
    .iter()
    .map(|bytes| (StateKey::new(bytes).unwrap(), Arc::from(bytes.as_slice())))
    .collect()
}

/// Enough leaves that a node keeps them in several buckets, which must not show in the root.
fn large() -> Leaves {
    (0..300u32)
        .map(|n| {
            let tag = IdentityTag::from_bytes(*ValueHash::of(&n.to_le_bytes()).as_bytes());
            (keys::tag(&tag), Arc::from(n.to_le_bytes().as_slice()))
        })
        .collect()
}

#[test]
fn states() {
    let chain = Chain::new();
    let key = |bytes: &[u8]| StateKey::new(bytes).unwrap();
    let nobody = keys::identity(&address(0x77));
    let one: Leaves = small().into_iter().take(1).collect();
    let big = large();
    let (big_tree, absent) = (tree(&big), keys::tag(&IdentityTag::from_bytes([0x11; 32])));
    let some: Vec<Value> = [big.keys().nth(123).unwrap(), &absent]
        .into_iter()
        .map(|key| {
            proof(
                key,
                &big_tree.prove(Height::ZERO, key).unwrap(),
                &big_tree.root(),
            )
        })
        .collect();
    check(
        "state.json",
        &json!({
            "states": [
                state("empty", &Leaves::new(), &[key(&[2, 0])]),
                state("one leaf", &one, &[key(&[2, 1]), key(&[9, 9])]),
                state("six short keys", &small(), &[key(&[2, 0x40]), key(&[5, 0]), key(&[3, 1])]),
                state("genesis", &chain.zero.leaves, &[nobody]),
                state("after block 1", &chain.leaves, &[nobody]),
            ],
            "large": {
                "leaves": "for n from 0 to 299: key 02 || value hash of u32le(n); value u32le(n)",
                "root": hex(big_tree.root().as_bytes()),
                "proofs": some,
            },
        }),
    );
}
