//! Transactions that wait for a block: first in, first out, within bounds that the chain fixes.
//!
//! The caller verifies and admits first; the mempool guards its bounds and the senders' shares. The
//! sender is who signs first: the agency of a registration, the account itself of a rotation. It is
//! a registered account, since nothing else is admitted, so shares cannot be multiplied by making
//! keys.

use std::{
    collections::{BTreeMap, HashMap, HashSet, hash_map::RandomState},
    hash::BuildHasher as _,
};

use certchain_proto::{
    TimeMs,
    hash::{TransactionId, WitnessId},
    transaction::Transaction,
    wire::v1::{Code, transaction_body::Kind},
};

use crate::{
    execution::{check_validity, reads},
    parameters::ChainParameters,
    refusal::Refusal,
    signatures::VerifiedTransaction,
    state::StateKey,
};

/// What became of an insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It waits now.
    New,
    /// It, or another copy of the same body, waited already.
    Known,
}

/// Waiting transactions.
///
/// Invariants: the three maps name the same transactions; counts and bytes are their sums.
#[derive(Debug)]
pub struct Mempool {
    parameters: ChainParameters,
    /// By order of arrival.
    queue: BTreeMap<u64, Entry>,
    places: HashMap<TransactionId, u64>,
    witnesses: HashMap<WitnessId, u64>,
    senders: HashMap<Sender, u64>,
    bytes: u64,
    next: u64,
    /// For the short names of state keys; never leaves this memory.
    hasher: RandomState,
}

#[derive(Debug)]
struct Entry {
    transaction: VerifiedTransaction,
    /// Short names of the state keys that decide whether it is admissible.
    reads: Box<[u64]>,
}

/// Who answers for a transaction's place. What an authority submits for many and what it submits for
/// itself are two shares, or a bulk load would keep the authority from rotating its own key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Sender {
    key: [u8; 32],
    authority: bool,
}

fn sender(transaction: &Transaction) -> Sender {
    let key = transaction
        .witnesses()
        .first()
        .map_or([0; 32], |w| w.public_key);
    let authority = match transaction.kind() {
        Kind::RegisterIdentity(_)
        | Kind::RecoverKey(_)
        | Kind::SuspendIdentity(_)
        | Kind::ReinstateIdentity(_)
        | Kind::RevokeIdentity(_) => true,
        Kind::RotateKey(_) | Kind::RestartNotice(_) => false,
    };
    Sender { key, authority }
}

impl Mempool {
    /// An empty one with the bounds of these parameters.
    pub fn new(parameters: &ChainParameters) -> Self {
        Self {
            parameters: parameters.clone(),
            queue: BTreeMap::new(),
            places: HashMap::new(),
            witnesses: HashMap::new(),
            senders: HashMap::new(),
            bytes: 0,
            next: 0,
            hasher: RandomState::new(),
        }
    }

    /// Takes a transaction that was admitted.
    ///
    /// # Errors
    /// If there is no room, or none for this sender.
    pub fn insert(&mut self, transaction: VerifiedTransaction) -> Result<Inserted, Refusal> {
        if self.places.contains_key(&transaction.id()) {
            return Ok(Inserted::Known);
        }
        let limits = &self.parameters.limits;
        let bytes = transaction.encoded().len() as u64;
        if self.queue.len() as u64 >= limits.mempool_transactions
            || self.bytes.saturating_add(bytes) > limits.mempool_bytes
        {
            return Err(Refusal::new(Code::MempoolFull));
        }
        let sender = sender(&transaction);
        let quota = match sender.authority {
            true => self.parameters.quota_authority(),
            false => self.parameters.quota_account(),
        };
        let waiting = self.senders.entry(sender).or_default();
        if *waiting >= quota {
            return Err(Refusal::new(Code::Quota));
        }
        *waiting += 1;
        self.bytes += bytes;
        self.places.insert(transaction.id(), self.next);
        self.witnesses.insert(transaction.witness_id(), self.next);
        let reads = reads(&transaction)
            .iter()
            .map(|key| self.hasher.hash_one(key))
            .collect();
        self.queue.insert(self.next, Entry { transaction, reads });
        self.next += 1;
        Ok(Inserted::New)
    }

    /// Whether a body waits.
    pub fn contains(&self, id: &TransactionId) -> bool {
        self.places.contains_key(id)
    }

    /// A waiting transaction by the name that proposals use.
    pub fn get(&self, witness_id: &WitnessId) -> Option<VerifiedTransaction> {
        self.at(*self.witnesses.get(witness_id)?)
    }

    /// A waiting transaction by its body's name.
    pub fn by_id(&self, id: &TransactionId) -> Option<VerifiedTransaction> {
        self.at(*self.places.get(id)?)
    }

