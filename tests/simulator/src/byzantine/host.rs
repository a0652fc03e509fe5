//! The world's end: it asks behaviours, counts where they deviate, and posts what they say.

use std::sync::Arc;

use certchain_consensus::{Message, Verified};

use super::{Behaviour, Letter, Simulated, Stand, Tools};
use crate::{
    blocks::{Block, chain},
    world::{What, World},
};

/// What verification made of a message: nothing, if it does not hold.
type Checked = Option<Box<Verified<Message>>>;

impl World {
    /// Lets a faulty node send in its own way; whether it is one.
    pub(crate) fn faulty_sends(
        &mut self,
        node: usize,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> bool {
        if self.is_honest(node) {
            return false;
        }
        let letters = self.misbehave(node, |behaviour, tools| {
            let letters = behaviour.sends(tools, message, receivers);
            if !tools.preparing && !as_meant(&letters, message, receivers) {
                tools.deviations += 1;
            }
            letters
        });
        self.post(node, letters.unwrap_or_default());
        true
    }

    /// Lets a faulty node answer what it hears; whether its engine is kept from it.
    pub(crate) fn faulty_hears(&mut self, node: usize, message: &Message) -> bool {
        let done = self.misbehave(node, |behaviour, tools| {
            let letters = behaviour.hears(tools, message);
            tools.deviations += letters.len() as u64;
            (letters, behaviour.ignores(message))
        });
        let Some((letters, ignored)) = done else {
            return false;
        };
        self.post(node, letters);
        ignored
    }

    /// The blocks that a node gives when it is asked for these.
    pub(crate) fn given_blocks(&mut self, node: usize, blocks: Vec<Block>) -> Vec<Block> {
        let honest = blocks.clone();
        self.misbehave(node, |behaviour, tools| behaviour.serves(tools, blocks))
            .unwrap_or(honest)
    }

    fn misbehave<T>(
        &mut self,
        node: usize,
        act: impl FnOnce(&mut dyn Behaviour, &mut Tools<'_>) -> T,
    ) -> Option<T> {
        let mut behaviour = self.nodes[node].byzantine.take()?;
        let retired = self.retired();
        let me = &self.nodes[node];
        let done = me.engine.as_ref().map(|engine| {
            let tip = me.tip();
            let stand = Stand {
                me: node,
                nodes: self.plan.n,
                members: Arc::clone(me.epochs.present()),
                retired,
                now: self.now,
                engine,
                tip,
                ground: Box::new(Simulated { tip }),
                scheme: self.plan.scheme,
            };
            let mut tools = Tools::new(stand, &mut self.rng);
            let result = act(behaviour.as_mut(), &mut tools);
            (result, tools.deviations, tools.invented)
        });
        self.nodes[node].byzantine = Some(behaviour);
        let (result, deviations, invented) = done?;
        self.deviations += deviations;
        for transaction in invented {
            self.withheld.insert(transaction, (node, u64::MAX));
            self.nodes[node].learn(transaction);
        }
        Some(result)
    }

    /// Sends what a faulty node says. Receivers verify as always; what fails is never delivered.
    pub(crate) fn post(&mut self, from: usize, letters: Vec<Letter>) {
        let mut last: Option<(Arc<Message>, Checked)> = None;
        for mut letter in letters {
            if letter.after_ms > 0 {
                let delay = std::mem::take(&mut letter.after_ms);
                self.after(delay, What::Post { from, letter });
                continue;
            }
            let known = last.take().filter(|(m, _)| Arc::ptr_eq(m, &letter.message));
            let (message, verified) =
                known.unwrap_or_else(|| (Arc::clone(&letter.message), self.check(&letter)));
            match &verified {
                Some(verified) => self.carry(from, letter.to, || What::Deliver {
                    to: letter.to,
                    message: verified.clone(),
                }),
                None => *self.unverifiable.entry(message.kind()).or_default() += 1,
            }
            last = Some((message, verified));
        }
    }

    fn check(&self, letter: &Letter) -> Checked {
        let message = Message::clone(&letter.message);
        let verified = message.verify(chain(), &self.epochs, &self.plan.scheme);
        verified.ok().map(Box::new)
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
