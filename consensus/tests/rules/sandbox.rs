//! One engine, three colleagues played by the test, a clock that stands still unless moved.

use std::sync::{Arc, LazyLock};

use certchain_consensus::{
    Action, Contents, Engine, EngineConfig, Event, Head, Journal, JournalError, KeySigner, Message,
    Output, Params, Proposal, Record, Recovered, Sealed, TimerId, TimerKind,
    message::{Commit, NewView, PrePrepare, Prepare, PreparedCertificate, SignedClaim, ViewChange},
    statement::{Statement, ViewChangeVote},
};
use certchain_proto::{
    BlockHeader, ChainId, CommitCertificate, CommitVote, Epoch, Height, Outcome, PrepareVote,
    SecretKey, Signature, TimeMs, Validator, ValidatorIndex, ValidatorSet, View,
    block::PROTOCOL,
    certificate::{Ed25519Verifier, IndexedSignature},
    hash::{
        BlockId, CertificateDigest, HistoryRoot, ReceiptsRoot, StateRoot, TxRoot,
        ValidatorSetDigest, WitnessId,
    },
};

/// Block time of genesis; the clock starts a second later.
pub const GENESIS: u64 = 1_000_000;

pub fn chain() -> ChainId {
    ChainId::main(b"rules")
}

pub fn index(i: usize) -> ValidatorIndex {
    ValidatorIndex::new(i as u16)
}

pub fn new_key(i: usize) -> SecretKey {
    SecretKey::from_seed(&[i as u8 + 1; 32])
}

/// Keys are made once: that takes longer than all else.
pub fn key(i: usize) -> &'static SecretKey {
    static KEYS: LazyLock<Vec<SecretKey>> = LazyLock::new(|| (0..12).map(new_key).collect());
    &KEYS[i]
}

pub fn validators(n: usize) -> ValidatorSet {
    let members = (0..n)
        .map(|i| Validator {
            vote_key: key(i).public().clone(),
            network_key: [i as u8 + 1; 32],
        })
        .collect();
    ValidatorSet::new(Epoch::ZERO, members).unwrap()
}

/// A result that leaves the four validators as they are.
pub fn outcome(mark: u8) -> Outcome {
    static FOUR: LazyLock<ValidatorSetDigest> = LazyLock::new(|| validators(4).digest());
    Outcome {
        state_root: StateRoot::from_bytes([mark; 32]),
        receipts_root: ReceiptsRoot::ZERO,
        next_validators: *FOUR,
    }
}

/// The same that names these.
pub fn outcome_naming(mark: u8, next: &ValidatorSet) -> Outcome {
    Outcome {
        next_validators: next.digest(),
        ..outcome(mark)
    }
}

pub fn genesis() -> Head {
    genesis_of(&validators(4))
}

pub fn genesis_of(validators: &ValidatorSet) -> Head {
    let header = BlockHeader {
        protocol: PROTOCOL,
        chain: chain(),
        epoch: Epoch::ZERO,
        height: Height::ZERO,
        view: View::ZERO,
        proposer: ValidatorIndex::ZERO,
        offset: 0,
        parent: BlockId::ZERO,
        parent_commit: CertificateDigest::ZERO,
        parent_view: View::ZERO,
        time_ms: TimeMs::new(GENESIS),
        tx_root: TxRoot::ZERO,
        tx_count: 0,
        history_root: HistoryRoot::ZERO,
        checkpoint: None,
    };
    let outcome = outcome_naming(0, validators);
    let certificate = CommitCertificate::genesis(header.digest(), outcome.digest());
    Head {
        header,
        outcome,
        certificate,
        previous_view: View::ZERO,
    }
}

pub fn params() -> Params {
    Params {
        rotation: 100,
        ..Params::default()
    }
}

/// What the journal would hold.
#[derive(Clone, Default)]
pub struct Kept(pub Vec<Record>);

impl Journal for Kept {
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        self.0.extend_from_slice(records);
        Ok(())
    }
}

pub struct Sandbox {
    pub engine: Engine,
    pub journal: Kept,
    pub now: u64,
    pub n: usize,
    pub actions: Vec<Action>,
}

