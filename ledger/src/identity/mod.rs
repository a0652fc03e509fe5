//! The main chain's application: identities, their keys and their life.
//!
//! An identity is registered by three parties: the certifying agency that checked the person, the
//! registrar that reviewed the draft, the holder with its new key. Its tag, a pseudonym of the
//! identity document, is unique. Later changes keep every earlier version of keys and status, each
//! with the heights for which it held, so that one leaf of the present state proves who held which
//! key at any height.

mod devices;
pub mod keys;
mod record;
mod recovery;
mod roles;
mod rules;

pub use record::{
    IdentityAt, IdentityKind, IdentityRecord, IdentityStatus, IdentityVersion, MAX_DEVICES,
    MAX_RECORD_BYTES, PastVersion, RECORD_VERSION, RecoveryRecord, RecoveryStage,
    RestartNoticeRecord,
};
pub use roles::{Act, may};
pub use rules::{IdentityApplication, restart_notice};

#[cfg(test)]
mod tests;
