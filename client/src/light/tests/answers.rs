//! What the light client says to true answers, and to each when any part of it is bent.

use certchain_proto::hash::{CertificateId, DisclosedHash, FieldRoot, PresentationId};
use certchain_sidechain::certificate::{
    CertificateRecord, CertificateStatus, CheckRecord, CheckResult, HolderRecord, keys as side_keys,
};

use super::*;

/// Encodes an answer, flips one byte after the other, and checks that whatever still decodes to
/// another message is refused.
fn every_bent_byte_is_refused<M: prost::Message + Default + PartialEq>(
    answer: &M,
    check: impl Fn(&M) -> bool,
) {
    assert!(check(answer), "the true answer is accepted");
    let bytes = answer.encode_to_vec();
    for index in 0..bytes.len() {
        let mut bent = bytes.clone();
        bent[index] ^= 1;
        if let Ok(bent) = M::decode(bent.as_slice()) {
            assert!(
                bent == *answer || !check(&bent),
                "byte {index} of {} bent",
                bytes.len()
            );
        }
    }
}

#[test]
fn headers_count_if_a_quorum_signed_them() {
    let world = World::new();
    for height in 0..world.blocks.len() {
        let header = world.light.header(&world.wire(height)).unwrap();
        assert_eq!(header.id, world.blocks[height].sealed.id());
    }
    every_bent_byte_is_refused(&world.wire(2), |block| world.light.header(block).is_ok());
    let sealed = &world.blocks[2].sealed;
    let certified = |signers: &[u8]| {
        let certificate = certify(&sealed.header, &sealed.outcome, signers);
        let block = SealedHeader {
            certificate,
            ..sealed.clone()
        };
        world.light.header(&(&block).into())
    };
    certified(&[0, 2, 3]).unwrap();
    assert!(certified(&[0, 1]).is_err(), "no quorum");
    assert!(certified(&[0, 1, 1]).is_err(), "one signer twice");
    assert!(certified(&[1, 0, 2]).is_err(), "out of order");
    assert!(certified(&[0, 1, 5]).is_err(), "not a member");
}

#[test]
fn another_network_is_another_chain() {
    let world = World::new();
    let other = LightClient::new(&genesis(5)).unwrap();
    assert!(other.header(&world.wire(1)).is_err());
    assert_eq!(other.header(&world.wire(0)), Err(LightError::OtherGenesis));
}

#[test]
fn values_and_absence() {
    let world = World::new();
    let key = keys::identity(&holder());
    let answer = world.state(4, &key);
    let value = world
        .light
        .state_value(&key, Some(Height::new(4)), &answer)
        .unwrap();
    assert_eq!(value.value, Some(record(2, 1, 4).encode()));
    let wrong_height = world.light.state_value(&key, Some(Height::new(3)), &answer);
    assert_eq!(wrong_height, Err(LightError::OtherQuestion));
    let other = keys::identity(&Address::from_bytes([1; 32]));
    assert!(
        world.light.state_value(&other, None, &answer).is_err(),
        "of another key"
    );
    every_bent_byte_is_refused(&answer, |a| world.light.state_value(&key, None, a).is_ok());

    let stranger = Address::from_bytes([1; 32]);
    let absent = world.state(4, &keys::identity(&stranger));
    world
        .light
        .identity_absent(&stranger, None, &absent)
        .unwrap();
    every_bent_byte_is_refused(&absent, |a| {
        world.light.identity_absent(&stranger, None, a).is_ok()
    });
    assert!(
        world
            .light
            .identity_absent(&holder(), None, &answer)
            .is_err(),
        "it is there"
    );
    // It is younger than genesis, and no answer speaks of what its record does not cover.
    world
        .light
        .identity_absent(&holder(), Some(Height::ZERO), &answer)
        .unwrap();
    for height in [1, 2, 5] {
        let refused = world
            .light
            .identity_absent(&holder(), Some(Height::new(height)), &answer);
        assert!(refused.is_err(), "at height {height}");
    }
    // At genesis nobody but its agencies is registered, and genesis needs no signatures.
    let before = world.tree.prove(Height::ZERO, &key).unwrap();
    let evidence = StateEvidence {
        key,
        value: None,
        proof: before,
        block: world.blocks[0].sealed.clone(),
    };
    world
        .light
        .identity_absent(&holder(), None, &(&evidence).into())
        .unwrap();
}

