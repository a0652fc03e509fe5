//! Every mistake is refused with file, line, key and reason.

use std::path::Path;

use super::{ENCRYPTION_KEY, OTHER_ENCRYPTION_KEY, key, read, text};

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
            36,
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
            "a wait for recoveries of no time",
            "recovery_wait_ms = 604800000",
            "recovery_wait_ms = 999",
            26,
            "timers.recovery_wait_ms",
            "1000",
        ),
        row(
            "missing in a list",
            "name = \"education\"\n",
            "",
            34,
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
            36,
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
            29,
            "validators[0].name",
            "not a name",
        ),
        row(
            "bad code",
            "\"ED\"",
            "\"ed\"",
            36,
            "validators[1].organisation_code",
            "A-Z",
        ),
        row(
            "short key",
            &key(3),
            "abcd",
            37,
            "validators[1].vote_key",
            "32 bytes",
        ),
        row(
            "no hex",
            &key(3),
            &"zz".repeat(32),
            37,
            "validators[1].vote_key",
            "64 hexadecimal",
        ),
        row(
            "key of order 4",
            &key(3),
            &zeros,
            37,
            "validators[1].vote_key",
            "small-order",
        ),
        row(
            "identity key",
            &key(3),
            &small_order,
            37,
            "validators[1].vote_key",
            "identity",
        ),
        row(
            "key twice",
            &key(3),
            &key(1),
            37,
            "validators[1].vote_key",
            "stands at validators[0].vote_key",
        ),
        row(
            "vote key as network key",
            &key(2),
            &key(1),
            32,
            "validators[0].network_key",
            "stands at validators[0].vote_key",
        ),
        row(
            "validator's key as account key",
            &key(6),
            &key(4),
            49,
            "agencies[0].public_key",
            "stands at validators[1].network_key",
        ),
        row(
            "validator twice",
            "education",
            "civil-affairs",
            35,
            "validators[1].name",
            "stands at",
        ),
        row(
            "validator code twice",
            "\"ED\"",
            "\"CA\"",
            36,
            "validators[1].organisation_code",
            "stands at",
        ),
        row(
            "account code twice",
            "organisation_code = \"IC\"",
            "organisation_code = \"CA\"",
            48,
            "agencies[0].organisation_code",
            "stands at registrars[0].organisation_code",
        ),
        row(
            "bad title",
            "Information Centre",
            " x",
            41,
            "registrars[0].name",
            "not a title",
        ),
        row(
            "encryption key of small order",
            ENCRYPTION_KEY,
            &zeros,
            44,
            "registrars[0].encryption_key",
            "X25519",
        ),
        row(
            "encryption key above p",
            ENCRYPTION_KEY,
            &large,
            44,
            "registrars[0].encryption_key",
            "X25519",
        ),
        row(
            "encryption key twice",
            OTHER_ENCRYPTION_KEY,
            ENCRYPTION_KEY,
            50,
            "agencies[0].encryption_key",
            "stands at",
        ),
        row(
            "undefined type",
            "[\"degree\"]",
            "[\"licence\"]",
            51,
            "agencies[0].may_issue[0]",
            "`licence` is not defined in catalogue",
        ),
        row(
            "type twice in may_issue",
            "[\"degree\"]",
            "[\"degree\", \"degree\"]",
            51,
            "agencies[0].may_issue[1]",
            "stands at",
        ),
        row(
            "unknown side chain",
            "chain = \"degree\"",
            "chain = \"tax\"",
            54,
            "catalogue[0].chain",
            "tax",
        ),
        row(
            "unknown field kind",
            "\"date\"",
            "\"day\"",
            69,
            "catalogue[0].fields[1].kind",
            "day",
        ),
        row(
            "validity of 0 days",
            "= 365",
            "= 0",
            57,
            "catalogue[0].validity_days",
            "out of range",
        ),
        row(
            "field twice",
            "awarded",
            "subject",
            67,
            "catalogue[0].fields[1].name",
            "stands at",
        ),
        row(
            "field of 0 bytes",
            "max_bytes = 10\n",
            "max_bytes = 0\n",
            70,
            "catalogue[0].fields[1].max_bytes",
            "out of range",
        ),
        row(
            "huge field",
            "max_bytes = 200",
            "max_bytes = 5000",
            63,
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

#[test]
fn a_property_type_names_its_parcel() {
    let field = "[[catalogue.fields]]\nname = \"subject\"\ntitle = \"Subject\"\nkind = \"text\"";
    let text = text()
        .replace("chain = \"degree\"", "chain = \"property\"")
        .replace(field, &field.replace("subject", "parcel"));
    assert!(read(&text).is_ok());
    for (from, to) in [
        ("\"parcel\"", "\"plot\""),
        ("kind = \"text\"", "kind = \"number\""),
        ("required = true", "required = false"),
    ] {
        let refused = read(&text.replacen(from, to, 1)).unwrap_err();
        assert_eq!(refused.key, "catalogue[0].fields", "{refused}");
        assert!(refused.to_string().contains("`parcel`"), "{refused}");
    }
}
