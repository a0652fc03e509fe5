//! The way of transactions into the mempool, from clients and from peers.
//!
//! Whatever waits when a worker is free goes through together: one signature batch, one look at
//! the state, one lock of the mempool, one gossip message. So the cost of a transaction falls as
//! the load rises.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    time::Instant,
};

use certchain_ledger::{
    mempool::Inserted,
    refusal::Refusal,
    signatures::{Rejected, TransactionVerifier, VerifiedTransaction},
};
use certchain_net::{PeerId, Verdict};
use certchain_proto::{
    hash::TransactionId,
    transaction::{Transaction, TransactionError},
    wire::v1::{Code, SignedTransaction, transaction_body::Kind},
};
use prost::Message as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{
    exchange::{self, Announcement},
    host::ChainHost,
    suspects::Sender,
};
use crate::metrics::RefusalLabel;

/// Most transactions that go through together.
const BATCH: usize = 1_024;

/// Batches at once: one being verified while the next is gathered and decoded.
const BATCHES_AT_ONCE: usize = 2;

/// Submissions that wait; beyond it clients are asked to come again.
pub const QUEUE: usize = 4_096;

/// Bytes of submissions that wait or are being looked at, of all clients together: a mempool's worth
/// by default, and sixteen of the largest requests by default. Their number alone would allow
/// thousands of such requests.
pub const ROOM: usize = 64 * 1024 * 1024;

/// What a transaction costs beside its bytes: the structures around them.
const OVERHEAD: usize = 512;

/// The room for submissions.
pub struct SubmissionRoom(Arc<Semaphore>);

impl Default for SubmissionRoom {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM)))
    }
}

impl SubmissionRoom {
    /// Room for these, if it is there now. What is larger than all of it, which only a node with a
    /// larger limit of requests takes, needs the whole.
    pub fn take(&self, transactions: &[SignedTransaction]) -> Option<OwnedSemaphorePermit> {
        let weigh = |t: &SignedTransaction| t.encoded_len().saturating_add(OVERHEAD);
        let bytes = transactions
            .iter()
            .fold(0usize, |sum, t| sum.saturating_add(weigh(t)));
        let bytes = u32::try_from(bytes.min(ROOM)).ok()?;
        Arc::clone(&self.0).try_acquire_many_owned(bytes).ok()
    }
}

/// Least time that something which ends before its transaction must have left.
const LEAST_TIME_LEFT_MS: u64 = 2_000;

/// What became of one submitted transaction: its id, if it has one, and whether it was admitted.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Its id; none if the bytes are no transaction.
    pub id: Option<TransactionId>,
    /// Why not.
    pub result: Result<(), Refusal>,
}

/// Transactions that ask for admission.
pub struct Submission {
    /// As they came.
    pub transactions: Vec<SignedTransaction>,
    /// Who sent them, unless it is this node itself.
    pub sender: Option<Sender>,
    /// Their room, given back when they have been looked at.
    pub room: OwnedSemaphorePermit,
    /// Takes the answers, in the same order.
    pub reply: oneshot::Sender<Vec<Admission>>,
}

/// Takes submissions of clients until the senders are gone.
pub async fn run(host: Arc<ChainHost>, mut submissions: mpsc::Receiver<Submission>) {
    let places = Arc::new(Semaphore::new(BATCHES_AT_ONCE));
    while let Some(first) = submissions.recv().await {
        // Waiting for a place is what gathers a batch under load.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let mut count = first.transactions.len();
        let mut batch = vec![first];
        while count < BATCH {
            let Ok(next) = submissions.try_recv() else {
                break;
            };
            count += next.transactions.len();
            batch.push(next);
        }
        let worker = Arc::clone(&host);
        let runtime = tokio::runtime::Handle::current();
        let queued = host.pool.run(move || {
            let fresh = admit_submissions(&worker, batch);
            if !fresh.is_empty() {
                let host = Arc::clone(&worker);
                runtime.spawn(async move { announce(&host, fresh, 0).await });
            }
            drop(place);
        });
        if let Err(error) = queued {
            tracing::debug!(%error, "submissions shed");
        }
    }
}

