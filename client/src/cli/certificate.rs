//! `certchain certificate`.

use std::path::PathBuf;

use certchain_client::transaction::{
    Draft, accept_certificate, decline_certificate, revoke_certificate,
};
use certchain_proto::{hash::CertificateId, wire::v1::transaction_body::Kind};
use clap::{Args, Subcommand};
use serde_json::Value;

use super::{
    CommandResult, Stop, batch,
    failure::Failure,
    holding,
    issue::{self, IssueArgs, SignArgs},
    listing::{self, ListArgs, QueryArgs, ShowArgs},
    lookup::{ChainOption, certificate_id, find},
    offline::{self, PackArgs},
    output::Report,
    present,
    session::{Common, now},
    show::decided_on,
    show_certificate::type_report,
};

/// `certchain certificate ...`
#[derive(Subcommand, Debug)]
pub enum CertificateCommand {
    /// The types of certificates with their fields
    Types(ChainOption),
    /// Issue a certificate: encrypted to its holders, signed, submitted, decided
    Issue(IssueArgs),
    /// Sign a certificate's draft as a holder, for types that their holders sign too
    Sign(SignArgs),
    /// Submit a draft that all have signed, and wait for the decision
    Submit {
        /// The draft
        #[arg(long = "in", value_name = "FILE")]
        input: PathBuf,
    },
    /// Issue one certificate for each line of a table
    Batch(batch::BatchArgs),
    /// A certificate's record
    Show(ShowArgs),
    /// A certificate as it was sent to a holder in a block; with the holder's wallet, its fields
    Query(QueryArgs),
    /// Certificates that I hold or issued, checks of mine
    List(ListArgs),
    /// Accept a certificate as its holder
    Accept(HolderArgs),
    /// Decline a certificate that I have not accepted
    Decline(ReasonArgs),
    /// Revoke a certificate for good, as its issuer or another authority for its type
    Revoke(ReasonArgs),
    /// Show fields of my certificate to a verifier, as QR code or text
    Present(Box<present::PresentArgs>),
    /// All that proves a certificate off line, in one file
    Pack(PackArgs),
    /// Fields of my certificate in clear
    Open(HolderArgs),
}

/// A certificate and its holder's wallet.
#[derive(Args, Debug)]
pub struct HolderArgs {
    /// The certificate's id
    #[arg(value_parser = certificate_id)]
    pub id: CertificateId,
    /// The wallet
    #[arg(long, value_name = "FILE")]
    pub wallet: PathBuf,
    /// Which chain
    #[command(flatten)]
    pub chain: ChainOption,
}

/// An act that is given a reason.
#[derive(Args, Debug)]
pub struct ReasonArgs {
    #[command(flatten)]
    act: HolderArgs,
    /// Why, as a number of the network's published list
    #[arg(long, value_name = "NUMBER", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..))]
    reason: u16,
}

/// Runs a command.
pub async fn run(common: &Common, command: CertificateCommand) -> CommandResult {
    let report = match command {
        CertificateCommand::Types(chain) => return types(common, chain).await,
        CertificateCommand::Issue(args) => issue::issue(common, args).await?,
        CertificateCommand::Sign(args) => issue::sign(common, args).await?,
        CertificateCommand::Submit { input } => issue::submit(common, &input).await?,
        CertificateCommand::Batch(args) => return batch::run(common, args).await,
        CertificateCommand::Show(args) => listing::show(common, &args).await?,
        CertificateCommand::Query(args) => listing::query(common, &args).await?,
        CertificateCommand::List(args) => listing::list(common, &args).await?,
        CertificateCommand::Accept(args) => {
            act(common, &args, None, "Accepted", |id, wallet, _| {
                accept_certificate(id, wallet)
            })
            .await?
        }
        CertificateCommand::Decline(args) => {
            let reason = Some(args.reason);
            act(common, &args.act, reason, "Declined", decline_certificate).await?
        }
        CertificateCommand::Revoke(args) => {
            let reason = Some(args.reason);
            act(common, &args.act, reason, "Revoked", revoke_certificate).await?
        }
        CertificateCommand::Present(args) => return present::run(common, *args).await,
        CertificateCommand::Pack(args) => offline::pack(common, &args).await?,
        CertificateCommand::Open(args) => holding::open(common, &args).await?,
    };
    common.output().write(report).map_err(Stop::OutputClosed)
}

async fn types(common: &Common, chain: ChainOption) -> CommandResult {
    let types = common.connect()?.catalogue(chain.name_or_all()).await?;
    let output = common.output();
    if output.json {
        let list: Vec<Value> = types
            .iter()
            .map(|one| type_report(one).into_value())
            .collect();
        let report = Report::default().field("types", list);
        return output.write(report).map_err(Stop::OutputClosed);
    }
    for known in &types {
        output
            .write(type_report(known))
            .map_err(Stop::OutputClosed)?;
    }
    Ok(())
}

/// One signature about one certificate.
async fn act(
    common: &Common,
    args: &HolderArgs,
    reason: Option<u16>,
    title: &str,
    kind: fn(CertificateId, certchain_proto::Address, u16) -> Kind,
) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let wallet = common.open(&args.wallet)?;
    let side = match args.chain.chain {
        Some(side) => side,
        None => find(&connection, &args.id, args.chain, None).await?.side,
    };
    let kind = kind(args.id, wallet.address(), reason.unwrap_or(0));
    let terms = connection.terms(side.name(), now(), None).await?;
    let mut draft = Draft::new(&terms.body(kind)?)?;
    draft.sign_with(&wallet)?;
    let report = Report::new(title)
        .field("certificate", args.id.to_string())
        .field("chain", side.name())
        .maybe("reason", reason);
    decided_on(&connection, side.name(), report, draft).await
}
