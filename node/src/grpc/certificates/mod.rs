//! Certificates: sending, checking, lists, the inbox, anchors, the catalogue, ciphertexts off the
//! chain.
//!
//! What the chains hold can be read by anybody; lists that belong to an account and ciphertexts that
//! are put here need a signed query ([`authorisation`]). No field of a certificate passes through
//! here in clear, and nothing of a request is logged.
#![allow(clippy::result_large_err)]

mod anchor;
mod authorisation;
mod catalogue;
mod check;
mod content;
mod gate;
mod inbox;
mod lists;
mod pack;
mod read;
mod records;
mod replay;
mod send;

use std::{path::Path, pin::Pin, sync::Arc};

use certchain_config::Genesis;
use certchain_proto::{
    Address,
    hash::CertificateId,
    wire::v1::{
        CertificateTypeDefinition, CheckRequest, CheckResponse, GetAnchorRequest,
        GetAnchorResponse, GetCatalogueRequest, GetCatalogueResponse, GetCertificateRequest,
        GetCertificateResponse, GetContentRequest, GetContentResponse, GetPackRequest,
        GetPackResponse, InboxRequest, InboxResponse, ListCertificatesRequest,
        ListCertificatesResponse, PutContentRequest, PutContentResponse, QueryCertificateRequest,
        QueryCertificateResponse, SendCertificateRequest, SendCertificateResponse,
        certificate_service_server::CertificateService,
    },
};
use futures::Stream;
use tonic::{Request, Response, Status};

pub use content::ContentStoreError;
pub(super) use content::MAX_CONTENT_MESSAGE_BYTES;
pub(super) use gate::ContentGate;

use super::{DEFAULT_CHAIN, Services, status::invalid, transactions::host_of};
use crate::chain::ChainHost;

use content::ContentStore;
use inbox::InboxPlaces;
use replay::ReplayCache;

/// What the certificate service has beside the chains.
#[derive(Debug)]
pub struct Certificates {
    catalogue: Vec<CertificateTypeDefinition>,
    content: ContentStore,
    queries: ReplayCache,
    inboxes: Arc<InboxPlaces>,
}

impl Certificates {
    /// Takes the catalogue from genesis and opens the folder of ciphertexts.
    ///
    /// # Errors
    /// If the folder cannot be used.
    pub fn open(genesis: &Genesis, objects: &Path) -> Result<Self, ContentStoreError> {
        Ok(Self {
            catalogue: catalogue::definitions(genesis),
            content: ContentStore::open(objects)?,
            queries: ReplayCache::default(),
            inboxes: Arc::default(),
        })
    }
}

type InboxEntries = Pin<Box<dyn Stream<Item = Result<InboxResponse, Status>> + Send>>;

impl Services {
    /// The side chain with this name.
    fn side_chain(&self, name: &str) -> Result<&Arc<ChainHost>, Status> {
        if name.is_empty() || name == DEFAULT_CHAIN {
            return Err(invalid("chain", "must name a side chain, such as degree"));
        }
        self.chain(name)
    }

    /// All side chains that this node follows.
    fn side_chains(&self) -> impl Iterator<Item = &Arc<ChainHost>> {
        self.chains.values().filter(|host| host.main.is_some())
    }
}

/// Main as the host of a side chain sees it.
fn main_of(host: &ChainHost) -> Result<&ChainHost, Status> {
    host.main
        .as_deref()
        .ok_or_else(|| invalid("chain", "must name a side chain, such as degree"))
}

fn address(field: &str, bytes: &[u8]) -> Result<Address, Status> {
    Address::from_slice(bytes)
        .ok_or_else(|| invalid(field, "must have 32 bytes; decode the cc1 text first"))
}

fn certificate_id(bytes: &[u8]) -> Result<CertificateId, Status> {
    CertificateId::from_slice(bytes).ok_or_else(|| invalid("certificate", "must have 32 bytes"))
}

#[tonic::async_trait]
impl CertificateService for Services {
    type InboxStream = InboxEntries;

    async fn send_certificate(
        &self,
        request: Request<SendCertificateRequest>,
    ) -> Result<Response<SendCertificateResponse>, Status> {
        let client = host_of(&request);
        let answer = send::send_certificate(self, request.into_inner(), client).await?;
        Ok(Response::new(answer))
    }

    async fn check(
        &self,
        request: Request<CheckRequest>,
    ) -> Result<Response<CheckResponse>, Status> {
        let client = host_of(&request);
        let answer = check::check(self, request.into_inner(), client).await?;
        Ok(Response::new(answer))
    }

    async fn get_certificate(
        &self,
        request: Request<GetCertificateRequest>,
    ) -> Result<Response<GetCertificateResponse>, Status> {
        let answer = read::get_certificate(self, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn query_certificate(
        &self,
        request: Request<QueryCertificateRequest>,
    ) -> Result<Response<QueryCertificateResponse>, Status> {
        let answer = read::query_certificate(self, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn list_certificates(
        &self,
        request: Request<ListCertificatesRequest>,
    ) -> Result<Response<ListCertificatesResponse>, Status> {
        let answer = lists::list_certificates(self, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn inbox(
        &self,
        request: Request<InboxRequest>,
    ) -> Result<Response<InboxEntries>, Status> {
        let entries = inbox::inbox(self, request.into_inner()).await?;
        Ok(Response::new(Box::pin(entries)))
    }

    async fn get_pack(
        &self,
        request: Request<GetPackRequest>,
    ) -> Result<Response<GetPackResponse>, Status> {
        let answer = pack::get_pack(self, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn get_anchor(
        &self,
        request: Request<GetAnchorRequest>,
    ) -> Result<Response<GetAnchorResponse>, Status> {
        let answer = anchor::get_anchor(self, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn get_catalogue(
        &self,
        request: Request<GetCatalogueRequest>,
    ) -> Result<Response<GetCatalogueResponse>, Status> {
        let answer = catalogue::get_catalogue(self, &request.into_inner())?;
        Ok(Response::new(answer))
    }

    async fn put_content(
        &self,
        request: Request<PutContentRequest>,
    ) -> Result<Response<PutContentResponse>, Status> {
        let answer = content::put_content(self, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn get_content(
        &self,
        request: Request<GetContentRequest>,
    ) -> Result<Response<GetContentResponse>, Status> {
        let answer = content::get_content(self, &request.into_inner()).await?;
        Ok(Response::new(answer))
    }
}
