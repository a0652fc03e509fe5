//! All honest nodes commit the same block at each height, in order, each with a quorum behind it.

use std::collections::{BTreeMap, BTreeSet};

use certchain_proto::{
    ChainId, Height, ValidatorSet, certificate::SignatureVerifier, hash::BlockId,
};

use super::{Violation, quorum};
use crate::blocks::Block;

/// Agreement and total order.
#[derive(Debug)]
pub struct Agreement {
    chain: ChainId,
    validators: ValidatorSet,
    decided: BTreeMap<Height, BlockId>,
}

impl Agreement {
    /// For these members of a chain.
    pub fn new(chain: ChainId, validators: ValidatorSet) -> Self {
        Self {
            chain,
            validators,
            decided: BTreeMap::new(),
        }
    }

    /// Who decides the heights that are looked at from here on.
    pub fn seat(&mut self, validators: ValidatorSet) {
        self.validators = validators;
    }

    /// A node commits `block` on `parent`.
    ///
    /// # Errors
    /// If it is not the one that others committed, not the next one, or not decided by a quorum.
    pub fn committed(
        &mut self,
        node: usize,
        parent: &Block,
        block: &Block,
        verifier: &dyn SignatureVerifier,
    ) -> Result<(), Violation> {
        let height = block.header.height;
        let id = BlockId::of(&block.header.digest(), &block.outcome.digest());
        let parent_id = BlockId::of(&parent.header.digest(), &parent.outcome.digest());
        let fail = |what: &str| Err(Violation(format!("node {node}, height {height}: {what}")));
        if *self.decided.entry(height).or_insert(id) != id {
            return fail("committed another block than others");
        }
        if height.get() != parent.header.height.get() + 1 || block.header.parent != parent_id {
            return fail("committed a block that is not the next");
        }
        if block.header.time_ms <= parent.header.time_ms {
            return fail("block time does not rise");
        }
        if block.contents.parent_certificate.digest() != block.header.parent_commit {
            return fail("the body's parent certificate is not the header's");
        }
        let certificate = &block.certificate;
        let names_it = certificate.header == block.header.digest()
            && certificate.outcome == block.outcome.digest()
            && certificate.height == height;
        if !names_it {
            return fail("the certificate is for another block");
        }
        let hash = certificate.vote(self.chain).signing_hash();
        let signers: BTreeSet<u16> = certificate
            .signatures
            .iter()
            .filter(|s| {
                self.validators.get(s.validator).is_some_and(|member| {
                    verifier.verify_all(&[(member.vote_key.clone(), hash, s.signature)])
                })
            })
            .map(|s| s.validator.get())
            .collect();
        if signers.len() < quorum(self.validators.len()) {
            return fail("committed without a quorum of votes");
        }
        Ok(())
    }
}
