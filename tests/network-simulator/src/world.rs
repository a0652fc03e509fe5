//! The event loop: one queue ordered by time, one random generator, no threads.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use certchain_consensus::{
    Event, Message, Output, ProposalRequest, Rejection, Sealed, TimerId, Verified,
};
use certchain_ledger::{signatures::VerifiedTransaction, store::DiskFault};
use certchain_proto::{
    Height, Outcome, SealedBlock, ValidatorIndex,
    hash::{HeaderDigest, WitnessId},
};
use certchain_simulator::{
    byzantine::Letter,
    checkers::{Checkers, Violation},
    journal::JournalFile,
    rng::Rng,
    trace::{Trace, brief, numbers},
};

use crate::{
    faulty::Faulty,
    journal::CrashingJournal,
    ledger_checker::LedgerChecker,
    node::{CHAINS, MAIN, Node, params},
    plan::{Plan, Point, Trouble},
    town::{START, Town},
    weakness::Weakness,
    wishes::Wishes,
};

/// How often a full disk is looked at.
const ROOM_AGAIN_MS: u64 = 100;

/// Something that will happen.
#[derive(Debug)]
pub enum What {
    /// A message arrives.
    Deliver {
        chain: usize,
        to: usize,
        message: Box<Verified<Message>>,
    },
    /// A faulty node posts what it kept for a while.
    Post {
        from: usize,
        chain: usize,
        letter: Letter,
    },
    /// To a process, on one of its chains, unless it has ended by then.
    Process {
        node: usize,
        life: u32,
        chain: usize,
        what: Task,
    },
    /// Somebody asks for blocks.
    AskBlocks {
        chain: usize,
        of: usize,
        from: usize,
        height: Height,
    },
    /// Blocks arrive.
    Blocks {
        chain: usize,
        from: usize,
        to: usize,
        blocks: Vec<SealedBlock>,
    },
    /// A transaction arrives from a peer.
    Gossip {
        chain: usize,
        to: usize,
        transaction: VerifiedTransaction,
    },
    /// A client wants something new.
    Wish,
    /// A client asks what became of its wish.
    Ask { wish: usize },
    /// Something goes wrong.
    Trouble(Trouble),
    /// A process starts.
    Boot { node: usize },
    /// A store has room again.
    Room { node: usize },
    /// Two nodes are connected anew.
    Connected { node: usize, to: usize },
}

/// Something to do in a process.
#[derive(Debug)]
pub enum Task {
    Timer {
        id: TimerId,
        setting: u64,
    },
    FindBody {
        header: HeaderDigest,
    },
    Propose {
        request: ProposalRequest,
    },
    Executed {
        header: HeaderDigest,
        outcome: Outcome,
    },
    BodyReady {
        header: HeaderDigest,
    },
    Apply,
    Sealed {
        sealed: Box<Verified<Sealed>>,
    },
    Room,
    Sweep,
    Anchor,
    Notice,
}

struct Entry {
    at: u64,
    order: u64,
    what: What,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// A run in progress.
pub struct World {
    pub now: u64,
    pub plan: Plan,
    pub weakness: Option<Weakness>,
    pub town: Town,
    pub nodes: Vec<Node>,
    pub rng: Rng,
    /// Of each chain.
    pub checkers: Vec<Checkers>,
    pub ledgers: LedgerChecker,
    pub wishes: Wishes,
    pub steps: u64,
    /// All transactions, as a peer's copy is read.
    pub known: BTreeMap<WitnessId, VerifiedTransaction>,
    /// What faulty nodes have made up: who has it, and to whom it is given, as bits.
    made_up: BTreeMap<WitnessId, (usize, u64, VerifiedTransaction)>,
    /// How often faulty nodes did something else than their engines wanted.
    pub deviations: u64,
    /// What they sent that did not verify.
    pub unverifiable: u64,
    pub trace: Trace,
    settings: u64,
    queue: BinaryHeap<Reverse<Entry>>,
    order: u64,
    split: Option<(u64, u64)>,
    unheard: Option<(u64, u64)>,
}

impl World {
    /// A network that has not been started.
    ///
    /// # Errors
    /// If the chains cannot be opened.
    pub fn new(
        plan: Plan,
        weakness: Option<Weakness>,
        rng: Rng,
        trace: Trace,
    ) -> Result<Self, Violation> {
        let town = Town::new(plan.n);
        let mut nodes: Vec<Node> = (0..plan.n).map(|i| Node::new(i, plan.skews[i])).collect();
        for (place, way) in &plan.faulty {
            nodes[*place].faulty = Some(Faulty::new(*way));
        }
        let faulty: Vec<usize> = plan.faulty.iter().map(|(place, _)| *place).collect();
        let chains = Node::open(&nodes[0].disk, &town, weakness).map_err(Violation)?;
        let checkers = chains.iter().map(|chain| {
            let validators = (*chain.head().validators).clone();
            Checkers::of(chain.id(), params(chain), validators, faulty.clone())
        });
        let mut world = Self {
            now: START,
            checkers: checkers.collect(),
            ledgers: LedgerChecker::default(),
            wishes: Wishes::default(),
            town,
            nodes,
            rng,
            steps: 0,
            known: BTreeMap::new(),
            made_up: BTreeMap::new(),
            deviations: 0,
            unverifiable: 0,
            trace,
            settings: 0,
            queue: BinaryHeap::new(),
            order: 0,
            split: None,
            unheard: None,
            weakness,
            plan,
        };
        for node in 0..world.plan.n {
            world.after(0, What::Boot { node });
        }
        world.after(1, What::Wish);
        for (at, trouble) in world.plan.troubles.clone() {
            world.after(at, What::Trouble(trouble));
        }
        Ok(world)
    }

