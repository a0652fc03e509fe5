//! BLAKE3 hashes, typed by what they hash.

use std::fmt;

use blake3::hazmat::HasherExt;
use serde::{Deserialize, Serialize};

use crate::{
    address::Address,
    context::{self, HashContext},
    ids::ChainId,
};

/// The length of every hash in bytes.
pub const HASH_BYTES: usize = 32;

/// Hashes `parts`, one after the other, in the given context.
///
/// The parts are joined without separators: callers pass parts of fixed length, or one
/// self-delimiting encoding.
pub fn hash_parts(context: HashContext, parts: &[&[u8]]) -> [u8; HASH_BYTES] {
    let mut hasher = blake3::Hasher::new_from_context_key(context.key());
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

macro_rules! hashes {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name([u8; HASH_BYTES]);

        impl $name {
            /// All bytes zero: stands for "none" where a format says so.
            pub const ZERO: Self = Self([0; HASH_BYTES]);

            /// Takes bytes that are already such a hash (decoded, stored or computed).
            pub const fn from_bytes(bytes: [u8; HASH_BYTES]) -> Self {
                Self(bytes)
            }

            /// Takes a slice, if it has the right length.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; HASH_BYTES] {
                &self.0
            }

            /// Reads 64 hexadecimal digits.
            pub fn from_hex(text: &str) -> Option<Self> {
                let mut bytes = [0; HASH_BYTES];
                hex::decode_to_slice(text, &mut bytes).ok()?;
                Some(Self(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({}..)"), hex::encode(&self.0[..6]))
            }
        }
    )*};
}

hashes! {
    /// Hash of a block header: what PREPARE votes fix.
    HeaderDigest;
    /// Hash of a block's outcome: what COMMIT votes fix besides the header.
    OutcomeDigest;
    /// Hash of header digest and outcome digest: the name of a block.
    BlockId;
    /// Hash of a commit certificate, signers included.
    CertificateDigest;
    /// Root of the authenticated state.
    StateRoot;
    /// Hash of a value in the authenticated state.
    ValueHash;
    /// Root over a block's witness ids.
    TxRoot;
    /// Root over a block's receipts.
    ReceiptsRoot;
    /// Hash of one receipt.
    ReceiptHash;
    /// Root over all earlier block ids.
    HistoryRoot;
    /// Hash of a transaction's body: for replay and for clients.
    TransactionId;
    /// Hash of a transaction's signatures.
    SignaturesHash;
    /// Hash of a transaction's id and signatures: what blocks commit to.
    WitnessId;
    /// Hash of a validator set.
    ValidatorSetDigest;
    /// Hash that a signature signs.
    SigningHash;
    /// Root over an identity's salted attribute commitments.
    AttributeRoot;
    /// Pseudonym of a person's document: one person, one identity.
    IdentityTag;
    /// Hash of the genesis document.
    GenesisHash;
    /// Root over a certificate's salted field commitments.
    FieldRoot;
    /// Name of a certificate, fixed before it is on chain.
    CertificateId;
    /// Hash of bytes that are kept off the chain.
    ContentHash;
    /// Hash of a presentation: the name of the check that is recorded of it.
    PresentationId;
    /// Hash of the salted fields that a presentation shows.
    DisclosedHash;
    /// Root over the lines of a batch's receipt.
    LinesRoot;
}

impl BlockId {
    /// The name of the block with this order and this result.
    pub fn of(header: &HeaderDigest, outcome: &OutcomeDigest) -> Self {
        Self(hash_parts(
            context::BLOCK_ID,
            &[header.as_bytes(), outcome.as_bytes()],
        ))
    }
}

impl WitnessId {
    /// The name of a transaction together with its signatures.
    pub fn of(transaction: &TransactionId, signatures: &SignaturesHash) -> Self {
        Self(hash_parts(
            context::WITNESS_ID,
            &[transaction.as_bytes(), signatures.as_bytes()],
        ))
    }
}

impl CertificateId {
    /// The name of a certificate. Chain and issuer are in it, so that nobody can take the name of
    /// another's certificate first.
    pub fn of(
        chain: &ChainId,
        issuer: &Address,
        type_name: &str,
        field_root: &FieldRoot,
        nonce: &[u8; 16],
    ) -> Self {
        Self(hash_parts(
            context::CERTIFICATE_ID,
            &[
                chain.as_bytes(),
                issuer.as_bytes(),
                &type_key(type_name),
                field_root.as_bytes(),
                nonce,
            ],
        ))
    }
}

/// The name of a certificate type at a fixed length, for keys and hashes.
pub fn type_key(type_name: &str) -> [u8; HASH_BYTES] {
    hash_parts(context::CERTIFICATE_TYPE, &[type_name.as_bytes()])
}

impl ContentHash {
    /// The hash of bytes that are kept off the chain.
    pub fn of(content: &[u8]) -> Self {
        Self(hash_parts(context::CONTENT, &[content]))
    }
}

impl PresentationId {
    /// The name of an encoded presentation.
    pub fn of(encoded: &[u8]) -> Self {
        Self(hash_parts(context::PRESENTATION_ID, &[encoded]))
    }
}

impl ValueHash {
    /// The hash of a value as the state tree holds it.
    pub fn of(value: &[u8]) -> Self {
        Self(hash_parts(context::STATE_VALUE, &[value]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_contexts_and_no_two_inputs_give_one_hash() {
        let mut all: Vec<_> = context::ALL
            .iter()
            .flat_map(|c| [hash_parts(*c, &[b"a"]), hash_parts(*c, &[b"b"])])
            .collect();
        let context = context::HEADER;
        let derived = blake3::derive_key(context.as_str(), b"a");
        assert_eq!(hash_parts(context, &[b"a"]), derived);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 2 * context::ALL.len());
        assert_ne!(type_key("degree"), type_key("health"));
        assert_eq!(
            type_key("degree"),
            hash_parts(context::CERTIFICATE_TYPE, &[b"degree"])
        );
    }
}
