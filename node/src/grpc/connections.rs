//! Incoming connections, no more than the node has agreed to at a time.
//!
//! A connection beyond that is closed at once: its client then goes to another node, which is
//! better than to wait in a backlog behind those that stay.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// A connection that holds its place until it is closed.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

/// At most `limit` of the incoming connections at a time.
pub fn limited(
    incoming: impl Stream<Item = io::Result<TcpStream>>,
    limit: usize,
) -> impl Stream<Item = io::Result<Connection>> {
    let places = Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)));
    incoming.filter_map(move |accepted| {
        let taken = match accepted {
            Err(error) => Some(Err(error)),
            Ok(stream) => match Arc::clone(&places).try_acquire_owned() {
                Ok(place) => Some(Ok(Connection {
                    stream,
                    _place: place,
                })),
                Err(_) => {
                    tracing::debug!(limit, "a gRPC connection above the limit was closed");
                    None
                }
            },
        };
        std::future::ready(taken)
    })
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };
    use tokio_stream::wrappers::TcpListenerStream;

    use super::*;

    #[tokio::test]
    async fn connections_above_the_limit_are_closed_until_one_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut taken = Box::pin(limited(TcpListenerStream::new(listener), 1));
        let _first = TcpStream::connect(address).await.unwrap();
        let held = taken.next().await.unwrap().unwrap();
        let mut refused = TcpStream::connect(address).await.unwrap();
        let mut buffer = [0; 1];
        let ended = tokio::select! {
            _ = taken.next() => None,
            read = refused.read(&mut buffer) => Some(read.unwrap_or(0)),
        };
        assert_eq!(ended, Some(0), "the second one must be closed");
        drop(held);
        let mut third = TcpStream::connect(address).await.unwrap();
        let mut connection = taken.next().await.unwrap().unwrap();
        assert_eq!(
            connection.connect_info().remote_addr(),
            third.local_addr().ok()
        );
        third.write_all(b"x").await.unwrap();
        connection.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"x");
    }
}
