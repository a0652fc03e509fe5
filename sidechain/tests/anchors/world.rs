//! A main chain and a side chain made by hand, with real keys, trees, proofs and certificates.

use std::collections::{BTreeMap, HashMap};

use certchain_config::{
    Genesis, GenesisAgency, GenesisContent, GenesisRegistrar, GenesisValidator, Limits, Name,
    OrganisationCode, Timers, Title, catalogue::SideChain,
};
use certchain_ledger::{
    evidence::{HistoryEvidence, SealedHeader, StateEvidence, VerifiedHeader},
    execution::{Application, BlockContext, Effects, Stop},
    genesis::GenesisBlock,
    history::{History, HistoryProof, NodePosition},
    identity::{IdentityKind, IdentityRecord, IdentityStatus, IdentityVersion, keys},
    merkle,
    parameters::ChainParameters,
    refusal::Refusal,
    side_chains::{self, CreationRecord, SideChainRecord},
    state::{MemoryStore, StateKey, StateTree},
    view::{BlockNames, ReadError, Value},
};
use certchain_proto::{
    Address, BlockHeader, ChainId, CommitCertificate, Epoch, Height, Outcome, SecretKey, TimeMs,
    Validator, ValidatorIndex, ValidatorSet, View,
    block::{Checkpoint, PROTOCOL},
    certificate::{Ed25519Verifier, IndexedSignature},
    hash::{
        AttributeRoot, BlockId, CertificateDigest, CertificateId, FieldRoot, HistoryRoot,
        IdentityTag, StateRoot, TransactionId, ValueHash,
    },
    transaction::{Transaction, sign},
    wire::v1::{Code, TransactionBody, transaction_body::Kind},
};
use certchain_sidechain::{
    anchor::{MainApplication, anchor_message, side_chain_leaves},
    certificate::{self, CertificateRecord, CertificateStatus, HolderRecord},
    pack::{MainLink, PackParts},
};

pub const START: u64 = 1_700_000_000_000;
/// A quorum of four.
pub const QUORUM: &[u16] = &[0, 1, 3];

pub fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

pub fn vote_key(place: u16) -> SecretKey {
    key(100 + place as u8)
}

pub fn agency() -> Address {
    Address::of(key(1).public())
}

pub fn holder() -> Address {
    Address::of(key(3).public())
}

pub fn spouse() -> Address {
    Address::of(key(4).public())
}

pub fn a_certificate() -> CertificateId {
    CertificateId::from_bytes([77; 32])
}

fn genesis() -> Genesis {
    let code = |text: &str| OrganisationCode::parse(text).unwrap();
    Genesis::new(GenesisContent {
        protocol: PROTOCOL,
        network: Name::parse("test").unwrap(),
        time_ms: TimeMs::new(START),
        validators: (0..4)
            .map(|n| GenesisValidator {
                name: Name::parse(&format!("node{n}")).unwrap(),
                organisation_code: code(&format!("NODE-{n}")),
                vote_key: vote_key(n).public().clone(),
                network_key: key(150 + n as u8).public().clone(),
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
            organisation_code: code("AGENCY"),
            public_key: key(1).public().clone(),
            encryption_key: [21; 32],
            may_issue: Vec::new(),
        }],
        catalogue: Vec::new(),
        limits: Limits::default(),
        timers: Timers::default(),
        tag_key_version: 1,
        governance: certchain_config::Governance::default(),
    })
    .unwrap()
}

/// Four other validators, of epoch 1.
pub fn later_set() -> ValidatorSet {
    let member = |n: u8| Validator {
        vote_key: key(200 + n).public().clone(),
        network_key: [n; 32],
    };
    ValidatorSet::new(Epoch::new(1), (0..4).map(member).collect()).unwrap()
}

