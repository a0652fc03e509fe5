//! Transactions as clients sign them: parsing, canonical form, names.

use prost::Message as _;
use unicode_normalization::is_nfc;

use crate::{
    context,
    hash::{SignaturesHash, SigningHash, TransactionId, WitnessId, hash_parts},
    ids::{ChainId, TimeMs},
    key::SecretKey,
    limits::{MAX_SIGNATURES, MAX_TRANSACTION_BYTES},
    signature::Signature,
    wire::v1::{
        CertificateDraft, Code, SignedTransaction, TransactionBody, TransactionSignature,
        ValidatorApplication, encrypted_fields::Content, propose::Change, transaction_body::Kind,
    },
};

/// Length of a transaction's nonce in bytes.
pub const NONCE_BYTES: usize = 16;

/// Why bytes are not a transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// More bytes than any chain takes.
    #[error(
        "the transaction has {actual} bytes, at most {MAX_TRANSACTION_BYTES} are taken; split it"
    )]
    TooLarge {
        /// Bytes that came.
        actual: usize,
    },
    /// Not protobuf of the right shape.
    #[error("the bytes are not a {what}; build it with the published .proto files")]
    Malformed {
        /// The message that was expected.
        what: &'static str,
    },
    /// Another encoding of the same message.
    #[error(
        "the {what} is not in canonical form; leave defaults out, write fields in order of their \
         numbers, text in NFC"
    )]
    NotCanonical {
        /// The message.
        what: &'static str,
    },
    /// A field with a wrong length or a value out of range.
    #[error("field {field} {problem}")]
    Field {
        /// Name in the .proto file.
        field: &'static str,
        /// What is wrong and what would be right.
        problem: &'static str,
    },
    /// More signatures than any kind has.
    #[error("{actual} signatures, no kind has more than {MAX_SIGNATURES}")]
    TooManySignatures {
        /// Signatures that came.
        actual: usize,
    },
    /// One key signs twice.
    #[error("signature {index} repeats the key of an earlier one")]
    RepeatedSigner {
        /// The later of the two.
        index: usize,
    },
}

impl TransactionError {
    /// The stable code of the refusal.
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLarge { .. } | Self::TooManySignatures { .. } => Code::TooLarge,
            Self::Malformed { .. } => Code::Malformed,
            Self::NotCanonical { .. } => Code::NotCanonical,
            Self::Field { .. } => Code::BadField,
            Self::RepeatedSigner { .. } => Code::SurplusSigner,
        }
    }
}

/// One signature under a transaction, as it came: neither the key nor the signature is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Witness {
    /// The signer's Ed25519 key, not yet parsed.
    pub public_key: [u8; 32],
    /// The signature.
    pub signature: Signature,
}

/// A transaction in canonical form with its names. Its signatures are not verified.
///
/// Invariants: `encoded` is the one encoding of envelope and body; the body has a kind, a chain id
/// and a nonce of the right lengths; between 0 and [`MAX_SIGNATURES`] witnesses, no key twice.
#[derive(Clone, Debug)]
pub struct Transaction {
    encoded: Vec<u8>,
    body: TransactionBody,
    kind: Kind,
    chain: ChainId,
    witnesses: Vec<Witness>,
    signing_hash: SigningHash,
    id: TransactionId,
    witness_id: WitnessId,
}

impl Transaction {
    /// Parses an encoded `SignedTransaction`.
    ///
    /// # Errors
    /// If the bytes are too many, malformed, not canonical, or a fixed-length field is not so long.
    pub fn decode(encoded: &[u8]) -> Result<Self, TransactionError> {
        if encoded.len() > MAX_TRANSACTION_BYTES {
            return Err(TransactionError::TooLarge {
                actual: encoded.len(),
            });
        }
        let what = "SignedTransaction";
        let envelope =
            SignedTransaction::decode(encoded).map_err(|_| TransactionError::Malformed { what })?;
        if envelope.encode_to_vec() != encoded {
            return Err(TransactionError::NotCanonical { what });
        }
        Self::from_parts(envelope, encoded.to_vec())
    }

