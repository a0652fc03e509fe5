//! Four validators, some of them honest, and everything that they may do to each other.

use std::{collections::BTreeMap, sync::Arc};

use certchain_consensus::{
    Action, Blame, BodyFault, BodyRequest, Contents, Decision, Event, HaltReason, Message, Output,
    Proposal, ProposalRequest, Record, Sealed, Verified,
    statement::{Slot, Statement},
};
use certchain_proto::{
    BlockHeader, Height, TimeMs, ValidatorSet,
    hash::{HeaderDigest, OutcomeDigest, StateRoot, WitnessId},
};
use certchain_simulator::{
    blocks::{Block, GENESIS_TIME, chain, execute, history_root, tx_root},
    checkers::{Checkers, Violation, Votes},
    keys::{Scheme, validators},
};

use super::{
    pool::Pool,
    seat::{Letter, Question, Seat},
};

/// Validators of the chain.
pub const N: usize = 4;

/// Everything that there is.
#[derive(Debug)]
pub struct World {
    /// Everybody's clock.
    pub now: u64,
    /// The members.
    pub validators: ValidatorSet,
    /// The honest ones; a faulty one is played by the input.
    pub seats: Vec<Option<Seat>>,
    /// No more are faulty than the protocol bears.
    pub sound: bool,
    /// The node has lied to its engine about a result.
    pub lied: bool,
    /// The chain has stopped voting, rightly.
    pub over: bool,
    /// What faulty ones can make use of.
    pub pool: Pool,
    /// Restart notices that all have been sent.
    pub notices: Vec<WitnessId>,
    transactions: u64,
    checkers: Checkers,
    votes: Votes,
    /// What honest validators have put into their journals, over all their lives.
    written: BTreeMap<(usize, Slot), Statement>,
}

fn holds(checked: Result<(), Violation>) {
    if let Err(violation) = checked {
        panic!("{violation}");
    }
}

impl World {
    /// Four validators of which these are faulty.
    pub fn new(faulty: &[usize]) -> Self {
        let validators = validators(N);
        let seat = |i| (!faulty.contains(&i)).then(|| Seat::new(i, &validators));
        let mut world = Self {
            now: GENESIS_TIME + 1_000,
            seats: (0..N).map(seat).collect(),
            sound: 3 * faulty.len() < N,
            lied: false,
            over: false,
            pool: Pool::default(),
            notices: Vec::new(),
            transactions: 0,
            checkers: Checkers::new(validators.clone(), faulty.to_vec()),
            votes: Votes::new(N, faulty.to_vec()),
            written: BTreeMap::new(),
            validators,
        };
        for i in world.honest() {
            world.start(i);
        }
        world
    }

    /// Who is honest.
    pub fn honest(&self) -> Vec<usize> {
        (0..N).filter(|i| self.seats[*i].is_some()).collect()
    }

    /// Who is faulty.
    pub fn faulty(&self) -> Vec<usize> {
        (0..N).filter(|i| self.seats[*i].is_none()).collect()
    }

    /// An honest one.
    pub fn seat(&mut self, i: usize) -> &mut Seat {
        self.seats[i].as_mut().expect("an honest one")
    }

    fn start(&mut self, i: usize) {
        let now = TimeMs::new(self.now);
        let out = self.seat(i).engine.start(now);
        self.take(i, out);
    }

    /// The process of an honest one ends and is started again.
    pub fn restart(&mut self, i: usize) {
        let validators = self.validators.clone();
        self.seat(i).restart(i, &validators);
        self.checkers.crashed(i);
        self.start(i);
    }

    /// The journal of an honest one is lost. One at a time, so that blocks are made.
    pub fn forget(&mut self, i: usize) {
        let sick = |s: &Seat| s.amnesia().is_some();
        if self.sound && !self.seats.iter().flatten().any(sick) {
            self.transactions += 1;
            let mut nonce = [0xa5; 32];
            nonce[..8].copy_from_slice(&self.transactions.to_le_bytes());
            self.seat(i).disk.journal.lose(nonce);
        }
        self.restart(i);
    }

    /// A transaction that nobody has seen.
    pub fn fresh_transaction(&mut self) -> WitnessId {
        self.transactions += 1;
        let mut bytes = [0x11; 32];
        bytes[..8].copy_from_slice(&self.transactions.to_le_bytes());
        WitnessId::from_bytes(bytes)
    }

