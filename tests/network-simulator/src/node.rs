//! One simulated node: what its disk holds, and what its process has in memory.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use certchain_config::SideChain;
use certchain_consensus::{
    BodyRequest, Decision, Engine, EngineConfig, Head, Output, Params, Recovered, TimerId,
    TimerKind,
};
use certchain_ledger::{
    chain::{Chain, ChainOptions, ChainRules, CheckedBlock, Executed},
    mempool::Mempool,
    store::{MemoryDisk, Store},
};
use certchain_proto::{ChainId, Height, SealedBlock, TimeMs, hash::HeaderDigest};
use certchain_sidechain::{anchor::MainApplication, certificate::CertificateApplication};
use certchain_simulator::{
    blocks::Block,
    journal::JournalFile,
    keys::{self, Scheme},
};

use crate::{
    faulty::Faulty,
    plan::Point,
    town::{SIDES, Town},
    weakness::Weakness,
};

/// Chains of a node: main comes first.
pub const CHAINS: usize = 1 + SIDES.len();
/// Main's place.
pub const MAIN: usize = 0;

/// A chain's name.
pub fn name(chain: usize) -> &'static str {
    match side(chain) {
        Some(side) => side.name(),
        None => "main",
    }
}

/// The kind of certificates that a chain keeps; none on main.
pub fn side(chain: usize) -> Option<SideChain> {
    SIDES.get(chain.checked_sub(1)?).copied()
}

/// A candidate for the next height.
#[derive(Debug)]
pub enum Candidate {
    /// Its body is checked and on disk.
    Checked(Box<CheckedBlock>),
    /// Its result is known.
    Executed(Box<Executed>),
}

/// One chain in a process.
#[derive(Debug)]
pub struct Host {
    /// The ledger.
    pub chain: Arc<Chain>,
    /// The engine.
    pub engine: Engine,
    /// Transactions that wait.
    pub mempool: Mempool,
    /// Candidates for the next height.
    pub candidates: BTreeMap<HeaderDigest, Candidate>,
    /// Bodies being looked for.
    pub wanted: BTreeMap<HeaderDigest, BodyRequest>,
    /// Blocks from peers that wait for their turn, with who gave them.
    pub queue: BTreeMap<Height, (usize, SealedBlock)>,
    /// Decided, not yet on disk.
    pub decided: VecDeque<Decision>,
    /// The running timer of each kind, by a number that no other setting has.
    pub timers: BTreeMap<TimerKind, (TimerId, u64)>,
    /// Output that waits for room in the journal.
    pub held: Option<Output>,
    /// The nonce of the restart notice that is to be committed.
    pub notice: Option<[u8; 32]>,
    /// On a side chain: above which anchor a block waits to be anchored, and since when.
    pub anchorless: Option<(Height, u64)>,
    /// The last block as a faulty validator looks at it.
    pub tip: Option<Block>,
}

/// A validator.
#[derive(Debug)]
pub struct Node {
    /// Its place.
    pub index: usize,
    /// Counts processes, so that answers to a dead one are dropped.
    pub life: u32,
    /// How far its clock is off.
    pub skew: i64,
    /// Until when the process stands still.
    pub paused_until: u64,
    /// The store's disk.
    pub disk: Arc<MemoryDisk>,
    /// The journals' files.
    pub journals: Vec<JournalFile>,
    /// Until when each journal has no room.
    pub full_until: Vec<u64>,
    /// The heights that it has reported as being on disk.
    pub reached: Vec<Height>,
    /// The chains of the running process; empty while there is none.
    pub hosts: Vec<Host>,
    /// The chain in whose next output that writes it crashes.
    pub crash: Option<(usize, Point)>,
    /// How it misbehaves, if it does.
    pub faulty: Option<Faulty>,
}

/// The engine's numbers for a chain, as the daemon takes them from its parameters.
pub fn params(chain: &Chain) -> Params {
    let head = chain.head();
    let (timers, limits) = (&head.parameters.timers, &head.parameters.limits);
    Params {
        rotation: timers.rotation_blocks,
        timeout_ms: timers.view_timeout_ms,
        timeout_cap_ms: timers.view_timeout_cap_ms,
        retry_ms: 200,
        retry_cap_ms: 1_600,
        time_bound_ms: timers.clock_bound_ms,
        time_bound_cap_ms: timers.clock_bound_cap_ms,
        heartbeat_ms: timers.heartbeat_ms,
        max_block_transactions: u32::try_from(limits.block_transactions).unwrap_or(u32::MAX),
    }
}

