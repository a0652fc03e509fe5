//! How faulty validators misbehave, one way per file. A faulty validator runs the real engine and
//! tampers with what it sends; it holds its own key only.

mod bogus_new_view;
mod conflicting_votes;
mod equivocating_primary;
mod hidden_certificate;
mod silent_primary;
mod stale_replay;
mod withheld_bodies;

use std::{fmt::Debug, sync::Arc};

use certchain_consensus::{Message, Signer, statement::Statement};
use certchain_proto::{Signature, ValidatorIndex};

use super::{keys::SimSigner, rng::Rng};

/// What a faulty validator works with.
#[derive(Debug)]
pub struct Tools<'a> {
    /// Its place.
    pub me: usize,
    /// Members of the set.
    pub n: usize,
    /// Its own key.
    pub signer: SimSigner,
    /// Chance.
    pub rng: &'a mut Rng,
}

/// A message and to whom it goes.
pub type Letter = (usize, Arc<Message>);

impl Tools<'_> {
    /// Its place, as messages name it.
    pub fn index(&self) -> ValidatorIndex {
        ValidatorIndex::new(self.me as u16)
    }

    /// Signs what it likes.
    pub fn sign(&self, statement: &Statement) -> Signature {
        self.signer.sign(&statement.signing_hash())
    }

    /// Everybody else.
    pub fn others(&self) -> Vec<usize> {
        (0..self.n).filter(|i| *i != self.me).collect()
    }

    /// The message to each of these.
    pub fn to(&self, receivers: &[usize], message: &Arc<Message>) -> Vec<Letter> {
        receivers
            .iter()
            .map(|to| (*to, Arc::clone(message)))
            .collect()
    }
}

/// One way to misbehave.
pub trait Behaviour: Debug {
    /// The engine wants to send `message` to `receivers`; what is sent instead.
    fn sends(
        &mut self,
        tools: &mut Tools<'_>,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Vec<Letter> {
        tools.to(receivers, message)
    }

    /// A message has come in; what is sent on top.
    fn hears(&mut self, _tools: &mut Tools<'_>, _message: &Message) -> Vec<Letter> {
        Vec::new()
    }

    /// Whether its proposals contain a transaction that only some are given.
    fn withholds(&self) -> bool {
        false
    }
}

/// All ways, by number.
pub const WAYS: usize = 7;

/// The way with this number.
pub fn way(number: usize) -> Box<dyn Behaviour> {
    match number {
        0 => Box::new(silent_primary::SilentPrimary),
        1 => Box::new(equivocating_primary::EquivocatingPrimary),
        2 => Box::new(withheld_bodies::WithheldBodies),
        3 => Box::new(stale_replay::StaleReplay::default()),
        4 => Box::new(conflicting_votes::ConflictingVotes::default()),
        5 => Box::new(bogus_new_view::BogusNewView),
        _ => Box::new(hidden_certificate::HiddenCertificate),
    }
}
