//! The replay: the state, history and head that follow from the blocks, kept in memory, and the
//! comparison of each block's entries in the database with it.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use certchain_proto::{
    Height, TimeMs, View,
    certificate::Ed25519Verifier,
    hash::{BlockId, ReceiptHash, StateRoot, TransactionId, ValueHash},
};

use super::{Failure, load::Loaded};
use crate::{
    chain::{
        BLOCK_TAG, Head, ListPosition, MainAt, MainReader, TRANSACTION_TAG, check_checkpoint,
        check_contents, check_header, check_parent_certificate, decode_parameters, encode_place,
        header, history_key, list_key, main_at, number_key,
    },
    evidence::SealedHeader,
    execution::{
        Application, BlockContext, IndexEntry, Line, ParentSigners, check_envelope, check_fresh,
        evaluate, run_block,
    },
    genesis::GenesisBlock,
    history::{History, NodePosition},
    identity::keys,
    merkle,
    receipt::{Receipt, encode_lines},
    state::{MemoryStore, Pending, StateKey, StateTree},
    store::{Column, HISTORY, INDEX, PAST_VALUES, RECEIPTS, Store},
    validator_set::decode_set,
    view::{BlockNames, ReadError, StateView, Value},
};

/// The newest value of every key that ever had one, and the block that set it.
pub(super) type Values = HashMap<StateKey, (Height, Option<Value>)>;

struct InMemory<'a>(&'a Values);

impl StateView for InMemory<'_> {
    fn value(&self, key: &StateKey) -> Result<Option<Value>, ReadError> {
        Ok(self.0.get(key).and_then(|(_, value)| value.clone()))
    }
}

/// How many entries a sound database has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) receipts: u64,
    pub(super) index: u64,
    pub(super) past_values: u64,
    pub(super) history: u64,
}

/// Names and state roots of the blocks so far, by height.
#[derive(Debug, Default)]
struct Names(Vec<(BlockId, StateRoot)>);

impl BlockNames for Names {
    fn block(&self, height: Height) -> Result<Option<(BlockId, StateRoot)>, ReadError> {
        let place = usize::try_from(height.get()).unwrap_or(usize::MAX);
        Ok(self.0.get(place).copied())
    }
}

/// What the blocks mean and stand on.
pub(super) struct Rules<'a> {
    pub(super) application: &'a dyn Application,
    /// Main in the same database, audited before.
    pub(super) main: Option<MainReader>,
}

pub(super) struct Replay<'a> {
    rules: Rules<'a>,
    names: Names,
    store: Arc<Store>,
    number: u16,
    head: Head,
    tree: StateTree<MemoryStore>,
    values: Values,
    history: History,
    /// Ids of blocks not older than the window, and their order.
    recent: HashMap<TransactionId, TimeMs>,
    recent_order: VecDeque<(TimeMs, TransactionId)>,
    counts: Counts,
    transactions: u64,
}

