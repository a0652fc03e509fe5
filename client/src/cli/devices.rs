//! An account's devices: `certchain identity add-device` and `remove-device`.

use std::path::PathBuf;

use certchain_client::{
    transaction::{Draft, add_device, remove_device},
    wallet::Wallet,
};
use certchain_proto::PublicKey;
use clap::Args;

use super::{
    exit_code::Exit,
    failure::Failure,
    output::Report,
    registration::MAIN,
    session::{Common, now, passphrase_from},
    show::decided,
};

/// `certchain identity add-device ...`
#[derive(Args, Debug)]
pub struct AddDeviceArgs {
    /// The account's main wallet
    #[arg(long, value_name = "FILE")]
    wallet: PathBuf,
    /// Wallet to make for the device, with a key of its own; carry it there. One that an interrupted
    /// run has made is taken up
    #[arg(long, value_name = "FILE")]
    device_wallet: PathBuf,
    /// File with the passphrase of the device's wallet [default: the same as the main wallet's]
    #[arg(long, value_name = "FILE")]
    device_passphrase_file: Option<PathBuf>,
}

/// `certchain identity remove-device ...`
#[derive(Args, Debug)]
pub struct RemoveDeviceArgs {
    /// The account's main wallet, or the wallet of the device that leaves
    #[arg(long, value_name = "FILE")]
    wallet: PathBuf,
    /// The device's public key [default: that of the wallet, for a device that leaves]
    #[arg(long, value_name = "KEY", value_parser = PublicKey::from_hex)]
    key: Option<PublicKey>,
}

/// Makes a wallet for another device and lets it sign for the account.
pub async fn add(common: &Common, args: AddDeviceArgs) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let wallet = common.open(&args.wallet)?;
    let file = args.device_passphrase_file.as_deref();
    let file = file.or(common.passphrase_file.as_deref());
    let path = &args.device_wallet;
    let made = path.exists();
    let question = format!("Passphrase of {}: ", path.display());
    let passphrase = passphrase_from(file, "CERTCHAIN_DEVICE_PASSPHRASE", &question, !made)?;
    let device = match made {
        false => wallet.create_device(path, &passphrase)?,
        true => Wallet::open(path, &passphrase)?,
    };
    if device.address() != wallet.address() || device.account() == wallet.account() {
        let message = "the device's wallet is not one that was made for a device of this account";
        return Err(Failure::new(Exit::Wallet, message));
    }
    let key = device.account().public_key();
    let report = |title: &str| {
        Report::new(title)
            .field("address", wallet.address().to_string())
            .field("device_key", key.to_string())
            .field("device_wallet", path.display().to_string())
    };
    let known = connection
        .public_key(&wallet.address(), None, false)
        .await?;
    if known.devices.iter().any(|known| known == key.as_bytes()) {
        return Ok(report("The device signs for the account already"));
    }
    let kind = add_device(wallet.address(), key);
    let mut draft = Draft::new(&connection.terms(MAIN, now(), None).await?.body(kind)?)?;
    draft.sign_with(&wallet)?;
    draft.sign(wallet.address(), device.signing_key())?;
    decided(
        &connection,
        report("The device signs for the account"),
        draft,
    )
    .await
}

/// Ends a device's right to sign.
pub async fn remove(common: &Common, args: RemoveDeviceArgs) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let wallet = common.open(&args.wallet)?;
    let own = wallet.account().public_key();
    let key = args.key.as_ref().unwrap_or(own);
    let kind = remove_device(wallet.address(), key);
    let mut draft = Draft::new(&connection.terms(MAIN, now(), None).await?.body(kind)?)?;
    draft.sign_with(&wallet)?;
    if key != own {
        common.output().hint(
            "The device can still read what was encrypted to the account so far. If it is lost, \
             rotate the account's keys with 'certchain identity rotate-key'.",
        );
    }
    let report = Report::new("The device no longer signs for the account")
        .field("address", wallet.address().to_string())
        .field("device_key", key.to_string());
    decided(&connection, report, draft).await
}
