//! Execution of transactions, alone and in a block.
//!
//! Every transaction of a block must succeed alone on the state before the block, at the block's
//! time. So each is evaluated alone first; in the block only those are evaluated again that read
//! what an earlier one has written. Those may fail: a receipt with a code, nothing else.

use std::collections::{BTreeMap, HashMap};

use certchain_proto::{
    Address, ChainId, CommitCertificate, Height, TimeMs, ValidatorSet,
    block::Checkpoint,
    hash::CertificateId,
    transaction::{Transaction, Witness},
    wire::v1::{Code, transaction_body::Kind},
};

use crate::{
    identity::{IdentityVersion, RestartNoticeRecord},
    parameters::ChainParameters,
    receipt::{Receipt, lines_root},
    refusal::Refusal,
    signatures::VerifiedTransaction,
    state::StateKey,
    view::{BlockNames, Overlay, ReadError, StateView, Value},
};

/// What execution may know of the block that it is for.
#[derive(Clone, Copy, Debug)]
pub struct BlockContext<'a> {
    /// The chain.
    pub chain: ChainId,
    /// The block's height.
    pub height: Height,
    /// The block's time.
    pub time: TimeMs,
    /// The chain's parameters, as the block before left them.
    pub parameters: &'a ChainParameters,
    /// The set that decides the block.
    pub validators: &'a ValidatorSet,
    /// On a side chain: main, as it was after the block that the header names as checkpoint.
    pub main: Option<MainState<'a>>,
    /// The chain's own earlier blocks.
    pub blocks: Option<&'a dyn BlockNames>,
}

/// Who signed the certificate of the block before, as the block itself carries it. Another proposer
/// may carry another certificate, so transactions, which are judged without a block too, must not
/// depend on it; the end of a block may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParentSigners {
    /// Height of the block before.
    pub height: Height,
    /// The vote keys of the signers.
    pub vote_keys: Vec<[u8; 32]>,
}

impl ParentSigners {
    /// The signers of a certificate that `set` made.
    pub fn of(certificate: &CommitCertificate, set: &ValidatorSet) -> Self {
        let signers = certificate.signatures.iter();
        let members = signers.filter_map(|signed| set.get(signed.validator));
        Self {
            height: certificate.height,
            vote_keys: members.map(|m| *m.vote_key.as_bytes()).collect(),
        }
    }
}

/// Main's state at a checkpoint: it answers every identity question of a side block.
#[derive(Clone, Copy)]
pub struct MainState<'a> {
    /// The values after that block.
    pub view: &'a dyn StateView,
    /// The block.
    pub checkpoint: Checkpoint,
    /// Its time.
    pub time: TimeMs,
}

impl std::fmt::Debug for MainState<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MainState(at {})", self.checkpoint.height)
    }
}

/// What the transactions of a chain mean: the rules that execution follows.
///
/// Implementations are pure functions of what they are given: no clock, no randomness, nothing that
/// differs between two nodes.
pub trait Application: Send + Sync + std::fmt::Debug {
    /// The keys of the chain's own state that [`Self::execute`] may read for a transaction, so that
    /// they can be fetched together and conflicts inside a block be seen. Reading a key that is not
    /// named here would let a conflict pass unseen.
    fn reads(&self, transaction: &Transaction) -> Vec<StateKey>;

    /// Block time from which a transaction can no longer be executed, as it alone shows: its
    /// `valid_until`, or earlier if what it carries ends earlier.
    fn deadline(&self, transaction: &Transaction) -> TimeMs {
        transaction.valid_until()
    }

    /// Executes one transaction on a state.
    ///
    /// # Errors
    /// A refusal, or that the state cannot be read.
    fn execute(
        &self,
        view: &dyn StateView,
        block: &BlockContext<'_>,
        transaction: &Transaction,
    ) -> Result<Effects, Stop>;

    /// What the end of a block writes, after all its transactions: `view` is the state that they
    /// left. It has no receipt, so what it decides stands in the state.
    ///
    /// # Errors
    /// If the state cannot be read; nothing else makes it fail.
    fn end_block(
        &self,
        _view: &dyn StateView,
        _block: &BlockContext<'_>,
        _parent: &ParentSigners,
    ) -> Result<BTreeMap<StateKey, Option<Value>>, ReadError> {
        Ok(BTreeMap::new())
    }
}

/// What a transaction that succeeds changes.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// What it made or changed.
    pub subject: Option<Subject>,
    /// What became of each line of a batch; its receipt commits to them.
    pub lines: Vec<Line>,
    /// What to find under whose address. Derived data: it stays out of the state tree.
    pub index: Vec<IndexEntry>,
    /// New values, each key once; `None` deletes.
    pub writes: Vec<(StateKey, Option<Value>)>,
    /// A validator's notice, for its engine.
    pub restart: Option<RestartNoticeRecord>,
}

