//! Tells everything to some only, others for each height: attacks the progress of those who hear
//! nothing (C-4, S-1, NV-5).

use std::sync::Arc;

use certchain_consensus::Message;
use certchain_proto::Height;

use super::{Behaviour, Letter, Tools};

/// Has a circle of friends.
#[derive(Debug, Default)]
pub struct PartialBroadcast {
    height: Height,
    /// Who is told, as bits.
    friends: u64,
}

impl Behaviour for PartialBroadcast {
    fn sends(
        &mut self,
        tools: &mut Tools<'_>,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Vec<Letter> {
        if self.height != message.height() {
            self.height = message.height();
            self.friends = tools.rng.next_u64();
        }
        let friends = |to: &&usize| (self.friends >> **to) & 1 == 1;
        let told: Vec<usize> = receivers.iter().filter(friends).copied().collect();
        tools.to(&told, message)
    }
}
