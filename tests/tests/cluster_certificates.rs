//! The main job on four real nodes with six chains each: certificates are issued, received, shown,
//! checked, revoked and proven; bad input gets its code; crashes lose nothing; a flooded chain harms
//! no other.

#[path = "cluster_certificates/faults.rs"]
mod faults;
#[path = "cluster_certificates/refusals.rs"]
mod refusals;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use certchain_client::{
    certificate::{ReceivedCertificate, present_sealed},
    qr::{QrCode, read_presentation},
    wallet::{AccountKind, Wallet},
};
use certchain_ledger::evidence::StateEvidence;
use certchain_proto::{
    Address, Height,
    certificate::Ed25519Verifier,
    hash::{PresentationId, TransactionId},
    wire::v1::{CertificateStatus, CheckResponse, CheckResult, Code, InboxResponse, QueryTopic},
};
use certchain_sidechain::{
    certificate::{CheckRecord, keys},
    encryption::{FieldsScope, Sealed},
    fields::CertificateFields,
    pack::{MainTrust, Pack},
    package::{PresentationPackage, text::Carried},
    presentation::Audience,
};
use certchain_tests::cluster::{
    Cluster, ClusterOptions,
    certificates::{Desk, Issued, code_of, field, now},
    check,
    fixtures::{AGENCY_CODE, SCHOOL_CODE},
    wait::PATIENCE,
};
use futures::{Stream, StreamExt as _};
use serde_json::Value;

/// How long an anchor may take on a busy machine.
const ANCHOR_PATIENCE: Duration = PATIENCE;

/// What one certificate of the main job is.
struct Case<'a> {
    chain: &'static str,
    /// The school issues; else the agency.
    school: bool,
    holders: Vec<&'a Wallet>,
    values: Vec<(String, String)>,
    shown: &'static str,
    /// Shown to whoever bears it; else to the verifier by name, encrypted.
    bearer: bool,
}

impl Case<'_> {
    fn first(&self) -> anyhow::Result<&Wallet> {
        self.holders.first().copied().context("no holder")
    }
}

/// What came into an inbox opens, and is what the chain commits to.
async fn arrives<E>(
    desk: &Desk,
    wallet: &Wallet,
    issued: &Issued,
    inbox: &mut (impl Stream<Item = Result<InboxResponse, E>> + Unpin),
) -> anyhow::Result<()>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let entry = tokio::time::timeout(PATIENCE, inbox.next()).await;
    let entry = entry
        .context("nothing came into the inbox")?
        .context("the inbox ended")??;
    let record = entry.certificate.context("no certificate")?;
    ensure!(record.certificate == issued.id().as_bytes() && record.chain == issued.chain());
    ensure!(entry.receipt.as_ref() == issued.sent.receipt.as_ref());
    let known = desk.type_of(issued.chain())?;
    let sealed = Sealed::from_wire(&entry.fields.context("no fields")?, None)?;
    let scope = FieldsScope {
        chain: known.chain,
        certificate: issued.id(),
        version: 0,
    };
    let secret = wallet.keys().encryption_secret();
    let plaintext = scope.open(secret.as_bytes(), &sealed)?;
    let fields = CertificateFields::from_plaintext(&known.certificate_type, &plaintext)?;
    ensure!(fields == issued.prepared.fields);
    ensure!(fields.root().as_bytes()[..] == record.field_root);
    Ok(())
}

/// The holder finds it by block and transaction, and opens it.
async fn found(
    desk: &Desk,
    wallet: &Wallet,
    issued: &Issued,
    issuer: Address,
    code: &str,
) -> anyhow::Result<()> {
    let receipt = issued.receipt()?;
    let transaction = TransactionId::from_slice(&receipt.transaction_id).context("no id")?;
    let answer = desk
        .connection
        .query_certificate(
            issued.chain(),
            &wallet.address(),
            Height::new(receipt.height),
            &transaction,
            None,
        )
        .await?;
    ensure!(answer.organisation_code == code && issued.sent.organisation_code == code);
    ensure!(answer.issuer == issuer.as_bytes() && answer.line == 0);
    ensure!(answer.receipt.as_ref() == Some(receipt));
    let known = desk.type_of(issued.chain())?;
    let draft = answer.draft.context("no draft")?;
    let received = ReceivedCertificate::new(known.chain, issuer, draft, Some(issued.id()))?;
    let fields = received.open(&known.certificate_type, wallet, None)?;
    ensure!(fields == issued.prepared.fields);
    Ok(())
}

