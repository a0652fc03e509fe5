//! The rules of an anchor; they are numbered in the module above.

use certchain_ledger::{
    evidence::VerifiedHeader,
    execution::{BlockContext, Effects, Stop, check_signer_count},
    refusal::Refusal,
    side_chains::{self, AnchorRecord, SideChainRecord},
    state::StateKey,
    view::{ReadError, StateView},
};
use certchain_proto::{
    BlockHeader, ChainId, Epoch, Height, TimeMs, ValidatorSet,
    block::Checkpoint,
    certificate::Ed25519Verifier,
    hash::{BlockId, StateRoot},
    transaction::Transaction,
    wire::v1::{Code, SubmitAnchor},
};

use super::{bad_proof, chain_of, history_proof, known, not_frozen, present, sealed_header, votes};

/// What an anchor reads. The last anchor and the sets change only together with the chain's record,
/// so two transactions about one chain meet there.
pub(super) fn reads(m: &SubmitAnchor) -> Vec<StateKey> {
    let Ok(chain) = chain_of(&m.chain_id) else {
        return Vec::new();
    };
    let mut all = vec![side_chains::side_chain(&chain)];
    if let Ok(block) = sealed_header(&m.sealed_header, "sealed_header") {
        let epoch = block.header.epoch;
        all.push(side_chains::activation(&chain, epoch));
        all.push(side_chains::activation(&chain, epoch.next()));
        all.push(side_chains::anchor(&chain, block.header.height));
    }
    all
}

pub(super) fn submit(
    view: &dyn StateView,
    block: &BlockContext<'_>,
    transaction: &Transaction,
    m: &SubmitAnchor,
) -> Result<Effects, Stop> {
    check_signer_count(transaction, 1)?;
    let chain = chain_of(&m.chain_id)?;
    let mut record = known(view, &chain)?;
    // Before anything costly: strangers cannot make main verify certificates.
    check_signer(view, transaction, &chain, &record)?;
    not_frozen(&record)?;
    let sealed = sealed_header(&m.sealed_header, "sealed_header")?;
    let proof = history_proof(&m.history_proof)?;
    let header = &sealed.header;
    let last = Last::of(view, &chain, &record)?;
    let checkpoint = check_place(header, &record, &last)?;
    check_checkpoint(view, block, &chain, header, &checkpoint)?;
    //
    let set = given(view, &chain, header.epoch)?;
    let verified = sealed
        .verify(chain, &set, &Ed25519Verifier)
        .map_err(bad_proof)?;
    //
    if proof.height != last.height {
        let detail = format!(
            "the history proof is for height {}, the last anchored block has {}",
            proof.height, last.height
        );
        return Err(Refusal::about(Code::BadProof, detail).into());
    }
    verified
        .verify_history(&proof, &last.block)
        .map_err(bad_proof)?;
    record.last_anchor = header.height;
    record.epoch = header.epoch;
    let anchor = anchored(&verified, checkpoint, block.height);
    let mut effects = Effects {
        subject: Some(*verified.id.as_bytes()),
        ..Effects::default()
    };
    effects.set(side_chains::side_chain(&chain), &record.encode());
    let key = side_chains::anchor(&chain, anchor.height);
    effects.set(key, &anchor.encode());
    Ok(effects)
}

/// The set of an epoch that main has given.
fn given(view: &dyn StateView, chain: &ChainId, epoch: Epoch) -> Result<ValidatorSet, ReadError> {
    let set = side_chains::read_activation(view, chain, epoch)?;
    Ok(present(side_chains::activation(chain, epoch), set)?.validators)
}

///
fn check_signer(
    view: &dyn StateView,
    transaction: &Transaction,
    chain: &ChainId,
    record: &SideChainRecord,
) -> Result<(), Stop> {
    let signer = transaction.witnesses().first().map(|w| &w.public_key);
    for epoch in [record.newest, record.epoch] {
        let set = given(view, chain, epoch)?;
        if signer.is_some_and(|key| votes(&set, key)) {
            return Ok(());
        }
    }
    let detail = "the signer votes neither in the newest set nor in that of the last anchor";
    Err(Refusal::about(Code::WrongKey, detail).into())
}

