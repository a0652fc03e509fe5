//! The rules of the identity application: who must sign what, and what then changes.
//!
//! A kind's rule first checks what the message alone shows (number of signers, fields), then the
//! accounts that act (registered, of the right kind, active, signing with their present key, in
//! the documented order), then the subject. The first thing that fails gives the code.

use std::sync::Arc;

use certchain_config::{OrganisationCode, genesis::is_encryption_key};
use certchain_proto::{
    Address, Epoch, ValidatorIndex, context,
    hash::{AttributeRoot, IdentityTag, hash_parts},
    transaction::Transaction,
    wire::v1::{
        Code, IdentityEnd, RegisterIdentity, ReinstateIdentity, RestartNotice, RevokeIdentity,
        RotateKey, SuspendIdentity, transaction_body::Kind,
    },
};

use super::{
    keys,
    record::{
        IdentityKind, IdentityRecord, IdentityStatus, IdentityVersion, PastVersion,
        RestartNoticeRecord,
    },
    roles::{Act, may},
};
use crate::{
    execution::{
        Application, BlockContext, Effects, Stop, check_signed_by, check_signed_for,
        check_signer_count,
    },
    refusal::Refusal,
    state::StateKey,
    view::{ReadError, StateView},
};

/// The address that an account with this first key has.
fn account_of(key: &[u8; 32]) -> Address {
    Address::from_bytes(hash_parts(context::ADDRESS, &[key]))
}

/// The keys that a transaction's rule may read, so that they can be fetched together and conflicts
/// inside a block be seen. Fields of wrong length read as zeros: their rule refuses before it reads.
pub(crate) fn reads(transaction: &Transaction) -> Vec<StateKey> {
    let account = |bytes: &[u8]| {
        keys::identity(&Address::from_slice(bytes).unwrap_or(Address::from_bytes([0; 32])))
    };
    let recovery = |bytes: &[u8]| {
        keys::recovery(&Address::from_slice(bytes).unwrap_or(Address::from_bytes([0; 32])))
    };
    let new_key = |bytes: &[u8]| {
        let first = account_of(&array(bytes).unwrap_or_default());
        [keys::identity(&first), keys::rotated_key(&first)]
    };
    match transaction.kind() {
        Kind::RegisterIdentity(m) => {
            let tag = IdentityTag::from_slice(&m.tag).unwrap_or(IdentityTag::ZERO);
            let mut all = vec![keys::tag(&tag), account(&m.agency), account(&m.registrar)];
            all.extend(new_key(&m.public_key));
            if !m.organisation_code.is_empty() {
                all.push(keys::organisation(&m.organisation_code));
            }
            all
        }
        Kind::RotateKey(m) => {
            let mut all = vec![account(&m.address), recovery(&m.address)];
            all.extend(new_key(&m.public_key));
            all
        }
        Kind::AddDevice(m) => {
            let mut all = vec![account(&m.address), recovery(&m.address)];
            all.extend(new_key(&m.public_key));
            all
        }
        Kind::RemoveDevice(m) => vec![account(&m.address), recovery(&m.address)],
        Kind::RecoverKey(m) => {
            let mut all = vec![
                account(&m.address),
                recovery(&m.address),
                account(&m.agency),
                account(&m.registrar),
            ];
            all.extend(new_key(&m.public_key));
            all
        }
        Kind::ObjectToRecovery(m) => vec![account(&m.address), recovery(&m.address)],
        Kind::DecideRecovery(m) => {
            let mut all = vec![
                account(&m.address),
                recovery(&m.address),
                account(&m.agency),
                account(&m.registrar),
            ];
            all.extend(new_key(&m.public_key));
            all
        }
        Kind::CompleteRecovery(m) => {
            let mut all = vec![account(&m.address), recovery(&m.address)];
            all.extend(new_key(&m.public_key));
            all
        }
        Kind::SuspendIdentity(m) => vec![account(&m.address), account(&m.authority)],
        Kind::ReinstateIdentity(m) => vec![account(&m.address), account(&m.authority)],
        Kind::RevokeIdentity(m) => {
            vec![
                account(&m.address),
                account(&m.agency),
                account(&m.registrar),
            ]
        }
        _ => Vec::new(),
    }
}

