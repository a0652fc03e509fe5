//! Blocks as they are decided.

use std::time::Duration;

use certchain_proto::{
    Height,
    wire::v1::{Block, StreamBlocksRequest, StreamBlocksResponse},
};
use tonic::{Request, Status, Streaming};

use super::{Connection, ConnectionError, read::chain_client};

/// Most attempts in a row to take up a broken stream.
const MAX_ATTEMPTS: u32 = 10;
/// Wait after the first failed attempt; doubled by each further one, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Blocks in order without gaps: when a node fails, another one goes on where it stopped.
#[derive(Debug)]
pub struct BlockWatch {
    connection: Connection,
    chain: String,
    header_only: bool,
    next: Option<Height>,
    stream: Option<Streaming<StreamBlocksResponse>>,
    url: String,
    /// Whether a node has taken the request once; before, a failure is reported at once.
    opened: bool,
}

impl Connection {
    /// Watches a chain from a height on; left out, from the next block.
    pub fn watch(&self, chain: &str, from: Option<Height>, header_only: bool) -> BlockWatch {
        BlockWatch {
            connection: self.clone(),
            chain: chain.to_owned(),
            header_only,
            next: from,
            stream: None,
            url: String::new(),
            opened: false,
        }
    }
}

impl BlockWatch {
    const WHAT: &str = "the stream of blocks";

    /// The next block; waits as long as it takes.
    ///
    /// # Errors
    /// If no node goes on, or one skips a block.
    pub async fn next(&mut self) -> Result<Block, ConnectionError> {
        let (mut attempts, mut pause) = (0, FIRST_PAUSE);
        loop {
            let error = match self.step().await {
                Ok(block) => return Ok(block),
                Err(error) => error,
            };
            self.stream = None;
            attempts += 1;
            if !self.opened || !error.is_node_failure() || attempts >= MAX_ATTEMPTS {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn step(&mut self) -> Result<Block, ConnectionError> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let opened = self.open().await?;
                self.stream.insert(opened)
            }
        };
        let answer = match stream.message().await {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                let reason = "the node ended the stream".to_owned();
                return Err(ConnectionError::Unreachable {
                    url: self.url.clone(),
                    reason,
                });
            }
            Err(status) => {
                return Err(self.failure(&status));
            }
        };
        let wrong = |problem| ConnectionError::Answer {
            what: Self::WHAT,
            problem,
        };
        let block = answer.block.ok_or(wrong("a block is missing"))?;
        let height = block
            .header
            .as_ref()
            .map(|header| Height::new(header.height));
        let height = height.ok_or(wrong("a header is missing"))?;
        if self.next.is_some_and(|next| next != height) {
            return Err(wrong("a block was skipped or repeated"));
        }
        self.next = Some(height.next());
        Ok(block)
    }

    fn failure(&self, status: &Status) -> ConnectionError {
        let limit = self.connection.options.request_timeout;
        ConnectionError::from_status(Self::WHAT, &self.url, limit, status)
    }

    async fn open(&mut self) -> Result<Streaming<StreamBlocksResponse>, ConnectionError> {
        let limit = self.connection.options.request_timeout;
        let mut failure = ConnectionError::NoNode;
        for (_, node) in self.connection.in_order() {
            let request = Request::new(StreamBlocksRequest {
                chain: self.chain.clone(),
                from_height: self.next.map(Height::get),
                header_only: self.header_only,
            });
            match chain_client(node.channel.clone())
                .stream_blocks(request)
                .await
            {
                Ok(answer) => {
                    self.url.clone_from(&node.url);
                    self.opened = true;
                    return Ok(answer.into_inner());
                }
                Err(status) => {
                    failure = ConnectionError::from_status(Self::WHAT, &node.url, limit, &status);
                    if !failure.is_node_failure() {
                        break;
                    }
                }
            }
        }
        Err(failure)
    }
}
