//! A transaction on its way from signer to signer.
//!
//! The file is text: a comment, `format = "certchain draft 1"`, and `transaction`, the encoded
//! `SignedTransaction` with the signatures so far, in hexadecimal digits. It holds no secret.

use std::path::Path;

use certchain_proto::{
    Address, Epoch, PublicKey, SecretKey, ValidatorIndex,
    hash::TransactionId,
    limits::MAX_TRANSACTION_BYTES,
    transaction::{Transaction, TransactionError},
    wire::v1::{SignedTransaction, TransactionBody, TransactionSignature, transaction_body::Kind},
};
use prost::Message as _;
use serde::Deserialize;

use crate::{
    atomic_file::{self, Access},
    text_file::{FileError, line, parse, read_text},
    wallet::Wallet,
};

use super::party::{Party, Signer, parties};

const WHAT: &str = "draft of a transaction";
const FORMAT: &str = "certchain draft 1";
const MAX_FILE_BYTES: u64 = 2 * MAX_TRANSACTION_BYTES as u64 + 1024;

/// Why a draft cannot be read or signed.
#[derive(Debug, thiserror::Error)]
pub enum DraftError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The bytes are no transaction.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// A signature in it does not hold.
    #[error("the signature of {party} does not hold; ask for the draft again")]
    Signature {
        /// Whose it should be.
        party: Box<Party>,
    },
    /// It bears more signatures than its kind has signers.
    #[error("the draft bears {actual} signatures, its kind has {needed} signers; refuse it")]
    Surplus {
        /// Signatures that it bears.
        actual: usize,
        /// Signers of its kind.
        needed: usize,
    },
    /// Somebody else must sign first, or at all.
    #[error("it is the turn of {party} to sign, and this wallet is {wallet}; use the right wallet")]
    NotYourTurn {
        /// Whose turn it is.
        party: Box<Party>,
        /// The wallet's account.
        wallet: Address,
    },
    /// The key that would sign is not the one that the draft names.
    #[error("the draft names another key than this wallet's; let it be drafted anew")]
    OtherKey,
    /// All have signed.
    #[error("all {signers} have signed already; submit it")]
    Complete {
        /// How many.
        signers: usize,
    },
    /// Not all have signed.
    #[error("the signature of {party} is still missing; pass it on")]
    Incomplete {
        /// Who comes next.
        party: Box<Party>,
    },
}

/// A transaction with the signatures so far.
///
/// Invariants: the body is canonical; the signatures are those of the first parties, in order, and
/// hold. Whether the keys of accounts are their present ones only the chain knows.
#[derive(Clone, Debug)]
pub struct Draft {
    transaction: Transaction,
    envelope: SignedTransaction,
    parties: Vec<Party>,
}

impl Draft {
    /// Takes a body that nobody has signed yet.
    ///
    /// # Errors
    /// If it is not canonical or a field that names a signer is none.
    pub fn new(body: &TransactionBody) -> Result<Self, DraftError> {
        let body = body.encode_to_vec().into();
        Self::from_envelope(SignedTransaction {
            body,
            signatures: Vec::new(),
        })
    }

    /// Reads an encoded `SignedTransaction`, complete or not.
    ///
    /// # Errors
    /// If an invariant of the type does not hold.
    pub fn decode(bytes: &[u8]) -> Result<Self, DraftError> {
        let transaction = Transaction::decode(bytes)?;
        let what = "SignedTransaction";
        let envelope =
            SignedTransaction::decode(bytes).map_err(|_| TransactionError::Malformed { what })?;
        Self::check(transaction, envelope)
    }

    /// Takes a decoded envelope, complete or not.
    ///
    /// # Errors
    /// If an invariant of the type does not hold.
    pub fn from_envelope(envelope: SignedTransaction) -> Result<Self, DraftError> {
        Self::check(Transaction::from_envelope(envelope.clone())?, envelope)
    }

    fn check(transaction: Transaction, envelope: SignedTransaction) -> Result<Self, DraftError> {
        let parties = parties(transaction.kind())?;
        let (actual, needed) = (transaction.witnesses().len(), parties.len());
        if actual > needed {
            return Err(DraftError::Surplus { actual, needed });
        }
        for (party, witness) in parties.iter().zip(transaction.witnesses()) {
            let broken = || DraftError::Signature {
                party: Box::new(party.clone()),
            };
            let key = PublicKey::from_bytes(&witness.public_key).map_err(|_| broken())?;
            if matches!(&party.signer, Signer::Key(named) if *named != key) {
                return Err(broken());
            }
            key.verify(transaction.signing_hash(), &witness.signature)
                .map_err(|_| broken())?;
        }
        Ok(Self {
            transaction,
            envelope,
            parties,
        })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, was altered, or an invariant of the type does not hold.
    pub fn read_file(path: &Path) -> Result<Self, DraftError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Raw {
            format: String,
            transaction: String,
        }
        let text = read_text(path, WHAT, MAX_FILE_BYTES)?;
        let raw: Raw = parse(path, WHAT, &text)?;
        if raw.format != FORMAT {
            let problem = "it is of another format or release";
            return Err(FileError::malformed(path, WHAT, problem).into());
        }
        let bytes = hex::decode(&raw.transaction)
            .map_err(|_| FileError::malformed(path, WHAT, "transaction is not hexadecimal"))?;
        if render(&bytes) != text {
            return Err(FileError::Altered {
                path: path.to_owned(),
            }
            .into());
        }
        Self::decode(&bytes)
    }

