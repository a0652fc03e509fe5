//! What a view decides on follows from what was asked: the choice of a NEW-VIEW is derived again, from
//! what validators really said, and a PREPARE is for that choice only.

use std::collections::BTreeMap;

use certchain_consensus::{
    Message,
    message::NewView,
    statement::{Statement, ViewChangeVote},
};
use certchain_proto::{Height, View, hash::HeaderDigest};

use super::{Violation, Votes, quorum};

/// Blocks that a ledger may lose.
const DECIDED_AGAIN: u64 = 8;

/// What honest nodes have heard that lets a block be voted for.
#[derive(Debug)]
pub struct Openings {
    n: usize,
    /// NEW-VIEWs by who knows them.
    opened: BTreeMap<(usize, Height, View), Vec<NewView>>,
    /// Proposals by who knows them.
    proposed: BTreeMap<(usize, Height, View), Vec<HeaderDigest>>,
}

impl Openings {
    /// For `n` validators.
    pub fn new(n: usize) -> Self {
        Self {
            n,
            opened: BTreeMap::new(),
            proposed: BTreeMap::new(),
        }
    }

    /// How many decide the heights that are looked at from here on.
    pub fn seat(&mut self, n: usize) {
        self.n = n;
    }

    /// A node hears or says something. What it knows outlives its process: others may have seen it act
    /// on that.
    pub fn knows(&mut self, node: usize, message: &Message) {
        let place = (node, message.height(), message.view());
        match message {
            Message::NewView(m) => {
                let known = self.opened.entry(place).or_default();
                if !known.contains(m) {
                    known.push(m.clone());
                }
            }
            Message::PrePrepare(m) => {
                let known = self.proposed.entry(place).or_default();
                let digest = m.header.digest();
                if !known.contains(&digest) {
                    known.push(digest);
                }
            }
            Message::Prepare(_) | Message::Commit(_) | Message::ViewChange(_) => {}
        }
    }

    /// Forgets what lies well below a height that a node has decided. A ledger may come back without
    /// its last blocks, and then votes on them are cast again.
    pub fn forget(&mut self, node: usize, decided: Height) {
        let old = |(who, height, _): &(usize, Height, View)| {
            *who == node && height.get() + DECIDED_AGAIN < decided.get()
        };
        self.opened.retain(|place, _| !old(place));
        self.proposed.retain(|place, _| !old(place));
    }

    /// Whether a node knows of any opening of this view or a later one of its height.
    pub fn knows_opening(&self, node: usize, height: Height, view: View) -> bool {
        self.opened
            .range((node, height, view)..)
            .next()
            .is_some_and(|((who, at, _), _)| *who == node && *at == height)
    }

    /// An honest node says something that stands on an opening.
    ///
    /// # Errors
    /// If the opening does not bear it.
    pub fn sent(&self, node: usize, message: &Message, votes: &Votes) -> Result<(), Violation> {
        let (height, view) = (message.height(), message.view());
        let fail = |what: String| {
            Err(Violation(format!(
                "node {node}, height {height}, view {view}: {what}"
            )))
        };
        match message {
            Message::NewView(m) => match self.choice(m, votes) {
                Ok(_) => Ok(()),
                Err(what) => fail(format!("opens a view: {what}")),
            },
            Message::ViewChange(m) => match m.vote.prepared {
                Some(claim) if !votes.may_be_prepared(height, claim.view, claim.header) => {
                    fail("claims a certificate that cannot be".to_owned())
                }
                Some(_) | None => Ok(()),
            },
            Message::Prepare(m) => {
                let wanted = m.vote.header;
                let place = (node, height, view);
                let fresh = self
                    .proposed
                    .get(&place)
                    .is_some_and(|known| known.contains(&wanted));
                if view == View::ZERO {
                    return if fresh {
                        Ok(())
                    } else {
                        fail("PREPARE for what its primary did not propose".to_owned())
                    };
                }
                let openings = self.opened.get(&place).map_or(&[][..], Vec::as_slice);
                let mut why = "PREPARE in a view that nobody opened".to_owned();
                for opening in openings {
                    match self.choice(opening, votes) {
                        Ok(Some(chosen)) if chosen == wanted => return Ok(()),
                        Ok(None) if fresh => return Ok(()),
                        Ok(_) => why = "PREPARE for another block than its opening's".to_owned(),
                        Err(what) => why = format!("PREPARE on an opening that fails: {what}"),
                    }
                }
                fail(why)
            }
            Message::PrePrepare(_) | Message::Commit(_) => Ok(()),
        }
    }

    /// The block that a NEW-VIEW must choose, from what its claims' signers really asked for; none is a
    /// fresh one.
    fn choice(&self, m: &NewView, votes: &Votes) -> Result<Option<HeaderDigest>, String> {
        let mut signers = Vec::new();
        let mut highest = None;
        for claim in &m.claims {
            let signer = usize::from(claim.signer.get());
            let vote = ViewChangeVote {
                chain: m.chain,
                epoch: m.epoch,
                height: m.height,
                view: m.view,
                prepared: claim.prepared,
            };
            if signer >= self.n || signers.contains(&signer) {
                return Err(format!("{signer} is counted twice or no member"));
            }
            if !votes.may_have_said(signer, &Statement::ViewChange(vote)) {
                return Err(format!("{signer} never asked for it so"));
            }
            signers.push(signer);
            if let Some(claim) = claim.prepared {
                let best = highest.get_or_insert(claim);
                if claim.view > best.view {
                    *best = claim;
                }
            }
        }
        if signers.len() < quorum(self.n) {
            return Err(format!("only {} asked for it", signers.len()));
        }
        let chosen = m.prepared.as_ref().map(|p| (p.view, p.header.digest()));
        match (highest, chosen) {
            (None, None) => Ok(None),
            (Some(claim), Some((view, header))) if claim.view == view => {
                if votes.may_be_prepared(m.height, view, header) {
                    Ok(Some(header))
                } else {
                    Err("its certificate cannot be".to_owned())
                }
            }
            (highest, chosen) => Err(format!("it chooses {chosen:?}, the claims {highest:?}")),
        }
    }
}
