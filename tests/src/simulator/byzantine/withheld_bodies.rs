//! A primary whose blocks contain a transaction that it gives to some only.

use super::Behaviour;

/// The world adds the transaction and decides who is given it.
#[derive(Debug)]
pub struct WithheldBodies;

impl Behaviour for WithheldBodies {
    fn withholds(&self) -> bool {
        true
    }
}
