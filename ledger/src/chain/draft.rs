//! Judging transactions on the newest state: for admission, and for a block to be proposed.

use std::collections::{HashMap, HashSet};

use certchain_proto::{
    Height, TimeMs,
    block::Checkpoint,
    hash::{BlockId, HistoryRoot, TransactionId, TxRoot, WitnessId},
    wire::v1::Code,
};

use super::{
    BlockError, Chain, Fetched, Head, MainAt, Stored, main_reader::main_at, read::TRANSACTION_TAG,
    reader,
};
use crate::{
    execution::{BlockContext, Effects, check_envelope, check_fresh, evaluate},
    merkle,
    refusal::Refusal,
    signatures::VerifiedTransaction,
    state::StateKey,
    store::{INDEX, StoreError},
    view::ReadError,
};

/// What could be the next block.
#[derive(Debug)]
pub struct Draft {
    /// The transactions in order; each would succeed alone.
    pub transactions: Vec<VerifiedTransaction>,
    /// Their names in proposals.
    pub witness_ids: Vec<WitnessId>,
    /// The root over them.
    pub tx_root: TxRoot,
    /// What the header must name as history.
    pub history_root: HistoryRoot,
    /// The block time for which it was judged.
    pub time: TimeMs,
    /// On a side chain: the main block on which it stands.
    pub checkpoint: Option<Checkpoint>,
    /// What cannot stand in a block of that time, and why: to be dropped from the mempool.
    pub refused: Vec<(VerifiedTransaction, Refusal)>,
}

/// Transactions that have been judged alone, each a success.
pub(super) struct Evaluated {
    pub(super) parent: BlockId,
    pub(super) time: TimeMs,
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) tx_root: TxRoot,
    pub(super) alone: Vec<Effects>,
    pub(super) entries: HashMap<StateKey, Option<Stored>>,
}

pub(super) struct Judged {
    pub(super) alone: Vec<Result<Effects, Refusal>>,
    pub(super) entries: HashMap<StateKey, Option<Stored>>,
}

impl Chain {
    /// Whether a transaction would succeed alone on the newest state in a block of time `now`: the
    /// node's clock, but later than the head.
    ///
    /// # Errors
    /// If our own state cannot be read; the refusal is inside.
    pub fn admit(
        &self,
        transaction: &VerifiedTransaction,
        now: TimeMs,
    ) -> Result<Result<(), Refusal>, ReadError> {
        let mut answers = self.admit_many(std::slice::from_ref(transaction), now)?;
        Ok(answers.pop().unwrap_or(Ok(())))
    }

    /// [`Self::admit`] for many, each alone, with the state read in one request. Does not mind if a
    /// block is committed meanwhile: admission is asked again for every block.
    ///
    /// # Errors
    /// As [`Self::admit`].
    pub fn admit_many(
        &self,
        transactions: &[VerifiedTransaction],
        now: TimeMs,
    ) -> Result<Vec<Result<(), Refusal>>, ReadError> {
        let head = self.head();
        let main = self.newest_main()?;
        let judged = self.judge(&head, now, main.as_ref(), transactions)?;
        Ok(judged
            .alone
            .into_iter()
            .map(|result| result.map(|_| ()))
            .collect())
    }

    /// Picks from `candidates`, in order, what can stand in the next block at `time`.
    ///
    /// # Errors
    /// If our own state cannot be read, or a block is committed meanwhile.
    pub fn draft(
        &self,
        candidates: Vec<VerifiedTransaction>,
        time: TimeMs,
    ) -> Result<Draft, ReadError> {
        let head = self.head();
        let limits = &head.parameters.limits;
        let mut seen: HashSet<TransactionId> = HashSet::with_capacity(candidates.len());
        let (mut bytes, mut count) = (0u64, 0u64);
        let chosen: Vec<VerifiedTransaction> = candidates
            .into_iter()
            .filter(|transaction| seen.insert(transaction.id()))
            .take_while(|transaction| {
                bytes = bytes.saturating_add(transaction.encoded().len() as u64);
                count += 1;
                bytes <= limits.block_bytes && count <= limits.block_transactions
            })
            .collect();
        let main = self.newest_main()?;
        let judged = self.judge(&head, time, main.as_ref(), &chosen)?;
        self.check_unmoved(&head)?;
        let checkpoint = main.as_ref().map(|main| main.state().checkpoint);
        let mut transactions = Vec::with_capacity(chosen.len());
        let mut alone = Vec::with_capacity(chosen.len());
        let mut refused = Vec::new();
        for (transaction, result) in chosen.into_iter().zip(judged.alone) {
            match result {
                Ok(effects) => {
                    transactions.push(transaction);
                    alone.push(effects);
                }
                Err(refusal) => refused.push((transaction, refusal)),
            }
        }
        let witness_ids: Vec<WitnessId> = transactions.iter().map(|t| t.witness_id()).collect();
        let tx_root = merkle::tx_root(&witness_ids);
        let evaluated = Evaluated {
            parent: head.id,
            time,
            checkpoint,
            tx_root,
            alone,
            entries: judged.entries,
        };
        *self
            .drafted
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(evaluated);
        let history_root = head.next_history_root;
        Ok(Draft {
            transactions,
            witness_ids,
            tx_root,
            history_root,
            time,
            checkpoint,
            refused,
        })
    }

