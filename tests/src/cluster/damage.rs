//! Copies of data folders, and damage done to them.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};

/// Copies a folder with all that is in it. Whatever a running node exchanges meanwhile may be
/// missing: copy the folders of stopped nodes.
///
/// # Errors
/// If the disk refuses.
pub fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// The files of a folder with this ending, by name; those that are empty are left out.
///
/// # Errors
/// If the folder cannot be read.
pub fn files(folder: &Path, ending: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(ending) && entry.metadata()?.len() > 0 {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The one file of a folder whose name begins so.
///
/// # Errors
/// If there is none.
pub fn file_named(folder: &Path, beginning: &str) -> anyhow::Result<PathBuf> {
    let all = files(folder, "")?;
    let found = all.into_iter().rfind(|path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(beginning))
    });
    found.with_context(|| format!("no {beginning}* in {}", folder.display()))
}

/// Flips one bit of a file.
///
/// # Errors
/// If the file is shorter or the disk refuses.
pub fn flip_bit(file: &Path, offset: u64, bit: u8) -> anyhow::Result<()> {
    let opened = OpenOptions::new().read(true).write(true).open(file)?;
    let length = opened.metadata()?.len();
    ensure!(
        offset < length,
        "{} has only {length} bytes",
        file.display()
    );
    let mut byte = [0];
    opened.read_exact_at(&mut byte, offset)?;
    byte[0] ^= 1 << (bit % 8);
    opened.write_all_at(&byte, offset)?;
    Ok(())
}

/// Bytes of the regular files of a folder and the folders in it, of those that `wanted` names.
///
/// # Errors
/// If the disk refuses.
pub fn bytes_in(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sum += bytes_in(&entry.path(), wanted)?;
        } else if kind.is_file() && wanted(&entry.file_name().to_string_lossy()) {
            sum += entry.metadata()?.len();
        }
    }
    Ok(sum)
}
