//! The rules by table: what each kind refuses with which code, and what a life leaves behind.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{collections::HashMap, sync::Arc};

use certchain_proto::{
    Address, ChainId, Epoch, Height, SecretKey, TimeMs, ValidatorIndex,
    transaction::Transaction,
    wire::v1::{
        AddDevice, Code, CompleteRecovery, DecideRecovery, IdentityEnd, IdentityKind as WireKind,
        ObjectToRecovery, RecoverKey, RegisterIdentity, ReinstateIdentity, RemoveDevice,
        RestartNotice, RevokeIdentity, RotateKey, SuspendIdentity, transaction_body::Kind,
    },
};

use super::{
    Act, IdentityApplication, IdentityKind, IdentityRecord, IdentityStatus, MAX_DEVICES,
    PastVersion, RecoveryRecord, RecoveryStage, RestartNoticeRecord, keys, may,
};
use crate::{
    execution::{Application, BlockContext, Effects, check_envelope, evaluate},
    fixtures::{Network, START, address_of, bytes, secret},
    genesis::GenesisBlock,
    refusal::Refusal,
    state::StateKey,
    view::{StateView, Value},
};

/// How long old keys may object.
const WAIT: u64 = 60_000;

struct World {
    network: Network,
    genesis: GenesisBlock,
    state: HashMap<StateKey, Value>,
    height: u64,
    time: TimeMs,
    nonce: u64,
}

impl World {
    fn new() -> Self {
        let network = Network::new(4);
        let genesis = GenesisBlock::main(&network.genesis).unwrap();
        let state = genesis
            .leaves
            .iter()
            .map(|(k, v)| (*k, Arc::clone(v)))
            .collect();
        Self {
            network,
            genesis,
            state,
            height: 0,
            time: START,
            nonce: 1_000,
        }
    }

    fn evaluate(&self, transaction: &Transaction) -> Result<Effects, Refusal> {
        let block = BlockContext {
            chain: self.network.chain(),
            height: Height::new(self.height + 1),
            time: TimeMs::new(self.time.get() + self.height + 1),
            parameters: &self.genesis.parameters,
            validators: &self.genesis.validators,
            main: None,
            blocks: None,
        };
        check_envelope(transaction, block.chain, block.parameters, block.time)?;
        evaluate(&IdentityApplication, &self.state, &block, transaction).unwrap()
    }

    fn sign(&mut self, kind: Kind, signers: &[&SecretKey]) -> Transaction {
        self.nonce += 1;
        let until = self.time.saturating_add(60_000);
        self.network.signed(kind, until, self.nonce, signers)
    }

    fn code(&mut self, kind: Kind, signers: &[&SecretKey]) -> Code {
        let transaction = self.sign(kind, signers);
        match self.evaluate(&transaction) {
            Ok(effects) => {
                let readable = IdentityApplication.reads(&transaction);
                for (key, _) in &effects.writes {
                    let blind = key.namespace() == keys::PAST || key.namespace() == keys::RESTART;
                    assert!(blind || readable.contains(key), "{key} is written unseen");
                }
                Code::Ok
            }
            Err(refusal) => refusal.code(),
        }
    }

    /// Makes it so, one block later.
    fn apply(&mut self, kind: Kind, signers: &[&SecretKey]) {
        let transaction = self.sign(kind, signers);
        let effects = self.evaluate(&transaction).unwrap();
        for (key, value) in effects.writes {
            match value {
                Some(value) => self.state.insert(key, value),
                None => self.state.remove(&key),
            };
        }
        self.height += 1;
    }

    /// Lets time pass without a block.
    fn pass(&mut self, ms: u64) {
        self.time = self.time.saturating_add(ms);
    }

    fn register(&mut self, n: u64) {
        let message = self.network.register_message(n);
        let keys = [agency(0), registrar(), Network::holder(n)];
        self.apply(
            Kind::RegisterIdentity(message),
            &[&keys[0], &keys[1], &keys[2]],
        );
    }

    fn record(&self, address: &Address) -> IdentityRecord {
        let value = self.state.value(&keys::identity(address)).unwrap().unwrap();
        IdentityRecord::decode(&value).unwrap()
    }

    fn past(&self, address: &Address, sequence: u32) -> PastVersion {
        let value = self
            .state
            .value(&keys::past(address, sequence))
            .unwrap()
            .unwrap();
        PastVersion::decode(&value).unwrap()
    }
}

