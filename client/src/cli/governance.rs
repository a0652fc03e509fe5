//! `certchain governance`: how the offices change their network by vote.

use std::path::{Path, PathBuf};

use certchain_client::{
    connection::Connection,
    transaction::{Draft, accept_accreditation, propose, vote},
};
use certchain_config::{Parameters, secret::read_secret_key};
use certchain_ledger::governance::{Change, ParameterTable};
use certchain_proto::{
    Address, Epoch, Height, SecretKey, ValidatorIndex,
    hash::TransactionId,
    wire::v1::{GetGovernanceResponse, transaction_body::Kind},
};
use clap::{Args, Subcommand};

use super::{
    CommandResult, Stop,
    exit_code::Exit,
    failure::Failure,
    lookup::{transaction_id, wrong},
    membership::{self, MembershipCommand},
    output::Report,
    proposals::{in_force_report, list_report, proposal_report},
    registration::MAIN,
    session::{Common, Verify, now},
    show::{decided, proof_fields},
};

/// `certchain governance ...`
#[derive(Subcommand, Debug)]
pub enum GovernanceCommand {
    /// Propose a change as a validator; shows what would change
    Propose(ProposeArgs),
    /// Approve or reject a proposal as a validator
    Vote(VoteArgs),
    /// List proposals, newest first
    List(ListArgs),
    /// Show a proposal, what it changes and who has voted; without one: what is in force
    Show(ShowArgs),
    /// Accept as an agency the types for which it was accredited
    Accept(AcceptArgs),
}

/// The key with which a node votes.
#[derive(Args, Debug)]
pub struct VoteKey {
    /// The node's vote key, as `certchain-node init` made it
    #[arg(long, env = "CERTCHAIN_VOTE_KEY", value_name = "FILE")]
    vote_key: PathBuf,
}

/// `certchain governance propose ...`
#[derive(Args, Debug)]
pub struct ProposeArgs {
    #[command(flatten)]
    key: VoteKey,
    /// When the change takes effect if it is accepted by then
    #[command(flatten)]
    when: When,
    #[command(subcommand)]
    change: ChangeCommand,
}

/// At which height.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct When {
    /// Height of main at whose end the change takes effect, if it is accepted by then
    #[arg(long, value_name = "HEIGHT")]
    at_height: Option<u64>,
    /// The same, counted from main's last block
    #[arg(long, value_name = "BLOCKS")]
    after_blocks: Option<u64>,
}

/// What is to change.
#[derive(Subcommand, Debug)]
pub enum ChangeCommand {
    /// Let an agency issue types of certificates, once it has accepted
    Accredit(TypesArgs),
    /// Take types of certificates from an agency
    Withdraw(TypesArgs),
    /// Make an organisation a registrar
    AppointRegistrar {
        /// The organisation's account
        address: Address,
    },
    /// End a registrar
    DismissRegistrar {
        /// The registrar's account
        address: Address,
    },
    /// Give main other parameters
    Parameters {
        /// File with [limits], [timers] and [governance]; a table that is left out stays as it is
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    #[command(flatten)]
    Membership(MembershipCommand),
    /// Make tags with another version of the key
    TagKeyVersion {
        /// The version, above the present one
        version: u32,
    },
}

/// An agency and types of certificates.
#[derive(Args, Debug)]
pub struct TypesArgs {
    /// The agency's account
    address: Address,
    /// Names of the types, separated by commas
    #[arg(
        long = "types",
        value_name = "NAMES",
        value_delimiter = ',',
        required = true
    )]
    types: Vec<String>,
}

/// `certchain governance vote ...`
#[derive(Args, Debug)]
pub struct VoteArgs {
    /// The proposal
    #[arg(value_parser = transaction_id)]
    proposal: TransactionId,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    key: VoteKey,
}

/// For or against.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct Choice {
    /// Vote for it
    #[arg(long)]
    approve: bool,
    /// Vote against it
    #[arg(long)]
    reject: bool,
}

/// `certchain governance list ...`
#[derive(Args, Debug)]
pub struct ListArgs {
    /// Only what can still be voted on or waits for its height
    #[arg(long)]
    open: bool,
    /// Most proposals that are read
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    limit: u32,
}

/// `certchain governance show ...`
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// The proposal
    #[arg(value_parser = transaction_id)]
    proposal: Option<TransactionId>,
    #[command(flatten)]
    verify: Verify,
}

/// `certchain governance accept ...`
#[derive(Args, Debug)]
pub struct AcceptArgs {
    /// The proposal that accredited the agency
    #[arg(value_parser = transaction_id)]
    proposal: TransactionId,
    /// The agency's wallet
    #[arg(long, value_name = "FILE")]
    wallet: PathBuf,
}

/// Runs a command.
pub async fn run(common: &Common, command: GovernanceCommand) -> CommandResult {
    let report = match command {
        GovernanceCommand::Propose(args) => propose_change(common, args).await?,
        GovernanceCommand::Vote(args) => cast(common, args).await?,
        GovernanceCommand::List(args) => list(common, &args).await?,
        GovernanceCommand::Show(args) => show(common, &args).await?,
        GovernanceCommand::Accept(args) => accept(common, &args).await?,
    };
    common.output().write(report).map_err(Stop::OutputClosed)
}

/// A validator of the present set, by its key.
struct Member {
    key: SecretKey,
    epoch: Epoch,
    place: ValidatorIndex,
}

