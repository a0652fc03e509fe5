//! Catching up: sealed blocks from peers, verified in full, one after the other into the engine.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
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

/// A peer that takes longer for an answer is asked after the others.
const SLOW: Duration = Duration::from_secs(2);

/// Pause after a round in which no peer helped, though one has shown to be ahead.
const PAUSE: Duration = Duration::from_millis(300);

/// How often peers are asked without a hint: a hint may have been lost.
const UNASKED: Duration = Duration::from_secs(10);

/// Catches up whenever somebody is ahead, until the node stops.
pub async fn run(host: Arc<ChainHost>, fatal: Fatal) {
    let mut standing = Standing::default();
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
            // A full disk takes no blocks: those that are asked for would only wait in memory.
            if host.is_paused() {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            if round(&host, &mut standing).await {
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

/// How peers have answered since they last brought us forward.
#[derive(Debug, Default)]
struct Standing {
    /// Answers that were none, false, late or less than promised.
    misses: BTreeMap<PeerId, u32>,
}

impl Standing {
    /// The order in which peers are asked: the reliable ones first, of those who is ahead. Forgets
    /// peers that are gone.
    fn order(&mut self, connected: Vec<PeerId>, tips: &BTreeMap<PeerId, Height>) -> Vec<PeerId> {
        let mut peers = connected;
        self.misses.retain(|peer, _| peers.contains(peer));
        peers.sort_by_key(|peer| {
            let misses = self.misses.get(peer).copied().unwrap_or(0);
            (misses, std::cmp::Reverse(tips.get(peer).copied()))
        });
        peers
    }

    fn missed(&mut self, peer: PeerId) {
        let misses = self.misses.entry(peer).or_default();
        *misses = misses.saturating_add(1);
    }

    fn helped(&mut self, peer: &PeerId) {
        self.misses.remove(peer);
    }
}

/// Whether blocks are the next ones from a height on, without gaps.
fn follow(from: Height, blocks: &[SealedBlock]) -> bool {
    let mut expected = from;
    blocks.iter().all(|block| {
        let fits = block.header.height == expected;
        expected = expected.next();
        fits
    })
}

/// Asks peers in turn; whether one of them brought us forward.
async fn round(host: &Arc<ChainHost>, standing: &mut Standing) -> bool {
    let peers = {
        let tips = host.tips.lock().unwrap_or_else(PoisonError::into_inner);
        standing.order(host.network.connected(), &tips)
    };
    for peer in peers {
        let asked = Instant::now();
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
                standing.missed(peer);
                continue;
            }
            Err(error) => {
                tracing::debug!(chain = %host.name, %peer, %error, "no sealed blocks");
                forget(host, &peer);
                standing.missed(peer);
                continue;
            }
        };
        if blocks.is_empty() {
            // Its hint was false, or it has lost blocks: do not wait for it.
            let mut tips = host.tips.lock().unwrap_or_else(PoisonError::into_inner);
            if tips.get(&peer).is_some_and(|tip| *tip >= from) {
                tips.remove(&peer);
                standing.missed(peer);
            }
            continue;
        }
        if !follow(from, &blocks) {
            tracing::warn!(chain = %host.name, %peer, %from, "a peer sent blocks of other heights");
            forget(host, &peer);
            standing.missed(peer);
            continue;
        }
        let late = asked.elapsed() > SLOW;
        apply(host, peer, blocks).await;
        let forward = host.chain.head().header.height > before;
        if late || !forward {
            standing.missed(peer);
        } else {
            standing.helped(&peer);
        }
        if forward {
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
    .verify(host.id, &host.seats.sets(), &Ed25519Verifier)
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use certchain_proto::{
        BlockHeader, ChainId, CommitCertificate, Epoch, Outcome, SecretKey, TimeMs, ValidatorIndex,
        View, hash,
    };

    use super::*;

    fn peer(n: u8) -> PeerId {
        PeerId::from_public_key(SecretKey::from_seed(&[n; 32]).public().as_bytes()).unwrap()
    }

    #[test]
    fn who_lies_or_is_slow_is_asked_last_until_it_helps() {
        let (good, liar, behind) = (peer(1), peer(2), peer(3));
        let all = || vec![behind, good, liar];
        let tips = BTreeMap::from([(liar, Height::new(u64::MAX)), (good, Height::new(9))]);
        let mut standing = Standing::default();
        assert_eq!(standing.order(all(), &tips), [liar, good, behind]);
        standing.missed(liar);
        assert_eq!(standing.order(all(), &tips), [good, behind, liar]);
        standing.missed(good);
        standing.missed(liar);
        assert_eq!(standing.order(all(), &tips), [behind, good, liar]);
        standing.helped(&liar);
        assert_eq!(standing.order(all(), &tips), [liar, behind, good]);
        // A peer that went and came back starts anew.
        standing.order(vec![behind], &tips);
        assert_eq!(standing.order(all(), &tips), [liar, good, behind]);
    }

    fn block(height: u64) -> SealedBlock {
        let header = BlockHeader {
            protocol: 1,
            chain: ChainId::from_bytes([0; 32]),
            epoch: Epoch::ZERO,
            height: Height::new(height),
            view: View::ZERO,
            proposer: ValidatorIndex::new(0),
            offset: 0,
            parent: hash::BlockId::ZERO,
            parent_commit: hash::CertificateDigest::ZERO,
            parent_view: View::ZERO,
            time_ms: TimeMs::ZERO,
            tx_root: hash::TxRoot::ZERO,
            tx_count: 0,
            history_root: hash::HistoryRoot::ZERO,
            checkpoint: None,
        };
        let outcome = Outcome {
            state_root: hash::StateRoot::ZERO,
            receipts_root: hash::ReceiptsRoot::ZERO,
            next_validators: hash::ValidatorSetDigest::ZERO,
        };
        let certificate = CommitCertificate {
            epoch: Epoch::ZERO,
            height: Height::new(height),
            view: View::ZERO,
            header: header.digest(),
            outcome: outcome.digest(),
            signatures: Vec::new(),
        };
        SealedBlock {
            header,
            parent_certificate: certificate.clone(),
            transactions: Vec::new(),
            outcome,
            commit_certificate: certificate,
        }
    }

    #[test]
    fn only_the_next_blocks_are_an_answer() {
        let heights = |list: &[u64]| list.iter().map(|h| block(*h)).collect::<Vec<_>>();
        let from = Height::new(5);
        assert!(follow(from, &heights(&[5, 6, 7])));
        for other in [&[6, 7][..], &[4, 5], &[5, 7], &[5, 5], &[900]] {
            assert!(!follow(from, &heights(other)), "{other:?}");
        }
    }
}
