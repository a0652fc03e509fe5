//! Headers, outcomes, votes, certificates, blocks, receipts.

use certchain_ledger::{genesis::GenesisBlock, receipt::Receipt};
use certchain_proto::{
    BlockHeader, Checkpoint, CommitCertificate, Epoch, Height, Outcome, TimeMs, ValidatorIndex,
    View,
    certificate::Ed25519Verifier,
    codec,
    hash::{
        BlockId, CertificateDigest, HistoryRoot, ReceiptsRoot, StateRoot, TransactionId, TxRoot,
        ValidatorSetDigest,
    },
    wire::v1::Code,
};
use serde_json::{Value, json};

use crate::{
    golden::{check, fields, hex},
    scenario::{Chain, HOLDER, address, commit_vote},
};

fn header(header: &BlockHeader) -> Value {
    let encoded = codec::encode(header);
    assert_eq!(
        codec::decode::<BlockHeader>(&encoded, 1024).as_ref(),
        Ok(header)
    );
    json!({
        "fields": fields(header),
        "encoded": hex(encoded),
        "digest": hex(header.digest().as_bytes()),
    })
}

fn outcome(outcome: &Outcome) -> Value {
    json!({
        "fields": fields(outcome),
        "encoded": hex(codec::encode(outcome)),
        "digest": hex(outcome.digest().as_bytes()),
    })
}

fn certificate(certificate: &CommitCertificate) -> Value {
    json!({
        "fields": fields(certificate),
        "encoded": hex(codec::encode(certificate)),
        "digest": hex(certificate.digest().as_bytes()),
        "block_id": hex(certificate.block_id().as_bytes()),
    })
}

/// A side chain's header, in which every field differs from every other.
fn side_header(chain: &Chain) -> BlockHeader {
    BlockHeader {
        protocol: 0x0102,
        chain: chain.header.chain,
        epoch: Epoch::new(0x0304_0506_0708_090a),
        height: Height::new(0x0b0c_0d0e_0f10_1112),
        view: View::new(0x1314_1516),
        proposer: ValidatorIndex::new(0x1718),
        offset: 0x191a_1b1c_1d1e_1f20,
        parent: BlockId::from_bytes([0xa1; 32]),
        parent_commit: CertificateDigest::from_bytes([0xa2; 32]),
        parent_view: View::new(0x2122_2324),
        time_ms: TimeMs::new(0x2526_2728_292a_2b2c),
        tx_root: TxRoot::from_bytes([0xa3; 32]),
        tx_count: 0x2d2e_2f30,
        history_root: HistoryRoot::from_bytes([0xa4; 32]),
        checkpoint: Some(Checkpoint {
            height: Height::new(0x3132_3334_3536_3738),
            block: BlockId::from_bytes([0xa5; 32]),
            state_root: StateRoot::from_bytes([0xa6; 32]),
        }),
    }
}

#[test]
fn blocks() {
    let chain = Chain::new();
    let set = chain.genesis.validator_set();
    let verified = chain
        .sealed_header()
        .verify(chain.header.chain, set, &Ed25519Verifier)
        .unwrap();
    assert_eq!(verified.id, chain.sealed_block().id());
    let vote = commit_vote(&chain.header, &chain.outcome, View::new(1));
    let prepare = certchain_proto::PrepareVote {
        chain: vote.chain,
        epoch: vote.epoch,
        height: vote.height,
        view: vote.view,
        header: vote.header,
    };
    let distinct = Outcome {
        state_root: StateRoot::from_bytes([0xb1; 32]),
        receipts_root: ReceiptsRoot::from_bytes([0xb2; 32]),
        next_validators: ValidatorSetDigest::from_bytes([0xb3; 32]),
    };
    check(
        "blocks.json",
        &json!({
            "validator_set": {
                "fields": fields(set),
                "quorum": set.quorum(),
                "encoded": hex(codec::encode(set)),
                "digest": hex(set.digest().as_bytes()),
            },
            "headers": [header(&chain.header), header(&side_header(&chain))],
            "outcomes": [outcome(&chain.outcome), outcome(&distinct)],
            "certificates": [
                certificate(&chain.certificate),
                certificate(&chain.zero.block.certificate),
                certificate(&GenesisBlock::parent_certificate()),
            ],
            "prepare_vote": {
                "fields": fields(&prepare),
                "encoded": hex(codec::encode(&prepare)),
                "signing_hash": hex(prepare.signing_hash().as_bytes()),
            },
            "commit_vote": {
                "fields": fields(&vote),
                "encoded": hex(codec::encode(&vote)),
                "signing_hash": hex(vote.signing_hash().as_bytes()),
            },
            "sealed_block": {
                "id": hex(chain.sealed_block().id().as_bytes()),
                "fields": fields(&chain.sealed_block()),
                "encoded": hex(codec::encode(&chain.sealed_block())),
            },
        }),
    );
}

#[test]
fn receipts() {
    let transaction = TransactionId::from_bytes([0xc1; 32]);
    let receipts = [
        Chain::new().receipt,
        Receipt::executed(transaction, Some(*address(HOLDER).as_bytes())),
        Receipt::executed(transaction, None),
        Receipt::failed(transaction, Code::TagTaken),
    ];
    let vectors: Vec<Value> = receipts
        .iter()
        .map(|receipt| {
            json!({
                "fields": fields(receipt),
                "encoded": hex(receipt.encode()),
                "hash": hex(receipt.hash().as_bytes()),
            })
        })
        .collect();
    check("receipts.json", &json!(vectors));
}
