//! Issuing certificates, one by one or many at once.
//!
//! Order of checks. One certificate: signers and message; the issuer (registered, an agency, active,
//! signing first); then as a line. A batch: signers and number of lines; the issuer; then each line
//! against the state as the lines before it left it. A line: its message (batches only; else it
//! came first); its type (in this chain's catalogue, the issuer accredited for it); its validity;
//! each holder in order (registered, of a kind that the type takes, active, signing if the type
//! needs consent, encrypted to under its present key); the id unused; each claim free.

use std::collections::BTreeSet;

use certchain_config::catalogue::CertificateType;
use certchain_ledger::{
    execution::{Effects, IndexEntry, Line, Stop, Topic, check_signed_for, check_signer_count},
    identity::{Act, IdentityRecord},
    refusal::Refusal,
    state::StateKey,
    view::ReadError,
};
use certchain_proto::{
    Address, TimeMs, codec,
    hash::CertificateId,
    wire::v1::{Code, EncryptedFields, IssueBatch, IssueCertificate},
};

use super::{
    CertificateRecord, CertificateStatus, HolderRecord,
    draft::{Draft, address, bad},
    keys,
    rules::Run,
};

/// Most lines of a batch.
pub const MAX_BATCH_LINES: usize = 1024;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// How long after its block a certificate may begin to be valid.
const MAX_LEAD_MS: u64 = 365 * DAY_MS;

impl Run<'_> {
    pub(super) fn issue(&self, m: &IssueCertificate) -> Result<Effects, Stop> {
        let message = m
            .certificate
            .as_ref()
            .ok_or_else(|| bad("certificate is missing"))?;
        if m.holders_sign != self.rules.consent {
            return Err(bad(match self.rules.consent {
                true => "holders_sign must be true: this type needs its holders' consent",
                false => "holders_sign must be false: this type is issued by its issuer alone",
            })
            .into());
        }
        let issuer = address(&m.issuer, "issuer")?;
        let draft = Draft::parse(&self.block.chain, &issuer, self.rules, message)?;
        let signing_holders = match self.rules.consent {
            true => draft.holders.len(),
            false => 0,
        };
        check_signer_count(self.transaction, 1 + signing_holders)?;
        let mut issuing = Issuing::start(self, issuer)?;
        issuing.line(0, &draft)?;
        let mut effects = issuing.finish();
        effects.subject = Some(*draft.id.as_bytes());
        Ok(effects)
    }

    pub(super) fn issue_batch(&self, m: &IssueBatch) -> Result<Effects, Stop> {
        check_signer_count(self.transaction, 1)?;
        if self.rules.consent {
            return Err(
                bad("this type has no batches: each issue needs its holders' consent").into(),
            );
        }
        let count = m.certificates.len();
        if !(1..=MAX_BATCH_LINES).contains(&count) {
            let text =
                format!("{count} certificates, a batch has 1 to {MAX_BATCH_LINES}; split it");
            return Err(bad(text).into());
        }
        let issuer = address(&m.issuer, "issuer")?;
        let mut issuing = Issuing::start(self, issuer)?;
        let mut lines = Vec::with_capacity(count);
        let mut first_refusal = None;
        for (place, message) in (0u32..).zip(&m.certificates) {
            // A line that is not in order has no name yet.
            let mut certificate = CertificateId::ZERO;
            let outcome = match Draft::parse(&self.block.chain, &issuer, self.rules, message) {
                Ok(draft) => {
                    certificate = draft.id;
                    issuing.line(place, &draft)
                }
                Err(refusal) => Err(refusal.into()),
            };
            let code = match outcome {
                Ok(()) => Code::Ok,
                Err(Stop::Refused(refusal)) => {
                    let code = refusal.code();
                    first_refusal.get_or_insert(refusal);
                    code
                }
                Err(failed @ Stop::Failed(_)) => return Err(failed),
            };
            lines.push(Line { code, certificate });
        }
        match first_refusal {
            Some(refusal) if lines.iter().all(|line| line.code != Code::Ok) => Err(refusal.into()),
            _ => {
                let mut effects = issuing.finish();
                effects.lines = lines;
                Ok(effects)
            }
        }
    }
}

