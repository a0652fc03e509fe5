//! The life of an identity, all of it: every state with every step. `docs/identities.md` shows the
//! result and the table of what each kind of account may do; these tests compare, and with
//! `CERTCHAIN_BLESS=1` write, so that the page is never something else than the code.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    sync::{Mutex, PoisonError},
};

use super::*;

/// Where an identity can be. The recovery beside a status is the one that is open.
const STATES: [&str; 9] = [
    "unregistered",
    "active",
    "active_waiting",
    "active_contested",
    "suspended",
    "suspended_waiting",
    "suspended_contested",
    "revoked",
    "deceased",
];

/// What can be done to it.
const STEPS: [&str; 13] = [
    "register",
    "rotate",
    "add_device",
    "remove_device",
    "suspend",
    "reinstate",
    "revoke",
    "decease",
    "recover",
    "object",
    "confirm",
    "reject",
    "complete",
];

fn holder() -> SecretKey {
    Network::holder(1)
}

fn new() -> SecretKey {
    secret("new", 1)
}

fn device() -> SecretKey {
    secret("device", 1)
}

/// A step with all its signatures.
fn step(world: &World, step: &str) -> (Kind, Vec<SecretKey>) {
    let (a, b, r) = (agency(0), agency(1), registrar());
    let address = raw(&holder());
    let ends = |end: IdentityEnd| {
        Kind::RevokeIdentity(RevokeIdentity {
            address: address.clone(),
            agency: raw(&a),
            registrar: raw(&r),
            reason: 9,
            end: end as i32,
        })
    };
    let decides = |confirm| {
        Kind::DecideRecovery(DecideRecovery {
            address: address.clone(),
            agency: raw(&a),
            registrar: raw(&r),
            public_key: public(&new()),
            confirm,
        })
    };
    match step {
        "register" => {
            let message = world.network.register_message(1);
            (Kind::RegisterIdentity(message), vec![a, r, holder()])
        }
        "rotate" => {
            let next = secret("next", 1);
            (rotate(&holder(), &next), vec![holder(), next])
        }
        "add_device" => {
            let more = secret("device", 2);
            let kind = Kind::AddDevice(AddDevice {
                address,
                public_key: public(&more),
            });
            (kind, vec![holder(), more])
        }
        "remove_device" => {
            let kind = Kind::RemoveDevice(RemoveDevice {
                address,
                public_key: public(&device()),
            });
            (kind, vec![holder()])
        }
        "suspend" => (suspend(&holder(), &a), vec![a]),
        "reinstate" => (reinstate(&holder(), &r), vec![r]),
        "revoke" => (ends(IdentityEnd::Revoked), vec![a, r]),
        "decease" => (ends(IdentityEnd::Deceased), vec![a, r]),
        "recover" => (recover(&holder(), &new()), vec![b, r, new()]),
        "object" => {
            let kind = Kind::ObjectToRecovery(ObjectToRecovery { address });
            (kind, vec![holder()])
        }
        "confirm" => (decides(true), vec![a, r]),
        "reject" => (decides(false), vec![a, r]),
        "complete" => (complete(&holder(), &new()), vec![new()]),
        other => panic!("{other} is no step"),
    }
}

fn take(world: &mut World, name: &str) {
    let (kind, signers) = step(world, name);
    world.apply(kind, &signers.iter().collect::<Vec<_>>());
}

/// A network in which the identity is in a state; a waiting recovery is due.
fn world_in(state: &str) -> World {
    let mut world = World::new();
    if state == "unregistered" {
        return world;
    }
    world.register(1);
    let adds = Kind::AddDevice(AddDevice {
        address: raw(&holder()),
        public_key: public(&device()),
    });
    world.apply(adds, &[&holder(), &device()]);
    let (status, recovery) = state.split_once('_').unwrap_or((state, ""));
    match status {
        "active" => {}
        "suspended" => take(&mut world, "suspend"),
        "revoked" => take(&mut world, "revoke"),
        "deceased" => take(&mut world, "decease"),
        other => panic!("{other} is no status"),
    }
    if !recovery.is_empty() {
        take(&mut world, "recover");
    }
    match recovery {
        "waiting" => world.pass(WAIT),
        "contested" => take(&mut world, "object"),
        _ => {}
    }
    assert_eq!(state_of(&world), state);
    world
}

fn state_of(world: &World) -> String {
    let address = address_of(&holder());
    let Some(value) = world.state.get(&keys::identity(&address)) else {
        return "unregistered".to_owned();
    };
    let status = match IdentityRecord::decode(value).unwrap().present.status {
        IdentityStatus::Active => "active",
        IdentityStatus::Suspended => "suspended",
        IdentityStatus::Revoked => "revoked",
        IdentityStatus::Deceased => "deceased",
        IdentityStatus::Closed => "closed",
    };
    let case = world.state.get(&keys::recovery(&address));
    let case = case.map(|value| RecoveryRecord::decode(value).unwrap());
    let now = world.time.saturating_add(world.height);
    let open = case.filter(|case| case.is_open(now));
    let ended = !matches!(status, "active" | "suspended");
    match open.filter(|_| !ended).map(|case| case.stage) {
        Some(RecoveryStage::Waiting) => format!("{status}_waiting"),
        Some(RecoveryStage::Contested) => format!("{status}_contested"),
        Some(RecoveryStage::Completed | RecoveryStage::Rejected) | None => status.to_owned(),
    }
}

