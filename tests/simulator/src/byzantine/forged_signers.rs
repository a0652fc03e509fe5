//! Certificates and claims with invented signatures of others: random, its own under their names, or
//! theirs from under something else. Attacks the verification of everything that stands inside a
//! VIEW-CHANGE, NEW-VIEW or PRE-PREPARE.

use std::sync::Arc;

use certchain_consensus::{
    Message,
    message::{NewView, PrePrepare, PreparedCertificate, SignedClaim, ViewChange},
};
use certchain_proto::{Signature, ValidatorIndex, certificate::IndexedSignature};

use super::{Behaviour, Letter, Tools, craft::vote_for};

/// Makes up quorums.
#[derive(Debug, Default)]
pub struct ForgedSigners;

impl Behaviour for ForgedSigners {
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

/// Everybody's signature, its own being real.
fn everybody(tools: &mut Tools<'_>, own: Signature) -> Vec<IndexedSignature> {
    let copies = tools.rng.coin();
    let mut all = Vec::new();
    for place in 0..tools.n {
        let signature = if place == usize::from(tools.index().get()) || copies {
            own
        } else {
            tools.scribble()
        };
        let validator = ValidatorIndex::new(place as u16);
        all.push(IndexedSignature {
            validator,
            signature,
        });
    }
    all
}

/// A claim to be prepared on a block that nobody proposed, or later than really.
fn ask(tools: &mut Tools<'_>, m: &ViewChange) -> Arc<Message> {
    let view = m.vote.view.previous().unwrap_or_default();
    let mut certificate = m
        .certificate
        .clone()
        .unwrap_or_else(|| PreparedCertificate {
            view,
            header: tools.unproposed(view),
            signatures: Vec::new(),
        });
    if tools.rng.coin() || certificate.signatures.is_empty() {
        let own = tools.mark(vote_for(&certificate.header, certificate.view));
        certificate.signatures = everybody(tools, own.signature);
    } else {
        // Their own signatures, under another view and another time.
        certificate.view = view;
        certificate.header.time_ms = certificate.header.time_ms.saturating_add(1);
    }
    tools.ask(m.vote, Some(certificate))
}

/// Claims of everybody to have been prepared on nothing.
fn open(tools: &mut Tools<'_>, m: &NewView) -> Arc<Message> {
    let mut twisted = m.clone();
    let own = m.claims.iter().find(|c| c.signer == tools.index());
    let own = own.map_or(Signature::from_bytes(&[0; 64]), |c| c.signature);
    let claim = |s: IndexedSignature| SignedClaim {
        signer: s.validator,
        prepared: None,
        signature: s.signature,
    };
    twisted.claims = everybody(tools, own).into_iter().map(claim).collect();
    twisted.prepared = None;
    tools.open(twisted)
}

/// A parent that was decided in a later view than really, which would move the order of primaries.
fn propose(tools: &mut Tools<'_>, m: &PrePrepare) -> Arc<Message> {
    let mut twisted = m.clone();
    let parent = &mut twisted.contents.parent_certificate;
    parent.view = parent.view.next();
    if tools.rng.coin() {
        parent.signatures = everybody(tools, m.signature);
    }
    twisted.header.parent_view = parent.view;
    twisted.header.parent_commit = parent.digest();
    tools.propose(twisted)
}