#[test]
fn identities_now_and_then() {
    let world = World::new();
    let present = world.present_identity();
    let proven = world.light.identity(&holder(), None, &present).unwrap();
    assert_eq!(proven.as_of, Height::new(4));
    assert_eq!(
        proven.identity.unwrap().version.public_key,
        *key(4).public().as_bytes()
    );
    every_bent_byte_is_refused(&present, |a| {
        // The plain height is what it was asked as of; the proof does not cover it.
        a.height == present.height && world.light.identity(&holder(), None, a).is_ok()
    });

    let past = world.past_identity();
    let then = Some(Height::new(1));
    let proven = world.light.identity(&holder(), then, &past).unwrap();
    assert_eq!(
        proven.identity.unwrap().version.public_key,
        *key(3).public().as_bytes()
    );
    every_bent_byte_is_refused(&past, |a| {
        a.height == past.height && world.light.identity(&holder(), then, a).is_ok()
    });
    // The old key is not sold as the present one, nor the new one as the old.
    assert!(
        world
            .light
            .identity(&holder(), Some(Height::new(2)), &past)
            .is_err()
    );
    assert!(world.light.identity(&holder(), None, &past).is_err());
    assert!(world.light.identity(&holder(), then, &present).is_err());
    // A block does not speak of the future, an answer not of somebody else.
    assert!(
        world
            .light
            .identity(&holder(), Some(Height::new(5)), &present)
            .is_err()
    );
    assert!(
        world
            .light
            .identity(&Address::of(key(1).public()), None, &present)
            .is_err()
    );
    let bare = v1::GetIdentityResponse {
        evidence: None,
        ..present
    };
    assert_eq!(
        world.light.identity(&holder(), None, &bare),
        Err(LightError::NoProof)
    );
}

#[test]
fn keys_now_and_then() {
    let world = World::new();
    let answer = |identity: v1::GetIdentityResponse| {
        let plain = identity.identity.unwrap();
        v1::GetPublicKeyResponse {
            public_key: plain.public_key,
            encryption_key: plain.encryption_key,
            status: plain.status,
            height: identity.height,
            evidence: identity.evidence,
            devices: plain.devices,
        }
    };
    let (present, past) = (
        answer(world.present_identity()),
        answer(world.past_identity()),
    );
    let now = world.light.public_key(&holder(), None, &present).unwrap();
    assert_eq!(now.version.public_key, *key(4).public().as_bytes());
    let then = world
        .light
        .public_key(&holder(), Some(Height::new(1)), &past)
        .unwrap();
    assert_eq!(then.version.public_key, *key(3).public().as_bytes());
    assert_eq!(then.until_height, Some(Height::new(2)));
    assert!(
        world
            .light
            .public_key(&holder(), Some(Height::new(2)), &past)
            .is_err()
    );
    assert!(world.light.public_key(&holder(), None, &past).is_err());
    assert!(
        world
            .light
            .public_key(&holder(), Some(Height::new(1)), &present)
            .is_err()
    );
    every_bent_byte_is_refused(&past, |a| {
        a.height == past.height
            && world
                .light
                .public_key(&holder(), Some(Height::new(1)), a)
                .is_ok()
    });
}

#[test]
fn transactions_and_their_receipts() {
    let world = World::new();
    for index in 0..3 {
        let id = world.blocks[1].transactions[index].id();
        let answer = world.transaction(1, index as u32);
        let proven = world.light.transaction(&id, &answer).unwrap();
        assert!(proven.receipt.receipt.is_ok());
        assert_eq!(proven.block.header.height, Height::new(1));
        every_bent_byte_is_refused(&answer, |a| world.light.transaction(&id, a).is_ok());
        let other = world.blocks[2].transactions[0].id();
        let refused = world.light.transaction(&other, &answer).unwrap_err();
        assert_eq!(refused, LightError::OtherQuestion);
        let bare = v1::GetTransactionResponse {
            receipt_proof: None,
            ..answer
        };
        let refused = world.light.transaction(&id, &bare).unwrap_err();
        assert_eq!(refused, LightError::NoProof);
    }
}

#[test]
fn whole_blocks() {
    let world = World::new();
    for height in 0..world.blocks.len() {
        let proven = world.light.block(&world.block(height)).unwrap();
        assert_eq!(
            proven.transactions.len(),
            world.blocks[height].transactions.len()
        );
    }
    let block = world.block(1);
    every_bent_byte_is_refused(&block, |a| world.light.block(a).is_ok());
    let mut shorter = block.clone();
    shorter.transactions.pop();
    assert!(world.light.block(&shorter).is_err());
    let mut swapped = block.clone();
    swapped.transactions.swap(0, 1);
    assert!(world.light.block(&swapped).is_err());
    let mut without_receipts = block;
    without_receipts.receipts.clear();
    assert!(world.light.block(&without_receipts).is_err());
}

