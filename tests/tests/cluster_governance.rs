//! Governance on four real nodes, through the command that offices use: an organisation is accredited
//! by vote, accepts, and issues what it could not issue before; registrars come and go; what is
//! refused is told; everything is proven against genesis and audited from it.

#[path = "cluster_governance/membership.rs"]
mod membership;

use std::process::{Command, Output};

use anyhow::{Context as _, ensure};
use certchain_client::wallet::{AccountKind, Wallet};
use certchain_config::NodeConfig;
use certchain_ledger::identity::IdentityKind;
use certchain_proto::{
    SecretKey,
    transaction::sign,
    wire::v1::{Code, SignedTransaction, transaction_body::Kind},
};
use certchain_tests::cluster::{
    Account, Cluster, ClusterOptions, binaries,
    certificates::{Desk, code_of, field},
    wait::{PATIENCE, until},
};
use serde_json::Value;

const PASSPHRASE: &str = "a passphrase of tests";

/// Runs `certchain governance ...` against a node, with the vote key of a node.
async fn governance(
    cluster: &Cluster,
    through: usize,
    office: Option<usize>,
    arguments: &[&str],
) -> anyhow::Result<Output> {
    let mut command = Command::new(binaries::find(binaries::CLIENT)?);
    let node = format!("http://{}", cluster.node(through)?.addresses.grpc);
    command.args(["--json", "--node", &node, "governance"]);
    command.args(arguments);
    if let Some(office) = office {
        let config = NodeConfig::load(&cluster.node(office)?.config)?;
        command.env("CERTCHAIN_VOTE_KEY", &config.vote_key);
    }
    command.env("CERTCHAIN_PASSPHRASE", PASSPHRASE);
    Ok(tokio::task::spawn_blocking(move || command.output()).await??)
}

/// The same, which must succeed: its answer.
async fn done(
    cluster: &Cluster,
    through: usize,
    office: Option<usize>,
    arguments: &[&str],
) -> anyhow::Result<Value> {
    let output = governance(cluster, through, office, arguments).await?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{arguments:?}: {errors}");
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    // The next one asks another node, which may be a moment behind.
    if let Some(height) = answer["height"].as_u64() {
        for node in cluster.nodes.iter().filter(|node| node.is_running()) {
            node.wait_height(height, PATIENCE).await?;
        }
    }
    Ok(answer)
}

/// The same, which must be refused: its code.
async fn refused(cluster: &Cluster, office: usize, arguments: &[&str]) -> anyhow::Result<String> {
    let output = governance(cluster, office, Some(office), arguments).await?;
    ensure!(output.status.code() == Some(1), "{arguments:?}: {output:?}");
    let error: Value = serde_json::from_slice(&output.stderr)?;
    let code = error["error"]["code"].as_str();
    Ok(code.context("no code")?.to_owned())
}

fn text<'a>(answer: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    answer[name]
        .as_str()
        .with_context(|| format!("no {name} in {answer}"))
}

fn number(answer: &Value, name: &str) -> anyhow::Result<u64> {
    answer[name]
        .as_u64()
        .with_context(|| format!("no {name} in {answer}"))
}

/// Proposes with the first office, lets three approve, each through its own node, and waits until
/// the change is carried out.
async fn decide(cluster: &Cluster, change: &[&str]) -> anyhow::Result<String> {
    let arguments = [&["propose", "--after-blocks", "12"], change].concat();
    let proposed = done(cluster, 0, Some(0), &arguments).await?;
    let id = text(&proposed, "proposal")?.to_owned();
    ensure!(text(&proposed, "status")? == "open", "{proposed}");
    let lines = proposed["changes"].as_array().context("no changes")?;
    ensure!(!lines.is_empty(), "{proposed}");
    for office in 0..3 {
        let voted = done(cluster, office, Some(office), &["vote", &id, "--approve"]).await?;
        ensure!(number(&voted, "approvals")? == office as u64 + 1, "{voted}");
        let expected = if office == 2 { "accepted" } else { "open" };
        ensure!(text(&voted, "status")? == expected, "{voted}");
    }
    let due = number(&proposed, "execution_height")?;
    for node in &cluster.nodes {
        node.wait_height(due, PATIENCE).await?;
    }
    let shown = done(cluster, 3, None, &["show", &id]).await?;
    ensure!(text(&shown, "status")? == "executed", "{shown}");
    Ok(id)
}

