//! What nodes send each other besides votes: transactions and decided blocks; and what they submit
//! themselves: anchors and restart notices.

use std::sync::Arc;

use certchain_consensus::{Event, Sealed};
use certchain_ledger::{
    mempool::Inserted,
    merkle,
    side_chains::{self, SideChainRecord},
    signatures::VerifiedTransaction,
};
use certchain_proto::{
    Height, SealedBlock,
    certificate::Ed25519Verifier,
    transaction::Transaction,
    wire::v1::{RestartNotice, transaction_body::Kind},
};
use certchain_sidechain::anchor::anchor_message;
use certchain_simulator::checkers::Violation;

use crate::{
    acts::{Verdict, drop_refused},
    node::{CHAINS, MAIN, name},
    town::Town,
    world::{Task, What, World},
};

/// Most blocks in an answer to a laggard.
const SYNC_BLOCKS: u64 = 8;
/// Most transactions that are announced again at once.
const ANNOUNCED: usize = 20;
/// Time between two announcements of what waits.
const SWEEP_MS: u64 = 2_000;
/// How often a validator looks whether an anchor is due.
const LOOK_MS: u64 = 250;
/// How long the next validator waits for the one before it.
const TURN_MS: u64 = 2_000;

fn unreadable(node: usize, error: &dyn std::fmt::Display) -> Violation {
    Violation(format!("node {node} cannot read its store: {error}"))
}

impl World {
    /// Reads transactions as a peer or the store gives them.
    ///
    /// # Errors
    /// If one is none that was ever signed.
    pub fn read_all(&self, encoded: &[Vec<u8>]) -> Result<Vec<VerifiedTransaction>, Violation> {
        let read = |bytes: &Vec<u8>| {
            let transaction = Transaction::decode(bytes).ok()?;
            let id = transaction.witness_id();
            self.known.get(&id).or_else(|| self.made_up(&id)).cloned()
        };
        let all: Option<Vec<_>> = encoded.iter().map(read).collect();
        all.ok_or_else(|| Violation("a transaction that nobody signed".to_owned()))
    }

    /// A transaction reaches a node; whether it waits there now.
    ///
    /// # Errors
    /// If a rule is broken.
    pub fn take_transaction(
        &mut self,
        node: usize,
        chain: usize,
        transaction: VerifiedTransaction,
    ) -> Result<bool, Violation> {
        let clock = self.nodes[node].clock(self.now);
        let Some(host) = self.nodes[node].hosts.get_mut(chain) else {
            return Ok(false);
        };
        if host.mempool.contains(&transaction.id()) {
            return Ok(true);
        }
        let verdict = host.chain.admit(&transaction, host.admission_time(clock));
        if verdict.map_err(|e| unreadable(node, &e))?.is_err() {
            return Ok(false);
        }
        if host.mempool.insert(transaction) != Ok(Inserted::New) {
            return Ok(false);
        }
        self.report_work(node, chain)?;
        Ok(true)
    }

    /// Tells the engine whether transactions wait.
    ///
    /// # Errors
    /// If a rule is broken.
    pub fn report_work(&mut self, node: usize, chain: usize) -> Result<(), Violation> {
        let Some(host) = self.nodes[node].hosts.get(chain) else {
            return Ok(());
        };
        let pending = !host.mempool.is_empty();
        self.step(node, chain, Event::WorkChanged { pending })
    }

    /// Takes a transaction in at a node, which tells the others; whether it was admitted.
    ///
    /// # Errors
    /// If a rule is broken.
    pub fn submit(
        &mut self,
        node: usize,
        chain: usize,
        transaction: &VerifiedTransaction,
    ) -> Result<bool, Violation> {
        let id = transaction.witness_id();
        self.known.insert(id, transaction.clone());
        let taken = self.take_transaction(node, chain, transaction.clone())?;
        if taken {
            self.announce(node, chain, transaction);
        }
        Ok(taken)
    }

    fn announce(&mut self, node: usize, chain: usize, transaction: &VerifiedTransaction) {
        for to in (0..self.plan.n).filter(|to| *to != node) {
            let gossip = || What::Gossip {
                chain,
                to,
                transaction: transaction.clone(),
            };
            self.carry(node, to, gossip);
        }
    }

    /// Announces what waits once more, and drops what can no longer be executed.
    ///
    /// # Errors
    /// If a rule is broken.
    pub fn sweep(&mut self, node: usize) -> Result<(), Violation> {
        self.task(SWEEP_MS, node, MAIN, Task::Sweep);
        let (life, clock) = (self.nodes[node].life, self.nodes[node].clock(self.now));
        for chain in 0..CHAINS {
            let Some(host) = self.nodes[node].hosts.get_mut(chain) else {
                return Ok(());
            };
            let time = host.admission_time(clock);
            host.mempool.expire(time);
            let waiting: Vec<_> = host.mempool.iter().take(ANNOUNCED).cloned().collect();
            if chain != MAIN {
                // Main has gone on: who waited may have lost its right to what it asks.
                drop_refused(node, host, &waiting, time)?;
            }
            for transaction in &waiting {
                self.announce(node, chain, transaction);
            }
            self.report_work(node, chain)?;
            if self.nodes[node].life != life {
                return Ok(());
            }
            self.feed_synced(node, chain)?;
        }
        Ok(())
    }

