//! What a node does for its engine: bodies, proposals, executions, commits, sync.

use std::{collections::BTreeSet, sync::Arc};

use certchain_consensus::{
    Action, BodyFault, Contents, Decision, Event, Membership, Message, Proposal, ProposalRequest,
};
use certchain_proto::{
    BlockHeader, Height, ValidatorIndex,
    hash::{HeaderDigest, WitnessId},
};

use super::{
    blocks::{Block, chain, execute, history_root, tx_root},
    checkers::Violation,
    notice,
    world::{What, World, header_of},
};

/// Most transactions that a proposal takes.
const BATCH: usize = 5;
/// Most blocks in an answer to a laggard.
const SYNC_BLOCKS: usize = 8;

impl World {
    pub(super) fn act(&mut self, node: usize, action: Action) -> Result<(), Violation> {
        let life = self.nodes[node].life;
        match action {
            Action::Broadcast(message) => {
                let others = self.colleagues(node);
                self.send(node, &message, &others)?;
            }
            Action::Send { to, message } => {
                let to = self.addressee(node, to)?;
                self.send(node, &message, &[to])?;
            }
            Action::RequestProposal(request) => {
                let delay = self.rng.between(0, 5);
                self.after(
                    delay,
                    What::Propose {
                        node,
                        life,
                        request,
                    },
                );
            }
            Action::CheckBody(request) => {
                let header = request.header.digest();
                self.nodes[node].wanted.insert(header, request);
                let delay = self.rng.between(0, 10);
                self.after(delay, What::FindBody { node, life, header });
            }
            Action::Execute { header } => self.execute(node, &header)?,
            Action::Commit(decision) => self.commit(node, *decision)?,
            Action::SetTimer { id, at } => {
                self.settings += 1;
                let setting = self.settings;
                let delay = at.since(self.nodes[node].clock(self.now));
                // An output that waited for room may be older than a jump of the clock.
                if self.is_honest(node) && !self.plan.sets_clock(node) {
                    self.checkers.waits(node, id, delay)?;
                }
                self.nodes[node].timers.insert(id.kind, (id, setting));
                self.after(
                    delay,
                    What::Timer {
                        node,
                        life,
                        id,
                        setting,
                    },
                );
            }
            Action::CancelTimer { id } => {
                self.nodes[node].timers.remove(&id.kind);
            }
            Action::Evidence(evidence) => {
                let members = self.epochs.members(evidence.slot().epoch);
                let guilty = members.and_then(|m| m.node(evidence.signer()));
                let proof = evidence.verify(chain(), &self.epochs, &self.plan.scheme);
                let false_charge = guilty.is_none_or(|guilty| self.is_honest(guilty));
                if self.is_honest(node) && (proof.is_err() || false_charge) {
                    let text = format!("node {node} accuses {guilty:?} ({proof:?}): {evidence:?}");
                    return Err(Violation(text));
                }
            }
            Action::Halt(reason) => {
                if !self.may_halt(node) {
                    return Err(Violation(format!("honest node {node} halts: {reason}")));
                }
            }
            Action::FetchSealed { from, height } => {
                let of = match from {
                    Some(of) => self.addressee(node, of)?,
                    None => self.rng.index(self.plan.n),
                };
                if of != node {
                    self.carry(node, of, || What::AskBlocks {
                        of,
                        from: node,
                        height,
                    });
                }
            }
            Action::SendSealed { epoch, to, height } => {
                let members = self.nodes[node].epochs.members(epoch);
                if let Some(to) = members.and_then(|members| members.node(to)) {
                    self.send_blocks(node, to, height);
                }
            }
            Action::SubmitRestartNotice { nonce } => {
                let seat = self.nodes[node].seat().ok_or_else(|| {
                    Violation(format!("node {node} is no member and may give no notice"))
                })?;
                self.nodes[node].asked = Some(seat);
                let holds = |b: &&Block| notice::contains(&b.contents.witness_ids, &nonce);
                match self.nodes[node].disk.ledger.iter().find(holds) {
                    // Committed before a crash that cost us the record of it.
                    Some(block) => {
                        let height = block.header.height;
                        self.after(0, What::Cleared { node, life, height });
                    }
                    None => self.spread(notice::notice(&nonce, seat)),
                }
            }
        }
        Ok(())
    }

    /// The node behind a place that an engine names.
    fn addressee(&self, node: usize, place: ValidatorIndex) -> Result<usize, Violation> {
        let to = self.node_at(node, place);
        to.ok_or_else(|| Violation(format!("node {node} turns to {place}, where nobody sits")))
    }

