#![allow(clippy::unwrap_used)]

use super::*;
use crate::{SecretKey, validators::Validator};

const CHAIN: ChainId = ChainId::from_bytes([1; 32]);

fn key(place: usize) -> SecretKey {
    SecretKey::from_seed(&[place as u8 + 1; 32])
}

fn set(n: usize) -> ValidatorSet {
    let members = (0..n)
        .map(|i| Validator {
            vote_key: key(i).public().clone(),
            network_key: [i as u8; 32],
        })
        .collect();
    ValidatorSet::new(Epoch::new(3), members).unwrap()
}

fn certificate(signers: &[usize]) -> CommitCertificate {
    let mut certificate = CommitCertificate {
        epoch: Epoch::new(3),
        height: Height::new(5),
        view: View::new(2),
        header: HeaderDigest::from_bytes([7; 32]),
        outcome: OutcomeDigest::from_bytes([8; 32]),
        signatures: Vec::new(),
    };
    let message = certificate.vote(CHAIN).signing_hash();
    certificate.signatures = signers
        .iter()
        .map(|i| IndexedSignature {
            validator: ValidatorIndex::new(*i as u16),
            signature: key(*i).sign(&message),
        })
        .collect();
    certificate
}

fn verdict(certificate: &CommitCertificate, n: usize) -> Result<(), CertificateError> {
    certificate.verify(CHAIN, &set(n), &Ed25519Verifier)
}

#[test]
fn a_quorum_of_distinct_members_in_order_is_needed() {
    let weak = CertificateError::Quorum {
        needed: 3,
        actual: 2,
    };
    let cases: [(&[usize], Result<(), CertificateError>); 8] = [
        (&[0, 1, 2], Ok(())),
        (&[0, 2, 3], Ok(())),
        (&[0, 1, 2, 3], Ok(())),
        (&[0, 1], Err(weak)),
        (&[0, 1, 1], Err(CertificateError::Signers)),
        (&[0, 2, 1], Err(CertificateError::Signers)),
        (&[0, 1, 4], Err(CertificateError::Signers)),
        (&[0, 1, 2, 3, 3], Err(CertificateError::Signers)),
    ];
    for (signers, expected) in cases {
        assert_eq!(verdict(&certificate(signers), 4), expected, "{signers:?}");
    }
    assert_eq!(verdict(&certificate(&[0]), 1), Ok(()), "one alone");
    let all: Vec<usize> = (0..MAX_VALIDATORS).collect();
    assert_eq!(verdict(&certificate(&all), MAX_VALIDATORS), Ok(()));
}

/// One field after the other changed under good signatures, and one signature after the other.
#[test]
fn every_field_is_signed_and_every_signature_counts() {
    type Change = fn(&mut CommitCertificate);
    let fields: [Change; 4] = [
        |c| c.height = Height::new(6),
        |c| c.view = View::new(1),
        |c| c.header = HeaderDigest::from_bytes([9; 32]),
        |c| c.outcome = OutcomeDigest::from_bytes([9; 32]),
    ];
    for (number, change) in fields.into_iter().enumerate() {
        let mut changed = certificate(&[0, 1, 2]);
        change(&mut changed);
        let refused = Err(CertificateError::Signature);
        assert_eq!(verdict(&changed, 4), refused, "field {number}");
    }
    for place in 0..3 {
        let mut changed = certificate(&[0, 1, 2]);
        let mut bytes = changed.signatures[place].signature.to_bytes();
        bytes[40] ^= 1;
        changed.signatures[place].signature = Signature::from_bytes(&bytes);
        assert_eq!(verdict(&changed, 4), Err(CertificateError::Signature));
    }
    let mut alone = certificate(&[0]);
    alone.signatures[0].signature = key(1).sign(&alone.vote(CHAIN).signing_hash());
    assert_eq!(verdict(&alone, 1), Err(CertificateError::Signature));
    let elsewhere =
        certificate(&[0, 1, 2]).verify(ChainId::from_bytes([2; 32]), &set(4), &Ed25519Verifier);
    assert_eq!(elsewhere, Err(CertificateError::Signature));
    let mut changed = certificate(&[0, 1, 2]);
    changed.epoch = Epoch::ZERO;
    let epoch = CertificateError::Epoch {
        expected: Epoch::new(3),
        actual: Epoch::ZERO,
    };
    assert_eq!(verdict(&changed, 4), Err(epoch));
}

#[test]
fn genesis_has_the_empty_certificate_and_no_other_block_has() {
    let (header, outcome) = (HeaderDigest::ZERO, OutcomeDigest::ZERO);
    let genesis = CommitCertificate::genesis(header, outcome);
    assert_eq!(verdict(&genesis, 4), Ok(()));
    type Change = fn(&mut CommitCertificate);
    let changes: [Change; 3] = [
        |c| c.epoch = Epoch::new(3),
        |c| c.view = View::new(1),
        |c| c.signatures = certificate(&[0]).signatures,
    ];
    for change in changes {
        let mut changed = genesis.clone();
        change(&mut changed);
        assert_eq!(verdict(&changed, 4), Err(CertificateError::NotGenesis));
    }
    let mut first = genesis;
    first.height = Height::new(1);
    first.epoch = Epoch::new(3);
    let none = CertificateError::Quorum {
        needed: 3,
        actual: 0,
    };
    assert_eq!(verdict(&first, 4), Err(none));
}

/// A vote for an order is none for a result, although it says part of the same.
#[test]
fn votes_of_two_phases_sign_different_hashes() {
    let commit = certificate(&[]).vote(CHAIN);
    let prepare = PrepareVote {
        chain: commit.chain,
        epoch: commit.epoch,
        height: commit.height,
        view: commit.view,
        header: commit.header,
    };
    assert_ne!(prepare.signing_hash(), commit.signing_hash());
    let of = |context| hash_parts(context, &[&codec::encode(&prepare)]);
    assert_eq!(
        prepare.signing_hash().as_bytes(),
        &of(context::SIGN_PREPARE)
    );
    assert_ne!(of(context::SIGN_PREPARE), of(context::SIGN_COMMIT));
}
