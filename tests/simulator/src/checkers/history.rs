//! Who decides which height, derived from what honest nodes have committed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use certchain_consensus::{Message, Status};
use certchain_proto::{Epoch, Height, certificate::SignatureVerifier};

use super::{Violation, quorum};
use crate::{
    blocks::{Block, chain},
    sets::{Law, Members},
};

/// The members of all heights up to the one above the last that was committed.
#[derive(Debug)]
pub struct History {
    law: Option<Law>,
    heights: BTreeMap<Height, Arc<Members>>,
}

impl History {
    /// The same validators for ever; who sits where is not asked.
    pub fn fixed() -> Self {
        Self {
            law: None,
            heights: BTreeMap::new(),
        }
    }

    /// By this law.
    pub fn by(law: &Law) -> Self {
        let first = Height::ZERO.next();
        Self {
            heights: BTreeMap::from([(first, Arc::clone(&law.first))]),
            law: Some(law.clone()),
        }
    }

    /// Who decides a height. Of one that nobody can decide yet, the last that are known.
    pub fn at(&self, height: Height) -> Option<Arc<Members>> {
        let known = self.heights.get(&height);
        let last = || self.heights.last_key_value().map(|(_, members)| members);
        known.or_else(last).cloned()
    }

    /// VS-4: whether an epoch is that of a height.
    pub fn decides(&self, epoch: Epoch, height: Height) -> bool {
        self.heights.is_empty()
            || self
                .heights
                .get(&height)
                .is_some_and(|members| members.epoch() == epoch)
    }

    /// VS-1, VS-3: what a node says is of the height's epoch.
    ///
    /// # Errors
    /// If it is not.
    pub fn speaks(&self, node: usize, message: &Message) -> Result<(), Violation> {
        let (height, epoch) = (message.height(), message.epoch());
        if self.decides(epoch, height) {
            return Ok(());
        }
        Err(Violation(format!(
            "node {node}, height {height}: says {} in epoch {epoch}, which does not decide it",
            message.kind()
        )))
    }

    /// VS-1, VS-3: a node stands where the members of its height put it.
    ///
    /// # Errors
    /// If it knows another set, or another place of its own.
    pub fn stands(
        &self,
        node: usize,
        place: Option<usize>,
        status: &Status,
    ) -> Result<(), Violation> {
        let Some(members) = self.heights.get(&status.height) else {
            return Ok(());
        };
        let me = status.me.map(|me| usize::from(me.get()));
        if status.epoch == members.epoch() && me == place {
            return Ok(());
        }
        Err(Violation(format!(
            "node {node}, height {}: is {me:?} of epoch {}, it should be {place:?} of {}",
            status.height,
            status.epoch,
            members.epoch()
        )))
    }

    /// A node commits a block: it names who decides the next height, and carries the certificate of
    /// those who decided the one below.
    ///
    /// # Errors
    /// If it does not.
    pub fn committed(
        &mut self,
        node: usize,
        block: &Block,
        verifier: &dyn SignatureVerifier,
    ) -> Result<(), Violation> {
        let Some(law) = &self.law else { return Ok(()) };
        let height = block.header.height;
        let fail = |what: String| Err(Violation(format!("node {node}, height {height}: {what}")));
        let Some(members) = self.heights.get(&height) else {
            return fail("committed above all that could be decided".to_owned());
        };
        if block.header.epoch != members.epoch() {
            return fail(format!("is of epoch {}", block.header.epoch));
        }
        let next = law.above(members, &block.header);
        let next = next.unwrap_or_else(|| Arc::clone(members));
        if block.outcome.next_validators != next.digest() {
            return fail("names another set than the law".to_owned());
        }
        if let Some(below) = height.previous().and_then(|h| self.heights.get(&h)) {
            let signers = signers_below(block, below, verifier);
            if signers < quorum(below.n()) {
                return fail(format!("{signers} of the set below signed its parent"));
            }
        }
        self.heights.entry(height.next()).or_insert(next);
        Ok(())
    }
}

/// How many of `below` signed the certificate of the parent that a block carries.
fn signers_below(block: &Block, below: &Members, verifier: &dyn SignatureVerifier) -> usize {
    let certificate = &block.contents.parent_certificate;
    if certificate.epoch != below.epoch() || certificate.block_id() != block.header.parent {
        return 0;
    }
    let hash = certificate.vote(chain()).signing_hash();
    let signers: BTreeSet<u16> = certificate
        .signatures
        .iter()
        .filter(|s| {
            below.set().get(s.validator).is_some_and(|member| {
                verifier.verify_all(&[(member.vote_key.clone(), hash, s.signature)])
            })
        })
        .map(|s| s.validator.get())
        .collect();
    signers.len()
}
