//! One degree's life on the network of the vectors: main registers a student and a verifier, the
//! degree chain issues the certificate, has it accepted and checked, and is anchored in main. Every
//! block is made by the chains' own rules.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use certchain_config::{CertificateType, SideChain};
use certchain_ledger::{
    evidence::{HistoryEvidence, SealedHeader, StateEvidence, VerifiedHeader},
    execution::{
        Application, BlockContext, BlockEffects, MainState, ParentSigners, evaluate, run_block,
    },
    genesis::GenesisBlock,
    history::{History, HistoryProof, NodePosition},
    identity::keys as main_keys,
    merkle, side_chains,
    signatures::TransactionVerifier,
    state::{MemoryStore, StateKey, StateTree},
    view::{BlockNames, ReadError, Value},
};
use certchain_proto::{
    BlockHeader, ChainId, Height, Outcome, SealedBlock, SecretKey, TimeMs, ValidatorIndex, View,
    block::{Checkpoint, PROTOCOL},
    certificate::Ed25519Verifier,
    hash::{BlockId, CertificateId, StateRoot, ValueHash},
    transaction::{Transaction, sign},
    wire::v1::{
        self, AcceptCertificate, CertificateDraft, EncryptedFields, IssueBatch, IssueCertificate,
        RecordCheck, RegisterIdentity, TransactionBody, transaction_body::Kind,
    },
};
use certchain_sidechain::{
    anchor::{MainApplication, anchor_message},
    certificate::{self, CertificateApplication, CertificateRecord},
    encryption::{FieldsScope, Sealed},
    fields::CertificateFields,
    network::NetworkGenesis,
    pack::{MainLink, PackParts},
    package::{PresentationPackage, PresentationTerms},
    presentation::Audience,
};

use crate::scenario::{
    AGENCY, Chain, HOLDER, REGISTRAR, START, VOTE, address, certify, genesis, register,
    registration, secret,
};

/// Seeds of the two whose encryption keys the story uses.
pub const STUDENT: u8 = 0x43;
pub const VERIFIER: u8 = 0x44;

/// Their X25519 secrets, one byte repeated; the public halves are checked by opening.
pub const STUDENT_SECRET: [u8; 32] = [0x56; 32];
pub const VERIFIER_SECRET: [u8; 32] = [0x57; 32];

pub const DEGREE: &str = "degree";

pub fn student_key() -> [u8; 32] {
    key_of("dccf9fc001b345c77474e76e1021bde04f7ea0ed8ee61f7f6f1a4e47a5af2f54")
}

pub fn verifier_key() -> [u8; 32] {
    key_of("7d904be3bcab1a910c65ac4b0a2cdd16a846ad8a0ac72db31cc3e47671d30e02")
}

fn key_of(digits: &str) -> [u8; 32] {
    hex::decode(digits).unwrap().try_into().unwrap()
}

fn raw(seed: u8) -> Vec<u8> {
    address(seed).as_bytes().to_vec()
}

/// A chain with its whole past, in memory.
pub struct Past {
    pub id: ChainId,
    application: Box<dyn Application>,
    genesis: GenesisBlock,
    tree: StateTree<MemoryStore>,
    /// After each block.
    states: Vec<HashMap<StateKey, Value>>,
    pub blocks: Vec<SealedHeader>,
    bodies: Vec<Vec<Transaction>>,
    pub effects: Vec<BlockEffects>,
    history: History,
    nodes: BTreeMap<NodePosition, [u8; 32]>,
}

#[derive(Debug)]
struct Names(Vec<(BlockId, StateRoot)>);

impl BlockNames for Names {
    fn block(&self, height: Height) -> Result<Option<(BlockId, StateRoot)>, ReadError> {
        Ok(self.0.get(height.get() as usize).copied())
    }
}

impl Past {
    fn new(genesis: GenesisBlock, application: Box<dyn Application>) -> Self {
        let mut past = Self {
            id: genesis.chain(),
            application,
            tree: StateTree::open(MemoryStore::default(), None, 64).unwrap(),
            states: Vec::new(),
            blocks: Vec::new(),
            bodies: Vec::new(),
            effects: Vec::new(),
            history: History::EMPTY,
            nodes: BTreeMap::new(),
            genesis: genesis.clone(),
        };
        let writes = genesis.leaves.iter();
        past.write(writes.map(|(key, value)| (*key, Some(Arc::clone(value)))));
        assert_eq!(past.tree.root(), genesis.block.outcome.state_root);
        past.seal(genesis.block, Vec::new(), BlockEffects::default());
        past
    }

