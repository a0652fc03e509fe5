//! Validators that change from block to block, and what a chain tells of it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{collections::BTreeMap, path::Path, sync::Arc};

use certchain_proto::{
    CommitCertificate, Epoch, Height, Validator, ValidatorSet,
    certificate::{CertificateError, Ed25519Verifier, IndexedSignature},
    codec,
    transaction::Transaction,
    wire::v1,
};

use super::{Chain, ChainOptions, ChainRules, Executed};
use crate::{
    evidence::{EvidenceError, SealedHeader, SetChange, SetError, ValidatorSets},
    execution::{Application, BlockContext, Effects, ParentSigners, Stop},
    fixtures::{NAME, Network, Node, small},
    genesis::GenesisBlock,
    identity::keys,
    state::StateKey,
    store::Store,
    validator_set::decode_set,
    view::{ReadError, StateView, Value},
};

/// After these blocks the member at the end leaves, or comes back in front.
const CHANGES: [u64; 4] = [2, 3, 6, 9];
/// After this one the same set is written again.
const REWRITTEN: u64 = 5;

#[derive(Debug)]
struct Changing;

fn changed(set: &ValidatorSet, all: &[Validator]) -> ValidatorSet {
    let present: Vec<Validator> = set.iter().map(|(_, member)| member.clone()).collect();
    let missing = all.iter().find(|member| !present.contains(member));
    let members = match missing {
        None => present[..present.len() - 1].to_vec(),
        Some(missing) => std::iter::once(missing).chain(&present).cloned().collect(),
    };
    ValidatorSet::new(set.epoch().next(), members).unwrap()
}

fn members() -> Vec<Validator> {
    let network = Network::new(5);
    let set = network.genesis.validator_set().iter();
    set.map(|(_, member)| member.clone()).collect()
}

impl Application for Changing {
    fn reads(&self, _: &Transaction) -> Vec<StateKey> {
        Vec::new()
    }

    fn execute(
        &self,
        _: &dyn StateView,
        _: &BlockContext<'_>,
        _: &Transaction,
    ) -> Result<Effects, Stop> {
        unreachable!("the blocks are empty")
    }

    fn end_block(
        &self,
        view: &dyn StateView,
        block: &BlockContext<'_>,
        _parent: &ParentSigners,
    ) -> Result<BTreeMap<StateKey, Option<Value>>, ReadError> {
        let height = block.height.get();
        let key = keys::validators();
        let present = view.value(&key)?.unwrap();
        let next = match CHANGES.contains(&height) {
            true => Arc::from(codec::encode(&changed(&decode_set(&present)?, &members()))),
            false if height == REWRITTEN => present,
            false => return Ok(BTreeMap::new()),
        };
        Ok(BTreeMap::from([(key, Some(next))]))
    }
}

fn open(path: &Path, genesis: &GenesisBlock) -> Chain {
    let store = Store::open(path, &small()).unwrap();
    let rules = ChainRules::main(Changing);
    Chain::open(store, NAME, genesis, rules, ChainOptions::default()).unwrap()
}

fn node() -> Node {
    let network = Network::new(5);
    let genesis = GenesisBlock::main(&network.genesis).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let chain = open(folder.path(), &genesis);
    Node {
        network,
        genesis,
        folder,
        chain,
    }
}

fn reopen(node: Node) -> Node {
    let Node {
        network,
        genesis,
        folder,
        chain,
    } = node;
    drop(chain);
    let chain = open(folder.path(), &genesis);
    Node {
        network,
        genesis,
        folder,
        chain,
    }
}

/// The votes of all present members.
fn certify(network: &Network, set: &ValidatorSet, executed: &Executed) -> CommitCertificate {
    let header = executed.header();
    let mut certificate = network.certify(header, executed.outcome());
    let message = certificate.vote(header.chain).signing_hash();
    let votes = network.validators.iter().filter_map(|key| {
        Some(IndexedSignature {
            validator: set.index_of(key.public())?,
            signature: key.sign(&message),
        })
    });
    certificate.signatures = votes.collect();
    certificate.signatures.sort_by_key(|vote| vote.validator);
    certificate
}

fn grow(node: &Node, blocks: usize) {
    for _ in 0..blocks {
        let set = Arc::clone(&node.chain.head().validators);
        let executed = node.execute(Vec::new());
        let certificate = certify(&node.network, &set, &executed);
        node.chain.commit(executed, certificate).unwrap();
    }
}

