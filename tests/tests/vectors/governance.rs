//! Proposals, votes, and what main's state holds of them.

use certchain_config::{Application, Governance, Name, OrganisationCode};
use certchain_ledger::{
    governance::{
        CastVote, Change, Member, MembersRecord, Observer, Offer, OffersRecord, ParameterTable,
        ProposalId, ProposalList, ProposalRecord, ProposalState, RegistrarsRecord, RulesRecord,
        TypesRecord, Voter, keys,
    },
    state::StateKey,
};
use certchain_proto::{
    Epoch, Height, TimeMs, ValidatorIndex,
    hash::ValueHash,
    wire::v1::{
        AcceptAccreditation, Code, Propose, ValidatorApplication, Vote, VoteChoice, propose,
        transaction_body::Kind,
    },
};
use serde_json::{Map, Value, json};

use crate::{
    golden::{check, fields, hex},
    scenario::{AGENCY, OTHER_AGENCY, REGISTRAR, START, VOTE, address, genesis, secret},
};

fn id() -> ProposalId {
    ProposalId::from_bytes([0xf1; 32])
}

fn types(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// One change of each kind.
fn changes() -> Vec<Change> {
    let mut limits = genesis().limits.clone();
    limits.block_bytes = 1_048_576;
    vec![
        Change::AccreditAgency {
            agency: address(OTHER_AGENCY),
            types: types(&["degree", "licence"]),
        },
        Change::WithdrawAccreditation {
            agency: address(AGENCY),
            types: types(&["licence"]),
        },
        Change::AppointRegistrar {
            address: address(OTHER_AGENCY),
        },
        Change::DismissRegistrar {
            address: address(REGISTRAR),
        },
        Change::SetParameters(Box::new(ParameterTable {
            limits,
            timers: genesis().timers.clone(),
            governance: Governance {
                threshold_percent: 75,
                ..Governance::default()
            },
        })),
        Change::SetTagKeyVersion { version: 300 },
        Change::AdmitValidator(Box::new(application(REGISTRAR, AGENCY))),
        Change::RemoveValidator {
            vote_key: voter(2).vote_key,
            follow_ms: 86_400_000,
        },
        Change::RotateValidatorKeys {
            vote_key: voter(3).vote_key,
            application: Box::new(application(AGENCY, OTHER_AGENCY)),
        },
        Change::AdmitObserver {
            name: "archive".to_owned(),
            network_key: *secret(OTHER_AGENCY).public().as_bytes(),
        },
        Change::DismissObserver {
            network_key: *secret(AGENCY).public().as_bytes(),
        },
    ]
}

/// What the operator of a node signs who asks to vote with these keys.
fn application(vote: u8, network: u8) -> Application {
    Application::sign(
        genesis().chain_id(),
        Name::parse("harbour").unwrap(),
        OrganisationCode::parse("HARBOUR-8").unwrap(),
        &secret(vote),
        &secret(network),
    )
}

/// Every kind with its signers in order.
pub fn kinds() -> Vec<(Kind, Vec<u8>)> {
    let propose = |(place, change): (usize, Change)| {
        let validator = place % VOTE.len();
        let message = Propose {
            epoch: place as u64 / 3,
            validator: validator as u32,
            execution_height: 1_000 + place as u64,
            change: Some(change.to_wire()),
        };
        (Kind::Propose(message), vec![VOTE[validator]])
    };
    let mut kinds: Vec<_> = changes().into_iter().enumerate().map(propose).collect();
    for (validator, choice) in [(0, VoteChoice::Approve), (3, VoteChoice::Reject)] {
        let message = Vote {
            epoch: 0,
            validator,
            proposal: id().as_bytes().to_vec(),
            choice: choice.into(),
        };
        kinds.push((Kind::Vote(message), vec![VOTE[validator as usize]]));
    }
    let message = AcceptAccreditation {
        proposal: id().as_bytes().to_vec(),
        agency: address(OTHER_AGENCY).as_bytes().to_vec(),
    };
    kinds.push((Kind::AcceptAccreditation(message), vec![OTHER_AGENCY]));
    kinds
}

/// Leaves numbers that are 0 out, as the messages do.
fn numbers(values: &[(&str, u64)]) -> Map<String, Value> {
    let set = values.iter().filter(|(_, value)| *value != 0);
    set.map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect()
}

fn table(of: &str, table: &ParameterTable) -> Value {
    let prefix = format!("{of}.");
    let named = table.named();
    let values: Vec<_> = named
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(&prefix)?, *value)))
        .collect();
    Value::Object(numbers(&values))
}

