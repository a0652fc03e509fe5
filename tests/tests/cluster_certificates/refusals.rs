//! What bad input gets: a stable code and a sentence, and the chain goes on.

use anyhow::{Context as _, bail, ensure};
use certchain_client::{
    certificate::{PrepareError, Recipient, prepare, present},
    connection::ConnectionError,
    transaction::{issue_certificate, revoke_certificate},
    wallet::{AccountKind, Wallet},
};
use certchain_proto::{
    Height, TimeMs,
    hash::TransactionId,
    wire::v1::{
        CheckResult, Code, IssueBatch, QueryAuthorisation, QueryTopic, transaction_body::Kind,
    },
};
use certchain_sidechain::{
    fields::FieldError,
    package::{PresentationPackage, VerifyError},
    presentation::{Audience, SignedPresentation},
};
use certchain_tests::cluster::{
    Account, Cluster, ClusterOptions,
    certificates::{Desk, Issued, REASON, code_of, field, now},
    issuing::values,
    wait::PATIENCE,
};
use tonic::Code as GrpcCode;

/// The gRPC status of a question that is refused for another reason than a transaction's.
fn status_of<T>(result: Result<T, ConnectionError>) -> anyhow::Result<GrpcCode> {
    match result.err().context("it was answered")? {
        ConnectionError::Status {
            status, message, ..
        } => {
            ensure!(message.len() > 15, "{status:?}: no sentence: '{message}'");
            Ok(status)
        }
        ConnectionError::NotFound { .. } => Ok(GrpcCode::NotFound),
        error => Err(anyhow::Error::from(error).context("another failure")),
    }
}

fn title(parcel: &str) -> Vec<(String, String)> {
    vec![
        field("parcel", parcel),
        field("location", "Harbour Road 7"),
        field("area_cm2", "1204500"),
        field("use", "dwelling"),
    ]
}

fn marriage(one: &Wallet, other: &Wallet) -> Vec<(String, String)> {
    vec![
        field("spouse_a", one.address().to_string()),
        field("spouse_b", other.address().to_string()),
        field("registered_on", "2026-05-20"),
        field("office", "Office of Civil Affairs"),
    ]
}

/// A certificate in a holder's hands.
async fn in_force(
    desk: &Desk,
    chain: &str,
    holder: &Wallet,
    values: &[(String, String)],
) -> anyhow::Result<Issued> {
    let issuer = &desk.office.agency;
    let issued = desk.issue(chain, issuer, &[holder], values).await?;
    desk.accept(chain, issued.id(), holder).await?;
    Ok(issued)
}

/// The code with which an issue is refused.
async fn issue_code(
    desk: &Desk,
    chain: &str,
    issuer: &Account,
    holders: &[&Wallet],
    values: &[(String, String)],
) -> anyhow::Result<Code> {
    code_of(desk.issue(chain, issuer, holders, values).await)
}

