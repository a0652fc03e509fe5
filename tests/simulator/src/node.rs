//! One simulated validator: the real engine, a disk that survives crashes, a memory that does not.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use certchain_consensus::{
    BodyRequest, Contents, Engine, EngineConfig, Head, Journal, JournalError, Output, Params,
    Record, Recovered, TimerId, TimerKind,
};
use certchain_proto::{
    BlockHeader, Height, TimeMs, View,
    hash::{HeaderDigest, WitnessId},
};

use super::{
    binding,
    blocks::{Block, GENESIS_TIME, chain, genesis},
    byzantine::Behaviour,
    journal::JournalFile,
    keys::{Scheme, signer},
    notice,
    sets::{Epochs, Law, Seat},
};

/// What survives a crash.
#[derive(Debug)]
pub struct Disk {
    /// Our promises.
    pub journal: JournalFile,
    /// Bodies that we voted for.
    pub bodies: BTreeMap<HeaderDigest, Contents>,
    /// Committed blocks, genesis first.
    pub ledger: Vec<Block>,
}

/// Where in the handling of an output the next crash comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashPoint {
    /// Before anything is written.
    BeforeJournal,
    /// While writing: only this many records reach the disk.
    TornJournal(usize),
    /// Written, but nothing said or done.
    AfterJournal,
    /// After this many actions.
    MidActions(usize),
}

/// A node.
#[derive(Debug)]
pub struct Node {
    /// Its number.
    pub index: usize,
    /// Who decides what, as its application has it.
    pub law: Arc<Law>,
    /// Who decides above its last block, and who did below.
    pub epochs: Epochs,
    /// Runs while the process lives.
    pub engine: Option<Engine>,
    /// Counts processes, so that answers to a dead one are dropped.
    pub life: u32,
    /// How far its clock is off.
    pub skew: i64,
    /// By how many millionths it runs fast or slow.
    pub drift_ppm: i64,
    /// By how much it has been set wrong for now.
    pub jump: i64,
    /// Whether its release executes differently.
    pub other_release: bool,
    /// Until when the process stands still.
    pub paused_until: u64,
    /// Its disk.
    pub disk: Disk,
    /// Committed, not yet on disk.
    pub tail: Vec<Block>,
    /// Transactions that it has.
    pub known: BTreeSet<WitnessId>,
    /// Those of them that are not in its blocks.
    waiting: BTreeSet<WitnessId>,
    /// Transactions in its blocks.
    pub done: BTreeSet<WitnessId>,
    /// Bodies being looked for.
    pub wanted: BTreeMap<HeaderDigest, BodyRequest>,
    /// Bodies in memory, from sync.
    pub synced: BTreeMap<HeaderDigest, Contents>,
    /// Blocks from sync that wait for their turn.
    pub queue: BTreeMap<Height, Block>,
    /// The running timer of each kind, by a number that no other setting has.
    pub timers: BTreeMap<TimerKind, (TimerId, u64)>,
    /// Where the next crash comes, if one is due.
    pub crash: Option<CrashPoint>,
    /// A crash that waits for its next COMMIT: whether it comes back with another release, and after
    /// how long.
    pub ambush: Option<(bool, u64)>,
    /// As whom it was last asked for its restart notice, since its start.
    pub asked: Option<Seat>,
    /// Until when its disk is full, and what waits for room.
    pub full_until: u64,
    /// Output that waits for room.
    pub held: Option<Output>,
    /// How it misbehaves, if it does.
    pub byzantine: Option<Box<dyn Behaviour>>,
}

impl Node {
    /// A node that has not been started.
    pub fn new(
        index: usize,
        law: &Arc<Law>,
        skew: i64,
        byzantine: Option<Box<dyn Behaviour>>,
    ) -> Self {
        Self {
            index,
            law: Arc::clone(law),
            epochs: Epochs::of_a_node(&law.first),
            engine: None,
            life: 0,
            skew,
            drift_ppm: 0,
            jump: 0,
            other_release: false,
            paused_until: 0,
            disk: Disk {
                journal: JournalFile::default(),
                bodies: BTreeMap::new(),
                ledger: vec![genesis(law.first.set())],
            },
            tail: Vec::new(),
            known: BTreeSet::new(),
            waiting: BTreeSet::new(),
            done: BTreeSet::new(),
            wanted: BTreeMap::new(),
            synced: BTreeMap::new(),
            queue: BTreeMap::new(),
            timers: BTreeMap::new(),
            crash: None,
            ambush: None,
            asked: None,
            full_until: 0,
            held: None,
            byzantine,
        }
    }

    /// Its clock at a true time.
    pub fn clock(&self, now: u64) -> TimeMs {
        let run = i64::try_from(now.saturating_sub(GENESIS_TIME)).unwrap_or(0);
        let drift = run.saturating_mul(self.drift_ppm) / 1_000_000;
        TimeMs::new(now.saturating_add_signed(self.skew + self.jump + drift))
    }

    /// Where it sits above its last block.
    pub fn seat(&self) -> Option<Seat> {
        let mut seats = self.epochs.present().seats().iter();
        seats.find(|seat| seat.node == self.index).copied()
    }

