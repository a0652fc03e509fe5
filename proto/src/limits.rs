//! Bounds on everything that is decoded, before memory is spent on it.

/// Most validators that one chain may have; the timing of view changes is tested up to here.
pub const MAX_VALIDATORS: usize = 64;

/// Largest transaction, body and signatures together, in bytes. Genesis may ask for less.
pub const MAX_TRANSACTION_BYTES: usize = 256 * 1024;

/// Most signatures under one transaction.
pub const MAX_SIGNATURES: usize = 8;

/// Largest sum of transaction bytes in one block. Genesis may ask for less.
pub const MAX_BLOCK_BYTES: usize = 4 * 1024 * 1024;

/// Most transactions in one block. Genesis may ask for less.
pub const MAX_BLOCK_TRANSACTIONS: usize = 16 * 1024;

/// Largest encoding of a sealed block: its transactions, their lengths, header and certificates.
pub const MAX_SEALED_BLOCK_BYTES: usize =
    MAX_BLOCK_BYTES + MAX_BLOCK_TRANSACTIONS * 8 + 4 * MAX_CERTIFICATE_BYTES;

/// Largest encoding of a certificate: one signature and index per validator, and its statement.
pub const MAX_CERTIFICATE_BYTES: usize = MAX_VALIDATORS * (64 + 2) + 256;

const _: () = assert!(MAX_TRANSACTION_BYTES * 4 <= MAX_BLOCK_BYTES);
