//! What an honest validator may say: nothing twice in one slot, nothing below a view that it has
//! left, COMMIT only when prepared, never two outcomes of one block. Restarts change nothing.

use std::collections::{BTreeMap, BTreeSet};

use certchain_consensus::{
    Message, Record,
    statement::{Phase, Slot, Statement},
};
use certchain_proto::{
    Height, View,
    hash::{HeaderDigest, OutcomeDigest},
};

use super::{Violation, faulty, quorum};

/// Everything that honest validators have said.
#[derive(Debug)]
pub struct Votes {
    n: usize,
    byzantine: Vec<usize>,
    said: BTreeMap<(usize, Slot), Statement>,
    left: BTreeMap<(usize, Height), View>,
    /// The views that honest nodes have asked for.
    asked: BTreeMap<(Height, usize), View>,
    outcomes: BTreeMap<(usize, Height, HeaderDigest), OutcomeDigest>,
    prepares: BTreeMap<(Height, View, HeaderDigest), BTreeSet<usize>>,
}

impl Votes {
    /// For `n` validators.
    pub fn new(n: usize, byzantine: Vec<usize>) -> Self {
        Self {
            n,
            byzantine,
            said: BTreeMap::new(),
            left: BTreeMap::new(),
            asked: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            prepares: BTreeMap::new(),
        }
    }

    /// Who decides the heights that are looked at from here on, by place.
    pub fn seat(&mut self, n: usize, byzantine: &[usize]) {
        self.n = n;
        self.byzantine = byzantine.to_vec();
    }

    /// An honest one says this inside of another statement, which shows that it stands in its journal,
    /// though a crash may have come before it was sent by itself.
    ///
    /// # Errors
    /// If it said something else in that slot before.
    pub fn says_within(&mut self, node: usize, statement: Statement) -> Result<(), Violation> {
        let slot = statement.slot();
        let before = *self.said.entry((node, slot)).or_insert(statement);
        if before != statement {
            return Err(Violation(format!(
                "node {node}, {slot:?}: said {before:?}, and now {statement:?}"
            )));
        }
        match statement {
            Statement::ViewChange(_) => {
                for asked in [
                    self.asked.entry((slot.height, node)).or_default(),
                    self.left.entry((node, slot.height)).or_default(),
                ] {
                    *asked = (*asked).max(slot.view);
                }
            }
            Statement::Prepare(vote) => {
                self.prepares
                    .entry((slot.height, slot.view, vote.header))
                    .or_default()
                    .insert(node);
            }
            Statement::PrePrepare(_) | Statement::Commit(_) | Statement::NewView(_) => {}
        }
        Ok(())
    }

    /// Whether this one said this.
    pub fn has_said(&self, node: usize, statement: &Statement) -> bool {
        self.said.get(&(node, statement.slot())) == Some(statement)
    }

    /// Whether an honest one said this, or it is of one that may say anything.
    pub fn may_have_said(&self, node: usize, statement: &Statement) -> bool {
        self.byzantine.contains(&node) || self.has_said(node, statement)
    }

    /// Whether a quorum may have voted PREPARE for this header in this view.
    pub fn may_be_prepared(&self, height: Height, view: View, header: HeaderDigest) -> bool {
        let honest = self
            .prepares
            .get(&(height, view, header))
            .map_or(0, BTreeSet::len);
        honest + self.byzantine.len() >= quorum(self.n)
    }

    /// VC-2: whether a quorum may have asked for this view or later ones.
    fn quorum_asked(&self, height: Height, view: View) -> bool {
        self.asking(height, view, None) >= quorum(self.n)
    }

    /// How many may have asked for this view or later ones, not counting one of them.
    fn asking(&self, height: Height, view: View, but: Option<usize>) -> usize {
        self.asked
            .range((height, 0)..=(height, usize::MAX))
            .filter(|((_, other), asked)| Some(*other) != but && **asked >= view)
            .count()
            + self.byzantine.len()
    }

