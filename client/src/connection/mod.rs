//! Connections to nodes: submit, wait, read.
//!
//! A connection knows one or several nodes and uses one of them until it fails, then the next. All
//! requests can be repeated safely, submissions too: a transaction is executed once, however often
//! it is submitted. Every request has a deadline. What a node answers is only what it says; see
//! [`crate::light`] for how to check it.

mod certificates;
mod error;
mod governance;
mod read;
mod submit;
pub(crate) mod validators;
mod watch;

#[cfg(test)]
mod tests;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tonic::{
    Request, Response, Status,
    transport::{Channel, Endpoint},
};

pub use error::ConnectionError;
pub use read::BlockRef;
pub use validators::FollowError;
pub use watch::BlockWatch;

/// Largest answer that is read: a full block with its receipts, with room to spare.
pub const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// Most nodes that one connection knows.
pub const MAX_NODES: usize = 64;

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub struct ConnectOptions {
    /// To reach a node.
    pub connect_timeout: Duration,
    /// For one answer.
    pub request_timeout: Duration,
    /// For a transaction to be decided.
    pub decision_timeout: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(15),
            decision_timeout: Duration::from_secs(60),
        }
    }
}

#[derive(Clone, Debug)]
struct Node {
    url: String,
    channel: Channel,
}

/// A connection to one or several nodes. Cheap to clone; clones share the underlying channels.
#[derive(Clone, Debug)]
pub struct Connection {
    nodes: Arc<[Node]>,
    /// The node that answered last.
    preferred: Arc<AtomicUsize>,
    options: ConnectOptions,
}

impl Connection {
    /// Prepares channels to these nodes (`http://host:port`); none is reached until it is needed.
    /// Call it inside a tokio runtime.
    ///
    /// # Errors
    /// If there is no URL, there are too many, or one cannot be read.
    pub fn new(
        urls: impl IntoIterator<Item = impl AsRef<str>>,
        options: ConnectOptions,
    ) -> Result<Self, ConnectionError> {
        let mut nodes = Vec::new();
        for url in urls {
            let url = url.as_ref().trim();
            if nodes.len() >= MAX_NODES {
                return Err(ConnectionError::TooManyNodes);
            }
            nodes.push(Node {
                url: url.to_owned(),
                channel: channel(url, &options)?,
            });
        }
        if nodes.is_empty() {
            return Err(ConnectionError::NoNode);
        }
        Ok(Self {
            nodes: nodes.into(),
            preferred: Arc::default(),
            options,
        })
    }

    /// The waiting times.
    pub const fn options(&self) -> &ConnectOptions {
        &self.options
    }

    /// The nodes, the one that answered last first.
    fn in_order(&self) -> impl Iterator<Item = (usize, &Node)> {
        let first = self.preferred.load(Ordering::Relaxed) % self.nodes.len();
        let (before, after) = self.nodes.split_at(first);
        after
            .iter()
            .zip(first..)
            .chain(before.iter().zip(0..))
            .map(|(node, index)| (index, node))
    }

    /// Sends a request to one node after the other until one answers. Also tells whether an earlier
    /// one failed, in which case the request may have had its effect already.
    async fn call<Q, A, F, Fut>(
        &self,
        what: &'static str,
        limit: Duration,
        question: Q,
        send: F,
    ) -> (Result<A, ConnectionError>, bool)
    where
        Q: Clone,
        F: Fn(Channel, Request<Q>) -> Fut,
        Fut: Future<Output = Result<Response<A>, Status>>,
    {
        let mut failure = None;
        for (index, node) in self.in_order() {
            let mut request = Request::new(question.clone());
            request.set_timeout(limit);
            let answer = tokio::time::timeout(limit, send(node.channel.clone(), request)).await;
            let timeout = ConnectionError::Timeout {
                what,
                seconds: limit.as_secs(),
            };
            let error = match answer {
                Ok(Ok(response)) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return (Ok(response.into_inner()), failure.is_some());
                }
                // A node that hangs is left for the next one.
                Ok(Err(status)) if error::is_local_timeout(&status) => {
                    failure = Some(timeout);
                    continue;
                }
                Err(_) => {
                    failure = Some(timeout);
                    continue;
                }
                Ok(Err(status)) => ConnectionError::from_status(what, &node.url, limit, &status),
            };
            if !error.is_node_failure() {
                return (Err(error), failure.is_some());
            }
            failure = Some(error);
        }
        // There is at least one node, so a failure stands here.
        (Err(failure.unwrap_or(ConnectionError::NoNode)), true)
    }

    /// [`Self::call`] for questions, whose repetition has no effect.
    async fn ask<Q, A, F, Fut>(
        &self,
        what: &'static str,
        question: Q,
        send: F,
    ) -> Result<A, ConnectionError>
    where
        Q: Clone,
        F: Fn(Channel, Request<Q>) -> Fut,
        Fut: Future<Output = Result<Response<A>, Status>>,
    {
        self.call(what, self.options.request_timeout, question, send)
            .await
            .0
    }
}

fn channel(url: &str, options: &ConnectOptions) -> Result<Channel, ConnectionError> {
    let wrong = || ConnectionError::Url {
        url: url.chars().take(200).collect(),
    };
    if !url.starts_with("http://") {
        return Err(wrong());
    }
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| wrong())?;
    if endpoint.uri().host().is_none_or(str::is_empty) {
        return Err(wrong());
    }
    Ok(endpoint
        .connect_timeout(options.connect_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .connect_lazy())
}
