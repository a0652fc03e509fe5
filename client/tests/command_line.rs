//! The command as scripts see it: what it prints, where, and with which exit code. No node runs
//! here; what needs one is tested on real nodes by the workspace's `tests`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    process::{Command, Output},
};

use certchain_client::{
    attributes::AttributeSet,
    tag::{Document, TagKey},
    transaction::{Draft, Registration, Terms, register_identity},
    wallet::{Passphrase, PublicAccount, Wallet},
};
use certchain_proto::{Address, ChainId, TimeMs};
use serde_json::Value;
use tempfile::TempDir;

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("pass"), "correct horse\n").unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the command in the folder, with no terminal and a clean environment.
    fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_certchain"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs it with the passphrase file and checks the exit code.
    fn expect(&self, exit: i32, arguments: &[&str]) -> Output {
        let mut all = vec!["--passphrase-file", "pass"];
        all.extend_from_slice(arguments);
        let output = self.run(&all);
        assert_eq!(
            output.status.code(),
            Some(exit),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
        output
    }

    fn wallet(&self, name: &str, kind: &str, extra: &[&str]) -> Address {
        let mut arguments = vec!["wallet", "new", "--wallet", name, "--name", "Some Body"];
        arguments.extend_from_slice(&[
            "--kind",
            kind,
            "--kdf-memory-kib",
            "8",
            "--kdf-passes",
            "1",
        ]);
        arguments.extend_from_slice(extra);
        self.expect(0, &arguments);
        Wallet::inspect(&self.path(name)).unwrap().address()
    }

    fn open(&self, name: &str) -> Wallet {
        Wallet::open(&self.path(name), &Passphrase::new("correct horse").unwrap()).unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A URL on which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn help_tells_commands_and_exit_codes() {
    let place = Place::new();
    for arguments in [&["help"][..], &["--help"]] {
        let output = place.run(arguments);
        assert_eq!(output.status.code(), Some(0));
        let help = text(&output.stdout);
        for word in [
            "wallet",
            "identity",
            "chain",
            "completions",
            "Exit codes:",
            "5  a proof",
        ] {
            assert!(help.contains(word), "{word} in {help}");
        }
    }
    assert!(text(&place.run(&["--version"]).stdout).starts_with("certchain "));
}

/// Something that a proposal could be named.
const ID: &str = "abababababababababababababababababababababababababababababababab";

#[test]
fn mistakes_in_the_command_line_are_exit_code_2() {
    let place = Place::new();
    for arguments in [
        &[][..],
        &["nonsense"],
        &["wallet"],
        &["wallet", "new"],
        &[
            "wallet", "new", "--wallet", "w", "--name", "N", "--kind", "king",
        ],
        &["wallet", "show", "--wallet"],
        &[
            "identity",
            "show",
            "cc1nonsense",
            "--node",
            "http://127.0.0.1:1",
        ],
        &["identity", "show"],
        &["identity", "suspend", "x", "--wallet", "w"],
        &["chain", "status"],
        &["chain", "status", "--node", "not a url"],
        &["chain", "status", "--node", "https://127.0.0.1:1"],
        &["chain", "block", "abc", "--node", "http://127.0.0.1:1"],
        &["chain", "tx", "abc", "--node", "http://127.0.0.1:1"],
        &["chain", "block", "--verify", "--node", "http://127.0.0.1:1"],
        &["chain", "status", "--timeout", "0"],
        &["governance"],
        &["governance", "vote", "abc", "--approve", "--vote-key", "k"],
        &["governance", "vote", ID, "--vote-key", "k"],
        &[
            "governance",
            "vote",
            ID,
            "--approve",
            "--reject",
            "--vote-key",
            "k",
        ],
        &["governance", "vote", ID, "--approve"],
        &[
            "governance",
            "propose",
            "--vote-key",
            "k",
            "tag-key-version",
            "2",
        ],
        &["governance", "accept", ID],
        &["governance", "show", ID, "--verify"],
        &["completions", "tcsh"],
    ] {
        let output = place.run(arguments);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn completions_for_every_shell() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = place.run(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("rotate-key"), "{shell}");
    }
}

#[test]
fn a_wallet_is_made_shown_and_exported() {
    let place = Place::new();
    let made = place.expect(
        0,
        &[
            "--json",
            "wallet",
            "new",
            "--wallet",
            "w",
            "--name",
            "Civil Affairs",
            "--kind",
            "agency",
            "--organisation-code",
            "CIVIL",
            "--kdf-memory-kib",
            "8",
            "--kdf-passes",
            "1",
        ],
    );
    let made = json(&made);
    assert_eq!(made["kind"], "agency");
    assert_eq!(made["organisation_code"], "CIVIL");
    assert!(made["address"].as_str().unwrap().starts_with("cc1"));
    // Without any passphrase.
    let shown = place.run(&["wallet", "show", "--wallet", "w"]);
    assert_eq!(shown.status.code(), Some(0));
    let shown = text(&shown.stdout);
    assert!(shown.contains("Civil Affairs") && shown.contains(made["address"].as_str().unwrap()));
    let exported = place.run(&["wallet", "export", "--wallet", "w", "--out", "a.toml"]);
    assert_eq!(
        exported.status.code(),
        Some(0),
        "{}",
        text(&exported.stderr)
    );
    let account = PublicAccount::read_file(&place.path("a.toml")).unwrap();
    assert_eq!(
        account.public_key().to_string(),
        made["public_key"].as_str().unwrap()
    );
    // The genesis tool reads the same file.
    let genesis_account = certchain_config::Account::load(&place.path("a.toml")).unwrap();
    assert_eq!(genesis_account.address(), account.address());
    // Nothing is overwritten.
    place.expect(8, &["wallet", "export", "--wallet", "w", "--out", "a.toml"]);
    let before = fs::read(place.path("w")).unwrap();
    place.expect(
        8,
        &[
            "wallet", "new", "--wallet", "w", "--name", "N", "--kind", "citizen",
        ],
    );
    assert_eq!(fs::read(place.path("w")).unwrap(), before);
}

#[test]
fn wallet_errors_have_their_exit_codes() {
    let place = Place::new();
    place.wallet("w", "citizen", &[]);
    fs::write(place.path("wrong"), "another\n").unwrap();
    let show = ["wallet", "show", "--wallet", "w", "--attributes"];
    let wrong = place.run(&[&["--passphrase-file", "wrong", "--json"][..], &show].concat());
    assert_eq!(wrong.status.code(), Some(6));
    assert!(wrong.stdout.is_empty());
    let error: Value = serde_json::from_slice(&wrong.stderr).unwrap();
    assert_eq!(error["error"]["exit_code"], 6);
    assert_eq!(error["error"]["kind"], "wallet");
    assert!(
        error["error"]["message"]
            .as_str()
            .unwrap()
            .contains("wrong passphrase")
    );
    // No passphrase anywhere, no terminal to ask on.
    assert_eq!(place.run(&show).status.code(), Some(6));
    // From the environment.
    let from_environment = place.run_with(&show, &[("CERTCHAIN_PASSPHRASE", "correct horse")]);
    assert_eq!(from_environment.status.code(), Some(0));
    let by_file = place.run_with(&show, &[("CERTCHAIN_PASSPHRASE_FILE", "pass")]);
    assert_eq!(by_file.status.code(), Some(0));
    place.expect(8, &["wallet", "show", "--wallet", "missing"]);
    place.expect(
        2,
        &[
            "wallet", "new", "--wallet", "x", "--name", "N", "--kind", "agency",
        ],
    );
    place.expect(
        2,
        &[
            "wallet", "new", "--wallet", "x", "--name", "", "--kind", "citizen",
        ],
    );
    assert!(!place.path("x").exists());
    let damaged = fs::read_to_string(place.path("w"))
        .unwrap()
        .replace("citizen", "auditor");
    fs::write(place.path("w"), damaged).unwrap();
    place.expect(6, &show);
    fs::write(place.path("w"), "not a wallet").unwrap();
    place.expect(8, &show);
}

#[test]
fn the_passphrase_changes() {
    let place = Place::new();
    place.wallet("w", "citizen", &[]);
    fs::write(place.path("new"), "battery staple\n").unwrap();
    place.expect(
        0,
        &[
            "wallet",
            "change-passphrase",
            "--wallet",
            "w",
            "--new-passphrase-file",
            "new",
        ],
    );
    place.expect(6, &["wallet", "show", "--wallet", "w", "--attributes"]);
    let output = place.run(&[
        "--passphrase-file",
        "new",
        "wallet",
        "show",
        "--wallet",
        "w",
        "--attributes",
    ]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn nobody_at_home_is_exit_code_4() {
    let place = Place::new();
    let (one, two) = (nobody(), nobody());
    let address = Address::from_bytes([1; 32]).to_string();
    for arguments in [
        &["chain", "status"][..],
        &["chain", "block", "7"],
        &["chain", "watch", "--from", "1"],
        &["chain", "proof", "history", "1"],
        &["chain", "proof", "state", "06"],
        &["identity", "show", &address],
        &["identity", "key", &address],
    ] {
        let mut all = arguments.to_vec();
        let nodes = format!("{one},{two}");
        all.extend_from_slice(&["--json", "--node", &nodes]);
        let output = place.run(&all);
        assert_eq!(
            output.status.code(),
            Some(4),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
        let error: Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(error["error"]["kind"], "unreachable");
    }
    let output = place.run_with(&["chain", "status"], &[("CERTCHAIN_NODE", &one)]);
    assert_eq!(output.status.code(), Some(4));
}

/// A draft as an agency makes it, without the node that would tell the chain's id.
fn draft(place: &Place, registrar: Address) -> AttributeSet {
    let pairs = [("name".to_owned(), "王小明".to_owned())];
    let set = AttributeSet::new(&pairs).unwrap();
    let (agency, holder) = (place.open("agency"), place.open("holder"));
    fs::write(place.path("tag.key"), hex::encode([7; 32])).unwrap();
    let tag = TagKey::new([7; 32], 1).tag(&Document::new("CN", "id", "12").unwrap());
    let kind = register_identity(&Registration {
        holder: holder.account(),
        attribute_root: set.root(),
        tag,
        tag_key_version: 1,
        agency: agency.address(),
        registrar,
    });
    let terms = Terms {
        chain: ChainId::from_bytes([5; 32]),
        valid_until: TimeMs::new(1 << 41),
    };
    let mut draft = Draft::new(&terms.body(kind).unwrap()).unwrap();
    draft.sign_with(&agency).unwrap();
    draft.write_file(&place.path("draft.tx")).unwrap();
    set.write_file(&place.path("draft.tx.attributes")).unwrap();
    set
}

#[test]
fn a_registration_goes_from_hand_to_hand() {
    let place = Place::new();
    place.wallet("agency", "agency", &["--organisation-code", "CIVIL"]);
    let registrar = place.wallet("registrar", "registrar", &["--organisation-code", "CENTRE"]);
    let holder = place.wallet("holder", "citizen", &[]);
    let set = draft(&place, registrar);
    let node = nobody();
    // Not before the registrar has reviewed it, and not by somebody else.
    let register = |input: &str, exit: i32| {
        let arguments = ["identity", "register", "--wallet", "holder", "--in", input];
        place.expect(exit, &[&arguments[..], &["--node", &node]].concat())
    };
    register("draft.tx", 6);
    let review = |wallet: &str, out: &str, exit: i32, extra: &[&str]| {
        let arguments = [
            "--json", "identity", "review", "--wallet", wallet, "--in", "draft.tx", "--out", out,
        ];
        place.expect(exit, &[&arguments[..], extra].concat())
    };
    review("agency", "reviewed.tx", 6, &[]);
    let document = [
        "--document-country",
        "CN",
        "--document-type",
        "id",
        "--tag-key",
        "tag.key",
    ];
    let number = |number| [&document[..], &["--document-number", number]].concat();
    review("registrar", "reviewed.tx", 5, &number("13"));
    let other = AttributeSet::new(&[]).unwrap();
    other.write_file(&place.path("other.attributes")).unwrap();
    review(
        "registrar",
        "reviewed.tx",
        5,
        &["--attributes", "other.attributes"],
    );
    assert!(!place.path("reviewed.tx").exists());
    let extra = [&number("1 2")[..], &["--attributes", "draft.tx.attributes"]].concat();
    let shown = json(&review("registrar", "reviewed.tx", 0, &extra));
    assert_eq!(shown["transaction"], "register_identity");
    assert_eq!(shown["registrar"], registrar.to_string());
    assert_eq!(shown["subject"], holder.to_string());
    assert_eq!(shown["attributes"][0]["value"], "王小明");
    assert_eq!(shown["attribute_root"], set.root().to_string());
    let signed: Vec<_> = shown["signers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|party| &party["signed"])
        .collect();
    assert_eq!(signed, [true, true, false]);
    review("registrar", "reviewed.tx", 8, &[]);
    // The holder signs; then no node is there, and its attributes are safe in the wallet.
    let arguments = [
        "identity",
        "register",
        "--wallet",
        "holder",
        "--in",
        "reviewed.tx",
    ];
    let attributes = ["--attributes", "draft.tx.attributes", "--node", &node];
    place.expect(4, &[&arguments[..], &attributes].concat());
    assert_eq!(place.open("holder").attributes(), Some(&set));
    let shown = place.expect(
        0,
        &[
            "--json",
            "wallet",
            "show",
            "--wallet",
            "holder",
            "--attributes",
        ],
    );
    assert_eq!(json(&shown)["attributes"][0]["name"], "name");
    // An unfinished draft is not submitted.
    place.expect(
        8,
        &["identity", "submit", "--in", "reviewed.tx", "--node", &node],
    );
    let altered = fs::read_to_string(place.path("reviewed.tx")).unwrap() + "\n";
    fs::write(place.path("altered.tx"), altered).unwrap();
    register("altered.tx", 8);
}

#[test]
fn a_lost_wallet_is_recovered_only_by_one_made_for_it() {
    let place = Place::new();
    let lost = place.wallet("lost", "citizen", &[]);
    place.wallet("agency", "agency", &["--organisation-code", "CIVIL"]);
    let text = lost.to_string();
    let recovering = place.wallet("new", "citizen", &["--recovers", &text]);
    assert_eq!(recovering, lost);
    for (wallet, exit) in [("lost", 2), ("new", 4)] {
        let out = format!("{wallet}.toml");
        place.expect(0, &["wallet", "export", "--wallet", wallet, "--out", &out]);
        let (node, registrar) = (nobody(), Address::from_bytes([2; 32]).to_string());
        place.expect(
            exit,
            &[
                "identity",
                "recover-key",
                "--agency-wallet",
                "agency",
                "--registrar",
                &registrar,
                "--holder-account",
                &out,
                "--out",
                "r.tx",
                "--node",
                &node,
            ],
        );
    }
}

#[test]
fn a_rotation_that_no_node_took_can_be_taken_up_again() {
    let place = Place::new();
    place.wallet("w", "citizen", &[]);
    let node = nobody();
    place.expect(
        4,
        &["identity", "rotate-key", "--wallet", "w", "--node", &node],
    );
    let wallet = place.open("w");
    let next = wallet.next_keys().unwrap().public_key().clone();
    assert_ne!(&next, wallet.keys().public_key());
    place.expect(
        4,
        &["identity", "rotate-key", "--wallet", "w", "--node", &node],
    );
    assert_eq!(place.open("w").next_keys().unwrap().public_key(), &next);
}

#[test]
fn a_genesis_that_is_none_is_a_file_error() {
    let place = Place::new();
    fs::write(place.path("genesis.toml"), "network = 1\n").unwrap();
    let node = nobody();
    for file in ["genesis.toml", "missing.toml"] {
        let arguments = [
            "chain",
            "block",
            "--verify",
            "--genesis",
            file,
            "--node",
            &node,
        ];
        place.expect(8, &arguments);
    }
}
