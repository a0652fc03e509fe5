//! What a node does about sets that change: it tells its engine, knows who sits where, and follows
//! others while it is no member.

use std::sync::Arc;

use certchain_consensus::{Decision, Event, Membership, Message, Verified};
use certchain_proto::{Epoch, ValidatorIndex, hash::HeaderDigest};

use super::{
    checkers::Violation,
    sets::Members,
    world::{What, World},
};

/// How often a node that is no member looks at what others have, as the daemon hears of their tips.
const TIPS_MS: u64 = 300;

impl World {
    /// The node at a place of the set that decides above a node's last block.
    pub(super) fn node_at(&self, node: usize, place: ValidatorIndex) -> Option<usize> {
        self.nodes[node].epochs.present().node(place)
    }

    /// The other members, as a node sees them.
    pub(super) fn colleagues(&self, node: usize) -> Vec<usize> {
        let seats = self.nodes[node].epochs.present().seats();
        let nodes = seats.iter().map(|seat| seat.node);
        nodes.filter(|other| *other != node).collect()
    }

    /// The epoch for which a node does not verify this, if it has another than are known there. One
    /// that nobody ever comes to is not meant.
    pub(super) fn unknown_epoch(&self, node: usize, message: &Verified<Message>) -> Option<Epoch> {
        let parent = match &**message {
            Message::PrePrepare(m) => m.contents.parent_certificate.epoch,
            _ => message.epoch(),
        };
        let known = &self.nodes[node].epochs;
        [message.epoch(), parent]
            .into_iter()
            .find(|epoch| self.epochs.of(*epoch).is_some() && known.of(*epoch).is_none())
    }

    /// VS-2: the node tells the set that a result names. Now and then it is careless and tells another
    /// one first, which must be refused.
    pub(super) fn tell_validators(
        &mut self,
        node: usize,
        header: HeaderDigest,
        next: &Members,
    ) -> Result<(), Violation> {
        let told = |members: &Members| Event::Validators {
            header,
            validators: Box::new(members.set().as_ref().clone()),
        };
        if self.rng.per_mille(100) {
            let wrong = told(self.nodes[node].epochs.present());
            self.step(node, wrong)?;
        }
        self.step(node, told(next))
    }

    /// A node makes a block part of its chain: who decides above it.
    pub(super) fn change_sets(
        &mut self,
        node: usize,
        decision: &Decision,
    ) -> Result<(), Violation> {
        let me = &mut self.nodes[node];
        let next = me.law.above(me.epochs.present(), &decision.header);
        let told = decision.next_validators.as_deref();
        if told != next.as_ref().map(|members| members.set().as_ref()) {
            let (height, told) = (decision.header.height, told.map(|set| set.epoch()));
            return Err(Violation(format!(
                "node {node}, height {height}: its engine goes on with {told:?}, not as the law says"
            )));
        }
        if let Some(next) = next {
            me.epochs.learn(&next);
            if self.epochs.members(next.epoch()).is_none() {
                self.epochs.learn(&next);
            }
        }
        Ok(())
    }

    /// a member that may not sign has been asked for its notice, in the key that it has now.
    ///
    /// # Errors
    /// If it waits for nothing.
    pub(super) fn asks_for_notice(&self, node: usize) -> Result<(), Violation> {
        let me = &self.nodes[node];
        let amnesiac = |e: &certchain_consensus::Engine| e.status().amnesiac;
        let silent = me.engine.as_ref().is_some_and(amnesiac) && me.held.is_none();
        let seat = me.seat();
        if !silent || seat.is_none() || me.asked == seat || self.may_halt(node) {
            return Ok(());
        }
        Err(Violation(format!(
            "node {node} sits as {seat:?} and may not vote, its notice was asked for as {:?}",
            me.asked
        )))
    }

    /// Who is no member hears no votes; it asks somebody for what is decided.
    pub(super) fn look_at_tips(&mut self, node: usize) {
        self.after(TIPS_MS, What::Tips { node });
        let Some(engine) = self.nodes[node].engine.as_ref() else {
            return;
        };
        let status = engine.status();
        let of = self.rng.index(self.plan.n);
        if status.me.is_some() || of == node || self.nodes[node].paused_until > self.now {
            return;
        }
        let height = status.height;
        self.carry(node, of, || What::AskBlocks {
            of,
            from: node,
            height,
        });
    }

    /// The last set that decides nothing any more for anybody, and never will again: every honest disk
    /// is well above its heights. Its keys may have come into any hands.
    pub(super) fn retired(&self) -> Option<Arc<Members>> {
        self.plan.changes.as_ref()?;
        let honest = self.nodes.iter().filter(|n| n.byzantine.is_none());
        let lowest = honest.map(|n| n.disk.ledger.len()).min()?;
        let place = lowest.checked_sub(MARGIN)?;
        let block = self.nodes.iter().find_map(|n| n.disk.ledger.get(place))?;
        let before = block.header.epoch.previous()?;
        self.epochs.members(before).cloned()
    }
}

/// Blocks that a ledger may lose, and some more.
const MARGIN: usize = 6;
