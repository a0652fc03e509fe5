//! Validators and observers come, go and change keys: rules G-8 to G-10 by table.

use certchain_config::{Application as Candidate, Name, OrganisationCode};
use certchain_proto::ChainId;

use super::*;
use crate::governance::{MAX_FOLLOW_MS, MAX_OBSERVERS, signed_recently};

fn candidate_on(chain: ChainId, name: &str, vote: &SecretKey, network: &SecretKey) -> Candidate {
    Candidate::sign(
        chain,
        Name::parse(name).unwrap(),
        OrganisationCode::parse(&name.to_uppercase()).unwrap(),
        vote,
        network,
    )
}

impl World {
    /// The application of node n, with its keys of that number.
    fn candidate(&self, n: u64) -> Candidate {
        let (vote, network) = (vote_key(n), secret("network", n));
        candidate_on(self.network.chain(), &format!("node-{n}"), &vote, &network)
    }

    fn admit(&self, n: u64) -> Change {
        Change::AdmitValidator(Box::new(self.candidate(n)))
    }

    /// Other keys for the validator at a place, as its operator asks for them.
    fn rotate(&self, place: usize, vote: &SecretKey, network: &SecretKey) -> Change {
        let member = &self.members().members[place];
        let application = Candidate::sign(
            self.network.chain(),
            Name::parse(&member.name).unwrap(),
            OrganisationCode::parse(&member.organisation_code).unwrap(),
            vote,
            network,
        );
        Change::RotateValidatorKeys {
            vote_key: self.key_at(place),
            application: Box::new(application),
        }
    }

    fn key_at(&self, place: usize) -> [u8; 32] {
        let mut set = self.validators.iter();
        *set.nth(place).unwrap().1.vote_key.as_bytes()
    }

    /// Decided by so many of the present set, whose numbers are given.
    fn decide_by(&mut self, voters: &[u64], change: &Change) -> ProposalRecord {
        let place = |world: &Self, n: u64| {
            let place = world.validators.index_of(vote_key(n).public());
            u64::from(place.unwrap().get())
        };
        let by = place(self, voters[0]);
        let kind = self.propose_kind(by, 10, change);
        let id = self.apply(kind, &[&vote_key(voters[0])]);
        for n in voters {
            let kind = self.vote_kind(place(self, *n), &id, true);
            self.apply(kind, &[&vote_key(*n)]);
        }
        self.run_to(self.record(&id).execution_height.get());
        self.record(&id)
    }

    fn judged(&mut self, change: &Change) -> Code {
        let kind = self.propose_kind(0, 10, change);
        let signer = self.signer_at(0);
        self.code(kind, &[&signer])
    }

    fn signer_at(&self, place: usize) -> SecretKey {
        let key = self.key_at(place);
        (0..40)
            .map(vote_key)
            .find(|secret| *secret.public().as_bytes() == key)
            .unwrap()
    }
}

fn remove(n: u64, follow_ms: u64) -> Change {
    Change::RemoveValidator {
        vote_key: *vote_key(n).public().as_bytes(),
        follow_ms,
    }
}

fn network_key(n: u64) -> [u8; 32] {
    *secret("network", n).public().as_bytes()
}

fn observe(n: u64) -> Change {
    Change::AdmitObserver {
        name: format!("observer-{n}"),
        network_key: network_key(n),
    }
}

