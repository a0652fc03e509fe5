#![allow(clippy::unwrap_used, clippy::expect_used)]

use certchain_config::{Governance, Limits, Timers};
use certchain_ledger::governance::{Change, ParameterTable};
use certchain_proto::{
    Address, ChainId, Epoch, Height, PublicKey, SecretKey, TimeMs, ValidatorIndex,
    hash::{AttributeRoot, IdentityTag, TransactionId},
    transaction::{Transaction, TransactionError},
    wire::v1::{IdentityEnd, SignedTransaction, transaction_body::Kind},
};
use prost::Message as _;

use super::*;
use crate::{
    text_file::FileError,
    wallet::{AccountKind, KdfParameters, NewWallet, Passphrase, PublicAccount, Wallet},
};

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn address(seed: u8) -> Address {
    Address::of(key(seed).public())
}

fn terms() -> Terms {
    Terms {
        chain: ChainId::from_bytes([5; 32]),
        valid_until: TimeMs::new(1_800_000_000_000),
    }
}

fn holder(key: &SecretKey) -> PublicAccount {
    PublicAccount::new(
        "Holder".into(),
        AccountKind::Citizen,
        String::new(),
        Address::of(key.public()),
        key.public().clone(),
        [9; 32],
    )
    .unwrap()
}

/// Agency 1, registrar 2, holder 3.
fn registration() -> Kind {
    register_identity(&Registration {
        holder: &holder(&key(3)),
        attribute_root: AttributeRoot::from_bytes([7; 32]),
        tag: IdentityTag::from_bytes([8; 32]),
        tag_key_version: 1,
        agency: address(1),
        registrar: address(2),
    })
}

fn draft(kind: Kind) -> Draft {
    Draft::new(&terms().body(kind).unwrap()).unwrap()
}

fn every_kind() -> Vec<(Kind, Vec<u8>)> {
    vec![
        (registration(), vec![1, 2, 3]),
        (
            rotate_key(address(1), key(4).public(), &[9; 32]),
            vec![1, 4],
        ),
        (
            recover_key(&holder(&key(3)), address(1), address(2)),
            vec![1, 2, 3],
        ),
        (suspend_identity(address(3), address(1), 7), vec![1]),
        (reinstate_identity(address(3), address(2), 7), vec![2]),
        (
            revoke_identity(address(3), address(1), address(2), 7, IdentityEnd::Closed),
            vec![1, 2],
        ),
        (add_device(address(3), key(5).public()), vec![3, 5]),
        (remove_device(address(3), key(5).public()), vec![3]),
        (object_to_recovery(address(3)), vec![3]),
        (
            decide_recovery(address(3), address(1), address(2), key(4).public(), true),
            vec![1, 2],
        ),
        (complete_recovery(address(3), key(4).public()), vec![4]),
        (
            accept_accreditation(TransactionId::from_bytes([4; 32]), address(1)),
            vec![1],
        ),
    ]
}

#[test]
fn every_kind_is_signed_in_its_order_and_in_no_other() {
    for (kind, signers) in every_kind() {
        let name = kind_name(&kind);
        let mut draft = draft(kind);
        assert_eq!(draft.parties().len(), signers.len(), "{name}");
        for (done, signer) in signers.iter().enumerate() {
            for wrong in (1..=6).filter(|other| other != signer) {
                let error = draft.sign(address(wrong), &key(wrong)).unwrap_err();
                assert!(
                    matches!(error, DraftError::NotYourTurn { .. } | DraftError::OtherKey),
                    "{name}: {error}"
                );
            }
            assert_eq!(draft.signed(), done);
            assert!(matches!(
                draft.clone().finish(),
                Err(DraftError::Incomplete { .. })
            ));
            draft.sign(address(*signer), &key(*signer)).unwrap();
        }
        let error = draft.sign(address(1), &key(1)).unwrap_err();
        assert!(
            matches!(error, DraftError::Complete { .. }),
            "{name}: {error}"
        );
        let transaction = Transaction::from_envelope(draft.finish().unwrap()).unwrap();
        assert_eq!(transaction.chain(), terms().chain);
        assert_eq!(transaction.valid_until(), terms().valid_until);
        for (witness, signer) in transaction.witnesses().iter().zip(&signers) {
            assert_eq!(witness.public_key, *key(*signer).public().as_bytes());
            let parsed = PublicKey::from_bytes(&witness.public_key).unwrap();
            parsed
                .verify(transaction.signing_hash(), &witness.signature)
                .unwrap();
        }
    }
}

