//! Who takes part, and which rule is weakened, if one is.

use crate::View;

/// A rule that is weakened on purpose, to show that the check notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Weakness {
    /// VC-1: a VIEW-CHANGE may leave out the certificate that a COMMIT of its sender stands on.
    HidesCertificate,
    /// NV-2: a NEW-VIEW may choose any of its claims, or a fresh block, instead of the highest.
    ChoosesLower,
    /// NV-1: a NEW-VIEW stands on one claim less than a quorum.
    OpensOnFewer,
    /// P-1, NV-2: PREPARE in an opened view for any block, whatever was chosen.
    PreparesAnything,
    /// VC-1: PREPARE in a view below one that was asked for.
    PreparesBelow,
    /// VC-1: PREPARE and COMMIT in views below one that was asked for.
    VotesBelow,
    /// C-1: COMMIT for a block on a certificate of an earlier view.
    CommitsOnOldCertificate,
    /// C-1: COMMIT on the own PREPARE alone, without a certificate, which then cannot be claimed either.
    CommitsUnprepared,
    /// Q: all quorums are smaller by one.
    SmallQuorum,
}

/// The validators of a height and the order of its primaries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    n: usize,
    byzantine: Vec<bool>,
    /// PR-1: who is the primary of view 0.
    offset: usize,
    weakness: Option<Weakness>,
    loose: bool,
}

impl Setup {
    /// `n` validators, of whom these may say anything; the primary of view 0 is `offset`.
    pub fn new(n: usize, byzantine: &[usize], offset: usize) -> Self {
        Self {
            n,
            byzantine: (0..n).map(|who| byzantine.contains(&who)).collect(),
            offset,
            weakness: None,
            loose: false,
        }
    }

    /// The same with a weakened rule.
    #[must_use]
    pub fn weakened(mut self, weakness: Weakness) -> Self {
        self.weakness = Some(weakness);
        self
    }

    /// The same with primaries that need not ask for the view that they open (NV-1) and whose fresh block
    /// is there when its view takes one (PP-1). More may be said than by the rules, and it does not
    /// matter which honest validator is whose primary.
    #[must_use]
    pub fn loose(mut self) -> Self {
        self.loose = true;
        self
    }

    /// Validators.
    pub fn n(&self) -> usize {
        self.n
    }

    /// f: the largest with 3 f < n.
    pub fn bearable(&self) -> usize {
        self.n.saturating_sub(1) / 3
    }

    /// q: the smallest such that two sets of that size share more than f members.
    pub fn quorum(&self) -> usize {
        let whole = (self.n + self.bearable()) / 2 + 1;
        whole - usize::from(self.is_weak(Weakness::SmallQuorum))
    }

    /// How many may say anything.
    pub fn byzantine(&self) -> usize {
        self.byzantine.iter().filter(|is| **is).count()
    }

    /// Whether it keeps the rules; strangers do not.
    pub fn is_honest(&self, who: usize) -> bool {
        self.byzantine.get(who) == Some(&false)
    }

    /// Who keeps the rules.
    pub fn honest(&self) -> impl Iterator<Item = usize> {
        (0..self.n).filter(|who| self.is_honest(*who))
    }

    /// PR-1.
    pub fn primary(&self, view: View) -> usize {
        (self.offset + usize::from(view)) % self.n.max(1)
    }

    /// Whether the primary of a view keeps the rules.
    pub fn has_honest_primary(&self, view: View) -> bool {
        self.is_honest(self.primary(view))
    }

    pub(crate) fn is_loose(&self) -> bool {
        self.loose
    }

    pub(crate) fn is_weak(&self, weakness: Weakness) -> bool {
        self.weakness == Some(weakness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorums_are_those_of_the_design() {
        let sizes = |range: std::ops::RangeInclusive<usize>| -> Vec<usize> {
            range.map(|n| Setup::new(n, &[], 0).quorum()).collect()
        };
        assert_eq!(sizes(1..=3), [1, 2, 2]);
        assert_eq!(sizes(4..=10), [3, 4, 4, 5, 6, 6, 7]);
    }

    #[test]
    fn primaries_follow_each_other() {
        let setup = Setup::new(4, &[1], 3);
        assert_eq!([0, 1, 2, 5].map(|v| setup.primary(v)), [3, 0, 1, 0]);
        assert!(!setup.has_honest_primary(2));
    }
}
