//! Presentations, packages and their texts; signed queries.

use certchain_config::SideChain;
use certchain_proto::{
    ChainId, Signature, TimeMs,
    hash::ContentHash,
    query::{Query, content_nonce},
    wire::v1::QueryTopic,
};
use certchain_sidechain::{
    network::NetworkGenesis,
    package::{
        Expected, PresentationPackage, PresentationTerms, sealed::SealedPackage, text::Carried,
    },
    presentation::{Audience, signing_hash},
};
use prost::Message as _;
use serde_json::{Value, json};

use crate::{
    golden::{check, hex},
    scenario::{START, address, genesis, secret},
    story::{
        STUDENT, Story, VERIFIER, VERIFIER_SECRET, degree_type, student_key, terms, verifier_key,
    },
};

fn expected<'a>(
    story: &Story,
    certificate_type: &'a certchain_config::CertificateType,
    key: &'a certchain_proto::PublicKey,
) -> Expected<'a> {
    Expected {
        chain: story.side.id,
        certificate: story.certificate,
        certificate_type,
        field_root: story.fields.root(),
        holder: address(STUDENT),
        holder_keys: std::slice::from_ref(key),
        verifier: address(VERIFIER),
        challenge: None,
        now: TimeMs::new(START + 5_000),
        clock_bound_ms: 2_000,
        window_ms: 600_000,
    }
}

fn package(story: &Story, package: &PresentationPackage) -> Value {
    let (kind, student) = (degree_type(), secret(STUDENT));
    let shown = package
        .verify(&expected(story, &kind, student.public()))
        .unwrap();
    let shown: Vec<Value> = shown
        .iter()
        .map(|field| {
            let slot = &story.fields.slots()[usize::from(field.index())];
            assert_eq!((slot.name(), slot.value()), (field.name(), field.value()));
            json!({
                "index": field.index(), "name": field.name(), "value": field.value(),
                "salt": hex(slot.salt()),
            })
        })
        .collect();
    let signed = package.signed();
    let (encoded, says) = (signed.encoded(), signed.presentation());
    let (bytes, clear) = (package.encode(), Carried::Clear(Box::new(package.clone())));
    assert_eq!(PresentationPackage::decode(&bytes).as_ref(), Ok(package));
    let text = clear.to_text();
    assert_eq!(Carried::from_text(&text), Ok(clear));
    let sealed = SealedPackage::seal(package, &verifier_key(), &[0x5a; 32]).unwrap();
    assert_eq!(sealed.open(&VERIFIER_SECRET).as_ref(), Ok(package));
    let verifier = match says.audience {
        Audience::Bearer => String::new(),
        Audience::Verifier(address) => hex(address.as_bytes()),
    };
    let commitments: Vec<String> = story.fields.commitments().iter().map(hex).collect();
    json!({
        "message": {
            "chain_id": hex(says.chain.as_bytes()),
            "certificate": hex(says.certificate.as_bytes()),
            "holder": hex(says.holder.as_bytes()),
            "verifier": verifier,
            "challenge": hex(&says.challenge),
            "nonce": hex(says.nonce),
            "expires_ms": says.expires.get(),
            "disclosed_hash": hex(says.disclosed.as_bytes()),
        },
        "encoded_message": hex(encoded),
        "id": hex(signed.id().as_bytes()),
        "signing_hash": hex(signing_hash(encoded).as_bytes()),
        "seed": hex([STUDENT; 32]),
        "signature": hex(signed.signature().to_bytes()),
        "type": package.type_name(),
        "commitments": commitments,
        "shown": shown,
        "encoded": hex(&*bytes),
        "text": *text,
        "sealed": {
            "recipient_secret": hex(VERIFIER_SECRET),
            "recipient_key": hex(sealed.recipient_key()),
            "entropy": hex([0x5a; 32]),
            "encoded": hex(sealed.encode()),
            "text": *Carried::Sealed(sealed).to_text(),
        },
    })
}

#[test]
fn presentations() {
    let story = Story::new();
    let all = PresentationTerms {
        audience: Audience::Bearer,
        challenge: Vec::new(),
        nonce: [0x6b; 16],
        expires: TimeMs::new(START + 60_000),
        ..terms(story.side.id, story.certificate)
    };
    let nothing = PresentationTerms {
        nonce: [0x6c; 16],
        ..all.clone()
    };
    let build = |names: &[&str], terms| {
        PresentationPackage::build(&story.fields, names, terms, &secret(STUDENT)).unwrap()
    };
    let packages = [
        story.package.clone(),
        build(&["awarded", "subject"], &all),
        build(&[], &nothing),
    ];
    let packages: Vec<Value> = packages.iter().map(|p| package(&story, p)).collect();
    let key = student_key();
    assert_eq!(story.sealed.recipient_key, key);
    check(
        "presentations.json",
        &json!({
            "field_root": hex(story.fields.root().as_bytes()),
            "holder_key": hex(secret(STUDENT).public().as_bytes()),
            "verifier": hex(address(VERIFIER).as_bytes()),
            "now_ms": START + 5_000,
            "clock_bound_ms": 2_000,
            "window_ms": 600_000,
            "packages": packages,
        }),
    );
}

#[test]
fn queries() {
    let network = NetworkGenesis::new(&genesis()).unwrap();
    let chain = network.side(SideChain::Degree).unwrap().chain();
    let content = ContentHash::of(b"a ciphertext");
    let query = |chain: ChainId, topic, nonce| Query {
        chain,
        topic,
        address: address(STUDENT),
        time: TimeMs::new(START + 5_000),
        nonce,
    };
    let topics = [
        QueryTopic::Held,
        QueryTopic::Issued,
        QueryTopic::Checked,
        QueryTopic::Checks,
        QueryTopic::Inbox,
    ];
    let mut queries: Vec<Query> = topics.map(|t| query(chain, t, [0x6d; 16])).to_vec();
    queries.push(query(genesis().chain_id(), QueryTopic::Held, [0x6e; 16]));
    queries.push(query(
        genesis().chain_id(),
        QueryTopic::PutContent,
        content_nonce(&content),
    ));
    let queries: Vec<Value> = queries
        .iter()
        .map(|query| {
            let message = query.sign(&secret(STUDENT));
            let read = Query::read(&message, query.chain, &[query.topic], query.time).unwrap();
            assert_eq!(read.verify(secret(STUDENT).public()), Ok(*query));
            let signature = Signature::from_slice(&message.signature).unwrap();
            json!({
                "chain": hex(query.chain.as_bytes()),
                "topic": message.topic,
                "address": hex(&message.address),
                "time_ms": message.time_ms,
                "nonce": hex(&message.nonce),
                "signing_hash": hex(query.signing_hash().as_bytes()),
                "seed": hex([STUDENT; 32]),
                "signature": hex(signature.to_bytes()),
                "encoded_message": hex(message.encode_to_vec()),
            })
        })
        .collect();
    check(
        "queries.json",
        &json!({
            "queries": queries,
            "content": { "bytes": hex(b"a ciphertext"), "hash": hex(content.as_bytes()) },
        }),
    );
}
