//! A side chain on main in one database, block by block: which checkpoints it may name, what runs
//! when main is old, and what an audit says of a copy from which an anchor was dropped or in which an
//! identity was altered.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "side_chains/accreditation.rs"]
mod accreditation;

use std::{path::Path, sync::Arc};

use certchain_config::{
    CertificateType, Field, FieldKind, Genesis, GenesisAgency, GenesisContent, GenesisRegistrar,
    GenesisValidator, Limits, Name, OrganisationCode, SideChain, Timers, Title,
};
use certchain_ledger::{
    audit::{self, AnchorReport, AuditOptions, AuditReport, AuditRules},
    chain::{BlockError, Chain, ChainOptions, ChainRules, Draft},
    identity,
    side_chains::{self, SideChainRecord},
    signatures::{TransactionVerifier, VerifiedTransaction},
    store::{Store, StoreOptions},
};
use certchain_proto::{
    Address, BlockHeader, ChainId, CommitCertificate, CommitVote, Height, Outcome, SecretKey,
    TimeMs, ValidatorIndex, View,
    block::{Checkpoint, PROTOCOL},
    certificate::IndexedSignature,
    hash::{BlockId, StateRoot},
    transaction::{Transaction, sign},
    wire::v1::{
        AcceptCertificate, Code, RevokeCertificate, SignedTransaction, TransactionBody,
        transaction_body::Kind,
    },
};
use certchain_sidechain::{
    anchor::{MainApplication, anchor_message},
    certificate::CertificateApplication,
    network::NetworkGenesis,
};
use rocksdb::{DB, IteratorMode, Options};
use tempfile::TempDir;

const START: TimeMs = TimeMs::new(1_760_000_000_000);

fn secret(purpose: u8) -> SecretKey {
    SecretKey::from_seed(&[purpose; 32])
}

/// An X25519 key that can be encrypted to.
fn encryption_key(first: u8) -> [u8; 32] {
    let mut key = [7; 32];
    key[0] = first;
    key
}

/// A network of one validator, so that its signature alone is a quorum.
fn genesis() -> Genesis {
    let code = |text: &str| OrganisationCode::parse(text).unwrap();
    let title = |text: &str| Title::parse(text).unwrap();
    Genesis::new(GenesisContent {
        protocol: PROTOCOL,
        network: Name::parse("test").unwrap(),
        time_ms: START,
        validators: vec![GenesisValidator {
            name: Name::parse("only").unwrap(),
            organisation_code: code("ONLY"),
            vote_key: secret(1).public().clone(),
            network_key: secret(2).public().clone(),
        }],
        registrars: vec![GenesisRegistrar {
            name: title("Centre"),
            organisation_code: code("CENTRE"),
            public_key: secret(3).public().clone(),
            encryption_key: encryption_key(1),
        }],
        agencies: vec![GenesisAgency {
            name: title("School"),
            organisation_code: code("SCHOOL"),
            public_key: secret(4).public().clone(),
            encryption_key: encryption_key(2),
            may_issue: Vec::new(),
        }],
        catalogue: vec![CertificateType {
            chain: SideChain::Degree,
            name: Name::parse("degree").unwrap(),
            title: title("Degree"),
            validity_days: None,
            fields: vec![Field {
                name: Name::parse("subject").unwrap(),
                title: title("Subject"),
                kind: FieldKind::Text,
                max_bytes: 100,
                required: true,
            }],
        }],
        limits: Limits::default(),
        timers: Timers::default(),
        tag_key_version: 1,
        governance: certchain_config::Governance::default(),
    })
    .unwrap()
}

/// Main and one side chain on disk.
struct Node {
    folder: TempDir,
    genesis: Genesis,
    blocks: NetworkGenesis,
    main: Arc<Chain>,
    side: Chain,
}

fn header(chain: &Chain, draft: &Draft) -> BlockHeader {
    let head = chain.head();
    BlockHeader {
        protocol: PROTOCOL,
        chain: chain.id(),
        epoch: head.validators.epoch(),
        height: head.height().next(),
        view: View::ZERO,
        proposer: ValidatorIndex::ZERO,
        offset: head.next_offset(),
        parent: head.id,
        parent_commit: head.certificate.digest(),
        parent_view: head.certificate.view,
        time_ms: draft.time,
        tx_root: draft.tx_root,
        tx_count: u32::try_from(draft.transactions.len()).unwrap(),
        history_root: draft.history_root,
        checkpoint: draft.checkpoint,
    }
}

