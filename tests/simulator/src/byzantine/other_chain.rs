//! What honest validators validly signed for another chain or another epoch with the same keys, said
//! here as it is or with our chain and epoch written over it: attacks the promise that every signature
//! covers chain and epoch, which nothing may ignore.

use std::sync::Arc;

use certchain_consensus::Message;
use certchain_proto::{ChainId, Epoch, PrepareVote};

use super::{
    Behaviour, Letter, Tools, craft::phantom, elsewhere::from_elsewhere, limit::Limit, tools::NEVER,
};

/// Brings a quorum from elsewhere for what it hears of.
#[derive(Debug, Default)]
pub struct OtherChain {
    limit: Limit,
}

impl Behaviour for OtherChain {
    fn hears(&mut self, tools: &mut Tools<'_>, message: &Message) -> Vec<Letter> {
        let slot = message.statement().slot();
        if !self.limit.here(tools.now, slot, 1) {
            return Vec::new();
        }
        let known = message.header().filter(|_| tools.rng.coin());
        let mut vote = PrepareVote {
            chain: slot.chain,
            epoch: slot.epoch,
            height: slot.height,
            view: slot.view,
            header: known.unwrap_or_else(|| phantom(slot)),
        };
        if tools.rng.coin() {
            vote.chain = ChainId::main(b"elsewhere");
        } else {
            vote.epoch = NEVER;
        }
        let kind = tools.rng.index(4);
        let mut said = Vec::new();
        for signer in tools.other_places() {
            said.extend(from_elsewhere(tools, vote, signer, kind));
        }
        if tools.rng.coin() {
            let (chain, epoch) = (tools.ground.chain(), tools.members.epoch());
            said.iter_mut().for_each(|m| relabel(m, chain, epoch));
        }
        let said = said.into_iter().map(Arc::new);
        said.flat_map(|m| tools.to_others(&m)).collect()
    }
}

/// Writes our chain and epoch over what was said elsewhere.
fn relabel(message: &mut Message, here: ChainId, present: Epoch) {
    let (chain, epoch) = match message {
        Message::PrePrepare(m) => (&mut m.header.chain, &mut m.header.epoch),
        Message::Prepare(m) => (&mut m.vote.chain, &mut m.vote.epoch),
        Message::Commit(m) => (&mut m.vote.chain, &mut m.vote.epoch),
        Message::ViewChange(m) => (&mut m.vote.chain, &mut m.vote.epoch),
        Message::NewView(m) => (&mut m.chain, &mut m.epoch),
    };
    *chain = here;
    *epoch = present;
}
