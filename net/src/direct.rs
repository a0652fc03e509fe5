//! The direct path: votes and the like, one ordered stream per peer, channel and direction.
//!
//! The opener writes the channel's id; the other side answers with one byte once it is ready to
//! deliver, and only then do messages flow, so that none is lost to a peer that has not subscribed
//! yet. From there on the opener only writes and the other side only reads.
//!
//! Why a stream per channel and not one for all: a chain whose application lags stops reading its
//! own stream, and the peer's votes on the other chains go on.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::io::{BufReader, BufWriter};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::Stream;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::error::SendError;
use crate::events::Direct;
use crate::identity::{ChannelId, PeerId};
use crate::limits::{Limits, OPEN_TIMEOUT, REOPEN_CAP, REOPEN_FIRST, STABLE_AFTER};
use crate::pace::Pace;
use crate::shared::{Link, Shared, lock};
use crate::streams::Kind;
use crate::wire::{ReadError, read_body, read_channel, write_body};

/// The answer to a channel's id: messages on it will be delivered.
const READY: u8 = 1;

/// Small messages that wait together leave in one write.
const WRITE_BUFFER: usize = 64 * 1024;
const READ_BUFFER: usize = 32 * 1024;

/// Direct messages that wait for one peer on one channel. The oldest goes first when there is no
/// room: of votes the newest say most, and consensus repeats what was not answered.
pub(crate) struct OutQueue {
    state: Mutex<OutState>,
    filled: Notify,
    /// Cancelled when the peer is gone or the channel is no longer ours.
    end: CancellationToken,
}

#[derive(Default)]
struct OutState {
    frames: VecDeque<Arc<[u8]>>,
    bytes: usize,
}

impl OutQueue {
    fn new(end: CancellationToken) -> Self {
        Self {
            state: Mutex::default(),
            filled: Notify::new(),
            end,
        }
    }

    /// Takes the message in; says how many older ones had to go.
    fn push(&self, frame: Arc<[u8]>, limits: &Limits) -> usize {
        let mut dropped = 0;
        let mut state = lock(&self.state);
        while !state.frames.is_empty()
            && (state.frames.len() >= limits.direct_out_frames
                || state.bytes.saturating_add(frame.len()) > limits.direct_out_bytes)
        {
            state.pop();
            dropped += 1;
        }
        state.bytes = state.bytes.saturating_add(frame.len());
        state.frames.push_back(frame);
        drop(state);
        self.filled.notify_one();
        dropped
    }

    fn pop(&self) -> Option<Arc<[u8]>> {
        lock(&self.state).pop()
    }

    fn is_empty(&self) -> bool {
        lock(&self.state).frames.is_empty()
    }

    fn clear(&self) -> usize {
        let dropped = std::mem::take(&mut *lock(&self.state));
        dropped.frames.len()
    }

    async fn filled(&self) {
        while self.is_empty() {
            self.filled.notified().await;
        }
    }
}

impl OutState {
    fn pop(&mut self) -> Option<Arc<[u8]>> {
        let frame = self.frames.pop_front()?;
        self.bytes = self.bytes.saturating_sub(frame.len());
        Some(frame)
    }
}

/// Queues a message for one peer; never waits. Says how many older messages were dropped for it.
pub(crate) fn send(
    shared: &Arc<Shared>,
    peer: &PeerId,
    channel: ChannelId,
    frame: Arc<[u8]>,
) -> Result<usize, SendError> {
    let limit = shared.limits.direct_bytes;
    if frame.len() > limit {
        return Err(SendError::TooLarge {
            size: frame.len(),
            limit,
        });
    }
    // This also bounds the number of queues, as the application chooses its channels.
    if shared.channel(&channel).is_none() {
        return Err(SendError::NotSubscribed { channel });
    }
    let link = shared
        .link(peer)
        .ok_or(SendError::NotConnected { peer: *peer })?;
    let queue = Arc::clone(lock(&link.outbound).entry(channel).or_insert_with(|| {
        let queue = Arc::new(OutQueue::new(link.gone.child_token()));
        let writer = run_writer(
            Arc::clone(shared),
            Arc::clone(&link),
            channel,
            Arc::clone(&queue),
        );
        shared.tasks.spawn_on(writer, &shared.runtime);
        queue
    }));
    let dropped = queue.push(frame, &shared.limits);
    shared.counters.direct_sent.one();
    shared.counters.direct_dropped.add(dropped);
    Ok(dropped)
}

/// Ends both directions of a channel that is no longer subscribed to.
pub(crate) fn end_channel(link: &Link, channel: &ChannelId) {
    if let Some(queue) = lock(&link.outbound).remove(channel) {
        queue.end.cancel();
    }
    if let Some(reader) = lock(&link.readers).remove(channel) {
        reader.cancel();
    }
}

async fn run_writer(
    shared: Arc<Shared>,
    link: Arc<Link>,
    channel: ChannelId,
    queue: Arc<OutQueue>,
) {
    tokio::select! {
        () = queue.end.cancelled() => {}
        () = keep_writing(&shared, &link, channel, &queue) => {}
    }
    shared.counters.direct_dropped.add(queue.clear());
}