#[test]
fn a_validator_comes_and_goes() {
    let mut world = World::new();
    world.run_to(2);
    let record = world.decide_by(&[0, 1, 2], &world.admit(7));
    assert_eq!(record.state, ProposalState::Executed);
    // The set that decides from the next height on; whoever comes stands last.
    assert_eq!(world.height, record.execution_height.get());
    let set = &world.validators;
    assert_eq!((set.epoch(), set.len()), (Epoch::new(1), 5));
    assert_eq!(set.index_of(vote_key(7).public()).unwrap().get(), 4);
    let members = world.members().members;
    assert_eq!(members.len(), 5);
    assert_eq!(members[4].name, "node-7");
    assert_eq!(members[4].organisation_code, "NODE-7");
    assert_eq!(members[4].signed, Height::ZERO);
    // It votes and proposes, and four are needed now.
    let record = world.decide_by(&[7, 0, 1, 2], &remove(3, 0));
    assert_eq!(record.state, ProposalState::Executed);
    assert_eq!(world.validators.epoch(), Epoch::new(2));
    assert_eq!(world.validators.index_of(vote_key(3).public()), None);
    assert_eq!(
        world
            .validators
            .index_of(vote_key(7).public())
            .unwrap()
            .get(),
        3
    );
    let names: Vec<_> = world
        .members()
        .members
        .into_iter()
        .map(|m| m.name)
        .collect();
    assert_eq!(names.last().map(String::as_str), Some("node-7"));
    // The removed one neither proposes nor votes.
    let kind = world.propose_kind(3, 5, &Change::SetTagKeyVersion { version: 2 });
    assert_eq!(world.code(kind, &[&vote_key(3)]), Code::WrongKey);
    assert!(world.members().observers.is_empty());
}

#[test]
fn keys_rotate_in_their_place() {
    let mut world = World::new();
    world.run_to(2);
    let change = world.rotate(1, &vote_key(11), &secret("network", 11));
    let record = world.decide_by(&[0, 1, 2], &change);
    assert_eq!(record.state, ProposalState::Executed);
    let set = &world.validators;
    assert_eq!((set.epoch(), set.len()), (Epoch::new(1), 4));
    assert_eq!(set.index_of(vote_key(11).public()).unwrap().get(), 1);
    assert_eq!(set.index_of(vote_key(1).public()), None);
    assert_eq!(set.index_of_network_key(&network_key(11)).unwrap().get(), 1);
    assert_eq!(world.members().members[1].signed, Height::ZERO);
    // The old key fails at once, the new one counts.
    let change = Change::SetTagKeyVersion { version: 2 };
    let kind = world.propose_kind(1, 5, &change);
    assert_eq!(world.code(kind.clone(), &[&vote_key(1)]), Code::WrongKey);
    assert_eq!(world.code(kind, &[&vote_key(11)]), Code::Ok);
    // The network key alone: what the vote key signed goes on to count.
    world.run_to(world.height + 2);
    let signed = world.members().members[1].signed;
    assert!(signed > Height::ZERO);
    let change = world.rotate(1, &vote_key(11), &secret("network", 12));
    world.decide_by(&[0, 11, 2], &change);
    assert_eq!(world.members().members[1].signed, signed);
    assert_eq!(world.judged(&change), Code::NoChange);
}

