//! Execution of a checked block, and the one atomic write that makes it part of the chain.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, atomic::Ordering},
};

use certchain_proto::{
    BlockHeader, CommitCertificate, Height, Outcome, ValidatorSet, View,
    certificate::Ed25519Verifier,
    codec,
    hash::{BlockId, HeaderDigest, ReceiptHash, ValueHash},
};

use super::{
    Chain, CheckedBlock, CommitError, ExecuteError, Fetched, Head, Stored, Tip,
    body::{self, body_key},
    lists::{ListPosition, list_key},
    read::{BLOCK_TAG, TRANSACTION_TAG, encode_place},
    reader,
};
use crate::{
    evidence::{MAX_SET_BYTES, SealedHeader},
    execution::{IndexEntry, Line, run_block},
    history::NodePosition,
    identity::{RestartNoticeRecord, keys},
    merkle,
    parameters::ChainParameters,
    receipt::{RECEIPT_BYTES, Receipt, encode_lines},
    signatures::VerifiedTransaction,
    state::{Pending, StateKey},
    store::{
        BODIES, Batch, HEADERS, HISTORY, INDEX, META, PAST_VALUES, RECEIPTS, Store, StoreError,
        VALUES,
    },
    view::{ReadError, Value},
};

/// A block with its result, computed and not committed. Dropping it discards it.
#[derive(Debug)]
pub struct Executed {
    block: CheckedBlock,
    outcome: Outcome,
    id: BlockId,
    receipts: Vec<Receipt>,
    writes: BTreeMap<StateKey, Option<Value>>,
    pending: Pending,
    restarts: Vec<RestartNoticeRecord>,
    lines: Vec<(u32, Vec<Line>)>,
    index: Vec<(u32, u32, IndexEntry)>,
    next_set: Option<Arc<ValidatorSet>>,
}

/// What a commit has done.
#[derive(Debug)]
pub struct Committed {
    /// The block, now the head.
    pub head: Arc<Head>,
    /// Its transactions.
    pub transactions: Vec<VerifiedTransaction>,
    /// What became of each.
    pub receipts: Vec<Receipt>,
    /// Notices of validators that lost their journals.
    pub restart_notices: Vec<RestartNoticeRecord>,
    /// The state keys that it changed, for [`crate::mempool::Mempool::disturbed`].
    pub written: Vec<StateKey>,
}

impl Executed {
    /// The order.
    pub const fn header(&self) -> &BlockHeader {
        &self.block.header
    }

    /// The header's digest.
    pub const fn header_digest(&self) -> HeaderDigest {
        self.block.digest
    }

    /// The result.
    pub const fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The block's name.
    pub const fn id(&self) -> BlockId {
        self.id
    }

    /// What became of each transaction.
    pub fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }

    /// The transactions in order.
    pub fn transactions(&self) -> &[VerifiedTransaction] {
        &self.block.transactions
    }

    /// Notices of validators that lost their journals.
    pub fn restart_notices(&self) -> &[RestartNoticeRecord] {
        &self.restarts
    }

    /// The set that decides from the next height on, if the block changes it.
    pub const fn next_set(&self) -> Option<&Arc<ValidatorSet>> {
        self.next_set.as_ref()
    }
}

impl Chain {
    /// Executes a block on the newest state, beside it. A pure function of block and state: asked
    /// again, also after a restart, it gives the same outcome.
    ///
    /// # Errors
    /// If the head has moved since the check, or the state cannot be read.
    pub fn execute(&self, mut block: CheckedBlock) -> Result<Executed, ExecuteError> {
        let head = self.head();
        if block.parent() != head.id {
            return Err(ExecuteError::Stale {
                parent: block.parent(),
                head: head.id,
            });
        }
        let alone = std::mem::take(&mut block.alone);
        let fetched = Fetched::resume(self.reader(), std::mem::take(&mut block.entries));
        let main = self.main_at(block.header.checkpoint).map_err(Box::new)?;
        let context = self.context(&head, block.header.time_ms, main.as_ref());
        let application = &*self.rules.application;
        let done = run_block(application, &fetched, &context, &block.transactions, alone)?;
        block.entries = fetched.into_entries();

        let hashed =
            |(key, value): (&StateKey, &Option<Value>)| (*key, value.as_deref().map(ValueHash::of));
        let pending = self
            .tree()
            .apply(Some(head.height()), done.writes.iter().map(hashed))
            .map_err(ReadError::from)?;
        let leaves: Vec<ReceiptHash> = done.receipts.iter().map(Receipt::hash).collect();
        let next_set = match done.writes.get(&keys::validators()) {
            Some(Some(value)) => Some(Arc::new(decode_set(value)?)),
            Some(None) | None => None,
        };
        let next_validators = match &next_set {
            Some(set) => set.digest(),
            None => head.outcome.next_validators,
        };
        let outcome = Outcome {
            state_root: pending.root(),
            receipts_root: merkle::receipts_root(&leaves),
            next_validators,
        };
        let id = BlockId::of(&block.digest, &outcome.digest());
        let (receipts, writes, restarts) = (done.receipts, done.writes, done.restarts);
        let (lines, index) = (done.lines, done.index);
        Ok(Executed {
            block,
            outcome,
            id,
            receipts,
            writes,
            pending,
            restarts,
            lines,
            index,
            next_set,
        })
    }

