//! Certificates: sending, checking, lists, the inbox, packs, anchors, contents.
//!
//! What nodes answer is checked here only as far as it must be about what was asked; proofs are the
//! light client's.

use certchain_proto::{
    Address, Height,
    hash::{CertificateId, ContentHash, TransactionId},
    transaction::transaction_id,
    wire::v1::{
        CheckRequest, CheckResponse, GetAnchorRequest, GetAnchorResponse, GetCatalogueRequest,
        GetCertificateRequest, GetCertificateResponse, GetContentRequest, GetPackRequest,
        GetPackResponse, InboxRequest, InboxResponse, ListCertificatesRequest,
        ListCertificatesResponse, PutContentRequest, QueryAuthorisation, QueryCertificateRequest,
        QueryCertificateResponse, Receipt, SendCertificateRequest, SendCertificateResponse,
        SignedTransaction, certificate_service_client::CertificateServiceClient,
    },
};
use futures::{Stream, StreamExt as _};
use tonic::{Request, transport::Channel};

use super::{Connection, ConnectionError, MAX_ANSWER_BYTES};
use crate::certificate::{KnownType, known_type};

fn client(channel: Channel) -> CertificateServiceClient<Channel> {
    CertificateServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES)
}

/// The receipt must be of the transaction that was sent.
fn of_transaction(
    what: &'static str,
    receipt: Option<&Receipt>,
    id: &TransactionId,
) -> Result<(), ConnectionError> {
    if receipt.is_some_and(|receipt| receipt.transaction_id == id.as_bytes()) {
        return Ok(());
    }
    Err(ConnectionError::Answer {
        what,
        problem: "it holds no receipt of the transaction",
    })
}

impl Connection {
    /// Issues certificates and waits for the decision.
    ///
    /// # Errors
    /// If it is refused, is not decided in time, or no node answers.
    pub async fn send_certificate(
        &self,
        chain: &str,
        transaction: SignedTransaction,
    ) -> Result<SendCertificateResponse, ConnectionError> {
        let what = "a certificate";
        let id = transaction_id(&transaction.body);
        let question = SendCertificateRequest {
            chain: chain.to_owned(),
            transaction: Some(transaction),
        };
        let limit = self.options.decision_timeout;
        let answer = self
            .call(what, limit, question, |channel, request| async move {
                client(channel).send_certificate(request).await
            })
            .await
            .0?;
        of_transaction(what, answer.receipt.as_ref(), &id)?;
        Ok(answer)
    }

    /// Records a check and waits for its result. See [`CheckRequest`] for what can be expected of
    /// holder and issuer.
    ///
    /// # Errors
    /// If it is refused, is not decided in time, or no node answers.
    pub async fn check(&self, question: CheckRequest) -> Result<CheckResponse, ConnectionError> {
        let what = "a check";
        let body = question.transaction.as_ref().map(|sent| &sent.body);
        let id = transaction_id(body.map_or(&[], |body| body));
        let limit = self.options.decision_timeout;
        let answer = self
            .call(what, limit, question, |channel, request| async move {
                client(channel).check(request).await
            })
            .await
            .0?;
        of_transaction(what, answer.receipt.as_ref(), &id)?;
        Ok(answer)
    }

    /// A certificate's present record.
    ///
    /// # Errors
    /// If there is none, or no node answers.
    pub async fn certificate(
        &self,
        chain: &str,
        certificate: &CertificateId,
        with_proof: bool,
    ) -> Result<GetCertificateResponse, ConnectionError> {
        let question = GetCertificateRequest {
            chain: chain.to_owned(),
            certificate: certificate.as_bytes().to_vec(),
            with_proof,
        };
        self.ask("a certificate", question, |channel, request| async move {
            client(channel).get_certificate(request).await
        })
        .await
    }

    /// A certificate as it was sent to a holder in a block's transaction. Open it with
    /// [`crate::certificate::ReceivedCertificate`], which finds out whether it is what it says.
    ///
    /// # Errors
    /// If there is none, or no node answers.
    pub async fn query_certificate(
        &self,
        chain: &str,
        holder: &Address,
        height: Height,
        transaction: &TransactionId,
        line: Option<u32>,
    ) -> Result<QueryCertificateResponse, ConnectionError> {
        let question = QueryCertificateRequest {
            chain: chain.to_owned(),
            holder: holder.as_bytes().to_vec(),
            height: height.get(),
            transaction_id: transaction.as_bytes().to_vec(),
            line,
        };
        self.ask("a certificate", question, |channel, request| async move {
            client(channel).query_certificate(request).await
        })
        .await
    }

