//! Real messages of others with another height, view, phase, header or signer written over them, the
//! signature kept: attacks the promise that every signature covers all of these.

use std::sync::Arc;

use certchain_consensus::{
    Message,
    message::{Commit, Prepare},
};
use certchain_proto::{CommitVote, Height, PrepareVote, ValidatorIndex, View};

use super::{Behaviour, Letter, Tools, craft::with_outcome, limit::Limit};

/// Rewrites each statement that it hears, a few times.
#[derive(Debug, Default)]
pub struct RelabelledVotes {
    limit: Limit,
}

impl Behaviour for RelabelledVotes {
    fn hears(&mut self, tools: &mut Tools<'_>, message: &Message) -> Vec<Letter> {
        if !self.limit.here(tools.now, message.statement().slot(), 4) {
            return Vec::new();
        }
        let label = relabelled(tools, message.clone());
        if label == *message {
            return Vec::new(); // it says so already
        }
        tools.to_others(&Arc::new(label))
    }
}

fn relabelled(tools: &mut Tools<'_>, mut message: Message) -> Message {
    let (phase, field) = (tools.rng.per_mille(200), tools.rng.index(4));
    let signer = ValidatorIndex::new(tools.rng.index(tools.n) as u16);
    match &mut message {
        Message::Prepare(m) if phase => {
            let vote = with_outcome(m.vote, tools.any_outcome());
            let (signer, signature) = (m.signer, m.signature);
            return Message::Commit(Commit {
                vote,
                signer,
                signature,
            });
        }
        Message::Commit(m) if phase => {
            let vote = without_outcome(m.vote);
            let (signer, signature) = (m.signer, m.signature);
            return Message::Prepare(Prepare {
                vote,
                signer,
                signature,
            });
        }
        Message::PrePrepare(m) => match field {
            0 => m.header.time_ms = m.header.time_ms.saturating_add(1),
            1 => shift(&mut m.header.view, tools),
            2 => m.header.proposer = signer,
            _ => m.contents.witness_ids.reverse(),
        },
        Message::Prepare(m) => match field {
            0 => m.vote.header = tools.any_header(),
            1 => shift(&mut m.vote.view, tools),
            2 => m.signer = signer,
            _ => lift(&mut m.vote.height, tools),
        },
        Message::Commit(m) => match field {
            0 => m.vote.outcome = tools.any_outcome(),
            1 => shift(&mut m.vote.view, tools),
            2 => m.signer = signer,
            _ => lift(&mut m.vote.height, tools),
        },
        Message::ViewChange(m) => match field {
            0 => {
                m.vote.prepared = None;
                m.certificate = None;
            }
            1 => shift(&mut m.vote.view, tools),
            2 => m.signer = signer,
            _ => lift(&mut m.vote.height, tools),
        },
        Message::NewView(m) => match field {
            0 => m.prepared = None,
            1 => shift(&mut m.view, tools),
            2 => m.signer = signer,
            _ => lift(&mut m.height, tools),
        },
    }
    message
}

fn without_outcome(vote: CommitVote) -> PrepareVote {
    PrepareVote {
        chain: vote.chain,
        epoch: vote.epoch,
        height: vote.height,
        view: vote.view,
        header: vote.header,
    }
}

fn shift(view: &mut View, tools: &mut Tools<'_>) {
    *view = View::new(view.get().saturating_add(tools.rng.between(1, 3) as u32));
}

/// To the next height, or to the present one.
fn lift(height: &mut Height, tools: &mut Tools<'_>) {
    *height = if *height < tools.height() {
        tools.height()
    } else {
        height.next()
    };
}
