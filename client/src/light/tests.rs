//! A small chain made by hand, with real keys, proofs and certificates.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod answers;
mod governance;
mod sets;

use std::collections::BTreeMap;

use certchain_config::{
    GenesisAgency, GenesisContent, GenesisRegistrar, GenesisValidator, Limits, Name,
    OrganisationCode, Timers, Title,
};
use certchain_ledger::{
    history::{History, HistoryProof, NodePosition},
    identity::{IdentityKind, IdentityRecord, IdentityStatus},
    state::{MemoryStore, StateTree},
};
use certchain_proto::{
    BlockHeader, CommitCertificate, Epoch, Outcome, SecretKey, TimeMs, ValidatorIndex, View,
    block::PROTOCOL,
    certificate::IndexedSignature,
    hash::{AttributeRoot, IdentityTag, ValueHash},
    transaction::sign,
};
use prost::Message as _;

use super::*;
use crate::transaction::{Terms, rotate_key};

const START: u64 = 1_700_000_000_000;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn genesis(validators: u8) -> Genesis {
    let code = |text: &str| OrganisationCode::parse(text).unwrap();
    Genesis::new(GenesisContent {
        protocol: PROTOCOL,
        network: Name::parse("test").unwrap(),
        time_ms: TimeMs::new(START),
        validators: (0..validators)
            .map(|n| GenesisValidator {
                name: Name::parse(&format!("node{n}")).unwrap(),
                organisation_code: code(&format!("NODE-{n}")),
                vote_key: key(100 + n).public().clone(),
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
            name: Title::parse("Civil Affairs").unwrap(),
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

struct Block {
    sealed: SealedHeader,
    transactions: Vec<Transaction>,
    receipts: Vec<Receipt>,
}

struct World {
    light: LightClient,
    tree: StateTree<MemoryStore>,
    values: BTreeMap<StateKey, Vec<u8>>,
    blocks: Vec<Block>,
    history: History,
    nodes: BTreeMap<NodePosition, [u8; 32]>,
    /// Who decides the next block, and the seeds of their keys.
    set: ValidatorSet,
    seeds: Vec<u8>,
}

fn holder() -> Address {
    Address::of(key(3).public())
}

fn record(from: u64, sequence: u32, signing: u8) -> IdentityRecord {
    IdentityRecord {
        kind: IdentityKind::Citizen,
        registered_height: Height::new(1),
        registered_time: TimeMs::new(START + 1000),
        agency: Address::of(key(1).public()),
        registrar: Address::of(key(2).public()),
        organisation_code: String::new(),
        attribute_root: AttributeRoot::from_bytes([7; 32]),
        tag: IdentityTag::from_bytes([8; 32]),
        tag_key_version: 1,
        may_issue: Vec::new(),
        present: IdentityVersion {
            sequence,
            from_height: Height::new(from),
            from_time: TimeMs::new(START + 1000 * from),
            public_key: *key(signing).public().as_bytes(),
            encryption_key: [signing; 32],
            status: IdentityStatus::Active,
            reason: 0,
            devices: Vec::new(),
        },
    }
}

impl World {
    /// Genesis; block 1 registers the holder; block 2 rotates its key; blocks 3 and 4 are empty.
    fn new() -> Self {
        let genesis = genesis(4);
        let light = LightClient::new(&genesis).unwrap();
        let mut world = Self {
            tree: StateTree::open(MemoryStore::default(), None, 16).unwrap(),
            values: BTreeMap::new(),
            blocks: Vec::new(),
            history: History::EMPTY,
            nodes: BTreeMap::new(),
            set: light.validators().clone(),
            seeds: (100..104).collect(),
            light,
        };
        let first = NetworkGenesis::new(&genesis).unwrap().main;
        world.update(
            first
                .leaves
                .iter()
                .map(|(key, value)| (*key, value.to_vec()))
                .collect(),
        );
        world.append(Block {
            sealed: first.block,
            transactions: vec![],
            receipts: vec![],
        });
        world.push(
            vec![(keys::identity(&holder()), record(1, 0, 3).encode())],
            3,
        );
        let past = PastVersion {
            version: record(1, 0, 3).present,
            until_height: Height::new(2),
        };
        let leaves = vec![
            (keys::identity(&holder()), record(2, 1, 4).encode()),
            (keys::past(&holder(), 0), past.encode()),
        ];
        world.push(leaves, 1);
        world.push(vec![], 0);
        world.push(vec![], 0);
        world
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

    fn append(&mut self, block: Block) {
        self.nodes.extend(self.history.append(&block.sealed.id()));
        self.blocks.push(block);
    }

    fn push(&mut self, leaves: Vec<(StateKey, Vec<u8>)>, transactions: u8) {
        let next = self.set.clone();
        self.push_before(leaves, transactions, &next);
    }

    /// A block of the present validators, after which others decide.
    fn push_before(
        &mut self,
        leaves: Vec<(StateKey, Vec<u8>)>,
        transactions: u8,
        next: &ValidatorSet,
    ) {
        let height = self.blocks.len() as u64;
        let terms = Terms {
            chain: self.light.chain,
            valid_until: TimeMs::new(START + 3_600_000),
        };
        let transactions: Vec<Transaction> = (0..transactions)
            .map(|n| {
                let kind = rotate_key(holder(), key(50 + n).public(), &[9; 32]);
                let body = terms.body(kind).unwrap();
                Transaction::from_envelope(sign(&body, &[&key(3), &key(50 + n)])).unwrap()
            })
            .collect();
        let receipts: Vec<Receipt> = transactions
            .iter()
            .map(|t| Receipt::executed(t.id(), Some(*holder().as_bytes())))
            .collect();
        self.update(leaves);
        let ids: Vec<_> = transactions.iter().map(Transaction::witness_id).collect();
        let hashes: Vec<_> = receipts.iter().map(Receipt::hash).collect();
        let parent = &self.blocks.last().unwrap().sealed;
        let header = BlockHeader {
            protocol: PROTOCOL,
            chain: self.light.chain,
            epoch: self.set.epoch(),
            height: Height::new(height),
            view: View::ZERO,
            proposer: ValidatorIndex::new(1),
            offset: 0,
            parent: parent.id(),
            parent_commit: parent.certificate.digest(),
            parent_view: View::ZERO,
            time_ms: TimeMs::new(START + 1000 * height),
            tx_root: merkle::tx_root(&ids),
            tx_count: ids.len() as u32,
            history_root: self.history.root(),
            checkpoint: None,
        };
        let outcome = Outcome {
            state_root: self.tree.root(),
            receipts_root: merkle::receipts_root(&hashes),
            next_validators: next.digest(),
        };
        let certificate = certify_by(&self.seeds, &header, &outcome, &[0, 1, 3]);
        self.append(Block {
            sealed: SealedHeader {
                header,
                outcome,
                certificate,
            },
            transactions,
            receipts,
        });
    }

    fn wire(&self, height: usize) -> v1::BlockHeader {
        (&self.blocks[height].sealed).into()
    }

    fn evidence(&self, height: u64, key: &StateKey) -> StateEvidence {
        StateEvidence {
            key: *key,
            value: self.values.get(key).cloned(),
            proof: self.tree.prove(Height::new(height), key).unwrap(),
            block: self.blocks[height as usize].sealed.clone(),
        }
    }

    fn state(&self, height: u64, key: &StateKey) -> v1::GetStateProofResponse {
        (&self.evidence(height, key)).into()
    }

    fn present_identity(&self) -> v1::GetIdentityResponse {
        let record = record(2, 1, 4);
        let at = IdentityAt {
            address: holder(),
            version: record.present.clone(),
            record,
            until_height: None,
            key: keys::identity(&holder()),
        };
        v1::GetIdentityResponse {
            identity: Some((&at).into()),
            height: 4,
            evidence: Some((&self.evidence(4, &at.key)).into()),
            present: None,
            recovery: None,
        }
    }

    fn past_identity(&self) -> v1::GetIdentityResponse {
        let at = IdentityAt {
            address: holder(),
            version: record(1, 0, 3).present,
            record: record(2, 1, 4),
            until_height: Some(Height::new(2)),
            key: keys::past(&holder(), 0),
        };
        v1::GetIdentityResponse {
            identity: Some((&at).into()),
            height: 1,
            evidence: Some((&self.evidence(4, &at.key)).into()),
            present: Some((&self.evidence(4, &keys::identity(&holder()))).into()),
            recovery: None,
        }
    }

    fn transaction(&self, height: usize, index: u32) -> v1::GetTransactionResponse {
        let block = &self.blocks[height];
        let ids: Vec<_> = block
            .transactions
            .iter()
            .map(Transaction::witness_id)
            .collect();
        let hashes: Vec<_> = block.receipts.iter().map(Receipt::hash).collect();
        let transaction = &block.transactions[index as usize];
        v1::GetTransactionResponse {
            transaction: Some(v1::SignedTransaction::decode(transaction.encoded()).unwrap()),
            receipt: Some(self.receipt(height, index)),
            transaction_proof: Some((&merkle::prove_transaction(&ids, index).unwrap()).into()),
            receipt_proof: Some((&merkle::prove_receipt(&hashes, index).unwrap()).into()),
            block: Some(self.wire(height)),
        }
    }

    fn receipt(&self, height: usize, index: u32) -> v1::Receipt {
        let block = &self.blocks[height];
        let located = LocatedReceipt {
            height: Height::new(height as u64),
            index,
            block: block.sealed.id(),
            receipt: block.receipts[index as usize],
        };
        (&located).into()
    }

    fn block(&self, height: usize) -> v1::Block {
        let block = &self.blocks[height];
        let decode = |t: &Transaction| v1::SignedTransaction::decode(t.encoded()).unwrap();
        v1::Block {
            header: Some(self.wire(height)),
            transactions: block.transactions.iter().map(decode).collect(),
            receipts: (0..block.receipts.len() as u32)
                .map(|i| self.receipt(height, i))
                .collect(),
        }
    }

    fn history(&self, height: u64, later: usize) -> v1::GetHistoryProofResponse {
        let node = |position| Ok::<_, ()>(self.nodes.get(&position).copied());
        let proof = HistoryProof::build(Height::new(height), later as u64, node);
        let evidence = HistoryEvidence {
            block: self.blocks[height as usize].sealed.id(),
            proof: proof.unwrap().unwrap(),
            later: self.blocks[later].sealed.clone(),
        };
        (&evidence).into()
    }
}

/// The votes of these members of genesis.
fn certify(header: &BlockHeader, outcome: &Outcome, signers: &[u8]) -> CommitCertificate {
    let seeds: Vec<u8> = (100..110).collect();
    certify_by(&seeds, header, outcome, signers)
}

/// The votes of these members of a set whose keys have these seeds.
fn certify_by(
    seeds: &[u8],
    header: &BlockHeader,
    outcome: &Outcome,
    signers: &[u8],
) -> CommitCertificate {
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
            validator: ValidatorIndex::new((*n).into()),
            signature: key(seeds[usize::from(*n)]).sign(&message),
        })
        .collect();
    certificate
}
