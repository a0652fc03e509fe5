//! `certchain-node genesis`: a network's genesis from the members' public files.

use std::{
    path::PathBuf,
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use certchain_config::{
    Genesis, GenesisContent, Member, Name, Parameters, document::Document, member, secret,
};
use certchain_proto::{TimeMs, block::PROTOCOL};

/// Assembles a genesis from public files only: each organisation makes its keys itself, and no
/// machine ever holds two organisations' keys. Every member file must prove that its sender holds
/// the keys in it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the network: a-z, 0-9, '-' and '_'.
    #[arg(long, value_name = "NAME")]
    pub network: Name,
    /// The validators' member.toml files, in the order in which they lead.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub member: Vec<PathBuf>,
    /// The registrars' account files.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub registrar: Vec<PathBuf>,
    /// The agencies' account files, each with the certificate types that it may issue.
    #[arg(long, value_name = "FILE[=TYPE,TYPE]", required = true, num_args = 1..)]
    pub agency: Vec<AgencyFile>,
    /// File with the certificate types of the network.
    #[arg(long, value_name = "FILE")]
    pub catalogue: Option<PathBuf>,
    /// File with [limits] and [timers], if the defaults do not fit.
    #[arg(long, value_name = "FILE")]
    pub parameters: Option<PathBuf>,
    /// Time of the genesis block in milliseconds since 1970; now, if left out.
    #[arg(long, value_name = "MS")]
    pub time_ms: Option<u64>,
    /// File to write; must not exist.
    #[arg(long, value_name = "FILE", default_value = "genesis.toml")]
    pub out: PathBuf,
}

/// An agency's account file and what it may issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgencyFile {
    /// The file.
    pub file: PathBuf,
    /// Names of certificate types.
    pub may_issue: Vec<Name>,
}

impl FromStr for AgencyFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((file, types)) = text.rsplit_once('=') else {
            return Ok(Self {
                file: text.into(),
                may_issue: Vec::new(),
            });
        };
        let may_issue = types
            .split(',')
            .map(|name| Name::parse(name).map_err(|problem| format!("`{name}` {problem}")))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            file: file.into(),
            may_issue,
        })
    }
}

/// Assembles the genesis and writes it.
///
/// # Errors
/// If a file is refused, the whole contradicts itself, or the output file is there already.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let genesis = assemble(args)?;
    secret::create(&args.out, 0o644, genesis.to_toml().as_bytes())
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    println!(
        "genesis of network {} written to {}: {} validators, {} registrars, {} agencies",
        genesis.network,
        args.out.display(),
        genesis.validators.len(),
        genesis.registrars.len(),
        genesis.agencies.len()
    );
    println!("  chain id  {}", genesis.chain_id());
    println!("All nodes need this file; compare the chain id with the others before you start.");
    Ok(())
}

