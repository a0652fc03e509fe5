//! The main chain's application: identities, their keys and their life.
//!
//! An identity is registered by three parties: the certifying agency that checked the person, the
//! registrar that reviewed the draft, the holder with its new key. Its tag, a pseudonym of the
//! identity document, is unique. Later changes keep every earlier version of keys and status, each
//! with the heights for which it held, so that one leaf of the present state proves who held which
//! key at any height.

pub mod keys;
mod record;
mod rules;

pub use record::{
    IdentityAt, IdentityKind, IdentityRecord, IdentityStatus, IdentityVersion, MAX_RECORD_BYTES,
    PastVersion, RECORD_VERSION, RestartNoticeRecord,
};
pub use rules::{IdentityApplication, restart_notice};

#[cfg(test)]
mod tests;
