//! Degrees and diplomas: one citizen's; only the school that gave it takes it back.

use certchain_ledger::identity::IdentityKind;

use super::{Claims, Revokers, TypeRules};

pub(super) const RULES: TypeRules = TypeRules {
    holders: 1..=1,
    holder_kinds: &[IdentityKind::Citizen],
    consent: false,
    claims: Claims::Nothing,
    revokers: Revokers::Issuer,
    always_ends: false,
};