fn change(change: &propose::Change) -> (&'static str, Value) {
    match (change, Change::from_wire(Some(change)).unwrap()) {
        (propose::Change::AccreditAgency(m), _) => (
            "accredit_agency",
            json!({ "agency": hex(&m.agency), "types": m.types }),
        ),
        (propose::Change::WithdrawAccreditation(m), _) => (
            "withdraw_accreditation",
            json!({ "agency": hex(&m.agency), "types": m.types }),
        ),
        (propose::Change::AppointRegistrar(m), _) => {
            ("appoint_registrar", json!({ "address": hex(&m.address) }))
        }
        (propose::Change::DismissRegistrar(m), _) => {
            ("dismiss_registrar", json!({ "address": hex(&m.address) }))
        }
        (propose::Change::SetParameters(_), Change::SetParameters(parameters)) => (
            "set_parameters",
            json!({
                "limits": table("limits", &parameters),
                "timers": table("timers", &parameters),
                "governance": table("governance", &parameters),
            }),
        ),
        (propose::Change::SetTagKeyVersion(m), _) => {
            ("set_tag_key_version", json!({ "version": m.version }))
        }
        (propose::Change::AdmitValidator(m), _) => (
            "admit_validator",
            json!({ "application": applied(m.application.as_ref().unwrap()) }),
        ),
        (propose::Change::RemoveValidator(m), _) => (
            "remove_validator",
            json!({ "vote_key": hex(&m.vote_key), "follow_ms": m.follow_ms }),
        ),
        (propose::Change::RotateValidatorKeys(m), _) => (
            "rotate_validator_keys",
            json!({
                "vote_key": hex(&m.vote_key),
                "application": applied(m.application.as_ref().unwrap()),
            }),
        ),
        (propose::Change::AdmitObserver(m), _) => (
            "admit_observer",
            json!({ "name": m.name, "network_key": hex(&m.network_key) }),
        ),
        (propose::Change::DismissObserver(m), _) => (
            "dismiss_observer",
            json!({ "network_key": hex(&m.network_key) }),
        ),
        (propose::Change::SetParameters(_), other) => panic!("{other:?}"),
    }
}

fn applied(m: &ValidatorApplication) -> Value {
    json!({
        "name": m.name,
        "organisation_code": m.organisation_code,
        "vote_key": hex(&m.vote_key),
        "network_key": hex(&m.network_key),
        "vote_signature": hex(&m.vote_signature),
        "network_signature": hex(&m.network_signature),
    })
}

/// The message's fields by their names in the .proto file; defaults are left out.
pub fn message(kind: &Kind) -> (&'static str, Value) {
    match kind {
        Kind::Propose(m) => {
            let mut value = numbers(&[
                ("epoch", m.epoch),
                ("validator", m.validator.into()),
                ("execution_height", m.execution_height),
            ]);
            let (name, change) = change(m.change.as_ref().unwrap());
            value.insert(name.to_owned(), change);
            ("propose", Value::Object(value))
        }
        Kind::Vote(m) => {
            let mut value = numbers(&[("epoch", m.epoch), ("validator", m.validator.into())]);
            value.insert("proposal".to_owned(), json!(hex(&m.proposal)));
            value.insert("choice".to_owned(), json!(m.choice));
            ("vote", Value::Object(value))
        }
        Kind::AcceptAccreditation(m) => (
            "accept_accreditation",
            json!({ "proposal": hex(&m.proposal), "agency": hex(&m.agency) }),
        ),
        _ => panic!("the other kinds stand elsewhere"),
    }
}

fn voter(place: u16) -> Voter {
    Voter {
        epoch: Epoch::new(2),
        validator: ValidatorIndex::new(place),
        vote_key: *secret(VOTE[usize::from(place)]).public().as_bytes(),
    }
}

