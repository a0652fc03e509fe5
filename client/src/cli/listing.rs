//! Asking for certificates: one by its id, one as it was sent, lists.

use std::path::PathBuf;

use certchain_client::{
    certificate::ReceivedCertificate, connection::Connection, query::authorise, wallet::Wallet,
};
use certchain_config::SideChain;
use certchain_proto::{
    Address, Height,
    hash::{CertificateId, TransactionId},
    wire::v1::{self, QueryTopic},
};
use clap::Args;
use serde_json::Value;

use super::{
    exit_code::Exit,
    failure::Failure,
    lookup::{
        ChainOption, certificate_id, find, open_received, side_chain, transaction_id, type_of,
        wrong,
    },
    output::Report,
    session::{Common, Verify, now},
    show::{Subject, proof_fields, receipt_fields},
    show_certificate::{address_text, certificate_fields, check_fields, field_values},
};

/// Entries that are asked for at a time.
const PAGE: u32 = 256;

/// `certchain certificate show ...`
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// The certificate's id
    #[arg(value_parser = certificate_id)]
    id: CertificateId,
    #[command(flatten)]
    chain: ChainOption,
    #[command(flatten)]
    verify: Verify,
}

/// A certificate's record.
pub async fn show(common: &Common, args: &ShowArgs) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let trust = args.verify.trust()?;
    let found = find(&connection, &args.id, args.chain, trust.as_ref()).await?;
    let title = format!("Certificate as of height {}", found.answer.height);
    let time = found.answer.time_ms;
    let report = certificate_fields(Report::new(title), &found.certificate, Some(time))
        .field("as_of_height", found.answer.height)
        .time("as_of_time_ms", time);
    Ok(match &found.proven {
        None => report,
        Some(proven) => proof_fields(report, &proven.block),
    })
}

/// `certchain certificate query ...`
#[derive(Args, Debug)]
pub struct QueryArgs {
    /// Address of the holder [default: the wallet's]
    #[arg(long, value_name = "ADDRESS", required_unless_present = "wallet")]
    holder: Option<Address>,
    /// Height of the block that issued it
    #[arg(long, value_name = "HEIGHT")]
    height: u64,
    /// The transaction that issued it
    #[arg(long, value_name = "HASH", value_parser = transaction_id)]
    transaction: TransactionId,
    /// Its line if the transaction is a batch [default: the first that is this holder's]
    #[arg(long, value_name = "LINE")]
    line: Option<u32>,
    /// The holder's wallet, to read the fields
    #[arg(long, value_name = "FILE")]
    wallet: Option<PathBuf>,
    #[command(flatten)]
    chain: ChainOption,
}

/// A certificate as it was sent.
pub async fn query(common: &Common, args: &QueryArgs) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let account = match &args.wallet {
        Some(path) => Some(Wallet::inspect(path)?.address()),
        None => None,
    };
    let holder = args.holder.or(account);
    let holder = holder.ok_or_else(|| Failure::usage("give --holder or --wallet"))?;
    let (side, answer) = ask_each(&connection, args, &holder).await?;
    let issuer = Address::from_slice(&answer.issuer).ok_or_else(|| wrong("the issuer"))?;
    let id = CertificateId::from_slice(&answer.certificate)
        .ok_or_else(|| wrong("the certificate's id"))?;
    let draft = answer.draft.ok_or_else(|| wrong("the draft"))?;
    let known = type_of(&connection, side, &draft.r#type, None).await?;
    let received = ReceivedCertificate::new(known.chain, issuer, draft, Some(id))?;
    let mut report = Report::new("Certificate as it was sent")
        .field("organisation_code", answer.organisation_code.as_str())
        .field("issuer", issuer.to_string())
        .field("certificate", id.to_string())
        .field("chain", side.name())
        .field("type", received.type_name())
        .field("holder", holder.to_string())
        .field("line", answer.line);
    if let Some(path) = &args.wallet {
        let wallet = common.open(path)?;
        let fields = open_received(&connection, &wallet, &known, &received).await?;
        report = report.field("fields", field_values(&fields));
    } else if let Some(fields) = &answer.fields {
        report = report
            .hex("recipient_key", &fields.recipient_key)
            .hex("encapsulated_key", &fields.encapsulated_key);
        report = match &fields.content {
            Some(v1::encrypted_fields::Content::Ciphertext(bytes)) => {
                report.hex("ciphertext", bytes)
            }
            Some(v1::encrypted_fields::Content::Reference(reference)) => report
                .hex("ciphertext_hash", &reference.hash)
                .field("ciphertext_size", reference.size),
            None => report,
        };
    }
    Ok(match &answer.receipt {
        Some(receipt) => receipt_fields(report, receipt, Subject::Other),
        None => report,
    })
}

