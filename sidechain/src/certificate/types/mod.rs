//! What differs between the types of certificates, as a table that the engine asks. Which table is
//! for a type follows from the side chain that its entry of the catalogue names: one file a chain.

mod business;
mod degree;
mod health;
mod marriage;
mod property;

use std::ops::RangeInclusive;

use certchain_config::catalogue::SideChain;
use certchain_ledger::{identity::IdentityKind, state::StateKey};
use certchain_proto::Address;

use super::{CertificateRecord, keys};

/// The rules of all types of one side chain. To change one forks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeRules {
    /// How many holders a certificate has.
    pub holders: RangeInclusive<usize>,
    /// What kinds of accounts may hold one.
    pub holder_kinds: &'static [IdentityKind],
    /// Whether the holders sign its issue, after the issuer. Such types have no batches.
    pub consent: bool,
    /// Of what a certificate is the only one in force.
    pub claims: Claims,
    /// Who may revoke it.
    pub revokers: Revokers,
    /// Whether a certificate must have an end, be it by the catalogue or by its draft.
    pub always_ends: bool,
}

/// Of what a certificate is the only one of its type in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claims {
    /// Of nothing: any number may be in force.
    Nothing,
    /// Of the thing that a field names. The draft carries the hash of the field's value.
    Field(&'static str),
    /// Of each of its holders.
    Holders,
}

/// Who may revoke a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revokers {
    /// Its issuer.
    Issuer,
    /// Its issuer, and every agency that is accredited for the type.
    Accredited,
}

/// The rules of a side chain.
pub const fn rules(chain: SideChain) -> &'static TypeRules {
    match chain {
        SideChain::Marriage => &marriage::RULES,
        SideChain::Property => &property::RULES,
        SideChain::Degree => &degree::RULES,
        SideChain::Business => &business::RULES,
        SideChain::Health => &health::RULES,
    }
}

impl TypeRules {
    /// The keys of what a certificate claims.
    pub(super) fn claim_keys<'a>(
        &self,
        claim: Option<&[u8; 32]>,
        holders: impl Iterator<Item = &'a Address>,
    ) -> Vec<StateKey> {
        match self.claims {
            Claims::Nothing => Vec::new(),
            Claims::Field(_) => claim.map(keys::claim).into_iter().collect(),
            Claims::Holders => holders
                .map(|holder| keys::claim(holder.as_bytes()))
                .collect(),
        }
    }

    /// The keys of what a recorded certificate claims.
    pub(super) fn claims_of(&self, record: &CertificateRecord) -> Vec<StateKey> {
        self.claim_keys(
            record.claim.as_ref(),
            record.holders.iter().map(|holder| &holder.address),
        )
    }
}