    /// One step of an honest engine, and everything that follows at once.
    pub fn step(&mut self, i: usize, event: Event) {
        if self.over {
            return;
        }
        let now = TimeMs::new(self.now);
        let engine = &mut self.seats[i].as_mut().expect("an honest one").engine;
        let before = engine.status().height;
        if let Event::Message(message) = &event {
            self.checkers.hears(i, before, message);
        }
        let out = engine.step(now, event);
        let status = engine.status();
        assert!(status.height >= before, "validator {i}: heights fall");
        if self.sound {
            holds(self.checkers.stands(i, &status, &engine.load()));
            for rejection in out.rejections() {
                let signer = rejection.signer.map(|s| usize::from(s.get()));
                let honest = signer.is_some_and(|s| self.seats[s].is_some());
                assert!(
                    rejection.blame() != Blame::Sender || !honest,
                    "validator {i} blames an honest one: {rejection}"
                );
            }
        }
        self.take(i, out);
    }

    /// Makes an output durable and does what it says.
    pub fn take(&mut self, i: usize, out: Output) {
        let seat = self.seat(i);
        let out = match seat.held.take() {
            None => out,
            Some(mut held) => {
                held.join(out);
                held
            }
        };
        let before = seat.disk.journal.records().len();
        let committed = out.commit(&mut seat.disk);
        let written: Vec<Statement> = seat.disk.journal.records()[before..]
            .iter()
            .filter_map(|record| match record {
                Record::Signed(message) => Some(message.statement()),
                _ => None,
            })
            .collect();
        for statement in written {
            let slot = statement.slot();
            let first = *self.written.entry((i, slot)).or_insert(statement);
            assert_eq!(first, statement, "validator {i} contradicts itself");
        }
        match committed {
            Ok(actions) => {
                for action in actions {
                    self.act(i, action);
                }
            }
            Err(error) if self.seat(i).disk.full => self.seat(i).held = Some(*error.output),
            Err(_) => self.restart(i),
        }
    }

    fn act(&mut self, i: usize, action: Action) {
        match action {
            Action::Broadcast(message) => self.send(i, &message, &(0..N).collect::<Vec<_>>()),
            Action::Send { to, message } => self.send(i, &message, &[usize::from(to.get())]),
            Action::RequestProposal(request) => self.ask(i, Question::Proposal(request)),
            Action::CheckBody(request) => self.ask(i, Question::Body(request)),
            Action::Execute { header } => self.execute(i, &header),
            Action::Commit(decision) => self.commit(i, *decision),
            Action::SetTimer { id, at } => {
                if self.sound {
                    let wait = at.since(TimeMs::new(self.now));
                    holds(self.checkers.waits(i, id, wait));
                }
                self.seat(i).timers.insert(id.kind, (id, at));
            }
            Action::CancelTimer { id } => drop(self.seat(i).timers.remove(&id.kind)),
            Action::Evidence(evidence) => {
                let proof = evidence.verify(chain(), &self.validators, &Scheme::Fast);
                let guilty = usize::from(evidence.signer().get());
                assert!(proof.is_ok(), "no evidence: {proof:?}");
                assert!(self.seats[guilty].is_none(), "{guilty} is honest");
            }
            Action::Halt(reason) => {
                let rightly = match &reason {
                    HaltReason::Invariant { .. } => false,
                    HaltReason::OwnOutcome { .. } => self.lied,
                    _ => !self.sound,
                };
                assert!(rightly, "validator {i} halts: {reason}");
                self.over = true;
            }
            Action::FetchSealed { height, .. } => self.ask(i, Question::Fetch(height)),
            Action::SendSealed { to, height, .. } => {
                let place = height.get() as usize;
                let block = self.seat(i).ledger.get(place).cloned();
                let letter = block.map(|b| Letter::Block(Arc::new(b)));
                self.post(&[usize::from(to.get())], letter.as_ref());
            }
            Action::SubmitRestartNotice { nonce } => {
                let notice = WitnessId::from_bytes(nonce);
                match self.seat(i).height_of(&notice) {
                    Some(height) => self.ask(i, Question::Cleared(height)),
                    None if self.notices.contains(&notice) => {}
                    None => self.notices.push(notice),
                }
            }
        }
    }

