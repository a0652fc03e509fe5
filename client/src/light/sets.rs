//! How a light client follows the changes of its chain's validators.

use certchain_ledger::evidence::{SetChange, WireError};
use certchain_proto::{certificate::Ed25519Verifier, wire::v1};

use super::{LightClient, LightError, plain_header};

impl LightClient {
    /// Takes over the changes of the validators that an answer proves, oldest first; those that are
    /// known already may stand among them.
    ///
    /// # Errors
    /// If one is not proven; those before it are taken over then.
    pub fn learn(&mut self, answer: &v1::ListValidatorSetsResponse) -> Result<(), LightError> {
        for message in &answer.changes {
            let change = SetChange::try_from(message)?;
            let block = message.block.as_ref().ok_or(WireError::Missing("block"))?;
            plain_header(block)?;
            self.sets.learn(self.chain, &change, &Ed25519Verifier)?;
        }
        Ok(())
    }
}