    /// Certificates or checks of an account, newest first; `cursor` is empty or that of an earlier
    /// answer. Every page needs an authorisation of its own.
    ///
    /// # Errors
    /// If the node refuses the authorisation, or no node answers.
    pub async fn list_certificates(
        &self,
        chain: &str,
        authorisation: QueryAuthorisation,
        cursor: Vec<u8>,
        limit: u32,
    ) -> Result<ListCertificatesResponse, ConnectionError> {
        let question = ListCertificatesRequest {
            chain: chain.to_owned(),
            authorisation: Some(authorisation),
            cursor,
            limit,
        };
        self.ask("a list", question, |channel, request| async move {
            client(channel).list_certificates(request).await
        })
        .await
    }

    /// Certificates sent to an account, on one chain or, if it is empty, on all. Ends at the first
    /// failure; the caller then asks again from the last height that it has seen.
    ///
    /// # Errors
    /// If the stream cannot be opened.
    pub async fn inbox(
        &self,
        chain: &str,
        authorisation: QueryAuthorisation,
        from_height: Option<Height>,
    ) -> Result<impl Stream<Item = Result<InboxResponse, ConnectionError>> + use<>, ConnectionError>
    {
        let what = "the inbox";
        let limit = self.options.request_timeout;
        let question = InboxRequest {
            chain: chain.to_owned(),
            authorisation: Some(authorisation),
            from_height: from_height.map(Height::get),
        };
        let Some((_, node)) = self.in_order().next() else {
            return Err(ConnectionError::NoNode);
        };
        let url = node.url.clone();
        let mut service = client(node.channel.clone());
        let opened = tokio::time::timeout(limit, service.inbox(Request::new(question))).await;
        let seconds = limit.as_secs();
        let answers = opened
            .map_err(|_| ConnectionError::Timeout { what, seconds })?
            .map_err(|status| ConnectionError::from_status(what, &url, limit, &status))?
            .into_inner();
        Ok(answers.map(move |answer| {
            answer.map_err(|status| ConnectionError::from_status(what, &url, limit, &status))
        }))
    }

    /// All that proves a certificate off line.
    ///
    /// # Errors
    /// If there is none, it is not anchored yet, or no node answers.
    pub async fn pack(
        &self,
        chain: &str,
        certificate: &CertificateId,
        holder: &Address,
    ) -> Result<GetPackResponse, ConnectionError> {
        let question = GetPackRequest {
            chain: chain.to_owned(),
            certificate: certificate.as_bytes().to_vec(),
            holder: holder.as_bytes().to_vec(),
        };
        self.ask("a pack", question, |channel, request| async move {
            client(channel).get_pack(request).await
        })
        .await
    }

    /// The last anchor of a side chain.
    ///
    /// # Errors
    /// If no node answers.
    pub async fn anchor(
        &self,
        chain: &str,
        with_proof: bool,
    ) -> Result<GetAnchorResponse, ConnectionError> {
        let question = GetAnchorRequest {
            chain: chain.to_owned(),
            with_proof,
        };
        self.ask("an anchor", question, |channel, request| async move {
            client(channel).get_anchor(request).await
        })
        .await
    }

    /// The types of certificates of a chain or, if it is empty, of all.
    ///
    /// # Errors
    /// If no node answers, or its catalogue is none.
    pub async fn catalogue(&self, chain: &str) -> Result<Vec<KnownType>, ConnectionError> {
        let what = "the catalogue";
        let question = GetCatalogueRequest {
            chain: chain.to_owned(),
        };
        let answer = self
            .ask(what, question, |channel, request| async move {
                client(channel).get_catalogue(request).await
            })
            .await?;
        let types = answer.types.iter().map(known_type);
        types
            .collect::<Result<_, _>>()
            .map_err(|error| ConnectionError::Answer {
                what,
                problem: error.problem,
            })
    }

    /// Puts a ciphertext into the node's store; gives its hash.
    ///
    /// # Errors
    /// If the node refuses it, or no node answers.
    pub async fn put_content(
        &self,
        content: Vec<u8>,
        authorisation: QueryAuthorisation,
    ) -> Result<ContentHash, ConnectionError> {
        let what = "a content";
        let hash = ContentHash::of(&content);
        let question = PutContentRequest {
            content,
            authorisation: Some(authorisation),
        };
        let answer = self
            .ask(what, question, |channel, request| async move {
                client(channel).put_content(request).await
            })
            .await?;
        if answer.hash != hash.as_bytes() {
            return Err(ConnectionError::Answer {
                what,
                problem: "it keeps another content than was put",
            });
        }
        Ok(hash)
    }

    /// Gets a ciphertext, which is the one of this hash.
    ///
    /// # Errors
    /// If the node does not have it, or gives another.
    pub async fn content(&self, hash: &ContentHash) -> Result<Vec<u8>, ConnectionError> {
        let what = "a content";
        let question = GetContentRequest {
            hash: hash.as_bytes().to_vec(),
        };
        let answer = self
            .ask(what, question, |channel, request| async move {
                client(channel).get_content(request).await
            })
            .await?;
        if ContentHash::of(&answer.content) != *hash {
            return Err(ConnectionError::Answer {
                what,
                problem: "it is another content than was asked for",
            });
        }
        Ok(answer.content)
    }
}
