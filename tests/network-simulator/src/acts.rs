//! What a node does for its engines: proposals, bodies, executions, commits.

use std::{collections::BTreeSet, sync::Arc};

use certchain_consensus::{
    Action, Contents, Decision, Equivocation, Event, Message, Proposal, ProposalRequest,
    event::BodyFault,
};
use certchain_ledger::{
    chain::{BlockFault, Chain, CheckedBlock, Committed, Executed},
    merkle,
    signatures::VerifiedTransaction,
};
use certchain_proto::{
    BlockHeader, CommitCertificate, Outcome,
    certificate::Ed25519Verifier,
    hash::{HeaderDigest, WitnessId},
};
use certchain_simulator::{blocks::Block, checkers::Violation, keys::Scheme};

use crate::{
    faulty::{Faulty, Strange},
    node::{CHAINS, Candidate, Host, MAIN, name, side},
    weakness::Weakness,
    world::{Task, What, World},
};

/// How long a process that its disk failed is away.
const RESTART_MS: u64 = 500;

/// A body: the certificate of the block before, and the transactions.
type Body = (CommitCertificate, Vec<VerifiedTransaction>);

/// What became of a body that was checked.
#[derive(Debug)]
pub enum Verdict {
    /// It may be voted for and is on disk.
    Stored,
    /// It can never be valid.
    Invalid(BodyFault),
    /// Its height was decided meanwhile, or the process ended.
    Gone,
}

impl World {
    /// Does one thing that an engine wants done.
    ///
    /// # Errors
    /// If a rule is broken.
    pub fn act(&mut self, node: usize, chain: usize, action: Action) -> Result<(), Violation> {
        match action {
            Action::Broadcast(message) => {
                let others: Vec<usize> = (0..self.plan.n).filter(|i| *i != node).collect();
                self.send(node, chain, &message, &others)
            }
            Action::Send { to, message } => {
                self.send(node, chain, &message, &[usize::from(to.get())])
            }
            Action::RequestProposal(request) => {
                let delay = self.rng.between(0, 5);
                self.task(delay, node, chain, Task::Propose { request });
                Ok(())
            }
            Action::CheckBody(request) => {
                let header = request.header.digest();
                self.nodes[node].hosts[chain].wanted.insert(header, request);
                let delay = self.rng.between(0, 10);
                self.task(delay, node, chain, Task::FindBody { header });
                Ok(())
            }
            Action::Execute { header } => self.execute(node, chain, &header),
            Action::Commit(decision) => self.decided(node, chain, *decision),
            Action::SetTimer { id, at } => {
                let setting = self.next_setting();
                let delay = at.since(self.nodes[node].clock(self.now));
                if self.is_honest(node) {
                    self.checkers[chain].waits(node, id, delay)?;
                }
                let timers = &mut self.nodes[node].hosts[chain].timers;
                timers.insert(id.kind, (id, setting));
                self.task(delay, node, chain, Task::Timer { id, setting });
                Ok(())
            }
            Action::CancelTimer { id } => {
                self.nodes[node].hosts[chain].timers.remove(&id.kind);
                Ok(())
            }
            Action::Evidence(evidence) => self.accuse(node, chain, &evidence),
            Action::Halt(reason) => Err(Violation(format!(
                "{}: node {node} halts: {reason}",
                name(chain)
            ))),
            Action::FetchSealed { from, height } => {
                let of = match from {
                    Some(of) => usize::from(of.get()),
                    None => self.rng.index(self.plan.n),
                };
                let ask = || What::AskBlocks {
                    chain,
                    of,
                    from: node,
                    height,
                };
                if of != node {
                    self.carry(node, of, ask);
                }
                Ok(())
            }
            Action::SendSealed { to, height, .. } => {
                self.send_blocks(node, usize::from(to.get()), chain, height)
            }
            Action::SubmitRestartNotice { nonce } => {
                self.nodes[node].hosts[chain].notice = Some(nonce);
                self.task(0, node, chain, Task::Notice);
                Ok(())
            }
        }
    }

