//! Issuing one certificate for each line of a table.
//!
//! A line that cannot be drafted, or that the chain refuses, is reported, and the others stand. What
//! is written says what became of each line, so that those that failed can be corrected and sent
//! again: no line is sent twice by one run.

use std::{collections::BTreeMap, path::PathBuf};

use certchain_client::{
    certificate::{
        KnownType, Order, PrepareError, PreparedCertificate, Recipient, batch_kind, holders_sign,
        prepare, split_batches,
    },
    connection::{Connection, ConnectionError},
    transaction::Draft,
    wallet::Wallet,
};
use certchain_proto::{
    Address, TimeMs,
    hash::CertificateId,
    limits::MAX_TRANSACTION_BYTES,
    wire::v1::{Code, SendCertificateResponse},
};
use clap::Args;

use super::{
    CommandResult, Stop,
    exit_code::Exit,
    failure::Failure,
    issue::LifeArgs,
    lookup::{put_contents, recipients, type_named},
    output::{Output, Report},
    sending,
    session::{Common, now},
    show::code_name,
    table::{BadLine, Line, read_table},
};

/// `certchain certificate batch ...`
#[derive(Args, Debug)]
pub struct BatchArgs {
    /// The issuing agency's wallet
    #[arg(long, value_name = "FILE")]
    wallet: PathBuf,
    /// Type of the certificates
    #[arg(long = "type", value_name = "TYPE")]
    type_name: String,
    /// Table with a column `holder` (several addresses separated by spaces) and one for each field
    #[arg(long, value_name = "FILE")]
    csv: PathBuf,
    #[command(flatten)]
    life: LifeArgs,
}

/// What became of the lines, and where it is told.
struct Progress {
    output: Output,
    issued: u64,
    refused: u64,
    unknown: u64,
}

impl Progress {
    fn line(&mut self, number: u64, outcome: &str, report: Report) -> Result<(), Stop> {
        match outcome {
            "issued" => self.issued += 1,
            "unknown" => self.unknown += 1,
            _ => self.refused += 1,
        }
        if self.output.json {
            let line = Report::default()
                .field("line", number)
                .field("outcome", outcome);
            return self
                .output
                .write(line.append(report))
                .map_err(Stop::OutputClosed);
        }
        let value = report.into_value();
        let part = |name: &str| value.get(name).and_then(serde_json::Value::as_str);
        let mut text = format!("Line {number}: {outcome}");
        for name in ["code", "certificate", "reason"] {
            if let Some(part) = part(name).filter(|part| *part != "CODE_OK") {
                text.push_str(&format!(", {part}"));
            }
        }
        text.push('\n');
        self.output.raw(text.as_bytes()).map_err(Stop::OutputClosed)
    }
}

/// Issues the table's certificates.
pub async fn run(common: &Common, args: BatchArgs) -> CommandResult {
    let connection = common.connect()?;
    let lines = read_table(&args.csv)?;
    let known = type_named(&connection, &args.type_name).await?;
    if holders_sign(known.certificate_type.chain) {
        return Err(PrepareError::NoBatch.into());
    }
    let valid_until = args.life.until(&known)?;
    let wallet = common.open(&args.wallet)?;
    let mut progress = Progress {
        output: common.output(),
        issued: 0,
        refused: 0,
        unknown: 0,
    };
    let total = lines.len();
    let keys = keys_of(&connection, &lines).await?;
    let mut numbers = BTreeMap::new();
    let mut prepared = Vec::with_capacity(total);
    for line in lines {
        let drafted = line.and_then(|line| {
            draft_line(&known, &wallet, &line, &keys, valid_until)
                .map_err(|reason| BadLine {
                    number: line.number,
                    reason,
                })
                .map(|certificate| (line.number, certificate))
        });
        match drafted {
            Ok((number, certificate)) => {
                numbers.insert(certificate.id, number);
                prepared.push(certificate);
            }
            Err(bad) => {
                let report = Report::default().field("reason", bad.reason);
                progress.line(bad.number, "refused", report)?;
            }
        }
    }
    let batches = split_batches(prepared, MAX_TRANSACTION_BYTES);
    let count = batches.len();
    let mut broken = None;
    for (index, batch) in batches.into_iter().enumerate() {
        let ids: Vec<CertificateId> = batch.iter().map(|one| one.id).collect();
        let line = |id: &CertificateId| numbers.get(id).copied().unwrap_or_default();
        if broken.is_some() {
            for id in &ids {
                let report = Report::default().field("reason", "not sent");
                progress.line(line(id), "refused", report)?;
            }
            continue;
        }
        match send(&connection, &wallet, &known, batch).await {
            Ok(answer) => tell(&mut progress, &ids, line, &answer)?,
            Err(failure) => {
                // Refused as a whole; or it may be decided yet, which its certificates' ids tell.
                let outcome = match failure.exit {
                    Exit::Refused => "refused",
                    _ => "unknown",
                };
                for id in &ids {
                    let report = Report::default()
                        .field("certificate", id.to_string())
                        .maybe("code", failure.code.map(|code| code.as_str_name()))
                        .field("reason", failure.message.as_str());
                    progress.line(line(id), outcome, report)?;
                }
                if failure.exit != Exit::Refused {
                    broken = Some(failure);
                }
            }
        }
        progress.output.hint(&format!(
            "Transaction {} of {count}: {} issued, {} refused so far",
            index + 1,
            progress.issued,
            progress.refused
        ));
    }
    let report = Report::new("Batch")
        .field("lines", total)
        .field("transactions", count)
        .field("issued", progress.issued)
        .field("refused", progress.refused)
        .field("unknown", progress.unknown);
    progress.output.write(report).map_err(Stop::OutputClosed)?;
    match broken {
        Some(failure) => Err(Stop::Failure(failure)),
        None if progress.refused > 0 => Err(Stop::Told(Exit::Refused)),
        None => Ok(()),
    }
}

