//! Twins: a faulty validator as two correct processes with one key (Bano, Sonnino, Chursin, Perelman,
//! Li, Ching, Malkhi, "Twins: BFT Systems Made Robust", OPODIS 2021). It equivocates, forgets and
//! contradicts itself without anybody having to think of how.
//!
//! Time goes in rounds. In each the network is cut in two, everything that can be said is said and
//! heard, and then every view that may run out does. After the last round the network is whole, and
//! blocks must come.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::Arc,
};

use certchain_consensus::{
    Action, Decision, Event, Message, Output, Proposal, ProposalRequest, TimerId, TimerKind,
};
use certchain_proto::{
    Height, TimeMs,
    hash::{HeaderDigest, WitnessId},
};

use crate::{
    blocks::{Block, GENESIS_TIME, chain, execute, history_root, tx_root},
    checkers::{Checkers, Violation},
    keys::{self, Scheme},
    node::{DiskJournal, Node},
    plan::Plan,
    sets::Law,
    world::World,
};

/// Rounds after which a whole network must have made its blocks: the twins' views may fail, and so
/// may those that are half over when the network comes together.
const ROUNDS_TO_HEAL: usize = 12;
/// Blocks that it must make then.
const BLOCKS_AFTER_HEAL: u64 = 2;

/// Who has a twin, and who hears whom in each round.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Validators.
    pub n: usize,
    /// Those of which there are two.
    pub twins: Vec<usize>,
    /// For each round who is on the second side, as bits: validators by index, then second twins in
    /// the order of `twins`.
    pub sides: Vec<u32>,
}

impl Schedule {
    /// Processes.
    pub fn processes(&self) -> usize {
        self.n + self.twins.len()
    }

    /// All ways to cut `processes` in two, the uncut network among them.
    pub fn cuts(processes: usize) -> std::ops::Range<u32> {
        // The last process names its side the first: each cut comes once.
        0..1 << (processes - 1)
    }
}

/// A schedule that broke a rule.
#[derive(Clone, Debug)]
pub struct Broken {
    schedule: Schedule,
    violation: String,
    statuses: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?}: {}{}",
            self.schedule, self.violation, self.statuses
        )
    }
}

impl std::error::Error for Broken {}

/// What a schedule came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Height when the network became whole.
    pub height_at_heal: u64,
    /// Rounds that the blocks after that took.
    pub rounds_to_heal: usize,
    /// Proofs against the twins that honest ones found.
    pub evidence: usize,
}

/// Runs a schedule.
///
/// # Errors
/// If a checker objects, or blocks do not come once the network is whole.
pub fn run(schedule: &Schedule) -> Result<Outcome, Box<Broken>> {
    let mut twins = Twins::new(schedule.clone());
    twins.run().map_err(|violation| {
        Box::new(Broken {
            schedule: schedule.clone(),
            violation: violation.0,
            statuses: twins.statuses(),
        })
    })
}

struct Process {
    /// Its validator is `node.index`.
    node: Node,
    fires_at: BTreeMap<TimerKind, (TimerId, u64)>,
}

struct Twins {
    schedule: Schedule,
    validators: certchain_proto::ValidatorSet,
    processes: Vec<Process>,
    checkers: Checkers,
    now: u64,
    side: u32,
    /// Up to here blocks are proposed.
    goal: u64,
    evidence: usize,
    events: VecDeque<(usize, Event)>,
}

impl Twins {
    fn new(schedule: Schedule) -> Self {
        let validators = keys::validators(schedule.n);
        let law = Arc::new(Law::fixed(schedule.n));
        let places = (0..schedule.n).chain(schedule.twins.iter().copied());
        let processes = places
            .map(|validator| Process {
                node: Node::new(validator, &law, 0, None),
                fires_at: BTreeMap::new(),
            })
            .collect();
        Self {
            checkers: Checkers::new(validators.clone(), schedule.twins.clone()),
            schedule,
            validators,
            processes,
            now: GENESIS_TIME + 1_000,
            side: 0,
            goal: BLOCKS_AFTER_HEAL,
            evidence: 0,
            events: VecDeque::new(),
        }
    }

    fn is_honest(&self, process: usize) -> bool {
        let validator = self.processes[process].node.index;
        !self.schedule.twins.contains(&validator)
    }

    fn honest(&self) -> impl Iterator<Item = &Node> {
        let honest = |(i, _): &(usize, &Process)| self.is_honest(*i);
        let processes = self.processes.iter().enumerate();
        processes.filter(honest).map(|(_, p)| &p.node)
    }

    fn hears(&self, from: usize, to: usize) -> bool {
        from != to && (self.side >> from) & 1 == (self.side >> to) & 1
    }

    fn statuses(&self) -> String {
        let mut text = String::new();
        for process in &self.processes {
            let status = process.node.engine.as_ref().map(|e| e.status());
            text += &format!("\n  validator {}: {status:?}", process.node.index);
        }
        text
    }

