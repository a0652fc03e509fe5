//! The keys of a side chain's state [law]: a namespace byte, then fields of fixed length. Parameters,
//! validator set and restart notices stand where main has them
//! (`certchain_ledger::identity::keys`, namespaces 6 to 8).
//!
//! | byte | key | value |
//! | --- | --- | --- |
//! | 32 | certificate id (32) | [`super::CertificateRecord`] |
//! | 33 | issuer (32), type key (32) | number of certificates issued, 8 bytes, big-endian |
//! | 34 | hash of a claim (32) | id of the certificate that holds the claim |
//! | 35 | presentation id (32) | [`super::CheckRecord`] |
//! | 36 | type key (32) | the type's entry of the catalogue, in the codec's form |

use certchain_ledger::state::StateKey;
use certchain_proto::{
    Address, context,
    hash::{CertificateId, PresentationId, hash_parts, type_key},
};

/// Namespace of certificates.
pub const CERTIFICATE: u8 = 32;
/// Namespace of serial counters.
pub const SERIALS: u8 = 33;
/// Namespace of claims.
pub const CLAIM: u8 = 34;
/// Namespace of checks.
pub const CHECK: u8 = 35;
/// Namespace of certificate types.
pub const TYPE: u8 = 36;

/// Where a certificate's record is.
pub fn certificate(id: &CertificateId) -> StateKey {
    key(CERTIFICATE, id.as_bytes(), &[])
}

/// Where the number of certificates of an issuer and type is.
pub fn serials(issuer: &Address, type_name: &str) -> StateKey {
    key(SERIALS, issuer.as_bytes(), &type_key(type_name))
}

/// Where the certificate that holds a claim is: of all certificates of the chain that make the same
/// claim, of whatever types, only one can be in force.
pub fn claim(claim: &[u8; 32]) -> StateKey {
    let hash = hash_parts(context::CLAIM_KEY, &[claim]);
    key(CLAIM, &hash, &[])
}

/// Where the record of a check is.
pub fn check(id: &PresentationId) -> StateKey {
    key(CHECK, id.as_bytes(), &[])
}

/// Where a certificate type is.
pub fn certificate_type(type_name: &str) -> StateKey {
    key(TYPE, &type_key(type_name), &[])
}

#[allow(clippy::expect_used)]
fn key(namespace: u8, first: &[u8; 32], second: &[u8]) -> StateKey {
    let mut bytes = Vec::with_capacity(33 + second.len());
    bytes.push(namespace);
    bytes.extend_from_slice(first);
    bytes.extend_from_slice(second);
    StateKey::new(&bytes).expect("all namespaces have keys of 33 or 65 bytes")
}