/// What a receipt says that a transaction made or changed: 32 bytes whose meaning the kind tells.
pub type Subject = [u8; 32];

/// Topics of the index: which list of an address an entry belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Certificates issued to the address.
    Held,
    /// Certificates issued by the address.
    Issued,
    /// Checks of certificates that the address holds.
    Checked,
    /// Checks that the address made.
    Checks,
    /// Proposals, under [`Topic::NOBODY`].
    Proposals,
}

impl Topic {
    /// The owner of lists that belong to the chain itself. No account has this address: it would
    /// take a key whose hash is zero.
    pub const NOBODY: Address = Address::from_bytes([0; 32]);

    /// The byte in database keys.
    pub const fn number(self) -> u8 {
        match self {
            Self::Held => 1,
            Self::Issued => 2,
            Self::Checked => 3,
            Self::Checks => 4,
            Self::Proposals => 5,
        }
    }
}

/// One entry of a list that belongs to an address. Entries of a list are in the order of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// Whose list.
    pub owner: Address,
    /// Which list.
    pub topic: Topic,
    /// What is listed: a certificate's or a check's id.
    pub id: [u8; 32],
}

/// What became of one line of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// [`Code::Ok`], or why it was refused.
    pub code: Code,
    /// The certificate.
    pub certificate: CertificateId,
}

/// Why execution of one transaction ended early.
#[derive(Debug)]
pub enum Stop {
    /// The transaction breaks a rule.
    Refused(Refusal),
    /// The state cannot be read.
    Failed(ReadError),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        Self::Failed(error)
    }
}

/// Checks what needs no state: chain, size, and the time for which it is valid.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_envelope(
    transaction: &Transaction,
    chain: ChainId,
    parameters: &ChainParameters,
    time: TimeMs,
) -> Result<(), Refusal> {
    if transaction.chain() != chain {
        return Err(Refusal::new(Code::WrongChain));
    }
    let (actual, most) = (
        transaction.encoded().len(),
        parameters.limits.transaction_bytes,
    );
    if actual as u64 > most {
        let detail = format!("{actual} bytes, the chain takes {most}");
        return Err(Refusal::about(Code::TooLarge, detail));
    }
    check_validity(transaction, parameters, time)
}

/// The rule of D4: time < valid_until <= time + W.
pub(crate) fn check_validity(
    transaction: &Transaction,
    parameters: &ChainParameters,
    time: TimeMs,
) -> Result<(), Refusal> {
    let until = transaction.valid_until();
    if until <= time {
        return Err(Refusal::new(Code::Expired));
    }
    if until > time.saturating_add(parameters.limits.transaction_window_ms) {
        return Err(Refusal::new(Code::TooFar));
    }
    Ok(())
}

/// Checks that a transaction may stand in a block whose checkpoint is as old as this block's.
///
/// # Errors
/// `StaleCheckpoint` if the checkpoint is older than the bound and the kind needs a newer one.
pub fn check_fresh(block: &BlockContext<'_>, transaction: &Transaction) -> Result<(), Refusal> {
    let Some(main) = &block.main else {
        return Ok(());
    };
    let (age, most) = (
        block.time.since(main.time),
        block.parameters.timers.staleness_ms,
    );
    if age <= most || runs_when_stale(transaction.kind()) {
        return Ok(());
    }
    let detail = format!("main's last known block is {age} ms old, {most} are allowed");
    Err(Refusal::about(Code::StaleCheckpoint, detail))
}

