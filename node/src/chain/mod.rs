//! One chain on this node: its engine, executor, mempool and traffic, and the channels between
//! them. Chains share the store, the swarm and the worker pools, and nothing else.

mod anchor;
mod bodies;
mod budget;
mod engine_thread;
mod evidence;
mod exchange;
mod executor;
mod host;
mod inbound;
mod intake;
mod pause;
mod seats;
mod serve;
mod start;
mod suspects;
mod sweep;
mod sync;
mod vote_keys;
mod waiters;

pub use engine_thread::now;
pub use host::{Busy, ChainHost, ChainStatus, WaitError};
pub use intake::{Admission, Submission};
pub use start::{ChainSpec, ChainTask, StartError, Surroundings, journal_dir};
pub use vote_keys::VoteKeys;
