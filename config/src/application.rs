//! `application.toml`: how the operator of a node asks the offices of a running network to let it
//! vote, or to let it vote with other keys. It holds no secret and may be sent by mail; the receiver
//! compares the keys by another way, as with any key.

use std::path::Path;

use certchain_proto::{
    ChainId, PublicKey, SecretKey, Signature, codec, context,
    hash::{SigningHash, hash_parts},
};
use serde::{Deserialize, Serialize};

use crate::{
    document::Document,
    error::{ConfigError, Problem},
    genesis_file::Reader,
    member::signature,
    names::{Name, OrganisationCode},
};

/// An application. Both keys have signed name, code and keys for one network, so that nobody can
/// enter a key that is not its own. [law] The order of the fields is that of the stored record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// Name of the node.
    pub name: Name,
    /// Code of the organisation that runs it.
    pub organisation_code: OrganisationCode,
    /// The key with which it votes.
    pub vote_key: PublicKey,
    /// The Ed25519 key that names it on the network.
    pub network_key: PublicKey,
    /// Signature of the vote key.
    pub vote_signature: Signature,
    /// Signature of the network key.
    pub network_signature: Signature,
}

/// A signature of an application does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it does not prove that its sender holds {key} on this network; ask for it again")]
pub struct NotPossessed {
    /// The key that it should prove.
    pub key: &'static str,
}

/// The signed part. [law] The order of the fields is the order in which they are hashed.
#[derive(Serialize)]
struct Content<'a> {
    chain: ChainId,
    name: &'a Name,
    organisation_code: &'a OrganisationCode,
    vote_key: &'a PublicKey,
    network_key: &'a PublicKey,
}

