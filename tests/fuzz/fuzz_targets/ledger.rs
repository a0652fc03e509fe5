//! What the ledger stores and hands out: records, receipts, proofs, evidence.

#![no_main]

use certchain_fuzz::{Decoder, canonical, coded, evidence};
use certchain_ledger::{
    evidence::{HistoryEvidence, SealedHeader, SetChange, StateEvidence},
    governance::{
        MembersRecord, OffersRecord, ProposalList, ProposalRecord, RegistrarsRecord, RulesRecord, TypesRecord,
    },
    history::HistoryProof,
    identity::{IdentityRecord, PastVersion, RecoveryRecord, RestartNoticeRecord},
    merkle::MerkleProof,
    parameters::ChainParameters,
    receipt::{Receipt, decode_lines, encode_lines},
    side_chains::{ActivationRecord, AnchorRecord, CreationRecord, SideChainList, SideChainRecord},
    state::{StateKey, StateProof},
};
use certchain_proto::{codec, wire::v1};
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

const DECODERS: &[Decoder] = &[
    ("sealed header", coded::<SealedHeader>),
    ("merkle proof", coded::<MerkleProof>),
    ("history proof", coded::<HistoryProof>),
    ("state proof", coded::<StateProof>),
    ("state key", coded::<StateKey>),
    ("creation record", coded::<CreationRecord>),
    ("identity record", |bytes| {
        Some(IdentityRecord::decode(bytes).ok()?.encode())
    }),
    ("past version", |bytes| {
        Some(PastVersion::decode(bytes).ok()?.encode())
    }),
    ("restart notice", |bytes| {
        Some(RestartNoticeRecord::decode(bytes).ok()?.encode())
    }),
    ("chain parameters", |bytes| {
        Some(codec::encode(&ChainParameters::decode(bytes).ok()?))
    }),
    ("receipt", |bytes| {
        Some(Receipt::decode(bytes).ok()?.encode().to_vec())
    }),
    ("side chain record", |bytes| {
        Some(SideChainRecord::decode(bytes).ok()?.encode())
    }),
    ("activation record", |bytes| {
        Some(ActivationRecord::decode(bytes).ok()?.encode())
    }),
    ("anchor record", |bytes| {
        Some(AnchorRecord::decode(bytes).ok()?.encode())
    }),
    ("rules of voting", |bytes| {
        Some(RulesRecord::decode(bytes).ok()?.encode())
    }),
    ("proposal", |bytes| {
        Some(ProposalRecord::decode(bytes).ok()?.encode())
    }),
    ("list of proposals", |bytes| {
        Some(ProposalList::decode(bytes).ok()?.encode())
    }),
    ("offers", |bytes| {
        Some(OffersRecord::decode(bytes).ok()?.encode())
    }),
    ("registrars", |bytes| {
        Some(RegistrarsRecord::decode(bytes).ok()?.encode())
    }),
    ("names of types", |bytes| {
        Some(TypesRecord::decode(bytes).ok()?.encode())
    }),
    ("members", |bytes| {
        Some(MembersRecord::decode(bytes).ok()?.encode())
    }),
    ("list of side chains", |bytes| {
        Some(SideChainList::decode(bytes).ok()?.encode())
    }),
    ("batch lines", |bytes| {
        Some(encode_lines(&decode_lines(bytes)?))
    }),
    ("bare state key", |bytes| {
        Some(StateKey::new(bytes).ok()?.as_bytes().to_vec())
    }),
    ("recovery", |bytes| {
        Some(RecoveryRecord::decode(bytes).ok()?.encode())
    }),
];

fuzz_target!(|bytes: &[u8]| {
    canonical(DECODERS, bytes);
    evidence::<v1::BlockHeader, SealedHeader>(bytes);
    evidence::<v1::MerkleProof, MerkleProof>(bytes);
    evidence::<v1::HistoryProof, HistoryProof>(bytes);
    evidence::<v1::GetHistoryProofResponse, HistoryEvidence>(bytes);
    evidence::<v1::StateProof, StateProof>(bytes);
    evidence::<v1::StateEvidence, StateEvidence>(bytes);
    evidence::<v1::ValidatorSetChange, SetChange>(bytes);
    if let Ok(message) = v1::Receipt::decode(bytes) {
        let _ = Receipt::try_from(&message);
    }
});
