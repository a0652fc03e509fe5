//! The thread that drafts, checks, executes and stores a chain's blocks, one after the other.

mod checkpoint;
mod commit;
mod room;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, PoisonError,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Instant,
};

use certchain_consensus::{
    BodyFault, BodyRequest, Decision, Event, Proposal, ProposalRequest, Sealed, Verified,
};
use certchain_ledger::{
    chain::{BlockFault, CheckedBlock, Executed},
    signatures::VerifiedTransaction,
};
use certchain_proto::{BlockHeader, CommitCertificate, hash::HeaderDigest};

use super::{
    bodies,
    engine_thread::now,
    host::ChainHost,
    sweep::{INTERVAL, Sweep},
};
use crate::{
    metrics::chain_label,
    stop::{Fatal, StopReason},
};

/// Work for the executor.
pub enum Task {
    /// The engine asks for a proposal.
    Propose(ProposalRequest),
    /// The engine asks for a body.
    CheckBody(BodyRequest),
    /// A body is complete; its transactions' signatures hold.
    BodyArrived {
        /// The block.
        header: Arc<BlockHeader>,
        /// The certificate of the block before.
        parent_certificate: CommitCertificate,
        /// The transactions in order.
        transactions: Vec<VerifiedTransaction>,
    },
    /// A decided block has come from a peer, verified.
    Synced(Box<Synced>),
    /// The engine asks for a result.
    Execute(Arc<BlockHeader>),
    /// The engine has decided.
    Commit(Box<Decision>),
    /// End.
    Stop,
}

/// A decided block from a peer: certificate and transaction signatures hold.
pub struct Synced {
    /// Order, result and votes.
    pub sealed: Verified<Sealed>,
    /// The certificate of the block before.
    pub parent_certificate: CommitCertificate,
    /// The transactions in order.
    pub transactions: Vec<VerifiedTransaction>,
}

/// Where a candidate for the next height stands.
struct Candidate {
    seen: Instant,
    checked: Option<CheckedBlock>,
    executed: Option<Executed>,
}

impl Candidate {
    fn new() -> Self {
        Self {
            seen: Instant::now(),
            checked: None,
            executed: None,
        }
    }
}

/// The executor.
pub struct Executor {
    host: Arc<ChainHost>,
    fatal: Fatal,
    runtime: tokio::runtime::Handle,
    tasks: Receiver<Task>,
    /// Tasks that came while the disk was full.
    held: VecDeque<Task>,
    candidates: BTreeMap<HeaderDigest, Candidate>,
    /// Blocks that wait for main, and whether they are decided ones from a peer.
    waiting: BTreeSet<(HeaderDigest, bool)>,
    last_commit: Instant,
    sweep: Sweep,
}

impl Executor {
    /// An executor of these tasks.
    pub fn new(
        host: Arc<ChainHost>,
        fatal: Fatal,
        runtime: tokio::runtime::Handle,
        tasks: Receiver<Task>,
    ) -> Self {
        Self {
            host,
            fatal,
            runtime,
            tasks,
            held: VecDeque::new(),
            candidates: BTreeMap::new(),
            waiting: BTreeSet::new(),
            last_commit: Instant::now(),
            sweep: Sweep::new(Instant::now()),
        }
    }

