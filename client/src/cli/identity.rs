//! `certchain identity`.

use std::path::PathBuf;

use certchain_client::{
    connection::ConnectionError,
    transaction::{Draft, reinstate_identity, revoke_identity, rotate_key, suspend_identity},
    wallet::Wallet,
};
use certchain_proto::{
    Address, Height,
    wire::v1::{IdentityEnd, transaction_body::Kind},
};
use clap::{Args, Subcommand};

use super::{
    CommandResult, Stop,
    devices::{self, AddDeviceArgs, RemoveDeviceArgs},
    exit_code::Exit,
    failure::Failure,
    output::Report,
    recovery::{self, DecideArgs, WalletArgs},
    registration::{self, DraftArgs, MAIN, RecoverArgs, RegisterArgs, ReviewArgs},
    second_signer::SecondSigner,
    session::{Common, Verify, now},
    show::{decided, identity_report, keys_report, proof_fields},
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
    /// Replace the main keys of a wallet's account by new ones
    #[command(visible_alias = "rotate")]
    RotateKey {
        /// The wallet
        #[arg(long, value_name = "FILE")]
        wallet: PathBuf,
    },
    /// Let another device sign for a wallet's account: makes a wallet for it
    AddDevice(AddDeviceArgs),
    /// End a device's right to sign for a wallet's account
    RemoveDevice(RemoveDeviceArgs),
    /// Draft the recovery of lost keys and sign it as the agency
    #[command(visible_alias = "recover")]
    RecoverKey(RecoverArgs),
    /// Object to the recovery of a wallet's account, with any of its keys
    #[command(name = "object")]
    Object(WalletArgs),
    /// Decide a recovery to which an old key objected: signed by a second agency and a registrar
    DecideRecovery(DecideArgs),
    /// Put the keys of a recovery in force that is due: signed by the new wallet
    CompleteRecovery(WalletArgs),
    /// Suspend an identity: as registrar, as the agency that drafted it, or one's own at once
    Suspend(AuthorityArgs),
    /// Lift a suspension
    Reinstate(AuthorityArgs),
    /// End an identity for good: fraud, error, death, closing; signed by agency and registrar
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
    /// The authority's wallet: a registrar's; to suspend also the drafting agency's, or the account's
    /// own
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
    /// What ends it: revoked (fraud or error), deceased, closed
    #[arg(long, default_value = "revoked")]
    end: End,
    #[command(flatten)]
    second: SecondSigner,
}

/// What ends an identity.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum End {
    /// Fraud or error
    Revoked,
    /// The person died
    Deceased,
    /// The company or office was closed
    Closed,
}

impl From<End> for IdentityEnd {
    fn from(end: End) -> Self {
        match end {
            End::Revoked => Self::Revoked,
            End::Deceased => Self::Deceased,
            End::Closed => Self::Closed,
        }
    }
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
        IdentityCommand::AddDevice(args) => devices::add(common, args).await?,
        IdentityCommand::RemoveDevice(args) => devices::remove(common, args).await?,
        IdentityCommand::Object(args) => recovery::object(common, args).await?,
        IdentityCommand::DecideRecovery(args) => recovery::decide(common, args).await?,
        IdentityCommand::CompleteRecovery(args) => recovery::complete(common, args).await?,
    };
    common.output().write(report).map_err(Stop::OutputClosed)
}

async fn show(common: &Common, args: &ShowArgs) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let mut light = args.verify.light_client()?;
    let at = args.at_height.map(Height::new);
    let answer = match connection
        .identity(&args.address, at, light.is_some())
        .await
    {
        Ok(answer) => answer,
        Err(error @ ConnectionError::NotFound { .. }) => {
            let Some(light) = &mut light else {
                return Err(error.into());
            };
            // The node says that there is none; it has to prove that too, as far as it can.
            let key = certchain_ledger::identity::keys::identity(&args.address);
            let absent = connection.state_proof(MAIN, key.as_bytes(), None).await?;
            let newest = absent.block.as_ref().map_or(0, |block| block.height);
            if args.at_height.is_some_and(|height| height > newest) {
                return Err(error.into());
            }
            let light = light.caught_up(&connection).await?;
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
    let Some(mut light) = light else {
        return identity_report(&answer);
    };
    let light = light.caught_up(&connection).await?;
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
        Some(mut light) => {
            let light = light.caught_up(&connection).await?;
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
    let registrar = args.second.address()?;
    let wallet = common.open(&args.wallet)?;
    let end = args.end.into();
    let kind = revoke_identity(args.address, wallet.address(), registrar, args.reason, end);
    let mut draft = Draft::new(&connection.terms(MAIN, now(), None).await?.body(kind)?)?;
    draft.sign_with(&wallet)?;
    let report = Report::new("The identity has ended")
        .field("address", args.address.to_string())
        .field("reason", args.reason);
    args.second.finish(common, &connection, draft, report).await
}