async fn keep_writing(shared: &Shared, link: &Link, channel: ChannelId, queue: &OutQueue) {
    let mut wait = REOPEN_FIRST;
    loop {
        queue.filled().await;
        let mut lived = Duration::ZERO;
        if let Some(stream) = open(shared, link.peer, channel).await {
            shared.counters.direct_streams.one();
            let opened = Instant::now();
            let (mut back, mut out) = stream.split();
            let mut byte = [0];
            // Nothing comes back on this stream, so whatever is read is its end.
            tokio::select! {
                _ = back.read(&mut byte) => {}
                _ = write_frames(&mut out, queue) => {}
            }
            lived = opened.elapsed();
            tracing::debug!(peer = %link.peer, %channel, "direct stream ended; opening another");
        }
        if lived >= STABLE_AFTER {
            wait = REOPEN_FIRST;
        }
        sleep(wait).await;
        wait = wait.saturating_mul(2).min(REOPEN_CAP);
    }
}

async fn open(shared: &Shared, peer: PeerId, channel: ChannelId) -> Option<Stream> {
    let mut stream = shared.open(peer, Kind::Direct).await?;
    let greeting = async {
        stream.write_all(channel.as_bytes()).await?;
        stream.flush().await?;
        let mut answer = [0];
        stream.read_exact(&mut answer).await?;
        Ok::<u8, io::Error>(answer[0])
    };
    let answer = timeout(OPEN_TIMEOUT, greeting).await.ok()?.ok()?;
    (answer == READY).then_some(stream)
}

async fn write_frames(out: &mut (impl AsyncWrite + Unpin), queue: &OutQueue) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(WRITE_BUFFER, out);
    loop {
        while let Some(frame) = queue.pop() {
            write_body(&mut out, &frame).await?;
        }
        // Nothing more waits: what is buffered leaves at once.
        out.flush().await?;
        queue.filled().await;
    }
}

/// Serves a direct stream that a peer has opened, to its end.
pub(crate) async fn run_reader(shared: Arc<Shared>, link: Arc<Link>, mut stream: Stream) {
    let Ok(_permit) = Arc::clone(&link.direct_streams).try_acquire_owned() else {
        shared.counters.streams_refused.one();
        return;
    };
    let greeting = async {
        let channel = read_channel(&mut stream).await.ok()?;
        let inboxes = shared.channel(&channel)?;
        stream.write_all(&[READY]).await.ok()?;
        stream.flush().await.ok()?;
        Some((channel, inboxes))
    };
    let greeted = tokio::select! {
        () = link.gone.cancelled() => return,
        greeted = timeout(OPEN_TIMEOUT, greeting) => greeted,
    };
    let Ok(Some((channel, inboxes))) = greeted else {
        shared.counters.streams_refused.one();
        return;
    };
    // A new stream takes the place of the old one, so that order needs no further thought.
    let replaced = link.gone.child_token();
    if let Some(old) = lock(&link.readers).insert(channel, replaced.clone()) {
        old.cancel();
    }
    let reading = async {
        let mut stream = BufReader::with_capacity(READ_BUFFER, stream);
        let mut pace = Pace::new(shared.limits.direct_in_rate, Instant::now());
        while let Some(data) = read_frame(&shared, &link, &mut stream).await {
            let size = data.len();
            let message = Direct {
                from: link.peer,
                channel,
                data,
            };
            // Waits while the peer's lane is full: the stream is not read meanwhile, and the
            // sender's window closes.
            if inboxes.direct.push(link.peer, message, size).await.is_err() {
                return;
            }
            shared.counters.direct_received.one();
            let wait = pace.take(Instant::now());
            if !wait.is_zero() {
                sleep(wait).await;
            }
        }
    };
    tokio::select! {
        () = replaced.cancelled() => {}
        () = reading => {}
    }
}

async fn read_frame(
    shared: &Shared,
    link: &Link,
    stream: &mut (impl AsyncRead + Unpin),
) -> Option<Vec<u8>> {
    match read_body(stream, shared.limits.direct_bytes).await {
        Ok(data) => Some(data),
        Err(ReadError::TooLarge { size }) => {
            shared.counters.oversize.one();
            tracing::warn!(peer = %link.peer, size, "direct message above the limit; stream closed");
            None
        }
        Err(ReadError::Broken) => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_the_oldest() {
        let limits = Limits {
            direct_out_frames: 3,
            direct_out_bytes: 10,
            ..Limits::default()
        };
        let queue = OutQueue::new(CancellationToken::new());
        let frame = |byte: u8, size: usize| Arc::<[u8]>::from(vec![byte; size]);
        for byte in 1..=3 {
            assert_eq!(queue.push(frame(byte, 1), &limits), 0);
        }
        assert_eq!(queue.push(frame(4, 1), &limits), 1, "by count");
        assert_eq!(queue.push(frame(5, 9), &limits), 2, "by bytes");
        let left: Vec<u8> = std::iter::from_fn(|| queue.pop())
            .map(|frame| frame[0])
            .collect();
        assert_eq!(left, [4, 5]);
        assert_eq!(
            queue.push(frame(6, 50), &limits),
            0,
            "one message is always let in"
        );
        assert_eq!(queue.clear(), 1);
        assert!(queue.is_empty());
    }
}