/// Issuers and holders who may not.
async fn wrong_parties(desk: &Desk, anna: &Wallet, company: &Wallet) -> anyhow::Result<()> {
    let office = &desk.office;
    let (agency, school) = (&office.agency, &office.school);
    let health = values("health", 1)?;
    let degree = values("degree", 1)?;
    let code = issue_code(desk, "health", school, &[anna], &health).await?;
    ensure!(code == Code::NotAccredited, "school, health: {code:?}");
    let stranger = desk.stranger(AccountKind::Citizen)?;
    let code = issue_code(desk, "degree", agency, &[&stranger], &degree).await?;
    ensure!(code == Code::UnknownAccount, "stranger: {code:?}");
    let code = issue_code(desk, "degree", agency, &[company], &degree).await?;
    ensure!(code == Code::NotEntitled, "company's degree: {code:?}");

    // A citizen issues nothing, and nobody issues in the agency's name.
    let prepared = desk.prepare("degree", anna.address(), &[anna], &degree)?;
    let kind = issue_certificate(anna.address(), prepared.draft.clone(), false);
    let signed = desk.sign("degree", kind, &[(anna.address(), anna.signing_key())])?;
    let code = code_of(desk.send("degree", signed).await)?;
    ensure!(code == Code::NotEntitled, "citizen issues: {code:?}");
    let prepared = desk.prepare("degree", agency.address, &[anna], &degree)?;
    let kind = issue_certificate(agency.address, prepared.draft, false);
    let signed = desk.sign("degree", kind, &[(agency.address, &school.key)])?;
    let code = code_of(desk.send("degree", signed).await)?;
    ensure!(code == Code::WrongKey, "the agency's name: {code:?}");

    // Encrypted to a key that is not the holder's.
    let other = Recipient {
        address: anna.address(),
        encryption_key: *company.account().encryption_key(),
    };
    let prepared = desk.prepare_for("degree", agency.address, &[other], &degree)?;
    let signed = desk.issuance(agency, &prepared, &[])?;
    let code = code_of(desk.send("degree", signed).await)?;
    ensure!(code == Code::WrongRecipient, "another's key: {code:?}");

    // On the wrong chain.
    let prepared = desk.prepare("degree", agency.address, &[anna], &degree)?;
    let signed = desk.issuance(agency, &prepared, &[])?;
    let code = code_of(desk.send("health", signed).await)?;
    ensure!(
        code == Code::WrongChain,
        "a degree sent to health: {code:?}"
    );
    let mut draft = prepared.draft;
    draft.r#type = "health_certificate".to_owned();
    let kind = issue_certificate(agency.address, draft, false);
    let signed = desk.sign("degree", kind, &[(agency.address, &agency.key)])?;
    let code = code_of(desk.send("degree", signed).await)?;
    ensure!(code == Code::UnknownType, "health on degree: {code:?}");
    Ok(())
}

/// Accounts that are suspended.
async fn suspended(desk: &Desk) -> anyhow::Result<()> {
    let office = &desk.office;
    let carl = desk.register(AccountKind::Citizen).await?;
    let issued = in_force(desk, "health", &carl, &values("health", 2)?).await?;
    let receipt = desk
        .connection
        .submit_and_wait("main", office.suspend(&carl.address()))
        .await?;
    ensure!(receipt.code == i32::from(Code::Ok));
    let agency = &office.agency;
    let code = issue_code(desk, "degree", agency, &[&carl], &values("degree", 2)?).await?;
    ensure!(code == Code::Suspended, "suspended holder: {code:?}");
    let verifier = desk.register(AccountKind::Verifier).await?;
    let package = desk.present(&issued, &carl, &[], Audience::Bearer)?;
    let answer = desk.check("health", &verifier, package.signed()).await?;
    ensure!(answer.result() == CheckResult::HolderNotActive);
    Ok(())
}

/// Values that break the schema do not leave the issuer's desk.
fn wrong_values(desk: &Desk, anna: &Wallet) -> anyhow::Result<()> {
    let good = values("degree", 3)?;
    let issuer = desk.office.agency.address;
    let known = desk.type_of("degree")?;
    let mut missing = good.clone();
    missing.pop();
    let mut unknown = good.clone();
    unknown.push(field("grade", "A"));
    let mut long = good.clone();
    let mut day = good;
    if let (Some(subject), Some(awarded)) = (long.get_mut(1), day.get_mut(3)) {
        subject.1 = "x".repeat(129);
        awarded.1 = "2026-02-30".to_owned();
    }
    type Expected = fn(&FieldError) -> bool;
    let cases: [(Vec<(String, String)>, Expected); 4] = [
        (missing, |e| matches!(e, FieldError::Missing { .. })),
        (unknown, |e| matches!(e, FieldError::Unknown { .. })),
        (long, |e| matches!(e, FieldError::TooLong { .. })),
        (day, |e| matches!(e, FieldError::WrongKind { .. })),
    ];
    for (values, expected) in cases {
        let holders = [Recipient::from(anna.account())];
        let refused = prepare(&certchain_client::certificate::Order {
            chain: known.chain,
            issuer,
            certificate_type: &known.certificate_type,
            values: &values,
            holders: &holders,
            valid_from: None,
            valid_until: None,
        });
        match refused {
            Err(PrepareError::Field(error)) if expected(&error) => {}
            other => bail!("{values:?}: {other:?}"),
        }
    }
    Ok(())
}

