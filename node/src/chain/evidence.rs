//! Proof that a validator said two things in one slot: kept on disk for operators and courts,
//! counted, and passed on.

use std::{fs, io, path::PathBuf, sync::Arc};

use certchain_consensus::Equivocation;
use certchain_proto::{certificate::Ed25519Verifier, codec};

use tokio::sync::OwnedSemaphorePermit;

use super::{exchange::Direct, host::ChainHost};
use crate::metrics::chain_label;

/// Most pieces kept per chain: one is enough to act on, and a faulty validator could make millions.
const MOST_KEPT: usize = 1_000;

/// Keeps what our own engine found, and tells the peers.
pub fn found(host: &Arc<ChainHost>, evidence: Equivocation) {
    if keep(host, &evidence) {
        let bytes = Direct::Evidence(Box::new(evidence)).encode();
        if let Err(error) = host.network.broadcast(host.channel, bytes) {
            tracing::debug!(chain = %host.name, %error, "evidence not passed on");
        }
    }
}

/// Checks and keeps what a peer sent; passes it on if it is new.
pub fn from_peer(host: &Arc<ChainHost>, evidence: Equivocation, room: OwnedSemaphorePermit) {
    let worker = Arc::clone(host);
    let queued = host.vote_pool.run(move || {
        let _room = room;
        match evidence.verify(worker.id, &worker.seats.sets(), &Ed25519Verifier) {
            Ok(()) => found(&worker, evidence),
            Err(error) => {
                tracing::debug!(chain = %worker.name, %error, "evidence refused");
            }
        }
    });
    if let Err(error) = queued {
        tracing::debug!(chain = %host.name, %error, "evidence shed");
    }
}

/// Stores a piece; whether it was new.
fn keep(host: &ChainHost, evidence: &Equivocation) -> bool {
    match store(&host.evidence_dir, evidence) {
        Ok(true) => {
            host.metrics
                .equivocations
                .get_or_create(&chain_label(&host.name))
                .inc();
            tracing::error!(
                chain = %host.name,
                validator = %evidence.signer(),
                slot = ?evidence.slot(),
                "a validator signed two statements for one slot; the proof is kept"
            );
            true
        }
        Ok(false) => false,
        Err(error) => {
            tracing::error!(chain = %host.name, %error, "evidence cannot be kept");
            false
        }
    }
}

/// Writes one file per slot and signer.
fn store(folder: &PathBuf, evidence: &Equivocation) -> io::Result<bool> {
    fs::create_dir_all(folder)?;
    let slot = evidence.slot();
    let name = format!(
        "height-{}-view-{}-{:?}-validator-{}.evidence",
        slot.height,
        slot.view,
        slot.phase,
        evidence.signer()
    );
    let path = folder.join(name.to_lowercase());
    if path.exists() || fs::read_dir(folder)?.count() >= MOST_KEPT {
        return Ok(false);
    }
    let partial = path.with_extension("partial");
    fs::write(&partial, codec::encode(evidence))?;
    fs::rename(&partial, &path)?;
    Ok(true)
}
