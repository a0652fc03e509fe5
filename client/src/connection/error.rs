//! What can go wrong between client and node.

use std::{error::Error as _, time::Duration};

use certchain_proto::wire::v1::Code;
use tonic::Status;

use super::MAX_NODES;

/// The metadata key under which nodes put the stable code of a refusal, by its name in the .proto
/// files (`CODE_TAG_TAKEN`).
pub const CODE_METADATA: &str = "certchain-code";

/// Why a request gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// The text is no URL of a node.
    #[error("'{url}' is not the URL of a node; write http://host:port")]
    Url {
        /// What was given.
        url: String,
    },
    /// No node was named.
    #[error("no node is named; give --node http://host:port or set CERTCHAIN_NODE")]
    NoNode,
    /// More nodes than a connection knows.
    #[error("more than {MAX_NODES} nodes are named; leave some out")]
    TooManyNodes,
    /// No named node can be reached.
    #[error("cannot reach {url}: {reason}; is the node running?")]
    Unreachable {
        /// The last one that was tried.
        url: String,
        /// What the transport says.
        reason: String,
    },
    /// No answer in time.
    #[error("no answer to {what} within {seconds} s; try again, or another node")]
    Timeout {
        /// What was asked.
        what: &'static str,
        /// How long it was waited.
        seconds: u64,
    },
    /// There is no such thing on the chain.
    #[error("{message}")]
    NotFound {
        /// The node's sentence.
        message: String,
    },
    /// The chain refuses a transaction.
    #[error("refused with {}: {message}", .code.as_str_name())]
    Refused {
        /// The stable code.
        code: Code,
        /// The node's sentence.
        message: String,
    },
    /// The node refuses a question for another reason.
    #[error("the node refuses {what} ({status:?}): {message}")]
    Status {
        /// What was asked.
        what: &'static str,
        /// The gRPC status.
        status: tonic::Code,
        /// The node's sentence.
        message: String,
    },
    /// The node's answer lacks a part or has a wrong one.
    #[error("the node's answer to {what} is wrong: {problem}; do not trust this node")]
    Answer {
        /// What was asked.
        what: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
}

impl ConnectionError {
    /// Reads a gRPC status.
    pub(super) fn from_status(
        what: &'static str,
        url: &str,
        limit: Duration,
        status: &Status,
    ) -> Self {
        let message = status.message().to_owned();
        if let Some(code) = refusal_code(status) {
            return Self::Refused { code, message };
        }
        if is_transport_failure(status) {
            return Self::Unreachable {
                url: url.to_owned(),
                reason: reason(status),
            };
        }
        let seconds = limit.as_secs();
        match status.code() {
            // A height that is not decided yet is one that is not there.
            tonic::Code::NotFound | tonic::Code::OutOfRange => Self::NotFound { message },
            tonic::Code::DeadlineExceeded => Self::Timeout { what, seconds },
            status => Self::Status {
                what,
                status,
                message,
            },
        }
    }

    /// Whether another node may do better.
    pub fn is_node_failure(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { code, .. } => *code == Code::Unavailable,
            Self::Status { status, .. } => *status == tonic::Code::Unavailable,
            Self::Url { .. }
            | Self::NoNode
            | Self::TooManyNodes
            | Self::Timeout { .. }
            | Self::NotFound { .. }
            | Self::Answer { .. } => false,
        }
    }
}

/// The stable code of a refusal: from the metadata, or from the front of the message.
fn refusal_code(status: &Status) -> Option<Code> {
    let named = status
        .metadata()
        .get(CODE_METADATA)
        .and_then(|value| value.to_str().ok());
    let text = named.or_else(|| status.message().split([':', ' ']).next())?;
    Code::from_str_name(text).filter(|code| *code != Code::Ok)
}

/// Whether the deadline passed on this side: the node hangs, or the way to it.
pub(super) fn is_local_timeout(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<tonic::TimeoutExpired>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether the status was made on this side: the answer never came.
fn is_transport_failure(status: &Status) -> bool {
    match status.code() {
        tonic::Code::Unavailable => true,
        tonic::Code::Unknown | tonic::Code::Cancelled | tonic::Code::Internal => {
            status.source().is_some() || status.message().starts_with("Service was not ready")
        }
        _ => false,
    }
}

/// The innermost cause, which says most ("Connection refused").
fn reason(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = status.source();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    text
}