#[test]
fn what_is_not_the_applicants_is_refused() {
    let mut world = World::new();
    world.run_to(3);
    let chain = world.network.chain();
    let admit = |candidate| Change::AdmitValidator(Box::new(candidate));
    let good = world.candidate(7);
    assert_eq!(world.judged(&admit(good.clone())), Code::Ok);
    let elsewhere = ChainId::from_bytes([9; 32]);
    let foreign = candidate_on(elsewhere, "node-7", &vote_key(7), &secret("network", 7));
    assert_eq!(world.judged(&admit(foreign)), Code::BadSignature);
    for spoil in [
        (|c: &mut Candidate| c.vote_signature = c.network_signature) as fn(&mut Candidate),
        |c| c.network_signature = c.vote_signature,
        |c| c.name = Name::parse("another").unwrap(),
        |c| c.organisation_code = OrganisationCode::parse("ANOTHER").unwrap(),
    ] {
        let mut candidate = good.clone();
        spoil(&mut candidate);
        assert_eq!(world.judged(&admit(candidate)), Code::BadSignature);
    }
    let present = world.members().members[2].clone();
    let name = Name::parse(&present.name).unwrap();
    let code = OrganisationCode::parse(&present.organisation_code).unwrap();
    let (fresh, fresh_code) = (good.name.clone(), good.organisation_code.clone());
    let (vote, network) = (vote_key(7), secret("network", 7));
    let sign = |name: &Name, code: &OrganisationCode, vote: &SecretKey, network: &SecretKey| {
        let candidate = Candidate::sign(chain, name.clone(), code.clone(), vote, network);
        Change::AdmitValidator(Box::new(candidate))
    };
    for change in [
        sign(&name, &fresh_code, &vote, &network),
        sign(&fresh, &code, &vote, &network),
        sign(&fresh, &fresh_code, &vote_key(2), &network),
        sign(&fresh, &fresh_code, &vote, &secret("network", 2)),
        sign(&fresh, &fresh_code, &secret("network", 2), &network),
        sign(&fresh, &fresh_code, &vote, &vote),
    ] {
        assert_eq!(world.judged(&change), Code::MemberTaken);
    }
    // Rotation: of a member, by itself, to keys that nobody has.
    let other_name = Change::RotateValidatorKeys {
        vote_key: world.key_at(1),
        application: Box::new(world.candidate(7)),
    };
    assert_eq!(world.judged(&other_name), Code::NotEntitled);
    let (vote, network) = (vote_key(2), secret("network", 9));
    let change = world.rotate(1, &vote, &network);
    assert_eq!(world.judged(&change), Code::MemberTaken);
    let same = world.rotate(1, &vote_key(1), &secret("network", 1));
    assert_eq!(world.judged(&same), Code::NoChange);
    let Change::RotateValidatorKeys { application, .. } = same else {
        panic!("a rotation");
    };
    let nobody = Change::RotateValidatorKeys {
        vote_key: [7; 32],
        application,
    };
    assert_eq!(world.judged(&nobody), Code::UnknownMember);
    assert_eq!(world.judged(&remove(7, 0)), Code::UnknownMember);
    assert_eq!(world.judged(&remove(1, MAX_FOLLOW_MS)), Code::Ok);
    assert_eq!(world.judged(&remove(1, MAX_FOLLOW_MS + 1)), Code::BadField);
}

#[test]
fn malformed_messages_of_members_are_refused() {
    let mut world = World::new();
    world.run_to(2);
    let spoiled = |change: &Change, spoil: fn(&mut WireChange)| {
        let mut message = change.to_wire();
        spoil(&mut message);
        message
    };
    fn of(m: &mut WireChange) -> &mut certchain_proto::wire::v1::ValidatorApplication {
        match m {
            WireChange::AdmitValidator(m) => m.application.as_mut().unwrap(),
            other => panic!("{other:?}"),
        }
    }
    let admit = world.admit(7);
    let cases: Vec<(WireChange, Code)> = vec![
        (
            spoiled(&admit, |m| of(m).name = "Node 7".into()),
            Code::BadField,
        ),
        (
            spoiled(&admit, |m| of(m).organisation_code = "x".into()),
            Code::BadField,
        ),
        (
            spoiled(&admit, |m| of(m).vote_key.truncate(31)),
            Code::BadField,
        ),
        (
            spoiled(&admit, |m| of(m).vote_key = vec![0; 32]),
            Code::BadKey,
        ),
        (
            spoiled(&admit, |m| of(m).network_key = vec![0; 32]),
            Code::BadKey,
        ),
        (
            spoiled(&admit, |m| of(m).vote_signature.push(0)),
            Code::BadField,
        ),
        (
            spoiled(&admit, |m| of(m).network_signature.clear()),
            Code::BadField,
        ),
        (
            spoiled(&admit, |m| match m {
                WireChange::AdmitValidator(m) => m.application = None,
                other => panic!("{other:?}"),
            }),
            Code::BadField,
        ),
        (
            spoiled(&observe(8), |m| match m {
                WireChange::AdmitObserver(m) => m.network_key = vec![0; 32],
                other => panic!("{other:?}"),
            }),
            Code::BadKey,
        ),
        (
            spoiled(&remove(1, 0), |m| match m {
                WireChange::RemoveValidator(m) => m.vote_key.push(1),
                other => panic!("{other:?}"),
            }),
            Code::BadField,
        ),
    ];
    for (change, code) in cases {
        let Kind::Propose(mut message) = world.propose_kind(0, 10, &admit) else {
            panic!("a proposal");
        };
        message.change = Some(change.clone());
        let found = world.code(Kind::Propose(message), &[&vote_key(0)]);
        assert_eq!(found, code, "{change:?}");
    }
}

