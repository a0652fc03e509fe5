//! The rules by table: what is refused with which code, and what votes lead to.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{collections::HashMap, sync::Arc};

use certchain_proto::{
    Address, Epoch, Height, SecretKey, TimeMs, Validator, ValidatorSet, codec,
    transaction::Transaction,
    wire::v1::{
        AcceptAccreditation, Code, IdentityKind as WireKind, Propose, SuspendIdentity, Vote,
        VoteChoice, propose::Change as WireChange, transaction_body::Kind,
    },
};

use super::{
    Change, GovernanceApplication, Member, MembersRecord, OffersRecord, ParameterTable, ProposalId,
    ProposalRecord, ProposalState, RegistrarsRecord, TypesRecord, changes, keys, preview,
    read_members, read_proposal,
};
use crate::{
    execution::{
        Application, BlockContext, Effects, ParentSigners, check_envelope, evaluate, run_block,
    },
    fixtures::{Network, START, address_of, secret, verified},
    genesis::GenesisBlock,
    identity::{self, IdentityKind, IdentityRecord},
    parameters::ChainParameters,
    refusal::Refusal,
    state::StateKey,
    validator_set::decode_set,
    view::{StateView, Value},
};

mod disk;
mod membership;
mod random;
mod voting;

const UNTIL: TimeMs = TimeMs::new(START.get() + 600_000);

/// Main without a disk: blocks run on values in memory.
struct World {
    network: Network,
    state: HashMap<StateKey, Value>,
    parameters: ChainParameters,
    validators: ValidatorSet,
    height: u64,
    time: u64,
    nonce: u64,
    /// Vote keys of nodes that are down: they sign nothing.
    down: Vec<[u8; 32]>,
}

impl World {
    fn new() -> Self {
        Self::of(4)
    }

    fn of(validators: u64) -> Self {
        let network = Network::new(validators);
        let genesis = GenesisBlock::main(&network.genesis).unwrap();
        let mut state: HashMap<_, _> = genesis
            .leaves
            .iter()
            .map(|(k, v)| (*k, Arc::clone(v)))
            .collect();
        let names = ["degree", "diploma", "licence"].map(str::to_owned);
        let types = TypesRecord {
            names: names.to_vec(),
        };
        state.insert(keys::types(), types.encode().into());
        Self {
            network,
            state,
            parameters: genesis.parameters,
            validators: genesis.validators,
            height: 0,
            time: START.get(),
            nonce: 1_000,
            down: Vec::new(),
        }
    }

