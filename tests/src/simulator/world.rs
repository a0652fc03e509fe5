//! The event loop: one queue ordered by time, one random generator, no threads.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
};

use certchain_consensus::{Event, Message, Output, ProposalRequest, Sealed, TimerId, Verified};
use certchain_proto::{
    BlockHeader, Height, Outcome, ValidatorSet,
    hash::{HeaderDigest, WitnessId},
};

use super::{
    blocks::{Block, GENESIS_TIME, chain},
    byzantine::{self, Letter, Tools},
    checkers::{Checkers, Violation},
    keys::{self, signer},
    node::{CrashPoint, DiskJournal, Node},
    plan::{HEAL_AT, Plan, Trouble},
    rng::Rng,
};

/// Something that will happen.
#[derive(Debug)]
pub(super) enum What {
    Deliver {
        to: usize,
        message: Box<Verified<Message>>,
    },
    Timer {
        node: usize,
        life: u32,
        id: TimerId,
        setting: u64,
    },
    FindBody {
        node: usize,
        life: u32,
        header: HeaderDigest,
    },
    BodyReady {
        node: usize,
        life: u32,
        header: HeaderDigest,
    },
    Propose {
        node: usize,
        life: u32,
        request: ProposalRequest,
    },
    Executed {
        node: usize,
        life: u32,
        header: HeaderDigest,
        outcome: Outcome,
    },
    Applied {
        node: usize,
        life: u32,
    },
    Cleared {
        node: usize,
        life: u32,
        height: Height,
    },
    Report {
        node: usize,
        life: u32,
    },
    AskBlocks {
        of: usize,
        from: usize,
        height: Height,
    },
    Blocks {
        to: usize,
        blocks: Vec<Block>,
    },
    Gossip {
        to: usize,
        transaction: WitnessId,
    },
    Spread {
        transaction: WitnessId,
    },
    Work,
    Trouble(Trouble),
    Boot {
        node: usize,
    },
    Room {
        node: usize,
    },
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
pub(super) struct World {
    pub now: u64,
    pub plan: Plan,
    pub validators: ValidatorSet,
    pub nodes: Vec<Node>,
    pub rng: Rng,
    pub checkers: Checkers,
    pub steps: u64,
    pub refused: BTreeMap<&'static str, u64>,
    pub settings: u64,
    queue: BinaryHeap<Reverse<Entry>>,
    order: u64,
    split: Option<(u64, u64)>,
    /// Who is given a transaction that its maker withholds.
    pub withheld: BTreeMap<WitnessId, (usize, u64)>,
    pub trace: bool,
}

impl World {
    pub fn new(plan: Plan, rng: Rng, trace: bool) -> Self {
        let validators = keys::validators(plan.n);
        let byzantine: Vec<usize> = plan.byzantine.iter().map(|(place, _)| *place).collect();
        let nodes = (0..plan.n)
            .map(|i| {
                let way = plan.byzantine.iter().find(|(place, _)| *place == i);
                Node::new(i, plan.skews[i], way.map(|(_, way)| byzantine::way(*way)))
            })
            .collect();
        let mut world = Self {
            now: GENESIS_TIME,
            checkers: Checkers::new(validators.clone(), byzantine),
            plan,
            validators,
            nodes,
            rng,
            steps: 0,
            refused: BTreeMap::new(),
            settings: 0,
            queue: BinaryHeap::new(),
            order: 0,
            split: None,
            withheld: BTreeMap::new(),
            trace,
        };
        for node in 0..world.plan.n {
            world.after(0, What::Boot { node });
        }
        world.after(1, What::Work);
        for (at, trouble) in world.plan.troubles.clone() {
            world.after(at, What::Trouble(trouble));
        }
        world
    }

