//! What stands in for governance: who decides from the next height on is a function of the blocks.

use std::{collections::BTreeMap, sync::Arc};

use certchain_consensus::{Membership, limits::KEPT_SETS};
use certchain_proto::{
    BlockHeader, Epoch, Validator, ValidatorIndex, ValidatorSet, hash::ValidatorSetDigest,
};

use super::{checkers, keys, rng::Rng};

/// Sizes of the sets that a change may lead to.
const LEAST: usize = 4;
const MOST: usize = 10;

/// A member: a node and which of its keys it votes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The node.
    pub node: usize,
    /// How often it has rotated its vote key.
    pub generation: u32,
}

/// A validator set and the nodes behind it, by place.
#[derive(Clone, Debug)]
pub struct Members {
    seats: Vec<Seat>,
    set: Arc<ValidatorSet>,
    digest: ValidatorSetDigest,
}

impl Members {
    /// The members of an epoch.
    pub fn new(epoch: Epoch, seats: Vec<Seat>) -> Self {
        let members = seats
            .iter()
            .map(|seat| Validator {
                vote_key: keys::key_of(seat.node, seat.generation).public().clone(),
                network_key: [seat.node as u8 + 1; 32],
            })
            .collect();
        let set = ValidatorSet::new(epoch, members)
            .unwrap_or_else(|e| panic!("{seats:?} in epoch {epoch}: {e}"));
        Self {
            seats,
            digest: set.digest(),
            set: Arc::new(set),
        }
    }

    /// The first `n` nodes.
    pub fn first(n: usize) -> Self {
        let seat = |node| Seat {
            node,
            generation: 0,
        };
        Self::new(Epoch::ZERO, (0..n).map(seat).collect())
    }

    /// The set as the protocol knows it.
    pub fn set(&self) -> &Arc<ValidatorSet> {
        &self.set
    }

    /// Its name.
    pub fn digest(&self) -> ValidatorSetDigest {
        self.digest
    }

    /// Its epoch.
    pub fn epoch(&self) -> Epoch {
        self.set.epoch()
    }

    /// How many they are.
    pub fn n(&self) -> usize {
        self.seats.len()
    }

    /// Who sits where.
    pub fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// The node at a place.
    pub fn node(&self, place: ValidatorIndex) -> Option<usize> {
        Some(self.seats.get(usize::from(place.get()))?.node)
    }

    /// The place of a node.
    pub fn place(&self, node: usize) -> Option<usize> {
        self.seats.iter().position(|seat| seat.node == node)
    }

    /// The places of these nodes.
    pub fn places(&self, nodes: &[usize]) -> Vec<usize> {
        nodes.iter().filter_map(|node| self.place(*node)).collect()
    }
}

/// How sets change in a run.
#[derive(Clone, Debug)]
pub struct Changes {
    /// At how many of 1,000 heights.
    pub per_mille: u64,
    /// The nodes that may be members.
    pub pool: usize,
    /// Those that misbehave or are away for long. A set bears no more of them than may be faulty.
    pub bad: Vec<usize>,
}

impl Changes {
    fn bears(&self, seats: &[Seat]) -> bool {
        let bad = seats.iter().filter(|s| self.bad.contains(&s.node)).count();
        bad <= checkers::faulty(seats.len())
    }

    /// The seats above a block, if they are others; drawn from the block itself.
    fn draw(&self, members: &Members, header: &BlockHeader) -> Option<Vec<Seat>> {
        let digest = header.digest();
        let seed = digest.as_bytes()[..8]
            .iter()
            .fold(0, |n, b| n << 8 | u64::from(*b));
        let rng = &mut Rng::new(seed);
        if !rng.per_mille(self.per_mille) {
            return None;
        }
        let before = members.seats();
        let mut seats = before.to_vec();
        let mut outside: Vec<usize> = (0..self.pool)
            .filter(|node| members.place(*node).is_none())
            .collect();
        let place = rng.index(seats.len());
        match rng.index(8) {
            // Somebody joins.
            0 | 1 if !outside.is_empty() && seats.len() < MOST => {
                let node = outside.swap_remove(rng.index(outside.len()));
                seats.insert(rng.index(seats.len() + 1), joining(node, rng));
            }
            // Somebody leaves.
            2 if seats.len() > LEAST => {
                seats.remove(place);
            }
            // One takes the place of another.
            3 | 4 if !outside.is_empty() => {
                let node = outside.swap_remove(rng.index(outside.len()));
                seats[place] = joining(node, rng);
            }
            // Two change places.
            5 => {
                let other = rng.index(seats.len());
                seats.swap(place, other);
            }
            // All are drawn anew.
            6 if rng.coin() => {
                let known = |node| before.iter().find(|s| s.node == node).copied();
                let mut nodes: Vec<usize> = (0..self.pool).collect();
                for i in (1..nodes.len()).rev() {
                    nodes.swap(i, rng.index(i + 1));
                }
                let most = MOST.min(self.pool) as u64;
                let size = rng.between(LEAST as u64, most) as usize;
                seats = nodes
                    .into_iter()
                    .take(size)
                    .map(|node| known(node).unwrap_or_else(|| joining(node, rng)))
                    .collect();
            }
            // A key rotates.
            _ => {
                let next = seats[place].generation + 1;
                seats[place].generation = next % keys::GENERATIONS;
            }
        }
        (seats != before && self.bears(&seats)).then_some(seats)
    }
}

