//! What bad input gets: a stable code, a fitting gRPC status and a sentence, and nothing else
//! happens: the chain goes on, no node panics.

use anyhow::{Context as _, ensure};
use certchain_proto::{
    SecretKey,
    transaction::{sign, transaction_id},
    wire::v1::{
        Code, GetStatusRequest, IdentityKind, SignedTransaction, SuspendIdentity,
        TransactionSignature, transaction_body::Kind,
    },
};
use certchain_tests::cluster::{
    Client, Cluster, ClusterOptions, Office, client::refusal_code, fixtures::now_ms,
    wait::PATIENCE, wait::until,
};
use prost::Message as _;
use tonic::Code as GrpcCode;

/// Checks that a submission is refused so.
async fn refused(
    client: &Client,
    transaction: SignedTransaction,
    code: Code,
    grpc: GrpcCode,
) -> anyhow::Result<()> {
    let name = code.as_str_name();
    let status = client.submit(transaction.clone()).await.err();
    let status = status.with_context(|| format!("{name}: it was admitted"))?;
    ensure!(
        refusal_code(&status) == Some(name),
        "{name} expected, got {status:?}"
    );
    ensure!(
        status.code() == grpc,
        "{name}: gRPC status {:?}",
        status.code()
    );
    ensure!(
        status.message().len() > 20,
        "{name}: no sentence: '{}'",
        status.message()
    );
    // The same in a batch, where each line has its own answer.
    let admissions = client.submit_many(vec![transaction]).await?;
    let admission = admissions.first().context("no answer")?;
    ensure!(
        admission.code == i32::from(code),
        "{name}: {} in a batch",
        admission.code
    );
    ensure!(
        !admission.message.is_empty(),
        "{name}: no sentence in a batch"
    );
    Ok(())
}

fn with_body(transaction: &SignedTransaction, body: Vec<u8>) -> SignedTransaction {
    SignedTransaction {
        body: body.into(),
        signatures: transaction.signatures.clone(),
    }
}

/// Bytes that are no transaction, or not in the one form that is signed.
async fn malformed(client: &Client, office: &Office) -> anyhow::Result<()> {
    let good = office.register(100);
    let body = good.body.to_vec();
    let expect = [
        (vec![0xff; 40], Code::Malformed),
        (
            body.iter().copied().take(body.len() - 1).collect(),
            Code::Malformed,
        ),
        // A field that the .proto does not have: number 50, a varint.
        (
            [&body[..], &[0x90, 0x03, 0x01]].concat(),
            Code::NotCanonical,
        ),
        // A default written out: field 3 as zero, before a body whose field 3 then comes again.
        ([&[0x18, 0x00], &body[..]].concat(), Code::NotCanonical),
        (Vec::new(), Code::BadField),
    ];
    for (bytes, code) in expect {
        refused(
            client,
            with_body(&good, bytes),
            code,
            GrpcCode::InvalidArgument,
        )
        .await?;
    }
    // Text that is not in normalisation form C: A and a combining accent.
    let holder = office.person(100);
    let mut registration = office.registration(&holder, office.tag(100));
    registration.kind = IdentityKind::Organisation.into();
    registration.organisation_code = "A\u{301}B".to_owned();
    let body = office.body(Kind::RegisterIdentity(registration.clone()));
    let transaction = office.sign_registration(&holder, &body);
    refused(
        client,
        transaction,
        Code::NotCanonical,
        GrpcCode::InvalidArgument,
    )
    .await?;
    // A code with characters that codes do not have.
    registration.organisation_code = "small".to_owned();
    let body = office.body(Kind::RegisterIdentity(registration));
    let transaction = office.sign_registration(&holder, &body);
    refused(
        client,
        transaction,
        Code::BadField,
        GrpcCode::InvalidArgument,
    )
    .await?;
    // Fields of wrong length.
    let mut body = office.body(Kind::RegisterIdentity(
        office.registration(&holder, [1; 32]),
    ));
    body.nonce.push(0);
    let transaction = office.sign_registration(&holder, &body);
    refused(
        client,
        transaction,
        Code::BadField,
        GrpcCode::InvalidArgument,
    )
    .await
}