    fn write(&mut self, changes: impl Iterator<Item = (StateKey, Option<Value>)>) {
        let changes: Vec<_> = changes.collect();
        let hashed = changes
            .iter()
            .map(|(key, value)| (*key, value.as_ref().map(|value| ValueHash::of(value))));
        let pending = self.tree.apply(self.tree.height(), hashed).unwrap();
        let writes = self.tree.commit(pending).unwrap();
        self.tree.store_mut().write(&writes);
        let mut state = self.states.last().cloned().unwrap_or_default();
        for (key, value) in changes {
            match value {
                Some(value) => state.insert(key, value),
                None => state.remove(&key),
            };
        }
        self.states.push(state);
    }

    fn seal(&mut self, block: SealedHeader, body: Vec<Transaction>, effects: BlockEffects) {
        self.nodes.extend(self.history.append(&block.id()));
        self.blocks.push(block);
        self.bodies.push(body);
        self.effects.push(effects);
    }

    fn checkpoint(&self, height: u64) -> Checkpoint {
        let block = &self.blocks[height as usize];
        Checkpoint {
            height: block.height(),
            block: block.id(),
            state_root: block.outcome.state_root,
        }
    }

    /// Makes the next block of transactions that are good alone. Validators 0, 1 and 3 decide it.
    fn push(&mut self, transactions: Vec<Transaction>, time: u64, main: Option<(&Past, u64)>) {
        let names = self.blocks.iter();
        let names = Names(names.map(|b| (b.id(), b.outcome.state_root)).collect());
        let main_state = main.map(|(main, height)| MainState {
            view: &main.states[height as usize],
            checkpoint: main.checkpoint(height),
            time: main.blocks[height as usize].header.time_ms,
        });
        let context = BlockContext {
            chain: self.id,
            height: Height::new(self.blocks.len() as u64),
            time: TimeMs::new(time),
            parameters: &self.genesis.parameters,
            validators: &self.genesis.validators,
            main: main_state,
            blocks: Some(&names),
        };
        let (application, state) = (&*self.application, self.states.last().unwrap());
        let alone = transactions.iter().map(|transaction| {
            assert_eq!(transaction.chain(), self.id);
            evaluate(application, state, &context, transaction)
                .unwrap()
                .unwrap()
        });
        let alone = alone.collect();
        let verified: Vec<_> = TransactionVerifier::default()
            .verify(transactions.clone())
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let parent = &self.blocks.last().unwrap().certificate;
        let parent = ParentSigners::of(parent, &self.genesis.validators);
        let effects = run_block(application, state, &context, &verified, alone, &parent);
        let effects = effects.unwrap();
        let witnesses: Vec<_> = transactions.iter().map(Transaction::witness_id).collect();
        let receipts: Vec<_> = effects.receipts.iter().map(|r| r.hash()).collect();
        let parent = self.blocks.last().unwrap();
        let header = BlockHeader {
            protocol: PROTOCOL,
            chain: self.id,
            epoch: self.genesis.validators.epoch(),
            height: context.height,
            view: View::ZERO,
            proposer: ValidatorIndex::ZERO,
            offset: 0,
            parent: parent.id(),
            parent_commit: parent.certificate.digest(),
            parent_view: parent.certificate.view,
            time_ms: context.time,
            tx_root: merkle::tx_root(&witnesses),
            tx_count: witnesses.len() as u32,
            history_root: self.history.root(),
            checkpoint: main_state.map(|main| main.checkpoint),
        };
        let next_validators = self.genesis.validators.digest();
        self.write(effects.writes.clone().into_iter());
        let outcome = Outcome {
            state_root: self.tree.root(),
            receipts_root: merkle::receipts_root(&receipts),
            next_validators,
        };
        let certificate = certify(&header, &outcome, View::ZERO, &[0, 1, 3]);
        let sealed = SealedHeader {
            header,
            outcome,
            certificate,
        };
        self.seal(sealed, transactions, effects);
    }

    pub fn sealed_block(&self, height: u64) -> SealedBlock {
        let (at, block) = (height as usize, &self.blocks[height as usize]);
        SealedBlock {
            header: block.header.clone(),
            parent_certificate: self.blocks[at - 1].certificate.clone(),
            transactions: self.bodies[at]
                .iter()
                .map(|transaction| transaction.encoded().to_vec())
                .collect(),
            outcome: block.outcome.clone(),
            commit_certificate: block.certificate.clone(),
        }
    }

    pub fn value(&self, height: u64, key: &StateKey) -> Value {
        Arc::clone(&self.states[height as usize][key])
    }