    fn send(
        &mut self,
        node: usize,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Result<(), Violation> {
        if self.faulty_sends(node, message, receivers) {
            return Ok(());
        }
        let stored = message
            .header()
            .is_some_and(|digest| self.nodes[node].disk.bodies.contains_key(&digest));
        self.checkers
            .sent(node, message, &self.nodes[node].disk.journal, stored)?;
        let bytes = message.encode();
        let decoded = Message::decode(&bytes, message.size());
        if decoded.as_ref() != Ok(message) {
            return Err(Violation(format!(
                "node {node}: {} does not travel",
                message.kind()
            )));
        }
        self.trace.line(|| {
            format!(
                "         node {node} says {} for height {} view {} to {receivers:?}",
                message.kind(),
                message.height(),
                message.view()
            )
        });
        let verified = Message::clone(message)
            .verify(chain(), &self.epochs, &self.plan.scheme)
            .map_err(|e| Violation(format!("honest node {node} sends {}: {e}", message.kind())))?;
        let message = Box::new(verified);
        for to in receivers.iter().copied() {
            self.carry(node, to, || What::Deliver {
                to,
                message: message.clone(),
            });
        }
        Ok(())
    }

    /// A transaction goes to everybody, again and again until it is in a block.
    pub(super) fn spread(&mut self, transaction: WitnessId) {
        if self
            .nodes
            .iter()
            .any(|n| n.byzantine.is_none() && n.done.contains(&transaction))
        {
            return;
        }
        for to in 0..self.plan.n {
            if self.is_healed() || !self.rng.per_mille(self.plan.loss) {
                let delay = self.rng.between(1, 40);
                self.after(delay, What::Gossip { to, transaction });
            }
        }
        self.after(1_000, What::Spread { transaction });
    }

    pub(super) fn learn(&mut self, node: usize, transaction: WitnessId) -> Result<(), Violation> {
        if self.nodes[node].engine.is_none() || !self.nodes[node].learn(transaction) {
            return Ok(());
        }
        self.report_work(node)
    }

    pub(super) fn report_work(&mut self, node: usize) -> Result<(), Violation> {
        let pending = self.nodes[node].pending().next().is_some();
        self.step(node, Event::WorkChanged { pending })
    }

    pub(super) fn propose(
        &mut self,
        node: usize,
        request: ProposalRequest,
    ) -> Result<(), Violation> {
        let (height, view) = (request.height, request.view);
        if self.nodes[node].tip().certificate.block_id() != request.parent {
            return Ok(()); // the height has been decided meanwhile
        }
        let mut witness_ids: Vec<WitnessId> = self.nodes[node].pending().take(BATCH).collect();
        let withholds = self.nodes[node]
            .byzantine
            .as_ref()
            .is_some_and(|b| b.withholds());
        if withholds && self.rng.coin() {
            self.deviations += 1;
            let transaction = WitnessId::from_bytes(self.rng.bytes());
            self.withheld
                .insert(transaction, (node, self.rng.next_u64()));
            self.nodes[node].learn(transaction);
            witness_ids.push(transaction);
        }
        if witness_ids.is_empty() && !request.allow_empty {
            return self.step(node, Event::NothingToPropose { height, view });
        }
        let proposal = Proposal {
            height,
            view,
            time_ms: self.nodes[node].clock(self.now).max(request.min_time),
            tx_root: tx_root(&witness_ids),
            history_root: history_root(self.nodes[node].tip()),
            witness_ids,
            checkpoint: None,
        };
        self.step(node, Event::Proposal(Box::new(proposal)))
    }

    /// Whether `of` would give `to` a transaction now.
    fn gives(&self, of: usize, to: usize, transaction: &WitnessId) -> bool {
        let reachable = of == to || (self.nodes[of].engine.is_some() && self.connected(of, to));
        let willing = match self.withheld.get(transaction) {
            Some((maker, chosen)) => *maker != of || of == to || (chosen >> to) & 1 == 1,
            None => true,
        };
        reachable && willing && self.nodes[of].known.contains(transaction)
    }

    /// The body's ids and parent certificate: from the proposal, the own disk, or a peer's.
    fn find_contents(&self, node: usize, digest: HeaderDigest) -> Option<Contents> {
        let request = self.nodes[node].wanted.get(&digest)?;
        if let Some(contents) = &request.contents {
            return Some(contents.as_ref().clone());
        }
        let mut places: Vec<usize> = vec![node];
        places.extend((0..self.plan.n).filter(|i| *i != node));
        places
            .into_iter()
            .filter(|of| {
                *of == node || (self.nodes[*of].engine.is_some() && self.connected(*of, node))
            })
            .find_map(|of| self.nodes[of].disk.bodies.get(&digest).cloned())
    }

    pub(super) fn find_body(&mut self, node: usize, digest: HeaderDigest) -> Result<(), Violation> {
        let life = self.nodes[node].life;
        let Some(header) = header_of(&self.nodes[node], digest) else {
            return Ok(());
        };
        if header.height <= self.nodes[node].tip().header.height {
            self.nodes[node].wanted.remove(&digest);
            return Ok(());
        }
        let contents = self.find_contents(node, digest);
        let complete = contents.as_ref().is_some_and(|contents| {
            let holders: Vec<usize> = (0..self.plan.n)
                .filter(|of| {
                    self.nodes[*of].disk.bodies.contains_key(&digest)
                        && (*of == node
                            || (self.is_honest(*of)
                                && self.nodes[*of].engine.is_some()
                                && self.connected(*of, node)))
                })
                .collect();
            !holders.is_empty()
                || contents
                    .witness_ids
                    .iter()
                    .all(|tx| (0..self.plan.n).any(|of| self.gives(of, node, tx)))
        });
        let Some(contents) = contents.filter(|_| complete) else {
            let delay = self.rng.between(50, 200);
            self.after(
                delay,
                What::FindBody {
                    node,
                    life,
                    header: digest,
                },
            );
            return Ok(());
        };
        self.nodes[node].wanted.remove(&digest);
        if let Some(fault) = self.judge_body(node, &header, &contents) {
            return self.step(
                node,
                Event::BodyInvalid {
                    header: digest,
                    fault,
                },
            );
        }
        self.nodes[node].learn_all(&contents.witness_ids);
        self.nodes[node].disk.bodies.insert(digest, contents);
        let delay = self.rng.between(0, 5);
        self.after(
            delay,
            What::BodyReady {
                node,
                life,
                header: digest,
            },
        );
        Ok(())
    }

    fn judge_body(
        &self,
        node: usize,
        header: &BlockHeader,
        contents: &Contents,
    ) -> Option<BodyFault> {
        let ids = &contents.witness_ids;
        let different: BTreeSet<&WitnessId> = ids.iter().collect();
        if header.tx_root != tx_root(ids) || different.len() != ids.len() {
            return Some(BodyFault::Transactions);
        }
        let members = self.nodes[node].epochs.present();
        let inadmissible = |id| !notice::is_admissible(id, members);
        if ids.iter().any(inadmissible) || ids.iter().any(|id| self.nodes[node].done.contains(id)) {
            return Some(BodyFault::Inadmissible);
        }
        if header.history_root != history_root(self.nodes[node].tip()) {
            return Some(BodyFault::History);
        }
        None
    }

    fn execute(&mut self, node: usize, header: &BlockHeader) -> Result<(), Violation> {
        let life = self.nodes[node].life;
        let parent = self.nodes[node].tip();
        if parent.certificate.block_id() != header.parent {
            return Err(Violation(format!(
                "node {node} is to execute height {} on height {}",
                header.height, parent.header.height
            )));
        }
        if self.nodes[node].contents(header).is_none() {
            return Err(Violation(format!(
                "node {node} is to execute what it does not have"
            )));
        }
        let me = &self.nodes[node];
        let mut outcome = execute(parent, header, me.other_release);
        let next = me.law.above(me.epochs.present(), header);
        if let Some(next) = &next {
            outcome.next_validators = next.digest();
        }
        let delay = self.rng.between(0, 20);
        let header = header.digest();
        self.after(
            delay,
            What::Executed {
                node,
                life,
                header,
                outcome,
                next,
            },
        );
        Ok(())
    }

    fn commit(&mut self, node: usize, decision: Decision) -> Result<(), Violation> {
        let life = self.nodes[node].life;
        self.change_sets(node, &decision)?;
        let Decision {
            header,
            outcome,
            certificate,
            next_validators: _,
        } = decision;
        let Some(contents) = self.nodes[node].contents(&header).cloned() else {
            return Err(Violation(format!(
                "node {node} commits what it does not have"
            )));
        };
        let height = header.height;
        let block = Block {
            header: header.as_ref().clone(),
            contents,
            outcome,
            certificate,
        };
        if self.is_honest(node) {
            let parent = self.nodes[node].tip();
            self.checkers
                .committed(node, parent, &block, &self.plan.scheme)?;
        }
        self.trace
            .line(|| format!("         node {node} commits {height}"));
        let amnesia = self.nodes[node]
            .disk
            .journal
            .records()
            .iter()
            .rev()
            .find_map(|r| match r {
                certchain_consensus::Record::Amnesia { nonce } => Some(*nonce),
                _ => None,
            });
        if amnesia.is_some_and(|nonce| notice::contains(&block.contents.witness_ids, &nonce)) {
            self.after(0, What::Cleared { node, life, height });
        }
        let me = &mut self.nodes[node];
        me.finish(&block.contents.witness_ids);
        me.tail.push(block);
        let delay = self.rng.between(0, 15);
        self.after(delay, What::Applied { node, life });
        // Reported a little later, as a mempool does.
        let delay = self.rng.between(0, 3);
        self.after(delay, What::Report { node, life });
        Ok(())
    }

    pub(super) fn applied(&mut self, node: usize) -> Result<(), Violation> {
        let me = &mut self.nodes[node];
        if me.tail.is_empty() {
            return Ok(());
        }
        let block = me.tail.remove(0);
        let height = block.header.height;
        me.disk.ledger.push(block);
        // Bodies are kept a while for laggards that fetch by header.
        let oldest = Height::new(height.get().saturating_sub(2));
        let stale: Vec<HeaderDigest> = me
            .disk
            .ledger
            .iter()
            .rev()
            .skip(3)
            .take(1)
            .map(|b| b.header.digest())
            .collect();
        for digest in stale {
            me.disk.bodies.remove(&digest);
        }
        me.synced
            .retain(|_, c| c.parent_certificate.height >= oldest);
        self.step(node, Event::Applied { height })
    }

    pub(super) fn send_blocks(&mut self, of: usize, to: usize, height: Height) {
        if self.nodes[of].engine.is_none() || to == of {
            return;
        }
        let blocks: Vec<Block> = (0..SYNC_BLOCKS as u64)
            .map_while(|i| self.nodes[of].block(Height::new(height.get() + i)).cloned())
            .collect();
        let blocks = self.given_blocks(of, blocks);
        if !blocks.is_empty() {
            self.carry(of, to, || What::Blocks {
                from: of,
                to,
                blocks: blocks.clone(),
            });
        }
    }

    pub(super) fn take_blocks(
        &mut self,
        node: usize,
        from: usize,
        blocks: Vec<Block>,
    ) -> Result<(), Violation> {
        if self.nodes[node].engine.is_none() {
            return Ok(());
        }
        let blocks = self.sound_blocks(node, from, blocks)?;
        for block in blocks {
            self.nodes[node]
                .queue
                .entry(block.header.height)
                .or_insert(block);
        }
        self.feed_synced(node)
    }

    /// Hands the next block from sync to the engine, if it has come.
    pub(super) fn feed_synced(&mut self, node: usize) -> Result<(), Violation> {
        let Some(engine) = self.nodes[node].engine.as_ref() else {
            return Ok(());
        };
        let next = engine.status().height;
        if self.nodes[node].held.is_some() {
            return Ok(()); // what it decided is not done yet
        }
        let waiting = self.nodes[node].queue.split_off(&next);
        self.nodes[node].queue = waiting;
        let Some(block) = self.nodes[node].queue.remove(&next) else {
            return Ok(());
        };
        // What is not of a set that is known here decides nothing here.
        if self.nodes[node].epochs.of(block.header.epoch).is_none() {
            return Ok(());
        }
        let me = &mut self.nodes[node];
        let digest = block.header.digest();
        me.learn_all(&block.contents.witness_ids);
        me.synced.insert(digest, block.contents.clone());
        let sealed = World::sealed_event(&block)
            .verify(chain(), &self.nodes[node].epochs, &self.plan.scheme)
            .map_err(|e| Violation(format!("node {node}: a sealed block does not hold: {e}")))?;
        // The engine takes it when it comes to it, and may have decided the height itself by then.
        let delay = self.rng.between(0, 30);
        let (life, sealed) = (self.nodes[node].life, Box::new(sealed));
        self.after(delay, What::Sealed { node, life, sealed });
        Ok(())
    }
}
