//! Files that hold a secret key: 64 hexadecimal digits, readable by their owner only.
//!
//! Node keys are not encrypted, since a daemon must start without a person at hand; the file's
//! mode protects them. (Wallets of people are encrypted, by the client.)

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use certchain_proto::SecretKey;
use zeroize::Zeroizing;

/// Why a secret key file was not read or made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretFileError {
    /// There is no such file.
    #[error("{}: the key file does not exist; run `certchain-node init`, or name the right file", file.display())]
    Missing {
        /// The file.
        file: PathBuf,
    },
    /// There is one already, and a key is never overwritten.
    #[error("{}: a key file is already there and is never overwritten; move it away first", file.display())]
    Exists {
        /// The file.
        file: PathBuf,
    },
    /// Others than the owner may read or change the file.
    #[error("{}: others may read or change this key file (mode {mode:04o}); run `chmod 600` on it, and make a new key if it was shared", file.display())]
    OpenToOthers {
        /// The file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A folder, a device, a pipe.
    #[error("{}: is not a regular file", file.display())]
    NotAFile {
        /// The file.
        file: PathBuf,
    },
    /// The content is none.
    #[error("{}: does not hold a secret key (64 hexadecimal digits)", file.display())]
    NotAKey {
        /// The file.
        file: PathBuf,
    },
    /// The operating system refused.
    #[error("{}: the key file cannot be {action}: {kind}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's reason.
        kind: io::ErrorKind,
    },
}

/// Reads a key's seed. It is wiped from memory when dropped.
///
/// # Errors
/// If the file is not there, is open to others, or holds no key.
pub fn read_seed(file: &Path) -> Result<Zeroizing<[u8; 32]>, SecretFileError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => SecretFileError::Missing {
            file: file.to_owned(),
        },
        kind => SecretFileError::Io {
            file: file.to_owned(),
            action: "read",
            kind,
        },
    };
    let opened = File::open(file).map_err(failed)?;
    // Of the opened file, not of the path: the path could be exchanged in between.
    let metadata = opened.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(SecretFileError::NotAFile {
            file: file.to_owned(),
        });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(SecretFileError::OpenToOthers {
            file: file.to_owned(),
            mode,
        });
    }
    let mut text = Zeroizing::new(Vec::with_capacity(128));
    opened.take(128).read_to_end(&mut text).map_err(failed)?;
    let mut seed = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim_ascii(), seed.as_mut_slice()).map_err(|_| {
        SecretFileError::NotAKey {
            file: file.to_owned(),
        }
    })?;
    Ok(seed)
}

/// Reads a secret key.
///
/// # Errors
/// As [`read_seed`].
pub fn read_secret_key(file: &Path) -> Result<SecretKey, SecretFileError> {
    Ok(SecretKey::from_seed(&*read_seed(file)?))
}

/// Writes a new key file with mode 0600. The file appears whole or not at all, and an existing one
/// is never touched.
///
/// # Errors
/// If there is a file already, or the disk refuses.
pub fn create_secret_key(file: &Path, key: &SecretKey) -> Result<(), SecretFileError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => SecretFileError::Exists {
            file: file.to_owned(),
        },
        kind => SecretFileError::Io {
            file: file.to_owned(),
            action: "written",
            kind,
        },
    };
    if fs::symlink_metadata(file).is_ok() {
        return Err(SecretFileError::Exists {
            file: file.to_owned(),
        });
    }
    let seed = Zeroizing::new(key.to_seed());
    let mut text = Zeroizing::new([0; 65]);
    text[64] = b'\n';
    hex::encode_to_slice(seed.as_slice(), &mut text[..64]).map_err(|_| {
        SecretFileError::NotAKey {
            file: file.to_owned(),
        }
    })?;
    create(file, 0o600, text.as_slice()).map_err(failed)
}

/// Creates a file with these bytes and this mode: whole or not at all, never over another.
///
/// # Errors
/// As the operating system says; `AlreadyExists` if there is a file of this name.
pub fn create(file: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let temporary = write_beside(file, mode, bytes)?;
    // A hard link, unlike a rename, fails if the name is taken.
    let linked = fs::hard_link(&temporary, file);
    fs::remove_file(&temporary)?;
    linked?;
    sync_folder(file)
}

/// Replaces a file, or creates it: a reader sees the old bytes or the new ones, never a mixture.
///
/// # Errors
/// As the operating system says.
pub fn replace(file: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let temporary = write_beside(file, mode, bytes)?;
    fs::rename(&temporary, file)?;
    sync_folder(file)
}

fn write_beside(file: &Path, mode: u32, bytes: &[u8]) -> io::Result<PathBuf> {
    let mut name = file
        .file_name()
        .ok_or(io::ErrorKind::InvalidInput)?
        .to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = file.with_file_name(name);
    // Left over from a run that was killed and whose process number has come round again.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)?;
    // The umask may have taken bits away that were asked for.
    opened.set_permissions(fs::Permissions::from_mode(mode))?;
    opened.write_all(bytes)?;
    opened.sync_all()?;
    Ok(temporary)
}

fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vote.key");
        let key = SecretKey::generate().unwrap();
        create_secret_key(&file, &key).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(read_secret_key(&file).unwrap().public(), key.public());
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "no temporary file is left");
    }

    #[test]
    fn a_key_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vote.key");
        let first = SecretKey::generate().unwrap();
        create_secret_key(&file, &first).unwrap();
        let again = create_secret_key(&file, &SecretKey::generate().unwrap());
        assert_eq!(again, Err(SecretFileError::Exists { file: file.clone() }));
        // The last line of defence, when the file appears between the look and the link.
        assert_eq!(
            create(&file, 0o600, b"x").unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(read_secret_key(&file).unwrap().public(), first.public());
    }

    #[test]
    fn what_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vote.key");
        create_secret_key(&file, &SecretKey::generate().unwrap()).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o610, 0o644] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let refused = read_seed(&file).unwrap_err();
            assert_eq!(
                refused,
                SecretFileError::OpenToOthers {
                    file: file.clone(),
                    mode
                }
            );
            assert!(refused.to_string().contains("chmod 600"), "{refused}");
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
        read_seed(&file).unwrap();
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vote.key");
        assert_eq!(
            read_seed(&file).unwrap_err(),
            SecretFileError::Missing { file: file.clone() }
        );
        let long = "ab".repeat(200);
        for text in ["", "00", "zz", &"0g".repeat(32), &"ab".repeat(33), &long] {
            replace(&file, 0o600, text.as_bytes()).unwrap();
            let refused = read_seed(&file).unwrap_err();
            assert_eq!(refused, SecretFileError::NotAKey { file: file.clone() });
            assert!(
                text.len() < 2 || !refused.to_string().contains(text),
                "shows the content"
            );
        }
        let folder_file = folder.path().to_owned();
        let pipe = fs::set_permissions(&folder_file, fs::Permissions::from_mode(0o700));
        pipe.unwrap();
        assert!(matches!(
            read_seed(&folder_file),
            Err(SecretFileError::NotAFile { .. })
        ));
    }
}
