//! Proof that a validator said two things in one slot.

use certchain_proto::{ChainId, ValidatorIndex, certificate::SignatureVerifier};
use serde::{Deserialize, Serialize};

use crate::{
    planted::{self, Bug},
    sets::Membership,
    statement::{SignedStatement, Slot},
    verify::Invalid,
};

/// Two different signed statements of one validator for one chain, epoch, height, view and phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Equivocation {
    /// The one that was seen first.
    pub first: SignedStatement,
    /// The one that contradicts it.
    pub second: SignedStatement,
}

/// Why two statements prove nothing against their signer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// They are by different signers, in different slots, or say the same.
    #[error("the two statements do not contradict each other")]
    NoConflict,
    /// One of them is not signed.
    #[error("a statement of the evidence does not hold: {0}")]
    Invalid(#[from] Invalid),
}

impl Equivocation {
    /// Puts two statements together, if they contradict each other.
    pub fn of(first: SignedStatement, second: SignedStatement) -> Option<Self> {
        let conflict = first.signer == second.signer
            && first.statement.slot() == second.statement.slot()
            && (first.statement != second.statement || planted::is(Bug::AccusesRepeats));
        conflict.then_some(Self { first, second })
    }

    /// Who is faulty: a place in the set of the slot's epoch.
    pub fn signer(&self) -> ValidatorIndex {
        self.first.signer
    }

    /// Where.
    pub fn slot(&self) -> Slot {
        self.first.statement.slot()
    }

    /// Checks that this is proof.
    ///
    /// # Errors
    /// If the statements do not contradict each other or are not signed by a member.
    pub fn verify(
        &self,
        chain: ChainId,
        sets: &dyn Membership,
        verifier: &dyn SignatureVerifier,
    ) -> Result<(), EvidenceError> {
        if Self::of(self.first, self.second).is_none() {
            return Err(EvidenceError::NoConflict);
        }
        self.first.verify(chain, sets, verifier)?;
        self.second.verify(chain, sets, verifier)?;
        Ok(())
    }
}