/// Who joins comes with one of its keys.
fn joining(node: usize, rng: &mut Rng) -> Seat {
    Seat {
        node,
        generation: rng.index(keys::GENERATIONS as usize) as u32,
    }
}

/// Who decides at first, and how that changes.
#[derive(Clone, Debug)]
pub struct Law {
    /// Who decides height 1.
    pub first: Arc<Members>,
    /// How that changes, if it does.
    pub changes: Option<Changes>,
}

impl Law {
    /// The same for ever.
    pub fn fixed(n: usize) -> Self {
        Self {
            first: Arc::new(Members::first(n)),
            changes: None,
        }
    }

    /// Who decides above a block that `members` decided, if it is not they.
    pub fn above(&self, members: &Members, header: &BlockHeader) -> Option<Arc<Members>> {
        let seats = self.changes.as_ref()?.draw(members, header)?;
        Some(Arc::new(Members::new(members.epoch().next(), seats)))
    }
}

/// The members of the epochs that somebody knows. The newest never goes.
#[derive(Clone, Debug)]
pub struct Epochs {
    newest: Arc<Members>,
    known: BTreeMap<Epoch, Arc<Members>>,
    most: usize,
}

impl Epochs {
    /// As a node knows them: as many as the daemon keeps.
    pub fn of_a_node(first: &Arc<Members>) -> Self {
        Self::of(first, KEPT_SETS)
    }

    /// All that there ever were.
    pub fn of_all(first: &Arc<Members>) -> Self {
        Self::of(first, usize::MAX)
    }

    fn of(first: &Arc<Members>, most: usize) -> Self {
        Self {
            newest: Arc::clone(first),
            known: BTreeMap::from([(first.epoch(), Arc::clone(first))]),
            most,
        }
    }

    /// Learns of one more.
    pub fn learn(&mut self, members: &Arc<Members>) {
        self.known.insert(members.epoch(), Arc::clone(members));
        if members.epoch() > self.newest.epoch() {
            self.newest = Arc::clone(members);
        }
        while self.known.len() > self.most {
            self.known.pop_first();
        }
    }

    /// The newest that are known.
    pub fn present(&self) -> &Arc<Members> {
        &self.newest
    }

    /// Those of an epoch.
    pub fn members(&self, epoch: Epoch) -> Option<&Arc<Members>> {
        self.known.get(&epoch)
    }

    /// All, by epoch.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Members>> {
        self.known.values()
    }
}

impl Membership for Epochs {
    fn newest(&self) -> &ValidatorSet {
        self.newest.set()
    }

    fn of(&self, epoch: Epoch) -> Option<&ValidatorSet> {
        Some(self.known.get(&epoch)?.set().as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::genesis;

    #[test]
    fn changes_follow_from_blocks_and_bear_the_bad() {
        let law = Law {
            first: Arc::new(Members::first(4)),
            changes: Some(Changes {
                per_mille: 1_000,
                pool: 10,
                bad: vec![0, 1],
            }),
        };
        let mut members = Arc::clone(&law.first);
        let mut header = genesis(members.set()).header;
        let (mut changed, mut sizes) = (0, std::collections::BTreeSet::new());
        for offset in 0..2_000 {
            header.offset = offset;
            let next = law.above(&members, &header);
            let again = law.above(&members, &header);
            let seats = |m: &Option<Arc<Members>>| m.as_ref().map(|m| m.seats().to_vec());
            assert_eq!(seats(&next), seats(&again));
            let Some(next) = next else { continue };
            changed += 1;
            assert_eq!(next.epoch(), members.epoch().next());
            assert!((LEAST..=MOST).contains(&next.n()));
            assert!(next.places(&[0, 1]).len() <= checkers::faulty(next.n()));
            sizes.insert(next.n());
            members = next;
        }
        assert!(changed > 1_500, "{changed}");
        assert_eq!(sizes.len(), MOST - LEAST + 1, "{sizes:?}");
    }
}
