//! The event loop: one queue ordered by time, one random generator, no threads.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
};

use certchain_consensus::{
    Event, Message, Output, ProposalRequest, Record, Sealed, TimerId, Verified, statement::Phase,
};
use certchain_proto::{
    BlockHeader, Height, Outcome, ValidatorIndex,
    hash::{HeaderDigest, WitnessId},
};

use super::{
    blocks::{Block, GENESIS_TIME},
    byzantine::{self, Letter},
    checkers::{Checkers, Violation},
    node::{CrashPoint, DiskJournal, Node},
    plan::{Plan, Trouble},
    rng::Rng,
    sets::{Epochs, Members},
    trace::{Trace, brief, numbers},
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
        next: Option<Arc<Members>>,
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
    Connected {
        node: usize,
        to: usize,
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
        from: usize,
        to: usize,
        blocks: Vec<Block>,
    },
    Sealed {
        node: usize,
        life: u32,
        sealed: Box<Verified<Sealed>>,
    },
    Gossip {
        to: usize,
        transaction: WitnessId,
    },
    Spread {
        transaction: WitnessId,
    },
    Tips {
        node: usize,
    },
    Work,
    Trouble(Trouble),
    Boot {
        node: usize,
    },
    Room {
        node: usize,
    },
    ClockRight {
        node: usize,
    },
    Post {
        from: usize,
        letter: Letter,
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
    /// Everybody who ever decided anything.
    pub epochs: Epochs,
    pub nodes: Vec<Node>,
    pub rng: Rng,
    pub checkers: Checkers,
    pub steps: u64,
    pub refused: BTreeMap<&'static str, u64>,
    /// What faulty nodes sent that did not verify, by kind.
    pub unverifiable: BTreeMap<&'static str, u64>,
    /// How often faulty nodes did something else than their engines wanted.
    pub deviations: u64,
    pub settings: u64,
    queue: BinaryHeap<Reverse<Entry>>,
    order: u64,
    split: Option<(u64, u64)>,
    unheard: Option<(u64, u64)>,
    swallowed: Vec<(Phase, u64)>,
    /// Who is given a transaction that its maker withholds.
    pub withheld: BTreeMap<WitnessId, (usize, u64)>,
    pub trace: Trace,
}

impl World {
    pub fn new(plan: Plan, rng: Rng, trace: Trace) -> Self {
        let law = Arc::new(plan.law());
        let byzantine: Vec<usize> = plan.byzantine.iter().map(|(place, _)| *place).collect();
        let nodes = (0..plan.n)
            .map(|i| {
                let way = plan.byzantine.iter().find(|(place, _)| *place == i);
                let mut node =
                    Node::new(i, &law, plan.skews[i], way.map(|(_, w)| byzantine::way(*w)));
                node.drift_ppm = plan.drifts[i];
                node
            })
            .collect();
        let mut world = Self {
            now: GENESIS_TIME,
            checkers: Checkers::by_law(&law, plan.n, byzantine),
            epochs: Epochs::of_all(&law.first),
            plan,
            nodes,
            rng,
            steps: 0,
            refused: BTreeMap::new(),
            unverifiable: BTreeMap::new(),
            deviations: 0,
            settings: 0,
            queue: BinaryHeap::new(),
            order: 0,
            split: None,
            unheard: None,
            swallowed: Vec::new(),
            withheld: BTreeMap::new(),
            trace,
        };
        for node in 0..world.plan.n {
            world.after(0, What::Boot { node });
        }
        world.after(1, What::Work);
        if law.changes.is_some() {
            for node in 0..world.plan.n {
                world.after(1 + node as u64, What::Tips { node });
            }
        }
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
            What::Timer { node, .. }
            | What::FindBody { node, .. }
            | What::BodyReady { node, .. }
            | What::Propose { node, .. }
            | What::Executed { node, .. }
            | What::Applied { node, .. }
            | What::Cleared { node, .. }
            | What::Connected { node, .. }
            | What::Report { node, .. }
            | What::Sealed { node, .. }
            | What::Room { node } => *node,
            What::Spread { .. }
            | What::Tips { .. }
            | What::Work
            | What::Trouble(_)
            | What::Boot { .. }
            | What::ClockRight { .. }
            | What::Post { .. } => return None,
        };
        let until = self.nodes[node].paused_until;
        (until > self.now).then_some(until)
    }

    pub fn after(&mut self, delay: u64, what: What) {
        self.order += 1;
        let entry = Entry {
            at: self.now.saturating_add(delay),
            order: self.order,
            what,
        };
        self.queue.push(Reverse(entry));
    }

    pub fn is_healed(&self) -> bool {
        self.now >= GENESIS_TIME + self.plan.heal_at
    }

    pub fn is_honest(&self, node: usize) -> bool {
        self.nodes[node].byzantine.is_none()
    }

    /// Everything is whole from now on, before the time that the plan has for it.
    pub fn heal(&mut self) {
        self.plan.heal_at = self.now - GENESIS_TIME;
        for node in &mut self.nodes {
            node.paused_until = node.paused_until.min(self.now);
        }
    }

    /// Whether it may stop for good.
    pub fn may_halt(&self, node: usize) -> bool {
        !self.is_honest(node) || self.plan.deviant == Some(node)
    }

    fn alive(&self, node: usize, life: u32) -> bool {
        self.nodes[node].life == life && self.nodes[node].engine.is_some()
    }

    /// Whether `b` hears `a` now.
    pub fn connected(&self, a: usize, b: usize) -> bool {
        if let Some((unheard, until)) = self.unheard
            && self.now < until
            && !self.is_healed()
            && (unheard >> a) & 1 == 1
            && (unheard >> b) & 1 == 0
        {
            return false;
        }
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
            let what = make();
            if !self.swallows(&what) {
                self.after(delay, what);
            }
        }
    }

    /// Whether the network loses messages of this kind now.
    fn swallows(&self, what: &What) -> bool {
        let What::Deliver { message, .. } = what else {
            return false;
        };
        let phase = message.statement().slot().phase;
        self.swallowed
            .iter()
            .any(|(kind, until)| *kind == phase && self.now < *until)
            && !self.is_healed()
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
                next,
            } if self.alive(node, life) => {
                self.step(node, Event::Executed { header, outcome })?;
                next.map_or(Ok(()), |next| self.tell_validators(node, header, &next))
            }
            What::Applied { node, life } if self.alive(node, life) => self.applied(node),
            What::Cleared { node, life, height } if self.alive(node, life) => {
                self.step(node, Event::AmnesiaCleared { height })
            }
            What::Report { node, life } if self.alive(node, life) => self.report_work(node),
            What::Sealed { node, life, sealed } if self.alive(node, life) => {
                self.step(node, Event::Sealed(sealed))
            }
            What::FindBody { .. }
            | What::BodyReady { .. }
            | What::Propose { .. }
            | What::Executed { .. }
            | What::Applied { .. }
            | What::Report { .. }
            | What::Sealed { .. }
            | What::Cleared { .. } => Ok(()),
            What::Connected { node, to } => {
                let Some(place) = self.nodes[node].epochs.present().place(to) else {
                    return Ok(());
                };
                let validator = ValidatorIndex::new(place as u16);
                self.step(node, Event::Connected { validator })
            }
            What::AskBlocks { of, from, height } => {
                self.send_blocks(of, from, height);
                Ok(())
            }
            What::Blocks { from, to, blocks } => self.take_blocks(to, from, blocks),
            What::Gossip { to, transaction } => self.learn(to, transaction),
            What::Spread { transaction } => {
                self.spread(transaction);
                Ok(())
            }
            What::Tips { node } => {
                self.look_at_tips(node);
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
            What::ClockRight { node } => {
                self.nodes[node].jump = 0;
                Ok(())
            }
            What::Post { from, letter } => {
                self.post(from, vec![letter]);
                Ok(())
            }
        }
    }

    fn deliver(&mut self, to: usize, message: Box<Verified<Message>>) -> Result<(), Violation> {
        if self.nodes[to].engine.is_none() {
            return Ok(());
        }
        if let Some(epoch) = self.unknown_epoch(to, &message) {
            return self.step(to, Event::LaterEpoch { epoch });
        }
        if self.faulty_hears(to, &message) {
            return Ok(());
        }
        if let Some(engine) = self.nodes[to]
            .engine
            .as_ref()
            .filter(|_| self.is_honest(to))
        {
            self.checkers.hears(to, engine.status().height, &message);
        }
        self.step(to, Event::Message(message))
    }

    fn trouble(&mut self, trouble: Trouble) -> Result<(), Violation> {
        if self.is_healed() {
            return Ok(()); // a run that had its heights before its time
        }
        match trouble {
            Trouble::Crash {
                node,
                mid_output,
                amnesia,
                other_release,
                lost_blocks,
                away_ms,
            } => {
                self.nodes[node].other_release |= other_release;
                if lost_blocks > 0 {
                    self.crash(node, away_ms);
                    self.nodes[node].lose_blocks(lost_blocks);
                }
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
            Trouble::Partition { side, lasts_ms } => {
                self.split = Some((side, self.now + lasts_ms));
                self.reconnect_after(lasts_ms);
            }
            Trouble::OneWay { unheard, lasts_ms } => {
                self.unheard = Some((unheard, self.now + lasts_ms));
            }
            Trouble::Swallow { phase, lasts_ms } => {
                self.swallowed.push((phase, self.now + lasts_ms));
            }
            Trouble::Ambush {
                node,
                other_release,
                away_ms,
            } => self.nodes[node].ambush = Some((other_release, away_ms)),
            Trouble::Pause { node, lasts_ms } => {
                let until = (self.now + lasts_ms).min(GENESIS_TIME + self.plan.heal_at);
                self.nodes[node].paused_until = until;
            }
            Trouble::Clock { node, jump } => {
                self.nodes[node].jump = jump;
                let until = (GENESIS_TIME + self.plan.heal_at).saturating_sub(self.now);
                self.after(until, What::ClockRight { node });
            }
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

    pub fn crash(&mut self, node: usize, away_ms: u64) {
        if self.nodes[node].engine.is_none() {
            return; // it is away already and has its time to come back
        }
        let time = self.now - GENESIS_TIME;
        self.trace.note(&[time, node as u64]);
        self.trace.line(|| format!("{time:>8} node {node} crashes"));
        self.nodes[node].die();
        self.checkers.crashed(node);
        let back = (self.now + away_ms)
            .min(GENESIS_TIME + self.plan.heal_at)
            .max(self.now + 1);
        self.after(back - self.now, What::Boot { node });
    }

    fn boot(&mut self, node: usize) -> Result<(), Violation> {
        if self.nodes[node].engine.is_some() {
            return Ok(());
        }
        let params = Plan::params();
        let booted = self.nodes[node].boot(&params, self.plan.scheme);
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
        let time = self.now - GENESIS_TIME;
        self.trace.note(&[time, node as u64]);
        self.trace.note(&numbers(&event));
        self.trace
            .line(|| format!("{time:>8} node {node} <- {}", brief(&event)));
        let out = engine.step(clock, event);
        let (status, load) = (engine.status(), engine.load());
        for rejection in out.rejections() {
            self.trace
                .line(|| format!("         node {node} refuses {rejection}"));
        }
        if self.is_honest(node) {
            self.checkers.stands(node, &status, &load)?;
            for rejection in out.rejections() {
                self.judge(node, rejection)?;
            }
        }
        self.output(node, out)?;
        self.asks_for_notice(node)?;
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
        // Nobody of another epoch is blamed, so the place is one of the present set.
        let sender = self.nodes[node].epochs.present().node(signer);
        if blamed && sender.is_none_or(|sender| self.is_honest(sender)) {
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
        let before = self.nodes[node].disk.journal.records().len();
        let mut journal = DiskJournal {
            file: &mut self.nodes[node].disk.journal,
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
        if self.springs_ambush(node, before) {
            return Ok(());
        }
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

    /// A crash just when a COMMIT has been written, while the network loses COMMITs: the height goes to
    /// a later view under a lock. Whether it came to that; `before` counts the records before this
    /// write.
    fn springs_ambush(&mut self, node: usize, before: usize) -> bool {
        let Some((other_release, away_ms)) = self.nodes[node].ambush else {
            return false;
        };
        let journal = self.nodes[node].disk.journal.records();
        let written = journal.get(before..).unwrap_or(&[]);
        let commits = written
            .iter()
            .any(|r| matches!(r, Record::Signed(m) if matches!(m.as_ref(), Message::Commit(_))));
        if self.is_healed() || !commits {
            return false;
        }
        self.nodes[node].ambush = None;
        self.nodes[node].other_release |= other_release;
        self.swallowed.push((Phase::Commit, self.now + 8 * away_ms));
        self.crash(node, away_ms);
        true
    }

    /// The heights that honest nodes have on disk.
    pub fn heights(&self) -> Vec<u64> {
        self.nodes
            .iter()
            .filter(|n| !self.may_halt(n.index))
            .map(|n| n.disk.ledger.len() as u64 - 1)
            .collect()
    }

    /// Honest nodes that may not vote.
    pub fn silent(&self) -> Vec<usize> {
        self.nodes
            .iter()
            .filter(|n| !self.may_halt(n.index))
            .filter(|n| {
                // Outside of the set it has nothing to say and asks for no notice.
                let silent = |s: certchain_consensus::Status| s.amnesiac && s.me.is_some();
                n.engine.as_ref().is_none_or(|e| silent(e.status()))
            })
            .map(|n| n.index)
            .collect()
    }

    /// For a report: where every node stands.
    pub fn statuses(&self) -> String {
        let mut text = String::new();
        for node in &self.nodes {
            let way = self.plan.byzantine.iter().find(|(p, _)| *p == node.index);
            let kind = way.map_or("honest", |(_, way)| byzantine::name(*way));
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

/// The header of a candidate, for those who look for its body.
pub(super) fn header_of(node: &Node, digest: HeaderDigest) -> Option<BlockHeader> {
    node.wanted
        .get(&digest)
        .map(|request| request.header.as_ref().clone())
}
