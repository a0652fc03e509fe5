//! A removed set goes on voting: all keys of an epoch that decides nothing any more are in one hand, a
//! quorum of them, and sign votes and blocks for the present height.

use std::sync::Arc;

use certchain_consensus::{
    Message,
    message::{Commit, Prepare, ViewChange},
    statement::{Phase, Statement, ViewChangeVote},
};
use certchain_proto::{
    CommitCertificate, PrepareVote, ValidatorIndex, certificate::IndexedSignature,
};

use super::{
    Behaviour, Letter, Tools,
    craft::{phantom, with_outcome},
};
use crate::{blocks::Block, sets::Members};

/// Says what it must, and what the removed would say.
#[derive(Debug, Default)]
pub struct RetiredQuorum;

impl Behaviour for RetiredQuorum {
    fn sends(
        &mut self,
        tools: &mut Tools<'_>,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Vec<Letter> {
        let mut letters = tools.to(receivers, message);
        let votes = matches!(
            message.statement().slot().phase,
            Phase::Prepare | Phase::ViewChange
        );
        if let Some(retired) = tools.retired.clone().filter(|_| votes) {
            for said in all_votes(tools, &retired, message) {
                letters.extend(tools.to_others(&Arc::new(said)));
            }
        }
        letters
    }

    fn serves(&mut self, tools: &mut Tools<'_>, blocks: Vec<Block>) -> Vec<Block> {
        let Some(retired) = tools.retired.clone().filter(|_| tools.rng.coin()) else {
            return blocks;
        };
        tools.deviations += 1;
        blocks
            .into_iter()
            .map(|block| taken_over(tools, &retired, block))
            .collect()
    }
}

/// Votes of all of them for the height and view of a message: for one block that nobody has seen, for
/// its result, and for a later view.
fn all_votes(tools: &Tools<'_>, retired: &Members, message: &Message) -> Vec<Message> {
    let mut slot = message.statement().slot();
    slot.epoch = retired.epoch();
    let vote = PrepareVote {
        chain: slot.chain,
        epoch: slot.epoch,
        height: slot.height,
        view: slot.view,
        header: phantom(slot),
    };
    let commit = with_outcome(vote, tools.tip.outcome.digest());
    let request = ViewChangeVote {
        chain: slot.chain,
        epoch: slot.epoch,
        height: slot.height,
        view: slot.view.next(),
        prepared: None,
    };
    let by = |place: usize| {
        let signer = ValidatorIndex::new(place as u16);
        let sign = |statement| tools.sign_retired(place, &statement);
        Some([
            Message::Prepare(Prepare {
                vote,
                signer,
                signature: sign(Statement::Prepare(vote))?,
            }),
            Message::Commit(Commit {
                vote: commit,
                signer,
                signature: sign(Statement::Commit(commit))?,
            }),
            Message::ViewChange(ViewChange {
                vote: request,
                signer,
                signature: sign(Statement::ViewChange(request))?,
                certificate: None,
            }),
        ])
    };
    (0..retired.n()).filter_map(by).flatten().collect()
}

/// The same block as if the retired set had decided it.
fn taken_over(tools: &Tools<'_>, retired: &Members, mut block: Block) -> Block {
    block.header.epoch = retired.epoch();
    let mut certificate = CommitCertificate {
        epoch: retired.epoch(),
        header: block.header.digest(),
        signatures: Vec::new(),
        ..block.certificate
    };
    let vote = Statement::Commit(certificate.vote(block.header.chain));
    let by = |place: usize| {
        Some(IndexedSignature {
            validator: ValidatorIndex::new(place as u16),
            signature: tools.sign_retired(place, &vote)?,
        })
    };
    certificate.signatures = (0..retired.n()).filter_map(by).collect();
    block.certificate = certificate;
    block
}
