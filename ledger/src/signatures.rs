//! Verification of transactions' signatures: many at once, with parsed keys and verdicts kept.
//!
//! A batch costs a third of single checks. If it fails, halves are tried, so that one bad signature
//! among many costs little; the caller keeps senders of bad ones out of batches for a while. Parsing
//! a key costs as much as a check, so keys that come again, those of agencies and registrars, are
//! kept. Verdicts are kept by witness id, which names body, keys and signatures, so that no copy
//! with a broken signature can poison a good one.

use std::{
    collections::HashMap,
    hash::Hash,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use certchain_proto::{
    PublicKey, SignatureBatch, hash::WitnessId, key::KeyError, transaction::Transaction,
    wire::v1::Code,
};

use crate::refusal::Refusal;

/// Signatures in one batch; more bring little and cost memory.
const BATCH_SIGNATURES: usize = 512;

/// Below this many transactions halving stops and each is checked on its own.
const SMALLEST_HALF: usize = 3;

/// A transaction whose signatures all hold. Whether the keys may sign is asked at execution.
///
/// Invariant: made by [`TransactionVerifier`] only.
#[derive(Clone, Debug)]
pub struct VerifiedTransaction(Arc<Transaction>);

impl Deref for VerifiedTransaction {
    type Target = Transaction;

    fn deref(&self) -> &Transaction {
        &self.0
    }
}

/// A transaction that was refused, and why.
#[derive(Debug)]
pub struct Rejected {
    /// The transaction.
    pub transaction: Box<Transaction>,
    /// Why.
    pub refusal: Refusal,
}

/// How much a verifier keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifierLimits {
    /// Parsed keys, of some 250 bytes each.
    pub keys: usize,
    /// Verdicts, of some 50 bytes each.
    pub verdicts: usize,
}

impl Default for VerifierLimits {
    fn default() -> Self {
        Self {
            keys: 16 * 1024,
            verdicts: 64 * 1024,
        }
    }
}

/// Verifies transactions. May be used from several threads at once.
#[derive(Debug)]
pub struct TransactionVerifier {
    keys: Mutex<Recent<[u8; 32], Result<PublicKey, KeyError>>>,
    verdicts: Mutex<Recent<WitnessId, Result<(), Code>>>,
}

impl Default for TransactionVerifier {
    fn default() -> Self {
        Self::new(VerifierLimits::default())
    }
}

/// One transaction on its way through.
struct Job {
    transaction: Transaction,
    keys: Vec<PublicKey>,
    verdict: Option<Result<(), Code>>,
}

impl TransactionVerifier {
    /// A verifier that keeps so much.
    pub fn new(limits: VerifierLimits) -> Self {
        Self {
            keys: Mutex::new(Recent::new(limits.keys)),
            verdicts: Mutex::new(Recent::new(limits.verdicts)),
        }
    }

    /// Verifies transactions in batches; answers stand in the order of the questions.
    pub fn verify(
        &self,
        transactions: Vec<Transaction>,
    ) -> Vec<Result<VerifiedTransaction, Rejected>> {
        self.run(transactions, check_halving)
    }

    /// Verifies each on its own, for a sender whose batch has failed lately.
    pub fn verify_singly(
        &self,
        transactions: Vec<Transaction>,
    ) -> Vec<Result<VerifiedTransaction, Rejected>> {
        self.run(transactions, check_singly)
    }

