//! What commands share: options, passphrases, the connection, the genesis.

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use certchain_client::{
    certificate::KnownType,
    connection::{ConnectOptions, Connection},
    light::LightClient,
    wallet::{Passphrase, Wallet},
};
use certchain_config::{Genesis, SideChain};
use certchain_proto::{ChainId, TimeMs, wire::v1::BlockHeader};
use clap::Args;
use zeroize::Zeroizing;

use super::{exit_code::Exit, failure::Failure, output::Output, registration::MAIN};

/// Options of all commands.
#[derive(Args, Debug)]
pub struct Common {
    /// Answer in JSON, for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// Node to use, http://host:port; several, separated by commas, stand in for each other
    #[arg(
        long = "node",
        env = "CERTCHAIN_NODE",
        value_name = "URL",
        value_delimiter = ',',
        global = true
    )]
    pub nodes: Vec<String>,
    /// File whose first line is the wallet's passphrase
    #[arg(
        long,
        env = "CERTCHAIN_PASSPHRASE_FILE",
        value_name = "FILE",
        global = true
    )]
    pub passphrase_file: Option<PathBuf>,
    /// Longest wait for a transaction to be decided, in seconds
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=86_400),
        global = true
    )]
    pub timeout: u64,
}

/// Proof on demand.
#[derive(Args, Debug)]
pub struct Verify {
    /// Check the answer's proofs against the genesis, believing no node
    #[arg(long, requires = "genesis")]
    verify: bool,
    /// The network's genesis file
    #[arg(long, env = "CERTCHAIN_GENESIS", value_name = "FILE")]
    genesis: Option<PathBuf>,
}

impl Verify {
    /// A light client of main, if proof is asked for.
    pub fn light_client(&self) -> Result<Option<Follower>, Failure> {
        self.light_client_of(MAIN)
    }

    /// A light client of a chain, if proof is asked for.
    pub fn light_client_of(&self, chain: &str) -> Result<Option<Follower>, Failure> {
        match (&self.genesis, self.verify) {
            (Some(path), true) => {
                let genesis = Genesis::load(path)?;
                Ok(Some(Follower {
                    light: LightClient::of_chain(&genesis, chain)?,
                    chain: chain.to_owned(),
                }))
            }
            _ => Ok(None),
        }
    }

    /// What is trusted instead of the node, if proof is asked for.
    pub fn trust(&self) -> Result<Option<Trust>, Failure> {
        match (&self.genesis, self.verify) {
            (Some(path), true) => Ok(Some(Trust::load(path)?)),
            _ => Ok(None),
        }
    }

    /// The genesis file, whether or not proof of the node's answers is asked for.
    pub fn genesis(&self) -> Option<&Path> {
        self.genesis.as_deref()
    }
}

/// A light client that has yet to hear who decides its chain now.
#[derive(Debug)]
pub struct Follower {
    chain: String,
    light: LightClient,
}

impl Follower {
    /// The light client, with the newest validators that the node knows. To be called once the
    /// answer has come that is to be checked.
    pub async fn caught_up(&mut self, connection: &Connection) -> Result<&LightClient, Failure> {
        connection
            .follow_validators(&self.chain, &mut self.light)
            .await?;
        Ok(&self.light)
    }

    /// The same for one block of many: asks only if the block is of an epoch that is not known.
    pub async fn caught_up_to(
        &mut self,
        connection: &Connection,
        block: Option<&BlockHeader>,
    ) -> Result<&LightClient, Failure> {
        let known = self.light.validators().epoch().get();
        if block.is_some_and(|block| block.epoch > known) {
            return self.caught_up(connection).await;
        }
        Ok(&self.light)
    }
}

/// A genesis, and a light client of main that trusts it.
#[derive(Debug)]
pub struct Trust {
    genesis: Genesis,
    main: LightClient,
}

