//! What faulty validators have heard and can make use of: they hear everything.

use std::collections::BTreeMap;

use certchain_consensus::{
    Message, Verified,
    message::{PreparedCertificate, ViewChange},
    statement::Statement,
};
use certchain_proto::{
    BlockHeader, CommitCertificate, CommitVote, Outcome, PrepareVote, Signature, ValidatorIndex,
    View, certificate::IndexedSignature, hash::HeaderDigest,
};
use certchain_simulator::blocks::chain;

use super::forge::sign;

/// Messages, blocks and asking validators that are remembered.
const REMEMBERED: usize = 48;

/// Signatures of distinct validators.
type Signatures = BTreeMap<ValidatorIndex, Signature>;

/// What was heard.
#[derive(Debug, Default)]
pub struct Pool {
    /// Messages, the newest last.
    pub messages: Vec<Verified<Message>>,
    /// Headers that were proposed, the newest last.
    pub headers: Vec<BlockHeader>,
    /// Requests for views, the newest last.
    pub changes: Vec<ViewChange>,
    /// Results of blocks that somebody executed.
    pub outcomes: BTreeMap<HeaderDigest, Outcome>,
    prepares: BTreeMap<(HeaderDigest, View), Signatures>,
    commits: BTreeMap<(HeaderDigest, View), Signatures>,
}

fn remember<T>(list: &mut Vec<T>, item: T) {
    if list.len() >= REMEMBERED {
        list.remove(0);
    }
    list.push(item);
}

impl Pool {
    /// Remembers what somebody said.
    pub fn hear(&mut self, message: &Verified<Message>) {
        remember(&mut self.messages, message.clone());
        match &**message {
            Message::PrePrepare(m) => remember(&mut self.headers, m.header.clone()),
            Message::Prepare(m) => {
                let votes = self.prepares.entry((m.vote.header, m.vote.view));
                votes.or_default().insert(m.signer, m.signature);
            }
            Message::Commit(m) => {
                let votes = self.commits.entry((m.vote.header, m.vote.view));
                votes.or_default().insert(m.signer, m.signature);
            }
            Message::ViewChange(m) => remember(&mut self.changes, m.clone()),
            Message::NewView(_) => {}
        }
    }

    /// PREPAREs for a block in a view, with those of the faulty ones.
    pub fn prepared(
        &self,
        header: &BlockHeader,
        view: View,
        faulty: &[usize],
    ) -> PreparedCertificate {
        let vote = PrepareVote {
            chain: chain(),
            epoch: header.epoch,
            height: header.height,
            view,
            header: header.digest(),
        };
        let heard = self.prepares.get(&(vote.header, view));
        PreparedCertificate {
            view,
            header: header.clone(),
            signatures: signatures(heard, faulty, &Statement::Prepare(vote)),
        }
    }

    /// COMMITs for a block and its result in a view, with those of the faulty ones.
    pub fn committed(
        &self,
        header: &BlockHeader,
        outcome: &Outcome,
        view: View,
        faulty: &[usize],
    ) -> CommitCertificate {
        let vote = CommitVote {
            chain: chain(),
            epoch: header.epoch,
            height: header.height,
            view,
            header: header.digest(),
            outcome: outcome.digest(),
        };
        let heard = self.commits.get(&(vote.header, view));
        CommitCertificate {
            epoch: vote.epoch,
            height: vote.height,
            view,
            header: vote.header,
            outcome: vote.outcome,
            signatures: signatures(heard, faulty, &Statement::Commit(vote)),
        }
    }
}

fn signatures(
    heard: Option<&Signatures>,
    faulty: &[usize],
    statement: &Statement,
) -> Vec<IndexedSignature> {
    let mut all = heard.cloned().unwrap_or_default();
    for i in faulty {
        all.insert(ValidatorIndex::new(*i as u16), sign(*i, statement));
    }
    all.into_iter()
        .map(|(validator, signature)| IndexedSignature {
            validator,
            signature,
        })
        .collect()
}
