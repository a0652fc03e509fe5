//! A node's configuration and the public files of members and accounts.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};

use certchain_config::{
    Account, AccountKind, ConfigError, LogFormat, Member, Name, NodeConfig, OrganisationCode, Peer,
    document::Document,
    member,
    node::{NodeTemplate, replace_peers},
    secret,
};
use certchain_proto::SecretKey;

fn key(seed: u8) -> String {
    SecretKey::from_seed(&[seed; 32]).public().to_string()
}

fn text() -> String {
    format!(
        r#"name = "education"
data_dir = "data"
genesis = "../genesis.toml"
listen = "/ip4/127.0.0.1/tcp/4001"
grpc = "127.0.0.1:5001"
metrics = "127.0.0.1:9001"
chains = ["main"]

[keys]
vote_key = "keys/vote.key"
network_key = "/secret/network.key"

[log]
filter = "debug"
format = "json"

[grpc_limits]
concurrent_requests = 7

[[peers]]
name = "health"
network_key = "{}"
address = "/ip4/127.0.0.1/tcp/4002"

[[peers]]
name = "business"
network_key = "{}"
address = "/ip6/::1/tcp/4003"
"#,
        key(1),
        key(2)
    )
}

fn document(text: &str) -> Document {
    Document::new(Path::new("/srv/node/node.toml"), text.to_owned())
}

fn read(text: &str) -> Result<NodeConfig, ConfigError> {
    NodeConfig::read(&document(text))
}

#[test]
fn a_configuration_is_read_as_written() {
    let config = read(&text()).unwrap();
    assert_eq!(config.name.as_str(), "education");
    assert_eq!(config.data_dir, PathBuf::from("/srv/node/data"));
    assert_eq!(config.genesis, PathBuf::from("/srv/node/../genesis.toml"));
    assert_eq!(config.vote_key, PathBuf::from("/srv/node/keys/vote.key"));
    assert_eq!(config.network_key, PathBuf::from("/secret/network.key"));
    assert_eq!(config.next_vote_key, None);
    let rotating = text().replace("[keys]\n", "[keys]\nnext_vote_key = \"keys/next.key\"\n");
    assert_eq!(
        read(&rotating).unwrap().next_vote_key,
        Some(PathBuf::from("/srv/node/keys/next.key"))
    );
    assert_eq!(config.listen.to_string(), "/ip4/127.0.0.1/tcp/4001");
    assert_eq!(config.chains, ["main"]);
    assert_eq!(
        (config.log.filter.as_str(), config.log.format),
        ("debug", LogFormat::Json)
    );
    assert_eq!(config.grpc_limits.concurrent_requests, 7);
    assert_eq!(
        config.grpc_limits.request_bytes,
        4 * 1024 * 1024,
        "a default"
    );
    assert_eq!(config.objects, PathBuf::from("/srv/node/data/objects"));
    let elsewhere = text().replace("[log]", "[objects]\nfolder = \"/big/disk\"\n[log]");
    assert_eq!(
        read(&elsewhere).unwrap().objects,
        PathBuf::from("/big/disk")
    );
    assert_eq!(config.peers.len(), 2);
    assert_eq!(
        config.peers[1].address.socket(),
        "[::1]:4003".parse().unwrap()
    );
}

#[test]
fn what_has_a_default_may_be_left_out() {
    let text = text();
    let (top, rest) = text.split_once("chains").unwrap();
    let keys = rest
        .split_once("[keys]")
        .unwrap()
        .1
        .split_once("[log]")
        .unwrap()
        .0;
    let config = read(&format!("{top}\n[keys]{keys}")).unwrap();
    assert_eq!(
        config.chains,
        [
            "main", "marriage", "property", "degree", "business", "health"
        ]
    );
    assert!(config.peers.is_empty());
    assert_eq!(
        (config.log.filter.as_str(), config.log.format),
        ("info", LogFormat::Text)
    );
}