    /// Works until told to stop.
    pub fn run(mut self) {
        loop {
            let pause = self.sweep.remaining(Instant::now());
            if pause.is_zero() {
                self.sweep();
            }
            let task = match self.held.pop_front() {
                Some(task) => Ok(task),
                None => self.tasks.recv_timeout(pause),
            };
            match task {
                Ok(Task::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
                Ok(task) => {
                    if !self.has_room() {
                        return;
                    }
                    self.work(task);
                }
            }
        }
    }

    fn work(&mut self, task: Task) {
        match task {
            Task::Propose(request) => self.propose(&request),
            Task::CheckBody(request) => self.check_body(request),
            Task::BodyArrived {
                header,
                parent_certificate,
                transactions,
            } => self.take_body(&header, parent_certificate, transactions),
            Task::Synced(synced) => self.take_synced(*synced),
            Task::Execute(header) => self.execute(&header),
            Task::Commit(decision) => self.commit(*decision),
            // It ends the loop, not here.
            Task::Stop => {}
        }
    }

    /// Transactions that no block has taken for a while may not have reached the primary: gossip
    /// them again, and drop those whose time is over.
    fn sweep(&mut self) {
        let time = self.host.admission_time();
        let (waiting, expired) = {
            let mut mempool = self
                .host
                .mempool
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let expired = mempool.expire(time);
            (self.sweep.take(Instant::now(), &mempool), expired)
        };
        if !expired.is_empty() {
            tracing::debug!(chain = %self.host.name, count = expired.len(), "transactions expired");
        }
        if self.host.main.is_some() {
            // Main has gone on: who waited may have lost its right to what it asks.
            self.drop_refused(&waiting);
        }
        if !waiting.is_empty() {
            let host = Arc::clone(&self.host);
            // Never the number of an earlier announcement, also after a restart.
            let again = now().get();
            self.runtime
                .spawn(async move { super::intake::announce(&host, waiting, again).await });
        }
        if !expired.is_empty() || self.last_commit.elapsed() >= INTERVAL {
            self.host.work_changed();
        }
    }

    fn propose(&mut self, request: &ProposalRequest) {
        let host = &self.host;
        let head = host.chain.head();
        if head.id != request.parent || head.header.height.next() != request.height {
            return;
        }
        let nothing = Event::NothingToPropose {
            height: request.height,
            view: request.view,
        };
        let time_ms = now().max(request.min_time);
        let parameters = &head.parameters;
        let selected = {
            let mempool = host.mempool.lock().unwrap_or_else(PoisonError::into_inner);
            let count = usize::try_from(parameters.limits.block_transactions).unwrap_or(usize::MAX);
            let selected = mempool.select(parameters.limits.block_bytes, count, time_ms);
            if selected.is_empty() && !request.allow_empty {
                // Told under the lock: work that comes now is told after it.
                return host.tell(nothing);
            }
            selected
        };
        let draft = match host.chain.draft(selected, time_ms) {
            Ok(draft) => draft,
            Err(error) => {
                tracing::error!(chain = %host.name, %error, "no block can be drafted");
                return host.tell(nothing);
            }
        };
        if !draft.refused.is_empty() {
            let refused = draft.refused.into_iter();
            host.give_up(refused.map(|(transaction, refusal)| (transaction.id(), refusal)));
        }
        if draft.transactions.is_empty() && !request.allow_empty {
            host.tell(nothing);
            // More may stand behind those that were refused.
            return host.work_changed();
        }
        host.tell(Event::Proposal(Box::new(Proposal {
            height: request.height,
            view: request.view,
            time_ms,
            witness_ids: draft.witness_ids,
            tx_root: draft.tx_root,
            history_root: draft.history_root,
            checkpoint: draft.checkpoint,
        })));
    }

    fn check_body(&mut self, mut request: BodyRequest) {
        // PREPARE signs the header alone: a primary can send false names with a true header. Then
        // the body comes from those who have stored the block.
        if request.contents.as_ref().is_some_and(|contents| {
            certchain_ledger::merkle::tx_root(&contents.witness_ids) != request.header.tx_root
        }) {
            request.contents = None;
        }
        let digest = request.header.digest();
        if request.first_proposal && self.lags_behind_main(&request.header) {
            return self.host.tell(Event::BodyInvalid {
                header: digest,
                fault: BodyFault::Checkpoint,
            });
        }
        let candidate = self.candidates.entry(digest).or_insert_with(Candidate::new);
        if candidate.checked.is_some() || candidate.executed.is_some() {
            return self.host.tell(Event::BodyReady { header: digest });
        }
        if let Some(contents) = &request.contents
            && let Some(transactions) = bodies::from_mempool(&self.host, &contents.witness_ids)
        {
            let certificate = contents.parent_certificate.clone();
            return self.take_body(&request.header, certificate, transactions);
        }
        let host = Arc::clone(&self.host);
        self.runtime
            .spawn(async move { bodies::complete(host, request).await });
    }

    /// Checks a complete body, makes it durable, and tells the engine.
    fn take_body(
        &mut self,
        header: &BlockHeader,
        parent_certificate: CommitCertificate,
        transactions: Vec<VerifiedTransaction>,
    ) {
        let digest = header.digest();
        if self
            .candidates
            .get(&digest)
            .is_some_and(|c| c.checked.is_some() || c.executed.is_some())
        {
            return self.host.tell(Event::BodyReady { header: digest });
        }
        if let Some(main_height) = self.missing_checkpoint(header) {
            let task = Task::BodyArrived {
                header: Arc::new(header.clone()),
                parent_certificate,
                transactions,
            };
            return self.hand_after_main(main_height, header, task);
        }
        self.waiting.remove(&(digest, false));
        match self.checked(header, parent_certificate, transactions) {
            Ok(()) => self.host.tell(Event::BodyReady { header: digest }),
            Err(Some(fault)) => self.host.tell(Event::BodyInvalid {
                header: digest,
                fault,
            }),
            Err(None) => {}
        }
    }

    /// Checks and stores a body. The error is the block's fault, or none if it is ours.
    fn checked(
        &mut self,
        header: &BlockHeader,
        parent_certificate: CommitCertificate,
        transactions: Vec<VerifiedTransaction>,
    ) -> Result<(), Option<BodyFault>> {
        let host = Arc::clone(&self.host);
        if header.parent != host.chain.head().id {
            // Its height was decided while it was being completed.
            return Err(None);
        }
        let started = Instant::now();
        let checked = host
            .chain
            .check_block(header.clone(), parent_certificate, transactions)
            .map_err(|error| {
                let height = header.height.get();
                match error.fault() {
                    Some(fault) => {
                        tracing::warn!(chain = %host.name, height, %error, "a block is invalid");
                        Some(fault_of(fault))
                    }
                    None => {
                        tracing::error!(chain = %host.name, height, %error, "no block was checked");
                        None
                    }
                }
            })?;
        while let Err(error) = host.chain.store_body(&checked) {
            if !error.is_no_room() {
                tracing::error!(chain = %host.name, %error, "no body can be stored; no vote for it");
                return Err(None);
            }
            if !self.wait_for_room(&error) {
                return Err(None);
            }
        }
        host.metrics
            .synced_writes
            .get_or_create(&chain_label(&host.name))
            .inc();
        host.metrics.stage(&host.name, "check", started.elapsed());
        let candidate = self
            .candidates
            .entry(header.digest())
            .or_insert_with(Candidate::new);
        candidate.checked = Some(checked);
        Ok(())
    }

    fn take_synced(&mut self, synced: Synced) {
        let header = synced.sealed.header.clone();
        if header.height != self.host.chain.head().header.height.next() {
            return;
        }
        if header.parent != self.host.chain.head().id {
            // Decided by a quorum, on another parent than ours: the engine says what that means.
            return self.host.tell(Event::Sealed(Box::new(synced.sealed)));
        }
        if let Some(main_height) = self.missing_checkpoint(&header) {
            let task = Task::Synced(Box::new(synced));
            return self.hand_after_main(main_height, &header, task);
        }
        self.waiting.remove(&(header.digest(), true));
        let digest = header.digest();
        let known = self
            .candidates
            .get(&digest)
            .is_some_and(|c| c.checked.is_some() || c.executed.is_some());
        if !known {
            match self.checked(&header, synced.parent_certificate, synced.transactions) {
                Ok(()) => {}
                // A peer may have sent other transactions with a true header: ask another one.
                Err(Some(BodyFault::Transactions) | None) => return,
                Err(Some(fault)) => {
                    return self.host.halt(format!(
                        "height {}: a quorum decided a block that is invalid by the rules of this \
                         release ({fault:?}); compare releases",
                        header.height
                    ));
                }
            }
        }
        self.host.tell(Event::Sealed(Box::new(synced.sealed)));
    }

    fn execute(&mut self, header: &BlockHeader) {
        let digest = header.digest();
        let Some(candidate) = self.candidates.get_mut(&digest) else {
            return;
        };
        if candidate.executed.is_none() {
            let Some(checked) = candidate.checked.take() else {
                return;
            };
            let started = Instant::now();
            match self.host.chain.execute(checked) {
                Ok(executed) => candidate.executed = Some(executed),
                // The engine asks once: it would wait for ever for what cannot be read.
                Err(error) => {
                    return self.fatal.stop(StopReason::Store {
                        chain: self.host.name.clone(),
                        error: error.to_string(),
                    });
                }
            }
            self.host
                .metrics
                .stage(&self.host.name, "execute", started.elapsed());
        }
        if let Some(executed) = &candidate.executed {
            let outcome = executed.outcome().clone();
            let changes = outcome.next_validators != self.host.chain.head().outcome.next_validators;
            let next = executed.next_set().filter(|_| changes).cloned();
            self.host.tell(Event::Executed {
                header: digest,
                outcome,
            });
            // VS-2: behind the outcome that names it.
            if let Some(next) = next {
                self.host.tell(Event::Validators {
                    header: digest,
                    validators: Box::new((*next).clone()),
                });
            }
        }
    }
}

fn fault_of(fault: BlockFault) -> BodyFault {
    match fault {
        BlockFault::Transactions => BodyFault::Transactions,
        BlockFault::Inadmissible => BodyFault::Inadmissible,
        BlockFault::History | BlockFault::Header => BodyFault::History,
        BlockFault::Checkpoint => BodyFault::Checkpoint,
        BlockFault::TooLarge => BodyFault::TooLarge,
    }
}