    fn at(&self, place: u64) -> Option<VerifiedTransaction> {
        Some(self.queue.get(&place)?.transaction.clone())
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The sum of their bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All that wait, in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = &VerifiedTransaction> {
        self.queue.values().map(|entry| &entry.transaction)
    }

    /// Names the place of the next arrival, for [`Self::arrived_before`].
    pub const fn mark(&self) -> u64 {
        self.next
    }

    /// Those that wait and came before a mark, in order of arrival.
    pub fn arrived_before(&self, mark: u64) -> impl Iterator<Item = &VerifiedTransaction> {
        self.queue
            .range(..mark)
            .map(|(_, entry)| &entry.transaction)
    }

    /// The first ones that may stand in a block of that time, within count and bytes. They stay
    /// until they are removed.
    pub fn select(
        &self,
        max_bytes: u64,
        max_count: usize,
        time: TimeMs,
    ) -> Vec<VerifiedTransaction> {
        let mut chosen = Vec::new();
        let mut bytes = 0u64;
        for Entry { transaction, .. } in self.queue.values() {
            if chosen.len() >= max_count {
                break;
            }
            if check_validity(transaction, &self.parameters, time).is_err() {
                continue;
            }
            let length = transaction.encoded().len() as u64;
            if bytes.saturating_add(length) > max_bytes {
                break;
            }
            bytes += length;
            chosen.push(transaction.clone());
        }
        chosen
    }

    /// Drops transactions: committed, or found to be no longer admissible.
    pub fn remove<'a>(&mut self, ids: impl IntoIterator<Item = &'a TransactionId>) {
        for id in ids {
            let Some(place) = self.places.remove(id) else {
                continue;
            };
            let Some(Entry { transaction, .. }) = self.queue.remove(&place) else {
                continue;
            };
            self.witnesses.remove(&transaction.witness_id());
            self.bytes = self
                .bytes
                .saturating_sub(transaction.encoded().len() as u64);
            let sender = sender(&transaction);
            if let Some(waiting) = self.senders.get_mut(&sender) {
                *waiting = waiting.saturating_sub(1);
                if *waiting == 0 {
                    self.senders.remove(&sender);
                }
            }
        }
    }

