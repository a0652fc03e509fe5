//! Ciphertexts that are too large for the chain, kept by their hashes in a folder of the node.
//!
//! The node cannot read them and deletes none. Only active agencies may put them, so the sum of
//! their bytes is between the operator and the agencies that it serves.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use certchain_ledger::identity::{IdentityKind, IdentityStatus};
use certchain_proto::{
    hash::ContentHash,
    wire::v1::{
        GetContentRequest, GetContentResponse, PutContentRequest, PutContentResponse, QueryTopic,
    },
};
use object_store::{ObjectStore, ObjectStoreExt as _, local::LocalFileSystem};
use tonic::Status;

use super::{
    super::{
        Services, on_worker,
        status::{invalid, unreadable},
    },
    authorisation::AuthorisationError,
};

/// Most bytes of a ciphertext.
const MAX_CONTENT_BYTES: usize = 16 * 1024 * 1024;

/// Most bytes of a message that carries one, with room for its authorisation.
pub(in crate::grpc) const MAX_CONTENT_MESSAGE_BYTES: usize = MAX_CONTENT_BYTES + 4096;

/// The folder of ciphertexts cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the folder of ciphertexts {folder} cannot be used: {reason}; see objects.folder")]
pub struct ContentStoreError {
    folder: PathBuf,
    reason: String,
}

/// Why a ciphertext is not read or written.
#[derive(Debug, thiserror::Error)]
enum ContentError {
    #[error("this node does not hold these bytes; ask the node that took them")]
    Absent,
    #[error("ciphertext {0} is damaged on disk; put it again")]
    Damaged(ContentHash),
    #[error("the store of ciphertexts failed: {0}")]
    Store(#[from] object_store::Error),
    #[error("the node is stopping")]
    Stopping,
}

impl From<ContentError> for Status {
    fn from(error: ContentError) -> Self {
        match error {
            ContentError::Absent => Self::not_found(error.to_string()),
            ContentError::Damaged(_) => {
                tracing::error!(%error, "a ciphertext cannot be served");
                Self::data_loss(error.to_string())
            }
            ContentError::Store(error) => unreadable(error),
            ContentError::Stopping => Self::unavailable(error.to_string()),
        }
    }
}

/// The folder of ciphertexts.
#[derive(Debug)]
pub(super) struct ContentStore {
    objects: Arc<dyn ObjectStore>,
}

impl ContentStore {
    pub(super) fn open(folder: &Path) -> Result<Self, ContentStoreError> {
        let failed = |reason: String| ContentStoreError {
            folder: folder.to_owned(),
            reason,
        };
        std::fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
        let objects = LocalFileSystem::new_with_prefix(folder)
            .map_err(|error| failed(error.to_string()))?
            // The chain may name it for decades: it is on disk before the answer.
            .with_fsync(true);
        Ok(Self {
            objects: Arc::new(objects),
        })
    }

    /// Reads a ciphertext and checks that it is the one asked for.
    async fn get(&self, hash: ContentHash) -> Result<Vec<u8>, ContentError> {
        let found = match self.objects.get(&location(&hash)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Err(ContentError::Absent),
            Err(error) => return Err(error.into()),
        };
        if found.meta.size > MAX_CONTENT_BYTES as u64 {
            return Err(ContentError::Damaged(hash));
        }
        let bytes = Vec::from(found.bytes().await?);
        let (read, bytes) = hashed(bytes).await?;
        match read == hash {
            true => Ok(bytes),
            false => Err(ContentError::Damaged(hash)),
        }
    }

