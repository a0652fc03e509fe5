//! Recovery of lost keys, raced by thieves and by false authorities.

use super::*;

fn object(of: &SecretKey) -> Kind {
    Kind::ObjectToRecovery(ObjectToRecovery { address: raw(of) })
}

fn decide(of: &SecretKey, to: &SecretKey, by: &SecretKey, confirm: bool) -> Kind {
    Kind::DecideRecovery(DecideRecovery {
        address: raw(of),
        agency: raw(by),
        registrar: raw(&registrar()),
        public_key: public(to),
        confirm,
    })
}

struct Case {
    world: World,
    old: SecretKey,
    new: SecretKey,
    a: SecretKey,
    r: SecretKey,
}

impl Case {
    /// An account with a device, whose recovery agency 1 has opened.
    fn open() -> Self {
        let mut world = World::new();
        let (old, new, device) = (Network::holder(1), secret("new", 1), secret("device", 1));
        let (a, r) = (agency(1), registrar());
        world.register(1);
        world.apply(
            Kind::AddDevice(AddDevice {
                address: raw(&old),
                public_key: public(&device),
            }),
            &[&old, &device],
        );
        world.apply(recover(&old, &new), &[&a, &r, &new]);
        Self {
            world,
            old,
            new,
            a,
            r,
        }
    }

    fn record(&self) -> IdentityRecord {
        self.world.record(&address_of(&self.old))
    }

    fn stage(&self) -> RecoveryStage {
        let key = keys::recovery(&address_of(&self.old));
        RecoveryRecord::decode(&self.world.state[&key])
            .unwrap()
            .stage
    }
}

#[test]
fn a_recovery_waits_and_then_the_new_key_takes_over() {
    let mut case = Case::open();
    let before = case.record();
    assert_eq!(before.present.public_key, *case.old.public().as_bytes());
    let completes = complete(&case.old, &case.new);
    assert_eq!(
        case.world.code(completes.clone(), &[&case.new]),
        Code::RecoveryNotDue
    );
    case.world.pass(WAIT - 10);
    assert_eq!(
        case.world.code(completes.clone(), &[&case.new]),
        Code::RecoveryNotDue
    );
    case.world.pass(10);
    let x = secret("x", 0);
    assert_eq!(
        case.world.code(completes.clone(), &[&x]),
        Code::MissingSigner
    );
    assert_eq!(
        case.world.code(completes.clone(), &[&case.old]),
        Code::MissingSigner
    );
    // Of a case that names another key.
    assert_eq!(
        case.world.code(complete(&case.old, &x), &[&x]),
        Code::NoRecovery
    );
    case.world.apply(completes.clone(), &[&case.new]);
    let record = case.record();
    assert_eq!(record.present.public_key, *case.new.public().as_bytes());
    assert!(
        record.present.devices.is_empty(),
        "the lost phone may be any of them"
    );
    assert_eq!(record.present.sequence, before.present.sequence + 1);
    assert_eq!(case.stage(), RecoveryStage::Completed);
    assert_eq!(case.world.code(completes, &[&case.new]), Code::NoRecovery);
    // The thief comes too late.
    assert_eq!(
        case.world.code(object(&case.old), &[&case.old]),
        Code::WrongKey
    );
    assert_eq!(
        case.world.code(rotate(&case.old, &x), &[&case.old, &x]),
        Code::WrongKey
    );
}

#[test]
fn a_thief_with_the_lost_phone_cannot_run_ahead() {
    let mut case = Case::open();
    let (x, device) = (secret("x", 0), secret("device", 1));
    let add = Kind::AddDevice(AddDevice {
        address: raw(&case.old),
        public_key: public(&x),
    });
    let remove = Kind::RemoveDevice(RemoveDevice {
        address: raw(&case.old),
        public_key: public(&device),
    });
    let again = recover(&case.old, &x);
    for (kind, signers) in [
        (rotate(&case.old, &x), vec![&case.old, &x]),
        (add, vec![&case.old, &x]),
        (remove, vec![&device]),
        (again, vec![&case.a, &case.r, &x]),
    ] {
        assert_eq!(case.world.code(kind, &signers), Code::RecoveryOpen);
    }
    // It can only object, from the phone or from a device; then people decide.
    assert_eq!(case.world.code(object(&case.old), &[&device]), Code::Ok);
    case.world.apply(object(&case.old), &[&case.old]);
    assert_eq!(
        case.world.code(object(&case.old), &[&case.old]),
        Code::NoRecovery,
        "once"
    );
    case.world.pass(WAIT);
    assert_eq!(
        case.world
            .code(complete(&case.old, &case.new), &[&case.new]),
        Code::NoRecovery
    );
}