    fn send(
        &mut self,
        node: usize,
        chain: usize,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Result<(), Violation> {
        if self.faulty_sends(node, chain, message, receivers)? {
            return Ok(());
        }
        let host = &self.nodes[node].hosts[chain];
        let stored = message.header().is_some_and(|digest| {
            let height = message.height();
            matches!(host.chain.load_body(height, &digest), Ok(Some(_)))
        });
        let journal = &self.nodes[node].journals[chain];
        self.checkers[chain].sent(node, message, journal, stored)?;
        let bytes = message.encode();
        let unreadable = |why: &dyn std::fmt::Display| {
            Violation(format!("node {node}: {} is refused: {why}", message.kind()))
        };
        let decoded =
            Message::decode(&bytes, message.size()).map_err(|error| unreadable(&error))?;
        let validators = Arc::clone(&host.chain.head().validators);
        let verified = decoded
            .verify(host.id(), &validators, &Ed25519Verifier)
            .map_err(|error| unreadable(&error))?;
        self.trace.line(|| {
            let (kind, height, view) = (message.kind(), message.height(), message.view());
            format!("         node {node} says {kind} for height {height} view {view}")
        });
        for to in receivers.iter().copied() {
            let deliver = || What::Deliver {
                chain,
                to,
                message: Box::new(verified.clone()),
            };
            self.carry(node, to, deliver);
        }
        Ok(())
    }

    /// Somebody is accused of having contradicted himself.
    fn accuse(&self, node: usize, chain: usize, evidence: &Equivocation) -> Result<(), Violation> {
        let host = &self.nodes[node].hosts[chain];
        let validators = Arc::clone(&host.chain.head().validators);
        let proof = evidence.verify(host.id(), &*validators, &Ed25519Verifier);
        let guilty = usize::from(evidence.signer().get());
        if self.is_honest(node) && (proof.is_err() || self.is_honest(guilty)) {
            return Err(Violation(format!(
                "{}: node {node} accuses node {guilty} ({proof:?}): {evidence:?}",
                name(chain)
            )));
        }
        Ok(())
    }

    /// A transaction that a withholding primary adds to its block and gives to some only.
    fn withheld(&mut self, node: usize, chain: usize) -> Option<VerifiedTransaction> {
        let withholds = self.nodes[node].faulty.as_ref()?.withholds();
        if !withholds || !self.rng.coin() {
            return None;
        }
        let clock = self.nodes[node].clock(self.now).get();
        let (id, side) = (self.nodes[node].hosts[chain].id(), side(chain));
        let unseen = self.town.strange(id, side, Strange::Unseen, clock);
        let to = self.rng.next_u64();
        self.make_up(node, unseen.clone(), to);
        self.deviations += 1;
        Some(unseen)
    }

    /// Drafts a block, as the daemon does.
    ///
    /// # Errors
    /// If a rule is broken.
    pub fn propose(
        &mut self,
        node: usize,
        chain: usize,
        request: &ProposalRequest,
    ) -> Result<(), Violation> {
        let clock = self.nodes[node].clock(self.now);
        let host = &mut self.nodes[node].hosts[chain];
        let head = host.chain.head();
        if head.id != request.parent {
            return Ok(()); // the height has been decided meanwhile
        }
        let nothing = Event::NothingToPropose {
            height: request.height,
            view: request.view,
        };
        let time_ms = clock.max(request.min_time);
        let limits = &head.parameters.limits;
        let count = usize::try_from(limits.block_transactions).unwrap_or(usize::MAX);
        let mut selected = host.mempool.select(limits.block_bytes, count, time_ms);
        if let Some(unseen) = self.withheld(node, chain) {
            selected.push(unseen);
        }
        let host = &mut self.nodes[node].hosts[chain];
        if selected.is_empty() && !request.allow_empty {
            return self.step(node, chain, nothing);
        }
        let draft = host.chain.draft(selected, time_ms);
        let draft = draft.map_err(|e| Violation(format!("node {node} cannot draft: {e}")))?;
        let refused: Vec<_> = draft.refused.iter().map(|(t, _)| t.id()).collect();
        host.mempool.remove(&refused);
        if draft.transactions.is_empty() && !request.allow_empty {
            self.step(node, chain, nothing)?;
            return self.report_work(node, chain);
        }
        let proposal = Proposal {
            height: request.height,
            view: request.view,
            time_ms,
            witness_ids: draft.witness_ids,
            tx_root: draft.tx_root,
            history_root: draft.history_root,
            checkpoint: draft.checkpoint,
        };
        self.step(node, chain, Event::Proposal(Box::new(proposal)))
    }

    /// Whether main here has not come to the block on which this one stands.
    pub fn lacks_checkpoint(&self, node: usize, header: &BlockHeader) -> bool {
        let reached = self.nodes[node].hosts[MAIN].chain.head().height();
        header.checkpoint.is_some_and(|c| c.height > reached)
    }

    /// Looks for a body: in the own mempool and store, then with everybody who can be reached.
    ///
    /// # Errors
    /// If a rule is broken.
    pub fn find_body(
        &mut self,
        node: usize,
        chain: usize,
        digest: HeaderDigest,
    ) -> Result<(), Violation> {
        let host = &mut self.nodes[node].hosts[chain];
        let Some(request) = host.wanted.get(&digest) else {
            return Ok(());
        };
        let (header, contents) = (Arc::clone(&request.header), request.contents.clone());
        if header.height <= host.chain.head().height() {
            host.wanted.remove(&digest);
            return Ok(());
        }
        // The block below may be decided and not yet stored: the daemon's tasks keep their order.
        let follows = header.parent == host.chain.head().id;
        if host.candidates.contains_key(&digest) {
            host.wanted.remove(&digest);
            return self.step(node, chain, Event::BodyReady { header: digest });
        }
        let body = match !follows || self.lacks_checkpoint(node, &header) {
            true => None,
            false => self.complete(node, chain, &header, contents.as_deref())?,
        };
        let Some((parent_certificate, transactions)) = body else {
            let delay = self.rng.between(50, 200);
            self.task(delay, node, chain, Task::FindBody { header: digest });
            return Ok(());
        };
        self.nodes[node].hosts[chain].wanted.remove(&digest);
        match self.check(node, chain, &header, parent_certificate, transactions)? {
            Verdict::Stored => {
                let delay = self.rng.between(0, 5);
                self.task(delay, node, chain, Task::BodyReady { header: digest });
                Ok(())
            }
            Verdict::Invalid(fault) => {
                let header = digest;
                self.step(node, chain, Event::BodyInvalid { header, fault })
            }
            Verdict::Gone => Ok(()),
        }
    }

    /// A body whose parts can all be had now.
    fn complete(
        &self,
        node: usize,
        chain: usize,
        header: &BlockHeader,
        contents: Option<&Contents>,
    ) -> Result<Option<Body>, Violation> {
        let near =
            |of: &usize| *of == node || (self.nodes[*of].is_up() && self.connected(*of, node));
        let places = std::iter::once(node).chain((0..self.plan.n).filter(|of| *of != node));
        // Who withholds gives single transactions to some, and the whole body to nobody.
        let shares = |of: &usize| {
            let faulty = self.nodes[*of].faulty.as_ref();
            *of == node || !faulty.is_some_and(Faulty::withholds)
        };
        let places: Vec<&Host> = places
            .filter(near)
            .filter(shares)
            .map(|of| &self.nodes[of].hosts[chain])
            .collect();
        let digest = header.digest();
        for host in &places {
            if let Some(body) = self.stored(&host.chain, header, &digest)? {
                return Ok(Some(body));
            }
        }
        let Some(contents) = contents else {
            return Ok(None);
        };
        if merkle::tx_root(&contents.witness_ids) != header.tx_root {
            return Ok(None);
        }
        let find = |id: &WitnessId| {
            let waiting = places.iter().find_map(|host| host.mempool.get(id));
            waiting.or_else(|| self.given(id, node).cloned())
        };
        let found: Option<Vec<_>> = contents.witness_ids.iter().map(find).collect();
        Ok(found.map(|transactions| (contents.parent_certificate.clone(), transactions)))
    }

    fn stored(
        &self,
        chain: &Chain,
        header: &BlockHeader,
        digest: &HeaderDigest,
    ) -> Result<Option<Body>, Violation> {
        let body = chain.load_body(header.height, digest);
        let body = body.map_err(|error| Violation(format!("a store cannot be read: {error}")))?;
        body.map(|body| {
            let transactions = self.read_all(&body.transactions)?;
            Ok((body.parent_certificate, transactions))
        })
        .transpose()
    }

    /// Checks a complete body and makes it durable.
    ///
    /// # Errors
    /// If the block is invalid and its proposer honest.
    pub fn check(
        &mut self,
        node: usize,
        chain: usize,
        header: &BlockHeader,
        parent_certificate: CommitCertificate,
        transactions: Vec<VerifiedTransaction>,
    ) -> Result<Verdict, Violation> {
        let honest = self.is_honest(usize::from(header.proposer.get()));
        let host = &mut self.nodes[node].hosts[chain];
        if header.parent != host.chain.head().id {
            return Ok(Verdict::Gone);
        }
        let checked = host
            .chain
            .check_block(header.clone(), parent_certificate, transactions);
        let checked = match checked {
            Ok(checked) => checked,
            Err(error) => match error.fault() {
                Some(fault) if !honest => return Ok(Verdict::Invalid(fault_of(fault))),
                _ => {
                    let (name, height) = (name(chain), header.height);
                    return Err(Violation(format!(
                        "{name}: node {node} finds height {height} of {} invalid: {error}",
                        header.proposer
                    )));
                }
            },
        };
        let stored = match self.weakness {
            Some(Weakness::UnstoredBodies) => Ok(()),
            _ => host.chain.store_body(&checked),
        };
        match stored {
            Ok(()) => {
                let candidate = Candidate::Checked(Box::new(checked));
                host.candidates.insert(header.digest(), candidate);
                Ok(Verdict::Stored)
            }
            Err(_) => {
                self.crash(node, RESTART_MS);
                Ok(Verdict::Gone)
            }
        }
    }

    fn execute(
        &mut self,
        node: usize,
        chain: usize,
        header: &BlockHeader,
    ) -> Result<(), Violation> {
        let digest = header.digest();
        let host = &mut self.nodes[node].hosts[chain];
        let executed = match host.candidates.remove(&digest) {
            Some(Candidate::Executed(executed)) => *executed,
            Some(Candidate::Checked(checked)) => run(&host.chain, *checked)?,
            None => {
                return Err(Violation(format!(
                    "node {node} is to execute what it does not have"
                )));
            }
        };
        let outcome = executed.outcome().clone();
        host.candidates
            .insert(digest, Candidate::Executed(Box::new(executed)));
        self.ledgers.executed(node, chain, digest, &outcome)?;
        let delay = self.rng.between(0, 20);
        let header = digest;
        self.task(delay, node, chain, Task::Executed { header, outcome });
        Ok(())
    }

    /// Makes the next decided block part of the chain.
    ///
    /// # Errors
    /// If a rule is broken.
    pub fn apply(&mut self, node: usize, chain: usize) -> Result<(), Violation> {
        let Some(decision) = self.nodes[node].hosts[chain].decided.pop_front() else {
            return Ok(());
        };
        let executed = self.executed(node, chain, &decision.header)?;
        let host = &self.nodes[node].hosts[chain];
        let Ok(committed) = host.chain.commit(executed, decision.certificate) else {
            self.crash(node, RESTART_MS);
            return Ok(());
        };
        let head = &committed.head;
        self.trace
            .line(|| format!("         node {node} has {} {}", name(chain), head.height()));
        self.ledgers.committed(node, chain, &committed)?;
        self.nodes[node].reached[chain] = head.height();
        self.publish(node, chain, &committed)
    }

    /// An engine has decided: the block will be made part of the chain.
    fn decided(&mut self, node: usize, chain: usize, decision: Decision) -> Result<(), Violation> {
        let host = &self.nodes[node].hosts[chain];
        let ledger = Arc::clone(&host.chain);
        let head = ledger.head();
        let below = match host.decided.back() {
            Some(below) => (&*below.header, &below.outcome, &below.certificate),
            None => (&head.header, &head.outcome, &head.certificate),
        };
        let nothing = Contents {
            parent_certificate: below.2.clone(),
            witness_ids: Vec::new(),
        };
        let parent = block(below.0, below.1, below.2, nothing);
        let header = &*decision.header;
        let lost = || Violation(format!("node {node} decides what it does not have"));
        let body = self.stored(&ledger, header, &header.digest())?;
        let (parent_certificate, transactions) = body.ok_or_else(lost)?;
        let contents = Contents {
            parent_certificate,
            witness_ids: transactions.iter().map(|t| t.witness_id()).collect(),
        };
        let new = block(header, &decision.outcome, &decision.certificate, contents);
        self.checkers[chain].committed(node, &parent, &new, &Scheme::Real)?;
        self.nodes[node].hosts[chain].decided.push_back(decision);
        let delay = self.rng.between(0, 15);
        self.task(delay, node, chain, Task::Apply);
        Ok(())
    }

    /// The execution of a decided block, done again from the stored body if it is gone.
    fn executed(
        &mut self,
        node: usize,
        chain: usize,
        header: &BlockHeader,
    ) -> Result<Executed, Violation> {
        let digest = header.digest();
        let host = &mut self.nodes[node].hosts[chain];
        let ledger = Arc::clone(&host.chain);
        match host.candidates.remove(&digest) {
            Some(Candidate::Executed(executed)) => return Ok(*executed),
            Some(Candidate::Checked(checked)) => return run(&ledger, *checked),
            None => {}
        }
        let lost = || Violation(format!("node {node} decides what it does not have"));
        let (certificate, transactions) =
            self.stored(&ledger, header, &digest)?.ok_or_else(lost)?;
        let checked = ledger.check_block(header.clone(), certificate, transactions);
        let checked =
            checked.map_err(|e| Violation(format!("node {node} finds a decision invalid: {e}")))?;
        run(&ledger, checked)
    }

    /// Tells everybody in the process of a block that is on disk.
    fn publish(
        &mut self,
        node: usize,
        chain: usize,
        committed: &Committed,
    ) -> Result<(), Violation> {
        let clock = self.nodes[node].clock(self.now);
        let height = committed.head.height();
        let host = &mut self.nodes[node].hosts[chain];
        host.candidates.clear();
        host.wanted
            .retain(|_, wanted| wanted.header.height > height);
        let ids: Vec<_> = committed.transactions.iter().map(|t| t.id()).collect();
        host.mempool.set_parameters(&committed.head.parameters);
        host.mempool.remove(&ids);
        host.mempool.expire(committed.head.time());
        let disturbed = host.mempool.disturbed(&committed.written);
        drop_refused(node, host, &disturbed, host.admission_time(clock))?;
        let own = |n: &&certchain_ledger::identity::RestartNoticeRecord| {
            usize::from(n.validator.get()) == node && host.notice == Some(n.nonce)
        };
        let cleared = committed.restart_notices.iter().any(|n| own(&n));
        if cleared {
            host.notice = None;
        }
        let life = self.nodes[node].life;
        self.step(node, chain, Event::Applied { height })?;
        if cleared && self.nodes[node].life == life {
            self.step(node, chain, Event::AmnesiaCleared { height })?;
        }
        if self.nodes[node].life == life {
            self.report_work(node, chain)?;
        }
        // Blocks of side chains may have waited for main.
        for side in (MAIN + 1)..CHAINS {
            if chain == MAIN && self.nodes[node].life == life {
                self.feed_synced(node, side)?;
            }
        }
        Ok(())
    }
}

fn block(
    header: &BlockHeader,
    outcome: &Outcome,
    certificate: &CommitCertificate,
    contents: Contents,
) -> Block {
    Block {
        header: header.clone(),
        contents,
        outcome: outcome.clone(),
        certificate: certificate.clone(),
    }
}

/// What is wrong with a block, in the words of the engine.
const fn fault_of(fault: BlockFault) -> BodyFault {
    match fault {
        BlockFault::Transactions => BodyFault::Transactions,
        BlockFault::Inadmissible => BodyFault::Inadmissible,
        BlockFault::History | BlockFault::Header => BodyFault::History,
        BlockFault::Checkpoint => BodyFault::Checkpoint,
        BlockFault::TooLarge => BodyFault::TooLarge,
    }
}

fn run(chain: &Chain, checked: CheckedBlock) -> Result<Executed, Violation> {
    let executed = chain.execute(checked);
    executed.map_err(|error| Violation(format!("a block cannot be executed: {error}")))
}

/// Drops what can no longer be executed: it would look like work that the primaries leave undone.
///
/// # Errors
/// If the state cannot be read.
pub fn drop_refused(
    node: usize,
    host: &mut Host,
    transactions: &[VerifiedTransaction],
    time: certchain_proto::TimeMs,
) -> Result<(), Violation> {
    let verdicts = host.chain.admit_many(transactions, time);
    let verdicts =
        verdicts.map_err(|e| Violation(format!("node {node} cannot read its state: {e}")))?;
    let judged = transactions.iter().zip(verdicts);
    let refused: BTreeSet<_> = judged
        .filter(|(_, verdict)| verdict.is_err())
        .map(|(transaction, _)| transaction.id())
        .collect();
    host.mempool.remove(&refused);
    Ok(())
}
