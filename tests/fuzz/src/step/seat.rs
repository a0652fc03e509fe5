//! One honest validator: the real engine, its disk, and what waits for it.

use std::{collections::BTreeMap, sync::Arc};

use certchain_consensus::{
    BodyRequest, Contents, Engine, EngineConfig, Head, Journal, JournalError, Message, Output,
    Promises, ProposalRequest, Record, Recovered, TimerId, TimerKind, Verified,
};
use certchain_proto::{
    Height, Outcome, TimeMs, ValidatorSet, View,
    hash::{HeaderDigest, WitnessId},
};
use certchain_simulator::{
    blocks::{Block, chain, genesis},
    journal::JournalFile,
    keys::{Scheme, signer},
    plan::Plan,
};

/// Something on its way to a validator.
#[derive(Clone, Debug)]
pub enum Letter {
    /// A message that verified.
    Message(Box<Verified<Message>>),
    /// A decided block from sync.
    Block(Arc<Block>),
}

/// What the engine asked its node for, and has no answer to yet.
#[derive(Clone, Debug)]
pub enum Question {
    /// A proposal.
    Proposal(ProposalRequest),
    /// A body.
    Body(BodyRequest),
    /// An execution, with its result.
    Execution(HeaderDigest, Outcome),
    /// That the next block is on disk.
    Applied,
    /// Blocks from this height on.
    Fetch(Height),
    /// That its restart notice is committed at this height.
    Cleared(Height),
}

/// The journal's end of the disk.
#[derive(Debug, Default)]
pub struct Disk {
    /// What it holds.
    pub journal: JournalFile,
    /// There is no room.
    pub full: bool,
    /// The next write ends after this many records, and the process with it.
    pub torn: Option<usize>,
}

impl Journal for Disk {
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        if self.full {
            return Err(JournalError::NoRoom { needed: 1 });
        }
        let kept = self.torn.unwrap_or(records.len()).min(records.len());
        self.journal.append(&records[..kept]);
        match self.torn.take() {
            None => Ok(()),
            Some(_) => Err(JournalError::Failed(std::io::ErrorKind::Interrupted)),
        }
    }
}

/// A validator.
#[derive(Debug)]
pub struct Seat {
    /// Runs while the process lives.
    pub engine: Engine,
    /// The journal.
    pub disk: Disk,
    /// Committed blocks, genesis first.
    pub ledger: Vec<Block>,
    /// How many of them are on disk.
    pub stored: usize,
    /// Bodies that it has, on disk.
    pub bodies: BTreeMap<HeaderDigest, Contents>,
    /// What others sent.
    pub inbox: Vec<Letter>,
    /// What the node has not answered.
    pub questions: Vec<Question>,
    /// Timers that run.
    pub timers: BTreeMap<TimerKind, (TimerId, TimeMs)>,
    /// Output that waits for room in the journal.
    pub held: Option<Output>,
}

fn engine(index: usize, validators: &ValidatorSet, ledger: &[Block], disk: &Disk) -> Engine {
    let tip = ledger.len() - 1;
    let block = &ledger[tip];
    let head = Head {
        header: block.header.clone(),
        outcome: block.outcome.clone(),
        certificate: block.certificate.clone(),
        previous_view: match tip {
            0 => View::ZERO,
            tip => ledger[tip - 1].header.view,
        },
    };
    let config = EngineConfig {
        chain: chain(),
        validators: validators.clone(),
        params: Plan::params(),
    };
    let recovered = Recovered {
        head,
        records: disk.journal.records().to_vec(),
    };
    let key = Box::new(signer(Scheme::Fast, index));
    Engine::new(config, recovered, key).expect("an engine starts on what it wrote itself")
}

impl Seat {
    /// A validator at genesis that has not been started.
    pub fn new(index: usize, validators: &ValidatorSet) -> Self {
        let (ledger, disk) = (vec![genesis(validators)], Disk::default());
        Self {
            engine: engine(index, validators, &ledger, &disk),
            disk,
            ledger,
            stored: 1,
            bodies: BTreeMap::new(),
            inbox: Vec::new(),
            questions: Vec::new(),
            timers: BTreeMap::new(),
            held: None,
        }
    }

    /// The process ends and comes back with what its disk holds; it has not been started.
    pub fn restart(&mut self, index: usize, validators: &ValidatorSet) {
        self.ledger.truncate(self.stored);
        self.disk.torn = None;
        self.inbox.clear();
        self.questions.clear();
        self.timers.clear();
        self.held = None;
        self.engine = engine(index, validators, &self.ledger, &self.disk);
    }

    /// Rewrites the journal with what binds.
    pub fn compact(&mut self) {
        self.disk.journal.rewrite().expect("its own journal");
    }

    /// Its last block.
    pub fn tip(&self) -> &Block {
        &self.ledger[self.ledger.len() - 1]
    }

    /// Whether a block of its chain holds this.
    pub fn has_done(&self, id: &WitnessId) -> bool {
        self.height_of(id).is_some()
    }

    /// The height of the block that holds this.
    pub fn height_of(&self, id: &WitnessId) -> Option<Height> {
        let block = self
            .ledger
            .iter()
            .find(|b| b.contents.witness_ids.contains(id))?;
        Some(block.header.height)
    }

    /// The nonce of a lost journal, if the notice is not known to be committed.
    pub fn amnesia(&self) -> Option<[u8; 32]> {
        let promises = Promises::replay(self.disk.journal.records()).expect("its own journal");
        promises.amnesia()
    }
}