    fn run(&mut self) -> Result<Outcome, Violation> {
        let params = Plan::params();
        for i in 0..self.processes.len() {
            let booted = self.processes[i].node.boot(&params, Scheme::Fast);
            booted.map_err(Violation)?;
            let out = self.processes[i]
                .node
                .engine
                .as_mut()
                .map(|e| e.start(TimeMs::new(self.now)));
            self.output(i, out.unwrap_or_default())?;
        }
        for side in self.schedule.sides.clone() {
            self.round(side)?;
        }
        let height = |n: &Node| n.tip().header.height.get();
        let height_at_heal = self.honest().map(height).max().unwrap_or(0);
        self.goal = height_at_heal + BLOCKS_AFTER_HEAL;
        for rounds_to_heal in 1..=ROUNDS_TO_HEAL {
            self.round(0)?;
            if self.honest().all(|n| height(n) >= self.goal) {
                return Ok(Outcome {
                    height_at_heal,
                    rounds_to_heal,
                    evidence: self.evidence,
                });
            }
        }
        Err(Violation(format!(
            "height {} is not reached {ROUNDS_TO_HEAL} rounds after the network has healed",
            self.goal
        )))
    }

    /// One view's time: what was lost is said again, work comes, and in the end every clock of a view
    /// that runs has run out.
    fn round(&mut self, side: u32) -> Result<(), Violation> {
        self.side = side;
        self.fire(TimerKind::Retry)?;
        for process in 0..self.processes.len() {
            let wanted: Vec<_> = self.processes[process]
                .node
                .wanted
                .keys()
                .copied()
                .collect();
            for digest in wanted {
                self.find_body(process, digest);
            }
            let work = Event::WorkChanged { pending: true };
            self.events.push_back((process, work));
        }
        self.settle()?;
        self.fire(TimerKind::View)
    }

    fn fire(&mut self, kind: TimerKind) -> Result<(), Violation> {
        let due = |p: &Process| p.fires_at.get(&kind).map(|(id, at)| (*id, *at));
        let timers: Vec<_> = self.processes.iter().map(due).collect();
        let latest = timers.iter().flatten().map(|(_, at)| *at).max();
        self.now = self.now.max(latest.unwrap_or(0));
        for (process, timer) in timers.into_iter().enumerate() {
            if let Some((id, _)) = timer {
                self.processes[process].fires_at.remove(&kind);
                self.events.push_back((process, Event::Timer(id)));
            }
        }
        self.settle()
    }

    /// Lets everything be heard that can be.
    fn settle(&mut self) -> Result<(), Violation> {
        while let Some((process, event)) = self.events.pop_front() {
            self.step(process, event)?;
        }
        Ok(())
    }

    fn step(&mut self, process: usize, event: Event) -> Result<(), Violation> {
        let honest = self.is_honest(process);
        let node = &mut self.processes[process].node;
        let Some(engine) = node.engine.as_mut() else {
            return Ok(());
        };
        if let (true, Event::Message(message)) = (honest, &event) {
            self.checkers
                .hears(node.index, engine.status().height, message);
        }
        let out = engine.step(TimeMs::new(self.now), event);
        if honest {
            let (status, load) = (engine.status(), engine.load());
            self.checkers.stands(node.index, &status, &load)?;
        }
        self.output(process, out)
    }

    fn output(&mut self, process: usize, out: Output) -> Result<(), Violation> {
        let mut journal = DiskJournal {
            file: &mut self.processes[process].node.disk.journal,
            torn_after: None,
            full: false,
        };
        let actions = out
            .commit(&mut journal)
            .map_err(|e| Violation(e.to_string()))?;
        for action in actions {
            self.act(process, action)?;
        }
        self.feed_synced(process);
        Ok(())
    }

    fn act(&mut self, process: usize, action: Action) -> Result<(), Violation> {
        match action {
            Action::Broadcast(message) => self.send(process, &message, None)?,
            Action::Send { to, message } => {
                self.send(process, &message, Some(usize::from(to.get())))?;
            }
            Action::RequestProposal(request) => self.propose(process, &request),
            Action::CheckBody(request) => {
                let digest = request.header.digest();
                self.processes[process].node.wanted.insert(digest, request);
                self.find_body(process, digest);
            }
            Action::Execute { header } => {
                let outcome = execute(self.processes[process].node.tip(), &header, false);
                let header = header.digest();
                self.events
                    .push_back((process, Event::Executed { header, outcome }));
            }
            Action::Commit(decision) => self.commit(process, *decision)?,
            Action::SetTimer { id, at } => {
                let timers = &mut self.processes[process].fires_at;
                timers.insert(id.kind, (id, at.get()));
            }
            Action::CancelTimer { id } => {
                self.processes[process].fires_at.remove(&id.kind);
            }
            Action::Evidence(evidence) => {
                let guilty = usize::from(evidence.signer().get());
                if self.is_honest(process) && !self.schedule.twins.contains(&guilty) {
                    return Err(Violation(format!("{guilty} is accused: {evidence:?}")));
                }
                self.evidence += 1;
            }
            Action::Halt(reason) => {
                if self.is_honest(process) {
                    return Err(Violation(format!("honest {process} halts: {reason}")));
                }
            }
            Action::FetchSealed { height, .. } => {
                let givers = (0..self.processes.len()).filter(|of| self.hears(*of, process));
                for of in givers.collect::<Vec<_>>() {
                    self.give(of, process, height);
                }
            }
            Action::SendSealed { to, height, .. } => {
                for receiver in self.processes_of(Some(usize::from(to.get()))) {
                    if self.hears(process, receiver) {
                        self.give(process, receiver, height);
                    }
                }
            }
            Action::SubmitRestartNotice { .. } => {}
        }
        Ok(())
    }

