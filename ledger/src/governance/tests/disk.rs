//! The same on a database: drafted, checked, executed, reopened and audited alike.
#![cfg(feature = "store")]

use super::*;
use crate::{
    audit::{AuditOptions, AuditRules, run},
    fixtures::{NAME, Node, small},
    signatures::VerifiedTransaction,
};

fn signed(node: &Node, kind: Kind, nonce: u64, signers: &[&SecretKey]) -> VerifiedTransaction {
    let until = node.chain.head().time().saturating_add(300_000);
    let transaction = node.network.signed(kind, until, nonce, signers);
    verified(vec![transaction]).pop().unwrap()
}

fn propose(node: &Node, by: u64, at: u64, change: &Change, nonce: u64) -> VerifiedTransaction {
    let kind = Kind::Propose(Propose {
        epoch: 0,
        validator: by as u32,
        execution_height: at,
        change: Some(change.to_wire()),
    });
    signed(node, kind, nonce, &[&vote_key(by)])
}

fn vote(node: &Node, by: u64, id: &ProposalId, nonce: u64) -> VerifiedTransaction {
    let kind = Kind::Vote(Vote {
        epoch: 0,
        validator: by as u32,
        proposal: id.as_bytes().to_vec(),
        choice: VoteChoice::Approve.into(),
    });
    signed(node, kind, nonce, &[&vote_key(by)])
}

#[test]
fn a_life_with_votes_survives_a_restart_and_is_audited() {
    let node = Node::new();
    let mut message = node.network.register_message(1);
    message.kind = WireKind::Organisation as i32;
    message.organisation_code = "CODE-1".to_owned();
    let company = Network::holder(1);
    let (agency, registrar) = (agency(0), secret("registrar", 0));
    let register = Kind::RegisterIdentity(message);
    let register = signed(&node, register, 1, &[&agency, &registrar, &company]);
    node.commit(vec![register]);

    // Two are due in one block, the second of them cannot be carried out then; one in an empty one.
    let appointed = propose(&node, 0, 4, &appoint(&company), 2);
    let twice = propose(&node, 1, 4, &appoint(&company), 3);
    let tag = propose(&node, 2, 5, &Change::SetTagKeyVersion { version: 7 }, 4);
    let ids = [&appointed, &twice, &tag].map(|t| t.id());
    let committed = node.commit(vec![appointed, twice, tag]);
    assert!(committed.receipts.iter().all(|r| r.code() == Code::Ok));
    let votes = ids
        .iter()
        .zip([100, 200, 300])
        .flat_map(|(id, nonce)| (0..3).map(move |by| (id, nonce, by)))
        .map(|(id, nonce, by)| vote(&node, by, id, nonce + by));
    let committed = node.commit(votes.collect());
    assert!(committed.receipts.iter().all(|r| r.code() == Code::Ok));
    assert_eq!(node.chain.head().parameters.tag_key_version, 1);

    // Executed again from what is stored, a block gives the same result.
    let block = node.check(Vec::new());
    node.chain.store_body(&block).unwrap();
    let first = node.chain.execute(block).unwrap().outcome().clone();
    let node = node.reopen();
    let executed = node.execute(Vec::new());
    assert_eq!(*executed.outcome(), first);
    let certificate = node.network.certify(executed.header(), executed.outcome());
    let committed = node.chain.commit(executed, certificate).unwrap();
    let changed = identity::keys::identity(&address_of(&company));
    assert!(committed.written.contains(&changed), "the mempool is told");
    node.commit(Vec::new());

    let read = |id: &ProposalId| {
        let value = node.chain.get(&keys::proposal(id)).unwrap().unwrap();
        ProposalRecord::decode(&value).unwrap().state
    };
    assert_eq!(read(&ids[0]), ProposalState::Executed);
    let code = Code::NoChange as u16;
    assert_eq!(read(&ids[1]), ProposalState::Failed { code });
    assert_eq!(read(&ids[2]), ProposalState::Executed);
    assert_eq!(node.chain.head().parameters.tag_key_version, 7);
    let node = node.reopen();
    assert_eq!(node.chain.head().parameters.tag_key_version, 7);
    let proposal = keys::proposal(&ids[0]);
    let proven = node.chain.prove(&proposal, None).unwrap();
    assert!(proven.value.is_some());
    let listed = node
        .chain
        .list(
            &crate::execution::Topic::NOBODY,
            crate::execution::Topic::Proposals,
            crate::chain::ListPosition::start_of(Height::ZERO),
            10,
        )
        .unwrap();
    assert_eq!(listed.len(), 3);

    let (folder, genesis) = (node.folder, node.genesis);
    drop(node.chain);
    let options = AuditOptions {
        threads: 2,
        store: small(),
    };
    let rules = AuditRules::main(&GovernanceApplication);
    let report = run(folder.path(), NAME, &genesis, rules, options, &mut |_| ());
    assert_eq!(report.failure, None);
    // Without the end of blocks the roots do not come out.
    let rules = AuditRules::main(&identity::IdentityApplication);
    let report = run(folder.path(), NAME, &genesis, rules, options, &mut |_| ());
    assert!(!report.holds());
}
