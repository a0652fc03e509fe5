//! The validator set as a chain's state holds it.

use certchain_proto::{ValidatorSet, codec, limits::MAX_VALIDATORS};

use crate::{
    identity::keys,
    view::{ReadError, StateView},
};

/// Largest encoding of a validator set.
pub(crate) const MAX_SET_BYTES: usize = MAX_VALIDATORS * 64 + 64;

/// The validator set of a state's value.
///
/// # Errors
/// If the value is none.
pub fn decode_set(value: &[u8]) -> Result<ValidatorSet, ReadError> {
    let corrupt = |source| ReadError::value(keys::validators(), source);
    codec::decode(value, MAX_SET_BYTES).map_err(corrupt)
}

/// The set that decides the block after a state.
///
/// # Errors
/// If the state cannot be read.
pub fn read_set(view: &dyn StateView) -> Result<Option<ValidatorSet>, ReadError> {
    let value = view.value(&keys::validators())?;
    value.map(|value| decode_set(&value)).transpose()
}