    /// Whether the head is still this one.
    pub(super) fn check_unmoved(&self, head: &Head) -> Result<(), ReadError> {
        if self.head().id == head.id {
            Ok(())
        } else {
            Err(ReadError::Moved)
        }
    }

    /// Main as a block with this checkpoint sees it; none on main itself.
    pub(super) fn main_at(
        &self,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Option<MainAt<'_>>, BlockError> {
        main_at(self.main.as_ref(), checkpoint)
    }

    /// Main as the next block may see it: after its last block.
    fn newest_main(&self) -> Result<Option<MainAt<'_>>, ReadError> {
        let checkpoint = self.rules.main.as_ref().map(|main| {
            let head = main.head();
            Checkpoint {
                height: head.height(),
                block: head.id,
                state_root: head.outcome.state_root,
            }
        });
        self.main_at(checkpoint).map_err(|error| match error {
            BlockError::Read(error) => error,
            // Main's head is written before it is shown, so only a broken store can lack it.
            other => StoreError::corrupt(other.to_string()).into(),
        })
    }

    pub(super) fn context<'a>(
        &'a self,
        head: &'a Head,
        time: TimeMs,
        main: Option<&'a MainAt<'_>>,
    ) -> BlockContext<'a> {
        BlockContext {
            chain: self.id,
            height: head.height().next(),
            time,
            parameters: &head.parameters,
            validators: &head.validators,
            main: main.map(MainAt::state),
            blocks: Some(self),
        }
    }

    /// Judges each transaction alone, as if it were the only one in the block after `head`.
    pub(super) fn judge(
        &self,
        head: &Head,
        time: TimeMs,
        main: Option<&MainAt<'_>>,
        transactions: &[VerifiedTransaction],
    ) -> Result<Judged, ReadError> {
        let application = &*self.rules.application;
        let context = self.context(head, time, main);
        let executed = self.executed_heights(transactions)?;
        // What fails by its envelope costs no look-up.
        let early: Vec<Result<(), Refusal>> = transactions
            .iter()
            .map(|t| check_envelope(t, self.id, &head.parameters, time))
            .collect();
        let sound = transactions.iter().zip(&early).filter(|(_, e)| e.is_ok());
        let fetched: Fetched<'_> = self
            .reader()
            .fetch(sound.flat_map(|(t, _)| application.reads(t)))?;
        let mut alone = Vec::with_capacity(transactions.len());
        for ((transaction, height), early) in transactions.iter().zip(executed).zip(early) {
            let result = match (early, height) {
                (Err(refusal), _) => Err(refusal),
                (Ok(()), Some(height)) if self.is_remembered(head, height, time)? => {
                    Err(Refusal::new(Code::Replayed))
                }
                (Ok(()), _) => match check_fresh(&context, transaction) {
                    Ok(()) => evaluate(application, &fetched, &context, transaction)?,
                    Err(refusal) => Err(refusal),
                },
            };
            alone.push(result);
        }
        Ok(Judged {
            alone,
            entries: fetched.into_entries(),
        })
    }

    /// The height at which each was executed, if it was.
    fn executed_heights(
        &self,
        transactions: &[VerifiedTransaction],
    ) -> Result<Vec<Option<Height>>, StoreError> {
        let keys: Vec<Vec<u8>> = transactions
            .iter()
            .map(|t| reader::key(self.number, &[&[TRANSACTION_TAG], t.id().as_bytes()]))
            .collect();
        let found = self.store.get_many(INDEX, &keys, false)?;
        found
            .into_iter()
            .map(|item| match item {
                Some(bytes) => super::read::decode_place(&bytes).map(|(height, _)| Some(height)),
                None => Ok(None),
            })
            .collect()
    }

    /// Whether a block is not older than W at `time`. What is older cannot be valid any more.
    fn is_remembered(&self, head: &Head, height: Height, time: TimeMs) -> Result<bool, ReadError> {
        let Some(block) = self.sealed_header(height)? else {
            return Err(
                StoreError::corrupt(format!("the header at height {height} is missing")).into(),
            );
        };
        Ok(time.since(block.header.time_ms) <= head.parameters.limits.transaction_window_ms)
    }
}
