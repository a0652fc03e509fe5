//! Transactions that wait for a block: first in, first out, within bounds that the chain fixes.
//!
//! The caller verifies and admits first; the mempool guards its bounds and the senders' shares. The
//! sender is who signs first: the agency of a registration, the account itself of a rotation. It is
//! a registered account, since nothing else is admitted, so shares cannot be multiplied by making
//! keys.

use std::{
    collections::{BTreeMap, HashMap, HashSet, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::Arc,
};

use certchain_proto::{
    TimeMs,
    hash::{TransactionId, WitnessId},
    transaction::Transaction,
    wire::v1::{Code, transaction_body::Kind},
};

use crate::{
    execution::{Application, check_validity},
    parameters::ChainParameters,
    refusal::Refusal,
    signatures::VerifiedTransaction,
    state::StateKey,
};

/// Copies of one body that are kept. Signers may sign a body again and send the copies to different
/// nodes; a primary names the copy that it has, and whoever lacks it has to fetch it.
const COPIES: usize = 4;

/// What became of an insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It waits now.
    New,
    /// A body that waited already, with other signatures: it can be found by its witness id.
    Copy,
    /// It waited already, or there is no room for another copy of its body.
    Known,
}

/// Waiting transactions.
///
/// Invariants: places and queue name the same bodies, witnesses all their copies; shares and bytes
/// are the sums over all copies.
#[derive(Debug)]
pub struct Mempool {
    parameters: ChainParameters,
    /// Tells what decides whether a transaction is admissible.
    application: Arc<dyn Application>,
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
    /// The copy that came first: what is proposed and passed on.
    transaction: VerifiedTransaction,
    /// Other copies, at most [`COPIES`] with the first.
    others: Vec<VerifiedTransaction>,
    /// Short names of the state keys that decide whether it is admissible.
    reads: Box<[u64]>,
    /// Block time from which it can no longer be executed.
    deadline: TimeMs,
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
        | Kind::DecideRecovery(_)
        | Kind::SuspendIdentity(_)
        | Kind::ReinstateIdentity(_)
        | Kind::RevokeIdentity(_)
        | Kind::IssueCertificate(_)
        | Kind::IssueBatch(_)
        | Kind::RevokeCertificate(_) => true,
        Kind::RotateKey(_)
        | Kind::AddDevice(_)
        | Kind::RemoveDevice(_)
        | Kind::ObjectToRecovery(_)
        | Kind::CompleteRecovery(_)
        | Kind::RestartNotice(_)
        | Kind::AcceptCertificate(_)
        | Kind::DeclineCertificate(_)
        | Kind::RecordCheck(_)
        | Kind::SubmitAnchor(_)
        | Kind::ReportConflict(_)
        | Kind::Propose(_)
        | Kind::Vote(_)
        | Kind::AcceptAccreditation(_) => false,
    };
    Sender { key, authority }
}

