//! The way of a registration: drafted by the agency, reviewed by the registrar, signed and
//! submitted by the holder.

use std::path::PathBuf;

use certchain_client::{
    attributes::AttributeSet,
    tag::{Document, TagKey},
    transaction::{Draft, Registration, Role, recover_key, register_identity},
    wallet::{PublicAccount, Wallet},
};
use certchain_proto::{Address, hash::IdentityTag, wire::v1::transaction_body::Kind};
use clap::Args;

use super::{
    exit_code::Exit,
    failure::Failure,
    output::Report,
    session::{Common, now},
    show::{decided, draft_report},
};

/// The chain of identities.
pub const MAIN: &str = "main";

/// A document in the options.
#[derive(Args, Debug)]
pub struct DocumentArgs {
    /// Issuing country of the identity document, two letters
    #[arg(long, value_name = "CC")]
    document_country: String,
    /// Type of the document: id, passport, ...
    #[arg(long, value_name = "TYPE")]
    document_type: String,
    /// Number of the document; never leaves this machine
    #[arg(long, value_name = "NUMBER")]
    document_number: String,
    /// File with the network-wide tag key, 64 hexadecimal digits
    #[arg(long, value_name = "FILE")]
    tag_key: PathBuf,
    /// Version of that key
    #[arg(long, value_name = "VERSION", default_value_t = 1)]
    tag_key_version: u32,
}

impl DocumentArgs {
    fn tag(&self) -> Result<IdentityTag, Failure> {
        let document = Document::new(
            &self.document_country,
            &self.document_type,
            &self.document_number,
        )?;
        Ok(TagKey::read(&self.tag_key, self.tag_key_version)?.tag(&document))
    }
}

/// `certchain identity draft ...`
#[derive(Args, Debug)]
pub struct DraftArgs {
    /// The certifying agency's wallet
    #[arg(long, value_name = "FILE")]
    agency_wallet: PathBuf,
    /// Address of the registrar that will review
    #[arg(long, value_name = "ADDRESS")]
    registrar: Address,
    /// The holder's account file, from `certchain wallet export`
    #[arg(long, value_name = "FILE")]
    holder_account: PathBuf,
    /// An attribute as name=value; may be repeated. Salted, never sent in clear
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<(String, String)>,
    /// File to write for the holder with the salted attributes [default: OUT.attributes]
    #[arg(long, value_name = "FILE")]
    attributes_out: Option<PathBuf>,
    #[command(flatten)]
    document: DocumentArgs,
    /// How long the registration may wait for its signatures, in seconds [default: as long as the
    /// chain allows]
    #[arg(long, value_name = "SECONDS")]
    valid_for: Option<u64>,
    /// Draft to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

fn attribute(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "write it as NAME=VALUE".to_owned())
}

/// Drafts a registration and signs it as the agency.
pub async fn draft(common: &Common, args: DraftArgs) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let holder = PublicAccount::read_file(&args.holder_account)?;
    let set = AttributeSet::new(&args.attributes)?;
    let tag = args.document.tag()?;
    let wallet = common.open(&args.agency_wallet)?;
    let kind = register_identity(&Registration {
        holder: &holder,
        attribute_root: set.root(),
        tag,
        tag_key_version: args.document.tag_key_version,
        agency: wallet.address(),
        registrar: args.registrar,
    });
    let lifetime = args.valid_for.map(|seconds| seconds.saturating_mul(1000));
    let terms = connection.terms(MAIN, now(), lifetime).await?;
    let mut draft = Draft::new(&terms.body(kind)?)?;
    draft.sign_with(&wallet)?;
    let attributes_out = args.attributes_out.unwrap_or_else(|| {
        let mut name = args.out.clone().into_os_string();
        name.push(".attributes");
        name.into()
    });
    set.write_file(&attributes_out)?;
    draft.write_file(&args.out)?;
    Ok(draft_report("Drafted and signed by the agency", &draft)
        .field("file", args.out.display().to_string())
        .field("attributes_file", attributes_out.display().to_string()))
}

/// `certchain identity recover-key ...`
#[derive(Args, Debug)]
pub struct RecoverArgs {
    /// The wallet of the agency that checked the person again
    #[arg(long, value_name = "FILE")]
    agency_wallet: PathBuf,
    /// Address of the registrar that will review
    #[arg(long, value_name = "ADDRESS")]
    registrar: Address,
    /// Account file of the new wallet, which was made with `wallet new --recovers ADDRESS`
    #[arg(long, value_name = "FILE")]
    holder_account: PathBuf,
    /// How long it may wait for its signatures, in seconds [default: as the chain allows]
    #[arg(long, value_name = "SECONDS")]
    valid_for: Option<u64>,
    /// Draft to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Drafts a recovery of lost keys and signs it as the agency.
pub async fn recover(common: &Common, args: RecoverArgs) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let holder = PublicAccount::read_file(&args.holder_account)?;
    if holder.address() == Address::of(holder.public_key()) {
        return Err(Failure::usage(
            "the account file is of a wallet for a new account; make one for the lost account with \
             'wallet new --recovers ADDRESS'",
        ));
    }
    let wallet = common.open(&args.agency_wallet)?;
    let kind = recover_key(&holder, wallet.address(), args.registrar);
    let lifetime = args.valid_for.map(|seconds| seconds.saturating_mul(1000));
    let terms = connection.terms(MAIN, now(), lifetime).await?;
    let mut draft = Draft::new(&terms.body(kind)?)?;
    draft.sign_with(&wallet)?;
    draft.write_file(&args.out)?;
    Ok(draft_report("Drafted and signed by the agency", &draft)
        .field("file", args.out.display().to_string()))
}

