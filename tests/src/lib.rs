//! Cross-crate tests: real-process clusters, fault injection, vectors, load

pub mod cluster;
