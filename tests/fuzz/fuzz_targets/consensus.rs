//! What validators send each other and keep: messages, journal records, blocks, certificates.

#![no_main]

use certchain_consensus::{
    Contents, Equivocation, Message, Promises, Record,
    limits::{MAX_MESSAGE_BYTES, MAX_RECORD_BYTES},
    message::{PreparedCertificate, SignedClaim},
    statement::{SignedStatement, Statement},
};
use certchain_fuzz::{Decoder, canonical, coded};
use certchain_proto::{
    BlockHeader, Checkpoint, CommitCertificate, CommitVote, Outcome, PrepareVote, SealedBlock,
    ValidatorSet, certificate::IndexedSignature, codec,
};
use certchain_simulator::{
    blocks::chain,
    keys::{Scheme, validators},
};
use libfuzzer_sys::fuzz_target;

const DECODERS: &[Decoder] = &[
    ("block header", coded::<BlockHeader>),
    ("outcome", coded::<Outcome>),
    ("checkpoint", coded::<Checkpoint>),
    ("sealed block", coded::<SealedBlock>),
    ("commit certificate", coded::<CommitCertificate>),
    ("indexed signature", coded::<IndexedSignature>),
    ("commit vote", coded::<CommitVote>),
    ("prepare vote", coded::<PrepareVote>),
    ("validator set", coded::<ValidatorSet>),
    ("statement", coded::<Statement>),
    ("signed statement", coded::<SignedStatement>),
    ("equivocation", coded::<Equivocation>),
    ("contents", coded::<Contents>),
    ("prepared certificate", coded::<PreparedCertificate>),
    ("claims", coded::<Vec<SignedClaim>>),
    ("message", |bytes| {
        let message = Message::decode(bytes, MAX_MESSAGE_BYTES).ok()?;
        let again = message.encode();
        // What is done with every message before it is known to be good.
        message.signed_statement();
        assert!(message.size() >= bytes.len(), "larger than its size says");
        assert!(
            message
                .verify(chain(), &validators(4), &Scheme::Fast)
                .is_err(),
            "forged"
        );
        Some(again)
    }),
    ("record", |bytes| {
        let record: Record = codec::decode(bytes, MAX_RECORD_BYTES).ok()?;
        // A journal of one record binds as much when it is rewritten.
        let promises = Promises::replay([&record]).expect("one record contradicts nothing");
        let live = promises.live_records();
        let again = Promises::replay(&live).expect("a rewritten journal can be read");
        assert_eq!(again.floor(), promises.floor());
        assert_eq!(again.amnesia(), promises.amnesia());
        Some(codec::encode(&record))
    }),
];

fuzz_target!(|bytes: &[u8]| canonical(DECODERS, bytes));
