//! Hash contexts, keys, addresses, chain ids.

use std::collections::BTreeSet;

use certchain_config::genesis::is_encryption_key;
use certchain_proto::{
    Address, ChainId, PublicKey,
    context::{self, HashContext},
    hash::{BlockId, HeaderDigest, OutcomeDigest, SigningHash, ValueHash, hash_parts},
    hash_context,
};
use serde_json::{Value, json};

use crate::{
    golden::{check, hex},
    scenario::secret,
};

/// Contexts that stand beside their structures.
const ELSEWHERE: [HashContext; 4] = [
    hash_context!("certchain v1 organisation code"),
    hash_context!("certchain v1 state empty"),
    hash_context!("certchain v1 state leaf"),
    hash_context!("certchain v1 state branch"),
];

#[test]
fn hashes() {
    let all: Vec<HashContext> = context::ALL.iter().copied().chain(ELSEWHERE).collect();
    let distinct: BTreeSet<&str> = all.iter().map(|c| c.as_str()).collect();
    assert_eq!(distinct.len(), all.len(), "two contexts are equal");
    assert!(
        distinct
            .iter()
            .all(|text| text.starts_with("certchain v1 "))
    );
    let long: Vec<u8> = (0..=255).cycle().take(3000).collect();
    let contexts: Vec<Value> = all
        .iter()
        .map(|context| {
            json!({
                "context": context.as_str(),
                "of_nothing": hex(hash_parts(*context, &[])),
                "of_abc": hex(hash_parts(*context, &[b"a", b"bc"])),
                "of_long": hex(hash_parts(*context, &[&long])),
            })
        })
        .collect();
    let (header, outcome) = (
        HeaderDigest::from_bytes([1; 32]),
        OutcomeDigest::from_bytes([2; 32]),
    );
    check(
        "hashes.json",
        &json!({
            "long_input": "bytes 00 to ff, over and over, 3000 in all",
            "contexts": contexts,
            "block_id": {
                "header": hex(header.as_bytes()),
                "outcome": hex(outcome.as_bytes()),
                "id": hex(BlockId::of(&header, &outcome).as_bytes()),
            },
            "value_hash": { "value": "00ff", "hash": hex(ValueHash::of(&[0, 0xff]).as_bytes()) },
            "chain_id": {
                "genesis_encoding": hex(b"not a genesis"),
                "chain_id": hex(ChainId::main(b"not a genesis").as_bytes()),
            },
        }),
    );
}

#[test]
fn keys() {
    let keys: Vec<Value> = [0x00, 0x01, 0x21, 0x31, 0x41, 0xff]
        .iter()
        .map(|seed| {
            let key = secret(*seed);
            let address = Address::of(key.public());
            assert_eq!(address.to_string().parse(), Ok(address));
            let message = SigningHash::from_bytes([0xab; 32]);
            let signature = key.sign(&message);
            assert!(key.public().verify(&message, &signature).is_ok());
            json!({
                "seed": hex([*seed; 32]),
                "public_key": hex(key.public().as_bytes()),
                "address": hex(address.as_bytes()),
                "address_text": address.to_string(),
                "signed_hash": hex(message.as_bytes()),
                "signature": hex(signature.to_bytes()),
            })
        })
        .collect();
    let order_2 = "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";
    let order_8 = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa";
    let refused: Vec<Value> = [
        (
            "0100000000000000000000000000000000000000000000000000000000000000",
            "the identity",
        ),
        (
            "0100000000000000000000000000000000000000000000000000000000000080",
            "the identity, with a sign",
        ),
        (
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "y = p + 1",
        ),
        (order_2, "order 2"),
        (order_8, "order 8"),
        (
            "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
            "mixed order",
        ),
        (
            "0200000000000000000000000000000000000000000000000000000000000000",
            "no point",
        ),
        ("00", "too short"),
    ]
    .iter()
    .map(|(key, why)| {
        assert!(PublicKey::from_hex(key).is_err(), "{why}");
        json!({ "public_key": key, "why": why })
    })
    .collect();
    let encryption: Vec<Value> = [
        (
            "0000000000000000000000000000000000000000000000000000000000000000",
            false,
        ),
        (
            "0100000000000000000000000000000000000000000000000000000000000000",
            false,
        ),
        (
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            false,
        ),
        (
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            false,
        ),
        (
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            false,
        ),
        (
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            false,
        ),
        (
            "0900000000000000000000000000000000000000000000000000000000000080",
            false,
        ),
        (
            "0900000000000000000000000000000000000000000000000000000000000000",
            true,
        ),
        (
            "ebffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            true,
        ),
    ]
    .iter()
    .map(|(key, taken)| {
        let bytes: [u8; 32] = hex::decode(key).unwrap().try_into().unwrap();
        assert_eq!(is_encryption_key(&bytes), *taken, "{key}");
        json!({ "encryption_key": key, "taken": taken })
    })
    .collect();
    let good = Address::from_bytes([7; 32]).to_string();
    let bech32 = good.replacen("cc1", "cd1", 1);
    let addresses: Vec<&str> = vec![&bech32, "cc1qqqq", ""];
    assert!(
        addresses
            .iter()
            .all(|text| text.parse::<Address>().is_err())
    );
    check(
        "keys.json",
        &json!({
            "keys": keys,
            "refused_public_keys": refused,
            "encryption_keys": encryption,
            "refused_addresses": addresses,
        }),
    );
}
