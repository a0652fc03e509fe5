//! `certchain certificate present`: fields of a certificate for a verifier.

use std::path::{Path, PathBuf};

use certchain_client::{
    atomic_file::{self, Access},
    certificate::{Showing, present, present_sealed},
    connection::Connection,
    qr::QrCode,
    text_file::FileError,
    wallet::Wallet,
};
use certchain_proto::{Address, TimeMs};
use certchain_sidechain::{
    package::text::Carried,
    presentation::{Audience, BEARER_LIFE_MS, MAX_CHALLENGE_BYTES},
};
use clap::{ArgGroup, Args};

use super::{
    CommandResult, Stop,
    certificate::HolderArgs,
    failure::Failure,
    holding::{Holding, hold},
    lookup::recipient,
    output::Report,
    session::{Common, now},
};

/// `certchain certificate present ...`
#[derive(Args, Debug)]
#[command(
    group = ArgGroup::new("what").required(true),
    group = ArgGroup::new("whom").required(true),
    group = ArgGroup::new("how").required(true).multiple(true),
)]
pub struct PresentArgs {
    #[command(flatten)]
    certificate: HolderArgs,
    /// Names of the fields to show, separated by commas
    #[arg(long, value_name = "FIELDS", value_delimiter = ',', group = "what")]
    show: Vec<String>,
    /// Show all fields
    #[arg(long, group = "what")]
    show_all: bool,
    /// Show no field: only that I hold it
    #[arg(long, group = "what")]
    show_none: bool,
    /// Address of the verifier who may check it
    #[arg(long, value_name = "ADDRESS", group = "whom")]
    verifier: Option<Address>,
    /// For whoever bears it, within a minute
    #[arg(long, group = "whom")]
    bearer: bool,
    /// Do not encrypt it to the verifier
    #[arg(long, requires = "verifier")]
    plain: bool,
    /// The verifier's challenge, at most 32 bytes in hexadecimal digits
    #[arg(long, value_name = "HEX", value_parser = challenge)]
    challenge: Option<Challenge>,
    /// Seconds after which it is over [default: a minute for a bearer, else as the chain allows]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    valid_for: Option<u64>,
    /// Write the QR code as a PNG picture
    #[arg(long, value_name = "FILE", group = "how")]
    png: Option<PathBuf>,
    /// Write the QR code as an SVG picture
    #[arg(long, value_name = "FILE", group = "how")]
    svg: Option<PathBuf>,
    /// Print the QR code on a terminal
    #[arg(long, group = "how")]
    terminal: bool,
    /// The terminal writes dark letters on a bright ground
    #[arg(long, requires = "terminal")]
    bright: bool,
    /// Print the text of the QR code, and nothing else
    #[arg(long, group = "how")]
    text: bool,
}

/// A verifier's challenge.
#[derive(Clone, Debug)]
pub struct Challenge(pub Vec<u8>);

/// Reads a challenge.
pub fn challenge(text: &str) -> Result<Challenge, String> {
    match hex::decode(text) {
        Ok(bytes) if bytes.len() <= MAX_CHALLENGE_BYTES => Ok(Challenge(bytes)),
        _ => Err("a challenge has at most 64 hexadecimal digits".to_owned()),
    }
}

/// Runs the command.
pub async fn run(common: &Common, args: PresentArgs) -> CommandResult {
    for path in [&args.png, &args.svg].into_iter().flatten() {
        // Before anything is signed; the creation itself checks again.
        if path.exists() {
            let path = path.clone();
            return Err(FileError::Exists { path }.into());
        }
    }
    let connection = common.connect()?;
    let wallet = common.open(&args.certificate.wallet)?;
    let holding = hold(&connection, &wallet, &args.certificate).await?;
    let made = make(&connection, &wallet, &holding, &args).await?;
    deliver(common, &args, &holding, made)
}

/// A presentation that is ready, and what there is to say about it.
struct Made {
    carried: Carried,
    expires: TimeMs,
    names: Vec<String>,
}

async fn make(
    connection: &Connection,
    wallet: &Wallet,
    holding: &Holding,
    args: &PresentArgs,
) -> Result<Made, Failure> {
    let names: Vec<&str> = if args.show_all {
        let slots = holding.fields.slots().iter();
        slots.map(|slot| slot.name()).collect()
    } else {
        args.show.iter().map(|name| name.trim()).collect()
    };
    let seconds = args.valid_for.map(|seconds| seconds.saturating_mul(1000));
    let audience = args.verifier.map_or(Audience::Bearer, Audience::Verifier);
    let expires = match audience {
        Audience::Bearer => {
            let life = seconds.unwrap_or(BEARER_LIFE_MS).min(BEARER_LIFE_MS);
            now().saturating_add(life)
        }
        Audience::Verifier(_) => {
            let side = holding.found.side.name();
            connection.terms(side, now(), seconds).await?.valid_until
        }
    };
    let showing = Showing {
        chain: holding.known.chain,
        certificate: holding.found.id,
        names: &names,
        audience,
        challenge: args.challenge.as_ref().map_or(&[], |given| &given.0),
        expires,
    };
    let carried = match args.verifier.filter(|_| !args.plain) {
        Some(verifier) => {
            let key = recipient(connection, verifier).await?.encryption_key;
            present_sealed(wallet, &holding.fields, &showing, &key)?
        }
        None => Carried::Clear(Box::new(present(wallet, &holding.fields, &showing)?)),
    };
    Ok(Made {
        carried,
        expires,
        names: names.into_iter().map(str::to_owned).collect(),
    })
}

fn deliver(common: &Common, args: &PresentArgs, holding: &Holding, made: Made) -> CommandResult {
    let text = made.carried.to_text();
    if args.png.is_some() || args.svg.is_some() || args.terminal {
        let code = QrCode::new(&text)?;
        if let Some(path) = &args.png {
            write_picture(path, &code.png()?)?;
        }
        if let Some(path) = &args.svg {
            write_picture(path, code.svg().as_bytes())?;
        }
        if args.terminal && !common.json {
            let drawn = format!("{}\n", code.terminal(!args.bright));
            common
                .output()
                .raw(drawn.as_bytes())
                .map_err(Stop::OutputClosed)?;
        }
    }
    if args.text && !common.json {
        let line = format!("{}\n", text.as_str());
        return common
            .output()
            .raw(line.as_bytes())
            .map_err(Stop::OutputClosed);
    }
    let file = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let mut report = Report::new("Presentation")
        .field("certificate", holding.found.id.to_string())
        .field("chain", holding.found.side.name())
        .field("shows", made.names)
        .maybe("verifier", args.verifier.map(|address| address.to_string()))
        .field("bearer", args.bearer)
        .field("encrypted", matches!(made.carried, Carried::Sealed(_)))
        .time("expires_ms", made.expires.get())
        .field("characters", text.len())
        .maybe("png", file(&args.png))
        .maybe("svg", file(&args.svg));
    if common.json && (args.text || args.terminal) {
        report = report.field("text", text.as_str());
    }
    common.output().write(report).map_err(Stop::OutputClosed)
}

fn write_picture(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    atomic_file::create(path, bytes, Access::OwnerOnly)
        .map_err(|error| FileError::writing(path, error).into())
}
