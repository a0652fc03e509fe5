//! The world's end: it asks behaviours, counts where they deviate, and posts what they say.

use std::sync::Arc;

use certchain_consensus::{Contents, Message, Verified};
use certchain_ledger::evidence::SealedHeader;
use certchain_proto::{
    ChainId, Height, SealedBlock,
    certificate::Ed25519Verifier,
    hash::WitnessId,
    transaction::Transaction,
    wire::v1::{SubmitAnchor, transaction_body::Kind},
};
use certchain_simulator::{
    blocks::Block,
    byzantine::{Behaviour, Letter, Stand, Tools},
    checkers::Violation,
    keys::Scheme,
    sets::Members,
};

use super::{Ledger, false_anchors};
use crate::{
    node::name,
    world::{What, World},
};

/// What verification made of a message: nothing, if it does not hold.
type Checked = Option<Box<Verified<Message>>>;

/// Who is given what a faulty node has made up: everybody.
const EVERYBODY: u64 = u64::MAX;

impl World {
    /// Lets a faulty node send in its own way; whether it is one.
    ///
    /// # Errors
    /// If its ledger cannot be read.
    pub fn faulty_sends(
        &mut self,
        node: usize,
        chain: usize,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Result<bool, Violation> {
        if self.is_honest(node) {
            return Ok(false);
        }
        let letters = self.misbehave(node, chain, |behaviour, tools| {
            let letters = behaviour.sends(tools, message, receivers);
            if !tools.preparing && !as_meant(&letters, message, receivers) {
                tools.deviations += 1;
            }
            letters
        })?;
        self.post(node, chain, letters.unwrap_or_default());
        Ok(true)
    }

    /// Lets a faulty node answer what it hears; whether its engine is kept from it.
    ///
    /// # Errors
    /// If its ledger cannot be read.
    pub fn faulty_hears(
        &mut self,
        node: usize,
        chain: usize,
        message: &Message,
    ) -> Result<bool, Violation> {
        let done = self.misbehave(node, chain, |behaviour, tools| {
            let letters = behaviour.hears(tools, message);
            tools.deviations += letters.len() as u64;
            (letters, behaviour.ignores(message))
        })?;
        let Some((letters, ignored)) = done else {
            return Ok(false);
        };
        self.post(node, chain, letters);
        Ok(ignored)
    }

    /// The blocks that a node gives when it is asked for these.
    ///
    /// # Errors
    /// If its ledger cannot be read.
    pub fn given_blocks(
        &mut self,
        node: usize,
        chain: usize,
        blocks: Vec<SealedBlock>,
    ) -> Result<Vec<SealedBlock>, Violation> {
        if self.is_honest(node) {
            return Ok(blocks);
        }
        let shown: Vec<Block> = blocks.iter().map(shown).collect();
        let served = self.misbehave(node, chain, |behaviour, tools| {
            behaviour.serves(tools, shown)
        })?;
        let Some(served) = served else {
            return Ok(blocks);
        };
        Ok(served.into_iter().map(|block| self.whole(block)).collect())
    }

    /// What a faulty node submits instead of an anchor; nothing, if it anchors as it should.
    pub fn faulty_anchor(
        &mut self,
        node: usize,
        chain: &ChainId,
        good: &SubmitAnchor,
        block: &SealedHeader,
        earlier: Option<&SealedHeader>,
    ) -> Option<Kind> {
        let faulty = self.nodes[node].faulty.as_ref()?;
        let falsely = faulty.anchors_falsely() && self.rng.per_mille(800);
        falsely.then(|| {
            self.deviations += 1;
            false_anchors::twist(&mut self.rng, chain, good, block, earlier)
        })
    }

    /// Bytes of a transaction, or of none, as a faulty node gives them.
    fn bytes_of(&self, id: &WitnessId) -> Vec<u8> {
        match self.known.get(id).or_else(|| self.made_up(id)) {
            Some(transaction) => transaction.encoded().to_vec(),
            None => id.as_bytes().to_vec(),
        }
    }

    fn whole(&self, block: Block) -> SealedBlock {
        let ids = block.contents.witness_ids.iter();
        SealedBlock {
            transactions: ids.map(|id| self.bytes_of(id)).collect(),
            header: block.header,
            parent_certificate: block.contents.parent_certificate,
            outcome: block.outcome,
            commit_certificate: block.certificate,
        }
    }

    fn misbehave<T>(
        &mut self,
        node: usize,
        chain: usize,
        act: impl FnOnce(&mut dyn Behaviour, &mut Tools<'_>) -> T,
    ) -> Result<Option<T>, Violation> {
        let clock = self.nodes[node].clock(self.now).get();
        let nodes = self.plan.n;
        self.look_at_tip(node, chain)?;
        let me = &mut self.nodes[node];
        let (Some(faulty), Some(host)) = (me.faulty.as_mut(), me.hosts.get(chain)) else {
            return Ok(None);
        };
        let (Some(mut behaviour), Some(tip)) = (faulty.behaviours[chain].take(), host.tip.as_ref())
        else {
            return Ok(None);
        };
        let mut made = Vec::new();
        let stand = Stand {
            me: node,
            nodes,
            members: Arc::new(Members::first(nodes)),
            retired: None,
            now: self.now,
            engine: &host.engine,
            tip,
            ground: Box::new(Ledger {
                chain: &host.chain,
                place: chain,
                town: &mut self.town,
                known: &self.known,
                made: &mut made,
                now: clock,
            }),
            scheme: Scheme::Real,
        };
        let mut tools = Tools::new(stand, &mut self.rng);
        let result = act(behaviour.as_mut(), &mut tools);
        self.deviations += tools.deviations;
        drop(tools);
        faulty.behaviours[chain] = Some(behaviour);
        for transaction in made {
            self.make_up(node, transaction, EVERYBODY);
        }
        Ok(Some(result))
    }

    /// Keeps a copy of its last block, as behaviours see blocks.
    fn look_at_tip(&mut self, node: usize, chain: usize) -> Result<(), Violation> {
        let Some(host) = self.nodes[node].hosts.get_mut(chain) else {
            return Ok(());
        };
        let head = host.chain.head();
        let same = |tip: &Block| tip.header.height == head.height();
        if host.tip.as_ref().is_some_and(same) {
            return Ok(());
        }
        let block = match head.height() {
            Height::ZERO => None,
            height => host.chain.block(height).map_err(|error| {
                Violation(format!("node {node} cannot read its store: {error}"))
            })?,
        };
        host.tip = Some(match block {
            Some(block) => shown(&block),
            None => Block {
                header: head.header.clone(),
                contents: Contents {
                    parent_certificate: head.certificate.clone(),
                    witness_ids: Vec::new(),
                },
                outcome: head.outcome.clone(),
                certificate: head.certificate.clone(),
            },
        });
        Ok(())
    }

    /// Sends what a faulty node says. Receivers verify as always; what fails is never delivered.
    pub fn post(&mut self, from: usize, chain: usize, letters: Vec<Letter>) {
        let mut last: Option<(Arc<Message>, Checked)> = None;
        for mut letter in letters {
            if letter.after_ms > 0 {
                let delay = std::mem::take(&mut letter.after_ms);
                let what = What::Post {
                    from,
                    chain,
                    letter,
                };
                self.after(delay, what);
                continue;
            }
            let known = last.take().filter(|(m, _)| Arc::ptr_eq(m, &letter.message));
            let (message, verified) = known.unwrap_or_else(|| {
                let verified = self.check_letter(chain, &letter);
                (Arc::clone(&letter.message), verified)
            });
            match &verified {
                Some(verified) => self.carry(from, letter.to, || What::Deliver {
                    chain,
                    to: letter.to,
                    message: verified.clone(),
                }),
                None => self.unverifiable += 1,
            }
            last = Some((message, verified));
        }
    }

    /// The sets of all nodes are those of genesis.
    fn check_letter(&self, chain: usize, letter: &Letter) -> Checked {
        let first = self.town.genesis.named(name(chain))?;
        let message = Message::clone(&letter.message);
        let verified = message.verify(first.chain(), &first.validators, &Ed25519Verifier);
        verified.ok().map(Box::new)
    }
}

/// A block as behaviours see it.
fn shown(block: &SealedBlock) -> Block {
    let read = |bytes: &Vec<u8>| Some(Transaction::decode(bytes).ok()?.witness_id());
    Block {
        header: block.header.clone(),
        contents: Contents {
            parent_certificate: block.parent_certificate.clone(),
            witness_ids: block.transactions.iter().filter_map(read).collect(),
        },
        outcome: block.outcome.clone(),
        certificate: block.commit_certificate.clone(),
    }
}

/// Whether just what the engine wanted is sent.
fn as_meant(letters: &[Letter], message: &Arc<Message>, receivers: &[usize]) -> bool {
    letters.len() == receivers.len()
        && letters
            .iter()
            .zip(receivers)
            .all(|(l, to)| l.to == *to && l.after_ms == 0 && l.message == *message)
}
