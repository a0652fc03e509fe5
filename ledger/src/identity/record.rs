//! What the state holds of an identity. No personal data: attributes are behind a root over salted
//! commitments, the document behind a pseudonym.

use certchain_proto::{
    Address, Epoch, Height, TimeMs, ValidatorIndex,
    codec::{self, DecodeError},
    hash::{AttributeRoot, IdentityTag},
    wire::v1::{self, Code},
};
use serde::{Deserialize, Serialize};

use crate::state::StateKey;

/// Version of the records of this application, their first byte. A record keeps the version in which
/// it was written, since its bytes are hashed.
pub const RECORD_VERSION: u8 = 1;

/// Largest encoding of any record of the identity application.
pub const MAX_RECORD_BYTES: usize = 8 * 1024;

/// Most devices of an account besides the holder of its main key.
pub const MAX_DEVICES: usize = 7;

/// The kinds of accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IdentityKind {
    /// A natural person.
    Citizen,
    /// A company or other legal person.
    Organisation,
    /// A certifying agency.
    Agency,
    /// An inspection agency or business that checks certificates.
    Verifier,
    /// Reads everything that can be read.
    Auditor,
    /// An information centre.
    Registrar,
}

impl IdentityKind {
    /// The kind that a message names; `None` for no kind or one unknown to this release.
    pub fn from_wire(kind: i32) -> Option<Self> {
        match v1::IdentityKind::try_from(kind).ok()? {
            v1::IdentityKind::Unspecified => None,
            v1::IdentityKind::Citizen => Some(Self::Citizen),
            v1::IdentityKind::Organisation => Some(Self::Organisation),
            v1::IdentityKind::Agency => Some(Self::Agency),
            v1::IdentityKind::Verifier => Some(Self::Verifier),
            v1::IdentityKind::Auditor => Some(Self::Auditor),
            v1::IdentityKind::Registrar => Some(Self::Registrar),
        }
    }

    /// As messages name it.
    pub const fn to_wire(self) -> v1::IdentityKind {
        match self {
            Self::Citizen => v1::IdentityKind::Citizen,
            Self::Organisation => v1::IdentityKind::Organisation,
            Self::Agency => v1::IdentityKind::Agency,
            Self::Verifier => v1::IdentityKind::Verifier,
            Self::Auditor => v1::IdentityKind::Auditor,
            Self::Registrar => v1::IdentityKind::Registrar,
        }
    }

    /// Whether accounts of this kind have an organisation code.
    pub const fn has_code(self) -> bool {
        match self {
            Self::Organisation | Self::Agency | Self::Verifier | Self::Registrar => true,
            Self::Citizen | Self::Auditor => false,
        }
    }
}

/// The life of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IdentityStatus {
    /// In force.
    Active,
    /// Not in force for the time being.
    Suspended,
    /// Ended for good, for fraud or error.
    Revoked,
    /// Ended for good: the person died.
    Deceased,
    /// Ended for good: the company or office was closed.
    Closed,
}

impl IdentityStatus {
    /// Whether nothing leads out of it.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Active | Self::Suspended => false,
            Self::Revoked | Self::Deceased | Self::Closed => true,
        }
    }

    /// Why an account of this status cannot act; none if it can.
    pub const fn refusal(self) -> Option<Code> {
        match self {
            Self::Active => None,
            Self::Suspended => Some(Code::Suspended),
            Self::Revoked => Some(Code::Revoked),
            Self::Deceased | Self::Closed => Some(Code::Ended),
        }
    }

    /// The status that a message names; `None` for none or one unknown to this release.
    pub fn from_wire(status: i32) -> Option<Self> {
        match v1::IdentityStatus::try_from(status).ok()? {
            v1::IdentityStatus::Unspecified => None,
            v1::IdentityStatus::Active => Some(Self::Active),
            v1::IdentityStatus::Suspended => Some(Self::Suspended),
            v1::IdentityStatus::Revoked => Some(Self::Revoked),
            v1::IdentityStatus::Deceased => Some(Self::Deceased),
            v1::IdentityStatus::Closed => Some(Self::Closed),
        }
    }

    /// As messages name it.
    pub const fn to_wire(self) -> v1::IdentityStatus {
        match self {
            Self::Active => v1::IdentityStatus::Active,
            Self::Suspended => v1::IdentityStatus::Suspended,
            Self::Revoked => v1::IdentityStatus::Revoked,
            Self::Deceased => v1::IdentityStatus::Deceased,
            Self::Closed => v1::IdentityStatus::Closed,
        }
    }
}

/// Keys and status of an identity from one height on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityVersion {
    /// Count of changes since registration, 0 at first.
    pub sequence: u32,
    /// The block that made it; it holds from this block's end on.
    pub from_height: Height,
    /// That block's time.
    pub from_time: TimeMs,
    /// The main Ed25519 key: bytes that were checked to be a public key when it was set.
    pub public_key: [u8; 32],
    /// X25519 key.
    pub encryption_key: [u8; 32],
    /// The status.
    pub status: IdentityStatus,
    /// Why it was made, as a number of the network's published list; 0 where none is asked.
    pub reason: u16,
    /// Ed25519 keys of the account's other devices, in rising order, at most [`MAX_DEVICES`]. They
    /// sign for the account like the main key, but do not change its keys.
    pub devices: Vec<[u8; 32]>,
}

impl IdentityVersion {
    /// All keys that sign for the account, the main key first.
    pub fn signing_keys(&self) -> impl Iterator<Item = &[u8; 32]> {
        std::iter::once(&self.public_key).chain(&self.devices)
    }