/// Lists of an account name the certificate.
async fn listed(
    desk: &Desk,
    wallet: &Wallet,
    chain: &str,
    topic: QueryTopic,
    id: &[u8],
) -> anyhow::Result<usize> {
    let query = desk.query(chain, wallet, topic)?;
    let list = desk
        .connection
        .list_certificates(chain, query, Vec::new(), 0)
        .await?;
    let found = list.entries.iter().filter(|entry| {
        let certificate = entry.certificate.as_ref();
        certificate.is_some_and(|certificate| certificate.certificate == id)
    });
    Ok(found.count())
}

/// Shows fields as a QR code in a PNG file, reads it back and verifies it as the verifier does.
async fn shown(
    desk: &Desk,
    case: &Case<'_>,
    issued: &Issued,
    verifier: &Wallet,
) -> anyhow::Result<PresentationPackage> {
    let holder = case.first()?;
    let names = [case.shown];
    let carried = if case.bearer {
        let package = desk.present(issued, holder, &names, Audience::Bearer)?;
        Carried::Clear(Box::new(package))
    } else {
        let audience = Audience::Verifier(verifier.address());
        let showing = desk.showing(issued, &names, audience)?;
        let key = desk
            .connection
            .public_key(&verifier.address(), None, false)
            .await?
            .encryption_key;
        let key: [u8; 32] = key.as_slice().try_into()?;
        present_sealed(holder, &issued.prepared.fields, &showing, &key)?
    };
    let folder = tempfile::tempdir()?;
    let picture = folder.path().join("shown.png");
    QrCode::of(&carried)?.write_file(&picture)?;
    let package = match read_presentation(&picture)? {
        Carried::Clear(package) => *package,
        Carried::Sealed(sealed) => sealed.open(verifier.keys().encryption_secret().as_bytes())?,
    };
    let fields = desk.read(case.chain, verifier, &package).await?;
    let value = issued
        .prepared
        .fields
        .value(case.shown)
        .context("no value")?;
    ensure!(fields == [field(case.shown, value)], "{fields:?}");
    Ok(package)
}

/// The result of a check as the side chain's state proves it.
async fn proven(
    cluster: &Cluster,
    chain: &str,
    id: &PresentationId,
    answer: &CheckResponse,
) -> anyhow::Result<CheckResult> {
    let light = check::light_client(cluster, chain).await?;
    let evidence = StateEvidence::try_from(answer.evidence.as_ref().context("no evidence")?)?;
    ensure!(evidence.key == keys::check(id));
    let validators = light.validator_sets().deciding(&evidence.block)?;
    let value = evidence.verify(light.chain(), validators, &Ed25519Verifier)?;
    let value = value.value.context("the check is not in the state")?;
    ensure!(value == answer.encoded_record);
    let record = CheckRecord::decode(&value)?;
    let receipt = answer.receipt.as_ref().context("no receipt")?;
    ensure!(record.height.get() == receipt.height && receipt.subject == id.as_bytes());
    ensure!(record.result.to_wire() == answer.result());
    Ok(answer.result())
}

