//! Validators and observers: what each change of them demands and writes (G-8 to G-10), and what main
//! remembers of who signed.

use certchain_config::Application;
use certchain_proto::{
    Height, PublicKey, TimeMs, Validator, ValidatorSet, codec, limits::MAX_VALIDATORS,
    validators::ValidatorSetError, wire::v1::Code,
};

use super::{
    changes::{Writes, put, read},
    keys,
    record::{MAX_FOLLOW_MS, MAX_OBSERVERS, Member, MembersRecord, Observer},
};
use crate::{
    execution::{BlockContext, ParentSigners, Stop},
    identity,
    refusal::Refusal,
    validator_set::read_set,
    view::{ReadError, StateView},
};

/// Who the validators are, and who follows.
///
/// # Errors
/// If the state cannot be read.
pub fn read_members(view: &dyn StateView) -> Result<MembersRecord, ReadError> {
    let record = read(view, keys::members(), MembersRecord::decode)?;
    Ok(record.unwrap_or_default())
}

/// Rule G-9: whether a validator that was last seen to have signed at `signed` counts as alive in
/// block `height` of a chain with so many validators and this rotation interval.
pub fn signed_recently(signed: Height, height: Height, validators: usize, rotation: u64) -> bool {
    let window = Window::of(validators, rotation);
    signed > Height::ZERO && window.number(signed).saturating_add(1) >= window.number(height)
}

/// A stretch of blocks in which every validator is primary once.
#[derive(Clone, Copy)]
struct Window {
    blocks: u64,
}

impl Window {
    fn of(validators: usize, rotation: u64) -> Self {
        let blocks = (validators as u64).saturating_mul(rotation);
        Self {
            blocks: blocks.max(1),
        }
    }

    const fn number(self, height: Height) -> u64 {
        height.get() / self.blocks
    }
}

/// Remembers who signed the block before: a write per window and validator.
pub(super) fn note_signers(
    view: &dyn StateView,
    block: &BlockContext<'_>,
    parent: &ParentSigners,
) -> Result<Writes, ReadError> {
    let mut writes = Writes::new();
    let mut record = read_members(view)?;
    let window = Window::of(
        record.members.len(),
        block.parameters.timers.rotation_blocks,
    );
    let mut changed = false;
    for ((_, validator), member) in block.validators.iter().zip(&mut record.members) {
        let new = member.signed == Height::ZERO
            || window.number(member.signed) < window.number(parent.height);
        if new && parent.vote_keys.contains(validator.vote_key.as_bytes()) {
            member.signed = parent.height;
            changed = true;
        }
    }
    if changed {
        put(&mut writes, keys::members(), record.encode());
    }
    Ok(writes)
}

/// The validators and observers as a change finds and leaves them.
struct Membership {
    validators: Vec<Validator>,
    record: MembersRecord,
}

impl Membership {
    /// As the state has them: earlier changes at the same block's end included.
    fn read(view: &dyn StateView, block: &BlockContext<'_>) -> Result<Self, ReadError> {
        let set = read_set(view)?.unwrap_or_else(|| block.validators.clone());
        let mut record = read_members(view)?;
        // Whose time is over takes no place.
        record.observers.retain(|o| o.is_admitted(block.time));
        Ok(Self {
            validators: set.iter().map(|(_, member)| member.clone()).collect(),
            record,
        })
    }

    fn place(&self, vote_key: &[u8; 32]) -> Result<usize, Refusal> {
        let with = |v: &Validator| v.vote_key.as_bytes() == vote_key;
        let place = self.validators.iter().position(with);
        place.ok_or_else(|| {
            let text = format!("no validator has the vote key {}", hex::encode(vote_key));
            Refusal::about(Code::UnknownMember, text)
        })
    }

    /// Neither name nor code is another's than that of the validator at `except`.
    fn check_names(&self, name: &str, code: &str, except: Option<usize>) -> Result<(), Refusal> {
        let others = self.record.members.iter().enumerate();
        for (_, other) in others.filter(|(place, _)| Some(*place) != except) {
            if other.name == name {
                return Err(taken(format!("a validator is called {name}")));
            }
            if other.organisation_code == code {
                return Err(taken(format!("{code} has a validator")));
            }
        }
        self.check_observer_name(name)
    }

