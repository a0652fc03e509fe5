//! Submission of transactions and their receipts.

use std::{net::IpAddr, pin::Pin, sync::Arc, time::Duration};

use certchain_ledger::evidence::SealedHeader;
use certchain_proto::{
    hash::TransactionId,
    wire::v1::{
        self, Code, GetTransactionRequest, GetTransactionResponse, SubmitManyRequest,
        SubmitManyResponse, SubmitRequest, SubmitResponse, WaitReceiptRequest, WaitReceiptResponse,
        transaction_service_server::TransactionService,
    },
};
use futures::{Stream, StreamExt};
use prost::Message as _;
use tonic::{Request, Response, Status, Streaming};

use super::{
    Services, on_worker,
    status::{busy, invalid, refused, unreadable},
};
use crate::chain::{Admission, ChainHost, WaitError};

/// Batches of one submission stream that are admitted at once.
const STREAM_BATCHES: usize = 4;

/// Most transactions of one batch.
const MAX_BATCH: usize = 4_096;

type AnswerStream = Pin<Box<dyn Stream<Item = Result<SubmitManyResponse, Status>> + Send>>;

#[tonic::async_trait]
impl TransactionService for Services {
    type SubmitStreamStream = AnswerStream;

    async fn submit(
        &self,
        request: Request<SubmitRequest>,
    ) -> Result<Response<SubmitResponse>, Status> {
        let client = host_of(&request);
        let SubmitRequest {
            chain,
            transaction,
            wait,
        } = request.into_inner();
        let host = self.chain(&chain)?;
        let transaction = transaction.ok_or_else(|| invalid("transaction", "is missing"))?;
        let id = submit_one(host, transaction, client).await?;
        let receipt = if wait {
            Some(wait_receipt(host, id, self.max_wait).await?)
        } else {
            None
        };
        Ok(Response::new(SubmitResponse {
            transaction_id: id.as_bytes().to_vec(),
            receipt,
        }))
    }

    async fn submit_many(
        &self,
        request: Request<SubmitManyRequest>,
    ) -> Result<Response<SubmitManyResponse>, Status> {
        let client = host_of(&request);
        let request = request.into_inner();
        let host = Arc::clone(self.chain(&request.chain)?);
        Ok(Response::new(submit_batch(&host, request, client).await?))
    }

    async fn submit_stream(
        &self,
        request: Request<Streaming<SubmitManyRequest>>,
    ) -> Result<Response<AnswerStream>, Status> {
        let services = self.clone();
        let client = host_of(&request);
        let answers = request.into_inner().map(move |batch| {
            let services = services.clone();
            async move {
                let batch = batch?;
                let host = Arc::clone(services.chain(&batch.chain)?);
                submit_batch(&host, batch, client).await
            }
        });
        // Buffered, so that the answers come in the order of the batches.
        Ok(Response::new(Box::pin(answers.buffered(STREAM_BATCHES))))
    }

    async fn wait_receipt(
        &self,
        request: Request<WaitReceiptRequest>,
    ) -> Result<Response<WaitReceiptResponse>, Status> {
        let request = request.into_inner();
        let host = self.chain(&request.chain)?;
        let id = transaction_id(&request.transaction_id)?;
        let asked = Duration::from_millis(request.timeout_ms.into());
        let patience = if asked.is_zero() {
            self.max_wait
        } else {
            asked.min(self.max_wait)
        };
        let receipt = wait_receipt(host, id, patience).await?;
        Ok(Response::new(WaitReceiptResponse {
            receipt: Some(receipt),
        }))
    }

    async fn get_transaction(
        &self,
        request: Request<GetTransactionRequest>,
    ) -> Result<Response<GetTransactionResponse>, Status> {
        let request = request.into_inner();
        let host = self.chain(&request.chain)?;
        let id = transaction_id(&request.transaction_id)?;
        let with_proof = request.with_proof;
        let answer = on_worker(host, move |host| look_up(host, &id, with_proof)).await?;
        Ok(Response::new(answer))
    }
}

