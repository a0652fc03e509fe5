//! What the certificate commands look up before they act: chains, types, keys, records, fields.

use std::path::Path;

use certchain_client::{
    certificate::{KnownType, OpenError, ReceivedCertificate, Recipient},
    connection::{Connection, ConnectionError},
    light::ProvenCertificate,
    query::authorise_content,
    wallet::Wallet,
};
use certchain_config::SideChain;
use certchain_proto::{
    Address, Height,
    hash::{CertificateId, ContentHash, TransactionId},
    wire::v1::{self, Code},
};
use certchain_sidechain::{encryption::EncryptionError, fields::CertificateFields};
use clap::Args;
use futures::{StreamExt as _, TryStreamExt as _};

use super::{
    exit_code::Exit,
    failure::Failure,
    registration::MAIN,
    session::{Common, Trust, now, passphrase_from},
};

/// Questions about accounts that are asked at a time.
const AT_ONCE: usize = 16;

/// Which side chain, if the caller knows.
#[derive(Args, Clone, Copy, Debug)]
pub struct ChainOption {
    /// Side chain: marriage, property, degree, business or health [default: ask all]
    #[arg(long, value_name = "NAME", value_parser = side_chain)]
    pub chain: Option<SideChain>,
}

impl ChainOption {
    /// The chains to ask.
    pub fn sides(self) -> Vec<SideChain> {
        self.chain
            .map_or_else(|| SideChain::ALL.to_vec(), |chain| vec![chain])
    }

    /// The name for requests that take "all" as empty.
    pub fn name_or_all(self) -> &'static str {
        self.chain.map_or("", SideChain::name)
    }
}

/// Reads the name of a side chain.
pub fn side_chain(text: &str) -> Result<SideChain, String> {
    SideChain::ALL
        .into_iter()
        .find(|chain| chain.name() == text)
        .ok_or_else(|| {
            "the side chains are marriage, property, degree, business and health".to_owned()
        })
}

/// Reads a certificate's id.
pub fn certificate_id(text: &str) -> Result<CertificateId, String> {
    CertificateId::from_hex(text)
        .ok_or_else(|| "a certificate is named by 64 hexadecimal digits".to_owned())
}

/// Reads a transaction's id.
pub fn transaction_id(text: &str) -> Result<TransactionId, String> {
    TransactionId::from_hex(text)
        .ok_or_else(|| "a transaction is named by 64 hexadecimal digits".to_owned())
}

/// A certificate and where it was found.
#[derive(Debug)]
pub struct Found {
    /// Its chain.
    pub side: SideChain,
    /// Its id.
    pub id: CertificateId,
    /// What the node tells of it.
    pub certificate: v1::Certificate,
    /// The node's answer.
    pub answer: v1::GetCertificateResponse,
    /// What is proven, if proof was asked for.
    pub proven: Option<ProvenCertificate>,
}

/// A part of a node's answer that cannot be.
pub fn wrong(what: &str) -> Failure {
    let message = format!("{what} in the node's answer is none; do not trust this node");
    Failure::new(Exit::Failed, message)
}

