//! Anchors, conflicts and packs, over chains with real keys, trees, proofs and certificates.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod anchor;
mod conflict;
mod pack;
mod pack_bytes;
mod world;
