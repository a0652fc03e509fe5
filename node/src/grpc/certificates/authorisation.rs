//! Signed queries: they show that the account itself asks.
//!
//! The signature binds account, topic, chain, time and nonce. A query is good for a minute before
//! and after its time, and for one use: the node remembers it that long. After a restart the node
//! remembers none, and another node remembers its own only, so who overhears a query can repeat it
//! there within that minute; what it gets could be gathered from the blocks too, which are public.

use std::sync::Arc;

use certchain_ledger::identity::{IdentityRecord, IdentityStatus};
use certchain_proto::{
    Address, ChainId, PublicKey, Signature, TimeMs, context,
    hash::{SigningHash, hash_parts},
    wire::v1::{QueryAuthorisation, QueryTopic},
};
use tonic::Status;

use super::{
    super::{Services, on_worker},
    records,
};
use crate::chain::{ChainHost, now};

/// How far a query's time may lie from the node's clock.
pub(super) const WINDOW_MS: u64 = 60_000;

/// Length of a query's nonce.
pub(super) const NONCE_BYTES: usize = 16;

/// Why a signed query is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum QueryError {
    /// There is none.
    #[error("field authorisation is missing; sign the query with the account's key")]
    Missing,
    /// A field has a wrong length.
    #[error("field authorisation.{field} must have {bytes} bytes")]
    Length {
        /// Name in the .proto file.
        field: &'static str,
        /// What would be right.
        bytes: usize,
    },
    /// It asks for something else.
    #[error("field authorisation.topic is not one of this call; sign a query for it")]
    Topic,
    /// The nonce is not that of the content.
    #[error("field authorisation.nonce must be the first 16 bytes of the content's hash")]
    Content,
    /// Too old, or from the future.
    #[error(
        "the query's time is more than a minute away from this node's clock, which shows {now}; \
         set your clock and sign anew"
    )]
    Time {
        /// The node's clock.
        now: TimeMs,
    },
    /// Not signed by the account.
    #[error(
        "the query is not signed by the present key of a registered account for this chain and \
         topic"
    )]
    Signature,
    /// The account has ended.
    #[error("the account is revoked")]
    Revoked,
    /// It was used before.
    #[error("this query was used already; sign a new one with a new nonce")]
    Seen,
    /// Too many of this account are remembered.
    #[error("too many queries of this account within two minutes; wait a moment")]
    TooMany,
    /// Too many of all accounts are remembered.
    #[error("this node has too many queries at the moment; wait a moment or use another node")]
    Full,
}

impl From<QueryError> for Status {
    fn from(error: QueryError) -> Self {
        let text = error.to_string();
        match error {
            QueryError::Missing
            | QueryError::Length { .. }
            | QueryError::Topic
            | QueryError::Content => Self::invalid_argument(text),
            QueryError::Time { .. } | QueryError::Signature | QueryError::Revoked => {
                Self::unauthenticated(text)
            }
            QueryError::Seen => Self::already_exists(text),
            QueryError::TooMany | QueryError::Full => Self::resource_exhausted(text),
        }
    }
}

/// A signed query in order. Its signature is not checked yet.
#[derive(Clone, Debug)]
pub(super) struct Query {
    topic: QueryTopic,
    address: Address,
    time: TimeMs,
    nonce: [u8; NONCE_BYTES],
    signature: Signature,
}

impl Query {
    /// Reads the message, for a call that takes these topics.
    pub(super) fn parse(
        message: Option<&QueryAuthorisation>,
        topics: &[QueryTopic],
    ) -> Result<Self, QueryError> {
        let m = message.ok_or(QueryError::Missing)?;
        let length = |field, bytes| move || QueryError::Length { field, bytes };
        let topic = QueryTopic::try_from(m.topic).map_err(|_| QueryError::Topic)?;
        if !topics.contains(&topic) {
            return Err(QueryError::Topic);
        }
        let nonce = m.nonce.as_slice().try_into();
        Ok(Self {
            topic,
            address: Address::from_slice(&m.address).ok_or_else(length("address", 32))?,
            time: TimeMs::new(m.time_ms),
            nonce: nonce.map_err(|_| length("nonce", NONCE_BYTES)())?,
            signature: Signature::from_slice(&m.signature).ok_or_else(length("signature", 64))?,
        })
    }

    /// Whether it is neither old nor from the future.
    pub(super) fn check_time(&self, now: TimeMs) -> Result<(), QueryError> {
        if self.time.get().abs_diff(now.get()) > WINDOW_MS {
            return Err(QueryError::Time { now });
        }
        Ok(())
    }

