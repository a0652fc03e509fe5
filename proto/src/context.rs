//! The contexts that separate every hash and every signature from every other.
//!
//! A hash is BLAKE3 in key-derivation mode with one of these strings as its context, so bytes
//! hashed for one purpose never collide with bytes hashed for another. A signature is Ed25519 over
//! the 32 bytes of such a hash, whose context starts with `certchain v1 sign`, so a vote can never
//! be read as a transaction.

use std::{fmt, sync::OnceLock};

use blake3::hazmat::{ContextKey, hash_derive_key_context};

/// A hash context: what is hashed, in words, and the version of its format. Made by [`hash_context!`].
#[derive(Clone, Copy)]
pub struct HashContext {
    name: &'static str,
    key: &'static ContextCell,
}

/// Where a context keeps what BLAKE3 makes of its string.
pub type ContextCell = OnceLock<ContextKey>;

impl HashContext {
    /// Names a context; `key` is its alone. All contexts of the project stand in this file or, for the
    /// state tree and organisation codes, beside their definitions; no two may be equal.
    pub const fn new(name: &'static str, key: &'static ContextCell) -> Self {
        Self { name, key }
    }

    /// The string as it enters BLAKE3.
    pub const fn as_str(self) -> &'static str {
        self.name
    }

    /// What BLAKE3 makes of the string. It is hashed once in a process, which halves the cost of
    /// hashing something short.
    pub fn key(self) -> &'static ContextKey {
        self.key.get_or_init(|| hash_derive_key_context(self.name))
    }
}

impl fmt::Debug for HashContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HashContext").field(&self.name).finish()
    }
}

/// A [`HashContext`](crate::context::HashContext) with this string.
#[macro_export]
macro_rules! hash_context {
    ($text:literal) => {{
        static KEY: $crate::context::ContextCell = $crate::context::ContextCell::new();
        $crate::context::HashContext::new($text, &KEY)
    }};
}

macro_rules! contexts {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: HashContext = $crate::hash_context!($text);)*
        /// All contexts of this file, for the vector that checks that they differ.
        pub const ALL: &[HashContext] = &[$($name),*];
    };
}

contexts! {
    /// Genesis bytes to the main chain's id.
    CHAIN_ID_MAIN = "certchain v1 chain-id main";
    /// Main chain's id, name and creation record to a side chain's id.
    CHAIN_ID_SIDE = "certchain v1 chain-id side";
    /// An account's first public key to its address.
    ADDRESS = "certchain v1 address";
    /// Block header to [`crate::hash::HeaderDigest`].
    HEADER = "certchain v1 header";
    /// Outcome to [`crate::hash::OutcomeDigest`].
    OUTCOME = "certchain v1 outcome";
    /// Header digest and outcome digest to [`crate::hash::BlockId`].
    BLOCK_ID = "certchain v1 block-id";
    /// Commit certificate to [`crate::hash::CertificateDigest`].
    COMMIT_CERTIFICATE = "certchain v1 commit-certificate";
    /// Validator set to [`crate::hash::ValidatorSetDigest`].
    VALIDATOR_SET = "certchain v1 validator-set";
    /// Transaction body to [`crate::hash::TransactionId`].
    TRANSACTION_ID = "certchain v1 transaction-id";
    /// The signatures of a transaction, on the way to its witness id.
    TRANSACTION_SIGNATURES = "certchain v1 transaction-signatures";
    /// Transaction id and signature hash to [`crate::hash::WitnessId`].
    WITNESS_ID = "certchain v1 witness-id";
    /// Receipt to [`crate::hash::ReceiptHash`].
    RECEIPT = "certchain v1 receipt";
    /// A stored state value to [`crate::hash::ValueHash`].
    STATE_VALUE = "certchain v1 state value";
    /// A leaf of a transaction or receipt tree.
    MERKLE_LEAF = "certchain v1 merkle leaf";
    /// An inner node of a transaction or receipt tree.
    MERKLE_NODE = "certchain v1 merkle node";
    /// The root of a transaction or receipt tree over its count.
    MERKLE_ROOT = "certchain v1 merkle root";
    /// An inner node of a mountain of the block history.
    HISTORY_NODE = "certchain v1 history node";
    /// The peaks of the block history to [`crate::hash::HistoryRoot`].
    HISTORY_ROOT = "certchain v1 history root";
    /// One salted attribute of an identity, or field of a certificate.
    FIELD_COMMITMENT = "certchain v1 field commitment";
    /// The commitments of an identity to its attribute root.
    ATTRIBUTE_ROOT = "certchain v1 attribute root";
    /// Consensus: parent certificate and witness ids of a proposal.
    PROPOSAL_CONTENTS = "certchain v1 proposal contents";
    /// Consensus: digest of the view-change messages in a new-view.
    VIEW_CHANGE = "certchain v1 view-change";
    /// Rolling hash of a journal's records.
    JOURNAL = "certchain v1 journal";
    /// Signature by holders, agencies and registrars under a transaction body.
    SIGN_TRANSACTION = "certchain v1 sign transaction";
    /// Signature by a primary under its proposal.
    SIGN_PRE_PREPARE = "certchain v1 sign pre-prepare";
    /// Signature under a vote for an order.
    SIGN_PREPARE = "certchain v1 sign prepare";
    /// Signature under a vote for an order and a result.
    SIGN_COMMIT = "certchain v1 sign commit";
    /// Signature under a request for a later view.
    SIGN_VIEW_CHANGE = "certchain v1 sign view-change";
    /// Signature by a primary that opens a later view.
    SIGN_NEW_VIEW = "certchain v1 sign new-view";
    /// Signature under a message outside consensus between two nodes.
    SIGN_STATUS = "certchain v1 sign status";
    /// The commitments of a certificate's fields to its field root.
    FIELD_ROOT = "certchain v1 field root";
    /// Chain, issuer, type, field root and nonce to [`crate::hash::CertificateId`].
    CERTIFICATE_ID = "certchain v1 certificate-id";
    /// Name of a certificate type, where a key needs a fixed length.
    CERTIFICATE_TYPE = "certchain v1 certificate type";
    /// A thing of which a side chain has one certificate at a time, by its public number.
    CLAIM = "certchain v1 claim";
    /// A claim to the key under which a side chain's state holds it.
    CLAIM_KEY = "certchain v1 claim key";
    /// Bytes that are kept off the chain to [`crate::hash::ContentHash`].
    CONTENT = "certchain v1 content";
    /// Encoded presentation to [`crate::hash::PresentationId`].
    PRESENTATION_ID = "certchain v1 presentation-id";
    /// The salted fields that a presentation shows.
    DISCLOSED_FIELDS = "certchain v1 disclosed fields";
    /// One line of a batch's receipt.
    RECEIPT_LINE = "certchain v1 receipt line";
    /// Signature by a holder under a presentation.
    SIGN_PRESENTATION = "certchain v1 sign presentation";
    /// Signature under a question that only the account itself may ask.
    SIGN_QUERY = "certchain v1 sign query";
    /// Signature under a genesis application, by which an agency shows that it holds its keys.
    SIGN_MEMBER = "certchain v1 sign member";
    /// Signature under an application to vote on a network that runs.
    SIGN_APPLICATION = "certchain v1 sign application";
}
