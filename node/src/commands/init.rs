//! `certchain-node init`: a new node's keys, journal and configuration.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use certchain_config::{
    Member, Name, NetAddress, OrganisationCode,
    node::{NodeTemplate, all_chains},
    secret,
};
use certchain_proto::SecretKey;

use super::new_key;
use crate::{chain::journal_dir, journal::FileJournal};

/// Makes what a new node needs, in a folder of its own: two secret keys, an empty journal of votes,
/// `node.toml`, and `member.toml`, the public file for those who put the genesis together.
///
/// Keys that are there already are used and never overwritten; a configuration that is there
/// already is left alone.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node's folder; made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// The node's name: a-z, 0-9, '-' and '_'.
    #[arg(long)]
    pub name: Name,
    /// Code of the organisation that runs it: A-Z, 0-9 and '-'.
    #[arg(long, value_name = "CODE")]
    pub organisation_code: OrganisationCode,
    /// Where peers connect.
    #[arg(
        long,
        value_name = "MULTIADDR",
        default_value = "/ip4/127.0.0.1/tcp/4400"
    )]
    pub listen: NetAddress,
    /// Where clients connect.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:4410")]
    pub grpc: SocketAddr,
    /// Where metrics are served.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:4420")]
    pub metrics: SocketAddr,
    /// The genesis file, as node.toml will name it; relative paths start at DIR.
    #[arg(long, value_name = "FILE", default_value = "genesis.toml")]
    pub genesis: String,
}

/// Makes the node's files.
///
/// # Errors
/// If a configuration is there already, a key file is unfit, or the disk refuses.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let config = args.dir.join("node.toml");
    if config.exists() {
        bail!(
            "{} is there already; this folder holds a node. Choose another folder",
            config.display()
        );
    }
    fs::create_dir_all(&args.dir).with_context(|| format!("cannot make {}", args.dir.display()))?;
    let keys = args.dir.join("keys");
    private_folder(&keys).with_context(|| format!("cannot make {}", keys.display()))?;

    let vote_key = vote_key(&keys.join("vote.key"), &args.dir.join("data"))?;
    let network_key = key(&keys.join("network.key"))?;
    let member = Member::sign(
        args.name.clone(),
        args.organisation_code.clone(),
        args.listen,
        &vote_key,
        &network_key,
    );
    let member_file = args.dir.join("member.toml");
    secret::replace(&member_file, 0o644, member.to_toml().as_bytes())
        .with_context(|| format!("cannot write {}", member_file.display()))?;
    let text = NodeTemplate {
        name: &args.name,
        genesis: &args.genesis,
        listen: args.listen,
        grpc: args.grpc,
        metrics: args.metrics,
    }
    .to_toml();
    // Last: the file whose presence says that the folder is complete.
    secret::create(&config, 0o644, text.as_bytes())
        .with_context(|| format!("cannot write {}", config.display()))?;

    println!("node {} is set up in {}", args.name, args.dir.display());
    println!("  vote key     {}", vote_key.public());
    println!("  network key  {}", network_key.public());
    println!(
        "Hand {} to those who put the genesis together. A network that",
        member_file.display()
    );
    println!("runs already admits by vote: put its genesis in place, then `certchain-node apply`.");
    println!("Never hand out {}.", keys.display());
    Ok(())
}

/// The vote key, with an empty journal for each chain if the key is new.
///
/// An empty journal says "this key has never voted", so only a key that is made here gets one. A
/// key that is there already may have voted: without its journal the node must start as one that
/// lost its memory.
fn vote_key(file: &Path, data_dir: &Path) -> anyhow::Result<SecretKey> {
    if file.exists() {
        return Ok(secret::read_secret_key(file)?);
    }
    let chains = all_chains();
    let journals = chains.iter().map(|chain| journal_dir(data_dir, chain));
    if let Some(journal) = journals.clone().find(|journal| journal.exists()) {
        bail!(
            "{} is there without its vote key {}; bring the key back, or remove the journal if \
             the key is lost for good",
            journal.display(),
            file.display()
        );
    }
    let key = new_key::make(file)?;
    for journal in journals {
        FileJournal::create(&journal)?;
    }
    Ok(key)
}

fn key(file: &Path) -> anyhow::Result<SecretKey> {
    if file.exists() {
        return Ok(secret::read_secret_key(file)?);
    }
    new_key::make(file)
}

fn private_folder(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
        }
        result => result,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use certchain_config::node::MAIN;

    use crate::journal::Found;
    use certchain_config::NodeConfig;

    fn args(dir: &Path) -> Args {
        Args {
            dir: dir.to_owned(),
            name: "health".parse().unwrap(),
            organisation_code: "HC".parse().unwrap(),
            listen: "/ip4/127.0.0.1/tcp/4400".parse().unwrap(),
            grpc: "127.0.0.1:4410".parse().unwrap(),
            metrics: "127.0.0.1:4420".parse().unwrap(),
            genesis: "genesis.toml".to_owned(),
        }
    }

    #[test]
    fn a_new_node_can_be_read_and_its_keys_are_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("node");
        run(&args(&dir)).unwrap();
        let config = NodeConfig::load(&dir.join("node.toml")).unwrap();
        let member = Member::load(&dir.join("member.toml")).unwrap();
        assert_eq!(config.read_vote_key().unwrap().public(), member.vote_key());
        let network = SecretKey::from_seed(&config.read_network_seed().unwrap());
        assert_eq!(network.public(), member.network_key());
        assert_eq!(config.genesis, dir.join("genesis.toml"));
        let mode = fs::metadata(dir.join("keys")).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700);
        let opened = FileJournal::open(&journal_dir(&config.data_dir, MAIN), [7; 32]).unwrap();
        assert_eq!(opened.found, Found::Whole, "a new key has never voted");
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        run(&args(dir)).unwrap();
        let before = fs::read(dir.join("keys/vote.key")).unwrap();
        let refused = run(&args(dir)).unwrap_err();
        assert!(refused.to_string().contains("holds a node"), "{refused}");
        // Interrupted before the last file: the keys are taken up again.
        fs::remove_file(dir.join("node.toml")).unwrap();
        run(&args(dir)).unwrap();
        assert_eq!(fs::read(dir.join("keys/vote.key")).unwrap(), before);
    }

    #[test]
    fn an_old_key_gets_no_empty_journal() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        run(&args(dir)).unwrap();
        fs::remove_file(dir.join("node.toml")).unwrap();
        fs::remove_dir_all(dir.join("data")).unwrap();
        run(&args(dir)).unwrap();
        let opened = FileJournal::open(&journal_dir(&dir.join("data"), MAIN), [7; 32]).unwrap();
        assert!(
            matches!(opened.found, Found::Amnesia(_)),
            "the key may have voted before"
        );
    }

    #[test]
    fn a_journal_without_its_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        run(&args(dir)).unwrap();
        fs::remove_file(dir.join("node.toml")).unwrap();
        fs::remove_file(dir.join("keys/vote.key")).unwrap();
        let refused = run(&args(dir)).unwrap_err();
        assert!(
            refused.to_string().contains("without its vote key"),
            "{refused}"
        );
    }
}