/// One of two that exclude each other is issued, and no third.
async fn claims(desks: [&Desk; 2], anna: &Wallet, ben: &Wallet) -> anyhow::Result<()> {
    let [here, there] = desks;
    let agency = &here.office.agency;
    // Two titles for a parcel at once, through two nodes.
    let parcel = title("310101-001-0099");
    let (first, second) = futures::future::join(
        here.issue("property", agency, &[anna], &parcel),
        there.issue("property", agency, &[ben], &parcel),
    )
    .await;
    let (issued, refused) = match (first, second) {
        (Ok(issued), refused) => (issued, refused),
        (refused, Ok(issued)) => (issued, refused),
        (Err(one), Err(other)) => bail!("neither title was issued: {one:#}; {other:#}"),
    };
    let code = code_of(refused)?;
    ensure!(code == Code::ClaimTaken, "second title: {code:?}");
    let code = issue_code(here, "property", agency, &[ben], &parcel).await?;
    ensure!(code == Code::ClaimTaken, "third title: {code:?}");
    // Revoked, the parcel is free again.
    here.revoke("property", issued.id(), agency).await?;
    here.issue("property", agency, &[ben], &parcel).await?;

    // Anna marries Ben and, at once, Carl.
    let carl = here.register(AccountKind::Citizen).await?;
    there_knows(there, &carl).await?;
    let (with_ben, with_carl) = (marriage(anna, ben), marriage(anna, &carl));
    let (ben_and_anna, carl_and_anna) = ([anna, ben], [anna, &carl]);
    let (first, second) = futures::future::join(
        here.issue("marriage", agency, &ben_and_anna, &with_ben),
        there.issue("marriage", agency, &carl_and_anna, &with_carl),
    )
    .await;
    let refused = match (first, second) {
        (Ok(_), refused) | (refused, Ok(_)) => refused,
        (Err(one), Err(other)) => bail!("neither marriage was issued: {one:#}; {other:#}"),
    };
    let code = code_of(refused)?;
    ensure!(
        code == Code::ClaimTaken,
        "second marriage at once: {code:?}"
    );
    let dora = here.register(AccountKind::Citizen).await?;
    let values = marriage(anna, &dora);
    let code = issue_code(here, "marriage", agency, &[anna, &dora], &values).await?;
    ensure!(code == Code::ClaimTaken, "marrying while married: {code:?}");

    // Without the consent of one, there is no marriage.
    let eve = here.register(AccountKind::Citizen).await?;
    let values = marriage(&dora, &eve);
    let prepared = here.prepare("marriage", agency.address, &[&dora, &eve], &values)?;
    let kind = issue_certificate(agency.address, prepared.draft, false);
    let signed = here.sign("marriage", kind, &[(agency.address, &agency.key)])?;
    let code = code_of(here.send("marriage", signed).await)?;
    ensure!(code == Code::BadField, "without consent: {code:?}");
    Ok(())
}

/// Waits until a node's main knows somebody.
async fn there_knows(desk: &Desk, wallet: &Wallet) -> anyhow::Result<()> {
    certchain_tests::cluster::wait::until("the account is known", PATIENCE, || async {
        desk.connection
            .public_key(&wallet.address(), None, false)
            .await?;
        Ok(())
    })
    .await
}

