//! The protobuf messages and, with the feature `grpc`, the service stubs of `certchain.v1`.
//!
//! The `.proto` files under `proto/proto` are the contract and hold the documentation.

/// The generated code.
#[allow(missing_docs, clippy::all, clippy::unwrap_used, unused_qualifications)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/certchain.v1.rs"));
}

/// The encoded descriptors of all files, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