/// Too much: beyond the chain's limit, beyond the protocol's, beyond the node's request limit.
async fn oversize(client: &Client, office: &Office) -> anyhow::Result<()> {
    let holder = office.person(101);
    for length in [70_000, 300_000] {
        let mut registration = office.registration(&holder, office.tag(101));
        registration.organisation_code = "A".repeat(length);
        let body = office.body(Kind::RegisterIdentity(registration));
        let transaction = office.sign_registration(&holder, &body);
        refused(
            client,
            transaction,
            Code::TooLarge,
            GrpcCode::InvalidArgument,
        )
        .await?;
    }
    let mut crowded = office.register(101);
    crowded.signatures = (0..9)
        .map(|number| TransactionSignature {
            public_key: vec![number; 32],
            signature: vec![number; 64],
        })
        .collect();
    refused(client, crowded, Code::TooLarge, GrpcCode::InvalidArgument).await?;
    let huge = with_body(&office.register(101), vec![0; 5 * 1024 * 1024]);
    let status = client
        .submit(huge)
        .await
        .err()
        .context("5 MiB were taken")?;
    let fits = matches!(
        status.code(),
        GrpcCode::OutOfRange | GrpcCode::ResourceExhausted
    );
    ensure!(fits, "5 MiB: {status:?}");
    Ok(())
}

/// Another chain, another time.
async fn out_of_place(client: &Client, office: &Office, window: u64) -> anyhow::Result<()> {
    let holder = office.person(102);
    let body = || {
        office.body(Kind::RegisterIdentity(
            office.registration(&holder, [2; 32]),
        ))
    };
    let mut elsewhere = body();
    elsewhere.chain_id = vec![9; 32];
    let transaction = office.sign_registration(&holder, &elsewhere);
    refused(
        client,
        transaction,
        Code::WrongChain,
        GrpcCode::InvalidArgument,
    )
    .await?;
    for (time, code) in [
        (now_ms() - 1, Code::Expired),
        (now_ms() + window + 60_000, Code::TooFar),
        (u64::MAX, Code::TooFar),
    ] {
        let mut body = body();
        body.valid_until_ms = time;
        let transaction = office.sign_registration(&holder, &body);
        refused(client, transaction, code, GrpcCode::FailedPrecondition).await?;
    }
    Ok(())
}

/// Signers: unknown, not entitled, missing, surplus, in the wrong order, broken.
async fn signers(client: &Client, office: &Office) -> anyhow::Result<()> {
    let (holder, stranger) = (office.person(103), office.person(104));
    let registration = office.registration(&holder, office.tag(103));
    let body = office.body(Kind::RegisterIdentity(registration.clone()));
    let (agency, registrar) = (&office.agency.key, &office.registrar.key);
    let orders: [(&[&SecretKey], Code); 6] = [
        (&[agency, registrar], Code::MissingSigner),
        (&[registrar, agency, &holder.key], Code::MissingSigner),
        (&[agency, registrar, &stranger.key], Code::MissingSigner),
        (
            &[agency, registrar, &holder.key, &stranger.key],
            Code::SurplusSigner,
        ),
        (
            &[agency, registrar, &holder.key, &holder.key],
            Code::SurplusSigner,
        ),
        (&[&stranger.key, registrar, &holder.key], Code::WrongKey),
    ];
    for (keys, code) in orders {
        refused(client, sign(&body, keys), code, GrpcCode::Unauthenticated).await?;
    }
    let mut unknown = registration.clone();
    unknown.agency = stranger.address.as_bytes().to_vec();
    let body = office.body(Kind::RegisterIdentity(unknown));
    let transaction = sign(&body, &[&stranger.key, registrar, &holder.key]);
    refused(
        client,
        transaction,
        Code::UnknownAccount,
        GrpcCode::NotFound,
    )
    .await?;
    let mut swapped = registration;
    swapped.registrar = office.agency.address.as_bytes().to_vec();
    swapped.agency = office.registrar.address.as_bytes().to_vec();
    let body = office.body(Kind::RegisterIdentity(swapped));
    let transaction = sign(&body, &[registrar, agency, &holder.key]);
    refused(
        client,
        transaction,
        Code::NotEntitled,
        GrpcCode::PermissionDenied,
    )
    .await?;

    let mut broken = office.register(103);
    if let Some(byte) = broken
        .signatures
        .last_mut()
        .and_then(|s| s.signature.first_mut())
    {
        *byte ^= 1;
    }
    refused(
        client,
        broken,
        Code::BadSignature,
        GrpcCode::Unauthenticated,
    )
    .await?;
    // The point of order two is no key, whatever its signature.
    let mut weak = office.register(103);
    if let Some(signature) = weak.signatures.last_mut() {
        signature.public_key = [&[0xec][..], &[0xff; 30], &[0x7f]].concat();
    }
    refused(client, weak, Code::BadKey, GrpcCode::InvalidArgument).await
}

