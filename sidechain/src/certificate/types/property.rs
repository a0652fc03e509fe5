//! Titles to land and buildings: a parcel has one title in force, of one owner or two.

use certchain_config::catalogue::PARCEL;
use certchain_ledger::identity::IdentityKind;

use super::{Claims, Revokers, TypeRules};

pub(super) const RULES: TypeRules = TypeRules {
    holders: 1..=2,
    holder_kinds: &[IdentityKind::Citizen, IdentityKind::Organisation],
    consent: false,
    claims: Claims::Field(PARCEL),
    revokers: Revokers::Accredited,
    always_ends: false,
};