    fn run(
        &self,
        transactions: Vec<Transaction>,
        check: fn(&mut [&mut Job]),
    ) -> Vec<Result<VerifiedTransaction, Rejected>> {
        let mut jobs: Vec<Job> = transactions
            .into_iter()
            .map(|transaction| Job {
                transaction,
                keys: Vec::new(),
                verdict: None,
            })
            .collect();
        {
            let mut verdicts = lock(&self.verdicts);
            for job in &mut jobs {
                job.verdict = verdicts.get(&job.transaction.witness_id());
            }
        }
        let mut open: Vec<&mut Job> = jobs
            .iter_mut()
            .filter(|job| job.verdict.is_none())
            .collect();
        self.parse_keys(&mut open);
        open.retain(|job| job.verdict.is_none());
        let mut rest = open.as_mut_slice();
        while !rest.is_empty() {
            let mut signatures = 0;
            let fitting = rest.iter().take_while(|job| {
                signatures += job.keys.len();
                signatures <= BATCH_SIGNATURES
            });
            let count = fitting.count().max(1);
            let (batch, after) = rest.split_at_mut(count);
            check(batch);
            rest = after;
        }
        {
            let mut verdicts = lock(&self.verdicts);
            for job in &jobs {
                if let Some(verdict) = job.verdict {
                    verdicts.put(job.transaction.witness_id(), verdict);
                }
            }
        }
        jobs.into_iter()
            .map(|job| {
                // Every job has been decided; saying no is the safe end of a mistake here.
                let verdict = job.verdict.unwrap_or(Err(Code::BadSignature));
                let transaction = job.transaction;
                match verdict {
                    Ok(()) => Ok(VerifiedTransaction(Arc::new(transaction))),
                    Err(code) => Err(Rejected {
                        transaction: Box::new(transaction),
                        refusal: Refusal::new(code),
                    }),
                }
            })
            .collect()
    }

    /// Finds or parses the keys; parsing is slow and done without the lock.
    fn parse_keys(&self, jobs: &mut [&mut Job]) {
        let mut found: HashMap<[u8; 32], Result<PublicKey, KeyError>> = HashMap::new();
        let mut missing = Vec::new();
        {
            let mut known = lock(&self.keys);
            for witness in jobs.iter().flat_map(|job| job.transaction.witnesses()) {
                if found.contains_key(&witness.public_key) {
                    continue;
                }
                match known.get(&witness.public_key) {
                    Some(key) => {
                        found.insert(witness.public_key, key);
                    }
                    None => missing.push(witness.public_key),
                }
            }
        }
        missing.sort_unstable();
        missing.dedup();
        let parsed: Vec<_> = missing
            .into_iter()
            .map(|bytes| (bytes, PublicKey::from_bytes(&bytes)))
            .collect();
        if !parsed.is_empty() {
            let mut known = lock(&self.keys);
            for (bytes, key) in &parsed {
                known.put(*bytes, key.clone());
            }
        }
        found.extend(parsed);
        for job in jobs {
            let keys: Option<Vec<PublicKey>> = job
                .transaction
                .witnesses()
                .iter()
                .map(|witness| found.get(&witness.public_key)?.as_ref().ok().cloned())
                .collect();
            match keys {
                Some(keys) => job.keys = keys,
                None => job.verdict = Some(Err(Code::BadKey)),
            }
        }
    }
}

fn check_halving(jobs: &mut [&mut Job]) {
    let mut batch = SignatureBatch::with_capacity(jobs.iter().map(|job| job.keys.len()).sum());
    for job in jobs.iter() {
        for (key, witness) in job.keys.iter().zip(job.transaction.witnesses()) {
            batch.push(key, job.transaction.signing_hash(), &witness.signature);
        }
    }
    if batch.verify().is_ok() {
        for job in jobs {
            job.verdict = Some(Ok(()));
        }
    } else if jobs.len() <= SMALLEST_HALF {
        check_singly(jobs);
    } else {
        let (first, second) = jobs.split_at_mut(jobs.len() / 2);
        check_halving(first);
        check_halving(second);
    }
}

fn check_singly(jobs: &mut [&mut Job]) {
    for job in jobs {
        let hash = job.transaction.signing_hash();
        let mut pairs = job.keys.iter().zip(job.transaction.witnesses());
        let holds = pairs.all(|(key, witness)| key.verify(hash, &witness.signature).is_ok());
        job.verdict = Some(if holds {
            Ok(())
        } else {
            Err(Code::BadSignature)
        });
    }
}