/// Admits a batch and answers each submission. Returns those that are new here.
fn admit_submissions(host: &ChainHost, batch: Vec<Submission>) -> Vec<VerifiedTransaction> {
    let mut replies = Vec::with_capacity(batch.len());
    let mut decoded = Vec::new();
    let mut rooms = Vec::with_capacity(batch.len());
    for submission in batch {
        replies.push((submission.transactions.len(), submission.reply));
        rooms.push(submission.room);
        let sender = submission.sender;
        decoded.extend(submission.transactions.into_iter().map(|envelope| Arrived {
            transaction: Transaction::from_envelope(envelope),
            sender,
        }));
    }
    let Admitted { results, fresh, .. } = admit(host, decoded);
    drop(rooms);
    let mut results = results.into_iter();
    for (count, reply) in replies {
        // Who asked may have gone away.
        let _ = reply.send(results.by_ref().take(count).collect());
    }
    fresh
}

/// What became of a batch.
pub struct Admitted {
    /// One answer per transaction, in order.
    pub results: Vec<Admission>,
    /// Those that the mempool did not have, also as other copies of bodies that it had.
    pub fresh: Vec<VerifiedTransaction>,
    /// Whether one of them is such that no honest node passes it on.
    pub foul: bool,
}

/// A decoded transaction, or why it is none.
pub struct Arrived {
    /// What came.
    pub transaction: Result<Transaction, TransactionError>,
    /// From whom, unless it is this node itself.
    pub sender: Option<Sender>,
}

/// Verifies, checks against the state and puts into the mempool.
pub fn admit(host: &ChainHost, decoded: Vec<Arrived>) -> Admitted {
    let mut results: Vec<Option<Admission>> = Vec::with_capacity(decoded.len());
    let mut foul = false;
    let mut checked = Vec::with_capacity(decoded.len());
    let mut places = Vec::with_capacity(decoded.len());
    let now = Instant::now();
    for (place, arrived) in decoded.into_iter().enumerate() {
        let sender = arrived.sender;
        match arrived.transaction {
            Ok(transaction) if transaction.chain() == host.id => {
                results.push(None);
                places.push((place, sender));
                let singly = sender.is_some_and(|s| host.suspects.contains(&s, now));
                checked.push((transaction, singly));
            }
            Ok(transaction) => {
                foul = true;
                let refusal = Refusal::new(Code::WrongChain);
                results.push(Some(Admission {
                    id: Some(transaction.id()),
                    result: Err(refusal),
                }));
            }
            Err(error) => {
                foul = true;
                results.push(Some(Admission {
                    id: None,
                    result: Err(Refusal::from(error)),
                }));
            }
        }
    }
    let mut good = Vec::with_capacity(checked.len());
    let mut good_places = Vec::with_capacity(checked.len());
    for ((place, sender), verdict) in places.into_iter().zip(verify(&host.verifier, checked)) {
        match verdict {
            Ok(transaction) => {
                good.push(transaction);
                good_places.push(place);
            }
            Err(rejected) => {
                foul = true;
                if let Some(sender) = sender
                    && rejected.refusal.code() == Code::BadSignature
                {
                    host.suspects.note(sender, now);
                }
                let id = Some(rejected.transaction.id());
                if let Some(slot) = results.get_mut(place) {
                    *slot = Some(Admission {
                        id,
                        result: Err(rejected.refusal),
                    });
                }
            }
        }
    }
    let fresh = into_mempool(host, good, &good_places, &mut results);
    let results: Vec<Admission> = results
        .into_iter()
        .map(|slot| slot.unwrap_or_else(lost))
        .collect();
    count_refusals(host, &results);
    Admitted {
        results,
        fresh,
        foul,
    }
}

