//! Devices: more keys that sign for an account.

use super::*;

fn add(of: &SecretKey, device: &SecretKey) -> Kind {
    Kind::AddDevice(AddDevice {
        address: raw(of),
        public_key: public(device),
    })
}

fn remove(of: &SecretKey, device: &SecretKey) -> Kind {
    Kind::RemoveDevice(RemoveDevice {
        address: raw(of),
        public_key: public(device),
    })
}

fn device(n: u64) -> SecretKey {
    secret("device", n)
}

#[test]
fn the_main_key_adds_and_removes_devices_and_a_device_only_itself() {
    let mut world = World::new();
    let (holder, one, two) = (Network::holder(1), device(1), device(2));
    let adds = add(&holder, &one);
    assert_eq!(
        world.code(adds.clone(), &[&holder, &one]),
        Code::UnknownAccount
    );
    world.register(1);
    world.register(2);
    assert_eq!(
        world.code(adds.clone(), &[&one, &holder]),
        Code::MissingSigner
    );
    assert_eq!(world.code(adds.clone(), &[&holder]), Code::MissingSigner);
    assert_eq!(
        world.code(adds.clone(), &[&holder, &two]),
        Code::MissingSigner
    );
    assert_eq!(
        world.code(adds.clone(), &[&agency(0), &one]),
        Code::WrongKey
    );
    let taken = Network::holder(2);
    assert_eq!(
        world.code(add(&holder, &taken), &[&holder, &taken]),
        Code::KeyTaken
    );
    world.apply(adds.clone(), &[&holder, &one]);
    assert_eq!(world.code(adds, &[&holder, &one]), Code::KeyTaken);
    // A device neither adds another nor takes the account over.
    let by_device = world.code(add(&holder, &two), &[&one, &two]);
    assert_eq!(by_device, Code::WrongKey);
    let next = secret("next", 0);
    assert_eq!(
        world.code(rotate(&holder, &next), &[&one, &next]),
        Code::WrongKey
    );
    world.apply(add(&holder, &two), &[&holder, &two]);
    assert_eq!(world.code(remove(&holder, &two), &[&one]), Code::WrongKey);
    assert_eq!(
        world.code(remove(&holder, &device(9)), &[&holder]),
        Code::UnknownDevice
    );
    // A key that another account got is no device of this one, whoever signs.
    assert_eq!(
        world.code(remove(&holder, &taken), &[&taken]),
        Code::UnknownDevice
    );
    world.apply(remove(&holder, &one), &[&one]);
    assert_eq!(
        world.code(remove(&holder, &one), &[&holder]),
        Code::UnknownDevice
    );
    let record = world.record(&address_of(&holder));
    assert_eq!(record.present.devices, [*two.public().as_bytes()]);
    // What each key was at its time stays provable.
    let past: Vec<usize> = (0..3)
        .map(|n| world.past(&address_of(&holder), n).version.devices.len())
        .collect();
    assert_eq!(past, [0, 1, 2]);
    // A removed key is in use for ever.
    assert_eq!(
        world.code(add(&holder, &one), &[&holder, &one]),
        Code::KeyTaken
    );
}

#[test]
fn devices_sign_for_the_account_until_they_are_removed() {
    let mut world = World::new();
    let (a, one, subject) = (agency(0), device(1), Network::holder(3));
    world.register(3);
    let suspends = suspend(&subject, &a);
    assert_eq!(world.code(suspends.clone(), &[&one]), Code::WrongKey);
    world.apply(add(&a, &one), &[&a, &one]);
    assert_eq!(world.code(suspends.clone(), &[&one]), Code::Ok);
    assert_eq!(world.code(suspends.clone(), &[&a]), Code::Ok);
    let message = world.network.register_message(4);
    let (r, holder) = (registrar(), Network::holder(4));
    assert_eq!(
        world.code(Kind::RegisterIdentity(message), &[&one, &r, &holder]),
        Code::Ok
    );
    // Rotation of the main key leaves the devices.
    let next = secret("next", 0);
    world.apply(rotate(&a, &next), &[&a, &next]);
    assert_eq!(world.code(suspends.clone(), &[&one]), Code::Ok);
    assert_eq!(world.code(suspends.clone(), &[&a]), Code::WrongKey);
    world.apply(remove(&a, &one), &[&next]);
    assert_eq!(world.code(suspends, &[&one]), Code::WrongKey);
}

#[test]
fn an_account_has_few_devices() {
    let mut world = World::new();
    let holder = Network::holder(1);
    world.register(1);
    for n in 0..MAX_DEVICES as u64 {
        world.apply(add(&holder, &device(n)), &[&holder, &device(n)]);
    }
    let more = device(100);
    assert_eq!(
        world.code(add(&holder, &more), &[&holder, &more]),
        Code::TooManyDevices
    );
    let devices = world.record(&address_of(&holder)).present.devices;
    assert_eq!(devices.len(), MAX_DEVICES);
    assert!(devices.is_sorted());
    world.apply(remove(&holder, &device(3)), &[&holder]);
    world.apply(add(&holder, &more), &[&holder, &more]);
}

#[test]
fn any_key_suspends_its_own_account_and_none_lifts_it() {
    let mut world = World::new();
    let (holder, one) = (Network::holder(1), device(1));
    world.register(1);
    world.apply(add(&holder, &one), &[&holder, &one]);
    for key in [&holder, &one] {
        assert_eq!(world.code(suspend(&holder, &holder), &[key]), Code::Ok);
    }
    world.apply(suspend(&holder, &holder), &[&one]);
    for key in [&holder, &one] {
        assert_eq!(
            world.code(suspend(&holder, &holder), &[key]),
            Code::Suspended
        );
        assert_eq!(
            world.code(reinstate(&holder, &holder), &[key]),
            Code::NotEntitled
        );
    }
    let two = device(2);
    assert_eq!(
        world.code(add(&holder, &two), &[&holder, &two]),
        Code::Suspended
    );
    assert_eq!(
        world.code(remove(&holder, &one), &[&holder]),
        Code::Suspended
    );
    let r = registrar();
    world.apply(reinstate(&holder, &r), &[&r]);
    assert_eq!(
        world.record(&address_of(&holder)).present.status,
        IdentityStatus::Active
    );
}