/// Finds a certificate, on the named chain or on all in turn.
pub async fn find(
    connection: &Connection,
    id: &CertificateId,
    chain: ChainOption,
    trust: Option<&Trust>,
) -> Result<Found, Failure> {
    for side in chain.sides() {
        let answer = match connection
            .certificate(side.name(), id, trust.is_some())
            .await
        {
            Ok(answer) => answer,
            Err(ConnectionError::NotFound { .. }) => continue,
            Err(ConnectionError::Refused {
                code: Code::UnknownCertificate,
                ..
            }) => {
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let certificate = answer.certificate.clone();
        let certificate = certificate
            .filter(|certificate| certificate.certificate == id.as_bytes())
            .ok_or_else(|| wrong("the certificate"))?;
        let proven = match trust {
            Some(trust) => {
                let light = trust.side(connection, side).await?;
                Some(light.certificate(side.name(), id, &answer)?)
            }
            None => None,
        };
        return Ok(Found {
            side,
            id: *id,
            certificate,
            answer,
            proven,
        });
    }
    let place = match chain.chain {
        Some(side) => format!("the {} chain holds no", side.name()),
        None => "no side chain holds".to_owned(),
    };
    let message = format!("{place} certificate {id}; check the id, or wait until it is decided");
    Err(Failure::new(Exit::NotFound, message))
}

/// A type of the catalogue: from the genesis that is trusted, else from the node.
pub async fn type_of(
    connection: &Connection,
    side: SideChain,
    name: &str,
    trust: Option<&Trust>,
) -> Result<KnownType, Failure> {
    if let Some(trust) = trust {
        return trust.known_type(side, name);
    }
    let types = connection.catalogue(side.name()).await?;
    types
        .into_iter()
        .find(|known| {
            known.certificate_type.chain == side && known.certificate_type.name.as_str() == name
        })
        .ok_or_else(|| {
            let message = "the certificate's type is not in the node's catalogue; use another node";
            Failure::new(Exit::Failed, message)
        })
}

/// A type by its name alone.
pub async fn type_named(connection: &Connection, name: &str) -> Result<KnownType, Failure> {
    let types = connection.catalogue("").await?;
    let names: Vec<_> = types
        .iter()
        .map(|known| known.certificate_type.name.to_string())
        .collect();
    types
        .into_iter()
        .find(|known| known.certificate_type.name.as_str() == name)
        .ok_or_else(|| {
            let message = format!("there is no such type; the types are {}", names.join(", "));
            Failure::usage(message)
        })
}

/// The present encryption key of an account.
pub async fn recipient(connection: &Connection, address: Address) -> Result<Recipient, Failure> {
    let keys = connection.public_key(&address, None, false).await;
    let keys = keys.map_err(|error| match error {
        ConnectionError::NotFound { .. } => {
            let message = format!("{address} is not registered; check the address");
            Failure::new(Exit::NotFound, message)
        }
        error => error.into(),
    })?;
    let encryption_key = keys.encryption_key.as_slice().try_into();
    Ok(Recipient {
        address,
        encryption_key: encryption_key.map_err(|_| wrong("the encryption key"))?,
    })
}

/// The encryption keys of several accounts, in their order; a failure stands for its account.
pub async fn recipients(
    connection: &Connection,
    addresses: &[Address],
) -> Vec<Result<Recipient, Failure>> {
    futures::stream::iter(addresses.iter().copied())
        .map(|address| recipient(connection, address))
        .buffered(AT_ONCE)
        .collect()
        .await
}

/// Opens a certificate's fields as its holder, by asking for its draft, and checks them against the
/// root on chain.
pub async fn open_fields(
    connection: &Connection,
    wallet: &Wallet,
    known: &KnownType,
    certificate: &v1::Certificate,
) -> Result<CertificateFields, Failure> {
    let id = CertificateId::from_slice(&certificate.certificate)
        .ok_or_else(|| wrong("the certificate's id"))?;
    let issuer = Address::from_slice(&certificate.issuer).ok_or_else(|| wrong("the issuer"))?;
    let transaction = TransactionId::from_slice(&certificate.transaction_id)
        .ok_or_else(|| wrong("the transaction's id"))?;
    let account = wallet.address();
    let is_holder = |holder: &v1::CertificateHolder| holder.address == account.as_bytes();
    if !certificate.holders.iter().any(is_holder) {
        return Err(OpenError::NotHolder { account }.into());
    }
    let answer = connection
        .query_certificate(
            &certificate.chain,
            &account,
            Height::new(certificate.issued_height),
            &transaction,
            // Without a line it is the first that is this holder's, which line 0 is.
            Some(certificate.line).filter(|line| *line != 0),
        )
        .await?;
    let draft = answer.draft.ok_or_else(|| wrong("the draft"))?;
    let received = ReceivedCertificate::new(known.chain, issuer, draft, Some(id))?;
    open_received(connection, wallet, known, &received).await
}

/// Opens a draft's fields as its holder, fetching the ciphertext if it is kept off the chain.
pub async fn open_received(
    connection: &Connection,
    wallet: &Wallet,
    known: &KnownType,
    received: &ReceivedCertificate,
) -> Result<CertificateFields, Failure> {
    match received.open(&known.certificate_type, wallet, None) {
        Err(OpenError::Encryption(EncryptionError::ContentNeeded { hash })) => {
            let content = connection.content(&hash).await?;
            Ok(received.open(&known.certificate_type, wallet, Some(&content))?)
        }
        opened => Ok(opened?),
    }
}

/// Puts ciphertexts that are too large for the chain into the node's store.
pub async fn put_contents(
    connection: &Connection,
    wallet: &Wallet,
    contents: Vec<Vec<u8>>,
) -> Result<usize, Failure> {
    if contents.is_empty() {
        return Ok(0);
    }
    let count = contents.len();
    let main = connection.chain_id(MAIN).await?;
    futures::stream::iter(contents)
        .map(|content| {
            let permit = authorise_content(wallet, main, &ContentHash::of(&content), now());
            connection.put_content(content, permit)
        })
        .buffered(4)
        .try_collect::<Vec<_>>()
        .await?;
    Ok(count)
}

/// Opens a holder's wallet beside that of the issuer.
pub fn open_holder(common: &Common, path: &Path, file: Option<&Path>) -> Result<Wallet, Failure> {
    Wallet::inspect(path)?;
    let file = file.or(common.passphrase_file.as_deref());
    let question = format!("Passphrase of {}: ", path.display());
    let passphrase = passphrase_from(file, "CERTCHAIN_HOLDER_PASSPHRASE", &question, false)?;
    Ok(Wallet::open(path, &passphrase)?)
}
