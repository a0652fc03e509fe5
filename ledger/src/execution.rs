//! Execution of transactions, alone and in a block.
//!
//! Every transaction of a block must succeed alone on the state before the block, at the block's
//! time. So each is evaluated alone first; in the block only those are evaluated again that read
//! what an earlier one has written. Those may fail: a receipt with a code, nothing else.

use std::collections::{BTreeMap, HashMap};

use certchain_proto::{
    Address, ChainId, Height, TimeMs, ValidatorSet, transaction::Transaction, wire::v1::Code,
};

use crate::{
    identity::{self, RestartNoticeRecord},
    parameters::ChainParameters,
    receipt::Receipt,
    refusal::Refusal,
    signatures::VerifiedTransaction,
    state::StateKey,
    view::{Overlay, ReadError, StateView, Value},
};

/// What execution may know of the block that it is for.
#[derive(Clone, Copy, Debug)]
pub struct BlockContext<'a> {
    /// The chain.
    pub chain: ChainId,
    /// The block's height.
    pub height: Height,
    /// The block's time.
    pub time: TimeMs,
    /// The chain's parameters, as the block before left them.
    pub parameters: &'a ChainParameters,
    /// The set that decides the block.
    pub validators: &'a ValidatorSet,
}

/// What a transaction that succeeds changes.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// The account that it made or changed.
    pub subject: Option<Address>,
    /// New values, each key once; `None` deletes.
    pub writes: Vec<(StateKey, Option<Value>)>,
    /// A validator's notice, for its engine.
    pub restart: Option<RestartNoticeRecord>,
}

/// Why execution of one transaction ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    Refused(Refusal),
    Failed(ReadError),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        Self::Failed(error)
    }
}

/// Checks what needs no state: chain, size, and the time for which it is valid.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_envelope(
    transaction: &Transaction,
    chain: ChainId,
    parameters: &ChainParameters,
    time: TimeMs,
) -> Result<(), Refusal> {
    if transaction.chain() != chain {
        return Err(Refusal::new(Code::WrongChain));
    }
    let (actual, most) = (
        transaction.encoded().len(),
        parameters.limits.transaction_bytes,
    );
    if actual as u64 > most {
        let detail = format!("{actual} bytes, the chain takes {most}");
        return Err(Refusal::about(Code::TooLarge, detail));
    }
    check_validity(transaction, parameters, time)
}

/// The rule of D4: time < valid_until <= time + W.
pub(crate) fn check_validity(
    transaction: &Transaction,
    parameters: &ChainParameters,
    time: TimeMs,
) -> Result<(), Refusal> {
    let until = transaction.valid_until();
    if until <= time {
        return Err(Refusal::new(Code::Expired));
    }
    if until > time.saturating_add(parameters.limits.transaction_window_ms) {
        return Err(Refusal::new(Code::TooFar));
    }
    Ok(())
}

/// Evaluates one transaction alone. The caller has checked envelope and replay.
///
/// # Errors
/// If the state cannot be read; a refusal is inside.
pub fn evaluate(
    view: &dyn StateView,
    block: &BlockContext<'_>,
    transaction: &Transaction,
) -> Result<Result<Effects, Refusal>, ReadError> {
    match identity::execute(view, block, transaction) {
        Ok(effects) => Ok(Ok(effects)),
        Err(Stop::Refused(refusal)) => Ok(Err(refusal)),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// The keys that the evaluation of a transaction may read.
pub fn reads(transaction: &Transaction) -> Vec<StateKey> {
    identity::reads(transaction)
}

/// What all transactions of a block change together.
#[derive(Clone, Debug, Default)]
pub struct BlockEffects {
    /// One per transaction, in order.
    pub receipts: Vec<Receipt>,
    /// The last value of each key that changes.
    pub writes: BTreeMap<StateKey, Option<Value>>,
    /// Notices of validators, in order.
    pub restarts: Vec<RestartNoticeRecord>,
}

/// Runs a block whose transactions have been evaluated alone on `view`, the state before it.
///
/// # Errors
/// If the state cannot be read.
pub fn run_block(
    view: &dyn StateView,
    block: &BlockContext<'_>,
    transactions: &[VerifiedTransaction],
    alone: Vec<Effects>,
) -> Result<BlockEffects, ReadError> {
    let mut overlay = Overlay {
        below: view,
        changed: HashMap::with_capacity(alone.len() * 2),
    };
    let mut done = BlockEffects {
        receipts: Vec::with_capacity(transactions.len()),
        ..BlockEffects::default()
    };
    for (transaction, effects) in transactions.iter().zip(alone) {
        let disturbed = reads(transaction)
            .iter()
            .any(|key| overlay.changed.contains_key(key));
        let result = match disturbed {
            true => evaluate(&overlay, block, transaction)?,
            false => Ok(effects),
        };
        match result {
            Ok(effects) => {
                done.receipts
                    .push(Receipt::executed(transaction.id(), effects.subject));
                overlay.changed.extend(effects.writes);
                done.restarts.extend(effects.restart);
            }
            Err(refusal) => {
                done.receipts
                    .push(Receipt::failed(transaction.id(), refusal.code()));
            }
        }
    }
    done.writes = overlay.changed.into_iter().collect();
    Ok(done)
}
