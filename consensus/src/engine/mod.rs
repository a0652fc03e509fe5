//! The state machine: facts come in by `step`, then every rule whose condition holds fires until
//! none does. Rules are cited by the numbers of the crate document.

mod ahead;
#[cfg(test)]
mod fixtures;
mod proposal;
mod receive;
mod recover;
mod round;
mod sets;
mod sync;
mod timers;
mod view_change;
mod vote_book;
mod votes;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use certchain_proto::{
    ChainId, Epoch, Height, Signature, TimeMs, ValidatorIndex, ValidatorSet, View, hash::BlockId,
};

use self::{ahead::Ahead, round::Round};
use crate::{
    config::{EngineConfig, Head, Params, Recovered, StartError},
    event::Event,
    evidence::Equivocation,
    journal::{Promises, Record},
    message::Message,
    output::{Action, HaltReason, Output},
    planted::{self, Bug},
    reject::{Reason, Rejection},
    signer::Signer,
    statement::{Phase, Statement},
    timer::{TimerId, TimerKind},
};

/// A look at the engine for operators and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The height being decided.
    pub height: Height,
    /// The view that we are in or have asked for.
    pub view: View,
    /// Whether that view is open here.
    pub open: bool,
    /// Its primary.
    pub primary: ValidatorIndex,
    /// The epoch of the set that decides this height.
    pub epoch: Epoch,
    /// Our place in it; none for a follower.
    pub me: Option<ValidatorIndex>,
    /// Whether we may sign at this height.
    pub can_sign: bool,
    /// Whether a restart notice must be committed before we may sign.
    pub amnesiac: bool,
    /// The last decided block.
    pub head: BlockId,
    /// Its time.
    pub head_time: TimeMs,
    /// Whether the height is decided, and only the block's body or its execution is waited for.
    pub decided: bool,
    /// Why the chain stopped voting here, if it did.
    pub halted: Option<HaltReason>,
}

/// The most that an engine keeps at the moment; [`crate::limits`] bounds each number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Views of one sender whose PREPAREs or COMMITs are kept.
    pub vote_views: usize,
    /// VIEW-CHANGEs of one sender.
    pub view_changes: usize,
    /// NEW-VIEWs or proposals of one sender.
    pub openings: usize,
    /// Blocks of the undecided height.
    pub candidates: usize,
    /// Messages of one sender for the next height.
    pub ahead_messages: usize,
    /// Their bytes.
    pub ahead_bytes: usize,
    /// Statements of the last height.
    pub late: usize,
    /// Phases in which evidence against one sender has been given.
    pub evidence: usize,
}

/// The PBFT engine of one chain.
pub struct Engine {
    chain: ChainId,
    /// VS-1: who decides the height of the round.
    validators: ValidatorSet,
    /// VS-3: our place among them.
    me: Option<ValidatorIndex>,
    params: Params,
    signer: Box<dyn Signer + Send>,
    head: Head,
    round: Round,
    /// The journal's floor and amnesia, and promises for heights that are not open yet.
    promises: Promises,
    ahead: Ahead,
    /// Statements of the last decided height that have been seen.
    late: BTreeSet<(ValidatorIndex, Phase, View)>,
    /// When which laggard of which epoch was last sent which height.
    answered: BTreeMap<(Epoch, ValidatorIndex), (Height, TimeMs)>,
    /// Until when sealed blocks of which height are not asked for again.
    fetching: Option<(Height, TimeMs)>,
    /// Work that all validators have been sent.
    pending: bool,
    timers: BTreeMap<TimerKind, TimerId>,
    /// Records that promise nothing; they ride along with the next promise.
    lazy: Vec<Record>,
    halted: Option<HaltReason>,
    now: TimeMs,
    out: Output,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("me", &self.me)
            .field("status", &self.status())
            .finish()
    }
}

/// A rule: fires if its condition holds, and says whether it did.
type Rule = fn(&mut Engine) -> bool;

/// In the order of trying. Decisions come first, since they end the height.
const RULES: [Rule; 13] = [
    Engine::seal,
    Engine::pursue_decision,
    Engine::follow_others,
    Engine::open_view,
    Engine::enter_view,
    Engine::accept_proposal,
    Engine::ask_for_body,
    Engine::execute,
    Engine::prepare,
    Engine::become_prepared,
    Engine::commit,
    Engine::leave_invalid,
    Engine::ask_for_proposal,
];

