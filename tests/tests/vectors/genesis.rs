//! The genesis, its block, and the files from which a genesis is put together.

use certchain_config::{Genesis, Member, document::Document};
use certchain_proto::codec;
use serde_json::{Value, json};

use crate::{
    golden::{bless, check, check_text, fields, hex, path},
    scenario::{Chain, NETWORK, VOTE, code, name, secret},
};

#[test]
fn genesis() {
    let chain = Chain::new();
    check_text("genesis.toml", &chain.genesis.to_toml());
    if !bless() {
        let read = Genesis::load(&path("genesis.toml")).unwrap();
        assert_eq!(read, chain.genesis);
    }
    assert_eq!(
        Genesis::decode(&chain.genesis.encode()).as_ref(),
        Ok(&chain.genesis)
    );
    let block = &chain.zero.block;
    let leaves: Vec<Value> = chain
        .zero
        .leaves
        .iter()
        .map(|(key, value)| json!({ "key": hex(key.as_bytes()), "value": hex(value) }))
        .collect();
    check(
        "genesis.json",
        &json!({
            "file": "genesis.toml",
            "encoded": hex(chain.genesis.encode()),
            "chain_id": hex(chain.genesis.chain_id().as_bytes()),
            "validator_set_digest": hex(chain.genesis.validator_set().digest().as_bytes()),
            "block": {
                "header": fields(&block.header),
                "encoded_header": hex(codec::encode(&block.header)),
                "header_digest": hex(block.header.digest().as_bytes()),
                "outcome": fields(&block.outcome),
                "encoded_outcome": hex(codec::encode(&block.outcome)),
                "outcome_digest": hex(block.outcome.digest().as_bytes()),
                "encoded_certificate": hex(codec::encode(&block.certificate)),
                "certificate_digest": hex(block.certificate.digest().as_bytes()),
                "id": hex(block.id().as_bytes()),
                "leaves": leaves,
            },
        }),
    );
}

/// An operator's application, signed with both keys.
#[test]
fn member() {
    let member = Member::sign(
        name("civil-affairs"),
        code("NODE-0"),
        "/ip4/192.0.2.1/tcp/4001".parse().unwrap(),
        &secret(VOTE[0]),
        &secret(NETWORK[0]),
    );
    let text = member.to_toml();
    let read = Member::read(&Document::new(&path("member.toml"), text.clone())).unwrap();
    assert_eq!(read, member);
    check_text("member.toml", &text);
}
