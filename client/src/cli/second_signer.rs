//! Acts of an agency that a registrar signs too: at once if its wallet is at hand, else by a draft.

use std::path::PathBuf;

use certchain_client::{connection::Connection, transaction::Draft, wallet::Wallet};
use certchain_proto::Address;
use clap::Args;

use super::{
    failure::Failure,
    output::Report,
    session::{Common, passphrase_from},
    show::{decided, draft_report},
};

/// The registrar, or how the draft gets to it.
#[derive(Args, Debug)]
pub struct SecondSigner {
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

impl SecondSigner {
    /// The registrar's address.
    pub fn address(&self) -> Result<Address, Failure> {
        match (&self.registrar_wallet, self.registrar) {
            (Some(path), _) => Ok(Wallet::inspect(path)?.address()),
            (None, Some(address)) => Ok(address),
            (None, None) => Err(Failure::usage(
                "give --registrar-wallet to submit at once, or --registrar and --out to draft",
            )),
        }
    }

    /// Writes the draft that the agency has signed, or lets the registrar sign and submits it.
    pub async fn finish(
        &self,
        common: &Common,
        connection: &Connection,
        mut draft: Draft,
        report: Report,
    ) -> Result<Report, Failure> {
        if let Some(out) = &self.out {
            draft.write_file(out)?;
            return Ok(draft_report("Drafted and signed by the agency", &draft)
                .field("file", out.display().to_string()));
        }
        if let Some(path) = &self.registrar_wallet {
            let file = self.registrar_passphrase_file.as_deref();
            let file = file.or(common.passphrase_file.as_deref());
            let question = format!("Passphrase of {}: ", path.display());
            let passphrase =
                passphrase_from(file, "CERTCHAIN_REGISTRAR_PASSPHRASE", &question, false)?;
            draft.sign_with(&Wallet::open(path, &passphrase)?)?;
        }
        decided(connection, report, draft).await
    }
}