/// Verifies signatures together, those of suspects one by one; answers in the order of questions.
fn verify(
    verifier: &TransactionVerifier,
    transactions: Vec<(Transaction, bool)>,
) -> Vec<Result<VerifiedTransaction, Rejected>> {
    let order: Vec<bool> = transactions.iter().map(|(_, singly)| *singly).collect();
    let (apart, together): (Vec<_>, Vec<_>) =
        transactions.into_iter().partition(|(_, singly)| *singly);
    let bare = |list: Vec<(Transaction, bool)>| list.into_iter().map(|(t, _)| t).collect();
    let mut together = verifier.verify(bare(together)).into_iter();
    let mut apart = verifier.verify_singly(bare(apart)).into_iter();
    order
        .into_iter()
        .filter_map(|singly| {
            if singly {
                apart.next()
            } else {
                together.next()
            }
        })
        .collect()
}

/// Every place is filled above; an empty one would be a mistake of ours, and no transaction of a
/// client may be called admitted because of it.
fn lost() -> Admission {
    Admission {
        id: None,
        result: Err(Refusal::about(Code::Unavailable, "it was not looked at")),
    }
}

fn into_mempool(
    host: &ChainHost,
    good: Vec<VerifiedTransaction>,
    places: &[usize],
    results: &mut [Option<Admission>],
) -> Vec<VerifiedTransaction> {
    let mut fresh = Vec::new();
    let (verdicts, mut mempool) = loop {
        let judged_on = host.chain.head().id;
        let verdicts = match host.chain.admit_many(&good, host.admission_time()) {
            Ok(verdicts) => verdicts,
            Err(error) => {
                tracing::error!(chain = %host.name, %error, "the state cannot be read");
                let refusal = Refusal::about(Code::Unavailable, "this node cannot read its store");
                good.iter().map(|_| Err(refusal.clone())).collect()
            }
        };
        let mempool = host.mempool.lock().unwrap_or_else(PoisonError::into_inner);
        // A block that came meanwhile has cleaned the mempool already: judge again on its state.
        if host.chain.head().id == judged_on {
            break (verdicts, mempool);
        }
    };
    for ((transaction, verdict), place) in good.into_iter().zip(verdicts).zip(places) {
        let transaction_id = transaction.id();
        let id = Some(transaction_id);
        let verdict = verdict.and_then(|()| check_time_left(host, &transaction));
        let result = verdict.and_then(|()| match mempool.insert(transaction.clone())? {
            Inserted::New | Inserted::Copy => {
                fresh.push(transaction);
                Ok(())
            }
            Inserted::Known => Ok(()),
        });
        if result.is_ok() {
            host.waiters.admitted(&transaction_id);
        }
        if let Some(slot) = results.get_mut(*place) {
            *slot = Some(Admission { id, result });
        }
    }
    drop(mempool);
    if !fresh.is_empty() {
        host.work_changed();
    }
    fresh
}

/// What ends before a block can be expected to hold it is refused: it would look like work that the
/// primaries leave undone. A rule of this node, not of blocks.
fn check_time_left(host: &ChainHost, transaction: &Transaction) -> Result<(), Refusal> {
    let deadline = host.chain.application().deadline(transaction);
    if deadline >= transaction.valid_until()
        || deadline > host.admission_time().saturating_add(LEAST_TIME_LEFT_MS)
    {
        return Ok(());
    }
    let code = match transaction.kind() {
        Kind::RecordCheck(_) => Code::PresentationExpired,
        _ => Code::Expired,
    };
    let text = format!("it ends within {LEAST_TIME_LEFT_MS} ms");
    Err(Refusal::about(code, text))
}

fn count_refusals(host: &ChainHost, results: &[Admission]) {
    let mut by_code: BTreeMap<&'static str, u64> = BTreeMap::new();
    for refusal in results.iter().filter_map(|r| r.result.as_ref().err()) {
        *by_code.entry(refusal.code().as_str_name()).or_default() += 1;
    }
    for (code, count) in by_code {
        let label = RefusalLabel {
            chain: host.name.clone(),
            code,
        };
        host.metrics.refusals.get_or_create(&label).inc_by(count);
    }
}

/// Gossips transactions: with 0 those that are new here, with another number those that wait too
/// long.
pub async fn announce(host: &ChainHost, transactions: Vec<VerifiedTransaction>, again: u64) {
    let encoded = transactions.iter().map(|t| t.encoded().to_vec()).collect();
    for batch in exchange::gossip_batches(encoded, again) {
        let bytes = certchain_proto::codec::encode(&batch);
        if let Err(error) = host.network.publish(host.channel, bytes).await {
            // The primary asks for what it lacks, and a sweep gossips again what waits too long.
            tracing::debug!(chain = %host.name, %error, "transactions not gossiped");
        }
    }
}

