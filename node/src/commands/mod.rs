//! What `certchain-node` can be told to do.

pub mod audit;
pub mod genesis;
pub mod init;
pub mod peers;
pub mod run;
pub mod show;
mod story;
