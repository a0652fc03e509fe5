//! Signed queries: questions that only the account itself may ask.

use certchain_proto::{
    ChainId, TimeMs,
    hash::ContentHash,
    query::{Query, content_nonce},
    wire::v1::{QueryAuthorisation, QueryTopic},
};

use crate::{NoRandomness, random, wallet::Wallet};

/// Signs a query about `chain`, or about all chains if it is main, with the wallet's present key.
/// It is taken for a minute, and once.
///
/// # Errors
/// If there is no randomness.
pub fn authorise(
    wallet: &Wallet,
    chain: ChainId,
    topic: QueryTopic,
    now: TimeMs,
) -> Result<QueryAuthorisation, NoRandomness> {
    let query = Query {
        chain,
        topic,
        address: wallet.address(),
        time: now,
        nonce: random()?,
    };
    Ok(query.sign(wallet.signing_key()))
}

/// Signs the permission to put one content into a node's store. `main` is the main chain.
pub fn authorise_content(
    wallet: &Wallet,
    main: ChainId,
    content: &ContentHash,
    now: TimeMs,
) -> QueryAuthorisation {
    let query = Query {
        chain: main,
        topic: QueryTopic::PutContent,
        address: wallet.address(),
        time: now,
        nonce: content_nonce(content),
    };
    query.sign(wallet.signing_key())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::wallet::{AccountKind, KdfParameters, NewWallet, Passphrase};

    #[test]
    fn a_wallet_signs_for_itself() {
        let folder = tempfile::tempdir().unwrap();
        let new = NewWallet {
            name: "Holder".into(),
            kind: AccountKind::Citizen,
            organisation_code: String::new(),
            recovers: None,
        };
        let fast = KdfParameters::new(8, 1, 1).unwrap();
        let passphrase = Passphrase::new("p").unwrap();
        let wallet = Wallet::create(&folder.path().join("w"), new, &passphrase, fast).unwrap();
        let chain = ChainId::from_bytes([5; 32]);
        let now = TimeMs::new(1_800_000_000_000);
        let first = authorise(&wallet, chain, QueryTopic::Inbox, now).unwrap();
        let second = authorise(&wallet, chain, QueryTopic::Inbox, now).unwrap();
        assert_ne!(first.nonce, second.nonce);
        let key = wallet.account().public_key();
        let query = Query::read(&first, chain, &[QueryTopic::Inbox], now)
            .unwrap()
            .verify(key)
            .unwrap();
        assert_eq!(query.address, wallet.address());
        let hash = ContentHash::of(b"content");
        let put = authorise_content(&wallet, chain, &hash, now);
        let put = Query::read(&put, chain, &[QueryTopic::PutContent], now).unwrap();
        put.verify(key).unwrap().permits(&hash).unwrap();
    }
}