    /// Its last block.
    pub fn tip(&self) -> &Block {
        self.tail
            .last()
            .unwrap_or_else(|| &self.disk.ledger[self.disk.ledger.len() - 1])
    }

    /// The block of a height.
    pub fn block(&self, height: Height) -> Option<&Block> {
        let place = usize::try_from(height.get()).ok()?;
        let stored = self.disk.ledger.len();
        if place < stored {
            self.disk.ledger.get(place)
        } else {
            self.tail.get(place - stored)
        }
    }

    /// Takes up the process on what the disk holds.
    pub fn boot(&mut self, params: &Params, scheme: Scheme) -> Result<(), String> {
        self.life += 1;
        self.epochs = self.epochs_on_disk();
        self.done = self
            .disk
            .ledger
            .iter()
            .flat_map(|b| b.contents.witness_ids.iter().copied())
            .collect();
        let tip = self.disk.ledger.len() - 1;
        let block = &self.disk.ledger[tip];
        let previous_view = match tip {
            0 => View::ZERO,
            tip => self.disk.ledger[tip - 1].header.view,
        };
        let head = Head {
            header: block.header.clone(),
            outcome: block.outcome.clone(),
            certificate: block.certificate.clone(),
            previous_view,
        };
        let config = EngineConfig {
            chain: chain(),
            validators: self.epochs.present().set().as_ref().clone(),
            params: params.clone(),
        };
        let recovered = Recovered {
            head,
            records: self.disk.journal.records().to_vec(),
        };
        let key = Box::new(signer(scheme, self.index));
        let engine = Engine::new(config, recovered, key).map_err(|e| e.to_string())?;
        self.engine = Some(engine);
        Ok(())
    }

    /// Who decided and decides by the blocks that the ledger holds.
    fn epochs_on_disk(&self) -> Epochs {
        let mut epochs = Epochs::of_a_node(&self.law.first);
        for block in self.disk.ledger.iter().skip(1) {
            if let Some(next) = self.law.above(epochs.present(), &block.header) {
                epochs.learn(&next);
            }
        }
        epochs
    }

    /// The process ends; what memory held is gone.
    pub fn die(&mut self) {
        self.engine = None;
        self.life += 1;
        self.tail.clear();
        self.known.clear();
        self.waiting.clear();
        self.wanted.clear();
        self.synced.clear();
        self.queue.clear();
        self.timers.clear();
        self.crash = None;
        self.held = None;
        self.asked = None;
    }

    /// The disk loses the journal, and the node notices at its start.
    pub fn forget(&mut self, nonce: [u8; 32]) {
        self.disk.journal.lose(nonce);
    }

    /// The ledger comes back without its last blocks, as from a copy.
    pub fn lose_blocks(&mut self, count: usize) {
        let kept = self.disk.ledger.len().saturating_sub(count).max(1);
        self.disk.ledger.truncate(kept);
    }

    /// Rewrites the journal with what binds.
    pub fn compact(&mut self) -> Result<(), String> {
        let before = binding::of(self.disk.journal.records());
        self.disk.journal.rewrite()?;
        let after = binding::of(self.disk.journal.records());
        if before != after {
            return Err(format!(
                "a rewritten journal binds otherwise: {before:?} became {after:?}"
            ));
        }
        Ok(())
    }

    /// Learns of a transaction; whether it is new.
    pub fn learn(&mut self, transaction: WitnessId) -> bool {
        if !self.done.contains(&transaction) {
            self.waiting.insert(transaction);
        }
        self.known.insert(transaction)
    }

    /// Learns of the transactions of a block.
    pub fn learn_all(&mut self, transactions: &[WitnessId]) {
        for transaction in transactions {
            self.learn(*transaction);
        }
    }

    /// Transactions are in a block.
    pub fn finish(&mut self, transactions: &[WitnessId]) {
        for transaction in transactions {
            self.waiting.remove(transaction);
            self.done.insert(*transaction);
        }
    }

    /// Transactions that wait and could stand in the next block, in an order of their own.
    pub fn pending(&self) -> impl Iterator<Item = WitnessId> {
        let members = self.epochs.present();
        let waiting = self.waiting.iter().copied();
        waiting.filter(move |id| notice::is_admissible(id, members))
    }

    /// The contents of a block, wherever they are.
    pub fn contents(&self, header: &BlockHeader) -> Option<&Contents> {
        let digest = header.digest();
        self.disk
            .bodies
            .get(&digest)
            .or_else(|| self.synced.get(&digest))
    }
}

/// The journal's end of the disk.
#[derive(Debug)]
pub struct DiskJournal<'a> {
    /// The records.
    pub file: &'a mut JournalFile,
    /// A crash while writing leaves this many of them.
    pub torn_after: Option<usize>,
    /// There is no room.
    pub full: bool,
}

impl Journal for DiskJournal<'_> {
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        if self.full {
            return Err(JournalError::NoRoom { needed: 1 });
        }
        let kept = self.torn_after.unwrap_or(records.len()).min(records.len());
        self.file.append(&records[..kept]);
        match self.torn_after {
            None => Ok(()),
            Some(_) => Err(JournalError::Failed(std::io::ErrorKind::Interrupted)),
        }
    }
}