fn certify(header: &BlockHeader, outcome: &Outcome) -> CommitCertificate {
    let vote = CommitVote {
        chain: header.chain,
        epoch: header.epoch,
        height: header.height,
        view: header.view,
        header: header.digest(),
        outcome: outcome.digest(),
    };
    CommitCertificate {
        epoch: header.epoch,
        height: header.height,
        view: header.view,
        header: vote.header,
        outcome: vote.outcome,
        signatures: vec![IndexedSignature {
            validator: ValidatorIndex::ZERO,
            signature: secret(1).sign(&vote.signing_hash()),
        }],
    }
}

fn verified(transaction: SignedTransaction) -> VerifiedTransaction {
    let transaction = Transaction::from_envelope(transaction).unwrap();
    let mut all = TransactionVerifier::default().verify(vec![transaction]);
    all.pop().unwrap().unwrap()
}

fn signed(chain: ChainId, kind: Kind, until: TimeMs, key: &SecretKey) -> VerifiedTransaction {
    let body = TransactionBody {
        chain_id: chain.as_bytes().to_vec(),
        nonce: vec![9; 16],
        valid_until_ms: until.get(),
        kind: Some(kind),
    };
    verified(sign(&body, &[key]))
}

/// Time of an empty block: its heartbeat is due.
fn due(chain: &Chain) -> TimeMs {
    let head = chain.head();
    head.time()
        .saturating_add(head.parameters.timers.heartbeat_ms)
}

fn commit(chain: &Chain, transactions: Vec<VerifiedTransaction>, time: TimeMs) {
    let draft = chain.draft(transactions, time).unwrap();
    assert!(draft.refused.is_empty(), "{:?}", draft.refused);
    let header = header(chain, &draft);
    let parent = chain.head().certificate.clone();
    let block = chain
        .check_block(header, parent, draft.transactions)
        .unwrap();
    let executed = chain.execute(block).unwrap();
    let certificate = certify(executed.header(), executed.outcome());
    chain.commit(executed, certificate).unwrap();
}

impl Node {
    fn new() -> Self {
        let genesis = genesis();
        let blocks = NetworkGenesis::new(&genesis).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &StoreOptions::default()).unwrap();
        let rules = ChainRules::main(MainApplication);
        let options = ChainOptions::default();
        let main = Chain::open(Arc::clone(&store), "main", &blocks.main, rules, options).unwrap();
        let main = Arc::new(main);
        let rules = ChainRules::side(
            CertificateApplication::new(SideChain::Degree),
            Arc::clone(&main),
        );
        let first = blocks.side(SideChain::Degree).unwrap();
        let side = Chain::open(store, "degree", first, rules, options).unwrap();
        Self {
            folder,
            genesis,
            blocks,
            main,
            side,
        }
    }

    fn main_block(&self) -> Checkpoint {
        commit(&self.main, Vec::new(), due(&self.main));
        self.newest()
    }

    fn newest(&self) -> Checkpoint {
        let head = self.main.head();
        Checkpoint {
            height: head.height(),
            block: head.id,
            state_root: head.outcome.state_root,
        }
    }

    /// Judges an empty side block with this checkpoint.
    fn judge(&self, checkpoint: Option<Checkpoint>) -> Result<(), BlockError> {
        let draft = self.side.draft(Vec::new(), due(&self.side)).unwrap();
        let mut header = header(&self.side, &draft);
        header.checkpoint = checkpoint;
        let parent = self.side.head().certificate.clone();
        self.side.check_block(header, parent, Vec::new()).map(drop)
    }

    /// Anchors the side chain's head in main.
    fn anchor(&self) {
        let value = self
            .main
            .get(&side_chains::side_chain(&self.side.id()))
            .unwrap()
            .unwrap();
        let last = SideChainRecord::decode(&value).unwrap().last_anchor;
        let evidence = self.side.history_proof(last, None).unwrap();
        let kind = Kind::SubmitAnchor(anchor_message(
            &self.side.id(),
            &evidence.later,
            &evidence.proof,
        ));
        let time = due(&self.main);
        let until = time.saturating_add(60_000);
        let transaction = signed(self.main.id(), kind, until, &secret(1));
        commit(&self.main, vec![transaction], time);
    }

    fn close(self) -> (TempDir, NetworkGenesis, Genesis) {
        (self.folder, self.blocks, self.genesis)
    }
}