    fn evidence(&self, height: u64, key: &StateKey) -> StateEvidence {
        StateEvidence {
            key: *key,
            value: Some(self.value(height, key).to_vec()),
            proof: self.tree.prove(Height::new(height), key).unwrap(),
            block: self.blocks[height as usize].clone(),
        }
    }

    pub fn history(&self, height: u64, later: u64) -> HistoryProof {
        let node = |position| Ok::<_, ()>(self.nodes.get(&position).copied());
        HistoryProof::build(Height::new(height), later, node)
            .unwrap()
            .unwrap()
    }

    pub fn verified(&self, height: u64) -> VerifiedHeader {
        self.blocks[height as usize]
            .verify(self.id, &self.genesis.validators, &Ed25519Verifier)
            .unwrap()
    }
}

/// Both chains, and what the parties know.
pub struct Story {
    pub main: Past,
    pub side: Past,
    pub fields: CertificateFields,
    pub certificate: CertificateId,
    pub sealed: Sealed,
    pub package: PresentationPackage,
}

/// Random bytes of the one ciphertext.
pub const ENTROPY: [u8; 32] = [0x58; 32];
/// Random bytes of the draft.
pub const DRAFT_NONCE: [u8; 16] = [0x62; 16];

pub fn degree_type() -> CertificateType {
    let catalogue = genesis().catalogue.clone();
    let found = catalogue.into_iter().find(|t| t.name.as_str() == DEGREE);
    found.unwrap()
}

