//! NV-1, NV-2: what a NEW-VIEW may choose, from what has been asked for.

use crate::{Certificate, Claim, Setup, State, View, Weakness};

impl State {
    /// All choices for a view that some quorum of requests for just it gives. A faulty one's claim is
    /// any certificate that can exist, or none. An honest primary counts itself (NV-1).
    pub fn choices(&self, setup: &Setup, view: View) -> Vec<Claim> {
        // Every one needs an honest claim: faulty ones are no quorum.
        if self.said_in(view).iter().all(|said| said.asked.is_none()) {
            return Vec::new();
        }
        let certificates = (0..view).flat_map(|lower| self.certificates_of(setup, lower));
        [None]
            .into_iter()
            .chain(certificates.map(Some))
            .filter(|choice| self.may_choose(setup, view, *choice))
            .collect()
    }

    /// Whether some quorum of requests for a view has this as its highest claim.
    pub fn may_choose(&self, setup: &Setup, view: View, choice: Claim) -> bool {
        let lower = setup.is_weak(Weakness::ChoosesLower);
        let rank = |claim: Claim| claim.map(|certificate| certificate.view);
        let fits = |claim: Claim| lower || rank(claim) <= rank(choice);
        let primary = setup.primary(view);
        let counts_itself = setup.is_honest(primary) && !setup.is_loose();
        if counts_itself && !self.said(primary, view).asked.is_some_and(fits) {
            return false;
        }
        let requests = || self.said_in(view).iter().filter_map(|said| said.asked);
        let honest = requests().filter(|claim| fits(*claim)).count();
        let needed = setup.quorum() - usize::from(setup.is_weak(Weakness::OpensOnFewer));
        let somebody_claims_it = match choice {
            None => true,
            Some(certificate) => {
                requests().any(|claim| claim == choice)
                    || (setup.byzantine() > 0 && self.exists(setup, view, certificate))
            }
        };
        honest + setup.byzantine() >= needed && somebody_claims_it
    }

    /// Whether a certificate can exist that a request for this view may claim.
    pub(crate) fn exists(&self, setup: &Setup, view: View, certificate: Certificate) -> bool {
        certificate.view < view && self.may_be_prepared(setup, certificate.view, certificate.block)
    }

    /// Whether a NEW-VIEW for this view may have been said.
    pub fn may_be_open(&self, setup: &Setup, view: View) -> bool {
        if view == 0 {
            return true;
        }
        if setup.has_honest_primary(view) {
            return self.opened(view).is_some();
        }
        // The highest of all claims is a choice that every quorum bears.
        let honest = self.said_in(view).iter();
        let asking = honest.filter(|said| said.asked.is_some()).count();
        let needed = setup.quorum() - usize::from(setup.is_weak(Weakness::OpensOnFewer));
        asking > 0 && asking + setup.byzantine() >= needed
    }

    /// How many may have asked for this view or later ones, but for one of them.
    pub(crate) fn asking(&self, setup: &Setup, view: View, but: Option<usize>) -> usize {
        let reaches = |who: &usize| Some(*who) != but && self.latest_request(*who).0 >= view;
        setup.honest().filter(reaches).count() + setup.byzantine()
    }
}