    /// VC-3, NV-3: whether more than can be faulty have asked for this view or later ones, or a quorum
    /// for the one before it, which may be open then. The faulty may have said anything to it.
    fn may_jump(&self, node: usize, height: Height, view: View) -> bool {
        let before = View::new(view.get().saturating_sub(1));
        self.asking(height, view, Some(node)) > faulty(self.n) || self.quorum_asked(height, before)
    }

    /// The view that a node had asked for when it wrote this. What it has asked for since does not
    /// count, though one may be sent after the other: a disk that was full takes both in one write, and
    /// after a crash things are said in the order of repeats.
    fn left_before(&self, node: usize, message: &Message, written: &[Record]) -> View {
        let height = message.height();
        let left = self.left.get(&(node, height)).copied().unwrap_or_default();
        if message.view() >= left {
            return left;
        }
        let asked = |record: &Record| match record {
            Record::Signed(signed) if signed.height() == height => match signed.as_ref() {
                Message::ViewChange(m) => Some(m.vote.view),
                _ => None,
            },
            _ => None,
        };
        // An earlier life, whose journal is lost, binds whole.
        if written.iter().filter_map(asked).max() < Some(left) {
            return left;
        }
        let this = |record: &&Record| matches!(record, Record::Signed(m) if m.as_ref() == message);
        let before = written.iter().take_while(|record| !this(record));
        before.filter_map(asked).max().unwrap_or_default()
    }

    /// An honest validator, who has ever `written` this to its journal, says something; `entered` says
    /// whether it may have entered the view below.
    ///
    /// # Errors
    /// If it may not.
    pub fn sent(
        &mut self,
        node: usize,
        message: &Message,
        entered: bool,
        written: &[Record],
    ) -> Result<(), Violation> {
        let statement = message.statement();
        let slot = statement.slot();
        let (height, view) = (slot.height, slot.view);
        let fail = |what: &str| {
            Err(Violation(format!(
                "node {node}, height {height}, view {view}: {what}"
            )))
        };
        match self.said.insert((node, slot), statement) {
            Some(before) if before != statement => {
                return fail(&format!(
                    "two different statements in phase {:?}",
                    slot.phase
                ));
            }
            Some(_) => return Ok(()), // said again, as it was
            None => {}
        }
        let left = self.left.get(&(node, height)).copied().unwrap_or_default();
        match statement {
            Statement::Prepare(vote) => {
                if view < self.left_before(node, message, written) {
                    return fail("PREPARE below a view that it asked for");
                }
                self.prepares
                    .entry((height, view, vote.header))
                    .or_default()
                    .insert(node);
            }
            Statement::Commit(vote) => {
                if view < self.left_before(node, message, written) {
                    return fail("COMMIT below a view that it asked for");
                }
                let lock = self
                    .outcomes
                    .entry((node, height, vote.header))
                    .or_insert(vote.outcome);
                if *lock != vote.outcome {
                    return fail("COMMIT for two outcomes of one block");
                }
                if !self.may_be_prepared(height, view, vote.header) {
                    return fail("COMMIT without a quorum of PREPAREs");
                }
            }
            Statement::ViewChange(_) => {
                if view > left.next() && !self.may_jump(node, height, view) {
                    return fail("jumps to a view that too few have asked for");
                }
                if left > View::ZERO
                    && view == left.next()
                    && !entered
                    && !self.may_jump(node, height, view)
                {
                    return fail(
                        "leaves a view that too few have asked for, and that nobody opened",
                    );
                }
                self.asked.insert((height, node), view);
                self.left.insert((node, height), view.max(left));
            }
            Statement::PrePrepare(_) | Statement::NewView(_) => {
                debug_assert!(matches!(slot.phase, Phase::PrePrepare | Phase::NewView));
            }
        }
        Ok(())
    }
}
