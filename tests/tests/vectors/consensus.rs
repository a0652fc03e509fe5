//! What validators say to each other, sign, and keep in their journals.

use certchain_consensus::{
    Contents, Equivocation, Message, Record,
    message::{Commit, NewView, PrePrepare, Prepare, PreparedCertificate, SignedClaim, ViewChange},
    statement::{SignedStatement, Statement, ViewChangeVote},
};
use certchain_proto::{
    Height, PrepareVote, Signature, ValidatorIndex, View,
    certificate::{Ed25519Verifier, IndexedSignature},
    codec, context,
    hash::{OutcomeDigest, SigningHash, hash_parts},
};
use serde_json::{Value, json};

use crate::{
    golden::{check, fields, hex},
    scenario::{Chain, VOTE, commit_vote, secret, signatures},
};

const NOTHING: [u8; 64] = [0; 64];

fn sign(hash: &SigningHash, signer: ValidatorIndex) -> Signature {
    secret(VOTE[usize::from(signer.get())]).sign(hash)
}

/// Signs a message whose signature is not yet there.
fn seal(mut message: Message) -> Message {
    let signature = sign(&message.statement().signing_hash(), message.signer());
    match &mut message {
        Message::PrePrepare(m) => m.signature = signature,
        Message::Prepare(m) => m.signature = signature,
        Message::Commit(m) => m.signature = signature,
        Message::ViewChange(m) => m.signature = signature,
        Message::NewView(m) => m.signature = signature,
    }
    message
}

struct Messages {
    chain: Chain,
    prepared: PreparedCertificate,
    contents: Contents,
    claims: Vec<SignedClaim>,
    all: Vec<Message>,
}

fn messages() -> Messages {
    let chain = Chain::new();
    let unsigned = Signature::from_bytes(&NOTHING);
    let header = chain.header.clone();
    let vote = PrepareVote {
        chain: header.chain,
        epoch: header.epoch,
        height: header.height,
        view: View::ZERO,
        header: header.digest(),
    };
    let prepared = PreparedCertificate {
        view: View::ZERO,
        header: header.clone(),
        signatures: signatures(&vote.signing_hash(), &[0, 1, 2]),
    };
    let contents = Contents {
        parent_certificate: chain.zero.block.certificate.clone(),
        witness_ids: vec![chain.transaction.witness_id()],
    };
    let view = View::new(1);
    let change = |signer: u16, certificate: Option<PreparedCertificate>| ViewChange {
        vote: ViewChangeVote {
            chain: header.chain,
            epoch: header.epoch,
            height: header.height,
            view,
            prepared: certificate.as_ref().map(PreparedCertificate::reference),
        },
        signer: ValidatorIndex::new(signer),
        signature: unsigned,
        certificate,
    };
    let changes = [
        change(0, None),
        change(1, Some(prepared.clone())),
        change(3, None),
    ];
    let claims: Vec<SignedClaim> = changes
        .iter()
        .map(|change| SignedClaim {
            signer: change.signer,
            prepared: change.vote.prepared,
            signature: sign(
                &Statement::ViewChange(change.vote).signing_hash(),
                change.signer,
            ),
        })
        .collect();
    let new_view = NewView {
        chain: header.chain,
        epoch: header.epoch,
        height: header.height,
        view,
        claims: claims.clone(),
        prepared: Some(prepared.clone()),
        signer: ValidatorIndex::new(1),
        signature: unsigned,
    };
    let fresh = NewView {
        claims: vec![claims[0], claims[2]],
        prepared: None,
        ..new_view.clone()
    };
    let [without, with, _] = changes;
    let two = ValidatorIndex::new(2);
    let commit = commit_vote(&header, &chain.outcome, view);
    let all = vec![
        Message::PrePrepare(PrePrepare {
            header,
            contents: contents.clone(),
            signature: unsigned,
        }),
        Message::Prepare(Prepare {
            vote,
            signer: two,
            signature: unsigned,
        }),
        Message::Commit(Commit {
            vote: commit,
            signer: two,
            signature: unsigned,
        }),
        Message::ViewChange(without),
        Message::ViewChange(with),
        Message::NewView(new_view),
        Message::NewView(fresh),
    ];
    let all = all.into_iter().map(seal).collect();
    Messages {
        chain,
        prepared,
        contents,
        claims,
        all,
    }
}

fn message(message: &Message) -> Value {
    let statement = message.statement();
    // The statement as signed is its variant's value, without the variant's number.
    let signed = match &statement {
        Statement::PrePrepare(v) => codec::encode(v),
        Statement::Prepare(v) => codec::encode(v),
        Statement::Commit(v) => codec::encode(v),
        Statement::ViewChange(v) => codec::encode(v),
        Statement::NewView(v) => codec::encode(v),
    };
    let encoded = message.encode();
    assert_eq!(
        Message::decode(&encoded, encoded.len()).as_ref(),
        Ok(message)
    );
    json!({
        "kind": message.kind(),
        "signer": message.signer().get(),
        "statement": fields(&statement),
        "statement_encoded": hex(signed),
        "signing_hash": hex(statement.signing_hash().as_bytes()),
        "signature": hex(message.signed_statement().signature.to_bytes()),
        "fields": fields(message),
        "encoded": hex(encoded),
    })
}

#[test]
fn consensus() {
    let Messages {
        chain,
        prepared,
        contents,
        claims,
        all,
    } = messages();
    let set = chain.genesis.validator_set();
    for one in &all[..6] {
        one.clone()
            .verify(chain.header.chain, set, &Ed25519Verifier)
            .unwrap();
    }
    let other = Statement::Commit(certchain_proto::CommitVote {
        outcome: OutcomeDigest::from_bytes([0xd1; 32]),
        ..commit_vote(&chain.header, &chain.outcome, View::new(1))
    });
    let two = ValidatorIndex::new(2);
    let second = SignedStatement {
        statement: other,
        signer: two,
        signature: sign(&other.signing_hash(), two),
    };
    let equivocation = Equivocation::of(all[2].signed_statement(), second).unwrap();
    equivocation
        .verify(chain.header.chain, set, &Ed25519Verifier)
        .unwrap();
    let records = [
        Record::Signed(Box::new(all[1].clone())),
        Record::Header(Box::new(chain.header.clone())),
        Record::Prepared(Box::new(prepared.clone())),
        Record::Sealed {
            height: Height::new(7),
        },
        Record::Amnesia { nonce: [0xd2; 32] },
        Record::Cleared {
            height: Height::new(9),
        },
    ];
    let records: Vec<Value> = records
        .iter()
        .map(|record| json!({ "fields": fields(record), "encoded": hex(codec::encode(record)) }))
        .collect();
    let one: IndexedSignature = prepared.signatures[0];
    check(
        "consensus.json",
        &json!({
            "messages": all.iter().map(message).collect::<Vec<_>>(),
            "contents": {
                "fields": fields(&contents),
                "encoded": hex(codec::encode(&contents)),
                "digest": hex(contents.digest()),
            },
            "claims": {
                "fields": fields(&claims),
                "encoded": hex(codec::encode(&claims)),
                "digest": hex(hash_parts(context::VIEW_CHANGE, &[&codec::encode(&claims)])),
            },
            "prepared_certificate": {
                "fields": fields(&prepared),
                "encoded": hex(codec::encode(&prepared)),
            },
            "indexed_signature": { "fields": fields(&one), "encoded": hex(codec::encode(&one)) },
            "equivocation": {
                "fields": fields(&equivocation),
                "encoded": hex(codec::encode(&equivocation)),
            },
            "journal_records": records,
        }),
    );
}