fn assemble(args: &Args) -> anyhow::Result<Genesis> {
    let time_ms = match args.time_ms {
        Some(time) => time,
        None => u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?,
    };
    let mut validators = Vec::with_capacity(args.member.len());
    for file in &args.member {
        validators.push(Member::load(file)?.to_validator());
    }
    let mut registrars = Vec::with_capacity(args.registrar.len());
    for file in &args.registrar {
        registrars.push(member::load_registrar(file)?);
    }
    let mut agencies = Vec::with_capacity(args.agency.len());
    for agency in &args.agency {
        agencies.push(member::load_agency(&agency.file, agency.may_issue.clone())?);
    }
    let catalogue = match &args.catalogue {
        Some(file) => member::load_catalogue(file)?,
        None => Vec::new(),
    };
    let parameters = match &args.parameters {
        Some(file) => Parameters::load(file)?,
        None => Parameters::default(),
    };
    let genesis = Genesis::new(GenesisContent {
        protocol: PROTOCOL,
        network: args.network.clone(),
        time_ms: TimeMs::new(time_ms),
        validators,
        registrars,
        agencies,
        catalogue,
        limits: parameters.limits,
        timers: parameters.timers,
        tag_key_version: parameters.tag_key_version,
        governance: parameters.governance,
    })
    .context("the files do not fit together")?;
    // What is written must be what others read.
    let again = Genesis::read(&Document::new(&args.out, genesis.to_toml()))?;
    anyhow::ensure!(
        again == genesis,
        "the genesis does not come back from its own text"
    );
    Ok(genesis)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
pub(super) mod tests {
    use super::*;
    use certchain_config::{Account, AccountKind};
    use certchain_proto::SecretKey;
    use std::{fs, path::Path};

    fn member(folder: &Path, name: &str, seed: u8) -> PathBuf {
        let member = Member::sign(
            name.parse().unwrap(),
            name.to_uppercase().parse().unwrap(),
            "/ip4/127.0.0.1/tcp/4400".parse().unwrap(),
            &SecretKey::from_seed(&[seed; 32]),
            &SecretKey::from_seed(&[seed + 1; 32]),
        );
        let file = folder.join(format!("{name}.toml"));
        fs::write(&file, member.to_toml()).unwrap();
        file
    }

    fn account(folder: &Path, kind: AccountKind, seed: u8) -> PathBuf {
        let account = Account {
            name: "An office".parse().unwrap(),
            kind,
            organisation_code: Some(format!("O{seed}").parse().unwrap()),
            public_key: SecretKey::from_seed(&[seed; 32]).public().clone(),
            encryption_key: [seed; 32],
        };
        let file = folder.join(format!("account{seed}.toml"));
        fs::write(&file, account.to_toml()).unwrap();
        file
    }

    /// A network's files in a folder.
    pub(in crate::commands) fn args(folder: &Path) -> Args {
        let catalogue = folder.join("catalogue.toml");
        fs::write(
            &catalogue,
            include_str!("../../../config/devnet/catalogue.toml"),
        )
        .unwrap();
        let agency = account(folder, AccountKind::Agency, 21);
        Args {
            network: "testnet".parse().unwrap(),
            member: vec![member(folder, "education", 1), member(folder, "health", 3)],
            registrar: vec![account(folder, AccountKind::Registrar, 20)],
            agency: vec![format!("{}=degree", agency.display()).parse().unwrap()],
            catalogue: Some(catalogue),
            parameters: None,
            time_ms: Some(1_760_000_000_000),
            out: folder.join("genesis.toml"),
        }
    }

    #[test]
    fn a_genesis_is_assembled_from_public_files() {
        let folder = tempfile::tempdir().unwrap();
        let args = args(folder.path());
        run(&args).unwrap();
        let genesis = Genesis::load(&args.out).unwrap();
        assert_eq!(genesis.validators[0].name.as_str(), "education");
        assert_eq!(genesis.agencies[0].may_issue[0].as_str(), "degree");
        assert_eq!(genesis.validator_set().len(), 2);
        assert!(
            run(&args).is_err(),
            "an existing genesis is never overwritten"
        );
        assert_eq!(Genesis::load(&args.out).unwrap(), genesis);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let good = args(folder.path());
        let refused = |change: &dyn Fn(&mut Args), reason: &str| {
            let mut args = args(folder.path());
            change(&mut args);
            let error = format!("{:#}", assemble(&args).unwrap_err());
            assert!(error.contains(reason), "{error}");
        };
        refused(
            &|a| a.member.push(good.member[0].clone()),
            "validators[2].name",
        );
        refused(
            &|a| a.registrar = vec![good.agency[0].file.clone()],
            "`registrar` is needed",
        );
        refused(
            &|a| {
                a.agency = vec![AgencyFile {
                    file: good.registrar[0].clone(),
                    may_issue: vec![],
                }]
            },
            "`agency` is needed",
        );
        refused(
            &|a| a.catalogue = None,
            "`degree` is not defined in catalogue",
        );
        refused(
            &|a| a.member[0] = folder.path().join("nobody.toml"),
            "nobody.toml",
        );
        let forged = folder.path().join("forged.toml");
        let text = fs::read_to_string(&good.member[0])
            .unwrap()
            .replace("EDUCATION", "OTHER");
        fs::write(&forged, text).unwrap();
        refused(&|a| a.member[0] = forged.clone(), "vote_signature");
    }

    #[test]
    fn agency_arguments() {
        let agency: AgencyFile = "a/b.toml=degree,health".parse().unwrap();
        assert_eq!(agency.file, Path::new("a/b.toml"));
        assert_eq!(agency.may_issue.len(), 2);
        assert!("x.toml".parse::<AgencyFile>().unwrap().may_issue.is_empty());
        assert!("x.toml=".parse::<AgencyFile>().is_err());
        assert!("x.toml=Degree".parse::<AgencyFile>().is_err());
    }
}