    /// Takes a decoded envelope, as gRPC hands it over.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn from_envelope(envelope: SignedTransaction) -> Result<Self, TransactionError> {
        let actual = envelope.encoded_len();
        if actual > MAX_TRANSACTION_BYTES {
            return Err(TransactionError::TooLarge { actual });
        }
        let encoded = envelope.encode_to_vec();
        Self::from_parts(envelope, encoded)
    }

    fn from_parts(envelope: SignedTransaction, encoded: Vec<u8>) -> Result<Self, TransactionError> {
        let what = "TransactionBody";
        let body = TransactionBody::decode(envelope.body.as_ref())
            .map_err(|_| TransactionError::Malformed { what })?;
        if body.encode_to_vec() != envelope.body || !text_is_normal(&body) {
            return Err(TransactionError::NotCanonical { what });
        }
        let kind = body.kind.clone().ok_or(TransactionError::Field {
            field: "kind",
            problem: "is missing or unknown to this release",
        })?;
        let chain = ChainId::from_slice(&body.chain_id).ok_or(TransactionError::Field {
            field: "chain_id",
            problem: "must have 32 bytes",
        })?;
        if body.nonce.len() != NONCE_BYTES {
            return Err(TransactionError::Field {
                field: "nonce",
                problem: "must have 16 bytes",
            });
        }
        let witnesses = parse_witnesses(&envelope.signatures)?;
        let id = transaction_id(&envelope.body);
        Ok(Self {
            signing_hash: signing_hash(&envelope.body),
            witness_id: WitnessId::of(&id, &signatures_hash(&witnesses)),
            id,
            encoded,
            body,
            kind,
            chain,
            witnesses,
        })
    }

    /// The envelope's bytes, as they go into blocks.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// The envelope's bytes, given away.
    pub fn into_encoded(self) -> Vec<u8> {
        self.encoded
    }

    /// The decoded body.
    pub const fn body(&self) -> &TransactionBody {
        &self.body
    }

    /// What is wished.
    pub const fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The chain that may execute it.
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// Block time from which it can no longer be executed.
    pub const fn valid_until(&self) -> TimeMs {
        TimeMs::new(self.body.valid_until_ms)
    }

    /// Who signed, in order.
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// What the signatures sign.
    pub const fn signing_hash(&self) -> &SigningHash {
        &self.signing_hash
    }

    /// The body's name: for replay and for clients.
    pub const fn id(&self) -> TransactionId {
        self.id
    }

    /// The name of body and signatures: what blocks commit to.
    pub const fn witness_id(&self) -> WitnessId {
        self.witness_id
    }
}

fn parse_witnesses(signatures: &[TransactionSignature]) -> Result<Vec<Witness>, TransactionError> {
    if signatures.len() > MAX_SIGNATURES {
        return Err(TransactionError::TooManySignatures {
            actual: signatures.len(),
        });
    }
    let mut witnesses: Vec<Witness> = Vec::with_capacity(signatures.len());
    for (index, item) in signatures.iter().enumerate() {
        let public_key: [u8; 32] =
            item.public_key
                .as_slice()
                .try_into()
                .map_err(|_| TransactionError::Field {
                    field: "signatures.public_key",
                    problem: "must have 32 bytes",
                })?;
        let signature = Signature::from_slice(&item.signature).ok_or(TransactionError::Field {
            field: "signatures.signature",
            problem: "must have 64 bytes",
        })?;
        if witnesses.iter().any(|w| w.public_key == public_key) {
            return Err(TransactionError::RepeatedSigner { index });
        }
        witnesses.push(Witness {
            public_key,
            signature,
        });
    }
    Ok(witnesses)
}

