//! A sync peer that gives out blocks with another header, result, certificate or body, in the wrong
//! order, or with gaps, and makes others ask it: attacks S-2 and S-4.

use certchain_consensus::Message;
use certchain_proto::{
    Height, PrepareVote,
    hash::{StateRoot, WitnessId},
};

use super::{Behaviour, Letter, Tools, limit::Limit};
use crate::blocks::Block;

/// Promises blocks and gives false ones.
#[derive(Debug, Default)]
pub struct LyingSync {
    limit: Limit,
}

impl Behaviour for LyingSync {
    /// A vote from beyond the next height makes its hearers fetch from whoever signed it.
    fn hears(&mut self, tools: &mut Tools<'_>, message: &Message) -> Vec<Letter> {
        if !tools.rng.per_mille(50) || !self.limit.now(tools.now, 1) {
            return Vec::new();
        }
        let slot = message.statement().slot();
        let vote = PrepareVote {
            chain: slot.chain,
            epoch: slot.epoch,
            height: Height::new(tools.height().get() + 3),
            view: slot.view,
            header: tools.any_header(),
        };
        tools.to_others(&tools.prepare(vote))
    }

    fn serves(&mut self, tools: &mut Tools<'_>, mut blocks: Vec<Block>) -> Vec<Block> {
        if blocks.is_empty() || tools.rng.per_mille(100) {
            return blocks;
        }
        tools.deviations += 1;
        let place = tools.rng.index(blocks.len());
        match tools.rng.index(12) {
            0 if blocks.len() > 1 => blocks.reverse(),
            1 if blocks.len() > 1 => blocks.swap(0, place),
            2 if blocks.len() > 2 => {
                blocks.remove(1);
            }
            3 => blocks.clear(),
            kind => tamper(tools, &mut blocks[place], kind),
        }
        blocks
    }
}

fn tamper(tools: &mut Tools<'_>, block: &mut Block, kind: usize) {
    match kind {
        4 => block.header.time_ms = block.header.time_ms.saturating_add(1),
        5 => {
            // Another block in everything but its votes.
            block.header.time_ms = block.header.time_ms.saturating_add(1);
            block.certificate.header = block.header.digest();
        }
        6 => block.outcome.state_root = StateRoot::from_bytes(tools.rng.bytes()),
        7 => {
            block.outcome.state_root = StateRoot::from_bytes(tools.rng.bytes());
            block.certificate.outcome = block.outcome.digest();
        }
        8 => block.certificate.signatures.truncate(tools.quorum() - 1),
        9 => {
            let signatures = &mut block.certificate.signatures;
            if let Some(last) = signatures.last().copied() {
                signatures.truncate(1);
                signatures.resize(tools.quorum(), last);
            }
        }
        10 => block.certificate.view = block.certificate.view.next(),
        11 => block.contents.parent_certificate = block.certificate.clone(),
        _ => {
            let strange = WitnessId::from_bytes(tools.rng.bytes());
            block.contents.witness_ids.push(strange);
        }
    }
}
