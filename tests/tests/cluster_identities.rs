//! The main job on four real nodes: people are registered, change keys, are suspended, reinstated
//! and revoked, and every answer is proven against genesis, now and as of earlier heights.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use certchain_ledger::{
    evidence::{HistoryEvidence, InclusionEvidence, SealedHeader, StateEvidence, identity_as_of},
    identity::{IdentityAt, keys},
    receipt::Receipt,
};
use certchain_proto::{
    Address, Height,
    certificate::Ed25519Verifier,
    hash::{IdentityTag, TransactionId},
    transaction::{Transaction, transaction_id},
    wire::v1::{
        Code, GetHistoryProofRequest, GetIdentityRequest, GetIdentityResponse, GetNodeRequest,
        GetPublicKeyRequest, GetStateProofRequest, IdentityStatus, RegisterIdentityRequest,
        SignedTransaction, StreamBlocksRequest, SubmitManyRequest, get_block_request::Block,
    },
};
use certchain_tests::cluster::{
    Account, Client, Cluster, ClusterOptions, check::CHAINS, fixtures::REASON, wait::PATIENCE,
};
use futures::{StreamExt as _, stream};
use tonic::Code as GrpcCode;

const OK: i32 = Code::Ok as i32;

/// Asks with proof and believes only the proof.
async fn proven(
    cluster: &Cluster,
    client: &Client,
    address: &Address,
    at_height: Option<u64>,
) -> anyhow::Result<(IdentityAt, GetIdentityResponse)> {
    let request = GetIdentityRequest {
        address: address.as_bytes().to_vec(),
        at_height,
        with_proof: true,
    };
    let answer = client
        .identities
        .clone()
        .get_identity(request)
        .await?
        .into_inner();
    let (chain, validators) = (cluster.genesis.chain_id(), cluster.genesis.validator_set());
    let verify = |message| -> anyhow::Result<_> {
        Ok(StateEvidence::try_from(message)?.verify(chain, validators, &Ed25519Verifier)?)
    };
    let leaf = verify(answer.evidence.as_ref().context("no evidence")?)?;
    let present = answer.present.as_ref().map(verify).transpose()?;
    if let Some(asked) = at_height {
        ensure!(
            answer.height == asked,
            "asked as of {asked}, told as of {}",
            answer.height
        );
    }
    let height = Height::new(answer.height);
    let at = identity_as_of(address, height, &leaf, present.as_ref())?;
    let at = at.context("the evidence says that there is no identity")?;
    let told = answer.identity.as_ref().context("no identity")?;
    ensure!(
        told.public_key == at.version.public_key,
        "another key is told than proven"
    );
    ensure!(
        told.encryption_key == at.version.encryption_key,
        "another encryption key is told"
    );
    ensure!(
        told.status == at.version.status.to_wire() as i32,
        "another status is told"
    );
    ensure!(
        told.sequence == at.version.sequence,
        "another sequence is told"
    );
    Ok((at, answer))
}

async fn status_of(
    cluster: &Cluster,
    client: &Client,
    who: &Account,
) -> anyhow::Result<(IdentityStatus, u32)> {
    let (at, _) = proven(cluster, client, &who.address, None).await?;
    Ok((at.version.status.to_wire(), at.version.reason.into()))
}

