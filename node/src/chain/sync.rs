//! Catching up: sealed blocks from peers, verified in full, one after the other into the engine.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use certchain_consensus::Sealed as SealedEvent;
use certchain_net::PeerId;
use certchain_proto::{Height, SealedBlock, certificate::Ed25519Verifier};

use super::{
    bodies,
    exchange::{self, Request, Sealed},
    executor::{Synced, Task},
    host::ChainHost,
};
use crate::stop::Fatal;

/// How long a peer may take for one answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// How long the executor may take for one block before the answer is given up.
const APPLY_PATIENCE: Duration = Duration::from_secs(30);

/// Pause after a round in which no peer helped, though one has shown to be ahead.
const PAUSE: Duration = Duration::from_millis(300);

/// How often peers are asked without a hint: a hint may have been lost.
const UNASKED: Duration = Duration::from_secs(10);

/// Catches up whenever somebody is ahead, until the node stops.
pub async fn run(host: Arc<ChainHost>, fatal: Fatal) {
    loop {
        let wanted = tokio::time::timeout(UNASKED, host.sync_wanted.notified());
        tokio::select! {
            _ = wanted => {}
            () = fatal.stopping() => return,
        }
        loop {
            if fatal.is_stopping() {
                return;
            }
            if round(&host).await {
                continue;
            }
            let next = host.chain.head().header.height.next();
            if best_tip(&host) < Some(next) {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// A peer shows how far it is.
pub fn note_tip(host: &ChainHost, peer: PeerId, height: Height) {
    host.tips
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(peer, height);
    if height > host.chain.head().header.height {
        host.sync_wanted.notify_one();
    }
}

/// A peer has gone.
pub fn forget(host: &ChainHost, peer: &PeerId) {
    host.tips
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(peer);
}

fn best_tip(host: &ChainHost) -> Option<Height> {
    host.tips
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .values()
        .max()
        .copied()
}

/// Asks peers in turn, those ahead first; whether one of them brought us forward.
async fn round(host: &Arc<ChainHost>) -> bool {
    let mut peers: Vec<(Option<Height>, PeerId)> = {
        let tips = host.tips.lock().unwrap_or_else(PoisonError::into_inner);
        host.network
            .connected()
            .into_iter()
            .map(|p| (tips.get(&p).copied(), p))
            .collect()
    };
    peers.sort_by_key(|(tip, _)| std::cmp::Reverse(*tip));
    for (_, peer) in peers {
        let before = host.chain.head().header.height;
        let from = before.next();
        let question = Request::Sealed { from }.encode();
        let answer = host
            .network
            .request(peer, host.channel, &question, ANSWER_PATIENCE)
            .await;
        let blocks = match answer.map(|bytes| exchange::decode_answer::<Sealed>(&bytes)) {
            Ok(Ok(sealed)) => sealed.blocks,
            Ok(Err(error)) => {
                tracing::warn!(chain = %host.name, %peer, %error, "sealed blocks refused");
                forget(host, &peer);
                continue;
            }
            Err(error) => {
                tracing::debug!(chain = %host.name, %peer, %error, "no sealed blocks");
                forget(host, &peer);
                continue;
            }
        };
        if blocks.is_empty() {
            // Its hint was false, or it has lost blocks: do not wait for it.
            let mut tips = host.tips.lock().unwrap_or_else(PoisonError::into_inner);
            if tips.get(&peer).is_some_and(|tip| *tip >= from) {
                tips.remove(&peer);
            }
            continue;
        }
        apply(host, peer, blocks).await;
        if host.chain.head().header.height > before {
            return true;
        }
    }
    false
}

/// Verifies blocks and waits for each to be stored. Consensus may decide some of them meanwhile.
async fn apply(host: &Arc<ChainHost>, peer: PeerId, blocks: Vec<SealedBlock>) {
    let mut heights = host.heights();
    for block in blocks {
        let height = block.header.height;
        if height <= host.chain.head().header.height {
            continue;
        }
        let worker = Arc::clone(host);
        let Ok(verified) = host.pool.call(move || verify(&worker, block)).await else {
            return;
        };
        let Some(synced) = verified else {
            tracing::warn!(chain = %host.name, %peer, %height, "a peer sent a false sealed block");
            forget(host, &peer);
            return;
        };
        host.hand(Task::Synced(Box::new(synced)));
        let stored = heights.wait_for(|h| *h >= height);
        if !matches!(
            tokio::time::timeout(APPLY_PATIENCE, stored).await,
            Ok(Ok(_))
        ) {
            return;
        }
    }
}

/// Everything that can be checked of a sealed block without the state.
fn verify(host: &ChainHost, block: SealedBlock) -> Option<Synced> {
    let SealedBlock {
        header,
        parent_certificate,
        transactions,
        outcome,
        commit_certificate,
    } = block;
    if parent_certificate.digest() != header.parent_commit {
        return None;
    }
    let sealed = SealedEvent {
        header,
        outcome,
        certificate: commit_certificate,
    }
    .verify(host.id, &host.validators, &Ed25519Verifier)
    .inspect_err(|error| tracing::debug!(chain = %host.name, %error, "not sealed"))
    .ok()?;
    let transactions = bodies::verify(host, &transactions)?;
    let ids: Vec<_> = transactions.iter().map(|t| t.witness_id()).collect();
    if certchain_ledger::merkle::tx_root(&ids) != sealed.header.tx_root {
        return None;
    }
    Some(Synced {
        sealed,
        parent_certificate,
        transactions,
    })
}
