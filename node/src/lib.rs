//! The CertChain daemon: hosts the chains, serves gRPC and metrics, and audits.
//!
//! This is the only place where consensus, ledger and network meet. Each chain has an engine thread
//! that steps the consensus engine and makes its promises durable, an executor thread that checks,
//! executes and stores blocks, and tasks that carry messages; they talk through channels, and
//! nothing blocks the engine.
//!
//! This crate must never decide what is valid (the ledger does), what is agreed (consensus does) or
//! who may connect (the chain's state does), and must never log personal data or keys.

pub mod admission;
pub mod chain;
pub mod commands;
pub mod daemon;
pub mod grpc;
pub mod journal;
pub mod logging;
pub mod metrics;
pub mod pool;
pub mod stop;
