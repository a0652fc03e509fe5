//! Fewer states: those that differ only in names are one.

use crate::{Block, Certificate, Said, Setup, State, View};

impl State {
    /// The least of all states that differ from this one only in how honest validators and the blocks
    /// of faulty primaries are numbered. Only with [loose primaries](Setup::loose): elsewhere it matters
    /// who is whose primary, and each state stands for itself.
    #[must_use]
    pub fn representative(&self, setup: &Setup) -> Self {
        if !setup.is_loose() {
            return self.clone();
        }
        let mut least = self.sorted(setup);
        for view in (0..=self.highest_view()).filter(|view| !setup.has_honest_primary(*view)) {
            let mut swapped = least.clone();
            swapped.swap_blocks(view);
            let swapped = swapped.sorted(setup);
            if swapped < least {
                least = swapped;
            }
        }
        least
    }

    /// Numbers honest validators by what they have said.
    fn sorted(&self, setup: &Setup) -> Self {
        let views = self.said.len() / setup.n().max(1);
        let column = |who: usize| {
            let said = (0..views).map(move |view| self.said[view * setup.n() + who]);
            (self.at[who], said)
        };
        let mut order: Vec<usize> = setup.honest().collect();
        order.sort_by(|a, b| {
            let ((at_a, said_a), (at_b, said_b)) = (column(*a), column(*b));
            at_a.cmp(&at_b).then_with(|| said_a.cmp(said_b))
        });
        let mut sorted = self.clone();
        for (to, from) in setup.honest().zip(order) {
            sorted.at[to] = self.at[from];
            for row in 0..views {
                sorted.said[row * setup.n() + to] = self.said[row * setup.n() + from];
            }
        }
        sorted
    }

    /// Exchanges the numbers of the two blocks of one view.
    fn swap_blocks(&mut self, view: View) {
        let swap = |block: &mut Block| {
            if block.view == view {
                block.number ^= 1;
            }
        };
        for Said {
            prepare,
            commit,
            asked,
        } in &mut self.said
        {
            prepare.iter_mut().for_each(swap);
            commit.iter_mut().for_each(swap);
            let claimed = asked.iter_mut().flatten();
            claimed.for_each(|Certificate { block, .. }| swap(block));
        }
        for led in &mut self.led {
            led.proposed.iter_mut().for_each(swap);
            led.opened.iter_mut().flatten().for_each(swap);
        }
    }
}