fn account(wallet: &Wallet) -> Account {
    Account {
        key: SecretKey::from_seed(&wallet.signing_key().to_seed()),
        encryption_key: *wallet.account().encryption_key(),
        address: wallet.address(),
    }
}

/// A registration that this registrar reviews.
fn registration(cluster: &Cluster, number: u64, registrar: &Account) -> SignedTransaction {
    let office = &cluster.office;
    let holder = office.person(number);
    let mut message = office.registration(&holder, office.tag(number));
    message.registrar = registrar.address.as_bytes().to_vec();
    let body = office.body(Kind::RegisterIdentity(message));
    sign(&body, &[&office.agency.key, &registrar.key, &holder.key])
}

async fn kind_of(desk: &Desk, who: &Account) -> anyhow::Result<IdentityKind> {
    let answer = desk.connection.identity(&who.address, None, false).await?;
    let identity = answer.identity.context("no identity")?;
    IdentityKind::from_wire(identity.kind).context("no kind")
}

#[tokio::test]
async fn offices_change_their_network_by_vote() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(ClusterOptions::default()).await?;
    let desk = Desk::open(&cluster, &[1]).await?;
    let company = desk.register(AccountKind::Organisation).await?;
    let issuer = account(&company);
    let anna = desk.register(AccountKind::Citizen).await?;
    let values = [
        field("occupation", "cook"),
        field("examined_on", "2026-09-01"),
        field("clinic", "Clinic 1"),
    ];
    let holders = [&anna];
    let issue = || desk.issue("health", &issuer, &holders, &values);
    ensure!(code_of(issue().await)? == Code::NotEntitled);

    // Accredited by vote, and only then, and only once it has accepted.
    let address = company.address().to_string();
    let accredit = ["accredit", &address, "--types", "health_certificate"];
    let id = decide(&cluster, &accredit).await?;
    ensure!(code_of(issue().await)? == Code::NotEntitled, "not accepted");
    let wallet = company.path().to_str().context("no text")?.to_owned();
    let accepted = done(&cluster, 2, None, &["accept", &id, "--wallet", &wallet]).await?;
    let height = number(&accepted, "height")?;
    ensure!(kind_of(&desk, &issuer).await? == IdentityKind::Agency);
    // The side chain answers from main as of its checkpoint, which follows within a moment.
    until("a certificate of the new agency", PATIENCE, || async {
        issue().await.map(|_| ())
    })
    .await?;
    ensure!(height > 0);
    refusals(&cluster, &id, &accredit).await?;

    // Proven against genesis, with the votes.
    let genesis = cluster.folder().join("genesis.toml");
    let genesis = genesis.to_str().context("no text")?;
    let arguments = ["show", &id, "--verify", "--genesis", genesis];
    let proven = done(&cluster, 3, None, &arguments).await?;
    ensure!(proven["verified"] == true, "{proven}");
    ensure!(
        proven["votes"].as_array().map(Vec::len) == Some(3),
        "{proven}"
    );

    // A node that was away learns it from the others.
    cluster.node_mut(3)?.kill()?;
    let centre = account(&desk.register(AccountKind::Organisation).await?);
    let arguments = ["propose", "--after-blocks", "8", "appoint-registrar"];
    let centre_address = centre.address.to_string();
    let arguments = [&arguments[..], &[centre_address.as_str()]].concat();
    // The second office has as many open ones as it may by now.
    let proposed = done(&cluster, 2, Some(2), &arguments).await?;
    let second = text(&proposed, "proposal")?.to_owned();
    for office in 0..3 {
        done(
            &cluster,
            office,
            Some(office),
            &["vote", &second, "--approve"],
        )
        .await?;
    }
    let due = number(&proposed, "execution_height")?;
    cluster.node(0)?.wait_height(due, PATIENCE).await?;
    cluster.node_mut(3)?.start().await?;
    for node in &cluster.nodes {
        node.wait_height(due, PATIENCE).await?;
    }
    ensure!(kind_of(&desk, &centre).await? == IdentityKind::Registrar);

    // The first registrar goes; the last one stays.
    let old = cluster.office.registrar.address.to_string();
    decide(&cluster, &["dismiss-registrar", &old]).await?;
    let last = ["dismiss-registrar", &centre_address];
    let last = [&["propose", "--after-blocks", "5"], &last[..]].concat();
    ensure!(refused(&cluster, 0, &last).await? == "CODE_LAST_REGISTRAR");
    let here = cluster.node(0)?.client()?;
    let by_old = registration(&cluster, 77, &cluster.office.registrar);
    ensure!(here.submit(by_old).await.is_err(), "the old one reviews");
    let by_new = registration(&cluster, 77, &centre);
    let receipt = here.submit_and_wait(by_new).await?;
    ensure!(receipt.code == i32::from(Code::Ok));

    // What was given is taken back, at once.
    let withdraw = ["withdraw", &address, "--types", "health_certificate"];
    decide(&cluster, &withdraw).await?;
    until("the end of the accreditation", PATIENCE, || async {
        ensure!(code_of(issue().await)? == Code::NotAccredited);
        Ok(())
    })
    .await?;

    let listed = done(&cluster, 0, None, &["list"]).await?;
    let listed = listed["proposals"].as_array().context("no list")?;
    let with = |status: &str| {
        listed
            .iter()
            .filter(|entry| entry["status"] == status)
            .count()
    };
    ensure!(
        (listed.len(), with("executed"), with("rejected")) == (9, 4, 1),
        "{listed:?}"
    );
    let open = done(&cluster, 0, None, &["list", "--open"]).await?;
    ensure!(
        open["proposals"].as_array().map(Vec::len) == Some(4),
        "{open}"
    );
    let in_force = done(&cluster, 0, None, &["show"]).await?;
    ensure!(
        in_force["registrars"][0] == centre_address.as_str(),
        "{in_force}"
    );
    ensure!(number(&in_force, "needed")? == 3);
    cluster.finish().await?;
    Ok(())
}

