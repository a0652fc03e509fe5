//! Proposals of side chains that stand on a block of main that is none, on one that the parent is above
//! already, or on one that main has not come to; and of main that stand on anything at all. Attacks the
//! rule that a checkpoint is a block of main, not older than the parent's, and that an unknown one is
//! waited for and never refused.

use std::sync::Arc;

use certchain_consensus::Message;
use certchain_proto::{
    BlockHeader, Height,
    block::Checkpoint,
    hash::{BlockId, StateRoot},
};
use certchain_simulator::byzantine::{Behaviour, Letter, Tools, vote_for};

/// Stands where nobody can stand.
#[derive(Debug, Default)]
pub struct WrongCheckpoints;

impl Behaviour for WrongCheckpoints {
    fn sends(
        &mut self,
        tools: &mut Tools<'_>,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Vec<Letter> {
        let Message::PrePrepare(honest) = message.as_ref() else {
            return tools.to(receivers, message);
        };
        let mut m = honest.clone();
        twist(tools, &mut m.header);
        let vote = tools.prepare(vote_for(&m.header, m.header.view));
        let proposal = tools.propose(m);
        let mut letters = Vec::new();
        for to in receivers {
            letters.extend([Letter::new(*to, &proposal), Letter::new(*to, &vote)]);
        }
        letters
    }
}

fn twist(tools: &mut Tools<'_>, header: &mut BlockHeader) {
    let Some(checkpoint) = &mut header.checkpoint else {
        header.checkpoint = Some(Checkpoint {
            height: Height::ZERO,
            block: BlockId::from_bytes(tools.rng.bytes()),
            state_root: StateRoot::from_bytes(tools.rng.bytes()),
        });
        return;
    };
    let height = checkpoint.height.get();
    match tools.rng.index(7) {
        0 => checkpoint.block = BlockId::from_bytes(tools.rng.bytes()),
        1 => checkpoint.state_root = StateRoot::from_bytes(tools.rng.bytes()),
        2 => checkpoint.height = Height::new(height.saturating_sub(1)),
        3 => checkpoint.height = Height::new(height + tools.rng.between(1, 3)),
        4 => checkpoint.height = Height::new(u64::MAX),
        // As the parent's, which is no fault unless it is too old by now.
        5 => header.checkpoint = tools.tip.header.checkpoint.or(header.checkpoint),
        _ => header.checkpoint = None,
    }
}