    fn ask(&mut self, i: usize, question: Question) {
        self.seat(i).questions.push(question);
    }

    /// Puts a letter into the inboxes of these.
    pub fn post(&mut self, to: &[usize], letter: Option<&Letter>) {
        for i in to {
            if let (Some(seat), Some(letter)) = (&mut self.seats[*i], letter) {
                seat.inbox.push(letter.clone());
            }
        }
    }

    /// What verifies of a message.
    pub fn verified(&self, message: Message) -> Option<Verified<Message>> {
        message
            .verify(chain(), &self.validators, &Scheme::Fast)
            .ok()
    }

    fn send(&mut self, i: usize, message: &Arc<Message>, to: &[usize]) {
        let seat = self.seats[i].as_ref().expect("an honest one");
        if self.sound {
            let known = |digest| seat.bodies.contains_key(&digest);
            let stored = message.header().is_some_and(known);
            let sent = self.checkers.sent(i, message, &seat.disk.journal, stored);
            holds(sent);
        } else if usize::from(message.signer().get()) == i {
            let written = seat.disk.journal.written();
            holds(self.votes.sent(i, message, true, written));
        }
        let verified = self.verified(Message::clone(message));
        let verified = verified.expect("what an honest one says verifies");
        self.pool.hear(&verified);
        let to: Vec<usize> = to.iter().copied().filter(|other| *other != i).collect();
        self.post(&to, Some(&Letter::Message(Box::new(verified))));
    }

    fn execute(&mut self, i: usize, header: &BlockHeader) {
        let seat = self.seats[i].as_mut().expect("an honest one");
        let (parent, digest) = (seat.tip(), header.digest());
        assert_eq!(parent.certificate.block_id(), header.parent);
        assert!(!self.sound || seat.bodies.contains_key(&digest), "no body");
        let outcome = execute(parent, header, false);
        self.pool.outcomes.insert(digest, outcome.clone());
        seat.questions.push(Question::Execution(digest, outcome));
    }

    fn commit(&mut self, i: usize, decision: Decision) {
        let seat = self.seats[i].as_mut().expect("an honest one");
        let body = seat.bodies.get(&decision.header.digest()).cloned();
        let block = Block {
            header: decision.header.as_ref().clone(),
            contents: body.unwrap_or_else(|| seat.tip().contents.clone()),
            outcome: decision.outcome,
            certificate: decision.certificate,
        };
        let (parent, height) = (seat.tip(), block.header.height);
        assert_eq!(height, parent.header.height.next());
        if self.sound {
            let checkers = &mut self.checkers;
            holds(checkers.committed(i, parent, &block, &Scheme::Fast));
        }
        let ours = seat.amnesia().map(WitnessId::from_bytes);
        if ours.is_some_and(|notice| block.contents.witness_ids.contains(&notice)) {
            seat.questions.push(Question::Cleared(height));
        }
        seat.ledger.push(block);
        seat.questions.push(Question::Applied);
    }

    /// An honest node hands its engine what came.
    pub fn deliver(&mut self, i: usize, letter: Letter) {
        match letter {
            Letter::Message(message) => self.step(i, Event::Message(message)),
            Letter::Block(block) => self.synced(i, &block),
        }
    }

    fn synced(&mut self, i: usize, block: &Block) {
        let seat = self.seats[i].as_mut().expect("an honest one");
        let sealed = Sealed {
            header: block.header.clone(),
            outcome: block.outcome.clone(),
            certificate: block.certificate.clone(),
        };
        let Ok(sealed) = sealed.verify(chain(), &self.validators, &Scheme::Fast) else {
            return;
        };
        // A node hands in the block of the engine's height, once it stands ready to execute it.
        if seat.held.is_some()
            || block.header.height != seat.engine.status().height
            || tx_root(&block.contents.witness_ids) != block.header.tx_root
        {
            return;
        }
        let digest = block.header.digest();
        seat.bodies.insert(digest, block.contents.clone());
        self.step(i, Event::Sealed(Box::new(sealed)));
    }

