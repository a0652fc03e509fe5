//! `certchain check`: a verifier judges what somebody shows, and records it.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use certchain_client::{
    atomic_file::read_limited,
    certificate::KnownType,
    connection::Connection,
    qr::read_presentation,
    text_file::FileError,
    transaction::{Draft, record_check},
    wallet::{PublicAccount, Wallet},
};
use certchain_config::{SideChain, parameters::Timers};
use certchain_ledger::identity::{IdentityRecord, IdentityStatus};
use certchain_proto::{
    Address, PublicKey, TimeMs,
    wire::v1::{CheckRequest, CheckResponse, GetIdentityResponse, IdentityKind},
};
use certchain_sidechain::{
    certificate::{CertificateRecord, judge},
    package::{
        Expected, PresentationPackage,
        text::{Carried, MAX_TEXT_BYTES},
    },
    presentation::Audience,
};
use clap::Args;

use super::{
    CommandResult, Stop,
    exit_code::Exit,
    failure::Failure,
    lookup::{ChainOption, Found, find, wrong},
    offline,
    output::Report,
    present::{Challenge, challenge},
    session::{Common, Trust, Verify, now},
    show::{Subject, proof_fields, receipt_fields, status_word},
    show_certificate::{is_valid, result_sentence, result_word, shown_values},
};

/// `certchain check ...`
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Picture with the QR code that the holder shows, PNG or JPEG
    #[arg(long, value_name = "FILE", required_unless_present_any = ["text", "offline"])]
    pub qr: Option<PathBuf>,
    /// File with the text of the QR code; '-' reads standard input
    #[arg(long, value_name = "FILE", conflicts_with = "qr")]
    pub text: Option<PathBuf>,
    /// Check without any node: a pack from `certificate pack`; needs --genesis
    #[arg(long, value_name = "PACK", requires = "genesis")]
    pub offline: Option<PathBuf>,
    /// The verifier's wallet
    #[arg(long, value_name = "FILE", required_unless_present = "offline")]
    pub wallet: Option<PathBuf>,
    /// Why, as a number of the network's published list
    #[arg(long, value_name = "NUMBER", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..))]
    purpose: u16,
    /// Judge only; record nothing on the chain
    #[arg(long)]
    no_record: bool,
    /// The challenge that I gave the holder
    #[arg(long, value_name = "HEX", value_parser = challenge)]
    pub challenge: Option<Challenge>,
    /// The holder whom I expect
    #[arg(long, value_name = "ADDRESS")]
    pub holder: Option<Address>,
    /// Organisation code of the issuer that I expect
    #[arg(long, value_name = "CODE")]
    organisation_code: Option<String>,
    /// With --offline: a file from `chain header`, a block of main that I trust
    #[arg(long, value_name = "FILE", requires = "offline")]
    pub trusted_header: Option<PathBuf>,
    /// Proof instead of trust in the node
    #[command(flatten)]
    pub verify: Verify,
}

impl CheckArgs {
    /// What the holder shows, if anything was given.
    pub fn carried(&self) -> Result<Option<Carried>, Failure> {
        match (&self.qr, &self.text) {
            (Some(path), _) => Ok(Some(read_presentation(path)?)),
            (None, Some(path)) => Ok(Some(Carried::from_text(&read_text(path)?)?)),
            (None, None) => Ok(None),
        }
    }
}

fn read_text(path: &Path) -> Result<String, Failure> {
    const WHAT: &str = "text of a QR code";
    let limit = MAX_TEXT_BYTES as u64 + 1024;
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        let mut input = std::io::stdin().lock().take(limit);
        input
            .read_to_end(&mut bytes)
            .map_err(|error| FileError::reading(path, WHAT, error))?;
        bytes
    } else {
        read_limited(path, limit).map_err(|error| FileError::reading(path, WHAT, error))?
    };
    String::from_utf8(bytes).map_err(|_| {
        let problem = "it is not text".to_owned();
        let (path, what) = (path.to_owned(), WHAT);
        FileError::Malformed {
            path,
            what,
            problem,
        }
        .into()
    })
}

/// Opens what is encrypted to the verifier.
pub fn package_of(
    carried: Carried,
    wallet: Option<&Wallet>,
) -> Result<PresentationPackage, Failure> {
    match carried {
        Carried::Clear(package) => Ok(*package),
        Carried::Sealed(sealed) => {
            let Some(wallet) = wallet else {
                let message = "the presentation is encrypted to its verifier; give --wallet";
                return Err(Failure::new(Exit::Wallet, message));
            };
            let mut keys = std::iter::once(wallet.keys()).chain(wallet.past_keys());
            let key = keys.find(|pair| pair.encryption_key() == *sealed.recipient_key());
            let key = key.unwrap_or_else(|| wallet.keys());
            Ok(sealed.open(key.encryption_secret().as_bytes())?)
        }
    }
}

