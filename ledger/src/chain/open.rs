//! Opening a chain: the first time its genesis is written; later everything that the next block
//! builds on is verified.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, RwLock, atomic::AtomicBool},
};

use certchain_proto::{
    ChainId, Height, View,
    hash::{BlockId, HeaderDigest, ValueHash},
};

use super::{
    Chain, ChainOptions, ChainRules, Head, OpenError, StateReader, Stored, Tip,
    body::body_key,
    commit::{Writer, decode_parameters, history_key},
    read, reader,
};
use crate::{
    evidence::SealedHeader,
    genesis::GenesisBlock,
    history::{History, NodePosition},
    identity::keys,
    state::StateTree,
    store::{
        BODIES, Batch, HISTORY, META, RECEIPTS, Range, StateBuckets, Store, StoreError, VALUES,
    },
    validator_set::decode_set,
};

impl Chain {
    /// Opens the chain `name` of the database, or starts it with this genesis.
    ///
    /// # Errors
    /// If the database holds another chain under the name, or what it holds is damaged: then the
    /// error names height and reason.
    pub fn open(
        store: Arc<Store>,
        name: &str,
        genesis: &GenesisBlock,
        rules: ChainRules,
        options: ChainOptions,
    ) -> Result<Self, OpenError> {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if name.is_empty() || name.len() > 32 || !name.bytes().all(good) {
            return Err(OpenError::Name);
        }
        let chains = store.chains()?;
        let number = match chains.iter().find(|chain| chain.name == name) {
            Some(chain) if chain.id == genesis.chain() => chain.number,
            Some(chain) => {
                let (stored, given) = (chain.id, genesis.chain());
                return Err(OpenError::OtherGenesis { stored, given });
            }
            None if store.is_read_only() => {
                return Err(OpenError::NoSuchChain {
                    name: name.to_owned(),
                });
            }
            None => {
                let number = chains
                    .iter()
                    .map(|chain| chain.number.saturating_add(1))
                    .max()
                    .unwrap_or(0);
                start(&store, name, number, genesis)?;
                number
            }
        };
        load(store, name, number, genesis, rules, options)
    }
}

/// Writes a chain's entry and its genesis block in one write.
fn start(
    store: &Arc<Store>,
    name: &str,
    number: u16,
    genesis: &GenesisBlock,
) -> Result<(), OpenError> {
    let mut batch = Batch::default();
    let (key, value) = Store::chain_entry(name, number, genesis.chain());
    batch.put(META, key, value);
    let writer = Writer { number };
    writer.header(&mut batch, &genesis.block, genesis.id());
    writer.history(&mut batch, &History::default().append(&genesis.id()));
    let height = Height::ZERO;
    let key = reader::key(number, &[&height.to_be_bytes()]);
    batch.put(RECEIPTS, key, []);
    for (state_key, value) in &genesis.leaves {
        let key = reader::key(number, &[state_key.as_bytes()]);
        batch.put(VALUES, key, Stored::encode(height, Some(value)));
    }
    let buckets = StateBuckets::new(Arc::clone(store), number);
    let mut tree = StateTree::open(buckets, None, 1)?;
    let leaves = genesis
        .leaves
        .iter()
        .map(|(key, value)| (*key, Some(ValueHash::of(value))));
    let pending = tree.apply(None, leaves)?;
    let writes = tree.commit(pending)?;
    tree.store().append(&writes, &mut batch);
    Ok(store.write(batch, true)?)
}

/// The height and name of the last block.
pub(crate) fn head_pointer(store: &Store, number: u16) -> Result<(Height, BlockId), StoreError> {
    let bytes = store.get(META, Store::head_key(number))?;
    let bytes =
        bytes.ok_or_else(|| StoreError::corrupt("the entry of the last block is missing"))?;
    bytes
        .split_first_chunk::<8>()
        .and_then(|(height, id)| {
            Some((
                Height::new(u64::from_be_bytes(*height)),
                BlockId::from_slice(id)?,
            ))
        })
        .ok_or_else(|| StoreError::corrupt("the entry of the last block is malformed"))
}

