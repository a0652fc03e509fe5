//! What one block costs on its way through the ledger, stage by stage, on a real database; and how
//! fast the audit replays it all. Stages are measured in processor time of this thread (Linux), so
//! that other work on the machine does not count. Arguments: blocks, transactions per block.
//!
//! `cargo run -p certchain-ledger --example block_path -- 40 1000`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

use std::{sync::Arc, time::Instant};

use certchain_config::{
    Genesis, GenesisAgency, GenesisContent, GenesisRegistrar, GenesisValidator, Limits, Name,
    OrganisationCode, Timers, Title,
};
use certchain_ledger::{
    audit::{self, AuditOptions, AuditRules},
    chain::{Chain, ChainOptions, ChainRules},
    genesis::GenesisBlock,
    identity::IdentityApplication,
    mempool::Mempool,
    signatures::TransactionVerifier,
    store::{Store, StoreOptions},
};
use certchain_proto::{
    Address, BlockHeader, CommitCertificate, CommitVote, Outcome, SecretKey, TimeMs,
    ValidatorIndex, View,
    block::PROTOCOL,
    certificate::IndexedSignature,
    transaction::{Transaction, sign},
    wire::v1::{IdentityKind, RegisterIdentity, TransactionBody, transaction_body::Kind},
};

const START: u64 = 1_700_000_000_000;

fn bytes(purpose: u8, number: u64) -> [u8; 32] {
    let mut seed = [purpose; 16];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    let mut bytes = *blake3::hash(&seed).as_bytes();
    bytes[31] &= 0x3f;
    bytes
}

fn secret(purpose: u8, number: u64) -> SecretKey {
    SecretKey::from_seed(&bytes(purpose, number))
}

struct Keys {
    agency: SecretKey,
    registrar: SecretKey,
    validators: Vec<SecretKey>,
}

