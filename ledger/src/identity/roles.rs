//! What each kind of account may do. The rules of all chains ask this table; `docs/identities.md`
//! shows it, and a test compares the two.

use super::record::IdentityKind;

/// What some kinds of accounts may do and others not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// Change its own keys and devices.
    KeepOwnKeys,
    /// Suspend itself, be recovered by others, and object to that. Registrars are not: who is in
    /// office is for governance, and somebody must be.
    GuardOwnAccount,
    /// Check a person or organisation and sign its registration, recovery or end as agency.
    CertifyIdentities,
    /// Review and sign registrations, recoveries and ends as information centre.
    RecordIdentities,
    /// Suspend identities that it drafted.
    SuspendDraftedIdentities,
    /// Suspend any identity.
    SuspendIdentities,
    /// Lift suspensions.
    ReinstateIdentities,
    /// Issue and revoke certificates of the types for which it is accredited.
    IssueCertificates,
    /// Record checks of certificates.
    RecordChecks,
}

impl Act {
    /// All acts, in the order of the published table.
    pub const ALL: [Self; 9] = [
        Self::KeepOwnKeys,
        Self::GuardOwnAccount,
        Self::CertifyIdentities,
        Self::RecordIdentities,
        Self::SuspendDraftedIdentities,
        Self::SuspendIdentities,
        Self::ReinstateIdentities,
        Self::IssueCertificates,
        Self::RecordChecks,
    ];

    /// How the published table names it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::KeepOwnKeys => "change its own keys and devices",
            Self::GuardOwnAccount => "suspend itself, be recovered, object to that",
            Self::CertifyIdentities => "sign registrations, recoveries and ends as agency",
            Self::RecordIdentities => "sign registrations, recoveries and ends as registrar",
            Self::SuspendDraftedIdentities => "suspend identities that it drafted",
            Self::SuspendIdentities => "suspend any identity",
            Self::ReinstateIdentities => "lift suspensions",
            Self::IssueCertificates => "issue and revoke certificates, where accredited",
            Self::RecordChecks => "record checks of certificates",
        }
    }

    /// The kinds that may do it.
    pub const fn kinds(self) -> &'static [IdentityKind] {
        use IdentityKind::{Agency, Auditor, Citizen, Organisation, Registrar, Verifier};
        match self {
            Self::KeepOwnKeys => &[Citizen, Organisation, Agency, Verifier, Auditor, Registrar],
            Self::GuardOwnAccount => &[Citizen, Organisation, Agency, Verifier, Auditor],
            Self::CertifyIdentities | Self::SuspendDraftedIdentities | Self::IssueCertificates => {
                &[Agency]
            }
            Self::RecordIdentities | Self::SuspendIdentities | Self::ReinstateIdentities => {
                &[Registrar]
            }
            Self::RecordChecks => &[Citizen, Organisation, Agency, Verifier, Registrar],
        }
    }
}

/// Whether accounts of a kind may do something.
pub fn may(kind: IdentityKind, act: Act) -> bool {
    act.kinds().contains(&kind)
}