/// The host from which a request comes.
pub(super) fn host_of<T>(request: &Request<T>) -> Option<IpAddr> {
    request.remote_addr().map(|address| address.ip())
}

/// Submits one and tells its id.
pub(super) async fn submit_one(
    host: &ChainHost,
    transaction: v1::SignedTransaction,
    client: Option<IpAddr>,
) -> Result<TransactionId, Status> {
    let admissions = host.submit(vec![transaction], client).await.map_err(busy)?;
    match admissions.into_iter().next() {
        Some(Admission {
            id: Some(id),
            result: Ok(()),
        }) => Ok(id),
        Some(Admission {
            result: Err(refusal),
            ..
        }) => Err(refused(&refusal)),
        _ => Err(Status::internal(
            "the transaction was not looked at; report this",
        )),
    }
}

async fn submit_batch(
    host: &ChainHost,
    request: SubmitManyRequest,
    client: Option<IpAddr>,
) -> Result<SubmitManyResponse, Status> {
    if request.transactions.len() > MAX_BATCH {
        return Err(invalid(
            "transactions",
            "has more than 4096 entries; split it",
        ));
    }
    let admissions = host
        .submit(request.transactions, client)
        .await
        .map_err(busy)?;
    let admissions = admissions
        .into_iter()
        .map(|Admission { id, result }| {
            let transaction_id = id.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
            let (code, message) = match result {
                Ok(()) => (Code::Ok, String::new()),
                Err(refusal) => (refusal.code(), refusal.to_string()),
            };
            v1::Admission {
                transaction_id,
                code: code.into(),
                message,
            }
        })
        .collect();
    Ok(SubmitManyResponse { admissions })
}

/// Waits for a decision.
pub(super) async fn wait_receipt(
    host: &ChainHost,
    id: TransactionId,
    patience: Duration,
) -> Result<v1::Receipt, Status> {
    match tokio::time::timeout(patience, host.wait_receipt(id)).await {
        Ok(Ok(receipt)) => Ok(v1::Receipt::from(&receipt)),
        Ok(Err(WaitError::Refused(refusal))) => Err(refused(&refusal)),
        Ok(Err(WaitError::Store(error))) => Err(unreadable(error)),
        Ok(Err(error)) => Err(Status::unavailable(error.to_string())),
        Err(_) => Err(Status::deadline_exceeded(
            "not decided yet; ask for the receipt again, the transaction is not lost",
        )),
    }
}

#[allow(clippy::result_large_err)]
fn transaction_id(bytes: &[u8]) -> Result<TransactionId, Status> {
    TransactionId::from_slice(bytes).ok_or_else(|| invalid("transaction_id", "must have 32 bytes"))
}

#[allow(clippy::result_large_err)]
fn look_up(
    host: &ChainHost,
    id: &TransactionId,
    with_proof: bool,
) -> Result<GetTransactionResponse, Status> {
    let absent = || {
        Status::not_found("no decided transaction has this id; it may wait, or not have arrived")
    };
    let record = host
        .chain
        .transaction(id)
        .map_err(unreadable)?
        .ok_or_else(absent)?;
    let transaction = v1::SignedTransaction::decode(record.encoded.as_slice())
        .map_err(|error| unreadable(format!("a stored transaction is malformed: {error}")))?;
    let mut answer = GetTransactionResponse {
        transaction: Some(transaction),
        receipt: Some(v1::Receipt::from(&record.receipt)),
        ..Default::default()
    };
    if with_proof {
        let evidence = host
            .chain
            .transaction_proof(id)
            .map_err(unreadable)?
            .ok_or_else(absent)?;
        answer.transaction_proof = Some((&evidence.transaction_proof).into());
        answer.receipt_proof = Some((&evidence.receipt_proof).into());
        answer.block = Some((&evidence.block).into());
    } else {
        let block: Option<SealedHeader> = host
            .chain
            .sealed_header(record.receipt.height)
            .map_err(unreadable)?;
        answer.block = block.as_ref().map(Into::into);
    }
    Ok(answer)
}