/// Accounts that are suspended or revoked act no more.
async fn out_of_force(client: &Client, office: &Office) -> anyhow::Result<()> {
    let ok = i32::from(Code::Ok);
    let holder = office.person(105);
    ensure!(client.submit_and_wait(office.register(105)).await?.code == ok);
    ensure!(
        client
            .submit_and_wait(office.suspend(&holder.address))
            .await?
            .code
            == ok
    );
    let change = || office.rotate(&holder, &holder.rotated(1));
    refused(
        client,
        change(),
        Code::Suspended,
        GrpcCode::PermissionDenied,
    )
    .await?;
    ensure!(
        client
            .submit_and_wait(office.revoke(&holder.address))
            .await?
            .code
            == ok
    );
    refused(client, change(), Code::Revoked, GrpcCode::PermissionDenied).await?;
    let back = office.reinstate(&holder.address);
    refused(client, back, Code::Revoked, GrpcCode::PermissionDenied).await?;
    let active = office.reinstate(&office.agency.address);
    refused(
        client,
        active,
        Code::NotSuspended,
        GrpcCode::FailedPrecondition,
    )
    .await?;
    // A suspended agency registers nobody.
    let body = office.body(Kind::SuspendIdentity(SuspendIdentity {
        address: office.agency.address.as_bytes().to_vec(),
        authority: office.registrar.address.as_bytes().to_vec(),
        reason: 1,
    }));
    let suspend = sign(&body, &[&office.registrar.key]);
    ensure!(client.submit_and_wait(suspend).await?.code == ok);
    refused(
        client,
        office.register(106),
        Code::Suspended,
        GrpcCode::PermissionDenied,
    )
    .await?;
    let reinstate = office.reinstate(&office.agency.address);
    ensure!(client.submit_and_wait(reinstate).await?.code == ok);
    ensure!(client.submit_and_wait(office.register(106)).await?.code == ok);
    Ok(())
}

