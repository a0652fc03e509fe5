//! The ledger: what blocks mean. It checks and executes blocks, keeps the authenticated state and
//! the history of a chain in one database, hands out proofs, and verifies those of others. The main
//! chain's application, identities, lives here too.
//!
//! # How a block passes through
//!
//! 1. Transactions come in, are decoded by `certchain-proto` and verified in batches
//!    ([`signatures`]); only a [`signatures::VerifiedTransaction`] goes further.
//! 2. [`chain::Chain::admit`] asks whether one would succeed alone on the newest state; the
//!    [`mempool`] keeps it, within bounds and quotas that the chain fixes.
//! 3. [`chain::Chain::draft`] picks what can stand in a block; [`chain::Chain::check_block`] judges
//!    a proposal, own or foreign; [`chain::Chain::store_body`] syncs it to disk, before any vote.
//! 4. [`chain::Chain::execute`] computes receipts and state root beside the committed state, while
//!    the votes travel.
//! 5. [`chain::Chain::commit`] takes the certificate and makes one atomic, synced write.
//!
//! # What it must never do
//!
//! Read a clock or draw random numbers (but for the coefficients of signature batches), open a
//! connection, know of views and votes beyond verifying a certificate, or let anything that has no
//! fixed order reach a hash. Without its feature `store` it reaches no database: verifiers of
//! proofs compile none.

pub mod evidence;
pub mod execution;
pub mod genesis;
pub mod governance;
pub mod history;
pub mod identity;
pub mod mempool;
pub mod merkle;
pub mod parameters;
pub mod receipt;
pub mod refusal;
pub mod side_chains;
pub mod signatures;
pub mod state;
pub mod validator_set;
pub mod versioned;
pub mod view;

#[cfg(feature = "chain")]
pub mod audit;
#[cfg(feature = "chain")]
pub mod chain;
#[cfg(feature = "chain")]
pub mod store;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod golden;
