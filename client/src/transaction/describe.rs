//! Transactions in words, so that each signer sees what it signs.

use certchain_ledger::governance::Change as LedgerChange;
use certchain_proto::{
    Address,
    hash::PresentationId,
    wire::v1::{
        CertificateDraft, EncryptedFields, IdentityEnd, RecordCheck, ValidatorApplication,
        VoteChoice, encrypted_fields::Content, propose::Change, transaction_body::Kind,
    },
};
use certchain_sidechain::presentation::{Audience, Presentation};

use crate::wallet::AccountKind;

/// How many certificates of a batch are shown one by one.
const SHOWN_LINES: usize = 8;

/// The kind's name, as in the .proto files.
pub const fn kind_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::RegisterIdentity(_) => "register_identity",
        Kind::RotateKey(_) => "rotate_key",
        Kind::RecoverKey(_) => "recover_key",
        Kind::SuspendIdentity(_) => "suspend_identity",
        Kind::ReinstateIdentity(_) => "reinstate_identity",
        Kind::RevokeIdentity(_) => "revoke_identity",
        Kind::RestartNotice(_) => "restart_notice",
        Kind::IssueCertificate(_) => "issue_certificate",
        Kind::IssueBatch(_) => "issue_batch",
        Kind::AcceptCertificate(_) => "accept_certificate",
        Kind::DeclineCertificate(_) => "decline_certificate",
        Kind::RevokeCertificate(_) => "revoke_certificate",
        Kind::RecordCheck(_) => "record_check",
        Kind::SubmitAnchor(_) => "submit_anchor",
        Kind::ReportConflict(_) => "report_conflict",
        Kind::AddDevice(_) => "add_device",
        Kind::RemoveDevice(_) => "remove_device",
        Kind::ObjectToRecovery(_) => "object_to_recovery",
        Kind::DecideRecovery(_) => "decide_recovery",
        Kind::CompleteRecovery(_) => "complete_recovery",
        Kind::Propose(_) => "propose",
        Kind::Vote(_) => "vote",
        Kind::AcceptAccreditation(_) => "accept_accreditation",
    }
}

/// Every field of a kind with its name and value for people: addresses as such, other bytes in
/// hexadecimal digits.
pub fn describe(kind: &Kind) -> Vec<(&'static str, String)> {
    match kind {
        Kind::RegisterIdentity(m) => vec![
            ("kind", account_kind(m.kind)),
            ("public_key", hex::encode(&m.public_key)),
            ("encryption_key", hex::encode(&m.encryption_key)),
            ("attribute_root", hex::encode(&m.attribute_root)),
            ("tag", hex::encode(&m.tag)),
            ("tag_key_version", m.tag_key_version.to_string()),
            ("agency", address(&m.agency)),
            ("registrar", address(&m.registrar)),
            ("organisation_code", m.organisation_code.clone()),
        ],
        Kind::RotateKey(m) => vec![
            ("address", address(&m.address)),
            ("public_key", hex::encode(&m.public_key)),
            ("encryption_key", hex::encode(&m.encryption_key)),
        ],
        Kind::RecoverKey(m) => vec![
            ("address", address(&m.address)),
            ("public_key", hex::encode(&m.public_key)),
            ("encryption_key", hex::encode(&m.encryption_key)),
            ("agency", address(&m.agency)),
            ("registrar", address(&m.registrar)),
        ],
        Kind::SuspendIdentity(m) => authority_act(&m.address, &m.authority, m.reason),
        Kind::ReinstateIdentity(m) => authority_act(&m.address, &m.authority, m.reason),
        Kind::RevokeIdentity(m) => vec![
            ("address", address(&m.address)),
            ("agency", address(&m.agency)),
            ("registrar", address(&m.registrar)),
            ("reason", m.reason.to_string()),
            ("end", identity_end(m.end)),
        ],
        Kind::AddDevice(m) => vec![
            ("address", address(&m.address)),
            ("public_key", hex::encode(&m.public_key)),
        ],
        Kind::RemoveDevice(m) => vec![
            ("address", address(&m.address)),
            ("public_key", hex::encode(&m.public_key)),
        ],
        Kind::ObjectToRecovery(m) => vec![("address", address(&m.address))],
        Kind::DecideRecovery(m) => vec![
            ("address", address(&m.address)),
            ("agency", address(&m.agency)),
            ("registrar", address(&m.registrar)),
            ("public_key", hex::encode(&m.public_key)),
            ("confirm", yes_or_no(m.confirm)),
        ],
        Kind::CompleteRecovery(m) => vec![
            ("address", address(&m.address)),
            ("public_key", hex::encode(&m.public_key)),
        ],
        Kind::RestartNotice(m) => vec![
            ("epoch", m.epoch.to_string()),
            ("validator", m.validator.to_string()),
            ("restart_nonce", hex::encode(&m.restart_nonce)),
        ],
        Kind::IssueCertificate(m) => {
            let mut fields = vec![("issuer", address(&m.issuer))];
            fields.extend(m.certificate.as_ref().map(draft_fields).unwrap_or_default());
            fields.push(("holders_sign", yes_or_no(m.holders_sign)));
            fields
        }
        Kind::IssueBatch(m) => vec![
            ("issuer", address(&m.issuer)),
            ("certificates", m.certificates.len().to_string()),
            ("lines", lines(&m.certificates)),
        ],
        Kind::AcceptCertificate(m) => vec![
            ("certificate", hex::encode(&m.certificate)),
            ("holder", address(&m.holder)),
        ],
        Kind::DeclineCertificate(m) => vec![
            ("certificate", hex::encode(&m.certificate)),
            ("holder", address(&m.holder)),
            ("reason", m.reason.to_string()),
        ],
        Kind::RevokeCertificate(m) => vec![
            ("certificate", hex::encode(&m.certificate)),
            ("authority", address(&m.authority)),
            ("reason", m.reason.to_string()),
        ],
        Kind::RecordCheck(m) => check_fields(m),
        Kind::SubmitAnchor(m) => vec![
            ("side_chain_id", hex::encode(&m.chain_id)),
            ("sealed_header", bytes(&m.sealed_header)),
            ("history_proof", bytes(&m.history_proof)),
        ],
        Kind::ReportConflict(m) => vec![
            ("side_chain_id", hex::encode(&m.chain_id)),
            ("lower", bytes(&m.lower)),
            ("higher", bytes(&m.higher)),
            ("held", hex::encode(&m.held)),
            ("history_proof", bytes(&m.history_proof)),
        ],
        Kind::Propose(m) => vec![
            ("epoch", m.epoch.to_string()),
            ("validator", m.validator.to_string()),
            ("execution_height", m.execution_height.to_string()),
            ("change", describe_change(m.change.as_ref())),
        ],
        Kind::Vote(m) => vec![
            ("epoch", m.epoch.to_string()),
            ("validator", m.validator.to_string()),
            ("proposal", hex::encode(&m.proposal)),
            ("choice", choice(m.choice)),
        ],
        Kind::AcceptAccreditation(m) => vec![
            ("proposal", hex::encode(&m.proposal)),
            ("agency", address(&m.agency)),
        ],
    }
}

