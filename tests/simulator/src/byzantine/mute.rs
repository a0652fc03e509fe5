//! Says nothing at all and serves no block, though it hears everything: attacks the promise that the
//! honest alone are a quorum, for votes (Q) and for sync (S-2).

use std::sync::Arc;

use certchain_consensus::Message;

use super::{Behaviour, Letter, Tools};
use crate::blocks::Block;

/// Only listens.
#[derive(Debug, Default)]
pub struct Mute;

impl Behaviour for Mute {
    fn sends(
        &mut self,
        _tools: &mut Tools<'_>,
        _message: &Arc<Message>,
        _receivers: &[usize],
    ) -> Vec<Letter> {
        Vec::new()
    }

    fn serves(&mut self, tools: &mut Tools<'_>, _blocks: Vec<Block>) -> Vec<Block> {
        tools.deviations += 1;
        Vec::new()
    }
}