/// The application of identities alone, as main ran it without side chains; the crate
/// `certchain-sidechain` puts anchors beside it.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdentityApplication;

impl Application for IdentityApplication {
    fn reads(&self, transaction: &Transaction) -> Vec<StateKey> {
        reads(transaction)
    }

    fn execute(
        &self,
        view: &dyn StateView,
        block: &BlockContext<'_>,
        transaction: &Transaction,
    ) -> Result<Effects, Stop> {
        execute(view, block, transaction)
    }
}

/// Executes one transaction on a state.
pub(crate) fn execute(
    view: &dyn StateView,
    block: &BlockContext<'_>,
    transaction: &Transaction,
) -> Result<Effects, Stop> {
    let run = Run {
        view,
        block,
        transaction,
    };
    match transaction.kind() {
        Kind::RegisterIdentity(m) => run.register(m),
        Kind::RotateKey(m) => run.rotate(m),
        Kind::AddDevice(m) => run.add_device(m),
        Kind::RemoveDevice(m) => run.remove_device(m),
        Kind::RecoverKey(m) => run.recover(m),
        Kind::ObjectToRecovery(m) => run.object(m),
        Kind::DecideRecovery(m) => run.decide(m),
        Kind::CompleteRecovery(m) => run.complete(m),
        Kind::SuspendIdentity(m) => run.suspend(m),
        Kind::ReinstateIdentity(m) => run.reinstate(m),
        Kind::RevokeIdentity(m) => run.revoke(m),
        Kind::RestartNotice(m) => restart_notice(block, transaction, m),
        _ => Err(Refusal::new(Code::KindNotHere).into()),
    }
}

/// One transaction on its way through its rule.
pub(super) struct Run<'a> {
    pub(super) view: &'a dyn StateView,
    pub(super) block: &'a BlockContext<'a>,
    transaction: &'a Transaction,
}

fn array(bytes: &[u8]) -> Option<[u8; 32]> {
    bytes.try_into().ok()
}

pub(super) fn field(bytes: &[u8], name: &str) -> Result<[u8; 32], Refusal> {
    array(bytes).ok_or_else(|| Refusal::about(Code::BadField, format!("{name} must have 32 bytes")))
}

pub(super) fn address(bytes: &[u8], name: &str) -> Result<Address, Refusal> {
    field(bytes, name).map(Address::from_bytes)
}

pub(super) fn encryption_key(bytes: &[u8]) -> Result<[u8; 32], Refusal> {
    let key = field(bytes, "encryption_key")?;
    if is_encryption_key(&key) {
        return Ok(key);
    }
    Err(Refusal::about(
        Code::BadField,
        "encryption_key is no X25519 key that can be encrypted to",
    ))
}

fn reason(number: u32) -> Result<u16, Refusal> {
    match u16::try_from(number) {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(Refusal::about(Code::BadField, "reason must be 1 to 65535")),
    }
}

