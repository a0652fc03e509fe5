//! Registration of identities and questions about them.

use certchain_ledger::identity::{IdentityAt, RecoveryRecord, keys};
use certchain_proto::{
    Address, Height,
    wire::v1::{
        self, Code, GetIdentityRequest, GetIdentityResponse, GetPublicKeyRequest,
        GetPublicKeyResponse, RegisterIdentityRequest, RegisterIdentityResponse, TransactionBody,
        identity_service_server::IdentityService, transaction_body::Kind,
    },
};
use prost::Message as _;
use tonic::{Request, Response, Status};

use super::{
    Services, known_height, on_worker,
    status::{invalid, refused, unreadable},
    transactions::{host_of, submit_one, wait_receipt},
};
use crate::chain::ChainHost;

/// An identity as of a height, with proof where asked for.
struct Answer {
    at: IdentityAt,
    height: Height,
    evidence: Option<v1::StateEvidence>,
    present: Option<v1::StateEvidence>,
    recovery: Option<v1::Recovery>,
}

#[tonic::async_trait]
impl IdentityService for Services {
    async fn register_identity(
        &self,
        request: Request<RegisterIdentityRequest>,
    ) -> Result<Response<RegisterIdentityResponse>, Status> {
        let client = host_of(&request);
        let host = self.chain("")?;
        let transaction = request
            .into_inner()
            .transaction
            .ok_or_else(|| invalid("transaction", "is missing"))?;
        let body = TransactionBody::decode(transaction.body.as_ref())
            .map_err(|_| refused(&Code::Malformed.into()))?;
        let Some(Kind::RegisterIdentity(register)) = body.kind else {
            return Err(invalid("transaction", "must hold a register_identity body"));
        };
        let id = submit_one(host, transaction, client).await?;
        let receipt = wait_receipt(host, id, self.max_wait).await?;
        let code = Code::try_from(receipt.code).unwrap_or(Code::Malformed);
        if code != Code::Ok {
            return Err(refused(&code.into()));
        }
        let address_text = Address::from_slice(&receipt.subject)
            .map(|a| a.to_string())
            .unwrap_or_default();
        Ok(Response::new(RegisterIdentityResponse {
            address: receipt.subject.clone(),
            address_text,
            public_key: register.public_key,
            encryption_key: register.encryption_key,
            receipt: Some(receipt),
        }))
    }

    async fn get_identity(
        &self,
        request: Request<GetIdentityRequest>,
    ) -> Result<Response<GetIdentityResponse>, Status> {
        let request = request.into_inner();
        let answer = self
            .identity(&request.address, request.at_height, request.with_proof)
            .await?;
        Ok(Response::new(GetIdentityResponse {
            identity: Some((&answer.at).into()),
            height: answer.height.get(),
            evidence: answer.evidence,
            present: answer.present,
            recovery: answer.recovery,
        }))
    }

    async fn get_public_key(
        &self,
        request: Request<GetPublicKeyRequest>,
    ) -> Result<Response<GetPublicKeyResponse>, Status> {
        let request = request.into_inner();
        let answer = self
            .identity(&request.address, request.at_height, request.with_proof)
            .await?;
        let devices = &answer.at.version.devices;
        Ok(Response::new(GetPublicKeyResponse {
            public_key: answer.at.version.public_key.to_vec(),
            encryption_key: answer.at.version.encryption_key.to_vec(),
            status: answer.at.version.status.to_wire().into(),
            height: answer.height.get(),
            evidence: answer.evidence,
            devices: devices.iter().map(|key| key.to_vec()).collect(),
        }))
    }
}

impl Services {
    /// What both questions about an identity are answered from.
    async fn identity(
        &self,
        address: &[u8],
        at_height: Option<u64>,
        with_proof: bool,
    ) -> Result<Answer, Status> {
        let host = self.chain("")?;
        let address = parse_address(address)?;
        on_worker(host, move |host| {
            look_up(host, &address, at_height, with_proof)
        })
        .await
    }
}

#[allow(clippy::result_large_err)]
fn parse_address(bytes: &[u8]) -> Result<Address, Status> {
    Address::from_slice(bytes)
        .ok_or_else(|| invalid("address", "must have 32 bytes; decode the cc1 text first"))
}

/// The account's last recovery.
#[allow(clippy::result_large_err)]
fn recovery(host: &ChainHost, address: &Address) -> Result<Option<v1::Recovery>, Status> {
    let key = keys::recovery(address);
    let Some(value) = host.chain.get(&key).map_err(unreadable)? else {
        return Ok(None);
    };
    let record = RecoveryRecord::decode(&value).map_err(unreadable)?;
    Ok(Some(record.to_wire(host.chain.head().time())))
}

#[allow(clippy::result_large_err)]
fn look_up(
    host: &ChainHost,
    address: &Address,
    asked: Option<u64>,
    with_proof: bool,
) -> Result<Answer, Status> {
    let height = known_height(host, asked)?;
    let at = host
        .chain
        .identity_at(address, asked.map(Height::new))
        .map_err(unreadable)?
        .ok_or_else(|| {
            Status::not_found(format!(
                "no identity has the address {address} at height {height}"
            ))
        })?;
    let (mut evidence, mut present) = (None, None);
    if with_proof {
        // Both leaves under one root, or the client could not put them together.
        let newest = Some(host.chain.head().header.height);
        let proven = host.chain.prove(&at.key, newest).map_err(unreadable)?;
        evidence = Some((&proven).into());
        let present_key = keys::identity(address);
        if at.key != present_key {
            present = Some((&host.chain.prove(&present_key, newest).map_err(unreadable)?).into());
        }
    }
    let recovery = match asked {
        None => recovery(host, address)?,
        Some(_) => None,
    };
    Ok(Answer {
        at,
        height,
        recovery,
        evidence,
        present,
    })
}