/// A poisoned lock guards caches only: what they hold is true whatever happened to a thread.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A bounded map that forgets what was not asked for lately: two halves, of which the older one is
/// dropped whole when the newer one is full.
#[derive(Debug)]
struct Recent<K, V> {
    new: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Eq + Hash + Copy, V: Clone> Recent<K, V> {
    fn new(capacity: usize) -> Self {
        Self {
            new: HashMap::new(),
            old: HashMap::new(),
            half: (capacity / 2).max(1),
        }
    }

    fn get(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.new.get(key) {
            return Some(value.clone());
        }
        let value = self.old.remove(key)?;
        self.put(*key, value.clone());
        Some(value)
    }

    fn put(&mut self, key: K, value: V) {
        if self.new.len() >= self.half && !self.new.contains_key(&key) {
            self.old = std::mem::take(&mut self.new);
        }
        self.new.insert(key, value);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use certchain_proto::{TimeMs, transaction};
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::Network;

    fn many(count: u8) -> Vec<Transaction> {
        let network = Network::new(1);
        (0..count)
            .map(|n| network.registration(n.into(), TimeMs::new(9)))
            .collect()
    }

    fn codes(answers: &[Result<VerifiedTransaction, Rejected>]) -> Vec<Code> {
        let code = |answer: &Result<_, Rejected>| match answer {
            Ok(_) => Code::Ok,
            Err(rejected) => rejected.refusal.code(),
        };
        answers.iter().map(code).collect()
    }

    /// The same transaction with one byte of one signature or key changed.
    fn broken(good: &Transaction, which: usize, in_key: bool) -> Transaction {
        let mut envelope = crate::fixtures::envelope(good);
        let item = &mut envelope.signatures[which];
        if in_key {
            // Not a point of the curve, whatever the rest.
            item.public_key = vec![2; 32];
        } else {
            item.signature[40] ^= 1;
        }
        Transaction::from_envelope(envelope).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn exactly_the_broken_are_refused(bad in proptest::collection::vec(0..4u8, 20)) {
            let mixed: Vec<Transaction> = many(20)
                .into_iter()
                .zip(&bad)
                .map(|(good, how)| match how {
                    0 => broken(&good, 1, false),
                    1 => broken(&good, 2, true),
                    _ => good,
                })
                .collect();
            let expected: Vec<Code> = bad
                .iter()
                .map(|how| match how {
                    0 => Code::BadSignature,
                    1 => Code::BadKey,
                    _ => Code::Ok,
                })
                .collect();
            let verifier = TransactionVerifier::default();
            prop_assert_eq!(codes(&verifier.verify(mixed.clone())), expected.clone());
            // The second time from the verdicts.
            prop_assert_eq!(codes(&verifier.verify(mixed.clone())), expected.clone());
            let single = TransactionVerifier::default();
            prop_assert_eq!(codes(&single.verify_singly(mixed)), expected);
        }
    }

    #[test]
    fn a_broken_copy_does_not_poison_the_good_one() {
        let verifier = TransactionVerifier::default();
        let good = many(1).remove(0);
        let bad = broken(&good, 0, false);
        assert_eq!(bad.id(), good.id());
        assert_eq!(
            codes(&verifier.verify(vec![bad.clone()])),
            [Code::BadSignature]
        );
        assert_eq!(
            codes(&verifier.verify(vec![good, bad])),
            [Code::Ok, Code::BadSignature]
        );
    }

    #[test]
    fn caches_stay_within_their_bounds() {
        let mut recent: Recent<u32, u32> = Recent::new(10);
        recent.put(0, 100);
        for n in 1..1_000 {
            recent.put(n, n);
            assert!(recent.new.len() + recent.old.len() <= 10);
            assert_eq!(recent.get(&0), Some(100), "what is asked for stays");
        }
        assert_eq!(recent.get(&1), None);
        // The newest half is there whatever came before, and what comes again takes no room.
        let mut recent: Recent<u32, u32> = Recent::new(10);
        for n in (0..100).chain([99, 98, 99]) {
            recent.put(n, n);
        }
        for n in 95..100 {
            assert_eq!(recent.get(&n), Some(n));
        }
    }

    #[test]
    fn a_transaction_without_signatures_passes_to_execution_which_refuses_it() {
        let good = many(1).remove(0);
        let bare = transaction::sign(good.body(), &[]);
        let bare = Transaction::from_envelope(bare).unwrap();
        assert_eq!(
            codes(&TransactionVerifier::default().verify(vec![bare])),
            [Code::Ok]
        );
    }
}
