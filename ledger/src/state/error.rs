//! What can go wrong in the state tree.

use certchain_proto::Height;
use certchain_proto::hash::StateRoot;

use super::bucket::BucketFault;
use super::key::StateKey;
use super::store::BucketId;

/// The failure of the store below the tree.
pub type StoreFailure = Box<dyn std::error::Error + Send + Sync>;

/// Why an operation on the state tree failed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A batch names a key more than once.
    #[error("an update names key {key} more than once; join the changes of a key into one")]
    DuplicateKey {
        /// The key.
        key: Box<StateKey>,
    },
    /// A key is a prefix of another: a namespace with keys of different lengths.
    #[error("key {shorter} is a prefix of {longer}; give all keys of a namespace one length")]
    PrefixKey {
        /// The shorter or first key.
        shorter: Box<StateKey>,
        /// The longer or second key.
        longer: Box<StateKey>,
    },
    /// The parent of an update is not the newest version.
    #[error(
        "the update builds on {parent:?}, the newest state is {newest:?}; apply it again there"
    )]
    StaleParent {
        /// The version that was named; `None` stands for the tree before genesis.
        parent: Option<Height>,
        /// The newest version.
        newest: Option<Height>,
    },
    /// The pending update was made by another tree.
    #[error("the pending update belongs to another state tree; commit it to the one that made it")]
    ForeignPending,
    /// The asked version is no longer, or not yet, in memory.
    #[error(
        "no state of height {asked} is kept, only {oldest:?} to {newest:?}; ask for one of these"
    )]
    OutsideWindow {
        /// The asked height.
        asked: Height,
        /// The oldest height that can be asked.
        oldest: Option<Height>,
        /// The newest height that can be asked.
        newest: Option<Height>,
    },
    /// A stored bucket is damaged.
    #[error(
        "state bucket {id} is corrupt ({fault}); restore the node's data from a peer or backup"
    )]
    CorruptBucket {
        /// Which bucket.
        id: BucketId,
        /// What is wrong with it.
        fault: BucketFault,
    },
    /// A bucket that the tree needs is not in the store.
    #[error("state bucket {id} is missing; restore the node's data from a peer or backup")]
    MissingBucket {
        /// Which bucket.
        id: BucketId,
    },
    /// Two stored buckets start with keys that cannot stand in one tree.
    #[error("state buckets {first} and {second} contradict; restore the node's data")]
    ConflictingBuckets {
        /// One bucket.
        first: BucketId,
        /// The other.
        second: BucketId,
    },
    /// The stored buckets, each sound by itself, make another state.
    #[error(
        "the stored state has root {found}, the chain says {expected}; restore the node's data"
    )]
    RootMismatch {
        /// The root that the chain commits to.
        expected: StateRoot,
        /// The root of what is stored.
        found: StateRoot,
    },
    /// The tree has as many nodes as it can number.
    #[error("the state tree is full at {limit} nodes; this release cannot hold more")]
    Full {
        /// The most nodes of a kind.
        limit: u32,
    },
    /// The store failed.
    #[error("the state store failed; check the disk and the node's log")]
    Store(#[source] StoreFailure),
}
