//! Applying a batch: a new version beside the committed one.
//!
//! The batch is sorted and goes down the trie in one recursion. Every update first finds its
//! *home*, the bucket to which its bits lead; all homes are read in one request. A node whose
//! updates share its prefix is entered; updates that part from it above the node's own bit open a
//! new branch there. Nodes are built children first, so each is hashed once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use certchain_proto::Height;
use certchain_proto::hash::{StateRoot, ValueHash};

use super::arena::{Branch, Child, NodeRef};
use super::bucket::{Leaf, MAX_BUCKET_LEAVES, divide, first_key, hash_leaves, pack};
use super::error::StateError;
use super::key::StateKey;
use super::store::TreeStore;
use super::tree::{StateTree, root_of};

/// A version that has been computed and not committed. Dropping it discards it.
#[derive(Debug)]
pub struct Pending {
    pub(super) identity: Arc<()>,
    pub(super) parent: Option<Height>,
    /// `None` if no key is left.
    pub(super) top: Option<Child>,
    /// New branches, children before parents.
    pub(super) branches: Vec<Branch>,
    /// New buckets.
    pub(super) buckets: Vec<NewBucket>,
    /// What the parent has and this version has not.
    pub(super) retired: Retired,
}

impl Pending {
    /// The root that the version will have.
    pub fn root(&self) -> StateRoot {
        root_of(self.top.as_ref())
    }

    /// The height of the version that it builds on; `None` for genesis.
    pub fn parent(&self) -> Option<Height> {
        self.parent
    }
}

/// A bucket that has no number yet.
#[derive(Debug)]
pub(super) struct NewBucket {
    pub(super) leaves: u8,
    pub(super) packed: Arc<[u8]>,
}

/// Committed nodes that a version no longer has.
#[derive(Debug, Default)]
pub(super) struct Retired {
    pub(super) branches: Vec<u32>,
    /// With their leaves, until these move into the arena.
    pub(super) buckets: Vec<(u32, Option<Arc<[u8]>>)>,
}

impl<S: TreeStore> StateTree<S> {
    /// Computes the version that follows from `parent` (the newest height, `None` before genesis)
    /// by setting keys to value hashes and deleting those with `None`, in any order, each key once.
    ///
    /// Changes nothing: several candidates may be computed, and one of them committed.
    pub fn apply(
        &self,
        parent: Option<Height>,
        updates: impl IntoIterator<Item = (StateKey, Option<ValueHash>)>,
    ) -> Result<Pending, StateError> {
        if parent != self.height() {
            return Err(StateError::StaleParent {
                parent,
                newest: self.height(),
            });
        }
        let mut ops: Vec<Op> = updates
            .into_iter()
            .map(|(key, value)| Op {
                key,
                value,
                home: 0,
            })
            .collect();
        if !ops.is_sorted_by(|a, b| a.key < b.key) {
            ops.sort_unstable_by_key(|op| op.key);
        }
        for pair in ops.windows(2) {
            if let [a, b] = pair {
                if a.key == b.key {
                    return Err(StateError::DuplicateKey {
                        key: Box::new(a.key),
                    });
                }
                check_apart(&a.key, &b.key)?;
            }
        }

        let top = self
            .versions
            .back()
            .and_then(|version| version.top.as_ref());
        let mut update = Update::new(self);
        let built = match top {
            Some(top) => update.descend(top, &mut ops, None)?,
            None => update.build(ops.iter().filter_map(Op::leaf).collect()),
        };
        let top = built.map(|built| update.settle(built));
        self.counters
            .hashed
            .fetch_add(update.hashed, Ordering::Relaxed);
        let Update {
            branches,
            buckets,
            retired,
            ..
        } = update;
        let identity = Arc::clone(&self.identity);
        Ok(Pending {
            identity,
            parent,
            top,
            branches,
            buckets,
            retired,
        })
    }
}

/// No key may be a prefix of another. Deletions are held to it too.
fn check_apart(a: &StateKey, b: &StateKey) -> Result<(), StateError> {
    if a.is_apart_from(b) {
        return Ok(());
    }
    let (shorter, longer) = if a.bits() <= b.bits() { (a, b) } else { (b, a) };
    Err(StateError::PrefixKey {
        shorter: Box::new(*shorter),
        longer: Box::new(*longer),
    })
}

/// How many updates are led down side by side.
const PORTION: usize = 64;

