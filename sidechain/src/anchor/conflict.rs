//! The rules of a report of two blocks that no chain can both hold; they are numbered in the module
//! above.

use certchain_ledger::{
    evidence::{SealedHeader, VerifiedHeader},
    execution::{BlockContext, Effects, Stop, check_signer_count},
    identity::{IdentityRecord, keys},
    refusal::Refusal,
    side_chains::{self, FreezeRecord, SideChainRecord},
    state::StateKey,
    versioned::RecordError,
    view::{ReadError, StateView},
};
use certchain_proto::{
    Address, ChainId, CommitCertificate, Height,
    certificate::Ed25519Verifier,
    context,
    hash::{BlockId, hash_parts},
    transaction::Transaction,
    wire::v1::{Code, ReportConflict},
};

use super::{bad_proof, chain_of, history_proof, known, not_frozen, present, sealed_header, votes};

/// The address that an account with this first key has.
fn account_of(key: &[u8; 32]) -> Address {
    Address::from_bytes(hash_parts(context::ADDRESS, &[key]))
}

/// What a report reads. An account that rotated its key is found by way of that key's leaf and is
/// not named here: if it changes earlier in the same block, the report is judged by the account as
/// it was before the block, which harms nothing, since what counts is the proof.
pub(super) fn reads(transaction: &Transaction, m: &ReportConflict) -> Vec<StateKey> {
    let mut all = Vec::new();
    if let Some(witness) = transaction.witnesses().first() {
        let first = account_of(&witness.public_key);
        all.extend([keys::identity(&first), keys::rotated_key(&first)]);
    }
    if let Ok(chain) = chain_of(&m.chain_id) {
        all.push(side_chains::side_chain(&chain));
        for (bytes, name) in [(&m.lower, "lower"), (&m.higher, "higher")] {
            if let Ok(block) = sealed_header(bytes, name) {
                all.push(side_chains::activation(&chain, block.header.epoch));
            }
        }
    }
    all
}

pub(super) fn report(
    view: &dyn StateView,
    block: &BlockContext<'_>,
    transaction: &Transaction,
    m: &ReportConflict,
) -> Result<Effects, Stop> {
    check_signer_count(transaction, 1)?;
    let chain = chain_of(&m.chain_id)?;
    let mut record = known(view, &chain)?;
    check_signer(view, block, transaction, &chain, &record)?;
    not_frozen(&record)?;
    let (lower, higher) = (
        sealed_header(&m.lower, "lower")?,
        sealed_header(&m.higher, "higher")?,
    );
    if lower.height() > higher.height() {
        let detail = "lower has the greater height; exchange the two";
        return Err(Refusal::about(Code::BadField, detail).into());
    }
    let lower = verify(view, &chain, &record, &lower)?;
    let higher = verify(view, &chain, &record, &higher)?;
    let second = other_block(m, &lower, &higher)?;
    // C-3
    if second == lower.id {
        return Err(Refusal::new(Code::NoConflict).into());
    }
    let mut effects = Effects {
        subject: Some(*chain.as_bytes()),
        ..Effects::default()
    };
    // C-4
    if lower.header.epoch >= record.epoch || higher.header.epoch >= record.epoch {
        record.frozen = Some(FreezeRecord {
            main_height: block.height,
            height: lower.header.height,
            first: lower.id,
            second,
        });
        effects.set(side_chains::side_chain(&chain), &record.encode());
    }
    Ok(effects)
}

/// C-1.
fn check_signer(
    view: &dyn StateView,
    block: &BlockContext<'_>,
    transaction: &Transaction,
    chain: &ChainId,
    record: &SideChainRecord,
) -> Result<(), Stop> {
    let Some(witness) = transaction.witnesses().first() else {
        return Err(Refusal::new(Code::MissingSigner).into());
    };
    let key = &witness.public_key;
    let set = side_chains::read_activation(view, chain, record.newest)?;
    let set = present(side_chains::activation(chain, record.newest), set)?;
    if votes(block.validators, key) || votes(&set.validators, key) {
        return Ok(());
    }
    let account = account_by_key(view, key)?.ok_or_else(|| Refusal::new(Code::UnknownAccount))?;
    if !account.present.signs(key) {
        return Err(Refusal::new(Code::WrongKey).into());
    }
    match account.present.status.refusal() {
        None => Ok(()),
        Some(code) => Err(Refusal::new(code).into()),
    }
}

/// The account whose first key this is, or that rotated to it.
fn account_by_key(
    view: &dyn StateView,
    key: &[u8; 32],
) -> Result<Option<IdentityRecord>, ReadError> {
    let first = account_of(key);
    let address = match view.value(&keys::rotated_key(&first))? {
        None => first,
        Some(value) => {
            let address = Address::from_slice(&value);
            address.ok_or_else(|| {
                ReadError::record(
                    keys::rotated_key(&first),
                    RecordError::Malformed { what: "address" },
                )
            })?
        }
    };
    let at = keys::identity(&address);
    let Some(value) = view.value(&at)? else {
        return Ok(None);
    };
    let record = IdentityRecord::decode(&value);
    record
        .map(Some)
        .map_err(|error| ReadError::record(at, error))
}

/// C-2. Nobody signs a genesis block; it is the one that main's record names.
fn verify(
    view: &dyn StateView,
    chain: &ChainId,
    record: &SideChainRecord,
    block: &SealedHeader,
) -> Result<VerifiedHeader, Stop> {
    let (header, outcome) = (&block.header, &block.outcome);
    if block.height() == Height::ZERO {
        let empty = CommitCertificate::genesis(header.digest(), outcome.digest());
        if block.id() != record.genesis || block.certificate != empty {
            let detail = "a block at height 0 that is not the side chain's genesis block";
            return Err(Refusal::about(Code::BadProof, detail).into());
        }
        return Ok(VerifiedHeader {
            id: block.id(),
            header: header.clone(),
            outcome: outcome.clone(),
        });
    }
    let Some(set) = side_chains::read_activation(view, chain, header.epoch)? else {
        let detail = format!("the side chain has no epoch {}", header.epoch);
        return Err(Refusal::about(Code::BadProof, detail).into());
    };
    let verified = block.verify(*chain, &set.validators, &Ed25519Verifier);
    Ok(verified.map_err(bad_proof)?)
}

/// The block that stands against the lower one, at its height.
fn other_block(
    m: &ReportConflict,
    lower: &VerifiedHeader,
    higher: &VerifiedHeader,
) -> Result<BlockId, Refusal> {
    let height = lower.header.height;
    if height == higher.header.height {
        return match m.held.is_empty() && m.history_proof.is_empty() {
            true => Ok(higher.id),
            false => Err(Refusal::about(
                Code::BadField,
                "held and history_proof are for blocks of different heights",
            )),
        };
    }
    let held = BlockId::from_slice(&m.held)
        .ok_or_else(|| Refusal::about(Code::BadField, "held must have 32 bytes"))?;
    let proof = history_proof(&m.history_proof)?;
    if proof.height != height {
        let detail = format!(
            "the history proof is for height {}, not {height}",
            proof.height
        );
        return Err(Refusal::about(Code::BadProof, detail));
    }
    higher.verify_history(&proof, &held).map_err(bad_proof)?;
    Ok(held)
}
