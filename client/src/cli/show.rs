//! Reports on what the chain holds.

use certchain_client::{
    connection::Connection,
    transaction::{Draft, describe, kind_name},
};
use certchain_ledger::{evidence::VerifiedHeader, refusal::advice};
use certchain_proto::{
    Address,
    transaction::Transaction,
    wire::v1::{
        BlockHeader, Code, GetIdentityResponse, GetPublicKeyResponse, IdentityKind, IdentityStatus,
        Receipt, Recovery, RecoveryStage, SignedTransaction, transaction_body::Kind,
    },
};
use serde_json::{Map, Value, json};

use super::{exit_code::Exit, failure::Failure, output::Report, registration::MAIN};

/// The fields of a draft and who has signed it.
pub fn draft_report(title: &str, draft: &Draft) -> Report {
    let parties: Vec<Value> = draft
        .parties()
        .iter()
        .enumerate()
        .map(|(index, party)| {
            json!({
                "role": party.role.to_string(),
                "signer": party.signer.to_string(),
                "signed": index < draft.signed(),
            })
        })
        .collect();
    let mut report = Report::new(title)
        .field("transaction_id", draft.id().to_string())
        .field("transaction", kind_name(draft.kind()))
        .field("chain_id", draft.transaction().chain().to_string())
        .time("valid_until_ms", draft.transaction().valid_until().get())
        .maybe(
            "subject",
            draft.subject().map(|address| address.to_string()),
        );
    for (name, value) in describe(draft.kind()) {
        report = report.field(name, value);
    }
    report.field("signers", parties)
}

/// Submits a finished draft to main and adds its receipt to the report; a failed receipt is a
/// failure.
pub async fn decided(
    connection: &Connection,
    report: Report,
    draft: Draft,
) -> Result<Report, Failure> {
    decided_on(connection, MAIN, report, draft).await
}

/// The same on any chain.
pub async fn decided_on(
    connection: &Connection,
    chain: &str,
    report: Report,
    draft: Draft,
) -> Result<Report, Failure> {
    let subject = Subject::of(draft.kind());
    let receipt = connection.submit_and_wait(chain, draft.finish()?).await?;
    if receipt.code != Code::Ok as i32 {
        return Err(refusal(receipt.code, receipt.height));
    }
    Ok(report.append(receipt_fields(Report::default(), &receipt, subject)))
}

/// A transaction, or one line of it, that was decided without taking effect.
pub fn refusal(number: i32, height: u64) -> Failure {
    let code = Code::try_from(number).ok();
    let advice = code.map_or("use a newer release to read it", advice);
    Failure {
        exit: Exit::Refused,
        message: format!(
            "decided at height {height} with {}: {advice}",
            code_name(number)
        ),
        code,
    }
}

/// The stable name of a code.
pub fn code_name(number: i32) -> &'static str {
    Code::try_from(number).map_or("CODE_UNKNOWN", |code| code.as_str_name())
}

/// What the subject of a receipt names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An account.
    Account,
    /// A certificate, a presentation, a block, a chain.
    Other,
}

impl Subject {
    /// That of a kind's receipt.
    pub const fn of(kind: &Kind) -> Self {
        match kind {
            Kind::RegisterIdentity(_)
            | Kind::RotateKey(_)
            | Kind::RecoverKey(_)
            | Kind::AddDevice(_)
            | Kind::RemoveDevice(_)
            | Kind::ObjectToRecovery(_)
            | Kind::DecideRecovery(_)
            | Kind::CompleteRecovery(_)
            | Kind::SuspendIdentity(_)
            | Kind::ReinstateIdentity(_)
            | Kind::RevokeIdentity(_)
            | Kind::AcceptAccreditation(_) => Self::Account,
            Kind::RestartNotice(_)
            | Kind::IssueCertificate(_)
            | Kind::IssueBatch(_)
            | Kind::AcceptCertificate(_)
            | Kind::DeclineCertificate(_)
            | Kind::RevokeCertificate(_)
            | Kind::RecordCheck(_)
            | Kind::SubmitAnchor(_)
            | Kind::ReportConflict(_)
            | Kind::Propose(_)
            | Kind::Vote(_) => Self::Other,
        }
    }

    /// That of an envelope's receipt.
    pub fn of_envelope(envelope: &SignedTransaction) -> Self {
        Transaction::from_envelope(envelope.clone())
            .map_or(Self::Other, |transaction| Self::of(transaction.kind()))
    }
}

/// The fields of a receipt.
pub fn receipt_fields(report: Report, receipt: &Receipt, subject: Subject) -> Report {
    let subject = match subject {
        _ if receipt.subject.is_empty() => None,
        Subject::Account => Address::from_slice(&receipt.subject).map(|a| a.to_string()),
        Subject::Other => Some(hex::encode(&receipt.subject)),
    };
    report
        .hex("transaction_id", &receipt.transaction_id)
        .field("code", code_name(receipt.code))
        .field("height", receipt.height)
        .field("index", receipt.index)
        .hex("block_id", &receipt.block_id)
        .maybe("subject", subject)
}