/// The block with a certificate of [`later_set`].
pub fn sealed_by_later_set(block: &SealedHeader) -> SealedHeader {
    let mut block = block.clone();
    let message = block.certificate.vote(block.header.chain).signing_hash();
    for (n, item) in block.certificate.signatures.iter_mut().enumerate() {
        item.validator = ValidatorIndex::new(n as u16);
        item.signature = key(200 + n as u8).sign(&message);
    }
    block
}

/// A chain with its whole past.
#[derive(Debug)]
pub struct Chain {
    pub id: ChainId,
    tree: StateTree<MemoryStore>,
    /// After each block.
    states: Vec<HashMap<StateKey, Value>>,
    pub blocks: Vec<SealedHeader>,
    history: History,
    nodes: BTreeMap<NodePosition, [u8; 32]>,
}

impl BlockNames for Chain {
    fn block(&self, height: Height) -> Result<Option<(BlockId, StateRoot)>, ReadError> {
        let block = self.blocks.get(height.get() as usize);
        Ok(block.map(|block| (block.id(), block.outcome.state_root)))
    }
}

/// The certificate that some validators make for a block.
pub fn certify(header: &BlockHeader, outcome: &Outcome, signers: &[u16]) -> CommitCertificate {
    let mut certificate = CommitCertificate {
        epoch: header.epoch,
        height: header.height,
        view: header.view,
        header: header.digest(),
        outcome: outcome.digest(),
        signatures: Vec::new(),
    };
    let message = certificate.vote(header.chain).signing_hash();
    certificate.signatures = signers
        .iter()
        .map(|n| IndexedSignature {
            validator: ValidatorIndex::new(*n),
            signature: vote_key(*n).sign(&message),
        })
        .collect();
    certificate
}

/// The same block with something changed, sealed anew.
pub fn resealed(block: &SealedHeader, change: impl FnOnce(&mut BlockHeader)) -> SealedHeader {
    let mut header = block.header.clone();
    change(&mut header);
    SealedHeader {
        certificate: certify(&header, &block.outcome, QUORUM),
        header,
        outcome: block.outcome.clone(),
    }
}

/// The history over made-up blocks, and the proof of the one at a height.
pub fn made_up(ids: &[BlockId], height: u64) -> (HistoryRoot, HistoryProof) {
    let (mut history, mut nodes) = (History::EMPTY, BTreeMap::new());
    for id in ids {
        nodes.extend(history.append(id));
    }
    let node = |position| Ok::<_, ()>(nodes.get(&position).copied());
    let proof = HistoryProof::build(Height::new(height), history.size(), node);
    (history.root(), proof.unwrap().unwrap())
}

impl Chain {
    fn new(id: ChainId, leaves: impl IntoIterator<Item = (StateKey, Value)>) -> Self {
        let mut chain = Self {
            id,
            tree: StateTree::open(MemoryStore::default(), None, 64).unwrap(),
            states: Vec::new(),
            blocks: Vec::new(),
            history: History::EMPTY,
            nodes: BTreeMap::new(),
        };
        let changes = leaves.into_iter().map(|(key, value)| (key, Some(value)));
        chain.push(changes, START, None);
        chain
    }

    pub fn head(&self) -> &SealedHeader {
        self.blocks.last().unwrap()
    }

    pub fn next(&self) -> Height {
        self.head().height().next()
    }

    pub fn state(&self) -> &HashMap<StateKey, Value> {
        self.states.last().unwrap()
    }

    /// A later block's checkpoint on this chain.
    pub fn checkpoint(&self, height: u64) -> Checkpoint {
        let block = &self.blocks[height as usize];
        Checkpoint {
            height: block.height(),
            block: block.id(),
            state_root: block.outcome.state_root,
        }
    }

