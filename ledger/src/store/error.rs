//! What can go wrong with the database.

use std::path::PathBuf;

use crate::view::ReadError;

/// Why the database could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds it.
    #[error(
        "the database {} is held by another process; stop that daemon, or give this one a \
         directory of its own", path.display()
    )]
    Locked {
        /// Where it is.
        path: PathBuf,
    },
    /// There is none.
    #[error("there is no database at {}; check the data directory", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// It was written by a release with another layout.
    #[error(
        "the database has format {found}, this release reads {supported}; use the right release"
    )]
    Format {
        /// Its format.
        found: u32,
        /// The format of this release.
        supported: u32,
    },
    /// It is damaged.
    #[error("the database is corrupt: {detail}; restore the node's data from a peer or a backup")]
    Corrupt {
        /// What was found.
        detail: String,
    },
    /// A column that the layout has is not there.
    #[error("the database lacks column {name}; restore the node's data from a peer or a backup")]
    Column {
        /// Its name.
        name: &'static str,
    },
    /// The disk is nearly full. Nothing was written; the same works when there is room.
    #[error(
        "only {} MiB are free on the disk of {}, {} MiB must be; make room there", free >> 20,
        path.display(), reserve >> 20
    )]
    NoRoom {
        /// Where the database is.
        path: PathBuf,
        /// Bytes that are free.
        free: u64,
        /// Bytes that must be free.
        reserve: u64,
    },
    /// The disk or operating system failed.
    #[error("the database failed: {source}; check space, permissions and health of the disk")]
    Io {
        /// What the database says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file beside the database's own reading failed.
    #[error("{} cannot be read: {source}; check its permissions and the disk", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl StoreError {
    pub(crate) fn corrupt(detail: impl Into<String>) -> Self {
        Self::Corrupt {
            detail: detail.into(),
        }
    }

    /// An error while opening, where a held lock is an ordinary one.
    #[cfg(feature = "store")]
    pub(super) fn opening(path: &std::path::Path, error: &rocksdb::Error) -> Self {
        let text = error.to_string();
        let held = text.contains("lock hold by current process")
            || (text.contains("lock") && text.contains("LOCK"));
        if held {
            Self::Locked {
                path: path.to_owned(),
            }
        } else {
            error.clone().into()
        }
    }

    /// Whether the disk is full, so that the same may work later.
    pub fn is_no_room(&self) -> bool {
        match self {
            Self::NoRoom { .. } => true,
            // RocksDB has no kind of its own for it; these are the system's words.
            Self::Io { source } => source.to_string().contains("No space left on device"),
            _ => false,
        }
    }

    /// Whether data, not the disk's moment, is bad.
    pub const fn is_corruption(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Column { .. })
    }
}

#[cfg(feature = "store")]
impl From<rocksdb::Error> for StoreError {
    fn from(source: rocksdb::Error) -> Self {
        match source.kind() {
            rocksdb::ErrorKind::Corruption => Self::Corrupt {
                detail: source.into_string(),
            },
            _ => Self::Io {
                source: source.into(),
            },
        }
    }
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}
