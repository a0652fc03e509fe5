//! Votes for everything: for what others vote for, in their view, and for another outcome to some.

use std::{collections::BTreeMap, sync::Arc};

use certchain_consensus::{
    Message,
    message::{Commit, Prepare},
    statement::{Slot, Statement},
};
use certchain_proto::hash::{HeaderDigest, OutcomeDigest};

use super::{Behaviour, Letter, Tools};

/// Echoes in one slot; without a bound two of these would echo each other for ever.
const ECHOES: usize = 3;

/// Echoes votes as its own, some of them twisted.
#[derive(Debug, Default)]
pub struct ConflictingVotes {
    echoed: BTreeMap<Slot, usize>,
}

impl Behaviour for ConflictingVotes {
    fn hears(&mut self, tools: &mut Tools<'_>, message: &Message) -> Vec<Letter> {
        let mut letters = Vec::new();
        let echoes = self.echoed.entry(message.statement().slot()).or_default();
        if *echoes >= ECHOES {
            return letters;
        }
        *echoes += 1;
        for to in tools.others() {
            let twist = tools.rng.per_mille(300);
            let echo = match message {
                Message::Prepare(m) => {
                    let mut vote = m.vote;
                    if twist {
                        vote.header = HeaderDigest::from_bytes(tools.rng.bytes());
                    }
                    let signature = tools.sign(&Statement::Prepare(vote));
                    Message::Prepare(Prepare {
                        vote,
                        signer: tools.index(),
                        signature,
                    })
                }
                Message::Commit(m) => {
                    let mut vote = m.vote;
                    if twist {
                        vote.outcome = OutcomeDigest::from_bytes(tools.rng.bytes());
                    }
                    let signature = tools.sign(&Statement::Commit(vote));
                    Message::Commit(Commit {
                        vote,
                        signer: tools.index(),
                        signature,
                    })
                }
                Message::PrePrepare(_) | Message::ViewChange(_) | Message::NewView(_) => continue,
            };
            letters.push((to, Arc::new(echo)));
        }
        letters
    }
}
