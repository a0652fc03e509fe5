//! A genesis is read as written, and every mistake in it is refused with file, line, key, reason.
#![allow(clippy::unwrap_used, clippy::expect_used)]

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

/// What is wrong, what is replaced (first occurrence) by what, line, key and part of the reason.
type Refusal = (
    &'static str,
    String,
    String,
    usize,
    &'static str,
    &'static str,
);

fn refusals() -> Vec<Refusal> {
    let row = |what, from: &str, to: &str, line, key, reason| {
        (what, from.to_owned(), to.to_owned(), line, key, reason)
    };
    let (zeros, small_order) = ("00".repeat(32), format!("01{}", "00".repeat(31)));
    let mut large = "ff".repeat(31);
    large.push_str("7f");
    vec![
        row(
            "no TOML",
            "protocol = 1",
            "protocol = = 1",
            1,
            "",
            "not valid TOML",
        ),
        row(
            "unknown key at the top",
            "time_ms",
            "colour = 1\ntime_ms",
            3,
            "colour",
            "unknown key",
        ),
        row(
            "unknown key in a table",
            "block_bytes",
            "block_size",
            7,
            "limits.block_size",
            "expected one of",
        ),
        row(
            "unknown key in a list",
            "organisation_code = \"ED\"",
            "organization_code = \"ED\"",
            35,
            "validators[1].organization_code",
            "unknown key",
        ),
        row(
            "unknown table",
            "[limits]",
            "[extra]\nx = 1\n\n[limits]",
            5,
            "extra",
            "unknown key",
        ),
        row(
            "missing key",
            "network = \"testnet\"\n",
            "",
            1,
            "network",
            "missing",
        ),
        row(
            "missing in a table",
            "rotation_blocks = 100\n",
            "",
            14,
            "timers.rotation_blocks",
            "missing",
        ),
        row(
            "missing in a list",
            "name = \"education\"\n",
            "",
            33,
            "validators[1].name",
            "missing",
        ),
        row(
            "repeated key",
            "protocol = 1",
            "protocol = 1\nprotocol = 1",
            2,
            "",
            "not valid TOML",
        ),
        row(
            "wrong type",
            "time_ms = 1760000000000",
            "time_ms = \"now\"",
            3,
            "time_ms",
            "expected u64",
        ),
        row(
            "wrong type in a table",
            "heartbeat_ms = 20000",
            "heartbeat_ms = 20.5",
            17,
            "timers.heartbeat_ms",
            "expected u64",
        ),
        row(
            "negative",
            "heartbeat_ms = 20000",
            "heartbeat_ms = -1",
            17,
            "timers.heartbeat_ms",
            "expected u64",
        ),
        row(
            "wrong type in a list",
            "organisation_code = \"ED\"",
            "organisation_code = 7",
            35,
            "validators[1].organisation_code",
            "expected a string",
        ),
        row(
            "other protocol",
            "protocol = 1",
            "protocol = 2",
            1,
            "protocol",
            "speaks 1",
        ),
        row(
            "bad network name",
            "testnet",
            "Test Net",
            2,
            "network",
            "not a name",
        ),
        row(
            "year 1970",
            "1760000000000",
            "1760000000",
            3,
            "time_ms",
            "out of range",
        ),
        row(
            "no version of the tag key",
            "tag_key_version = 1",
            "tag_key_version = 0",
            4,
            "tag_key_version",
            "out of range",
        ),
        row(
            "bad node name",
            "civil-affairs",
            "../etc",
            28,
            "validators[0].name",
            "not a name",
        ),
        row(
            "bad code",
            "\"ED\"",
            "\"ed\"",
            35,
            "validators[1].organisation_code",
            "A-Z",
        ),
        row(
            "short key",
            &key(3),
            "abcd",
            36,
            "validators[1].vote_key",
            "32 bytes",
        ),
        row(
            "no hex",
            &key(3),
            &"zz".repeat(32),
            36,
            "validators[1].vote_key",
            "64 hexadecimal",
        ),
        row(
            "key of order 4",
            &key(3),
            &zeros,
            36,
            "validators[1].vote_key",
            "small-order",
        ),
        row(
            "identity key",
            &key(3),
            &small_order,
            36,
            "validators[1].vote_key",
            "identity",
        ),
        row(
            "key twice",
            &key(3),
            &key(1),
            36,
            "validators[1].vote_key",
            "stands at validators[0].vote_key",
        ),
        row(
            "vote key as network key",
            &key(2),
            &key(1),
            31,
            "validators[0].network_key",
            "stands at validators[0].vote_key",
        ),
        row(
            "validator's key as account key",
            &key(6),
            &key(4),
            48,
            "agencies[0].public_key",
            "stands at validators[1].network_key",
        ),
        row(
            "validator twice",
            "education",
            "civil-affairs",
            34,
            "validators[1].name",
            "stands at",
        ),
        row(
            "validator code twice",
            "\"ED\"",
            "\"CA\"",
            35,
            "validators[1].organisation_code",
            "stands at",
        ),
        row(
            "account code twice",
            "organisation_code = \"IC\"",
            "organisation_code = \"CA\"",
            47,
            "agencies[0].organisation_code",
            "stands at registrars[0].organisation_code",
        ),
        row(
            "bad title",
            "Information Centre",
            " x",
            40,
            "registrars[0].name",
            "not a title",
        ),
        row(
            "encryption key of small order",
            ENCRYPTION_KEY,
            &zeros,
            43,
            "registrars[0].encryption_key",
            "X25519",
        ),
        row(
            "encryption key above p",
            ENCRYPTION_KEY,
            &large,
            43,
            "registrars[0].encryption_key",
            "X25519",
        ),
        row(
            "encryption key twice",
            OTHER_ENCRYPTION_KEY,
            ENCRYPTION_KEY,
            49,
            "agencies[0].encryption_key",
            "stands at",
        ),
        row(
            "undefined type",
            "[\"degree\"]",
            "[\"licence\"]",
            50,
            "agencies[0].may_issue[0]",
            "`licence` is not defined in catalogue",
        ),
        row(
            "type twice in may_issue",
            "[\"degree\"]",
            "[\"degree\", \"degree\"]",
            50,
            "agencies[0].may_issue[1]",
            "stands at",
        ),
        row(
            "unknown side chain",
            "chain = \"degree\"",
            "chain = \"tax\"",
            53,
            "catalogue[0].chain",
            "tax",
        ),
        row(
            "unknown field kind",
            "\"date\"",
            "\"day\"",
            68,
            "catalogue[0].fields[1].kind",
            "day",
        ),
        row(
            "validity of 0 days",
            "= 365",
            "= 0",
            56,
            "catalogue[0].validity_days",
            "out of range",
        ),
        row(
            "field twice",
            "awarded",
            "subject",
            66,
            "catalogue[0].fields[1].name",
            "stands at",
        ),
        row(
            "field of 0 bytes",
            "max_bytes = 10\n",
            "max_bytes = 0\n",
            69,
            "catalogue[0].fields[1].max_bytes",
            "out of range",
        ),
        row(
            "huge field",
            "max_bytes = 200",
            "max_bytes = 5000",
            62,
            "catalogue[0].fields[0].max_bytes",
            "out of range",
        ),
        row(
            "huge blocks",
            "2097152",
            "99999999",
            7,
            "limits.block_bytes",
            "4096 to 4194304",
        ),
        row(
            "no window",
            "= 600000",
            "= 0",
            9,
            "limits.transaction_window_ms",
            "out of range",
        ),
        row(
            "large transactions",
            "block_bytes = 2097152",
            "block_bytes = 65536",
            6,
            "limits.transaction_bytes",
            "contradicts limits.block_bytes",
        ),
        row(
            "small mempool",
            "67108864",
            "8192",
            11,
            "limits.mempool_bytes",
            "contradicts limits.block_bytes",
        ),
        row(
            "large share",
            "= 20000\n",
            "= 50000\n",
            12,
            "limits.mempool_per_sender",
            "contradicts limits.mempool_transactions",
        ),
        row(
            "no rotation",
            "= 100\n",
            "= 0\n",
            21,
            "timers.rotation_blocks",
            "out of range",
        ),
        row(
            "cap below timeout",
            "view_timeout_cap_ms = 30000",
            "view_timeout_cap_ms = 500",
            16,
            "timers.view_timeout_cap_ms",
            "contradicts timers.view_timeout_ms",
        ),
        row(
            "clock cap below bound",
            "clock_bound_cap_ms = 30000",
            "clock_bound_cap_ms = 1999",
            20,
            "timers.clock_bound_cap_ms",
            "contradicts timers.clock_bound_ms",
        ),
        row(
            "rare heartbeats",
            "heartbeat_ms = 20000",
            "heartbeat_ms = 20001",
            17,
            "timers.heartbeat_ms",
            "contradicts timers.staleness_ms",
        ),
        row(
            "long pauses",
            "block_interval_ms = 20",
            "block_interval_ms = 501",
            22,
            "timers.block_interval_ms",
            "contradicts timers.view_timeout_ms",
        ),
        row(
            "short window",
            "transaction_window_ms = 600000",
            "transaction_window_ms = 10000",
            20,
            "timers.clock_bound_cap_ms",
            "contradicts limits.transaction_window_ms",
        ),
    ]
}

#[test]
fn every_mistake_is_refused_with_file_line_key_and_reason() {
    let mut wrong = Vec::new();
    for (what, from, to, line, key, reason) in refusals() {
        let text = text();
        assert!(
            text.contains(&from),
            "{what}: the row does not fit the text"
        );
        let refused = read(&text.replacen(&from, &to, 1)).expect_err(what);
        let message = refused.to_string();
        let right = refused.file == Path::new("dir/genesis.toml")
            && refused.key == key
            && message.starts_with(&format!("dir/genesis.toml:{line}: {key}"))
            && message.contains(reason)
            && !message.contains('\n');
        if !right {
            wrong.push(format!(
                "{what}: wanted line {line}, {key}, {reason}; got {message}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
