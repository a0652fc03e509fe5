//! Certificates and claims in which one signer stands as often as a quorum needs, in VIEW-CHANGE,
//! NEW-VIEW and PRE-PREPARE: attacks Q, which counts distinct members.

use std::sync::Arc;

use certchain_consensus::{
    Message,
    message::{NewView, PrePrepare, PreparedCertificate, ViewChange},
};

use super::{Behaviour, Letter, Tools, craft::vote_for};

/// Fills quorums with itself or with whoever stands last.
#[derive(Debug, Default)]
pub struct RepeatedSigners;

impl Behaviour for RepeatedSigners {
    fn sends(
        &mut self,
        tools: &mut Tools<'_>,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Vec<Letter> {
        let twisted = match message.as_ref() {
            Message::ViewChange(m) => ask(tools, m),
            Message::NewView(m) => open(tools, m),
            Message::PrePrepare(m) => propose(tools, m),
            Message::Prepare(_) | Message::Commit(_) => return tools.to(receivers, message),
        };
        let mut letters = Vec::new();
        for to in receivers {
            let lies = tools.rng.per_mille(700);
            letters.push(Letter::new(*to, if lies { &twisted } else { message }));
        }
        letters
    }
}

/// Keeps some entries and repeats the last of them until there are as many as before or as needed.
fn repeat<T: Clone>(tools: &mut Tools<'_>, entries: &mut Vec<T>) {
    let needed = entries.len().max(tools.quorum());
    let Some(kept) = entries.len().checked_sub(1).filter(|k| *k > 0) else {
        return;
    };
    entries.truncate(1 + tools.rng.index(kept));
    if let Some(last) = entries.last().cloned() {
        entries.resize(needed, last);
    }
}

fn ask(tools: &mut Tools<'_>, m: &ViewChange) -> Arc<Message> {
    let mut certificate = match &m.certificate {
        Some(certificate) => certificate.clone(),
        None => alone(tools, m),
    };
    repeat(tools, &mut certificate.signatures);
    tools.ask(m.vote, Some(certificate))
}

/// A certificate of the view before, for a block that nobody proposed, all signatures its own.
fn alone(tools: &mut Tools<'_>, m: &ViewChange) -> PreparedCertificate {
    let view = m.vote.view.previous().unwrap_or_default();
    let header = tools.unproposed(view);
    let mark = tools.mark(vote_for(&header, view));
    PreparedCertificate {
        view,
        header,
        signatures: vec![mark; tools.quorum()],
    }
}

fn open(tools: &mut Tools<'_>, m: &NewView) -> Arc<Message> {
    let mut twisted = m.clone();
    match &mut twisted.prepared {
        Some(certificate) if tools.rng.coin() => repeat(tools, &mut certificate.signatures),
        _ => repeat(tools, &mut twisted.claims),
    }
    tools.open(twisted)
}

fn propose(tools: &mut Tools<'_>, m: &PrePrepare) -> Arc<Message> {
    let mut twisted = m.clone();
    let parent = &mut twisted.contents.parent_certificate;
    repeat(tools, &mut parent.signatures);
    twisted.header.parent_commit = parent.digest();
    tools.propose(twisted)
}
