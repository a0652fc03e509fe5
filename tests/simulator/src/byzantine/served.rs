//! What a receiver does with blocks from sync, as the daemon does it: it takes what is proven and
//! follows, throws the rest away, and asks another peer.

use certchain_consensus::verify::Invalid;
use certchain_proto::Height;

use crate::{
    blocks::{Block, chain, tx_root},
    checkers::Violation,
    world::{What, World},
};

impl World {
    /// The leading blocks of an answer that hold. If some do not, their sender was faulty, or the
    /// run ends here.
    pub(crate) fn sound_blocks(
        &mut self,
        node: usize,
        from: usize,
        mut blocks: Vec<Block>,
    ) -> Result<Vec<Block>, Violation> {
        let Some((place, fault)) = self.first_fault(&blocks) else {
            return Ok(blocks);
        };
        if self.is_honest(from) {
            let text =
                format!("honest node {from} sends node {node} a block that is none: {fault}");
            return Err(Violation(text));
        }
        *self.unverifiable.entry("sealed block").or_default() += 1;
        blocks.truncate(place);
        self.ask_another(node, from);
        Ok(blocks)
    }

    /// Where an answer goes wrong. One out of order is not looked into at all.
    fn first_fault(&self, blocks: &[Block]) -> Option<(usize, String)> {
        let heights = blocks.iter().map(|b| b.header.height);
        let follow = |(a, b): (Height, Height)| a.next() == b;
        if !heights.clone().zip(heights.skip(1)).all(follow) {
            return Some((0, "out of order".to_owned()));
        }
        blocks.iter().enumerate().find_map(|(place, block)| {
            let fault = self.fault(block)?;
            Some((place, format!("height {}: {fault}", block.header.height)))
        })
    }

    fn fault(&self, block: &Block) -> Option<String> {
        let contents = &block.contents;
        if contents.parent_certificate.digest() != block.header.parent_commit {
            return Some("another parent certificate".to_owned());
        }
        if tx_root(&contents.witness_ids) != block.header.tx_root {
            return Some("another body".to_owned());
        }
        let sealed = Self::sealed_event(block);
        let verified = sealed.verify(chain(), &self.epochs, &self.plan.scheme);
        verified.err().map(|e: Invalid| e.to_string())
    }

    fn ask_another(&mut self, node: usize, liar: usize) {
        let Some(engine) = self.nodes[node].engine.as_ref() else {
            return;
        };
        let height = engine.status().height;
        let n = self.plan.n;
        let next = (1..n).map(|i| (liar + i) % n).find(|i| *i != node);
        if let Some(of) = next {
            let from = node;
            self.carry(from, of, || What::AskBlocks { of, from, height });
        }
    }
}
