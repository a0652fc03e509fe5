//! Sending certificates.

use std::net::IpAddr;

use certchain_ledger::execution::Line;
use certchain_proto::{
    Address, Height,
    hash::{CertificateId, TransactionId},
    wire::v1::{
        self, Code, SendCertificateRequest, SendCertificateResponse, SentCertificate,
        SignedTransaction, TransactionBody, transaction_body::Kind,
    },
};
use prost::Message as _;
use tonic::Status;

use super::{
    super::{
        Services, on_worker,
        status::{invalid, refused, unreadable},
        transactions::{submit_one, wait_receipt},
    },
    main_of,
    records::{self, Codes},
};
use crate::chain::ChainHost;

/// What a transaction wishes.
pub(super) fn kind(transaction: &SignedTransaction) -> Result<Option<Kind>, Status> {
    TransactionBody::decode(transaction.body.as_ref())
        .map(|body| body.kind)
        .map_err(|_| refused(&Code::Malformed.into()))
}

/// Submits and waits until it is decided that the transaction takes effect.
pub(super) async fn carry_out(
    services: &Services,
    host: &ChainHost,
    transaction: SignedTransaction,
    client: Option<IpAddr>,
) -> Result<v1::Receipt, Status> {
    let id = submit_one(host, transaction, client).await?;
    let receipt = wait_receipt(host, id, services.max_wait).await?;
    match Code::try_from(receipt.code).unwrap_or(Code::Malformed) {
        Code::Ok => Ok(receipt),
        code => Err(refused(&code.into())),
    }
}

/// What is to be told of a transaction after it is decided; the drafts themselves are not kept.
struct Wished {
    issuer: Address,
    /// The certificates' ids in order; none where a draft is not in order.
    ids: Vec<Option<CertificateId>>,
    is_batch: bool,
}

impl Wished {
    fn read(host: &ChainHost, transaction: &SignedTransaction) -> Result<Self, Status> {
        let (issuer, drafts, is_batch) = match kind(transaction)? {
            Some(Kind::IssueCertificate(m)) => {
                (m.issuer, m.certificate.into_iter().collect(), false)
            }
            Some(Kind::IssueBatch(m)) => (m.issuer, m.certificates, true),
            _ => {
                let problem = "must hold an issue_certificate or issue_batch body";
                return Err(invalid("transaction", problem));
            }
        };
        let issuer = super::address("issuer", &issuer)?;
        let ids = drafts
            .iter()
            .map(|draft| records::draft_id(&host.id, &issuer, draft));
        Ok(Self {
            issuer,
            ids: ids.collect(),
            is_batch,
        })
    }
}

pub(super) async fn send_certificate(
    services: &Services,
    request: SendCertificateRequest,
    client: Option<IpAddr>,
) -> Result<SendCertificateResponse, Status> {
    let host = services.side_chain(&request.chain)?;
    let transaction = request
        .transaction
        .ok_or_else(|| invalid("transaction", "is missing"))?;
    let wished = Wished::read(host, &transaction)?;
    let receipt = carry_out(services, host, transaction, client).await?;
    on_worker(host, move |host| answer(host, &wished, receipt)).await
}

fn answer(
    host: &ChainHost,
    wished: &Wished,
    receipt: v1::Receipt,
) -> Result<SendCertificateResponse, Status> {
    let transaction = TransactionId::from_slice(&receipt.transaction_id)
        .ok_or_else(|| unreadable("a receipt names no transaction"))?;
    let lines = match wished.is_batch {
        true => records::lines_of(host, Height::new(receipt.height), receipt.index)?,
        false => wished
            .ids
            .iter()
            .map(|id| Line {
                code: Code::Ok,
                certificate: id.unwrap_or(CertificateId::ZERO),
            })
            .collect(),
    };
    if lines.len() != wished.ids.len() {
        return Err(unreadable("a decided batch has another number of lines"));
    }
    let mut certificates = Vec::with_capacity(lines.len());
    for (line, id) in lines.iter().zip(&wished.ids) {
        let serial = match line.code {
            Code::Ok => serial(host, &line.certificate, &transaction)?,
            _ => 0,
        };
        certificates.push(SentCertificate {
            code: line.code.into(),
            certificate: id.unwrap_or(line.certificate).as_bytes().to_vec(),
            serial,
        });
    }
    Ok(SendCertificateResponse {
        receipt: Some(receipt),
        certificates,
        organisation_code: Codes::new(main_of(host)?).of(&wished.issuer)?,
    })
}

/// The serial that a certificate got when this transaction issued it.
fn serial(
    host: &ChainHost,
    id: &CertificateId,
    transaction: &TransactionId,
) -> Result<u64, Status> {
    match records::certificate(host, id)? {
        Some(record) if record.transaction == *transaction => Ok(record.serial),
        _ => Err(unreadable(format!(
            "the record of issued certificate {id} is missing"
        ))),
    }
}
