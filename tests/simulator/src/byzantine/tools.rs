//! What a faulty validator works with.

use std::sync::Arc;

use certchain_consensus::{Engine, Message, Signer, statement::Statement};
use certchain_proto::{Epoch, Height, Signature, ValidatorIndex, View, hash::WitnessId};

use super::{Ground, Letter};
use crate::{
    blocks::Block,
    checkers,
    keys::{self, Scheme},
    rng::Rng,
    sets::Members,
};

/// An epoch that no run comes to.
pub const NEVER: Epoch = Epoch::new(1 << 32);

/// Where a faulty validator stands.
#[derive(Debug)]
pub struct Stand<'a> {
    /// Its node.
    pub me: usize,
    /// All nodes, members or not.
    pub nodes: usize,
    /// Members of the set that decides above its last block.
    pub members: Arc<Members>,
    /// A set that decides nothing any more, whose keys may be in any hands.
    pub retired: Option<Arc<Members>>,
    /// True time.
    pub now: u64,
    /// Its engine, which follows the rules.
    pub engine: &'a Engine,
    /// Its last block.
    pub tip: &'a Block,
    /// Its ledger.
    pub ground: Box<dyn Ground + 'a>,
    /// How validators sign.
    pub scheme: Scheme,
}

/// A look at its own node, its own key, and chance.
#[derive(Debug)]
pub struct Tools<'a> {
    /// Its node.
    pub me: usize,
    /// Members of the set that decides above its last block.
    pub n: usize,
    /// Who they are.
    pub members: Arc<Members>,
    /// A set that decides nothing any more, whose keys may be in any hands.
    pub retired: Option<Arc<Members>>,
    /// All nodes, members or not.
    pub nodes: usize,
    /// True time.
    pub now: u64,
    /// Its engine, which follows the rules.
    pub engine: &'a Engine,
    /// Its last block.
    pub tip: &'a Block,
    /// Its ledger.
    pub ground: Box<dyn Ground + 'a>,
    /// Chance.
    pub rng: &'a mut Rng,
    /// Deviations that do not show in what is sent.
    pub deviations: u64,
    /// Whether what it does now only prepares its attack and counts as none.
    pub preparing: bool,
    /// Transactions that it has made up.
    pub invented: Vec<WitnessId>,
    /// Private, so that behaviours reach no other key than by [`Tools::elsewhere`].
    scheme: Scheme,
}

impl<'a> Tools<'a> {
    /// For a node whose process lives.
    pub fn new(stand: Stand<'a>, rng: &'a mut Rng) -> Self {
        Self {
            me: stand.me,
            n: stand.members.n(),
            members: stand.members,
            retired: stand.retired,
            nodes: stand.nodes,
            now: stand.now,
            engine: stand.engine,
            tip: stand.tip,
            ground: stand.ground,
            rng,
            deviations: 0,
            preparing: false,
            invented: Vec::new(),
            scheme: stand.scheme,
        }
    }

    /// Its place, as messages name it; one where nobody sits, if it is no member.
    pub fn index(&self) -> ValidatorIndex {
        let place = self.members.place(self.me).unwrap_or(self.nodes);
        ValidatorIndex::new(place as u16)
    }

    /// The height that its engine decides.
    pub fn height(&self) -> Height {
        self.engine.head().height().next()
    }

    /// The view of its engine.
    pub fn view(&self) -> View {
        self.engine.status().view
    }

    /// How many make a quorum.
    pub fn quorum(&self) -> usize {
        checkers::quorum(self.n)
    }

    /// Signs what it likes.
    pub fn sign(&self, statement: &Statement) -> Signature {
        let signature = self.sign_at(&self.members, usize::from(self.index().get()), statement);
        signature.unwrap_or_else(|| Signature::from_bytes(&[0; 64]))
    }

    /// The signature of whoever sits at a place of a set.
    fn sign_at(&self, members: &Members, place: usize, s: &Statement) -> Option<Signature> {
        let member = members.set().get(ValidatorIndex::new(place as u16))?;
        let node = members.node(ValidatorIndex::new(place as u16))?;
        keys::signer(self.scheme, node).sign(&member.vote_key, &s.signing_hash())
    }

    /// What a member of the retired set signs now that its key is in other hands: in that set's epoch
    /// only.
    pub fn sign_retired(&self, place: usize, statement: &Statement) -> Option<Signature> {
        let retired = self.retired.as_ref()?;
        let of_it = statement.slot().epoch == retired.epoch();
        of_it.then(|| self.sign_at(retired, place, statement))?
    }

    /// What any validator signs on another chain that runs with the same keys, or in an epoch that this
    /// one never comes to: never anything that counts here.
    pub fn elsewhere(&self, signer: usize, statement: &Statement) -> Option<Signature> {
        let slot = statement.slot();
        let here = slot.chain == self.ground.chain() && slot.epoch < NEVER;
        (!here).then(|| self.sign_at(&self.members, signer, statement))?
    }

    /// The places of the other members.
    pub fn other_places(&self) -> Vec<usize> {
        let mine = usize::from(self.index().get());
        (0..self.n).filter(|place| *place != mine).collect()
    }

    /// Everybody else.
    pub fn others(&self) -> Vec<usize> {
        (0..self.nodes).filter(|i| *i != self.me).collect()
    }

    /// The message to each of these.
    pub fn to(&self, receivers: &[usize], message: &Arc<Message>) -> Vec<Letter> {
        let letter = |to: &usize| Letter::new(*to, message);
        receivers.iter().map(letter).collect()
    }

    /// The message to everybody else.
    pub fn to_others(&self, message: &Arc<Message>) -> Vec<Letter> {
        self.to(&self.others(), message)
    }
}
