//! The vocabulary of CertChain: identifiers, hashes, keys, signatures, signing contexts, the codec
//! of everything that nodes exchange or store, and the protobuf messages that clients see.
//!
//! Every rule in here is part of the chain's format: a change of one byte forks every chain. The
//! bytes are described in `docs/formats.md` and pinned by golden vectors.
//!
//! This crate must never do input or output, read a clock, decide a policy, or know which chain it
//! serves. It reaches no async runtime unless its feature `grpc` (service stubs) is asked for.

pub mod address;
pub mod block;
pub mod certificate;
pub mod codec;
pub mod context;
pub mod hash;
pub mod ids;
pub mod key;
pub mod limits;
pub mod query;
pub mod signature;
pub mod transaction;
pub mod validators;
pub mod wire;

pub use address::Address;
pub use block::{BlockHeader, Checkpoint, Outcome, SealedBlock};
pub use certificate::{CommitCertificate, CommitVote, PrepareVote};
pub use ids::{ChainId, Epoch, Height, TimeMs, ValidatorIndex, View};
pub use key::{PublicKey, SecretKey};
pub use signature::{Signature, SignatureBatch};
pub use validators::{Validator, ValidatorSet};
