//! Everything that reads bytes of others, against bytes that nobody would send in good faith: drawn
//! at random, and valid encodings (those of `tests/vectors`) that were damaged. No decoder may
//! panic, and what one takes must encode to the very bytes that it took, so that nothing has two
//! encodings.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "decoders/damage.rs"]
mod damage;

use std::{fs, path::Path, sync::LazyLock};

use certchain_client::transaction::Draft;
use certchain_config::{
    CertificateType, Genesis, GenesisContent, Member, Name, NetAddress, NodeConfig,
    OrganisationCode, SideChain, Title, document::Document,
};
use certchain_consensus::{
    Contents, Equivocation, Message, Record,
    limits::{MAX_MESSAGE_BYTES, MAX_RECORD_BYTES},
    message::{PreparedCertificate, SignedClaim},
    statement::{SignedStatement, Statement},
};
use certchain_ledger::{
    evidence::{HistoryEvidence, SealedHeader, SetChange, StateEvidence},
    execution::Application as _,
    governance::{
        MembersRecord, OffersRecord, ProposalList, ProposalRecord, RegistrarsRecord, RulesRecord,
        TypesRecord,
    },
    history::HistoryProof,
    identity::{IdentityRecord, PastVersion, RecoveryRecord, RestartNoticeRecord, keys},
    merkle::MerkleProof,
    parameters::ChainParameters,
    receipt::{Receipt, decode_lines, encode_lines},
    side_chains::{ActivationRecord, AnchorRecord, CreationRecord, SideChainList, SideChainRecord},
    state::{ProofLeaf, ProofStep, StateKey, StateProof},
};
use certchain_proto::{
    Address, BlockHeader, ChainId, Checkpoint, CommitCertificate, CommitVote, Height, Outcome,
    PrepareVote, PublicKey, SealedBlock, SecretKey, Signature, TimeMs, ValidatorSet,
    certificate::IndexedSignature,
    codec,
    hash::{BlockId, IdentityTag, ValueHash},
    query::Query,
    transaction::Transaction,
    wire::v1::{self, QueryTopic, encrypted_fields::Content},
};
use certchain_sidechain::{
    anchor::MainApplication,
    certificate::{CertificateApplication, CertificateRecord, CheckRecord},
    encryption::Sealed,
    fields::CertificateFields,
    pack::Pack,
    package::{PresentationPackage, sealed::SealedPackage, text::Carried},
    presentation::Presentation,
};
use proptest::{prelude::*, sample::Index};
use prost::Message as _;
use serde::{Serialize, de::DeserializeOwned};

use crate::damage::{apply, damages};

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
        let transaction = Transaction::decode(bytes).ok()?;
        // What a chain reads of it, before anything is checked.
        MainApplication.reads(&transaction);
        for side in SideChain::ALL {
            CertificateApplication::new(side).reads(&transaction);
        }
        Some(transaction.encoded().to_vec())
    }),
    ("creation record", coded::<CreationRecord>),
    ("certificate type", coded::<CertificateType>),
    ("side chain record", |bytes| {
        Some(SideChainRecord::decode(bytes).ok()?.encode())
    }),
    ("activation record", |bytes| {
        Some(ActivationRecord::decode(bytes).ok()?.encode())
    }),
    ("anchor record", |bytes| {
        Some(AnchorRecord::decode(bytes).ok()?.encode())
    }),
    ("certificate record", |bytes| {
        Some(CertificateRecord::decode(bytes).ok()?.encode())
    }),
    ("check record", |bytes| {
        Some(CheckRecord::decode(bytes).ok()?.encode())
    }),
    ("rules of voting", |bytes| {
        Some(RulesRecord::decode(bytes).ok()?.encode())
    }),
    ("proposal", |bytes| {
        Some(ProposalRecord::decode(bytes).ok()?.encode())
    }),
    ("list of proposals", |bytes| {
        Some(ProposalList::decode(bytes).ok()?.encode())
    }),
    ("offers", |bytes| {
        Some(OffersRecord::decode(bytes).ok()?.encode())
    }),
    ("registrars", |bytes| {
        Some(RegistrarsRecord::decode(bytes).ok()?.encode())
    }),
    ("names of types", |bytes| {
        Some(TypesRecord::decode(bytes).ok()?.encode())
    }),
    ("members", |bytes| {
        Some(MembersRecord::decode(bytes).ok()?.encode())
    }),
    ("list of side chains", |bytes| {
        Some(SideChainList::decode(bytes).ok()?.encode())
    }),
    ("batch lines", |bytes| {
        Some(encode_lines(&decode_lines(bytes)?))
    }),
    ("fields", |bytes| {
        let read = |kind| CertificateFields::from_plaintext(kind, bytes).ok();
        let fields = TYPES.iter().find_map(read)?;
        Some(fields.to_plaintext().to_vec())
    }),
    ("presentation", |bytes| {
        Some(Presentation::decode(bytes).ok()?.encode())
    }),
    ("package", |bytes| {
        Some(PresentationPackage::decode(bytes).ok()?.encode().to_vec())
    }),
    ("sealed package", |bytes| {
        Some(SealedPackage::decode(bytes).ok()?.encode())
    }),
    ("pack", |bytes| Some(Pack::decode(bytes).ok()?.encode())),
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
    ("recovery", |bytes| {
        Some(RecoveryRecord::decode(bytes).ok()?.encode())
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
    (
        "change of the validators",
        evidence::<v1::ValidatorSetChange, SetChange>,
    ),
    ("receipt", |bytes| {
        v1::Receipt::decode(bytes)
            .ok()
            .is_some_and(|message| Receipt::try_from(&message).is_ok())
    }),
    ("encrypted fields", |bytes| {
        let Ok(message) = v1::EncryptedFields::decode(bytes) else {
            return false;
        };
        let Ok(sealed) = Sealed::from_wire(&message, Some(&KEPT)) else {
            return false;
        };
        let (mut again, _) = sealed.into_wire();
        if let (Some(Content::Reference(to)), Some(Content::Reference(from))) =
            (&mut again.content, &message.content)
        {
            // Where they lie and what others call them is free.
            (to.media_type, to.location) = (from.media_type.clone(), from.location.clone());
        }
        assert_eq!(again, message);
        true
    }),
    ("query", |bytes| {
        let Ok(message) = v1::QueryAuthorisation::decode(bytes) else {
            return false;
        };
        let (chain, now) = (ChainId::from_bytes([1; 32]), TimeMs::new(message.time_ms));
        Query::read(&message, chain, TOPICS, now).is_ok_and(|query| {
            assert!(query.verify(SIGNER.public()).is_err(), "of another chain");
            true
        })
    }),
];

const TOPICS: &[QueryTopic] = &[
    QueryTopic::Held,
    QueryTopic::Issued,
    QueryTopic::Checked,
    QueryTopic::Checks,
    QueryTopic::Inbox,
    QueryTopic::PutContent,
];

/// The ciphertext that is kept elsewhere.
static KEPT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let ciphertext = &file("certificates.json")["ciphertexts"][1]["ciphertext"];
    hex::decode(ciphertext.as_str().unwrap()).unwrap()
});

