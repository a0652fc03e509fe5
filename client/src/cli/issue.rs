//! Issuing one certificate; drafts that its holders sign too.

use std::path::{Path, PathBuf};

use certchain_client::{
    atomic_file::read_limited,
    certificate::{
        KnownType, Order, ReceivedCertificate, Recipient, holders_sign, issue_kind, prepare,
    },
    text_file::FileError,
    transaction::Draft,
    wallet::Wallet,
};
use certchain_config::SideChain;
use certchain_proto::{
    Address, TimeMs,
    wire::v1::{Code, SendCertificateResponse, transaction_body::Kind},
};
use clap::Args;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{
    exit_code::Exit,
    failure::Failure,
    lookup::{open_holder, open_received, put_contents, recipients, type_named, wrong},
    output::Report,
    sending::send,
    session::{Common, now},
    show::{Subject, decided_on, draft_report, receipt_fields, refusal},
    show_certificate::{address_text, field_values},
};

const DAY_MS: u64 = 86_400_000;
/// Largest file of fields.
const MAX_FIELDS_FILE_BYTES: u64 = 1024 * 1024;

/// `certchain certificate issue ...`
#[derive(Args, Debug)]
pub struct IssueArgs {
    /// The issuing agency's wallet
    #[arg(long, value_name = "FILE")]
    wallet: PathBuf,
    /// Type of the certificate; `certificate types` lists them
    #[arg(long = "type", value_name = "TYPE")]
    type_name: String,
    /// Address of a holder; may be repeated
    #[arg(
        long = "holder",
        value_name = "ADDRESS",
        required_unless_present = "holder_wallets"
    )]
    holders: Vec<Address>,
    /// Wallet of a holder who is here and signs too, if the type asks for it; may be repeated
    #[arg(long = "holder-wallet", value_name = "FILE")]
    holder_wallets: Vec<PathBuf>,
    /// File with the passphrase of the holders' wallets [default: the same as the issuer's]
    #[arg(long, value_name = "FILE", requires = "holder_wallets")]
    holder_passphrase_file: Option<PathBuf>,
    /// A field as name=value; may be repeated. Reaches the chain only encrypted
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = field)]
    fields: Vec<(String, String)>,
    /// File with fields as one JSON object of texts, beside those of --field
    #[arg(long, value_name = "FILE")]
    fields_file: Option<PathBuf>,
    #[command(flatten)]
    life: LifeArgs,
    /// Do not submit, but write a draft for the holders to sign
    #[arg(long, value_name = "FILE", conflicts_with = "holder_wallets")]
    draft_out: Option<PathBuf>,
    /// How long the draft may wait for its signatures, in seconds [default: as the chain allows]
    #[arg(long, value_name = "SECONDS", requires = "draft_out")]
    valid_for: Option<u64>,
}

/// How long a certificate is valid.
#[derive(Args, Clone, Copy, Debug)]
pub struct LifeArgs {
    /// Days from now on which it is valid [default: as the catalogue says]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_525))]
    valid_days: Option<u32>,
    /// The same in seconds
    #[arg(long, value_name = "SECONDS", conflicts_with = "valid_days",
          value_parser = clap::value_parser!(u64).range(1..=3_155_760_000))]
    valid_seconds: Option<u64>,
}

impl LifeArgs {
    /// Block time from which a certificate of this type is expired; none: as the catalogue says.
    pub fn until(self, known: &KnownType) -> Result<Option<TimeMs>, Failure> {
        let longest = known.certificate_type.validity_days;
        let longest = longest.map(|days| u64::from(days) * DAY_MS);
        let wanted = match (self.valid_days, self.valid_seconds) {
            (Some(days), _) => u64::from(days) * DAY_MS,
            (None, Some(seconds)) => seconds.saturating_mul(1000),
            (None, None) => return Ok(None),
        };
        match longest {
            Some(longest) if wanted > longest => Err(Failure::usage(format!(
                "certificates of this type are valid for at most {} days",
                longest / DAY_MS
            ))),
            // From the time of its block on, which this clock does not know.
            Some(longest) if wanted == longest => Ok(None),
            _ => Ok(Some(now().saturating_add(wanted))),
        }
    }
}

fn field(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "write it as NAME=VALUE".to_owned())
}

