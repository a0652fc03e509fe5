//! One certificate: its present record, and how it was sent.

use certchain_ledger::refusal::Refusal;
use certchain_proto::{
    Address, Height,
    hash::{CertificateId, TransactionId},
    wire::v1::{
        self, Code, GetCertificateRequest, GetCertificateResponse, QueryCertificateRequest,
        QueryCertificateResponse,
    },
};
use certchain_sidechain::certificate::{CertificateRecord, keys};
use tonic::Status;

use super::{
    super::{
        Services, on_worker,
        status::{invalid, refused, unreadable},
    },
    address, certificate_id, main_of,
    records::{self, Codes, Issuing},
};
use crate::chain::ChainHost;

pub(super) async fn get_certificate(
    services: &Services,
    request: GetCertificateRequest,
) -> Result<GetCertificateResponse, Status> {
    let host = services.side_chain(&request.chain)?;
    let id = certificate_id(&request.certificate)?;
    on_worker(host, move |host| present(host, &id, request.with_proof)).await
}

fn present(
    host: &ChainHost,
    id: &CertificateId,
    with_proof: bool,
) -> Result<GetCertificateResponse, Status> {
    let head = host.chain.head();
    let (height, time) = (head.height(), head.time());
    let key = keys::certificate(id);
    let (encoded, evidence) = if with_proof {
        let proven = host.chain.prove(&key, Some(height)).map_err(unreadable)?;
        (proven.value.clone(), Some((&proven).into()))
    } else {
        let value = host.chain.get_at(&key, height).map_err(unreadable)?;
        (value.map(|value| value.to_vec()), None)
    };
    let encoded_record = encoded.ok_or_else(|| unknown(id))?;
    let record = CertificateRecord::decode(&encoded_record).map_err(unreadable)?;
    let code = Codes::new(main_of(host)?).of(&record.issuer)?;
    let certificate = record.to_message(&host.name, id, code);
    Ok(GetCertificateResponse {
        certificate: Some(certificate),
        encoded_record,
        height: height.get(),
        time_ms: time.get(),
        evidence,
    })
}

fn unknown(id: &CertificateId) -> Status {
    refused(&Refusal::about(Code::UnknownCertificate, id.to_string()))
}

pub(super) async fn query_certificate(
    services: &Services,
    request: QueryCertificateRequest,
) -> Result<QueryCertificateResponse, Status> {
    let host = services.side_chain(&request.chain)?;
    let holder = address("holder", &request.holder)?;
    let id = TransactionId::from_slice(&request.transaction_id)
        .ok_or_else(|| invalid("transaction_id", "must have 32 bytes"))?;
    let height = Height::new(request.height);
    let line = request.line;
    on_worker(host, move |host| as_sent(host, &holder, height, &id, line)).await
}

fn as_sent(
    host: &ChainHost,
    holder: &Address,
    height: Height,
    id: &TransactionId,
    line: Option<u32>,
) -> Result<QueryCertificateResponse, Status> {
    let issuing = records::issuing(host, id)?.ok_or_else(|| {
        Status::not_found(
            "this chain has decided no transaction with this id that issues certificates",
        )
    })?;
    if issuing.receipt.height != height {
        return Err(Status::not_found(format!(
            "the block at height {height} does not hold this transaction; that at {} does",
            issuing.receipt.height
        )));
    }
    if !issuing.receipt.receipt.is_ok() {
        return Err(refused(&issuing.receipt.receipt.code().into()));
    }
    let place = find_line(&issuing, holder, line)?;
    let index = usize::try_from(place).unwrap_or(usize::MAX);
    let Issuing {
        issuer,
        drafts,
        receipt,
        ..
    } = issuing;
    let draft = drafts.into_iter().nth(index);
    let draft = draft.ok_or_else(|| unreadable("a decided certificate has no draft"))?;
    let fields = records::fields_of(&draft, holder)
        .cloned()
        .ok_or_else(|| not_holder(holder))?;
    let certificate = records::draft_id(&host.id, &issuer, &draft)
        .ok_or_else(|| unreadable("an issued draft has no id"))?;
    Ok(QueryCertificateResponse {
        organisation_code: Codes::new(main_of(host)?).of(&issuer)?,
        issuer: issuer.as_bytes().to_vec(),
        certificate: certificate.as_bytes().to_vec(),
        line: place,
        draft: Some(draft),
        fields: Some(fields),
        receipt: Some(v1::Receipt::from(&receipt)),
    })
}

