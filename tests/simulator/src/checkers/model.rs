//! What honest engines say is followed in the model of the protocol (`tests/model`), height by height:
//! whatever one of them says must be enabled there, as things stand then, and the claims of the safety
//! argument must hold in every state that is reached.

use std::collections::BTreeMap;

use certchain_consensus::{Message, Record, message::PreparedCertificate, statement::PreparedRef};
use certchain_model::{Block, Certificate, Claim, Setup, State, Step, apply, enabled};
use certchain_proto::{BlockHeader, Height, View, hash::HeaderDigest};

use super::Violation;

/// All heights as the model has them.
#[derive(Debug)]
pub struct Model {
    n: usize,
    byzantine: Vec<usize>,
    heights: BTreeMap<Height, Played>,
}

impl Model {
    /// For `n` validators.
    pub fn new(n: usize, byzantine: Vec<usize>) -> Self {
        Self {
            n,
            byzantine,
            heights: BTreeMap::new(),
        }
    }

    /// Who decides the heights that are looked at from here on, by place.
    pub fn seat(&mut self, n: usize, byzantine: &[usize]) {
        self.n = n;
        self.byzantine = byzantine.to_vec();
    }

    /// An honest node says something, having ever `written` this to its journal; `offset` is where the order of primaries starts at its height.
    ///
    /// # Errors
    /// If it is no step of the model, or leads to where a claim of the safety argument fails.
    pub fn sent(
        &mut self,
        node: usize,
        message: &Message,
        written: &[Record],
        offset: u64,
    ) -> Result<(), Violation> {
        let played = self.heights.entry(message.height()).or_insert_with(|| {
            let offset = usize::try_from(offset % self.n.max(1) as u64).unwrap_or(0);
            Played::new(Setup::new(self.n, &self.byzantine, offset))
        });
        // In the order of writing: after a crash things are first sent in the order of repeats, and a
        // rewritten journal has an order of its own and no longer all of it.
        let statements = written.iter().filter_map(|record| match record {
            Record::Signed(signed) if signed.height() == message.height() => Some(signed.as_ref()),
            _ => None,
        });
        let before = statements.take_while(|signed| *signed != message);
        let said = before
            .chain(std::iter::once(message))
            .try_for_each(|said| played.hears(node, said, written));
        said.map_err(|what| {
            let (height, view) = (message.height(), message.view());
            Violation(format!(
                "node {node}, height {height}, view {view}: {}, which the model forbids: {what}",
                message.kind()
            ))
        })
    }
}

/// One height.
#[derive(Debug)]
struct Played {
    setup: Setup,
    state: State,
    names: BTreeMap<HeaderDigest, Block>,
}

impl Played {
    fn new(setup: Setup) -> Self {
        Self {
            state: State::new(&setup),
            setup,
            names: BTreeMap::new(),
        }
    }

    fn hears(&mut self, node: usize, message: &Message, written: &[Record]) -> Result<(), String> {
        match message {
            Message::PrePrepare(m) => {
                let block = self.name(&m.header, true)?;
                self.takes(Step::Propose { block })
            }
            Message::Prepare(m) => {
                if !self.names.contains_key(&m.vote.header) {
                    self.name_from(written, m.vote.header)?;
                }
                let (who, view) = (node, small(m.vote.view)?);
                let block = self.named(m.vote.header)?;
                self.takes(Step::Prepare { who, view, block })
            }
            Message::Commit(m) => {
                let (who, view) = (node, small(m.vote.view)?);
                let block = self.named(m.vote.header)?;
                self.takes(Step::Commit { who, view, block })
            }
            Message::ViewChange(m) => self.asks(node, m.vote.view, m.vote.prepared),
            Message::NewView(m) => {
                // Its own request may not have been heard in any other way (NV-1).
                if let Some(own) = m.claims.iter().find(|c| c.signer == m.signer) {
                    self.asks(node, m.view, own.prepared)?;
                }
                let prepared = m.prepared.as_ref().map(PreparedCertificate::reference);
                let (view, choice) = (small(m.view)?, self.claim(prepared)?);
                self.takes(Step::OpenView { view, choice })
            }
        }
    }

