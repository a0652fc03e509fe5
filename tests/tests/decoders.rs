//! Everything that reads bytes of others, against bytes that nobody would send in good faith: drawn
//! at random, and valid encodings (those of `tests/vectors`) that were damaged. No decoder may
//! panic, and what one takes must encode to the very bytes that it took, so that nothing has two
//! encodings.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{fs, path::Path, sync::LazyLock};

use certchain_client::transaction::Draft;
use certchain_config::{
    Genesis, GenesisContent, Member, Name, NetAddress, NodeConfig, OrganisationCode, Title,
    document::Document,
};
use certchain_consensus::{
    Contents, Equivocation, Message, Record,
    limits::{MAX_MESSAGE_BYTES, MAX_RECORD_BYTES},
    message::{PreparedCertificate, SignedClaim},
    statement::{SignedStatement, Statement},
};
use certchain_ledger::{
    evidence::{HistoryEvidence, SealedHeader, StateEvidence},
    history::HistoryProof,
    identity::{IdentityRecord, PastVersion, RestartNoticeRecord, keys},
    merkle::MerkleProof,
    parameters::ChainParameters,
    receipt::Receipt,
    state::{ProofLeaf, ProofStep, StateKey, StateProof},
};
use certchain_proto::{
    Address, BlockHeader, ChainId, Checkpoint, CommitCertificate, CommitVote, Height, Outcome,
    PrepareVote, PublicKey, SealedBlock, Signature, ValidatorSet,
    certificate::IndexedSignature,
    codec,
    hash::{BlockId, IdentityTag, ValueHash},
    transaction::Transaction,
    wire::v1,
};
use proptest::{prelude::*, sample::Index};
use prost::Message as _;
use serde::{Serialize, de::DeserializeOwned};

/// Largest input that any decoder of these tests is given room for.
const LIMIT: usize = 1024 * 1024;