    fn check_observer_name(&self, name: &str) -> Result<(), Refusal> {
        match self.record.observers.iter().any(|o| o.name == name) {
            true => Err(taken(format!("an observer is called {name}"))),
            false => Ok(()),
        }
    }

    /// The key is none of a validator's but the one at `except`, and none of an observer's.
    fn check_key(&self, key: &[u8; 32], except: Option<usize>) -> Result<(), Refusal> {
        let others = self.validators.iter().enumerate();
        let mut others = others.filter(|(place, _)| Some(*place) != except);
        let validators = others.any(|(_, v)| v.vote_key.as_bytes() == key || v.network_key == *key);
        let mut observers = self.record.observers.iter();
        if validators || observers.any(|o| o.network_key == *key) {
            return Err(taken(format!("the key {} is in use", hex::encode(key))));
        }
        Ok(())
    }

    /// An application may be entered: its sender holds the keys, and nobody else has them.
    fn check_application(
        &self,
        block: &BlockContext<'_>,
        application: &Application,
        except: Option<usize>,
    ) -> Result<(), Refusal> {
        application
            .check(block.chain)
            .map_err(|error| Refusal::about(Code::BadSignature, error.to_string()))?;
        let (name, code) = (&application.name, &application.organisation_code);
        self.check_names(name.as_str(), code.as_str(), except)?;
        let (vote, network) = (&application.vote_key, &application.network_key);
        if vote == network {
            return Err(taken("one key both to vote and for the network".into()));
        }
        self.check_key(vote.as_bytes(), except)?;
        self.check_key(network.as_bytes(), except)
    }

    /// Rules G-8 and G-9: the set that decides from the next height on.
    fn write_set(self, block: &BlockContext<'_>) -> Result<Writes, Stop> {
        let epoch = block.validators.epoch().next();
        let set = ValidatorSet::new(epoch, self.validators).map_err(|error| {
            let code = match error {
                ValidatorSetError::Empty => Code::NoQuorumLeft,
                ValidatorSetError::TooMany { .. } => Code::TooManyMembers,
                ValidatorSetError::Duplicate { .. } => Code::MemberTaken,
            };
            Refusal::about(code, error.to_string())
        })?;
        let rotation = block.parameters.timers.rotation_blocks;
        let before = block.validators.len();
        let recent = |m: &&Member| signed_recently(m.signed, block.height, before, rotation);
        let signing = self.record.members.iter().filter(recent).count();
        if signing < set.quorum() {
            let text = format!(
                "{} validators would be left, of whom {} are a quorum and {signing} have signed \
                 recently",
                set.len(),
                set.quorum()
            );
            return Err(Refusal::about(Code::NoQuorumLeft, text).into());
        }
        let mut writes = Writes::new();
        let key = identity::keys::validators();
        put(&mut writes, key, codec::encode(&set));
        put(&mut writes, keys::members(), self.record.encode());
        Ok(writes)
    }

    fn observe(&mut self, observer: Observer) -> Result<(), Refusal> {
        if self.record.observers.len() >= MAX_OBSERVERS {
            let text = format!("a network has at most {MAX_OBSERVERS} observers");
            return Err(Refusal::about(Code::TooManyMembers, text));
        }
        self.record.observers.push(observer);
        Ok(())
    }

    /// The observers alone have changed.
    fn write_observers(self) -> Writes {
        let mut writes = Writes::new();
        put(&mut writes, keys::members(), self.record.encode());
        writes
    }
}

fn taken(text: String) -> Refusal {
    Refusal::about(Code::MemberTaken, text)
}

pub(super) fn admit_validator(
    view: &dyn StateView,
    block: &BlockContext<'_>,
    application: &Application,
) -> Result<Writes, Stop> {
    let mut all = Membership::read(view, block)?;
    let network_key = application.network_key.as_bytes();
    // An observer that is to vote is none from then on.
    let own = |o: &Observer| o.network_key == *network_key && o.name == application.name.as_str();
    all.record.observers.retain(|observer| !own(observer));
    all.check_application(block, application, None)?;
    if all.validators.len() >= MAX_VALIDATORS {
        let text = format!("a chain has at most {MAX_VALIDATORS} validators");
        return Err(Refusal::about(Code::TooManyMembers, text).into());
    }
    all.validators.push(validator(application));
    all.record.members.push(Member {
        name: application.name.to_string(),
        organisation_code: application.organisation_code.to_string(),
        signed: Height::ZERO,
    });
    all.write_set(block)
}