/// Certificates of one issuer on their way into the state, each judged as the ones before left it.
struct Issuing<'r, 'a> {
    run: &'r Run<'a>,
    issuer: Address,
    agency: IdentityRecord,
    types: Vec<TypeInUse>,
    issued: BTreeSet<CertificateId>,
    claimed: BTreeSet<StateKey>,
    effects: Effects,
}

/// A type that was asked for, with its counter.
struct TypeInUse {
    entry: CertificateType,
    counter: StateKey,
    /// The last serial given.
    serial: u64,
    changed: bool,
}

impl<'r, 'a> Issuing<'r, 'a> {
    fn start(run: &'r Run<'a>, issuer: Address) -> Result<Self, Stop> {
        Ok(Self {
            run,
            issuer,
            agency: run.actor("issuer", &issuer, Act::IssueCertificates.kinds(), 0)?,
            types: Vec::new(),
            issued: BTreeSet::new(),
            claimed: BTreeSet::new(),
            effects: Effects::default(),
        })
    }

    /// Judges one certificate and, if it can be issued, issues it. A refused one changes nothing.
    fn line(&mut self, line: u32, draft: &Draft<'_>) -> Result<(), Stop> {
        let (run, block) = (self.run, self.run.block);
        let place = self.type_of(draft.type_name)?;
        let kind = &mut self.types[place];
        let (valid_from, valid_until) = validity(run, draft, kind.entry.validity_days)?;
        for (number, holder) in draft.holders.iter().enumerate() {
            check_holder(run, draft, number, holder)?;
        }
        let key = keys::certificate(&draft.id);
        if self.issued.contains(&draft.id) || run.view.value(&key)?.is_some() {
            return Err(Refusal::about(Code::CertificateTaken, draft.id.to_string()).into());
        }
        let claims = draft.claim_keys(run.rules);
        for (number, claim) in claims.iter().enumerate() {
            if self.claimed.contains(claim) || is_held(run, claim)? {
                return Err(claim_taken(draft, number).into());
            }
        }
        let used_up = || bad("the issuer's serials for this type are used up");
        let serial = kind.serial.checked_add(1).ok_or_else(used_up)?;

        // Nothing refuses from here on.
        kind.serial = serial;
        kind.changed = true;
        let record = CertificateRecord {
            type_name: draft.type_name.to_owned(),
            issuer: self.issuer,
            serial,
            holders: draft
                .holders
                .iter()
                .map(|address| HolderRecord {
                    address: *address,
                    accepted: None,
                })
                .collect(),
            field_root: draft.field_root,
            claim: draft.claim,
            issued_height: block.height,
            issued_time: block.time,
            transaction: run.transaction.id(),
            line,
            valid_from,
            valid_until,
            version: 0,
            status: CertificateStatus::Issued,
            status_height: block.height,
            status_time: block.time,
            reason: 0,
        };
        self.effects.set(key, &record.encode());
        let id = *draft.id.as_bytes();
        let entry = |owner, topic| IndexEntry { owner, topic, id };
        for holder in &draft.holders {
            self.effects.index.push(entry(*holder, Topic::Held));
        }
        self.effects.index.push(entry(self.issuer, Topic::Issued));
        self.issued.insert(draft.id);
        for claim in claims {
            self.effects.set(claim, draft.id.as_bytes());
            self.claimed.insert(claim);
        }
        Ok(())
    }

    /// What all of them change, with the counters.
    fn finish(mut self) -> Effects {
        for kind in self.types.iter().filter(|kind| kind.changed) {
            self.effects.set(kind.counter, &kind.serial.to_be_bytes());
        }
        self.effects
    }