fn load(
    store: Arc<Store>,
    name: &str,
    number: u16,
    genesis: &GenesisBlock,
    rules: ChainRules,
    options: ChainOptions,
) -> Result<Chain, OpenError> {
    let (height, id) = head_pointer(&store, number)?;
    let corrupt = |height: Height, reason: &str| OpenError::Corrupt {
        height,
        reason: reason.to_owned(),
    };
    let at = |height: Height| -> Result<SealedHeader, OpenError> {
        read::header(&store, number, height)
            .map_err(|error| OpenError::Corrupt {
                height,
                reason: error.to_string(),
            })?
            .ok_or_else(|| corrupt(height, "its header is missing"))
    };
    if at(Height::ZERO)? != genesis.block {
        return Err(corrupt(Height::ZERO, "it is not the block of the genesis"));
    }
    let block = at(height)?;
    if block.check_parts(genesis.chain()).is_err() || block.id() != id {
        return Err(corrupt(
            height,
            "header, outcome and certificate do not belong together",
        ));
    }
    let previous_view = match height.get() {
        0 | 1 => View::ZERO,
        above => at(Height::new(above - 1))?.header.view,
    };
    let history = load_history(&store, number, &block, id)?;

    let root = block.outcome.state_root;
    let mut tree = StateTree::open(
        StateBuckets::new(Arc::clone(&store), number),
        Some((height, root)),
        options.provable_heights,
    )
    .map_err(|error| OpenError::Corrupt {
        height,
        reason: error.to_string(),
    })?;

    tree.set_cache_bytes(options.cache_bytes);

    let reader = StateReader::new(&store, number);
    let leaf = |key| {
        let value = reader
            .at(&key, height)?
            .ok_or_else(|| corrupt(height, "a value is missing"))?;
        match tree.get(&key)? {
            Some(hash) if hash == ValueHash::of(&value) => Ok(value),
            _ => Err(corrupt(height, "a value is not that of the state tree")),
        }
    };
    let malformed = |_| corrupt(height, "a value is malformed");
    let validators = Arc::new(decode_set(&leaf(keys::validators())?).map_err(malformed)?);
    let parameters = Arc::new(decode_parameters(&leaf(keys::parameters())?).map_err(malformed)?);
    if validators.digest() != block.outcome.next_validators {
        return Err(corrupt(
            height,
            "the validator set is not the one that the outcome names",
        ));
    }
    let decided_by = match height.previous() {
        None => Arc::clone(&validators),
        Some(previous) => {
            let key = keys::validators();
            let value = reader.at(&key, previous)?;
            let value = value.ok_or_else(|| corrupt(previous, "its validator set is missing"))?;
            Arc::new(decode_set(&value).map_err(malformed)?)
        }
    };
    let bodies = stored_bodies(&store, number, height.next())?;
    let next_history_root = history.root();
    let SealedHeader {
        header,
        outcome,
        certificate,
    } = block;
    let head = Head {
        header,
        outcome,
        certificate,
        id,
        previous_view,
        decided_by,
        validators,
        parameters,
        next_history_root,
    };
    Ok(Chain {
        name: name.to_owned(),
        id: genesis.chain(),
        number,
        options,
        main: rules.main.as_ref().map(|main| main.as_main()),
        rules,
        tree: RwLock::new(tree),
        head: RwLock::new(Arc::new(head)),
        tip: Mutex::new(Tip { history, bodies }),
        drafted: Mutex::new(None),
        broken: AtomicBool::new(false),
        store,
    })
}

/// Reads one node of the history.
pub(crate) fn history_node(
    store: &Store,
    number: u16,
    position: NodePosition,
) -> Result<Option<[u8; 32]>, StoreError> {
    let found = store.get(HISTORY, history_key(number, position))?;
    let Some(bytes) = found else { return Ok(None) };
    let hash = (&bytes[..]).try_into();
    hash.map(Some)
        .map_err(|_| StoreError::corrupt("a node of the history is malformed"))
}

/// The history up to the head: what the head's header commits to, and the head on top.
fn load_history(
    store: &Store,
    number: u16,
    block: &SealedHeader,
    id: BlockId,
) -> Result<History, OpenError> {
    let height = block.height();
    let corrupt = |reason: &str| OpenError::Corrupt {
        height,
        reason: reason.to_owned(),
    };
    let node = |position| history_node(store, number, position);
    let before = History::load(height.get(), node)?;
    let mut history = before.ok_or_else(|| corrupt("a node of the history is missing"))?;
    if history.root() != block.header.history_root {
        return Err(corrupt(
            "the stored history is not the one that the header names",
        ));
    }
    for (position, hash) in history.append(&id) {
        if node(position)? != Some(hash) {
            return Err(corrupt("the stored history lacks the last block"));
        }
    }
    Ok(history)
}

/// The bodies that wait at a height.
fn stored_bodies(
    store: &Store,
    number: u16,
    height: Height,
) -> Result<BTreeSet<HeaderDigest>, StoreError> {
    let start = body_key(number, height, &HeaderDigest::ZERO);
    let prefix = start
        .get(..start.len().saturating_sub(32))
        .unwrap_or_default();
    let mut found = BTreeSet::new();
    let range = Range::Up {
        prefix,
        start: prefix,
    };
    for entry in store.scan(BODIES, range)? {
        let (key, _) = entry?;
        found.extend(key.get(prefix.len()..).and_then(HeaderDigest::from_slice));
    }
    Ok(found)
}

/// The id of a chain as stored.
pub(crate) fn chain_number(
    store: &Store,
    name: &str,
) -> Result<Option<(u16, ChainId)>, StoreError> {
    let chains = store.chains()?;
    Ok(chains
        .into_iter()
        .find(|chain| chain.name == name)
        .map(|chain| (chain.number, chain.id)))
}