/// Runs the command.
pub async fn run(common: &Common, args: CheckArgs) -> CommandResult {
    let (report, result) = if let Some(pack) = &args.offline {
        offline::check(common, &args, pack)?
    } else {
        online(common, &args).await?
    };
    common.output().write(report).map_err(Stop::OutputClosed)?;
    match is_valid(result) {
        true => Ok(()),
        false => Err(Stop::Told(Exit::NotValid)),
    }
}

/// What main says about an account, and whether it vouches for it.
struct Party {
    status: IdentityStatus,
    kind: i32,
    keys: Vec<PublicKey>,
    may_issue: Option<Vec<String>>,
}

async fn party(
    connection: &Connection,
    what: &'static str,
    address: &Address,
    trust: Option<&Trust>,
) -> Result<Party, Failure> {
    let answer = connection.identity(address, None, true).await?;
    if let Some(trust) = trust {
        let main = trust.main(connection).await?;
        let proven = main.identity(address, None, &answer)?;
        if proven.identity.is_none() {
            let message = format!("the {what} was not registered then: proven");
            return Err(Failure::new(Exit::NotFound, message));
        }
    }
    let identity = answer.identity.as_ref().ok_or_else(|| wrong(what))?;
    if identity.address != address.as_bytes() {
        return Err(wrong(what));
    }
    let keys = std::iter::once(&identity.public_key).chain(&identity.devices);
    let keys: Result<Vec<_>, _> = keys.map(|key| PublicKey::from_bytes(key)).collect();
    Ok(Party {
        status: IdentityStatus::from_wire(identity.status).ok_or_else(|| wrong(what))?,
        kind: identity.kind,
        keys: keys.map_err(|_| wrong(what))?,
        may_issue: may_issue(&answer),
    })
}

/// The types that an agency may issue now, from the record that comes as evidence.
fn may_issue(answer: &GetIdentityResponse) -> Option<Vec<String>> {
    let leaf = answer.present.as_ref().or(answer.evidence.as_ref())?;
    Some(IdentityRecord::decode(&leaf.value).ok()?.may_issue)
}

/// The chain that a presentation is for.
async fn chain_of(
    connection: &Connection,
    package: &PresentationPackage,
    trust: Option<&Trust>,
) -> Result<KnownType, Failure> {
    let chain = package.presentation().chain;
    let foreign = || {
        let message = "the presentation is for no chain of this network that has such a type; \
                       refuse it, or ask a node of its network";
        Failure::new(Exit::Unverified, message)
    };
    if let Some(trust) = trust {
        for side in SideChain::ALL {
            if trust.chain_of(side)? == chain {
                return trust.known_type(side, package.type_name());
            }
        }
        return Err(foreign());
    }
    let types = connection.catalogue("").await?;
    let known = types.into_iter().find(|known| {
        known.chain == chain && known.certificate_type.name.as_str() == package.type_name()
    });
    known.ok_or_else(foreign)
}

