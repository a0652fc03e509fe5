//! A genesis is read as written, and every mistake in it is refused.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod refusals;

use std::path::Path;

use certchain_config::{ConfigError, Genesis, Parameters, document::Document};
use certchain_proto::{ChainId, Epoch, SecretKey};

const ENCRYPTION_KEY: &str = "0909090909090909090909090909090909090909090909090909090909090909";
const OTHER_ENCRYPTION_KEY: &str =
    "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";

fn key(seed: u8) -> String {
    SecretKey::from_seed(&[seed; 32]).public().to_string()
}

fn text() -> String {
    let [a, b, c, d, e, f] = [1, 2, 3, 4, 5, 6].map(key);
    format!(
        r#"protocol = 1
network = "testnet"
time_ms = 1760000000000
tag_key_version = 1
[limits]
transaction_bytes = 65536
block_bytes = 2097152
block_transactions = 4096
transaction_window_ms = 600000
mempool_transactions = 40000
mempool_bytes = 67108864
mempool_per_sender = 20000

[timers]
view_timeout_ms = 1000
view_timeout_cap_ms = 30000
heartbeat_ms = 20000
staleness_ms = 60000
clock_bound_ms = 2000
clock_bound_cap_ms = 30000
rotation_blocks = 100
block_interval_ms = 20
side_heartbeat_ms = 3600000
anchor_interval_ms = 5000
anchor_blocks = 50
recovery_wait_ms = 604800000

[[validators]]
name = "civil-affairs"
organisation_code = "CA"
vote_key = "{a}"
network_key = "{b}"

[[validators]]
name = "education"
organisation_code = "ED"
vote_key = "{c}"
network_key = "{d}"

[[registrars]]
name = "Information Centre"
organisation_code = "IC"
public_key = "{e}"
encryption_key = "{ENCRYPTION_KEY}"

[[agencies]]
name = "Office of Civil Affairs"
organisation_code = "CA"
public_key = "{f}"
encryption_key = "{OTHER_ENCRYPTION_KEY}"
may_issue = ["degree"]

[[catalogue]]
chain = "degree"
name = "degree"
title = "Degree"
validity_days = 365

[[catalogue.fields]]
name = "subject"
title = "Subject"
kind = "text"
max_bytes = 200
required = true

[[catalogue.fields]]
name = "awarded"
title = "Day of award"
kind = "date"
max_bytes = 10
required = true

[governance]
threshold_percent = 0
voting_period_ms = 604800000
open_proposals = 4
"#
    )
}

fn read(text: &str) -> Result<Genesis, ConfigError> {
    Genesis::read(&Document::new(
        Path::new("dir/genesis.toml"),
        text.to_owned(),
    ))
}

#[test]
fn a_genesis_is_read_as_written() {
    let genesis = read(&text()).unwrap();
    assert_eq!(genesis.network.as_str(), "testnet");
    assert_eq!(genesis.time_ms.get(), 1_760_000_000_000);
    assert_eq!(genesis.validators[1].name.as_str(), "education");
    assert_eq!(genesis.validators[1].network_key.to_string(), key(4));
    assert_eq!(genesis.registrars[0].public_key.to_string(), key(5));
    assert!(genesis.agencies[0].address().to_string().starts_with("cc1"));
    assert_eq!(genesis.agencies[0].may_issue[0].as_str(), "degree");
    assert_eq!(genesis.catalogue[0].validity_days, Some(365));
    assert_eq!(genesis.catalogue[0].fields[1].name.as_str(), "awarded");
    assert_eq!(genesis.limits, certchain_config::Limits::default());
    assert_eq!(genesis.timers, certchain_config::Timers::default());
    assert_eq!(genesis.governance, certchain_config::Governance::default());
    assert_eq!(genesis.tag_key_version, 1);
    let set = genesis.validator_set();
    assert_eq!((set.epoch(), set.len()), (Epoch::ZERO, 2));
}

#[test]
fn how_the_text_is_laid_out_does_not_matter() {
    let genesis = read(&text()).unwrap();
    let again = read(&genesis.to_toml()).unwrap();
    assert_eq!(again, genesis);
    assert_eq!(again.chain_id(), genesis.chain_id());
    // The same content with comments, other spaces and the tables in another order.
    let text = text();
    let (top, rest) = text.split_once("[limits]").unwrap();
    let (limits, rest) = rest.split_once("[timers]").unwrap();
    let (timers, rest) = rest.split_once("[[validators]]").unwrap();
    let moved = format!(
        "# hello\n{}\n[timers]{timers}\n[limits]   # here{limits}\n[[validators]]{rest}",
        top.replace(" = ", "   =  ")
    );
    assert_eq!(read(&moved).unwrap().chain_id(), genesis.chain_id());
}

