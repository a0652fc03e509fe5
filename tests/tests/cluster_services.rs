//! How programs find the services: health, reflection, and gRPC-web as browsers speak it; and a
//! client in another language that knows nothing but the documentation.

use std::process::Command;

use anyhow::{Context as _, ensure};
use certchain_proto::wire::v1::{
    GetStatusRequest, GetStatusResponse, SubmitRequest, SubmitResponse,
};
use certchain_tests::cluster::{
    Cluster, ClusterOptions,
    binaries::{self, workspace},
    http,
    wait::{PATIENCE, until},
};
use futures::{StreamExt as _, stream};
use prost::Message;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

const SERVICES: [&str; 5] = [
    "certchain.v1.CertificateService",
    "certchain.v1.ChainService",
    "certchain.v1.GovernanceService",
    "certchain.v1.IdentityService",
    "certchain.v1.TransactionService",
];

/// Frames a message as gRPC does: a flag byte, its length, its bytes.
fn frame(message: &impl Message) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&[0], &length.to_be_bytes()[..], &bytes].concat()
}

/// The frames of an answer: flag and content.
fn frames(mut rest: &[u8]) -> anyhow::Result<Vec<(u8, Vec<u8>)>> {
    let mut all = Vec::new();
    while let [flag, a, b, c, d, after @ ..] = rest {
        let length = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d]))?;
        ensure!(after.len() >= length, "a frame is cut off");
        let (content, next) = after.split_at(length);
        all.push((*flag, content.to_vec()));
        rest = next;
    }
    ensure!(rest.is_empty(), "bytes after the last frame");
    Ok(all)
}

#[tokio::test]
async fn services_are_found_by_health_reflection_and_browsers() -> anyhow::Result<()> {
    let cluster = Cluster::start(ClusterOptions::of(1)).await?;
    let node = cluster.node(0)?;
    let client = node.client()?;

    for service in std::iter::once("").chain(SERVICES) {
        let health = HealthClient::new(client.channel.clone());
        until("healthy", PATIENCE, || async {
            let request = HealthCheckRequest {
                service: service.to_owned(),
            };
            let answer = health.clone().check(request).await?.into_inner();
            ensure!(
                answer.status() == ServingStatus::Serving,
                "'{service}' is not serving"
            );
            Ok(())
        })
        .await?;
    }

    let ask = |message_request| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message_request),
    };
    let requests = stream::iter([
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(
            "certchain.v1.RegisterIdentity".to_owned(),
        )),
    ]);
    let mut reflection = ServerReflectionClient::new(client.channel.clone());
    let answers: Vec<_> = reflection
        .server_reflection_info(requests)
        .await?
        .into_inner()
        .map(|answer| answer.map(|answer| answer.message_response))
        .collect()
        .await;
    let mut answers = answers.into_iter();
    let Some(Ok(Some(MessageResponse::ListServicesResponse(list)))) = answers.next() else {
        anyhow::bail!("no list of services");
    };
    let names: Vec<String> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    for service in SERVICES {
        ensure!(
            names.iter().any(|name| name == service),
            "{service} is not among {names:?}"
        );
    }
    ensure!(
        names.iter().any(|name| name == "grpc.health.v1.Health"),
        "{names:?}"
    );
    let Some(Ok(Some(MessageResponse::FileDescriptorResponse(files)))) = answers.next() else {
        anyhow::bail!("no description of a message");
    };
    ensure!(!files.file_descriptor_proto.is_empty());

    // As a browser: HTTP/1.1, binary gRPC-web, trailers in the body.
    let headers = "content-type: application/grpc-web+proto\r\nx-grpc-web: 1\r\n";
    let path = "/certchain.v1.ChainService/GetStatus";
    let body = frame(&GetStatusRequest::default());
    let answer = http::post(node.addresses.grpc, path, headers, &body).await?;
    ensure!(answer.status == 200, "{answer:?}");
    let parts = frames(&answer.body)?;
    let message = parts
        .iter()
        .find(|(flag, _)| *flag == 0)
        .context("no message")?;
    let status = GetStatusResponse::decode(message.1.as_slice())?;
    ensure!(status.chain_id == cluster.genesis.chain_id().as_bytes());
    let trailers = parts
        .iter()
        .find(|(flag, _)| *flag == 0x80)
        .context("no trailers")?;
    let trailers = String::from_utf8(trailers.1.clone())?;
    ensure!(trailers.contains("grpc-status:0") || trailers.contains("grpc-status: 0"));
    let path = "/certchain.v1.TransactionService/Submit";
    let transaction = Some(cluster.office.register(1));
    let body = frame(&SubmitRequest {
        transaction,
        wait: true,
        ..Default::default()
    });
    let answer = http::post(node.addresses.grpc, path, headers, &body).await?;
    let parts = frames(&answer.body)?;
    let message = parts
        .iter()
        .find(|(flag, _)| *flag == 0)
        .context("no message")?;
    let answer = SubmitResponse::decode(message.1.as_slice())?;
    ensure!(answer.receipt.is_some_and(|receipt| receipt.code == 0));

    let metrics = http::get(node.addresses.metrics, "/metrics").await?;
    let text = String::from_utf8(metrics.body)?;
    for name in [
        "certchain_height",
        "certchain_view",
        "certchain_peers",
        "certchain_mempool",
    ] {
        ensure!(
            text.contains(name),
            "{name} is not among the metrics:\n{text}"
        );
    }
    cluster.finish().await?;
    Ok(())
}

/// Runs a script of `tests/conformance` against node 1, with the keys of the office; false if this
/// machine has no Python.
async fn conformance(cluster: &Cluster, script: &str, more: &[&str]) -> anyhow::Result<bool> {
    let python = Command::new("python3").arg("--version").output();
    if !python.is_ok_and(|output| output.status.success()) {
        println!("skipped: this machine has no python3");
        return Ok(false);
    }
    let office = &cluster.office;
    let mut command = Command::new(workspace().join("tests/conformance/run.sh"));
    command
        .args([script, "--grpc"])
        .arg(cluster.node(1)?.addresses.grpc.to_string())
        .arg("--genesis")
        .arg(cluster.node(1)?.folder.join("genesis.toml"))
        .args(more);
    for (option, account) in [
        ("--agency-seed", &office.agency),
        ("--registrar-seed", &office.registrar),
    ] {
        let file = cluster.folder().join(&option[2..]);
        std::fs::write(&file, hex::encode(account.key.to_seed()))?;
        command.arg(option).arg(file);
    }
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "it failed:\n{said}\n{errors}");
    println!("{said}");
    Ok(true)
}

#[tokio::test]
async fn a_python_client_registers_what_it_signed_itself() -> anyhow::Result<()> {
    let cluster = Cluster::start(ClusterOptions::of(4)).await?;
    conformance(&cluster, "register.py", &[]).await?;
    cluster.finish().await?;
    Ok(())
}

#[tokio::test]
async fn a_python_client_takes_certificates_through_their_lives() -> anyhow::Result<()> {
    let cluster = Cluster::start(ClusterOptions::of(4)).await?;
    let client = binaries::find("certchain")?;
    let client = client.to_str().context("a path that is no text")?;
    conformance(&cluster, "certificates.py", &["--client", client]).await?;
    cluster.finish_audited().await?;
    Ok(())
}
