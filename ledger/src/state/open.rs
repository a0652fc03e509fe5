//! Opening: the branches above the stored buckets are rebuilt and everything is verified.

use certchain_proto::Height;
use certchain_proto::hash::StateRoot;

use super::arena::{Arena, Branch, Bucket, Child, IdPool, NodeRef};
use super::bucket::{BucketFault, unpack};
use super::error::StateError;
use super::hash::empty_root;
use super::key::StateKey;
use super::store::{BucketId, TreeStore};
use super::tree::{StateTree, Version, root_of};
use super::update::Retired;

/// Numbers are taken densely, so a sound store has none from here on.
const BUCKET_ID_LIMIT: u32 = 1 << 31;

impl<S: TreeStore> StateTree<S> {
    /// Opens the state that `store` holds, which must be that of `newest`: height and root as the
    /// chain has them, or `None` before genesis. Reads and hashes every leaf, so that a damaged
    /// bucket is found here and named. `window` is how many versions stay provable; only the
    /// newest is until more are committed.
    pub fn open(
        store: S,
        newest: Option<(Height, StateRoot)>,
        window: usize,
    ) -> Result<Self, StateError> {
        let mut arena = Arena::default();
        let mut found = Found::default();
        let (mut leaves, mut hashed) = (Vec::new(), 0);
        store.scan_buckets(&mut |id, packed| {
            let corrupt = |fault| StateError::CorruptBucket { id, fault };
            if id.get() >= BUCKET_ID_LIMIT {
                return Err(corrupt(BucketFault::StoredKey));
            }
            leaves.clear();
            let hash = unpack(packed, &mut leaves, &mut hashed).map_err(corrupt)?;
            arena.buckets.check_room(1)?;
            let count = leaves.len() as u8;
            let slot = arena.buckets.insert(Bucket::new(id, count, None));
            if let Some(first) = leaves.first() {
                found.add(
                    first.key.as_bytes(),
                    Child {
                        node: NodeRef::bucket(slot),
                        hash,
                    },
                );
            }
            Ok(())
        })?;

        let top = found.join(&mut arena)?;
        let root = root_of(top.as_ref());
        let expected = newest.map_or_else(empty_root, |(_, root)| root);
        if root != expected {
            return Err(StateError::RootMismatch {
                expected,
                found: root,
            });
        }
        let mut ids: Vec<BucketId> = found.entries.iter().map(|entry| entry.id(&arena)).collect();
        drop(found);
        ids.sort_unstable();
        let ids = IdPool::with_used(ids.into_iter());
        let mut tree = Self::assemble(store, arena, ids, window);
        if let Some((height, _)) = newest {
            tree.versions.push_back(Version {
                height,
                top,
                retired: Retired::default(),
            });
        }
        Ok(tree)
    }
}

/// The buckets of a store by the first key of each; keys lie in one run of bytes.
#[derive(Default)]
struct Found {
    keys: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy)]
struct Entry {
    start: usize,
    child: Child,
    length: u8,
}

impl Entry {
    fn id(&self, arena: &Arena) -> BucketId {
        arena.buckets.get(self.child.node.index()).id
    }
}

impl Found {
    fn add(&mut self, key: &[u8], child: Child) {
        self.entries.push(Entry {
            start: self.keys.len(),
            child,
            length: key.len() as u8,
        });
        self.keys.extend_from_slice(key);
    }

    /// Makes the trie over the buckets: the branch between two neighbours is at the bit in which
    /// they part, above those with higher positions on both sides.
    fn join(&mut self, arena: &mut Arena) -> Result<Option<Child>, StateError> {
        let keys = &self.keys;
        let key = |entry: &Entry| {
            let end = entry.start + usize::from(entry.length);
            keys.get(entry.start..end).unwrap_or_default()
        };
        self.entries.sort_unstable_by(|a, b| key(a).cmp(key(b)));
        let mut entries = self.entries.iter();
        let Some(mut last) = entries.next() else {
            return Ok(None);
        };
        // What stands left of the current node, each with the position of the branch between.
        let mut open: Vec<(u16, Child)> = Vec::new();
        let mut current = last.child;
        for entry in entries {
            let position = match (StateKey::new(key(last)), StateKey::new(key(entry))) {
                (Ok(a), Ok(b)) if a.is_apart_from(&b) => a.divergence(&b),
                _ => {
                    let (first, second) = (last.id(arena), entry.id(arena));
                    return Err(StateError::ConflictingBuckets { first, second });
                }
            };
            current = close(arena, &mut open, current, position)?;
            open.push((position, current));
            current = entry.child;
            last = entry;
        }
        close(arena, &mut open, current, 0).map(Some)
    }
}

/// Makes the branches that lie below `position`.
fn close(
    arena: &mut Arena,
    open: &mut Vec<(u16, Child)>,
    mut current: Child,
    position: u16,
) -> Result<Child, StateError> {
    while let Some((between, left)) = open.pop_if(|(between, _)| *between >= position) {
        arena.branches.check_room(1)?;
        let branch = Branch {
            left,
            right: current,
            position: between,
        };
        current = branch.as_child(NodeRef::branch(arena.branches.insert(branch)));
    }
    Ok(current)
}