/// One update of a batch.
struct Op {
    key: StateKey,
    value: Option<ValueHash>,
    /// Index of its home.
    home: usize,
}

impl Op {
    fn leaf(&self) -> Option<Leaf> {
        self.value.map(|value| Leaf::new(self.key, value))
    }
}

/// A bucket that was read because bits of an update lead there.
struct Home {
    bucket: Child,
    packed: Arc<[u8]>,
    /// Its first key, which stands for the prefix of all subtries that the bucket is in. It comes
    /// from an unchecked bucket; the bucket is checked where updates end: in it, or beside it.
    sample: StateKey,
}

/// A subtrie as it is after the batch, unless no leaf is left.
enum Built {
    /// So few leaves, at least one, that they are, or are part of, one bucket; sorted.
    Leaves(Vec<Leaf>),
    /// A finished node: an old one, or a new branch.
    Node(Child),
}

/// The work on one batch.
struct Update<'a, S> {
    tree: &'a StateTree<S>,
    homes: Vec<Home>,
    branches: Vec<Branch>,
    buckets: Vec<NewBucket>,
    retired: Retired,
    hashed: u64,
    /// Emptied lists, to be filled again.
    spare: Vec<Vec<Leaf>>,
    bytes: Vec<u8>,
}

impl<'a, S: TreeStore> Update<'a, S> {
    fn new(tree: &'a StateTree<S>) -> Self {
        Self {
            tree,
            homes: Vec::new(),
            branches: Vec::new(),
            buckets: Vec::new(),
            retired: Retired::default(),
            hashed: 0,
            spare: Vec::new(),
            bytes: Vec::new(),
        }
    }

    /// Applies updates to a committed subtrie, in portions whose nodes fit into a processor's
    /// cache. The bits of all of them lead through `child`; `sample` is a key below it.
    fn descend(
        &mut self,
        child: &'a Child,
        ops: &mut [Op],
        sample: Option<StateKey>,
    ) -> Result<Option<Built>, StateError> {
        if ops.is_empty() {
            return Ok(Some(Built::Node(*child)));
        }
        if ops.len() > PORTION && !child.node.is_bucket() {
            let branch = self.tree.arena.branches.get(child.node.index());
            let sample = match sample {
                Some(sample) => sample,
                None => {
                    self.find_homes(child, &mut ops[..1])?;
                    self.check_home(ops[0].home)?;
                    self.homes[ops[0].home].sample
                }
            };
            let is_inside = |op: &Op| op.key.divergence(&sample) >= branch.position;
            if ops.first().is_some_and(is_inside) && ops.last().is_some_and(is_inside) {
                let middle = ops.partition_point(|op| !op.key.bit(branch.position));
                let (low, high) = ops.split_at_mut(middle);
                let (below_low, below_high) = match sample.bit(branch.position) {
                    false => (Some(sample), None),
                    true => (None, Some(sample)),
                };
                let low = self.descend(&branch.left, low, below_low)?;
                let high = self.descend(&branch.right, high, below_high)?;
                return self.join(Some((child, branch)), branch.position, low, high);
            }
        }
        self.find_homes(child, ops)?;
        self.enter(child, ops)
    }

    /// Leads every update to its home and reads all homes.
    ///
    /// All go down a level before any goes down the next, so that the processor waits for many
    /// nodes at once and not for one after the other.
    fn find_homes(&mut self, top: &'a Child, ops: &mut [Op]) -> Result<(), StateError> {
        let branches = &self.tree.arena.branches;
        let mut places = vec![top; ops.len()];
        let mut moved = !top.node.is_bucket();
        while moved {
            moved = false;
            for (place, op) in places.iter_mut().zip(&*ops) {
                if !place.node.is_bucket() {
                    *place = branches.get(place.node.index()).sides(&op.key).0;
                    moved = true;
                }
            }
        }
        // Sorted updates of one home stand together, but for some that part from it; these may read
        // it again.
        let before = self.homes.len();
        let mut found: Vec<&Child> = Vec::with_capacity(places.len());
        for (op, place) in ops.iter_mut().zip(places) {
            if found.last().is_none_or(|last| last.node != place.node) {
                found.push(place);
            }
            op.home = before + found.len() - 1;
        }
        let slots: Vec<u32> = found.iter().map(|bucket| bucket.node.index()).collect();
        let packed = self.tree.fetch(&slots)?;
        self.homes.reserve(slots.len());
        for (bucket, packed) in found.into_iter().zip(packed) {
            let sample = first_key(&packed).map_err(|fault| self.tree.corrupt(bucket, fault))?;
            self.homes.push(Home {
                bucket: *bucket,
                packed,
                sample,
            });
        }
        Ok(())
    }