#[test]
fn the_content_names_the_chain() {
    let genesis = read(&text()).unwrap();
    assert_eq!(genesis.chain_id(), ChainId::main(&genesis.encode()));
    assert_eq!(genesis.hash().as_bytes(), genesis.chain_id().as_bytes());
    let changes = [
        ("testnet", "testnes"),
        ("tag_key_version = 1", "tag_key_version = 2"),
        ("1760000000000", "1760000000001"),
        ("\"CA\"", "\"CB\""),
        ("= 20\n", "= 21\n"),
    ];
    for (from, to) in changes {
        let other = read(&text().replacen(from, to, 1)).unwrap();
        assert_ne!(other.chain_id(), genesis.chain_id(), "{from}");
    }
}

#[test]
fn canonical_bytes_come_back_and_nothing_else_does() {
    let genesis = read(&text()).unwrap();
    let bytes = genesis.encode();
    assert_eq!(Genesis::decode(&bytes).unwrap(), genesis);
    for cut in (0..bytes.len())
        .step_by(13)
        .chain(bytes.len() - 20..bytes.len())
    {
        assert!(Genesis::decode(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(Genesis::decode(&longer).is_err());
    // An unchecked content cannot hide in the bytes: another protocol version, at the start.
    let mut other = bytes;
    other[0] = 2;
    assert!(Genesis::decode(&other).is_err());
}

/// The text without the tables under a header.
fn without(header: &str) -> String {
    let mut kept = String::new();
    let mut inside = false;
    for line in text().lines() {
        if line.starts_with('[') {
            inside = line.starts_with(header);
        }
        if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[test]
fn lists_that_must_not_be_empty() {
    for list in ["validators", "registrars", "agencies"] {
        let bare = without(&format!("[[{list}]]"));
        let missing = read(&bare).unwrap_err();
        assert_eq!(missing.key, list, "{missing}");
        let empty = read(&format!("{list} = []\n{bare}")).unwrap_err();
        assert_eq!((empty.key.as_str(), empty.line), (list, Some(1)), "{empty}");
        assert!(empty.to_string().contains("empty"), "{empty}");
    }
    let no_fields = without("[[catalogue.fields]]").replace("= 365", "= 365\nfields = []");
    assert_eq!(read(&no_fields).unwrap_err().key, "catalogue[0].fields");
}

#[test]
fn a_network_without_certificate_types_may_start() {
    let text = without("[[catalogue").replace("[\"degree\"]", "[]");
    assert!(read(&text).unwrap().catalogue.is_empty());
}

#[test]
fn parameters_for_a_new_genesis() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("parameters.toml");
    std::fs::write(&file, "").unwrap();
    assert_eq!(Parameters::load(&file).unwrap(), Parameters::default());
    let text = text();
    let start = text.find("[timers]").unwrap();
    let timers = &text[start..text.find("[[validators]]").unwrap()];
    std::fs::write(&file, timers.replace("= 100\n", "= 7\n")).unwrap();
    let parameters = Parameters::load(&file).unwrap();
    assert_eq!(parameters.timers.rotation_blocks, 7);
    assert_eq!(parameters.limits, Parameters::default().limits);
    assert_eq!(parameters.tag_key_version, 1);
    std::fs::write(&file, "tag_key_version = 9").unwrap();
    assert_eq!(Parameters::load(&file).unwrap().tag_key_version, 9);
    for (change, key) in [
        ("tag_key_version = 0".to_owned(), "tag_key_version"),
        (timers.replace("= 100\n", "= 0\n"), "timers.rotation_blocks"),
        (
            timers.replace("rotation_blocks = 100\n", ""),
            "timers.rotation_blocks",
        ),
        (timers.replace("[timers]", "[timer]"), "timer"),
    ] {
        std::fs::write(&file, change).unwrap();
        assert_eq!(Parameters::load(&file).unwrap_err().key, key);
    }
}

#[test]
fn files_that_are_no_text_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("genesis.toml");
    let missing = Genesis::load(&file).unwrap_err().to_string();
    assert!(
        missing.contains("genesis.toml") && missing.contains("not found"),
        "{missing}"
    );
    std::fs::write(&file, [0xff, 0xfe]).unwrap();
    assert!(
        Genesis::load(&file)
            .unwrap_err()
            .to_string()
            .contains("UTF-8")
    );
    std::fs::write(&file, vec![b'#'; 4 * 1024 * 1024 + 1]).unwrap();
    assert!(
        Genesis::load(&file)
            .unwrap_err()
            .to_string()
            .contains("more than")
    );
    std::fs::write(&file, text()).unwrap();
    assert_eq!(Genesis::load(&file).unwrap(), read(&text()).unwrap());
}
