//! The keys of the main chain's state [law]: a namespace byte, then fields of fixed length, numbers
//! big-endian so that they sort.
//!
//! | byte | key | value |
//! | --- | --- | --- |
//! | 1 | address (32) | [`super::IdentityRecord`] |
//! | 2 | tag (32) | address of the one identity with this tag |
//! | 3 | address (32), sequence (4) | [`super::PastVersion`] |
//! | 4 | hash of an organisation code (32) | address of the account with this code |
//! | 5 | address that a rotated-to key would have as a first key (32) | address of the account |
//! | 6 | | [`crate::parameters::ChainParameters`] |
//! | 7 | | the validator set that decides the next block |
//! | 8 | epoch (8), validator (2) | [`super::RestartNoticeRecord`] |
//! | 9 to 11 | | [`crate::side_chains`] |
//! | 12 | address (32) | [`super::RecoveryRecord`]: the account's last recovery |
//!
//! A key of an account is in use for ever: a first key because its hash is the address, a later one
//! by its leaf under 5. So a registration writes two leaves (three with an organisation code).

use certchain_proto::{
    Address, Epoch, ValidatorIndex,
    context::HashContext,
    hash::{IdentityTag, hash_parts},
    hash_context,
};

use crate::state::StateKey;

/// Namespace of identities.
pub const IDENTITY: u8 = 1;
/// Namespace of tags.
pub const TAG: u8 = 2;
/// Namespace of past versions.
pub const PAST: u8 = 3;
/// Namespace of organisation codes.
pub const ORGANISATION: u8 = 4;
/// Namespace of keys that accounts rotated to.
pub const ROTATED_KEY: u8 = 5;
/// Namespace of the chain's parameters.
pub const PARAMETERS: u8 = 6;
/// Namespace of the validator set.
pub const VALIDATORS: u8 = 7;
/// Namespace of restart notices.
pub const RESTART: u8 = 8;
/// Namespace of recoveries.
pub const RECOVERY: u8 = 12;

const ORGANISATION_CONTEXT: HashContext = hash_context!("certchain v1 organisation code");

/// Where an identity's record is.
pub fn identity(address: &Address) -> StateKey {
    key(IDENTITY, address.as_bytes(), &[])
}

/// Where the owner of a tag is.
pub fn tag(tag: &IdentityTag) -> StateKey {
    key(TAG, tag.as_bytes(), &[])
}

/// Where a version that is no longer present is.
pub fn past(address: &Address, sequence: u32) -> StateKey {
    key(PAST, address.as_bytes(), &sequence.to_be_bytes())
}

/// Where the owner of an organisation code is.
pub fn organisation(code: &str) -> StateKey {
    key(
        ORGANISATION,
        &hash_parts(ORGANISATION_CONTEXT, &[code.as_bytes()]),
        &[],
    )
}

/// Where the owner of a key that was rotated to is; `first` is the address that an account would
/// have whose first key it were.
pub fn rotated_key(first: &Address) -> StateKey {
    key(ROTATED_KEY, first.as_bytes(), &[])
}

/// Where an account's last recovery is.
pub fn recovery(address: &Address) -> StateKey {
    key(RECOVERY, address.as_bytes(), &[])
}

/// Where the parameters are.
pub fn parameters() -> StateKey {
    key(PARAMETERS, &[], &[])
}

/// Where the validator set is.
pub fn validators() -> StateKey {
    key(VALIDATORS, &[], &[])
}

/// Where a validator's last restart notice is.
pub fn restart(epoch: Epoch, validator: ValidatorIndex) -> StateKey {
    key(
        RESTART,
        &epoch.get().to_be_bytes(),
        &validator.get().to_be_bytes(),
    )
}

#[allow(clippy::expect_used)]
fn key(namespace: u8, first: &[u8], second: &[u8]) -> StateKey {
    let mut bytes = Vec::with_capacity(1 + first.len() + second.len());
    bytes.push(namespace);
    bytes.extend_from_slice(first);
    bytes.extend_from_slice(second);
    StateKey::new(&bytes).expect("all namespaces have keys of 1 to 37 bytes")
}