fn audited(path: &Path, blocks: &NetworkGenesis) -> (AuditReport, AuditReport) {
    let options = AuditOptions::default();
    let main = audit::run(
        path,
        "main",
        &blocks.main,
        AuditRules::main(&MainApplication),
        options,
        &mut |_| (),
    );
    let application = CertificateApplication::new(SideChain::Degree);
    let rules = AuditRules {
        application: &application,
        main: Some("main"),
    };
    let first = blocks.side(SideChain::Degree).unwrap();
    let side = audit::run(path, "degree", first, rules, options, &mut |_| ());
    (main, side)
}

#[test]
fn a_side_block_names_a_block_that_main_holds_and_never_an_earlier_one() {
    let node = Node::new();
    let first = node.main_block();
    let second = node.main_block();
    assert!(node.judge(Some(first)).is_ok());
    assert!(node.judge(Some(second)).is_ok());

    let unknown = Checkpoint {
        height: Height::new(9),
        ..second
    };
    let error = node.judge(Some(unknown)).unwrap_err();
    assert!(
        matches!(error, BlockError::UnknownCheckpoint { height } if height == Height::new(9)),
        "{error}"
    );
    assert_eq!(error.fault(), None, "it is waited for");
    let foreign = [
        None,
        Some(Checkpoint {
            block: BlockId::from_bytes([1; 32]),
            ..second
        }),
        Some(Checkpoint {
            state_root: StateRoot::from_bytes([1; 32]),
            ..second
        }),
        Some(Checkpoint {
            height: first.height,
            ..second
        }),
    ];
    for checkpoint in foreign {
        let error = node.judge(checkpoint).unwrap_err();
        assert!(matches!(error, BlockError::Checkpoint { .. }), "{error}");
        assert!(error.fault().is_some(), "{error}");
    }

    commit(&node.side, Vec::new(), due(&node.side));
    assert_eq!(node.side.head().header.checkpoint, Some(second));
    let error = node.judge(Some(first)).unwrap_err();
    assert!(matches!(error, BlockError::Checkpoint { .. }), "{error}");
    assert!(node.judge(Some(second)).is_ok());

    // Main's own blocks have none.
    let draft = node.main.draft(Vec::new(), due(&node.main)).unwrap();
    let mut with = header(&node.main, &draft);
    with.checkpoint = Some(second);
    let parent = node.main.head().certificate.clone();
    let error = node.main.check_block(with, parent, Vec::new()).unwrap_err();
    assert!(matches!(error, BlockError::Checkpoint { .. }), "{error}");
}

#[test]
fn with_an_old_main_only_what_ends_or_checks_certificates_is_admitted() {
    let node = Node::new();
    node.main_block();
    let bound = node.genesis.timers.staleness_ms;
    let fresh = node.main.head().time().saturating_add(bound);
    let stale = fresh.saturating_add(1);
    let until = stale.saturating_add(60_000);
    let school = secret(4);
    let accept = Kind::AcceptCertificate(AcceptCertificate {
        certificate: vec![5; 32],
        holder: Address::of(school.public()).as_bytes().to_vec(),
    });
    let revoke = Kind::RevokeCertificate(RevokeCertificate {
        certificate: vec![5; 32],
        authority: Address::of(school.public()).as_bytes().to_vec(),
        reason: 1,
    });
    let code = |kind: &Kind, time: TimeMs| {
        let transaction = signed(node.side.id(), kind.clone(), until, &school);
        node.side
            .admit(&transaction, time)
            .unwrap()
            .unwrap_err()
            .code()
    };
    // Neither can succeed: no such certificate is there. The answers show how far each came.
    assert_ne!(code(&accept, fresh), Code::StaleCheckpoint);
    assert_eq!(code(&accept, stale), Code::StaleCheckpoint);
    assert_ne!(code(&revoke, stale), Code::StaleCheckpoint);
    node.main_block();
    assert_ne!(code(&accept, stale), Code::StaleCheckpoint);
}