impl Trust {
    /// Reads a genesis file.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let genesis = Genesis::load(path)?;
        let main = LightClient::new(&genesis)?;
        Ok(Self { genesis, main })
    }

    /// What the genesis says.
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// A light client of main that knows the validators of genesis only: for checks off line.
    pub fn main_of_genesis(&self) -> LightClient {
        self.main.clone()
    }

    /// A light client of main that knows its newest validators.
    pub async fn main(&self, connection: &Connection) -> Result<LightClient, Failure> {
        let mut main = self.main_of_genesis();
        connection.follow_validators(MAIN, &mut main).await?;
        Ok(main)
    }

    /// A light client of a side chain that knows its newest validators.
    pub async fn side(
        &self,
        connection: &Connection,
        side: SideChain,
    ) -> Result<LightClient, Failure> {
        let mut light = LightClient::of_chain(&self.genesis, side.name())?;
        connection
            .follow_validators(side.name(), &mut light)
            .await?;
        Ok(light)
    }

    /// The id of a side chain.
    pub fn chain_of(&self, side: SideChain) -> Result<ChainId, Failure> {
        Ok(LightClient::of_chain(&self.genesis, side.name())?.chain())
    }

    /// A type of the catalogue.
    pub fn known_type(&self, side: SideChain, name: &str) -> Result<KnownType, Failure> {
        let entries = self.genesis.catalogue.iter();
        let found = entries
            .filter(|entry| entry.chain == side)
            .find(|entry| entry.name.as_str() == name);
        let Some(certificate_type) = found else {
            let message = "the certificate's type is not in the catalogue of this genesis";
            return Err(Failure::new(Exit::Unverified, message));
        };
        Ok(KnownType {
            certificate_type: certificate_type.clone(),
            chain: self.chain_of(side)?,
        })
    }
}

/// Whose passphrase is asked for.
const ENVIRONMENT: &str = "CERTCHAIN_PASSPHRASE";

impl Common {
    /// Where answers go.
    pub const fn output(&self) -> Output {
        Output { json: self.json }
    }

    /// The connection; nothing is sent yet.
    pub fn connect(&self) -> Result<Connection, Failure> {
        let options = ConnectOptions {
            decision_timeout: Duration::from_secs(self.timeout),
            ..ConnectOptions::default()
        };
        Ok(Connection::new(&self.nodes, options)?)
    }

    /// The passphrase of a wallet that exists.
    pub fn passphrase(&self, wallet: &Path) -> Result<Passphrase, Failure> {
        let question = format!("Passphrase of {}: ", wallet.display());
        passphrase_from(
            self.passphrase_file.as_deref(),
            ENVIRONMENT,
            &question,
            false,
        )
    }

    /// The passphrase of a wallet that is made; asked for twice.
    pub fn new_passphrase(&self, wallet: &Path) -> Result<Passphrase, Failure> {
        let question = format!("New passphrase of {}: ", wallet.display());
        passphrase_from(
            self.passphrase_file.as_deref(),
            ENVIRONMENT,
            &question,
            true,
        )
    }

    /// Opens a wallet with its passphrase.
    pub fn open(&self, wallet: &Path) -> Result<Wallet, Failure> {
        // First what needs no passphrase, so that nobody types one for a wrong path.
        Wallet::inspect(wallet)?;
        Ok(Wallet::open(wallet, &self.passphrase(wallet)?)?)
    }
}

/// Reads a passphrase from a file, else from the environment, else from the terminal.
pub fn passphrase_from(
    file: Option<&Path>,
    environment: &str,
    question: &str,
    twice: bool,
) -> Result<Passphrase, Failure> {
    if let Some(file) = file {
        return Ok(Passphrase::read(file)?);
    }
    if let Ok(text) = std::env::var(environment).map(Zeroizing::new) {
        return Ok(Passphrase::new(&text)?);
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(
            Exit::Wallet,
            format!("no passphrase: give --passphrase-file or set {environment}"),
        ));
    }
    let ask = |question: &str| {
        rpassword::prompt_password(question)
            .map(Zeroizing::new)
            .map_err(|error| {
                Failure::new(Exit::Wallet, format!("cannot read the passphrase: {error}"))
            })
    };
    let text = ask(question)?;
    if twice && ask("Again: ")? != text {
        return Err(Failure::new(
            Exit::Wallet,
            "the two passphrases differ; try again",
        ));
    }
    Ok(Passphrase::new(&text)?)
}

/// The clock, for the life of transactions.
pub fn now() -> TimeMs {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    TimeMs::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