    /// The place of a type for which the issuer is accredited.
    fn type_of(&mut self, name: &str) -> Result<usize, Stop> {
        let met = |kind: &TypeInUse| kind.entry.name.as_str() == name;
        if let Some(place) = self.types.iter().position(met) {
            return Ok(place);
        }
        let entry = self.run.certificate_type(name)?;
        if !self.agency.may_issue.iter().any(|known| known == name) {
            let text = format!("issuer {}, type '{name}'", self.issuer);
            return Err(Refusal::about(Code::NotAccredited, text).into());
        }
        let counter = keys::serials(&self.issuer, name);
        let serial = match self.run.view.value(&counter)? {
            None => 0,
            Some(value) => {
                let bytes = <[u8; 8]>::try_from(&*value).map_err(|_| corrupt(counter, "serial"))?;
                u64::from_be_bytes(bytes)
            }
        };
        self.types.push(TypeInUse {
            entry,
            counter,
            serial,
            changed: false,
        });
        Ok(self.types.len() - 1)
    }
}

fn corrupt(key: StateKey, what: &'static str) -> ReadError {
    ReadError::Value {
        key: Box::new(key),
        source: codec::DecodeError::Malformed { what },
    }
}

/// From when until when a certificate is valid.
fn validity(
    run: &Run<'_>,
    draft: &Draft<'_>,
    days: Option<u32>,
) -> Result<(TimeMs, Option<TimeMs>), Refusal> {
    let now = run.block.time;
    let from = draft.valid_from.unwrap_or(now);
    if from > now.saturating_add(MAX_LEAD_MS) {
        return Err(bad("valid_from_ms is more than a year after the block"));
    }
    let latest = days.map(|days| from.saturating_add(u64::from(days) * DAY_MS));
    let until = match (draft.valid_until, latest) {
        (Some(until), Some(latest)) if until > latest => {
            let text = format!("valid_until_ms is above {latest}, the most for this type");
            return Err(bad(text));
        }
        (Some(until), _) => Some(until),
        (None, latest) => latest,
    };
    match until {
        Some(until) if until <= from.max(now) => {
            Err(bad("the certificate would be expired before it is valid"))
        }
        None if run.rules.always_ends => Err(bad(
            "valid_until_ms is missing: this type always has an end",
        )),
        until => Ok((from, until)),
    }
}

fn check_holder(
    run: &Run<'_>,
    draft: &Draft<'_>,
    number: usize,
    holder: &Address,
) -> Result<(), Stop> {
    let record = run.active("holder", holder, run.rules.holder_kinds)?;
    if run.rules.consent {
        check_signed_for(run.transaction, 1 + number, &record.present)?;
    }
    let fits = |fields: &EncryptedFields| fields.recipient_key == record.present.encryption_key;
    if !draft.encrypted.get(number).is_some_and(fits) {
        let text = format!("encrypted[{number}] for holder {holder}");
        return Err(Refusal::about(Code::WrongRecipient, text).into());
    }
    Ok(())
}

/// Whether a certificate holds a claim now: an expired one no longer does, though its leaf stays
/// until another takes it over.
fn is_held(run: &Run<'_>, claim: &StateKey) -> Result<bool, Stop> {
    let Some(value) = run.view.value(claim)? else {
        return Ok(false);
    };
    let id = CertificateId::from_slice(&value).ok_or_else(|| corrupt(*claim, "certificate id"))?;
    let record = run.named_certificate(&id)?;
    Ok(!record.is_expired(run.block.time))
}

fn claim_taken(draft: &Draft<'_>, number: usize) -> Refusal {
    let text = match (&draft.claim, draft.holders.get(number)) {
        (None, Some(holder)) => format!("holder {holder}"),
        (Some(_), _) | (None, None) => "the thing that claim names".to_owned(),
    };
    Refusal::about(Code::ClaimTaken, text)
}
