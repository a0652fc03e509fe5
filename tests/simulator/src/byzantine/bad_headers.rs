//! Proposals with one field of the header changed at a time: attacks PP-3, by which a header follows
//! from the last block, and PR-2, by which nobody moves the order of primaries.

use std::sync::Arc;

use certchain_consensus::{Message, message::PrePrepare};
use certchain_proto::{
    ChainId, Epoch, Height, ValidatorIndex, View,
    hash::{BlockId, CertificateDigest},
};

use super::{Behaviour, Letter, Tools, craft::vote_for};

/// Proposes what does not follow, and votes for it.
#[derive(Debug, Default)]
pub struct BadHeaders;

impl Behaviour for BadHeaders {
    fn sends(
        &mut self,
        tools: &mut Tools<'_>,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Vec<Letter> {
        let Message::PrePrepare(honest) = message.as_ref() else {
            return tools.to(receivers, message);
        };
        let bad = twist(tools, honest.clone());
        let vote = tools.prepare(vote_for(&bad.header, bad.header.view));
        let bad = tools.propose(bad);
        let mut letters = Vec::new();
        for to in receivers {
            letters.extend([Letter::new(*to, &bad), Letter::new(*to, &vote)]);
        }
        letters
    }
}

fn twist(tools: &mut Tools<'_>, mut m: PrePrepare) -> PrePrepare {
    let header = &mut m.header;
    match tools.rng.index(13) {
        0 => header.protocol += 1,
        1 => header.chain = ChainId::main(b"another"),
        2 => header.epoch = Epoch::new(1),
        3 => header.offset = header.offset.wrapping_add(1),
        // The same primaries, by another number.
        4 => header.offset += tools.n as u64,
        5 => header.offset = u64::MAX,
        6 => header.parent = BlockId::from_bytes(tools.rng.bytes()),
        7 => header.parent_commit = CertificateDigest::from_bytes(tools.rng.bytes()),
        8 => header.parent_view = header.parent_view.next(),
        9 => header.proposer = ValidatorIndex::new(tools.rng.index(tools.n) as u16),
        10 => header.view = View::new(header.view.get() + tools.n as u32),
        11 => header.height = Height::new(header.height.get() + 1),
        // The grandparent, with its certificate, as if the last block were not there.
        _ => {
            m.contents.parent_certificate = tools.tip.contents.parent_certificate.clone();
            header.parent = tools.tip.header.parent;
            header.parent_commit = tools.tip.header.parent_commit;
            header.parent_view = tools.tip.header.parent_view;
        }
    }
    m
}