/// Every state with every step: where it leads, or the code of the refusal.
fn transitions() -> Vec<(&'static str, &'static str, Result<String, Code>)> {
    let mut all = Vec::new();
    for state in STATES {
        for name in STEPS {
            let mut world = world_in(state);
            let (kind, signers) = step(&world, name);
            let signers: Vec<&SecretKey> = signers.iter().collect();
            let result = match world.code(kind.clone(), &signers) {
                Code::Ok => {
                    world.apply(kind, &signers);
                    Ok(state_of(&world))
                }
                code => Err(code),
            };
            all.push((state, name, result));
        }
    }
    all
}

/// Compares a part of the page with what the code says, or writes it there.
fn compare(part: &str, expected: &str) {
    // Tests run side by side, and each writes the whole page.
    static PAGE: Mutex<()> = Mutex::new(());
    let _one_at_a_time = PAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/identities.md");
    let text = fs::read_to_string(&path).unwrap();
    let (begin, end) = (
        format!("<!-- {part}: from the code -->\n"),
        "<!-- end -->".to_owned(),
    );
    let start = text.find(&begin).expect("the part is on the page") + begin.len();
    let stop = start + text[start..].find(&end).expect("the part ends");
    if std::env::var_os("CERTCHAIN_BLESS").is_some_and(|value| value == "1") {
        let text = format!("{}{expected}{}", &text[..start], &text[stop..]);
        fs::write(&path, text).unwrap();
        return;
    }
    assert_eq!(&text[start..stop], expected, "docs/identities.md is stale");
}

#[test]
fn every_step_in_every_state_is_as_the_page_shows() {
    let mut diagram = "```mermaid\nstateDiagram-v2\n    [*] --> unregistered\n".to_owned();
    let mut table = "| state |".to_owned();
    for name in STEPS {
        write!(table, " {name} |").unwrap();
    }
    table.push_str("\n| --- |");
    table.push_str(&" --- |".repeat(STEPS.len()));
    let mut last = "";
    for (state, name, result) in transitions() {
        if last != state {
            write!(table, "\n| {state} |").unwrap();
            last = state;
        }
        match result {
            Ok(to) => {
                writeln!(diagram, "    {state} --> {to}: {name}").unwrap();
                write!(table, " **{to}** |").unwrap();
            }
            Err(code) => {
                let code = code.as_str_name().trim_start_matches("CODE_");
                write!(table, " {} |", code.to_lowercase()).unwrap();
            }
        }
    }
    diagram.push_str("```\n");
    compare("diagram", &diagram);
    table.push('\n');
    compare("transitions", &table);
}

#[test]
fn nothing_leads_out_of_an_end_and_nobody_is_registered_twice() {
    for (state, name, result) in transitions() {
        if matches!(state, "revoked" | "deceased") {
            assert!(result.is_err(), "{name} leads out of {state}");
        }
        if name == "register" && state != "unregistered" {
            assert_eq!(result, Err(Code::TagTaken), "{state}");
        }
    }
}

#[test]
fn an_open_recovery_fades_when_its_time_is_over() {
    for state in STATES {
        let mut world = world_in(state);
        world.pass(2 * WAIT);
        let rests = state.split('_').next().unwrap();
        assert_eq!(state_of(&world), rests);
    }
}

#[test]
fn persons_die_and_companies_close() {
    let table = [
        (WireKind::Citizen, IdentityEnd::Deceased, Code::Ok),
        (WireKind::Citizen, IdentityEnd::Closed, Code::BadField),
        (WireKind::Organisation, IdentityEnd::Closed, Code::Ok),
        (
            WireKind::Organisation,
            IdentityEnd::Deceased,
            Code::BadField,
        ),
        (WireKind::Auditor, IdentityEnd::Deceased, Code::Ok),
    ];
    for (kind, end, code) in table {
        let mut world = World::new();
        let mut message = world.network.register_message(1);
        message.kind = kind as i32;
        if kind == WireKind::Organisation {
            message.organisation_code = "ACME-1".to_owned();
        }
        let (a, r) = (agency(0), registrar());
        world.apply(Kind::RegisterIdentity(message), &[&a, &r, &holder()]);
        let ends = |end: i32| {
            Kind::RevokeIdentity(RevokeIdentity {
                address: raw(&holder()),
                agency: raw(&a),
                registrar: raw(&r),
                reason: 1,
                end,
            })
        };
        assert_eq!(world.code(ends(end as i32), &[&a, &r]), code, "{kind:?}");
        assert_eq!(world.code(ends(3), &[&a, &r]), Code::BadField);
    }
}

#[test]
fn what_each_kind_may_do_is_as_the_page_shows() {
    let kinds = [
        (IdentityKind::Citizen, "citizen"),
        (IdentityKind::Organisation, "organisation"),
        (IdentityKind::Agency, "agency"),
        (IdentityKind::Verifier, "verifier"),
        (IdentityKind::Auditor, "auditor"),
        (IdentityKind::Registrar, "registrar"),
    ];
    let mut table = "| may |".to_owned();
    for (_, name) in kinds {
        write!(table, " {name} |").unwrap();
    }
    table.push_str("\n| --- |");
    table.push_str(&" --- |".repeat(kinds.len()));
    for act in Act::ALL {
        write!(table, "\n| {} |", act.title()).unwrap();
        for (kind, _) in kinds {
            table.push_str(if may(kind, act) { " yes |" } else { " |" });
        }
    }
    table.push('\n');
    compare("roles", &table);
}
