//! What must hold in every run. Checkers see what honest nodes send, store and commit, and derive
//! quorums on their own, not by the code that they check.

mod agreement;
mod bounds;
mod durability;
mod followers;
mod history;
mod model;
mod openings;
mod order;
mod votes;

use std::fmt;

use certchain_consensus::{
    Load, Message, Params, Status, TimerId, message::PreparedCertificate, statement::Statement,
};
use certchain_proto::{
    ChainId, Epoch, Height, PrepareVote, ValidatorSet, certificate::SignatureVerifier,
};

use super::{
    blocks::{self, Block},
    journal::JournalFile,
    plan::Plan,
    sets::Law,
};

pub use self::{agreement::Agreement, votes::Votes};
use self::{
    followers::Followers, history::History, model::Model, openings::Openings, order::Order,
};

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
///
/// Those beneath know validators by their place at the height that is looked at, and processes by their
/// node.
#[derive(Debug)]
pub struct Checkers {
    agreement: Agreement,
    followers: Followers,
    model: Model,
    openings: Openings,
    order: Order,
    params: Params,
    votes: Votes,
    sets: History,
    /// The nodes that may say what they like.
    byzantine: Vec<usize>,
    /// The epoch that the others are seated for.
    seated: Epoch,
}

impl Checkers {
    /// For a run with these members; `byzantine` may say what they like.
    pub fn new(validators: ValidatorSet, byzantine: Vec<usize>) -> Self {
        Self::of(blocks::chain(), Plan::params(), validators, byzantine)
    }

    /// For a run of any chain with these numbers.
    pub fn of(
        chain: ChainId,
        params: Params,
        validators: ValidatorSet,
        byzantine: Vec<usize>,
    ) -> Self {
        let n = validators.len();
        Self {
            agreement: Agreement::new(chain, validators),
            followers: Followers::new(n, n),
            model: Model::new(n, byzantine.clone()),
            openings: Openings::new(n),
            order: Order::new(n, params.rotation),
            params,
            votes: Votes::new(n, byzantine.clone()),
            sets: History::fixed(),
            byzantine,
            seated: Epoch::ZERO,
        }
    }

    /// For a run of so many nodes, of whom this law says who decides what.
    pub fn by_law(law: &Law, nodes: usize, byzantine: Vec<usize>) -> Self {
        let first = &law.first;
        let places = first.places(&byzantine);
        let mut checkers = Self::new(first.set().as_ref().clone(), places);
        checkers.followers = Followers::new(first.n(), nodes);
        checkers.sets = History::by(law);
        checkers.byzantine = byzantine;
        checkers
    }

    /// Turns to a height: who decides it, and where this node sits among them.
    fn turn_to(&mut self, node: usize, height: Height) -> Option<usize> {
        let Some(members) = self.sets.at(height) else {
            return Some(node); // nobody is ever another one
        };
        if members.epoch() != self.seated {
            let (n, byzantine) = (members.n(), members.places(&self.byzantine));
            self.agreement.seat(members.set().as_ref().clone());
            self.followers.seat(n);
            self.model.seat(n, &byzantine);
            self.openings.seat(n);
            self.order.seat(n);
            self.votes.seat(n, &byzantine);
            self.seated = members.epoch();
        }
        members.place(node)
    }

    /// An honest node lets a message out of its process.
    ///
    /// # Errors
    /// If a rule is broken.
    pub fn sent(
        &mut self,
        node: usize,
        message: &Message,
        journal: &JournalFile,
        body_stored: bool,
    ) -> Result<(), Violation> {
        let height = message.height();
        let place = self.turn_to(node, height);
        self.sets.speaks(node, message)?;
        let Some(place) = place.filter(|p| *p == usize::from(message.signer().get())) else {
            return match message {
                Message::NewView(_) => Ok(()), // it is relayed
                _ => Err(Violation(format!(
                    "node {node}, height {height}: says {} of another one as its own",
                    message.kind()
                ))),
            };
        };
        durability::check(node, message, journal.records(), body_stored)?;
        let again = self.votes.has_said(place, &message.statement());
        self.openings.knows(node, message);
        for statement in own_within(message) {
            self.votes.says_within(place, statement)?;
        }
        self.openings.sent(node, message, &self.votes)?;
        let below = message.view().previous().unwrap_or_default();
        let entered = self.openings.knows_opening(node, height, below);
        self.votes
            .sent(place, message, entered, journal.written())?;
        if again {
            return Ok(());
        }
        let offset = self.order.offset(height);
        self.model.sent(place, message, journal.written(), offset)
    }

    /// An honest node that decides `height` is about to hear something.
    pub fn hears(&mut self, node: usize, height: Height, message: &Message) {
        self.openings.knows(node, message);
        let me = self.turn_to(node, height);
        if self.sets.decides(message.epoch(), height) {
            self.followers.hears(node, me, height, message);
        }
    }

    /// A process ends; what it heard is gone.
    pub fn crashed(&mut self, node: usize) {
        self.followers.crashed(node);
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
        let height = block.header.height;
        self.turn_to(node, height);
        self.order.committed(node, block)?;
        self.openings.forget(node, height);
        self.agreement.committed(node, parent, block, verifier)?;
        self.sets.committed(node, block, verifier)
    }

    /// Where an honest node stands after a step, and what it keeps of others.
    ///
    /// # Errors
    /// If it did not follow as it must, or keeps more than the bounds allow.
    pub fn stands(&mut self, node: usize, status: &Status, load: &Load) -> Result<(), Violation> {
        let place = self.turn_to(node, status.height);
        self.sets.stands(node, place, status)?;
        self.followers.stands(node, status)?;
        bounds::check(node, load)
    }

    /// An honest node sets a timer that runs for this long.
    ///
    /// # Errors
    /// If that is longer than the caps allow.
    pub fn waits(&self, node: usize, id: TimerId, ms: u64) -> Result<(), Violation> {
        bounds::waits(&self.params, node, id, ms)
    }
}

/// What a message shows that its signer has said before: its own request in a NEW-VIEW, its own PREPARE
/// in a certificate or below a COMMIT.
fn own_within(message: &Message) -> Vec<Statement> {
    let signer = message.signer();
    let prepared = |p: &PreparedCertificate| {
        let own = p.signatures.iter().any(|s| s.validator == signer);
        own.then(|| Statement::Prepare(p.vote()))
    };
    match message {
        Message::NewView(m) => {
            let claim = m.claims.iter().find(|c| c.signer == signer);
            let asked = claim.map(|c| Statement::ViewChange(m.claimed(c)));
            let voted = m.prepared.as_ref().and_then(prepared);
            asked.into_iter().chain(voted).collect()
        }
        Message::ViewChange(m) => m.certificate.iter().filter_map(prepared).collect(),
        Message::Commit(m) => vec![Statement::Prepare(PrepareVote {
            chain: m.vote.chain,
            epoch: m.vote.epoch,
            height: m.vote.height,
            view: m.vote.view,
            header: m.vote.header,
        })],
        Message::PrePrepare(_) | Message::Prepare(_) => Vec::new(),
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