impl Sandbox {
    /// Validator `me` of four, at height 1, started.
    pub fn new(me: usize) -> Self {
        Self::with(Some(me), 4, genesis(), Vec::new())
    }

    pub fn with(me: Option<usize>, n: usize, head: Head, records: Vec<Record>) -> Self {
        let mut sandbox = Self::unstarted(me, n, head, records);
        sandbox.start();
        sandbox
    }

    pub fn unstarted(me: Option<usize>, n: usize, head: Head, records: Vec<Record>) -> Self {
        let config = EngineConfig {
            chain: chain(),
            validators: validators(n),
            params: params(),
        };
        let head = if n != 4 && head == genesis() {
            genesis_of(&config.validators)
        } else {
            head
        };
        let keys = me.map(|me| KeySigner::new(new_key(me)));
        let key = Box::new(keys.unwrap_or_default());
        let journal = Kept(records.clone());
        let engine = Engine::new(config, Recovered { head, records }, key).unwrap();
        Self {
            engine,
            journal,
            now: GENESIS + 1_000,
            n,
            actions: Vec::new(),
        }
    }

    pub fn start(&mut self) -> Vec<String> {
        let out = self.engine.start(TimeMs::new(self.now));
        self.take(out)
    }

    /// One step; what follows, in words.
    pub fn step(&mut self, event: Event) -> Vec<String> {
        let out = self.engine.step(TimeMs::new(self.now), event);
        self.take(out)
    }

    fn take(&mut self, out: Output) -> Vec<String> {
        let refused: Vec<String> = out
            .rejections()
            .iter()
            .map(|r| format!("refused {}: {}", r.kind, r.reason))
            .collect();
        let before = self.journal.0.len();
        let actions = out.commit(&mut self.journal).unwrap();
        let mut words: Vec<String> = self.journal.0[before..].iter().map(record_words).collect();
        words.extend(actions.iter().map(|a| self.words(a)));
        words.extend(refused);
        self.actions = actions;
        words
    }

    fn words(&self, action: &Action) -> String {
        match action {
            Action::Broadcast(m) => format!("all {}", message_words(m)),
            Action::Send { to, message } => format!("to {to} {}", message_words(message)),
            Action::RequestProposal(r) => {
                let empty = if r.allow_empty { " or empty" } else { "" };
                format!("request {}/{}{empty}", r.height, r.view)
            }
            Action::CheckBody(r) => {
                let known = if r.contents.is_some() {
                    ""
                } else {
                    " by header"
                };
                let first = if r.first_proposal { "" } else { " again" };
                format!("body {}{known}{first}", r.header.height)
            }
            Action::Execute { header } => format!("execute {}", header.height),
            Action::Commit(d) => format!("commit {}", d.header.height),
            Action::SetTimer { id, at } => {
                let TimerId { kind, height, view } = id;
                format!(
                    "set {kind:?} {height}/{view} +{}",
                    at.since(TimeMs::new(self.now))
                )
            }
            Action::CancelTimer { id } => format!("stop {:?} {}/{}", id.kind, id.height, id.view),
            Action::Evidence(e) => {
                format!("evidence {:?} of {}", e.slot().phase, e.signer())
            }
            Action::Halt(reason) => format!("halt {}", halt_words(reason)),
            Action::FetchSealed { from, height } => match from {
                Some(from) => format!("fetch {height} from {from}"),
                None => format!("fetch {height}"),
            },
            Action::SendSealed { epoch, to, height } if *epoch == Epoch::ZERO => {
                format!("give {height} to {to}")
            }
            Action::SendSealed { epoch, to, height } => {
                format!("give {height} to {to} of epoch {epoch}")
            }
            Action::SubmitRestartNotice { .. } => "notice".to_owned(),
        }
    }

    pub fn advance(&mut self, ms: u64) {
        self.now += ms;
    }

    pub fn timer(&self, kind: TimerKind, height: u64, view: u32) -> Event {
        Event::Timer(TimerId {
            kind,
            height: Height::new(height),
            view: View::new(view),
        })
    }