    fn asks(
        &mut self,
        who: usize,
        view: View,
        prepared: Option<PreparedRef>,
    ) -> Result<(), String> {
        let (view, claim) = (small(view)?, self.claim(prepared)?);
        self.takes(Step::AskForView { who, view, claim })
    }

    /// Takes a step, unless it is one that has been taken.
    fn takes(&mut self, step: Step) -> Result<(), String> {
        let said = |who, view| self.state.said(who, view);
        let again = match step {
            Step::Propose { block } => self.state.proposed(block.view) == Some(block),
            Step::Prepare { who, view, block } => said(who, view).prepare == Some(block),
            Step::Commit { who, view, block } => said(who, view).commit == Some(block),
            Step::AskForView { who, view, claim } => said(who, view).asked == Some(claim),
            Step::OpenView { view, choice } => {
                self.state.opened(view) == Some(choice.map(|certificate| certificate.block))
            }
        };
        if again {
            return Ok(());
        }
        enabled(&self.setup, &self.state, &step).map_err(|why| format!("{why} ({step:?})"))?;
        apply(&self.setup, &mut self.state, &step);
        // What is decided shows in COMMITs.
        if matches!(step, Step::Commit { .. }) {
            self.holds()
                .map_err(|claim| format!("{claim} ({step:?})"))?;
        }
        Ok(())
    }

    /// The claims of the safety argument.
    fn holds(&self) -> Result<(), &'static str> {
        let (state, setup) = (&self.state, &self.setup);
        let claims = [
            (state.agrees(setup), "claim 1: two blocks may be decided"),
            (
                state.prepares_one_block_per_view(setup),
                "claim 1 (a): one view may prepare two blocks",
            ),
            (
                state.keeps_to_decisions(setup),
                "claim 1 (b): a later view may leave a decided block",
            ),
        ];
        let broken = claims.into_iter().find(|(holds, _)| !holds);
        broken.map_or(Ok(()), |(_, claim)| Err(claim))
    }

    /// The model's name of a block; number 0 of a view is what its honest primary itself proposes.
    fn name(&mut self, header: &BlockHeader, by_its_primary: bool) -> Result<Block, String> {
        let digest = header.digest();
        if let Some(known) = self.names.get(&digest) {
            return Ok(*known);
        }
        let view = small(header.view)?;
        let first = u16::from(self.setup.has_honest_primary(view) && !by_its_primary);
        let others = self.names.values().filter(|known| known.view == view);
        let next = others.map(|known| known.number.saturating_add(1)).max();
        let number = next.unwrap_or(0).max(first);
        let block = Block { view, number };
        self.names.insert(digest, block);
        Ok(block)
    }

    /// The header that a PREPARE names lies in the journal of its sender (J-1).
    fn name_from(&mut self, written: &[Record], digest: HeaderDigest) -> Result<(), String> {
        let header = written.iter().rev().find_map(|record| match record {
            Record::Header(header) if header.digest() == digest => Some(header),
            _ => None,
        });
        let header = header.ok_or("PREPARE for a header that is not in the journal")?;
        self.name(header, false)?;
        Ok(())
    }

    fn named(&self, digest: HeaderDigest) -> Result<Block, String> {
        let block = self.names.get(&digest).copied();
        block.ok_or_else(|| format!("{digest} was never proposed to anybody"))
    }

    fn claim(&self, prepared: Option<PreparedRef>) -> Result<Claim, String> {
        let Some(prepared) = prepared else {
            return Ok(None);
        };
        Ok(Some(Certificate {
            view: small(prepared.view)?,
            block: self.named(prepared.header)?,
        }))
    }
}

fn small(view: View) -> Result<certchain_model::View, String> {
    u16::try_from(view.get()).map_err(|_| format!("view {view} is beyond the model"))
}

