//! Votes for everything: for what others vote for, in their view, and for another block or outcome
//! to some. Attacks P-2 and C-3, which count votes for one header and one outcome only.

use certchain_consensus::Message;

use super::{Behaviour, Letter, Tools, limit::Limit};

/// Echoes in one slot; without a bound two of these would echo each other for ever.
const ECHOES: u32 = 3;

/// Echoes votes as its own, some of them twisted.
#[derive(Debug, Default)]
pub struct ConflictingVotes {
    limit: Limit,
}

impl Behaviour for ConflictingVotes {
    fn hears(&mut self, tools: &mut Tools<'_>, message: &Message) -> Vec<Letter> {
        if !self
            .limit
            .here(tools.now, message.statement().slot(), ECHOES)
        {
            return Vec::new();
        }
        let mut letters = Vec::new();
        for to in tools.others() {
            let twist = tools.rng.per_mille(300);
            let echo = match message {
                Message::Prepare(m) => {
                    let mut vote = m.vote;
                    if twist {
                        vote.header = tools.any_header();
                    }
                    tools.prepare(vote)
                }
                Message::Commit(m) => {
                    let mut vote = m.vote;
                    if twist {
                        vote.outcome = tools.any_outcome();
                    }
                    tools.commit(vote)
                }
                Message::PrePrepare(_) | Message::ViewChange(_) | Message::NewView(_) => continue,
            };
            letters.push(Letter::new(to, &echo));
        }
        letters
    }
}
