//! What the state holds of a certificate and of a check. Nothing of a certificate's fields but the
//! root over their salted commitments.

use certchain_ledger::versioned::{self, RecordError};
use certchain_proto::{
    Address, Height, TimeMs,
    hash::{CertificateId, DisclosedHash, FieldRoot, TransactionId},
    wire::v1,
};
use serde::{Deserialize, Serialize};

/// Largest encoding of any record of this crate.
pub const MAX_RECORD_BYTES: usize = 4 * 1024;

/// The life of a certificate. That its time is over is no status: it follows from block time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CertificateStatus {
    /// Issued; a holder has not accepted it yet.
    Issued,
    /// Accepted by every holder.
    Active,
    /// Declined by a holder: it never was in force.
    Declined,
    /// Revoked for good.
    Revoked,
}

/// A holder of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HolderRecord {
    /// Its account.
    pub address: Address,
    /// The time of the block in which it accepted.
    pub accepted: Option<TimeMs>,
}

/// A certificate as the present state holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRecord {
    /// Name of its type in the catalogue.
    pub type_name: String,
    /// The agency that issued it.
    pub issuer: Address,
    /// Its number among those of this issuer and type, from 1, without gaps.
    pub serial: u64,
    /// Who holds it.
    pub holders: Vec<HolderRecord>,
    /// Root over the salted commitments of its fields.
    pub field_root: FieldRoot,
    /// What no other certificate of the type may claim while it is in force: a parcel. Spouses are
    /// claimed by being holders.
    pub claim: Option<[u8; 32]>,
    /// The block that issued it.
    pub issued_height: Height,
    /// That block's time.
    pub issued_time: TimeMs,
    /// The transaction that issued it; it carries the encrypted fields.
    pub transaction: TransactionId,
    /// Its line in that transaction, 0 if it is no batch.
    pub line: u32,
    /// Block time from which it is valid.
    pub valid_from: TimeMs,
    /// Block time from which it is expired, if ever.
    pub valid_until: Option<TimeMs>,
    /// Count of changes of its content; 0 as issued.
    pub version: u32,
    /// Where it stands in its life.
    pub status: CertificateStatus,
    /// The block that set the status.
    pub status_height: Height,
    /// That block's time.
    pub status_time: TimeMs,
    /// Why, as a number of the network's published list; 0 where none is asked.
    pub reason: u16,
}

/// What a check found. The numbers are those of the .proto file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CheckResult {
    /// In force.
    Valid,
    /// A holder has not accepted it yet.
    NotAccepted,
    /// A holder declined it.
    Declined,
    /// Revoked.
    Revoked,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// The holder's identity is suspended or revoked.
    HolderNotActive,
    /// The issuer's identity is revoked.
    IssuerRevoked,
}

/// A check that a verifier recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRecord {
    /// The certificate.
    pub certificate: CertificateId,
    /// The holder who showed it.
    pub holder: Address,
    /// Who checked.
    pub verifier: Address,
    /// Whether the presentation was for whoever bears it.
    pub bearer: bool,
    /// Why, as a number of the network's published list.
    pub purpose: u16,
    /// Salted hash of the fields that were shown.
    pub disclosed: DisclosedHash,
    /// What the chain found.
    pub result: CheckResult,
    /// The block.
    pub height: Height,
    /// Its time.
    pub time: TimeMs,
}

macro_rules! codecs {
    ($($name:ident)*) => {$(
        impl $name {
            /// The bytes that the state holds.
            pub fn encode(&self) -> Vec<u8> {
                versioned::encode(self)
            }

            /// Reads the bytes that the state holds.
            ///
            /// # Errors
            /// If they are no such record.
            pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
                versioned::decode(bytes, MAX_RECORD_BYTES)
            }
        }
    )*};
}

codecs! { CertificateRecord CheckRecord }

impl CertificateRecord {
    /// The holder with this address.
    pub fn holder(&self, address: &Address) -> Option<&HolderRecord> {
        self.holders
            .iter()
            .find(|holder| holder.address == *address)
    }

    /// Whether its time is over at a block time. An expired certificate holds no claims.
    pub fn is_expired(&self, time: TimeMs) -> bool {
        self.valid_until.is_some_and(|until| until <= time)
    }
}

impl CheckResult {
    /// As messages name it.
    pub const fn to_wire(self) -> v1::CheckResult {
        match self {
            Self::Valid => v1::CheckResult::Valid,
            Self::NotAccepted => v1::CheckResult::NotAccepted,
            Self::Declined => v1::CheckResult::Declined,
            Self::Revoked => v1::CheckResult::Revoked,
            Self::Expired => v1::CheckResult::Expired,
            Self::NotYetValid => v1::CheckResult::NotYetValid,
            Self::HolderNotActive => v1::CheckResult::HolderNotActive,
            Self::IssuerRevoked => v1::CheckResult::IssuerRevoked,
        }
    }
}
