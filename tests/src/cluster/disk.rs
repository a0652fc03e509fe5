//! Small disks: a file system in memory over a folder, which can be filled and emptied.
//!
//! To mount one, a test runs in a namespace of its own: no rights are needed where the system allows
//! such namespaces, nobody else sees the mount, and it ends with the test whatever happens.

use std::{
    env,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};
use rustix::fs::{FallocateFlags, fallocate, statvfs};

use super::damage::copy_folder;

/// Set inside of the namespace.
const INSIDE: &str = "CERTCHAIN_TEST_NAMESPACE";
/// Ways into a namespace: for anybody who may have one, and for the superuser where nobody else may.
const WAYS: [&[&str]; 2] = [&["--user", "--map-root-user", "--mount"], &["--mount"]];

/// Whether to go on with this test because it runs where it may mount. If not, the test was run in a
/// namespace of its own, and all is well; or that is not possible here, which is told on standard error
/// even if the output of tests that pass is not shown.
///
/// # Errors
/// If the test failed in there.
pub fn inside(test: &str) -> anyhow::Result<bool> {
    if env::var_os(INSIDE).is_some() {
        return Ok(true);
    }
    let mut reasons = Vec::new();
    for way in WAYS {
        match may_mount(way) {
            Ok(()) => {
                run_inside(way, test)?;
                return Ok(false);
            }
            Err(reason) => reasons.push(format!("{reason:#}")),
        }
    }
    let reasons = reasons.join("; ");
    // Not by `eprintln`, which is kept back when a test passes.
    let told = writeln!(
        std::io::stderr(),
        "{test} is SKIPPED: no file system can be mounted here: {reasons}"
    );
    told.context("standard error is closed")?;
    Ok(false)
}

/// Tries a mount that nobody sees.
fn may_mount(way: &[&str]) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let output = Command::new("unshare")
        .args(way)
        .args(["mount", "-t", "tmpfs", "-o", "size=1m", "none"])
        .arg(folder.path())
        .output()
        .context("unshare cannot be run")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", errors.trim());
    Ok(())
}

fn run_inside(way: &[&str], test: &str) -> anyhow::Result<()> {
    let output = Command::new("unshare")
        .args(way)
        .arg(env::current_exe()?)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .context("unshare cannot be run")?;
    println!("{}", String::from_utf8_lossy(&output.stdout));
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    ensure!(
        output.status.success(),
        "{test} failed in its namespace; see above"
    );
    Ok(())
}

/// A mounted file system; it goes away when this is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Puts a file system of so many bytes over a folder, with what is in the folder.
    ///
    /// # Errors
    /// If it cannot be mounted or has too little room.
    pub fn over(path: &Path, bytes: u64) -> anyhow::Result<Self> {
        let aside = tempfile::tempdir()?;
        copy_folder(path, aside.path())?;
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "none"])
            .arg(path)
            .status()
            .context("mount cannot be run")?;
        ensure!(status.success(), "nothing is mounted: {status}");
        let disk = Self {
            path: path.to_owned(),
        };
        copy_folder(aside.path(), path)?;
        Ok(disk)
    }

    /// Bytes that are free.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn free(&self) -> anyhow::Result<u64> {
        let disk = statvfs(&self.path)?;
        Ok(disk.f_bavail * disk.f_frsize)
    }

    /// Takes all room but so many bytes, with a file beside the node's own.
    ///
    /// # Errors
    /// If less is free.
    pub fn fill(&self, leave: u64) -> anyhow::Result<()> {
        let file = File::create(self.ballast(leave))?;
        let free = self.free()?;
        let take = free.checked_sub(leave).filter(|take| *take > 0);
        let take = take.with_context(|| format!("only {free} bytes are free"))?;
        fallocate(&file, FallocateFlags::empty(), 0, take)?;
        Ok(())
    }

    /// Gives back the room that [`Self::fill`] took to leave so much.
    ///
    /// # Errors
    /// If it was not taken.
    pub fn clear(&self, left: u64) -> anyhow::Result<()> {
        Ok(fs::remove_file(self.ballast(left))?)
    }

    fn ballast(&self, leave: u64) -> PathBuf {
        self.path.join(format!("ballast-{leave}"))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Also while something is open in it; the namespace ends it at the latest.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}
