//! What follows the recovery of lost keys: `certchain identity object`, `decide-recovery` and
//! `complete-recovery`. It is opened with `recover-key`, `review` and `register`.

use std::path::PathBuf;

use certchain_client::{
    connection::Connection,
    transaction::{Draft, complete_recovery, decide_recovery, object_to_recovery},
};
use certchain_proto::{
    Address, PublicKey,
    wire::v1::{Recovery, transaction_body::Kind},
};
use clap::Args;

use super::{
    exit_code::Exit,
    failure::Failure,
    output::Report,
    registration::MAIN,
    second_signer::SecondSigner,
    session::{Common, now},
    show::decided,
};

/// An act on a wallet's own account.
#[derive(Args, Debug)]
pub struct WalletArgs {
    /// The wallet
    #[arg(long, value_name = "FILE")]
    wallet: PathBuf,
}

/// `certchain identity decide-recovery ...`
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("decision").required(true).args(["confirm", "reject"]))]
pub struct DecideArgs {
    /// The account whose recovery is contested
    address: Address,
    /// The second agency's wallet
    #[arg(long, value_name = "FILE")]
    wallet: PathBuf,
    /// The new keys take the place of the old ones
    #[arg(long)]
    confirm: bool,
    /// The old keys stay
    #[arg(long)]
    reject: bool,
    #[command(flatten)]
    second: SecondSigner,
}

/// Objects to the recovery of the wallet's account.
pub async fn object(common: &Common, args: WalletArgs) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let wallet = common.open(&args.wallet)?;
    let mut draft = draft(&connection, object_to_recovery(wallet.address())).await?;
    draft.sign_with(&wallet)?;
    let report = Report::new("Objected; a second agency decides now")
        .field("address", wallet.address().to_string());
    decided(&connection, report, draft).await
}

/// Decides a contested recovery as the second agency.
pub async fn decide(common: &Common, args: DecideArgs) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let registrar = args.second.address()?;
    let case = case(&connection, &args.address).await?;
    let key = PublicKey::from_bytes(&case.public_key)
        .map_err(|_| Failure::new(Exit::Unverified, "the node tells a key that is none"))?;
    let wallet = common.open(&args.wallet)?;
    let agency = wallet.address();
    let kind = decide_recovery(args.address, agency, registrar, &key, args.confirm);
    let mut draft = draft(&connection, kind).await?;
    draft.sign_with(&wallet)?;
    let title = match args.confirm {
        true => "Recovered: the new keys are in force",
        false => "Rejected: the old keys stay",
    };
    let report = Report::new(title)
        .field("address", args.address.to_string())
        .field("new_key", key.to_string());
    args.second.finish(common, &connection, draft, report).await
}

/// Puts the keys of the wallet in force, once its recovery is due.
pub async fn complete(common: &Common, args: WalletArgs) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let wallet = common.open(&args.wallet)?;
    let key = wallet.account().public_key();
    let mut draft = draft(&connection, complete_recovery(wallet.address(), key)).await?;
    draft.sign(wallet.address(), wallet.signing_key())?;
    let report = Report::new("Recovered: this wallet's keys are in force")
        .field("address", wallet.address().to_string())
        .field("public_key", key.to_string());
    decided(&connection, report, draft).await
}

async fn draft(connection: &Connection, kind: Kind) -> Result<Draft, Failure> {
    Ok(Draft::new(
        &connection.terms(MAIN, now(), None).await?.body(kind)?,
    )?)
}

async fn case(connection: &Connection, address: &Address) -> Result<Recovery, Failure> {
    let answer = connection.identity(address, None, false).await?;
    answer.recovery.ok_or_else(|| {
        let message = format!("no recovery of {address} was ever opened");
        Failure::new(Exit::NotFound, message)
    })
}
