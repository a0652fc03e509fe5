//! Messages in the name of others under its own key: attacks the verification of who signed, without
//! which one would be a quorum by itself.

use std::sync::Arc;

use certchain_consensus::{Message, message::PrePrepare};
use certchain_proto::ValidatorIndex;

use super::{Behaviour, Letter, Tools, limit::Limit};

/// Speaks for everybody in the slots that it hears of.
#[derive(Debug, Default)]
pub struct ForgedVotes {
    limit: Limit,
}

impl Behaviour for ForgedVotes {
    fn hears(&mut self, tools: &mut Tools<'_>, message: &Message) -> Vec<Letter> {
        if !self.limit.here(tools.now, message.statement().slot(), 1) {
            return Vec::new();
        }
        let twist = tools.rng.coin();
        let mut letters = Vec::new();
        for victim in tools.others() {
            let forged = Arc::new(forged(tools, message, victim, twist));
            letters.extend(tools.to_others(&forged));
        }
        letters
    }
}

/// What was heard, or something else in its slot, as if `victim` had said it.
fn forged(tools: &mut Tools<'_>, message: &Message, victim: usize, twist: bool) -> Message {
    let signed = match message {
        Message::PrePrepare(m) => {
            let mut m: PrePrepare = m.clone();
            m.header.proposer = ValidatorIndex::new(victim as u16);
            if twist {
                m.header.time_ms = m.header.time_ms.saturating_add(1);
            }
            tools.propose(m)
        }
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
        Message::ViewChange(m) => {
            let mut vote = m.vote;
            if twist {
                vote.view = vote.view.next();
            }
            tools.ask(vote, m.certificate.clone().filter(|_| !twist))
        }
        Message::NewView(m) => tools.open(m.clone()),
    };
    in_the_name_of(
        Arc::unwrap_or_clone(signed),
        ValidatorIndex::new(victim as u16),
    )
}

fn in_the_name_of(mut message: Message, victim: ValidatorIndex) -> Message {
    match &mut message {
        Message::PrePrepare(m) => m.header.proposer = victim,
        Message::Prepare(m) => m.signer = victim,
        Message::Commit(m) => m.signer = victim,
        Message::ViewChange(m) => m.signer = victim,
        Message::NewView(m) => m.signer = victim,
    }
    message
}