/// A proposal's change in one line.
pub fn describe_change(change: Option<&Change>) -> String {
    match change {
        None => "none, or unknown to this release".to_owned(),
        Some(Change::AccreditAgency(m)) => {
            let agency = address(&m.agency);
            format!("accredit {agency} for {}", m.types.join(", "))
        }
        Some(Change::WithdrawAccreditation(m)) => {
            let agency = address(&m.agency);
            format!("withdraw {} from {agency}", m.types.join(", "))
        }
        Some(Change::AppointRegistrar(m)) => {
            format!("appoint {} as registrar", address(&m.address))
        }
        Some(Change::DismissRegistrar(m)) => {
            format!("dismiss {} as registrar", address(&m.address))
        }
        Some(Change::SetParameters(_)) => match LedgerChange::from_wire(change) {
            Ok(LedgerChange::SetParameters(table)) => {
                let named = table.named().into_iter();
                let values: Vec<_> = named
                    .map(|(name, value)| format!("{name} {value}"))
                    .collect();
                format!("set the parameters to {}", values.join(", "))
            }
            Ok(_) | Err(_) => "set the parameters to an incomplete table".to_owned(),
        },
        Some(Change::SetTagKeyVersion(m)) => format!("make tags with key version {}", m.version),
        Some(Change::AdmitValidator(m)) => {
            let (name, key) = applicant(m.application.as_ref());
            format!("let {name} vote, with key {key}")
        }
        Some(Change::RemoveValidator(m)) => {
            let key = hex::encode(&m.vote_key);
            format!(
                "end the vote of key {key}, which may follow for {} ms",
                m.follow_ms
            )
        }
        Some(Change::RotateValidatorKeys(m)) => {
            let (name, key) = applicant(m.application.as_ref());
            let old = hex::encode(&m.vote_key);
            format!("let {name} vote with key {key} in place of {old}")
        }
        Some(Change::AdmitObserver(m)) => {
            format!(
                "let {} follow, with key {}",
                m.name,
                hex::encode(&m.network_key)
            )
        }
        Some(Change::DismissObserver(m)) => {
            format!("end the observer with key {}", hex::encode(&m.network_key))
        }
    }
}

/// Name and vote key of an application.
fn applicant(application: Option<&ValidatorApplication>) -> (String, String) {
    application.map_or_else(
        || ("nobody".to_owned(), String::new()),
        |m| (m.name.clone(), hex::encode(&m.vote_key)),
    )
}