#[test]
fn histories() {
    let world = World::new();
    for later in 1..world.blocks.len() {
        for height in 0..later as u64 {
            let answer = world.history(height, later);
            let (id, block) = world.light.history(Height::new(height), &answer).unwrap();
            assert_eq!(id, world.blocks[height as usize].sealed.id());
            assert_eq!(block.header.height, Height::new(later as u64));
            let other = world.light.history(Height::new(height + 1), &answer);
            assert_eq!(other, Err(LightError::OtherQuestion));
        }
    }
    let answer = world.history(1, 4);
    every_bent_byte_is_refused(&answer, |a| world.light.history(Height::new(1), a).is_ok());
}

#[test]
fn a_status_that_is_not_the_proven_one_is_refused() {
    let world = World::new();
    let mut answer = world.present_identity();
    if let Some(identity) = &mut answer.identity {
        identity.status = v1::IdentityStatus::Suspended as i32;
    }
    assert_eq!(
        world.light.identity(&holder(), None, &answer),
        Err(LightError::Contradiction {
            what: "the identity"
        })
    );
}

#[test]
fn certificates_and_checks() {
    let mut world = World::new();
    let (id, shown) = (
        CertificateId::from_bytes([6; 32]),
        PresentationId::from_bytes([7; 32]),
    );
    let record = CertificateRecord {
        type_name: "degree".into(),
        issuer: Address::of(key(1).public()),
        serial: 300,
        holders: vec![HolderRecord {
            address: holder(),
            accepted: Some(TimeMs::new(START)),
        }],
        field_root: FieldRoot::from_bytes([1; 32]),
        claim: Some([2; 32]),
        issued_height: Height::new(1),
        issued_time: TimeMs::new(START),
        transaction: TransactionId::from_bytes([3; 32]),
        line: 2,
        valid_from: TimeMs::new(START),
        valid_until: Some(TimeMs::new(START + 9)),
        version: 0,
        status: CertificateStatus::Revoked,
        status_height: Height::new(2),
        status_time: TimeMs::new(START + 5),
        reason: 3,
    };
    let check = CheckRecord {
        certificate: id,
        holder: holder(),
        verifier: Address::of(key(2).public()),
        bearer: true,
        purpose: 4,
        disclosed: DisclosedHash::from_bytes([4; 32]),
        result: CheckResult::Revoked,
        height: Height::new(5),
        time: TimeMs::new(START + 5000),
    };
    let keys = (side_keys::certificate(&id), side_keys::check(&shown));
    world.push(vec![(keys.0, record.encode()), (keys.1, check.encode())], 0);
    let answer = v1::GetCertificateResponse {
        certificate: Some(record.to_message("degree", &id, String::new())),
        encoded_record: record.encode(),
        height: 5,
        time_ms: START + 5000,
        evidence: Some((&world.evidence(5, &keys.0)).into()),
    };
    let light = &world.light;
    let proven = light.certificate("degree", &id, &answer).unwrap();
    assert_eq!(proven.record, record);
    assert_eq!(proven.block.header.height, Height::new(5));
    every_bent_byte_is_refused(&answer, |a| light.certificate("degree", &id, a).is_ok());
    let other = CertificateId::from_bytes([9; 32]);
    assert_eq!(
        light.certificate("degree", &other, &answer),
        Err(LightError::OtherQuestion)
    );
    assert!(light.certificate("health", &id, &answer).is_err());
    let mut bare = answer.clone();
    bare.evidence = None;
    assert_eq!(
        light.certificate("degree", &id, &bare),
        Err(LightError::NoProof)
    );

    let answer = v1::CheckResponse {
        result: v1::CheckResult::Revoked as i32,
        receipt: None,
        check: Some(check.to_message("degree", &shown)),
        encoded_record: check.encode(),
        evidence: Some((&world.evidence(5, &keys.1)).into()),
    };
    let proven = light.check("degree", &shown, &answer).unwrap();
    assert_eq!(proven.record, check);
    let other = PresentationId::from_bytes([9; 32]);
    assert_eq!(
        light.check("degree", &other, &answer),
        Err(LightError::OtherQuestion)
    );
    // A node that says valid where the chain said revoked.
    let mut rosy = answer.clone();
    rosy.result = v1::CheckResult::Valid as i32;
    assert!(light.check("degree", &shown, &rosy).is_err());
    if let Some(check) = &mut rosy.check {
        check.result = v1::CheckResult::Valid as i32;
    }
    assert!(light.check("degree", &shown, &rosy).is_err());
}
