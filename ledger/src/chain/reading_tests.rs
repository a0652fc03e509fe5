//! What a chain answers and proves about its past.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use certchain_proto::{
    Address, Height,
    certificate::Ed25519Verifier,
    hash::StateRoot,
    transaction::Transaction,
    wire::v1::{self, Code},
};

use crate::{
    evidence::{HistoryEvidence, InclusionEvidence, SealedHeader, StateEvidence, identity_as_of},
    fixtures::{Network, address_of, lived, secret},
    identity::{IdentityStatus, keys},
    receipt::Receipt,
};

fn holder_address(n: u64) -> Address {
    address_of(&Network::holder(n))
}

#[test]
fn values_and_identities_are_read_as_of_any_height() {
    let node = lived();
    let last = node.chain.head().height();
    let rotated = holder_address(0);
    let first = Network::holder(0);
    let at = |height| {
        node.chain
            .identity_at(&rotated, Some(Height::new(height)))
            .unwrap()
    };
    assert_eq!(at(0), None);
    for height in [1, 2] {
        let identity = at(height).unwrap();
        assert_eq!(identity.version.public_key, *first.public().as_bytes());
        assert_eq!(identity.until_height, Some(Height::new(3)));
        assert_eq!(identity.key, keys::past(&rotated, 0));
    }
    for height in 3..=last.get() {
        let identity = at(height).unwrap();
        let next = secret("next", 0);
        assert_eq!(identity.version.public_key, *next.public().as_bytes());
        assert_eq!(
            (identity.until_height, identity.version.sequence),
            (None, 1)
        );
    }
    let suspended = node
        .chain
        .identity_at(&holder_address(5), None)
        .unwrap()
        .unwrap();
    assert_eq!(suspended.version.status, IdentityStatus::Suspended);
    assert_eq!(
        suspended.version.sequence, 1,
        "the second suspension in the block failed"
    );

    let key = keys::identity(&rotated);
    let values: Vec<_> = (0..=last.get())
        .map(|h| node.chain.get_at(&key, Height::new(h)).unwrap())
        .collect();
    assert!(values[0].is_none());
    assert!(values[1].is_some() && values[1] == values[2] && values[2] != values[3]);
    assert_eq!(values[3], values[last.get() as usize]);
    assert_eq!(node.chain.get(&key).unwrap(), values[3]);
}

#[test]
fn evidence_convinces_who_trusts_the_validators_only() {
    let node = lived();
    let (chain, set) = (node.chain.id(), node.genesis.validators.clone());
    let last = node.chain.head().height();
    let over_the_wire = |evidence: &StateEvidence| {
        StateEvidence::try_from(&v1::StateEvidence::from(evidence)).unwrap()
    };
    for number in [0, 1, 5, 99] {
        let address = holder_address(number);
        let present = node.chain.prove(&keys::identity(&address), None).unwrap();
        let present = over_the_wire(&present)
            .verify(chain, &set, &Ed25519Verifier)
            .unwrap();
        assert_eq!(present.value.is_some(), number != 99);
        for height in 0..=last.get() {
            let height = Height::new(height);
            let expected = node.chain.identity_at(&address, Some(height)).unwrap();
            let proven = match &expected {
                Some(at) if at.until_height.is_some() => {
                    let leaf = node.chain.prove(&at.key, None).unwrap();
                    let leaf = over_the_wire(&leaf)
                        .verify(chain, &set, &Ed25519Verifier)
                        .unwrap();
                    identity_as_of(&address, height, &leaf, Some(&present)).unwrap()
                }
                _ => identity_as_of(&address, height, &present, None).unwrap(),
            };
            assert_eq!(proven, expected);
        }
    }
    let key = keys::identity(&holder_address(0));
    for height in 1..=last.get() {
        let height = Height::new(height);
        let evidence = node.chain.prove(&key, Some(height)).unwrap();
        let verified = evidence.verify(chain, &set, &Ed25519Verifier).unwrap();
        let expected = node.chain.get_at(&key, height).unwrap();
        assert_eq!(verified.value.as_deref(), expected.as_deref());
        let mut lie = evidence.clone();
        lie.value = Some(vec![1]);
        assert!(lie.verify(chain, &set, &Ed25519Verifier).is_err());
        let mut forged = evidence;
        forged.block.outcome.state_root = StateRoot::ZERO;
        assert!(forged.verify(chain, &set, &Ed25519Verifier).is_err());
    }
    let other = Network::new(3).genesis.validator_set().clone();
    let evidence = node.chain.prove(&key, None).unwrap();
    assert!(evidence.verify(chain, &other, &Ed25519Verifier).is_err());

    for height in 0..last.get() {
        for later in height + 1..=last.get() {
            let evidence = node
                .chain
                .history_proof(Height::new(height), Some(Height::new(later)))
                .unwrap();
            let message = v1::GetHistoryProofResponse::from(&evidence);
            let evidence = HistoryEvidence::try_from(&message).unwrap();
            evidence.verify(chain, &set, &Ed25519Verifier).unwrap();
        }
    }
    assert!(node.chain.history_proof(last, Some(last)).is_err());
    assert!(node.chain.history_proof(last, Some(last.next())).is_err());

    let transactions = node.chain.block(last).unwrap().unwrap().transactions;
    for bytes in &transactions {
        let transaction = Transaction::decode(bytes).unwrap();
        let evidence = node
            .chain
            .transaction_proof(&transaction.id())
            .unwrap()
            .unwrap();
        assert_eq!(evidence.transaction, transaction.witness_id());
        evidence.verify(chain, &set, &Ed25519Verifier).unwrap();
        let receipt = Receipt::failed(transaction.id(), Code::TagTaken);
        let lie = InclusionEvidence {
            receipt,
            ..evidence
        };
        assert!(lie.verify(chain, &set, &Ed25519Verifier).is_err());
    }
    let header = node.chain.sealed_header(last).unwrap().unwrap();
    let message = v1::BlockHeader::from(&header);
    assert_eq!(SealedHeader::try_from(&message).unwrap(), header);
}
