//! Completing the bodies of proposed blocks: from the mempool, from the store, from peers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use certchain_consensus::BodyRequest;
use certchain_ledger::signatures::VerifiedTransaction;
use certchain_net::PeerId;
use certchain_proto::{
    CommitCertificate, Height, codec::encode, hash::WitnessId, transaction::Transaction,
};

use super::{
    exchange::{self, Body, Request, TRANSACTIONS_ASKED, Transactions},
    executor::Task,
    host::ChainHost,
};

/// How long gossip may take before a peer is asked: a request costs a copy of what is on its way.
const GOSSIP_PATIENCE: Duration = Duration::from_millis(120);

/// How long one peer may take to answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(3);

/// Pause before the peers are asked again in turn.
const PAUSE: Duration = Duration::from_millis(100);

/// The transactions with these names, if the mempool has all.
pub fn from_mempool(host: &ChainHost, ids: &[WitnessId]) -> Option<Vec<VerifiedTransaction>> {
    let mempool = host
        .mempool
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    ids.iter().map(|id| mempool.get(id)).collect()
}

/// Decodes and verifies stored or fetched transactions; none if one does not hold.
pub fn verify(host: &ChainHost, encoded: &[Vec<u8>]) -> Option<Vec<VerifiedTransaction>> {
    host.verifier
        .verify(decode_all(encoded)?)
        .into_iter()
        .map(Result::ok)
        .collect()
}

/// Completes a body, however long it takes, until its height is decided otherwise.
pub async fn complete(host: Arc<ChainHost>, request: BodyRequest) {
    let height = request.header.height;
    let mut heights = host.heights();
    let work = async {
        if request.contents.is_some() {
            by_ids(&host, &request).await
        } else {
            by_header(&host, &request).await
        }
    };
    let passed = heights.wait_for(|h| *h >= height);
    tokio::select! {
        (parent_certificate, transactions) = work => {
            let header = Arc::clone(&request.header);
            host.hand(Task::BodyArrived { header, parent_certificate, transactions });
        }
        _ = passed => {}
    }
}

/// With the list of names at hand: mempool first, then those who have the block.
async fn by_ids(
    host: &Arc<ChainHost>,
    request: &BodyRequest,
) -> (CommitCertificate, Vec<VerifiedTransaction>) {
    let Some(contents) = request.contents.clone() else {
        return by_header(host, request).await;
    };
    let ids = &contents.witness_ids;
    let mut found: BTreeMap<WitnessId, VerifiedTransaction> = BTreeMap::new();
    let deadline = tokio::time::Instant::now() + GOSSIP_PATIENCE;
    loop {
        let grew = host.mempool_grew.notified();
        take_from_mempool(host, ids, &mut found);
        if found.len() == ids.len() || tokio::time::timeout_at(deadline, grew).await.is_err() {
            break;
        }
    }
    let mut turn = 0;
    loop {
        take_from_mempool(host, ids, &mut found);
        let ordered: Option<Vec<VerifiedTransaction>> =
            ids.iter().map(|id| found.get(id).cloned()).collect();
        if let Some(transactions) = ordered {
            return (contents.parent_certificate.clone(), transactions);
        }
        let missing: Vec<WitnessId> = ids
            .iter()
            .filter(|id| !found.contains_key(id))
            .take(TRANSACTIONS_ASKED)
            .copied()
            .collect();
        let Some(peer) = next_peer(host, request, &mut turn).await else {
            // After a restart or a long wait no mempool has them any more: whoever voted has the
            // whole body on disk.
            if let Some(complete) = whole_body(host, request).await {
                return complete;
            }
            continue;
        };
        for transaction in ask_transactions(host, peer, missing).await {
            found.insert(transaction.witness_id(), transaction);
        }
    }
}

fn take_from_mempool(
    host: &ChainHost,
    ids: &[WitnessId],
    found: &mut BTreeMap<WitnessId, VerifiedTransaction>,
) {
    let mempool = host
        .mempool
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    for id in ids {
        if !found.contains_key(id)
            && let Some(transaction) = mempool.get(id)
        {
            found.insert(*id, transaction);
        }
    }
}

/// Asks one peer; keeps only what was asked for and holds.
async fn ask_transactions(
    host: &Arc<ChainHost>,
    peer: PeerId,
    missing: Vec<WitnessId>,
) -> Vec<VerifiedTransaction> {
    let question = Request::Transactions(missing.clone()).encode();
    let Some(answer) = ask::<Transactions>(host, peer, &question).await else {
        return Vec::new();
    };
    let worker = Arc::clone(host);
    let job = move || {
        let wanted: Vec<Transaction> = answer
            .transactions
            .iter()
            .take(missing.len())
            .filter_map(|bytes| Transaction::decode(bytes).ok())
            .filter(|t| missing.contains(&t.witness_id()))
            .collect();
        worker
            .verifier
            .verify(wanted)
            .into_iter()
            .filter_map(Result::ok)
            .collect()
    };
    host.pool.call(job).await.unwrap_or_default()
}