    /// Appends a block, decided by a quorum; the first one is genesis.
    pub fn push(
        &mut self,
        changes: impl IntoIterator<Item = (StateKey, Option<Value>)>,
        time: u64,
        checkpoint: Option<Checkpoint>,
    ) {
        let changes: Vec<_> = changes.into_iter().collect();
        let mut state = self.states.last().cloned().unwrap_or_default();
        let hashed: Vec<_> = changes
            .iter()
            .map(|(key, value)| (*key, value.as_ref().map(|value| ValueHash::of(value))))
            .collect();
        let pending = self.tree.apply(self.tree.height(), hashed).unwrap();
        let writes = self.tree.commit(pending).unwrap();
        self.tree.store_mut().write(&writes);
        for (key, value) in changes {
            match value {
                Some(value) => state.insert(key, value),
                None => state.remove(&key),
            };
        }
        self.states.push(state);
        let parent = self.blocks.last();
        let header = BlockHeader {
            protocol: PROTOCOL,
            chain: self.id,
            epoch: Epoch::ZERO,
            height: Height::new(self.blocks.len() as u64),
            view: View::ZERO,
            proposer: ValidatorIndex::new(1),
            offset: 0,
            parent: parent.map_or(BlockId::ZERO, SealedHeader::id),
            parent_commit: parent.map_or_else(
                || CertificateDigest::ZERO,
                |parent| parent.certificate.digest(),
            ),
            parent_view: View::ZERO,
            time_ms: TimeMs::new(time),
            tx_root: merkle::tx_root(&[]),
            tx_count: 0,
            history_root: self.history.root(),
            checkpoint,
        };
        let outcome = Outcome {
            state_root: self.tree.root(),
            receipts_root: merkle::receipts_root(&[]),
            next_validators: genesis().validator_set().digest(),
        };
        let certificate = match self.blocks.is_empty() {
            true => CommitCertificate::genesis(header.digest(), outcome.digest()),
            false => certify(&header, &outcome, QUORUM),
        };
        let sealed = SealedHeader {
            header,
            outcome,
            certificate,
        };
        self.nodes.extend(self.history.append(&sealed.id()));
        self.blocks.push(sealed);
    }

    pub fn evidence(&self, height: u64, key: &StateKey) -> StateEvidence {
        let value = self.states[height as usize].get(key);
        StateEvidence {
            key: *key,
            value: value.map(|value| value.to_vec()),
            proof: self.tree.prove(Height::new(height), key).unwrap(),
            block: self.blocks[height as usize].clone(),
        }
    }

    pub fn proof(&self, height: u64, later: u64) -> HistoryProof {
        let node = |position| Ok::<_, ()>(self.nodes.get(&position).copied());
        HistoryProof::build(Height::new(height), later, node)
            .unwrap()
            .unwrap()
    }

    pub fn history(&self, height: u64, later: u64) -> HistoryEvidence {
        HistoryEvidence {
            block: self.blocks[height as usize].id(),
            proof: self.proof(height, later),
            later: self.blocks[later as usize].clone(),
        }
    }

    pub fn verified(&self, height: u64) -> VerifiedHeader {
        self.blocks[height as usize]
            .verify(self.id, genesis().validator_set(), &Ed25519Verifier)
            .unwrap()
    }
}

/// Main and the side chain of degrees.
pub struct World {
    pub genesis: Genesis,
    pub main: Chain,
    pub side: Chain,
    parameters: ChainParameters,
    nonce: u64,
}

pub fn identity(signing: u8, status: IdentityStatus) -> IdentityRecord {
    IdentityRecord {
        kind: IdentityKind::Citizen,
        registered_height: Height::new(1),
        registered_time: TimeMs::new(START + 1000),
        agency: agency(),
        registrar: Address::of(key(2).public()),
        organisation_code: String::new(),
        attribute_root: AttributeRoot::from_bytes([7; 32]),
        tag: IdentityTag::from_bytes([signing; 32]),
        tag_key_version: 1,
        may_issue: Vec::new(),
        present: IdentityVersion {
            sequence: 0,
            from_height: Height::new(1),
            from_time: TimeMs::new(START + 1000),
            public_key: *key(signing).public().as_bytes(),
            encryption_key: [signing; 32],
            status,
            reason: 0,
            devices: Vec::new(),
        },
    }
}

