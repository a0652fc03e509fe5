//! Certificates and checks, proven by the state of their side chain.

use certchain_ledger::evidence::{EvidenceError, VerifiedHeader, VerifiedValue};
use certchain_proto::{
    hash::{CertificateId, PresentationId},
    wire::v1,
};
use certchain_sidechain::certificate::{
    CertificateRecord, CertificateStatus, CheckRecord, keys as side_keys,
};

use super::{LightClient, LightError};

/// A certificate's record, proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenCertificate {
    /// The record.
    pub record: CertificateRecord,
    /// The side block that vouches for it: the record is as of then.
    pub block: VerifiedHeader,
}

/// A recorded check, proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenCheck {
    /// The record.
    pub record: CheckRecord,
    /// The side block that vouches for it.
    pub block: VerifiedHeader,
}

impl LightClient {
    /// Checks a certificate's record; this client must follow its side chain, of this `name`. The
    /// issuer's organisation code stands in main's state and is not proven here.
    ///
    /// # Errors
    /// If there is no proof, it does not hold, is of another certificate, or proves something else
    /// than the plain answer says.
    pub fn certificate(
        &self,
        name: &str,
        id: &CertificateId,
        answer: &v1::GetCertificateResponse,
    ) -> Result<ProvenCertificate, LightError> {
        let leaf = self.evidence(answer.evidence.as_ref().ok_or(LightError::NoProof)?)?;
        if leaf.key != side_keys::certificate(id) {
            return Err(LightError::OtherQuestion);
        }
        let bytes = proven_bytes(&leaf)?;
        let record = CertificateRecord::decode(bytes).map_err(EvidenceError::from)?;
        let what = "the certificate";
        let told = answer.certificate.as_ref();
        let told = told.ok_or(LightError::Contradiction { what })?;
        let header = &leaf.block.header;
        let same = *told == plain_certificate(name, id, &record, &told.organisation_code)
            && answer.encoded_record == bytes
            && answer.height == header.height.get()
            && answer.time_ms == header.time_ms.get();
        if !same {
            return Err(LightError::Contradiction { what });
        }
        Ok(ProvenCertificate {
            record,
            block: leaf.block,
        })
    }

    /// Checks a recorded check; this client must follow the side chain, of this `name`.
    ///
    /// # Errors
    /// As [`Self::certificate`].
    pub fn check(
        &self,
        name: &str,
        id: &PresentationId,
        answer: &v1::CheckResponse,
    ) -> Result<ProvenCheck, LightError> {
        let leaf = self.evidence(answer.evidence.as_ref().ok_or(LightError::NoProof)?)?;
        if leaf.key != side_keys::check(id) {
            return Err(LightError::OtherQuestion);
        }
        let bytes = proven_bytes(&leaf)?;
        let record = CheckRecord::decode(bytes).map_err(EvidenceError::from)?;
        let same = answer.check.as_ref() == Some(&plain_check(name, id, &record))
            && answer.result == record.result.to_wire() as i32
            && answer.encoded_record == bytes;
        if !same {
            return Err(LightError::Contradiction { what: "the check" });
        }
        Ok(ProvenCheck {
            record,
            block: leaf.block,
        })
    }
}

fn proven_bytes(leaf: &VerifiedValue) -> Result<&[u8], LightError> {
    leaf.value.as_deref().ok_or(LightError::OtherQuestion)
}

/// A certificate's record as messages tell it.
pub fn plain_certificate(
    chain: &str,
    id: &CertificateId,
    record: &CertificateRecord,
    organisation_code: &str,
) -> v1::Certificate {
    let status = match record.status {
        CertificateStatus::Issued => v1::CertificateStatus::Issued,
        CertificateStatus::Active => v1::CertificateStatus::Active,
        CertificateStatus::Declined => v1::CertificateStatus::Declined,
        CertificateStatus::Revoked => v1::CertificateStatus::Revoked,
    };
    v1::Certificate {
        certificate: id.as_bytes().to_vec(),
        chain: chain.to_owned(),
        r#type: record.type_name.clone(),
        issuer: record.issuer.as_bytes().to_vec(),
        organisation_code: organisation_code.to_owned(),
        serial: record.serial,
        holders: record
            .holders
            .iter()
            .map(|holder| v1::CertificateHolder {
                address: holder.address.as_bytes().to_vec(),
                accepted_ms: holder.accepted.map_or(0, |time| time.get()),
            })
            .collect(),
        field_root: record.field_root.as_bytes().to_vec(),
        claim: record.claim.map_or_else(Vec::new, |claim| claim.to_vec()),
        transaction_id: record.transaction.as_bytes().to_vec(),
        line: record.line,
        issued_height: record.issued_height.get(),
        issued_ms: record.issued_time.get(),
        valid_from_ms: record.valid_from.get(),
        valid_until_ms: record.valid_until.map_or(0, |time| time.get()),
        version: record.version,
        status: status as i32,
        status_height: record.status_height.get(),
        status_ms: record.status_time.get(),
        reason: record.reason.into(),
    }
}

/// A check's record as messages tell it.
pub fn plain_check(chain: &str, id: &PresentationId, record: &CheckRecord) -> v1::RecordedCheck {
    v1::RecordedCheck {
        presentation_id: id.as_bytes().to_vec(),
        chain: chain.to_owned(),
        certificate: record.certificate.as_bytes().to_vec(),
        holder: record.holder.as_bytes().to_vec(),
        verifier: record.verifier.as_bytes().to_vec(),
        bearer: record.bearer,
        purpose: record.purpose.into(),
        disclosed_hash: record.disclosed.as_bytes().to_vec(),
        result: record.result.to_wire() as i32,
        height: record.height.get(),
        time_ms: record.time.get(),
    }
}