#[test]
fn another_agency_decides_a_contested_recovery_once() {
    for confirm in [true, false] {
        let mut case = Case::open();
        let second = agency(0);
        let decides = |case: &Case, by: &SecretKey| decide(&case.old, &case.new, by, confirm);
        let early = decides(&case, &second);
        assert_eq!(
            case.world.code(early, &[&second, &case.r]),
            Code::NoRecovery
        );
        case.world.apply(object(&case.old), &[&case.old]);
        let own = decides(&case, &case.a);
        assert_eq!(
            case.world.code(own, &[&case.a, &case.r]),
            Code::NotEntitled,
            "who opened it does not decide it"
        );
        let alone = decides(&case, &second);
        assert_eq!(
            case.world.code(alone.clone(), &[&second]),
            Code::MissingSigner
        );
        let foreign = decide(&case.old, &secret("x", 0), &second, confirm);
        assert_eq!(
            case.world.code(foreign, &[&second, &case.r]),
            Code::NoRecovery
        );
        case.world.apply(alone.clone(), &[&second, &case.r]);
        assert_eq!(
            case.world.code(alone, &[&second, &case.r]),
            Code::NoRecovery
        );
        let (stage, key) = match confirm {
            true => (RecoveryStage::Completed, &case.new),
            false => (RecoveryStage::Rejected, &case.old),
        };
        assert_eq!(case.stage(), stage);
        assert_eq!(case.record().present.public_key, *key.public().as_bytes());
        // The account lives on, and can be recovered again.
        let next = secret("next", 5);
        assert_eq!(
            case.world.code(rotate(&case.old, &next), &[key, &next]),
            Code::Ok
        );
        let again = recover(&case.old, &next);
        assert_eq!(case.world.code(again, &[&case.a, &case.r, &next]), Code::Ok);
    }
}

#[test]
fn a_false_authority_that_suspends_first_is_objected_to_all_the_same() {
    let mut case = Case::open();
    case.world.apply(suspend(&case.old, &case.r), &[&case.r]);
    case.world.apply(object(&case.old), &[&case.old]);
    assert_eq!(case.stage(), RecoveryStage::Contested);
}

#[test]
fn a_recovery_that_nobody_decides_ends_by_itself() {
    for contested in [false, true] {
        let mut case = Case::open();
        if contested {
            case.world.apply(object(&case.old), &[&case.old]);
        }
        case.world.pass(2 * WAIT);
        let second = agency(0);
        for (kind, signers) in [
            (complete(&case.old, &case.new), vec![&case.new]),
            (object(&case.old), vec![&case.old]),
            (
                decide(&case.old, &case.new, &second, true),
                vec![&second, &case.r],
            ),
        ] {
            assert_eq!(case.world.code(kind, &signers), Code::NoRecovery);
        }
        let x = secret("x", 0);
        assert_eq!(
            case.world.code(rotate(&case.old, &x), &[&case.old, &x]),
            Code::Ok
        );
        let again = recover(&case.old, &case.new);
        assert_eq!(
            case.world.code(again, &[&case.a, &case.r, &case.new]),
            Code::Ok
        );
    }
}

#[test]
fn an_account_that_ends_is_not_recovered() {
    let mut case = Case::open();
    let end = Kind::RevokeIdentity(RevokeIdentity {
        address: raw(&case.old),
        agency: raw(&case.a),
        registrar: raw(&case.r),
        reason: 1,
        end: IdentityEnd::Deceased as i32,
    });
    case.world.apply(end, &[&case.a, &case.r]);
    case.world.pass(WAIT);
    for (kind, signers) in [
        (complete(&case.old, &case.new), vec![&case.new]),
        (object(&case.old), vec![&case.old]),
    ] {
        assert_eq!(case.world.code(kind, &signers), Code::Ended);
    }
}
