//! Submission and receipts.

use certchain_proto::{
    hash::TransactionId,
    wire::v1::{
        Admission, Code, Receipt, RegisterIdentityRequest, RegisterIdentityResponse,
        SignedTransaction, SubmitManyRequest, SubmitRequest, WaitReceiptRequest,
    },
};
use futures::{Stream, StreamExt as _};
use tonic::Request;

use super::{
    Connection, ConnectionError,
    read::{identity_client, transaction_client},
};

impl Connection {
    /// Submits a transaction; the answer means that the node admitted it, not that it is decided.
    ///
    /// # Errors
    /// If it is refused, or no node answers.
    pub async fn submit(
        &self,
        chain: &str,
        transaction: SignedTransaction,
    ) -> Result<TransactionId, ConnectionError> {
        let id = certchain_proto::transaction::transaction_id(&transaction.body);
        let question = SubmitRequest {
            chain: chain.to_owned(),
            transaction: Some(transaction),
            wait: false,
        };
        let limit = self.options.request_timeout;
        let (answer, repeated) = self
            .call(
                "a submission",
                limit,
                question,
                |channel, request| async move { transaction_client(channel).submit(request).await },
            )
            .await;
        match answer {
            Ok(answer) if answer.transaction_id == id.as_bytes() => Ok(id),
            Ok(_) => Err(other_transaction("a submission")),
            Err(ConnectionError::Refused {
                code: Code::Replayed,
                ..
            }) if repeated => Ok(id),
            Err(error) => Err(error),
        }
    }

    /// Submits a transaction and waits until it is decided. The receipt tells whether it took
    /// effect.
    ///
    /// # Errors
    /// If it is refused, is not decided in time, or no node answers.
    pub async fn submit_and_wait(
        &self,
        chain: &str,
        transaction: SignedTransaction,
    ) -> Result<Receipt, ConnectionError> {
        let id = self.submit(chain, transaction).await?;
        self.wait_receipt(chain, &id).await
    }

    /// Submits up to some thousands in one request; one verdict per transaction, in order.
    ///
    /// # Errors
    /// If the request as a whole fails.
    pub async fn submit_many(
        &self,
        chain: &str,
        transactions: Vec<SignedTransaction>,
    ) -> Result<Vec<Admission>, ConnectionError> {
        let what = "a submission";
        let count = transactions.len();
        let question = SubmitManyRequest {
            chain: chain.to_owned(),
            transactions,
        };
        let (answer, repeated) = self
            .call(what, self.options.request_timeout, question, |channel, request| async move {
                transaction_client(channel).submit_many(request).await
            })
            .await;
        let mut admissions = answer?.admissions;
        if admissions.len() != count {
            return Err(ConnectionError::Answer {
                what,
                problem: "verdicts are missing",
            });
        }
        if repeated {
            // A node that failed may have passed them on; what is executed was admitted.
            for admission in &mut admissions {
                if admission.code == Code::Replayed as i32 {
                    admission.code = Code::Ok as i32;
                }
            }
        }
        Ok(admissions)
    }

    /// Submits a stream of batches to one node; one list of verdicts per batch, in order. Ends at
    /// the first failure; the caller then goes on with what has no verdict.
    ///
    /// # Errors
    /// If the stream cannot be opened.
    pub async fn submit_stream<B>(
        &self,
        chain: &str,
        batches: B,
    ) -> Result<impl Stream<Item = Result<Vec<Admission>, ConnectionError>> + use<B>, ConnectionError>
    where
        B: Stream<Item = Vec<SignedTransaction>> + Send + 'static,
    {
        let what = "a stream of submissions";
        let limit = self.options.request_timeout;
        let chain = chain.to_owned();
        let requests = batches.map(move |transactions| SubmitManyRequest {
            chain: chain.clone(),
            transactions,
        });
        let Some((_, node)) = self.in_order().next() else {
            return Err(ConnectionError::NoNode);
        };
        let url = node.url.clone();
        let answers = transaction_client(node.channel.clone())
            .submit_stream(Request::new(requests))
            .await
            .map_err(|status| ConnectionError::from_status(what, &url, limit, &status))?
            .into_inner();
        Ok(answers.map(move |answer| match answer {
            Ok(answer) => Ok(answer.admissions),
            Err(status) => Err(ConnectionError::from_status(what, &url, limit, &status)),
        }))
    }

    /// Waits until a transaction is decided, at most as long as the options say.
    ///
    /// # Errors
    /// If it is not decided in time, or no node answers.
    pub async fn wait_receipt(
        &self,
        chain: &str,
        id: &TransactionId,
    ) -> Result<Receipt, ConnectionError> {
        let whole = self.options.decision_timeout;
        tokio::time::timeout(whole, self.wait_receipt_unbounded(chain, id))
            .await
            .unwrap_or(Err(ConnectionError::Timeout {
                what: "a receipt",
                seconds: whole.as_secs(),
            }))
    }

    async fn wait_receipt_unbounded(
        &self,
        chain: &str,
        id: &TransactionId,
    ) -> Result<Receipt, ConnectionError> {
        let what = "a receipt";
        // The node answers before we would think that it hangs.
        let limit = self.options.request_timeout;
        let timeout_ms = u32::try_from((limit / 2).as_millis()).unwrap_or(u32::MAX);
        loop {
            let question = WaitReceiptRequest {
                chain: chain.to_owned(),
                transaction_id: id.as_bytes().to_vec(),
                timeout_ms,
            };
            let answer = self
                .call(what, limit, question, |channel, request| async move {
                    transaction_client(channel).wait_receipt(request).await
                })
                .await
                .0;
            let receipt = match answer {
                Ok(answer) => answer.receipt,
                // Not decided yet, or all nodes hang; the overall limit ends that.
                Err(ConnectionError::Timeout { .. }) => continue,
                Err(error) => return Err(error),
            };
            let receipt = receipt.ok_or(ConnectionError::Answer {
                what,
                problem: "it holds no receipt",
            })?;
            if receipt.transaction_id != id.as_bytes() {
                return Err(other_transaction(what));
            }
            return Ok(receipt);
        }
    }

    /// Registers an identity and waits for the decision.
    ///
    /// # Errors
    /// If it is refused, is not decided in time, or no node answers.
    pub async fn register_identity(
        &self,
        transaction: SignedTransaction,
    ) -> Result<RegisterIdentityResponse, ConnectionError> {
        let question = RegisterIdentityRequest {
            transaction: Some(transaction),
        };
        let limit = self.options.decision_timeout;
        self.call("a registration", limit, question, |channel, request| async move {
            identity_client(channel).register_identity(request).await
        })
        .await
        .0
    }
}

fn other_transaction(what: &'static str) -> ConnectionError {
    ConnectionError::Answer {
        what,
        problem: "it is about another transaction",
    }
}
