//! The validators of a chain, followed from one set to the next.

use certchain_proto::{
    Epoch,
    wire::v1::{ListValidatorSetsRequest, ListValidatorSetsResponse, ValidatorSetChange},
};

use super::{Connection, ConnectionError, read::chain_client};
use crate::light::{LightClient, LightError};

/// Changes that are asked for at a time.
const PAGE: u32 = 64;
/// Most questions in a row: for more changes than any chain has.
const MAX_PAGES: usize = 4096;

/// Why a light client did not come to the newest validators of a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// The node does not answer.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// What it answers is not proven.
    #[error(transparent)]
    Light(#[from] LightError),
}

impl Connection {
    /// The changes of a chain's validators after an epoch, oldest first, at most `limit`.
    ///
    /// # Errors
    /// If no node answers, or the node does not follow the chain.
    pub async fn validator_sets(
        &self,
        chain: &str,
        after: Epoch,
        limit: u32,
    ) -> Result<ListValidatorSetsResponse, ConnectionError> {
        let question = ListValidatorSetsRequest {
            chain: chain.to_owned(),
            after_epoch: after.get(),
            limit,
        };
        self.ask(
            "the validator sets",
            question,
            |channel, request| async move {
                chain_client(channel).list_validator_sets(request).await
            },
        )
        .await
    }

    /// Brings a light client to the newest validators that the node knows of its `chain`; gives the
    /// changes that it learned, for who wants to keep them. Ask after the answer that is to be
    /// checked has come: then the node knows the validators of its block.
    ///
    /// # Errors
    /// If no node answers, or an answer is not proven.
    pub async fn follow_validators(
        &self,
        chain: &str,
        light: &mut LightClient,
    ) -> Result<Vec<ValidatorSetChange>, FollowError> {
        follow(light, |known| self.validator_sets(chain, known, PAGE)).await
    }
}

/// Asks for the changes after the known epoch until an answer brings none.
pub(crate) async fn follow<F, Fut>(
    light: &mut LightClient,
    mut ask: F,
) -> Result<Vec<ValidatorSetChange>, FollowError>
where
    F: FnMut(Epoch) -> Fut,
    Fut: Future<Output = Result<ListValidatorSetsResponse, ConnectionError>>,
{
    let mut learned = Vec::new();
    for _ in 0..MAX_PAGES {
        let known = light.validators().epoch();
        let answer = ask(known).await?;
        light.learn(&answer)?;
        if light.validators().epoch() == known {
            break;
        }
        learned.extend(answer.changes);
    }
    Ok(learned)
}
