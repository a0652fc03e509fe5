//! Packs: fetched by a holder, checked by a verifier without any node.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use certchain_client::{
    atomic_file::{self, Access, read_limited},
    connection::{Connection, ConnectionError},
    light::LightClient,
    text_file::FileError,
    wallet::Wallet,
};
use certchain_ledger::identity::IdentityRecord;
use certchain_proto::{
    Address, PublicKey, TimeMs,
    hash::CertificateId,
    wire::v1::{Code, GetPackResponse},
};
use certchain_sidechain::{
    pack::{MAX_PACK_BYTES, MainTrust, Pack, VerifiedPack},
    package::{Expected, PresentationPackage},
    presentation::Audience,
};
use clap::Args;

use super::{
    check::{CheckArgs, package_of},
    exit_code::Exit,
    failure::Failure,
    lookup::{ChainOption, certificate_id, find, wrong},
    output::Report,
    session::{Common, Trust, Verify, now},
    show::status_word,
    show_certificate::{certificate_fields, is_valid, result_sentence, result_word, shown_values},
    trusted_header,
};

const WHAT: &str = "pack";
/// Pause between two questions whether a certificate is anchored.
const PAUSE: Duration = Duration::from_millis(500);

/// `certchain certificate pack ...`
#[derive(Args, Debug)]
pub struct PackArgs {
    /// The certificate's id
    #[arg(value_parser = certificate_id)]
    id: CertificateId,
    /// The holder's wallet; no passphrase needed
    #[arg(long, value_name = "FILE", required_unless_present = "holder")]
    wallet: Option<PathBuf>,
    /// The holder's address
    #[arg(long, value_name = "ADDRESS", conflicts_with = "wallet")]
    holder: Option<Address>,
    #[command(flatten)]
    chain: ChainOption,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// If its block is not anchored yet, wait until it is
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    verify: Verify,
}

/// Fetches a pack and writes it to a file.
pub async fn pack(common: &Common, args: &PackArgs) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let trust = args.verify.trust()?;
    let holder = match (&args.wallet, args.holder) {
        (Some(path), _) => Wallet::inspect(path)?.address(),
        (None, Some(address)) => address,
        (None, None) => return Err(Failure::usage("give --wallet or --holder")),
    };
    if args.out.exists() {
        let path = args.out.clone();
        return Err(FileError::Exists { path }.into());
    }
    let found = find(&connection, &args.id, args.chain, None).await?;
    let side = found.side.name();
    let wait = args.wait.then(|| Duration::from_secs(common.timeout));
    let answer = anchored_pack(&connection, side, &args.id, &holder, wait).await?;
    let bytes = &answer.encoded_pack;
    let pack = Pack::decode(bytes)?;
    if pack.certificate() != args.id || pack.side_chain() != side {
        return Err(wrong("the pack"));
    }
    if let Some(trust) = &trust {
        pack.verify(&main_trust(&trust.main(&connection).await?))?;
    }
    atomic_file::create(&args.out, bytes, Access::Everybody)
        .map_err(|error| FileError::writing(&args.out, error))?;
    Ok(Report::new("Pack written")
        .field("certificate", args.id.to_string())
        .field("chain", side)
        .field("holder", holder.to_string())
        .field("height", answer.height)
        .field("main_height", answer.main_height)
        .field("bytes", bytes.len())
        .maybe("verified", trust.map(|_| true))
        .field("file", args.out.display().to_string()))
}