async fn online(common: &Common, args: &CheckArgs) -> Result<(Report, i32), Failure> {
    let carried = args
        .carried()?
        .ok_or_else(|| Failure::usage("give --qr or --text"))?;
    let path = args.wallet.as_deref();
    let path = path.ok_or_else(|| Failure::usage("give the verifier's wallet with --wallet"))?;
    let account: PublicAccount = Wallet::inspect(path)?;
    let wallet = match (&carried, args.no_record) {
        (Carried::Clear(_), true) => None,
        _ => Some(common.open(path)?),
    };
    let package = package_of(carried, wallet.as_ref())?;
    let connection = common.connect()?;
    let trust = args.verify.trust()?;
    let trust = trust.as_ref();
    let known = chain_of(&connection, &package, trust).await?;
    let side = known.certificate_type.chain;
    let shown = package.presentation();
    let (holder, id) = (shown.holder, shown.certificate);
    if let Some(expected) = args.holder.filter(|expected| *expected != holder) {
        let message = format!("the presentation is by {holder}, not by {expected}");
        return Err(Failure::new(Exit::Unverified, message));
    }
    let chain = ChainOption { chain: Some(side) };
    let found = find(&connection, &id, chain, trust).await?;
    let record = CertificateRecord::decode(&found.answer.encoded_record)
        .map_err(|_| wrong("the certificate's record"))?;
    check_expectation(args, &found)?;
    if record.holder(&holder).is_none() {
        let message = format!("{holder} is not a holder of certificate {id}; refuse it");
        return Err(Failure::new(Exit::Unverified, message));
    }
    let holder_party = party(&connection, "holder", &holder, trust).await?;
    let issuer = party(&connection, "issuer", &record.issuer, trust).await?;
    if issuer.kind != IdentityKind::Agency as i32 {
        let message = "the certificate's issuer is no certifying agency; refuse it";
        return Err(Failure::new(Exit::Unverified, message));
    }
    let status = connection.status(side.name()).await?;
    let at = now().max(TimeMs::new(found.answer.time_ms));
    package.verify(&Expected {
        chain: known.chain,
        certificate: id,
        certificate_type: &known.certificate_type,
        field_root: record.field_root,
        holder,
        holder_keys: &holder_party.keys,
        verifier: account.address(),
        challenge: args.challenge.as_ref().map(|given| given.0.as_slice()),
        now: at,
        clock_bound_ms: clock_bound_ms(trust),
        window_ms: status.transaction_window_ms,
    })?;
    let accredited = issuer
        .may_issue
        .as_ref()
        .map(|types| types.contains(&record.type_name));
    let local = judge(&record, at, holder_party.status, issuer.status).to_wire() as i32;
    let recorded = match &wallet {
        Some(wallet) if !args.no_record => {
            Some(record_it(&connection, wallet, &package, side, args, trust).await?)
        }
        _ => None,
    };
    let (result, title) = match &recorded {
        Some((answer, _)) => (answer.result, "Checked and recorded"),
        None => (local, "Checked, not recorded"),
    };
    let report = Report::new(format!("{title}: {}", result_sentence(result)))
        .field("result", result_word(result))
        .field("valid", is_valid(result))
        .field("meaning", result_sentence(result))
        .field("fields", shown_values(package.shown()))
        .field("type", record.type_name.as_str())
        .field("chain", side.name())
        .field("certificate", id.to_string())
        .field("serial", record.serial)
        .field("holder", holder.to_string())
        .field(
            "holder_status",
            status_word(holder_party.status.to_wire() as i32),
        )
        .field("issuer", record.issuer.to_string())
        .field(
            "organisation_code",
            found.certificate.organisation_code.as_str(),
        )
        .field("issuer_status", status_word(issuer.status.to_wire() as i32))
        .maybe("issuer_accredited_now", accredited)
        .field("bearer", shown.audience == Audience::Bearer)
        .field("presentation", package.id().to_string())
        .field("recorded", recorded.is_some());
    let report = match recorded {
        Some((answer, proof)) => {
            let receipt = answer.receipt.ok_or_else(|| wrong("the receipt"))?;
            let check = answer.check.ok_or_else(|| wrong("the check"))?;
            let report = receipt_fields(report, &receipt, Subject::Other)
                .time("checked_time_ms", check.time_ms);
            report.append(proof)
        }
        None => report.time("checked_time_ms", at.get()),
    };
    Ok((report, result))
}

/// How far other clocks may be ahead: from the genesis, else as networks have it by default.
fn clock_bound_ms(trust: Option<&Trust>) -> u64 {
    let default = || Timers::default().clock_bound_ms;
    trust.map_or_else(default, |trust| trust.genesis().timers.clock_bound_ms)
}

fn check_expectation(args: &CheckArgs, found: &Found) -> Result<(), Failure> {
    let actual = found.certificate.organisation_code.as_str();
    match &args.organisation_code {
        Some(expected) if expected != actual => {
            let message = format!("the certificate was issued by '{actual}', not by '{expected}'");
            Err(Failure::new(Exit::Unverified, message))
        }
        _ => Ok(()),
    }
}

/// Submits the check; gives the answer, and what its proof adds.
async fn record_it(
    connection: &Connection,
    wallet: &Wallet,
    package: &PresentationPackage,
    side: SideChain,
    args: &CheckArgs,
    trust: Option<&Trust>,
) -> Result<(CheckResponse, Report), Failure> {
    let kind = record_check(wallet.address(), package.signed(), args.purpose);
    let terms = connection.terms(side.name(), now(), None).await?;
    let mut draft = Draft::new(&terms.body(kind)?)?;
    draft.sign_with(wallet)?;
    let holder = package.presentation().holder;
    let question = CheckRequest {
        chain: side.name().to_owned(),
        transaction: Some(draft.finish()?),
        holder: holder.as_bytes().to_vec(),
        organisation_code: args.organisation_code.clone().unwrap_or_default(),
        with_proof: trust.is_some(),
    };
    let answer = connection.check(question).await?;
    let id = package.id();
    let same = answer.check.as_ref().is_some_and(|check| {
        check.presentation_id == id.as_bytes() && check.result == answer.result
    });
    if !same {
        return Err(wrong("the check"));
    }
    let proof = match trust {
        Some(trust) => {
            let light = trust.side(connection, side).await?;
            let proven = light.check(side.name(), &id, &answer)?;
            proof_fields(Report::default(), &proven.block)
        }
        None => Report::default(),
    };
    Ok((answer, proof))
}
