//! Clusters of real nodes: `certchain-node` processes on loopback, each with its own data folder,
//! RocksDB, libp2p and gRPC, killed and restarted as tests and benchmarks wish.
//!
//! Ports are chosen by the system, waits have a condition and a deadline, and a cluster that is
//! dropped by a failing test shows its logs. A log in which a thread panicked fails the test that
//! made it.

pub mod binaries;
pub mod certificates;
pub mod chaos;
pub mod check;
pub mod client;
pub mod damage;
pub mod disk;
pub mod fixtures;
pub mod flood;
pub mod http;
pub mod issuing;
pub mod links;
pub mod load;
pub mod network;
pub mod node;
pub mod ports;
pub mod process;
pub mod wait;

pub use client::Client;
pub use fixtures::{Account, Office};
pub use links::Links;
pub use network::{Cluster, ClusterOptions};
pub use node::Node;