/// Whether all text of the body is in normalisation form C.
fn text_is_normal(body: &TransactionBody) -> bool {
    match &body.kind {
        Some(Kind::RegisterIdentity(register)) => is_nfc(&register.organisation_code),
        Some(Kind::IssueCertificate(issue)) => {
            issue.certificate.as_ref().is_none_or(draft_is_normal)
        }
        Some(Kind::IssueBatch(batch)) => batch.certificates.iter().all(draft_is_normal),
        Some(Kind::Propose(propose)) => match &propose.change {
            Some(Change::AccreditAgency(m)) => m.types.iter().all(|name| is_nfc(name)),
            Some(Change::WithdrawAccreditation(m)) => m.types.iter().all(|name| is_nfc(name)),
            Some(Change::AdmitValidator(m)) => application_is_normal(m.application.as_ref()),
            Some(Change::RotateValidatorKeys(m)) => application_is_normal(m.application.as_ref()),
            Some(Change::AdmitObserver(m)) => is_nfc(&m.name),
            Some(
                Change::AppointRegistrar(_)
                | Change::DismissRegistrar(_)
                | Change::SetParameters(_)
                | Change::SetTagKeyVersion(_)
                | Change::RemoveValidator(_)
                | Change::DismissObserver(_),
            )
            | None => true,
        },
        Some(
            Kind::RotateKey(_)
            | Kind::RecoverKey(_)
            | Kind::AddDevice(_)
            | Kind::RemoveDevice(_)
            | Kind::ObjectToRecovery(_)
            | Kind::DecideRecovery(_)
            | Kind::CompleteRecovery(_)
            | Kind::SuspendIdentity(_)
            | Kind::ReinstateIdentity(_)
            | Kind::RevokeIdentity(_)
            | Kind::RestartNotice(_)
            | Kind::AcceptCertificate(_)
            | Kind::DeclineCertificate(_)
            | Kind::RevokeCertificate(_)
            | Kind::RecordCheck(_)
            | Kind::SubmitAnchor(_)
            | Kind::ReportConflict(_)
            | Kind::Vote(_)
            | Kind::AcceptAccreditation(_),
        )
        | None => true,
    }
}

fn application_is_normal(application: Option<&ValidatorApplication>) -> bool {
    application.is_none_or(|m| is_nfc(&m.name) && is_nfc(&m.organisation_code))
}

fn draft_is_normal(draft: &CertificateDraft) -> bool {
    is_nfc(&draft.r#type)
        && draft.encrypted.iter().all(|fields| match &fields.content {
            Some(Content::Reference(reference)) => {
                is_nfc(&reference.media_type) && is_nfc(&reference.location)
            }
            Some(Content::Ciphertext(_)) | None => true,
        })
}

/// The name of a body.
pub fn transaction_id(body: &[u8]) -> TransactionId {
    TransactionId::from_bytes(hash_parts(context::TRANSACTION_ID, &[body]))
}

/// What signers of a body sign.
pub fn signing_hash(body: &[u8]) -> SigningHash {
    SigningHash::from_bytes(hash_parts(context::SIGN_TRANSACTION, &[body]))
}

/// The hash of all signatures: key and signature of each, in order.
pub fn signatures_hash(witnesses: &[Witness]) -> SignaturesHash {
    let mut bytes = Vec::with_capacity(witnesses.len() * 96);
    for witness in witnesses {
        bytes.extend_from_slice(&witness.public_key);
        bytes.extend_from_slice(&witness.signature.to_bytes());
    }
    SignaturesHash::from_bytes(hash_parts(context::TRANSACTION_SIGNATURES, &[&bytes]))
}

/// Builds and signs a transaction with all keys at hand (tests, tools, single-party kinds). Where
/// the parties sit apart, each signs [`signing_hash`] of the same body bytes.
pub fn sign(body: &TransactionBody, signers: &[&SecretKey]) -> SignedTransaction {
    let body = body.encode_to_vec();
    let hash = signing_hash(&body);
    let signatures = signers
        .iter()
        .map(|key| TransactionSignature {
            public_key: key.public().as_bytes().to_vec(),
            signature: key.sign(&hash).to_bytes().to_vec(),
        })
        .collect();
    SignedTransaction {
        body: body.into(),
        signatures,
    }
}