    fn context(&self) -> BlockContext<'_> {
        BlockContext {
            chain: self.network.chain(),
            height: Height::new(self.height + 1),
            time: TimeMs::new(self.time + 1),
            parameters: &self.parameters,
            validators: &self.validators,
            main: None,
            blocks: None,
        }
    }

    fn evaluate(&self, transaction: &Transaction) -> Result<Effects, Refusal> {
        let block = self.context();
        check_envelope(transaction, block.chain, block.parameters, block.time)?;
        evaluate(&GovernanceApplication, &self.state, &block, transaction).unwrap()
    }

    fn sign(&mut self, kind: Kind, signers: &[&SecretKey]) -> Transaction {
        self.nonce += 1;
        self.network.signed(kind, UNTIL, self.nonce, signers)
    }

    /// What a transaction would be told, alone.
    fn code(&mut self, kind: Kind, signers: &[&SecretKey]) -> Code {
        let transaction = self.sign(kind, signers);
        match self.evaluate(&transaction) {
            Ok(effects) => {
                let readable = GovernanceApplication.reads(&transaction);
                for (key, _) in &effects.writes {
                    let past = key.namespace() == identity::keys::PAST;
                    assert!(past || readable.contains(key), "{key} is written unseen");
                }
                Code::Ok
            }
            Err(refusal) => {
                assert!(refusal.to_string().len() > 15, "no sentence: {refusal}");
                refusal.code()
            }
        }
    }

    /// One block with these transactions, each admissible; their codes.
    fn block(&mut self, transactions: Vec<Transaction>) -> Vec<Code> {
        let alone = transactions
            .iter()
            .map(|transaction| self.evaluate(transaction).unwrap());
        let alone = alone.collect();
        self.run(transactions, alone)
    }

    /// One block whose transactions have been evaluated; their codes.
    fn run(&mut self, transactions: Vec<Transaction>, alone: Vec<Effects>) -> Vec<Code> {
        let mut vote_keys = Vec::new();
        if self.height > 0 {
            vote_keys.extend(self.validators.iter().map(|(_, m)| *m.vote_key.as_bytes()));
            vote_keys.retain(|key| !self.down.contains(key));
        }
        let parent = ParentSigners {
            height: Height::new(self.height),
            vote_keys,
        };
        let done = run_block(
            &GovernanceApplication,
            &self.state,
            &self.context(),
            &verified(transactions),
            alone,
            &parent,
        )
        .unwrap();
        for (key, value) in done.writes {
            match value {
                Some(value) => self.state.insert(key, value),
                None => self.state.remove(&key),
            };
        }
        self.height += 1;
        self.time += 1;
        let value = &self.state[&identity::keys::parameters()];
        self.parameters = ChainParameters::decode(value).unwrap();
        let epoch = self.validators.epoch();
        self.validators = decode_set(&self.state[&identity::keys::validators()]).unwrap();
        assert!(self.validators.epoch() <= epoch.next());
        done.receipts.iter().map(|receipt| receipt.code()).collect()
    }

    fn apply(&mut self, kind: Kind, signers: &[&SecretKey]) -> ProposalId {
        let transaction = self.sign(kind, signers);
        let id = transaction.id();
        assert_eq!(self.block(vec![transaction]), [Code::Ok]);
        id
    }

    /// Empty blocks up to a height.
    fn run_to(&mut self, height: u64) {
        while self.height < height {
            self.block(Vec::new());
        }
    }

    fn propose_kind(&self, by: u64, in_blocks: u64, change: &Change) -> Kind {
        Kind::Propose(Propose {
            epoch: self.validators.epoch().get(),
            validator: by as u32,
            execution_height: self.height + 1 + in_blocks,
            change: Some(change.to_wire()),
        })
    }

    fn propose(&mut self, by: u64, in_blocks: u64, change: &Change) -> ProposalId {
        let kind = self.propose_kind(by, in_blocks, change);
        self.apply(kind, &[&vote_key(by)])
    }

    fn vote_kind(&self, by: u64, proposal: &ProposalId, approve: bool) -> Kind {
        let choice = match approve {
            true => VoteChoice::Approve,
            false => VoteChoice::Reject,
        };
        Kind::Vote(Vote {
            epoch: self.validators.epoch().get(),
            validator: by as u32,
            proposal: proposal.as_bytes().to_vec(),
            choice: choice.into(),
        })
    }

    fn vote(&mut self, by: u64, proposal: &ProposalId, approve: bool) {
        let kind = self.vote_kind(by, proposal, approve);
        self.apply(kind, &[&vote_key(by)]);
    }

    fn accept_kind(agency: &SecretKey, proposal: &ProposalId) -> Kind {
        Kind::AcceptAccreditation(AcceptAccreditation {
            proposal: proposal.as_bytes().to_vec(),
            agency: address_of(agency).as_bytes().to_vec(),
        })
    }

    /// Proposed, approved by three of four, and carried out.
    fn decide(&mut self, change: &Change) -> ProposalRecord {
        let id = self.propose(0, 5, change);
        for by in 0..3 {
            self.vote(by, &id, true);
        }
        let due = self.record(&id).execution_height.get();
        self.run_to(due);
        self.record(&id)
    }

    fn record(&self, id: &ProposalId) -> ProposalRecord {
        read_proposal(&self.state, id).unwrap().unwrap()
    }

    fn account(&self, key: &SecretKey) -> IdentityRecord {
        changes::account(&self.state, &address_of(key)).unwrap()
    }

    fn registrars(&self) -> Vec<Address> {
        let value = &self.state[&keys::registrars()];
        RegistrarsRecord::decode(value).unwrap().addresses
    }

    fn register(&mut self, n: u64, kind: WireKind) -> SecretKey {
        let mut message = self.network.register_message(n);
        message.kind = kind as i32;
        if kind == WireKind::Organisation || kind == WireKind::Verifier {
            message.organisation_code = format!("CODE-{n}");
        }
        let holder = Network::holder(n);
        let (agency, registrar) = (agency(0), secret("registrar", 0));
        self.apply(
            Kind::RegisterIdentity(message),
            &[&agency, &registrar, &holder],
        );
        holder
    }

    fn suspend(&mut self, whom: &SecretKey) {
        let registrar = secret("registrar", 0);
        let kind = Kind::SuspendIdentity(SuspendIdentity {
            address: address_of(whom).as_bytes().to_vec(),
            authority: address_of(&registrar).as_bytes().to_vec(),
            reason: 1,
        });
        self.apply(kind, &[&registrar]);
    }

    /// Another set from the next block on, whatever the rules say.
    fn change_set(&mut self, numbers: &[u64]) {
        let members = numbers.iter().map(|n| Validator {
            vote_key: vote_key(*n).public().clone(),
            network_key: *secret("network", *n).public().as_bytes(),
        });
        let epoch = Epoch::new(self.validators.epoch().get() + 1);
        self.validators = ValidatorSet::new(epoch, members.collect()).unwrap();
        let members = numbers.iter().map(|n| Member {
            name: format!("node-{n}"),
            organisation_code: format!("NODE-{n}"),
            signed: Height::new(self.height),
        });
        let record = MembersRecord {
            members: members.collect(),
            ..self.members()
        };
        let set = codec::encode(&self.validators);
        self.state.insert(identity::keys::validators(), set.into());
        self.state.insert(keys::members(), record.encode().into());
    }

    fn members(&self) -> MembersRecord {
        read_members(&self.state).unwrap()
    }
}

