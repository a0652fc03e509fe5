//! The rules of recovery: how an account whose keys are lost gets new ones, without a thief getting
//! them in its place.
//!
//! An agency checks the person again and opens a case together with a registrar; the new key signs.
//! Then the old keys have time to object (`recovery_wait_ms`). If none does, the new key completes
//! the case. If one does, another agency, again with a registrar, decides once and for all: whether
//! the objector is a thief with the lost phone, or the case a fraud. While a case is open the
//! account's keys do not change in any other way, so neither side can run ahead of the decision. A
//! case that nobody decides ends by itself, and the old keys stay.

use certchain_proto::{
    Address,
    wire::v1::{Code, CompleteRecovery, DecideRecovery, ObjectToRecovery, RecoverKey},
};

use super::{
    keys,
    record::{RecoveryRecord, RecoveryStage},
    rules::{Run, address, encryption_key, field, not_ended},
};
use crate::{
    execution::{Effects, Stop},
    refusal::Refusal,
    view::ReadError,
};

impl Run<'_> {
    pub(super) fn recover(&self, m: &RecoverKey) -> Result<Effects, Stop> {
        self.check_signers(3)?;
        let subject = address(&m.address, "address")?;
        let public_key = field(&m.public_key, "public_key")?;
        let encryption_key = encryption_key(&m.encryption_key)?;
        let (agency, registrar) = self.agency_and_registrar(&m.agency, &m.registrar)?;
        self.signed_by(2, &public_key)?;
        // A lost key is often suspended first: only an end bars recovery.
        not_ended(&self.subject(&subject)?)?;
        self.no_recovery(&subject)?;
        self.unused_key(&public_key)?;
        let (now, wait) = (
            self.block.time,
            self.block.parameters.timers.recovery_wait_ms,
        );
        let due = now.saturating_add(wait);
        let record = RecoveryRecord {
            public_key,
            encryption_key,
            agency,
            registrar,
            opened_height: self.block.height,
            opened_time: now,
            due,
            ends: due.saturating_add(wait),
            stage: RecoveryStage::Waiting,
            stage_height: self.block.height,
        };
        let mut effects = Effects::on(subject);
        effects.set(keys::recovery(&subject), &record.encode());
        Ok(effects)
    }

    pub(super) fn object(&self, m: &ObjectToRecovery) -> Result<Effects, Stop> {
        self.check_signers(1)?;
        let subject = address(&m.address, "address")?;
        let account = self.account(&subject)?;
        // A suspended account objects too, or a false authority would suspend it before it steals it.
        not_ended(&account)?;
        self.signed_by_account(0, &account)?;
        let mut case = self.open_recovery(&subject, RecoveryStage::Waiting)?;
        let wait = self.block.parameters.timers.recovery_wait_ms;
        case.ends = self.block.time.saturating_add(wait);
        self.next_stage(subject, case, RecoveryStage::Contested)
    }

    pub(super) fn decide(&self, m: &DecideRecovery) -> Result<Effects, Stop> {
        self.check_signers(2)?;
        let subject = address(&m.address, "address")?;
        let public_key = field(&m.public_key, "public_key")?;
        let (agency, _) = self.agency_and_registrar(&m.agency, &m.registrar)?;
        let account = self.subject(&subject)?;
        not_ended(&account)?;
        let case = self.open_recovery(&subject, RecoveryStage::Contested)?;
        check_key(&case, &public_key)?;
        if case.agency == agency {
            let text = "another agency than the one that opened the recovery decides";
            return Err(Refusal::about(Code::NotEntitled, text).into());
        }
        if !m.confirm {
            return self.next_stage(subject, case, RecoveryStage::Rejected);
        }
        self.put_in_force(subject, case)
    }

    pub(super) fn complete(&self, m: &CompleteRecovery) -> Result<Effects, Stop> {
        self.check_signers(1)?;
        let subject = address(&m.address, "address")?;
        let public_key = field(&m.public_key, "public_key")?;
        self.signed_by(0, &public_key)?;
        let account = self.subject(&subject)?;
        not_ended(&account)?;
        let case = self.open_recovery(&subject, RecoveryStage::Waiting)?;
        check_key(&case, &public_key)?;
        if self.block.time < case.due {
            let text = format!("it is due at {}", case.due);
            return Err(Refusal::about(Code::RecoveryNotDue, text).into());
        }
        self.put_in_force(subject, case)
    }

    /// Refuses while a recovery of the account is open.
    pub(super) fn no_recovery(&self, subject: &Address) -> Result<(), Stop> {
        match self.recovery(subject)? {
            Some(case) if case.is_open(self.block.time) => {
                Err(Refusal::new(Code::RecoveryOpen).into())
            }
            Some(_) | None => Ok(()),
        }
    }

    fn recovery(&self, subject: &Address) -> Result<Option<RecoveryRecord>, Stop> {
        let key = keys::recovery(subject);
        let Some(value) = self.view.value(&key)? else {
            return Ok(None);
        };
        let record = RecoveryRecord::decode(&value);
        Ok(Some(
            record.map_err(|source| ReadError::value(key, source))?,
        ))
    }

    fn open_recovery(
        &self,
        subject: &Address,
        stage: RecoveryStage,
    ) -> Result<RecoveryRecord, Stop> {
        match self.recovery(subject)? {
            Some(case) if case.stage == stage && case.is_open(self.block.time) => Ok(case),
            Some(_) | None => Err(Refusal::new(Code::NoRecovery).into()),
        }
    }

    fn next_stage(
        &self,
        subject: Address,
        mut case: RecoveryRecord,
        stage: RecoveryStage,
    ) -> Result<Effects, Stop> {
        case.stage = stage;
        case.stage_height = self.block.height;
        let mut effects = Effects::on(subject);
        effects.set(keys::recovery(&subject), &case.encode());
        Ok(effects)
    }

    /// The new keys take the place of all old ones: any of the devices may be the lost one.
    fn put_in_force(&self, subject: Address, case: RecoveryRecord) -> Result<Effects, Stop> {
        let account = self.account(&subject)?;
        let (public_key, encryption_key) = (case.public_key, case.encryption_key);
        let mut effects =
            self.new_keys(subject, account, public_key, encryption_key, Vec::new())?;
        let stage = self.next_stage(subject, case, RecoveryStage::Completed)?;
        effects.writes.extend(stage.writes);
        Ok(effects)
    }
}

/// The message names the key, so that what it reads is known from it alone, and a decision on one
/// case is none on the next.
fn check_key(case: &RecoveryRecord, key: &[u8; 32]) -> Result<(), Refusal> {
    match case.public_key == *key {
        true => Ok(()),
        false => Err(Refusal::about(Code::NoRecovery, "it is for another key")),
    }
}
