//! A primary whose blocks contain a transaction that it gives to some only: attacks PP-6 and the
//! availability of what is prepared.

use super::Behaviour;

/// The world adds the transaction and decides who is given it.
#[derive(Debug, Default)]
pub struct WithheldBodies;

impl Behaviour for WithheldBodies {
    fn withholds(&self) -> bool {
        true
    }
}
