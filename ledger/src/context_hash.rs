//! Hashing in a context whose key is computed once, for structures that hash by the thousand.

use std::sync::LazyLock;

use blake3::hazmat::{ContextKey, HasherExt, hash_derive_key_context};
use certchain_proto::context::HashContext;

/// A context with its key. Gives the same hashes as `certchain_proto::hash::hash_parts`.
pub(crate) struct CachedContext {
    key: LazyLock<ContextKey>,
}

macro_rules! cached_context {
    ($name:ident, $context:ident) => {
        static $name: $crate::context_hash::CachedContext =
            $crate::context_hash::CachedContext::new(|| {
                $crate::context_hash::key_of(certchain_proto::context::$context)
            });
    };
}

pub(crate) use cached_context;

pub(crate) fn key_of(context: HashContext) -> ContextKey {
    hash_derive_key_context(context.as_str())
}

impl CachedContext {
    pub(crate) const fn new(key: fn() -> ContextKey) -> Self {
        Self {
            key: LazyLock::new(key),
        }
    }

    /// The hash of the parts, one after the other.
    pub(crate) fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_from_context_key(&self.key);
        for part in parts {
            hasher.update(part);
        }
        *hasher.finalize().as_bytes()
    }
}