/// A bad line of a batch is refused, the others stand; the batch is taken once.
async fn batches(desk: &Desk, anna: &Wallet) -> anyhow::Result<()> {
    let school = &desk.office.school;
    let stranger = desk.stranger(AccountKind::Citizen)?;
    let mut prepared = Vec::new();
    for (number, holder) in (0u64..).zip([anna, &stranger, anna]) {
        let values = values("degree", 10 + number)?;
        prepared.push(desk.prepare("degree", school.address, &[holder], &values)?);
    }
    let batch = desk.batch(school, &prepared)?;
    let sent = desk.send("degree", batch.clone()).await?;
    let lines: Vec<(Code, u64)> = sent
        .certificates
        .iter()
        .map(|line| (line.code(), line.serial))
        .collect();
    let expected = [(Code::Ok, 1), (Code::UnknownAccount, 0), (Code::Ok, 2)];
    ensure!(lines == expected, "{lines:?}");
    for (line, one) in sent.certificates.iter().zip(&prepared) {
        ensure!(line.certificate == one.id.as_bytes());
        let found = desk.connection.certificate("degree", &one.id, false).await;
        ensure!(found.is_ok() == (line.code() == Code::Ok));
    }
    // The second line is found by its place, the refused one is not there.
    let receipt = sent.receipt.as_ref().context("no receipt")?;
    let id = TransactionId::from_slice(&receipt.transaction_id).context("no id")?;
    let height = Height::new(receipt.height);
    let find = |line| {
        let holder = anna.address();
        let (connection, id) = (desk.connection.clone(), id);
        async move {
            let found = connection.query_certificate("degree", &holder, height, &id, line);
            found.await
        }
    };
    let third = find(Some(2)).await?;
    let last = prepared.last().context("no line")?;
    ensure!(third.line == 2 && third.certificate == last.id.as_bytes());
    ensure!(find(Some(1)).await.is_err(), "a refused line was found");
    ensure!(
        find(Some(7)).await.is_err(),
        "a line beyond the batch was found"
    );

    let code = code_of(desk.send("degree", batch).await)?;
    ensure!(code == Code::Replayed, "the batch again: {code:?}");
    let code = code_of(desk.send("degree", desk.batch(school, &prepared)?).await)?;
    let taken = [Code::CertificateTaken, Code::UnknownAccount];
    ensure!(taken.contains(&code), "the drafts again: {code:?}");
    let kind = Kind::IssueBatch(IssueBatch {
        issuer: school.address.as_bytes().to_vec(),
        certificates: Vec::new(),
    });
    let signed = desk.sign("degree", kind, &[(school.address, &school.key)])?;
    let code = code_of(desk.send("degree", signed).await)?;
    ensure!(code == Code::BadField, "an empty batch: {code:?}");
    Ok(())
}

/// The life of a certificate, out of turn.
async fn life(desk: &Desk, anna: &Wallet, ben: &Wallet) -> anyhow::Result<()> {
    let (agency, school) = (&desk.office.agency, &desk.office.school);
    let degree = values("degree", 20)?;
    let issued = desk.issue("degree", school, &[anna], &degree).await?;
    let id = issued.id();
    let code = code_of(desk.accept("degree", id, ben).await)?;
    ensure!(code == Code::NotHolder, "another accepts: {code:?}");
    desk.accept("degree", id, anna).await?;
    let code = code_of(desk.accept("degree", id, anna).await)?;
    ensure!(code == Code::WrongStatus, "accepted twice: {code:?}");
    let code = code_of(desk.decline("degree", id, anna).await)?;
    ensure!(code == Code::WrongStatus, "declined after: {code:?}");
    // A degree is taken back by its school alone; another agency may end a health certificate.
    let code = code_of(desk.revoke("degree", id, agency).await)?;
    ensure!(
        code == Code::NotEntitled,
        "another agency revokes: {code:?}"
    );
    let kind = revoke_certificate(id, anna.address(), REASON);
    let signed = desk.sign("degree", kind, &[(anna.address(), anna.signing_key())])?;
    let code = code_of(desk.decide("degree", signed).await)?;
    ensure!(code == Code::NotEntitled, "the holder revokes: {code:?}");
    desk.revoke("degree", id, school).await?;
    let code = code_of(desk.revoke("degree", id, school).await)?;
    ensure!(code == Code::WrongStatus, "revoked twice: {code:?}");
    let health = in_force(desk, "health", anna, &values("health", 21)?).await?;
    let code = code_of(desk.revoke("health", health.id(), school).await)?;
    ensure!(code == Code::NotAccredited, "the school, health: {code:?}");
    let code = code_of(desk.accept("degree", health.id(), anna).await)?;
    ensure!(
        code == Code::UnknownCertificate,
        "on another chain: {code:?}"
    );
    Ok(())
}

/// The package with another nonce under the same signature.
fn forged(package: &PresentationPackage) -> anyhow::Result<SignedPresentation> {
    let mut presentation = package.presentation().clone();
    if let Some(byte) = presentation.nonce.first_mut() {
        *byte ^= 1;
    }
    let signature = *package.signed().signature();
    Ok(SignedPresentation::new(&presentation.encode(), signature)?)
}