impl Content<'_> {
    fn signing_hash(&self) -> SigningHash {
        let parts = [&codec::encode(self)[..]];
        SigningHash::from_bytes(hash_parts(context::SIGN_APPLICATION, &parts))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawApplication {
    chain_id: String,
    name: String,
    organisation_code: String,
    vote_key: String,
    network_key: String,
    vote_signature: String,
    network_signature: String,
}

impl Application {
    /// Signs an application to the network whose main chain is `chain`.
    pub fn sign(
        chain: ChainId,
        name: Name,
        organisation_code: OrganisationCode,
        vote_key: &SecretKey,
        network_key: &SecretKey,
    ) -> Self {
        let hash = Content {
            chain,
            name: &name,
            organisation_code: &organisation_code,
            vote_key: vote_key.public(),
            network_key: network_key.public(),
        }
        .signing_hash();
        Self {
            name,
            organisation_code,
            vote_key: vote_key.public().clone(),
            network_key: network_key.public().clone(),
            vote_signature: vote_key.sign(&hash),
            network_signature: network_key.sign(&hash),
        }
    }

    /// Checks that the sender holds both keys and asks this network.
    ///
    /// # Errors
    /// The first key that it does not prove.
    pub fn check(&self, chain: ChainId) -> Result<(), NotPossessed> {
        let hash = Content {
            chain,
            name: &self.name,
            organisation_code: &self.organisation_code,
            vote_key: &self.vote_key,
            network_key: &self.network_key,
        }
        .signing_hash();
        for (key, public, signature) in [
            ("vote_key", &self.vote_key, &self.vote_signature),
            ("network_key", &self.network_key, &self.network_signature),
        ] {
            public
                .verify(&hash, signature)
                .map_err(|_| NotPossessed { key })?;
        }
        Ok(())
    }

    /// Reads a file; gives the network that it asks, too.
    ///
    /// # Errors
    /// If it is no application, or a signature does not hold.
    pub fn load(file: &Path) -> Result<(ChainId, Self), ConfigError> {
        Self::read(&Document::read(file)?)
    }

    /// Reads a text, as [`Self::load`].
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn read(document: &Document) -> Result<(ChainId, Self), ConfigError> {
        let raw: RawApplication = document.parse()?;
        let at = Reader {
            document,
            path: String::new(),
        };
        let chain = hex::decode(&raw.chain_id).ok();
        let chain = chain
            .and_then(|bytes| ChainId::from_slice(&bytes))
            .ok_or_else(|| document.refuse("chain_id", Problem::ChainId))?;
        let application = Self {
            name: at.name("name", &raw.name)?,
            organisation_code: at.code(&raw.organisation_code)?,
            vote_key: at.key("vote_key", &raw.vote_key)?,
            network_key: at.key("network_key", &raw.network_key)?,
            vote_signature: signature(document, "vote_signature", &raw.vote_signature)?,
            network_signature: signature(document, "network_signature", &raw.network_signature)?,
        };
        application.check(chain).map_err(|NotPossessed { key }| {
            let signature = match key {
                "vote_key" => "vote_signature",
                _ => "network_signature",
            };
            document.refuse(signature, Problem::Possession { key })
        })?;
        Ok((chain, application))
    }

    /// The text of the file.
    // Strings only, which TOML always holds.
    #[allow(clippy::expect_used)]
    pub fn to_toml(&self, chain: ChainId) -> String {
        let raw = RawApplication {
            chain_id: hex::encode(chain.as_bytes()),
            name: self.name.to_string(),
            organisation_code: self.organisation_code.to_string(),
            vote_key: self.vote_key.to_string(),
            network_key: self.network_key.to_string(),
            vote_signature: hex::encode(self.vote_signature.to_bytes()),
            network_signature: hex::encode(self.network_signature.to_bytes()),
        };
        let body = toml::to_string(&raw).expect("strings are always TOML");
        format!("# Public: hand this file to an office that votes; it proposes it.\n\n{body}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn application(chain: ChainId) -> Application {
        Application::sign(
            chain,
            Name::parse("harbour").unwrap(),
            OrganisationCode::parse("HARBOUR").unwrap(),
            &SecretKey::from_seed(&[1; 32]),
            &SecretKey::from_seed(&[2; 32]),
        )
    }

    fn read(text: &str) -> Result<(ChainId, Application), ConfigError> {
        Application::read(&Document::new(
            Path::new("application.toml"),
            text.to_owned(),
        ))
    }

    #[test]
    fn a_file_gives_back_what_was_signed() {
        let chain = ChainId::from_bytes([7; 32]);
        let application = application(chain);
        let read = read(&application.to_toml(chain)).unwrap();
        assert_eq!(read, (chain, application));
    }

    #[test]
    fn an_application_counts_on_its_network_as_it_was_signed() {
        let chain = ChainId::from_bytes([7; 32]);
        let good = application(chain);
        assert_eq!(good.check(chain), Ok(()));
        let elsewhere = good.check(ChainId::from_bytes([8; 32]));
        assert_eq!(elsewhere, Err(NotPossessed { key: "vote_key" }));
        let mut other = good.clone();
        other.name = Name::parse("harbours").unwrap();
        assert!(other.check(chain).is_err());
        let mut other = good.clone();
        other.organisation_code = OrganisationCode::parse("PORT").unwrap();
        assert!(other.check(chain).is_err());
        let mut other = good.clone();
        other.vote_key = SecretKey::from_seed(&[3; 32]).public().clone();
        assert_eq!(other.check(chain), Err(NotPossessed { key: "vote_key" }));
        let mut other = good.clone();
        other.network_signature = good.vote_signature;
        let expected = NotPossessed { key: "network_key" };
        assert_eq!(other.check(chain), Err(expected));
        let text = good.to_toml(chain).replace("harbour", "port");
        let problem = read(&text).unwrap_err().to_string();
        assert!(problem.contains("vote_signature"), "{problem}");
        let text = good
            .to_toml(chain)
            .replace("chain_id = \"07", "chain_id = \"7");
        let problem = read(&text).unwrap_err().to_string();
        assert!(problem.contains("chain_id"), "{problem}");
    }
}