impl Engine {
    /// makes an engine from what the disk gave back.
    ///
    /// # Errors
    /// If the parameters, the set, the last block or the journal make no sense.
    pub fn new(
        config: EngineConfig,
        recovered: Recovered,
        signer: Box<dyn Signer + Send>,
    ) -> Result<Self, StartError> {
        let EngineConfig {
            chain,
            validators,
            params,
        } = config;
        params.check()?;
        let Recovered { head, records } = recovered;
        if !head.is_whole(chain) {
            return Err(StartError::Head);
        }
        if validators.digest() != head.outcome.next_validators {
            return Err(StartError::OtherValidators);
        }
        let promises = Promises::replay(&records)?;
        let height = head.height().next();
        if let Some(promised) = promises.other_epoch(height, validators.epoch()) {
            let set = validators.epoch();
            return Err(StartError::OtherEpoch {
                height,
                promised,
                set,
            });
        }
        let me = sets::place(&validators, signer.as_ref());
        let round = Round::new(head.height().next(), head.next_offset(params.rotation));
        let mut engine = Self {
            chain,
            validators,
            me,
            params,
            signer,
            head,
            round,
            promises,
            ahead: Ahead::default(),
            late: BTreeSet::new(),
            answered: BTreeMap::new(),
            fetching: None,
            pending: false,
            timers: BTreeMap::new(),
            lazy: Vec::new(),
            halted: None,
            now: TimeMs::ZERO,
            out: Output::default(),
        };
        engine.restore_promises();
        Ok(engine)
    }

    /// The first call: says again what was said, asks for what is missing, sets timers.
    pub fn start(&mut self, now: TimeMs) -> Output {
        self.now = now;
        self.ask_for_notice();
        if self.me.is_none() || self.validators.len() > 1 {
            // S-3: whoever was away may have missed blocks, and nobody may be talking.
            self.fetch_sealed(None);
        }
        self.repeat_ourselves();
        self.settle()
    }

    /// Takes one event and gives what follows from it.
    pub fn step(&mut self, now: TimeMs, event: Event) -> Output {
        if self.halted.is_some() {
            return Output::default();
        }
        self.now = now;
        match event {
            Event::Message(m) => self.receive(m.into_inner()),
            Event::Timer(id) => self.timer_fired(id),
            Event::Proposal(p) => self.propose(*p),
            Event::NothingToPropose { height, view } => self.nothing_to_propose(height, view),
            Event::BodyReady { header } => self.body_ready(header),
            Event::BodyInvalid { header, fault: _ } => self.body_invalid(header),
            Event::Executed { header, outcome } => self.executed(header, outcome),
            Event::Validators { header, validators } => self.validators_told(header, *validators),
            Event::LaterEpoch { epoch } => self.later_epoch(epoch),
            Event::Sealed(sealed) => self.sealed(sealed.into_inner()),
            Event::Applied { height } => self.applied(height),
            Event::Connected { validator } => self.greet(validator),
            Event::WorkChanged { pending } => self.pending = pending,
            Event::AmnesiaCleared { height } => self.amnesia_cleared(height),
        }
        self.settle()
    }

    /// A look at the engine.
    pub fn status(&self) -> Status {
        Status {
            height: self.round.height,
            view: self.round.view,
            open: self.round.open,
            primary: self.primary(self.round.view),
            epoch: self.validators.epoch(),
            me: self.me,
            can_sign: self.can_sign(),
            amnesiac: self.promises.amnesia().is_some(),
            head: self.head.id(),
            head_time: self.head.time(),
            decided: self.round.is_settled(),
            halted: self.halted.clone(),
        }
    }

    /// What is kept of others, for those who watch its bounds.
    pub fn load(&self) -> Load {
        let round = &self.round;
        let (ahead_messages, ahead_bytes) = self.ahead.most_of_one();
        Load {
            vote_views: round
                .prepares
                .most_of_one()
                .max(round.commits.most_of_one()),
            view_changes: round.changes.most_of_one(),
            openings: round
                .new_views
                .most_of_one()
                .max(round.proposals.most_of_one()),
            candidates: round.candidates.len(),
            ahead_messages,
            ahead_bytes,
            late: self.late.len(),
            evidence: self
                .validators
                .iter()
                .map(|(v, _)| round.evidence.iter().filter(|(of, _)| *of == v).count())
                .max()
                .unwrap_or(0),
        }
    }

    /// The last decided block.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// PR-1: who proposes in a view of the present height.
    pub fn primary(&self, view: View) -> ValidatorIndex {
        let members = self.validators.len() as u64;
        let place = self.round.offset.wrapping_add(u64::from(view.get())) % members;
        // Below the number of members, which fits.
        ValidatorIndex::new(place as u16)
    }