#[test]
fn every_mistake_is_refused_with_file_line_key_and_reason() {
    let order_4 = "00".repeat(32);
    let (one, two) = (key(1), key(2));
    let rows: &[(&str, &str, usize, &str, &str)] = &[
        ("name = \"education\"\n", "", 1, "name", "missing"),
        ("data_dir", "datadir", 2, "datadir", "unknown key"),
        (
            "data_dir = \"data\"",
            "data_dir = \"\"",
            2,
            "data_dir",
            "not a path",
        ),
        ("education", "Education", 1, "name", "not a name"),
        (
            "/ip4/127.0.0.1/tcp/4001",
            "127.0.0.1:4001",
            4,
            "listen",
            "/ip4/ADDRESS/tcp/PORT",
        ),
        (
            "grpc = \"127.0.0.1:5001\"",
            "grpc = \"localhost\"",
            5,
            "grpc",
            "IP:PORT",
        ),
        (
            "grpc = \"127.0.0.1:5001\"",
            "grpc = 5001",
            5,
            "grpc",
            "expected a string",
        ),
        (
            "127.0.0.1:9001",
            "127.0.0.1:5001",
            6,
            "metrics",
            "stands at grpc",
        ),
        (
            "127.0.0.1:5001",
            "127.0.0.1:4001",
            5,
            "grpc",
            "stands at listen",
        ),
        ("[\"main\"]", "[]", 7, "chains", "empty"),
        (
            "[\"main\"]",
            "[\"tax\"]",
            7,
            "chains[0]",
            "`tax` is not a chain",
        ),
        (
            "[\"main\"]",
            "[\"main\", \"main\"]",
            7,
            "chains[1]",
            "stands at",
        ),
        (
            "[\"main\"]",
            "[\"degree\"]",
            7,
            "chains",
            "`main` is missing",
        ),
        (
            "/secret/network.key",
            "keys/vote.key",
            11,
            "keys.network_key",
            "stands at",
        ),
        (
            "vote_key = \"keys/vote.key\"\n",
            "",
            9,
            "keys.vote_key",
            "missing",
        ),
        (
            "[keys]\n",
            "[keys]\nnext_vote_key = \"keys/vote.key\"\n",
            10,
            "keys.next_vote_key",
            "stands at keys.vote_key",
        ),
        (
            "[keys]\n",
            "[keys]\nnext_vote_key = \"\"\n",
            10,
            "keys.next_vote_key",
            "not a path",
        ),
        (
            "[keys]\n",
            "[keys]\nnext_network_key = \"keys/next.key\"\n",
            10,
            "keys.next_network_key",
            "unknown key",
        ),
        ("\"json\"", "\"xml\"", 15, "log.format", "xml"),
        (
            "concurrent_requests = 7",
            "concurrent_requests = 0",
            18,
            "grpc_limits.concurrent_requests",
            "range",
        ),
        (
            "concurrent_requests = 7",
            "request_bytes = 10",
            18,
            "grpc_limits.request_bytes",
            "range",
        ),
        (
            "concurrent_requests = 7",
            "connections = 0",
            18,
            "grpc_limits.connections",
            "range",
        ),
        (
            "concurrent_requests",
            "concurrent",
            18,
            "grpc_limits.concurrent",
            "unknown key",
        ),
        (
            "[grpc_limits]",
            "[objects]\nfolder = \"\"\n[grpc_limits]",
            18,
            "objects.folder",
            "not a path",
        ),
        (
            "[grpc_limits]",
            "[objects]\nfolder = \"data\"\n[grpc_limits]",
            18,
            "objects.folder",
            "stands at data_dir",
        ),
        (
            "[grpc_limits]",
            "[objects]\nfolder = \"data/store/x\"\n[grpc_limits]",
            18,
            "objects.folder",
            "stands at data_dir",
        ),
        (&one, &order_4, 22, "peers[0].network_key", "small-order"),
        (
            &two,
            &one,
            27,
            "peers[1].network_key",
            "stands at peers[0].network_key",
        ),
        (
            "\"business\"",
            "\"health\"",
            26,
            "peers[1].name",
            "stands at peers[0].name",
        ),
        ("tcp/4003", "tcp/0", 28, "peers[1].address", "port 0"),
        (
            "/ip6/::1",
            "/ip6/::g",
            28,
            "peers[1].address",
            "network address",
        ),
    ];
    let mut wrong = Vec::new();
    for (from, to, line, key, reason) in rows {
        let text = text();
        assert!(text.contains(from), "{from}: the row does not fit the text");
        let refused = read(&text.replacen(from, to, 1)).expect_err(to);
        let message = refused.to_string();
        let start = format!("/srv/node/node.toml:{line}: {key}: ");
        if refused.key != *key || !message.starts_with(&start) || !message.contains(reason) {
            wrong.push(format!("{to}: wanted {start}{reason}; got {message}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_template_is_a_configuration() {
    let name = Name::parse("health").unwrap();
    let text = NodeTemplate {
        name: &name,
        genesis: "../gene\"sis.toml",
        listen: "/ip4/127.0.0.1/tcp/0".parse().unwrap(),
        grpc: "127.0.0.1:0".parse().unwrap(),
        metrics: "127.0.0.1:0".parse().unwrap(),
    }
    .to_toml();
    let config = read(&text).unwrap();
    // The defaults that stand in it as comments are the defaults.
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(bare) if !bare.starts_with(' ') => format!("{bare}\n"),
        _ => format!("{line}\n"),
    };
    let uncommented: String = text.lines().map(uncomment).collect();
    assert!(uncommented.contains("\n[grpc_limits]\n"));
    assert_eq!(read(&uncommented).unwrap(), config);
    assert_eq!(config.name, name);
    assert_eq!(config.genesis, PathBuf::from("/srv/node/../gene\"sis.toml"));
    assert_eq!(config.grpc_limits, certchain_config::GrpcLimits::default());
    assert_eq!(config.log, certchain_config::LogConfig::default());
}

#[test]
fn the_next_vote_key_is_read_where_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.toml");
    let read = |text: String| NodeConfig::read(&Document::new(&file, text)).unwrap();
    assert!(read(text()).read_next_vote_key().unwrap().is_none());
    let rotating = text().replace("[keys]\n", "[keys]\nnext_vote_key = \"next.key\"\n");
    let config = read(rotating);
    assert!(config.read_next_vote_key().is_err(), "there is no file");
    let key = SecretKey::from_seed(&[7; 32]);
    secret::create_secret_key(&folder.path().join("next.key"), &key).unwrap();
    let next = config.read_next_vote_key().unwrap().unwrap();
    assert_eq!(next.public(), key.public());
}

#[test]
fn peers_are_replaced_and_the_rest_stays() {
    let before = text().replace("name = \"education\"", "# a comment\nname = \"education\"");
    let peer = Peer {
        name: Name::parse("land").unwrap(),
        network_key: SecretKey::from_seed(&[9; 32]).public().clone(),
        address: "/ip4/10.0.0.1/tcp/4009".parse().unwrap(),
    };
    let after = replace_peers(&document(&before), std::slice::from_ref(&peer)).unwrap();
    assert!(after.starts_with("# a comment\n"));
    assert_eq!(read(&after).unwrap().peers, std::slice::from_ref(&peer));
    assert_eq!(read(&after).unwrap().log, read(&before).unwrap().log);
    let again = replace_peers(&document(&after), std::slice::from_ref(&peer)).unwrap();
    assert_eq!(again, after, "doing it twice changes nothing");
    let inline = format!(
        "peers = []\n{}",
        replace_peers(&document(&before), &[]).unwrap()
    );
    assert!(read(&inline).unwrap().peers.is_empty());
    let refused = replace_peers(&document(&inline), &[peer]).unwrap_err();
    assert!(refused.to_string().contains("duplicate"), "{refused}");
}

fn member() -> Member {
    Member::sign(
        Name::parse("health").unwrap(),
        OrganisationCode::parse("HC-1").unwrap(),
        "/ip4/127.0.0.1/tcp/4002".parse().unwrap(),
        &SecretKey::from_seed(&[1; 32]),
        &SecretKey::from_seed(&[2; 32]),
    )
}

fn read_member(text: String) -> Result<Member, ConfigError> {
    Member::read(&Document::new(Path::new("member.toml"), text))
}

#[test]
fn a_member_file_proves_that_its_sender_holds_the_keys() {
    let member = member();
    assert_eq!(read_member(member.to_toml()).unwrap(), member);
    let text = member.to_toml();
    let other_signature = text
        .lines()
        .find_map(|l| l.strip_prefix("network_signature = "))
        .unwrap()
        .to_owned();
    let vote_signature = text
        .lines()
        .find_map(|l| l.strip_prefix("vote_signature = "))
        .unwrap()
        .to_owned();
    for (from, to, key) in [
        ("\"health\"", "\"healthy\"", "vote_signature"),
        ("HC-1", "HC-2", "vote_signature"),
        ("4002", "4003", "vote_signature"),
        // Somebody enters another's keys as its own.
        (key(1).as_str(), key(3).as_str(), "vote_signature"),
        (key(2).as_str(), key(3).as_str(), "vote_signature"),
        (
            vote_signature.as_str(),
            other_signature.as_str(),
            "vote_signature",
        ),
        (
            other_signature.as_str(),
            vote_signature.as_str(),
            "network_signature",
        ),
        (vote_signature.as_str(), "\"00\"", "vote_signature"),
    ] {
        let refused = read_member(text.replacen(from, to, 1)).expect_err(to);
        assert_eq!(refused.key, key, "{refused}");
    }
}

#[test]
fn an_account_file_fits_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("account.toml");
    let account = Account {
        name: "Information Centre".parse().unwrap(),
        kind: AccountKind::Registrar,
        organisation_code: Some(OrganisationCode::parse("IC").unwrap()),
        public_key: SecretKey::from_seed(&[5; 32]).public().clone(),
        encryption_key: [9; 32],
    };
    std::fs::write(&file, account.to_toml()).unwrap();
    assert_eq!(Account::load(&file).unwrap(), account);
    assert_eq!(
        member::load_registrar(&file).unwrap().address(),
        account.address()
    );
    let refused = member::load_agency(&file, Vec::new()).unwrap_err();
    assert!(
        refused.to_string().contains("`agency` is needed"),
        "{refused}"
    );

    let other = certchain_proto::Address::of(SecretKey::from_seed(&[6; 32]).public()).to_string();
    let own = account.address().to_string();
    let mistyped = own.replacen('1', "1q", 1);
    for (from, to, key) in [
        (own.as_str(), other.as_str(), "address"),
        (own.as_str(), mistyped.as_str(), "address"),
        ("0909", "09zz", "encryption_key"),
        ("\"registrar\"", "\"king\"", "kind"),
        ("\"IC\"", "\"i c\"", "organisation_code"),
        ("public_key", "publickey", "publickey"),
    ] {
        std::fs::write(&file, account.to_toml().replacen(from, to, 1)).unwrap();
        assert_eq!(Account::load(&file).expect_err(to).key, key, "{to}");
    }
    std::fs::write(
        &file,
        account
            .to_toml()
            .replace("organisation_code = \"IC\"\n", ""),
    )
    .unwrap();
    assert_eq!(Account::load(&file).unwrap().organisation_code, None);
    assert_eq!(
        member::load_registrar(&file).unwrap_err().key,
        "organisation_code"
    );
}
