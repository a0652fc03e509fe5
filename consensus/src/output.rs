//! What a step wants done. Nothing of it can be had before the records are on disk.

use std::sync::Arc;

use certchain_proto::{
    BlockHeader, CommitCertificate, Epoch, Height, Outcome, TimeMs, ValidatorIndex, ValidatorSet,
    View,
    hash::{BlockId, HeaderDigest, OutcomeDigest},
};

use crate::{
    evidence::Equivocation,
    journal::{Journal, JournalError, Record},
    message::{Contents, Message},
    planted::{self, Bug},
    reject::Rejection,
    timer::TimerId,
};

/// Asks the node for what could be the next block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposalRequest {
    /// The height to propose for.
    pub height: Height,
    /// The view to propose in.
    pub view: View,
    /// The block to build on.
    pub parent: BlockId,
    /// Least block time; the node takes its clock if that is later.
    pub min_time: TimeMs,
    /// Whether a block without transactions may be proposed now.
    pub allow_empty: bool,
}

/// Asks the node to have a block's body: complete, checked, synced to disk. It stays in the node's
/// store under the header's digest until its height is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyRequest {
    /// The block.
    pub header: Arc<BlockHeader>,
    /// What the proposal carried; none if only the header is known: look in the store, else fetch
    /// certificate, ids and transactions from a holder by the header's digest.
    pub contents: Option<Arc<Contents>>,
    /// Who is known to have it; any validator may be asked.
    pub holders: Vec<ValidatorIndex>,
    /// Whether comparisons with our own tips apply. A block that a quorum has prepared or decided is
    /// held to the header's time only, and an unknown checkpoint is waited for.
    pub first_proposal: bool,
}

/// A decided block, with the result of our own execution, which agrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The order. Body and parent's certificate lie in the node's store under its digest.
    pub header: Arc<BlockHeader>,
    /// The result.
    pub outcome: Outcome,
    /// The votes.
    pub certificate: CommitCertificate,
    /// The set that decides from the next height on, if it is another one than before (VS-3).
    pub next_validators: Option<Arc<ValidatorSet>>,
}

/// Why a chain stops voting on this node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HaltReason {
    /// A quorum decided another result than ours.
    #[error(
        "height {height}: a quorum decided outcome {decided}, our execution gave {ours}; do not restart voting before the cause is known"
    )]
    OtherOutcome {
        /// The height.
        height: Height,
        /// The block.
        header: HeaderDigest,
        /// The quorum's result.
        decided: OutcomeDigest,
        /// Ours.
        ours: OutcomeDigest,
    },
    /// Our own execution gave two results for one block, or another than the one we voted for.
    #[error(
        "height {height}: executing block {header} gave outcome {now}, before it was {before}; execution is not deterministic here, check memory and disk"
    )]
    OwnOutcome {
        /// The height.
        height: Height,
        /// The block.
        header: HeaderDigest,
        /// The result known or voted for.
        before: OutcomeDigest,
        /// The result now.
        now: OutcomeDigest,
    },
    /// A block that a quorum decided is invalid by our rules.
    #[error(
        "height {height}: a quorum decided block {header}, which is invalid by the rules of this release; compare releases"
    )]
    InvalidDecided {
        /// The height.
        height: Height,
        /// The block.
        header: HeaderDigest,
    },
    /// Two quorums decided different blocks: more validators are faulty than the protocol bears.
    #[error(
        "height {height}: quorums decided both {first} and {second}; more validators are faulty than the protocol bears, only a recovery helps"
    )]
    TwoDecisions {
        /// The height.
        height: Height,
        /// The one known first.
        first: BlockId,
        /// The other.
        second: BlockId,
    },
    /// The set that a result names is not of the epoch after the present one.
    #[error(
        "height {height}: executing block {header} gave a validator set of epoch {named} after epoch {present}; report this as a defect"
    )]
    NextEpoch {
        /// The height.
        height: Height,
        /// The block.
        header: HeaderDigest,
        /// The epoch of the present set.
        present: Epoch,
        /// The epoch of the set named.
        named: Epoch,
    },
    /// A promise of our own would be broken; a mistake in the engine or its surroundings.
    #[error(
        "height {height}, view {view}: a rule of our own was violated ({rule}); report this as a defect"
    )]
    Invariant {
        /// The height.
        height: Height,
        /// The view.
        view: View,
        /// The rule.
        rule: &'static str,
    },
}