    /// The header that the primary of `view` would propose now on the present head.
    pub fn header(&self, view: u32, tx_count: usize) -> BlockHeader {
        let head = self.engine.head();
        let ids = ids(tx_count);
        BlockHeader {
            protocol: PROTOCOL,
            chain: chain(),
            epoch: self.engine.status().epoch,
            height: head.height().next(),
            view: View::new(view),
            proposer: self.engine.primary(View::new(view)),
            offset: head.next_offset(params().rotation),
            parent: head.id(),
            parent_commit: head.certificate.digest(),
            parent_view: head.certificate.view,
            time_ms: TimeMs::new(self.now).max(head.time().saturating_add(1)),
            tx_root: TxRoot::from_bytes([ids.len() as u8; 32]),
            tx_count: tx_count as u32,
            history_root: HistoryRoot::ZERO,
            checkpoint: None,
        }
    }

    pub fn contents(&self, tx_count: usize) -> Contents {
        let parent_certificate = self.engine.head().certificate.clone();
        Contents {
            parent_certificate,
            witness_ids: ids(tx_count),
        }
    }

    pub fn pre_prepare(&self, header: &BlockHeader) -> Message {
        let contents = self.contents(header.tx_count as usize);
        pre_prepare(header.clone(), contents)
    }

    pub fn outcome_of(&self, _header: &BlockHeader) -> Outcome {
        outcome_naming(1, &validators(self.n))
    }

    pub fn message(&self, message: Message) -> Event {
        let verified = message
            .verify(chain(), &validators(self.n), &Ed25519Verifier)
            .unwrap();
        Event::Message(Box::new(verified))
    }

    pub fn hear(&mut self, message: Message) -> Vec<String> {
        let event = self.message(message);
        self.step(event)
    }

    /// The node's answer to a request for a proposal.
    pub fn proposal(&self, view: u32, tx_count: usize) -> Event {
        let header = self.header(view, tx_count);
        Event::Proposal(Box::new(Proposal {
            height: header.height,
            view: header.view,
            time_ms: header.time_ms,
            witness_ids: ids(tx_count),
            tx_root: header.tx_root,
            history_root: header.history_root,
            checkpoint: None,
        }))
    }

    /// Brings a block of the present view to the point where our PREPARE is out and it is executed.
    pub fn prepare_own(&mut self, header: &BlockHeader) {
        self.hear(self.pre_prepare(header));
        self.step(Event::BodyReady {
            header: header.digest(),
        });
        self.step(Event::Executed {
            header: header.digest(),
            outcome: self.outcome_of(header),
        });
    }

    /// Decides the next block in view 0 and goes on to the height above.
    pub fn decide_one(&mut self) -> BlockHeader {
        let header = self.header(0, 1);
        self.prepare_own(&header);
        for i in 0..self.n {
            self.hear(prepare(i, 0, &header));
        }
        for i in 0..self.n {
            self.hear(commit(i, 0, &header, &self.outcome_of(&header)));
        }
        assert_eq!(self.engine.head().height(), header.height);
        header
    }
}

pub fn ids(count: usize) -> Vec<WitnessId> {
    (0..count)
        .map(|i| WitnessId::from_bytes([i as u8; 32]))
        .collect()
}

fn sign(i: usize, statement: &Statement) -> Signature {
    key(i).sign(&statement.signing_hash())
}

pub fn pre_prepare(header: BlockHeader, contents: Contents) -> Message {
    let place = usize::from(header.proposer.get());
    let signature = Signature::from_bytes(&[0; 64]);
    let mut m = PrePrepare {
        header,
        contents,
        signature,
    };
    m.signature = sign(place, &Message::PrePrepare(m.clone()).statement());
    Message::PrePrepare(m)
}

pub fn prepare(i: usize, view: u32, header: &BlockHeader) -> Message {
    let vote = PrepareVote {
        chain: chain(),
        epoch: header.epoch,
        height: header.height,
        view: View::new(view),
        header: header.digest(),
    };
    let signature = sign(i, &Statement::Prepare(vote));
    Message::Prepare(Prepare {
        vote,
        signer: index(i),
        signature,
    })
}

pub fn commit(i: usize, view: u32, header: &BlockHeader, outcome: &Outcome) -> Message {
    let vote = CommitVote {
        chain: chain(),
        epoch: header.epoch,
        height: header.height,
        view: View::new(view),
        header: header.digest(),
        outcome: outcome.digest(),
    };
    let signature = sign(i, &Statement::Commit(vote));
    Message::Commit(Commit {
        vote,
        signer: index(i),
        signature,
    })
}

