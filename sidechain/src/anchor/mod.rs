//! Anchors: main's knowledge of the side chains. Main verifies sealed side blocks in full and keeps
//! them under (chain, height); it freezes a side chain when it is shown two sealed blocks that no
//! chain can both hold. Main never waits for a side chain.
//!
//! # Rules of an anchor
//!
//! - its signer votes in the set of the last anchored block or in the newest that main has given.
//! - the chain is known and not frozen; the block is of the last anchored block's epoch or of a
//!   later one that main has given, above that block, and neither its time nor its checkpoint lies
//!   below that block's. Earlier epochs are retired: they anchor nothing more.
//! - the checkpoint is main's own block, below the block that executes the anchor.
//! - if the next epoch's set is named already, the checkpoint lies below its activation: the
//!   block that hands over is covered by its successor's anchor.
//! - a quorum of the epoch's set signed the block's commit certificate.
//! - the block's history holds the last anchored block, or the side chain's genesis block if
//!   none is anchored.
//!
//! # Rules of a conflict
//!
//! - C-1: its signer has an active account, or votes on main or in the side chain's newest set.
//! - C-2: both blocks are sealed by the set of the epoch that each names.
//! - C-3: they have one height and different names, or the history of the higher one holds another
//!   block at the height of the lower one.
//! - C-4: the chain is frozen unless both epochs are retired, that is, below the last anchor's: then
//!   the report stands in main's blocks and changes nothing.
//!
//! A wrong or missing proof is a refusal, no more.

mod conflict;
mod rules;

use std::{collections::BTreeMap, sync::Arc};

use certchain_config::{Genesis, catalogue::SideChain};
use certchain_ledger::{
    evidence::{EvidenceError, SealedHeader},
    execution::{Application, BlockContext, Effects, ParentSigners, Stop},
    governance::GovernanceApplication,
    history::HistoryProof,
    identity::keys,
    refusal::Refusal,
    side_chains::{self, ActivationRecord, CreationRecord, SideChainRecord},
    state::StateKey,
    validator_set::decode_set,
    versioned::RecordError,
    view::{ReadError, StateView, Value},
};
use certchain_proto::{
    ChainId, Height, ValidatorSet,
    codec::{self, DecodeError},
    hash::BlockId,
    limits::MAX_CERTIFICATE_BYTES,
    transaction::Transaction,
    wire::v1::{Code, ReportConflict, SubmitAnchor, transaction_body::Kind},
};

use crate::hand_over;

/// Largest encoding of a header or outcome.
const MAX_PART_BYTES: usize = 2 * 1024;
/// Largest encoding of a sealed header.
pub const MAX_SEALED_HEADER_BYTES: usize = 2 * MAX_PART_BYTES + MAX_CERTIFICATE_BYTES;
/// Largest encoding of a history proof: at most 63 hashes in each of its lists.
pub const MAX_HISTORY_PROOF_BYTES: usize = 8 * 1024;

/// The main chain's application: anchors and conflicts here, identities and governance in the ledger.
#[derive(Clone, Copy, Debug, Default)]
pub struct MainApplication;

impl Application for MainApplication {
    fn reads(&self, transaction: &Transaction) -> Vec<StateKey> {
        match transaction.kind() {
            Kind::SubmitAnchor(m) => rules::reads(m),
            Kind::ReportConflict(m) => conflict::reads(transaction, m),
            _ => GovernanceApplication.reads(transaction),
        }
    }

    fn execute(
        &self,
        view: &dyn StateView,
        block: &BlockContext<'_>,
        transaction: &Transaction,
    ) -> Result<Effects, Stop> {
        match transaction.kind() {
            Kind::SubmitAnchor(m) => rules::submit(view, block, transaction, m),
            Kind::ReportConflict(m) => conflict::report(view, block, transaction, m),
            _ => GovernanceApplication.execute(view, block, transaction),
        }
    }

    fn end_block(
        &self,
        view: &dyn StateView,
        block: &BlockContext<'_>,
        parent: &ParentSigners,
    ) -> Result<BTreeMap<StateKey, Option<Value>>, ReadError> {
        let mut writes = GovernanceApplication.end_block(view, block, parent)?;
        if let Some(Some(set)) = writes.get(&keys::validators()) {
            let members = decode_set(set)?;
            writes.extend(hand_over::give(view, block.height, &members)?);
        }
        Ok(writes)
    }
}

