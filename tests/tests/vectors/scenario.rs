//! The small network of the vectors: four validators, a registrar, two agencies, one person who is
//! registered in block 1. Every secret key's seed is one byte, repeated.

use std::{collections::BTreeMap, sync::Arc};

use certchain_config::{
    CertificateType, Field, FieldKind, Genesis, GenesisAgency, GenesisContent, GenesisRegistrar,
    GenesisValidator, Limits, Name, OrganisationCode, SideChain, Timers, Title,
};
use certchain_ledger::{
    evidence::SealedHeader,
    genesis::GenesisBlock,
    history::History,
    identity::{IdentityKind, IdentityRecord, IdentityStatus, IdentityVersion, keys},
    merkle,
    receipt::Receipt,
    state::{MemoryStore, StateKey, StateTree},
};
use certchain_proto::{
    Address, BlockHeader, CommitCertificate, CommitVote, Height, Outcome, SealedBlock, SecretKey,
    TimeMs, ValidatorIndex, View,
    block::PROTOCOL,
    certificate::IndexedSignature,
    hash::{AttributeRoot, IdentityTag, ValueHash},
    transaction::{self, Transaction},
    wire::v1::{self, RegisterIdentity, TransactionBody, transaction_body::Kind},
};
use certchain_sidechain::network::NetworkGenesis;

/// Time of the genesis block.
pub const START: u64 = 1_700_000_000_000;

/// Seeds of vote keys, network keys, registrar, agencies, holder.
pub const VOTE: [u8; 4] = [0x01, 0x02, 0x03, 0x04];
pub const NETWORK: [u8; 4] = [0x11, 0x12, 0x13, 0x14];
pub const REGISTRAR: u8 = 0x21;
pub const AGENCY: u8 = 0x31;
pub const OTHER_AGENCY: u8 = 0x32;
pub const HOLDER: u8 = 0x41;
pub const NEW_HOLDER: u8 = 0x42;

