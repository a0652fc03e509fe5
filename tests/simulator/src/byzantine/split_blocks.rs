//! A primary that gives one half a block and the other half a block with other transactions, both
//! valid, and votes PREPARE and COMMIT for both: attacks part (a) of the proof of safety, that in one
//! view at most one header is prepared.

use std::sync::Arc;

use certchain_consensus::{Message, message::PrePrepare};
use certchain_proto::{BlockHeader, View, hash::HeaderDigest};

use super::{
    Behaviour, Letter, Tools,
    craft::{vote_for, with_outcome},
};

/// The two blocks of a view and who gets which.
#[derive(Debug)]
struct Split {
    first: HeaderDigest,
    second: PrePrepare,
    /// Who is told of the second, as bits.
    side: u64,
}

/// Tells each side consistently, for as long as the view lasts.
#[derive(Debug, Default)]
pub struct SplitBlocks {
    split: Option<Split>,
}

impl Behaviour for SplitBlocks {
    fn sends(
        &mut self,
        tools: &mut Tools<'_>,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Vec<Letter> {
        if let Message::PrePrepare(m) = message.as_ref() {
            self.prepare_split(tools, m);
        }
        let about = |s: &&Split| message.header() == Some(s.first);
        let Some(split) = self.split.as_ref().filter(about) else {
            return tools.to(receivers, message);
        };
        let others = second_version(tools, split, message);
        let mut letters = Vec::new();
        for to in receivers {
            if (split.side >> to) & 1 == 0 {
                letters.push(Letter::new(*to, message));
            } else {
                letters.extend(others.iter().map(|other| Letter::new(*to, other)));
            }
        }
        letters
    }
}

impl SplitBlocks {
    fn prepare_split(&mut self, tools: &mut Tools<'_>, m: &PrePrepare) {
        let first = m.header.digest();
        if self.split.as_ref().is_some_and(|s| s.first == first) {
            return; // said again
        }
        let mut second = m.clone();
        let mut ids = m.contents.witness_ids.clone();
        ids.pop();
        ids.push(tools.invent());
        tools.refill(&mut second, ids);
        let side = tools.rng.next_u64();
        self.split = Some(Split {
            first,
            second,
            side,
        });
    }
}

/// What those are told who are told of the second block.
fn second_version(tools: &Tools<'_>, split: &Split, message: &Arc<Message>) -> Vec<Arc<Message>> {
    let header = &split.second.header;
    let prepare = |view: View| tools.prepare(vote_for(header, view));
    match message.as_ref() {
        Message::PrePrepare(_) => vec![
            tools.propose(split.second.clone()),
            prepare(header.view),
            commit(tools, header, header.view),
        ],
        Message::Prepare(m) => vec![prepare(m.vote.view)],
        Message::Commit(m) => vec![commit(tools, header, m.vote.view)],
        Message::ViewChange(_) | Message::NewView(_) => vec![Arc::clone(message)],
    }
}

fn commit(tools: &Tools<'_>, header: &BlockHeader, view: View) -> Arc<Message> {
    let outcome = tools.ground.outcome(header);
    tools.commit(with_outcome(vote_for(header, view), outcome))
}
