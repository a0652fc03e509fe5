//! Messages of other validators from another chain or epoch, made with [`Tools::elsewhere`].

use certchain_consensus::{
    Message,
    message::{Commit, NewView, Prepare, SignedClaim, ViewChange},
    statement::{Statement, ViewChangeVote},
};
use certchain_proto::{PrepareVote, Signature, ValidatorIndex};

use super::{Tools, craft::with_outcome};

/// What `signer` said there about this vote, in one of four phases.
pub fn from_elsewhere(
    tools: &Tools<'_>,
    vote: PrepareVote,
    signer: usize,
    kind: usize,
) -> Option<Message> {
    let request = ViewChangeVote {
        chain: vote.chain,
        epoch: vote.epoch,
        height: vote.height,
        view: vote.view.next(),
        prepared: None,
    };
    let index = ValidatorIndex::new(signer as u16);
    let sign = |statement| tools.elsewhere(signer, &statement);
    Some(match kind {
        0 => Message::Prepare(Prepare {
            vote,
            signer: index,
            signature: sign(Statement::Prepare(vote))?,
        }),
        1 => {
            let outcome = tools.tip.outcome.digest();
            let vote = with_outcome(vote, outcome);
            Message::Commit(Commit {
                vote,
                signer: index,
                signature: sign(Statement::Commit(vote))?,
            })
        }
        2 => Message::ViewChange(ViewChange {
            vote: request,
            signer: index,
            signature: sign(Statement::ViewChange(request))?,
            certificate: None,
        }),
        _ => Message::NewView(opening(tools, request, index)?),
    })
}

/// A view that everybody wanted opened, with nothing prepared.
fn opening(tools: &Tools<'_>, vote: ViewChangeVote, primary: ValidatorIndex) -> Option<NewView> {
    let claim = |place: usize| {
        let signature = tools.elsewhere(place, &Statement::ViewChange(vote))?;
        Some(SignedClaim {
            signer: ValidatorIndex::new(place as u16),
            prepared: None,
            signature,
        })
    };
    let mut m = NewView {
        chain: vote.chain,
        epoch: vote.epoch,
        height: vote.height,
        view: vote.view,
        claims: (0..tools.n).map(claim).collect::<Option<_>>()?,
        prepared: None,
        signer: primary,
        signature: Signature::from_bytes(&[0; 64]),
    };
    m.signature = tools.elsewhere(usize::from(primary.get()), &Statement::NewView(m.vote()))?;
    Some(m)
}