impl Node {
    /// A node that has not been started.
    pub fn new(index: usize, skew: i64) -> Self {
        Self {
            index,
            life: 0,
            skew,
            paused_until: 0,
            disk: Arc::default(),
            journals: vec![JournalFile::default(); CHAINS],
            full_until: vec![0; CHAINS],
            reached: vec![Height::ZERO; CHAINS],
            hosts: Vec::new(),
            crash: None,
            faulty: None,
        }
    }

    /// Whether a process runs.
    pub fn is_up(&self) -> bool {
        !self.hosts.is_empty()
    }

    /// Its clock at a true time.
    pub fn clock(&self, now: u64) -> TimeMs {
        TimeMs::new(now.saturating_add_signed(self.skew))
    }

    /// The process ends; what memory held is gone.
    pub fn die(&mut self) {
        self.life += 1;
        self.hosts.clear();
        self.crash = None;
    }

    /// Opens the chains that the disk holds.
    ///
    /// # Errors
    /// If one of them cannot be opened.
    pub fn open(
        disk: &Arc<MemoryDisk>,
        town: &Town,
        weakness: Option<Weakness>,
    ) -> Result<Vec<Arc<Chain>>, String> {
        let text = |error: &dyn std::error::Error| error.to_string();
        let store = Store::in_memory(disk).map_err(|e| text(&e))?;
        let options = ChainOptions {
            provable_heights: 2,
            sync: weakness != Some(Weakness::UnsyncedBlocks),
            ..ChainOptions::default()
        };
        let rules = ChainRules::main(MainApplication);
        let first = &town.genesis.main;
        let main = Chain::open(Arc::clone(&store), "main", first, rules, options);
        let main = Arc::new(main.map_err(|e| text(&e))?);
        let mut chains = vec![Arc::clone(&main)];
        for side in SIDES {
            let rules = ChainRules::side(CertificateApplication::new(side), Arc::clone(&main));
            let first = town
                .genesis
                .side(side)
                .ok_or("a side chain without genesis")?;
            let chain = Chain::open(Arc::clone(&store), side.name(), first, rules, options);
            chains.push(Arc::new(chain.map_err(|e| text(&e))?));
        }
        Ok(chains)
    }

    /// Takes up the process on what the disk holds; the engines have not been started.
    ///
    /// # Errors
    /// If something does not come up.
    pub fn boot(&mut self, town: &Town, weakness: Option<Weakness>) -> Result<(), String> {
        let chains = Self::open(&self.disk, town, weakness)?;
        let hosts = chains.into_iter().zip(&self.journals);
        let hosts = hosts.map(|(chain, journal)| self.host(chain, journal));
        self.hosts = hosts.collect::<Result<_, _>>()?;
        Ok(())
    }

    fn host(&self, chain: Arc<Chain>, journal: &JournalFile) -> Result<Host, String> {
        let head = chain.head();
        let config = EngineConfig {
            chain: chain.id(),
            validators: (*head.validators).clone(),
            params: params(&chain),
        };
        let recovered = Recovered {
            head: Head {
                header: head.header.clone(),
                outcome: head.outcome.clone(),
                certificate: head.certificate.clone(),
                previous_view: head.previous_view,
            },
            records: journal.records().to_vec(),
        };
        let signer = Box::new(keys::signer(Scheme::Real, self.index));
        let engine = Engine::new(config, recovered, signer).map_err(|e| e.to_string())?;
        Ok(Host {
            engine,
            mempool: Mempool::new(&head.parameters, Arc::clone(chain.application())),
            candidates: BTreeMap::new(),
            wanted: BTreeMap::new(),
            queue: BTreeMap::new(),
            decided: VecDeque::new(),
            timers: BTreeMap::new(),
            held: None,
            notice: None,
            anchorless: None,
            tip: None,
            chain,
        })
    }
}

impl Host {
    /// The chain's id.
    pub fn id(&self) -> ChainId {
        self.chain.id()
    }

    /// For which block time a transaction is judged when it comes.
    pub fn admission_time(&self, clock: TimeMs) -> TimeMs {
        clock.max(self.chain.head().time().next())
    }
}
