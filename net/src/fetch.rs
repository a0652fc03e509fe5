//! Requests and answers: one stream each, from the question to the answer's last byte.
//!
//! Question: channel id, body. Answer: one status byte and, if it is [`OK`], a body. Closing the
//! stream early gives up: the asker on its deadline, the answerer when it will not serve.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::Stream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::error::{FetchError, Refusal};
use crate::events::{Request, Responder};
use crate::identity::{ChannelId, PeerId};
use crate::limits::{SERVE_TIMEOUT, TRANSFER_TIMEOUT};
use crate::shared::{Link, Shared};
use crate::streams::Kind;
use crate::wire::{ReadError, read_body, read_channel, write_body};

const OK: u8 = 0;

fn status(refusal: Refusal) -> u8 {
    match refusal {
        Refusal::Declined => 1,
        Refusal::Busy => 2,
        Refusal::UnknownChannel => 3,
        Refusal::RequestTooLarge => 4,
        Refusal::ResponseTooLarge => 5,
        Refusal::Other(code) => code,
    }
}

fn refusal(status: u8) -> Refusal {
    match status {
        1 => Refusal::Declined,
        2 => Refusal::Busy,
        3 => Refusal::UnknownChannel,
        4 => Refusal::RequestTooLarge,
        5 => Refusal::ResponseTooLarge,
        code => Refusal::Other(code),
    }
}

/// Asks a peer and waits for the answer, at most until the deadline, waiting for a free slot
/// included. Dropping the future gives up.
pub(crate) async fn request(
    shared: &Shared,
    peer: PeerId,
    channel: ChannelId,
    data: &[u8],
    deadline: Duration,
) -> Result<Vec<u8>, FetchError> {
    let limit = shared.limits.request_bytes;
    if data.len() > limit {
        return Err(FetchError::RequestTooLarge {
            size: data.len(),
            limit,
        });
    }
    if shared.stop.is_cancelled() {
        return Err(FetchError::Stopped);
    }
    let link = shared
        .link(&peer)
        .ok_or(FetchError::NotConnected { peer })?;
    shared.counters.requests_sent.one();
    let answer = tokio::select! {
        () = link.gone.cancelled() => Err(FetchError::Broken),
        answer = timeout(deadline, exchange(shared, &link, channel, data)) => {
            answer.unwrap_or(Err(FetchError::Deadline { deadline }))
        }
    };
    if answer.is_err() {
        shared.counters.requests_failed.one();
    }
    answer
}

async fn exchange(
    shared: &Shared,
    link: &Link,
    channel: ChannelId,
    data: &[u8],
) -> Result<Vec<u8>, FetchError> {
    let _slot = link
        .requesting
        .acquire()
        .await
        .map_err(|_| FetchError::Stopped)?;
    let mut stream = shared
        .open(link.peer, Kind::Fetch)
        .await
        .ok_or(FetchError::Broken)?;
    let asking = async {
        stream.write_all(channel.as_bytes()).await?;
        write_body(&mut stream, data).await?;
        stream.flush().await
    };
    // A peer that refuses may close the stream before it has read the question; its reason is in
    // the status byte all the same.
    let asked: io::Result<()> = asking.await;
    let mut answer = [0];
    if stream.read_exact(&mut answer).await.is_err() || (asked.is_err() && answer[0] == OK) {
        return Err(FetchError::Broken);
    }
    if answer[0] != OK {
        return Err(FetchError::Refused {
            refusal: refusal(answer[0]),
        });
    }
    let limit = shared.limits.response_bytes;
    read_body(&mut stream, limit)
        .await
        .map_err(|error| match error {
            ReadError::TooLarge { size } => {
                shared.counters.oversize.one();
                FetchError::ResponseTooLarge { size, limit }
            }
            ReadError::Broken => FetchError::Broken,
        })
}

/// Serves one request stream that a peer has opened.
pub(crate) async fn serve(shared: Arc<Shared>, link: Arc<Link>, mut stream: Stream) {
    let served = tokio::select! {
        () = link.gone.cancelled() => return,
        served = answer(&shared, &link, &mut stream) => served,
    };
    match served {
        Some(()) => shared.counters.requests_served.one(),
        None => shared.counters.requests_refused.one(),
    }
}

async fn answer(shared: &Shared, link: &Link, stream: &mut Stream) -> Option<()> {
    // An honest asker keeps to the same bound, so nobody has to wait here.
    let answer = match Arc::clone(&link.serving).try_acquire_owned() {
        Ok(slot) => {
            let answer = answer_of_application(shared, link, stream).await?;
            // The slot is held until the answer is written: it bounds the answers in memory.
            return write_answer(stream, answer, slot).await;
        }
        Err(_) => Err(Refusal::Busy),
    };
    write_answer(stream, answer, ()).await
}

async fn answer_of_application(
    shared: &Shared,
    link: &Link,
    stream: &mut Stream,
) -> Option<Result<Vec<u8>, Refusal>> {
    let limit = shared.limits.request_bytes;
    let question = async {
        let channel = read_channel(stream).await.map_err(|_| ReadError::Broken)?;
        Ok::<_, ReadError>((channel, read_body(stream, limit).await?))
    };
    let (channel, data) = match timeout(TRANSFER_TIMEOUT, question).await.ok()? {
        Ok(question) => question,
        Err(ReadError::TooLarge { .. }) => {
            shared.counters.oversize.one();
            return Some(Err(Refusal::RequestTooLarge));
        }
        Err(ReadError::Broken) => return None,
    };
    let Some(inboxes) = shared.channel(&channel) else {
        return Some(Err(Refusal::UnknownChannel));
    };
    let (reply, answer) = oneshot::channel();
    let size = data.len();
    let request = Request {
        from: link.peer,
        channel,
        data,
        responder: Responder { reply },
    };
    let asking = async {
        match inboxes.requests.push(link.peer, request, size).await {
            // A responder that was dropped has no answer.
            Ok(()) => answer.await.unwrap_or(Err(Refusal::Declined)),
            Err(_) => Err(Refusal::UnknownChannel),
        }
    };
    let mut byte = [0];
    tokio::select! {
        answer = timeout(SERVE_TIMEOUT, asking) => {
            let answer = answer.unwrap_or(Err(Refusal::Busy));
            let limit = shared.limits.response_bytes;
            Some(match answer {
                Ok(body) if body.len() > limit => {
                    tracing::warn!(size = body.len(), limit, "answer above the limit; not sent");
                    Err(Refusal::ResponseTooLarge)
                }
                other => other,
            })
        }
        // The asker sends nothing more: whatever is read means that it has left.
        _ = stream.read(&mut byte) => None,
    }
}

async fn write_answer<Slot>(
    stream: &mut Stream,
    answer: Result<Vec<u8>, Refusal>,
    _slot: Slot,
) -> Option<()> {
    let served = answer.is_ok();
    let writing = async {
        match answer {
            Ok(body) => {
                stream.write_all(&[OK]).await?;
                write_body(stream, &body).await?;
            }
            Err(refusal) => stream.write_all(&[status(refusal)]).await?,
        }
        stream.flush().await?;
        stream.close().await
    };
    timeout(TRANSFER_TIMEOUT, writing).await.ok()?.ok()?;
    served.then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_but_ok_is_a_refusal_and_keeps_its_number() {
        for code in 1..=u8::MAX {
            assert_eq!(status(refusal(code)), code);
        }
    }
}
