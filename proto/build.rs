//! Compiles the .proto files with a compiler written in Rust, so that no machine needs protoc.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const FILES: &[&str] = &[
    "certchain/v1/transaction.proto",
    "certchain/v1/chain.proto",
    "certchain/v1/identity_service.proto",
    "certchain/v1/transaction_service.proto",
    "certchain/v1/chain_service.proto",
    "certchain/v1/certificate_service.proto",
    "certchain/v1/governance_service.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    // For gRPC reflection.
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .client_mod_attribute("certchain.v1", "#[cfg(feature = \"grpc\")]")
        .server_mod_attribute("certchain.v1", "#[cfg(feature = \"grpc\")]")
        .bytes("certchain.v1.SignedTransaction.body")
        .compile_fds(descriptors)?;
    Ok(())
}
