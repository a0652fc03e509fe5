//! Questions that only an account itself may ask: how they are signed and judged.
//!
//! The signature is over `H("certchain v1 sign query", chain id || topic (one byte) || address ||
//! u64le(time) || nonce (16))` by the account's present key. Which key that is, and whether a query
//! was seen before, who asks this module knows.

use crate::{
    Address, ChainId, PublicKey, SecretKey, Signature, TimeMs, context,
    hash::{ContentHash, SigningHash, hash_parts},
    wire::v1::{QueryAuthorisation, QueryTopic},
};

/// How far a query's time may be from the node's clock, in milliseconds, before or after.
pub const QUERY_LIFE_MS: u64 = 60_000;
/// Length of a query's nonce in bytes.
pub const QUERY_NONCE_BYTES: usize = 16;

/// Why a signed query is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// A field has a wrong length.
    #[error("field authorisation.{field} must have {needed} bytes")]
    Length {
        /// Name in the .proto file.
        field: &'static str,
        /// Bytes that it must have.
        needed: usize,
    },
    /// No topic that there is.
    #[error("the query names no topic; build it with the published .proto files")]
    UnknownTopic,
    /// Signed for another question.
    #[error("the query is signed for another question; sign one for this")]
    OtherTopic,
    /// Too old or from the future.
    #[error(
        "the query's time is {distance_ms} ms from the node's clock, at most {QUERY_LIFE_MS} are \
             taken; set the clock and sign it anew"
    )]
    Stale {
        /// How far the two clocks are apart.
        distance_ms: u64,
    },
    /// Not signed by the account's present key for this chain.
    #[error(
        "the query is not signed by the present key of a registered account for this chain and \
         topic"
    )]
    BadSignature,
    /// For another content than the one that came.
    #[error("field authorisation.nonce must be the first 16 bytes of the content's hash")]
    OtherContent,
}

/// A query, read or to be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// The chain that it is about; main's if it is about all.
    pub chain: ChainId,
    /// What is asked.
    pub topic: QueryTopic,
    /// Who asks.
    pub address: Address,
    /// The asker's clock.
    pub time: TimeMs,
    /// Random bytes, or the front of a content's hash.
    pub nonce: [u8; QUERY_NONCE_BYTES],
}

impl Query {
    /// What the account signs.
    pub fn signing_hash(&self) -> SigningHash {
        // Topics are numbered from 1 to 6.
        let topic = [self.topic as i32 as u8];
        SigningHash::from_bytes(hash_parts(
            context::SIGN_QUERY,
            &[
                self.chain.as_bytes(),
                &topic,
                self.address.as_bytes(),
                &self.time.get().to_le_bytes(),
                &self.nonce,
            ],
        ))
    }

    /// Signs it with the account's present key.
    pub fn sign(&self, key: &SecretKey) -> QueryAuthorisation {
        QueryAuthorisation {
            topic: self.topic as i32,
            address: self.address.as_bytes().to_vec(),
            time_ms: self.time.get(),
            nonce: self.nonce.to_vec(),
            signature: key.sign(&self.signing_hash()).to_bytes().to_vec(),
        }
    }

    /// Reads a query about `chain` that came at `now`. Its signature is not checked yet.
    ///
    /// # Errors
    /// If a length is wrong, its topic is none of `topics`, or its time is too far from `now`.
    pub fn read(
        message: &QueryAuthorisation,
        chain: ChainId,
        topics: &[QueryTopic],
        now: TimeMs,
    ) -> Result<SignedQuery, QueryError> {
        let length = |field, needed| QueryError::Length { field, needed };
        let topic = QueryTopic::try_from(message.topic).map_err(|_| QueryError::UnknownTopic)?;
        if topic == QueryTopic::Unspecified {
            return Err(QueryError::UnknownTopic);
        }
        if !topics.contains(&topic) {
            return Err(QueryError::OtherTopic);
        }
        let distance_ms = now.get().abs_diff(message.time_ms);
        if distance_ms > QUERY_LIFE_MS {
            return Err(QueryError::Stale { distance_ms });
        }
        let query = Self {
            chain,
            topic,
            address: Address::from_slice(&message.address).ok_or_else(|| length("address", 32))?,
            time: TimeMs::new(message.time_ms),
            nonce: message
                .nonce
                .as_slice()
                .try_into()
                .map_err(|_| length("nonce", QUERY_NONCE_BYTES))?,
        };
        let signature =
            Signature::from_slice(&message.signature).ok_or_else(|| length("signature", 64))?;
        Ok(SignedQuery { query, signature })
    }
}

/// A query that came, whose signature is not checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedQuery {
    query: Query,
    signature: Signature,
}

impl SignedQuery {
    /// Who claims to ask.
    pub const fn address(&self) -> Address {
        self.query.address
    }

    /// Checks the signature under the account's present key.
    ///
    /// # Errors
    /// If it does not hold.
    pub fn verify(&self, key: &PublicKey) -> Result<Query, QueryError> {
        key.verify(&self.query.signing_hash(), &self.signature)
            .map_err(|_| QueryError::BadSignature)?;
        Ok(self.query)
    }
}

