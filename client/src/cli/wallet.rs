//! `certchain wallet`.

use std::path::PathBuf;

use certchain_client::{
    attributes::AttributeSet,
    text_file::FileError,
    wallet::{AccountKind, KdfParameters, NewWallet, PublicAccount, Wallet},
};
use certchain_proto::Address;
use clap::{Args, Subcommand};
use serde_json::json;
use unicode_normalization::UnicodeNormalization as _;

use super::{
    CommandResult, Stop,
    failure::Failure,
    output::Report,
    session::{Common, passphrase_from},
};

/// `certchain wallet ...`
#[derive(Subcommand, Debug)]
pub enum WalletCommand {
    /// Make keys and a new wallet
    New(NewArgs),
    /// Show a wallet's public part; no passphrase needed
    Show {
        /// The wallet
        #[arg(long, value_name = "FILE")]
        wallet: PathBuf,
        /// Open it and show the attributes and the count of past keys too
        #[arg(long)]
        attributes: bool,
    },
    /// Write the public part to a file for agencies and registrars; no passphrase needed
    Export {
        /// The wallet
        #[arg(long, value_name = "FILE")]
        wallet: PathBuf,
        /// File to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Seal a wallet with another passphrase
    ChangePassphrase {
        /// The wallet
        #[arg(long, value_name = "FILE")]
        wallet: PathBuf,
        /// File whose first line is the new passphrase; else CERTCHAIN_NEW_PASSPHRASE, else asked
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
    },
    /// Take the attributes that an agency salted into the wallet
    ImportAttributes {
        /// The wallet
        #[arg(long, value_name = "FILE")]
        wallet: PathBuf,
        /// The attributes file from the agency
        #[arg(long, value_name = "FILE")]
        attributes: PathBuf,
    },
}

/// `certchain wallet new ...`
#[derive(Args, Debug)]
pub struct NewArgs {
    /// File to make
    #[arg(long, value_name = "FILE")]
    wallet: PathBuf,
    /// A name for people; never on the chain
    #[arg(long)]
    name: String,
    /// citizen, organisation, agency, verifier, auditor or registrar
    #[arg(long)]
    kind: AccountKind,
    /// Organisation code: 2 to 32 of A-Z, 0-9 and '-'
    #[arg(long, value_name = "CODE", default_value = "")]
    organisation_code: String,
    /// The account whose lost keys this wallet's keys are to replace
    #[arg(long, value_name = "ADDRESS")]
    recovers: Option<Address>,
    /// Memory in KiB that a guess at the passphrase costs
    #[arg(long, value_name = "KIB", default_value_t = 65_536)]
    kdf_memory_kib: u32,
    /// Passes over that memory
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    kdf_passes: u32,
}

/// Runs a command.
pub fn run(common: &Common, command: WalletCommand) -> CommandResult {
    let report = match command {
        WalletCommand::New(args) => new(common, args)?,
        WalletCommand::Show { wallet, attributes } => {
            let report = account_report("Wallet", &Wallet::inspect(&wallet)?);
            if attributes {
                opened(report, &common.open(&wallet)?)
            } else {
                report
            }
        }
        WalletCommand::Export { wallet, out } => {
            let account = Wallet::inspect(&wallet)?;
            account.write_file(&out)?;
            account_report("Exported", &account).field("file", out.display().to_string())
        }
        WalletCommand::ChangePassphrase {
            wallet,
            new_passphrase_file,
        } => {
            let mut opened = common.open(&wallet)?;
            let question = format!("New passphrase of {}: ", wallet.display());
            let new = passphrase_from(
                new_passphrase_file.as_deref(),
                "CERTCHAIN_NEW_PASSPHRASE",
                &question,
                true,
            )?;
            opened.save(&new)?;
            Report::new("Passphrase changed; copies of the old file still open with the old one")
                .field("wallet", wallet.display().to_string())
        }
        WalletCommand::ImportAttributes { wallet, attributes } => {
            let set = AttributeSet::read_file(&attributes)?;
            let passphrase = common.passphrase(&wallet)?;
            let mut opened = Wallet::open(&wallet, &passphrase)?;
            let report = Report::new("Attributes imported")
                .field("wallet", wallet.display().to_string())
                .field("attribute_root", set.root().to_string());
            opened.set_attributes(set);
            opened.save(&passphrase)?;
            report
        }
    };
    common.output().write(report).map_err(Stop::OutputClosed)
}

fn new(common: &Common, args: NewArgs) -> Result<Report, Failure> {
    let kdf = KdfParameters::new(args.kdf_memory_kib, args.kdf_passes, 1).ok_or_else(|| {
        Failure::usage("--kdf-memory-kib must be from 8 to 1048576, --kdf-passes from 1 to 64")
    })?;
    let new = NewWallet {
        name: args.name.nfc().collect(),
        kind: args.kind,
        organisation_code: args.organisation_code,
        recovers: args.recovers,
    };
    if args.wallet.exists() {
        // Before anybody types a passphrase; the creation itself checks again.
        let path = args.wallet;
        return Err(FileError::Exists { path }.into());
    }
    let passphrase = common.new_passphrase(&args.wallet)?;
    let wallet = Wallet::create(&args.wallet, new, &passphrase, kdf)?;
    Ok(
        account_report("Wallet made; keep a copy of it", wallet.account())
            .field("wallet", args.wallet.display().to_string()),
    )
}

fn account_report(title: &str, account: &PublicAccount) -> Report {
    Report::new(title)
        .field("name", account.name())
        .field("kind", account.kind().as_str())
        .field("organisation_code", account.organisation_code())
        .field("address", account.address().to_string())
        .field("public_key", account.public_key().to_string())
        .hex("encryption_key", account.encryption_key())
}

fn opened(report: Report, wallet: &Wallet) -> Report {
    let attributes = wallet.attributes().map(|set| {
        set.attributes()
            .into_iter()
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect::<Vec<_>>()
    });
    report
        .field("past_keys", wallet.past_keys().len())
        .field("rotation_begun", wallet.next_keys().is_some())
        .maybe(
            "attribute_root",
            wallet.attributes().map(|set| set.root().to_string()),
        )
        .maybe("attributes", attributes)
}
