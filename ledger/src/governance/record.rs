//! What the state holds of governance.

use certchain_config::{Application, Governance, Limits, Timers};
use certchain_proto::{
    Address, Epoch, Height, TimeMs, ValidatorIndex, ValidatorSet,
    wire::v1::{Code, ProposalStatus},
};
use serde::{Deserialize, Serialize};

use super::ProposalId;
use crate::versioned::{self, RecordError};

/// Largest encoding of any of these records.
const MAX_RECORD_BYTES: usize = 64 * 1024;

/// Most types that an agency has, those included that it has not accepted yet.
pub const MAX_TYPES: usize = 128;

/// Most accreditations that wait for one agency.
pub const MAX_OFFERS: usize = 16;

/// Most nodes that follow without a vote.
pub const MAX_OBSERVERS: usize = 128;

/// Longest time in milliseconds for which a removed validator may go on to follow: a year.
pub const MAX_FOLLOW_MS: u64 = 366 * 24 * 60 * 60 * 1000;

/// How main votes, as the state holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesRecord {
    /// The rules.
    pub rules: Governance,
}

/// A validator at the time when it proposed or voted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voter {
    /// Epoch of the set.
    pub epoch: Epoch,
    /// Place in the set.
    pub validator: ValidatorIndex,
    /// The key by which it is known: places mean other validators in other epochs.
    pub vote_key: [u8; 32],
}

/// A vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CastVote {
    /// Whose.
    pub voter: Voter,
    /// Whether for the change.
    pub approve: bool,
    /// The block that holds it.
    pub height: Height,
    /// That block's time.
    pub time: TimeMs,
}

/// How far a proposal has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProposalState {
    /// Can be voted on until its time is over.
    Open,
    /// Enough have approved; it waits for its height.
    Accepted {
        /// The block whose vote was the last that it needed.
        height: Height,
    },
    /// Enough can no longer approve.
    Rejected {
        /// The block whose vote decided that.
        height: Height,
    },
    /// Carried out at its height.
    Executed,
    /// Not accepted by its height.
    Expired,
    /// Accepted, and could not be carried out at its height.
    Failed {
        /// The number of the code that says why.
        code: u16,
    },
}

/// A whole table of main's parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterTable {
    /// How much main takes.
    pub limits: Limits,
    /// When it does what.
    pub timers: Timers,
    /// How it votes.
    pub governance: Governance,
}

impl ParameterTable {
    /// The table with its values by name, in the order of the formats.
    pub fn named(&self) -> Vec<(&'static str, u64)> {
        let (l, t, g) = (&self.limits, &self.timers, &self.governance);
        vec![
            ("limits.transaction_bytes", l.transaction_bytes),
            ("limits.block_bytes", l.block_bytes),
            ("limits.block_transactions", l.block_transactions),
            ("limits.transaction_window_ms", l.transaction_window_ms),
            ("limits.mempool_transactions", l.mempool_transactions),
            ("limits.mempool_bytes", l.mempool_bytes),
            ("limits.mempool_per_sender", l.mempool_per_sender),
            ("timers.view_timeout_ms", t.view_timeout_ms),
            ("timers.view_timeout_cap_ms", t.view_timeout_cap_ms),
            ("timers.heartbeat_ms", t.heartbeat_ms),
            ("timers.staleness_ms", t.staleness_ms),
            ("timers.clock_bound_ms", t.clock_bound_ms),
            ("timers.clock_bound_cap_ms", t.clock_bound_cap_ms),
            ("timers.rotation_blocks", t.rotation_blocks),
            ("timers.block_interval_ms", t.block_interval_ms),
            ("timers.side_heartbeat_ms", t.side_heartbeat_ms),
            ("timers.anchor_interval_ms", t.anchor_interval_ms),
            ("timers.anchor_blocks", t.anchor_blocks),
            ("timers.recovery_wait_ms", t.recovery_wait_ms),
            ("governance.threshold_percent", g.threshold_percent),
            ("governance.voting_period_ms", g.voting_period_ms),
            ("governance.open_proposals", g.open_proposals),
        ]
    }
}