/// Who signed the queries of the vectors.
static SIGNER: LazyLock<SecretKey> = LazyLock::new(|| SecretKey::from_seed(&[0x43; 32]));

/// The types of the vectors' catalogue.
static TYPES: LazyLock<Vec<CertificateType>> = LazyLock::new(|| {
    let genesis = Genesis::load(&vectors().join("genesis.toml")).unwrap();
    genesis.catalogue.clone()
});

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
        "certificates.json",
        "consensus.json",
        "genesis.json",
        "governance.json",
        "packs.json",
        "presentations.json",
        "queries.json",
        "receipts.json",
        "records.json",
        "side_chains.json",
        "transactions.json",
    ] {
        let mut value = self::file(file);
        if let Some(map) = value.as_object_mut() {
            map.remove("refused");
        }
        collect(&value, &mut found);
    }
    found
});

/// Answers that are evidence.
static MESSAGES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let value = file("genesis.json");
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
    let genesis = Genesis::load(&vectors().join("genesis.toml")).unwrap();
    let change = SetChange {
        block: block.clone(),
        validators: genesis.validator_set().clone(),
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
    let certificates = file("certificates.json");
    let [inline, elsewhere] =
        [0, 1].map(|place| certificates["ciphertexts"][place]["encoded_message"].as_str());
    let queries = file("queries.json");
    let query = queries["queries"][0]["encoded_message"].as_str();
    let mut messages: Vec<Vec<u8>> = [inline, elsewhere, query]
        .map(|text| hex::decode(text.unwrap()).unwrap())
        .to_vec();
    messages.extend([
        v1::BlockHeader::from(&block).encode_to_vec(),
        v1::StateEvidence::from(&state).encode_to_vec(),
        v1::StateProof::from(&state.proof).encode_to_vec(),
        v1::GetHistoryProofResponse::from(&history).encode_to_vec(),
        v1::HistoryProof::from(&history.proof).encode_to_vec(),
        v1::MerkleProof::from(&merkle).encode_to_vec(),
        v1::ValidatorSetChange::from(&change).encode_to_vec(),
        receipt.encode_to_vec(),
    ]);
    messages
});

fn file(name: &str) -> serde_json::Value {
    let text = fs::read_to_string(vectors().join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The texts of QR codes, in clear and sealed.
static TEXTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let presentations = file("presentations.json");
    let packages = presentations["packages"].as_array().unwrap();
    packages
        .iter()
        .flat_map(|package| [&package["text"], &package["sealed"]["text"]])
        .map(|text| text.as_str().unwrap().as_bytes().to_vec())
        .collect()
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
    if let Ok(carried) = Carried::from_text(text) {
        assert_eq!(*carried.to_text(), text.trim(), "a code has two texts");
        taken += 1;
    }
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
        "sealed header",
        "history proof",
        "creation record",
        "side chain record",
        "activation record",
        "anchor record",
        "certificate record",
        "check record",
        "fields",
        "presentation",
        "package",
        "sealed package",
        "pack",
    ] {
        let (name, decode) = CANONICAL.iter().find(|(name, _)| *name == of).unwrap();
        taken(name, &|bytes| decode(bytes).is_some(), &ENCODINGS);
    }
    for file in ["genesis.toml", "member.toml"] {
        let text = fs::read_to_string(vectors().join(file)).unwrap();
        assert!(read_text(&text) > 0, "nothing reads {file}");
    }
    for text in TEXTS.iter() {
        assert!(read_text(std::str::from_utf8(text).unwrap()) > 0);
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
    fn damaged_texts_are_read_or_refused(which in any::<Index>(), damages in damages()) {
        let mut bytes = TEXTS[which.index(TEXTS.len())].clone();
        for damage in &damages {
            apply(&mut bytes, damage, &TEXTS);
        }
        read_text(&String::from_utf8_lossy(&bytes));
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
