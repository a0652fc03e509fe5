//! `certchain identity`.

use std::path::PathBuf;

use certchain_client::{
    connection::ConnectionError,
    transaction::{Draft, reinstate_identity, revoke_identity, rotate_key, suspend_identity},
    wallet::Wallet,
};
use certchain_proto::{Address, Height, wire::v1::transaction_body::Kind};
use clap::{Args, Subcommand};

use super::{
    CommandResult, Stop,
    exit_code::Exit,
    failure::Failure,
    output::Report,
    registration::{self, DraftArgs, MAIN, RecoverArgs, RegisterArgs, ReviewArgs},
    session::{Common, Verify, now, passphrase_from},
    show::{decided, draft_report, identity_report, keys_report, proof_fields},
};

/// `certchain identity ...`
#[derive(Subcommand, Debug)]
pub enum IdentityCommand {
    /// Draft a registration and sign it as the certifying agency
    Draft(Box<DraftArgs>),
    /// Show a draft, check it and sign it as the registrar
    Review(Box<ReviewArgs>),
    /// Sign a reviewed draft as the holder, submit it and wait for the decision
    Register(RegisterArgs),
    /// Submit a draft that all have signed, and wait for the decision
    Submit {
        /// The draft
        #[arg(long = "in", value_name = "FILE")]
        input: PathBuf,
    },
    /// Show an identity, now or as of a height
    Show(ShowArgs),
    /// Show an account's public keys, now or as of a height
    Key(ShowArgs),
    /// Replace the keys of a wallet's account by new ones
    RotateKey {
        /// The wallet
        #[arg(long, value_name = "FILE")]
        wallet: PathBuf,
    },
    /// Draft the recovery of lost keys and sign it as the agency
    RecoverKey(RecoverArgs),
    /// Suspend an identity
    Suspend(AuthorityArgs),
    /// Lift a suspension
    Reinstate(AuthorityArgs),
    /// End an identity for good: signed by agency and registrar
    Revoke(RevokeArgs),
}

/// Which identity, and as of when.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// The account
    address: Address,
    /// Height as of which it is asked
    #[arg(long, value_name = "HEIGHT")]
    at_height: Option<u64>,
    #[command(flatten)]
    verify: Verify,
}

/// An act that one authority signs.
#[derive(Args, Debug)]
pub struct AuthorityArgs {
    /// The account that it is about
    address: Address,
    /// The authority's wallet: a registrar's, or the drafting agency's to suspend
    #[arg(long, value_name = "FILE")]
    wallet: PathBuf,
    /// Why, as a number of the network's published list
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    reason: u16,
}

/// `certchain identity revoke ...`
#[derive(Args, Debug)]
pub struct RevokeArgs {
    /// The account that it is about
    address: Address,
    /// The agency's wallet
    #[arg(long, value_name = "FILE")]
    wallet: PathBuf,
    /// Why, as a number of the network's published list
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    reason: u16,
    /// The registrar's wallet, if it is at hand: signs and submits at once
    #[arg(long, value_name = "FILE", conflicts_with_all = ["registrar", "out"])]
    registrar_wallet: Option<PathBuf>,
    /// File with the passphrase of the registrar's wallet [default: the same as the agency's]
    #[arg(long, value_name = "FILE", requires = "registrar_wallet")]
    registrar_passphrase_file: Option<PathBuf>,
    /// Address of the registrar that will review the draft
    #[arg(long, value_name = "ADDRESS", requires = "out")]
    registrar: Option<Address>,
    /// Draft to write, for `identity review` and `identity submit`
    #[arg(long, value_name = "FILE", requires = "registrar")]
    out: Option<PathBuf>,
}

/// Runs a command.
pub async fn run(common: &Common, command: IdentityCommand) -> CommandResult {
    let report = match command {
        IdentityCommand::Draft(args) => registration::draft(common, *args).await?,
        IdentityCommand::Review(args) => registration::review(common, *args)?,
        IdentityCommand::Register(args) => registration::register(common, args).await?,
        IdentityCommand::Submit { input } => {
            let connection = common.connect()?;
            let draft = Draft::read_file(&input)?;
            let report = Report::new("Executed").maybe(
                "address",
                draft.subject().map(|address| address.to_string()),
            );
            decided(&connection, report, draft).await?
        }
        IdentityCommand::Show(args) => show(common, &args).await?,
        IdentityCommand::Key(args) => key(common, &args).await?,
        IdentityCommand::RotateKey { wallet } => rotate(common, wallet).await?,
        IdentityCommand::RecoverKey(args) => registration::recover(common, args).await?,
        IdentityCommand::Suspend(args) => {
            one_authority(common, args, "Suspended", suspend_identity).await?
        }
        IdentityCommand::Reinstate(args) => {
            one_authority(common, args, "Reinstated", reinstate_identity).await?
        }
        IdentityCommand::Revoke(args) => revoke(common, args).await?,
    };
    common.output().write(report).map_err(Stop::OutputClosed)
}

