//! Opens its views with fewer claims than a quorum, with claims of other views or heights, or with
//! claims repeated: attacks NV-1 and the signatures under VIEW-CHANGEs.

use std::sync::Arc;

use certchain_consensus::{
    Message,
    message::{NewView, SignedClaim, ViewChange},
};
use certchain_proto::Signature;

use super::{Behaviour, Letter, Tools, craft, limit::Limit, unrest::Unrest};

/// VIEW-CHANGEs that are remembered.
const KEPT: usize = 32;

/// Opens on the first request for a view of its own.
#[derive(Debug, Default)]
pub struct PrematureNewView {
    heard: Vec<ViewChange>,
    limit: Limit,
    unrest: Unrest,
}

impl Behaviour for PrematureNewView {
    fn sends(
        &mut self,
        tools: &mut Tools<'_>,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Vec<Letter> {
        self.unrest.sends(tools, message, receivers)
    }

    fn hears(&mut self, tools: &mut Tools<'_>, message: &Message) -> Vec<Letter> {
        let Message::ViewChange(m) = message else {
            return Vec::new();
        };
        self.heard
            .retain(|known| known.vote != m.vote || known.signer != m.signer);
        self.heard.push(m.clone());
        if self.heard.len() > KEPT {
            self.heard.remove(0);
        }
        let slot = message.statement().slot();
        let own = tools.engine.primary(slot.view) == tools.index();
        if !own || slot.height != tools.height() || !self.limit.here(tools.now, slot, 3) {
            return Vec::new();
        }
        self.open(tools, m)
    }

    fn ignores(&mut self, message: &Message) -> bool {
        self.unrest.ignores(message)
    }
}

impl PrematureNewView {
    fn open(&self, tools: &mut Tools<'_>, m: &ViewChange) -> Vec<Letter> {
        let claims = self.claims(tools, m);
        let view = m.vote.view;
        let highest = claims.iter().filter_map(|c| c.prepared).max();
        let certificates = self.heard.iter().filter_map(|h| h.certificate.clone());
        let prepared = certificates
            .into_iter()
            .find(|c| Some(c.reference()) == highest);
        let opening = tools.open(NewView {
            chain: m.vote.chain,
            epoch: m.vote.epoch,
            height: m.vote.height,
            view,
            claims,
            prepared,
            signer: tools.index(),
            signature: Signature::from_bytes(&[0; 64]),
        });
        let block = tools.fresh_block(view, Vec::new());
        let vote = tools.prepare(craft::vote_for(&block.header, view));
        let said = [opening, tools.propose(block), vote];
        said.iter().flat_map(|m| tools.to_others(m)).collect()
    }

    /// Claims that are none, sorted so that only the flaw meant stands against them.
    fn claims(&self, tools: &mut Tools<'_>, m: &ViewChange) -> Vec<SignedClaim> {
        let kind = tools.rng.index(4);
        let fits = |h: &&ViewChange| match kind {
            0 => h.vote.height == m.vote.height && h.vote.view == m.vote.view,
            1 => h.vote.height == m.vote.height,
            _ => true,
        };
        let mut claims: Vec<SignedClaim> =
            self.heard.iter().filter(fits).map(craft::claim).collect();
        // Its own request, which its engine has perhaps not made yet.
        claims.push(craft::claim(&tools.request(m.vote, None)));
        claims.sort_by_key(|c| c.signer);
        if kind < 3 {
            claims.dedup_by_key(|c| c.signer);
        }
        claims
    }
}