    /// Writes a file, which must not exist yet.
    ///
    /// # Errors
    /// If it exists or cannot be written.
    pub fn write_file(&self, path: &Path) -> Result<(), DraftError> {
        atomic_file::create(
            path,
            render(self.transaction.encoded()).as_bytes(),
            Access::Everybody,
        )
        .map_err(|e| FileError::writing(path, e).into())
    }

    /// The transaction, with its names.
    pub const fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// The body's name, which no further signature changes.
    pub const fn id(&self) -> TransactionId {
        self.transaction.id()
    }

    /// What is wished.
    pub const fn kind(&self) -> &Kind {
        self.transaction.kind()
    }

    /// All who must sign, in order.
    pub fn parties(&self) -> &[Party] {
        &self.parties
    }

    /// How many have signed.
    pub fn signed(&self) -> usize {
        self.transaction.witnesses().len()
    }

    /// Whose turn it is; none if all have signed.
    pub fn next_party(&self) -> Option<&Party> {
        self.parties.get(self.signed())
    }

    /// Signs as `account` with `key`, if it is that account's turn, or that key's.
    ///
    /// # Errors
    /// If it is somebody else's turn, or all have signed.
    pub fn sign(&mut self, account: Address, key: &SecretKey) -> Result<(), DraftError> {
        let Some(party) = self.next_party() else {
            return Err(DraftError::Complete {
                signers: self.parties.len(),
            });
        };
        let not_yours = || DraftError::NotYourTurn {
            party: Box::new(party.clone()),
            wallet: account,
        };
        match &party.signer {
            Signer::Account(address) if *address == account => {}
            Signer::Account(_) | Signer::Validator(..) => return Err(not_yours()),
            Signer::Key(named) if named == key.public() => {}
            Signer::Key(named) => {
                let for_account = self.subject() == Some(account) || Address::of(named) == account;
                return Err(if for_account {
                    DraftError::OtherKey
                } else {
                    not_yours()
                });
            }
        }
        self.append(key)
    }

    /// Signs as the validator `place` of `epoch` with its vote key, if it is that validator's turn.
    /// Whether the key is that validator's only the chain knows.
    ///
    /// # Errors
    /// If it is somebody else's turn, or all have signed.
    pub fn sign_as_validator(
        &mut self,
        epoch: Epoch,
        place: ValidatorIndex,
        key: &SecretKey,
    ) -> Result<(), DraftError> {
        let Some(party) = self.next_party() else {
            return Err(DraftError::Complete {
                signers: self.parties.len(),
            });
        };
        if party.signer != Signer::Validator(epoch, place) {
            return Err(DraftError::NotYourTurn {
                party: Box::new(party.clone()),
                wallet: Address::of(key.public()),
            });
        }
        self.append(key)
    }

    fn append(&mut self, key: &SecretKey) -> Result<(), DraftError> {
        let signature = key.sign(self.transaction.signing_hash());
        let mut envelope = self.envelope.clone();
        envelope.signatures.push(TransactionSignature {
            public_key: key.public().as_bytes().to_vec(),
            signature: signature.to_bytes().to_vec(),
        });
        *self = Self::from_envelope(envelope)?;
        Ok(())
    }

    /// Signs with a wallet's present key.
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub fn sign_with(&mut self, wallet: &Wallet) -> Result<(), DraftError> {
        self.sign(wallet.address(), wallet.signing_key())
    }

    /// The finished transaction.
    ///
    /// # Errors
    /// If somebody has not signed.
    pub fn finish(self) -> Result<SignedTransaction, DraftError> {
        match self.next_party() {
            None => Ok(self.envelope),
            Some(party) => Err(DraftError::Incomplete {
                party: Box::new(party.clone()),
            }),
        }
    }

    /// The account that it is about, if the body names just one.
    pub fn subject(&self) -> Option<Address> {
        match self.kind() {
            Kind::RegisterIdentity(m) => {
                Some(Address::of(&PublicKey::from_bytes(&m.public_key).ok()?))
            }
            Kind::RotateKey(m) => Address::from_slice(&m.address),
            Kind::RecoverKey(m) => Address::from_slice(&m.address),
            Kind::AddDevice(m) => Address::from_slice(&m.address),
            Kind::RemoveDevice(m) => Address::from_slice(&m.address),
            Kind::ObjectToRecovery(m) => Address::from_slice(&m.address),
            Kind::DecideRecovery(m) => Address::from_slice(&m.address),
            Kind::CompleteRecovery(m) => Address::from_slice(&m.address),
            Kind::SuspendIdentity(m) => Address::from_slice(&m.address),
            Kind::ReinstateIdentity(m) => Address::from_slice(&m.address),
            Kind::RevokeIdentity(m) => Address::from_slice(&m.address),
            Kind::IssueCertificate(m) => match m.certificate.as_ref()?.holders.as_slice() {
                [holder] => Address::from_slice(holder),
                _ => None,
            },
            Kind::AcceptAccreditation(m) => Address::from_slice(&m.agency),
            Kind::AcceptCertificate(m) => Address::from_slice(&m.holder),
            Kind::DeclineCertificate(m) => Address::from_slice(&m.holder),
            Kind::RestartNotice(_)
            | Kind::IssueBatch(_)
            | Kind::RevokeCertificate(_)
            | Kind::RecordCheck(_)
            | Kind::SubmitAnchor(_)
            | Kind::ReportConflict(_)
            | Kind::Propose(_)
            | Kind::Vote(_) => None,
        }
    }
}

fn render(encoded: &[u8]) -> String {
    let mut text = String::with_capacity(2 * encoded.len() + 256);
    text.push_str("# A CertChain transaction on its way from signer to signer. Holds no secret.\n");
    line(&mut text, "format", FORMAT);
    line(&mut text, "transaction", &hex::encode(encoded));
    text
}
