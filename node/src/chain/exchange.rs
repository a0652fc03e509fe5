//! What nodes of one chain say to each other outside consensus: batches of transactions, hints, and
//! questions for bodies and blocks. Each is codec-encoded behind a limit; no answer is believed
//! before it is verified.

use certchain_consensus::Equivocation;
use certchain_proto::{
    CommitCertificate, Height, SealedBlock, codec,
    codec::DecodeError,
    hash::{HeaderDigest, WitnessId},
    limits::{MAX_BLOCK_TRANSACTIONS, MAX_SEALED_BLOCK_BYTES},
};
use serde::{Deserialize, Serialize};

/// Largest batch of transactions that goes out as one gossip message, in bytes.
pub const GOSSIP_BATCH_BYTES: usize = 512 * 1024;

/// Most transactions of a batch.
pub const GOSSIP_BATCH_COUNT: usize = 2_048;

/// Largest sum of sealed blocks in one answer, in bytes; one block is always sent.
pub const SEALED_ANSWER_BYTES: usize = 6 * 1024 * 1024;

/// Most sealed blocks in one answer.
pub const SEALED_ANSWER_COUNT: usize = 256;

/// Most transactions asked for at once; more take several requests.
pub const TRANSACTIONS_ASKED: usize = 1_024;

/// Largest answer, in bytes: one whole block above the sum.
pub const ANSWER_BYTES: usize = SEALED_ANSWER_BYTES + MAX_SEALED_BLOCK_BYTES;

const REQUEST_BYTES: usize = TRANSACTIONS_ASKED * 32 + 64;

const _: () = assert!(ANSWER_BYTES <= certchain_net::limits::MAX_RESPONSE_BYTES);
const _: () = assert!(REQUEST_BYTES <= certchain_net::limits::MAX_REQUEST_BYTES);
const _: () = assert!(GOSSIP_BATCH_BYTES * 2 <= certchain_net::limits::MAX_GOSSIP_BYTES);
const _: () = assert!(TRANSACTIONS_ASKED <= MAX_BLOCK_TRANSACTIONS);

/// A direct message between two nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direct {
    /// An encoded message of the consensus engine.
    Consensus(Vec<u8>),
    /// "I hold sealed blocks up to this height": a hint for who is behind, believed by nobody.
    Tip(Height),
    /// Proof that a validator said two things in one slot.
    Evidence(Box<Equivocation>),
}

impl Direct {
    /// The bytes on the wire.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads a direct message.
    ///
    /// # Errors
    /// If it is too large or no such message.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, certchain_net::limits::MAX_DIRECT_BYTES)
    }
}

/// A question to a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// The transactions with these names; answered with [`Transactions`].
    Transactions(Vec<WitnessId>),
    /// The body of a proposed block; answered with [`Body`].
    Body {
        /// Its height.
        height: Height,
        /// Its header.
        header: HeaderDigest,
    },
    /// Sealed blocks from this height on; answered with [`Sealed`].
    Sealed {
        /// The first one.
        from: Height,
    },
}

impl Request {
    /// The bytes on the wire.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads a request.
    ///
    /// # Errors
    /// If it is too large, no such request, or asks for too much.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let request: Self = codec::decode(bytes, REQUEST_BYTES)?;
        match &request {
            Self::Transactions(ids) if ids.len() > TRANSACTIONS_ASKED => {
                Err(DecodeError::TooLarge {
                    what: "Request",
                    actual: ids.len(),
                    limit: TRANSACTIONS_ASKED,
                })
            }
            _ => Ok(request),
        }
    }
}

/// Encoded transactions: those asked for that the peer has, in no promised order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transactions {
    /// Encoded `SignedTransaction` messages.
    pub transactions: Vec<Vec<u8>>,
}

/// Transactions that go round by gossip.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// 0 at first, another number at each repetition: gossip drops what it has seen lately.
    pub again: u64,
    /// Encoded `SignedTransaction` messages.
    pub transactions: Vec<Vec<u8>>,
}

