//! Cross-crate tests: deterministic simulator, real-process clusters, fault injection, vectors, load

pub mod cluster;
pub mod simulator;