fn vote_key(n: u64) -> SecretKey {
    secret("vote", n)
}

fn agency(n: u64) -> SecretKey {
    secret("agency", n)
}

fn accredit(agency: &SecretKey, types: &[&str]) -> Change {
    Change::AccreditAgency {
        agency: address_of(agency),
        types: types.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn withdraw(agency: &SecretKey, types: &[&str]) -> Change {
    Change::WithdrawAccreditation {
        agency: address_of(agency),
        types: types.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn appoint(whom: &SecretKey) -> Change {
    Change::AppointRegistrar {
        address: address_of(whom),
    }
}

fn dismiss(whom: &SecretKey) -> Change {
    Change::DismissRegistrar {
        address: address_of(whom),
    }
}

fn table(world: &World, change: impl FnOnce(&mut ParameterTable)) -> Change {
    let mut table = changes::present_table(&world.state).unwrap();
    change(&mut table);
    Change::SetParameters(Box::new(table))
}

#[test]
fn a_proposal_is_refused_by_its_form() {
    let mut world = World::new();
    let good = match world.propose_kind(1, 10, &accredit(&agency(0), &["degree"])) {
        Kind::Propose(message) => message,
        other => panic!("{other:?}"),
    };
    type Spoil = fn(&mut Propose);
    fn types(m: &mut Propose) -> &mut Vec<String> {
        match m.change.as_mut().unwrap() {
            WireChange::AccreditAgency(m) => &mut m.types,
            other => panic!("{other:?}"),
        }
    }
    let cases: &[(&str, Spoil, Code)] = &[
        ("as it should be", |_| (), Code::Ok),
        ("no change", |m| m.change = None, Code::BadField),
        ("another epoch", |m| m.epoch = 1, Code::UnknownValidator),
        ("no such place", |m| m.validator = 4, Code::UnknownValidator),
        (
            "a place beyond all",
            |m| m.validator = 70_000,
            Code::UnknownValidator,
        ),
        ("another's place", |m| m.validator = 2, Code::WrongKey),
        (
            "its own height",
            |m| m.execution_height = 1,
            Code::BadExecutionHeight,
        ),
        ("the next height", |m| m.execution_height = 2, Code::Ok),
        (
            "as far as allowed",
            |m| m.execution_height = 1 + super::MAX_AHEAD,
            Code::Ok,
        ),
        (
            "further",
            |m| m.execution_height = 2 + super::MAX_AHEAD,
            Code::BadExecutionHeight,
        ),
        (
            "far beyond",
            |m| m.execution_height = u64::MAX,
            Code::BadExecutionHeight,
        ),
        ("no types", |m| types(m).clear(), Code::BadField),
        (
            "a type twice",
            |m| *types(m) = vec!["degree".into(), "degree".into()],
            Code::BadField,
        ),
        (
            "types out of order",
            |m| *types(m) = vec!["licence".into(), "degree".into()],
            Code::BadField,
        ),
        (
            "no name",
            |m| *types(m) = vec!["De gree".into()],
            Code::BadField,
        ),
        (
            "too many types",
            |m| *types(m) = (0..65).map(|n| format!("type-{n:03}")).collect(),
            Code::BadField,
        ),
        (
            "a short address",
            |m| {
                if let Some(WireChange::AccreditAgency(m)) = &mut m.change {
                    m.agency.pop();
                }
            },
            Code::BadField,
        ),
    ];
    for (why, spoil, expected) in cases {
        let mut message = good.clone();
        spoil(&mut message);
        let code = world.code(Kind::Propose(message), &[&vote_key(1)]);
        assert_eq!(code, *expected, "{why}");
    }
    let kind = || Kind::Propose(good.clone());
    assert_eq!(world.code(kind(), &[]), Code::MissingSigner);
    let both = [&vote_key(1), &vote_key(2)];
    assert_eq!(world.code(kind(), &both), Code::SurplusSigner);
    // Neither a stranger nor a registrar proposes.
    assert_eq!(
        world.code(kind(), &[&secret("stranger", 0)]),
        Code::WrongKey
    );
    assert_eq!(
        world.code(kind(), &[&secret("registrar", 0)]),
        Code::WrongKey
    );
    for message in [
        WireChange::AppointRegistrar(Default::default()),
        WireChange::DismissRegistrar(Default::default()),
        WireChange::WithdrawAccreditation(Default::default()),
        WireChange::SetParameters(Default::default()),
    ] {
        let message = Propose {
            change: Some(message),
            ..good.clone()
        };
        assert_eq!(
            world.code(Kind::Propose(message), &[&vote_key(1)]),
            Code::BadField
        );
    }
}

#[test]
fn changes_are_judged_when_they_are_proposed() {
    let mut world = World::new();
    let company = world.register(1, WireKind::Organisation);
    let citizen = world.register(2, WireKind::Citizen);
    let verifier = world.register(3, WireKind::Verifier);
    let asleep = world.register(4, WireKind::Organisation);
    world.suspend(&asleep);
    let nobody = secret("nobody", 0);
    let registrar = secret("registrar", 0);
    let same = table(&world, |_| ());
    let window = table(&world, |t| t.limits.transaction_window_ms += 1);
    let rotation = table(&world, |t| t.timers.rotation_blocks += 1);
    let staleness = table(&world, |t| t.timers.staleness_ms += 1);
    let block = table(&world, |t| t.limits.block_bytes += 1);
    let contradiction = table(&world, |t| t.limits.block_bytes = 8_192);
    let range = table(&world, |t| t.governance.open_proposals = 0);
    let tag = |version| Change::SetTagKeyVersion { version };
    let cases: Vec<(&str, Change, Code)> = vec![
        (
            "agency",
            accredit(&agency(1), &["degree", "licence"]),
            Code::Ok,
        ),
        ("organisation", accredit(&company, &["degree"]), Code::Ok),
        (
            "citizen",
            accredit(&citizen, &["degree"]),
            Code::NotEntitled,
        ),
        (
            "verifier",
            accredit(&verifier, &["degree"]),
            Code::NotEntitled,
        ),
        (
            "registrar",
            accredit(&registrar, &["degree"]),
            Code::NotEntitled,
        ),
        (
            "nobody",
            accredit(&nobody, &["degree"]),
            Code::UnknownAccount,
        ),
        ("suspended", accredit(&asleep, &["degree"]), Code::Suspended),
        (
            "no such type",
            accredit(&agency(1), &["pass"]),
            Code::UnknownType,
        ),
        (
            "held by none",
            withdraw(&agency(1), &["degree"]),
            Code::NotAccredited,
        ),
        (
            "from nobody",
            withdraw(&nobody, &["degree"]),
            Code::UnknownAccount,
        ),
        ("appoint a company", appoint(&company), Code::Ok),
        ("appoint an agency", appoint(&agency(1)), Code::NotEntitled),
        ("appoint a citizen", appoint(&citizen), Code::NotEntitled),
        ("appoint the suspended", appoint(&asleep), Code::Suspended),
        ("appoint nobody", appoint(&nobody), Code::UnknownAccount),
        ("appoint the registrar", appoint(&registrar), Code::NoChange),
        ("dismiss the last", dismiss(&registrar), Code::LastRegistrar),
        ("dismiss a company", dismiss(&company), Code::NotEntitled),
        ("dismiss nobody", dismiss(&nobody), Code::UnknownAccount),
        ("the same table", same, Code::NoChange),
        ("the window", window, Code::FixedParameter),
        ("the rotation", rotation, Code::FixedParameter),
        ("the staleness", staleness, Code::FixedParameter),
        ("larger blocks", block, Code::Ok),
        ("a contradiction", contradiction, Code::BadParameters),
        ("out of range", range, Code::BadParameters),
        ("the same version", tag(1), Code::NoChange),
        ("an older version", tag(0), Code::BadParameters),
        ("the next version", tag(2), Code::Ok),
    ];
    for (why, change, expected) in cases {
        let kind = world.propose_kind(2, 10, &change);
        assert_eq!(world.code(kind, &[&vote_key(2)]), expected, "{why}");
        // What a change would alter can be told of each of them.
        preview(&world.state, &change).unwrap();
    }
}

#[test]
fn an_agency_issues_once_it_has_accepted_and_no_longer_than_the_vote_lasts() {
    let mut world = World::new();
    let one = agency(0);
    let id = world.propose(0, 4, &accredit(&one, &["degree", "licence"]));
    for by in 0..3 {
        world.vote(by, &id, true);
    }
    let accept = |id: &ProposalId| World::accept_kind(&agency(0), id);
    assert_eq!(world.code(accept(&id), &[&one]), Code::NoOffer, "too early");
    world.run_to(5);
    assert_eq!(world.record(&id).state, ProposalState::Executed);
    assert!(world.account(&one).may_issue.is_empty(), "not accepted yet");

    assert_eq!(world.code(accept(&id), &[&agency(1)]), Code::WrongKey);
    assert_eq!(world.code(accept(&id), &[]), Code::MissingSigner);
    let other = World::accept_kind(&agency(1), &id);
    assert_eq!(world.code(other, &[&agency(1)]), Code::NoOffer);
    let registrar = secret("registrar", 0);
    let by_registrar = World::accept_kind(&registrar, &id);
    assert_eq!(world.code(by_registrar, &[&registrar]), Code::NotEntitled);
    let nobody = secret("nobody", 0);
    let by_nobody = World::accept_kind(&nobody, &id);
    assert_eq!(world.code(by_nobody, &[&nobody]), Code::UnknownAccount);
    let unknown = ProposalId::from_bytes([9; 32]);
    assert_eq!(world.code(accept(&unknown), &[&one]), Code::NoOffer);
    for (proposal, agency) in [(vec![1; 31], 32), (vec![1; 32], 31)] {
        let message = AcceptAccreditation {
            proposal,
            agency: vec![2; agency],
        };
        let kind = Kind::AcceptAccreditation(message);
        assert_eq!(world.code(kind, &[&one]), Code::BadField);
    }
    world.apply(accept(&id), &[&one]);
    assert_eq!(world.account(&one).may_issue, ["degree", "licence"]);
    assert_eq!(world.code(accept(&id), &[&one]), Code::NoOffer, "twice");

    // What it holds is no change; what it has not accepted yet can be withdrawn, too.
    let again = world.propose_kind(1, 9, &accredit(&one, &["degree"]));
    assert_eq!(world.code(again, &[&vote_key(1)]), Code::NoChange);
    let id = world.propose(0, 4, &accredit(&one, &["degree", "diploma"]));
    for by in 0..3 {
        world.vote(by, &id, true);
    }
    world.run_to(world.record(&id).execution_height.get());
    let withdrawn = world.decide(&withdraw(&one, &["degree", "diploma"]));
    assert_eq!(withdrawn.state, ProposalState::Executed);
    assert_eq!(world.account(&one).may_issue, ["licence"]);
    assert_eq!(world.code(accept(&id), &[&one]), Code::NoOffer);
    let offers = &world.state[&keys::offers(&address_of(&one))];
    assert!(OffersRecord::decode(offers).unwrap().offers.is_empty());
    assert_eq!(world.account(&one).kind, IdentityKind::Agency);
}

#[test]
fn an_organisation_that_accepts_becomes_an_agency() {
    let mut world = World::new();
    let company = world.register(1, WireKind::Organisation);
    let id = world.propose(3, 4, &accredit(&company, &["diploma"]));
    for by in 1..4 {
        world.vote(by, &id, true);
    }
    world.run_to(world.record(&id).execution_height.get());
    assert_eq!(world.account(&company).kind, IdentityKind::Organisation);
    let accept = World::accept_kind(&company, &id);
    world.suspend(&company);
    assert_eq!(world.code(accept.clone(), &[&company]), Code::Suspended);
    let registrar = secret("registrar", 0);
    let reinstate = certchain_proto::wire::v1::ReinstateIdentity {
        address: address_of(&company).as_bytes().to_vec(),
        authority: address_of(&registrar).as_bytes().to_vec(),
        reason: 1,
    };
    world.apply(Kind::ReinstateIdentity(reinstate), &[&registrar]);
    world.apply(accept, &[&company]);
    let record = world.account(&company);
    assert_eq!(record.kind, IdentityKind::Agency);
    assert_eq!(record.may_issue, ["diploma"]);
    assert_eq!(record.organisation_code, "CODE-1");
}

#[test]
fn registrars_come_and_go_and_one_always_stays() {
    let mut world = World::new();
    let old = secret("registrar", 0);
    let new = world.register(1, WireKind::Organisation);
    assert_eq!(world.decide(&appoint(&new)).state, ProposalState::Executed);
    assert_eq!(world.account(&new).kind, IdentityKind::Registrar);
    assert_eq!(world.registrars(), [address_of(&old), address_of(&new)]);

    // Two proposals that exclude each other, due at one height: the second fails.
    let first = world.propose(0, 10, &dismiss(&old));
    let due = world.record(&first).execution_height.get();
    let in_blocks = due - world.height - 1;
    let second = world.propose(1, in_blocks, &dismiss(&new));
    for id in [&first, &second] {
        for by in 0..3 {
            world.vote(by, id, true);
        }
    }
    world.run_to(due);
    assert_eq!(world.record(&first).state, ProposalState::Executed);
    let code = Code::LastRegistrar as u16;
    assert_eq!(world.record(&second).state, ProposalState::Failed { code });
    assert_eq!(world.registrars(), [address_of(&new)]);
    assert_eq!(world.account(&old).kind, IdentityKind::Organisation);

    // The old one reviews no more, the new one does.
    let message = world.network.register_message(7);
    let holder = Network::holder(7);
    let kind = Kind::RegisterIdentity(message.clone());
    let code = world.code(kind, &[&agency(0), &old, &holder]);
    assert_eq!(code, Code::NotEntitled);
    let mut message = message;
    message.registrar = address_of(&new).as_bytes().to_vec();
    let kind = Kind::RegisterIdentity(message);
    assert_eq!(world.code(kind, &[&agency(0), &new, &holder]), Code::Ok);
}

#[test]
fn parameters_and_tag_key_change_from_the_next_block_on() {
    let mut world = World::new();
    let change = table(&world, |t| {
        t.limits.transaction_bytes = 2_048;
        t.governance.open_proposals = 1;
    });
    let lines = preview(&world.state, &change).unwrap();
    let lines: Vec<_> = lines.iter().map(|line| line.what.as_str()).collect();
    assert_eq!(
        lines,
        ["limits.transaction_bytes", "governance.open_proposals"]
    );
    assert_eq!(world.decide(&change).state, ProposalState::Executed);
    assert_eq!(world.parameters.limits.transaction_bytes, 2_048);
    let tag = |version| Change::SetTagKeyVersion { version };
    let id = world.propose(0, 50, &tag(5));
    // Now one open proposal is the most.
    let another = world.propose_kind(0, 50, &tag(6));
    assert_eq!(world.code(another, &[&vote_key(0)]), Code::TooManyProposals);
    for by in 0..3 {
        world.vote(by, &id, true);
    }
    world.run_to(world.record(&id).execution_height.get());
    assert_eq!(world.parameters.tag_key_version, 5);
    assert_eq!(world.parameters.limits.transaction_bytes, 2_048);
    let message = world.network.register_message(1);
    let (agency, registrar) = (agency(0), secret("registrar", 0));
    let signers = [&agency, &registrar, &Network::holder(1)];
    let old = Kind::RegisterIdentity(message.clone());
    assert_eq!(world.code(old, &signers), Code::BadField);
    let mut message = message;
    message.tag_key_version = 5;
    assert_eq!(
        world.code(Kind::RegisterIdentity(message), &signers),
        Code::Ok
    );
}

#[test]
fn an_agency_cannot_be_buried_in_offers() {
    let mut world = World::new();
    let names: Vec<String> = (0..100).map(|n| format!("type-{n:03}")).collect();
    let types = TypesRecord {
        names: names.clone(),
    };
    world.state.insert(keys::types(), types.encode().into());
    let offer = |names: &[String]| Change::AccreditAgency {
        agency: address_of(&agency(0)),
        types: names.to_vec(),
    };
    for n in 0..super::MAX_OFFERS {
        let record = world.decide(&offer(&names[n..=n]));
        assert_eq!(record.state, ProposalState::Executed, "{n}");
    }
    let kind = world.propose_kind(1, 5, &offer(&names[50..51]));
    assert_eq!(world.code(kind, &[&vote_key(1)]), Code::TooManyOffers);

    let mut world = World::new();
    world.state.insert(keys::types(), types.encode().into());
    for part in [&names[..64], &names[..60]] {
        world.decide(&offer(part));
    }
    // 124 wait; five more would be more than an agency has.
    let kind = world.propose_kind(1, 5, &offer(&names[90..95]));
    assert_eq!(world.code(kind, &[&vote_key(1)]), Code::TooManyOffers);
}

/// Golden: these keys are part of the chain's format.
#[test]
fn state_keys_have_one_length_per_namespace() {
    let id = ProposalId::from_bytes([0xab; 32]);
    let address = Address::from_bytes([0xcd; 32]);
    let (ab, cd) = ("ab".repeat(32), "cd".repeat(32));
    let expected = [
        (keys::rules(), "30".to_owned()),
        (keys::proposal(&id), format!("31{ab}")),
        (keys::open(&[0xab; 32]), format!("32{ab}")),
        (keys::due(Height::new(258)), "330000000000000102".to_owned()),
        (keys::offers(&address), format!("34{cd}")),
        (keys::registrars(), "35".to_owned()),
        (keys::types(), "36".to_owned()),
    ];
    for (key, expected) in expected {
        assert_eq!(hex::encode(key.as_bytes()), expected);
    }
    let world = World::new();
    assert!(
        world
            .state
            .value(&keys::due(Height::new(1)))
            .unwrap()
            .is_none()
    );
}