/// The message that anchors a side block; `proof` is that of the last anchored block, or of the
/// genesis block, in this block's history.
pub fn anchor_message(chain: &ChainId, block: &SealedHeader, proof: &HistoryProof) -> SubmitAnchor {
    SubmitAnchor {
        chain_id: chain.as_bytes().to_vec(),
        sealed_header: codec::encode(block),
        history_proof: codec::encode(proof),
    }
}

/// The message that reports two sealed blocks that no chain can both hold. If their heights differ,
/// `held` names the block that the higher one's history holds at the lower one's height.
pub fn conflict_message(
    chain: &ChainId,
    lower: &SealedHeader,
    higher: &SealedHeader,
    held: Option<(&BlockId, &HistoryProof)>,
) -> ReportConflict {
    ReportConflict {
        chain_id: chain.as_bytes().to_vec(),
        lower: codec::encode(lower),
        higher: codec::encode(higher),
        held: held.map_or_else(Vec::new, |(block, _)| block.as_bytes().to_vec()),
        history_proof: held.map_or_else(Vec::new, |(_, proof)| codec::encode(proof)),
    }
}

/// What main's state holds of the side chains from the start: main's validators decide all of them.
/// Each comes with the name of its genesis block.
pub fn side_chain_leaves(
    genesis: &Genesis,
    genesis_blocks: &[(SideChain, BlockId)],
) -> BTreeMap<StateKey, Value> {
    let main = genesis.chain_id();
    let creation = CreationRecord::of_genesis(genesis);
    let activation = ActivationRecord {
        validators: genesis.validator_set().clone(),
        activation: Height::ZERO,
    };
    let mut leaves: BTreeMap<StateKey, Value> = BTreeMap::new();
    let mut chains = Vec::with_capacity(genesis_blocks.len());
    for (side, block) in genesis_blocks {
        let chain = creation.chain_id(&main, side.name());
        let record = SideChainRecord {
            name: side.name().to_owned(),
            creation: creation.clone(),
            genesis: *block,
            epoch: creation.epoch,
            newest: creation.epoch,
            last_anchor: Height::ZERO,
            frozen: None,
        };
        leaves.insert(side_chains::side_chain(&chain), Arc::from(record.encode()));
        let key = side_chains::activation(&chain, creation.epoch);
        leaves.insert(key, Arc::from(activation.encode()));
        chains.push(chain);
    }
    leaves.extend([hand_over::list_leaf(chains)]);
    leaves
}

fn chain_of(bytes: &[u8]) -> Result<ChainId, Refusal> {
    ChainId::from_slice(bytes)
        .ok_or_else(|| Refusal::about(Code::BadField, "chain_id must have 32 bytes"))
}

fn sealed_header(bytes: &[u8], name: &str) -> Result<SealedHeader, Refusal> {
    codec::decode(bytes, MAX_SEALED_HEADER_BYTES).map_err(|error| unreadable(name, &error))
}

fn history_proof(bytes: &[u8]) -> Result<HistoryProof, Refusal> {
    codec::decode(bytes, MAX_HISTORY_PROOF_BYTES)
        .map_err(|error| unreadable("history_proof", &error))
}

fn unreadable(name: &str, error: &DecodeError) -> Refusal {
    Refusal::about(Code::BadField, format!("{name}: {error}"))
}

fn bad_proof(error: impl Into<EvidenceError>) -> Refusal {
    Refusal::about(Code::BadProof, error.into().to_string())
}

fn known(view: &dyn StateView, chain: &ChainId) -> Result<SideChainRecord, Stop> {
    let record = side_chains::read_side_chain(view, chain)?;
    Ok(record.ok_or_else(|| Refusal::new(Code::UnknownChain))?)
}

fn not_frozen(record: &SideChainRecord) -> Result<(), Refusal> {
    match record.frozen {
        None => Ok(()),
        Some(freeze) => Err(Refusal::about(
            Code::Frozen,
            format!("two blocks are sealed at height {}", freeze.height),
        )),
    }
}

/// A record that the state must hold, since another one says so.
fn present<T>(key: StateKey, record: Option<T>) -> Result<T, ReadError> {
    record.ok_or_else(|| ReadError::record(key, RecordError::Malformed { what: "side chain" }))
}

fn votes(set: &ValidatorSet, key: &[u8; 32]) -> bool {
    set.iter()
        .any(|(_, member)| member.vote_key.as_bytes() == key)
}