impl<'a> Replay<'a> {
    pub(super) fn start(
        store: Arc<Store>,
        number: u16,
        genesis: &GenesisBlock,
        rules: Rules<'a>,
    ) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::at(Height::ZERO, error);
        match header(&store, number, Height::ZERO) {
            Ok(Some(stored)) if stored == genesis.block => {}
            Ok(_) => return Err(failed(&"the first block is not that of the genesis")),
            Err(error) => return Err(failed(&error)),
        }
        let mut tree = StateTree::open(MemoryStore::default(), None, 1).map_err(|e| failed(&e))?;
        let hashed = genesis
            .leaves
            .iter()
            .map(|(key, value)| (*key, Some(ValueHash::of(value))));
        let pending = tree.apply(None, hashed).map_err(|e| failed(&e))?;
        let writes = tree.commit(pending).map_err(|e| failed(&e))?;
        tree.store_mut().write(&writes);
        let mut history = History::EMPTY;
        let nodes = history.append(&genesis.id());
        let values = genesis
            .leaves
            .iter()
            .map(|(key, value)| (*key, (Height::ZERO, Some(Arc::clone(value)))))
            .collect();
        let set = Arc::new(genesis.validators.clone());
        let head = Head {
            header: genesis.block.header.clone(),
            outcome: genesis.block.outcome.clone(),
            certificate: genesis.block.certificate.clone(),
            id: genesis.id(),
            previous_view: View::ZERO,
            decided_by: Arc::clone(&set),
            validators: set,
            parameters: Arc::new(genesis.parameters.clone()),
            next_history_root: history.root(),
        };
        let names = Names(vec![(genesis.id(), genesis.block.outcome.state_root)]);
        let mut replay = Self {
            rules,
            names,
            store,
            number,
            head,
            tree,
            values,
            history,
            recent: HashMap::new(),
            recent_order: VecDeque::new(),
            counts: Counts::default(),
            transactions: 0,
        };
        replay
            .compare_block(genesis.id(), Height::ZERO, &nodes, &[])
            .map_err(|e| failed(&e))?;
        let none = replay
            .entry(RECEIPTS, &[&Height::ZERO.to_be_bytes()])
            .map_err(|e| failed(&e))?;
        if none.as_deref() != Some(&[]) {
            return Err(failed(&"the first block has receipts"));
        }
        Ok(replay)
    }

    pub(super) fn next_height(&self) -> Height {
        self.head.height().next()
    }

    pub(super) const fn head_id(&self) -> BlockId {
        self.head.id
    }

    pub(super) const fn head(&self) -> &Head {
        &self.head
    }

    pub(super) const fn values(&self) -> &Values {
        &self.values
    }

    pub(super) const fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(super) const fn transactions(&self) -> u64 {
        self.transactions
    }

    /// Checks and executes the next block, and compares what the database has of it.
    pub(super) fn block(&mut self, loaded: Loaded) -> Result<(), String> {
        let Loaded {
            sealed,
            parent_certificate,
            transactions,
            receipts: stored,
        } = loaded;
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let header = &sealed.header;
        sealed
            .check_parts(self.head.header.chain)
            .map_err(|e| text(&e))?;
        check_header(&self.head, header).map_err(|e| text(&e))?;
        check_parent_certificate(&self.head, header, &parent_certificate).map_err(|e| text(&e))?;
        check_contents(&self.head, header, &transactions).map_err(|e| text(&e))?;
        sealed
            .certificate
            .verify(header.chain, &self.head.validators, &Ed25519Verifier)
            .map_err(|e| text(&e))?;

        forget(
            &mut self.recent,
            &mut self.recent_order,
            header.time_ms,
            self.head.parameters.limits.transaction_window_ms,
        );
        let main = main_at(self.rules.main.as_ref(), header.checkpoint).map_err(|e| text(&e))?;
        check_checkpoint(&self.head, header, main.as_ref()).map_err(|e| text(&e))?;
        let context = BlockContext {
            chain: header.chain,
            height: header.height,
            time: header.time_ms,
            parameters: &self.head.parameters,
            validators: &self.head.validators,
            main: main.as_ref().map(MainAt::state),
            blocks: Some(&self.names),
        };
        let application = self.rules.application;
        let view = InMemory(&self.values);
        let mut alone = Vec::with_capacity(transactions.len());
        for (index, transaction) in transactions.iter().enumerate() {
            let refused = |refusal: &dyn std::fmt::Display| {
                format!("transaction {index} may not stand in this block: {refusal}")
            };
            check_envelope(transaction, header.chain, context.parameters, context.time)
                .map_err(|refusal| refused(&refusal))?;
            if self.recent.contains_key(&transaction.id()) {
                return Err(refused(&"it was executed already"));
            }
            check_fresh(&context, transaction).map_err(|refusal| refused(&refusal))?;
            let result =
                evaluate(application, &view, &context, transaction).map_err(|e| text(&e))?;
            alone.push(result.map_err(|refusal| refused(&refusal))?);
        }
        let parent = ParentSigners::of(&parent_certificate, &self.head.decided_by);
        let done = run_block(application, &view, &context, &transactions, alone, &parent)
            .map_err(|e| text(&e))?;

        let hashed = done
            .writes
            .iter()
            .map(|(key, value)| (*key, value.as_deref().map(ValueHash::of)));
        let pending = self
            .tree
            .apply(Some(self.head.height()), hashed)
            .map_err(|e| text(&e))?;
        if pending.root() != sealed.outcome.state_root {
            return Err(format!(
                "execution gives state root {}, the block says {}",
                pending.root(),
                sealed.outcome.state_root
            ));
        }
        let leaves: Vec<ReceiptHash> = done.receipts.iter().map(Receipt::hash).collect();
        if merkle::receipts_root(&leaves) != sealed.outcome.receipts_root {
            return Err("execution gives other receipts than the block says".to_owned());
        }
        let encoded: Vec<u8> = done.receipts.iter().flat_map(Receipt::encode).collect();
        if encoded != stored {
            return Err("the stored receipts are not those of the execution".to_owned());
        }
        self.compare_lines(header.height, &done.lines)?;
        self.compare_lists(header.height, &done.index)?;
        self.finish(sealed, done.writes, pending, &done.receipts)
    }

    /// Compares the lines of batches.
    fn compare_lines(
        &mut self,
        height: Height,
        batches: &[(u32, Vec<Line>)],
    ) -> Result<(), String> {
        for (place, lines) in batches {
            let stored = self.entry(RECEIPTS, &[&height.to_be_bytes(), &place.to_be_bytes()])?;
            if stored.as_deref() != Some(&encode_lines(lines)[..]) {
                return Err(format!("the stored lines of transaction {place} are wrong"));
            }
            self.counts.receipts += 1;
        }
        Ok(())
    }

    /// Compares the entries of lists that belong to addresses.
    fn compare_lists(
        &mut self,
        height: Height,
        entries: &[(u32, u32, IndexEntry)],
    ) -> Result<(), String> {
        for (place, number, entry) in entries {
            let at = ListPosition {
                height,
                place: *place,
                number: *number,
            };
            let key = list_key(self.number, &entry.owner, entry.topic, at);
            let found = self.store.get(INDEX, key);
            let found = found.map_err(|error| format!("column {INDEX}: {error}"))?;
            if found.as_deref() != Some(&entry.id[..]) {
                return Err(format!("a list does not lead to transaction {place}"));
            }
            self.counts.index += 1;
        }
        Ok(())
    }

    /// Takes the block over as head and compares index, earlier values and history.
    fn finish(
        &mut self,
        sealed: SealedHeader,
        writes: BTreeMap<StateKey, Option<Value>>,
        pending: Pending,
        receipts: &[Receipt],
    ) -> Result<(), String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let height = sealed.height();
        let validators = match writes.get(&keys::validators()) {
            Some(Some(value)) => Arc::new(decode_set(value).map_err(|e| text(&e))?),
            Some(None) | None => Arc::clone(&self.head.validators),
        };
        if validators.digest() != sealed.outcome.next_validators {
            return Err("the outcome names another validator set".to_owned());
        }
        let parameters = match writes.get(&keys::parameters()) {
            Some(Some(value)) => Arc::new(decode_parameters(value).map_err(|e| text(&e))?),
            Some(None) | None => Arc::clone(&self.head.parameters),
        };
        let buckets = self.tree.commit(pending).map_err(|e| text(&e))?;
        self.tree.store_mut().write(&buckets);
        for (key, value) in writes {
            if let Some((since, before)) = self.values.insert(key, (height, value)) {
                self.counts.past_values += 1;
                let parts: [&[u8]; 2] = [key.as_bytes(), &since.to_be_bytes()];
                let stored = self.entry(PAST_VALUES, &parts)?;
                if stored.as_deref() != Some(before.as_deref().unwrap_or_default()) {
                    return Err(format!(
                        "the value of {key} set at height {since} is not kept"
                    ));
                }
            }
        }
        let id = sealed.certificate.block_id();
        let nodes = self.history.append(&id);
        self.compare_block(id, height, &nodes, receipts)?;
        for receipt in receipts {
            self.recent
                .insert(receipt.transaction, sealed.header.time_ms);
            self.recent_order
                .push_back((sealed.header.time_ms, receipt.transaction));
        }
        self.transactions += receipts.len() as u64;
        self.names.0.push((id, sealed.outcome.state_root));
        let previous_view = if height <= Height::new(1) {
            View::ZERO
        } else {
            self.head.header.view
        };
        self.head = Head {
            header: sealed.header,
            outcome: sealed.outcome,
            certificate: sealed.certificate,
            id,
            previous_view,
            decided_by: Arc::clone(&self.head.validators),
            validators,
            parameters,
            next_history_root: self.history.root(),
        };
        Ok(())
    }

    fn entry(&self, column: Column, parts: &[&[u8]]) -> Result<Option<Vec<u8>>, String> {
        let key = number_key(self.number, parts);
        let found = self.store.get(column, key);
        let found = found.map_err(|error| format!("column {column}: {error}"))?;
        Ok(found.map(|bytes| bytes.to_vec()))
    }

    /// Compares a block's entries in the index and in the history.
    fn compare_block(
        &mut self,
        id: BlockId,
        height: Height,
        nodes: &[(NodePosition, [u8; 32])],
        receipts: &[Receipt],
    ) -> Result<(), String> {
        let stored = self.entry(INDEX, &[&[BLOCK_TAG], id.as_bytes()])?;
        if stored.as_deref() != Some(&height.to_be_bytes()) {
            return Err("the index does not lead to the block".to_owned());
        }
        let keys: Vec<Vec<u8>> = receipts
            .iter()
            .map(|r| number_key(self.number, &[&[TRANSACTION_TAG], r.transaction.as_bytes()]))
            .collect();
        let found = self.store.get_many(INDEX, &keys, false);
        let found = found.map_err(|error| format!("column {INDEX}: {error}"))?;
        for (place, found) in found.into_iter().enumerate() {
            if found.as_deref() != Some(&encode_place(height, place as u32)[..]) {
                return Err(format!("the index does not lead to transaction {place}"));
            }
        }
        for (position, hash) in nodes {
            let found = self.store.get(HISTORY, history_key(self.number, *position));
            let found = found.map_err(|error| format!("column {HISTORY}: {error}"))?;
            if found.as_deref() != Some(&hash[..]) {
                return Err("a stored node of the history is wrong".to_owned());
            }
        }
        self.counts.receipts += 1;
        self.counts.index += 1 + receipts.len() as u64;
        self.counts.history += nodes.len() as u64;
        Ok(())
    }
}

/// Drops ids of blocks that are older than the window.
fn forget(
    recent: &mut HashMap<TransactionId, TimeMs>,
    order: &mut VecDeque<(TimeMs, TransactionId)>,
    now: TimeMs,
    window: u64,
) {
    while let Some((time, id)) = order.front().copied() {
        if now.since(time) <= window {
            return;
        }
        order.pop_front();
        recent.remove(&id);
    }
}