fn anchored(block: &VerifiedHeader, checkpoint: Checkpoint, main_height: Height) -> AnchorRecord {
    AnchorRecord {
        height: block.header.height,
        block: block.id,
        epoch: block.header.epoch,
        time: block.header.time_ms,
        state_root: block.outcome.state_root,
        checkpoint,
        main_height,
    }
}

/// What the next anchor must follow: the last anchored block, or the chain's creation.
struct Last {
    height: Height,
    block: BlockId,
    time: TimeMs,
    checkpoint: Height,
}

impl Last {
    fn of(
        view: &dyn StateView,
        chain: &ChainId,
        record: &SideChainRecord,
    ) -> Result<Self, ReadError> {
        if record.last_anchor == Height::ZERO {
            return Ok(Self {
                height: Height::ZERO,
                block: record.genesis,
                time: record.creation.time,
                checkpoint: record.creation.height,
            });
        }
        let anchor = side_chains::read_anchor(view, chain, record.last_anchor)?;
        let anchor = present(side_chains::anchor(chain, record.last_anchor), anchor)?;
        Ok(Self {
            height: anchor.height,
            block: anchor.block,
            time: anchor.time,
            checkpoint: anchor.checkpoint.height,
        })
    }
}

/// A-2, and that there is a checkpoint.
fn check_place(
    header: &BlockHeader,
    record: &SideChainRecord,
    last: &Last,
) -> Result<Checkpoint, Refusal> {
    if header.epoch < record.epoch || header.epoch > record.newest {
        let detail = format!(
            "epoch {}, the last anchor is of {}, the newest is {}",
            header.epoch, record.epoch, record.newest
        );
        return Err(Refusal::about(Code::OldEpoch, detail));
    }
    if header.height <= last.height {
        let detail = format!("height {}, {} is anchored", header.height, last.height);
        return Err(Refusal::about(Code::OldAnchor, detail));
    }
    let Some(checkpoint) = header.checkpoint else {
        let detail = "the side block names no block of main";
        return Err(Refusal::about(Code::BadProof, detail));
    };
    if header.time_ms < last.time || checkpoint.height < last.checkpoint {
        let detail = "its time or checkpoint lies below that of the last anchored block";
        return Err(Refusal::about(Code::OldAnchor, detail));
    }
    Ok(checkpoint)
}

///
fn check_checkpoint(
    view: &dyn StateView,
    block: &BlockContext<'_>,
    chain: &ChainId,
    header: &BlockHeader,
    checkpoint: &Checkpoint,
) -> Result<(), Stop> {
    let own = match checkpoint.height < block.height {
        true => own_block(block, checkpoint.height)?,
        false => None,
    };
    if own != Some((checkpoint.block, checkpoint.state_root)) {
        let detail = format!(
            "the checkpoint at height {} is no earlier block of this chain",
            checkpoint.height
        );
        return Err(Refusal::about(Code::BadProof, detail).into());
    }
    let next = side_chains::read_activation(view, chain, header.epoch.next())?;
    if next.is_some_and(|next| checkpoint.height >= next.activation) {
        let detail = "the next epoch is active at the block's checkpoint";
        return Err(Refusal::about(Code::OldEpoch, detail).into());
    }
    Ok(())
}

fn own_block(
    block: &BlockContext<'_>,
    height: Height,
) -> Result<Option<(BlockId, StateRoot)>, ReadError> {
    match block.blocks {
        Some(blocks) => blocks.block(height),
        // A refusal would let nodes that are put together differently execute differently.
        None => Err(ReadError::Store(
            "main executes without the names of its earlier blocks".into(),
        )),
    }
}