/// One thing for the node to do.
///
/// Places ([`ValidatorIndex`]) are those of the set of the engine's height when it says so: of the old
/// set up to the `Commit` that changes it, of the new one behind it (VS-3). `SendSealed` names its
/// epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send to every other validator.
    Broadcast(Arc<Message>),
    /// Send to one validator.
    Send {
        /// To whom.
        to: ValidatorIndex,
        /// What.
        message: Arc<Message>,
    },
    /// Answer with `Proposal` or `NothingToPropose`.
    RequestProposal(ProposalRequest),
    /// Answer with `BodyReady` or `BodyInvalid`, or never.
    CheckBody(BodyRequest),
    /// Execute on the state of the parent; answer with `Executed`. Several blocks of one height may
    /// be asked for.
    Execute {
        /// The block; its body has been reported ready, or came from sync.
        header: Arc<BlockHeader>,
    },
    /// Make this block part of the chain; answer with `Applied` once it is on disk. Of several
    /// executions keep this one's; execute again if it is gone.
    Commit(Box<Decision>),
    /// Report `Timer` at this time; replaces the running timer of the same kind.
    SetTimer {
        /// Its name.
        id: TimerId,
        /// When, by the same clock as `now`.
        at: TimeMs,
    },
    /// Stop a timer.
    CancelTimer {
        /// Its name.
        id: TimerId,
    },
    /// Keep, gossip and show this.
    Evidence(Box<Equivocation>),
    /// Mark the chain unhealthy here; the engine says and signs nothing more.
    Halt(HaltReason),
    /// We are behind: fetch sealed blocks from this height on and hand them in as `Sealed`.
    FetchSealed {
        /// Who has shown to have it; none: ask anybody.
        from: Option<ValidatorIndex>,
        /// The first height that we lack.
        height: Height,
    },
    /// A validator is behind: send it the sealed block of this height.
    SendSealed {
        /// The epoch in which it is a validator, perhaps an earlier one than the present.
        epoch: Epoch,
        /// To whom: a place in the set of that epoch, which may be our own by now.
        to: ValidatorIndex,
        /// The height that it lacks.
        height: Height,
    },
    /// Submit a restart notice with this nonce, signed with the vote key that the present set names;
    /// report `AmnesiaCleared` when it is committed. Asked of members only, again on each start and on
    /// each change of the set.
    SubmitRestartNotice {
        /// The nonce.
        nonce: [u8; 32],
    },
}

/// What one step wants done.
///
/// Outputs of one engine are committed in the order of their steps. They may be joined, so that
/// several share one sync.
#[must_use = "what the engine said is lost, and its votes with it, unless the output is committed"]
#[derive(Debug, Default)]
pub struct Output {
    records: Vec<Record>,
    actions: Vec<Action>,
    rejections: Vec<Rejection>,
}

/// The journal did not take the records; no action has been released.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct CommitError {
    /// Why.
    pub source: JournalError,
    /// The output as it was. After `NoRoom` join later outputs to it and commit it again when there
    /// is room; dropping it would let the engine repeat votes that never became durable.
    pub output: Box<Output>,
}

impl Output {
    /// The only way to the actions: once the journal holds the records.
    ///
    /// # Errors
    /// If the journal does not take them; the output comes back.
    pub fn commit(self, journal: &mut impl Journal) -> Result<Vec<Action>, Box<CommitError>> {
        if planted::is(Bug::SendsBeforeStoring) {
            return Ok(self.actions);
        }
        if !self.records.is_empty()
            && let Err(source) = journal.append(&self.records)
            && !planted::is(Bug::SendsThoughStoringFailed)
        {
            return Err(Box::new(CommitError {
                source,
                output: Box::new(self),
            }));
        }
        Ok(self.actions)
    }

    /// Puts the output of a later step behind this one.
    pub fn join(&mut self, later: Output) {
        self.records.extend(later.records);
        self.actions.extend(later.actions);
        self.rejections.extend(later.rejections);
    }

    /// Whether committing it costs a sync.
    pub fn needs_sync(&self) -> bool {
        !self.records.is_empty()
    }

    /// What was refused or ignored, for logs, metrics and the sender's standing.
    pub fn rejections(&self) -> &[Rejection] {
        &self.rejections
    }

    pub(crate) fn record(&mut self, record: Record) {
        self.records.push(record);
    }

    pub(crate) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(crate) fn reject(&mut self, rejection: Rejection) {
        self.rejections.push(rejection);
    }
}