/// What a check of proofs adds.
pub fn proof_fields(report: Report, block: &VerifiedHeader) -> Report {
    report
        .field("verified", true)
        .field("proven_by_height", block.header.height.get())
        .field("proven_by_block", block.id.to_string())
        .time("proven_by_time_ms", block.header.time_ms.get())
}

/// An identity as a node tells it.
pub fn identity_report(answer: &GetIdentityResponse) -> Result<Report, Failure> {
    let Some(identity) = &answer.identity else {
        return Err(Failure::new(
            Exit::NotFound,
            "there is no such identity at that height",
        ));
    };
    let address = |bytes: &[u8]| Address::from_slice(bytes).map(|address| address.to_string());
    Ok(
        Report::new(format!("Identity as of height {}", answer.height))
            .maybe("address", address(&identity.address))
            .field("kind", kind_word(identity.kind))
            .field("status", status_word(identity.status))
            .field("organisation_code", identity.organisation_code.as_str())
            .hex("public_key", &identity.public_key)
            .maybe("devices", devices(&identity.devices))
            .hex("encryption_key", &identity.encryption_key)
            .hex("attribute_root", &identity.attribute_root)
            .maybe("agency", address(&identity.agency))
            .maybe("registrar", address(&identity.registrar))
            .field("registered_height", identity.registered_height)
            .field("sequence", identity.sequence)
            .field("from_height", identity.from_height)
            .maybe(
                "until_height",
                Some(identity.until_height).filter(|height| *height != 0),
            )
            .field("reason", identity.reason)
            .maybe("recovery", answer.recovery.as_ref().map(recovery_value))
            .field("height", answer.height),
    )
}

fn devices(keys: &[Vec<u8>]) -> Option<Vec<String>> {
    (!keys.is_empty()).then(|| keys.iter().map(hex::encode).collect())
}

fn recovery_value(recovery: &Recovery) -> Value {
    let stage = RecoveryStage::try_from(recovery.stage).map_or("unknown".to_owned(), |stage| {
        word(stage.as_str_name(), "RECOVERY_STAGE_")
    });
    let address = |bytes: &[u8]| Address::from_slice(bytes).map(|address| address.to_string());
    json!({
        "stage": stage,
        "public_key": hex::encode(&recovery.public_key),
        "agency": address(&recovery.agency),
        "registrar": address(&recovery.registrar),
        "opened_height": recovery.opened_height,
        "due_ms": recovery.due_ms,
        "ends_ms": recovery.ends_ms,
    })
}

/// An account's keys as a node tells them.
pub fn keys_report(account: &Address, answer: &GetPublicKeyResponse) -> Report {
    Report::new(format!("Keys as of height {}", answer.height))
        .field("address", account.to_string())
        .field("status", status_word(answer.status))
        .hex("public_key", &answer.public_key)
        .maybe("devices", devices(&answer.devices))
        .hex("encryption_key", &answer.encryption_key)
        .field("height", answer.height)
}

/// A header as a node tells it.
pub fn header_fields(report: Report, header: &BlockHeader) -> Report {
    report
        .field("height", header.height)
        .hex("block_id", &header.block_id)
        .time("time_ms", header.time_ms)
        .field("transactions_count", header.tx_count)
        .hex("parent_id", &header.parent_id)
        .field("epoch", header.epoch)
        .field("view", header.view)
        .field("proposer", header.proposer)
        .hex("tx_root", &header.tx_root)
        .hex("receipts_root", &header.receipts_root)
        .hex("state_root", &header.state_root)
        .hex("history_root", &header.history_root)
        .hex("next_validators", &header.next_validators)
}

/// A transaction in words; broken ones, which no decided block holds, as such.
pub fn transaction_value(envelope: &SignedTransaction) -> Value {
    let mut map = Map::new();
    match Transaction::from_envelope(envelope.clone()) {
        Err(error) => {
            map.insert("broken".to_owned(), error.to_string().into());
        }
        Ok(transaction) => {
            map.insert(
                "transaction_id".to_owned(),
                transaction.id().to_string().into(),
            );
            map.insert(
                "transaction".to_owned(),
                kind_name(transaction.kind()).into(),
            );
            let valid_until = transaction.valid_until().get();
            map.insert("valid_until_ms".to_owned(), valid_until.into());
            for (name, value) in describe(transaction.kind()) {
                map.insert(name.to_owned(), value.into());
            }
            let signers = transaction.witnesses().iter();
            let signers: Vec<_> = signers
                .map(|witness| hex::encode(witness.public_key))
                .collect();
            map.insert("signed_by".to_owned(), signers.into());
        }
    }
    Value::Object(map)
}

/// The kind of an account.
pub fn kind_word(kind: i32) -> String {
    match IdentityKind::try_from(kind) {
        Ok(kind) => word(kind.as_str_name(), "IDENTITY_KIND_"),
        Err(_) => format!("unknown ({kind})"),
    }
}

/// The status of an identity.
pub fn status_word(status: i32) -> String {
    match IdentityStatus::try_from(status) {
        Ok(status) => word(status.as_str_name(), "IDENTITY_STATUS_"),
        Err(_) => format!("unknown ({status})"),
    }
}

/// A word for people and programs from the name of an enumeration's value.
pub fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix)
        .unwrap_or(name)
        .to_ascii_lowercase()
}