fn agency(n: u64) -> SecretKey {
    secret("agency", n)
}

fn registrar() -> SecretKey {
    secret("registrar", 0)
}

fn raw(key: &SecretKey) -> Vec<u8> {
    address_of(key).as_bytes().to_vec()
}

fn public(key: &SecretKey) -> Vec<u8> {
    key.public().as_bytes().to_vec()
}

fn suspend(of: &SecretKey, by: &SecretKey) -> Kind {
    Kind::SuspendIdentity(SuspendIdentity {
        address: raw(of),
        authority: raw(by),
        reason: 7,
    })
}

fn reinstate(of: &SecretKey, by: &SecretKey) -> Kind {
    Kind::ReinstateIdentity(ReinstateIdentity {
        address: raw(of),
        authority: raw(by),
        reason: 8,
    })
}

fn revoke(of: &SecretKey, agency: &SecretKey) -> Kind {
    Kind::RevokeIdentity(RevokeIdentity {
        address: raw(of),
        agency: raw(agency),
        registrar: raw(&registrar()),
        reason: 9,
        end: 0,
    })
}

fn rotate(of: &SecretKey, to: &SecretKey) -> Kind {
    Kind::RotateKey(RotateKey {
        address: raw(of),
        public_key: public(to),
        encryption_key: bytes("rotated", 0).to_vec(),
    })
}

fn recover(of: &SecretKey, to: &SecretKey) -> Kind {
    Kind::RecoverKey(RecoverKey {
        address: raw(of),
        public_key: public(to),
        encryption_key: bytes("recovered", 0).to_vec(),
        agency: raw(&agency(1)),
        registrar: raw(&registrar()),
    })
}

fn complete(of: &SecretKey, to: &SecretKey) -> Kind {
    Kind::CompleteRecovery(CompleteRecovery {
        address: raw(of),
        public_key: public(to),
    })
}

mod devices;
mod life;
mod recovery;

#[test]
fn registration_refuses_bad_fields() {
    type Change = fn(&mut RegisterIdentity);
    let table: &[(&str, Change, Code)] = &[
        ("as it should be", |_| (), Code::Ok),
        ("no kind", |m| m.kind = 0, Code::BadField),
        ("unknown kind", |m| m.kind = 99, Code::BadField),
        (
            "a registrar",
            |m| m.kind = WireKind::Registrar as i32,
            Code::BadField,
        ),
        ("short key", |m| m.public_key = vec![1; 31], Code::BadField),
        (
            "short encryption key",
            |m| m.encryption_key = vec![1; 31],
            Code::BadField,
        ),
        (
            "small-order encryption key",
            |m| m.encryption_key = vec![0; 32],
            Code::BadField,
        ),
        ("short root", |m| m.attribute_root = vec![], Code::BadField),
        ("short tag", |m| m.tag = vec![1; 33], Code::BadField),
        ("zero tag", |m| m.tag = vec![0; 32], Code::BadField),
        ("no tag key", |m| m.tag_key_version = 0, Code::BadField),
        ("another tag key", |m| m.tag_key_version = 2, Code::BadField),
        ("short agency", |m| m.agency = vec![1; 3], Code::BadField),
        ("short registrar", |m| m.registrar = vec![], Code::BadField),
        (
            "code of a citizen",
            |m| m.organisation_code = "ACME".into(),
            Code::BadField,
        ),
        (
            "organisation without code",
            |m| m.kind = WireKind::Organisation as i32,
            Code::BadField,
        ),
        (
            "organisation with a bad code",
            |m| {
                m.kind = WireKind::Organisation as i32;
                m.organisation_code = "acme".into();
            },
            Code::BadField,
        ),
        (
            "organisation",
            |m| {
                m.kind = WireKind::Organisation as i32;
                m.organisation_code = "ACME".into();
            },
            Code::Ok,
        ),
        (
            "a code that is used",
            |m| {
                m.kind = WireKind::Verifier as i32;
                m.organisation_code = "CENTRE".into();
            },
            Code::OrganisationTaken,
        ),
        (
            "unknown agency",
            |m| m.agency = vec![1; 32],
            Code::UnknownAccount,
        ),
        (
            "registrar as agency",
            |m| m.agency.clone_from(&m.registrar),
            Code::NotEntitled,
        ),
        (
            "agency as registrar",
            |m| m.registrar.clone_from(&m.agency),
            Code::NotEntitled,
        ),
        (
            "another agency",
            |m| m.agency = raw(&agency(1)),
            Code::WrongKey,
        ),
        (
            "another holder",
            |m| m.public_key = public(&secret("x", 1)),
            Code::MissingSigner,
        ),
    ];
    for (what, change, code) in table {
        let mut world = World::new();
        let mut message = world.network.register_message(5);
        change(&mut message);
        let keys = [agency(0), registrar(), Network::holder(5)];
        let got = world.code(
            Kind::RegisterIdentity(message),
            &[&keys[0], &keys[1], &keys[2]],
        );
        assert_eq!(got, *code, "{what}");
    }
}