/// With only the header at hand: the whole body, from whoever has stored it.
async fn by_header(
    host: &Arc<ChainHost>,
    request: &BodyRequest,
) -> (CommitCertificate, Vec<VerifiedTransaction>) {
    loop {
        if let Some(complete) = whole_body(host, request).await {
            return complete;
        }
    }
}

/// Looks for the whole body in our own store, then asks every peer once.
async fn whole_body(
    host: &Arc<ChainHost>,
    request: &BodyRequest,
) -> Option<(CommitCertificate, Vec<VerifiedTransaction>)> {
    let height = request.header.height;
    let header = request.header.digest();
    if let Some(body) = from_store(host, height, request).await
        && let Some(complete) = fitting(host, request, body).await
    {
        return Some(complete);
    }
    let question = Request::Body { height, header }.encode();
    let mut turn = 0;
    while let Some(peer) = next_peer(host, request, &mut turn).await {
        if let Some(body) = ask::<Body>(host, peer, &question).await
            && let Some(complete) = fitting(host, request, body).await
        {
            return Some(complete);
        }
    }
    None
}

/// Checks that a body is that of the header and that its signatures hold.
async fn fitting(
    host: &Arc<ChainHost>,
    request: &BodyRequest,
    body: Body,
) -> Option<(CommitCertificate, Vec<VerifiedTransaction>)> {
    if body.parent_certificate.digest() != request.header.parent_commit {
        return None;
    }
    let worker = Arc::clone(host);
    let tx_root = request.header.tx_root;
    let job = move || {
        let decoded = decode_all(&body.transactions)?;
        let ids: Vec<WitnessId> = decoded.iter().map(Transaction::witness_id).collect();
        if certchain_ledger::merkle::tx_root(&ids) != tx_root {
            return None;
        }
        let verified: Option<Vec<_>> = worker
            .verifier
            .verify(decoded)
            .into_iter()
            .map(Result::ok)
            .collect();
        Some((body.parent_certificate, verified?))
    };
    host.pool.call(job).await.ok().flatten()
}

async fn from_store(host: &Arc<ChainHost>, height: Height, request: &BodyRequest) -> Option<Body> {
    let chain = Arc::clone(&host.chain);
    let header = request.header.digest();
    match host
        .pool
        .call(move || chain.load_body(height, &header))
        .await
    {
        Ok(Ok(body)) => body.map(|b| Body {
            parent_certificate: b.parent_certificate,
            transactions: b.transactions,
        }),
        Ok(Err(error)) => {
            tracing::error!(chain = %host.name, %error, "a stored body cannot be read");
            None
        }
        Err(_) => None,
    }
}

async fn ask<T: serde::Serialize + serde::de::DeserializeOwned>(
    host: &ChainHost,
    peer: PeerId,
    question: &[u8],
) -> Option<T> {
    match host
        .network
        .request(peer, host.channel, question, ANSWER_PATIENCE)
        .await
    {
        Ok(bytes) => exchange::decode_answer(&bytes)
            .inspect_err(|error| tracing::debug!(%peer, %error, "an answer was refused"))
            .ok(),
        Err(error) => {
            tracing::debug!(%peer, %error, "a peer gave no answer");
            None
        }
    }
}

/// The next to ask: those known to have the block, then everybody, then a pause.
async fn next_peer(host: &ChainHost, request: &BodyRequest, turn: &mut usize) -> Option<PeerId> {
    let connected = host.connected_validators();
    let holders = connected
        .iter()
        .filter(|(index, _)| request.holders.contains(index));
    let others = connected
        .iter()
        .filter(|(index, _)| !request.holders.contains(index));
    let order: Vec<PeerId> = holders.chain(others).map(|(_, peer)| *peer).collect();
    let place = *turn;
    *turn += 1;
    match order.get(place) {
        Some(peer) => Some(*peer),
        None => {
            *turn = 0;
            tokio::time::sleep(PAUSE).await;
            None
        }
    }
}

/// The bytes of a body, for a peer.
pub fn encoded(body: certchain_ledger::store::Body) -> Vec<u8> {
    encode(&Body {
        parent_certificate: body.parent_certificate,
        transactions: body.transactions,
    })
}

/// Decodes transactions whose envelope must be canonical.
pub fn decode_all(encoded: &[Vec<u8>]) -> Option<Vec<Transaction>> {
    encoded
        .iter()
        .map(|bytes| Transaction::decode(bytes).ok())
        .collect()
}