    /// What a committed block may have made inadmissible, `written` being the state keys that it
    /// changed. The caller admits them again and removes what is refused: a transaction that can
    /// never be executed would look like work that the primaries leave undone.
    pub fn disturbed<'a>(
        &self,
        written: impl IntoIterator<Item = &'a StateKey>,
    ) -> Vec<VerifiedTransaction> {
        let written: HashSet<u64> = written
            .into_iter()
            .map(|key| self.hasher.hash_one(key))
            .collect();
        self.queue
            .values()
            .filter(|entry| entry.reads.iter().any(|key| written.contains(key)))
            .map(|entry| entry.transaction.clone())
            .collect()
    }

    /// Drops what can no longer be executed at `time`, and names it.
    pub fn expire(&mut self, time: TimeMs) -> Vec<TransactionId> {
        let late = self.iter().filter(|t| t.valid_until() <= time);
        let ids: Vec<TransactionId> = late.map(|t| t.id()).collect();
        self.remove(&ids);
        ids
    }

    /// Takes the bounds of new parameters; what waits beyond them stays until it is decided.
    pub fn set_parameters(&mut self, parameters: &ChainParameters) {
        self.parameters = parameters.clone();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use certchain_proto::{hash::IdentityTag, wire::v1::RotateKey};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fixtures::{Network, address_of, bytes, verified},
        identity::keys,
    };

    fn waiting(count: u64, valid_until: u64) -> Vec<VerifiedTransaction> {
        let network = Network::new(1);
        verified(
            (0..count)
                .map(|n| network.registration(n, TimeMs::new(valid_until + n)))
                .collect(),
        )
    }

    fn pool(change: impl FnOnce(&mut ChainParameters)) -> Mempool {
        let mut parameters = ChainParameters::default();
        change(&mut parameters);
        Mempool::new(&parameters)
    }

    #[test]
    fn first_in_first_out_within_count_bytes_and_time() {
        let all = waiting(6, 100);
        let mut pool = pool(|_| ());
        for transaction in &all {
            assert_eq!(pool.insert(transaction.clone()), Ok(Inserted::New));
            assert_eq!(pool.insert(transaction.clone()), Ok(Inserted::Known));
        }
        let ids = |chosen: Vec<VerifiedTransaction>| -> Vec<TransactionId> {
            chosen.iter().map(|t| t.id()).collect()
        };
        let expected: Vec<TransactionId> = all.iter().map(|t| t.id()).collect();
        let zero = TimeMs::ZERO;
        assert_eq!(ids(pool.select(u64::MAX, 100, zero)), expected);
        assert_eq!(ids(pool.select(u64::MAX, 2, zero)), expected[..2]);
        let two = (all[0].encoded().len() + all[1].encoded().len()) as u64;
        assert_eq!(ids(pool.select(two, 100, zero)), expected[..2]);
        assert_eq!(
            ids(pool.select(u64::MAX, 100, TimeMs::new(101))),
            expected[2..]
        );
        assert_eq!(pool.expire(TimeMs::new(101)), expected[..2]);
        assert_eq!(pool.len(), 4);
        assert!(pool.get(&all[0].witness_id()).is_none());
        assert_eq!(pool.get(&all[3].witness_id()).unwrap().id(), all[3].id());
    }

    #[test]
    fn bounds_and_shares_hold() {
        let all = waiting(6, 100);
        let mut by_count = pool(|p| p.limits.mempool_transactions = 2);
        let mut by_bytes = pool(|p| p.limits.mempool_bytes = all[0].encoded().len() as u64 * 2 + 4);
        let mut by_share = pool(|p| p.limits.mempool_per_sender = 2);
        for (pool, code) in [
            (&mut by_count, Code::MempoolFull),
            (&mut by_bytes, Code::MempoolFull),
            (&mut by_share, Code::Quota),
        ] {
            assert!(pool.insert(all[0].clone()).is_ok());
            assert!(pool.insert(all[1].clone()).is_ok());
            assert_eq!(pool.insert(all[2].clone()).unwrap_err().code(), code);
            pool.remove([&all[0].id()]);
            assert!(pool.insert(all[2].clone()).is_ok());
        }
    }

    #[test]
    fn what_an_authority_submits_for_many_leaves_room_for_its_own_rotation() {
        let network = Network::new(1);
        let agency = &network.agency;
        let rotation = |n: u64| {
            let message = Kind::RotateKey(RotateKey {
                address: address_of(agency).as_bytes().to_vec(),
                public_key: Network::holder(n).public().as_bytes().to_vec(),
                encryption_key: bytes("encryption", n).to_vec(),
            });
            let signers = [agency, &Network::holder(n)];
            network.signed(message, TimeMs::new(100), n, &signers)
        };
        let mut pool = pool(|p| p.limits.mempool_per_sender = 20);
        for transaction in waiting(20, 100) {
            pool.insert(transaction).unwrap();
        }
        for transaction in verified((100..116).map(rotation).collect()) {
            assert_eq!(pool.insert(transaction), Ok(Inserted::New));
        }
        let more = verified(vec![
            rotation(116),
            network.registration(21, TimeMs::new(99)),
        ]);
        for transaction in more {
            assert_eq!(pool.insert(transaction).unwrap_err().code(), Code::Quota);
        }
    }

    #[test]
    fn what_a_block_disturbs_is_found() {
        let all = waiting(4, 100);
        let mut pool = pool(|_| ());
        for transaction in &all {
            pool.insert(transaction.clone()).unwrap();
        }
        let found = |written: &[StateKey]| -> Vec<TransactionId> {
            pool.disturbed(written).iter().map(|t| t.id()).collect()
        };
        let tag = IdentityTag::from_bytes(bytes("tag", 2));
        let agency = keys::identity(&address_of(&Network::new(1).agency));
        assert_eq!(found(&[]), []);
        assert_eq!(found(&[keys::parameters(), keys::tag(&tag)]), [all[2].id()]);
        assert_eq!(found(&[agency]).len(), 4);
    }

    proptest! {
        #[test]
        fn sums_stay_right(steps in proptest::collection::vec((any::<bool>(), 0..8usize), 1..40)) {
            let all = waiting(8, 100);
            let mut pool = pool(|_| ());
            let mut model: Vec<usize> = Vec::new();
            for (add, which) in steps {
                if add && !model.contains(&which) {
                    pool.insert(all[which].clone()).unwrap();
                    model.push(which);
                } else if !add {
                    pool.remove([&all[which].id()]);
                    model.retain(|n| *n != which);
                }
                let order: Vec<_> = pool.iter().map(|t| t.id()).collect();
                let expected: Vec<_> = model.iter().map(|n| all[*n].id()).collect();
                prop_assert_eq!(order, expected);
                let bytes: usize = model.iter().map(|n| all[*n].encoded().len()).sum();
                prop_assert_eq!(pool.bytes(), bytes as u64);
                prop_assert_eq!(pool.senders.values().sum::<u64>(), model.len() as u64);
                prop_assert_eq!(pool.witnesses.len(), model.len());
            }
        }
    }
}