/// The pack of a certificate verifies with genesis alone; with any byte changed it does not.
async fn packed(
    cluster: &Cluster,
    desk: &Desk,
    issued: &Issued,
    holder: &Wallet,
    expected: CheckResult,
    thorough: bool,
) -> anyhow::Result<()> {
    let answer = desk
        .connection
        .pack(issued.chain(), &issued.id(), &holder.address())
        .await?;
    let validators = cluster.genesis.validator_set().clone();
    let trust = MainTrust::validators(cluster.genesis.chain_id(), validators);
    let verified = Pack::decode(&answer.encoded_pack)?.verify(&trust)?;
    ensure!(verified.certificate == issued.id() && verified.side_chain == issued.chain());
    ensure!(verified.frozen.is_none());
    ensure!(verified.record.field_root == issued.prepared.fields.root());
    let result = verified.result(&holder.address(), now());
    let result = result.context("not the holder's")?.to_wire();
    ensure!(result == expected, "the pack says {result:?}");
    let step = if thorough { 61 } else { 997 };
    for place in (0..answer.encoded_pack.len()).step_by(step) {
        let mut changed = answer.encoded_pack.clone();
        let byte = changed.get_mut(place).context("no byte")?;
        *byte ^= 1 << (place % 8);
        let taken = Pack::decode(&changed).is_ok_and(|pack| pack.verify(&trust).is_ok());
        ensure!(!taken, "byte {place} of the pack can be changed unseen");
    }
    Ok(())
}

/// One certificate from its issue to the refusal after its revocation.
async fn whole_life(
    cluster: &Cluster,
    desks: [&Desk; 2],
    case: Case<'_>,
    verifier: &Wallet,
) -> anyhow::Result<()> {
    let ([here, there], chain) = (desks, case.chain);
    let (issuer, code) = match case.school {
        true => (&here.office.school, SCHOOL_CODE),
        false => (&here.office.agency, AGENCY_CODE),
    };
    let mut inboxes = Vec::new();
    for holder in &case.holders {
        let query = there.query(chain, holder, QueryTopic::Inbox)?;
        let inbox = there.connection.inbox(chain, query, None).await?;
        inboxes.push(Box::pin(inbox));
    }
    let issued = here
        .issue(chain, issuer, &case.holders, &case.values)
        .await?;
    let id = issued.id();
    ensure!(issued.receipt()?.subject == id.as_bytes());
    ensure!(issued.sent.certificates.iter().all(|line| line.serial == 1));
    for (holder, inbox) in case.holders.iter().zip(&mut inboxes) {
        arrives(there, holder, &issued, inbox).await?;
        found(there, holder, &issued, issuer.address, code).await?;
        let count = listed(there, holder, chain, QueryTopic::Held, id.as_bytes()).await?;
        ensure!(count == 1, "listed {count} times");
    }

    // Not in force before every holder has taken it.
    let early = shown(here, &case, &issued, verifier).await?;
    let answer = here.check(chain, verifier, early.signed()).await?;
    ensure!(proven(cluster, chain, &early.id(), &answer).await? == CheckResult::NotAccepted);
    let mut height = 0;
    for holder in &case.holders {
        height = here.accept(chain, id, holder).await?.height;
    }
    let record = here.connection.certificate(chain, &id, false).await?;
    let record = record.certificate.context("no record")?;
    ensure!(record.status() == CertificateStatus::Active && record.status_height == height);
    ensure!(record.organisation_code == code && record.serial == 1);

    // Shown and checked: valid, once.
    let package = shown(here, &case, &issued, verifier).await?;
    let answer = here.check(chain, verifier, package.signed()).await?;
    ensure!(proven(cluster, chain, &package.id(), &answer).await? == CheckResult::Valid);
    let again = here.check(chain, verifier, package.signed()).await;
    ensure!(code_of(again)? == Code::PresentationUsed);
    let checks = listed(here, verifier, chain, QueryTopic::Checks, id.as_bytes()).await?;
    let told = listed(
        here,
        case.first()?,
        chain,
        QueryTopic::Checked,
        id.as_bytes(),
    )
    .await?;
    ensure!(
        checks == 2 && told == 2,
        "{checks} checks made, {told} told"
    );

    // Anchored and proven off line.
    here.wait_anchor(chain, height, ANCHOR_PATIENCE).await?;
    packed(
        cluster,
        here,
        &issued,
        case.first()?,
        CheckResult::Valid,
        true,
    )
    .await?;

    // Revoked: a new presentation is refused by its result.
    let revoked = here.revoke(chain, id, issuer).await?;
    let package = shown(here, &case, &issued, verifier).await?;
    let answer = here.check(chain, verifier, package.signed()).await?;
    ensure!(proven(cluster, chain, &package.id(), &answer).await? == CheckResult::Revoked);
    here.wait_anchor(chain, revoked.height, ANCHOR_PATIENCE)
        .await?;
    packed(
        cluster,
        here,
        &issued,
        case.first()?,
        CheckResult::Revoked,
        false,
    )
    .await
}

