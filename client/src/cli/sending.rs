//! Sending certificates so that a node that fails half-way leaves no doubt.

use certchain_client::connection::{Connection, ConnectionError};
use certchain_config::SideChain;
use certchain_proto::{
    hash::CertificateId,
    transaction::transaction_id,
    wire::v1::{Code, SendCertificateResponse, SentCertificate, SignedTransaction},
};

use super::{exit_code::Exit, failure::Failure};

/// Sends a transaction that issues these certificates, and waits for the decision.
///
/// Its nonce is fresh: if a node says that it was executed already, a node that failed before had
/// taken it, and what became of it stands on the chain.
pub async fn send(
    connection: &Connection,
    keeper: SideChain,
    transaction: SignedTransaction,
    ids: &[CertificateId],
) -> Result<SendCertificateResponse, Failure> {
    let id = transaction_id(&transaction.body);
    let sent = connection
        .send_certificate(keeper.name(), transaction)
        .await;
    match sent {
        Ok(answer) => Ok(answer),
        Err(ConnectionError::Refused {
            code: Code::Replayed,
            ..
        }) => {
            let receipt = connection.wait_receipt(keeper.name(), &id).await?;
            let mut answer = SendCertificateResponse {
                receipt: Some(receipt),
                ..SendCertificateResponse::default()
            };
            for id in ids {
                let certificate = issued(connection, keeper, id, &mut answer).await?;
                answer.certificates.push(certificate);
            }
            Ok(answer)
        }
        Err(error) => {
            let mut failure = Failure::from(error);
            if let (Exit::Timeout | Exit::Unreachable, [id]) = (failure.exit, ids) {
                failure.message.push_str(&format!(
                    "; it may be issued all the same: ask 'certificate show {id}' before you issue \
                     it again"
                ));
            }
            Err(failure)
        }
    }
}

async fn issued(
    connection: &Connection,
    keeper: SideChain,
    id: &CertificateId,
    answer: &mut SendCertificateResponse,
) -> Result<SentCertificate, Failure> {
    let mut sent = SentCertificate {
        certificate: id.as_bytes().to_vec(),
        ..SentCertificate::default()
    };
    match connection.certificate(keeper.name(), id, false).await {
        Ok(found) => {
            let found = found.certificate.unwrap_or_default();
            sent.serial = found.serial;
            answer.organisation_code = found.organisation_code;
        }
        Err(
            ConnectionError::NotFound { .. }
            | ConnectionError::Refused {
                code: Code::UnknownCertificate,
                ..
            },
        ) => sent.code = Code::UnknownCertificate.into(),
        Err(error) => return Err(error.into()),
    }
    Ok(sent)
}
