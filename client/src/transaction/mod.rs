//! Transactions: bodies of every kind, who must sign them, and the draft that travels from signer
//! to signer.

mod build;
mod describe;
mod draft;
mod party;

#[cfg(test)]
mod tests;

pub use build::{
    Registration, Terms, recover_key, register_identity, reinstate_identity, restart_notice,
    revoke_identity, rotate_key, suspend_identity,
};
pub use describe::{describe, kind_name};
pub use draft::{Draft, DraftError};
pub use party::{Party, Role, Signer, parties};
