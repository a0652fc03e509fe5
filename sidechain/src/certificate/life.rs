//! What becomes of a certificate: accepted or declined by its holders, revoked by an authority.
//!
//! Order of checks: signer and message; the account that acts (registered, of the right kind,
//! active, signing); the certificate (known, the account entitled to this step on it, its status
//! and time).
//!
//! A certificate that ends gives its claims back, unless its time is over: then it has lost them
//! already, and another may have taken them since.

use certchain_ledger::{
    execution::{Effects, Stop, check_signer_count},
    identity::Act,
    refusal::Refusal,
};
use certchain_proto::{
    Address,
    hash::CertificateId,
    wire::v1::{AcceptCertificate, Code, DeclineCertificate, RevokeCertificate},
};

use super::{
    CertificateRecord, CertificateStatus,
    draft::{address, field, listed},
    keys,
    rules::Run,
    types::Revokers,
};

impl Run<'_> {
    pub(super) fn accept(&self, m: &AcceptCertificate) -> Result<Effects, Stop> {
        check_signer_count(self.transaction, 1)?;
        let id = CertificateId::from_bytes(field(&m.certificate, "certificate")?);
        let holder = address(&m.holder, "holder")?;
        let mut record = self.undecided(&id, &holder)?;
        let now = self.block.time;
        for entry in &mut record.holders {
            if entry.address == holder {
                entry.accepted = Some(now);
            }
        }
        if record.holders.iter().all(|entry| entry.accepted.is_some()) {
            self.set_status(&mut record, CertificateStatus::Active, 0);
        }
        Ok(changed(&id, &record))
    }

    pub(super) fn decline(&self, m: &DeclineCertificate) -> Result<Effects, Stop> {
        check_signer_count(self.transaction, 1)?;
        let id = CertificateId::from_bytes(field(&m.certificate, "certificate")?);
        let holder = address(&m.holder, "holder")?;
        let reason = listed(m.reason, "reason")?;
        let record = self.undecided(&id, &holder)?;
        Ok(self.end(&id, record, CertificateStatus::Declined, reason))
    }

    pub(super) fn revoke(&self, m: &RevokeCertificate) -> Result<Effects, Stop> {
        check_signer_count(self.transaction, 1)?;
        let id = CertificateId::from_bytes(field(&m.certificate, "certificate")?);
        let authority = address(&m.authority, "authority")?;
        let reason = listed(m.reason, "reason")?;
        let agency = self.actor("authority", &authority, Act::IssueCertificates.kinds(), 0)?;
        let record = self.certificate(&id)?;
        if record.issuer != authority {
            if self.rules.revokers == Revokers::Issuer {
                let text = format!("only its issuer {} revokes this type", record.issuer);
                return Err(Refusal::about(Code::NotEntitled, text).into());
            }
            if !agency.may_issue.contains(&record.type_name) {
                let text = format!("authority {authority}, type '{}'", record.type_name);
                return Err(Refusal::about(Code::NotAccredited, text).into());
            }
        }
        match record.status {
            CertificateStatus::Issued | CertificateStatus::Active => {}
            CertificateStatus::Declined => return Err(wrong_status("it was declined").into()),
            CertificateStatus::Revoked => return Err(wrong_status("it was revoked").into()),
        }
        Ok(self.end(&id, record, CertificateStatus::Revoked, reason))
    }

    /// A certificate that this holder, who signs, may still accept or decline.
    fn undecided(&self, id: &CertificateId, holder: &Address) -> Result<CertificateRecord, Stop> {
        self.actor("holder", holder, self.rules.holder_kinds, 0)?;
        let record = self.certificate(id)?;
        let Some(entry) = record.holder(holder) else {
            return Err(Refusal::about(Code::NotHolder, holder.to_string()).into());
        };
        let problem = match record.status {
            CertificateStatus::Issued if entry.accepted.is_some() => "this holder has accepted it",
            CertificateStatus::Issued if record.is_expired(self.block.time) => "its time is over",
            CertificateStatus::Issued => return Ok(record),
            CertificateStatus::Active => "every holder has accepted it",
            CertificateStatus::Declined => "it was declined",
            CertificateStatus::Revoked => "it was revoked",
        };
        Err(wrong_status(problem).into())
    }

    fn end(
        &self,
        id: &CertificateId,
        mut record: CertificateRecord,
        status: CertificateStatus,
        reason: u16,
    ) -> Effects {
        self.set_status(&mut record, status, reason);
        let mut effects = changed(id, &record);
        if !record.is_expired(self.block.time) {
            let claims = self.rules.claims_of(&record);
            effects
                .writes
                .extend(claims.into_iter().map(|claim| (claim, None)));
        }
        effects
    }

    fn set_status(&self, record: &mut CertificateRecord, status: CertificateStatus, reason: u16) {
        record.status = status;
        record.status_height = self.block.height;
        record.status_time = self.block.time;
        record.reason = reason;
    }
}

fn changed(id: &CertificateId, record: &CertificateRecord) -> Effects {
    let mut effects = Effects {
        subject: Some(*id.as_bytes()),
        ..Effects::default()
    };
    effects.set(keys::certificate(id), &record.encode());
    effects
}

fn wrong_status(problem: &str) -> Refusal {
    Refusal::about(Code::WrongStatus, problem)
}
