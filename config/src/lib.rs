//! Node configuration and genesis: typed, validated, with defaults.
//!
//! What operators write by hand or hand to each other is read here: the genesis of a network, a
//! node's own configuration, the public files with which agencies apply for membership, and the
//! files that hold secret keys. Whatever is wrong is refused with the file, the key and the
//! reason, before any other part of the system sees it.
//!
//! The canonical encoding of a [`Genesis`] names the main chain, so its structures are part of the
//! chain's format: see `docs/formats.md`.
//!
//! This crate must never open a network connection, read a clock, decide what a chain does, or
//! show a secret key in a message.

pub mod application;
pub mod catalogue;
pub mod document;
pub mod error;
pub mod genesis;
mod genesis_file;
pub mod governance;
pub mod member;
pub mod names;
pub mod node;
pub mod parameters;
pub mod secret;

pub use application::Application;
pub use catalogue::{CertificateType, Field, FieldKind, SideChain};
pub use error::{ConfigError, ContentError, Problem};
pub use genesis::{Genesis, GenesisAgency, GenesisContent, GenesisRegistrar, GenesisValidator};
pub use governance::Governance;
pub use member::{Account, AccountKind, Member};
pub use names::{Name, NetAddress, OrganisationCode, Title};
pub use node::{GrpcLimits, LogConfig, LogFormat, NodeConfig, Peer};
pub use parameters::{Limits, Parameters, Timers};
pub use secret::SecretFileError;