    /// Whether the account, as main's state has it, has signed it for this chain.
    pub(super) fn check_signer(
        &self,
        chain: &ChainId,
        account: Option<&IdentityRecord>,
    ) -> Result<(), QueryError> {
        let account = account.ok_or(QueryError::Signature)?;
        let key = PublicKey::from_bytes(&account.present.public_key)
            .map_err(|_| QueryError::Signature)?;
        key.verify(&self.signing_hash(chain), &self.signature)
            .map_err(|_| QueryError::Signature)?;
        match account.present.status {
            IdentityStatus::Revoked => Err(QueryError::Revoked),
            IdentityStatus::Active | IdentityStatus::Suspended => Ok(()),
        }
    }

    /// Whether it permits this content.
    pub(super) fn check_content(&self, hash: &[u8; 32]) -> Result<(), QueryError> {
        match hash.starts_with(&self.nonce) {
            true => Ok(()),
            false => Err(QueryError::Content),
        }
    }

    /// What the account signs.
    fn signing_hash(&self, chain: &ChainId) -> SigningHash {
        // All topics are below 256.
        let topic = [self.topic as i32 as u8];
        SigningHash::from_bytes(hash_parts(
            context::SIGN_QUERY,
            &[
                chain.as_bytes(),
                &topic,
                self.address.as_bytes(),
                &self.time.get().to_le_bytes(),
                &self.nonce,
            ],
        ))
    }
}

/// An account that has shown that it asks itself.
#[derive(Debug)]
pub(super) struct Asker {
    /// Its address.
    pub(super) address: Address,
    /// What it asks for.
    pub(super) topic: QueryTopic,
    /// The account in main's newest state.
    pub(super) account: IdentityRecord,
    /// What it signed.
    pub(super) query: Query,
}

