//! Decided blocks: onto the disk, then to everybody who waits for them.

use std::{sync::PoisonError, time::Instant};

use certchain_consensus::{Decision, Event};
use certchain_ledger::{
    chain::{CommitError, Committed, Executed},
    signatures::VerifiedTransaction,
    store::StoreError,
};
use certchain_proto::{Height, hash::HeaderDigest};

use super::Executor;
use crate::{chain::bodies, metrics::chain_label, stop::StopReason};

/// Why a decided block is not on disk.
enum Failure {
    /// There is no room for it yet.
    NoRoom(StoreError),
    /// The block, the state or the disk is not as it must be.
    Other(String),
}

impl Executor {
    pub(super) fn commit(&mut self, decision: Decision) {
        let digest = decision.header.digest();
        let height = decision.header.height;
        let started = Instant::now();
        let result = loop {
            match self.store(&decision, &digest) {
                Err(Failure::NoRoom(error)) => {
                    // Nothing has changed. What is decided stays so, and is stored when there is room,
                    // here or after the next start.
                    if !self.wait_for_room(&error) {
                        return;
                    }
                }
                Err(Failure::Other(error)) => break Err(error),
                Ok(done) => break Ok(done),
            }
        };
        match result {
            Ok((committed, seen)) => {
                let metrics = &self.host.metrics;
                metrics
                    .synced_writes
                    .get_or_create(&chain_label(&self.host.name))
                    .inc();
                metrics.stage(&self.host.name, "store", started.elapsed());
                metrics.stage(&self.host.name, "decide", seen.elapsed());
                self.candidates.clear();
                self.waiting.clear();
                self.last_commit = Instant::now();
                self.publish(height, &committed);
            }
            // The engine holds the block as decided; nothing may follow it but the same block.
            Err(error) => {
                self.fatal.stop(StopReason::Store {
                    chain: self.host.name.clone(),
                    error,
                });
            }
        }
    }

    /// Puts a decided block on disk; with the moment at which it was first seen.
    fn store(
        &mut self,
        decision: &Decision,
        digest: &HeaderDigest,
    ) -> Result<(Committed, Instant), Failure> {
        let (executed, seen) = self.executed(decision, digest).map_err(Failure::Other)?;
        let certificate = decision.certificate.clone();
        match self.host.chain.commit(executed, certificate) {
            Ok(committed) => Ok((committed, seen)),
            Err(CommitError::Store(error @ StoreError::NoRoom { .. })) => {
                Err(Failure::NoRoom(error))
            }
            Err(error) => Err(Failure::Other(error.to_string())),
        }
    }

    /// The execution of a decided block, done again from the stored body if it is gone.
    fn executed(
        &mut self,
        decision: &Decision,
        digest: &HeaderDigest,
    ) -> Result<(Executed, Instant), String> {
        if let Some(candidate) = self.candidates.remove(digest) {
            if let Some(executed) = candidate.executed {
                return Ok((executed, candidate.seen));
            }
            if let Some(checked) = candidate.checked {
                let executed = self
                    .host
                    .chain
                    .execute(checked)
                    .map_err(|e| e.to_string())?;
                return Ok((executed, candidate.seen));
            }
        }
        let chain = &self.host.chain;
        let body = chain
            .load_body(decision.header.height, digest)
            .map_err(|error| error.to_string())?
            .ok_or("its body is not in the store")?;
        let transactions = bodies::verify(&self.host, &body.transactions)
            .ok_or("a stored transaction is not valid")?;
        let checked = chain
            .check_block(
                (*decision.header).clone(),
                body.parent_certificate,
                transactions,
            )
            .map_err(|error| error.to_string())?;
        let executed = chain.execute(checked).map_err(|error| error.to_string())?;
        Ok((executed, Instant::now()))
    }

    /// Tells everybody of a block that is on disk.
    fn publish(&self, height: Height, committed: &Committed) {
        let host = &self.host;
        let ids: Vec<_> = committed.transactions.iter().map(|t| t.id()).collect();
        let disturbed = {
            let mut mempool = host.mempool.lock().unwrap_or_else(PoisonError::into_inner);
            mempool.set_parameters(&committed.head.parameters);
            mempool.remove(ids.iter());
            mempool.expire(committed.head.header.time_ms);
            mempool.disturbed(&committed.written)
        };
        let label = chain_label(&host.name);
        let number = i64::try_from(height.get()).unwrap_or(i64::MAX);
        host.metrics.height.get_or_create(&label).set(number);
        let count = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        host.metrics
            .transactions
            .get_or_create(&label)
            .inc_by(count);
        tracing::debug!(
            chain = %host.name, height = height.get(), id = %committed.head.id,
            transactions = ids.len(), "block decided"
        );
        host.tell(Event::Applied { height });
        // After the engine was told: under load many wait, and each is judged again.
        self.drop_refused(&disturbed);
        for notice in &committed.restart_notices {
            if host.is_own_notice(notice.validator, &notice.nonce) {
                host.tell(Event::AmnesiaCleared { height });
            }
        }
        host.height.send_replace(height);
        host.waiters.decided(ids.iter());
        host.work_changed();
    }

    /// Drops transactions that the last block has made impossible: they would look like work that
    /// the primaries leave undone, and cost them their place.
    pub(super) fn drop_refused(&self, disturbed: &[VerifiedTransaction]) {
        let host = &self.host;
        if disturbed.is_empty() {
            return;
        }
        match host.chain.admit_many(disturbed, host.admission_time()) {
            Ok(verdicts) => {
                let judged = disturbed.iter().zip(verdicts);
                host.give_up(
                    judged.filter_map(|(transaction, verdict)| {
                        Some((transaction.id(), verdict.err()?))
                    }),
                );
            }
            Err(error) => {
                tracing::error!(chain = %host.name, %error, "the state cannot be read");
            }
        }
    }
}
