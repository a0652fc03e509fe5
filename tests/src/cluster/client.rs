//! What tests ask a node over gRPC: the generated stubs, with deadlines.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context as _;
use certchain_proto::{
    hash::TransactionId,
    transaction::transaction_id,
    wire::v1::{
        Admission, Block, BlockHeader, GetBlockRequest, GetStatusRequest, GetStatusResponse,
        GetTransactionRequest, GetTransactionResponse, Receipt, SignedTransaction,
        StreamBlocksRequest, SubmitManyRequest, SubmitRequest, WaitReceiptRequest,
        chain_service_client::ChainServiceClient, get_block_request,
        identity_service_client::IdentityServiceClient,
        transaction_service_client::TransactionServiceClient,
    },
};
use futures::StreamExt as _;
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

/// The metadata key that holds a refusal's stable code.
pub const CODE_KEY: &str = "certchain-code";

/// Largest answer that tests take.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Longest that a request without a wait of its own may take.
const REQUEST: Duration = Duration::from_secs(60);

/// A connection to one node. It is made when it is needed and made again after a failure.
#[derive(Clone, Debug)]
pub struct Client {
    /// Chains.
    pub chains: ChainServiceClient<Channel>,
    /// Identities.
    pub identities: IdentityServiceClient<Channel>,
    /// Transactions.
    pub transactions: TransactionServiceClient<Channel>,
    /// The transport, for other services.
    pub channel: Channel,
}

/// The stable code that a refusal carries.
pub fn refusal_code(status: &Status) -> Option<&str> {
    status.metadata().get(CODE_KEY)?.to_str().ok()
}

impl Client {
    /// A connection to the node that serves here. Needs a runtime.
    ///
    /// # Errors
    /// If the address makes no URL.
    pub fn new(grpc: SocketAddr) -> anyhow::Result<Self> {
        let channel = Endpoint::from_shared(format!("http://{grpc}"))?
            .connect_timeout(Duration::from_secs(5))
            .timeout(REQUEST)
            .tcp_nodelay(true)
            .connect_lazy();
        Ok(Self {
            chains: ChainServiceClient::new(channel.clone()).max_decoding_message_size(MAX_ANSWER),
            identities: IdentityServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_ANSWER),
            transactions: TransactionServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_ANSWER),
            channel,
        })
    }

    /// The main chain's state.
    ///
    /// # Errors
    /// As the node says.
    pub async fn status(&self) -> Result<GetStatusResponse, Status> {
        self.status_of("").await
    }

    /// A chain's state.
    ///
    /// # Errors
    /// As the node says.
    pub async fn status_of(&self, chain: &str) -> Result<GetStatusResponse, Status> {
        let request = GetStatusRequest {
            chain: chain.to_owned(),
        };
        Ok(self.chains.clone().get_status(request).await?.into_inner())
    }

    /// Submits one.
    ///
    /// # Errors
    /// As the node says.
    pub async fn submit(&self, transaction: SignedTransaction) -> Result<TransactionId, Status> {
        let id = transaction_id(&transaction.body);
        let request = SubmitRequest {
            transaction: Some(transaction),
            ..Default::default()
        };
        let answer = self
            .transactions
            .clone()
            .submit(request)
            .await?
            .into_inner();
        match TransactionId::from_slice(&answer.transaction_id) {
            Some(told) if told == id => Ok(id),
            _ => Err(Status::internal("the node names another transaction")),
        }
    }

    /// Submits one and waits until it is decided.
    ///
    /// # Errors
    /// As the node says.
    pub async fn submit_and_wait(&self, transaction: SignedTransaction) -> Result<Receipt, Status> {
        let request = SubmitRequest {
            transaction: Some(transaction),
            wait: true,
            ..Default::default()
        };
        let answer = self
            .transactions
            .clone()
            .submit(request)
            .await?
            .into_inner();
        answer
            .receipt
            .ok_or_else(|| Status::internal("a wait that ended without receipt"))
    }

    /// Submits many.
    ///
    /// # Errors
    /// As the node says.
    pub async fn submit_many(
        &self,
        transactions: Vec<SignedTransaction>,
    ) -> Result<Vec<Admission>, Status> {
        let request = SubmitManyRequest {
            transactions,
            ..Default::default()
        };
        Ok(self
            .transactions
            .clone()
            .submit_many(request)
            .await?
            .into_inner()
            .admissions)
    }

    /// Waits until a transaction is decided.
    ///
    /// # Errors
    /// As the node says.
    pub async fn wait_receipt(
        &self,
        id: &TransactionId,
        patience: Duration,
    ) -> Result<Receipt, Status> {
        let request = WaitReceiptRequest {
            transaction_id: id.as_bytes().to_vec(),
            timeout_ms: u32::try_from(patience.as_millis()).unwrap_or(u32::MAX),
            ..Default::default()
        };
        let answer = self
            .transactions
            .clone()
            .wait_receipt(request)
            .await?
            .into_inner();
        answer
            .receipt
            .ok_or_else(|| Status::internal("a wait that ended without receipt"))
    }

    /// A decided transaction.
    ///
    /// # Errors
    /// As the node says.
    pub async fn transaction(
        &self,
        id: &TransactionId,
        with_proof: bool,
    ) -> Result<GetTransactionResponse, Status> {
        let request = GetTransactionRequest {
            transaction_id: id.as_bytes().to_vec(),
            with_proof,
            ..Default::default()
        };
        Ok(self
            .transactions
            .clone()
            .get_transaction(request)
            .await?
            .into_inner())
    }

    /// A block.
    ///
    /// # Errors
    /// As the node says.
    pub async fn block(&self, block: Option<get_block_request::Block>) -> Result<Block, Status> {
        let request = GetBlockRequest {
            block,
            ..Default::default()
        };
        let answer = self.chains.clone().get_block(request).await?.into_inner();
        answer
            .block
            .ok_or_else(|| Status::internal("an answer without block"))
    }

    /// The headers of these heights of a chain, in order.
    ///
    /// # Errors
    /// If the node does not give all of them.
    pub async fn headers_of(
        &self,
        chain: &str,
        from: u64,
        to: u64,
    ) -> anyhow::Result<Vec<BlockHeader>> {
        let request = StreamBlocksRequest {
            chain: chain.to_owned(),
            from_height: Some(from),
            header_only: true,
        };
        let wanted = usize::try_from((to + 1).saturating_sub(from))?;
        let mut headers = Vec::new();
        let mut stream = self
            .chains
            .clone()
            .stream_blocks(request)
            .await?
            .into_inner();
        while headers.len() < wanted {
            let answer = stream
                .next()
                .await
                .context("the stream of blocks ended early")??;
            let header = answer.block.and_then(|block| block.header);
            headers.push(header.context("a block without header")?);
        }
        Ok(headers)
    }
}