/// What belongs to a header, if the peer has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// The certificate of the block before.
    pub parent_certificate: CommitCertificate,
    /// Encoded transactions in order.
    pub transactions: Vec<Vec<u8>>,
}

/// Sealed blocks, rising without gaps from the height asked for; empty if the peer has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The blocks.
    pub blocks: Vec<SealedBlock>,
}

/// Reads an answer.
///
/// # Errors
/// If it is too large or of another shape.
pub fn decode_answer<T: Serialize + serde::de::DeserializeOwned>(
    bytes: &[u8],
) -> Result<T, DecodeError> {
    codec::decode(bytes, ANSWER_BYTES)
}

/// Cuts encoded transactions into batches for gossip, in order.
pub fn gossip_batches(transactions: Vec<Vec<u8>>, again: u64) -> Vec<Announcement> {
    let empty = || Announcement {
        again,
        transactions: Vec::new(),
    };
    let mut batches = Vec::new();
    let mut current = empty();
    let mut bytes = 0;
    for transaction in transactions {
        let full = bytes + transaction.len() > GOSSIP_BATCH_BYTES
            || current.transactions.len() >= GOSSIP_BATCH_COUNT;
        if full && !current.transactions.is_empty() {
            batches.push(std::mem::replace(&mut current, empty()));
            bytes = 0;
        }
        bytes += transaction.len();
        current.transactions.push(transaction);
    }
    if !current.transactions.is_empty() {
        batches.push(current);
    }
    batches
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is taken has this encoding and no other.
    fn coded<T: Serialize + serde::de::DeserializeOwned>(bytes: &[u8]) {
        if let Ok(value) = decode_answer::<T>(bytes) {
            assert_eq!(codec::encode(&value), bytes);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn frames_of_peers_are_read_or_refused(
            // A variant or a length that may be right, then anything.
            first in 0..6u32,
            counts in proptest::collection::vec(0..4u64, 0..4),
            rest in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let counts: Vec<u8> = counts.iter().flat_map(|n| n.to_le_bytes()).collect();
            for bytes in [
                [&first.to_le_bytes(), &counts[..], &rest].concat(),
                [&counts[..], &rest].concat(),
                rest.clone(),
            ] {
                if let Ok(direct) = Direct::decode(&bytes) {
                    prop_assert_eq!(direct.encode(), bytes.clone());
                }
                if let Ok(request) = Request::decode(&bytes) {
                    prop_assert_eq!(request.encode(), bytes.clone());
                }
                coded::<Announcement>(&bytes);
                coded::<Transactions>(&bytes);
                coded::<Body>(&bytes);
                coded::<Sealed>(&bytes);
            }
        }
    }

    #[test]
    fn batches_keep_order_and_bounds() {
        let transactions: Vec<Vec<u8>> = (0..10).map(|n| vec![n; 200 * 1024]).collect();
        let batches = gossip_batches(transactions.clone(), 0);
        assert!(
            batches.iter().all(|b| {
                b.transactions.iter().map(Vec::len).sum::<usize>() <= GOSSIP_BATCH_BYTES
            })
        );
        let joined: Vec<_> = batches.into_iter().flat_map(|b| b.transactions).collect();
        assert_eq!(joined, transactions);
        assert!(gossip_batches(Vec::new(), 0).is_empty());
    }

    #[test]
    fn a_repetition_is_another_message() {
        let bytes = |again| codec::encode(&gossip_batches(vec![vec![1; 9]], again));
        assert_ne!(bytes(0), bytes(1));
        assert_ne!(bytes(1), bytes(2));
    }

    #[test]
    fn requests_for_too_much_are_refused() {
        let ids = vec![WitnessId::ZERO; TRANSACTIONS_ASKED + 1];
        assert!(Request::decode(&Request::Transactions(ids).encode()).is_err());
        let request = Request::Sealed {
            from: Height::new(7),
        };
        assert_eq!(Request::decode(&request.encode()), Ok(request));
        assert!(Request::decode(&[9; 40]).is_err());
    }
}