#[test]
fn signers_stand_in_order_none_missing_none_surplus() {
    let (a, r, h, x) = (agency(0), registrar(), Network::holder(1), secret("x", 0));
    let table: &[(&[&SecretKey], Code)] = &[
        (&[&a, &r, &h], Code::Ok),
        (&[], Code::MissingSigner),
        (&[&a, &r], Code::MissingSigner),
        (&[&r, &a, &h], Code::MissingSigner),
        (&[&a, &h, &r], Code::MissingSigner),
        (&[&a, &r, &x], Code::MissingSigner),
        (&[&x, &r, &h], Code::WrongKey),
        (&[&a, &x, &h], Code::WrongKey),
        (&[&a, &r, &h, &x], Code::SurplusSigner),
    ];
    let mut world = World::new();
    for (signers, code) in table {
        let message = world.network.register_message(1);
        assert_eq!(world.code(Kind::RegisterIdentity(message), signers), *code);
    }
}

#[test]
fn one_person_one_identity_one_key() {
    let mut world = World::new();
    world.register(1);
    let (a, r) = (agency(0), registrar());
    let try_with = |world: &mut World, change: &dyn Fn(&mut RegisterIdentity), holder| {
        let mut message = world.network.register_message(2);
        change(&mut message);
        world.code(Kind::RegisterIdentity(message), &[&a, &r, holder])
    };
    let (first, second) = (Network::holder(1), Network::holder(2));
    let tag = bytes("tag", 1).to_vec();
    assert_eq!(
        try_with(&mut world, &|m| m.tag = tag.clone(), &second),
        Code::TagTaken
    );
    assert_eq!(
        try_with(
            &mut world,
            &|m| m.public_key = public(&Network::holder(1)),
            &first
        ),
        Code::KeyTaken
    );
    // A key that the first account rotated to and away from again stays its own.
    let (next, last) = (secret("next", 0), secret("next", 1));
    world.apply(rotate(&first, &next), &[&first, &next]);
    world.apply(rotate(&first, &last), &[&next, &last]);
    for used in [&first, &next, &last] {
        let message = |m: &mut RegisterIdentity| m.public_key = public(used);
        assert_eq!(try_with(&mut world, &message, used), Code::KeyTaken);
    }
    world.register(2);
    for used in [&first, &next, &last, &agency(0)] {
        assert_eq!(
            world.code(rotate(&second, used), &[&second, used]),
            Code::KeyTaken
        );
    }
}

#[test]
fn keys_rotate_with_history_and_only_the_present_one_signs() {
    let mut world = World::new();
    let (holder, next, x) = (Network::holder(1), secret("next", 0), secret("x", 0));
    assert_eq!(
        world.code(rotate(&holder, &next), &[&holder, &next]),
        Code::UnknownAccount
    );
    world.register(1);
    assert_eq!(
        world.code(rotate(&holder, &next), &[&x, &next]),
        Code::WrongKey
    );
    assert_eq!(
        world.code(rotate(&holder, &next), &[&next, &holder]),
        Code::MissingSigner
    );
    assert_eq!(
        world.code(rotate(&holder, &next), &[&holder, &x]),
        Code::MissingSigner
    );
    assert_eq!(
        world.code(rotate(&holder, &next), &[&holder]),
        Code::MissingSigner
    );
    world.apply(rotate(&holder, &next), &[&holder, &next]);
    let last = secret("next", 1);
    assert_eq!(
        world.code(rotate(&holder, &last), &[&holder, &last]),
        Code::WrongKey
    );

    let address = address_of(&holder);
    let record = world.record(&address);
    assert_eq!(record.present.public_key, *next.public().as_bytes());
    assert_eq!(
        (record.present.sequence, record.present.from_height),
        (1, Height::new(2))
    );
    assert_eq!(record.registered_height, Height::new(1));
    let past = world.past(&address, 0);
    assert_eq!(past.version.public_key, *holder.public().as_bytes());
    assert_eq!(
        (past.version.from_height, past.until_height),
        (Height::new(1), Height::new(2))
    );
}