    /// Applies updates to a committed subtrie. The bits of all of them lead through `node`.
    fn enter(&mut self, child: &Child, ops: &[Op]) -> Result<Option<Built>, StateError> {
        let (Some(first), Some(last)) = (ops.first(), ops.last()) else {
            return Ok(Some(Built::Node(*child)));
        };
        if child.node.is_bucket() {
            return self.enter_bucket(first.home, ops);
        }
        let branch: &'a Branch = self.tree.arena.branches.get(child.node.index());
        let position = branch.position;
        let Home { sample, .. } = self.homes[first.home];
        let is_inside = |op: &Op| op.key.divergence(&sample) >= position;
        if is_inside(first) && is_inside(last) {
            let (low, high) = ops.split_at(ops.partition_point(|op| !op.key.bit(position)));
            let low = self.enter(&branch.left, low)?;
            let high = self.enter(&branch.right, high)?;
            return self.join(Some((child, branch)), position, low, high);
        }
        self.check_home(first.home)?;
        // Some part from the subtrie above its branch. Deletions among them find nothing.
        let mut outside = ops.iter().filter(|op| op.value.is_some() && !is_inside(op));
        let Some(low) = outside.next() else {
            let start = ops.partition_point(|op| !is_inside(op) && op.key < sample);
            let inside = &ops[start..];
            let end = inside.partition_point(is_inside);
            return self.enter(child, &inside[..end]);
        };
        // In a sorted run, the first or the last one parts earliest.
        let high = outside.next_back().unwrap_or(low);
        let position = low
            .key
            .divergence(&sample)
            .min(high.key.divergence(&sample));
        let parts_here = |op: &Op| op.key.divergence(&sample) <= position;
        let new_are_high = !sample.bit(position);
        let (new, rest) = match new_are_high {
            true => {
                let middle = ops.partition_point(|op| op.key < sample || !parts_here(op));
                let (rest, new) = ops.split_at(middle);
                (new, rest)
            }
            false => ops.split_at(ops.partition_point(|op| op.key < sample && parts_here(op))),
        };
        let leaves: Vec<Leaf> = new.iter().filter_map(Op::leaf).collect();
        for leaf in &leaves {
            check_apart(&leaf.key, &sample)?;
        }
        let new = self.build(leaves);
        let old = self.enter(child, rest)?;
        match new_are_high {
            true => self.join(None, position, old, new),
            false => self.join(None, position, new, old),
        }
    }

    /// Merges updates into a bucket.
    fn enter_bucket(&mut self, home: usize, ops: &[Op]) -> Result<Option<Built>, StateError> {
        let mut stored = self.spare.pop().unwrap_or_default();
        let mut leaves = self.spare.pop().unwrap_or_default();
        let Home { bucket, packed, .. } = &self.homes[home];
        self.tree
            .open_bucket(bucket, packed, &mut stored, &mut self.hashed)?;
        let (mut old, mut changed) = (stored.drain(..).peekable(), false);
        for op in ops {
            while let Some(leaf) = old.next_if(|leaf| leaf.key < op.key) {
                leaves.push(leaf);
            }
            match (old.next_if(|leaf| leaf.key == op.key), op.value) {
                (Some(mut leaf), Some(value)) => {
                    if leaf.value != value {
                        leaf.set_value(value);
                        changed = true;
                    }
                    leaves.push(leaf);
                }
                (None, Some(value)) => {
                    leaves.push(Leaf::new(op.key, value));
                    changed = true;
                }
                (found, None) => changed |= found.is_some(),
            }
        }
        leaves.extend(old);
        self.spare.push(stored);
        if !changed {
            return Ok(Some(Built::Node(*bucket)));
        }
        for pair in leaves.windows(2) {
            if let [a, b] = pair {
                check_apart(&a.key, &b.key)?;
            }
        }
        self.retired
            .buckets
            .push((bucket.node.index(), Some(Arc::clone(packed))));
        Ok(self.build(leaves))
    }

    /// Checks a home beside which updates open a new branch.
    fn check_home(&mut self, home: usize) -> Result<(), StateError> {
        let Home { bucket, packed, .. } = &self.homes[home];
        self.tree
            .open_bucket(bucket, packed, &mut Vec::new(), &mut self.hashed)
    }