/// Changes one value of main's newest state in a closed copy; none drops it.
fn tamper(path: &Path, prefix: &[u8], change: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    let options = Options::default();
    let columns = DB::list_cf(&options, path).unwrap();
    let db = DB::open_cf(&options, path, &columns).unwrap();
    let values = db.cf_handle("values").unwrap();
    // Main was opened first, so its number is 0.
    let wanted = [&[0, 0], prefix].concat();
    let (key, value) = db
        .iterator_cf(values, IteratorMode::Start)
        .map(Result::unwrap)
        .find(|(key, _)| key.starts_with(&wanted))
        .expect("main holds such a value");
    match change(&value) {
        Some(value) => db.put_cf(values, key, value).unwrap(),
        None => db.delete_cf(values, key).unwrap(),
    }
}

/// Changes or drops an entry of the table of contents of a closed copy.
fn retitle(path: &Path, key: &[u8], value: Option<&[u8]>) {
    let options = Options::default();
    let columns = DB::list_cf(&options, path).unwrap();
    let db = DB::open_cf(&options, path, &columns).unwrap();
    let meta = db.cf_handle("meta").unwrap();
    assert!(db.get_cf(meta, key).unwrap().is_some());
    match value {
        Some(value) => db.put_cf(meta, key, value).unwrap(),
        None => db.delete_cf(meta, key).unwrap(),
    }
}

#[test]
fn the_audit_tells_a_side_chain_that_lags_from_one_that_is_missing() {
    let anchors = |path| audit::compare_anchors(path, "main", AuditOptions::default()).unwrap();
    let (folder, blocks, _) = lived();
    // The side chain's number is 1; its last block is the first one.
    let first = blocks.side(SideChain::Degree).unwrap();
    let head = [&[0; 8], first.id().as_bytes().as_slice()].concat();
    retitle(
        folder.path(),
        &[&b"head/"[..], &[0, 1]].concat(),
        Some(&head),
    );
    let found = anchors(folder.path());
    assert_eq!(
        (found.confirmed, found.ahead, found.not_followed),
        (0, 1, 0)
    );

    let (folder, blocks, _) = lived();
    retitle(folder.path(), b"chain/degree", None);
    let found = anchors(folder.path());
    assert_eq!(
        (found.confirmed, found.ahead, found.not_followed),
        (0, 0, 1)
    );
    let side = audited(folder.path(), &blocks).1;
    let reason = side.failure.unwrap().reason;
    assert!(reason.contains("holds no chain degree"), "{reason}");
}

/// A closed copy with two side blocks, of which the second is anchored.
fn lived() -> (TempDir, NetworkGenesis, Genesis) {
    let node = Node::new();
    node.main_block();
    commit(&node.side, Vec::new(), due(&node.side));
    commit(&node.side, Vec::new(), due(&node.side));
    node.anchor();
    node.main_block();
    node.close()
}

#[test]
fn the_audit_follows_both_chains_and_finds_a_dropped_anchor_and_an_altered_identity() {
    let (folder, blocks, _) = lived();
    let (main, side) = audited(folder.path(), &blocks);
    assert_eq!((main.failure, side.failure), (None, None));
    assert_eq!((main.head, side.head), (Height::new(3), Height::new(2)));
    let anchors = audit::compare_anchors(folder.path(), "main", AuditOptions::default()).unwrap();
    let count = |confirmed, ahead, not_followed| AnchorReport {
        confirmed,
        ahead,
        not_followed,
    };
    assert_eq!(anchors, count(1, 0, 0));

    let (folder, blocks, _) = lived();
    tamper(folder.path(), &[side_chains::ANCHOR], |_| None);
    assert!(
        !audited(folder.path(), &blocks).0.holds(),
        "a dropped anchor passed"
    );

    let (folder, blocks, genesis) = lived();
    let registrar = genesis.registrars[0].address();
    let key = identity::keys::identity(&registrar);
    tamper(folder.path(), key.as_bytes(), |value| {
        let mut altered = value.to_vec();
        *altered.last_mut().unwrap() ^= 1;
        Some(altered)
    });
    assert!(
        !audited(folder.path(), &blocks).0.holds(),
        "an altered identity passed"
    );
}
