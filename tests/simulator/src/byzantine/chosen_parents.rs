//! Proposals on a parent certificate of its own choice, put together from the COMMITs that it heard,
//! another one for each receiver: attacks PR-2, by which nobody can grind the order of primaries, and
//! C-4, which takes any such certificate for a decision.

use std::{collections::BTreeMap, sync::Arc};

use certchain_consensus::{
    Message,
    message::{Commit, PrePrepare},
};
use certchain_proto::{
    CommitCertificate, Height, Signature, ValidatorIndex, View, certificate::IndexedSignature,
    hash::BlockId,
};

use super::{Behaviour, Letter, Tools};

type Votes = BTreeMap<ValidatorIndex, Signature>;

/// Collects COMMITs by height, view and block.
#[derive(Debug, Default)]
pub struct ChosenParents {
    commits: BTreeMap<(Height, View, BlockId), Votes>,
}

impl Behaviour for ChosenParents {
    fn hears(&mut self, tools: &mut Tools<'_>, message: &Message) -> Vec<Letter> {
        self.note(tools, message);
        Vec::new()
    }

    fn sends(
        &mut self,
        tools: &mut Tools<'_>,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Vec<Letter> {
        self.note(tools, message);
        let Message::PrePrepare(honest) = message.as_ref() else {
            return tools.to(receivers, message);
        };
        let mut letters = Vec::new();
        for to in receivers {
            let proposal = match self.twin(tools, honest) {
                Some(twin) => tools.propose(twin),
                None => Arc::clone(message),
            };
            letters.push(Letter::new(*to, &proposal));
        }
        letters
    }
}

impl ChosenParents {
    fn note(&mut self, tools: &Tools<'_>, message: &Message) {
        let Message::Commit(Commit {
            vote,
            signer,
            signature,
        }) = message
        else {
            return;
        };
        let last = tools.tip.header.height;
        self.commits.retain(|(height, _, _), _| *height >= last);
        if vote.height <= last.next() {
            let block = BlockId::of(&vote.header, &vote.outcome);
            let votes = self.commits.entry((vote.height, vote.view, block));
            votes.or_default().insert(*signer, *signature);
        }
    }

    /// The same block on another proof of its parent, if there is one.
    fn twin(&self, tools: &mut Tools<'_>, honest: &PrePrepare) -> Option<PrePrepare> {
        let last = &honest.contents.parent_certificate;
        let proofs: Vec<(View, &Votes)> = self
            .commits
            .iter()
            .filter(|((_, _, block), votes)| {
                *block == honest.header.parent && votes.len() >= tools.quorum()
            })
            .map(|((_, view, _), votes)| (*view, votes))
            .collect();
        if proofs.is_empty() {
            return None;
        }
        let (view, votes) = proofs[tools.rng.index(proofs.len())];
        let mut chosen = votes.clone();
        while chosen.len() > tools.quorum() {
            let place = tools.rng.index(chosen.len());
            let victim = chosen.keys().nth(place).copied()?;
            chosen.remove(&victim);
        }
        let signature = |(validator, signature)| IndexedSignature {
            validator,
            signature,
        };
        let parent = CommitCertificate {
            view,
            signatures: chosen.into_iter().map(signature).collect(),
            ..last.clone()
        };
        let mut twin = honest.clone();
        twin.header.parent_view = view;
        twin.header.parent_commit = parent.digest();
        twin.contents.parent_certificate = parent;
        Some(twin)
    }
}