pub fn degree_fields() -> CertificateFields {
    let values = [
        ("awarded", "2026-06-30"),
        ("subject", "电工 Électrotechnique"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    CertificateFields::new(&degree_type(), &values, &[[0x71; 32], [0x72; 32]]).unwrap()
}

const fn scope(chain: ChainId, certificate: CertificateId) -> FieldsScope {
    FieldsScope {
        chain,
        certificate,
        version: 0,
    }
}

/// What the student signs for the verifier.
pub fn terms(chain: ChainId, certificate: CertificateId) -> PresentationTerms {
    PresentationTerms {
        chain,
        certificate,
        holder: address(STUDENT),
        audience: Audience::Verifier(address(VERIFIER)),
        challenge: b"gate 7".to_vec(),
        nonce: [0x64; 16],
        expires: TimeMs::new(START + 300_000),
    }
}

fn identity(seed: u8, kind: v1::IdentityKind, encryption_key: [u8; 32]) -> RegisterIdentity {
    let is_verifier = kind == v1::IdentityKind::Verifier;
    RegisterIdentity {
        kind: kind as i32,
        public_key: secret(seed).public().as_bytes().to_vec(),
        encryption_key: encryption_key.to_vec(),
        tag: vec![seed; 32],
        organisation_code: if is_verifier { "GATE-7" } else { "" }.to_owned(),
        ..register()
    }
}

fn signed_on(chain: ChainId, nonce: u8, kind: Kind, signers: &[u8]) -> Transaction {
    let keys: Vec<SecretKey> = signers.iter().map(|seed| secret(*seed)).collect();
    let keys: Vec<&SecretKey> = keys.iter().collect();
    let body = TransactionBody {
        chain_id: chain.as_bytes().to_vec(),
        nonce: vec![nonce; 16],
        valid_until_ms: START + 600_000,
        kind: Some(kind),
    };
    Transaction::from_envelope(sign(&body, &keys)).unwrap()
}

impl Story {
    /// Main: 1 registers the vectors' holder; 2 the student and the verifier; 3 anchors side block
    /// 3; 4 is empty. Side: 1 issues the degree; 2 activates it; 3 checks it and issues a batch.
    pub fn new() -> Self {
        let first = NetworkGenesis::new(&genesis()).unwrap();
        let degrees = first.side(SideChain::Degree).unwrap().clone();
        let mut main = Past::new(first.main, Box::new(MainApplication));
        main.push(vec![registration()], START + 1_000, None);
        assert_eq!(main.blocks[1].outcome, Chain::new().outcome);
        let citizen = identity(STUDENT, v1::IdentityKind::Citizen, student_key());
        let verifier = identity(VERIFIER, v1::IdentityKind::Verifier, verifier_key());
        let registered = [(STUDENT, citizen), (VERIFIER, verifier)].map(|(seed, message)| {
            let kind = Kind::RegisterIdentity(message);
            signed_on(main.id, seed, kind, &[AGENCY, REGISTRAR, seed])
        });
        main.push(registered.to_vec(), START + 2_000, None);

        let application = CertificateApplication::new(SideChain::Degree);
        let mut side = Past::new(degrees, Box::new(application));
        let fields = degree_fields();
        let (id, root) = (side.id, fields.root());
        let certificate = CertificateId::of(&id, &address(AGENCY), DEGREE, &root, &DRAFT_NONCE);
        let plaintext = fields.to_plaintext();
        let scope = scope(id, certificate);
        let sealed = scope.seal(&student_key(), &plaintext, &ENTROPY).unwrap();
        let (wire, kept) = sealed.clone().into_wire();
        assert_eq!(kept, None);
        let draft = CertificateDraft {
            r#type: DEGREE.to_owned(),
            holders: vec![raw(STUDENT)],
            field_root: root.as_bytes().to_vec(),
            nonce: DRAFT_NONCE.to_vec(),
            valid_until_ms: START + 1_000_000_000,
            encrypted: vec![wire.clone()],
            ..CertificateDraft::default()
        };
        let issue = Kind::IssueCertificate(IssueCertificate {
            issuer: raw(AGENCY),
            certificate: Some(draft.clone()),
            holders_sign: false,
        });
        let issue = signed_on(id, 0x65, issue, &[AGENCY]);
        side.push(vec![issue], START + 3_000, Some((&main, 2)));
        let accept = Kind::AcceptCertificate(AcceptCertificate {
            certificate: certificate.as_bytes().to_vec(),
            holder: raw(STUDENT),
        });
        let accept = signed_on(id, 0x66, accept, &[STUDENT]);
        side.push(vec![accept], START + 4_000, Some((&main, 2)));

        let terms = terms(id, certificate);
        let package =
            PresentationPackage::build(&fields, &["subject"], &terms, &secret(STUDENT)).unwrap();
        let check = Kind::RecordCheck(RecordCheck {
            verifier: raw(VERIFIER),
            presentation: package.signed().encoded().to_vec(),
            holder_signature: package.signed().signature().to_bytes().to_vec(),
            purpose: 3,
        });
        let batch = Kind::IssueBatch(IssueBatch {
            issuer: raw(AGENCY),
            certificates: batch(&draft, wire),
        });
        let third = vec![
            signed_on(id, 0x67, check, &[VERIFIER]),
            signed_on(id, 0x68, batch, &[AGENCY]),
        ];
        side.push(third, START + 5_000, Some((&main, 2)));

        let anchor = anchor_message(&id, &side.blocks[3], &side.history(0, 3));
        let anchor = signed_on(main.id, 0x69, Kind::SubmitAnchor(anchor), &[VOTE[1]]);
        main.push(vec![anchor], START + 6_000, None);
        main.push(Vec::new(), START + 26_000, None);
        Self {
            main,
            side,
            fields,
            certificate,
            sealed,
            package,
        }
    }

    /// What the fields are encrypted for.
    pub fn scope(&self) -> FieldsScope {
        scope(self.side.id, self.certificate)
    }

    /// The parts of a pack: the record at side block `s`, anchored by block 3, proven at main
    /// block `m`.
    pub fn parts(&self, s: u64, m: u64, link: MainLink) -> PackParts {
        let at = |key: &StateKey| self.main.evidence(m, key);
        let key = certificate::keys::certificate(&self.certificate);
        let record = CertificateRecord::decode(&self.side.value(s, &key)).unwrap();
        PackParts {
            side_chain: DEGREE.to_owned(),
            certificate: self.certificate,
            record: self.side.evidence(s, &key),
            anchored: (s != 3).then(|| HistoryEvidence {
                block: self.side.blocks[s as usize].id(),
                proof: self.side.history(s, 3),
                later: self.side.blocks[3].clone(),
            }),
            side_chain_record: at(&side_chains::side_chain(&self.side.id)),
            anchor: at(&side_chains::anchor(&self.side.id, Height::new(3))),
            issuer: at(&main_keys::identity(&record.issuer)),
            holders: record
                .holders
                .iter()
                .map(|holder| at(&main_keys::identity(&holder.address)))
                .collect(),
            link,
        }
    }
}

/// Three lines: one that stands, one to a holder with another key, one whose form is wrong.
fn batch(draft: &CertificateDraft, wire: EncryptedFields) -> Vec<CertificateDraft> {
    let other = CertificateDraft {
        nonce: vec![0x63; 16],
        ..draft.clone()
    };
    let wrong_key = CertificateDraft {
        holders: vec![raw(HOLDER)],
        encrypted: vec![wire],
        nonce: vec![0x6a; 16],
        ..draft.clone()
    };
    let malformed = CertificateDraft {
        holders: Vec::new(),
        ..draft.clone()
    };
    vec![other, wrong_key, malformed]
}