/// Takes one gossiped batch and says whether it may be passed on.
pub fn take_gossip(host: &ChainHost, from: PeerId, data: &[u8]) -> Verdict {
    let limit = certchain_net::limits::MAX_GOSSIP_BYTES;
    let batch: Announcement = match certchain_proto::codec::decode(data, limit) {
        Ok(batch) => batch,
        Err(error) => {
            tracing::debug!(chain = %host.name, %from, %error, "gossip refused");
            return Verdict::Reject;
        }
    };
    let decoded = batch
        .transactions
        .iter()
        .map(|bytes| Arrived {
            transaction: Transaction::decode(bytes),
            sender: Some(Sender::Peer(from)),
        })
        .collect();
    let admitted = admit(host, decoded);
    if admitted.foul {
        tracing::debug!(chain = %host.name, %from, "gossip with a foul transaction refused");
        return Verdict::Reject;
    }
    // What our state refuses may be right on a newer one: others judge for themselves.
    if admitted.fresh.is_empty() {
        Verdict::Ignore
    } else {
        Verdict::Accept
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use certchain_proto::{
        SecretKey,
        transaction::sign,
        wire::v1::{SuspendIdentity, TransactionBody},
    };

    use super::*;

    fn of(bytes: usize) -> SignedTransaction {
        SignedTransaction {
            body: vec![7; bytes].into(),
            signatures: Vec::new(),
        }
    }

    #[test]
    fn verdicts_keep_their_order_whoever_is_verified_apart() {
        let keys = [
            SecretKey::from_seed(&[1; 32]),
            SecretKey::from_seed(&[2; 32]),
        ];
        let transactions: Vec<(Transaction, bool)> = (0..12u8)
            .map(|n| {
                let body = TransactionBody {
                    nonce: vec![n; 16],
                    chain_id: vec![1; 32],
                    valid_until_ms: 9,
                    kind: Some(Kind::SuspendIdentity(SuspendIdentity::default())),
                };
                let mut signed = sign(&body, &[&keys[usize::from(n) % 2]]);
                if n % 4 == 0 {
                    let mut broken = signed.signatures[0].signature.to_vec();
                    broken[40] ^= 1;
                    signed.signatures[0].signature = broken;
                }
                (Transaction::from_envelope(signed).unwrap(), n % 3 == 0)
            })
            .collect();
        let expected: Vec<_> = transactions
            .iter()
            .enumerate()
            .map(|(n, (t, _))| (t.witness_id(), n % 4 != 0))
            .collect();
        let verdicts: Vec<_> = verify(&TransactionVerifier::default(), transactions)
            .into_iter()
            .map(|verdict| match verdict {
                Ok(transaction) => (transaction.witness_id(), true),
                Err(rejected) => (rejected.transaction.witness_id(), false),
            })
            .collect();
        assert_eq!(verdicts, expected);
    }

    #[test]
    fn submissions_take_room_by_their_bytes() {
        let room = SubmissionRoom::default();
        let half = vec![of(ROOM / 4); 2];
        assert!(room.take(&[of(ROOM / 2 - 2 * OVERHEAD)]).is_some());
        let first = room.take(&half).expect("half of it");
        assert!(room.take(&half).is_none(), "two halves and their overhead");
        let small = room.take(&[of(64 * 1024)]).expect("a small one");
        drop(first);
        assert!(room.take(&[of(2 * ROOM)]).is_none());
        drop(small);
        assert!(room.take(&[of(2 * ROOM)]).is_some());
        // Many empty ones weigh as well.
        assert!(room.take(&vec![of(0); 4_096]).is_some());
        let many: Vec<_> = std::iter::from_fn(|| room.take(&vec![of(0); 4_096])).collect();
        assert_eq!(many.len(), ROOM / OVERHEAD / 4_096);
    }
}