    fn processes_of(&self, validator: Option<usize>) -> Vec<usize> {
        (0..self.processes.len())
            .filter(|i| validator.is_none_or(|v| self.processes[*i].node.index == v))
            .collect()
    }

    fn send(
        &mut self,
        from: usize,
        message: &Arc<Message>,
        to: Option<usize>,
    ) -> Result<(), Violation> {
        let node = &self.processes[from].node;
        if self.is_honest(from) {
            let stored = message
                .header()
                .is_some_and(|digest| node.disk.bodies.contains_key(&digest));
            self.checkers
                .sent(node.index, message, &node.disk.journal, stored)?;
        }
        let verified = Message::clone(message)
            .verify(chain(), &self.validators, &Scheme::Fast)
            .map_err(|e| Violation(format!("{from} sends {}: {e}", message.kind())))?;
        for receiver in self.processes_of(to) {
            // A validator does not write to itself, however many it is.
            let same = self.processes[receiver].node.index == self.processes[from].node.index;
            if !same && self.hears(from, receiver) {
                let event = Event::Message(Box::new(verified.clone()));
                self.events.push_back((receiver, event));
            }
        }
        Ok(())
    }

    /// Each process proposes transactions of its own, so that twins contradict each other.
    fn propose(&mut self, process: usize, request: &ProposalRequest) {
        let (height, view) = (request.height, request.view);
        if height.get() > self.goal {
            let nothing = Event::NothingToPropose { height, view };
            self.events.push_back((process, nothing));
            return;
        }
        let mut id = [0; 32];
        id[0] = process as u8;
        id[1..9].copy_from_slice(&height.get().to_le_bytes());
        id[9..13].copy_from_slice(&view.get().to_le_bytes());
        let witness_ids = vec![WitnessId::from_bytes(id)];
        let proposal = Proposal {
            height,
            view,
            time_ms: TimeMs::new(self.now).max(request.min_time),
            tx_root: tx_root(&witness_ids),
            history_root: history_root(self.processes[process].node.tip()),
            witness_ids,
            checkpoint: None,
        };
        self.events
            .push_back((process, Event::Proposal(Box::new(proposal))));
    }

    fn find_body(&mut self, process: usize, digest: HeaderDigest) {
        let node = &self.processes[process].node;
        let request = node.wanted.get(&digest);
        let stated = request.and_then(|r| r.contents.as_deref().cloned());
        let kept = |i: usize| self.processes[i].node.disk.bodies.get(&digest).cloned();
        let contents = stated.or_else(|| {
            let mut places =
                (0..self.processes.len()).filter(|of| *of == process || self.hears(*of, process));
            places.find_map(kept)
        });
        if let Some(contents) = contents {
            let node = &mut self.processes[process].node;
            node.wanted.remove(&digest);
            node.disk.bodies.insert(digest, contents);
            self.events
                .push_back((process, Event::BodyReady { header: digest }));
        }
    }

    fn commit(&mut self, process: usize, decision: Decision) -> Result<(), Violation> {
        let node = &self.processes[process].node;
        let Some(contents) = node.contents(&decision.header).cloned() else {
            return Err(Violation(format!("{process} commits what it lacks")));
        };
        let block = Block {
            header: decision.header.as_ref().clone(),
            contents,
            outcome: decision.outcome,
            certificate: decision.certificate,
        };
        if self.is_honest(process) {
            self.checkers
                .committed(node.index, node.tip(), &block, &Scheme::Fast)?;
        }
        let height = block.header.height;
        self.processes[process].node.disk.ledger.push(block);
        self.events.push_back((process, Event::Applied { height }));
        Ok(())
    }

    fn give(&mut self, of: usize, to: usize, from: Height) {
        let known = &self.processes[of].node.disk.ledger;
        let blocks: Vec<Block> = known
            .iter()
            .filter(|b| b.header.height >= from)
            .cloned()
            .collect();
        let queue = &mut self.processes[to].node.queue;
        for block in blocks {
            queue.entry(block.header.height).or_insert(block);
        }
        self.feed_synced(to);
    }

    /// Hands over the next block from others, if it has come.
    fn feed_synced(&mut self, process: usize) {
        let node = &mut self.processes[process].node;
        let Some(next) = node.engine.as_ref().map(|e| e.status().height) else {
            return;
        };
        node.queue = node.queue.split_off(&next);
        let Some(block) = node.queue.remove(&next) else {
            return;
        };
        node.synced
            .insert(block.header.digest(), block.contents.clone());
        let sealed = World::sealed_event(&block);
        if let Ok(sealed) = sealed.verify(chain(), &self.validators, &Scheme::Fast) {
            self.events
                .push_back((process, Event::Sealed(Box::new(sealed))));
        }
    }
}