    /// Joins two subtries that part at `position`. `old` is the branch that did it before.
    fn join(
        &mut self,
        old: Option<(&Child, &Branch)>,
        position: u16,
        left: Option<Built>,
        right: Option<Built>,
    ) -> Result<Option<Built>, StateError> {
        if let Some((child, branch)) = old {
            if let (Some(Built::Node(left)), Some(Built::Node(right))) = (&left, &right)
                && (left.node, right.node) == (branch.left.node, branch.right.node)
            {
                return Ok(Some(Built::Node(*child)));
            }
            self.retired.branches.push(child.node.index());
        }
        let (left, right) = match (left, right) {
            (None, other) | (other, None) => return Ok(other),
            (Some(left), Some(right)) => (left, right),
        };
        let few = self.few_leaves(&left).zip(self.few_leaves(&right));
        if few.is_some_and(|(left, right)| left + right <= MAX_BUCKET_LEAVES) {
            let mut leaves = self.absorb(left)?;
            leaves.append(&mut self.absorb(right)?);
            return Ok(Some(Built::Leaves(leaves)));
        }
        Ok(Some(Built::Node(self.new_branch(position, left, right))))
    }

    /// How many leaves a subtrie has, if it is no more than a bucket.
    fn few_leaves(&self, built: &Built) -> Option<usize> {
        match built {
            Built::Leaves(leaves) => Some(leaves.len()),
            Built::Node(Child { node, .. }) if node.is_bucket() => Some(usize::from(
                self.tree.arena.buckets.get(node.index()).leaves,
            )),
            Built::Node(_) => None,
        }
    }

    /// The leaves of a subtrie that becomes part of another's bucket. If it is a node, it is an old
    /// bucket: new ones stand below new branches or at the root.
    fn absorb(&mut self, built: Built) -> Result<Vec<Leaf>, StateError> {
        let bucket = match built {
            Built::Leaves(leaves) => return Ok(leaves),
            Built::Node(bucket) => bucket,
        };
        let slot = bucket.node.index();
        let mut leaves = self.spare.pop().unwrap_or_default();
        for packed in self.tree.fetch(&[slot])? {
            self.tree
                .open_bucket(&bucket, &packed, &mut leaves, &mut self.hashed)?;
            self.retired.buckets.push((slot, Some(packed)));
        }
        Ok(leaves)
    }

    /// Builds a subtrie from sorted leaves.
    fn build(&mut self, leaves: Vec<Leaf>) -> Option<Built> {
        match leaves.len() {
            0 => None,
            count if count <= MAX_BUCKET_LEAVES => Some(Built::Leaves(leaves)),
            _ => Some(Built::Node(self.build_branches(&leaves))),
        }
    }

    fn build_branches(&mut self, leaves: &[Leaf]) -> Child {
        if leaves.len() <= MAX_BUCKET_LEAVES {
            let mut list = self.spare.pop().unwrap_or_default();
            list.extend_from_slice(leaves);
            return self.new_bucket(list);
        }
        let (position, middle) = divide(leaves);
        let (left, right) = leaves.split_at(middle);
        let left = Built::Node(self.build_branches(left));
        let right = Built::Node(self.build_branches(right));
        self.new_branch(position, left, right)
    }

    /// Makes a node of a subtrie.
    fn settle(&mut self, built: Built) -> Child {
        match built {
            Built::Node(node) => node,
            Built::Leaves(leaves) => self.new_bucket(leaves),
        }
    }

    fn new_bucket(&mut self, mut leaves: Vec<Leaf>) -> Child {
        let hash = hash_leaves(&mut leaves, &mut self.hashed);
        let packed = pack(&leaves, &hash, &mut self.bytes);
        let node = NodeRef::bucket(self.buckets.len() as u32).pending();
        self.buckets.push(NewBucket {
            leaves: leaves.len() as u8,
            packed,
        });
        leaves.clear();
        self.spare.push(leaves);
        Child { node, hash }
    }

    fn new_branch(&mut self, position: u16, left: Built, right: Built) -> Child {
        let branch = Branch {
            left: self.settle(left),
            right: self.settle(right),
            position,
        };
        let node = NodeRef::branch(self.branches.len() as u32).pending();
        self.branches.push(branch);
        self.hashed += 1;
        branch.as_child(node)
    }
}