impl Member {
    fn find(path: &Path, answer: &GetGovernanceResponse) -> Result<Self, Failure> {
        let key =
            read_secret_key(path).map_err(|error| Failure::new(Exit::File, error.to_string()))?;
        let mine = key.public().as_bytes();
        let found = answer
            .members
            .iter()
            .find(|member| member.vote_key == mine)
            .ok_or_else(|| {
                let message = format!(
                    "{} is not the vote key of a validator of main's present set; use the file \
                     that the node's configuration names as vote_key_file",
                    path.display()
                );
                Failure::new(Exit::Wallet, message)
            })?;
        let place = u16::try_from(found.validator).map_err(|_| wrong("a validator's place"))?;
        Ok(Self {
            key,
            epoch: Epoch::new(answer.epoch),
            place: ValidatorIndex::new(place),
        })
    }

    /// Signs and submits, and waits for the decision.
    async fn submit(
        &self,
        connection: &Connection,
        report: Report,
        kind: Kind,
    ) -> Result<(Report, TransactionId), Failure> {
        let body = connection.terms(MAIN, now(), None).await?.body(kind)?;
        let mut draft = Draft::new(&body)?;
        draft.sign_as_validator(self.epoch, self.place, &self.key)?;
        let id = draft.id();
        Ok((decided(connection, report, draft).await?, id))
    }
}

async fn propose_change(common: &Common, args: ProposeArgs) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let present = connection.governance().await?;
    let member = Member::find(&args.key.vote_key, &present)?;
    let change = change_of(args.change, &present)?;
    let height = match (args.when.at_height, args.when.after_blocks) {
        (Some(height), _) => height,
        (None, blocks) => present.height.saturating_add(blocks.unwrap_or(0)),
    };
    let kind = propose(member.epoch, member.place, Height::new(height), &change);
    let (receipt, id) = member.submit(&connection, Report::default(), kind).await?;
    let answer = connection.proposal(&id, false).await?;
    Ok(proposal_report("Proposed; now let the offices vote", &answer)?.append(receipt))
}

fn change_of(command: ChangeCommand, present: &GetGovernanceResponse) -> Result<Change, Failure> {
    let sorted = |mut types: Vec<String>| {
        types.sort();
        types.dedup();
        types
    };
    Ok(match command {
        ChangeCommand::Accredit(args) => Change::AccreditAgency {
            agency: args.address,
            types: sorted(args.types),
        },
        ChangeCommand::Withdraw(args) => Change::WithdrawAccreditation {
            agency: args.address,
            types: sorted(args.types),
        },
        ChangeCommand::AppointRegistrar { address } => Change::AppointRegistrar { address },
        ChangeCommand::DismissRegistrar { address } => Change::DismissRegistrar { address },
        ChangeCommand::Parameters { file } => {
            let present = present_table(present)?;
            let table = Parameters::load_over(
                &file,
                Parameters {
                    limits: present.limits,
                    timers: present.timers,
                    governance: present.governance,
                    ..Parameters::default()
                },
            )?;
            Change::SetParameters(Box::new(ParameterTable {
                limits: table.limits,
                timers: table.timers,
                governance: table.governance,
            }))
        }
        ChangeCommand::TagKeyVersion { version } => Change::SetTagKeyVersion { version },
        ChangeCommand::Membership(command) => membership::change_of(command, present)?,
    })
}

/// The table that is in force, as the node tells it.
fn present_table(answer: &GetGovernanceResponse) -> Result<ParameterTable, Failure> {
    let message = certchain_proto::wire::v1::SetParameters {
        limits: answer.limits,
        timers: answer.timers,
        governance: answer.governance,
    };
    let change = certchain_proto::wire::v1::propose::Change::SetParameters(message);
    match Change::from_wire(Some(&change)) {
        Ok(Change::SetParameters(table)) => Ok(*table),
        Ok(_) | Err(_) => Err(wrong("the table of parameters")),
    }
}

async fn cast(common: &Common, args: VoteArgs) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let present = connection.governance().await?;
    let member = Member::find(&args.key.vote_key, &present)?;
    let approve = args.choice.approve;
    let kind = vote(member.epoch, member.place, args.proposal, approve);
    let (receipt, _) = member.submit(&connection, Report::default(), kind).await?;
    let answer = connection.proposal(&args.proposal, false).await?;
    let title = if approve { "Approved" } else { "Rejected" };
    Ok(proposal_report(title, &answer)?.append(receipt))
}

async fn list(common: &Common, args: &ListArgs) -> Result<Report, Failure> {
    const PAGE: u32 = 64;
    let connection = common.connect()?;
    let (mut all, mut cursor, mut left) = (Vec::new(), Vec::new(), args.limit);
    loop {
        let most = left.min(PAGE);
        let page = connection.proposals(cursor, most, args.open).await?;
        all.extend(page.proposals);
        left -= most;
        cursor = page.next_cursor;
        if cursor.is_empty() || left == 0 {
            return Ok(list_report(&all, page.height));
        }
    }
}

async fn show(common: &Common, args: &ShowArgs) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let Some(id) = &args.proposal else {
        return Ok(in_force_report(&connection.governance().await?));
    };
    let light = args.verify.light_client()?;
    let answer = connection.proposal(id, light.is_some()).await?;
    let report = proposal_report("Proposal", &answer)?;
    match light {
        None => Ok(report),
        Some(mut light) => {
            let light = light.caught_up(&connection).await?;
            let proven = light.proposal(id, &answer)?;
            Ok(proof_fields(report, &proven.block))
        }
    }
}

async fn accept(common: &Common, args: &AcceptArgs) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let wallet = common.open(&args.wallet)?;
    let kind = accept_accreditation(args.proposal, wallet.address());
    let mut draft = Draft::new(&connection.terms(MAIN, now(), None).await?.body(kind)?)?;
    draft.sign_with(&wallet)?;
    let report = Report::new("Accepted: the agency may issue these types from the next block on")
        .field("proposal", args.proposal.to_string())
        .field("agency", wallet.address().to_string());
    decided(&connection, report, draft).await
}