/// Every audit has confirmed anchors, and holds all anchored blocks.
fn anchors_are_confirmed(reports: &[Value]) -> anyhow::Result<()> {
    for report in reports {
        let count = |name: &str| {
            let anchors = report.get("anchors")?;
            anchors.get(name)?.as_u64()
        };
        let (confirmed, missing) = (count("confirmed"), (count("ahead"), count("not_followed")));
        ensure!(confirmed.is_some_and(|count| count > 0), "{report}");
        ensure!(missing == (Some(0), Some(0)), "{report}");
    }
    Ok(())
}

#[tokio::test]
async fn one_certificate_of_each_type_lives_its_whole_life() -> anyhow::Result<()> {
    let cluster = Cluster::start(ClusterOptions::default()).await?;
    let here = Desk::open(&cluster, &[0]).await?;
    let there = here.at(&cluster, &[2]).await?;
    let anna = here.register(AccountKind::Citizen).await?;
    let ben = here.register(AccountKind::Citizen).await?;
    let company = here.register(AccountKind::Organisation).await?;
    let verifier = here.register(AccountKind::Verifier).await?;
    // The other node knows them too before they ask it.
    let height = cluster.node(0)?.status().await?.height;
    cluster.node(2)?.wait_height(height, PATIENCE).await?;
    let address = |wallet: &Wallet| wallet.address().to_string();
    let cases = [
        Case {
            chain: "marriage",
            school: false,
            holders: vec![&anna, &ben],
            values: vec![
                field("spouse_a", address(&anna)),
                field("spouse_b", address(&ben)),
                field("registered_on", "2026-05-20"),
                field("office", "Office of Civil Affairs"),
            ],
            shown: "registered_on",
            bearer: false,
        },
        Case {
            chain: "property",
            school: false,
            holders: vec![&ben],
            values: vec![
                field("parcel", "310101-001-0042"),
                field("location", "Harbour Road 7"),
                field("area_cm2", "1204500"),
                field("use", "dwelling"),
            ],
            shown: "parcel",
            bearer: true,
        },
        Case {
            chain: "degree",
            school: true,
            holders: vec![&anna],
            values: vec![
                field("school", "University"),
                field("subject", "Physics"),
                field("level", "Master"),
                field("awarded_on", "2026-06-30"),
            ],
            shown: "subject",
            bearer: false,
        },
        Case {
            chain: "business",
            school: false,
            holders: vec![&company],
            values: vec![
                field("company", "Harbour Trading"),
                field("legal_representative", address(&ben)),
                field("capital", "500000"),
                field("scope", "wholesale of tea"),
            ],
            shown: "company",
            bearer: true,
        },
        Case {
            chain: "health",
            school: false,
            holders: vec![&anna],
            values: vec![
                field("occupation", "cook"),
                field("examined_on", "2026-09-01"),
                field("clinic", "Clinic 1"),
            ],
            shown: "occupation",
            bearer: true,
        },
    ];
    let lives = cases.into_iter().map(|case| async {
        let chain = case.chain;
        let life = whole_life(&cluster, [&here, &there], case, &verifier).await;
        life.context(chain)
    });
    futures::future::try_join_all(lives).await?;
    let ending = cluster.finish_audited().await?;
    anchors_are_confirmed(&ending.reports)
}