fn heights(changes: &[SetChange]) -> Vec<u64> {
    let height = |change: &SetChange| change.block.height().get();
    changes.iter().map(height).collect()
}

#[test]
fn the_blocks_that_handed_over_are_listed_in_order() {
    let node = node();
    let list = |node: &Node, after, most| node.chain.set_changes(Epoch::new(after), most).unwrap();
    assert!(list(&node, 0, 9).is_empty(), "genesis hands over to nobody");
    grow(&node, 1);
    assert!(list(&node, 0, 9).is_empty());
    grow(&node, 1);
    assert_eq!(heights(&list(&node, 0, 9)), [2], "the head itself");
    grow(&node, 8);
    let check = |node: &Node| {
        for (after, expected) in (0u64..).zip([&CHANGES[..], &[3, 6, 9], &[6, 9], &[9], &[], &[]]) {
            assert_eq!(heights(&list(node, after, 9)), expected, "after {after}");
        }
        assert!(list(node, u64::MAX, 9).is_empty());
        assert_eq!(heights(&list(node, 1, 2)), [3, 6]);
        assert!(list(node, 0, 0).is_empty());
        for (epoch, change) in (1..).zip(list(node, 0, 9)) {
            let height = change.block.height();
            assert_eq!(change.validators.epoch(), Epoch::new(epoch));
            let block = node.chain.sealed_header(height).unwrap().unwrap();
            assert_eq!(change.block, block);
            let after = node.chain.get_at(&keys::validators(), height).unwrap();
            assert_eq!(decode_set(&after.unwrap()).unwrap(), change.validators);
        }
    };
    check(&node);
    let node = reopen(node);
    check(&node);
    // The set that was written again hides none that follows.
    assert_eq!(heights(&list(&node, 0, 3)), [2, 3, 6]);
    let last = list(&node, 3, 9).remove(0);
    assert_eq!(*node.chain.head().validators, last.validators);
}

/// All blocks above genesis, and the sets learned from genesis alone.
fn learned(node: &Node) -> (Vec<SealedHeader>, ValidatorSets) {
    let head = node.chain.head().height().get();
    let block = |height| node.chain.sealed_header(Height::new(height));
    let blocks = (1..=head).map(|height| block(height).unwrap().unwrap());
    let mut sets = ValidatorSets::new(node.network.genesis.validator_set().clone());
    for change in node.chain.set_changes(Epoch::ZERO, 99).unwrap() {
        assert_eq!(
            sets.learn(node.chain.id(), &change, &Ed25519Verifier),
            Ok(true)
        );
        assert_eq!(*sets.newest(), change.validators);
        let message = v1::ValidatorSetChange::from(&change);
        assert_eq!(SetChange::try_from(&message).unwrap(), change);
    }
    (blocks.collect(), sets)
}

#[test]
fn who_trusts_genesis_follows_the_sets() {
    let node = node();
    grow(&node, 11);
    let (blocks, mut sets) = learned(&node);
    let chain = node.chain.id();
    let ignorant = ValidatorSets::new(node.network.genesis.validator_set().clone());
    for block in &blocks {
        let verified = sets.verify(chain, block, &Ed25519Verifier).unwrap();
        assert_eq!(verified.id, block.id());
        let alone = ignorant.verify(chain, block, &Ed25519Verifier);
        match block.header.epoch {
            Epoch::ZERO => assert!(alone.is_ok()),
            epoch => assert_eq!(
                alone,
                Err(SetError::UnknownEpoch {
                    epoch,
                    oldest: Epoch::ZERO,
                    newest: Epoch::ZERO
                })
            ),
        }
    }
    // Told again, it is nothing new.
    let before = sets.clone();
    for change in node.chain.set_changes(Epoch::ZERO, 99).unwrap() {
        let again = sets.learn(chain, &change, &Ed25519Verifier);
        assert_eq!(again, Ok(false));
    }
    assert_eq!(sets, before);
}

/// A block of the members of genesis at any height, properly signed by all of them.
fn forged(node: &Node, model: &SealedHeader, height: u64, next: &ValidatorSet) -> SealedHeader {
    let mut block = model.clone();
    block.header.epoch = Epoch::ZERO;
    block.header.height = Height::new(height);
    block.outcome.next_validators = next.digest();
    block.certificate = node.network.certify(&block.header, &block.outcome);
    block
}