/// Presentations that prove nothing.
async fn presentations(desk: &Desk, anna: &Wallet, ben: &Wallet) -> anyhow::Result<()> {
    let verifier = desk.register(AccountKind::Verifier).await?;
    let other = desk.register(AccountKind::Verifier).await?;
    let chain = "health";
    let health = values(chain, 30)?;
    let issued = in_force(desk, chain, anna, &health).await?;
    let named = Audience::Verifier(verifier.address());
    let names = ["occupation"];
    let package = desk.present(&issued, anna, &names, named)?;

    // For another verifier; with a changed byte; with a changed field.
    let code = code_of(desk.check(chain, &other, package.signed()).await)?;
    ensure!(code == Code::WrongVerifier, "{code:?}");
    let code = code_of(desk.check(chain, &verifier, &forged(&package)?).await)?;
    ensure!(code == Code::BadSignature, "{code:?}");
    let mut bytes = package.encode().to_vec();
    let value = issued.prepared.fields.value("occupation");
    let value = value.context("no value")?.as_bytes();
    let place = bytes.windows(value.len()).position(|part| part == value);
    let place = place.context("the value is not in the package")?;
    *bytes.get_mut(place).context("no byte")? ^= 1;
    let changed = PresentationPackage::decode(&bytes)?;
    let error = desk.read(chain, &verifier, &changed).await;
    let error = error.err().context("a changed field was read")?;
    let error = error.downcast::<VerifyError>()?;
    ensure!(matches!(error, VerifyError::ChangedField { .. }), "{error}");

    // Of another's certificate.
    let package = desk.present(&issued, ben, &names, named)?;
    let code = code_of(desk.check(chain, &verifier, package.signed()).await)?;
    ensure!(code == Code::NotHolder, "another's: {code:?}");

    // Too old, too long.
    let mut showing = desk.showing(&issued, &names, named)?;
    for (expires, audience) in [
        (now().get() - 60_000, named),
        (now().get() + 24 * 3_600_000, named),
        (now().get() + 120_000, Audience::Bearer),
    ] {
        showing.expires = TimeMs::new(expires);
        showing.audience = audience;
        let package = present(anna, &issued.prepared.fields, &showing)?;
        let code = code_of(desk.check(chain, &verifier, package.signed()).await)?;
        ensure!(code == Code::PresentationExpired, "{code:?}");
    }

    // For another chain, of no certificate.
    let package = desk.present(&issued, anna, &names, named)?;
    let code = code_of(desk.check("degree", &verifier, package.signed()).await)?;
    ensure!(code == Code::WrongChain, "another chain: {code:?}");
    let unsent = desk.prepare(chain, desk.office.agency.address, &[anna], &health)?;
    let mut showing = desk.showing(&issued, &names, named)?;
    showing.certificate = unsent.id;
    let package = present(anna, &unsent.fields, &showing)?;
    let code = code_of(desk.check(chain, &verifier, package.signed()).await)?;
    ensure!(code == Code::UnknownCertificate, "unsent: {code:?}");

    // Two at once, of one presentation: one is recorded.
    let package = desk.present(&issued, anna, &names, Audience::Bearer)?;
    let (first, second) = futures::future::join(
        desk.check(chain, &verifier, package.signed()),
        desk.check(chain, &other, package.signed()),
    )
    .await;
    let refused = match (first, second) {
        (Ok(_), refused) | (refused, Ok(_)) => refused,
        (Err(one), Err(other)) => bail!("neither check was recorded: {one:#}; {other:#}"),
    };
    let code = code_of(refused)?;
    ensure!(code == Code::PresentationUsed, "at once: {code:?}");

    // Not taken, declined: told as results.
    let issued = desk
        .issue(chain, &desk.office.agency, &[anna], &health)
        .await?;
    let package = desk.present(&issued, anna, &names, named)?;
    let answer = desk.check(chain, &verifier, package.signed()).await?;
    ensure!(answer.result() == CheckResult::NotAccepted);
    desk.decline(chain, issued.id(), anna).await?;
    let package = desk.present(&issued, anna, &names, named)?;
    let answer = desk.check(chain, &verifier, package.signed()).await?;
    ensure!(answer.result() == CheckResult::Declined);
    let code = code_of(desk.accept(chain, issued.id(), anna).await)?;
    ensure!(code == Code::WrongStatus, "accepted after: {code:?}");
    Ok(())
}