#[tokio::test]
async fn identities_live_and_every_answer_is_proven() -> anyhow::Result<()> {
    let cluster = Cluster::start(ClusterOptions::default()).await?;
    let office = &cluster.office;
    let (here, there) = (cluster.node(0)?.client()?, cluster.node(2)?.client()?);

    // Registered through one node, found and proven through another.
    let anna = office.person(1);
    let request = RegisterIdentityRequest {
        transaction: Some(office.register(1)),
    };
    let answer = here
        .identities
        .clone()
        .register_identity(request)
        .await?
        .into_inner();
    let receipt = answer.receipt.context("no receipt")?;
    ensure!(answer.address == anna.address.as_bytes() && receipt.code == OK);
    ensure!(answer.address_text == anna.address.to_string());
    ensure!(answer.public_key == anna.key.public().as_bytes());
    let registered = receipt.height;
    cluster.node(2)?.wait_height(registered, PATIENCE).await?;
    let (at, _) = proven(&cluster, &there, &anna.address, None).await?;
    ensure!(at.record.registered_height.get() == registered);
    ensure!(at.version.public_key == *anna.key.public().as_bytes());
    ensure!(at.record.agency == office.agency.address);

    // The key changes; the old one is proven as of the height when it was in force.
    let changed = anna.rotated(1);
    let receipt = here.submit_and_wait(office.rotate(&anna, &changed)).await?;
    ensure!(receipt.code == OK && receipt.height > registered);
    let rotated = receipt.height;
    let (now, _) = proven(&cluster, &here, &anna.address, None).await?;
    ensure!(now.version.public_key == *changed.key.public().as_bytes());
    for height in [registered, rotated - 1] {
        let (then, _) = proven(&cluster, &here, &anna.address, Some(height)).await?;
        ensure!(
            then.version.public_key == *anna.key.public().as_bytes(),
            "as of {height}"
        );
        ensure!(then.until_height == Some(Height::new(rotated)));
        let request = GetPublicKeyRequest {
            address: anna.address.as_bytes().to_vec(),
            at_height: Some(height),
            with_proof: true,
        };
        let keys = here
            .identities
            .clone()
            .get_public_key(request)
            .await?
            .into_inner();
        ensure!(keys.public_key == anna.key.public().as_bytes() && keys.height == height);
        let evidence = StateEvidence::try_from(keys.evidence.as_ref().context("no evidence")?)?;
        ensure!(evidence.key == keys::past(&anna.address, 0));
        let chain = cluster.genesis.chain_id();
        evidence.verify(chain, cluster.genesis.validator_set(), &Ed25519Verifier)?;
    }
    let (then, _) = proven(&cluster, &here, &anna.address, Some(rotated)).await?;
    ensure!(then.version.public_key == *changed.key.public().as_bytes());
    let before = GetIdentityRequest {
        address: anna.address.as_bytes().to_vec(),
        at_height: Some(registered - 1),
        with_proof: false,
    };
    let refused = here.identities.clone().get_identity(before).await.err();
    ensure!(refused.is_some_and(|status| status.code() == GrpcCode::NotFound));

    // The old key signs no more, the new one does.
    let again = changed.rotated(2);
    let refused = here
        .submit(office.rotate(&anna, &again))
        .await
        .err()
        .context("old key")?;
    ensure!(certchain_tests::cluster::client::refusal_code(&refused) == Some("CODE_WRONG_KEY"));
    let receipt = here
        .submit_and_wait(office.rotate(&changed, &again))
        .await?;
    ensure!(receipt.code == OK);

    // Suspended, reinstated, revoked.
    for (transaction, expected) in [
        (office.suspend(&anna.address), IdentityStatus::Suspended),
        (office.reinstate(&anna.address), IdentityStatus::Active),
        (office.revoke(&anna.address), IdentityStatus::Revoked),
    ] {
        let receipt = here.submit_and_wait(transaction).await?;
        ensure!(receipt.code == OK, "{expected:?}: code {}", receipt.code);
        ensure!(status_of(&cluster, &here, &anna).await? == (expected, REASON));
    }
    let (then, _) = proven(&cluster, &here, &anna.address, Some(registered)).await?;
    ensure!(
        then.version.status.to_wire() == IdentityStatus::Active,
        "history is not rewritten"
    );

    absence_is_proven(&cluster, &here).await?;
    cluster.finish().await?;
    Ok(())
}

async fn absence_is_proven(cluster: &Cluster, client: &Client) -> anyhow::Result<()> {
    let nobody = cluster.office.person(999_999);
    for key in [
        keys::identity(&nobody.address),
        keys::tag(&IdentityTag::from_bytes(cluster.office.tag(999_999))),
    ] {
        let request = GetStateProofRequest {
            key: key.as_bytes().to_vec(),
            ..Default::default()
        };
        let answer = client
            .chains
            .clone()
            .get_state_proof(request)
            .await?
            .into_inner();
        ensure!(!answer.present);
        let evidence = StateEvidence {
            key,
            value: None,
            proof: answer.proof.as_ref().context("no proof")?.try_into()?,
            block: answer.block.as_ref().context("no block")?.try_into()?,
        };
        let chain = cluster.genesis.chain_id();
        evidence.verify(chain, cluster.genesis.validator_set(), &Ed25519Verifier)?;
    }
    Ok(())
}

