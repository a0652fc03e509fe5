//! Golden vectors: the bytes of what the chain hashes, signs and stores. A change of one of them
//! forks every chain or makes data unreadable; it must be meant, and labelled as such.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use certchain_proto::{
    Address, Height, TimeMs,
    codec::{self, DecodeError},
    hash::{AttributeRoot, BlockId, IdentityTag, ReceiptHash, TransactionId, ValueHash, WitnessId},
    wire::v1::Code,
};

use crate::{
    fixtures::Network,
    genesis::GenesisBlock,
    history::{History, HistoryProof},
    identity::{
        IdentityKind, IdentityRecord, IdentityStatus, IdentityVersion, PastVersion,
        RestartNoticeRecord, keys,
    },
    merkle,
    parameters::ChainParameters,
    receipt::Receipt,
};

fn version() -> IdentityVersion {
    IdentityVersion {
        sequence: 2,
        from_height: Height::new(3),
        from_time: TimeMs::new(4),
        public_key: [5; 32],
        encryption_key: [6; 32],
        status: IdentityStatus::Suspended,
        reason: 7,
        devices: vec![[8; 32]],
    }
}

fn record() -> IdentityRecord {
    IdentityRecord {
        kind: IdentityKind::Agency,
        registered_height: Height::new(1),
        registered_time: TimeMs::new(2),
        agency: Address::from_bytes([3; 32]),
        registrar: Address::from_bytes([4; 32]),
        organisation_code: "ACME".to_owned(),
        attribute_root: AttributeRoot::from_bytes([5; 32]),
        tag: IdentityTag::from_bytes([6; 32]),
        tag_key_version: 7,
        may_issue: vec!["degree".to_owned()],
        present: version(),
    }
}

#[test]
fn records_of_the_state() {
    let rep = |byte: &str| byte.repeat(32);
    let version_hex = format!(
        "02000000{}{}{}{}{}{}{}{}",
        "0300000000000000",
        "0400000000000000",
        rep("05"),
        rep("06"),
        "01000000",
        "0700",
        "0100000000000000",
        rep("08")
    );
    let past = PastVersion {
        version: version(),
        until_height: Height::new(9),
    };
    assert_eq!(
        hex::encode(past.encode()),
        format!("01{version_hex}0900000000000000")
    );
    let record_hex = format!(
        "02000000{}{}{}{}{}{}{}{}{}{version_hex}",
        "0100000000000000",
        "0200000000000000",
        rep("03"),
        rep("04"),
        "040000000000000041434d45",
        rep("05"),
        rep("06"),
        "07000000",
        "01000000000000000600000000000000646567726565"
    );
    let encoded = record().encode();
    assert_eq!(hex::encode(&encoded), format!("01{record_hex}"));
    assert_eq!(IdentityRecord::decode(&encoded), Ok(record()));
    let later = [&[2], &encoded[1..]].concat();
    let refused = DecodeError::Version {
        what: "IdentityRecord",
        actual: 2,
        supported: 1,
    };
    assert_eq!(IdentityRecord::decode(&later), Err(refused));
    assert!(IdentityRecord::decode(&encoded[1..]).is_err());
    assert!(IdentityRecord::decode(&[]).is_err());
    let notice = RestartNoticeRecord {
        epoch: certchain_proto::Epoch::new(1),
        validator: certchain_proto::ValidatorIndex::new(2),
        nonce: [3; 32],
        height: Height::new(4),
    };
    let expected = format!("0101000000000000000200{}0400000000000000", rep("03"));
    assert_eq!(hex::encode(notice.encode()), expected);
    let parameters = codec::encode(&ChainParameters::default());
    assert_eq!(parameters.len(), 19 * 8 + 4);
    assert_eq!(
        ChainParameters::decode(&parameters),
        Ok(ChainParameters::default())
    );
}

#[test]
fn hashes_and_roots() {
    let id = TransactionId::from_bytes([1; 32]);
    let made = Receipt::executed(id, Some([2; 32]));
    let failed = Receipt::failed(id, Code::TagTaken);
    assert_eq!(
        hex::encode(made.encode()),
        format!("{}0000{}", "01".repeat(32), "02".repeat(32))
    );
    assert_eq!(
        hex::encode(failed.encode()),
        format!("{}1500{}", "01".repeat(32), "00".repeat(32))
    );
    let witnesses: Vec<WitnessId> = (0..5).map(|n| WitnessId::from_bytes([n; 32])).collect();
    let receipts: Vec<ReceiptHash> = vec![made.hash(), failed.hash()];
    let mut history = History::default();
    let mut roots = vec![history.root().to_string()];
    for n in 0..5 {
        history.append(&BlockId::from_bytes([n; 32]));
        roots.push(history.root().to_string());
    }
    let network = Network::new(4);
    let genesis = GenesisBlock::main(&network.genesis).unwrap();
    let found = [
        made.hash().to_string(),
        merkle::tx_root(&[]).to_string(),
        merkle::tx_root(&witnesses).to_string(),
        merkle::receipts_root(&receipts).to_string(),
        roots[0].clone(),
        roots[5].clone(),
        hex::encode(keys::organisation("ACME").as_bytes()),
        ValueHash::of(&record().encode()).to_string(),
        genesis.chain().to_string(),
        genesis.block.outcome.state_root.to_string(),
        genesis.id().to_string(),
    ];
    let expected = [
        "39d3b9fcb4c95737bc0eaf924bfad33906f404c350e4817b5e2d1c02765a003c",
        "cc960979b989b33fa34e86a1f4029cf253360aa9bb350294bd1c19c72146782e",
        "24716be5f06750290d5d2b8cbf263bec3d7bf438fedbb60de81c2ab3883b671d",
        "ed3097419b0647c9445f6a8cb0fea05cbf0caf1a1feeacb43c42fb54eddcd2b4",
        "21ce05792f3edc5b6af4ced40ff0f8ae8823c21823ad06be86980e21cfb0573a",
        "0780efd8d15db8763bbb66e736ec8ccd3d9e9d21c96474af64fcdc9afce15d45",
        "0424d3362d340654e3751ad0905bebe879a727612883c22db54207f818bc637b9c",
        "ac9c4b91312b7a053055b4be6a211cd825de062e63291a8d944d32f7613eaa77",
        "014fae9147f826360e8b64f1228b6a8d5d16ccfb5e705eba65b382abef828479",
        "5d93d6664a2502f85da17663b0005ab738f5eb92baa96c208b471cfb53d05f9e",
        "c4be21e9c07ca70d3f8f13bd20db50439882ff7e0af404e1a7e425fa2fd0a116",
    ];
    assert_eq!(found, expected);
    let proof = HistoryProof {
        height: Height::new(1),
        size: 2,
        siblings: vec![[0; 32]],
        peaks: Vec::new(),
    };
    let root = roots[2].clone();
    let root = certchain_proto::hash::HistoryRoot::from_hex(&root).unwrap();
    assert_eq!(proof.verify(&root, &BlockId::from_bytes([1; 32])), Ok(()));
}