/// Questions about chains that are not there, and lists for others.
async fn questions(desk: &Desk, anna: &Wallet, ben: &Wallet) -> anyhow::Result<()> {
    let connection = &desk.connection;
    let issued = in_force(desk, "health", anna, &values("health", 40)?).await?;
    let id = issued.id();
    for (chain, expected) in [
        ("divorce", GrpcCode::NotFound),
        ("main", GrpcCode::InvalidArgument),
        ("", GrpcCode::InvalidArgument),
    ] {
        let status = status_of(connection.certificate(chain, &id, false).await)?;
        ensure!(status == expected, "'{chain}': {status:?}");
        let status = status_of(connection.anchor(chain, false).await)?;
        ensure!(status == expected, "'{chain}': {status:?}");
    }
    let unknown = connection.certificate("degree", &id, false).await;
    let code = code_of(unknown.map_err(anyhow::Error::from))?;
    ensure!(code == Code::UnknownCertificate);
    let pack = connection.pack("health", &id, &ben.address()).await;
    let code = code_of(pack.map_err(anyhow::Error::from))?;
    ensure!(code == Code::NotHolder, "another's pack: {code:?}");

    let list = |query: QueryAuthorisation| async {
        let list = connection.list_certificates("health", query, Vec::new(), 0);
        list.await
    };
    let good = desk.query("health", anna, QueryTopic::Held)?;
    ensure!(!list(good.clone()).await?.entries.is_empty());
    ensure!(
        status_of(list(good.clone()).await)? == GrpcCode::AlreadyExists,
        "a query was used twice"
    );
    let fresh = || desk.query("health", anna, QueryTopic::Held);
    let mut unsigned = fresh()?;
    unsigned.signature = vec![0; 64];
    let mut of_other = desk.query("health", ben, QueryTopic::Held)?;
    of_other.address = anna.address().as_bytes().to_vec();
    let mut old = fresh()?;
    old.time_ms -= 61_000;
    let stranger = desk.stranger(AccountKind::Citizen)?;
    let of_stranger = desk.query("health", &stranger, QueryTopic::Held)?;
    let elsewhere = desk.query("degree", anna, QueryTopic::Held)?;
    for (what, query) in [
        ("unsigned", unsigned),
        ("another's", of_other),
        ("old", old),
        ("a stranger's", of_stranger),
        ("for another chain", elsewhere),
    ] {
        let status = status_of(list(query).await)?;
        ensure!(status == GrpcCode::Unauthenticated, "{what}: {status:?}");
    }
    let mut short = fresh()?;
    short.nonce.pop();
    let wrong_topic = desk.query("health", anna, QueryTopic::Inbox)?;
    for query in [short, wrong_topic, QueryAuthorisation::default()] {
        let status = status_of(list(query).await)?;
        ensure!(status == GrpcCode::InvalidArgument, "{status:?}");
    }
    let opened = connection
        .inbox(
            "health",
            desk.query("degree", anna, QueryTopic::Inbox)?,
            None,
        )
        .await;
    let status = status_of(opened.map(|_| ()))?;
    ensure!(status == GrpcCode::Unauthenticated, "inbox: {status:?}");
    Ok(())
}

#[tokio::test]
async fn bad_input_gets_its_code() -> anyhow::Result<()> {
    let cluster = Cluster::start(ClusterOptions::default()).await?;
    let here = Desk::open(&cluster, &[0]).await?;
    let there = here.at(&cluster, &[2]).await?;
    let anna = here.register(AccountKind::Citizen).await?;
    let ben = here.register(AccountKind::Citizen).await?;
    let company = here.register(AccountKind::Organisation).await?;
    there_knows(&there, &ben).await?;
    wrong_values(&here, &anna)?;
    wrong_parties(&here, &anna, &company)
        .await
        .context("parties")?;
    suspended(&here).await.context("suspended")?;
    claims([&here, &there], &anna, &ben)
        .await
        .context("claims")?;
    batches(&here, &anna).await.context("batches")?;
    life(&here, &anna, &ben).await.context("life")?;
    presentations(&here, &anna, &ben)
        .await
        .context("presentations")?;
    questions(&here, &anna, &ben).await.context("questions")?;
    cluster.finish().await?;
    Ok(())
}