#[tokio::test]
async fn submissions_blocks_and_histories_are_told_and_proven() -> anyhow::Result<()> {
    let cluster = Cluster::start(ClusterOptions::default()).await?;
    let office = &cluster.office;
    let client = cluster.node(1)?.client()?;
    let (chain, validators) = (cluster.genesis.chain_id(), cluster.genesis.validator_set());

    // Blocks are streamed as they are decided, from a height on.
    let request = StreamBlocksRequest {
        from_height: Some(0),
        ..Default::default()
    };
    let mut blocks = cluster
        .node(3)?
        .client()?
        .chains
        .stream_blocks(request)
        .await?
        .into_inner();

    // One, many, a stream.
    let mut all: Vec<TransactionId> = Vec::new();
    let one = office.register(10);
    let id = transaction_id(&one.body);
    ensure!(client.submit(one).await? == id);
    ensure!(client.wait_receipt(&id, PATIENCE).await?.code == OK);
    all.push(id);
    let many: Vec<_> = (20..120).map(|number| office.register(number)).collect();
    all.extend(
        many.iter()
            .map(|transaction| transaction_id(&transaction.body)),
    );
    let admissions = client.submit_many(many).await?;
    ensure!(admissions.len() == 100 && admissions.iter().all(|a| a.code == OK));
    let batches: Vec<Vec<SignedTransaction>> = (0..10)
        .map(|batch| {
            (200 + batch * 20..220 + batch * 20)
                .map(|n| office.register(n))
                .collect()
        })
        .collect();
    all.extend(
        batches
            .iter()
            .flatten()
            .map(|transaction| transaction_id(&transaction.body)),
    );
    let requests = batches.into_iter().map(|transactions| SubmitManyRequest {
        transactions,
        ..Default::default()
    });
    let answers = client
        .transactions
        .clone()
        .submit_stream(stream::iter(requests))
        .await?;
    let answers: Vec<_> = answers.into_inner().collect().await;
    ensure!(answers.len() == 10);
    for answer in answers {
        ensure!(
            answer?
                .admissions
                .iter()
                .all(|admission| admission.code == OK)
        );
    }
    for id in &all {
        ensure!(client.wait_receipt(id, PATIENCE).await?.code == OK, "{id}");
    }

    // Each is proven, body and receipt, against genesis alone.
    for id in all.iter().step_by(37) {
        let answer = client.transaction(id, true).await?;
        let transaction =
            Transaction::from_envelope(answer.transaction.context("no transaction")?)?;
        ensure!(transaction.id() == *id);
        let receipt = answer.receipt.as_ref().context("no receipt")?;
        let evidence = InclusionEvidence {
            transaction: transaction.witness_id(),
            transaction_proof: answer
                .transaction_proof
                .as_ref()
                .context("no proof")?
                .try_into()?,
            receipt: Receipt::try_from(receipt)?,
            receipt_proof: answer
                .receipt_proof
                .as_ref()
                .context("no proof")?
                .try_into()?,
            block: SealedHeader::try_from(answer.block.as_ref().context("no block")?)?,
        };
        let block = evidence.verify(chain, validators, &Ed25519Verifier)?;
        ensure!(block.header.height.get() == receipt.height);
        ensure!(block.id.as_bytes()[..] == receipt.block_id);
        ensure!(evidence.receipt.transaction == *id && evidence.receipt.is_ok());
    }

    // The stream has them all, in order and without gaps.
    let mut missing: BTreeSet<TransactionId> = all.iter().copied().collect();
    let mut headers = Vec::new();
    while !missing.is_empty() {
        let next = tokio::time::timeout(PATIENCE, blocks.next())
            .await
            .context("no block")?;
        let block = next
            .context("the stream ended")??
            .block
            .context("no block")?;
        let header = block.header.context("no header")?;
        ensure!(block.transactions.len() == block.receipts.len());
        ensure!(block.transactions.len() == usize::try_from(header.tx_count)?);
        for (transaction, receipt) in block.transactions.iter().zip(&block.receipts) {
            let id = transaction_id(&transaction.body);
            ensure!(receipt.transaction_id == id.as_bytes());
            missing.remove(&id);
        }
        headers.push(header);
    }
    certchain_tests::cluster::check::chained(&cluster, &headers).await?;

    // By height, by name, the last; and the way from an old block to the last one.
    let top = headers.last().context("no block")?.height;
    cluster.node(1)?.wait_height(top + 1, PATIENCE).await?;
    let last = client.block(None).await?.header.context("no header")?;
    for header in headers.iter().step_by(3) {
        let by_height = client.block(Some(Block::Height(header.height))).await?;
        let by_id = client
            .block(Some(Block::BlockId(header.block_id.clone())))
            .await?;
        ensure!(by_height == by_id);
        // Another node may hold another quorum's signatures under the same block.
        let found = by_height.header.context("no header")?;
        ensure!(found.block_id == header.block_id && found.encoded_header == header.encoded_header);
        let request = GetHistoryProofRequest {
            height: header.height,
            at_height: Some(last.height),
            ..Default::default()
        };
        let answer = client
            .chains
            .clone()
            .get_history_proof(request)
            .await?
            .into_inner();
        let evidence = HistoryEvidence::try_from(&answer)?;
        let later = evidence.verify(chain, validators, &Ed25519Verifier)?;
        ensure!(evidence.block.as_bytes()[..] == header.block_id);
        ensure!(later.id.as_bytes()[..] == last.block_id);
    }
    let too_high = client
        .block(Some(Block::Height(last.height + 1_000_000)))
        .await
        .err();
    ensure!(too_high.is_some_and(|status| status.code() == GrpcCode::OutOfRange));

    let node = client
        .chains
        .clone()
        .get_node(GetNodeRequest {})
        .await?
        .into_inner();
    ensure!(node.name == "node-1" && node.network == "test-network");
    let chains: BTreeSet<&str> = node.chains.iter().map(String::as_str).collect();
    ensure!(chains == BTreeSet::from(CHAINS), "it follows {chains:?}");
    for status in cluster.statuses().await? {
        ensure!(status.chain_id == chain.as_bytes() && status.validators == 4);
        ensure!(status.quorum == 3 && status.voting && status.ready && status.halted.is_empty());
    }
    ensure!(
        cluster
            .node(1)?
            .metric("certchain_height{chain=\"main\"}")
            .await?
            >= 1.0
    );
    cluster.finish().await?;
    Ok(())
}
