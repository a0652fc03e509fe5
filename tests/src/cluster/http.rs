//! The few lines of HTTP/1.1 that tests need: metrics, and gRPC as browsers speak it.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, bail, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Header lines, in lower case.
    pub headers: String,
    /// The body, without the marks of chunked transfer.
    pub body: Vec<u8>,
}

/// Fetches a path.
///
/// # Errors
/// If there is no answer.
pub async fn get(address: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    exchange(address, head.as_bytes(), &[]).await
}

/// Posts a body.
///
/// # Errors
/// If there is no answer.
pub async fn post(
    address: SocketAddr,
    path: &str,
    headers: &str,
    body: &[u8],
) -> anyhow::Result<Answer> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\
         content-length: {}\r\n\r\n",
        body.len()
    );
    exchange(address, head.as_bytes(), body).await
}

async fn exchange(address: SocketAddr, head: &[u8], body: &[u8]) -> anyhow::Result<Answer> {
    let talk = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(head).await?;
        stream.write_all(body).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        Ok::<_, std::io::Error>(bytes)
    };
    let bytes = timeout(PATIENCE, talk)
        .await
        .with_context(|| format!("{address} does not answer"))?
        .with_context(|| format!("{address} cannot be asked"))?;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> anyhow::Result<Answer> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        bail!("the answer has no header");
    };
    let (head, rest) = bytes.split_at(end);
    let rest = rest.get(4..).unwrap_or_default();
    let headers = String::from_utf8_lossy(head).to_lowercase();
    let code = headers.split(' ').nth(1).and_then(|text| text.parse().ok());
    let status = code.context("the answer has no status")?;
    let chunked = headers.contains("transfer-encoding: chunked");
    let body = if chunked {
        unchunk(rest)?
    } else {
        rest.to_vec()
    };
    Ok(Answer {
        status,
        headers,
        body,
    })
}

fn unchunk(mut rest: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest
            .windows(2)
            .position(|two| two == b"\r\n")
            .context("a chunk is cut off")?;
        let (size, after) = rest.split_at(line);
        let size = usize::from_str_radix(std::str::from_utf8(size)?.trim(), 16)?;
        if size == 0 {
            return Ok(body);
        }
        let after = after.get(2..).unwrap_or_default();
        ensure!(after.len() >= size + 2, "a chunk is cut off");
        let (chunk, next) = after.split_at(size);
        body.extend_from_slice(chunk);
        rest = next.get(2..).unwrap_or_default();
    }
}