async fn show(common: &Common, args: &ShowArgs) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let light = args.verify.light_client()?;
    let at = args.at_height.map(Height::new);
    let answer = match connection
        .identity(&args.address, at, light.is_some())
        .await
    {
        Ok(answer) => answer,
        Err(error @ ConnectionError::NotFound { .. }) => {
            let Some(light) = &light else {
                return Err(error.into());
            };
            // The node says that there is none; it has to prove that too, as far as it can.
            let key = certchain_ledger::identity::keys::identity(&args.address);
            let absent = connection.state_proof(MAIN, key.as_bytes(), None).await?;
            let newest = absent.block.as_ref().map_or(0, |block| block.height);
            if args.at_height.is_some_and(|height| height > newest) {
                return Err(error.into());
            }
            let block = light.identity_absent(&args.address, at, &absent)?;
            let when = at
                .map(|height| format!(" at height {height}"))
                .unwrap_or_default();
            let message = format!(
                "{} is not registered{when}: proven by block {}",
                args.address, block.header.height
            );
            return Err(Failure::new(Exit::NotFound, message));
        }
        Err(error) => return Err(error.into()),
    };
    let Some(light) = light else {
        return identity_report(&answer);
    };
    let proven = light.identity(&args.address, at, &answer)?;
    if proven.identity.is_none() {
        let message = format!("{} was not registered then: proven", args.address);
        return Err(Failure::new(Exit::NotFound, message));
    }
    Ok(proof_fields(identity_report(&answer)?, &proven.block))
}

async fn key(common: &Common, args: &ShowArgs) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let light = args.verify.light_client()?;
    let at = args.at_height.map(Height::new);
    let answer = connection
        .public_key(&args.address, at, light.is_some())
        .await?;
    let report = keys_report(&args.address, &answer);
    match light {
        None => Ok(report),
        Some(light) => {
            let proven = light.public_key(&args.address, at, &answer)?;
            Ok(proof_fields(report, &proven.block))
        }
    }
}

async fn rotate(common: &Common, path: PathBuf) -> Result<Report, Failure> {
    let connection = common.connect()?;
    Wallet::inspect(&path)?;
    let passphrase = common.passphrase(&path)?;
    let mut wallet = Wallet::open(&path, &passphrase)?;
    let report = |title: &str, wallet: &Wallet| {
        Report::new(title)
            .field("address", wallet.address().to_string())
            .field("public_key", wallet.account().public_key().to_string())
            .hex("encryption_key", wallet.account().encryption_key())
    };
    if let Some(next) = wallet.next_keys() {
        // An earlier rotation was interrupted; it may have been executed.
        let next = next.public_key().clone();
        let present = connection
            .public_key(&wallet.address(), None, false)
            .await?;
        if present.public_key == next.as_bytes() {
            wallet.complete_rotation();
            wallet.save(&passphrase)?;
            return Ok(report(
                "An earlier rotation had been executed; the wallet has it now",
                &wallet,
            ));
        }
    }
    wallet.begin_rotation()?;
    wallet.save(&passphrase)?;
    let Some(next) = wallet.next_keys() else {
        return Err(Failure::new(Exit::Failed, "the wallet holds no next keys"));
    };
    let kind = rotate_key(wallet.address(), next.public_key(), &next.encryption_key());
    let mut draft = Draft::new(&connection.terms(MAIN, now(), None).await?.body(kind)?)?;
    draft.sign_with(&wallet)?;
    draft.sign(wallet.address(), next.signing_key())?;
    let receipt = decided(&connection, Report::default(), draft)
        .await
        .map_err(|mut failure| {
            if matches!(failure.exit, Exit::Timeout | Exit::Unreachable) {
                failure
                    .message
                    .push_str("; run the command again, it takes up this rotation");
            }
            failure
        })?;
    wallet.complete_rotation();
    wallet.save(&passphrase)?;
    Ok(report("Keys rotated; the wallet keeps the old ones too", &wallet).append(receipt))
}

async fn one_authority(
    common: &Common,
    args: AuthorityArgs,
    title: &str,
    kind: fn(Address, Address, u16) -> Kind,
) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let wallet = common.open(&args.wallet)?;
    let kind = kind(args.address, wallet.address(), args.reason);
    let mut draft = Draft::new(&connection.terms(MAIN, now(), None).await?.body(kind)?)?;
    draft.sign_with(&wallet)?;
    let report = Report::new(title)
        .field("address", args.address.to_string())
        .field("reason", args.reason);
    decided(&connection, report, draft).await
}

async fn revoke(common: &Common, args: RevokeArgs) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let registrar = match (&args.registrar_wallet, args.registrar) {
        (Some(path), _) => Wallet::inspect(path)?.address(),
        (None, Some(address)) => address,
        (None, None) => {
            return Err(Failure::usage(
                "give --registrar-wallet to revoke at once, or --registrar and --out to draft",
            ));
        }
    };
    let wallet = common.open(&args.wallet)?;
    let kind = revoke_identity(args.address, wallet.address(), registrar, args.reason);
    let mut draft = Draft::new(&connection.terms(MAIN, now(), None).await?.body(kind)?)?;
    draft.sign_with(&wallet)?;
    if let Some(out) = &args.out {
        draft.write_file(out)?;
        return Ok(draft_report("Drafted and signed by the agency", &draft)
            .field("file", out.display().to_string()));
    }
    if let Some(path) = &args.registrar_wallet {
        let file = args
            .registrar_passphrase_file
            .as_deref()
            .or(common.passphrase_file.as_deref());
        let question = format!("Passphrase of {}: ", path.display());
        let passphrase = passphrase_from(file, "CERTCHAIN_REGISTRAR_PASSPHRASE", &question, false)?;
        draft.sign_with(&Wallet::open(path, &passphrase)?)?;
    }
    let report = Report::new("Revoked")
        .field("address", args.address.to_string())
        .field("reason", args.reason);
    decided(&connection, report, draft).await
}