impl Run<'_> {
    fn register(&self, m: &RegisterIdentity) -> Result<Effects, Stop> {
        self.check_signers(3)?;
        let bad = |text: &str| Refusal::about(Code::BadField, text);
        let kind = IdentityKind::from_wire(m.kind).ok_or_else(|| bad("kind is missing"))?;
        if kind == IdentityKind::Registrar {
            return Err(bad("kind must not be a registrar; governance makes those").into());
        }
        let public_key = field(&m.public_key, "public_key")?;
        let encryption_key = encryption_key(&m.encryption_key)?;
        let attribute_root = AttributeRoot::from_bytes(field(&m.attribute_root, "attribute_root")?);
        let tag = IdentityTag::from_bytes(field(&m.tag, "tag")?);
        if tag == IdentityTag::ZERO {
            return Err(bad("tag must not be zero").into());
        }
        // A tag under another key would not show that the person is registered already.
        let version = self.block.parameters.tag_key_version;
        if m.tag_key_version != version {
            let text = format!("tag_key_version must be {version}, the network's present one");
            return Err(bad(&text).into());
        }
        let code = match (kind.has_code(), m.organisation_code.is_empty()) {
            (false, true) => None,
            (false, false) => return Err(bad("this kind has no organisation_code").into()),
            (true, _) => Some(
                OrganisationCode::parse(&m.organisation_code)
                    .map_err(|_| bad("organisation_code must be 2 to 32 of A-Z, 0-9 and '-'"))?,
            ),
        };
        let agency = address(&m.agency, "agency")?;
        let registrar = address(&m.registrar, "registrar")?;

        self.actor(&agency, Act::CertifyIdentities, 0)?;
        self.actor(&registrar, Act::RecordIdentities, 1)?;
        self.signed_by(2, &public_key)?;

        if self.view.value(&keys::tag(&tag))?.is_some() {
            return Err(Refusal::new(Code::TagTaken).into());
        }
        let subject = self.unused_key(&public_key)?;
        let mut effects = Effects::on(subject);
        if let Some(code) = &code {
            let key = keys::organisation(code.as_str());
            if self.view.value(&key)?.is_some() {
                return Err(Refusal::new(Code::OrganisationTaken).into());
            }
            effects.set(key, subject.as_bytes());
        }
        let record = IdentityRecord {
            kind,
            registered_height: self.block.height,
            registered_time: self.block.time,
            agency,
            registrar,
            organisation_code: m.organisation_code.clone(),
            attribute_root,
            tag,
            tag_key_version: m.tag_key_version,
            may_issue: Vec::new(),
            present: IdentityVersion {
                sequence: 0,
                from_height: self.block.height,
                from_time: self.block.time,
                public_key,
                encryption_key,
                status: IdentityStatus::Active,
                reason: 0,
                devices: Vec::new(),
            },
        };
        effects.set(keys::identity(&subject), &record.encode());
        effects.set(keys::tag(&tag), subject.as_bytes());
        Ok(effects)
    }

    fn rotate(&self, m: &RotateKey) -> Result<Effects, Stop> {
        self.check_signers(2)?;
        let subject = address(&m.address, "address")?;
        let public_key = field(&m.public_key, "public_key")?;
        let encryption_key = encryption_key(&m.encryption_key)?;
        let record = self.account(&subject)?;
        active(&record)?;
        self.signed_by_main_key(0, &record)?;
        self.signed_by(1, &public_key)?;
        self.no_recovery(&subject)?;
        let devices = record.present.devices.clone();
        self.new_keys(subject, record, public_key, encryption_key, devices)
    }

    fn suspend(&self, m: &SuspendIdentity) -> Result<Effects, Stop> {
        self.check_signers(1)?;
        let subject = address(&m.address, "address")?;
        let authority = address(&m.authority, "authority")?;
        let reason = reason(m.reason)?;
        let actor = self.account(&authority)?;
        active(&actor)?;
        self.signed_by_account(0, &actor)?;
        if authority == subject {
            if !may(actor.kind, Act::GuardOwnAccount) {
                let text = "registrars are changed by governance only";
                return Err(Refusal::about(Code::NotEntitled, text).into());
            }
            return self.new_status(subject, actor, IdentityStatus::Suspended, reason);
        }
        let any = may(actor.kind, Act::SuspendIdentities);
        if !any && !may(actor.kind, Act::SuspendDraftedIdentities) {
            return Err(Refusal::about(Code::NotEntitled, "authority").into());
        }
        let record = self.subject(&subject)?;
        if !any && record.agency != authority {
            let text = "an agency suspends only identities that it drafted";
            return Err(Refusal::about(Code::NotEntitled, text).into());
        }
        active(&record)?;
        self.new_status(subject, record, IdentityStatus::Suspended, reason)
    }

    fn reinstate(&self, m: &ReinstateIdentity) -> Result<Effects, Stop> {
        self.check_signers(1)?;
        let subject = address(&m.address, "address")?;
        let authority = address(&m.authority, "authority")?;
        let reason = reason(m.reason)?;
        self.actor(&authority, Act::ReinstateIdentities, 0)?;
        let record = self.subject(&subject)?;
        not_ended(&record)?;
        if record.present.status != IdentityStatus::Suspended {
            return Err(Refusal::new(Code::NotSuspended).into());
        }
        self.new_status(subject, record, IdentityStatus::Active, reason)
    }

    fn revoke(&self, m: &RevokeIdentity) -> Result<Effects, Stop> {
        self.check_signers(2)?;
        let subject = address(&m.address, "address")?;
        let reason = reason(m.reason)?;
        let end = IdentityEnd::try_from(m.end)
            .map_err(|_| Refusal::about(Code::BadField, "end is unknown to this release"))?;
        self.agency_and_registrar(&m.agency, &m.registrar)?;
        let record = self.subject(&subject)?;
        not_ended(&record)?;
        let has_code = record.kind.has_code();
        let status = match end {
            IdentityEnd::Revoked => IdentityStatus::Revoked,
            IdentityEnd::Deceased if !has_code => IdentityStatus::Deceased,
            IdentityEnd::Closed if has_code => IdentityStatus::Closed,
            IdentityEnd::Deceased => {
                let text = "end: only persons die; an account with an organisation code is closed";
                return Err(Refusal::about(Code::BadField, text).into());
            }
            IdentityEnd::Closed => {
                let text = "end: only an account with an organisation code is closed";
                return Err(Refusal::about(Code::BadField, text).into());
            }
        };
        self.new_status(subject, record, status, reason)
    }

    pub(super) fn check_signers(&self, needed: usize) -> Result<(), Refusal> {
        check_signer_count(self.transaction, needed)
    }

    pub(super) fn is_signed_by(&self, place: usize, key: &[u8; 32]) -> bool {
        self.transaction
            .witnesses()
            .get(place)
            .is_some_and(|w| w.public_key == *key)
    }

    /// A key that the message itself names must sign at its place.
    pub(super) fn signed_by(&self, place: usize, key: &[u8; 32]) -> Result<(), Refusal> {
        if self.is_signed_by(place, key) {
            return Ok(());
        }
        Err(Refusal::about(Code::MissingSigner, "the new key"))
    }

    /// The main key of an account must sign at its place.
    pub(super) fn signed_by_main_key(
        &self,
        place: usize,
        record: &IdentityRecord,
    ) -> Result<(), Refusal> {
        check_signed_by(self.transaction, place, &record.present.public_key)
    }

    /// One of the keys of an account must sign at its place.
    pub(super) fn signed_by_account(
        &self,
        place: usize,
        record: &IdentityRecord,
    ) -> Result<(), Refusal> {
        check_signed_for(self.transaction, place, &record.present)
    }

    /// An agency signs first, a registrar second.
    pub(super) fn agency_and_registrar(
        &self,
        agency: &[u8],
        registrar: &[u8],
    ) -> Result<(Address, Address), Stop> {
        let agency = address(agency, "agency")?;
        let registrar = address(registrar, "registrar")?;
        self.actor(&agency, Act::CertifyIdentities, 0)?;
        self.actor(&registrar, Act::RecordIdentities, 1)?;
        Ok((agency, registrar))
    }

    pub(super) fn account(&self, address: &Address) -> Result<IdentityRecord, Stop> {
        let key = keys::identity(address);
        let Some(value) = self.view.value(&key)? else {
            return Err(Refusal::about(Code::UnknownAccount, address.to_string()).into());
        };
        let record = IdentityRecord::decode(&value);
        Ok(record.map_err(|source| ReadError::value(key, source))?)
    }

    /// An account that acts: of a kind that may, active, and signing at its place.
    fn actor(&self, address: &Address, act: Act, place: usize) -> Result<(), Stop> {
        let record = self.account(address)?;
        if !may(record.kind, act) {
            return Err(Refusal::about(Code::NotEntitled, address.to_string()).into());
        }
        active(&record)?;
        Ok(self.signed_by_account(place, &record)?)
    }

    /// An account that others act on. Registrars are made and ended by governance only, so that no
    /// registrar can put the others out of office.
    pub(super) fn subject(&self, address: &Address) -> Result<IdentityRecord, Stop> {
        let record = self.account(address)?;
        if record.kind == IdentityKind::Registrar {
            let text = "registrars are changed by governance only";
            return Err(Refusal::about(Code::NotEntitled, text).into());
        }
        Ok(record)
    }

    /// The address of this key as a first key, if it is nobody's key, present or past.
    pub(super) fn unused_key(&self, key: &[u8; 32]) -> Result<Address, Stop> {
        let first = account_of(key);
        if self.view.value(&keys::identity(&first))?.is_some()
            || self.view.value(&keys::rotated_key(&first))?.is_some()
        {
            return Err(Refusal::new(Code::KeyTaken).into());
        }
        Ok(first)
    }

    /// Gives an account another main key, another encryption key and these devices.
    pub(super) fn new_keys(
        &self,
        subject: Address,
        mut record: IdentityRecord,
        public_key: [u8; 32],
        encryption_key: [u8; 32],
        devices: Vec<[u8; 32]>,
    ) -> Result<Effects, Stop> {
        let first = self.unused_key(&public_key)?;
        let mut effects = Effects::on(subject);
        self.next_version(&mut effects, subject, &mut record)?;
        record.present.public_key = public_key;
        record.present.encryption_key = encryption_key;
        record.present.devices = devices;
        record.present.reason = 0;
        effects.set(keys::identity(&subject), &record.encode());
        effects.set(keys::rotated_key(&first), subject.as_bytes());
        Ok(effects)
    }

    fn new_status(
        &self,
        subject: Address,
        mut record: IdentityRecord,
        status: IdentityStatus,
        reason: u16,
    ) -> Result<Effects, Stop> {
        let mut effects = Effects::on(subject);
        self.next_version(&mut effects, subject, &mut record)?;
        record.present.status = status;
        record.present.reason = reason;
        effects.set(keys::identity(&subject), &record.encode());
        Ok(effects)
    }

    /// Puts the present version away and opens the next one.
    pub(super) fn next_version(
        &self,
        effects: &mut Effects,
        subject: Address,
        record: &mut IdentityRecord,
    ) -> Result<(), Refusal> {
        let sequence = record.present.sequence;
        let Some(next) = sequence.checked_add(1) else {
            return Err(Refusal::about(
                Code::BadField,
                "the account has changed too often",
            ));
        };
        let past = PastVersion {
            version: record.present.clone(),
            until_height: self.block.height,
        };
        effects.set(keys::past(&subject, sequence), &past.encode());
        record.present.sequence = next;
        record.present.from_height = self.block.height;
        record.present.from_time = self.block.time;
        Ok(())
    }
}