    /// Makes an executed block the head: verifies the certificate, then writes everything at once.
    /// When this returns, the block is on disk (see [`super::ChainOptions::sync`]).
    ///
    /// # Errors
    /// If the block does not follow the head, the certificate does not decide exactly this result,
    /// the disk is nearly full ([`StoreError::NoRoom`]; nothing has changed), or the disk fails; after
    /// that last one the chain must be opened anew.
    pub fn commit(
        &self,
        executed: Executed,
        certificate: CommitCertificate,
    ) -> Result<Committed, CommitError> {
        // Held to the end: commits are made one after the other.
        let mut tip = self.tip();
        if self.is_broken() {
            return Err(CommitError::Broken);
        }
        let old = self.head();
        if executed.block.parent() != old.id {
            return Err(CommitError::Stale {
                parent: executed.block.parent(),
                head: old.id,
            });
        }
        self.check_certificate(&old, &executed, &certificate)?;
        self.store.check_room()?;
        let Executed {
            block,
            outcome,
            id,
            receipts,
            writes,
            pending,
            restarts,
            lines,
            index,
            next_set,
        } = executed;

        // Everything that can fail before the first change.
        let mut batch = Batch::default();
        let writer = Writer {
            number: self.number,
        };
        let height = block.header.height;
        let sealed = SealedHeader {
            header: block.header.clone(),
            outcome,
            certificate,
        };
        writer.header(&mut batch, &sealed, id);
        writer.body(&mut batch, &block, &tip);
        writer.receipts(&mut batch, height, &receipts);
        writer.lines(&mut batch, height, &lines);
        writer.lists(&mut batch, height, &index);
        writer.values(&mut batch, height, &writes, &block.entries, self)?;
        let mut history = tip.history.clone();
        writer.history(&mut batch, &history.append(&id));
        let validators = next_set.unwrap_or_else(|| Arc::clone(&old.validators));
        let parameters = match writes.get(&keys::parameters()) {
            Some(Some(value)) => Arc::new(decode_parameters(value)?),
            Some(None) | None => Arc::clone(&old.parameters),
        };

        {
            let mut tree = self.tree_mut();
            let buckets = tree.commit(pending)?;
            tree.store().append(&buckets, &mut batch);
        }
        if let Err(error) = self.store.write(batch, self.options.sync) {
            self.broken.store(true, Ordering::Release);
            return Err(error.into());
        }

        let previous_view = if height <= Height::new(1) {
            View::ZERO
        } else {
            old.header.view
        };
        let head = Arc::new(Head {
            header: sealed.header,
            outcome: sealed.outcome,
            certificate: sealed.certificate,
            id,
            previous_view,
            decided_by: Arc::clone(&old.validators),
            validators,
            parameters,
            next_history_root: history.root(),
        });
        tip.history = history;
        tip.bodies.clear();
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&head);
        Ok(Committed {
            head,
            transactions: block.transactions,
            receipts,
            restart_notices: restarts,
            written: writes.into_keys().collect(),
        })
    }

    fn check_certificate(
        &self,
        head: &Head,
        executed: &Executed,
        certificate: &CommitCertificate,
    ) -> Result<(), CommitError> {
        let header = &executed.block.header;
        if certificate.block_id() != executed.id || certificate.height != header.height {
            let decided = certificate.block_id();
            return Err(CommitError::Diverged {
                decided,
                executed: executed.id,
            });
        }
        if certificate.view < header.view {
            return Err(certchain_proto::certificate::CertificateError::OtherBlock.into());
        }
        Ok(certificate.verify(self.id, &head.validators, &Ed25519Verifier)?)
    }
}