    /// Runs until `done` says so or time is up; whether it said so.
    ///
    /// # Errors
    /// If a rule is broken.
    pub fn run_until(&mut self, end: u64, done: impl Fn(&Self) -> bool) -> Result<bool, Violation> {
        while !done(self) {
            let Some(Reverse(entry)) = self.queue.pop() else {
                return Ok(false);
            };
            if entry.at > end {
                self.queue.push(Reverse(entry));
                self.now = end;
                return Ok(done(self));
            }
            self.now = self.now.max(entry.at);
            match self.pause_of(&entry.what) {
                Some(until) => self.after(until - self.now, entry.what),
                None => self.happen(entry.what)?,
            }
        }
        Ok(true)
    }

    /// Until when whoever this happens to stands still.
    fn pause_of(&self, what: &What) -> Option<u64> {
        let node = match what {
            What::Deliver { to, .. } | What::Blocks { to, .. } | What::Gossip { to, .. } => *to,
            What::AskBlocks { of, .. } => *of,
            What::Process { node, .. } | What::Connected { node, .. } => *node,
            What::Post { from, .. } => *from,
            What::Wish
            | What::Ask { .. }
            | What::Trouble(_)
            | What::Boot { .. }
            | What::Room { .. } => return None,
        };
        let until = self.nodes[node].paused_until;
        (until > self.now).then_some(until)
    }

    /// Plans something.
    pub fn after(&mut self, delay: u64, what: What) {
        self.order += 1;
        let entry = Entry {
            at: self.now.saturating_add(delay),
            order: self.order,
            what,
        };
        self.queue.push(Reverse(entry));
    }

    /// Plans something for a process as it runs now.
    pub fn task(&mut self, delay: u64, node: usize, chain: usize, what: Task) {
        let life = self.nodes[node].life;
        let process = What::Process {
            node,
            life,
            chain,
            what,
        };
        self.after(delay, process);
    }

    /// Whether faults are over.
    pub fn is_healed(&self) -> bool {
        self.now >= START + self.plan.heal_at
    }

    /// Whether a node follows the rules.
    pub fn is_honest(&self, node: usize) -> bool {
        self.nodes[node].faulty.is_none()
    }

    /// A faulty node has a transaction that nobody else has, and gives it to these.
    pub fn make_up(&mut self, node: usize, transaction: VerifiedTransaction, to: u64) {
        let id = transaction.witness_id();
        self.made_up.entry(id).or_insert((node, to, transaction));
    }

    /// What a faulty node has made up.
    pub fn made_up(&self, id: &WitnessId) -> Option<&VerifiedTransaction> {
        self.made_up.get(id).map(|(_, _, transaction)| transaction)
    }

    /// What faulty nodes give to this one now: what they have made up, and whatever else there has
    /// been, executed or not.
    pub fn given(&self, id: &WitnessId, to: usize) -> Option<&VerifiedTransaction> {
        let near = |of: usize| of == to || (self.nodes[of].is_up() && self.connected(of, to));
        let Some((owner, receivers, transaction)) = self.made_up.get(id) else {
            let mut faulty = self.plan.faulty.iter();
            let given = faulty.any(|(of, _)| near(*of));
            return self.known.get(id).filter(|_| given);
        };
        let shares = *owner == to || (receivers >> to) & 1 == 1;
        (near(*owner) && shares).then_some(transaction)
    }

