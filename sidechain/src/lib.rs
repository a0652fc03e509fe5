//! Certificates on side chains: the lifecycle engine, the five types, checks and metering, and the
//! two-way anchor between side chains and the main chain.
//!
//! The room is kept for the release that brings the side chains; until then the daemon hosts the
//! main chain alone and refuses a configuration that names another one. What it will build on
//! stands already: the checkpoint in [`certchain_proto::BlockHeader`], the catalogue of certificate
//! types in genesis, and the evidence types of `certchain_ledger::evidence`.
//!
//! This crate must never decide who validates a side chain (main's state does), judge validity by a
//! local clock, or put a field of a certificate on chain in clear.