/// Evaluates one transaction alone. The caller has checked envelope and replay.
///
/// # Errors
/// If the state cannot be read; a refusal is inside.
pub fn evaluate(
    application: &dyn Application,
    view: &dyn StateView,
    block: &BlockContext<'_>,
    transaction: &Transaction,
) -> Result<Result<Effects, Refusal>, ReadError> {
    match application.execute(view, block, transaction) {
        Ok(effects) => Ok(Ok(effects)),
        Err(Stop::Refused(refusal)) => Ok(Err(refusal)),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// Checks the number of signatures alone; who they are is for the caller to check.
///
/// # Errors
/// If there are fewer or more than needed.
pub fn check_signer_count(transaction: &Transaction, needed: usize) -> Result<(), Refusal> {
    let actual = transaction.witnesses().len();
    let detail = || format!("{actual} signatures, this kind has {needed}");
    match actual.cmp(&needed) {
        std::cmp::Ordering::Less => Err(Refusal::about(Code::MissingSigner, detail())),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(Refusal::about(Code::SurplusSigner, detail())),
    }
}

/// Checks that a key, which the state names, has signed at its place.
///
/// # Errors
/// `WrongKey` if another key stands there, `MissingSigner` if it stands elsewhere.
pub fn check_signed_by(
    transaction: &Transaction,
    place: usize,
    key: &[u8; 32],
) -> Result<(), Refusal> {
    let holds = |w: &Witness| w.public_key == *key;
    if transaction.witnesses().get(place).is_some_and(holds) {
        return Ok(());
    }
    let code = match transaction.witnesses().iter().any(holds) {
        true => Code::MissingSigner,
        false => Code::WrongKey,
    };
    Err(Refusal::about(code, format!("signature {place}")))
}

/// Checks that one of the keys of an account has signed at its place.
///
/// # Errors
/// `WrongKey` if another key stands there, `MissingSigner` if one of them stands elsewhere.
pub fn check_signed_for(
    transaction: &Transaction,
    place: usize,
    account: &IdentityVersion,
) -> Result<(), Refusal> {
    match transaction.witnesses().get(place) {
        Some(witness) if account.signs(&witness.public_key) => Ok(()),
        _ => {
            let elsewhere = |w: &Witness| account.signs(&w.public_key);
            let code = match transaction.witnesses().iter().any(elsewhere) {
                true => Code::MissingSigner,
                false => Code::WrongKey,
            };
            Err(Refusal::about(code, format!("signature {place}")))
        }
    }
}

/// Whether a kind may stand in a side block whose checkpoint is older than the staleness bound: what
/// ends or checks certificates, and notices of restarted validators.
pub const fn runs_when_stale(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::RevokeCertificate(_) | Kind::RecordCheck(_) | Kind::RestartNotice(_)
    )
}

/// What all transactions of a block change together.
#[derive(Clone, Debug, Default)]
pub struct BlockEffects {
    /// One per transaction, in order.
    pub receipts: Vec<Receipt>,
    /// The last value of each key that changes.
    pub writes: BTreeMap<StateKey, Option<Value>>,
    /// Notices of validators, in order.
    pub restarts: Vec<RestartNoticeRecord>,
    /// The lines of batches: place of the transaction, and its lines.
    pub lines: Vec<(u32, Vec<Line>)>,
    /// Entries of the index: place of the transaction, number among its entries, entry.
    pub index: Vec<(u32, u32, IndexEntry)>,
}

/// Runs a block whose transactions have been evaluated alone on `view`, the state before it, and
/// then what its end decides. Every execution goes this way: of drafts, checks, replays and audits.
///
/// # Errors
/// If the state cannot be read.
pub fn run_block(
    application: &dyn Application,
    view: &dyn StateView,
    block: &BlockContext<'_>,
    transactions: &[VerifiedTransaction],
    alone: Vec<Effects>,
    parent: &ParentSigners,
) -> Result<BlockEffects, ReadError> {
    let mut overlay = Overlay {
        below: view,
        changed: HashMap::with_capacity(alone.len() * 2),
    };
    let mut done = BlockEffects {
        receipts: Vec::with_capacity(transactions.len()),
        ..BlockEffects::default()
    };
    for (place, (transaction, effects)) in (0u32..).zip(transactions.iter().zip(alone)) {
        let disturbed = application
            .reads(transaction)
            .iter()
            .any(|key| overlay.changed.contains_key(key));
        let result = match disturbed {
            true => evaluate(application, &overlay, block, transaction)?,
            false => Ok(effects),
        };
        match result {
            Ok(effects) => {
                // A batch's receipt stands for all its lines.
                let subject = match effects.lines.is_empty() {
                    true => effects.subject,
                    false => Some(*lines_root(&effects.lines).as_bytes()),
                };
                done.receipts
                    .push(Receipt::executed(transaction.id(), subject));
                if !effects.lines.is_empty() {
                    done.lines.push((place, effects.lines));
                }
                let entries = (0u32..).zip(effects.index);
                done.index
                    .extend(entries.map(|(number, entry)| (place, number, entry)));
                overlay.changed.extend(effects.writes);
                done.restarts.extend(effects.restart);
            }
            Err(refusal) => {
                done.receipts
                    .push(Receipt::failed(transaction.id(), refusal.code()));
            }
        }
    }
    let last = application.end_block(&overlay, block, parent)?;
    done.writes = overlay.changed.into_iter().collect();
    done.writes.extend(last);
    Ok(done)
}