    /// Whether a key signs for the account.
    pub fn signs(&self, key: &[u8; 32]) -> bool {
        self.signing_keys().any(|known| known == key)
    }
}

/// An account as the present state holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityRecord {
    /// Kind of account.
    pub kind: IdentityKind,
    /// The block that registered it; 0 for accounts of genesis.
    pub registered_height: Height,
    /// That block's time.
    pub registered_time: TimeMs,
    /// The agency that drafted it; zeros for accounts of genesis.
    pub agency: Address,
    /// The registrar that recorded it; zeros for accounts of genesis.
    pub registrar: Address,
    /// Organisation code, empty for citizens and auditors.
    pub organisation_code: String,
    /// Root over the salted attribute commitments; zeros for accounts of genesis.
    pub attribute_root: AttributeRoot,
    /// Pseudonym of the identity document; zeros for accounts of genesis.
    pub tag: IdentityTag,
    /// Version of the key that made the tag; 0 for accounts of genesis.
    pub tag_key_version: u32,
    /// For agencies: names of the certificate types that it may issue.
    pub may_issue: Vec<String>,
    /// Keys and status now.
    pub present: IdentityVersion,
}

/// Keys and status as they once were, under a key of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastVersion {
    /// As it was.
    pub version: IdentityVersion,
    /// The block that ended it: from this block's end on it no longer holds.
    pub until_height: Height,
}

/// How far the recovery of an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecoveryStage {
    /// The old keys may object until it is due; then the new key completes it.
    Waiting,
    /// An old key objected: a second agency decides.
    Contested,
    /// The new keys are in force.
    Completed,
    /// The second agency decided for the old keys.
    Rejected,
}

/// The last case in which an account's lost keys were to be replaced.
///
/// A case that is neither completed nor rejected ends by itself at `ends`, and nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryRecord {
    /// The Ed25519 key that shall be the main key.
    pub public_key: [u8; 32],
    /// The X25519 key.
    pub encryption_key: [u8; 32],
    /// The agency that checked the person again.
    pub agency: Address,
    /// The registrar that reviewed it.
    pub registrar: Address,
    /// The block that opened the case.
    pub opened_height: Height,
    /// That block's time.
    pub opened_time: TimeMs,
    /// Block time from which it can be completed.
    pub due: TimeMs,
    /// Block time from which it is over, undecided.
    pub ends: TimeMs,
    /// How far it is.
    pub stage: RecoveryStage,
    /// The block that brought it there.
    pub stage_height: Height,
}

impl RecoveryRecord {
    /// As answers tell it at a block time.
    pub fn to_wire(&self, time: TimeMs) -> v1::Recovery {
        let stage = match self.stage {
            RecoveryStage::Completed => v1::RecoveryStage::Completed,
            RecoveryStage::Rejected => v1::RecoveryStage::Rejected,
            _ if !self.is_open(time) => v1::RecoveryStage::Lapsed,
            RecoveryStage::Waiting => v1::RecoveryStage::Waiting,
            RecoveryStage::Contested => v1::RecoveryStage::Contested,
        };
        v1::Recovery {
            public_key: self.public_key.to_vec(),
            encryption_key: self.encryption_key.to_vec(),
            agency: self.agency.as_bytes().to_vec(),
            registrar: self.registrar.as_bytes().to_vec(),
            opened_height: self.opened_height.get(),
            due_ms: self.due.get(),
            ends_ms: self.ends.get(),
            stage: stage as i32,
            stage_height: self.stage_height.get(),
        }
    }

    /// Whether it is undecided at a block time.
    pub fn is_open(&self, time: TimeMs) -> bool {
        match self.stage {
            RecoveryStage::Waiting | RecoveryStage::Contested => time < self.ends,
            RecoveryStage::Completed | RecoveryStage::Rejected => false,
        }
    }
}

/// The last notice of a validator that it lost its journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartNoticeRecord {
    /// Epoch of the set.
    pub epoch: Epoch,
    /// Place in the set.
    pub validator: ValidatorIndex,
    /// The nonce that the validator drew.
    pub nonce: [u8; 32],
    /// The block that holds the notice.
    pub height: Height,
}

macro_rules! codecs {
    ($($name:ident)*) => {$(
        impl $name {
            /// The bytes that the state holds.
            pub fn encode(&self) -> Vec<u8> {
                codec::encode_versioned(RECORD_VERSION, self)
            }

            /// Reads the bytes that the state holds.
            ///
            /// # Errors
            /// If they are no such record, or one of another version.
            pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                codec::decode_versioned(RECORD_VERSION, bytes, MAX_RECORD_BYTES)
            }
        }
    )*};
}

codecs! { IdentityRecord PastVersion RecoveryRecord RestartNoticeRecord }

/// An identity as of a height.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityAt {
    /// The account.
    pub address: Address,
    /// What never changes, and the present version.
    pub record: IdentityRecord,
    /// The version that was in force.
    pub version: IdentityVersion,
    /// Where it ended, if it has.
    pub until_height: Option<Height>,
    /// The leaf that proves it: the present record or the past version.
    pub key: StateKey,
}

impl IdentityVersion {
    /// Whether it is in force after the block at `height`, ended as told.
    pub fn holds_at(&self, height: Height, until: Option<Height>) -> bool {
        self.from_height <= height && until.is_none_or(|until| height < until)
    }
}
