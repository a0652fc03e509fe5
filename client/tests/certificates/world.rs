//! A network made by hand, with real keys, proofs and certificates: one degree, anchored.

use std::{
    collections::BTreeMap,
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use certchain_client::{certificate::Showing, wallet::Wallet};
use certchain_config::{
    CertificateType, Field, FieldKind, Genesis, GenesisAgency, GenesisContent, GenesisRegistrar,
    GenesisValidator, Limits, Name, OrganisationCode, SideChain, Timers, Title,
};
use certchain_ledger::{
    evidence::{SealedHeader, StateEvidence},
    genesis::GenesisBlock,
    history::History,
    identity::{IdentityKind, IdentityRecord, IdentityStatus, IdentityVersion, keys},
    merkle,
    side_chains::{self, AnchorRecord},
    state::{MemoryStore, StateKey, StateTree},
};
use certchain_proto::{
    Address, BlockHeader, ChainId, CommitCertificate, Epoch, Height, Outcome, SecretKey, TimeMs,
    ValidatorIndex, View,
    block::{Checkpoint, PROTOCOL},
    certificate::IndexedSignature,
    hash::{AttributeRoot, CertificateId, IdentityTag, TransactionId, ValueHash},
    wire::v1,
};
use certchain_sidechain::{
    certificate::{CertificateRecord, CertificateStatus, HolderRecord, keys as side_keys},
    fields::CertificateFields,
    network::NetworkGenesis,
    pack::{MainLink, Pack, PackParts},
    presentation::Audience,
};
use prost::Message as _;

use super::place::Place;

pub fn now() -> TimeMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    TimeMs::new(u64::try_from(since.as_millis()).unwrap())
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn definition(name: &str, kind: FieldKind, max_bytes: u32) -> Field {
    Field {
        name: Name::parse(name).unwrap(),
        title: Title::parse("Title").unwrap(),
        kind,
        max_bytes,
        required: true,
    }
}

pub fn degree() -> CertificateType {
    CertificateType {
        chain: SideChain::Degree,
        name: Name::parse("degree").unwrap(),
        title: Title::parse("Degree").unwrap(),
        validity_days: None,
        fields: vec![
            definition("subject", FieldKind::Text, 128),
            definition("awarded_on", FieldKind::Date, 10),
        ],
    }
}

/// A genesis of a network; `other` makes another one.
pub fn genesis(other: u8) -> Genesis {
    let code = |text: &str| OrganisationCode::parse(text).unwrap();
    Genesis::new(GenesisContent {
        protocol: PROTOCOL,
        network: Name::parse("test").unwrap(),
        time_ms: TimeMs::new(1_700_000_000_000),
        validators: (0..4)
            .map(|n| GenesisValidator {
                name: Name::parse(&format!("node{n}")).unwrap(),
                organisation_code: code(&format!("NODE-{n}")),
                vote_key: key(100 + other + n).public().clone(),
                network_key: key(150 + n).public().clone(),
            })
            .collect(),
        registrars: vec![GenesisRegistrar {
            name: Title::parse("Information Centre").unwrap(),
            organisation_code: code("CENTRE"),
            public_key: key(2).public().clone(),
            encryption_key: [22; 32],
        }],
        agencies: vec![GenesisAgency {
            name: Title::parse("University").unwrap(),
            organisation_code: code("UNI"),
            public_key: key(1).public().clone(),
            encryption_key: [21; 32],
            may_issue: vec![Name::parse("degree").unwrap()],
        }],
        catalogue: vec![degree()],
        limits: Limits::default(),
        timers: Timers::default(),
        tag_key_version: 1,
        governance: certchain_config::Governance::default(),
    })
    .unwrap()
}

/// A chain with its genesis block and one more.
struct Chain {
    id: ChainId,
    tree: StateTree<MemoryStore>,
    values: BTreeMap<StateKey, Vec<u8>>,
    block: SealedHeader,
}

impl Chain {
    fn new(
        first: &GenesisBlock,
        leaves: Vec<(StateKey, Vec<u8>)>,
        time: TimeMs,
        checkpoint: Option<Checkpoint>,
    ) -> Self {
        let mut chain = Self {
            id: first.chain(),
            tree: StateTree::open(MemoryStore::default(), None, 16).unwrap(),
            values: BTreeMap::new(),
            block: first.block.clone(),
        };
        let genesis = first.leaves.iter();
        chain.update(genesis.map(|(key, value)| (*key, value.to_vec())).collect());
        chain.update(leaves);
        let mut history = History::EMPTY;
        history.append(&first.id());
        let header = BlockHeader {
            protocol: PROTOCOL,
            chain: chain.id,
            epoch: Epoch::ZERO,
            height: Height::new(1),
            view: View::ZERO,
            proposer: ValidatorIndex::new(1),
            offset: 0,
            parent: first.id(),
            parent_commit: chain.block.certificate.digest(),
            parent_view: View::ZERO,
            time_ms: time,
            tx_root: merkle::tx_root(&[]),
            tx_count: 0,
            history_root: history.root(),
            checkpoint,
        };
        let outcome = Outcome {
            state_root: chain.tree.root(),
            receipts_root: merkle::receipts_root(&[]),
            next_validators: first.validators.digest(),
        };
        let mut certificate = CommitCertificate {
            epoch: header.epoch,
            height: header.height,
            view: header.view,
            header: header.digest(),
            outcome: outcome.digest(),
            signatures: Vec::new(),
        };
        let message = certificate.vote(chain.id).signing_hash();
        certificate.signatures = [0u8, 1, 3]
            .map(|n| IndexedSignature {
                validator: ValidatorIndex::new(n.into()),
                signature: key(100 + n).sign(&message),
            })
            .to_vec();
        chain.block = SealedHeader {
            header,
            outcome,
            certificate,
        };
        chain
    }

    fn update(&mut self, leaves: Vec<(StateKey, Vec<u8>)>) {
        let hashed: Vec<_> = leaves
            .iter()
            .map(|(key, value)| (*key, Some(ValueHash::of(value))))
            .collect();
        let pending = self.tree.apply(self.tree.height(), hashed).unwrap();
        let writes = self.tree.commit(pending).unwrap();
        self.tree.store_mut().write(&writes);
        self.values.extend(leaves);
    }

    fn evidence(&self, key: &StateKey) -> StateEvidence {
        StateEvidence {
            key: *key,
            value: self.values.get(key).cloned(),
            proof: self.tree.prove(Height::new(1), key).unwrap(),
            block: self.block.clone(),
        }
    }
}

/// A degree in the hands of a wallet, as far as it is proven.
pub struct World {
    pub chain: ChainId,
    pub certificate: CertificateId,
    pub fields: CertificateFields,
    pub pack: Vec<u8>,
    pub header: v1::BlockHeader,
}

impl World {
    pub fn new(holder: &Wallet, status: CertificateStatus) -> Self {
        let blocks = NetworkGenesis::new(&genesis(0)).unwrap();
        let values = [("subject", "Physics"), ("awarded_on", "2026-06-30")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let fields = CertificateFields::new(&degree(), &values, &[[1; 32], [2; 32]]).unwrap();
        let certificate = CertificateId::from_bytes([6; 32]);
        let issuer = Address::of(key(1).public());
        let then = TimeMs::new(now().get() - 60_000);
        let record = CertificateRecord {
            type_name: "degree".into(),
            issuer,
            serial: 1,
            holders: vec![HolderRecord {
                address: holder.address(),
                accepted: Some(then),
            }],
            field_root: fields.root(),
            claim: None,
            issued_height: Height::new(1),
            issued_time: then,
            transaction: TransactionId::from_bytes([9; 32]),
            line: 0,
            valid_from: then,
            valid_until: None,
            version: 0,
            status,
            status_height: Height::new(1),
            status_time: then,
            reason: 0,
        };
        let checkpoint = Checkpoint {
            height: Height::ZERO,
            block: blocks.main.id(),
            state_root: blocks.main.block.outcome.state_root,
        };
        let side = blocks.side(SideChain::Degree).unwrap();
        let record_key = side_keys::certificate(&certificate);
        let leaves = vec![(record_key, record.encode())];
        let side = Chain::new(side, leaves, then, Some(checkpoint));
        let anchor = AnchorRecord {
            height: Height::new(1),
            block: side.block.id(),
            epoch: Epoch::ZERO,
            time: then,
            state_root: side.block.outcome.state_root,
            checkpoint,
            main_height: Height::new(1),
        };
        let anchor_key = side_chains::anchor(&side.id, Height::new(1));
        let holder_key = keys::identity(&holder.address());
        let leaves = vec![
            (anchor_key, anchor.encode()),
            (holder_key, identity(holder, then).encode()),
        ];
        let main = Chain::new(&blocks.main, leaves, then, None);
        let parts = PackParts {
            side_chain: "degree".into(),
            certificate,
            record: side.evidence(&record_key),
            anchored: None,
            side_chain_record: main.evidence(&side_chains::side_chain(&side.id)),
            anchor: main.evidence(&anchor_key),
            issuer: main.evidence(&keys::identity(&issuer)),
            holders: vec![main.evidence(&holder_key)],
            link: MainLink::Certificate(main.block.certificate.clone()),
        };
        Self {
            chain: side.id,
            certificate,
            fields,
            pack: Pack::new(parts).unwrap().encode(),
            header: (&main.block).into(),
        }
    }

    /// Puts genesis, pack and trusted header into a place.
    pub fn write(&self, place: &Place) {
        fs::write(place.path("genesis.toml"), genesis(0).to_toml()).unwrap();
        fs::write(place.path("other.toml"), genesis(20).to_toml()).unwrap();
        fs::write(place.path("pack"), &self.pack).unwrap();
        let header = hex::encode(self.header.encode_to_vec());
        let text = format!("format = \"certchain header 1\"\nheader = \"{header}\"\n");
        fs::write(place.path("header"), text).unwrap();
    }

    pub fn showing(&self, audience: Audience) -> Showing<'static> {
        Showing {
            chain: self.chain,
            certificate: self.certificate,
            names: &["subject"],
            audience,
            challenge: &[],
            expires: now().saturating_add(50_000),
        }
    }
}

fn identity(holder: &Wallet, then: TimeMs) -> IdentityRecord {
    IdentityRecord {
        kind: IdentityKind::Citizen,
        registered_height: Height::new(1),
        registered_time: then,
        agency: Address::of(key(1).public()),
        registrar: Address::of(key(2).public()),
        organisation_code: String::new(),
        attribute_root: AttributeRoot::from_bytes([7; 32]),
        tag: IdentityTag::from_bytes([8; 32]),
        tag_key_version: 1,
        may_issue: Vec::new(),
        present: IdentityVersion {
            sequence: 0,
            from_height: Height::new(1),
            from_time: then,
            public_key: *holder.account().public_key().as_bytes(),
            encryption_key: *holder.account().encryption_key(),
            status: IdentityStatus::Active,
            reason: 0,
            devices: Vec::new(),
        },
    }
}