    /// Whether `b` hears `a` now.
    pub fn connected(&self, a: usize, b: usize) -> bool {
        if self.is_healed() {
            return true;
        }
        let side = |bits: u64, node: usize| (bits >> node) & 1 == 1;
        let cut = self.unheard.is_some_and(|(unheard, until)| {
            self.now < until && side(unheard, a) && !side(unheard, b)
        });
        let split = self
            .split
            .is_some_and(|(second, until)| self.now < until && side(second, a) != side(second, b));
        !cut && !split
    }

    /// Puts something on the wire, which may lose, delay or double it.
    pub fn carry(&mut self, from: usize, to: usize, make: impl Fn() -> What) {
        if !self.connected(from, to) {
            return;
        }
        let healed = self.is_healed();
        if !healed && self.rng.per_mille(self.plan.loss) {
            return;
        }
        let copies = match !healed && self.rng.per_mille(self.plan.duplication) {
            true => 2,
            false => 1,
        };
        for _ in 0..copies {
            let longest = if healed { 20 } else { self.plan.delay_ms };
            // Most messages are quick; some are late.
            let longest = match self.rng.per_mille(900) {
                true => longest.div_ceil(4),
                false => longest,
            };
            let delay = self.rng.between(1, longest);
            self.after(delay, make());
        }
    }

    fn happen(&mut self, what: What) -> Result<(), Violation> {
        match what {
            What::Deliver { chain, to, message } => {
                if !self.nodes[to].is_up() {
                    return Ok(());
                }
                if self.faulty_hears(to, chain, &message)? {
                    return Ok(());
                }
                if self.is_honest(to) {
                    let height = self.nodes[to].hosts[chain].engine.status().height;
                    self.checkers[chain].hears(to, height, &message);
                }
                self.step(to, chain, Event::Message(message))
            }
            What::Post {
                from,
                chain,
                letter,
            } => {
                self.post(from, chain, vec![letter]);
                Ok(())
            }
            What::Process {
                node,
                life,
                chain,
                what,
            } => {
                if self.nodes[node].life != life || !self.nodes[node].is_up() {
                    return Ok(());
                }
                self.work(node, chain, what)
            }
            What::AskBlocks {
                chain,
                of,
                from,
                height,
            } => self.send_blocks(of, from, chain, height),
            What::Blocks {
                chain,
                from,
                to,
                blocks,
            } => self.take_blocks(to, from, chain, blocks),
            What::Gossip {
                chain,
                to,
                transaction,
            } => self.take_transaction(to, chain, transaction).map(drop),
            What::Wish => self.wish(),
            What::Ask { wish } => self.ask(wish),
            What::Trouble(trouble) => self.trouble(trouble),
            What::Boot { node } => self.boot(node),
            What::Room { node } => {
                self.nodes[node].disk.fill(false);
                Ok(())
            }
            What::Connected { node, to } => {
                let validator = ValidatorIndex::new(to as u16);
                let event = || Event::Connected { validator };
                (0..CHAINS).try_for_each(|chain| self.step(node, chain, event()))
            }
        }
    }

    fn work(&mut self, node: usize, chain: usize, what: Task) -> Result<(), Violation> {
        let of_executor = matches!(
            what,
            Task::FindBody { .. } | Task::Propose { .. } | Task::Apply
        );
        let room = || self.nodes[node].hosts[chain].chain.check_room();
        if of_executor && room().is_err() {
            // As the daemon's executor does: it stands still until there is room.
            self.task(ROOM_AGAIN_MS, node, chain, what);
            return Ok(());
        }
        match what {
            Task::Timer { id, setting } => {
                let timers = &mut self.nodes[node].hosts[chain].timers;
                if timers.get(&id.kind) != Some(&(id, setting)) {
                    return Ok(());
                }
                timers.remove(&id.kind);
                self.step(node, chain, Event::Timer(id))
            }
            Task::FindBody { header } => self.find_body(node, chain, header),
            Task::BodyReady { header } => self.step(node, chain, Event::BodyReady { header }),
            Task::Propose { request } => self.propose(node, chain, &request),
            Task::Executed { header, outcome } => {
                self.step(node, chain, Event::Executed { header, outcome })
            }
            Task::Apply => self.apply(node, chain),
            Task::Sealed { sealed } => self.step(node, chain, Event::Sealed(sealed)),
            Task::Room => self.output(node, chain, Output::default()),
            Task::Sweep => self.sweep(node),
            Task::Anchor => self.anchor(node),
            Task::Notice => self.submit_notice(node, chain),
        }
    }