/// What is to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// An agency may issue these types too, once it has accepted.
    AccreditAgency {
        /// The agency, or an organisation that becomes one.
        agency: Address,
        /// Names of the types, rising.
        types: Vec<String>,
    },
    /// An agency may no longer issue these types.
    WithdrawAccreditation {
        /// The agency.
        agency: Address,
        /// Names of the types, rising.
        types: Vec<String>,
    },
    /// An organisation becomes a registrar.
    AppointRegistrar {
        /// The organisation.
        address: Address,
    },
    /// A registrar is none any more.
    DismissRegistrar {
        /// The registrar.
        address: Address,
    },
    /// Main has other parameters.
    SetParameters(Box<ParameterTable>),
    /// Tags are made with another version of the key.
    SetTagKeyVersion {
        /// The version.
        version: u32,
    },
    /// A node votes.
    AdmitValidator(Box<Application>),
    /// A validator votes no more.
    RemoveValidator {
        /// Its vote key.
        vote_key: [u8; 32],
        /// For how long it may go on to follow, by block time.
        follow_ms: u64,
    },
    /// A validator has other keys.
    RotateValidatorKeys {
        /// Its present vote key.
        vote_key: [u8; 32],
        /// Its application with the new ones.
        application: Box<Application>,
    },
    /// A node may connect and follow.
    AdmitObserver {
        /// Its name.
        name: String,
        /// Its network key.
        network_key: [u8; 32],
    },
    /// An observer may connect no more.
    DismissObserver {
        /// Its network key.
        network_key: [u8; 32],
    },
}

/// A proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalRecord {
    /// Who made it.
    pub proposer: Voter,
    /// What is to change.
    pub change: Change,
    /// The block that holds it.
    pub opened_height: Height,
    /// That block's time.
    pub opened_time: TimeMs,
    /// Block time from which it can no longer be voted on.
    pub ends: TimeMs,
    /// The block at whose end it is carried out if it is accepted.
    pub execution_height: Height,
    /// The votes in their order, one per vote key.
    pub votes: Vec<CastVote>,
    /// How far it has come.
    pub state: ProposalState,
}

/// Proposals by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalList {
    /// In the order in which they were made.
    pub ids: Vec<ProposalId>,
}

/// An accreditation that its agency has not accepted yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The proposal that made it.
    pub proposal: ProposalId,
    /// The block at whose end it was carried out.
    pub height: Height,
    /// Names of the types, rising.
    pub types: Vec<String>,
}

/// All accreditations that an agency may accept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffersRecord {
    /// In the order in which they were carried out.
    pub offers: Vec<Offer>,
}

/// Who is a registrar.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrarsRecord {
    /// Those of genesis in its order, then as they were made.
    pub addresses: Vec<Address>,
}

/// The names of the catalogue's types, so that nobody is accredited for one that is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypesRecord {
    /// Rising, none twice.
    pub names: Vec<String>,
}

/// A validator as its offices know it; its keys stand in the validator set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Name of its node.
    pub name: String,
    /// Code of the organisation that runs it.
    pub organisation_code: String,
    /// A block at or above which it was last seen to have signed, under its present vote key; 0 if it
    /// was not. Behind by less than a window (G-9), so that not every block writes it.
    pub signed: Height,
}

/// A node that may connect and follow without a vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observer {
    /// Its name.
    pub name: String,
    /// The Ed25519 key that names it on the network.
    pub network_key: [u8; 32],
    /// Block time until which it may; none: until it is dismissed.
    pub until: Option<TimeMs>,
}

/// Who may take part in the network, beside the validator set's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersRecord {
    /// The validators, in the order of the set that decides the next block.
    pub members: Vec<Member>,
    /// Who follows without a vote, in the order of admission.
    pub observers: Vec<Observer>,
}