fn fields_of_file(path: &Path) -> Result<Vec<(String, String)>, Failure> {
    const WHAT: &str = "file of fields";
    let bytes = read_limited(path, MAX_FIELDS_FILE_BYTES)
        .map(Zeroizing::new)
        .map_err(|error| FileError::reading(path, WHAT, error))?;
    let malformed = || FileError::Malformed {
        path: path.to_owned(),
        what: WHAT,
        // Nothing of the contents, which are personal.
        problem: "it must be one JSON object whose values are texts".to_owned(),
    };
    let map: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|_| malformed())?;
    map.into_iter()
        .map(|(name, value)| match value {
            Value::String(text) => Ok((name, text)),
            _ => Err(malformed().into()),
        })
        .collect()
}

/// Issues a certificate, or drafts it for its holders to sign.
pub async fn issue(common: &Common, args: IssueArgs) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let mut values = args.fields;
    if let Some(path) = &args.fields_file {
        values.extend(fields_of_file(path)?);
    }
    let mut holders = args.holders;
    for path in &args.holder_wallets {
        let address = Wallet::inspect(path)?.address();
        if !holders.contains(&address) {
            holders.push(address);
        }
    }
    let known = type_named(&connection, &args.type_name).await?;
    let keeper = known.certificate_type.chain;
    let sign = holders_sign(keeper);
    if sign && args.draft_out.is_none() && args.holder_wallets.len() != holders.len() {
        return Err(Failure::usage(
            "the holders of this type sign too: give all their wallets with --holder-wallet, or \
             --draft-out to pass a draft from hand to hand",
        ));
    }
    let valid_until = args.life.until(&known)?;
    let wallet = common.open(&args.wallet)?;
    let holders: Vec<Recipient> = recipients(&connection, &holders)
        .await
        .into_iter()
        .collect::<Result<_, _>>()?;
    let prepared = prepare(&Order {
        chain: known.chain,
        issuer: wallet.address(),
        certificate_type: &known.certificate_type,
        values: &values,
        holders: &holders,
        valid_from: None,
        valid_until,
    })?;
    let contents = put_contents(&connection, &wallet, prepared.contents.clone()).await?;
    let lifetime = args.valid_for.map(|seconds| seconds.saturating_mul(1000));
    let terms = connection.terms(keeper.name(), now(), lifetime).await?;
    let mut draft = Draft::new(&terms.body(issue_kind(wallet.address(), &prepared))?)?;
    draft.sign_with(&wallet)?;
    if let Some(out) = &args.draft_out {
        draft.write_file(out)?;
        return Ok(draft_report("Drafted and signed by the issuer", &draft)
            .field("certificate", prepared.id.to_string())
            .field("file", out.display().to_string()));
    }
    if sign {
        sign_in_turn(
            common,
            &mut draft,
            &args.holder_wallets,
            args.holder_passphrase_file.as_deref(),
        )?;
    }
    let received = ReceivedCertificate::new(
        known.chain,
        wallet.address(),
        prepared.draft,
        Some(prepared.id),
    )?;
    let answer = send(&connection, keeper, draft.finish()?, &[received.id()]).await?;
    let report = issued_report(&received, keeper, &answer)?;
    Ok(report.maybe(
        "contents_off_chain",
        Some(contents).filter(|count| *count != 0),
    ))
}

/// Signs with each wallet when it is its turn, in whichever order they were given.
fn sign_in_turn(
    common: &Common,
    draft: &mut Draft,
    paths: &[PathBuf],
    passphrase: Option<&Path>,
) -> Result<(), Failure> {
    let wallets = paths
        .iter()
        .map(|path| open_holder(common, path, passphrase))
        .collect::<Result<Vec<_>, _>>()?;
    let turns = draft.parties().len().saturating_sub(draft.signed());
    for _ in 0..turns {
        let wallet = draft.next_party().and_then(|party| {
            let signer = party.signer.to_string();
            wallets
                .iter()
                .find(|wallet| wallet.address().to_string() == signer)
        });
        // Nobody's wallet is at hand: `finish` says whose signature is missing.
        let Some(wallet) = wallet else { return Ok(()) };
        draft.sign_with(wallet)?;
    }
    Ok(())
}

