//! Recording a check: a verifier shows the chain what a holder signed for it, and the chain
//! computes the result.
//!
//! Order of checks: signer and message, the presentation's form in it; the verifier (registered, no
//! auditor, active, signing); the presentation is for this chain; its holder is registered and has
//! signed it with one of its present keys, so that nothing in it is believed that the holder did not say;
//! it is for this verifier; its time has come and is not over; it was not recorded before; the
//! certificate is known and the holder one of its holders. What is wrong with the certificate itself
//! is no refusal but the result.

use certchain_ledger::{
    execution::{Effects, IndexEntry, Stop, Topic, check_signer_count},
    identity::{Act, IdentityStatus},
    refusal::Refusal,
};
use certchain_proto::{
    PublicKey, Signature, TimeMs,
    hash::PresentationId,
    wire::v1::{Code, RecordCheck},
};

use super::{
    CertificateRecord, CertificateStatus, CheckRecord, CheckResult,
    draft::{address, bad, listed},
    keys,
    rules::Run,
};
use crate::presentation::{Audience, BEARER_LIFE_MS, Presentation, signing_hash};

impl Run<'_> {
    pub(super) fn record_check(&self, m: &RecordCheck) -> Result<Effects, Stop> {
        check_signer_count(self.transaction, 1)?;
        let verifier = address(&m.verifier, "verifier")?;
        let shown = Presentation::decode(&m.presentation)
            .map_err(|error| Refusal::about(error.code(), error.to_string()))?;
        let signature = Signature::from_slice(&m.holder_signature)
            .ok_or_else(|| bad("holder_signature must have 64 bytes"))?;
        let purpose = listed(m.purpose, "purpose")?;

        self.actor("verifier", &verifier, Act::RecordChecks.kinds(), 0)?;

        if shown.chain != self.block.chain {
            return Err(Refusal::about(Code::WrongChain, "the presentation").into());
        }
        let holder = self.account("holder", &shown.holder)?;
        let id = PresentationId::of(&m.presentation);
        // A key in main's state was checked when it was set. An account has few keys, so the one that
        // signed need not be named.
        let signed = |known: &[u8; 32]| {
            let verify = || {
                PublicKey::from_bytes(known).is_ok_and(|key| {
                    key.verify(&signing_hash(&m.presentation), &signature)
                        .is_ok()
                })
            };
            self.verdicts.holds(id, known, &signature, verify)
        };
        if !holder.present.signing_keys().any(signed) {
            return Err(Refusal::about(Code::BadSignature, "holder_signature").into());
        }
        if let Some(named) = shown.audience.named().filter(|named| *named != verifier) {
            let text = format!("it is for {named}");
            return Err(Refusal::about(Code::WrongVerifier, text).into());
        }
        self.check_time(&shown)?;
        let key = keys::check(&id);
        if self.view.value(&key)?.is_some() {
            return Err(Refusal::about(Code::PresentationUsed, id.to_string()).into());
        }
        let certificate = self.certificate(&shown.certificate)?;
        if certificate.holder(&shown.holder).is_none() {
            return Err(Refusal::about(Code::NotHolder, shown.holder.to_string()).into());
        }
        let issuer = self.account("issuer", &certificate.issuer)?;
        let result = judge(
            &certificate,
            self.block.time,
            holder.present.status,
            issuer.present.status,
        );

        let record = CheckRecord {
            certificate: shown.certificate,
            holder: shown.holder,
            verifier,
            bearer: shown.audience == Audience::Bearer,
            purpose,
            disclosed: shown.disclosed,
            result,
            height: self.block.height,
            time: self.block.time,
        };
        let id = *id.as_bytes();
        let entry = |owner, topic| IndexEntry { owner, topic, id };
        let mut effects = Effects {
            subject: Some(id),
            index: vec![
                entry(shown.holder, Topic::Checked),
                entry(verifier, Topic::Checks),
            ],
            ..Effects::default()
        };
        effects.set(key, &record.encode());
        Ok(effects)
    }

    /// A presentation ends soon: a bearer's within a minute and the bound of the clocks, one for a
    /// named verifier within the chain's transaction window.
    fn check_time(&self, shown: &Presentation) -> Result<(), Refusal> {
        let (now, until) = (self.block.time, shown.expires);
        let parameters = self.block.parameters;
        let lead = match shown.audience {
            Audience::Bearer => BEARER_LIFE_MS.saturating_add(parameters.timers.clock_bound_ms),
            Audience::Verifier(_) => parameters.limits.transaction_window_ms,
        };
        let problem = if until <= now {
            "its time is over"
        } else if until > now.saturating_add(lead) {
            "it would end too late"
        } else {
            return Ok(());
        };
        let text = format!("{problem}: it ends at {until}, the block's time is {now}");
        Err(Refusal::about(Code::PresentationExpired, text))
    }
}

/// What a check of a certificate finds at a time, given the status of the holder who shows it and
/// of its issuer. The first thing that is wrong counts: its status, its time, the holder, the
/// issuer. Another order would fork a chain.
pub fn judge(
    certificate: &CertificateRecord,
    time: TimeMs,
    holder: IdentityStatus,
    issuer: IdentityStatus,
) -> CheckResult {
    match certificate.status {
        CertificateStatus::Issued => return CheckResult::NotAccepted,
        CertificateStatus::Declined => return CheckResult::Declined,
        CertificateStatus::Revoked => return CheckResult::Revoked,
        CertificateStatus::Active => {}
    }
    if certificate.is_expired(time) {
        return CheckResult::Expired;
    }
    if time < certificate.valid_from {
        return CheckResult::NotYetValid;
    }
    if holder != IdentityStatus::Active {
        return CheckResult::HolderNotActive;
    }
    // What a suspended issuer has issued stands; what a revoked one has is to be issued anew.
    if issuer == IdentityStatus::Revoked {
        return CheckResult::IssuerRevoked;
    }
    CheckResult::Valid
}