/// The rule of restart notices, which run on every chain: signed by the validator's vote key.
///
/// # Errors
/// A refusal.
pub fn restart_notice(
    block: &BlockContext<'_>,
    transaction: &Transaction,
    m: &RestartNotice,
) -> Result<Effects, Stop> {
    check_signer_count(transaction, 1)?;
    let nonce = field(&m.restart_nonce, "restart_nonce")?;
    let epoch = Epoch::new(m.epoch);
    let unknown = || Refusal::new(Code::UnknownValidator);
    let validator = ValidatorIndex::new(u16::try_from(m.validator).map_err(|_| unknown())?);
    let set = block.validators;
    if epoch != set.epoch() {
        return Err(unknown().into());
    }
    let member = set.get(validator).ok_or_else(unknown)?;
    check_signed_by(transaction, 0, member.vote_key.as_bytes())?;
    let height = block.height;
    let record = RestartNoticeRecord {
        epoch,
        validator,
        nonce,
        height,
    };
    let mut effects = Effects::default();
    effects.set(keys::restart(epoch, validator), &record.encode());
    effects.restart = Some(record);
    Ok(effects)
}

pub(super) fn active(record: &IdentityRecord) -> Result<(), Refusal> {
    match record.present.status.refusal() {
        None => Ok(()),
        Some(code) => Err(Refusal::new(code)),
    }
}

/// Whether the account is active or suspended.
pub(super) fn not_ended(record: &IdentityRecord) -> Result<(), Refusal> {
    match record.present.status.refusal() {
        Some(code) if record.present.status.is_final() => Err(Refusal::new(code)),
        _ => Ok(()),
    }
}

impl Effects {
    pub(super) fn on(subject: Address) -> Self {
        Self {
            subject: Some(*subject.as_bytes()),
            ..Self::default()
        }
    }

    /// Sets a value.
    pub fn set(&mut self, key: StateKey, value: &[u8]) {
        self.writes.push((key, Some(Arc::from(value))));
    }
}