impl MembersRecord {
    /// The network keys of those who may connect in a block's time: of the validators `set`, and of
    /// the observers whose time is not over.
    pub fn admitted<'a>(
        &'a self,
        set: &'a ValidatorSet,
        time: TimeMs,
    ) -> impl Iterator<Item = [u8; 32]> + 'a {
        let observers = self.observers.iter().filter(move |o| o.is_admitted(time));
        set.iter()
            .map(|(_, member)| member.network_key)
            .chain(observers.map(|observer| observer.network_key))
    }
}

impl Observer {
    /// Whether it may connect at a block's time.
    pub fn is_admitted(&self, time: TimeMs) -> bool {
        self.until.is_none_or(|until| time < until)
    }
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

codecs! {
    RulesRecord ProposalRecord ProposalList OffersRecord RegistrarsRecord TypesRecord MembersRecord
}

/// The votes of the present set's members on a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// For it.
    pub approvals: usize,
    /// Against it.
    pub rejections: usize,
    /// Approvals that it needs.
    pub needed: usize,
    /// Members of the set.
    pub members: usize,
}

impl Tally {
    /// Whether enough have approved.
    pub const fn is_accepted(&self) -> bool {
        self.approvals >= self.needed
    }

    /// Whether enough can no longer approve.
    pub const fn is_rejected(&self) -> bool {
        self.members.saturating_sub(self.rejections) < self.needed
    }
}

impl ProposalRecord {
    /// Whether it can be voted on in a block of this time.
    pub fn is_open(&self, time: TimeMs) -> bool {
        self.state == ProposalState::Open && time < self.ends
    }

    /// Whether it still takes one of its proposer's places in a block of this time. Once it does not
    /// it never does again.
    pub fn takes_place(&self, time: TimeMs) -> bool {
        self.is_open(time) || matches!(self.state, ProposalState::Accepted { .. })
    }

    /// How far it has come by this block time, as messages tell it; the block that decided it, 0
    /// before; and why it failed, if it did.
    pub fn status(&self, time: TimeMs) -> (ProposalStatus, Height, Code) {
        let due = self.execution_height;
        let (status, height) = match self.state {
            ProposalState::Open if self.is_open(time) => (ProposalStatus::Open, Height::ZERO),
            // Its record says so from its height on.
            ProposalState::Open | ProposalState::Expired => (ProposalStatus::Expired, Height::ZERO),
            ProposalState::Accepted { height } => (ProposalStatus::Accepted, height),
            ProposalState::Rejected { height } => (ProposalStatus::Rejected, height),
            ProposalState::Executed => (ProposalStatus::Executed, due),
            ProposalState::Failed { code } => {
                // Of a later release, if this one does not know it.
                let code = Code::try_from(i32::from(code)).unwrap_or(Code::Malformed);
                return (ProposalStatus::Failed, due, code);
            }
        };
        (status, height, Code::Ok)
    }

    /// Counts the votes of this set's members, by their keys.
    pub fn tally(&self, set: &ValidatorSet, rules: &Governance) -> Tally {
        let votes = |approve| {
            self.votes
                .iter()
                .filter(|vote| vote.approve == approve && is_member(set, &vote.voter.vote_key))
                .count()
        };
        Tally {
            approvals: votes(true),
            rejections: votes(false),
            needed: rules.needed(set.len(), set.quorum()),
            members: set.len(),
        }
    }

    /// Puts a vote on record, and with it the decision that follows; the voter has not voted yet.
    pub(super) fn cast(&mut self, vote: CastVote, set: &ValidatorSet, rules: &Governance) {
        // Bounds the list by the set: whoever left counts no more, and votes anew if it comes back.
        self.votes
            .retain(|vote| is_member(set, &vote.voter.vote_key));
        let height = vote.height;
        self.votes.push(vote);
        let tally = self.tally(set, rules);
        if tally.is_accepted() {
            self.state = ProposalState::Accepted { height };
        } else if tally.is_rejected() {
            self.state = ProposalState::Rejected { height };
        }
    }
}

fn is_member(set: &ValidatorSet, vote_key: &[u8; 32]) -> bool {
    set.iter()
        .any(|(_, member)| member.vote_key.as_bytes() == vote_key)
}