#[cfg(test)]
mod tests {
    use certchain_consensus::{
        message::{Commit, PrePrepare, Prepare, ViewChange},
        statement::ViewChangeVote,
    };
    use certchain_proto::{
        CommitVote, Epoch, PrepareVote, Signature, ValidatorIndex, hash::OutcomeDigest,
    };

    use super::*;
    use crate::{
        blocks::{chain, genesis},
        keys,
    };

    const HEIGHT: Height = Height::new(1);
    const UNSIGNED: [u8; 64] = [0; 64];

    fn index(node: usize) -> ValidatorIndex {
        ValidatorIndex::new(node as u16)
    }

    fn header() -> BlockHeader {
        BlockHeader {
            height: HEIGHT,
            ..genesis(&keys::validators(4)).header
        }
    }

    fn proposal() -> Message {
        Message::PrePrepare(PrePrepare {
            header: header(),
            contents: genesis(&keys::validators(4)).contents,
            signature: Signature::from_bytes(&UNSIGNED),
        })
    }

    fn prepare(node: usize) -> Message {
        Message::Prepare(Prepare {
            vote: PrepareVote {
                chain: chain(),
                epoch: Epoch::ZERO,
                height: HEIGHT,
                view: View::ZERO,
                header: header().digest(),
            },
            signer: index(node),
            signature: Signature::from_bytes(&UNSIGNED),
        })
    }

    fn commit(node: usize) -> Message {
        Message::Commit(Commit {
            vote: CommitVote {
                chain: chain(),
                epoch: Epoch::ZERO,
                height: HEIGHT,
                view: View::ZERO,
                header: header().digest(),
                outcome: OutcomeDigest::ZERO,
            },
            signer: index(node),
            signature: Signature::from_bytes(&UNSIGNED),
        })
    }

    fn asks_for_view_1(node: usize) -> Message {
        Message::ViewChange(ViewChange {
            vote: ViewChangeVote {
                chain: chain(),
                epoch: Epoch::ZERO,
                height: HEIGHT,
                view: View::new(1),
                prepared: None,
            },
            signer: index(node),
            signature: Signature::from_bytes(&UNSIGNED),
            certificate: None,
        })
    }

    /// Four validators, the last of them faulty, say this one after the other.
    fn play(said: &[(usize, Message)]) -> Result<(), String> {
        let mut model = Model::new(4, vec![3]);
        for (node, message) in said {
            model.sent(*node, message, &[], 0).map_err(|v| v.0)?;
        }
        Ok(())
    }

    #[test]
    fn a_round_is_a_walk_in_the_model_also_with_repeats() {
        let round = [
            (0, proposal()),
            (0, prepare(0)),
            (1, prepare(1)),
            (0, proposal()),
            (0, commit(0)),
            (1, prepare(1)),
            (2, asks_for_view_1(2)),
            (1, commit(1)),
        ];
        assert_eq!(play(&round), Ok(()));
    }

    #[test]
    fn what_the_model_forbids_is_named_with_its_rule() {
        let begun = || vec![(0, proposal()), (0, prepare(0))];
        let cases = [
            (
                vec![(0, proposal()), (1, commit(1))],
                "C-1: COMMIT without own PREPARE",
            ),
            (
                vec![(0, commit(0))],
                "C-1: COMMIT without a certificate of its view",
            ),
            (
                vec![(1, asks_for_view_1(1)), (1, prepare(1))],
                "VC-1: PREPARE below its view",
            ),
            (
                vec![(1, prepare(1)), (1, commit(1)), (1, asks_for_view_1(1))],
                "VC-1: a claim that hides a certificate",
            ),
        ];
        for (more, rule) in cases {
            let said: Vec<_> = begun().into_iter().chain(more).collect();
            let found = play(&said).err().unwrap_or_default();
            assert!(found.contains(rule), "{rule}: {found}");
        }
        let unknown = play(&[(1, prepare(1))]).err().unwrap_or_default();
        assert!(unknown.contains("not in the journal"), "{unknown}");
    }
}
