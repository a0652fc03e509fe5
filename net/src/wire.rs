//! Bytes on a stream: a channel id, then bodies with their length before them.
//!
//! Lengths are 32-bit, little-endian, and checked against the limit before anything is allocated;
//! and as a peer may announce much and send nothing, memory grows only with the bytes that arrive.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::identity::ChannelId;
use crate::limits::{FIRST_ALLOCATION, TRANSFER_TIMEOUT};

/// Why a body could not be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// It announced more than the limit.
    TooLarge { size: usize },
    /// The stream ended, broke or was too slow.
    Broken,
}

impl From<io::Error> for ReadError {
    fn from(_: io::Error) -> Self {
        ReadError::Broken
    }
}

pub(crate) async fn read_channel(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<ChannelId> {
    let mut bytes = [0; 32];
    stream.read_exact(&mut bytes).await?;
    Ok(ChannelId::new(bytes))
}

/// Reads one body. Waits for its beginning as long as it takes, for its rest not for ever.
pub(crate) async fn read_body(
    stream: &mut (impl AsyncRead + Unpin),
    limit: usize,
) -> Result<Vec<u8>, ReadError> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let size = u32::from_le_bytes(length) as usize;
    if size > limit {
        return Err(ReadError::TooLarge { size });
    }
    let mut body = Vec::with_capacity(size.min(FIRST_ALLOCATION));
    let mut announced = stream.take(size as u64);
    match timeout(TRANSFER_TIMEOUT, announced.read_to_end(&mut body)).await {
        Ok(Ok(_)) if body.len() == size => Ok(body),
        _ => Err(ReadError::Broken),
    }
}

/// Writes one body without flushing.
pub(crate) async fn write_body(
    stream: &mut (impl AsyncWrite + Unpin),
    body: &[u8],
) -> io::Result<()> {
    let length = u32::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_all(&length.to_le_bytes()).await?;
    stream.write_all(body).await
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use futures::io::Cursor;

    async fn read(bytes: &[u8], limit: usize) -> Result<Vec<u8>, ReadError> {
        read_body(&mut Cursor::new(bytes.to_vec()), limit).await
    }

    #[tokio::test]
    async fn what_is_written_is_read() {
        for size in [0, 1, 1000, 100_000] {
            let body = vec![0x5a; size];
            let mut wire = Cursor::new(Vec::new());
            write_body(&mut wire, &body).await.unwrap();
            let wire = wire.into_inner();
            assert_eq!(wire.len(), size + 4);
            assert_eq!(read(&wire, size).await.unwrap(), body);
            if size > 0 {
                assert!(matches!(
                    read(&wire, size - 1).await,
                    Err(ReadError::TooLarge { size: announced }) if announced == size
                ));
                assert!(matches!(
                    read(&wire[..wire.len() - 1], size).await,
                    Err(ReadError::Broken)
                ));
            }
        }
    }

    #[tokio::test]
    async fn an_announced_giant_is_refused_by_its_length_alone() {
        assert!(matches!(
            read(&u32::MAX.to_le_bytes(), 1 << 20).await,
            Err(ReadError::TooLarge { size }) if size == u32::MAX as usize
        ));
    }
}
