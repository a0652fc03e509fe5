//! Proposals whose roots or count do not fit their transactions, with a transaction twice, or with
//! one that is in the chain already: attacks PP-6 and PP-7.

use std::sync::Arc;

use certchain_consensus::{Message, message::PrePrepare};
use certchain_proto::hash::{HistoryRoot, TxRoot};

use super::{Behaviour, Letter, Tools, craft::vote_for};

/// Proposes blocks that can never be valid, and votes for them.
#[derive(Debug, Default)]
pub struct BadRoots;

impl Behaviour for BadRoots {
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
        // Mostly nobody sees the good one; sometimes some do.
        let share = if tools.rng.coin() { 1_000 } else { 600 };
        let mut letters = Vec::new();
        for to in receivers {
            if tools.rng.per_mille(share) {
                letters.extend([Letter::new(*to, &bad), Letter::new(*to, &vote)]);
            } else {
                letters.push(Letter::new(*to, message));
            }
        }
        letters
    }
}

fn twist(tools: &mut Tools<'_>, mut m: PrePrepare) -> PrePrepare {
    let header = &mut m.header;
    match tools.rng.index(6) {
        0 => header.tx_root = TxRoot::from_bytes(tools.rng.bytes()),
        1 => header.history_root = HistoryRoot::from_bytes(tools.rng.bytes()),
        2 => header.history_root = tools.tip.header.history_root,
        3 => header.tx_count += 1,
        4 => {
            let mut ids = m.contents.witness_ids.clone();
            let again = ids.first().copied().unwrap_or_else(|| tools.invent());
            ids.extend([again, again]);
            tools.refill(&mut m, ids);
        }
        _ => {
            let mut ids = m.contents.witness_ids.clone();
            let old = tools.tip.contents.witness_ids.first().copied();
            ids.push(old.unwrap_or_else(|| tools.invent()));
            tools.refill(&mut m, ids);
        }
    }
    m
}
