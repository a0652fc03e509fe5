//! Certificates on side chains: the lifecycle engine, the five types, checks and metering, and the
//! two-way anchor between side chains and the main chain.
//!
//! This crate must never decide who validates a side chain (main's state does), judge validity by a
//! local clock, or put a field of a certificate on chain in clear. It reaches no database, so that
//! verifiers of packs and presentations compile none.

pub mod anchor;
pub mod certificate;
pub mod encryption;
pub mod fields;
pub mod genesis;
mod hand_over;
pub mod network;
pub mod pack;
pub mod package;
pub mod presentation;