#[test]
fn a_life_of_suspension_recovery_reinstatement_and_revocation() {
    let mut world = World::new();
    let (a, other, r) = (agency(0), agency(1), registrar());
    let (holder, next, x) = (Network::holder(1), secret("next", 0), secret("x", 0));
    world.register(1);

    assert_eq!(
        world.code(reinstate(&holder, &r), &[&r]),
        Code::NotSuspended
    );
    assert_eq!(
        world.code(suspend(&holder, &other), &[&other]),
        Code::NotEntitled
    );
    world.register(2);
    let third = Network::holder(2);
    assert_eq!(
        world.code(suspend(&holder, &third), &[&third]),
        Code::NotEntitled
    );
    assert_eq!(world.code(suspend(&holder, &a), &[&r]), Code::WrongKey);
    assert_eq!(world.code(suspend(&x, &r), &[&r]), Code::UnknownAccount);
    // Everybody may stop its own keys at once; who is registrar is for governance.
    assert_eq!(world.code(suspend(&holder, &holder), &[&holder]), Code::Ok);
    assert_eq!(world.code(suspend(&r, &r), &[&r]), Code::NotEntitled);
    let mut no_reason = SuspendIdentity {
        address: raw(&holder),
        authority: raw(&a),
        reason: 0,
    };
    assert_eq!(
        world.code(Kind::SuspendIdentity(no_reason.clone()), &[&a]),
        Code::BadField
    );
    no_reason.reason = 65_536;
    assert_eq!(
        world.code(Kind::SuspendIdentity(no_reason), &[&a]),
        Code::BadField
    );
    assert_eq!(world.code(suspend(&holder, &r), &[&r]), Code::Ok);
    world.apply(suspend(&holder, &a), &[&a]);

    assert_eq!(world.code(suspend(&holder, &a), &[&a]), Code::Suspended);
    assert_eq!(
        world.code(rotate(&holder, &next), &[&holder, &next]),
        Code::Suspended
    );
    assert_eq!(world.code(reinstate(&holder, &a), &[&a]), Code::NotEntitled);
    assert_eq!(
        world.code(recover(&holder, &next), &[&other, &r, &x]),
        Code::MissingSigner
    );
    assert_eq!(
        world.code(recover(&r, &next), &[&other, &r, &next]),
        Code::NotEntitled
    );
    assert_eq!(
        world.code(recover(&holder, &holder), &[&other, &r, &holder]),
        Code::KeyTaken
    );
    world.apply(recover(&holder, &next), &[&other, &r, &next]);
    world.pass(WAIT);
    world.apply(complete(&holder, &next), &[&next]);
    let address = address_of(&holder);
    assert_eq!(
        world.record(&address).present.status,
        IdentityStatus::Suspended
    );
    world.apply(reinstate(&holder, &r), &[&r]);
    assert_eq!(world.record(&address).present.reason, 8);

    world.apply(revoke(&holder, &other), &[&other, &r]);
    let last = secret("next", 1);
    for (kind, signers) in [
        (suspend(&holder, &r), vec![&r]),
        (reinstate(&holder, &r), vec![&r]),
        (revoke(&holder, &a), vec![&a, &r]),
        (rotate(&holder, &last), vec![&next, &last]),
        (recover(&holder, &last), vec![&other, &r, &last]),
    ] {
        assert_eq!(world.code(kind, &signers), Code::Revoked);
    }
    let record = world.record(&address);
    assert_eq!(
        (record.present.sequence, record.present.status),
        (4, IdentityStatus::Revoked)
    );
    let statuses: Vec<IdentityStatus> = (0..4)
        .map(|n| world.past(&address, n).version.status)
        .collect();
    let (active, suspended) = (IdentityStatus::Active, IdentityStatus::Suspended);
    assert_eq!(statuses, [active, suspended, suspended, active]);
    for n in 0..3 {
        let (one, next) = (world.past(&address, n), world.past(&address, n + 1));
        assert_eq!(
            one.until_height, next.version.from_height,
            "versions follow without gaps"
        );
    }
}

