//! Signed queries: they show that the account itself asks.
//!
//! The signature binds account, topic, chain, time and nonce. A query is good for a minute before
//! and after its time, and for one use: the node remembers it that long. After a restart the node
//! remembers none, and another node remembers its own only, so who overhears a query can repeat it
//! there within that minute; what it gets could be gathered from the blocks too, which are public.

use std::sync::Arc;

use certchain_ledger::identity::IdentityRecord;
use certchain_proto::{
    ChainId, PublicKey, TimeMs,
    query::{Query, QueryError, SignedQuery},
    wire::v1::{QueryAuthorisation, QueryTopic},
};
use tonic::Status;

use super::{
    super::{Services, on_worker},
    records,
};
use crate::chain::{ChainHost, now};

/// Why a signed query is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AuthorisationError {
    /// There is none.
    #[error("field authorisation is missing; sign the query with the account's key")]
    Missing,
    /// It is not in order, or not the account's.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The account has ended.
    #[error("the account has ended: it is revoked, closed, or its holder died")]
    Ended,
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

impl From<AuthorisationError> for Status {
    fn from(error: AuthorisationError) -> Self {
        let text = error.to_string();
        match error {
            AuthorisationError::Query(QueryError::Stale { .. } | QueryError::BadSignature)
            | AuthorisationError::Ended => Self::unauthenticated(text),
            AuthorisationError::Missing | AuthorisationError::Query(_) => {
                Self::invalid_argument(text)
            }
            AuthorisationError::Seen => Self::already_exists(text),
            AuthorisationError::TooMany | AuthorisationError::Full => {
                Self::resource_exhausted(text)
            }
        }
    }
}

/// Reads the message about `chain`, for a call that takes these topics.
fn read(
    message: Option<&QueryAuthorisation>,
    chain: ChainId,
    topics: &[QueryTopic],
    now: TimeMs,
) -> Result<SignedQuery, AuthorisationError> {
    let message = message.ok_or(AuthorisationError::Missing)?;
    Ok(Query::read(message, chain, topics, now)?)
}

/// Whether the account, as main's state has it, has signed the query, and with which of its keys.
fn check_signer(
    signed: &SignedQuery,
    account: Option<&IdentityRecord>,
) -> Result<([u8; 32], Query), AuthorisationError> {
    let account = account.ok_or(QueryError::BadSignature)?;
    let signed_by = |key: &[u8; 32]| {
        let key = PublicKey::from_bytes(key).map_err(|_| QueryError::BadSignature)?;
        Ok((*key.as_bytes(), signed.verify(&key)?))
    };
    let mut outcome = Err(AuthorisationError::Query(QueryError::BadSignature));
    for key in account.present.signing_keys() {
        outcome = signed_by(key);
        if outcome.is_ok() {
            break;
        }
    }
    let found = outcome?;
    match account.present.status.is_final() {
        true => Err(AuthorisationError::Ended),
        false => Ok(found),
    }
}

/// An account that has shown that it asks itself.
#[derive(Debug)]
pub(super) struct Asker {
    /// The account in main's newest state.
    pub(super) account: IdentityRecord,
    /// Its key that signed.
    pub(super) key: [u8; 32],
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
        let now = now();
        let signed = read(message.as_ref(), chain.id, topics, now)?;
        let asker = on_worker(self.chain("")?, move |main| {
            let account = records::account(main, &signed.address())?;
            let (key, query) = check_signer(&signed, account.as_ref())?;
            let account = account.ok_or(AuthorisationError::Query(QueryError::BadSignature))?;
            Ok(Asker {
                account,
                key,
                query,
            })
        })
        .await?;
        if asker.query.topic != QueryTopic::PutContent {
            self.certificates.queries.take(&asker.query, now)?;
        }
        Ok(asker)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use certchain_ledger::identity::{IdentityKind, IdentityStatus, IdentityVersion};
    use certchain_proto::{
        Address, Height, SecretKey, context,
        hash::{AttributeRoot, IdentityTag, SigningHash, hash_parts},
        query::QUERY_LIFE_MS,
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
                devices: Vec::new(),
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
    ) -> Result<Query, AuthorisationError> {
        let signed = read(Some(m), *chain, TOPICS, NOW)?;
        check_signer(&signed, Some(account)).map(|(_, query)| query)
    }

    #[test]
    fn a_query_of_the_account_is_good_within_a_minute() {
        let owner = account(&key(1), IdentityStatus::Active);
        for time in [
            NOW.get() - QUERY_LIFE_MS,
            NOW.get(),
            NOW.get() + QUERY_LIFE_MS,
        ] {
            judge(&message(QueryTopic::Held, time, 1), &CHAIN, &owner).unwrap();
        }
        for time in [
            0,
            NOW.get() - QUERY_LIFE_MS - 1,
            NOW.get() + QUERY_LIFE_MS + 1,
            u64::MAX,
        ] {
            let refused = judge(&message(QueryTopic::Held, time, 1), &CHAIN, &owner);
            let stale = QueryError::Stale {
                distance_ms: NOW.get().abs_diff(time),
            };
            assert_eq!(refused.unwrap_err(), stale.into());
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
        let length = |field, needed| QueryError::Length { field, needed }.into();

        let rotated = account(&key(2), IdentityStatus::Active);
        assert_eq!(
            judge(&good, &CHAIN, &rotated).unwrap_err(),
            QueryError::BadSignature.into()
        );
        let other_chain = ChainId::from_bytes([8; 32]);
        assert_eq!(
            judge(&good, &other_chain, &owner).unwrap_err(),
            QueryError::BadSignature.into()
        );
        for status in [
            IdentityStatus::Revoked,
            IdentityStatus::Deceased,
            IdentityStatus::Closed,
        ] {
            assert_eq!(
                judge(&good, &CHAIN, &account(&key(1), status)).unwrap_err(),
                AuthorisationError::Ended
            );
        }
        let mut with_devices = rotated;
        with_devices.present.devices = vec![[3; 32], *key(1).public().as_bytes()];
        let signed = read(Some(&good), CHAIN, TOPICS, NOW).unwrap();
        let (device, _) = check_signer(&signed, Some(&with_devices)).unwrap();
        assert_eq!(&device, key(1).public().as_bytes(), "a device asks too");
        let unknown = read(Some(&good), CHAIN, TOPICS, NOW).unwrap();
        assert_eq!(
            check_signer(&unknown, None),
            Err(QueryError::BadSignature.into())
        );

        let mut m = good.clone();
        m.topic = QueryTopic::Issued.into();
        assert_eq!(
            error(&m),
            QueryError::BadSignature.into(),
            "signed for another topic"
        );
        m.topic = QueryTopic::Inbox.into();
        assert_eq!(error(&m), QueryError::OtherTopic.into(), "not of this call");
        m.topic = 99;
        assert_eq!(error(&m), QueryError::UnknownTopic.into());
        let mut m = good.clone();
        m.time_ms += 1;
        assert_eq!(error(&m), QueryError::BadSignature.into());
        let mut m = good.clone();
        m.nonce = vec![2; 16];
        assert_eq!(error(&m), QueryError::BadSignature.into());
        m.nonce = vec![2; 15];
        assert_eq!(error(&m), length("nonce", 16));
        let mut m = good.clone();
        m.signature.pop();
        assert_eq!(error(&m), length("signature", 64));
        let mut m = good;
        m.address.push(0);
        assert_eq!(error(&m), length("address", 32));
        let none = read(None, CHAIN, TOPICS, NOW).unwrap_err();
        assert_eq!(none, AuthorisationError::Missing);
    }
}