    fn trouble(&mut self, trouble: Trouble) -> Result<(), Violation> {
        match trouble {
            Trouble::Crash { node, away_ms } => self.crash(node, away_ms),
            Trouble::CrashInOutput { node, chain, point } => {
                self.nodes[node].crash = Some((chain, point));
            }
            Trouble::CrashInWrite { node, written } => {
                let fault = match written {
                    true => DiskFault::Unanswered,
                    false if self.weakness == Some(Weakness::TornBatches) => DiskFault::Half,
                    false => DiskFault::Torn,
                };
                self.nodes[node].disk.fail_next_write(fault);
            }
            Trouble::StoreFull { node, lasts_ms } => {
                self.nodes[node].disk.fill(true);
                let lasts_ms = lasts_ms.min((START + self.plan.heal_at) - self.now);
                self.after(lasts_ms, What::Room { node });
            }
            Trouble::JournalFull {
                node,
                chain,
                lasts_ms,
            } => {
                self.nodes[node].full_until[chain] = self.now + lasts_ms;
                // If the process ends meanwhile, nothing waits.
                if self.nodes[node].is_up() {
                    self.task(lasts_ms, node, chain, Task::Room);
                }
            }
            Trouble::Compact { node, chain } => {
                self.nodes[node].journals[chain]
                    .rewrite()
                    .map_err(Violation)?;
            }
            Trouble::PowerCut { away_ms } => {
                (0..self.plan.n).for_each(|node| self.crash(node, away_ms));
            }
            Trouble::Amnesia {
                node,
                chain,
                away_ms,
            } => {
                self.crash(node, away_ms);
                let nonce = self.rng.bytes();
                self.nodes[node].journals[chain].lose(nonce);
                if self.weakness == Some(Weakness::SilentAmnesia) {
                    self.nodes[node].journals[chain] = JournalFile::default();
                }
            }
            Trouble::Partition { side, lasts_ms } => {
                self.split = Some((side, self.now + lasts_ms));
                self.reconnect_after(lasts_ms);
            }
            Trouble::OneWay { unheard, lasts_ms } => {
                self.unheard = Some((unheard, self.now + lasts_ms));
            }
            Trouble::Pause { node, lasts_ms } => {
                let until = (self.now + lasts_ms).min(START + self.plan.heal_at);
                self.nodes[node].paused_until = until;
            }
        }
        Ok(())
    }

    /// When a split ends, connections are made anew; some notice soon, some only by repeats.
    fn reconnect_after(&mut self, lasts_ms: u64) {
        for node in 0..self.plan.n {
            for to in (0..self.plan.n).filter(|to| *to != node) {
                if self.rng.coin() {
                    let delay = lasts_ms + self.rng.between(0, 500);
                    self.after(delay, What::Connected { node, to });
                }
            }
        }
    }

    /// A process ends, and power with it: the store keeps what was synced.
    pub fn crash(&mut self, node: usize, away_ms: u64) {
        if !self.nodes[node].is_up() {
            return; // it is away already and has its time to come back
        }
        let time = self.now - START;
        self.trace.note(&[time, node as u64]);
        self.trace.line(|| format!("{time:>8} node {node} crashes"));
        self.nodes[node].die();
        let kept = self.rng.index(3);
        self.nodes[node].disk.cut_power(kept);
        self.checkers.iter_mut().for_each(|c| c.crashed(node));
        let back = (self.now + away_ms)
            .min(START + self.plan.heal_at)
            .max(self.now + 1);
        self.after(back - self.now, What::Boot { node });
    }

    fn boot(&mut self, node: usize) -> Result<(), Violation> {
        if self.nodes[node].is_up() {
            return Ok(());
        }
        let booted = self.nodes[node].boot(&self.town, self.weakness);
        booted.map_err(|e| Violation(format!("node {node} does not start: {e}")))?;
        for chain in 0..CHAINS {
            self.ledgers.comes_back(&self.nodes[node], chain)?;
        }
        self.task(2_000, node, MAIN, Task::Sweep);
        self.task(250, node, MAIN, Task::Anchor);
        let life = self.nodes[node].life;
        for chain in 0..CHAINS {
            // A start may write, and a write may be the end.
            if self.nodes[node].is_up() && self.nodes[node].life == life {
                let clock = self.nodes[node].clock(self.now);
                let out = self.nodes[node].hosts[chain].engine.start(clock);
                self.output(node, chain, out)?;
            }
        }
        Ok(())
    }

