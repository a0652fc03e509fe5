//! What must hold in every run. Checkers see what honest nodes send, store and commit, and derive
//! quorums on their own, not by the code that they check.

mod agreement;
mod durability;
mod votes;

use std::fmt;

use certchain_consensus::{Message, Record};
use certchain_proto::{ValidatorSet, certificate::SignatureVerifier};

use super::blocks::Block;

pub use self::{agreement::Agreement, votes::Votes};

/// A rule that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How many may be faulty: the largest f with 3 f < n.
pub fn faulty(n: usize) -> usize {
    (0..n).filter(|f| 3 * f < n).max().unwrap_or(0)
}

/// The smallest number such that two sets of that size always share more than `faulty` members.
pub fn quorum(n: usize) -> usize {
    let f = faulty(n);
    (1..=n).find(|q| 2 * q > n + f).unwrap_or(n)
}

/// All checkers of a run.
#[derive(Debug)]
pub struct Checkers {
    agreement: Agreement,
    votes: Votes,
}

impl Checkers {
    /// For a run with these members; `byzantine` may say what they like.
    pub fn new(validators: ValidatorSet, byzantine: Vec<usize>) -> Self {
        let n = validators.len();
        Self {
            agreement: Agreement::new(validators),
            votes: Votes::new(n, byzantine),
        }
    }

    /// An honest node lets a message out of its process.
    ///
    /// # Errors
    /// If a rule is broken.
    pub fn sent(
        &mut self,
        node: usize,
        message: &Message,
        journal: &[Record],
        body_stored: bool,
    ) -> Result<(), Violation> {
        if usize::from(message.signer().get()) != node {
            return Ok(()); // a relayed NEW-VIEW
        }
        durability::check(node, message, journal, body_stored)?;
        self.votes.sent(node, message)
    }

    /// An honest node makes a block part of its chain.
    ///
    /// # Errors
    /// If a rule is broken.
    pub fn committed(
        &mut self,
        node: usize,
        parent: &Block,
        block: &Block,
        verifier: &dyn SignatureVerifier,
    ) -> Result<(), Violation> {
        self.agreement.committed(node, parent, block, verifier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorums_are_those_of_the_design() {
        let sizes: Vec<usize> = (4..=10).map(quorum).collect();
        assert_eq!(sizes, [3, 4, 4, 5, 6, 6, 7]);
        assert_eq!((1..=3).map(quorum).collect::<Vec<_>>(), [1, 2, 2]);
    }
}