/// Twice the same: a transaction, a person, a key.
async fn repeated(client: &Client, office: &Office) -> anyhow::Result<()> {
    let first = office.register(107);
    let receipt = client.submit_and_wait(first.clone()).await?;
    ensure!(receipt.code == i32::from(Code::Ok));
    refused(
        client,
        first.clone(),
        Code::Replayed,
        GrpcCode::AlreadyExists,
    )
    .await?;
    let again = client
        .wait_receipt(&transaction_id(&first.body), PATIENCE)
        .await?;
    ensure!(again == receipt, "a replay changed the receipt");
    let (holder, other) = (office.person(107), office.person(108));
    let body = office.body(Kind::RegisterIdentity(
        office.registration(&other, office.tag(107)),
    ));
    let transaction = office.sign_registration(&other, &body);
    refused(client, transaction, Code::TagTaken, GrpcCode::AlreadyExists).await?;
    let body = office.body(Kind::RegisterIdentity(
        office.registration(&holder, office.tag(108)),
    ));
    let transaction = office.sign_registration(&holder, &body);
    refused(client, transaction, Code::KeyTaken, GrpcCode::AlreadyExists).await?;

    // Two that conflict are both admitted, each alone being right; one of them takes effect.
    let rivals: Vec<_> = [109, 110]
        .iter()
        .map(|number| {
            let holder = office.person(*number);
            let registration = office.registration(&holder, office.tag(109));
            office.sign_registration(&holder, &office.body(Kind::RegisterIdentity(registration)))
        })
        .collect();
    let ids: Vec<_> = rivals
        .iter()
        .map(|rival| transaction_id(&rival.body))
        .collect();
    client.submit_many(rivals).await?;
    let mut taken = 0;
    for id in &ids {
        // Whoever lost is told by a receipt, or was dropped because the other had been decided.
        if let Ok(receipt) = client
            .wait_receipt(id, std::time::Duration::from_secs(3))
            .await
        {
            taken += u32::from(receipt.code == i32::from(Code::Ok));
            ensure!(
                receipt.code == i32::from(Code::Ok) || receipt.code == i32::from(Code::TagTaken)
            );
        }
    }
    ensure!(taken == 1, "{taken} identities for one document");
    Ok(())
}

#[tokio::test]
async fn bad_transactions_get_their_codes() -> anyhow::Result<()> {
    let cluster = Cluster::start(ClusterOptions::default()).await?;
    let (client, office) = (cluster.node(0)?.client()?, &cluster.office);
    malformed(&client, office).await?;
    oversize(&client, office).await?;
    out_of_place(
        &client,
        office,
        cluster.genesis.limits.transaction_window_ms,
    )
    .await?;
    signers(&client, office).await?;
    out_of_force(&client, office).await?;
    repeated(&client, office).await?;
    // Refusals are counted by code.
    let line = "certchain_refusals_total{chain=\"main\",code=\"CODE_TAG_TAKEN\"}";
    ensure!(cluster.node(0)?.metric(line).await? >= 1.0);
    let no_chain = GetStatusRequest {
        chain: "no-such".to_owned(),
    };
    let status = client.chains.clone().get_status(no_chain).await.err();
    ensure!(status.is_some_and(|status| status.code() == GrpcCode::NotFound));
    ensure!(
        office.register(1).encoded_len() < 1_000,
        "registrations have grown"
    );
    ensure!(client.submit_and_wait(office.register(1)).await?.code == i32::from(Code::Ok));
    cluster.finish().await?;
    Ok(())
}

#[tokio::test]
async fn an_unlisted_peer_is_refused_and_counted() -> anyhow::Result<()> {
    let cluster = Cluster::start(ClusterOptions::default()).await?;
    let mut outsider = cluster.outsider().await?;
    outsider.start().await?;
    until("the outsider is refused", PATIENCE, || async {
        let mut refusals = 0.0;
        for node in &cluster.nodes {
            refusals += node.metric("certchain_refused_peers").await?;
        }
        ensure!(refusals >= 1.0, "no node has refused a peer");
        Ok(())
    })
    .await?;
    let receipt = cluster
        .node(0)?
        .client()?
        .submit_and_wait(cluster.office.register(1))
        .await?;
    cluster
        .node(3)?
        .wait_height(receipt.height + 1, PATIENCE)
        .await?;
    let status = outsider.status().await?;
    ensure!(
        status.height == 0 && status.peers == 0,
        "the outsider has peers or blocks"
    );
    ensure!(
        !status.ready && !status.voting,
        "the outsider takes itself for a member"
    );
    for status in cluster.statuses().await? {
        ensure!(status.peers == 3, "a member has {} peers", status.peers);
    }
    ensure!(outsider.terminate().await?.success());
    ensure!(!outsider.log_text().contains("panicked"));
    cluster.finish().await?;
    Ok(())
}