/// Reads bytes and, if it takes them, gives their encoding back.
type Decoder = (&'static str, fn(&[u8]) -> Option<Vec<u8>>);

fn coded<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<Vec<u8>> {
    let value: T = codec::decode(bytes, LIMIT).ok()?;
    Some(codec::encode(&value))
}

/// Decoders whose bytes are hashed, signed or stored: one encoding each.
const CANONICAL: &[Decoder] = &[
    ("block header", coded::<BlockHeader>),
    ("outcome", coded::<Outcome>),
    ("checkpoint", coded::<Checkpoint>),
    ("sealed block", coded::<SealedBlock>),
    ("sealed header", coded::<SealedHeader>),
    ("commit certificate", coded::<CommitCertificate>),
    ("indexed signature", coded::<IndexedSignature>),
    ("signature", coded::<Signature>),
    ("public key", coded::<PublicKey>),
    ("commit vote", coded::<CommitVote>),
    ("prepare vote", coded::<PrepareVote>),
    ("validator set", coded::<ValidatorSet>),
    ("statement", coded::<Statement>),
    ("signed statement", coded::<SignedStatement>),
    ("equivocation", coded::<Equivocation>),
    ("contents", coded::<Contents>),
    ("prepared certificate", coded::<PreparedCertificate>),
    ("claims", coded::<Vec<SignedClaim>>),
    ("merkle proof", coded::<MerkleProof>),
    ("history proof", coded::<HistoryProof>),
    ("state proof", coded::<StateProof>),
    ("state key", coded::<StateKey>),
    ("genesis content", coded::<GenesisContent>),
    ("consensus message", |bytes| {
        Some(Message::decode(bytes, MAX_MESSAGE_BYTES).ok()?.encode())
    }),
    ("journal record", |bytes| {
        let record: Record = codec::decode(bytes, MAX_RECORD_BYTES).ok()?;
        Some(codec::encode(&record))
    }),
    ("genesis", |bytes| {
        Some(Genesis::decode(bytes).ok()?.encode())
    }),
    ("identity record", |bytes| {
        Some(IdentityRecord::decode(bytes).ok()?.encode())
    }),
    ("past version", |bytes| {
        Some(PastVersion::decode(bytes).ok()?.encode())
    }),
    ("restart notice", |bytes| {
        Some(RestartNoticeRecord::decode(bytes).ok()?.encode())
    }),
    ("chain parameters", |bytes| {
        Some(codec::encode(&ChainParameters::decode(bytes).ok()?))
    }),
    ("receipt", |bytes| {
        Some(Receipt::decode(bytes).ok()?.encode().to_vec())
    }),
    ("transaction", |bytes| {
        Some(Transaction::decode(bytes).ok()?.encoded().to_vec())
    }),
    ("draft", |bytes| {
        // A draft adds signatures to what it read; what it read must be what it stands for.
        Draft::decode(bytes).ok()?;
        Some(Transaction::decode(bytes).unwrap().encoded().to_vec())
    }),
    ("bare state key", |bytes| {
        Some(StateKey::new(bytes).ok()?.as_bytes().to_vec())
    }),
    ("bare public key", |bytes| {
        let bytes: [u8; 32] = bytes.try_into().ok()?;
        Some(PublicKey::from_bytes(&bytes).ok()?.as_bytes().to_vec())
    }),
    ("bare signature", |bytes| {
        Some(Signature::from_slice(bytes)?.to_bytes().to_vec())
    }),
    ("bare address", |bytes| {
        Some(Address::from_slice(bytes)?.as_bytes().to_vec())
    }),
];

/// Reads bytes and says whether it takes them.
type Answer = (&'static str, fn(&[u8]) -> bool);

/// Reads a protobuf message as evidence, and once more from the message that it makes.
fn evidence<M, T>(bytes: &[u8]) -> bool
where
    M: prost::Message + Default + for<'a> From<&'a T>,
    T: for<'a> TryFrom<&'a M> + PartialEq + std::fmt::Debug,
{
    let Some(value) = M::decode(bytes)
        .ok()
        .and_then(|message| T::try_from(&message).ok())
    else {
        return false;
    };
    let again = T::try_from(&M::from(&value)).ok();
    assert_eq!(again.as_ref(), Some(&value), "evidence does not come back");
    true
}

/// Decoders of answers: protobuf around proofs, of which many messages say the same.
const ANSWERS: &[Answer] = &[
    ("sealed header", evidence::<v1::BlockHeader, SealedHeader>),
    ("merkle proof", evidence::<v1::MerkleProof, MerkleProof>),
    ("history proof", evidence::<v1::HistoryProof, HistoryProof>),
    (
        "history evidence",
        evidence::<v1::GetHistoryProofResponse, HistoryEvidence>,
    ),
    ("state proof", evidence::<v1::StateProof, StateProof>),
    (
        "state evidence",
        evidence::<v1::StateEvidence, StateEvidence>,
    ),
    ("receipt", |bytes| {
        v1::Receipt::decode(bytes)
            .ok()
            .is_some_and(|message| Receipt::try_from(&message).is_ok())
    }),
];

fn vectors() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors"))
}

fn is_encoding(name: &str) -> bool {
    name == "encoded" || name.starts_with("encoded_")
}

fn collect(value: &serde_json::Value, found: &mut Vec<Vec<u8>>) {
    match value {
        serde_json::Value::Object(map) => {
            for (name, value) in map {
                match value.as_str() {
                    Some(text) if is_encoding(name) => found.push(hex::decode(text).unwrap()),
                    _ => collect(value, found),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

/// The encodings of the vector files.
static ENCODINGS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut found = Vec::new();
    for file in [
        "blocks.json",
        "consensus.json",
        "genesis.json",
        "receipts.json",
        "records.json",
        "transactions.json",
    ] {
        let text = fs::read_to_string(vectors().join(file)).unwrap();
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        if let Some(map) = value.as_object_mut() {
            map.remove("refused");
        }
        collect(&value, &mut found);
    }
    found
});

/// Answers that are evidence.
static MESSAGES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let text = fs::read_to_string(vectors().join("genesis.json")).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let part = |name: &str| hex::decode(value["block"][name].as_str().unwrap()).unwrap();
    let block = SealedHeader {
        header: codec::decode(&part("encoded_header"), LIMIT).unwrap(),
        outcome: codec::decode(&part("encoded_outcome"), LIMIT).unwrap(),
        certificate: codec::decode(&part("encoded_certificate"), LIMIT).unwrap(),
    };
    let key = keys::tag(&IdentityTag::from_bytes([5; 32]));
    let step = |position| ProofStep {
        position,
        sibling: [7; 32],
    };
    let leaf = ProofLeaf {
        key,
        value: ValueHash::of(b"value"),
    };
    let state = StateEvidence {
        key,
        value: Some(b"value".to_vec()),
        proof: StateProof::from_parts(vec![step(3), step(70), step(71)], Some(leaf)).unwrap(),
        block: block.clone(),
    };
    let history = HistoryEvidence {
        block: BlockId::from_bytes([9; 32]),
        proof: HistoryProof {
            height: Height::new(3),
            size: 6,
            siblings: vec![[1; 32], [2; 32]],
            peaks: vec![[3; 32]],
        },
        later: block.clone(),
    };
    let merkle = MerkleProof {
        index: 2,
        count: 5,
        siblings: vec![[4; 32]; 3],
    };
    let receipt = v1::Receipt {
        encoded_receipt: ENCODINGS
            .iter()
            .find(|bytes| Receipt::decode(bytes).is_ok())
            .unwrap()
            .clone(),
        ..Default::default()
    };
    vec![
        v1::BlockHeader::from(&block).encode_to_vec(),
        v1::StateEvidence::from(&state).encode_to_vec(),
        v1::StateProof::from(&state.proof).encode_to_vec(),
        v1::GetHistoryProofResponse::from(&history).encode_to_vec(),
        v1::HistoryProof::from(&history.proof).encode_to_vec(),
        v1::MerkleProof::from(&merkle).encode_to_vec(),
        receipt.encode_to_vec(),
    ]
});

/// Reads bytes with everything; how many decoders took them.
fn read(bytes: &[u8]) -> usize {
    let mut taken = 0;
    for (name, decode) in CANONICAL {
        if let Some(again) = decode(bytes) {
            assert_eq!(again, bytes, "{name} has two encodings");
            taken += 1;
        }
    }
    taken + ANSWERS.iter().filter(|(_, decode)| decode(bytes)).count()
}

fn document(text: &str) -> Document {
    Document::new(Path::new("file.toml"), text.to_owned())
}

/// Reads a text with everything; how many readers took it.
fn read_text(text: &str) -> usize {
    let mut taken = 0;
    if let Ok(genesis) = Genesis::read(&document(text)) {
        assert_eq!(Genesis::read(&document(&genesis.to_toml())), Ok(genesis));
        taken += 1;
    }
    if let Ok(member) = Member::read(&document(text)) {
        assert_eq!(Member::read(&document(&member.to_toml())), Ok(member));
        taken += 1;
    }
    taken += usize::from(NodeConfig::read(&document(text)).is_ok());
    macro_rules! shown {
        ($($parse:expr),*) => {$(
            if let Some(value) = $parse(text) {
                assert_eq!($parse(&value.to_string()), Some(value));
                taken += 1;
            }
        )*};
    }
    shown!(
        |t: &str| t.parse::<Address>().ok(),
        |t: &str| t.parse::<NetAddress>().ok(),
        |t: &str| Name::parse(t).ok(),
        |t: &str| Title::parse(t).ok(),
        |t: &str| OrganisationCode::parse(t).ok(),
        |t: &str| PublicKey::from_hex(t).ok(),
        |t: &str| ChainId::from_hex(t)
    );
    taken
}

/// What damages an encoding.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Set(Index, u8),
    Cut(Index),
    Remove(Index),
    Insert(Index, u8),
    /// A number where a length may stand.
    Number(Index, u64),
    /// A piece of another encoding.
    Splice(Index, Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    let number = prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        Just(u64::MAX / 2),
        Just(1 << 32),
        0..2_000u64,
        any::<u64>()
    ];
    prop_oneof![
        (at(), 0..8u8).prop_map(|(i, bit)| Damage::Flip(i, 1 << bit)),
        (at(), any::<u8>()).prop_map(|(i, byte)| Damage::Set(i, byte)),
        at().prop_map(Damage::Cut),
        at().prop_map(Damage::Remove),
        (at(), any::<u8>()).prop_map(|(i, byte)| Damage::Insert(i, byte)),
        (at(), number).prop_map(|(i, number)| Damage::Number(i, number)),
        (at(), at(), at()).prop_map(|(i, other, from)| Damage::Splice(i, other, from)),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage, corpus: &[Vec<u8>]) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match damage {
        Damage::Flip(at, mask) => bytes[at.index(length)] ^= mask,
        Damage::Set(at, byte) => bytes[at.index(length)] = *byte,
        Damage::Cut(at) => bytes.truncate(at.index(length)),
        Damage::Remove(at) => {
            bytes.remove(at.index(length));
        }
        Damage::Insert(at, byte) => bytes.insert(at.index(length), *byte),
        Damage::Number(at, number) => {
            let number = number.to_le_bytes();
            for (place, byte) in bytes.iter_mut().skip(at.index(length)).zip(number) {
                *place = byte;
            }
        }
        Damage::Splice(at, other, from) => {
            let other = &corpus[other.index(corpus.len())];
            let piece = other.get(from.index(other.len().max(1))..);
            bytes.truncate(at.index(length));
            bytes.extend_from_slice(piece.unwrap_or_default());
        }
    }
}

fn damages() -> impl Strategy<Value = Vec<Damage>> {
    proptest::collection::vec(damage(), 1..4)
}

#[test]
fn what_is_damaged_below_is_valid_before() {
    assert!(ENCODINGS.len() > 30, "{} encodings", ENCODINGS.len());
    for bytes in ENCODINGS.iter().chain(MESSAGES.iter()) {
        assert!(read(bytes) > 0, "nothing reads {}", hex::encode(bytes));
    }
    let taken = |name: &str, decode: &dyn Fn(&[u8]) -> bool, all: &[Vec<u8>]| {
        assert!(all.iter().any(|bytes| decode(bytes)), "no valid {name}");
    };
    for (name, decode) in ANSWERS {
        taken(name, decode, &MESSAGES);
    }
    for of in [
        "sealed block",
        "consensus message",
        "journal record",
        "genesis",
        "identity record",
        "past version",
        "restart notice",
        "chain parameters",
        "receipt",
        "transaction",
        "equivocation",
        "validator set",
    ] {
        let (name, decode) = CANONICAL.iter().find(|(name, _)| *name == of).unwrap();
        taken(name, &|bytes| decode(bytes).is_some(), &ENCODINGS);
    }
    for file in ["genesis.toml", "member.toml"] {
        let text = fs::read_to_string(vectors().join(file)).unwrap();
        assert!(read_text(&text) > 0, "nothing reads {file}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn random_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        read(&bytes);
        read_text(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn damaged_encodings_are_read_or_refused(which in any::<Index>(), damages in damages()) {
        let mut bytes = ENCODINGS[which.index(ENCODINGS.len())].clone();
        for damage in &damages {
            apply(&mut bytes, damage, &ENCODINGS);
        }
        read(&bytes);
    }

    #[test]
    fn damaged_answers_are_read_or_refused(which in any::<Index>(), damages in damages()) {
        let mut bytes = MESSAGES[which.index(MESSAGES.len())].clone();
        for damage in &damages {
            apply(&mut bytes, damage, &MESSAGES);
        }
        read(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_files_are_read_or_refused(which in 0..2usize, damages in damages()) {
        let files: Vec<Vec<u8>> = ["genesis.toml", "member.toml"]
            .iter()
            .map(|file| fs::read(vectors().join(file)).unwrap())
            .collect();
        let mut bytes = files[which].clone();
        for damage in &damages {
            apply(&mut bytes, damage, &files);
        }
        read_text(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn short_texts_are_read_or_refused(text in "[a-zA-Z0-9/.:\\-\u{0}é中 ]{0,80}") {
        read_text(&text);
    }
}
