//! The holder's side: opening what came.

use certchain_config::CertificateType;
use certchain_proto::{
    Address, ChainId,
    hash::{CertificateId, FieldRoot},
    wire::v1::{CertificateDraft, EncryptedFields},
};
use certchain_sidechain::{
    encryption::{EncryptionError, FieldsScope, Sealed},
    fields::{CertificateFields, PlaintextError},
};

use crate::wallet::{KeyPair, Wallet};

/// Why a certificate does not open, or is not what its draft commits to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// A field of the draft has a wrong length.
    #[error("the certificate's {field} has a wrong length; do not trust who sent it")]
    Malformed {
        /// Name in the .proto file.
        field: &'static str,
    },
    /// The draft is of another certificate than was asked for.
    #[error("the draft is of certificate {actual}, not of {asked}; do not trust who sent it")]
    OtherCertificate {
        /// The id that was asked for.
        asked: CertificateId,
        /// The draft's id.
        actual: CertificateId,
    },
    /// The draft is of another type than the catalogue's entry.
    #[error("the certificate is of type '{actual}', not '{expected}'")]
    OtherType {
        /// The type of the draft, cut to 80 characters.
        actual: String,
        /// The entry's name.
        expected: String,
    },
    /// The wallet's account is not a holder.
    #[error("{account} is not a holder of this certificate; use its holder's wallet")]
    NotHolder {
        /// The wallet's account.
        account: Address,
    },
    /// Nothing in it is encrypted to a key of the wallet.
    #[error(
        "nothing in the certificate is encrypted to a key of this wallet; if its keys were \
             recovered, ask the issuer for the certificate anew"
    )]
    NotForThisWallet,
    /// It does not open.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    /// What it holds are not the fields of its type.
    #[error(transparent)]
    Fields(#[from] PlaintextError),
    /// The fields are not those that the chain commits to.
    #[error(
        "the fields that were sent are not those that the chain commits to (sent {sent}, \
             committed {committed}): decline the certificate and tell its issuer"
    )]
    OtherRoot {
        /// The root over the fields that were sent.
        sent: FieldRoot,
        /// The draft's root.
        committed: FieldRoot,
    },
    /// It claims another thing than its fields name.
    #[error(
        "the certificate does not claim the parcel that its fields name, so that another title to \
             it could be issued: decline the certificate and tell its issuer"
    )]
    OtherClaim,
}

/// A certificate as it was sent: its draft, by whom, on which chain.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedCertificate {
    chain: ChainId,
    id: CertificateId,
    field_root: FieldRoot,
    draft: CertificateDraft,
}

impl ReceivedCertificate {
    /// Takes a draft that `issuer` issued on `chain`. With `asked`, it must be that certificate's.
    ///
    /// # Errors
    /// If a length is wrong, or it is of another certificate.
    pub fn new(
        chain: ChainId,
        issuer: Address,
        draft: CertificateDraft,
        asked: Option<CertificateId>,
    ) -> Result<Self, OpenError> {
        let malformed = |field| OpenError::Malformed { field };
        let field_root =
            FieldRoot::from_slice(&draft.field_root).ok_or_else(|| malformed("field_root"))?;
        let nonce: [u8; 16] = draft
            .nonce
            .as_slice()
            .try_into()
            .map_err(|_| malformed("nonce"))?;
        if draft.encrypted.len() != draft.holders.len() {
            return Err(malformed("encrypted"));
        }
        let id = CertificateId::of(&chain, &issuer, &draft.r#type, &field_root, &nonce);
        if let Some(asked) = asked
            && asked != id
        {
            return Err(OpenError::OtherCertificate { asked, actual: id });
        }
        Ok(Self {
            chain,
            id,
            field_root,
            draft,
        })
    }

    /// Its id.
    pub const fn id(&self) -> CertificateId {
        self.id
    }

    /// Name of its type.
    pub fn type_name(&self) -> &str {
        &self.draft.r#type
    }

    /// The draft.
    pub const fn draft(&self) -> &CertificateDraft {
        &self.draft
    }

    /// Opens the fields with a wallet, by its present or a past key, and checks them against the
    /// catalogue and the root that the chain commits to. `content` is the ciphertext, if it is kept
    /// off the chain ([`EncryptionError::ContentNeeded`] names it).
    ///
    /// # Errors
    /// If they are not for this wallet, were changed, or are not what the chain commits to.
    pub fn open(
        &self,
        certificate_type: &CertificateType,
        wallet: &Wallet,
        content: Option<&[u8]>,
    ) -> Result<CertificateFields, OpenError> {
        let expected = certificate_type.name.as_str();
        if self.draft.r#type != expected {
            return Err(OpenError::OtherType {
                actual: self.draft.r#type.chars().take(80).collect(),
                expected: expected.to_owned(),
            });
        }
        let account = wallet.address();
        let wire = self
            .encrypted_to(&account)
            .ok_or(OpenError::NotHolder { account })?;
        let sealed = Sealed::from_wire(wire, content)?;
        let mut keys = std::iter::once(wallet.keys()).chain(wallet.past_keys());
        let key: &KeyPair = keys
            .find(|pair| pair.encryption_key() == sealed.recipient_key)
            .ok_or(OpenError::NotForThisWallet)?;
        let scope = FieldsScope {
            chain: self.chain,
            certificate: self.id,
            version: 0,
        };
        let plaintext = scope.open(key.encryption_secret().as_bytes(), &sealed)?;
        let fields = CertificateFields::from_plaintext(certificate_type, &plaintext)?;
        let sent = fields.root();
        if sent != self.field_root {
            return Err(OpenError::OtherRoot {
                sent,
                committed: self.field_root,
            });
        }
        // The chain knows the claim and not the field, so only the holder can compare them.
        match fields.claim() {
            Ok(Some(claim)) if self.draft.claim != claim => Err(OpenError::OtherClaim),
            Ok(_) | Err(_) => Ok(fields),
        }
    }

    /// What is encrypted to this holder.
    fn encrypted_to(&self, holder: &Address) -> Option<&EncryptedFields> {
        let mut pairs = self.draft.holders.iter().zip(&self.draft.encrypted);
        pairs
            .find(|(address, _)| address.as_slice() == holder.as_bytes())
            .map(|(_, fields)| fields)
    }
}
