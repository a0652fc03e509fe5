//! Where the programs under test are.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail, ensure};

/// The daemon.
pub const NODE: &str = "certchain-node";
/// The command line for holders, issuers and verifiers.
pub const CLIENT: &str = "certchain";

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where cargo puts the programs of the profile that this program was built with.
///
/// # Errors
/// If this program is not where cargo puts programs.
pub fn profile_folder() -> anyhow::Result<PathBuf> {
    let here = env::current_exe().context("this program cannot tell where it is")?;
    let folder = here.parent().context("this program has no folder")?;
    // Tests lie in deps/, binaries beside it.
    let is_deps = folder
        .file_name()
        .is_some_and(|name| name == "deps" || name == "examples");
    match folder.parent() {
        Some(parent) if is_deps => Ok(parent.to_owned()),
        _ => Ok(folder.to_owned()),
    }
}

/// Names a folder whose programs are tested instead of those that cargo builds: a release, say.
const PROGRAMS: &str = "CERTCHAIN_PROGRAMS";

/// A program of the workspace; built if it is not there yet.
///
/// # Errors
/// If it is missing and cannot be built.
pub fn find(program: &str) -> anyhow::Result<PathBuf> {
    if let Some(folder) = env::var_os(PROGRAMS) {
        let path = Path::new(&folder).join(program);
        ensure!(
            path.is_file(),
            "{PROGRAMS} is set, and {} is not there",
            path.display()
        );
        return Ok(path);
    }
    let path = profile_folder()?.join(program);
    if !path.is_file() {
        build()?;
    }
    ensure!(
        path.is_file(),
        "{} is not there after a build",
        path.display()
    );
    Ok(path)
}

fn build() -> anyhow::Result<()> {
    let profile = profile_folder()?;
    let target = profile
        .parent()
        .context("the target folder has no parent")?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "-p", "certchain-node", "-p", "certchain-client"])
        .current_dir(workspace())
        .env("CARGO_TARGET_DIR", target)
        .status()
        .context("cargo cannot be run")?;
    if !status.success() {
        bail!("the programs under test do not build; run `cargo build` and see why");
    }
    Ok(())
}