/// What became of the one certificate of a transaction.
fn issued_report(
    received: &ReceivedCertificate,
    keeper: SideChain,
    answer: &SendCertificateResponse,
) -> Result<Report, Failure> {
    let receipt = answer
        .receipt
        .as_ref()
        .ok_or_else(|| wrong("the receipt"))?;
    let [sent] = answer.certificates.as_slice() else {
        return Err(wrong("the list of certificates"));
    };
    for code in [receipt.code, sent.code] {
        if code != Code::Ok as i32 {
            return Err(refusal(code, receipt.height));
        }
    }
    if sent.certificate != received.id().as_bytes() {
        return Err(wrong("the certificate's id"));
    }
    let holders = received.draft().holders.iter();
    let holders: Vec<Value> = holders
        .filter_map(|holder| address_text(holder))
        .map(Value::from)
        .collect();
    let report = Report::new("Issued")
        .field("certificate", received.id().to_string())
        .field("type", received.type_name())
        .field("chain", keeper.name())
        .field("serial", sent.serial)
        .field("organisation_code", answer.organisation_code.as_str())
        .field("holders", holders);
    Ok(receipt_fields(report, receipt, Subject::Other))
}

/// `certchain certificate sign ...`
#[derive(Args, Debug)]
pub struct SignArgs {
    /// The holder's wallet
    #[arg(long, value_name = "FILE")]
    wallet: PathBuf,
    /// The draft
    #[arg(long = "in", value_name = "FILE")]
    input: PathBuf,
    /// Signed draft to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Signs a draft as a holder. With a node, opens the fields first, so that nobody signs what it has
/// not read.
pub async fn sign(common: &Common, args: SignArgs) -> Result<Report, Failure> {
    let mut draft = Draft::read_file(&args.input)?;
    let Kind::IssueCertificate(message) = draft.kind() else {
        return Err(Failure::usage(
            "the draft is not of a certificate; use 'identity review' or 'identity register'",
        ));
    };
    let issuer = Address::from_slice(&message.issuer);
    let certificate = message.certificate.clone();
    let wallet = common.open(&args.wallet)?;
    let (Some(issuer), Some(certificate)) = (issuer, certificate) else {
        return Err(Failure::new(
            Exit::File,
            "the draft names no issuer or certificate",
        ));
    };
    let chain = draft.transaction().chain();
    let received = ReceivedCertificate::new(chain, issuer, certificate, None)?;
    let fields = if common.nodes.is_empty() {
        common.output().hint(
            "No node is named, so the fields of the certificate were not opened: give --node to \
             read what you sign.",
        );
        None
    } else {
        let connection = common.connect()?;
        let known = type_named(&connection, received.type_name()).await?;
        if known.chain != chain {
            return Err(Failure::new(
                Exit::Unverified,
                "the draft is for another chain than the node's; refuse it, or ask another node",
            ));
        }
        let opened = open_received(&connection, &wallet, &known, &received).await?;
        Some(field_values(&opened))
    };
    draft.sign_with(&wallet)?;
    draft.write_file(&args.out)?;
    Ok(draft_report("Signed by the holder", &draft)
        .field("certificate", received.id().to_string())
        .maybe("fields", fields)
        .field("file", args.out.display().to_string()))
}

/// Submits a draft that all have signed.
pub async fn submit(common: &Common, input: &Path) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let draft = Draft::read_file(input)?;
    let chain = draft.transaction().chain();
    let types = connection.catalogue("").await?;
    let side = types.iter().find(|known| known.chain == chain);
    let Some(side) = side.map(|known| known.certificate_type.chain) else {
        return Err(Failure::usage(
            "the draft is for no side chain of this network; for main, use 'identity submit'",
        ));
    };
    let issuer_and_draft = match draft.kind() {
        Kind::IssueCertificate(message) => {
            Address::from_slice(&message.issuer).zip(message.certificate.clone())
        }
        _ => None,
    };
    let Some((issuer, certificate)) = issuer_and_draft else {
        return decided_on(&connection, side.name(), Report::new("Executed"), draft).await;
    };
    let received = ReceivedCertificate::new(chain, issuer, certificate, None)?;
    let answer = send(&connection, side, draft.finish()?, &[received.id()]).await?;
    issued_report(&received, side, &answer)
}