#[test]
fn restart_notices_name_their_validator() {
    let notice = restart_notice(Epoch::new(3), ValidatorIndex::new(2), [1; 32]);
    let parties = draft(notice).parties().to_vec();
    assert_eq!(parties.len(), 1);
    assert_eq!(
        parties[0].signer,
        Signer::Validator(Epoch::new(3), ValidatorIndex::new(2))
    );
}

#[test]
fn validators_propose_and_vote_with_their_vote_keys() {
    let (epoch, place) = (Epoch::new(3), ValidatorIndex::new(2));
    let id = TransactionId::from_bytes([6; 32]);
    let change = Change::SetTagKeyVersion { version: 2 };
    let kinds = [
        propose(epoch, place, Height::new(70), &change),
        vote(epoch, place, id, true),
        vote(epoch, place, id, false),
    ];
    for kind in kinds {
        let mut draft = draft(kind);
        assert_eq!(draft.parties().len(), 1);
        assert_eq!(draft.parties()[0].signer, Signer::Validator(epoch, place));
        assert_eq!(draft.subject(), None);
        // No wallet signs it, and no validator for another.
        let wrong = [
            draft.sign(address(1), &key(1)),
            draft.sign_as_validator(Epoch::new(4), place, &key(1)),
            draft.sign_as_validator(epoch, ValidatorIndex::new(3), &key(1)),
        ];
        for error in wrong {
            let error = error.unwrap_err();
            assert!(matches!(error, DraftError::NotYourTurn { .. }), "{error}");
        }
        draft.sign_as_validator(epoch, place, &key(1)).unwrap();
        let error = draft.sign_as_validator(epoch, place, &key(1)).unwrap_err();
        assert!(matches!(error, DraftError::Complete { .. }), "{error}");
        let fields = describe(draft.kind());
        assert_eq!(fields[0], ("epoch", "3".to_owned()));
        assert_eq!(fields[1], ("validator", "2".to_owned()));
        draft.finish().unwrap();
    }
}

#[test]
fn changes_are_described_with_all_that_they_say() {
    let types = vec!["degree".to_owned(), "licence".to_owned()];
    let who = address(1);
    let table = ParameterTable {
        limits: Limits::default(),
        timers: Timers::default(),
        governance: Governance::default(),
    };
    let (accredited, withdrawn) = (types.clone(), types);
    let table: [(Change, &[&str]); 6] = [
        (
            Change::AccreditAgency {
                agency: who,
                types: accredited,
            },
            &["accredit", "degree, licence"],
        ),
        (
            Change::WithdrawAccreditation {
                agency: who,
                types: withdrawn,
            },
            &["withdraw", "degree, licence"],
        ),
        (Change::AppointRegistrar { address: who }, &["appoint"]),
        (Change::DismissRegistrar { address: who }, &["dismiss"]),
        (
            Change::SetParameters(Box::new(table)),
            &["limits.block_bytes 2097152", "governance.open_proposals 4"],
        ),
        (Change::SetTagKeyVersion { version: 300 }, &["300"]),
    ];
    for (change, said) in table {
        let message = change.to_wire();
        assert_eq!(Change::from_wire(Some(&message)), Ok(change));
        let text = describe_change(Some(&message));
        assert!(said.iter().all(|part| text.contains(part)), "{text}");
        let names_who = text.contains(&who.to_string());
        assert!(names_who || text.contains("version") || text.contains("limits"));
    }
}

#[test]
fn equal_wishes_are_two_transactions() {
    assert_ne!(draft(registration()).id(), draft(registration()).id());
}

#[test]
fn a_draft_travels_as_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    let mut travelling = draft(registration());
    for seed in [1, 2, 3] {
        travelling.sign(address(seed), &key(seed)).unwrap();
        let path = folder.path().join(format!("{seed}.tx"));
        travelling.write_file(&path).unwrap();
        assert!(matches!(
            travelling.write_file(&path),
            Err(DraftError::File(FileError::Exists { .. }))
        ));
        let read = Draft::read_file(&path).unwrap();
        assert_eq!(
            (read.id(), read.signed()),
            (travelling.id(), usize::from(seed))
        );
        travelling = read;
        paths.push(path);
    }
    travelling.finish().unwrap();
    // Any flipped byte is noticed: by layout, canonical form or signature.
    let good = std::fs::read(&paths[1]).unwrap();
    for index in 0..good.len() {
        let mut bad = good.clone();
        bad[index] ^= 1;
        std::fs::write(&paths[1], &bad).unwrap();
        assert!(Draft::read_file(&paths[1]).is_err(), "byte {index}");
    }
}