fn choice(choice: i32) -> String {
    match VoteChoice::try_from(choice) {
        Ok(VoteChoice::Approve) => "approve".to_owned(),
        Ok(VoteChoice::Reject) => "reject".to_owned(),
        Ok(VoteChoice::Unspecified) | Err(_) => format!("unknown ({choice})"),
    }
}

fn identity_end(end: i32) -> String {
    match IdentityEnd::try_from(end) {
        Ok(IdentityEnd::Revoked) => "revoked".to_owned(),
        Ok(IdentityEnd::Deceased) => "deceased".to_owned(),
        Ok(IdentityEnd::Closed) => "closed".to_owned(),
        Err(_) => format!("unknown ({end})"),
    }
}

/// The fields of a certificate's draft. Its times are named apart from the transaction's own.
fn draft_fields(draft: &CertificateDraft) -> Vec<(&'static str, String)> {
    vec![
        ("type", draft.r#type.clone()),
        ("holders", holders(draft)),
        ("field_root", hex::encode(&draft.field_root)),
        ("certificate_nonce", hex::encode(&draft.nonce)),
        (
            "certificate_from",
            moment(draft.valid_from_ms, "from its issue on"),
        ),
        (
            "certificate_until",
            moment(draft.valid_until_ms, "as the catalogue says"),
        ),
        ("claim", hex::encode(&draft.claim)),
        ("encrypted", encrypted(&draft.encrypted)),
    ]
}

/// The first certificates of a batch, in one line.
fn lines(drafts: &[CertificateDraft]) -> String {
    let shown = drafts.iter().take(SHOWN_LINES);
    let mut parts: Vec<_> = shown
        .map(|draft| format!("{} to {}", draft.r#type, holders(draft)))
        .collect();
    if drafts.len() > SHOWN_LINES {
        parts.push(format!("and {} more", drafts.len() - SHOWN_LINES));
    }
    parts.join("; ")
}

fn holders(draft: &CertificateDraft) -> String {
    let holders: Vec<_> = draft.holders.iter().map(|bytes| address(bytes)).collect();
    holders.join(", ")
}

fn encrypted(fields: &[EncryptedFields]) -> String {
    let parts: Vec<_> = fields
        .iter()
        .map(|fields| {
            let place = match &fields.content {
                Some(Content::Ciphertext(ciphertext)) => format!("{} here", bytes(ciphertext)),
                Some(Content::Reference(reference)) => {
                    let hash = hex::encode(&reference.hash);
                    format!("{} bytes elsewhere as {hash}", reference.size)
                }
                None => "nothing".to_owned(),
            };
            format!("to key {}: {place}", hex::encode(&fields.recipient_key))
        })
        .collect();
    parts.join("; ")
}

fn check_fields(check: &RecordCheck) -> Vec<(&'static str, String)> {
    let mut fields = vec![("verifier", address(&check.verifier))];
    match Presentation::decode(&check.presentation) {
        Ok(presentation) => fields.extend([
            (
                "presentation_id",
                PresentationId::of(&check.presentation).to_string(),
            ),
            ("presentation_chain", presentation.chain.to_string()),
            ("certificate", presentation.certificate.to_string()),
            ("holder", presentation.holder.to_string()),
            (
                "presented_to",
                match presentation.audience {
                    Audience::Bearer => "whoever bears it".to_owned(),
                    Audience::Verifier(address) => address.to_string(),
                },
            ),
            ("challenge", hex::encode(&presentation.challenge)),
            ("presentation_until", presentation.expires.to_string()),
            ("disclosed_hash", presentation.disclosed.to_string()),
        ]),
        Err(error) => fields.push(("presentation", format!("broken: {error}"))),
    }
    fields.push(("holder_signature", hex::encode(&check.holder_signature)));
    fields.push(("purpose", check.purpose.to_string()));
    fields
}

fn moment(milliseconds: u64, otherwise: &str) -> String {
    match milliseconds {
        0 => otherwise.to_owned(),
        milliseconds => format!("{milliseconds} ms"),
    }
}

fn yes_or_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

fn bytes(bytes: &[u8]) -> String {
    format!("{} bytes", bytes.len())
}

fn authority_act(subject: &[u8], authority: &[u8], reason: u32) -> Vec<(&'static str, String)> {
    vec![
        ("address", address(subject)),
        ("authority", address(authority)),
        ("reason", reason.to_string()),
    ]
}

fn address(bytes: &[u8]) -> String {
    Address::from_slice(bytes).map_or_else(|| hex::encode(bytes), |address| address.to_string())
}

fn account_kind(kind: i32) -> String {
    let known = kind.try_into().ok().and_then(AccountKind::from_wire);
    known.map_or_else(|| format!("unknown ({kind})"), |kind| kind.to_string())
}