    /// Sends decided blocks to somebody who lacks them.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn send_blocks(
        &mut self,
        of: usize,
        to: usize,
        chain: usize,
        height: Height,
    ) -> Result<(), Violation> {
        let Some(host) = self.nodes[of].hosts.get(chain) else {
            return Ok(());
        };
        let mut blocks = Vec::new();
        for step in 0..SYNC_BLOCKS {
            let block = host.chain.block(Height::new(height.get() + step));
            match block.map_err(|e| unreadable(of, &e))? {
                Some(block) => blocks.push(block),
                None => break,
            }
        }
        let blocks = self.given_blocks(of, chain, blocks)?;
        if !blocks.is_empty() {
            let make = || What::Blocks {
                chain,
                from: of,
                to,
                blocks: blocks.clone(),
            };
            self.carry(of, to, make);
        }
        Ok(())
    }

    /// Blocks arrive.
    ///
    /// # Errors
    /// If a rule is broken.
    pub fn take_blocks(
        &mut self,
        node: usize,
        from: usize,
        chain: usize,
        blocks: Vec<SealedBlock>,
    ) -> Result<(), Violation> {
        let Some(host) = self.nodes[node].hosts.get_mut(chain) else {
            return Ok(());
        };
        for block in blocks {
            let place = host.queue.entry(block.header.height);
            place.or_insert((from, block));
        }
        self.feed_synced(node, chain)
    }

    /// Hands the next block from peers to the engine, if it has come and main here has come so far.
    ///
    /// # Errors
    /// If the block is none, and who gave it is honest.
    pub fn feed_synced(&mut self, node: usize, chain: usize) -> Result<(), Violation> {
        let Some(host) = self.nodes[node].hosts.get_mut(chain) else {
            return Ok(());
        };
        let next = host.engine.status().height;
        let busy = host.held.is_some() || !host.decided.is_empty();
        if busy || host.chain.head().height().next() != next {
            return Ok(()); // what it decided is not done yet
        }
        if host.chain.check_room().is_err() {
            return Ok(()); // it is looked at again with the next sweep
        }
        host.queue = host.queue.split_off(&next);
        let Some((from, block)) = host.queue.get(&next).cloned() else {
            return Ok(());
        };
        if self.lacks_checkpoint(node, &block.header) {
            return Ok(());
        }
        let host = &mut self.nodes[node].hosts[chain];
        host.queue.remove(&next);
        let sealed = Sealed {
            header: block.header.clone(),
            outcome: block.outcome,
            certificate: block.commit_certificate,
        };
        let validators = Arc::clone(&host.chain.head().validators);
        let sealed = match sealed.verify(host.id(), &validators, &Ed25519Verifier) {
            Ok(sealed) => sealed,
            Err(error) => return self.throw_away(node, from, chain, &error),
        };
        if !host.candidates.contains_key(&block.header.digest()) {
            let transactions = match self.read_all(&block.transactions) {
                Ok(transactions) => transactions,
                Err(error) => return self.throw_away(node, from, chain, &error),
            };
            // A quorum has decided the header: what does not fit it is no body of it.
            let ids: Vec<_> = transactions.iter().map(|t| t.witness_id()).collect();
            let certificate = block.parent_certificate;
            let fits = merkle::tx_root(&ids) == block.header.tx_root
                && certificate.digest() == block.header.parent_commit;
            if !fits {
                return self.throw_away(node, from, chain, &"another body");
            }
            match self.check(node, chain, &block.header, certificate, transactions)? {
                Verdict::Stored => {}
                Verdict::Gone => return Ok(()),
                Verdict::Invalid(fault) => {
                    let height = block.header.height;
                    let name = name(chain);
                    return Err(Violation(format!(
                        "{name}: a quorum decided an invalid block {height}: {fault:?}"
                    )));
                }
            }
        }
        // The engine takes it when it comes to it, and may have decided the height itself by then.
        let delay = self.rng.between(0, 30);
        let sealed = Box::new(sealed);
        self.task(delay, node, chain, Task::Sealed { sealed });
        Ok(())
    }

    /// A block from a peer is none: another peer is asked.
    ///
    /// # Errors
    /// If the peer is honest.
    fn throw_away(
        &mut self,
        node: usize,
        liar: usize,
        chain: usize,
        why: &dyn std::fmt::Display,
    ) -> Result<(), Violation> {
        if self.is_honest(liar) {
            return Err(Violation(format!(
                "honest node {liar} gives node {node} a block that is none: {why}"
            )));
        }
        self.unverifiable += 1;
        let host = &mut self.nodes[node].hosts[chain];
        host.queue.retain(|_, (from, _)| *from != liar);
        let height = host.engine.status().height;
        let n = self.plan.n;
        if let Some(of) = (1..n).map(|i| (liar + i) % n).find(|of| *of != node) {
            let from = node;
            self.carry(from, of, || What::AskBlocks {
                chain,
                of,
                from,
                height,
            });
        }
        Ok(())
    }

    /// Anchors side chains in main when it is this node's turn, as the daemon does.
    ///
    /// # Errors
    /// If a rule is broken.
    pub fn anchor(&mut self, node: usize) -> Result<(), Violation> {
        self.task(LOOK_MS, node, MAIN, Task::Anchor);
        for chain in (MAIN + 1)..CHAINS {
            if self.nodes[node].is_up() {
                self.anchor_one(node, chain)?;
            }
        }
        Ok(())
    }

    fn anchor_one(&mut self, node: usize, chain: usize) -> Result<(), Violation> {
        let hosts = &mut self.nodes[node].hosts;
        let id = hosts[chain].id();
        let value = hosts[MAIN].chain.get(&side_chains::side_chain(&id));
        let value = value.map_err(|e| unreadable(node, &e))?;
        let record = value.and_then(|value| SideChainRecord::decode(&value).ok());
        let record = record.ok_or_else(|| Violation("main lacks a side chain".to_owned()))?;
        if let Some(frozen) = &record.frozen {
            let name = name(chain);
            return Err(Violation(format!("main froze honest {name}: {frozen:?}")));
        }
        let host = &mut hosts[chain];
        let (tip, last) = (host.chain.head().height(), record.last_anchor);
        if tip <= last {
            host.anchorless = None;
            return Ok(());
        }
        let since = match host.anchorless {
            Some((above, since)) if above == last => since,
            _ => {
                host.anchorless = Some((last, self.now));
                self.now
            }
        };
        let members = self.plan.n as u64;
        let rank = (node as u64 + members - last.get() % members) % members;
        let timers = host.chain.head().parameters.timers.clone();
        let many = tip.get() - last.get() >= timers.anchor_blocks;
        let due = TURN_MS * rank + if many { 0 } else { timers.anchor_interval_ms };
        if self.now - since < due {
            return Ok(());
        }
        host.anchorless = Some((last, self.now));
        let evidence = host.chain.history_proof(last, None);
        let evidence = evidence.map_err(|e| unreadable(node, &e))?;
        let message = anchor_message(&id, &evidence.later, &evidence.proof);
        let main = hosts[MAIN].id();
        let clock = self.nodes[node].clock(self.now).get();
        let earlier = self.nodes[node].hosts[chain].chain.sealed_header(last);
        let earlier = earlier.map_err(|e| unreadable(node, &e))?;
        let (later, earlier) = (&evidence.later, earlier.as_ref());
        if let Some(kind) = self.faulty_anchor(node, &id, &message, later, earlier) {
            // Its own node would refuse it: it goes to the others, who must.
            let transaction = self.town.by_validator(main, node, kind, clock);
            self.known
                .insert(transaction.witness_id(), transaction.clone());
            self.announce(node, MAIN, &transaction);
            return Ok(());
        }
        let kind = Kind::SubmitAnchor(message);
        let transaction = self.town.by_validator(main, node, kind, clock);
        self.submit(node, MAIN, &transaction).map(drop)
    }

    /// Submits the restart notice until it is committed, as the daemon does.
    ///
    /// # Errors
    /// If a rule is broken.
    pub fn submit_notice(&mut self, node: usize, chain: usize) -> Result<(), Violation> {
        let clock = self.nodes[node].clock(self.now).get();
        let host = &mut self.nodes[node].hosts[chain];
        let Some(nonce) = host.notice else {
            return Ok(());
        };
        let validators = Arc::clone(&host.chain.head().validators);
        let me = certchain_proto::ValidatorIndex::new(node as u16);
        let epoch = validators.epoch();
        let record = host.chain.restart_notice(epoch, me);
        let record = record.map_err(|e| unreadable(node, &e))?;
        if let Some(record) = record.filter(|record| record.nonce == nonce) {
            host.notice = None;
            let height = record.height;
            return self.step(node, chain, Event::AmnesiaCleared { height });
        }
        let notice = RestartNotice {
            epoch: epoch.get(),
            validator: node as u32,
            restart_nonce: nonce.to_vec(),
        };
        let transaction = Town::restart_notice(host.id(), notice, node, clock);
        self.task(SWEEP_MS, node, chain, Task::Notice);
        self.submit(node, chain, &transaction).map(drop)
    }
}