fn genesis(keys: &Keys) -> Genesis {
    let code = |text: &str| OrganisationCode::parse(text).unwrap();
    let validators = keys
        .validators
        .iter()
        .enumerate()
        .map(|(n, key)| GenesisValidator {
            name: Name::parse(&format!("n{n}")).unwrap(),
            organisation_code: code(&format!("N{n}")),
            vote_key: key.public().clone(),
            network_key: secret(9, n as u64).public().clone(),
        });
    Genesis::new(GenesisContent {
        protocol: PROTOCOL,
        network: Name::parse("bench").unwrap(),
        time_ms: TimeMs::new(START),
        validators: validators.collect(),
        registrars: vec![GenesisRegistrar {
            name: Title::parse("Centre").unwrap(),
            organisation_code: code("CENTRE"),
            public_key: keys.registrar.public().clone(),
            encryption_key: bytes(10, 0),
        }],
        agencies: vec![GenesisAgency {
            name: Title::parse("Agency").unwrap(),
            organisation_code: code("AGENCY"),
            public_key: keys.agency.public().clone(),
            encryption_key: bytes(10, 1),
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

fn registration(keys: &Keys, chain: &Chain, n: u64) -> Vec<u8> {
    let holder = secret(4, n);
    let address = |key: &SecretKey| Address::of(key.public()).as_bytes().to_vec();
    let body = TransactionBody {
        chain_id: chain.id().as_bytes().to_vec(),
        nonce: bytes(5, n)[..16].to_vec(),
        valid_until_ms: START + 600_000,
        kind: Some(Kind::RegisterIdentity(RegisterIdentity {
            kind: IdentityKind::Citizen as i32,
            public_key: holder.public().as_bytes().to_vec(),
            encryption_key: bytes(6, n).to_vec(),
            attribute_root: bytes(7, n).to_vec(),
            tag: bytes(8, n).to_vec(),
            tag_key_version: 1,
            agency: address(&keys.agency),
            registrar: address(&keys.registrar),
            organisation_code: String::new(),
        })),
    };
    let signed = sign(&body, &[&keys.agency, &keys.registrar, &holder]);
    Transaction::from_envelope(signed).unwrap().into_encoded()
}

fn certify(keys: &Keys, header: &BlockHeader, outcome: &Outcome) -> CommitCertificate {
    let vote = CommitVote {
        chain: header.chain,
        epoch: header.epoch,
        height: header.height,
        view: header.view,
        header: header.digest(),
        outcome: outcome.digest(),
    };
    let hash = vote.signing_hash();
    let signatures = keys
        .validators
        .iter()
        .enumerate()
        .map(|(n, key)| IndexedSignature {
            validator: ValidatorIndex::new(n as u16),
            signature: key.sign(&hash),
        });
    CommitCertificate {
        epoch: vote.epoch,
        height: vote.height,
        view: vote.view,
        header: vote.header,
        outcome: vote.outcome,
        signatures: signatures.collect(),
    }
}

/// Seconds that this thread has had a processor.
fn processor_time() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() * 1e-9
}

fn main() {
    let numbers: Vec<u64> = std::env::args()
        .skip(1)
        .map(|n| n.parse().unwrap())
        .collect();
    let (blocks, per_block) = match numbers[..] {
        [blocks, per_block] => (blocks, per_block),
        _ => (20, 1_000),
    };
    let keys = Keys {
        agency: secret(1, 0),
        registrar: secret(2, 0),
        validators: (0..4).map(|n| secret(3, n)).collect(),
    };
    let genesis = GenesisBlock::main(&genesis(&keys)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &StoreOptions::default()).unwrap();
    let chain = Chain::open(
        store,
        "main",
        &genesis,
        ChainRules::main(IdentityApplication),
        ChainOptions::default(),
    )
    .unwrap();
    let verifier = TransactionVerifier::default();
    let mut mempool = Mempool::new(&chain.head().parameters, Arc::new(IdentityApplication));

    const STAGES: [&str; 9] = [
        "decode", "verify", "admit", "pool", "draft", "check", "body", "execute", "commit",
    ];
    let mut spent = [0f64; STAGES.len()];
    for block in 0..blocks {
        let encoded: Vec<Vec<u8>> = (block * per_block..(block + 1) * per_block)
            .map(|n| registration(&keys, &chain, n))
            .collect();
        let mut stage = 0;
        let mut watch = processor_time();
        let mut lap = || {
            spent[stage] += processor_time() - watch;
            stage += 1;
            watch = processor_time();
        };
        let decoded = encoded
            .iter()
            .map(|e| Transaction::decode(e).unwrap())
            .collect();
        lap();
        let verified: Vec<_> = verifier
            .verify(decoded)
            .into_iter()
            .map(|answer| answer.unwrap())
            .collect();
        lap();
        let now = TimeMs::new(START + 1_000 * (block + 1));
        assert!(
            chain
                .admit_many(&verified, now)
                .unwrap()
                .iter()
                .all(Result::is_ok)
        );
        lap();
        for transaction in verified {
            mempool.insert(transaction).unwrap();
        }
        let chosen = mempool.select(4 << 20, per_block as usize, now);
        lap();
        let draft = chain.draft(chosen, now).unwrap();
        lap();
        let head = chain.head();
        let offset = head.next_offset();
        let header = BlockHeader {
            protocol: PROTOCOL,
            chain: chain.id(),
            epoch: head.validators.epoch(),
            height: head.height().next(),
            view: View::ZERO,
            proposer: ValidatorIndex::new((offset % 4) as u16),
            offset,
            parent: head.id,
            parent_commit: head.certificate.digest(),
            parent_view: head.certificate.view,
            time_ms: draft.time,
            tx_root: draft.tx_root,
            tx_count: draft.transactions.len() as u32,
            history_root: draft.history_root,
            checkpoint: None,
        };
        // As a voter that has not drafted it.
        chain.draft(Vec::new(), now).unwrap();
        let certificate = head.certificate.clone();
        let checked = chain
            .check_block(header, certificate, draft.transactions)
            .unwrap();
        lap();
        chain.store_body(&checked).unwrap();
        lap();
        let executed = chain.execute(checked).unwrap();
        lap();
        let certificate = certify(&keys, executed.header(), executed.outcome());
        let committed = chain.commit(executed, certificate).unwrap();
        assert!(committed.receipts.iter().all(|receipt| receipt.is_ok()));
        lap();
        mempool.remove(
            committed
                .receipts
                .iter()
                .map(|receipt| &receipt.transaction),
        );
    }
    let count = (blocks * per_block) as f64;
    for (name, seconds) in STAGES.iter().zip(spent) {
        println!("{name:8} {:7.2} us per transaction", seconds * 1e6 / count);
    }
    println!(
        "{:8} {:7.2} us per transaction",
        "all",
        spent.iter().sum::<f64>() * 1e6 / count
    );
    println!("tree: {:?}", chain.metrics());
    drop(chain);
    let size: u64 = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    println!("disk: {:.0} bytes per transaction", size as f64 / count);
    let started = Instant::now();
    let report = audit::run(
        folder.path(),
        "main",
        &genesis,
        AuditRules::main(&IdentityApplication),
        AuditOptions::default(),
        &mut |_| (),
    );
    assert!(report.holds(), "{report:?}");
    println!(
        "audit: {:.0} transactions/s",
        count / started.elapsed().as_secs_f64()
    );
}
