//! Governance by vote: main's validators change who may do what, and how main works.
//!
//! # Rules
//!
//! - G-1: who proposes or votes is a member of the set that decides the block, of the epoch that it
//!   names, and signs with its vote key.
//! - G-2: a proposal names the height at whose end its change takes effect. Its vote is open from
//!   its block on for the voting period that was in force then, by block time, and no longer than up
//!   to that height.
//! - G-3: a validator has at most so many open proposals as the rules allow, so that nobody can fill
//!   the state with them: a place is free again once the proposal is decided or its time is over.
//! - G-4: a vote key votes on a proposal once. Votes of keys that are not in the present set do not
//!   count, and the next vote clears them away.
//! - G-5: a proposal is accepted by the vote with which enough of the present set have approved, and
//!   rejected by the vote after which enough no longer can.
//! - G-6: at the end of the block of its execution height an accepted proposal is counted once more
//!   and carried out; one that is still open expires. Proposals of one height are carried out in the
//!   order in which they were made.
//! - G-7: a change is judged by the same code when it is proposed and when it is carried out. One
//!   that can no longer be carried out fails with a code in its record; the block is valid.
//! - G-8: a changed validator set decides from the next height on, one epoch above the set that
//!   decided the block, whatever number of changes the block's end carries out. Places stay; who
//!   comes stands last. Name, organisation code and keys of a validator or observer are nobody
//!   else's, and who enters keys has proven to hold them.
//! - G-9: a change of the set is refused if fewer than a quorum of the set that it makes have signed
//!   recently. Main sees who signed in the certificates of parents that blocks carry, of which a
//!   proposer may leave signers out; so it looks at windows of n times the rotation interval, in which
//!   every validator was primary: recent is who was seen in this window or the one before. What it
//!   remembers is written once per window and validator.
//! - G-10: who may connect is who votes and who observes. A removed validator observes for the time
//!   that its removal grants.
//!
//! All of it is a function of blocks and state. What a block without due proposals costs is two
//! look-ups.

mod changes;
mod due;
pub mod keys;
mod membership;
mod preview;
mod record;
mod rules;
mod wire;

use std::collections::BTreeMap;

use certchain_proto::{
    hash::TransactionId,
    transaction::Transaction,
    wire::v1::{Code, transaction_body::Kind},
};

pub use membership::{read_members, signed_recently};
pub use preview::{ChangeLine, preview};
pub use record::{
    CastVote, Change, MAX_FOLLOW_MS, MAX_OBSERVERS, MAX_OFFERS, MAX_TYPES, Member, MembersRecord,
    Observer, Offer, OffersRecord, ParameterTable, ProposalList, ProposalRecord, ProposalState,
    RegistrarsRecord, RulesRecord, Tally, TypesRecord, Voter,
};
pub use rules::{MAX_AHEAD, MAX_DUE, read_proposal, read_rules};

use crate::{
    execution::{Application, BlockContext, Effects, ParentSigners, Stop},
    identity::IdentityApplication,
    refusal::Refusal,
    state::StateKey,
    view::{ReadError, StateView, Value},
};

/// A proposal's name: that of the transaction that made it.
pub type ProposalId = TransactionId;

/// The ledger's part of main: identities, and governance beside them. The crate
/// `certchain-sidechain` puts anchors on top.
#[derive(Clone, Copy, Debug, Default)]
pub struct GovernanceApplication;

impl Application for GovernanceApplication {
    fn reads(&self, transaction: &Transaction) -> Vec<StateKey> {
        match transaction.kind() {
            Kind::Propose(_) | Kind::Vote(_) | Kind::AcceptAccreditation(_) => {
                rules::reads(transaction)
            }
            _ => IdentityApplication.reads(transaction),
        }
    }

    fn execute(
        &self,
        view: &dyn StateView,
        block: &BlockContext<'_>,
        transaction: &Transaction,
    ) -> Result<Effects, Stop> {
        match transaction.kind() {
            Kind::Propose(m) => rules::propose(view, block, transaction, m),
            Kind::Vote(m) => rules::vote(view, block, transaction, m),
            Kind::AcceptAccreditation(m) => rules::accept(view, transaction, m),
            _ => IdentityApplication.execute(view, block, transaction),
        }
    }

    fn end_block(
        &self,
        view: &dyn StateView,
        block: &BlockContext<'_>,
        parent: &ParentSigners,
    ) -> Result<BTreeMap<StateKey, Option<Value>>, ReadError> {
        due::end_block(view, block, parent)
    }
}

fn bad_field(text: impl Into<String>) -> Refusal {
    Refusal::about(Code::BadField, text)
}

#[cfg(test)]
mod tests;