    /// Lets rules fire until none does, then sees to the timers.
    fn settle(&mut self) -> Output {
        while self.halted.is_none() && RULES.iter().any(|rule| rule(self)) {}
        if self.halted.is_none()
            && let Some(rule) = self.round.violation()
        {
            self.halt(HaltReason::Invariant {
                height: self.round.height,
                view: self.round.view,
                rule,
            });
        }
        if self.halted.is_none() {
            self.see_to_timers();
        }
        std::mem::take(&mut self.out)
    }

    /// whether we may sign anything at the present height.
    fn can_sign(&self) -> bool {
        self.me.is_some()
            && self.halted.is_none()
            && (self.promises.amnesia().is_none() || planted::is(Bug::VotesWithAmnesia))
            && (self.round.height > self.promises.floor() || planted::is(Bug::SignsBelowFloor))
    }

    fn is_primary(&self) -> bool {
        self.me == Some(self.primary(self.round.view))
    }

    fn quorum(&self) -> usize {
        self.validators.quorum()
    }

    fn act(&mut self, action: Action) {
        self.out.act(action);
    }

    /// J-1: a promise goes to the journal with everything that waits to ride along.
    fn promise(&mut self, record: Record) {
        for lazy in std::mem::take(&mut self.lazy) {
            self.out.record(lazy);
        }
        self.out.record(record);
    }

    /// J-2: the one place that signs, with the key that the present set names (VS-3). Refuses to sign
    /// a slot twice, below the present view, or where we may not sign at all: the callers' conditions
    /// exclude it, so it halts.
    fn sign(&mut self, statement: &Statement) -> Option<Signature> {
        let slot = statement.slot();
        let above_promises = match slot.phase {
            Phase::ViewChange => slot.view > self.round.view,
            Phase::PrePrepare | Phase::Prepare | Phase::Commit => {
                slot.view == self.round.view && self.round.open
            }
            Phase::NewView => slot.view == self.round.view && !self.round.open,
        };
        let in_turn = slot.height == self.round.height && slot.epoch == self.validators.epoch();
        let rule = if !self.can_sign() {
            "J-2: signing while silent"
        } else if !in_turn || !above_promises {
            "J-2: signing out of turn"
        } else if self.round.own.contains_key(&(slot.view, slot.phase)) {
            "J-2: signing a slot twice"
        } else if let Some(signature) = self.signature(statement) {
            return Some(signature);
        } else {
            "J-2: signing with a key that is not ours"
        };
        let (height, view) = (slot.height, slot.view);
        self.halt(HaltReason::Invariant { height, view, rule });
        None
    }

    fn signature(&self, statement: &Statement) -> Option<Signature> {
        let member = self.validators.get(self.me?)?;
        self.signer
            .sign(&member.vote_key, &statement.signing_hash())
    }

    /// J-1: says something: to the journal, to everybody, and remembered.
    fn say(&mut self, message: Message) {
        let slot = message.statement().slot();
        self.promise(Record::Signed(Box::new(message.clone())));
        let message = Arc::new(message);
        self.round
            .own
            .insert((slot.view, slot.phase), Arc::clone(&message));
        if self.validators.len() > 1 {
            self.act(Action::Broadcast(message));
        }
    }

    fn halt(&mut self, reason: HaltReason) {
        if self.halted.is_none() {
            self.halted = Some(reason.clone());
            self.act(Action::Halt(reason));
        }
    }

    fn refuse(&mut self, message: &Message, reason: Reason) {
        self.out.reject(Rejection {
            kind: message.kind(),
            signer: Some(message.signer()),
            height: message.height(),
            view: message.view(),
            reason,
        });
    }

    fn refuse_answer(&mut self, kind: &'static str, reason: Reason) {
        let (height, view) = (self.round.height, self.round.view);
        self.out.reject(Rejection {
            kind,
            signer: None,
            height,
            view,
            reason,
        });
    }

    /// E-1: two statements in one slot are proof against their signer; given once for each phase of
    /// a height, so that nobody fills our memory by contradicting himself in view after view.
    fn contradiction(&mut self, evidence: Equivocation) {
        if self
            .round
            .evidence
            .insert((evidence.signer(), evidence.slot().phase))
        {
            self.act(Action::Evidence(Box::new(evidence)));
        }
    }
}

#[cfg(test)]
mod tests;
