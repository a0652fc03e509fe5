//! Proposals with block times in the far future, in the past, equal to the parent's, or at the very
//! edge of what others take: attacks PP-3, PP-4 and PP-5.

use std::sync::Arc;

use certchain_consensus::Message;
use certchain_proto::TimeMs;

use super::{Behaviour, Letter, Tools, craft::vote_for};

/// Proposes at the wrong time, and votes for it.
#[derive(Debug, Default)]
pub struct BadTimes;

impl Behaviour for BadTimes {
    fn sends(
        &mut self,
        tools: &mut Tools<'_>,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Vec<Letter> {
        let Message::PrePrepare(honest) = message.as_ref() else {
            return tools.to(receivers, message);
        };
        let mut bad = honest.clone();
        bad.header.time_ms = TimeMs::new(time(tools, bad.header.view));
        let vote = tools.prepare(vote_for(&bad.header, bad.header.view));
        let bad = tools.propose(bad);
        let mut letters = Vec::new();
        for to in receivers {
            letters.extend([Letter::new(*to, &bad), Letter::new(*to, &vote)]);
        }
        letters
    }
}

fn time(tools: &mut Tools<'_>, view: certchain_proto::View) -> u64 {
    let parent = tools.tip.header.time_ms.get();
    let bound = tools.ground.params().time_bound(view);
    match tools.rng.index(10) {
        0 => parent,
        1 => parent.saturating_sub(1),
        2 => 0,
        3 => u64::MAX,
        4 => tools.now + 24 * 3_600_000,
        5 => parent + 1,
        6 => tools.now.saturating_sub(bound + 900),
        // Early for some, in time for others; and early for all, but not for long.
        7 => tools.now + bound,
        8 => tools.now + bound + tools.rng.between(0, 800),
        _ => tools.now + bound + tools.rng.between(800, 2_000),
    }
}
