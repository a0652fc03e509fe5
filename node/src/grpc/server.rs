//! The gRPC server: services, health, reflection, gRPC-web, limits.

use std::{net::SocketAddr, time::Duration};

use certchain_proto::wire::{
    DESCRIPTORS,
    v1::{
        certificate_service_server::CertificateServiceServer,
        chain_service_server::ChainServiceServer,
        governance_service_server::GovernanceServiceServer,
        identity_service_server::IdentityServiceServer,
        transaction_service_server::TransactionServiceServer,
    },
};
use tokio::net::TcpListener;
use tonic::transport::{Server, server::TcpIncoming};
use tonic_health::{ServingStatus, server::HealthReporter};
use tonic_web::GrpcWebLayer;

use super::{
    Services,
    certificates::{ContentGate, MAX_CONTENT_MESSAGE_BYTES},
    connections::limited,
};
use crate::stop::Fatal;

/// Bounds of the server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest request in bytes.
    pub request_bytes: usize,
    /// Requests of one connection at once.
    pub concurrent_requests: usize,
    /// Connections at once.
    pub connections: usize,
    /// Longest that a request may take; streams end by themselves.
    pub request_timeout: Duration,
}

/// Why the server does not start or ends.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be bound.
    #[error("gRPC cannot listen on {address}: {source}; stop what uses it or set another address")]
    Bind {
        /// Where it should have listened.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The descriptors are damaged: a defect of the build.
    #[error("reflection cannot be built: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The server failed.
    #[error(transparent)]
    Transport(#[from] tonic::transport::Error),
}

/// Binds the address, so that a port in use is told at start.
///
/// # Errors
/// If it cannot be bound.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ServerError::Bind { address, source })
}

/// Serves until the node stops.
///
/// # Errors
/// If the server cannot be built or fails.
pub async fn serve(
    listener: TcpListener,
    services: Services,
    limits: Limits,
    stop: Fatal,
) -> Result<(), ServerError> {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let reflection_alpha = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1alpha()?;
    let (reporter, health) = tonic_health::server::health_reporter();
    let watch = tokio::spawn(report_health(reporter, services.clone(), stop.clone()));
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let incoming = limited(incoming, limits.connections);
    let bytes = limits.request_bytes;
    let identities = IdentityServiceServer::new(services.clone())
        .max_decoding_message_size(bytes)
        .max_encoding_message_size(usize::MAX);
    let transactions = TransactionServiceServer::new(services.clone())
        .max_decoding_message_size(bytes)
        .max_encoding_message_size(usize::MAX);
    let certificates = |bytes| {
        CertificateServiceServer::new(services.clone())
            .max_decoding_message_size(bytes)
            .max_encoding_message_size(usize::MAX)
    };
    let certificates = ContentGate::new(
        certificates(bytes),
        certificates(bytes.max(MAX_CONTENT_MESSAGE_BYTES)),
    );
    let governance = GovernanceServiceServer::new(services.clone())
        .max_decoding_message_size(bytes)
        .max_encoding_message_size(usize::MAX);
    let chains = ChainServiceServer::new(services)
        .max_decoding_message_size(bytes)
        .max_encoding_message_size(usize::MAX);
    let served = Server::builder()
        // gRPC-web from browsers comes over HTTP/1.1.
        .accept_http1(true)
        .concurrency_limit_per_connection(limits.concurrent_requests)
        .timeout(limits.request_timeout)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .layer(GrpcWebLayer::new())
        .add_service(health)
        .add_service(reflection)
        .add_service(reflection_alpha)
        .add_service(identities)
        .add_service(transactions)
        .add_service(certificates)
        .add_service(governance)
        .add_service(chains)
        .serve_with_incoming_shutdown(incoming, async move {
            stop.stopping().await;
        })
        .await;
    watch.abort();
    Ok(served?)
}

/// The health follows main, without which nothing is answered for certain. A side chain that has
/// halted tells so in its status and its metric, and takes none of the other chains' clients away.
async fn report_health(reporter: HealthReporter, services: Services, stop: Fatal) {
    const INTERVAL: Duration = Duration::from_millis(500);
    loop {
        let halted = services
            .chains
            .get(super::DEFAULT_CHAIN)
            .is_none_or(|main| main.status().halted.is_some());
        let healthy = !halted && !stop.is_stopping();
        let status = if healthy {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        reporter.set_service_status("", status).await;
        reporter
            .set_service_status("certchain.v1.IdentityService", status)
            .await;
        reporter
            .set_service_status("certchain.v1.TransactionService", status)
            .await;
        reporter
            .set_service_status("certchain.v1.CertificateService", status)
            .await;
        reporter
            .set_service_status("certchain.v1.ChainService", status)
            .await;
        reporter
            .set_service_status("certchain.v1.GovernanceService", status)
            .await;
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = stop.stopping() => return,
        }
    }
}