/// `certchain identity review ...`
#[derive(Args, Debug)]
pub struct ReviewArgs {
    /// The registrar's wallet
    #[arg(long, value_name = "FILE")]
    wallet: PathBuf,
    /// The draft
    #[arg(long = "in", value_name = "FILE")]
    input: PathBuf,
    /// The attributes file of the draft: shown, and checked against the draft
    #[arg(long, value_name = "FILE")]
    attributes: Option<PathBuf>,
    /// Issuing country of the document, to check the draft's tag
    #[arg(long, value_name = "CC", requires_all = ["document_type", "document_number", "tag_key"])]
    document_country: Option<String>,
    /// Type of the document
    #[arg(long, value_name = "TYPE", requires = "document_country")]
    document_type: Option<String>,
    /// Number of the document
    #[arg(long, value_name = "NUMBER", requires = "document_country")]
    document_number: Option<String>,
    /// File with the network-wide tag key
    #[arg(long, value_name = "FILE", requires = "document_country")]
    tag_key: Option<PathBuf>,
    /// Reviewed draft to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Shows a draft, checks it and signs it as the registrar.
pub fn review(common: &Common, args: ReviewArgs) -> Result<Report, Failure> {
    let mut draft = Draft::read_file(&args.input)?;
    if draft
        .next_party()
        .is_none_or(|party| party.role != Role::Registrar)
    {
        let whose = draft
            .next_party()
            .map_or("nobody's".to_owned(), |party| party.to_string());
        let message = format!("it is not the registrar's turn to sign this draft, but {whose}");
        return Err(Failure::new(Exit::Wallet, message));
    }
    let attributes = args
        .attributes
        .as_deref()
        .map(AttributeSet::read_file)
        .transpose()?;
    if let Some(set) = &attributes {
        check_root(&draft, set)?;
    }
    if let (Some(country), Some(kind), Some(number), Some(key)) = (
        &args.document_country,
        &args.document_type,
        &args.document_number,
        &args.tag_key,
    ) {
        let Kind::RegisterIdentity(register) = draft.kind() else {
            return Err(Failure::usage(
                "only registrations have a document to check",
            ));
        };
        let key = TagKey::read(key, register.tag_key_version)?;
        if register.tag != key.tag(&Document::new(country, kind, number)?).as_bytes() {
            return Err(Failure::new(
                Exit::Unverified,
                "the draft's tag is of another document",
            ));
        }
    }
    let wallet = common.open(&args.wallet)?;
    draft.sign_with(&wallet)?;
    draft.write_file(&args.out)?;
    let mut report = draft_report("Reviewed and signed by the registrar", &draft);
    if let Some(set) = &attributes {
        let pairs = set.attributes().into_iter();
        let pairs = pairs.map(|(name, value)| serde_json::json!({ "name": name, "value": value }));
        report = report.field("attributes", pairs.collect::<Vec<_>>());
    }
    Ok(report.field("file", args.out.display().to_string()))
}

/// `certchain identity register ...`
#[derive(Args, Debug)]
pub struct RegisterArgs {
    /// The holder's wallet
    #[arg(long, value_name = "FILE")]
    wallet: PathBuf,
    /// The reviewed draft, of a registration or of a recovery
    #[arg(long = "in", value_name = "FILE")]
    input: PathBuf,
    /// The attributes file from the agency: checked, and kept in the wallet
    #[arg(long, value_name = "FILE")]
    attributes: Option<PathBuf>,
}

/// Signs a reviewed draft as the holder, submits it and waits for the decision.
pub async fn register(common: &Common, args: RegisterArgs) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let mut draft = Draft::read_file(&args.input)?;
    let title = match draft.kind() {
        Kind::RegisterIdentity(_) => "Registered",
        Kind::RecoverKey(_) => {
            "Recovery opened; when it is due, complete it with 'identity complete-recovery'"
        }
        _ => {
            let message = "the draft is neither of a registration nor of a recovery; to submit \
                           another that all have signed, use 'identity submit'";
            return Err(Failure::usage(message));
        }
    };
    let set = args
        .attributes
        .as_deref()
        .map(AttributeSet::read_file)
        .transpose()?;
    if let Some(set) = &set {
        check_root(&draft, set)?;
    }
    Wallet::inspect(&args.wallet)?;
    let passphrase = common.passphrase(&args.wallet)?;
    let mut wallet = Wallet::open(&args.wallet, &passphrase)?;
    draft.sign_with(&wallet)?;
    match set {
        // Before the chain knows the root: salts that are lost cannot be made again.
        Some(set) => {
            wallet.set_attributes(set);
            wallet.save(&passphrase)?;
        }
        None if wallet.attributes().is_none() && title == "Registered" => {
            common.output().hint(
                "The wallet holds no attributes: keep the agency's attributes file and import it \
                 with 'certchain wallet import-attributes', or nothing can be shown to verifiers.",
            );
        }
        None => {}
    }
    let report = Report::new(title)
        .field("address", wallet.address().to_string())
        .field("public_key", wallet.account().public_key().to_string())
        .hex("encryption_key", wallet.account().encryption_key());
    decided(&connection, report, draft).await
}

fn check_root(draft: &Draft, set: &AttributeSet) -> Result<(), Failure> {
    match draft.kind() {
        Kind::RegisterIdentity(register) if register.attribute_root == set.root().as_bytes() => {
            Ok(())
        }
        Kind::RegisterIdentity(_) => Err(Failure::new(
            Exit::Unverified,
            "the attributes are not those of the draft; ask the agency for the right file",
        )),
        _ => Err(Failure::usage("only registrations have attributes")),
    }
}
