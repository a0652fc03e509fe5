//! The commands for certificates as scripts see them: what needs no node. What needs one is tested
//! on real nodes by the workspace's `tests`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod place;
mod world;

use std::fs;

use certchain_client::{
    certificate::{Order, Recipient, issue_kind, prepare, present, present_sealed},
    qr::QrCode,
    transaction::{Draft, Terms, accept_certificate},
};
use certchain_config::{Field, FieldKind, Name, SideChain, Title};
use certchain_proto::{Address, ChainId, TimeMs, hash::CertificateId};
use certchain_sidechain::{
    certificate::CertificateStatus, package::text::Carried, presentation::Audience,
};

use place::{Place, nobody};
use world::{World, degree};

const ID: &str = "0606060606060606060606060606060606060606060606060606060606060606";

#[test]
fn mistakes_in_the_command_line_are_exit_code_2() {
    let place = Place::new();
    let address = Address::from_bytes([1; 32]).to_string();
    for line in [
        "certificate",
        "certificate types --chain main",
        "certificate issue --wallet w --type degree",
        "certificate issue --wallet w --type degree --holder nobody",
        "certificate issue --wallet w --type degree --holder A --field subject",
        "certificate issue --wallet w --type degree --holder A --valid-days 0",
        "certificate issue --wallet w --type degree --holder A --valid-for 9",
        "certificate issue --wallet w --type d --holder-wallet v --draft-out f",
        "certificate batch --wallet w --type degree",
        "certificate show 0606",
        "certificate show ID --verify",
        "certificate query --height 1 --transaction ID",
        "certificate query --holder A --height x --transaction ID",
        "certificate list --wallet w --issued --checks",
        "certificate accept ID",
        "certificate revoke ID --wallet w --reason 0",
        "certificate revoke ID --wallet w --reason 65536",
        "certificate present ID --wallet w --bearer --text",
        "certificate present ID --wallet w --show-all --text",
        "certificate present ID --wallet w --show-all --bearer",
        "certificate present ID --wallet w --show-all --show subject --bearer --text",
        "certificate present ID --wallet w --show-all --bearer --verifier A --text",
        "certificate present ID --wallet w --show-all --bearer --plain --text",
        "certificate present ID --wallet w --show-all --bearer --text --challenge 0g",
        "certificate pack ID --out f",
        "check --wallet w",
        "check --qr a.png",
        "check --qr a.png --text b --wallet w",
        "check --offline pack",
        "check --qr a.png --wallet w --trusted-header h",
        "inbox",
        "inbox --wallet w --count 0",
        "chain anchor main",
        "chain header --out h",
    ] {
        let line = line.replace("ID", ID);
        let arguments: Vec<&str> = line
            .split(' ')
            .map(|word| if word == "A" { address.as_str() } else { word })
            .collect();
        let (stdout, stderr) = place.expect(2, &arguments);
        assert!(stdout.is_empty() && !stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn nobody_at_home_is_exit_code_4() {
    let place = Place::new();
    let holder = place.wallet("w", "citizen", "");
    let world = World::new(&holder, CertificateStatus::Active);
    world.write(&place);
    fs::write(place.path("table.csv"), "holder,subject\n").unwrap();
    let carried = present(&holder, &world.fields, &world.showing(Audience::Bearer)).unwrap();
    let text = Carried::Clear(Box::new(carried)).to_text();
    fs::write(place.path("text"), text.as_bytes()).unwrap();
    let (node, address) = (nobody(), holder.address().to_string());
    for line in [
        "certificate types",
        "certificate issue --wallet w --type degree --holder A --field subject=x",
        "certificate batch --wallet w --type degree --csv table.csv",
        "certificate show ID",
        "certificate show ID --chain degree --verify --genesis genesis.toml",
        "certificate query --holder A --height 1 --transaction ID",
        "certificate list --wallet w --checks",
        "certificate accept ID --wallet w",
        "certificate decline ID --wallet w --chain degree",
        "certificate revoke ID --wallet w --reason 3",
        "certificate open ID --wallet w",
        "certificate present ID --wallet w --show-all --bearer --terminal",
        "certificate pack ID --wallet w --out new",
        "inbox --wallet w",
        "inbox --wallet w --follow --chain degree",
        "check --text text --wallet w",
        "chain anchor degree",
        "chain header --genesis genesis.toml --out new",
    ] {
        let line = line.replace("ID", ID);
        let mut arguments: Vec<&str> = line
            .split(' ')
            .map(|word| if word == "A" { address.as_str() } else { word })
            .collect();
        arguments.extend_from_slice(&["--node", &node]);
        place.expect(4, &arguments);
    }
    assert!(!place.path("new").exists());
}

#[test]
fn files_that_are_missing_or_none_are_exit_code_8() {
    let place = Place::new();
    place.wallet("w", "citizen", "");
    let node = nobody();
    fs::write(place.path("text"), "https://example.org").unwrap();
    fs::write(place.path("broken.png"), b"\x89PNG\r\n\x1a\n....").unwrap();
    fs::write(place.path("table.csv"), "subject\nPhysics\n").unwrap();
    fs::write(place.path("fields.json"), "[\"Physics\"]").unwrap();
    let address = Address::from_bytes([1; 32]).to_string();
    for line in [
        "check --qr missing.png --wallet w",
        "check --qr broken.png --wallet w",
        "check --qr table.csv --wallet w",
        "check --text text --wallet w",
        "check --text missing --wallet w",
        "certificate batch --wallet w --type degree --csv table.csv",
        "certificate batch --wallet w --type degree --csv missing.csv",
        "certificate issue --wallet w --type d --holder A --fields-file fields.json",
        "certificate sign --wallet w --in missing --out o",
        "certificate submit --in missing",
        "certificate present 0606060606060606060606060606060606060606060606060606060606060606 \
         --wallet w --show-all --bearer --png broken.png",
    ] {
        let mut arguments: Vec<&str> = line
            .split_whitespace()
            .map(|word| if word == "A" { address.as_str() } else { word })
            .collect();
        arguments.extend_from_slice(&["--node", &node]);
        let (_, stderr) = place.expect(8, &arguments);
        assert!(!stderr.contains("Physics"), "{stderr}");
    }
}

#[test]
fn a_pack_is_checked_without_any_node() {
    let place = Place::new();
    let holder = place.wallet("holder", "citizen", "");
    World::new(&holder, CertificateStatus::Active).write(&place);
    let check = |exit, extra: &[&str]| {
        let arguments = ["check", "--offline", "pack"];
        place.expect(exit, &[&arguments[..], extra].concat()).1
    };
    let trusting = ["check", "--offline", "pack", "--genesis", "genesis.toml"];
    let answer = place.json(0, &trusting);
    assert_eq!(answer["result"], "valid");
    assert_eq!(answer["valid"], true);
    assert_eq!(answer["holder"], holder.address().to_string());
    assert_eq!(answer["organisation_code"], "UNI");
    assert_eq!(answer["as_of_height"], 1);
    assert!(answer["age_seconds"].as_u64().unwrap() >= 60);
    assert!(answer["verified_in_milliseconds"].as_f64().unwrap() > 0.0);
    let with_header = [&trusting[..], &["--trusted-header", "header"]].concat();
    assert_eq!(place.json(0, &with_header)["valid"], true);
    check(5, &["--genesis", "other.toml"]);
    check(8, &["--genesis", "missing.toml"]);
    let genesis = ["--genesis", "genesis.toml"];
    let stranger = Address::from_bytes([3; 32]).to_string();
    check(5, &[&genesis[..], &["--holder", &stranger]].concat());
    check(8, &[&genesis[..], &["--trusted-header", "pack"]].concat());

    // Bytes here and there: each is covered by what is verified.
    let good = fs::read(place.path("pack")).unwrap();
    for index in (0..good.len()).step_by(good.len() / 12) {
        let mut bent = good.clone();
        bent[index] ^= 1;
        fs::write(place.path("pack"), &bent).unwrap();
        let output = place.run(&trusting);
        let code = output.status.code().unwrap();
        assert!(code == 5 || code == 8, "byte {index}: exit {code}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn what_is_not_in_force_is_exit_code_10() {
    for (status, word) in [
        (CertificateStatus::Revoked, "revoked"),
        (CertificateStatus::Issued, "not_accepted"),
        (CertificateStatus::Declined, "declined"),
    ] {
        let place = Place::new();
        let holder = place.wallet("holder", "citizen", "");
        World::new(&holder, status).write(&place);
        let arguments = ["check", "--offline", "pack", "--genesis", "genesis.toml"];
        let answer = place.json(10, &arguments);
        assert_eq!(answer["result"], word);
        assert_eq!(answer["valid"], false);
    }
}

#[test]
fn a_qr_code_goes_from_file_to_file() {
    let place = Place::new();
    let holder = place.wallet("holder", "citizen", "");
    let verifier = place.wallet("verifier", "verifier", "CHECK");
    let other = place.wallet("other", "citizen", "");
    let world = World::new(&holder, CertificateStatus::Active);
    world.write(&place);
    let offline = ["check", "--offline", "pack", "--genesis", "genesis.toml"];
    let with = |extra: &[&'static str]| [&offline[..], extra].concat();

    // For whoever bears it: no wallet is needed.
    let bearer = present(&holder, &world.fields, &world.showing(Audience::Bearer)).unwrap();
    let bearer = Carried::Clear(Box::new(bearer));
    let code = QrCode::of(&bearer).unwrap();
    code.write_file(&place.path("bearer.png")).unwrap();
    let answer = place.json(0, &with(&["--qr", "bearer.png"]));
    assert_eq!(answer["fields"]["subject"], "Physics");
    assert!(answer["fields"].get("awarded_on").is_none());
    fs::write(place.path("bearer.txt"), bearer.to_text().as_bytes()).unwrap();
    place.expect(0, &with(&["--text", "bearer.txt"]));
    // A challenge that was not given.
    place.expect(5, &with(&["--qr", "bearer.png", "--challenge", "00ff"]));

    // For one verifier, whose wallet alone opens it.
    let audience = Audience::Verifier(verifier.address());
    let key = verifier.account().encryption_key();
    let sealed = present_sealed(&holder, &world.fields, &world.showing(audience), key).unwrap();
    let code = QrCode::of(&sealed).unwrap();
    code.write_file(&place.path("sealed.png")).unwrap();
    let answer = place.json(0, &with(&["--qr", "sealed.png", "--wallet", "verifier"]));
    assert_eq!(answer["fields"]["subject"], "Physics");
    place.expect(6, &with(&["--qr", "sealed.png"]));
    let (stdout, stderr) = place.expect(6, &with(&["--qr", "sealed.png", "--wallet", "other"]));
    assert!(!stdout.contains("Physics") && !stderr.contains("Physics"));

    // In clear, but for that verifier.
    let clear = present(&holder, &world.fields, &world.showing(audience)).unwrap();
    let clear = Carried::Clear(Box::new(clear)).to_text();
    fs::write(place.path("named.txt"), clear.as_bytes()).unwrap();
    place.expect(2, &with(&["--text", "named.txt"]));
    place.expect(5, &with(&["--text", "named.txt", "--wallet", "other"]));
    place.expect(0, &with(&["--text", "named.txt", "--wallet", "verifier"]));

    // By somebody who does not hold it, and after its time.
    let stranger = present(&other, &world.fields, &world.showing(Audience::Bearer)).unwrap();
    let stranger = Carried::Clear(Box::new(stranger)).to_text();
    fs::write(place.path("stranger.txt"), stranger.as_bytes()).unwrap();
    place.expect(5, &with(&["--text", "stranger.txt"]));
    let mut late = world.showing(Audience::Bearer);
    late.expires = TimeMs::new(world::now().get() - 1);
    let late = present(&holder, &world.fields, &late).unwrap();
    let late = Carried::Clear(Box::new(late)).to_text();
    fs::write(place.path("late.txt"), late.as_bytes()).unwrap();
    place.expect(5, &with(&["--text", "late.txt"]));
}

#[test]
fn a_marriage_goes_from_hand_to_hand() {
    let place = Place::new();
    let issuer = place.wallet("office", "agency", "CIVIL");
    let (a, b) = (
        place.wallet("a", "citizen", ""),
        place.wallet("b", "citizen", ""),
    );
    let mut marriage = degree();
    marriage.chain = SideChain::Marriage;
    marriage.name = Name::parse("marriage").unwrap();
    marriage.fields = vec![Field {
        name: Name::parse("office").unwrap(),
        title: Title::parse("Office").unwrap(),
        kind: FieldKind::Text,
        max_bytes: 64,
        required: true,
    }];
    let chain = ChainId::from_bytes([5; 32]);
    let prepared = prepare(&Order {
        chain,
        issuer: issuer.address(),
        certificate_type: &marriage,
        values: &[("office".to_owned(), "Pudong".to_owned())],
        holders: &[Recipient::from(a.account()), Recipient::from(b.account())],
        valid_from: None,
        valid_until: None,
    })
    .unwrap();
    let terms = Terms {
        chain,
        valid_until: TimeMs::new(1 << 41),
    };
    let kind = issue_kind(issuer.address(), &prepared);
    let mut draft = Draft::new(&terms.body(kind).unwrap()).unwrap();
    draft.sign_with(&issuer).unwrap();
    draft.write_file(&place.path("one")).unwrap();

    let sign = |wallet: &'static str, input: &'static str, out: &'static str| {
        [
            "certificate",
            "sign",
            "--wallet",
            wallet,
            "--in",
            input,
            "--out",
            out,
        ]
    };
    place.expect(6, &sign("b", "one", "two"));
    assert!(!place.path("two").exists());
    let signed = place.json(0, &sign("a", "one", "two"));
    assert_eq!(signed["certificate"], prepared.id.to_string());
    assert_eq!(signed["signers"][1]["signed"], true);
    assert_eq!(signed["signers"][2]["signed"], false);
    place.expect(8, &sign("b", "two", "two"));
    place.expect(0, &sign("b", "two", "three"));
    assert!(
        Draft::read_file(&place.path("three"))
            .unwrap()
            .finish()
            .is_ok()
    );

    // Another draft is not signed as if it were one of a certificate.
    let kind = accept_certificate(CertificateId::from_bytes([6; 32]), a.address());
    let draft = Draft::new(&terms.body(kind).unwrap()).unwrap();
    draft.write_file(&place.path("accept")).unwrap();
    place.expect(2, &sign("a", "accept", "signed"));
}
