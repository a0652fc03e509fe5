//! Who must sign which kind, in which order.

use std::fmt;

use certchain_proto::{
    Address, Epoch, PublicKey, ValidatorIndex, limits::MAX_SIGNATURES,
    transaction::TransactionError, wire::v1::transaction_body::Kind,
};

/// In which capacity somebody signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The certifying agency.
    Agency,
    /// The registrar that reviews.
    Registrar,
    /// Who suspends or reinstates.
    Authority,
    /// The account's main key.
    PresentKey,
    /// Any key of the account.
    AccountKey,
    /// The key that the account gets.
    NewKey,
    /// A validator's vote key.
    VoteKey,
    /// The agency that issues a certificate.
    Issuer,
    /// A holder of the certificate.
    Holder,
    /// Who checks.
    Verifier,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Agency => "agency",
            Self::Registrar => "registrar",
            Self::Authority => "authority",
            Self::PresentKey => "present key",
            Self::AccountKey => "account",
            Self::NewKey => "new key",
            Self::VoteKey => "vote key",
            Self::Issuer => "issuer",
            Self::Holder => "holder",
            Self::Verifier => "verifier",
        })
    }
}

/// Whose signature is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// A present key of this account; which keys those are, the chain knows.
    Account(Address),
    /// This very key.
    Key(PublicKey),
    /// The vote key of a validator.
    Validator(Epoch, ValidatorIndex),
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(address) => address.fmt(f),
            Self::Key(key) => write!(f, "key {key}"),
            Self::Validator(epoch, index) => write!(f, "validator {index} of epoch {epoch}"),
        }
    }
}

/// One signature that a transaction needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// In which capacity.
    pub role: Role,
    /// Whose.
    pub signer: Signer,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.role, self.signer)
    }
}

/// The signatures that a kind needs, in their order.
///
/// # Errors
/// If a field that names a signer is none, or wallets do not sign this kind at all.
pub fn parties(kind: &Kind) -> Result<Vec<Party>, TransactionError> {
    match kind {
        Kind::RegisterIdentity(m) => Ok(vec![
            account(Role::Agency, "agency", &m.agency)?,
            account(Role::Registrar, "registrar", &m.registrar)?,
            new_key(&m.public_key)?,
        ]),
        Kind::RotateKey(m) => Ok(vec![
            account(Role::PresentKey, "address", &m.address)?,
            new_key(&m.public_key)?,
        ]),
        Kind::RecoverKey(m) => Ok(vec![
            account(Role::Agency, "agency", &m.agency)?,
            account(Role::Registrar, "registrar", &m.registrar)?,
            new_key(&m.public_key)?,
        ]),
        Kind::AddDevice(m) => Ok(vec![
            account(Role::PresentKey, "address", &m.address)?,
            new_key(&m.public_key)?,
        ]),
        Kind::RemoveDevice(m) => Ok(vec![account(Role::AccountKey, "address", &m.address)?]),
        Kind::ObjectToRecovery(m) => Ok(vec![account(Role::AccountKey, "address", &m.address)?]),
        Kind::DecideRecovery(m) => Ok(vec![
            account(Role::Agency, "agency", &m.agency)?,
            account(Role::Registrar, "registrar", &m.registrar)?,
        ]),
        Kind::CompleteRecovery(m) => Ok(vec![new_key(&m.public_key)?]),
        Kind::SuspendIdentity(m) => Ok(vec![account(Role::Authority, "authority", &m.authority)?]),
        Kind::ReinstateIdentity(m) => {
            Ok(vec![account(Role::Authority, "authority", &m.authority)?])
        }
        Kind::RevokeIdentity(m) => Ok(vec![
            account(Role::Agency, "agency", &m.agency)?,
            account(Role::Registrar, "registrar", &m.registrar)?,
        ]),
        Kind::RestartNotice(m) => Ok(vec![validator(m.epoch, m.validator)?]),
        Kind::Propose(m) => Ok(vec![validator(m.epoch, m.validator)?]),
        Kind::Vote(m) => Ok(vec![validator(m.epoch, m.validator)?]),
        Kind::AcceptAccreditation(m) => Ok(vec![account(Role::Agency, "agency", &m.agency)?]),
        Kind::IssueCertificate(m) => {
            let mut parties = vec![account(Role::Issuer, "issuer", &m.issuer)?];
            let draft = m.certificate.as_ref().ok_or(TransactionError::Field {
                field: "certificate",
                problem: "is missing",
            })?;
            if m.holders_sign {
                // The issuer's signature and theirs must fit into one transaction.
                if draft.holders.len() >= MAX_SIGNATURES {
                    return Err(TransactionError::Field {
                        field: "certificate.holders",
                        problem: "are more than can sign",
                    });
                }
                for holder in &draft.holders {
                    parties.push(account(Role::Holder, "certificate.holders", holder)?);
                }
            }
            Ok(parties)
        }
        Kind::IssueBatch(m) => Ok(vec![account(Role::Issuer, "issuer", &m.issuer)?]),
        Kind::AcceptCertificate(m) => Ok(vec![account(Role::Holder, "holder", &m.holder)?]),
        Kind::DeclineCertificate(m) => Ok(vec![account(Role::Holder, "holder", &m.holder)?]),
        Kind::RevokeCertificate(m) => {
            Ok(vec![account(Role::Authority, "authority", &m.authority)?])
        }
        Kind::RecordCheck(m) => Ok(vec![account(Role::Verifier, "verifier", &m.verifier)?]),
        // Their bodies name no signer: any validator's vote key will do, which no wallet holds.
        Kind::SubmitAnchor(_) | Kind::ReportConflict(_) => Err(TransactionError::Field {
            field: "kind",
            problem: "is made and signed by nodes, not by wallets",
        }),
    }
}

fn account(role: Role, field: &'static str, bytes: &[u8]) -> Result<Party, TransactionError> {
    let address = Address::from_slice(bytes).ok_or(TransactionError::Field {
        field,
        problem: "must have 32 bytes",
    })?;
    Ok(Party {
        role,
        signer: Signer::Account(address),
    })
}

fn validator(epoch: u64, place: u32) -> Result<Party, TransactionError> {
    let index = u16::try_from(place).map_err(|_| TransactionError::Field {
        field: "validator",
        problem: "must be below 65536",
    })?;
    Ok(Party {
        role: Role::VoteKey,
        signer: Signer::Validator(Epoch::new(epoch), ValidatorIndex::new(index)),
    })
}

fn new_key(bytes: &[u8]) -> Result<Party, TransactionError> {
    let key = PublicKey::from_bytes(bytes).map_err(|_| TransactionError::Field {
        field: "public_key",
        problem: "is not an Ed25519 key that the chain takes",
    })?;
    Ok(Party {
        role: Role::NewKey,
        signer: Signer::Key(key),
    })
}
