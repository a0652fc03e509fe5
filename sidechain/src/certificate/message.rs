//! Records as the messages of the services tell them: nodes write them, clients compare them with
//! what is proven.

use certchain_proto::{
    hash::{CertificateId, PresentationId},
    wire::v1,
};

use super::{CertificateRecord, CertificateStatus, CheckRecord};

impl CertificateRecord {
    /// The record of certificate `id` of a side chain. The organisation code is its issuer's in
    /// main's state.
    pub fn to_message(
        &self,
        chain: &str,
        id: &CertificateId,
        organisation_code: String,
    ) -> v1::Certificate {
        let holders = self.holders.iter().map(|holder| v1::CertificateHolder {
            address: holder.address.as_bytes().to_vec(),
            accepted_ms: holder.accepted.unwrap_or_default().get(),
        });
        v1::Certificate {
            certificate: id.as_bytes().to_vec(),
            chain: chain.to_owned(),
            r#type: self.type_name.clone(),
            issuer: self.issuer.as_bytes().to_vec(),
            organisation_code,
            serial: self.serial,
            holders: holders.collect(),
            field_root: self.field_root.as_bytes().to_vec(),
            claim: self.claim.map(|claim| claim.to_vec()).unwrap_or_default(),
            transaction_id: self.transaction.as_bytes().to_vec(),
            line: self.line,
            issued_height: self.issued_height.get(),
            issued_ms: self.issued_time.get(),
            valid_from_ms: self.valid_from.get(),
            valid_until_ms: self.valid_until.unwrap_or_default().get(),
            version: self.version,
            status: self.status.to_wire().into(),
            status_height: self.status_height.get(),
            status_ms: self.status_time.get(),
            reason: self.reason.into(),
        }
    }
}

impl CertificateStatus {
    /// The status as messages name it.
    pub const fn to_wire(self) -> v1::CertificateStatus {
        match self {
            Self::Issued => v1::CertificateStatus::Issued,
            Self::Active => v1::CertificateStatus::Active,
            Self::Declined => v1::CertificateStatus::Declined,
            Self::Revoked => v1::CertificateStatus::Revoked,
        }
    }
}

impl CheckRecord {
    /// The record of the check of presentation `id` on a side chain.
    pub fn to_message(&self, chain: &str, id: &PresentationId) -> v1::RecordedCheck {
        v1::RecordedCheck {
            presentation_id: id.as_bytes().to_vec(),
            chain: chain.to_owned(),
            certificate: self.certificate.as_bytes().to_vec(),
            holder: self.holder.as_bytes().to_vec(),
            verifier: self.verifier.as_bytes().to_vec(),
            bearer: self.bearer,
            purpose: self.purpose.into(),
            disclosed_hash: self.disclosed.as_bytes().to_vec(),
            result: self.result.to_wire().into(),
            height: self.height.get(),
            time_ms: self.time.get(),
        }
    }
}