impl Mempool {
    /// An empty one with the bounds of these parameters.
    pub fn new(parameters: &ChainParameters, application: Arc<dyn Application>) -> Self {
        Self {
            parameters: parameters.clone(),
            application,
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
        if self.witnesses.contains_key(&transaction.witness_id()) {
            return Ok(Inserted::Known);
        }
        if let Some(place) = self.places.get(&transaction.id()).copied() {
            return Ok(self.insert_copy(place, transaction));
        }
        self.check_room(&transaction)?;
        self.count(&transaction, self.next);
        self.places.insert(transaction.id(), self.next);
        let reads = self
            .application
            .reads(&transaction)
            .iter()
            .map(|key| self.hasher.hash_one(key))
            .collect();
        let entry = Entry {
            deadline: self.application.deadline(&transaction),
            transaction,
            others: Vec::new(),
            reads,
        };
        self.queue.insert(self.next, entry);
        self.next += 1;
        Ok(Inserted::New)
    }

    /// Keeps another copy of a waiting body if there is room. If not nothing is lost: the body
    /// waits.
    fn insert_copy(&mut self, place: u64, transaction: VerifiedTransaction) -> Inserted {
        let copies = self.queue.get(&place).map_or(0, |e| 1 + e.others.len());
        if copies >= COPIES || self.check_room(&transaction).is_err() {
            return Inserted::Known;
        }
        self.count(&transaction, place);
        if let Some(entry) = self.queue.get_mut(&place) {
            entry.others.push(transaction);
        }
        Inserted::Copy
    }

    /// Whether there is room for one more, and for its sender.
    fn check_room(&self, transaction: &VerifiedTransaction) -> Result<(), Refusal> {
        let limits = &self.parameters.limits;
        let bytes = transaction.encoded().len() as u64;
        if self.witnesses.len() as u64 >= limits.mempool_transactions
            || self.bytes.saturating_add(bytes) > limits.mempool_bytes
        {
            return Err(Refusal::new(Code::MempoolFull));
        }
        let sender = sender(transaction);
        let quota = match sender.authority {
            true => self.parameters.quota_authority(),
            false => self.parameters.quota_account(),
        };
        if self.senders.get(&sender).is_some_and(|n| *n >= quota) {
            return Err(Refusal::new(Code::Quota));
        }
        Ok(())
    }

    /// Counts a copy at its body's place.
    fn count(&mut self, transaction: &VerifiedTransaction, place: u64) {
        self.bytes += transaction.encoded().len() as u64;
        self.witnesses.insert(transaction.witness_id(), place);
        *self.senders.entry(sender(transaction)).or_default() += 1;
    }

    /// Takes a copy out of the counts.
    fn uncount(&mut self, transaction: &VerifiedTransaction) {
        self.witnesses.remove(&transaction.witness_id());
        self.bytes = self
            .bytes
            .saturating_sub(transaction.encoded().len() as u64);
        let sender = sender(transaction);
        if let Some(waiting) = self.senders.get_mut(&sender) {
            *waiting = waiting.saturating_sub(1);
            if *waiting == 0 {
                self.senders.remove(&sender);
            }
        }
    }

    /// Whether a body waits.
    pub fn contains(&self, id: &TransactionId) -> bool {
        self.places.contains_key(id)
    }

    /// A waiting transaction by the name that proposals use: exactly this copy of its body.
    pub fn get(&self, witness_id: &WitnessId) -> Option<VerifiedTransaction> {
        let entry = self.queue.get(self.witnesses.get(witness_id)?)?;
        std::iter::once(&entry.transaction)
            .chain(&entry.others)
            .find(|copy| copy.witness_id() == *witness_id)
            .cloned()
    }

    /// A waiting transaction by its body's name.
    pub fn by_id(&self, id: &TransactionId) -> Option<VerifiedTransaction> {
        let place = self.places.get(id)?;
        Some(self.queue.get(place)?.transaction.clone())
    }

    /// How many wait, copies of one body counted once.
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
        for entry in self.queue.values() {
            let Entry {
                transaction,
                deadline,
                ..
            } = entry;
            if chosen.len() >= max_count {
                break;
            }
            if *deadline <= time {
                continue;
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

    /// Drops transactions with all copies: committed, or found to be no longer admissible.
    pub fn remove<'a>(&mut self, ids: impl IntoIterator<Item = &'a TransactionId>) {
        for id in ids {
            let Some(place) = self.places.remove(id) else {
                continue;
            };
            let Some(entry) = self.queue.remove(&place) else {
                continue;
            };
            self.uncount(&entry.transaction);
            entry.others.iter().for_each(|copy| self.uncount(copy));
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
        let late = self.queue.values().filter(|entry| entry.deadline <= time);
        let ids: Vec<TransactionId> = late.map(|entry| entry.transaction.id()).collect();
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
        Mempool::new(&parameters, Arc::new(crate::identity::IdentityApplication))
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

    /// The first copy and others of one body; more keys sign each than the body needs.
    fn copies(count: u64) -> Vec<VerifiedTransaction> {
        let network = Network::new(1);
        let message = Kind::RegisterIdentity(network.register_message(0));
        let copy = |n: u64| {
            let signers = [&network.agency, &Network::holder(n)];
            network.signed(message.clone(), TimeMs::new(100), 0, &signers)
        };
        verified((0..count).map(copy).collect())
    }

    #[test]
    fn copies_of_a_body_are_found_by_their_own_names_and_proposed_once() {
        let copies = copies(COPIES as u64 + 1);
        assert!(copies.iter().all(|copy| copy.id() == copies[0].id()));
        let mut pool = pool(|_| ());
        let insert = |pool: &mut Mempool, n: usize| pool.insert(copies[n].clone()).unwrap();
        assert_eq!(insert(&mut pool, 0), Inserted::New);
        for n in 1..COPIES {
            assert_eq!(insert(&mut pool, n), Inserted::Copy);
            assert_eq!(insert(&mut pool, n), Inserted::Known);
        }
        assert_eq!(insert(&mut pool, COPIES), Inserted::Known, "one too many");
        for copy in &copies[..COPIES] {
            let found = pool.get(&copy.witness_id()).unwrap();
            assert_eq!(found.witness_id(), copy.witness_id());
        }
        assert!(pool.get(&copies[COPIES].witness_id()).is_none());
        assert_eq!(pool.len(), 1);
        let bytes: usize = copies[..COPIES].iter().map(|c| c.encoded().len()).sum();
        assert_eq!(pool.bytes(), bytes as u64);
        let chosen = pool.select(u64::MAX, 9, TimeMs::ZERO);
        assert_eq!(chosen.len(), 1);
        assert_eq!(chosen[0].witness_id(), copies[0].witness_id());
        pool.remove([&copies[0].id()]);
        assert_eq!((pool.len(), pool.bytes()), (0, 0));
        assert!(pool.witnesses.is_empty() && pool.senders.is_empty());
        assert!(pool.get(&copies[1].witness_id()).is_none());
    }

    #[test]
    fn copies_stay_within_the_bounds() {
        let copies = copies(3);
        let two = (copies[0].encoded().len() * 2) as u64;
        for mut pool in [
            pool(|p| p.limits.mempool_transactions = 2),
            pool(|p| p.limits.mempool_bytes = two),
            pool(|p| p.limits.mempool_per_sender = 2),
        ] {
            let insert = |pool: &mut Mempool, n: usize| pool.insert(copies[n].clone());
            assert_eq!(insert(&mut pool, 0), Ok(Inserted::New));
            assert_eq!(insert(&mut pool, 1), Ok(Inserted::Copy));
            assert_eq!(insert(&mut pool, 2), Ok(Inserted::Known));
            assert_eq!(pool.bytes(), two);
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
