//! `certchain inbox`: certificates that were sent to me.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use certchain_client::{
    certificate::KnownType,
    connection::{Connection, ConnectionError},
    query::authorise,
    wallet::Wallet,
};
use certchain_proto::{
    Height,
    wire::v1::{self, QueryTopic},
};
use clap::Args;
use futures::StreamExt as _;

use super::{
    CommandResult, Stop,
    exit_code::Exit,
    failure::Failure,
    listing::listed,
    lookup::{ChainOption, open_fields, side_chain, type_of, wrong},
    output::Report,
    registration::MAIN,
    session::{Common, now},
    show_certificate::{certificate_fields, field_values},
};

/// Attempts in a row to take up a stream that broke.
const MAX_ATTEMPTS: u32 = 10;

/// `certchain inbox ...`
#[derive(Args, Debug)]
pub struct InboxArgs {
    /// The holder's wallet
    #[arg(long, value_name = "FILE")]
    wallet: PathBuf,
    #[command(flatten)]
    chain: ChainOption,
    /// Only what was issued at this height of its chain or later
    #[arg(long, value_name = "HEIGHT")]
    from_height: Option<u64>,
    /// Stop after so many
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Wait for further ones as they are decided, until interrupted. Without --from-height: only
    /// for those
    #[arg(long)]
    follow: bool,
}

/// Opens certificates and remembers what it has told.
struct Inbox<'a> {
    common: &'a Common,
    connection: &'a Connection,
    wallet: &'a Wallet,
    types: BTreeMap<(String, String), KnownType>,
    told: BTreeSet<Vec<u8>>,
    left: u64,
}

impl Inbox<'_> {
    /// Tells a certificate, unless it was told before.
    async fn tell(&mut self, certificate: &v1::Certificate) -> Result<(), Stop> {
        if self.left == 0 || !self.told.insert(certificate.certificate.clone()) {
            return Ok(());
        }
        let report = match self.open(certificate).await {
            Ok(report) => report.field("verified", true),
            Err(failure) if matches!(failure.exit, Exit::Unreachable | Exit::Timeout) => {
                return Err(Stop::Failure(failure));
            }
            // Somebody may send rubbish: it must not hide what others send.
            Err(failure) => Report::new("A certificate that does not open")
                .field("verified", false)
                .field("problem", failure.message),
        };
        let report = certificate_fields(report, certificate, None);
        self.left -= 1;
        self.common
            .output()
            .write(report)
            .map_err(Stop::OutputClosed)
    }

    async fn open(&mut self, certificate: &v1::Certificate) -> Result<Report, Failure> {
        let side = side_chain(&certificate.chain).map_err(|_| wrong("the chain"))?;
        let key = (certificate.chain.clone(), certificate.r#type.clone());
        let known = match self.types.get(&key) {
            Some(known) => known.clone(),
            None => {
                let known = type_of(self.connection, side, &certificate.r#type, None).await?;
                self.types.insert(key, known.clone());
                known
            }
        };
        let fields = open_fields(self.connection, self.wallet, &known, certificate).await?;
        let title = known.certificate_type.title.as_str();
        Ok(Report::new(title).field("fields", field_values(&fields)))
    }
}

/// Runs the command.
pub async fn run(common: &Common, args: InboxArgs) -> CommandResult {
    let connection = common.connect()?;
    let wallet = common.open(&args.wallet)?;
    let mut inbox = Inbox {
        common,
        connection: &connection,
        wallet: &wallet,
        types: BTreeMap::new(),
        told: BTreeSet::new(),
        left: args.count.unwrap_or(u64::MAX),
    };
    if !args.follow {
        return present_ones(&mut inbox, &args).await;
    }
    tokio::select! {
        ended = follow(&mut inbox, &args) => ended,
        // The usual way to end it is no failure.
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// What the chains hold now, oldest first.
async fn present_ones(inbox: &mut Inbox<'_>, args: &InboxArgs) -> CommandResult {
    let from = args.from_height.unwrap_or(0);
    let mut found = Vec::new();
    for side in args.chain.sides() {
        let entries = listed(
            inbox.connection,
            inbox.wallet,
            side,
            QueryTopic::Held,
            usize::MAX,
        );
        let certificates = entries.await?.into_iter();
        found.extend(
            certificates
                .filter_map(|entry| entry.certificate)
                .filter(|certificate| certificate.issued_height >= from),
        );
    }
    found.sort_by_key(|certificate| certificate.issued_ms);
    for certificate in &found {
        inbox.tell(certificate).await?;
    }
    if inbox.told.is_empty() {
        inbox
            .common
            .output()
            .hint("No certificate was sent to this account.");
    }
    Ok(())
}

/// What is decided from now on, or from a height on.
async fn follow(inbox: &mut Inbox<'_>, args: &InboxArgs) -> CommandResult {
    let named = args.chain.chain;
    let chain = named.map_or(MAIN, |side| side.name());
    let chain = inbox.connection.chain_id(chain).await?;
    // Where to go on if the stream breaks: the lowest height that may hold something not told yet.
    let mut resume = u64::MAX;
    for side in args.chain.sides() {
        let height = inbox.connection.status(side.name()).await?.height;
        resume = resume.min(height.saturating_add(1));
    }
    let mut from = args.from_height;
    resume = from.unwrap_or(resume);
    let mut attempts = 0;
    loop {
        let permit = authorise(inbox.wallet, chain, QueryTopic::Inbox, now())?;
        let opened = inbox
            .connection
            .inbox(args.chain.name_or_all(), permit, from.map(Height::new))
            .await;
        let broken = match opened {
            Err(error) => Some(error),
            Ok(mut stream) => loop {
                if inbox.left == 0 {
                    return Ok(());
                }
                match stream.next().await {
                    Some(Ok(answer)) => {
                        attempts = 0;
                        let certificate = answer.certificate.unwrap_or_default();
                        if named.is_some() {
                            resume = certificate.issued_height;
                        }
                        inbox.tell(&certificate).await?;
                    }
                    Some(Err(error)) => break Some(error),
                    None => break None,
                }
            },
        };
        attempts += 1;
        match broken {
            Some(error) if attempts >= MAX_ATTEMPTS || !passes(&error) => return Err(error.into()),
            _ => {}
        }
        from = Some(resume);
        tokio::time::sleep(Duration::from_millis(200 * u64::from(attempts))).await;
    }
}

/// Whether it may be over when asked again.
fn passes(error: &ConnectionError) -> bool {
    // A node ends an inbox after an hour.
    let ended = matches!(
        error,
        ConnectionError::Status { status, .. } if *status == tonic::Code::Aborted
    );
    ended || error.is_node_failure() || matches!(error, ConnectionError::Timeout { .. })
}
