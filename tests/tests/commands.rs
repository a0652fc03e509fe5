//! The commands as people type them, on a network that the launch script starts.

use std::process::Command;

use anyhow::{Context as _, ensure};
use certchain_tests::cluster::binaries::{self, workspace};

/// Runs a script of tests/commands in a folder of its own.
fn walk(script: &str) -> anyhow::Result<()> {
    let place = tempfile::tempdir()?;
    let programs = binaries::find(binaries::NODE)?;
    binaries::find(binaries::CLIENT)?;
    let folder = programs.parent().context("the programs have no folder")?;
    let output = Command::new(workspace().join("tests/commands").join(script))
        .arg(place.path().join("network"))
        .env("CERTCHAIN_BIN", folder)
        .env_remove("CERTCHAIN_PASSPHRASE")
        .output()
        .with_context(|| format!("{script} cannot be run"))?;
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{told}{errors}");
    Ok(())
}

#[test]
fn the_life_of_an_identity() -> anyhow::Result<()> {
    walk("identities.sh")
}
