//! Marriages: two citizens, who sign with the agency; neither may be in another marriage in force.

use certchain_ledger::identity::IdentityKind;

use super::{Claims, Revokers, TypeRules};

pub(super) const RULES: TypeRules = TypeRules {
    holders: 2..=2,
    holder_kinds: &[IdentityKind::Citizen],
    consent: true,
    claims: Claims::Holders,
    // A marriage may be dissolved by another office than the one that registered it.
    revokers: Revokers::Accredited,
    always_ends: false,
};