async fn ask_each(
    connection: &Connection,
    args: &QueryArgs,
    holder: &Address,
) -> Result<(SideChain, v1::QueryCertificateResponse), Failure> {
    let height = Height::new(args.height);
    for side in args.chain.sides() {
        let asked = connection
            .query_certificate(side.name(), holder, height, &args.transaction, args.line)
            .await;
        match asked.map_err(Failure::from) {
            Ok(answer) => return Ok((side, answer)),
            Err(failure) if failure.exit == Exit::NotFound => {}
            Err(failure) => return Err(failure),
        }
    }
    let message = "no side chain issued a certificate to this holder at this height in this \
                   transaction; check the three";
    Err(Failure::new(Exit::NotFound, message))
}

/// `certchain certificate list ...`
#[derive(Args, Debug)]
pub struct ListArgs {
    /// The wallet whose certificates are listed
    #[arg(long, value_name = "FILE")]
    wallet: PathBuf,
    /// Certificates that it issued [default: that it holds]
    #[arg(long, conflicts_with_all = ["checked", "checks"])]
    issued: bool,
    /// Checks that others made of certificates that it holds
    #[arg(long, conflicts_with = "checks")]
    checked: bool,
    /// Checks that it made
    #[arg(long)]
    checks: bool,
    /// Most entries of each chain, newest first
    #[arg(long, value_name = "COUNT", default_value_t = 256)]
    limit: usize,
    /// Side chain [default: all]
    #[arg(long, value_name = "NAME", value_parser = side_chain)]
    chain: Option<SideChain>,
}

/// Certificates or checks of an account.
pub async fn list(common: &Common, args: &ListArgs) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let wallet = common.open(&args.wallet)?;
    let (title, topic) = match (args.issued, args.checked, args.checks) {
        (true, ..) => ("Certificates issued", QueryTopic::Issued),
        (_, true, _) => ("Checks of certificates held", QueryTopic::Checked),
        (.., true) => ("Checks made", QueryTopic::Checks),
        _ => ("Certificates held", QueryTopic::Held),
    };
    let sides = ChainOption { chain: args.chain }.sides();
    let mut entries: Vec<Value> = Vec::new();
    for side in sides {
        for entry in listed(&connection, &wallet, side, topic, args.limit).await? {
            entries.push(entry_value(&entry));
        }
    }
    Ok(Report::new(title)
        .field("address", wallet.address().to_string())
        .field("entries", entries))
}

/// All entries of one chain up to a limit, newest first.
pub async fn listed(
    connection: &Connection,
    wallet: &Wallet,
    side: SideChain,
    topic: QueryTopic,
    limit: usize,
) -> Result<Vec<v1::ListedCertificate>, Failure> {
    let chain = connection.chain_id(side.name()).await?;
    let mut entries = Vec::new();
    let mut cursor = Vec::new();
    while entries.len() < limit {
        let left = limit.saturating_sub(entries.len());
        let page = u32::try_from(left).unwrap_or(PAGE).min(PAGE);
        let permit = authorise(wallet, chain, topic, now())?;
        let answer = connection
            .list_certificates(side.name(), permit, cursor, page)
            .await?;
        let ended = answer.next_cursor.is_empty() || answer.entries.is_empty();
        entries.extend(answer.entries);
        if ended {
            break;
        }
        cursor = answer.next_cursor;
    }
    entries.truncate(limit);
    Ok(entries)
}

/// One entry on one line.
fn entry_value(entry: &v1::ListedCertificate) -> Value {
    let certificate = entry.certificate.clone().unwrap_or_default();
    match &entry.check {
        Some(check) => check_fields(Report::default(), check)
            .field("type", certificate.r#type)
            .into_value(),
        None => {
            let holders = certificate.holders.iter();
            let holders: Vec<Value> = holders
                .filter_map(|holder| address_text(&holder.address))
                .map(Value::from)
                .collect();
            Report::default()
                .hex("certificate", &certificate.certificate)
                .field("chain", certificate.chain.as_str())
                .field("type", certificate.r#type.as_str())
                .field(
                    "status",
                    super::show_certificate::certificate_status(certificate.status),
                )
                .field("serial", certificate.serial)
                .maybe("issuer", address_text(&certificate.issuer))
                .field("organisation_code", certificate.organisation_code.as_str())
                .field("holders", holders)
                .field("issued_height", certificate.issued_height)
                .time("issued_ms", certificate.issued_ms)
                .maybe(
                    "valid_until_ms",
                    Some(certificate.valid_until_ms).filter(|until| *until != 0),
                )
                .into_value()
        }
    }
}
