//! Packs: all that proves a certificate off line.

use certchain_ledger::{
    chain::Chain,
    identity::keys as identities,
    side_chains::{self, SideChainRecord},
};
use certchain_proto::{
    Address, Height,
    hash::CertificateId,
    wire::v1::{Code, GetPackRequest, GetPackResponse},
};
use certchain_sidechain::{
    certificate::{CertificateRecord, keys},
    pack::{MainLink, MainTrust, Pack, PackParts},
};
use tonic::Status;

use super::{
    super::{
        Services, on_worker,
        status::{refused, unreadable},
    },
    address, certificate_id, main_of,
};
use crate::chain::ChainHost;

pub(super) async fn get_pack(
    services: &Services,
    request: GetPackRequest,
) -> Result<GetPackResponse, Status> {
    let host = services.side_chain(&request.chain)?;
    let id = certificate_id(&request.certificate)?;
    let holder = address("holder", &request.holder)?;
    on_worker(host, move |host| assemble(host, id, holder)).await
}

/// Puts a pack together as of the last anchored side block and main's newest block, and verifies it
/// as its receiver will.
#[allow(clippy::result_large_err)]
fn assemble(
    host: &ChainHost,
    id: CertificateId,
    holder: Address,
) -> Result<GetPackResponse, Status> {
    let main = main_of(host)?;
    let head = main.chain.head();
    let m = head.height();
    let side_chain_record = prove(&main.chain, &side_chains::side_chain(&host.id), m)?;
    let value = side_chain_record.value.as_deref().unwrap_or_default();
    let anchored = SideChainRecord::decode(value)
        .map_err(unreadable)?
        .last_anchor;

    let key = keys::certificate(&id);
    let known = host.chain.get(&key).map_err(unreadable)?;
    let Some(value) = known else {
        return Err(refused(&Code::UnknownCertificate.into()));
    };
    let issued = CertificateRecord::decode(&value).map_err(unreadable)?;
    if issued.holder(&holder).is_none() {
        return Err(refused(&Code::NotHolder.into()));
    }
    if issued.issued_height > anchored {
        return Err(Status::failed_precondition(format!(
            "the certificate stands in block {} and main has anchored block {anchored}; ask again in \
             a few seconds",
            issued.issued_height
        )));
    }
    let record = prove(&host.chain, &key, anchored)?;
    let holders = issued
        .holders
        .iter()
        .map(|holder| prove(&main.chain, &identities::identity(&holder.address), m))
        .collect::<Result<_, _>>()?;
    let pack = Pack::new(PackParts {
        side_chain: host.name.clone(),
        certificate: id,
        record,
        anchored: None,
        side_chain_record,
        anchor: prove(&main.chain, &side_chains::anchor(&host.id, anchored), m)?,
        issuer: prove(&main.chain, &identities::identity(&issued.issuer), m)?,
        holders,
        link: MainLink::Certificate(head.certificate.clone()),
    })
    .map_err(unreadable)?;
    let trust = MainTrust::validators(main.id, (*head.decided_by).clone());
    pack.verify(&trust).map_err(unreadable)?;
    Ok(GetPackResponse {
        encoded_pack: pack.encode(),
        height: anchored.get(),
        main_height: m.get(),
    })
}

/// Proves a value as of a height that may have left the window of provable heights meanwhile.
#[allow(clippy::result_large_err)]
fn prove(
    chain: &Chain,
    key: &certchain_ledger::state::StateKey,
    height: Height,
) -> Result<certchain_ledger::evidence::StateEvidence, Status> {
    chain.prove(key, Some(height)).map_err(|error| {
        tracing::debug!(%error, %height, "no pack");
        Status::unavailable(format!(
            "the state after block {height} cannot be proven at the moment ({error}); ask again \
             after the next anchor"
        ))
    })
}
