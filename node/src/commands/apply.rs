//! `certchain-node apply`: asks the offices of a running network to let this node vote, or to let it
//! vote with other keys.

use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use certchain_config::{
    Application, Genesis, NodeConfig, OrganisationCode, document::Document, secret,
};
use certchain_proto::{ChainId, SecretKey};

/// Makes the application of a node to the network of its genesis: the public file with which an
/// office proposes to admit it as a validator, or to change its keys. The node's keys sign it; nothing
/// changes before the offices have voted.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node's configuration.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The network's genesis file, if it is not yet where the configuration says.
    #[arg(long, value_name = "FILE")]
    pub genesis: Option<PathBuf>,
    /// Code of the organisation that runs the node: A-Z, 0-9 and '-'. For a change of keys the one
    /// under which it was admitted.
    #[arg(long, value_name = "ORGANISATION-CODE")]
    pub code: OrganisationCode,
    /// File to write; must not exist.
    #[arg(long, value_name = "FILE", default_value = "application.toml")]
    pub out: PathBuf,
    /// Apply with next_vote_key of the configuration instead of vote_key.
    #[arg(long)]
    pub next: bool,
    /// Apply with the network key in this file instead of the present one.
    #[arg(long, value_name = "FILE")]
    pub network_key: Option<PathBuf>,
}

/// Makes the application and writes it.
///
/// # Errors
/// If a file is refused, a key is missing or not another one, or the output file is there already.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let (chain, application) = make(args)?;
    let text = application.to_toml(chain);
    // What is written must be what others read.
    let again = Application::read(&Document::new(&args.out, text.clone()))?;
    ensure!(
        again == (chain, application.clone()),
        "the application does not come back from its own text"
    );
    secret::create(&args.out, 0o644, text.as_bytes())
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    let file = args.out.display();
    println!("application of {} written to {file}", application.name);
    println!("  organisation  {}", application.organisation_code);
    println!("  vote key      {}", application.vote_key);
    println!("  network key   {}", application.network_key);
    println!("  chain id      {chain}");
    println!("Hand it to an office that votes, and compare the keys by another way. It proposes");
    match args.next || args.network_key.is_some() {
        true => {
            println!("`certchain governance propose ... rotate-keys NAME --application {file}`.")
        }
        false => {
            println!("`certchain governance propose ... admit-validator --application {file}`.")
        }
    }
    Ok(())
}

fn make(args: &Args) -> anyhow::Result<(ChainId, Application)> {
    let config = NodeConfig::load(&args.config)?;
    let chain = Genesis::load(args.genesis.as_ref().unwrap_or(&config.genesis))?.chain_id();
    let mut vote_key = config.read_vote_key()?;
    if args.next {
        let Some(next) = config.read_next_vote_key()? else {
            bail!(
                "{} names no next_vote_key under [keys]; make one with `certchain-node new-key`, \
                 enter it there and restart the node",
                args.config.display()
            );
        };
        ensure!(
            next.public() != vote_key.public(),
            "vote_key and next_vote_key hold the same key; make another one with `certchain-node \
             new-key`"
        );
        vote_key = next;
    }
    let network_key = match &args.network_key {
        Some(file) => secret::read_secret_key(file)?,
        None => SecretKey::from_seed(&*config.read_network_seed()?),
    };
    ensure!(
        vote_key.public() != network_key.public(),
        "the vote key and the network key are one key; a node needs two"
    );
    let (name, code) = (config.name, args.code.clone());
    let application = Application::sign(chain, name, code, &vote_key, &network_key);
    Ok((chain, application))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::commands::{genesis, init, new_key};

    /// A node in a folder beside a network's genesis.
    fn node(folder: &Path) -> Args {
        genesis::run(&genesis::tests::args(folder)).unwrap();
        let dir = folder.join("node");
        init::run(&init::Args {
            dir: dir.clone(),
            name: "harbour".parse().unwrap(),
            organisation_code: "HARBOUR".parse().unwrap(),
            listen: "/ip4/127.0.0.1/tcp/4400".parse().unwrap(),
            grpc: "127.0.0.1:4410".parse().unwrap(),
            metrics: "127.0.0.1:4420".parse().unwrap(),
            genesis: "../genesis.toml".to_owned(),
        })
        .unwrap();
        Args {
            config: dir.join("node.toml"),
            genesis: None,
            code: "HARBOUR".parse().unwrap(),
            out: folder.join("application.toml"),
            next: false,
            network_key: None,
        }
    }

    #[test]
    fn an_application_loads_back_and_holds_on_its_network() {
        let folder = tempfile::tempdir().unwrap();
        let args = node(folder.path());
        run(&args).unwrap();
        let (chain, application) = Application::load(&args.out).unwrap();
        let config = NodeConfig::load(&args.config).unwrap();
        assert_eq!(chain, Genesis::load(&config.genesis).unwrap().chain_id());
        assert_eq!(application.check(chain), Ok(()));
        assert_eq!(application.name.as_str(), "harbour");
        assert_eq!(application.organisation_code.as_str(), "HARBOUR");
        let vote_key = config.read_vote_key().unwrap();
        assert_eq!(&application.vote_key, vote_key.public());
        let network_key = secret::read_secret_key(&config.network_key).unwrap();
        assert_eq!(&application.network_key, network_key.public());
        let before = fs::read(&args.out).unwrap();
        assert!(run(&args).is_err(), "an application is never overwritten");
        assert_eq!(fs::read(&args.out).unwrap(), before);
    }

    #[test]
    fn a_genesis_elsewhere_is_taken_if_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut args = node(folder.path());
        let elsewhere = folder.path().join("elsewhere.toml");
        fs::rename(folder.path().join("genesis.toml"), &elsewhere).unwrap();
        assert!(run(&args).is_err());
        args.genesis = Some(elsewhere);
        run(&args).unwrap();
    }

    #[test]
    fn new_keys_apply_where_they_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut args = node(folder.path());
        args.next = true;
        let refused = run(&args).unwrap_err().to_string();
        assert!(refused.contains("next_vote_key"), "{refused}");

        let next = new_key::make(&folder.path().join("node/keys/next.key")).unwrap();
        let text = fs::read_to_string(&args.config).unwrap();
        let text = text.replace("[keys]\n", "[keys]\nnext_vote_key = \"keys/next.key\"\n");
        fs::write(&args.config, text).unwrap();
        let file = folder.path().join("network.key");
        let network = new_key::make(&file).unwrap();
        args.network_key = Some(file.clone());
        run(&args).unwrap();
        let (_, application) = Application::load(&args.out).unwrap();
        assert_eq!(&application.vote_key, next.public());
        assert_eq!(&application.network_key, network.public());

        args.out = folder.path().join("second.toml");
        fs::remove_file(&file).unwrap();
        secret::create_secret_key(&file, &next).unwrap();
        let refused = run(&args).unwrap_err().to_string();
        assert!(refused.contains("a node needs two"), "{refused}");
    }
}