impl Services {
    /// Checks a signed query for a call that takes these topics, signed for this chain. One for a
    /// content may be used again; any other is taken once.
    pub(super) async fn asker(
        &self,
        chain: &Arc<ChainHost>,
        message: Option<QueryAuthorisation>,
        topics: &[QueryTopic],
    ) -> Result<Asker, Status> {
        let query = Query::parse(message.as_ref(), topics)?;
        let now = now();
        query.check_time(now)?;
        let id = chain.id;
        let asker = on_worker(self.chain("")?, move |main| {
            let account = records::account(main, &query.address)?;
            query.check_signer(&id, account.as_ref())?;
            Ok(Asker {
                address: query.address,
                topic: query.topic,
                account: account.ok_or(QueryError::Signature)?,
                query,
            })
        })
        .await?;
        if asker.topic != QueryTopic::PutContent {
            let Query {
                address,
                time,
                nonce,
                ..
            } = asker.query;
            self.certificates.queries.take(address, nonce, time, now)?;
        }
        Ok(asker)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use certchain_ledger::identity::{IdentityKind, IdentityVersion};
    use certchain_proto::{
        Height, SecretKey,
        hash::{AttributeRoot, IdentityTag},
    };

    use super::*;

    const NOW: TimeMs = TimeMs::new(1_000_000);
    const CHAIN: ChainId = ChainId::from_bytes([7; 32]);
    const TOPICS: &[QueryTopic] = &[QueryTopic::Held, QueryTopic::Issued];

    fn key(n: u8) -> SecretKey {
        SecretKey::from_seed(&[n; 32])
    }

    fn account(key: &SecretKey, status: IdentityStatus) -> IdentityRecord {
        let zero = Address::from_bytes([0; 32]);
        IdentityRecord {
            kind: IdentityKind::Citizen,
            registered_height: Height::ZERO,
            registered_time: NOW,
            agency: zero,
            registrar: zero,
            organisation_code: String::new(),
            attribute_root: AttributeRoot::ZERO,
            tag: IdentityTag::ZERO,
            tag_key_version: 0,
            may_issue: Vec::new(),
            present: IdentityVersion {
                sequence: 0,
                from_height: Height::ZERO,
                from_time: NOW,
                public_key: *key.public().as_bytes(),
                encryption_key: [0; 32],
                status,
                reason: 0,
            },
        }
    }

    /// A query of account 1, signed with its key for [`CHAIN`].
    fn message(topic: QueryTopic, time: u64, nonce: u8) -> QueryAuthorisation {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(CHAIN.as_bytes());
        bytes.push(topic as i32 as u8);
        bytes.extend_from_slice(&[1; 32]);
        bytes.extend_from_slice(&time.to_le_bytes());
        bytes.extend_from_slice(&[nonce; 16]);
        let hash = SigningHash::from_bytes(hash_parts(context::SIGN_QUERY, &[&bytes]));
        QueryAuthorisation {
            topic: topic.into(),
            address: vec![1; 32],
            time_ms: time,
            nonce: vec![nonce; 16],
            signature: key(1).sign(&hash).to_bytes().to_vec(),
        }
    }

    fn judge(
        m: &QueryAuthorisation,
        chain: &ChainId,
        account: &IdentityRecord,
    ) -> Result<Query, QueryError> {
        let query = Query::parse(Some(m), TOPICS)?;
        query.check_time(NOW)?;
        query.check_signer(chain, Some(account))?;
        Ok(query)
    }

    #[test]
    fn a_query_of_the_account_is_good_within_a_minute() {
        let owner = account(&key(1), IdentityStatus::Active);
        for time in [NOW.get() - WINDOW_MS, NOW.get(), NOW.get() + WINDOW_MS] {
            judge(&message(QueryTopic::Held, time, 1), &CHAIN, &owner).unwrap();
        }
        for time in [
            0,
            NOW.get() - WINDOW_MS - 1,
            NOW.get() + WINDOW_MS + 1,
            u64::MAX,
        ] {
            let refused = judge(&message(QueryTopic::Held, time, 1), &CHAIN, &owner);
            assert_eq!(refused.unwrap_err(), QueryError::Time { now: NOW });
        }
        let suspended = account(&key(1), IdentityStatus::Suspended);
        judge(
            &message(QueryTopic::Issued, NOW.get(), 1),
            &CHAIN,
            &suspended,
        )
        .unwrap();
    }

    #[test]
    fn another_key_chain_topic_or_field_is_refused() {
        let owner = account(&key(1), IdentityStatus::Active);
        let good = message(QueryTopic::Held, NOW.get(), 1);
        let error = |m: &QueryAuthorisation| judge(m, &CHAIN, &owner).unwrap_err();

        let rotated = account(&key(2), IdentityStatus::Active);
        assert_eq!(
            judge(&good, &CHAIN, &rotated).unwrap_err(),
            QueryError::Signature
        );
        let other_chain = ChainId::from_bytes([8; 32]);
        assert_eq!(
            judge(&good, &other_chain, &owner).unwrap_err(),
            QueryError::Signature
        );
        let revoked = account(&key(1), IdentityStatus::Revoked);
        assert_eq!(
            judge(&good, &CHAIN, &revoked).unwrap_err(),
            QueryError::Revoked
        );
        let unknown = Query::parse(Some(&good), TOPICS).unwrap();
        assert_eq!(
            unknown.check_signer(&CHAIN, None),
            Err(QueryError::Signature)
        );

        let mut m = good.clone();
        m.topic = QueryTopic::Issued.into();
        assert_eq!(error(&m), QueryError::Signature, "signed for another topic");
        m.topic = QueryTopic::Inbox.into();
        assert_eq!(error(&m), QueryError::Topic, "not of this call");
        m.topic = 99;
        assert_eq!(error(&m), QueryError::Topic);
        let mut m = good.clone();
        m.time_ms += 1;
        assert_eq!(error(&m), QueryError::Signature);
        let mut m = good.clone();
        m.nonce = vec![2; 16];
        assert_eq!(error(&m), QueryError::Signature);
        m.nonce = vec![2; 15];
        assert!(matches!(
            error(&m),
            QueryError::Length { field: "nonce", .. }
        ));
        let mut m = good.clone();
        m.signature.pop();
        assert!(matches!(
            error(&m),
            QueryError::Length {
                field: "signature",
                ..
            }
        ));
        let mut m = good;
        m.address.push(0);
        assert!(matches!(
            error(&m),
            QueryError::Length {
                field: "address",
                ..
            }
        ));
        assert_eq!(Query::parse(None, TOPICS).unwrap_err(), QueryError::Missing);
    }

    #[test]
    fn a_permit_is_for_one_content() {
        let m = message(QueryTopic::Held, NOW.get(), 5);
        let query = Query::parse(Some(&m), TOPICS).unwrap();
        let mut hash = [9; 32];
        assert_eq!(query.check_content(&hash), Err(QueryError::Content));
        hash[..16].copy_from_slice(&[5; 16]);
        assert_eq!(query.check_content(&hash), Ok(()));
    }
}