fn not_holder(holder: &Address) -> Status {
    refused(&Refusal::about(Code::NotHolder, holder.to_string()))
}

/// The line that is asked for, or the first that was issued to the holder.
fn find_line(issuing: &Issuing, holder: &Address, asked: Option<u32>) -> Result<u32, Status> {
    let code = |place: usize| match &issuing.lines {
        Some(lines) => lines.get(place).map_or(Code::Malformed, |line| line.code),
        None => Code::Ok,
    };
    let held = |draft: &v1::CertificateDraft| records::fields_of(draft, holder).is_some();
    let Some(asked) = asked else {
        let places = (0u32..).zip(issuing.drafts.iter().enumerate());
        return places
            .filter(|(_, (place, draft))| code(*place) == Code::Ok && held(draft))
            .map(|(line, _)| line)
            .next()
            .ok_or_else(|| not_holder(holder));
    };
    let place = usize::try_from(asked).unwrap_or(usize::MAX);
    let draft = issuing.drafts.get(place).ok_or_else(|| {
        let count = issuing.drafts.len();
        Status::out_of_range(format!(
            "the transaction has {count} certificates; lines count from 0"
        ))
    })?;
    match code(place) {
        Code::Ok if held(draft) => Ok(asked),
        Code::Ok => Err(not_holder(holder)),
        code => Err(refused(&code.into())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use certchain_ledger::{
        execution::Line,
        receipt::{LocatedReceipt, Receipt},
    };
    use certchain_proto::hash::BlockId;
    use tonic::Code as GrpcCode;

    use super::*;

    fn holder(n: u8) -> Address {
        Address::from_bytes([n; 32])
    }

    fn draft(holders: &[u8]) -> v1::CertificateDraft {
        v1::CertificateDraft {
            holders: holders.iter().map(|n| vec![*n; 32]).collect(),
            encrypted: vec![v1::EncryptedFields::default(); holders.len()],
            ..Default::default()
        }
    }

    fn issuing(drafts: Vec<v1::CertificateDraft>, codes: Option<&[Code]>) -> Issuing {
        let line = |code: &Code| Line {
            code: *code,
            certificate: CertificateId::ZERO,
        };
        let receipt = Receipt::executed(TransactionId::ZERO, None);
        Issuing {
            issuer: holder(9),
            drafts,
            lines: codes.map(|codes| codes.iter().map(line).collect()),
            receipt: LocatedReceipt {
                height: Height::new(1),
                index: 0,
                block: BlockId::ZERO,
                receipt,
            },
        }
    }

    #[test]
    fn the_first_issued_line_of_the_holder_is_found() {
        let codes = [Code::UnknownAccount, Code::Ok, Code::Ok, Code::Ok];
        let batch = issuing(
            vec![draft(&[1]), draft(&[2]), draft(&[1]), draft(&[1])],
            Some(&codes),
        );
        assert_eq!(find_line(&batch, &holder(1), None).unwrap(), 2);
        assert_eq!(find_line(&batch, &holder(1), Some(3)).unwrap(), 3);
        let refused = |asked, n| find_line(&batch, &holder(n), asked).unwrap_err().code();
        assert_eq!(refused(Some(0), 1), GrpcCode::NotFound, "its own code");
        assert_eq!(refused(Some(1), 1), GrpcCode::PermissionDenied);
        assert_eq!(refused(Some(4), 1), GrpcCode::OutOfRange);
        assert_eq!(refused(None, 3), GrpcCode::PermissionDenied);
    }

    #[test]
    fn a_single_certificate_is_line_0() {
        let single = issuing(vec![draft(&[1, 2])], None);
        assert_eq!(find_line(&single, &holder(2), None).unwrap(), 0);
        assert_eq!(find_line(&single, &holder(2), Some(0)).unwrap(), 0);
        assert!(find_line(&single, &holder(3), None).is_err());
        assert!(find_line(&single, &holder(2), Some(1)).is_err());
    }
}