pub(crate) fn decode_set(value: &[u8]) -> Result<ValidatorSet, ReadError> {
    let corrupt = |source| ReadError::value(keys::validators(), source);
    codec::decode(value, MAX_SET_BYTES).map_err(corrupt)
}

pub(crate) fn decode_parameters(value: &[u8]) -> Result<ChainParameters, ReadError> {
    let corrupt = |source| ReadError::value(keys::parameters(), source);
    ChainParameters::decode(value).map_err(corrupt)
}

/// Puts the parts of a block into a batch.
#[derive(Clone, Copy)]
pub(super) struct Writer {
    pub(super) number: u16,
}

impl Writer {
    pub(super) fn header(&self, batch: &mut Batch, sealed: &SealedHeader, id: BlockId) {
        let height = sealed.height().to_be_bytes();
        let key = reader::key(self.number, &[&height]);
        batch.put(HEADERS, key, codec::encode(sealed));
        let key = reader::key(self.number, &[&[BLOCK_TAG], id.as_bytes()]);
        batch.put(INDEX, key, height);
        let head = [&height[..], id.as_bytes()].concat();
        batch.put(META, Store::head_key(self.number), head);
    }

    /// The decided body stays where it is, or goes in now if it was never stored; others at this
    /// height go out.
    fn body(&self, batch: &mut Batch, block: &CheckedBlock, tip: &Tip) {
        let height = block.header.height;
        if !tip.bodies.contains(&block.digest) {
            let key = body_key(self.number, height, &block.digest);
            batch.put(BODIES, key, body::encode(block));
        }
        for other in tip.bodies.iter().filter(|digest| **digest != block.digest) {
            batch.delete(BODIES, body_key(self.number, height, other));
        }
    }

    fn receipts(&self, batch: &mut Batch, height: Height, receipts: &[Receipt]) {
        let mut all = Vec::with_capacity(receipts.len() * RECEIPT_BYTES);
        for (place, receipt) in receipts.iter().enumerate() {
            all.extend_from_slice(&receipt.encode());
            let id = receipt.transaction;
            let key = reader::key(self.number, &[&[TRANSACTION_TAG], id.as_bytes()]);
            batch.put(INDEX, key, encode_place(height, place as u32));
        }
        let key = reader::key(self.number, &[&height.to_be_bytes()]);
        batch.put(RECEIPTS, key, all);
    }

    /// The lines of batches, each list under height and place of its transaction.
    fn lines(&self, batch: &mut Batch, height: Height, lines: &[(u32, Vec<Line>)]) {
        for (place, lines) in lines {
            let key = reader::key(self.number, &[&height.to_be_bytes(), &place.to_be_bytes()]);
            batch.put(RECEIPTS, key, encode_lines(lines));
        }
    }

    /// Entries of lists that belong to addresses.
    fn lists(&self, batch: &mut Batch, height: Height, entries: &[(u32, u32, IndexEntry)]) {
        for (place, number, entry) in entries {
            let at = ListPosition {
                height,
                place: *place,
                number: *number,
            };
            let key = list_key(self.number, &entry.owner, entry.topic, at);
            batch.put(INDEX, key, entry.id);
        }
    }

    /// New values go in; those that they replace are kept under the height that set them.
    fn values(
        &self,
        batch: &mut Batch,
        height: Height,
        writes: &BTreeMap<StateKey, Option<Value>>,
        known: &HashMap<StateKey, Option<Stored>>,
        chain: &Chain,
    ) -> Result<(), StoreError> {
        for (state_key, value) in writes {
            let unknown;
            let before = match known.get(state_key) {
                Some(stored) => stored.as_ref(),
                None => {
                    unknown = chain.reader().newest(state_key)?;
                    unknown.as_ref()
                }
            };
            let bytes = state_key.as_bytes();
            if let Some(before) = before {
                let key = reader::key(self.number, &[bytes, &before.height.to_be_bytes()]);
                batch.put(
                    PAST_VALUES,
                    key,
                    before.value.as_deref().unwrap_or_default(),
                );
            }
            let key = reader::key(self.number, &[bytes]);
            batch.put(VALUES, key, Stored::encode(height, value.as_deref()));
        }
        Ok(())
    }

    pub(super) fn history(&self, batch: &mut Batch, nodes: &[(NodePosition, [u8; 32])]) {
        for (position, hash) in nodes {
            batch.put(HISTORY, history_key(self.number, *position), *hash);
        }
    }
}

pub(crate) fn history_key(number: u16, position: NodePosition) -> Vec<u8> {
    reader::key(number, &[&[position.level], &position.index.to_be_bytes()])
}
