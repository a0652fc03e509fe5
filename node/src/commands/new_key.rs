//! `certchain-node new-key`: a fresh key that is to follow a present one.

use std::path::{Path, PathBuf};

use certchain_config::secret;
use certchain_proto::SecretKey;

/// Makes a secret key in a file of its own, mode 0600: the vote key or the network key that a node is
/// to have next. A file that is there already is never overwritten.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File to write; must not exist.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Makes the key.
///
/// # Errors
/// If the file is there already, or the disk refuses.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let key = make(&args.out)?;
    let file = args.out.display();
    println!("a new secret key is in {file}; never hand it out");
    println!("  public key  {}", key.public());
    println!(
        "To vote with it: name it as next_vote_key under [keys] of node.toml, restart the node,"
    );
    println!("then `certchain-node apply --next`. As the network key: `certchain-node apply");
    println!("--network-key {file}`; the node keeps its present one until the change is in force.");
    Ok(())
}

/// Makes a key and its file.
pub(super) fn make(file: &Path) -> anyhow::Result<SecretKey> {
    let key = SecretKey::generate()?;
    secret::create_secret_key(file, &key)?;
    Ok(key)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_new_key_is_its_owners_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let args = Args {
            out: folder.path().join("next.key"),
        };
        run(&args).unwrap();
        let key = secret::read_secret_key(&args.out).unwrap();
        let mode = fs::metadata(&args.out).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let refused = run(&args).unwrap_err().to_string();
        assert!(refused.contains("never overwritten"), "{refused}");
        let same = secret::read_secret_key(&args.out).unwrap();
        assert_eq!(same.public(), key.public());
    }
}