#[test]
fn suspended_authorities_do_nothing() {
    let mut world = World::new();
    let (a, other, r) = (agency(0), agency(1), registrar());
    world.register(1);
    world.apply(suspend(&a, &r), &[&r]);
    let holder = Network::holder(2);
    let message = world.network.register_message(2);
    let code = world.code(Kind::RegisterIdentity(message), &[&a, &r, &holder]);
    assert_eq!(code, Code::Suspended);
    assert_eq!(
        world.code(suspend(&Network::holder(1), &a), &[&a]),
        Code::Suspended
    );
    world.apply(revoke(&a, &other), &[&other, &r]);
    assert_eq!(
        world.code(suspend(&Network::holder(1), &a), &[&a]),
        Code::Revoked
    );
}

#[test]
fn restart_notices_come_from_present_validators() {
    let mut world = World::new();
    let vote = |n| secret("vote", n);
    let notice = |epoch, validator, nonce: usize| {
        Kind::RestartNotice(RestartNotice {
            epoch,
            validator,
            restart_nonce: vec![3; nonce],
        })
    };
    assert_eq!(world.code(notice(0, 2, 32), &[&vote(2)]), Code::Ok);
    assert_eq!(world.code(notice(0, 2, 31), &[&vote(2)]), Code::BadField);
    assert_eq!(
        world.code(notice(1, 2, 32), &[&vote(2)]),
        Code::UnknownValidator
    );
    assert_eq!(
        world.code(notice(0, 4, 32), &[&vote(2)]),
        Code::UnknownValidator
    );
    assert_eq!(
        world.code(notice(0, 70_000, 32), &[&vote(2)]),
        Code::UnknownValidator
    );
    assert_eq!(world.code(notice(0, 2, 32), &[&vote(1)]), Code::WrongKey);
    assert_eq!(world.code(notice(0, 2, 32), &[]), Code::MissingSigner);
    world.apply(notice(0, 2, 32), &[&vote(2)]);
    let key = keys::restart(Epoch::ZERO, ValidatorIndex::new(2));
    let record = RestartNoticeRecord::decode(&world.state[&key]).unwrap();
    assert_eq!((record.nonce, record.height), ([3; 32], Height::new(1)));
}

#[test]
fn envelopes_are_checked_against_chain_and_time() {
    let world = World::new();
    let parameters = &world.genesis.parameters;
    let chain = world.network.chain();
    let window = parameters.limits.transaction_window_ms;
    let now = START.saturating_add(1_000);
    let check = |until: TimeMs| {
        let transaction = world.network.registration(1, until);
        check_envelope(&transaction, chain, parameters, now).map_err(|refusal| refusal.code())
    };
    assert_eq!(check(now), Err(Code::Expired));
    assert_eq!(check(now.next()), Ok(()));
    assert_eq!(check(now.saturating_add(window)), Ok(()));
    assert_eq!(check(now.saturating_add(window + 1)), Err(Code::TooFar));
    let other = ChainId::from_bytes([1; 32]);
    let transaction = world.network.registration(1, now.next());
    let refusal = check_envelope(&transaction, other, parameters, now).unwrap_err();
    assert_eq!(refusal.code(), Code::WrongChain);
    let mut small = parameters.clone();
    small.limits.transaction_bytes = 100;
    let refusal = check_envelope(&transaction, chain, &small, now).unwrap_err();
    assert_eq!(refusal.code(), Code::TooLarge);
}

/// Golden: these keys are part of the chain's format.
#[test]
fn state_keys_have_one_length_per_namespace() {
    let address = Address::from_bytes([0xab; 32]);
    let epoch = Epoch::new(1);
    let table = [
        (keys::identity(&address), format!("01{}", "ab".repeat(32))),
        (
            keys::past(&address, 258),
            format!("03{}00000102", "ab".repeat(32)),
        ),
        (
            keys::rotated_key(&address),
            format!("05{}", "ab".repeat(32)),
        ),
        (keys::parameters(), "06".to_owned()),
        (keys::validators(), "07".to_owned()),
        (
            keys::restart(epoch, ValidatorIndex::new(3)),
            "0800000000000000010003".to_owned(),
        ),
    ];
    for (key, expected) in table {
        assert_eq!(hex::encode(key.as_bytes()), expected);
    }
    assert_eq!(keys::organisation("ACME").as_bytes().len(), 33);
}