    /// An honest node answers a question; `choice` says how, where that is free.
    pub fn answer(&mut self, i: usize, question: Question, choice: u8) {
        match question {
            Question::Proposal(request) => self.propose(i, &request, choice),
            Question::Body(request) => self.check_body(i, request, choice),
            Question::Execution(header, mut outcome) => {
                if !self.sound && choice > 0xf0 {
                    self.lied = true;
                    outcome.state_root = StateRoot::from_bytes([choice; 32]);
                }
                self.step(i, Event::Executed { header, outcome });
            }
            Question::Applied => {
                let seat = self.seat(i);
                if seat.stored < seat.ledger.len() {
                    let height = Height::new(seat.stored as u64);
                    seat.stored += 1;
                    self.step(i, Event::Applied { height });
                }
            }
            Question::Fetch(height) => {
                let other = (i + 1 + usize::from(choice) % 3) % N;
                let ledger = self.seats[other].as_ref().map(|s| &s.ledger);
                let block = ledger.and_then(|l| l.get(height.get() as usize)).cloned();
                if let Some(block) = block {
                    self.synced(i, &block);
                }
            }
            Question::Cleared(height) => self.step(i, Event::AmnesiaCleared { height }),
        }
    }

    fn propose(&mut self, i: usize, request: &ProposalRequest, choice: u8) {
        let (height, view) = (request.height, request.view);
        if self.seat(i).tip().certificate.block_id() != request.parent {
            return;
        }
        let mut witness_ids = self.notices.clone();
        witness_ids.retain(|id| !self.seat(i).has_done(id));
        for _ in 0..choice % 3 {
            witness_ids.push(self.fresh_transaction());
        }
        if witness_ids.is_empty() && !request.allow_empty {
            return self.step(i, Event::NothingToPropose { height, view });
        }
        let proposal = Proposal {
            height,
            view,
            time_ms: TimeMs::new(self.now).max(request.min_time),
            tx_root: tx_root(&witness_ids),
            history_root: history_root(self.seat(i).tip()),
            witness_ids,
            checkpoint: None,
        };
        self.step(i, Event::Proposal(Box::new(proposal)));
    }

    /// Wherever the contents of a block are: with the proposal, or stored by anybody. A primary may
    /// send false names with a true header.
    fn find_body(&self, request: &BodyRequest) -> Option<Contents> {
        let header = &request.header;
        let fits = |c: &&Contents| tx_root(&c.witness_ids) == header.tx_root;
        let sent = request.contents.as_deref().filter(fits);
        let digest = header.digest();
        sent.or_else(|| {
            let mut bodies = self.seats.iter().flatten().map(|s| &s.bodies);
            bodies.find_map(|b| b.get(&digest))
        })
        .cloned()
    }

    fn check_body(&mut self, i: usize, request: BodyRequest, choice: u8) {
        let header = request.header.digest();
        if request.header.parent != self.seat(i).tip().certificate.block_id() {
            return; // decided meanwhile
        }
        if !self.sound && choice > 0xf0 {
            let fault = BodyFault::Checkpoint;
            return self.step(i, Event::BodyInvalid { header, fault });
        }
        let Some(contents) = self.find_body(&request) else {
            return self.ask(i, Question::Body(request));
        };
        let seat = self.seat(i);
        let ids = &contents.witness_ids;
        let double = |(at, id): (usize, &WitnessId)| ids[..at].contains(id) || seat.has_done(id);
        let fault = if ids.iter().enumerate().any(double) {
            Some(BodyFault::Inadmissible)
        } else if request.header.history_root != history_root(seat.tip()) {
            Some(BodyFault::History)
        } else {
            None
        };
        match fault {
            Some(fault) => self.step(i, Event::BodyInvalid { header, fault }),
            None => {
                seat.bodies.insert(header, contents);
                self.step(i, Event::BodyReady { header });
            }
        }
    }

    /// The honest ones hear everything and answer everything, for some rounds.
    pub fn calm(&mut self, rounds: usize, choice: u8) {
        for _ in 0..rounds {
            for i in self.honest() {
                for letter in std::mem::take(&mut self.seat(i).inbox) {
                    self.deliver(i, letter);
                }
                for question in std::mem::take(&mut self.seat(i).questions) {
                    self.answer(i, question, choice % 0xf0);
                }
            }
        }
    }

    /// The result of a block that somebody executed.
    pub fn outcome_of(&self, header: &HeaderDigest) -> Option<OutcomeDigest> {
        Some(self.pool.outcomes.get(header)?.digest())
    }
}