#[test]
fn a_set_decides_its_own_heights_only() {
    let node = node();
    grow(&node, 11);
    let (blocks, sets) = learned(&node);
    let (chain, first) = (node.chain.id(), node.network.genesis.validator_set());
    let verify = |block: &SealedHeader| sets.verify(chain, block, &Ed25519Verifier).map(drop);
    let at = |height| forged(&node, &blocks[0], height, first);
    // Before the first hand-over its word counts, which is why it must end there.
    verify(&at(1)).unwrap();
    for height in [3, 4, 12, u64::MAX] {
        let epoch = Epoch::ZERO;
        let height = Height::new(height);
        let refused = verify(&at(height.get()));
        assert_eq!(refused, Err(SetError::OutsideEpoch { epoch, height }));
    }
    // At its last height it decided one block, which handed over; before, none that did.
    let changes = node.chain.set_changes(Epoch::ZERO, 1).unwrap();
    let next = &changes[0].validators;
    for block in [
        at(2),
        forged(&node, &blocks[0], 2, next),
        forged(&node, &blocks[0], 1, next),
    ] {
        let height = block.height();
        assert_eq!(verify(&block), Err(SetError::OtherChange { height }));
    }
    // A later set has no say in what came before it.
    let mut early = blocks[10].clone();
    early.header.height = Height::new(9);
    let refused = verify(&early);
    assert!(
        matches!(refused, Err(SetError::OutsideEpoch { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_change_that_is_not_proven_is_refused() {
    let node = node();
    grow(&node, 3);
    let chain = node.chain.id();
    let changes = node.chain.set_changes(Epoch::ZERO, 9).unwrap();
    let sets = ValidatorSets::new(node.network.genesis.validator_set().clone());
    let learn = |change: &SetChange| sets.clone().learn(chain, change, &Ed25519Verifier);
    assert_eq!(learn(&changes[0]), Ok(true));
    let height = Height::new(2);

    let members = |set: &ValidatorSet| set.iter().map(|(_, m)| m.clone()).collect::<Vec<_>>();
    let bent = |epoch: u64, drop: usize| {
        let mut change = changes[0].clone();
        let kept = members(&change.validators).split_off(drop);
        change.validators = ValidatorSet::new(Epoch::new(epoch), kept).unwrap();
        change
    };
    assert_eq!(
        learn(&bent(1, 0)),
        Ok(true),
        "the fixture bends nothing else"
    );
    assert_eq!(learn(&bent(1, 1)), Err(SetError::OtherSet { height }));
    // Also if the block names it.
    for epoch in [0, 2] {
        let mut change = bent(epoch, 0);
        change.block.outcome.next_validators = change.validators.digest();
        change.block.certificate = node
            .network
            .certify(&change.block.header, &change.block.outcome);
        let (block, next) = (Epoch::ZERO, Epoch::new(epoch));
        assert_eq!(learn(&change), Err(SetError::Successor { block, next }));
    }

    let mut few = changes[0].clone();
    few.block.certificate.signatures.truncate(3);
    let refused = SetError::Block(EvidenceError::Certificate(CertificateError::Quorum {
        needed: 4,
        actual: 3,
    }));
    assert_eq!(learn(&few), Err(refused));
    let mut wrong = changes[0].clone();
    wrong.block.certificate.signatures[0].signature =
        wrong.block.certificate.signatures[1].signature;
    let refused = SetError::Block(EvidenceError::Certificate(CertificateError::Signature));
    assert_eq!(learn(&wrong), Err(refused));

    // Not out of order.
    let refused = learn(&changes[1]);
    assert!(
        matches!(refused, Err(SetError::UnknownEpoch { .. })),
        "{refused:?}"
    );
    // Another hand-over of an epoch that has handed over, signed by all its members.
    let mut sets = sets.clone();
    sets.learn(chain, &changes[0], &Ed25519Verifier).unwrap();
    let other = bent(1, 1);
    for height in [1, 2, 3] {
        let block = forged(&node, &other.block, height, &other.validators);
        let change = SetChange {
            block,
            ..other.clone()
        };
        let refused = sets.learn(chain, &change, &Ed25519Verifier);
        let height = Height::new(height);
        let expected = match height.get() {
            3 => SetError::OutsideEpoch {
                epoch: Epoch::ZERO,
                height,
            },
            _ => SetError::OtherChange { height },
        };
        assert_eq!(refused, Err(expected));
    }
}