#[test]
fn a_set_without_a_living_quorum_is_refused() {
    // Nobody has signed yet.
    let mut world = World::new();
    assert_eq!(world.judged(&world.admit(7)), Code::NoQuorumLeft);
    world.run_to(3);
    assert_eq!(world.judged(&world.admit(7)), Code::Ok);
    // Of four one was never seen: a fifth would make four needed.
    let mut world = World::new();
    world.down.push(*vote_key(3).public().as_bytes());
    world.run_to(3);
    assert_eq!(world.judged(&world.admit(7)), Code::NoQuorumLeft);
    assert_eq!(world.judged(&remove(2, 0)), Code::Ok);
    assert_eq!(world.judged(&remove(3, 0)), Code::Ok);
    // Of three that would be left two were never seen.
    let mut world = World::new();
    for n in [2, 3] {
        world.down.push(*vote_key(n).public().as_bytes());
    }
    world.run_to(3);
    assert_eq!(world.judged(&remove(1, 0)), Code::NoQuorumLeft);
    assert_eq!(world.judged(&remove(2, 0)), Code::Ok);
    // One of one.
    let mut world = World::of(1);
    world.run_to(3);
    assert_eq!(world.judged(&remove(0, 0)), Code::NoQuorumLeft);
    assert_eq!(world.judged(&world.admit(7)), Code::NoQuorumLeft);
}

#[test]
fn what_was_signed_long_ago_does_not_count() {
    let mut world = World::new();
    world.parameters.timers.rotation_blocks = 5;
    let table = codec::encode(&world.parameters);
    let key = identity::keys::parameters();
    world.state.insert(key, table.into());
    // Windows of 20 blocks.
    world.run_to(30);
    let admit = world.admit(7);
    assert_eq!(world.judged(&admit), Code::Ok);
    world.down.push(*vote_key(3).public().as_bytes());
    // Last seen in the window of blocks 20 to 39: good up to block 59.
    world.run_to(58);
    assert_eq!(world.judged(&admit), Code::Ok);
    world.run_to(59);
    assert_eq!(world.judged(&admit), Code::NoQuorumLeft);
    let signed: Vec<_> = world
        .members()
        .members
        .iter()
        .map(|m| m.signed.get())
        .collect();
    assert_eq!(signed, [40, 40, 40, 20], "a write per window");
    world.down.clear();
    world.run_to(61);
    assert_eq!(world.judged(&admit), Code::Ok);
    assert!(!signed_recently(Height::ZERO, Height::new(1), 4, 5));
    assert!(signed_recently(Height::new(1), Height::new(1), 0, 0));
}

#[test]
fn changes_of_one_height_make_one_set() {
    let mut world = World::new();
    world.run_to(2);
    let due = world.height + 30;
    let mut ids = Vec::new();
    for (by, change) in [
        (0, world.admit(7)),
        (1, remove(3, 0)),
        (2, remove(2, 0)),
        // Seen alone it stands; after the others it would leave one of three that has signed.
        (0, world.rotate(1, &vote_key(11), &secret("network", 11))),
    ] {
        let kind = world.propose_kind(by, due - world.height - 1, &change);
        ids.push(world.apply(kind, &[&vote_key(by)]));
    }
    for id in ids.clone() {
        for by in 0..3 {
            world.vote(by, &id, true);
        }
    }
    world.run_to(due);
    let states: Vec<_> = ids.iter().map(|id| world.record(id).state).collect();
    let failed = ProposalState::Failed {
        code: Code::NoQuorumLeft as u16,
    };
    use ProposalState::Executed;
    assert_eq!(states, [Executed, Executed, Executed, failed]);
    assert_eq!(world.validators.epoch(), Epoch::new(1));
    let keys = [0, 1, 7].map(|n| *vote_key(n).public().as_bytes());
    let found: Vec<_> = (0..world.validators.len())
        .map(|p| world.key_at(p))
        .collect();
    assert_eq!(found, keys);
}