/// What the offices are told when they do it wrong.
async fn refusals(cluster: &Cluster, id: &str, accredit: &[&str]) -> anyhow::Result<()> {
    let vote = ["vote", id, "--reject"];
    ensure!(refused(cluster, 3, &vote).await? == "CODE_VOTING_ENDED");
    let unknown = "ab".repeat(32);
    let vote = ["vote", &unknown, "--approve"];
    ensure!(refused(cluster, 3, &vote).await? == "CODE_UNKNOWN_PROPOSAL");
    let again = [&["propose", "--after-blocks", "5"], accredit].concat();
    ensure!(refused(cluster, 2, &again).await? == "CODE_NO_CHANGE");
    let past = [&["propose", "--at-height", "1"], &accredit[..2]].concat();
    let past = [&past[..], &["--types", "degree"]].concat();
    ensure!(refused(cluster, 2, &past).await? == "CODE_BAD_EXECUTION_HEIGHT");

    // One vote each, and so many open proposals each.
    let tag = [
        "propose",
        "--after-blocks",
        "900000",
        "tag-key-version",
        "2",
    ];
    let mut proposed = Value::Null;
    for _ in 0..4 {
        proposed = done(cluster, 1, Some(1), &tag).await?;
    }
    ensure!(refused(cluster, 1, &tag).await? == "CODE_TOO_MANY_PROPOSALS");
    let id = text(&proposed, "proposal")?;
    let vote = ["vote", id, "--reject"];
    done(cluster, 1, Some(1), &vote).await?;
    ensure!(refused(cluster, 1, &vote).await? == "CODE_ALREADY_VOTED");
    let rejected = done(cluster, 2, Some(2), &vote).await?;
    ensure!(text(&rejected, "status")? == "rejected", "{rejected}");
    // Its place is free again.
    done(cluster, 1, Some(1), &tag).await?;
    Ok(())
}