    /// Runs until `done` says so or time is up; whether it said so.
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
            self.happen(entry.what)?;
        }
        Ok(true)
    }

    pub fn after(&mut self, delay: u64, what: What) {
        self.order += 1;
        let entry = Entry {
            at: self.now + delay,
            order: self.order,
            what,
        };
        self.queue.push(Reverse(entry));
    }

    pub fn is_healed(&self) -> bool {
        self.now >= GENESIS_TIME + HEAL_AT
    }

    pub fn is_honest(&self, node: usize) -> bool {
        self.nodes[node].byzantine.is_none()
    }

    fn alive(&self, node: usize, life: u32) -> bool {
        self.nodes[node].life == life && self.nodes[node].engine.is_some()
    }

    /// Whether two nodes can talk now.
    pub fn connected(&self, a: usize, b: usize) -> bool {
        match self.split {
            Some((side, until)) if self.now < until && !self.is_healed() => {
                (side >> a) & 1 == (side >> b) & 1
            }
            Some(_) | None => true,
        }
    }

    fn delay(&mut self) -> u64 {
        let longest = if self.is_healed() {
            20
        } else {
            self.plan.delay_ms
        };
        // Most messages are quick; some are late.
        let longest = if self.rng.per_mille(900) {
            longest.div_ceil(4)
        } else {
            longest
        };
        self.rng.between(1, longest)
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
        let copies = if !healed && self.rng.per_mille(self.plan.duplication) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let delay = self.delay();
            self.after(delay, make());
        }
    }

    fn happen(&mut self, what: What) -> Result<(), Violation> {
        match what {
            What::Deliver { to, message } => self.deliver(to, message),
            What::Timer {
                node,
                life,
                id,
                setting,
            } => {
                let runs = self.nodes[node].timers.get(&id.kind) == Some(&(id, setting));
                if self.alive(node, life) && runs {
                    self.nodes[node].timers.remove(&id.kind);
                    self.step(node, Event::Timer(id))?;
                }
                Ok(())
            }
            What::FindBody { node, life, header } if self.alive(node, life) => {
                self.find_body(node, header)
            }
            What::BodyReady { node, life, header } if self.alive(node, life) => {
                self.step(node, Event::BodyReady { header })
            }
            What::Propose {
                node,
                life,
                request,
            } if self.alive(node, life) => self.propose(node, request),
            What::Executed {
                node,
                life,
                header,
                outcome,
            } if self.alive(node, life) => self.step(node, Event::Executed { header, outcome }),
            What::Applied { node, life } if self.alive(node, life) => self.applied(node),
            What::Cleared { node, life, height } if self.alive(node, life) => {
                self.step(node, Event::AmnesiaCleared { height })
            }
            What::Report { node, life } if self.alive(node, life) => self.report_work(node),
            What::FindBody { .. }
            | What::BodyReady { .. }
            | What::Propose { .. }
            | What::Executed { .. }
            | What::Applied { .. }
            | What::Report { .. }
            | What::Cleared { .. } => Ok(()),
            What::AskBlocks { of, from, height } => {
                self.send_blocks(of, from, height);
                Ok(())
            }
            What::Blocks { to, blocks } => self.take_blocks(to, blocks),
            What::Gossip { to, transaction } => self.learn(to, transaction),
            What::Spread { transaction } => {
                self.spread(transaction);
                Ok(())
            }
            What::Work => {
                let transaction = WitnessId::from_bytes(self.rng.bytes());
                self.spread(transaction);
                let pause = self.rng.between(1, self.plan.work_ms);
                self.after(pause, What::Work);
                Ok(())
            }
            What::Trouble(trouble) => self.trouble(trouble),
            What::Boot { node } => self.boot(node),
            What::Room { node } => self.output(node, Output::default()),
        }
    }

    fn deliver(&mut self, to: usize, message: Box<Verified<Message>>) -> Result<(), Violation> {
        if self.nodes[to].engine.is_none() {
            return Ok(());
        }
        if let Some(mut behaviour) = self.nodes[to].byzantine.take() {
            let mut tools = Tools {
                me: to,
                n: self.plan.n,
                signer: signer(self.plan.scheme, to),
                rng: &mut self.rng,
            };
            let letters = behaviour.hears(&mut tools, &message);
            self.nodes[to].byzantine = Some(behaviour);
            self.post(to, letters);
        }
        self.step(to, Event::Message(message))
    }

    /// Sends what a faulty node says. Receivers verify as always; what fails is never delivered.
    pub fn post(&mut self, from: usize, letters: Vec<Letter>) {
        for (to, message) in letters {
            let message = Arc::unwrap_or_clone(message);
            let verified = message.verify(chain(), &self.validators, &self.plan.scheme);
            match verified {
                Ok(verified) => {
                    let message = Box::new(verified);
                    self.carry(from, to, || What::Deliver {
                        to,
                        message: message.clone(),
                    });
                }
                Err(_) => *self.refused.entry("unverifiable").or_default() += 1,
            }
        }
    }

    fn trouble(&mut self, trouble: Trouble) -> Result<(), Violation> {
        match trouble {
            Trouble::Crash {
                node,
                mid_output,
                amnesia,
                away_ms,
            } => {
                if amnesia {
                    self.crash(node, away_ms);
                    let nonce = self.rng.bytes();
                    self.nodes[node].forget(nonce);
                } else if mid_output {
                    let point = match self.rng.index(4) {
                        0 => CrashPoint::BeforeJournal,
                        1 => CrashPoint::TornJournal(self.rng.index(3)),
                        2 => CrashPoint::AfterJournal,
                        _ => CrashPoint::MidActions(self.rng.index(6)),
                    };
                    self.nodes[node].crash = Some(point);
                } else {
                    self.crash(node, away_ms);
                }
            }
            Trouble::PowerCut { away_ms } => {
                for node in 0..self.plan.n {
                    self.crash(node, away_ms);
                }
            }
            Trouble::Partition { side, lasts_ms } => self.split = Some((side, self.now + lasts_ms)),
            Trouble::DiskFull { node, lasts_ms } => {
                self.nodes[node].full_until = self.now + lasts_ms;
                self.after(lasts_ms, What::Room { node });
            }
            Trouble::Compact { node } => {
                self.nodes[node].compact().map_err(Violation)?;
            }
        }
        Ok(())
    }

    pub fn crash(&mut self, node: usize, away_ms: u64) {
        if self.nodes[node].engine.is_none() {
            return; // it is away already and has its time to come back
        }
        if self.trace {
            eprintln!("{:>8} node {node} crashes", self.now - GENESIS_TIME);
        }
        self.nodes[node].die();
        let back = (self.now + away_ms)
            .min(GENESIS_TIME + HEAL_AT)
            .max(self.now + 1);
        self.after(back - self.now, What::Boot { node });
    }

    fn boot(&mut self, node: usize) -> Result<(), Violation> {
        if self.nodes[node].engine.is_some() {
            return Ok(());
        }
        let params = Plan::params();
        let booted = self.nodes[node].boot(&self.validators, &params, self.plan.scheme);
        booted.map_err(|e| Violation(format!("node {node} does not start: {e}")))?;
        let clock = self.nodes[node].clock(self.now);
        let Some(engine) = self.nodes[node].engine.as_mut() else {
            return Ok(());
        };
        let out = engine.start(clock);
        self.output(node, out)
    }

    /// One step of an engine and everything that follows at once.
    pub fn step(&mut self, node: usize, event: Event) -> Result<(), Violation> {
        self.steps += 1;
        let clock = self.nodes[node].clock(self.now);
        let Some(engine) = self.nodes[node].engine.as_mut() else {
            return Ok(());
        };
        if self.trace {
            eprintln!(
                "{:>8} node {node} <- {}",
                self.now - GENESIS_TIME,
                brief(&event)
            );
        }
        let out = engine.step(clock, event);
        if self.is_honest(node) {
            for rejection in out.rejections() {
                self.judge(node, rejection)?;
            }
        }
        self.output(node, out)?;
        self.feed_synced(node)
    }

    /// An honest validator is never blamed for anything.
    fn judge(
        &mut self,
        node: usize,
        rejection: &certchain_consensus::Rejection,
    ) -> Result<(), Violation> {
        *self.refused.entry(rejection.kind).or_default() += 1;
        let Some(signer) = rejection.signer else {
            return Ok(());
        };
        let blamed = rejection.blame() == certchain_consensus::Blame::Sender;
        if blamed && self.is_honest(usize::from(signer.get())) {
            return Err(Violation(format!(
                "node {node} blames honest {signer}: {rejection}"
            )));
        }
        Ok(())
    }

    /// Makes an output durable and does what it says, unless the node crashes on the way.
    fn output(&mut self, node: usize, out: Output) -> Result<(), Violation> {
        let mut out = match self.nodes[node].held.take() {
            None => out,
            Some(mut held) => {
                held.join(out);
                held
            }
        };
        let full = self.now < self.nodes[node].full_until && !self.is_healed();
        let crash = if out.needs_sync() {
            self.nodes[node].crash.take()
        } else {
            None
        };
        let torn_after = match crash {
            Some(CrashPoint::BeforeJournal) => {
                self.crash(node, 50);
                return Ok(());
            }
            Some(CrashPoint::TornJournal(records)) => Some(records),
            Some(CrashPoint::AfterJournal | CrashPoint::MidActions(_)) | None => None,
        };
        let mut journal = DiskJournal {
            records: &mut self.nodes[node].disk.journal,
            torn_after,
            full,
        };
        let mut actions = match std::mem::take(&mut out).commit(&mut journal) {
            Ok(actions) => actions,
            Err(error) if full => {
                self.nodes[node].held = Some(*error.output);
                return Ok(());
            }
            Err(_) => {
                self.crash(node, 50);
                return Ok(());
            }
        };
        match crash {
            Some(CrashPoint::AfterJournal) => actions.clear(),
            Some(CrashPoint::MidActions(count)) => actions.truncate(count),
            Some(CrashPoint::BeforeJournal | CrashPoint::TornJournal(_)) | None => {}
        }
        for action in actions {
            self.act(node, action)?;
        }
        if crash.is_some() {
            let away = self.rng.between(1, 2_000);
            self.crash(node, away);
        }
        Ok(())
    }

    /// The heights that honest nodes have on disk.
    pub fn heights(&self) -> Vec<u64> {
        self.nodes
            .iter()
            .filter(|n| n.byzantine.is_none())
            .map(|n| n.disk.ledger.len() as u64 - 1)
            .collect()
    }

    /// For a report: where every node stands.
    pub fn statuses(&self) -> String {
        let mut text = String::new();
        for node in &self.nodes {
            let kind = node
                .byzantine
                .as_ref()
                .map_or("honest".to_owned(), |b| format!("{b:?}"));
            let status = node.engine.as_ref().map(|e| e.status());
            text += &format!(
                "\n  node {} ({kind}): ledger {}, {status:?}",
                node.index,
                node.disk.ledger.len() - 1
            );
        }
        text
    }

    /// A body is looked for again, or found.
    pub fn sealed_event(block: &Block) -> Sealed {
        Sealed {
            header: block.header.clone(),
            outcome: block.outcome.clone(),
            certificate: block.certificate.clone(),
        }
    }
}

/// One line for a trace.
fn brief(event: &Event) -> String {
    match event {
        Event::Message(m) => format!(
            "{} of {} for height {} view {} ({:?})",
            m.kind(),
            m.signer(),
            m.height(),
            m.view(),
            m.header()
        ),
        Event::Timer(id) => format!("{id:?}"),
        Event::Proposal(p) => format!("proposal for height {} view {}", p.height, p.view),
        Event::Sealed(s) => format!("sealed {}", s.header.height),
        other => format!("{other:?}"),
    }
}

/// The header of a candidate, for those who look for its body.
pub(super) fn header_of(node: &Node, digest: HeaderDigest) -> Option<BlockHeader> {
    node.wanted
        .get(&digest)
        .map(|request| request.header.as_ref().clone())
}