#[test]
fn observers_follow_until_their_time_is_over() {
    let mut world = World::new();
    world.run_to(2);
    assert_eq!(world.decide(&observe(8)).state, ProposalState::Executed);
    assert_eq!(world.validators.epoch(), Epoch::ZERO, "no other set");
    assert_eq!(world.judged(&observe(8)), Code::MemberTaken);
    let named = |name: &str, n| Change::AdmitObserver {
        name: name.into(),
        network_key: network_key(n),
    };
    let validator = world.members().members[0].name.clone();
    for change in [
        named("observer-8", 9),
        named("fresh", 8),
        named("fresh", 1),
        named(&validator, 9),
    ] {
        assert_eq!(world.judged(&change), Code::MemberTaken);
    }
    // Its key votes for nobody else; it may become a validator itself.
    let stranger = candidate_on(
        world.network.chain(),
        "stranger",
        &vote_key(7),
        &secret("network", 8),
    );
    let stranger = Change::AdmitValidator(Box::new(stranger));
    assert_eq!(world.judged(&stranger), Code::MemberTaken);

    // A removed validator follows for its time.
    let follow = 50;
    let record = world.decide(&remove(3, follow));
    assert_eq!(record.state, ProposalState::Executed);
    let removed_at = world.time;
    let admitted = |world: &World, time: u64| -> Vec<[u8; 32]> {
        let record = world.members();
        let all = record.admitted(&world.validators, TimeMs::new(time));
        all.collect()
    };
    let until = removed_at + follow;
    let all = |n: &[u64]| -> Vec<_> { n.iter().map(|n| network_key(*n)).collect() };
    assert_eq!(admitted(&world, until - 1), all(&[0, 1, 2, 8, 3]));
    assert_eq!(admitted(&world, until), all(&[0, 1, 2, 8]));
    // Dismissed, both kinds.
    let dismiss = |n| Change::DismissObserver {
        network_key: network_key(n),
    };
    assert_eq!(world.judged(&dismiss(5)), Code::UnknownMember);
    assert_eq!(world.judged(&dismiss(0)), Code::UnknownMember);
    assert_eq!(world.judged(&dismiss(3)), Code::Ok);
    let record = world.decide_by(&[0, 1], &dismiss(8));
    assert_eq!(record.state, ProposalState::Executed);
    assert_eq!(admitted(&world, until), all(&[0, 1, 2]));
    // Whose time is over is dropped with the next change, and takes no name.
    world.time = until + 1;
    assert_eq!(world.judged(&dismiss(3)), Code::UnknownMember);
}

#[test]
fn an_observer_becomes_a_validator() {
    let mut world = World::new();
    world.run_to(2);
    let name = "node-7".to_owned();
    let change = Change::AdmitObserver {
        name,
        network_key: network_key(7),
    };
    world.decide(&change);
    let admit = world.admit(7);
    assert_eq!(world.decide(&admit).state, ProposalState::Executed);
    assert!(world.members().observers.is_empty());
    assert_eq!(world.validators.len(), 5);
}

#[test]
fn there_is_room_for_so_many_observers() {
    let mut world = World::new();
    world.run_to(2);
    let mut record = world.members();
    for n in 0..MAX_OBSERVERS as u64 {
        record.observers.push(super::super::Observer {
            name: format!("o-{n}"),
            network_key: network_key(1_000 + n),
            until: None,
        });
    }
    world.state.insert(keys::members(), record.encode().into());
    assert_eq!(world.judged(&observe(8)), Code::TooManyMembers);
    assert_eq!(world.judged(&remove(3, 1)), Code::TooManyMembers);
    assert_eq!(world.judged(&remove(3, 0)), Code::Ok);
}

