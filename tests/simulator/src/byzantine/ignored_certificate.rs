//! NEW-VIEWs that pick a lower certificate or a fresh block although a claim shows a higher one, with
//! the claims kept, stripped of who shows it, or emptied: attacks NV-2 and with it part (b) of the
//! proof of safety.

use std::sync::Arc;

use certchain_consensus::{Message, message::NewView};
use certchain_proto::View;

use super::{Behaviour, Letter, Tools, craft::vote_for, memory::Memory, unrest::Unrest};

/// Waits for more claims than it needs, to have a choice.
#[derive(Debug, Default)]
pub struct IgnoredCertificate {
    unrest: Unrest,
    memory: Memory,
    fresh: Option<Arc<Message>>,
}

impl Behaviour for IgnoredCertificate {
    fn hears(&mut self, tools: &mut Tools<'_>, message: &Message) -> Vec<Letter> {
        self.memory.note(tools, message);
        Vec::new()
    }

    fn sends(
        &mut self,
        tools: &mut Tools<'_>,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Vec<Letter> {
        self.memory.note(tools, message);
        let Message::NewView(honest) = message.as_ref() else {
            return self.unrest.sends(tools, message, receivers);
        };
        let mut letters = Vec::new();
        if self.memory.claims(honest.view).len() <= tools.quorum() && tools.rng.coin() {
            return letters; // the engine says it again, and more may have asked by then
        }
        for to in receivers {
            let twisted = self.twist(tools, honest);
            let fresh = twisted.prepared.is_none();
            letters.push(Letter::new(*to, &tools.open(twisted)));
            if fresh {
                letters.extend(self.proposal(tools, honest.view, *to));
            }
        }
        letters
    }

    fn ignores(&mut self, message: &Message) -> bool {
        self.unrest.ignores(message)
    }
}

impl IgnoredCertificate {
    fn twist(&self, tools: &mut Tools<'_>, honest: &NewView) -> NewView {
        let mut m = honest.clone();
        let known = self.memory.claims(m.view);
        if known.len() > m.claims.len() {
            m.claims = known;
        }
        match tools.rng.index(5) {
            // Valid if a quorum remains.
            0 => m.claims.retain(|c| c.prepared.is_none()),
            1 => {
                let highest = m.claims.iter().filter_map(|c| c.prepared).max();
                m.claims
                    .retain(|c| c.prepared.is_none() || c.prepared < highest);
            }
            2 => {
                let all = self.memory.certificates(tools.quorum());
                m.prepared = all.into_values().next();
                return m;
            }
            3 => {
                m.prepared = None;
                return m;
            }
            _ => m.claims.iter_mut().for_each(|c| c.prepared = None),
        }
        m.prepared = self.memory.highest(&m.claims);
        m
    }

    /// The same fresh block for everybody who is told that there must be one, and a vote for it.
    fn proposal(&mut self, tools: &Tools<'_>, view: View, to: usize) -> Vec<Letter> {
        let at = (tools.height(), view);
        let known = self.fresh.take().filter(|m| (m.height(), m.view()) == at);
        let fresh = known.unwrap_or_else(|| tools.propose(tools.fresh_block(view, Vec::new())));
        let mut letters = vec![Letter::new(to, &fresh)];
        if let Message::PrePrepare(m) = fresh.as_ref() {
            let vote = tools.prepare(vote_for(&m.header, view));
            letters.push(Letter::new(to, &vote));
        }
        self.fresh = Some(fresh);
        letters
    }
}
