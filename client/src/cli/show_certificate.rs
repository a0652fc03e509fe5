//! Reports on certificates and checks.

use certchain_client::certificate::KnownType;
use certchain_config::FieldKind;
use certchain_proto::{
    Address,
    wire::v1::{self, CertificateStatus, CheckResult},
};
use certchain_sidechain::{fields::CertificateFields, package::ShownField};
use serde_json::{Map, Value, json};

use super::{output::Report, show::word};

/// An address as people write it.
pub fn address_text(bytes: &[u8]) -> Option<String> {
    Address::from_slice(bytes).map(|address| address.to_string())
}

/// The status of a certificate.
pub fn certificate_status(status: i32) -> String {
    match CertificateStatus::try_from(status) {
        Ok(status) => word(status.as_str_name(), "CERTIFICATE_STATUS_"),
        Err(_) => format!("unknown ({status})"),
    }
}

/// The result of a check.
pub fn result_word(result: i32) -> String {
    match CheckResult::try_from(result) {
        Ok(result) => word(result.as_str_name(), "CHECK_RESULT_"),
        Err(_) => format!("unknown ({result})"),
    }
}

/// What a result means, for a clerk.
pub fn result_sentence(result: i32) -> &'static str {
    match CheckResult::try_from(result) {
        Ok(CheckResult::Valid) => "the certificate is in force",
        Ok(CheckResult::NotAccepted) => "a holder has not accepted the certificate yet",
        Ok(CheckResult::Declined) => "a holder declined the certificate",
        Ok(CheckResult::Revoked) => "the certificate was revoked",
        Ok(CheckResult::Expired) => "the certificate's time is over",
        Ok(CheckResult::NotYetValid) => "the certificate's time has not come",
        Ok(CheckResult::HolderNotActive) => "the holder's identity is suspended or revoked",
        Ok(CheckResult::IssuerRevoked) => "the issuer's identity is revoked",
        Ok(CheckResult::Unspecified) | Err(_) => "the result is unknown to this release",
    }
}

/// Whether the answer is yes.
pub fn is_valid(result: i32) -> bool {
    result == CheckResult::Valid as i32
}

/// A certificate as a node tells it. `time_ms` is the block time as of which it is told.
pub fn certificate_fields(
    report: Report,
    certificate: &v1::Certificate,
    time_ms: Option<u64>,
) -> Report {
    let holders: Vec<Value> = certificate
        .holders
        .iter()
        .map(|holder| {
            json!({
                "address": address_text(&holder.address),
                "accepted": holder.accepted_ms != 0,
                "accepted_ms": holder.accepted_ms,
            })
        })
        .collect();
    let until = certificate.valid_until_ms;
    let expired = time_ms.map(|time| until != 0 && until <= time);
    report
        .hex("certificate", &certificate.certificate)
        .field("chain", certificate.chain.as_str())
        .field("type", certificate.r#type.as_str())
        .field("status", certificate_status(certificate.status))
        .maybe("expired", expired.filter(|expired| *expired))
        .field("serial", certificate.serial)
        .maybe("issuer", address_text(&certificate.issuer))
        .field("organisation_code", certificate.organisation_code.as_str())
        .field("holders", holders)
        .hex("transaction_id", &certificate.transaction_id)
        .field("line", certificate.line)
        .field("issued_height", certificate.issued_height)
        .time("issued_ms", certificate.issued_ms)
        .time("valid_from_ms", certificate.valid_from_ms)
        .maybe("valid_until_ms", Some(until).filter(|until| *until != 0))
        .field("status_height", certificate.status_height)
        .time("status_ms", certificate.status_ms)
        .field("reason", certificate.reason)
        .hex("field_root", &certificate.field_root)
        .hex("claim", &certificate.claim)
}

/// A check as a node tells it.
pub fn check_fields(report: Report, check: &v1::RecordedCheck) -> Report {
    report
        .hex("presentation", &check.presentation_id)
        .hex("certificate", &check.certificate)
        .field("chain", check.chain.as_str())
        .maybe("holder", address_text(&check.holder))
        .maybe("verifier", address_text(&check.verifier))
        .field("bearer", check.bearer)
        .field("purpose", check.purpose)
        .field("result", result_word(check.result))
        .field("height", check.height)
        .time("time_ms", check.time_ms)
}

/// The fields of a certificate in clear: only for who asked to see them.
pub fn field_values(fields: &CertificateFields) -> Value {
    let mut map = Map::new();
    for slot in fields.slots() {
        map.insert(slot.name().to_owned(), slot.value().into());
    }
    Value::Object(map)
}

/// The fields that a holder showed, in clear.
pub fn shown_values(shown: &[ShownField]) -> Value {
    let mut map = Map::new();
    for field in shown {
        map.insert(field.name().to_owned(), field.value().into());
    }
    Value::Object(map)
}

/// A type of the catalogue.
pub fn type_report(known: &KnownType) -> Report {
    let certificate_type = &known.certificate_type;
    let fields: Vec<Value> = certificate_type
        .fields
        .iter()
        .map(|field| {
            json!({
                "name": field.name.as_str(),
                "title": field.title.as_str(),
                "kind": kind_name(field.kind),
                "max_bytes": field.max_bytes,
                "required": field.required,
            })
        })
        .collect();
    let validity = certificate_type.validity_days;
    Report::new(certificate_type.title.as_str())
        .field("type", certificate_type.name.as_str())
        .field("chain", certificate_type.chain.name())
        .field("chain_id", known.chain.to_string())
        .maybe("validity_days", validity)
        .field("fields", fields)
}

const fn kind_name(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text => "text",
        FieldKind::Date => "date",
        FieldKind::Number => "number",
        FieldKind::Address => "address",
    }
}
