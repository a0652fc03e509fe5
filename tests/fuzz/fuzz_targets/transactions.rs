//! Transactions and queries as clients send them.

#![no_main]

use certchain_config::SideChain;
use certchain_fuzz::{Decoder, canonical};
use certchain_ledger::execution::Application as _;
use certchain_proto::{
    ChainId, SecretKey, TimeMs,
    query::Query,
    transaction::Transaction,
    wire::v1::{QueryAuthorisation, QueryTopic, SignedTransaction, TransactionBody},
};
use certchain_sidechain::{anchor::MainApplication, certificate::CertificateApplication};
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

const DECODERS: &[Decoder] = &[("transaction", |bytes| {
    let transaction = Transaction::decode(bytes).ok()?;
    // What a chain reads of it, before anything is checked.
    MainApplication.reads(&transaction);
    for side in SideChain::ALL {
        CertificateApplication::new(side).reads(&transaction);
    }
    Some(transaction.encoded().to_vec())
})];

const TOPICS: &[QueryTopic] = &[
    QueryTopic::Held,
    QueryTopic::Issued,
    QueryTopic::Checked,
    QueryTopic::Checks,
    QueryTopic::Inbox,
    QueryTopic::PutContent,
];

fuzz_target!(|bytes: &[u8]| {
    canonical(DECODERS, bytes);
    if let Ok(envelope) = SignedTransaction::decode(bytes) {
        // As gRPC hands it over: what is taken is what its own encoding says.
        if let Ok(taken) = Transaction::from_envelope(envelope) {
            let read = Transaction::decode(taken.encoded());
            assert_eq!(
                read.map(Transaction::into_encoded),
                Ok(taken.into_encoded())
            );
        }
    }
    // A body by itself, so that its fields are reached without a matching envelope around it.
    if let Ok(body) = TransactionBody::decode(bytes) {
        let envelope = SignedTransaction {
            body: body.encode_to_vec().into(),
            ..Default::default()
        };
        canonical(DECODERS, &envelope.encode_to_vec());
    }
    if let Ok(message) = QueryAuthorisation::decode(bytes) {
        let (chain, now) = (ChainId::from_bytes([1; 32]), TimeMs::new(message.time_ms));
        if let Ok(query) = Query::read(&message, chain, TOPICS, now) {
            let stranger = SecretKey::from_seed(&[0x43; 32]);
            assert!(query.verify(stranger.public()).is_err(), "of another chain");
        }
    }
});
