//! Proposals with transactions that may not stand in them: executed already, expired, valid for too
//! long, of another chain, against the state, or one body under two envelopes; and good ones that nobody
//! else has seen. Attacks the rules of a block's transactions, and that a block of which one is wrong is
//! refused as a whole by all.

use std::sync::Arc;

use certchain_consensus::Message;
use certchain_simulator::byzantine::{Behaviour, Letter, Tools, vote_for};

/// Most transactions that it adds.
const ADDED: usize = 3;

/// Adds to what it proposes.
#[derive(Debug, Default)]
pub struct BadTransactions;

impl Behaviour for BadTransactions {
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
        let mut ids = m.contents.witness_ids.clone();
        for _ in 0..=tools.rng.index(ADDED) {
            let place = tools.rng.index(ids.len() + 1);
            ids.insert(place, tools.invent());
        }
        tools.refill(&mut m, ids);
        let vote = tools.prepare(vote_for(&m.header, m.header.view));
        let proposal = tools.propose(m);
        // Some are shown the good one now and then.
        let share = if tools.rng.coin() { 1_000 } else { 600 };
        let mut letters = Vec::new();
        for to in receivers {
            if tools.rng.per_mille(share) {
                letters.extend([Letter::new(*to, &proposal), Letter::new(*to, &vote)]);
            } else {
                letters.push(Letter::new(*to, message));
            }
        }
        letters
    }
}
