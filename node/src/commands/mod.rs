//! What `certchain-node` can be told to do.

pub mod apply;
pub mod audit;
pub mod genesis;
pub mod init;
pub mod new_key;
pub mod peers;
pub mod run;
pub mod show;
mod story;
