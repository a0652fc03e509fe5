//! Certificates and checks, proven by the state of their side chain.

use certchain_ledger::evidence::{EvidenceError, VerifiedHeader, VerifiedValue};
use certchain_proto::{
    hash::{CertificateId, PresentationId},
    wire::v1,
};
use certchain_sidechain::certificate::{CertificateRecord, CheckRecord, keys as side_keys};

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
        let same = *told == record.to_message(name, id, told.organisation_code.clone())
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
        let same = answer.check.as_ref() == Some(&record.to_message(name, id))
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

pub(super) fn proven_bytes(leaf: &VerifiedValue) -> Result<&[u8], LightError> {
    leaf.value.as_deref().ok_or(LightError::OtherQuestion)
}