pub fn prepared(view: u32, header: &BlockHeader, by: &[usize]) -> PreparedCertificate {
    let signatures = by
        .iter()
        .map(|i| {
            let Message::Prepare(m) = prepare(*i, view, header) else {
                unreachable!()
            };
            IndexedSignature {
                validator: index(*i),
                signature: m.signature,
            }
        })
        .collect();
    PreparedCertificate {
        view: View::new(view),
        header: header.clone(),
        signatures,
    }
}

pub fn view_change(
    i: usize,
    height: u64,
    view: u32,
    certificate: Option<PreparedCertificate>,
) -> ViewChange {
    let vote = ViewChangeVote {
        chain: chain(),
        epoch: Epoch::ZERO,
        height: Height::new(height),
        view: View::new(view),
        prepared: certificate.as_ref().map(PreparedCertificate::reference),
    };
    let signature = sign(i, &Statement::ViewChange(vote));
    ViewChange {
        vote,
        signer: index(i),
        signature,
        certificate,
    }
}

/// A NEW-VIEW by `primary` on these requests.
pub fn new_view(primary: usize, requests: &[ViewChange]) -> NewView {
    let claims = requests
        .iter()
        .map(|r| SignedClaim {
            signer: r.signer,
            prepared: r.vote.prepared,
            signature: r.signature,
        })
        .collect();
    let prepared = requests
        .iter()
        .max_by_key(|r| r.vote.prepared)
        .and_then(|r| r.certificate.clone());
    resigned(NewView {
        chain: chain(),
        epoch: Epoch::ZERO,
        height: requests[0].vote.height,
        view: requests[0].vote.view,
        claims,
        prepared,
        signer: index(primary),
        signature: Signature::from_bytes(&[0; 64]),
    })
}

pub fn resigned(mut m: NewView) -> NewView {
    m.signature = sign(usize::from(m.signer.get()), &Statement::NewView(m.vote()));
    m
}

pub fn certificate(
    view: u32,
    header: &BlockHeader,
    outcome: &Outcome,
    by: &[usize],
) -> CommitCertificate {
    let signatures = by
        .iter()
        .map(|i| {
            let Message::Commit(m) = commit(*i, view, header, outcome) else {
                unreachable!()
            };
            IndexedSignature {
                validator: index(*i),
                signature: m.signature,
            }
        })
        .collect();
    CommitCertificate {
        epoch: header.epoch,
        height: header.height,
        view: View::new(view),
        header: header.digest(),
        outcome: outcome.digest(),
        signatures,
    }
}

pub fn sealed(header: &BlockHeader, outcome: &Outcome) -> Event {
    let certificate = certificate(0, header, outcome, &[0, 2, 3]);
    let sealed = Sealed {
        header: header.clone(),
        outcome: outcome.clone(),
        certificate,
    };
    Event::Sealed(Box::new(
        sealed
            .verify(chain(), &validators(4), &Ed25519Verifier)
            .unwrap(),
    ))
}

fn message_words(m: &Arc<Message>) -> String {
    format!("{} {}/{}", m.kind(), m.height(), m.view())
}

fn record_words(record: &Record) -> String {
    match record {
        Record::Signed(m) => format!("keep {} {}/{}", m.kind(), m.height(), m.view()),
        Record::Header(h) => format!("keep header {}", h.height),
        Record::Prepared(p) => format!("keep prepared {}/{}", p.header.height, p.view),
        Record::Sealed { height } => format!("keep sealed {height}"),
        Record::Amnesia { .. } => "keep amnesia".to_owned(),
        Record::Cleared { height } => format!("keep cleared {height}"),
    }
}

fn halt_words(reason: &certchain_consensus::HaltReason) -> &'static str {
    use certchain_consensus::HaltReason as R;
    match reason {
        R::OtherOutcome { .. } => "other outcome",
        R::OwnOutcome { .. } => "own outcome",
        R::InvalidDecided { .. } => "invalid decided",
        R::TwoDecisions { .. } => "two decisions",
        R::NextEpoch { .. } => "next epoch",
        R::Invariant { .. } => "invariant",
    }
}
