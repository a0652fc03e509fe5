//! Real networks on the loopback interface, with ports that the system chooses.

#![allow(clippy::expect_used)]

mod common;
mod connecting;
mod direct;
mod fetch;
mod gossip;
