//! Chains in real databases: blocks judged, executed, committed, asked about, opened again.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{fs, path::Path};

use certchain_proto::{
    Address, BlockHeader, Checkpoint, Epoch, Height, SealedBlock, TimeMs, ValidatorIndex, View,
    certificate::CertificateError,
    hash::{BlockId, CertificateDigest, HistoryRoot, StateRoot, TxRoot},
    transaction::Transaction,
    wire::v1::{self, Code},
};

use super::{BlockError, BlockFault, Chain, ChainOptions, CommitError, ExecuteError, OpenError};
use crate::{
    fixtures::{NAME, Network, Node, START, address_of, lived, open, small, verified},
    genesis::GenesisBlock,
    signatures::VerifiedTransaction,
    store::{Store, StoreError, StoreOptions},
};

fn holder_address(n: u64) -> Address {
    address_of(&Network::holder(n))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn genesis_is_computed_written_once_and_compared() {
    let node = Node::new();
    let head = node.chain.head();
    assert_eq!((head.height(), head.id), (Height::ZERO, node.genesis.id()));
    assert_eq!(
        head.id,
        GenesisBlock::main(&node.network.genesis).unwrap().id()
    );
    let block = node.chain.block(Height::ZERO).unwrap().unwrap();
    assert_eq!(block.id(), head.id);
    assert!(block.transactions.is_empty());
    assert_eq!(node.chain.height_of(&head.id).unwrap(), Some(Height::ZERO));
    let agency = address_of(&node.network.agency);
    let at = node.chain.identity_at(&agency, None).unwrap().unwrap();
    assert_eq!(at.record.organisation_code, "AGENCY-0");

    let locked = Store::open(node.folder.path(), &small()).unwrap_err();
    assert!(matches!(locked, StoreError::Locked { .. }), "{locked}");
    let node = node.reopen();
    assert_eq!(node.chain.head().id, node.genesis.id());

    let other = GenesisBlock::main(&Network::new(5).genesis).unwrap();
    drop(node.chain);
    let store = Store::open(node.folder.path(), &small()).unwrap();
    let refused = Chain::open(
        store,
        NAME,
        &other,
        super::ChainRules::main(crate::identity::IdentityApplication),
        ChainOptions::default(),
    )
    .unwrap_err();
    assert!(
        matches!(refused, OpenError::OtherGenesis { .. }),
        "{refused}"
    );
}

#[test]
fn a_block_is_found_by_height_id_and_transaction() {
    let node = Node::new();
    let transactions = node.registrations(0..5);
    let committed = node.commit(transactions.clone());
    assert!(committed.receipts.iter().all(|receipt| receipt.is_ok()));
    let node = node.reopen();
    let head = node.chain.head();
    assert_eq!(head.id, committed.head.id);
    let block = node.chain.block(Height::new(1)).unwrap().unwrap();
    assert_eq!(block.id(), head.id);
    let encoded: Vec<&[u8]> = transactions.iter().map(|t| t.encoded()).collect();
    assert_eq!(block.transactions, encoded);
    assert_eq!(
        node.chain.height_of(&head.id).unwrap(),
        Some(Height::new(1))
    );
    assert_eq!(node.chain.block(Height::new(2)).unwrap(), None);
    for (index, transaction) in transactions.iter().enumerate() {
        let found = node.chain.transaction(&transaction.id()).unwrap().unwrap();
        assert_eq!(found.encoded, transaction.encoded());
        assert_eq!(
            (found.receipt.height, found.receipt.index),
            (Height::new(1), index as u32)
        );
        assert_eq!(
            found.receipt.receipt.subject(),
            Some(*holder_address(index as u64).as_bytes())
        );
        assert_eq!(found.receipt.block, head.id);
    }
    let unknown = node.registrations(77..78)[0].id();
    assert_eq!(node.chain.receipt(&unknown).unwrap(), None);
}

#[test]
fn outcomes_depend_on_blocks_alone() {
    let one = lived();
    let other = Node::new();
    for height in 1..=one.chain.head().height().get() {
        let SealedBlock {
            header,
            parent_certificate,
            transactions,
            outcome,
            commit_certificate,
        } = one.chain.block(Height::new(height)).unwrap().unwrap();
        let decoded = transactions
            .iter()
            .map(|bytes| Transaction::decode(bytes).unwrap());
        let transactions = verified(decoded.collect());
        let check = || {
            let parent = parent_certificate.clone();
            other
                .chain
                .check_block(header.clone(), parent, transactions.clone())
                .unwrap()
        };
        let again = other.chain.execute(check()).unwrap();
        let executed = other.chain.execute(check()).unwrap();
        assert_eq!(
            (again.outcome(), again.receipts()),
            (executed.outcome(), executed.receipts())
        );
        assert_eq!(*executed.outcome(), outcome);
        drop(again);
        other.chain.commit(executed, commit_certificate).unwrap();
    }
    assert_eq!(other.chain.head().id, one.chain.head().id);
    let before = one.chain.head().id;
    let (one, other) = (one.reopen(), other.reopen());
    assert_eq!(one.chain.head().id, before);
    let more = one.registrations(80..84);
    assert_eq!(one.commit(more.clone()).head.id, other.commit(more).head.id);
}

#[test]
fn only_conflicts_inside_a_block_fail() {
    let node = Node::new();
    let until = START.saturating_add(60_000);
    let keys = [Network::holder(1), Network::holder(2)];
    let mut twin = node.network.register_message(2);
    twin.tag = node.network.register_message(1).tag;
    let twin = node.network.signed(
        v1::transaction_body::Kind::RegisterIdentity(twin),
        until,
        900,
        &[&node.network.agency, &node.network.registrar, &keys[1]],
    );
    let all = verified(vec![node.network.registration(1, until), twin]);
    let answers = node.chain.admit_many(&all, node.next_time()).unwrap();
    assert_eq!(answers, [Ok(()), Ok(())]);
    let committed = node.commit(all.clone());
    let codes: Vec<Code> = committed.receipts.iter().map(|r| r.code()).collect();
    assert_eq!(codes, [Code::Ok, Code::TagTaken]);
    assert_eq!(
        node.chain.identity_at(&holder_address(2), None).unwrap(),
        None
    );
    // A failed transaction is executed too, and cannot come again.
    let again = node
        .chain
        .admit(&all[1], node.next_time())
        .unwrap()
        .unwrap_err();
    assert_eq!(again.code(), Code::Replayed);
}

#[test]
fn an_id_is_executed_once_within_its_window() {
    let node = Node::of(Network::with_limits(4, |l| {
        l.transaction_window_ms = 40_000
    }));
    let until = START.saturating_add(40_500);
    let transaction = verified(vec![node.network.registration(1, until)]);
    let admit = |now: TimeMs| match node.chain.admit(&transaction[0], now).unwrap() {
        Ok(()) => Code::Ok,
        Err(refusal) => refusal.code(),
    };
    assert_eq!(admit(START.saturating_add(1)), Code::TooFar);
    assert_eq!(admit(START.saturating_add(1_000)), Code::Ok);
    node.commit(transaction.clone());
    assert_eq!(admit(START.saturating_add(2_000)), Code::Replayed);
    assert_eq!(admit(START.saturating_add(40_499)), Code::Replayed);
    assert_eq!(admit(START.saturating_add(40_500)), Code::Expired);

    // A block with it is refused as a whole, and so is one that holds an id twice.
    let other = node.registrations(2..3);
    let draft = node.chain.draft(other.clone(), node.next_time()).unwrap();
    let mut header = node.header(&draft, 0);
    let check = |header: &mut BlockHeader, all: Vec<VerifiedTransaction>| {
        let ids: Vec<_> = all.iter().map(|t| t.witness_id()).collect();
        header.tx_root = crate::merkle::tx_root(&ids);
        header.tx_count = all.len() as u32;
        let parent = node.chain.head().certificate.clone();
        node.chain.check_block(header.clone(), parent, all)
    };
    let replayed = vec![other[0].clone(), transaction[0].clone()];
    match check(&mut header, replayed).unwrap_err() {
        BlockError::Inadmissible { index: 1, refusal } => {
            assert_eq!(refusal.code(), Code::Replayed);
        }
        error => panic!("{error}"),
    }
    let twice = vec![other[0].clone(), other[0].clone()];
    let error = check(&mut header, twice).unwrap_err();
    assert!(
        matches!(error, BlockError::Duplicate { index: 1 }),
        "{error}"
    );
    assert!(check(&mut header, other).is_ok());
}

#[test]
fn every_field_of_a_header_is_judged() {
    type Change = fn(&mut BlockHeader);
    let node = lived();
    let transactions = node.registrations(90..92);
    let draft = node
        .chain
        .draft(transactions.clone(), node.next_time())
        .unwrap();
    let good = node.header(&draft, 0);
    let parent = node.chain.head().certificate.clone();
    let table: &[(&str, Change, BlockFault)] = &[
        ("protocol", |h| h.protocol = 2, BlockFault::Header),
        (
            "chain",
            |h| h.chain = certchain_proto::ChainId::from_bytes([1; 32]),
            BlockFault::Header,
        ),
        ("epoch", |h| h.epoch = Epoch::new(1), BlockFault::Header),
        ("height", |h| h.height = h.height.next(), BlockFault::Header),
        (
            "view without its proposer",
            |h| h.view = View::new(1),
            BlockFault::Header,
        ),
        (
            "proposer",
            |h| h.proposer = ValidatorIndex::new(3),
            BlockFault::Header,
        ),
        ("offset", |h| h.offset += 1, BlockFault::Header),
        ("parent", |h| h.parent = BlockId::ZERO, BlockFault::Header),
        (
            "commit",
            |h| h.parent_commit = CertificateDigest::ZERO,
            BlockFault::Header,
        ),
        (
            "parent view",
            |h| h.parent_view = View::new(1),
            BlockFault::Header,
        ),
        ("time", |h| h.time_ms = TimeMs::new(5), BlockFault::Header),
        (
            "root",
            |h| h.tx_root = TxRoot::ZERO,
            BlockFault::Transactions,
        ),
        ("count", |h| h.tx_count = 3, BlockFault::Transactions),
        (
            "history",
            |h| h.history_root = HistoryRoot::ZERO,
            BlockFault::History,
        ),
        (
            "checkpoint",
            |h| {
                h.checkpoint = Some(Checkpoint {
                    height: Height::ZERO,
                    block: BlockId::ZERO,
                    state_root: StateRoot::ZERO,
                });
            },
            BlockFault::Checkpoint,
        ),
        (
            "time at which nothing is valid",
            |h| h.time_ms = h.time_ms.saturating_add(10_000_000),
            BlockFault::Inadmissible,
        ),
    ];
    for (what, change, fault) in table {
        let mut header = good.clone();
        change(&mut header);
        let error = node
            .chain
            .check_block(header, parent.clone(), transactions.clone());
        assert_eq!(error.expect_err(what).fault(), Some(*fault), "{what}");
    }
    assert!(node.chain.check_block(good, parent, transactions).is_ok());
}

#[test]
fn blocks_keep_their_limits_and_empty_ones_wait() {
    let node = Node::of(Network::with_limits(4, |l| l.block_transactions = 3));
    let four = node.registrations(0..4);
    let draft = node.chain.draft(four.clone(), node.next_time()).unwrap();
    assert_eq!(draft.transactions.len(), 3);
    let mut header = node.header(&draft, 0);
    header.tx_count = 4;
    let parent = node.chain.head().certificate.clone();
    let error = node
        .chain
        .check_block(header, parent.clone(), four)
        .unwrap_err();
    assert_eq!(error.fault(), Some(BlockFault::TooLarge));

    let heartbeat = node.genesis.parameters.timers.heartbeat_ms;
    for (pause, view, good) in [
        (heartbeat - 1, 0, false),
        (heartbeat, 0, true),
        (1, 1, true),
    ] {
        let time = node.chain.head().time().saturating_add(pause);
        let draft = node.chain.draft(Vec::new(), time).unwrap();
        let header = node.header(&draft, view);
        let checked = node.chain.check_block(header, parent.clone(), Vec::new());
        assert_eq!(checked.is_ok(), good, "after {pause} in view {view}");
    }
}

#[test]
fn the_order_of_primaries_follows_views() {
    let node = Node::new();
    let commit = |view: u32, decided: u32| {
        let transactions = {
            let n =
                u64::from(view) * 10 + u64::from(decided) + node.chain.head().height().get() * 100;
            node.registrations(n..n + 1)
        };
        let draft = node.chain.draft(transactions, node.next_time()).unwrap();
        let header = node.header(&draft, view);
        let parent = node.chain.head().certificate.clone();
        let block = node
            .chain
            .check_block(header.clone(), parent, draft.transactions)
            .unwrap();
        let executed = node.chain.execute(block).unwrap();
        let certificate = node
            .network
            .certify_in(&header, executed.outcome(), View::new(decided));
        node.chain.commit(executed, certificate).unwrap();
        header.offset
    };
    assert_eq!(commit(0, 0), 0, "block 1 has offset 0");
    assert_eq!(commit(2, 3), 0, "after a good primary it stays");
    assert_eq!(commit(0, 0), 2, "two primaries failed");
    assert_eq!(commit(0, 0), 3, "and one whose block others finished");
    assert_eq!(commit(0, 0), 3);
    assert_eq!(node.reopen().chain.head().next_offset(), 3);
}

#[test]
fn commits_need_the_right_certificate() {
    let node = Node::new();
    let first = node.execute(node.registrations(0..2));
    let rival = node.execute(node.registrations(2..4));
    let good = node.network.certify(first.header(), first.outcome());
    let commit = |change: &dyn Fn(&mut certchain_proto::CommitCertificate)| {
        let executed = node.execute(node.registrations(0..2));
        let mut bent = good.clone();
        change(&mut bent);
        node.chain.commit(executed, bent).unwrap_err()
    };
    let error = commit(&|c| drop(c.signatures.drain(2..)));
    let expected = CertificateError::Quorum {
        needed: 3,
        actual: 2,
    };
    assert!(matches!(error, CommitError::Certificate(e) if e == expected));
    let error = commit(&|c| c.signatures[1].signature = c.signatures[0].signature);
    assert!(matches!(
        error,
        CommitError::Certificate(CertificateError::Signature)
    ));
    let error = commit(&|c| c.view = View::new(1));
    assert!(matches!(
        error,
        CommitError::Certificate(CertificateError::Signature)
    ));
    let error = commit(&|c| c.outcome = rival.outcome().digest());
    assert!(matches!(error, CommitError::Diverged { .. }), "{error}");

    let committed = node.chain.commit(first, good).unwrap();
    assert_eq!(committed.head.height(), Height::new(1));
    let other = node.network.certify(rival.header(), rival.outcome());
    let error = node.chain.commit(rival, other).unwrap_err();
    assert!(matches!(error, CommitError::Stale { .. }), "{error}");
}

#[test]
fn bodies_outlive_a_restart_and_losers_go() {
    let node = Node::new();
    let winner = node.check(node.registrations(0..3));
    let loser = node.check(node.registrations(3..5));
    for block in [&winner, &loser] {
        node.chain.store_body(block).unwrap();
        node.chain.store_body(block).unwrap();
    }
    let (kept, dropped) = (winner.header_digest(), loser.header_digest());
    let stale = {
        let executed = node.execute(node.registrations(6..7));
        drop(executed);
        node.check(node.registrations(6..7))
    };
    drop((winner, loser));
    let node = node.reopen();
    assert_eq!(node.chain.stored_bodies().len(), 3);
    let height = Height::new(1);
    let body = node.chain.load_body(height, &kept).unwrap().unwrap();
    let decoded = body
        .transactions
        .iter()
        .map(|bytes| Transaction::decode(bytes).unwrap());
    let transactions = verified(decoded.collect());
    let block = node
        .chain
        .check_block(body.header, body.parent_certificate, transactions)
        .unwrap();
    let executed = node.chain.execute(block).unwrap();
    let certificate = node.network.certify(executed.header(), executed.outcome());
    node.chain.commit(executed, certificate).unwrap();
    assert!(node.chain.load_body(height, &kept).unwrap().is_some());
    assert!(node.chain.load_body(height, &dropped).unwrap().is_none());
    assert!(node.chain.stored_bodies().is_empty());
    // Too late: nobody needs it any more.
    node.chain.store_body(&stale).unwrap();
    assert!(
        node.chain
            .load_body(height, &stale.header_digest())
            .unwrap()
            .is_none()
    );
    let error = node.chain.execute(stale).unwrap_err();
    assert!(matches!(error, ExecuteError::Stale { .. }), "{error}");
}

#[test]
fn a_full_disk_refuses_blocks_before_anything_changes() {
    let Node {
        network,
        genesis,
        folder,
        chain,
    } = Node::new();
    drop(chain);
    let full = StoreOptions {
        reserve_bytes: u64::MAX,
        ..small()
    };
    let store = Store::open(folder.path(), &full).unwrap();
    let rules = super::ChainRules::main(crate::identity::IdentityApplication);
    let chain = Chain::open(store, NAME, &genesis, rules, ChainOptions::default()).unwrap();
    let node = Node {
        network,
        genesis,
        folder,
        chain,
    };
    let before = node.chain.head();
    let block = node.check(node.registrations(0..5));
    let no_room = node.chain.store_body(&block).unwrap_err();
    assert!(no_room.is_no_room(), "{no_room}");
    assert!(node.chain.stored_bodies().is_empty());
    for _ in 0..2 {
        let block = node.check(node.registrations(0..5));
        let executed = node.chain.execute(block).unwrap();
        let certificate = node.network.certify(executed.header(), executed.outcome());
        let refused = node.chain.commit(executed, certificate).unwrap_err();
        assert!(
            matches!(refused, CommitError::Store(StoreError::NoRoom { .. })),
            "{refused}"
        );
        assert_eq!(node.chain.head().id, before.id);
    }
    let node = node.reopen();
    assert_eq!(node.chain.head().id, before.id);
    node.commit(node.registrations(0..5));
}

#[test]
fn what_is_committed_outlives_a_kill_at_any_moment() {
    let node = lived();
    let head = node.chain.head();
    // The files as a kill would leave them: nothing closed, nothing flushed.
    let killed = tempfile::tempdir().unwrap();
    copy(node.folder.path(), killed.path());
    let chain = open(killed.path(), &node.genesis);
    assert_eq!(chain.head().id, head.id);
    drop(chain);

    // A write that was cut off anywhere inside the last block leaves the block before.
    let log = |folder: &Path| {
        let files = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        files
            .filter(|path| path.extension().is_some_and(|e| e == "log"))
            .max()
            .unwrap()
    };
    let before = fs::metadata(log(node.folder.path())).unwrap().len();
    node.commit(node.registrations(60..64));
    let after = fs::metadata(log(node.folder.path())).unwrap().len();
    for cut in [
        before + 1,
        before + 7,
        (before + after) / 2,
        after - 1,
        after,
    ] {
        let torn = tempfile::tempdir().unwrap();
        copy(node.folder.path(), torn.path());
        let file = fs::OpenOptions::new()
            .write(true)
            .open(log(torn.path()))
            .unwrap();
        file.set_len(cut).unwrap();
        let chain = open(torn.path(), &node.genesis);
        let expected = head.height().get() + u64::from(cut == after);
        assert_eq!(
            chain.head().height().get(),
            expected,
            "cut at {cut} of {before} to {after}"
        );
    }
}

#[test]
fn a_database_of_another_format_is_refused() {
    let node = Node::new();
    let mut batch = crate::store::Batch::default();
    batch.put(crate::store::META, *b"format", 9u32.to_le_bytes());
    node.chain.store.write(batch, true).unwrap();
    drop(node.chain);
    let error = Store::open(node.folder.path(), &small()).unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Format {
                found: 9,
                supported: 1
            }
        ),
        "{error}"
    );
}