#[test]
fn a_change_is_told_in_words() {
    let mut world = World::new();
    world.run_to(2);
    for change in [
        world.admit(7),
        remove(1, 0),
        remove(1, 5),
        world.rotate(1, &vote_key(11), &secret("network", 11)),
        observe(8),
    ] {
        let lines = preview(&world.state, &change).unwrap();
        assert!(!lines.is_empty(), "{change:?}");
        assert!(
            lines.iter().all(|line| line.before != line.after),
            "{lines:?}"
        );
        assert_eq!(Change::from_wire(Some(&change.to_wire())).unwrap(), change);
    }
    let lines = preview(&world.state, &remove(1, 0)).unwrap();
    let name = &world.members().members[1].name;
    assert_eq!(lines[0].what, format!("validator {name}"));
    assert_eq!(
        (lines[1].before.as_str(), lines[1].after.as_str()),
        ("4", "3")
    );
}

/// What must hold of every set, whoever came and went.
fn check_membership(world: &World, before: &ValidatorSet, height: Height) {
    let (set, record) = (&world.validators, world.members());
    assert_eq!(set.len(), record.members.len());
    let mut names: Vec<_> = record.members.iter().map(|m| m.name.as_str()).collect();
    names.extend(record.observers.iter().map(|o| o.name.as_str()));
    let codes = record.members.iter().map(|m| m.organisation_code.as_str());
    let codes: Vec<_> = codes.collect();
    let mut keys: Vec<_> = set.iter().map(|(_, m)| *m.vote_key.as_bytes()).collect();
    keys.extend(set.iter().map(|(_, m)| m.network_key));
    keys.extend(record.observers.iter().map(|o| o.network_key));
    fn distinct<T: Ord>(mut all: Vec<T>) -> bool {
        all.sort();
        all.windows(2).all(|pair| pair[0] != pair[1])
    }
    assert!(distinct(names) && distinct(codes) && distinct(keys));
    if set == before {
        return;
    }
    assert_eq!(set.epoch(), before.epoch().next());
    let rotation = world.parameters.timers.rotation_blocks;
    let recent = |m: &&Member| signed_recently(m.signed, height, before.len(), rotation);
    assert!(record.members.iter().filter(recent).count() >= set.quorum());
}

/// Sets change at random, with nodes that are down: the invariants hold and the network goes on.
#[test]
fn random_memberships() {
    for seed in 0..20 {
        let mut random = random::Random(seed);
        let mut world = World::new();
        world.parameters.timers.rotation_blocks = 3;
        let table = codec::encode(&world.parameters);
        world
            .state
            .insert(identity::keys::parameters(), table.into());
        world.run_to(2);
        let (mut next, mut changes) = (10, 0);
        for _ in 0..120 {
            next += 1;
            let place = random.below(world.validators.len() as u64) as usize;
            let someone = world.key_at(place);
            world.down.clear();
            if random.below(4) == 0 {
                world
                    .down
                    .push(world.key_at(random.below(world.validators.len() as u64) as usize));
            }
            let change = match random.below(7) {
                0..=3 if world.validators.len() == 2 => world.admit(next),
                0 | 1 => world.admit(next),
                // A set of one could not grow again: nobody else has signed.
                2 | 3 if world.validators.len() > 2 => Change::RemoveValidator {
                    vote_key: someone,
                    follow_ms: random.below(3),
                },
                4 => world.rotate(place, &vote_key(next), &secret("network", next)),
                5 => world.rotate(place, &vote_key(next), &secret("network", next - 1)),
                _ => observe(random.below(next)),
            };
            let (before, height) = (world.validators.clone(), Height::new(world.height + 1));
            let occasion = changes::Occasion {
                proposal: ProposalId::from_bytes([9; 32]),
                block: &world.context(),
            };
            let writes = changes::outcome(&world.state, occasion, &change);
            if let Ok(writes) = writes {
                changes += 1;
                for (key, value) in writes {
                    world.state.insert(key, value.unwrap());
                }
                let set = &world.state[&identity::keys::validators()];
                world.validators = decode_set(set).unwrap();
            }
            check_membership(&world, &before, height);
            world.block(Vec::new());
        }
        assert!(changes > 30, "seed {seed}: {changes} changes only");
        assert!(world.validators.len() >= 2, "seed {seed}");
    }
}