fn validator(application: &Application) -> Validator {
    Validator {
        vote_key: application.vote_key.clone(),
        network_key: *application.network_key.as_bytes(),
    }
}

pub(super) fn remove_validator(
    view: &dyn StateView,
    block: &BlockContext<'_>,
    vote_key: &[u8; 32],
    follow_ms: u64,
) -> Result<Writes, Stop> {
    if follow_ms > MAX_FOLLOW_MS {
        let text = format!("follow_ms must be at most {MAX_FOLLOW_MS}");
        return Err(super::bad_field(text).into());
    }
    let mut all = Membership::read(view, block)?;
    let place = all.place(vote_key)?;
    let left = all.validators.remove(place);
    let member = all.record.members.remove(place);
    if follow_ms > 0 {
        all.observe(Observer {
            name: member.name,
            network_key: left.network_key,
            until: Some(block.time.saturating_add(follow_ms)),
        })?;
    }
    all.write_set(block)
}

pub(super) fn rotate_keys(
    view: &dyn StateView,
    block: &BlockContext<'_>,
    vote_key: &[u8; 32],
    application: &Application,
) -> Result<Writes, Stop> {
    let mut all = Membership::read(view, block)?;
    let place = all.place(vote_key)?;
    let (Some(present), Some(member)) = (
        all.validators.get(place).cloned(),
        all.record.members.get(place).cloned(),
    ) else {
        return Err(Refusal::new(Code::UnknownMember).into());
    };
    let same = member.name == application.name.as_str()
        && member.organisation_code == application.organisation_code.as_str();
    if !same {
        let text = format!(
            "the application is of {}, {}; the validator is {}, {}",
            application.name, application.organisation_code, member.name, member.organisation_code
        );
        return Err(Refusal::about(Code::NotEntitled, text).into());
    }
    all.check_application(block, application, Some(place))?;
    let next = validator(application);
    if next == present {
        return Err(Refusal::new(Code::NoChange).into());
    }
    if let Some(member) = all.record.members.get_mut(place)
        && next.vote_key != present.vote_key
    {
        // What the old key signed says nothing of whether the node holds the new one.
        member.signed = Height::ZERO;
    }
    if let Some(seat) = all.validators.get_mut(place) {
        *seat = next;
    }
    all.write_set(block)
}

pub(super) fn admit_observer(
    view: &dyn StateView,
    block: &BlockContext<'_>,
    name: &str,
    network_key: &[u8; 32],
) -> Result<Writes, Stop> {
    if let Err(error) = PublicKey::from_bytes(network_key) {
        return Err(Refusal::about(Code::BadKey, error.to_string()).into());
    }
    let mut all = Membership::read(view, block)?;
    // Who may follow for a time may be let follow for good.
    let own = |o: &Observer| o.name == name && o.network_key == *network_key && o.until.is_some();
    all.record.observers.retain(|observer| !own(observer));
    if all.record.members.iter().any(|m| m.name == name) {
        return Err(taken(format!("a validator is called {name}")).into());
    }
    all.check_observer_name(name)?;
    all.check_key(network_key, None)?;
    all.observe(Observer {
        name: name.to_owned(),
        network_key: *network_key,
        until: None::<TimeMs>,
    })?;
    Ok(all.write_observers())
}

pub(super) fn dismiss_observer(
    view: &dyn StateView,
    block: &BlockContext<'_>,
    network_key: &[u8; 32],
) -> Result<Writes, Stop> {
    let mut all = Membership::read(view, block)?;
    let before = all.record.observers.len();
    all.record
        .observers
        .retain(|observer| observer.network_key != *network_key);
    if all.record.observers.len() == before {
        let text = format!("no observer has the key {}", hex::encode(network_key));
        return Err(Refusal::about(Code::UnknownMember, text).into());
    }
    Ok(all.write_observers())
}
