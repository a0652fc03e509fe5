//! The keys of governance in main's state [law], beside those of [`crate::identity::keys`] and
//! [`crate::side_chains`]:
//!
//! | byte | key | value |
//! | --- | --- | --- |
//! | 48 | | [`super::RulesRecord`]: how main votes |
//! | 49 | proposal id (32) | [`super::ProposalRecord`] |
//! | 50 | vote key (32) | [`super::ProposalList`]: the proposals of this validator that may be open |
//! | 51 | height (8) | [`super::ProposalList`]: the proposals that this block's end decides |
//! | 52 | address (32) | [`super::OffersRecord`]: accreditations that the agency may accept |
//! | 53 | | [`super::RegistrarsRecord`]: who is a registrar |
//! | 54 | | [`super::TypesRecord`]: the names of the catalogue's types |
//! | 55 | | [`super::MembersRecord`]: who the validators are, and who follows |
//!
//! A proposal's id is that of the transaction that made it. The leaf under 51 goes away at the end
//! of its block; the others stay.

use certchain_proto::{Address, Height};

use super::ProposalId;
use crate::state::StateKey;

/// Namespace of the rules of voting.
pub const RULES: u8 = 48;
/// Namespace of proposals.
pub const PROPOSAL: u8 = 49;
/// Namespace of the validators' open proposals.
pub const OPEN: u8 = 50;
/// Namespace of what is due at a height.
pub const DUE: u8 = 51;
/// Namespace of accreditations that wait for their agency.
pub const OFFERS: u8 = 52;
/// Namespace of the list of registrars.
pub const REGISTRARS: u8 = 53;
/// Namespace of the list of types.
pub const TYPES: u8 = 54;
/// Namespace of the list of validators and observers.
pub const MEMBERS: u8 = 55;

/// Where the rules of voting are.
pub fn rules() -> StateKey {
    key(RULES, &[])
}

/// Where a proposal is.
pub fn proposal(id: &ProposalId) -> StateKey {
    key(PROPOSAL, id.as_bytes())
}

/// Where the proposals of a validator are that may be open, by its vote key.
pub fn open(vote_key: &[u8; 32]) -> StateKey {
    key(OPEN, vote_key)
}

/// Where the proposals are that the end of this block decides.
pub fn due(height: Height) -> StateKey {
    key(DUE, &height.to_be_bytes())
}

/// Where the accreditations are that an agency may accept.
pub fn offers(agency: &Address) -> StateKey {
    key(OFFERS, agency.as_bytes())
}

/// Where the list of registrars is.
pub fn registrars() -> StateKey {
    key(REGISTRARS, &[])
}

/// Where the names of the catalogue's types are.
pub fn types() -> StateKey {
    key(TYPES, &[])
}

/// Where the list of validators and observers is.
pub fn members() -> StateKey {
    key(MEMBERS, &[])
}

#[allow(clippy::expect_used)]
fn key(namespace: u8, rest: &[u8]) -> StateKey {
    let mut bytes = Vec::with_capacity(1 + rest.len());
    bytes.push(namespace);
    bytes.extend_from_slice(rest);
    StateKey::new(&bytes).expect("all namespaces have keys of 1 to 33 bytes")
}