    /// One step of an engine and everything that follows at once.
    ///
    /// # Errors
    /// If a rule is broken.
    pub fn step(&mut self, node: usize, chain: usize, event: Event) -> Result<(), Violation> {
        if !self.nodes[node].is_up() {
            return Ok(());
        }
        self.steps += 1;
        let clock = self.nodes[node].clock(self.now);
        let time = self.now - START;
        self.trace.note(&[time, node as u64, chain as u64]);
        self.trace.note(&numbers(&event));
        self.trace.line(|| {
            let name = crate::node::name(chain);
            format!("{time:>8} {name} node {node} <- {}", brief(&event))
        });
        let engine = &mut self.nodes[node].hosts[chain].engine;
        let out = engine.step(clock, event);
        let (status, load) = (engine.status(), engine.load());
        for rejection in out.rejections() {
            self.trace
                .line(|| format!("         node {node} refuses {rejection}"));
        }
        if self.is_honest(node) {
            self.checkers[chain].stands(node, &status, &load)?;
            for rejection in out.rejections() {
                self.judge(node, rejection)?;
            }
        }
        self.output(node, chain, out)?;
        self.feed_synced(node, chain)
    }

    /// Makes an output durable and does what it says, unless the node crashes on the way.
    fn output(&mut self, node: usize, chain: usize, out: Output) -> Result<(), Violation> {
        let me = &mut self.nodes[node];
        let mut whole = me.hosts[chain].held.take().unwrap_or_default();
        whole.join(out);
        let crash = me
            .crash
            .take_if(|(where_, _)| *where_ == chain && whole.needs_sync())
            .map(|(_, point)| point);
        let torn_after = match crash {
            Some(Point::BeforeJournal) => {
                self.crash(node, 50);
                return Ok(());
            }
            Some(Point::TornJournal(records)) => Some(records),
            Some(Point::MidActions(_)) | None => None,
        };
        let full = self.now < me.full_until[chain] && self.now < START + self.plan.heal_at;
        let mut journal = CrashingJournal {
            file: &mut me.journals[chain],
            torn_after,
            full,
        };
        let mut actions = match whole.commit(&mut journal) {
            Ok(actions) => actions,
            Err(error) if full => {
                self.nodes[node].hosts[chain].held = Some(*error.output);
                return Ok(());
            }
            Err(_) => {
                self.crash(node, 50);
                return Ok(());
            }
        };
        if let Some(Point::MidActions(count)) = crash {
            actions.truncate(count);
        }
        let life = self.nodes[node].life;
        for action in actions {
            if self.nodes[node].life != life {
                return Ok(()); // one of them was its end
            }
            self.act(node, chain, action)?;
        }
        if crash.is_some() {
            let away = self.rng.between(1, 2_000);
            self.crash(node, away);
        }
        Ok(())
    }

    /// The number of a timer that is being set.
    pub fn next_setting(&mut self) -> u64 {
        self.settings += 1;
        self.settings
    }

    /// Those who follow the rules.
    pub fn honest(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.faulty.is_none())
    }

    /// The heights of a chain that are on the honest nodes' disks.
    pub fn heights(&self, chain: usize) -> Vec<u64> {
        self.honest().map(|n| n.reached[chain].get()).collect()
    }

    /// Honest nodes that may not vote on a chain.
    pub fn silent(&self) -> Vec<usize> {
        let votes =
            |node: &&Node| node.is_up() && node.hosts.iter().all(|h| !h.engine.status().amnesiac);
        let silent = self.honest().filter(|n| !votes(n));
        silent.map(|n| n.index).collect()
    }

    /// For a report: where every node stands.
    pub fn statuses(&self) -> String {
        let mut text = String::new();
        for node in &self.nodes {
            let way = self
                .plan
                .faulty
                .iter()
                .find(|(place, _)| *place == node.index);
            let kind = way.map_or("honest", |(_, way)| crate::faulty::name(*way));
            text += &format!(
                "\n  node {} ({kind}): on disk {:?}",
                node.index, node.reached
            );
            for host in &node.hosts {
                let (name, waiting) = (host.chain.name(), host.mempool.len());
                let status = host.engine.status();
                text += &format!("\n    {name}: {waiting} transactions wait, {status:?}");
            }
        }
        text
    }

    /// An honest validator is never blamed for anything. Places are nodes here: sets stay as they are.
    fn judge(&self, node: usize, rejection: &Rejection) -> Result<(), Violation> {
        match rejection.signer {
            Some(signer)
                if rejection.blame() == certchain_consensus::Blame::Sender
                    && self.is_honest(usize::from(signer.get())) =>
            {
                let text = format!("node {node} blames honest {signer}: {rejection}");
                Err(Violation(text))
            }
            Some(_) | None => Ok(()),
        }
    }
}