    /// Writes a ciphertext, unless it is there already.
    async fn put(&self, hash: ContentHash, content: Vec<u8>) -> Result<(), ContentError> {
        match self.get(hash).await {
            Ok(_) => return Ok(()),
            // What is damaged is replaced.
            Err(ContentError::Absent | ContentError::Damaged(_)) => {}
            Err(error) => return Err(error),
        }
        self.objects.put(&location(&hash), content.into()).await?;
        Ok(())
    }
}

/// Where a ciphertext is: folders by the first byte, so that none grows too large.
fn location(hash: &ContentHash) -> object_store::path::Path {
    let text = hash.to_string();
    let (folder, name) = text.split_at(2);
    object_store::path::Path::from_iter([folder, name])
}

async fn hashed(bytes: Vec<u8>) -> Result<(ContentHash, Vec<u8>), ContentError> {
    tokio::task::spawn_blocking(move || (ContentHash::of(&bytes), bytes))
        .await
        .map_err(|_| ContentError::Stopping)
}

pub(super) async fn put_content(
    services: &Services,
    request: PutContentRequest,
) -> Result<PutContentResponse, Status> {
    let content = request.content;
    if !(1..=MAX_CONTENT_BYTES).contains(&content.len()) {
        return Err(invalid("content", "must have 1 to 16777216 bytes"));
    }
    let main = services.chain("")?;
    let topics = &[QueryTopic::PutContent];
    let asker = services.asker(main, request.authorisation, topics).await?;
    if asker.account.kind != IdentityKind::Agency
        || asker.account.present.status != IdentityStatus::Active
    {
        return Err(Status::permission_denied(
            "only an active agency may put content",
        ));
    }
    if main.is_paused() {
        // What is left on the disk is for the blocks.
        return Err(Status::resource_exhausted(
            "this node's disk is full; put the content on another node",
        ));
    }
    let size = content.len() as u64;
    let (hash, content) =
        on_worker(main, move |_| Ok((ContentHash::of(&content), content))).await?;
    asker
        .query
        .permits(&hash)
        .map_err(AuthorisationError::from)?;
    services.certificates.content.put(hash, content).await?;
    Ok(PutContentResponse {
        hash: hash.as_bytes().to_vec(),
        size,
    })
}

pub(super) async fn get_content(
    services: &Services,
    request: &GetContentRequest,
) -> Result<GetContentResponse, Status> {
    let hash = ContentHash::from_slice(&request.hash)
        .ok_or_else(|| invalid("hash", "must have 32 bytes"))?;
    let content = services.certificates.content.get(hash).await?;
    Ok(GetContentResponse { content })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_put_comes_back_and_damage_is_told_and_mended() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("deep/objects");
        let store = ContentStore::open(&inner).unwrap();
        let content = vec![7; 100_000];
        let hash = ContentHash::of(&content);
        assert!(matches!(store.get(hash).await, Err(ContentError::Absent)));
        store.put(hash, content.clone()).await.unwrap();
        store.put(hash, content.clone()).await.unwrap();
        assert_eq!(store.get(hash).await.unwrap(), content);

        let text = hash.to_string();
        let file = inner.join(&text[..2]).join(&text[2..]);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[500] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        let damaged = store.get(hash).await;
        assert!(matches!(damaged, Err(ContentError::Damaged(h)) if h == hash));
        store.put(hash, content.clone()).await.unwrap();
        assert_eq!(store.get(hash).await.unwrap(), content);
        // Another start finds it.
        let again = ContentStore::open(&inner).unwrap();
        assert_eq!(again.get(hash).await.unwrap(), content);
    }

    #[tokio::test]
    async fn an_oversized_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::open(folder.path()).unwrap();
        let hash = ContentHash::of(b"x");
        let text = hash.to_string();
        std::fs::create_dir(folder.path().join(&text[..2])).unwrap();
        let path = folder.path().join(&text[..2]).join(&text[2..]);
        let file = std::fs::File::create(path).unwrap();
        file.set_len(MAX_CONTENT_BYTES as u64 + 1).unwrap();
        assert!(matches!(
            store.get(hash).await,
            Err(ContentError::Damaged(_))
        ));
    }

    #[test]
    fn a_folder_that_is_a_file_is_refused_with_its_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = ContentStore::open(file.path()).unwrap_err().to_string();
        assert!(
            error.contains(&file.path().display().to_string()),
            "{error}"
        );
    }
}
