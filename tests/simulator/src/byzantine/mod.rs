//! How faulty validators misbehave, one way per file. A faulty validator runs the real engine and
//! tampers with what it sends, hears and serves; it holds its own key only.

mod bad_headers;
mod bad_roots;
mod bad_times;
mod bogus_new_view;
mod chosen_parents;
mod conflicting_votes;
mod craft;
mod echo_storm;
mod elsewhere;
mod equivocating_primary;
mod far_future;
mod forged_signers;
mod forged_votes;
mod fresh;
mod ground;
mod hidden_certificate;
mod host;
mod ignored_certificate;
mod late_votes;
mod letter;
mod limit;
mod lonely_commit;
mod lying_sync;
mod memory;
mod mute;
mod old_certificates;
mod other_chain;
mod partial_broadcast;
mod premature_new_view;
mod relabelled_votes;
mod repeated_signers;
mod retired_quorum;
mod served;
mod silent_primary;
mod split_blocks;
mod stale_replay;
mod timeout_edge;
mod tools;
mod two_faced_view_change;
mod unknown_block_votes;
mod unrest;
mod usurper;
mod vote_flood;
mod ways;
mod withheld_bodies;

use std::{fmt::Debug, sync::Arc};

use certchain_consensus::Message;

use super::blocks::Block;

pub use self::{
    craft::vote_for,
    ground::{Ground, Simulated},
    letter::Letter,
    tools::{Stand, Tools},
    ways::{DRAWN_WAYS, RETIRED_QUORUM, WAYS, name, needs_changes, way},
};

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

    /// Whether its engine is kept from a message that has come in.
    fn ignores(&mut self, _message: &Message) -> bool {
        false
    }

    /// Decided blocks are asked for; what is given instead.
    fn serves(&mut self, _tools: &mut Tools<'_>, blocks: Vec<Block>) -> Vec<Block> {
        blocks
    }

    /// Whether its proposals contain a transaction that only some are given.
    fn withholds(&self) -> bool {
        false
    }
}
