//! What holders, issuers and verifiers use: wallets, transactions that several parties sign,
//! connections to nodes, and a light client that believes no node.
//!
//! - [`wallet`]: keys encrypted at rest, their rotation, the public part that others may see;
//! - [`attributes`]: what a person is called, as salted commitments; [`tag`]: one person, one
//!   identity, under a key that the information centres share;
//! - [`certificate`]: drafts and encrypts certificates, opens those that came, shows their fields;
//!   [`qr`]: presentations as pictures, written and read;
//! - [`transaction`]: builds every kind and passes one body from signer to signer;
//! - [`connection`]: submits and reads over gRPC, with deadlines and fail-over;
//! - [`query`]: signs questions that only the account itself may ask;
//! - [`light`]: checks headers, states, transactions and histories against a genesis.
//!
//! This crate must never trust what a node says where a proof can be had, write a secret in clear,
//! or overwrite a wallet; and it reaches neither RocksDB nor libp2p, so that a verifier's machine
//! compiles no database.

pub mod atomic_file;
pub mod attributes;
pub mod certificate;
pub mod connection;
pub mod light;
pub mod qr;
pub mod query;
pub mod tag;
pub mod text_file;
pub mod transaction;
pub mod wallet;

/// The machine gave no random bytes.
pub use certchain_proto::key::NoRandomness;

/// Fills an array with random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}
