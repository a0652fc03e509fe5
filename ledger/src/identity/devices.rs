//! The rules of an account's devices: more keys that sign for it, each on a machine of its own.

use certchain_proto::{
    Address,
    wire::v1::{AddDevice, Code, RemoveDevice},
};

use super::{
    keys,
    record::{IdentityRecord, MAX_DEVICES},
    rules::{Run, active, address, field},
};
use crate::{
    execution::{Effects, Stop},
    refusal::Refusal,
};

impl Run<'_> {
    pub(super) fn add_device(&self, m: &AddDevice) -> Result<Effects, Stop> {
        self.check_signers(2)?;
        let subject = address(&m.address, "address")?;
        let public_key = field(&m.public_key, "public_key")?;
        let record = self.account(&subject)?;
        active(&record)?;
        self.signed_by_main_key(0, &record)?;
        self.signed_by(1, &public_key)?;
        self.no_recovery(&subject)?;
        if record.present.devices.len() >= MAX_DEVICES {
            let text = format!("{MAX_DEVICES} beside the main key are allowed");
            return Err(Refusal::about(Code::TooManyDevices, text).into());
        }
        let first = self.unused_key(&public_key)?;
        let mut devices = record.present.devices.clone();
        devices.push(public_key);
        devices.sort_unstable();
        let mut effects = self.new_devices(subject, record, devices)?;
        effects.set(keys::rotated_key(&first), subject.as_bytes());
        Ok(effects)
    }

    pub(super) fn remove_device(&self, m: &RemoveDevice) -> Result<Effects, Stop> {
        self.check_signers(1)?;
        let subject = address(&m.address, "address")?;
        let public_key = field(&m.public_key, "public_key")?;
        let record = self.account(&subject)?;
        active(&record)?;
        let mut devices = record.present.devices.clone();
        let Some(place) = devices.iter().position(|known| *known == public_key) else {
            return Err(Refusal::new(Code::UnknownDevice).into());
        };
        // A device may sign itself out, no other one.
        if !self.is_signed_by(0, &public_key) {
            self.signed_by_main_key(0, &record)?;
        }
        self.no_recovery(&subject)?;
        devices.remove(place);
        self.new_devices(subject, record, devices)
    }

    fn new_devices(
        &self,
        subject: Address,
        mut record: IdentityRecord,
        devices: Vec<[u8; 32]>,
    ) -> Result<Effects, Stop> {
        let mut effects = Effects::on(subject);
        self.next_version(&mut effects, subject, &mut record)?;
        record.present.devices = devices;
        record.present.reason = 0;
        effects.set(keys::identity(&subject), &record.encode());
        Ok(effects)
    }
}