/// Asks for a pack; again and again for as long as `wait` says, since anchors come by and by.
async fn anchored_pack(
    connection: &Connection,
    side: &str,
    id: &CertificateId,
    holder: &Address,
    wait: Option<Duration>,
) -> Result<GetPackResponse, Failure> {
    let begun = Instant::now();
    loop {
        let error = match connection.pack(side, id, holder).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let later = matches!(
            error,
            // Not anchored yet; or for the moment the state of the anchored block has no proof.
            ConnectionError::Status { .. } | ConnectionError::Unreachable { .. }
        ) || matches!(&error, ConnectionError::Refused { code, .. } if *code == Code::Unavailable);
        if !later || wait.is_none_or(|wait| begun.elapsed() >= wait) {
            return Err(error.into());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn main_trust(main: &LightClient) -> MainTrust {
    MainTrust::sets(main.chain(), main.validator_sets().clone())
}

/// What a verifier trusts who asks nobody: genesis, and if it kept one, a block of main with the
/// changes of the validators since.
fn kept_trust(trust: &Trust, trusted_header: Option<&Path>) -> Result<MainTrust, Failure> {
    let mut main = trust.main_of_genesis();
    let Some(path) = trusted_header else {
        return Ok(main_trust(&main));
    };
    let block = trusted_header::read(path, &mut main)?;
    Ok(main_trust(&main).and_block(block)?)
}

/// Checks a pack, and what its holder shows, without any node.
pub fn check(common: &Common, args: &CheckArgs, path: &Path) -> Result<(Report, i32), Failure> {
    let genesis = args.verify.genesis();
    let trust = Trust::load(genesis.ok_or_else(|| Failure::usage("give --genesis"))?)?;
    let main = kept_trust(&trust, args.trusted_header.as_deref())?;
    let bytes = read_limited(path, MAX_PACK_BYTES as u64 + 1)
        .map_err(|error| FileError::reading(path, WHAT, error))?;
    let begun = Instant::now();
    let pack = Pack::decode(&bytes)?;
    let proven = pack.verify(&main)?;
    let verified = begun.elapsed();
    let package = args.carried()?.map(|carried| {
        let wallet = args.wallet.as_deref().map(|path| common.open(path));
        package_of(carried, wallet.transpose()?.as_ref())
    });
    let package = package.transpose()?;
    let holder = holder_of(args, &proven, package.as_ref())?;
    let at = now();
    if let Some(package) = &package {
        verify_package(args, &trust, &proven, package, &holder, at)?;
    }
    let result = proven.result(&holder, at).ok_or_else(|| {
        let message = format!("{holder} is not a holder of the pack's certificate; refuse it");
        Failure::new(Exit::Unverified, message)
    })?;
    let result = result.to_wire() as i32;
    let report = Report::new(format!("Checked off line: {}", result_sentence(result)))
        .field("result", result_word(result))
        .field("valid", is_valid(result))
        .field("meaning", result_sentence(result))
        .maybe(
            "fields",
            package
                .as_ref()
                .map(|package| shown_values(package.shown())),
        )
        .field("holder", holder.to_string());
    Ok((
        proven_fields(report, &proven, at, verified, bytes.len()),
        result,
    ))
}

fn proven_fields(
    report: Report,
    proven: &VerifiedPack,
    at: TimeMs,
    verified: Duration,
    bytes: usize,
) -> Report {
    let issuer = &proven.issuer.1;
    let certificate = proven.record.to_message(
        &proven.side_chain,
        &proven.certificate,
        issuer.organisation_code.clone(),
    );
    certificate_fields(report, &certificate, Some(at.get()))
        .field("issuer_status", identity_status(issuer))
        .field("verified", true)
        .field("as_of_height", proven.side_height.get())
        .time("as_of_time_ms", proven.side_time.get())
        .field("anchored_height", proven.anchored_height.get())
        .field("main_height", proven.main_height.get())
        .field("main_block", proven.main_block.to_string())
        .time("main_time_ms", proven.main_time.get())
        .field("age_seconds", at.since(proven.side_time) / 1000)
        .maybe(
            "frozen_above",
            proven.frozen.map(|freeze| freeze.height.get()),
        )
        .field("pack_bytes", bytes)
        .field("verified_in_milliseconds", verified.as_secs_f64() * 1000.0)
}

fn identity_status(identity: &IdentityRecord) -> String {
    status_word(identity.present.status.to_wire() as i32)
}

/// Whose possession is judged: who shows it, who was named, or the only holder.
fn holder_of(
    args: &CheckArgs,
    proven: &VerifiedPack,
    package: Option<&PresentationPackage>,
) -> Result<Address, Failure> {
    let shown = package.map(|package| package.presentation().holder);
    if let (Some(shown), Some(expected)) = (shown, args.holder)
        && shown != expected
    {
        let message = format!("the presentation is by {shown}, not by {expected}");
        return Err(Failure::new(Exit::Unverified, message));
    }
    let only = match proven.holders.as_slice() {
        [(only, _)] => Some(*only),
        _ => None,
    };
    shown.or(args.holder).or(only).ok_or_else(|| {
        Failure::usage("the certificate has several holders: name one with --holder, or give --qr")
    })
}

fn verify_package(
    args: &CheckArgs,
    trust: &Trust,
    proven: &VerifiedPack,
    package: &PresentationPackage,
    holder: &Address,
    at: TimeMs,
) -> Result<(), Failure> {
    let side = super::lookup::side_chain(&proven.side_chain)
        .map_err(|_| Failure::new(Exit::Unverified, "the pack's chain is unknown here"))?;
    let known = trust.known_type(side, &proven.record.type_name)?;
    let identity = proven.holders.iter().find(|(address, _)| address == holder);
    let Some((_, identity)) = identity else {
        let message = format!("{holder} is not a holder of the pack's certificate; refuse it");
        return Err(Failure::new(Exit::Unverified, message));
    };
    let keys = identity.present.signing_keys();
    let holder_keys = keys
        .map(|key| PublicKey::from_bytes(key))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| Failure::new(Exit::Unverified, "a proven key of the holder is none"))?;
    let verifier = match (&args.wallet, package.presentation().audience) {
        (Some(path), _) => Wallet::inspect(path)?.address(),
        // It is for whoever bears it, so nobody is compared with this.
        (None, Audience::Bearer) => *holder,
        (None, Audience::Verifier(named)) => {
            let message = format!("the presentation is for {named}; give its wallet with --wallet");
            return Err(Failure::usage(message));
        }
    };
    let genesis = trust.genesis();
    package.verify(&Expected {
        chain: proven.chain,
        certificate: proven.certificate,
        certificate_type: &known.certificate_type,
        field_root: proven.record.field_root,
        holder: *holder,
        holder_keys: &holder_keys,
        verifier,
        challenge: args.challenge.as_ref().map(|given| given.0.as_slice()),
        now: at,
        clock_bound_ms: genesis.timers.clock_bound_ms,
        window_ms: genesis.limits.transaction_window_ms,
    })?;
    Ok(())
}
