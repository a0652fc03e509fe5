//! What an agency may issue is what main says after exactly the block that a side block names: also
//! in the block of main that gives or takes it.

use certchain_ledger::{governance::Change, merkle};
use certchain_proto::wire::v1::{
    AcceptAccreditation, CertificateDraft, EncryptedFields, IssueCertificate, Propose, Vote,
    VoteChoice, encrypted_fields::Content,
};

use super::*;

fn school() -> Address {
    Address::of(secret(4).public())
}

/// A degree of the school for somebody who is not registered: it is refused either way, and the code
/// shows whether the school is accredited, which is asked first.
fn degree(node: &Node, time: TimeMs) -> VerifiedTransaction {
    let draft = CertificateDraft {
        r#type: "degree".to_owned(),
        holders: vec![vec![0x55; 32]],
        field_root: vec![0x56; 32],
        nonce: vec![0x57; 16],
        encrypted: vec![EncryptedFields {
            recipient_key: encryption_key(9).to_vec(),
            encapsulated_key: encryption_key(8).to_vec(),
            content: Some(Content::Ciphertext(vec![1; 40])),
        }],
        ..CertificateDraft::default()
    };
    let kind = Kind::IssueCertificate(IssueCertificate {
        issuer: school().as_bytes().to_vec(),
        certificate: Some(draft),
        holders_sign: false,
    });
    let until = time.saturating_add(60_000);
    signed(node.side.id(), kind, until, &secret(4))
}

/// What a side block on this checkpoint that holds the degree is told.
fn issued(node: &Node, checkpoint: Checkpoint) -> Code {
    let time = node.side.head().time().max(node.main.head().time()).next();
    let transaction = degree(node, time);
    let draft = node.side.draft(Vec::new(), time).unwrap();
    let mut header = header(&node.side, &draft);
    header.checkpoint = Some(checkpoint);
    header.tx_root = merkle::tx_root(&[transaction.witness_id()]);
    header.tx_count = 1;
    let parent = node.side.head().certificate.clone();
    match node.side.check_block(header, parent, vec![transaction]) {
        Err(BlockError::Inadmissible { refusal, .. }) => refusal.code(),
        other => panic!("{other:?}"),
    }
}

/// One block of main with a transaction.
fn on_main(node: &Node, kind: Kind, key: &SecretKey) -> Vec<u8> {
    let time = node.main.head().time().next();
    let until = time.saturating_add(60_000);
    let transaction = signed(node.main.id(), kind, until, key);
    let id = transaction.id();
    commit(&node.main, vec![transaction], time);
    let receipt = node.main.receipt(&id).unwrap().unwrap().receipt;
    assert_eq!(receipt.code(), Code::Ok);
    id.as_bytes().to_vec()
}

/// The one validator proposes and approves; main is then one block below the change's height.
fn voted(node: &Node, change: &Change) -> Vec<u8> {
    let height = node.main.head().height().get();
    let propose = Kind::Propose(Propose {
        epoch: 0,
        validator: 0,
        execution_height: height + 3,
        change: Some(change.to_wire()),
    });
    let id = on_main(node, propose, &secret(1));
    let vote = Kind::Vote(Vote {
        epoch: 0,
        validator: 0,
        proposal: id.clone(),
        choice: VoteChoice::Approve.into(),
    });
    on_main(node, vote, &secret(1));
    id
}

#[test]
fn an_agency_issues_in_the_block_that_accredits_it_and_not_in_the_one_that_ends_it() {
    let node = Node::new();
    let types = vec!["degree".to_owned()];
    let agency = school();
    let at_first = node.main_block();
    assert_eq!(issued(&node, at_first), Code::NotAccredited);

    let accredit = Change::AccreditAgency {
        agency,
        types: types.clone(),
    };
    let proposal = voted(&node, &accredit);
    let executed = node.main_block();
    assert_eq!(issued(&node, executed), Code::NotAccredited, "not accepted");
    let accept = Kind::AcceptAccreditation(AcceptAccreditation {
        proposal,
        agency: agency.as_bytes().to_vec(),
    });
    on_main(&node, accept, &secret(4));
    let accepted = node.newest();
    // The same transaction, on two checkpoints: each answers for itself, whatever main is now.
    assert_eq!(issued(&node, executed), Code::NotAccredited);
    assert_eq!(issued(&node, accepted), Code::UnknownAccount);

    voted(&node, &Change::WithdrawAccreditation { agency, types });
    let before = node.newest();
    let ended = node.main_block();
    assert_eq!(ended.height, before.height.next());
    assert_eq!(issued(&node, before), Code::UnknownAccount);
    assert_eq!(issued(&node, ended), Code::NotAccredited);
    let (folder, blocks, _) = node.close();
    let (main, side) = audited(folder.path(), &blocks);
    assert_eq!((main.failure, side.failure), (None, None));
}
