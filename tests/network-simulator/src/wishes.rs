//! Clients: they submit, wait for receipts, turn to another node if theirs is away, and remember what
//! they were told.

use certchain_ledger::{receipt::LocatedReceipt, signatures::VerifiedTransaction};
use certchain_proto::hash::CertificateId;
use certchain_simulator::checkers::Violation;

use crate::{
    node::{CHAINS, MAIN},
    town::SIDES,
    world::{What, World},
};

/// How often a client asks for its receipt.
const ASK_MS: u64 = 250;
/// How long it goes on asking.
const PATIENCE_MS: u64 = 20_000;

/// What follows from a receipt.
#[derive(Clone, Copy, Debug)]
enum Meaning {
    Registered(u64),
    Issued(usize, CertificateId),
    Revoked,
}

/// What a client wants.
#[derive(Debug)]
struct Wish {
    chain: usize,
    node: usize,
    transaction: VerifiedTransaction,
    meaning: Meaning,
    since: u64,
    answered: bool,
}

/// All clients.
#[derive(Debug, Default)]
pub struct Wishes {
    all: Vec<Wish>,
    people: Vec<u64>,
    certificates: Vec<(usize, CertificateId)>,
    registrations: u64,
    /// Receipts that clients have seen.
    pub receipts: u64,
}

impl World {
    /// A client wants something new.
    ///
    /// # Errors
    /// If a rule is broken.
    pub fn wish(&mut self) -> Result<(), Violation> {
        let pause = self.rng.between(1, self.plan.work_ms);
        self.after(pause, What::Wish);
        let node = self.chosen();
        if !self.nodes[node].is_up() {
            return Ok(());
        }
        let (chain, transaction, meaning) = self.choose(node);
        if !self.submit(node, chain, &transaction)? {
            return Ok(()); // refused: main here lags, or is old
        }
        self.wishes.all.push(Wish {
            chain,
            node,
            transaction,
            meaning,
            since: self.now,
            answered: false,
        });
        let wish = self.wishes.all.len() - 1;
        self.after(ASK_MS, What::Ask { wish });
        Ok(())
    }

    /// The node that a client turns to: an honest one, since clients verify proofs and a faulty node
    /// can be no worse to them than silent.
    fn chosen(&mut self) -> usize {
        let honest: Vec<usize> = self.honest().map(|node| node.index).collect();
        honest[self.rng.index(honest.len())]
    }

    fn choose(&mut self, node: usize) -> (usize, VerifiedTransaction, Meaning) {
        let clock = self.nodes[node].clock(self.now).get();
        let chain = self.rng.index(CHAINS);
        let id = self.nodes[node].hosts[chain].id();
        let people = self.wishes.people.len();
        if chain == MAIN || people == 0 {
            self.wishes.registrations += 1;
            let number = self.wishes.registrations;
            let main = self.nodes[node].hosts[MAIN].id();
            let transaction = self.town.register(main, number, clock);
            return (MAIN, transaction, Meaning::Registered(number));
        }
        let here = |certificate: &&(usize, CertificateId)| certificate.0 == chain;
        let certificates: Vec<_> = self.wishes.certificates.iter().filter(here).collect();
        if !certificates.is_empty() && self.rng.per_mille(300) {
            let (_, certificate) = certificates[self.rng.index(certificates.len())];
            let transaction = self.town.revoke(id, certificate, clock);
            return (chain, transaction, Meaning::Revoked);
        }
        let holder = self.wishes.people[self.rng.index(people)];
        let side = SIDES[chain - 1];
        let (transaction, certificate) = self.town.issue(id, side, holder, clock);
        (chain, transaction, Meaning::Issued(chain, certificate))
    }

    /// A client asks what became of its wish.
    ///
    /// # Errors
    /// If a rule is broken.
    pub fn ask(&mut self, wish: usize) -> Result<(), Violation> {
        let asked = &self.wishes.all[wish];
        if asked.answered || self.now - asked.since > PATIENCE_MS {
            return Ok(());
        }
        let (chain, node, transaction) = (asked.chain, asked.node, asked.transaction.clone());
        self.after(ASK_MS, What::Ask { wish });
        let Some(host) = self.nodes[node].hosts.get(chain) else {
            return self.turn_elsewhere(wish);
        };
        let receipt = host.chain.receipt(&transaction.id());
        let receipt =
            receipt.map_err(|e| Violation(format!("node {node} cannot read a receipt: {e}")))?;
        match receipt {
            Some(receipt) => self.told(wish, receipt),
            None => Ok(()),
        }
    }

    /// Its node is away: the client submits the same to another one, which may know it already.
    fn turn_elsewhere(&mut self, wish: usize) -> Result<(), Violation> {
        let node = self.chosen();
        let asked = &mut self.wishes.all[wish];
        asked.node = node;
        let (chain, transaction) = (asked.chain, asked.transaction.clone());
        self.submit(node, chain, &transaction).map(drop)
    }

    fn told(&mut self, wish: usize, receipt: LocatedReceipt) -> Result<(), Violation> {
        let asked = &mut self.wishes.all[wish];
        asked.answered = true;
        let (node, chain, meaning) = (asked.node, asked.chain, asked.meaning);
        if receipt.receipt.is_ok() {
            match meaning {
                Meaning::Registered(number) => self.wishes.people.push(number),
                Meaning::Issued(chain, id) => self.wishes.certificates.push((chain, id)),
                Meaning::Revoked => {}
            }
        }
        self.wishes.receipts += 1;
        self.ledgers.told(node, chain, receipt)
    }
}
