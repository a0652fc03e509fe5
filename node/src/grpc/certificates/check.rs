//! Recording checks.

use std::net::IpAddr;

use certchain_ledger::refusal::Refusal;
use certchain_proto::{
    Address,
    hash::PresentationId,
    wire::v1::{self, CheckRequest, CheckResponse, Code, transaction_body::Kind},
};
use certchain_sidechain::{
    certificate::{CheckRecord, keys},
    presentation::Presentation,
};
use tonic::Status;

use super::{
    super::{
        Services, on_worker,
        status::{invalid, refused, unreadable},
    },
    address, main_of,
    records::{self, Codes},
    send::{carry_out, kind},
};
use crate::chain::ChainHost;

/// What the verifier expects of the presentation that it records.
struct Expected {
    holder: Option<Address>,
    organisation_code: Option<String>,
}

pub(super) async fn check(
    services: &Services,
    request: CheckRequest,
    client: Option<IpAddr>,
) -> Result<CheckResponse, Status> {
    let host = services.side_chain(&request.chain)?;
    let transaction = request
        .transaction
        .ok_or_else(|| invalid("transaction", "is missing"))?;
    let Some(Kind::RecordCheck(record_check)) = kind(&transaction)? else {
        return Err(invalid("transaction", "must hold a record_check body"));
    };
    let shown = Presentation::decode(&record_check.presentation)
        .map_err(|error| refused(&Refusal::about(error.code(), error.to_string())))?;
    let expected = Expected {
        holder: match request.holder.is_empty() {
            true => None,
            false => Some(address("holder", &request.holder)?),
        },
        organisation_code: Some(request.organisation_code).filter(|code| !code.is_empty()),
    };
    let id = PresentationId::of(&record_check.presentation);
    on_worker(host, move |host| expected.check(host, &shown)).await?;
    let receipt = carry_out(services, host, transaction, client).await?;
    let with_proof = request.with_proof;
    on_worker(host, move |host| answer(host, &id, receipt, with_proof)).await
}

impl Expected {
    fn check(&self, host: &ChainHost, shown: &Presentation) -> Result<(), Status> {
        if self.holder.is_some_and(|holder| holder != shown.holder) {
            let problem = "is not who signed the presentation; nothing was submitted";
            return Err(invalid("holder", problem));
        }
        let Some(expected) = &self.organisation_code else {
            return Ok(());
        };
        let id = shown.certificate;
        let record = records::certificate(host, &id)?
            .ok_or_else(|| refused(&Refusal::about(Code::UnknownCertificate, id.to_string())))?;
        let code = Codes::new(main_of(host)?).of(&record.issuer)?;
        if code != *expected {
            let problem = "is not that of the certificate's issuer; nothing was submitted";
            return Err(invalid("organisation_code", problem));
        }
        Ok(())
    }
}

fn answer(
    host: &ChainHost,
    id: &PresentationId,
    receipt: v1::Receipt,
    with_proof: bool,
) -> Result<CheckResponse, Status> {
    let missing = || unreadable(format!("the record of check {id} is missing"));
    let key = keys::check(id);
    let (encoded, evidence) = if with_proof {
        let proven = host.chain.prove(&key, None).map_err(unreadable)?;
        (proven.value.clone(), Some((&proven).into()))
    } else {
        let value = host.chain.get(&key).map_err(unreadable)?;
        (value.map(|value| value.to_vec()), None)
    };
    let encoded_record = encoded.ok_or_else(missing)?;
    let record = CheckRecord::decode(&encoded_record).map_err(unreadable)?;
    Ok(CheckResponse {
        result: record.result.to_wire().into(),
        receipt: Some(receipt),
        check: Some(record.to_message(&host.name, id)),
        encoded_record,
        evidence,
    })
}
