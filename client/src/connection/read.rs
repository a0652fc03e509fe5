//! Questions.

use certchain_proto::{
    Address, ChainId, Height, TimeMs,
    hash::{BlockId, TransactionId},
    wire::v1::{
        Block, GetBlockRequest, GetHistoryProofRequest, GetHistoryProofResponse,
        GetIdentityRequest, GetIdentityResponse, GetNodeRequest, GetNodeResponse,
        GetPublicKeyRequest, GetPublicKeyResponse, GetStateProofRequest, GetStateProofResponse,
        GetStatusRequest, GetStatusResponse, GetTransactionRequest, GetTransactionResponse,
        chain_service_client::ChainServiceClient, get_block_request,
        identity_service_client::IdentityServiceClient,
        transaction_service_client::TransactionServiceClient,
    },
};
use tonic::transport::Channel;

use crate::transaction::Terms;

use super::{Connection, ConnectionError, MAX_ANSWER_BYTES};

/// Which block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockRef {
    /// The last one.
    Last,
    /// By height.
    Height(Height),
    /// By name.
    Id(BlockId),
}

pub(super) fn chain_client(channel: Channel) -> ChainServiceClient<Channel> {
    ChainServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES)
}

pub(super) fn identity_client(channel: Channel) -> IdentityServiceClient<Channel> {
    IdentityServiceClient::new(channel)
}

pub(super) fn transaction_client(channel: Channel) -> TransactionServiceClient<Channel> {
    TransactionServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES)
}

impl Connection {
    /// The node and its chains.
    ///
    /// # Errors
    /// If no node answers.
    pub async fn node(&self) -> Result<GetNodeResponse, ConnectionError> {
        self.ask(
            "the node's status",
            GetNodeRequest {},
            |channel, request| async move { chain_client(channel).get_node(request).await },
        )
        .await
    }

    /// The state of a chain.
    ///
    /// # Errors
    /// If no node answers, or the node does not follow the chain.
    pub async fn status(&self, chain: &str) -> Result<GetStatusResponse, ConnectionError> {
        let question = GetStatusRequest {
            chain: chain.to_owned(),
        };
        self.ask(
            "the chain's status",
            question,
            |channel, request| async move { chain_client(channel).get_status(request).await },
        )
        .await
    }

    /// The id that a chain's node gives it. A transaction for another chain than meant is merely
    /// refused by the meant one; who wants to be sure takes the id from the genesis.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub async fn chain_id(&self, chain: &str) -> Result<ChainId, ConnectionError> {
        chain_id_of(&self.status(chain).await?)
    }

    /// Terms for a transaction of this chain that starts its life at `now` (the clock, as
    /// milliseconds since 1970) and may be executed for `lifetime_ms`; left out or too long, for
    /// nine tenths of what the chain allows, the rest being room for clocks that differ.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub async fn terms(
        &self,
        chain: &str,
        now: TimeMs,
        lifetime_ms: Option<u64>,
    ) -> Result<Terms, ConnectionError> {
        let status = self.status(chain).await?;
        let window = status.transaction_window_ms;
        let longest = window.saturating_sub(window / 10);
        let lifetime = lifetime_ms.unwrap_or(longest).min(longest);
        let start = now.max(TimeMs::new(status.time_ms));
        Ok(Terms {
            chain: chain_id_of(&status)?,
            valid_until: start.saturating_add(lifetime),
        })
    }

    /// A block.
    ///
    /// # Errors
    /// If there is none, or no node answers.
    pub async fn block(
        &self,
        chain: &str,
        block: BlockRef,
        header_only: bool,
    ) -> Result<Block, ConnectionError> {
        let what = "a block";
        let question = GetBlockRequest {
            chain: chain.to_owned(),
            header_only,
            block: match block {
                BlockRef::Last => None,
                BlockRef::Height(height) => Some(get_block_request::Block::Height(height.get())),
                BlockRef::Id(id) => Some(get_block_request::Block::BlockId(id.as_bytes().to_vec())),
            },
        };
        let answer = self
            .ask(what, question, |channel, request| async move {
                chain_client(channel).get_block(request).await
            })
            .await?;
        answer.block.ok_or(ConnectionError::Answer {
            what,
            problem: "it holds no block",
        })
    }

    /// A decided transaction with its receipt.
    ///
    /// # Errors
    /// If it is not decided, or no node answers.
    pub async fn transaction(
        &self,
        chain: &str,
        id: &TransactionId,
        with_proof: bool,
    ) -> Result<GetTransactionResponse, ConnectionError> {
        let question = GetTransactionRequest {
            chain: chain.to_owned(),
            transaction_id: id.as_bytes().to_vec(),
            with_proof,
        };
        self.ask("a transaction", question, |channel, request| async move {
            transaction_client(channel).get_transaction(request).await
        })
        .await
    }

    /// An identity, now or as of a height.
    ///
    /// # Errors
    /// If there is none, or no node answers.
    pub async fn identity(
        &self,
        address: &Address,
        at_height: Option<Height>,
        with_proof: bool,
    ) -> Result<GetIdentityResponse, ConnectionError> {
        let question = GetIdentityRequest {
            address: address.as_bytes().to_vec(),
            at_height: at_height.map(Height::get),
            with_proof,
        };
        self.ask("an identity", question, |channel, request| async move {
            identity_client(channel).get_identity(request).await
        })
        .await
    }

    /// An account's public keys, now or as of a height.
    ///
    /// # Errors
    /// If there is no such account, or no node answers.
    pub async fn public_key(
        &self,
        address: &Address,
        at_height: Option<Height>,
        with_proof: bool,
    ) -> Result<GetPublicKeyResponse, ConnectionError> {
        let question = GetPublicKeyRequest {
            address: address.as_bytes().to_vec(),
            at_height: at_height.map(Height::get),
            with_proof,
        };
        self.ask("a public key", question, |channel, request| async move {
            identity_client(channel).get_public_key(request).await
        })
        .await
    }

    /// A value of the state, or its absence, with proof.
    ///
    /// # Errors
    /// If the height can no longer be proven, or no node answers.
    pub async fn state_proof(
        &self,
        chain: &str,
        key: &[u8],
        at_height: Option<Height>,
    ) -> Result<GetStateProofResponse, ConnectionError> {
        let question = GetStateProofRequest {
            chain: chain.to_owned(),
            key: key.to_vec(),
            at_height: at_height.map(Height::get),
        };
        self.ask("a state proof", question, |channel, request| async move {
            chain_client(channel).get_state_proof(request).await
        })
        .await
    }

    /// Proof that a block belongs to the history of a later one.
    ///
    /// # Errors
    /// If there is no such block, or no node answers.
    pub async fn history_proof(
        &self,
        chain: &str,
        height: Height,
        at_height: Option<Height>,
    ) -> Result<GetHistoryProofResponse, ConnectionError> {
        let question = GetHistoryProofRequest {
            chain: chain.to_owned(),
            height: height.get(),
            at_height: at_height.map(Height::get),
        };
        self.ask("a history proof", question, |channel, request| async move {
            chain_client(channel).get_history_proof(request).await
        })
        .await
    }
}

fn chain_id_of(status: &GetStatusResponse) -> Result<ChainId, ConnectionError> {
    ChainId::from_slice(&status.chain_id).ok_or(ConnectionError::Answer {
        what: "the chain's status",
        problem: "the chain id does not have 32 bytes",
    })
}