/// The holders' encryption keys, each asked for once. None for accounts that main does not know.
async fn keys_of(
    connection: &Connection,
    lines: &[Result<Line, BadLine>],
) -> Result<BTreeMap<Address, Option<Recipient>>, Failure> {
    let mut addresses: Vec<Address> = lines
        .iter()
        .flatten()
        .flat_map(|line| line.holders.iter().copied())
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    let answers = recipients(connection, &addresses).await;
    addresses
        .into_iter()
        .zip(answers)
        .map(|(address, answer)| match answer {
            Ok(recipient) => Ok((address, Some(recipient))),
            Err(failure) if failure.exit == Exit::NotFound => Ok((address, None)),
            Err(failure) => Err(failure),
        })
        .collect()
}

fn draft_line(
    known: &KnownType,
    wallet: &Wallet,
    line: &Line,
    keys: &BTreeMap<Address, Option<Recipient>>,
    valid_until: Option<TimeMs>,
) -> Result<PreparedCertificate, String> {
    let mut holders = Vec::with_capacity(line.holders.len());
    for address in &line.holders {
        let key = keys.get(address).copied().flatten();
        holders.push(key.ok_or_else(|| format!("{address} is not registered"))?);
    }
    let prepared = prepare(&Order {
        chain: known.chain,
        issuer: wallet.address(),
        certificate_type: &known.certificate_type,
        values: &line.values,
        holders: &holders,
        valid_from: None,
        valid_until,
    });
    prepared.map_err(|error| error.to_string())
}

async fn send(
    connection: &Connection,
    wallet: &Wallet,
    known: &KnownType,
    mut batch: Vec<PreparedCertificate>,
) -> Result<SendCertificateResponse, Failure> {
    let contents = batch
        .iter_mut()
        .flat_map(|one| std::mem::take(&mut one.contents))
        .collect();
    put_contents(connection, wallet, contents).await?;
    let keeper = known.certificate_type.chain;
    let terms = connection.terms(keeper.name(), now(), None).await?;
    let mut draft = Draft::new(&terms.body(batch_kind(wallet.address(), &batch)?)?)?;
    draft.sign_with(wallet)?;
    let ids: Vec<CertificateId> = batch.iter().map(|one| one.id).collect();
    let answer = sending::send(connection, keeper, draft.finish()?, &ids).await?;
    if answer.certificates.len() != batch.len() {
        let what = "a certificate";
        let problem = "it does not tell what became of each line";
        return Err(ConnectionError::Answer { what, problem }.into());
    }
    Ok(answer)
}

fn tell(
    progress: &mut Progress,
    ids: &[CertificateId],
    line: impl Fn(&CertificateId) -> u64,
    answer: &SendCertificateResponse,
) -> Result<(), Stop> {
    let receipt = answer.receipt.clone().unwrap_or_default();
    for (id, sent) in ids.iter().zip(&answer.certificates) {
        // A transaction that failed has issued none of its lines.
        let code = match receipt.code {
            0 => sent.code,
            code => code,
        };
        let report = Report::default()
            .field("certificate", id.to_string())
            .field("code", code_name(code))
            .maybe("serial", Some(sent.serial).filter(|serial| *serial != 0))
            .hex("transaction_id", &receipt.transaction_id)
            .field("height", receipt.height);
        let outcome = if code == Code::Ok as i32 {
            "issued"
        } else {
            "refused"
        };
        progress.line(line(id), outcome, report)?;
    }
    Ok(())
}