pub fn secret(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

pub fn address(seed: u8) -> Address {
    Address::of(secret(seed).public())
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub fn title(text: &str) -> Title {
    Title::parse(text).unwrap()
}

pub fn code(text: &str) -> OrganisationCode {
    OrganisationCode::parse(text).unwrap()
}

fn agency(seed: u8, name: &str, of: &str, may_issue: &[&str]) -> GenesisAgency {
    GenesisAgency {
        name: title(name),
        organisation_code: code(of),
        public_key: secret(seed).public().clone(),
        encryption_key: [seed; 32],
        may_issue: may_issue.iter().map(|text| self::name(text)).collect(),
    }
}

fn field(of: &str, shown: &str, kind: FieldKind, max_bytes: u32, required: bool) -> Field {
    Field {
        name: name(of),
        title: title(shown),
        kind,
        max_bytes,
        required,
    }
}

pub fn genesis() -> Genesis {
    let members = ["civil-affairs", "land-registry", "education", "health"];
    Genesis::new(GenesisContent {
        protocol: PROTOCOL,
        network: name("vectors"),
        time_ms: TimeMs::new(START),
        validators: members
            .iter()
            .zip(VOTE.iter().zip(NETWORK))
            .enumerate()
            .map(|(index, (member, (vote, network)))| GenesisValidator {
                name: name(member),
                organisation_code: code(&format!("NODE-{index}")),
                vote_key: secret(*vote).public().clone(),
                network_key: secret(network).public().clone(),
            })
            .collect(),
        registrars: vec![GenesisRegistrar {
            name: title("信息中心"),
            organisation_code: code("CENTRE"),
            public_key: secret(REGISTRAR).public().clone(),
            encryption_key: [REGISTRAR; 32],
        }],
        agencies: vec![
            agency(
                AGENCY,
                "Office of Civil Affairs",
                "CIVIL-1",
                &["degree", "licence"],
            ),
            agency(OTHER_AGENCY, "Office of Health", "HEALTH-1", &[]),
        ],
        catalogue: vec![
            CertificateType {
                chain: SideChain::Degree,
                name: name("degree"),
                title: title("University degree"),
                validity_days: None,
                fields: vec![
                    field("subject", "Subject", FieldKind::Text, 200, true),
                    field("awarded", "Day of award", FieldKind::Date, 10, true),
                ],
            },
            CertificateType {
                chain: SideChain::Business,
                name: name("licence"),
                title: title("Business licence"),
                validity_days: Some(365),
                fields: vec![
                    field("capital", "Capital", FieldKind::Number, 20, false),
                    field("owner", "Owner", FieldKind::Address, 100, true),
                ],
            },
        ],
        limits: Limits::default(),
        timers: Timers::default(),
        tag_key_version: 1,
        governance: certchain_config::Governance::default(),
    })
    .unwrap()
}

/// The registration of the vectors' one person.
pub fn register() -> RegisterIdentity {
    RegisterIdentity {
        kind: v1::IdentityKind::Citizen as i32,
        public_key: secret(HOLDER).public().as_bytes().to_vec(),
        encryption_key: vec![0x51; 32],
        attribute_root: vec![0x52; 32],
        tag: vec![0x53; 32],
        tag_key_version: 1,
        agency: address(AGENCY).as_bytes().to_vec(),
        registrar: address(REGISTRAR).as_bytes().to_vec(),
        organisation_code: String::new(),
    }
}

pub fn body(kind: Kind) -> TransactionBody {
    TransactionBody {
        chain_id: genesis().chain_id().as_bytes().to_vec(),
        nonce: vec![0x61; 16],
        valid_until_ms: START + 600_000,
        kind: Some(kind),
    }
}

pub fn signed(kind: Kind, signers: &[u8]) -> Transaction {
    let keys: Vec<SecretKey> = signers.iter().map(|seed| secret(*seed)).collect();
    let keys: Vec<&SecretKey> = keys.iter().collect();
    Transaction::from_envelope(transaction::sign(&body(kind), &keys)).unwrap()
}

pub fn registration() -> Transaction {
    signed(
        Kind::RegisterIdentity(register()),
        &[AGENCY, REGISTRAR, HOLDER],
    )
}

/// The record that block 1 makes of [`register`].
pub fn citizen() -> IdentityRecord {
    IdentityRecord {
        kind: IdentityKind::Citizen,
        registered_height: Height::new(1),
        registered_time: TimeMs::new(START + 1_000),
        agency: address(AGENCY),
        registrar: address(REGISTRAR),
        organisation_code: String::new(),
        attribute_root: AttributeRoot::from_bytes([0x52; 32]),
        tag: IdentityTag::from_bytes([0x53; 32]),
        tag_key_version: 1,
        may_issue: Vec::new(),
        present: IdentityVersion {
            sequence: 0,
            from_height: Height::new(1),
            from_time: TimeMs::new(START + 1_000),
            public_key: *secret(HOLDER).public().as_bytes(),
            encryption_key: [0x51; 32],
            status: IdentityStatus::Active,
            reason: 0,
            devices: Vec::new(),
        },
    }
}

pub type Leaves = BTreeMap<StateKey, Arc<[u8]>>;

/// A state tree of one version, height 0, with these leaves.
pub fn tree(leaves: &Leaves) -> StateTree<MemoryStore> {
    let mut tree = StateTree::open(MemoryStore::default(), None, 1).unwrap();
    let hashed = leaves
        .iter()
        .map(|(key, value)| (*key, Some(ValueHash::of(value))));
    let pending = tree.apply(None, hashed).unwrap();
    let writes = tree.commit(pending).unwrap();
    tree.store_mut().write(&writes);
    tree
}

/// Genesis and block 1, the latter decided by validators 0, 1 and 3 in view 1.
pub struct Chain {
    pub genesis: Genesis,
    pub zero: GenesisBlock,
    pub leaves: Leaves,
    pub transaction: Transaction,
    pub receipt: Receipt,
    pub header: BlockHeader,
    pub outcome: Outcome,
    pub certificate: CommitCertificate,
}

impl Chain {
    pub fn new() -> Self {
        let genesis = genesis();
        let zero = NetworkGenesis::new(&genesis).unwrap().main;
        let transaction = registration();
        let subject = address(HOLDER);
        let receipt = Receipt::executed(transaction.id(), Some(*subject.as_bytes()));
        let mut leaves = zero.leaves.clone();
        let record = citizen();
        leaves.insert(keys::identity(&subject), record.encode().into());
        leaves.insert(keys::tag(&record.tag), subject.as_bytes().as_slice().into());
        let mut history = History::EMPTY;
        history.append(&zero.id());
        let header = BlockHeader {
            protocol: PROTOCOL,
            chain: genesis.chain_id(),
            epoch: zero.validators.epoch(),
            height: Height::new(1),
            view: View::ZERO,
            proposer: ValidatorIndex::ZERO,
            offset: 0,
            parent: zero.id(),
            parent_commit: zero.block.certificate.digest(),
            parent_view: View::ZERO,
            time_ms: TimeMs::new(START + 1_000),
            tx_root: merkle::tx_root(&[transaction.witness_id()]),
            tx_count: 1,
            history_root: history.root(),
            checkpoint: None,
        };
        let outcome = Outcome {
            state_root: tree(&leaves).root(),
            receipts_root: merkle::receipts_root(&[receipt.hash()]),
            next_validators: zero.validators.digest(),
        };
        let certificate = certify(&header, &outcome, View::new(1), &[0, 1, 3]);
        Self {
            genesis,
            zero,
            leaves,
            transaction,
            receipt,
            header,
            outcome,
            certificate,
        }
    }

    pub fn sealed_header(&self) -> SealedHeader {
        SealedHeader {
            header: self.header.clone(),
            outcome: self.outcome.clone(),
            certificate: self.certificate.clone(),
        }
    }

    pub fn sealed_block(&self) -> SealedBlock {
        SealedBlock {
            header: self.header.clone(),
            parent_certificate: self.zero.block.certificate.clone(),
            transactions: vec![self.transaction.encoded().to_vec()],
            outcome: self.outcome.clone(),
            commit_certificate: self.certificate.clone(),
        }
    }
}

/// The signatures of some validators under one hash.
pub fn signatures(
    hash: &certchain_proto::hash::SigningHash,
    signers: &[u16],
) -> Vec<IndexedSignature> {
    signers
        .iter()
        .map(|index| IndexedSignature {
            validator: ValidatorIndex::new(*index),
            signature: secret(VOTE[usize::from(*index)]).sign(hash),
        })
        .collect()
}

pub fn commit_vote(header: &BlockHeader, outcome: &Outcome, view: View) -> CommitVote {
    CommitVote {
        chain: header.chain,
        epoch: header.epoch,
        height: header.height,
        view,
        header: header.digest(),
        outcome: outcome.digest(),
    }
}

pub fn certify(
    header: &BlockHeader,
    outcome: &Outcome,
    view: View,
    signers: &[u16],
) -> CommitCertificate {
    let vote = commit_vote(header, outcome, view);
    CommitCertificate {
        epoch: header.epoch,
        height: header.height,
        view,
        header: vote.header,
        outcome: vote.outcome,
        signatures: signatures(&vote.signing_hash(), signers),
    }
}