/// A proposal of each change, in each state.
fn proposals() -> Vec<ProposalRecord> {
    let states = [
        ProposalState::Open,
        ProposalState::Accepted {
            height: Height::new(40),
        },
        ProposalState::Rejected {
            height: Height::new(41),
        },
        ProposalState::Executed,
        ProposalState::Expired,
        ProposalState::Failed {
            code: Code::LastRegistrar as u16,
        },
    ];
    let votes = [(1, true), (3, false)].map(|(place, approve)| CastVote {
        voter: voter(place),
        approve,
        height: Height::new(39),
        time: TimeMs::new(START + 39_000),
    });
    let record = |(place, (change, state)): (usize, (Change, ProposalState))| ProposalRecord {
        proposer: voter(0),
        change,
        opened_height: Height::new(30),
        opened_time: TimeMs::new(START + 30_000),
        ends: TimeMs::new(START + 604_830_000),
        execution_height: Height::new(50),
        votes: votes.iter().take(place).copied().collect(),
        state,
    };
    let pairs = changes().into_iter().zip(states.into_iter().cycle());
    pairs.enumerate().map(record).collect()
}

fn record(of: &str, fields: Value, encoded: Vec<u8>) -> Value {
    json!({
        "record": of,
        "fields": fields,
        "encoded": hex(&encoded),
        "value_hash": hex(ValueHash::of(&encoded).as_bytes()),
    })
}

#[test]
fn governance() {
    let mut records: Vec<Value> = proposals()
        .iter()
        .map(|proposal| record("proposal", fields(proposal), proposal.encode()))
        .collect();
    let rules = RulesRecord {
        rules: Governance::default(),
    };
    records.push(record("rules", fields(&rules), rules.encode()));
    let list = ProposalList {
        ids: vec![id(), ProposalId::from_bytes([0xf2; 32])],
    };
    records.push(record("proposals", fields(&list), list.encode()));
    let offers = OffersRecord {
        offers: vec![Offer {
            proposal: id(),
            height: Height::new(50),
            types: types(&["degree", "licence"]),
        }],
    };
    records.push(record("offers", fields(&offers), offers.encode()));
    let registrars = RegistrarsRecord {
        addresses: vec![address(REGISTRAR), address(OTHER_AGENCY)],
    };
    records.push(record(
        "registrars",
        fields(&registrars),
        registrars.encode(),
    ));
    let known = TypesRecord {
        names: types(&["degree", "licence"]),
    };
    records.push(record("types", fields(&known), known.encode()));
    let member = |name: &str, signed| Member {
        name: name.to_owned(),
        organisation_code: name.to_uppercase(),
        signed: Height::new(signed),
    };
    let observer = |name: &str, key: u8, until| Observer {
        name: name.to_owned(),
        network_key: *secret(key).public().as_bytes(),
        until,
    };
    let members = MembersRecord {
        members: vec![member("harbour", 0), member("customs", 300)],
        observers: vec![
            observer("archive", OTHER_AGENCY, None),
            observer("taxation", AGENCY, Some(TimeMs::new(START + 90_000_000))),
        ],
    };
    records.push(record("members", fields(&members), members.encode()));
    let key = |key: StateKey| hex(key.as_bytes());
    check(
        "governance.json",
        &json!({
            "records": records,
            "keys": {
                "proposal_id": hex(id().as_bytes()),
                "vote_key": hex(voter(1).vote_key),
                "agency": hex(address(OTHER_AGENCY).as_bytes()),
                "rules": key(keys::rules()),
                "proposal": key(keys::proposal(&id())),
                "open": key(keys::open(&voter(1).vote_key)),
                "due_258": key(keys::due(Height::new(258))),
                "offers": key(keys::offers(&address(OTHER_AGENCY))),
                "registrars": key(keys::registrars()),
                "types": key(keys::types()),
                "members": key(keys::members()),
            },
            "application": {
                "chain": hex(genesis().chain_id().as_bytes()),
                "fields": fields(&application(REGISTRAR, AGENCY)),
            },
        }),
    );
}
