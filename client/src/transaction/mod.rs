//! Transactions: bodies of every kind, who must sign them, and the draft that travels from signer
//! to signer.

mod build;
mod describe;
mod draft;
mod party;

#[cfg(test)]
mod certificate_tests;
#[cfg(test)]
mod tests;

pub use build::{
    Registration, Terms, accept_accreditation, accept_certificate, add_device, complete_recovery,
    decide_recovery, decline_certificate, issue_batch, issue_certificate, object_to_recovery,
    propose, record_check, recover_key, register_identity, reinstate_identity, remove_device,
    restart_notice, revoke_certificate, revoke_identity, rotate_key, suspend_identity, vote,
};
pub use describe::{describe, describe_change, kind_name};
pub use draft::{Draft, DraftError};
pub use party::{Party, Role, Signer, parties};
