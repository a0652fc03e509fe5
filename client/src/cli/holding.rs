//! A holder's own certificate, found and opened.

use certchain_client::{certificate::KnownType, connection::Connection, wallet::Wallet};
use certchain_sidechain::fields::CertificateFields;

use super::{
    certificate::HolderArgs,
    failure::Failure,
    lookup::{Found, find, open_fields, type_of},
    output::Report,
    session::Common,
    show_certificate::{certificate_fields, field_values},
};

/// A certificate that a wallet holds, with its fields.
pub struct Holding {
    /// Where it was found.
    pub found: Found,
    /// Its type.
    pub known: KnownType,
    /// Its fields, as its issuer committed to them.
    pub fields: CertificateFields,
}

/// Finds and opens it.
pub async fn hold(
    connection: &Connection,
    wallet: &Wallet,
    args: &HolderArgs,
) -> Result<Holding, Failure> {
    let found = find(connection, &args.id, args.chain, None).await?;
    let known = type_of(connection, found.side, &found.certificate.r#type, None).await?;
    let fields = open_fields(connection, wallet, &known, &found.certificate).await?;
    Ok(Holding {
        found,
        known,
        fields,
    })
}

/// `certchain certificate open`
pub async fn open(common: &Common, args: &HolderArgs) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let wallet = common.open(&args.wallet)?;
    let holding = hold(&connection, &wallet, args).await?;
    let report = Report::new("Certificate").field("fields", field_values(&holding.fields));
    let time = Some(holding.found.answer.time_ms);
    Ok(certificate_fields(report, &holding.found.certificate, time))
}
