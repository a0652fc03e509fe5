//! What others said at one height, bounded by sender and view.

use std::collections::BTreeMap;

use certchain_proto::{ValidatorIndex, View};

use crate::planted::{self, Bug};

/// What became of a message that was put into a book.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Inserted<T> {
    /// It is the first of its signer in its view.
    New,
    /// Its signer has spoken in this view; this is what it said then.
    Known(T),
    /// Its signer has used up its room with higher views.
    Full,
}

/// Messages of one phase by signer and view.
///
/// Invariant: at most `limit` views per signer, the highest of those that came.
#[derive(Debug)]
pub(super) struct VoteBook<T> {
    limit: usize,
    by_signer: BTreeMap<ValidatorIndex, BTreeMap<View, T>>,
}

impl<T: Clone> VoteBook<T> {
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            by_signer: BTreeMap::new(),
        }
    }

    /// Keeps the first message of each signer and view.
    pub fn insert(&mut self, signer: ValidatorIndex, view: View, message: T) -> Inserted<T> {
        let views = self.by_signer.entry(signer).or_default();
        if let Some(known) = views.get(&view) {
            return Inserted::Known(known.clone());
        }
        if views.len() >= self.limit && !planted::is(Bug::KeepsAllViews) {
            match views.first_key_value() {
                Some((lowest, _)) if *lowest < view => views.pop_first(),
                _ => return Inserted::Full,
            };
        }
        views.insert(view, message);
        Inserted::New
    }

    pub fn get(&self, signer: ValidatorIndex, view: View) -> Option<&T> {
        self.by_signer.get(&signer)?.get(&view)
    }

    pub fn remove(&mut self, signer: ValidatorIndex, view: View) {
        if let Some(views) = self.by_signer.get_mut(&signer) {
            views.remove(&view);
        }
    }

    /// All messages of one view, by rising signer.
    pub fn of_view(&self, view: View) -> impl Iterator<Item = (ValidatorIndex, &T)> {
        self.by_signer
            .iter()
            .filter_map(move |(signer, views)| Some((*signer, views.get(&view)?)))
    }

    /// The highest view of each signer, by rising signer.
    pub fn highest(&self) -> impl Iterator<Item = (ValidatorIndex, View)> + '_ {
        self.by_signer
            .iter()
            .filter_map(|(signer, views)| Some((*signer, *views.last_key_value()?.0)))
    }

    /// The message of the highest view of each signer.
    pub fn newest(&self) -> impl Iterator<Item = (ValidatorIndex, &T)> {
        self.by_signer
            .iter()
            .filter_map(|(signer, views)| Some((*signer, views.last_key_value()?.1)))
    }

    /// The most views that are kept of one signer.
    pub fn most_of_one(&self) -> usize {
        self.by_signer
            .values()
            .map(BTreeMap::len)
            .max()
            .unwrap_or(0)
    }

    /// Signer and view of everything.
    pub fn slots(&self) -> impl Iterator<Item = (ValidatorIndex, View)> + '_ {
        self.by_signer
            .iter()
            .flat_map(|(signer, views)| views.keys().map(|view| (*signer, *view)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn signer(n: u16) -> ValidatorIndex {
        ValidatorIndex::new(n)
    }

    #[test]
    fn keeps_the_first_message_and_the_highest_views() {
        let mut book = VoteBook::new(2);
        assert_eq!(book.insert(signer(1), View::new(3), 'a'), Inserted::New);
        assert_eq!(
            book.insert(signer(1), View::new(3), 'b'),
            Inserted::Known('a')
        );
        assert_eq!(book.insert(signer(1), View::new(5), 'c'), Inserted::New);
        assert_eq!(book.insert(signer(1), View::new(2), 'd'), Inserted::Full);
        assert_eq!(book.insert(signer(1), View::new(4), 'e'), Inserted::New);
        assert_eq!(book.get(signer(1), View::new(3)), None);
        assert_eq!(book.get(signer(1), View::new(4)), Some(&'e'));
        // One sender's flood costs another nothing.
        assert_eq!(book.insert(signer(2), View::new(0), 'f'), Inserted::New);
        assert_eq!(
            book.highest().collect::<Vec<_>>(),
            [(signer(1), View::new(5)), (signer(2), View::new(0))]
        );
        assert_eq!(book.slots().count(), 3);
        book.remove(signer(2), View::new(0));
        assert_eq!(book.of_view(View::new(0)).count(), 0);
    }
}