/// The nonce of a query that permits to put this content.
pub fn content_nonce(hash: &ContentHash) -> [u8; QUERY_NONCE_BYTES] {
    let mut nonce = [0; QUERY_NONCE_BYTES];
    for (place, byte) in nonce.iter_mut().zip(hash.as_bytes()) {
        *place = *byte;
    }
    nonce
}

impl Query {
    /// Checks that it permits to put this content.
    ///
    /// # Errors
    /// If it is for another.
    pub fn permits(&self, hash: &ContentHash) -> Result<(), QueryError> {
        if self.topic == QueryTopic::PutContent && self.nonce == content_nonce(hash) {
            Ok(())
        } else {
            Err(QueryError::OtherContent)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    const NOW: TimeMs = TimeMs::new(1_800_000_000_000);

    fn key() -> SecretKey {
        SecretKey::from_seed(&[1; 32])
    }

    fn query() -> Query {
        Query {
            chain: ChainId::from_bytes([5; 32]),
            topic: QueryTopic::Held,
            address: Address::of(key().public()),
            time: NOW,
            nonce: [7; 16],
        }
    }

    fn judge(
        message: &QueryAuthorisation,
        chain: ChainId,
        now: TimeMs,
    ) -> Result<Query, QueryError> {
        Query::read(message, chain, &[QueryTopic::Held, QueryTopic::Issued], now)?
            .verify(key().public())
    }

    #[test]
    fn the_hash_is_as_documented() {
        let mut input = vec![5; 32];
        input.push(1);
        input.extend_from_slice(Address::of(key().public()).as_bytes());
        input.extend_from_slice(&NOW.get().to_le_bytes());
        input.extend_from_slice(&[7; 16]);
        let hash = blake3::derive_key("certchain v1 sign query", &input);
        assert_eq!(*query().signing_hash().as_bytes(), hash);
    }

    #[test]
    fn only_the_account_asks_only_this_and_only_now() {
        let good = query().sign(&key());
        let chain = query().chain;
        for now in [NOW.get() - QUERY_LIFE_MS, NOW.get() + QUERY_LIFE_MS] {
            assert_eq!(judge(&good, chain, TimeMs::new(now)), Ok(query()));
        }
        let distance_ms = QUERY_LIFE_MS + 1;
        for now in [NOW.get() - distance_ms, NOW.get() + distance_ms] {
            let verdict = judge(&good, chain, TimeMs::new(now));
            assert_eq!(verdict, Err(QueryError::Stale { distance_ms }));
        }
        assert_eq!(
            judge(&good, ChainId::from_bytes([6; 32]), NOW),
            Err(QueryError::BadSignature)
        );
        let other = query().sign(&SecretKey::from_seed(&[2; 32]));
        assert_eq!(judge(&other, chain, NOW), Err(QueryError::BadSignature));
        let mut relabelled = good.clone();
        relabelled.topic = QueryTopic::Issued as i32;
        assert_eq!(
            judge(&relabelled, chain, NOW),
            Err(QueryError::BadSignature)
        );
        let mut moved = good.clone();
        moved.time_ms += 1;
        assert_eq!(judge(&moved, chain, NOW), Err(QueryError::BadSignature));
        let mut again = good.clone();
        again.nonce[0] ^= 1;
        assert_eq!(judge(&again, chain, NOW), Err(QueryError::BadSignature));
        let mut inbox = good.clone();
        inbox.topic = QueryTopic::Inbox as i32;
        assert_eq!(judge(&inbox, chain, NOW), Err(QueryError::OtherTopic));
        for topic in [0, -1, 7, 257] {
            let mut unknown = good.clone();
            unknown.topic = topic;
            assert_eq!(judge(&unknown, chain, NOW), Err(QueryError::UnknownTopic));
        }
        type Cut = fn(&mut QueryAuthorisation);
        let cut: [(&str, Cut); 3] = [
            ("address", |m| m.address.truncate(31)),
            ("nonce", |m| m.nonce.push(0)),
            ("signature", |m| m.signature.truncate(63)),
        ];
        for (name, change) in cut {
            let mut bad = good.clone();
            change(&mut bad);
            let Err(QueryError::Length { field, .. }) = judge(&bad, chain, NOW) else {
                panic!("{name}");
            };
            assert_eq!(field, name);
        }
    }

    #[test]
    fn contents_are_permitted_one_by_one() {
        let hash = ContentHash::of(b"content");
        let put = Query {
            topic: QueryTopic::PutContent,
            nonce: content_nonce(&hash),
            ..query()
        };
        assert_eq!(put.permits(&hash), Ok(()));
        assert_eq!(
            put.permits(&ContentHash::of(b"other")),
            Err(QueryError::OtherContent)
        );
        let held = Query {
            nonce: content_nonce(&hash),
            ..query()
        };
        assert_eq!(held.permits(&hash), Err(QueryError::OtherContent));
    }
}