#[test]
fn wrong_signatures_are_refused_on_reading() {
    let mut good = draft(registration());
    good.sign(address(1), &key(1)).unwrap();
    let envelope = SignedTransaction::decode(good.transaction().encoded()).unwrap();
    let mut flipped = envelope.clone();
    flipped.signatures[0].signature[40] ^= 1;
    assert!(matches!(
        Draft::from_envelope(flipped),
        Err(DraftError::Signature { .. })
    ));
    let mut other_key = envelope.clone();
    other_key.signatures[0].public_key = key(2).public().as_bytes().to_vec();
    assert!(matches!(
        Draft::from_envelope(other_key),
        Err(DraftError::Signature { .. })
    ));
    // The new key is named in the body: another's valid signature in its place is refused.
    let mut third = good.clone();
    third.sign(address(2), &key(2)).unwrap();
    let mut envelope = SignedTransaction::decode(third.transaction().encoded()).unwrap();
    let stranger = key(6);
    envelope
        .signatures
        .push(certchain_proto::wire::v1::TransactionSignature {
            public_key: stranger.public().as_bytes().to_vec(),
            signature: stranger
                .sign(third.transaction().signing_hash())
                .to_bytes()
                .to_vec(),
        });
    assert!(matches!(
        Draft::from_envelope(envelope),
        Err(DraftError::Signature { .. })
    ));
}

#[test]
fn surplus_signatures_and_wrong_fields_are_refused() {
    let mut suspended = draft(suspend_identity(address(3), address(1), 7));
    suspended.sign(address(1), &key(1)).unwrap();
    let mut envelope = SignedTransaction::decode(suspended.transaction().encoded()).unwrap();
    let hash = *suspended.transaction().signing_hash();
    envelope
        .signatures
        .push(certchain_proto::wire::v1::TransactionSignature {
            public_key: key(2).public().as_bytes().to_vec(),
            signature: key(2).sign(&hash).to_bytes().to_vec(),
        });
    assert!(matches!(
        Draft::from_envelope(envelope),
        Err(DraftError::Surplus {
            actual: 2,
            needed: 1
        })
    ));
    let mut body = terms().body(registration()).unwrap();
    if let Some(Kind::RegisterIdentity(register)) = &mut body.kind {
        register.agency.pop();
    }
    assert!(matches!(
        Draft::new(&body),
        Err(DraftError::Transaction(TransactionError::Field {
            field: "agency",
            ..
        }))
    ));
}

#[test]
fn a_body_that_is_not_canonical_is_refused() {
    let mut body = terms().body(registration()).unwrap().encode_to_vec();
    // An explicit default at the end: valid protobuf, another encoding.
    body.extend_from_slice(&[0x18, 0]);
    let envelope = SignedTransaction {
        body: body.into(),
        signatures: Vec::new(),
    };
    assert!(matches!(
        Draft::from_envelope(envelope),
        Err(DraftError::Transaction(
            TransactionError::NotCanonical { .. }
        ))
    ));
}

#[test]
fn a_wallet_signs_and_its_older_key_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let new = NewWallet {
        name: "Holder".into(),
        kind: AccountKind::Citizen,
        organisation_code: String::new(),
        recovers: None,
    };
    let passphrase = Passphrase::new("p").unwrap();
    let fast = KdfParameters::new(8, 1, 1).unwrap();
    let mut wallet = Wallet::create(&folder.path().join("w"), new, &passphrase, fast).unwrap();
    let mut signed = draft(register_identity(&Registration {
        holder: wallet.account(),
        attribute_root: AttributeRoot::from_bytes([7; 32]),
        tag: IdentityTag::from_bytes([8; 32]),
        tag_key_version: 1,
        agency: address(1),
        registrar: address(2),
    }));
    signed.sign(address(1), &key(1)).unwrap();
    signed.sign(address(2), &key(2)).unwrap();
    let mut by_old_key = signed.clone();
    by_old_key.sign_with(&wallet).unwrap();
    by_old_key.finish().unwrap();
    wallet.begin_rotation().unwrap();
    wallet.complete_rotation();
    assert!(matches!(
        signed.sign_with(&wallet),
        Err(DraftError::OtherKey)
    ));
}

#[test]
fn descriptions_show_every_field() {
    for (kind, _) in every_kind() {
        let fields = describe(&kind);
        assert!(fields.iter().all(|(name, _)| !name.is_empty()));
        let debug = format!("{kind:?}");
        for (name, _) in &fields {
            assert!(debug.contains(&format!("{name}: ")), "{name} in {debug}");
        }
        let count = debug.matches(": ").count();
        assert_eq!(count, fields.len(), "{debug}");
    }
}