pub fn record(status: CertificateStatus, holders: &[Address]) -> CertificateRecord {
    CertificateRecord {
        type_name: "degree".into(),
        issuer: agency(),
        serial: 1,
        holders: holders
            .iter()
            .map(|address| HolderRecord {
                address: *address,
                accepted: None,
            })
            .collect(),
        field_root: FieldRoot::from_bytes([5; 32]),
        claim: None,
        issued_height: Height::new(1),
        issued_time: TimeMs::new(START + 2000),
        transaction: TransactionId::from_bytes([6; 32]),
        line: 0,
        valid_from: TimeMs::new(START + 2000),
        valid_until: Some(TimeMs::new(START + 1_000_000)),
        version: 0,
        status,
        status_height: Height::new(1),
        status_time: TimeMs::new(START + 2000),
        reason: 0,
    }
}

pub fn write(key: StateKey, bytes: Vec<u8>) -> (StateKey, Option<Value>) {
    (key, Some(Value::from(bytes)))
}

impl World {
    /// Main: genesis; 1 registers two citizens; 2 is empty. Side: genesis; 1 issues a degree; 2
    /// activates it; 3 to 5 are empty; all stand on main's block 1.
    pub fn new() -> Self {
        Self::with_citizens(0)
    }

    /// The same with so many more accounts and certificates, for proofs of the usual length.
    pub fn with_citizens(more: u64) -> Self {
        let genesis = genesis();
        let creation = CreationRecord::of_genesis(&genesis);
        let id = |side: SideChain| creation.chain_id(&genesis.chain_id(), side.name());
        let mut side = Chain::new(id(SideChain::Degree), []);
        let first = GenesisBlock::main(&genesis).unwrap();
        let named: Vec<_> = SideChain::ALL
            .iter()
            .map(|chain| match chain {
                SideChain::Degree => (*chain, side.blocks[0].id()),
                other => (*other, BlockId::from_bytes([*other as u8 + 1; 32])),
            })
            .collect();
        let mut leaves = first.leaves;
        leaves.extend(side_chain_leaves(&genesis, &named));
        let mut main = Chain::new(genesis.chain_id(), leaves);
        let filler = |n: u64| {
            let mut bytes = [9; 32];
            bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
            bytes
        };
        let active = |seed| identity(seed, IdentityStatus::Active).encode();
        let mut registered = vec![
            write(keys::identity(&holder()), active(3)),
            write(keys::identity(&spouse()), active(4)),
        ];
        registered.extend(
            (0..more).map(|n| write(keys::identity(&Address::from_bytes(filler(n))), active(3))),
        );
        main.push(registered, START + 1000, None);
        main.push([], START + 2000, None);

        let checkpoint = main.checkpoint(1);
        let at = certificate::keys::certificate(&a_certificate());
        let issued = record(CertificateStatus::Issued, &[holder()]).encode();
        let mut changes = vec![write(at, issued.clone())];
        changes.extend((0..more).map(|n| {
            let id = CertificateId::from_bytes(filler(n));
            write(certificate::keys::certificate(&id), issued.clone())
        }));
        side.push(changes, START + 2000, Some(checkpoint));
        let accepted = record(CertificateStatus::Active, &[holder()]).encode();
        side.push([write(at, accepted)], START + 3000, Some(checkpoint));
        for n in 4..7 {
            side.push([], START + 1000 * n, Some(checkpoint));
        }
        Self {
            genesis,
            main,
            side,
            parameters: first.parameters,
            nonce: 0,
        }
    }

    pub fn validators(&self) -> &ValidatorSet {
        self.genesis.validator_set()
    }

