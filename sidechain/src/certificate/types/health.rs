//! Health certificates: one citizen's, for a limited time.

use certchain_ledger::identity::IdentityKind;

use super::{Claims, Revokers, TypeRules};

pub(super) const RULES: TypeRules = TypeRules {
    holders: 1..=1,
    holder_kinds: &[IdentityKind::Citizen],
    consent: false,
    claims: Claims::Nothing,
    revokers: Revokers::Accredited,
    always_ends: true,
};