    /// What main's next block may know.
    pub fn context(&self) -> BlockContext<'_> {
        BlockContext {
            chain: self.main.id,
            height: self.main.next(),
            time: TimeMs::new(START + 1000 * self.main.next().get()),
            parameters: &self.parameters,
            validators: self.genesis.validator_set(),
            main: None,
            blocks: Some(&self.main),
        }
    }

    pub fn sign(&mut self, kind: Kind, signers: &[&SecretKey]) -> Transaction {
        self.nonce += 1;
        let mut nonce = vec![0; 16];
        nonce[..8].copy_from_slice(&self.nonce.to_le_bytes());
        let body = TransactionBody {
            chain_id: self.main.id.as_bytes().to_vec(),
            nonce,
            valid_until_ms: START + 60_000,
            kind: Some(kind),
        };
        Transaction::from_envelope(sign(&body, signers)).unwrap()
    }

    pub fn execute(&mut self, kind: Kind, signers: &[&SecretKey]) -> Result<Effects, Refusal> {
        let transaction = self.sign(kind, signers);
        match MainApplication.execute(self.main.state(), &self.context(), &transaction) {
            Ok(effects) => {
                let reads = MainApplication.reads(&transaction);
                for (key, _) in &effects.writes {
                    assert!(reads.contains(key), "{key} is written unseen");
                }
                Ok(effects)
            }
            Err(Stop::Refused(refusal)) => Err(refusal),
            Err(Stop::Failed(error)) => panic!("{error}"),
        }
    }

    /// The code that a transaction of the first validator gets.
    pub fn code(&mut self, kind: Kind) -> Code {
        match self.execute(kind, &[&vote_key(0)]) {
            Ok(_) => Code::Ok,
            Err(refusal) => refusal.code(),
        }
    }

    /// Executes it in main's next block.
    pub fn apply(&mut self, kind: Kind) -> Effects {
        let effects = self.execute(kind, &[&vote_key(0)]).unwrap();
        let time = START + 1000 * self.main.next().get();
        self.main.push(effects.writes.clone(), time, None);
        effects
    }

    /// Changes main's state in a block of its own.
    pub fn set(&mut self, key: StateKey, bytes: Vec<u8>) {
        let time = START + 1000 * self.main.next().get();
        self.main.push([write(key, bytes)], time, None);
    }

    /// The anchor of a side block after the anchored one at `last`.
    pub fn anchor(&self, height: u64, last: u64) -> Kind {
        let block = &self.side.blocks[height as usize];
        self.anchor_of(block, last)
    }

    pub fn anchor_of(&self, block: &SealedHeader, last: u64) -> Kind {
        let proof = self.side.proof(last, block.height().get());
        Kind::SubmitAnchor(anchor_message(&self.side.id, block, &proof))
    }

    pub fn side_record(&self) -> SideChainRecord {
        side_chains::read_side_chain(self.main.state(), &self.side.id)
            .unwrap()
            .unwrap()
    }

    /// The parts of a pack: the record at side block `s`, anchored by `a`, proven at main block `m`.
    pub fn parts(&self, s: u64, a: u64, m: u64, link: MainLink) -> PackParts {
        let at = |key: &StateKey| self.main.evidence(m, key);
        let key = certificate::keys::certificate(&a_certificate());
        let evidence = self.side.evidence(s, &key);
        let record = CertificateRecord::decode(evidence.value.as_ref().unwrap()).unwrap();
        PackParts {
            side_chain: "degree".into(),
            certificate: a_certificate(),
            record: evidence,
            anchored: (a != s).then(|| self.side.history(s, a)),
            side_chain_record: at(&side_chains::side_chain(&self.side.id)),
            anchor: at(&side_chains::anchor(&self.side.id, Height::new(a))),
            issuer: at(&keys::identity(&record.issuer)),
            holders: record
                .holders
                .iter()
                .map(|holder| at(&keys::identity(&holder.address)))
                .collect(),
            link,
        }
    }

    /// The commit certificate of a main block, as a pack carries it.
    pub fn certified(&self, m: u64) -> MainLink {
        MainLink::Certificate(self.main.blocks[m as usize].certificate.clone())
    }
}
