//! Blocks: the header that fixes an order, the outcome that fixes a result, the sealed whole.

use serde::{Deserialize, Serialize};

use crate::{
    certificate::CommitCertificate,
    codec, context,
    hash::{
        BlockId, CertificateDigest, HeaderDigest, HistoryRoot, OutcomeDigest, ReceiptsRoot,
        StateRoot, TxRoot, ValidatorSetDigest, hash_parts,
    },
    ids::{ChainId, Epoch, Height, TimeMs, ValidatorIndex, View},
};

/// The protocol version of blocks that this release makes.
pub const PROTOCOL: u16 = 1;

/// The main block that a side block stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Height on the main chain.
    pub height: Height,
    /// The main block's name.
    pub block: BlockId,
    /// The main state after that block.
    pub state_root: StateRoot,
}

/// What PREPARE votes sign: the order of a block's transactions and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockHeader {
    /// Version of the block format and of the execution rules.
    pub protocol: u16,
    /// The chain.
    pub chain: ChainId,
    /// Generation of the validator set that decides this block.
    pub epoch: Epoch,
    /// Position in the chain.
    pub height: Height,
    /// View of the first proposal; a re-proposal in a later view keeps it.
    pub view: View,
    /// Primary of the first proposal.
    pub proposer: ValidatorIndex,
    /// Where the order of primaries starts for this height (see the consensus crate, rule PR-1).
    pub offset: u64,
    /// Name of the block before.
    pub parent: BlockId,
    /// Digest of the commit certificate of the block before that is part of this block's body.
    pub parent_commit: CertificateDigest,
    /// View of that certificate.
    pub parent_view: View,
    /// Block time; rises with every block.
    pub time_ms: TimeMs,
    /// Root over the witness ids in order.
    pub tx_root: TxRoot,
    /// Number of transactions.
    pub tx_count: u32,
    /// Root over the names of all earlier blocks.
    pub history_root: HistoryRoot,
    /// On a side chain the main block that answers this block's identity questions.
    pub checkpoint: Option<Checkpoint>,
}

impl BlockHeader {
    /// What PREPARE votes name.
    pub fn digest(&self) -> HeaderDigest {
        HeaderDigest::from_bytes(hash_parts(context::HEADER, &[&codec::encode(self)]))
    }
}

/// What execution of a block gives; COMMIT votes sign it with the header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Root of the state after the block.
    pub state_root: StateRoot,
    /// Root over the receipts, one per transaction, in order.
    pub receipts_root: ReceiptsRoot,
    /// The validator set that decides the next block.
    pub next_validators: ValidatorSetDigest,
}

impl Outcome {
    /// What COMMIT votes name beside the header.
    pub fn digest(&self) -> OutcomeDigest {
        OutcomeDigest::from_bytes(hash_parts(context::OUTCOME, &[&codec::encode(self)]))
    }
}

/// A decided block with everything that proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedBlock {
    /// The order.
    pub header: BlockHeader,
    /// The commit certificate of the block before, whose digest the header names.
    pub parent_certificate: CommitCertificate,
    /// Encoded `SignedTransaction` messages, byte for byte as their senders signed them.
    pub transactions: Vec<Vec<u8>>,
    /// The result.
    pub outcome: Outcome,
    /// The votes that decided this block.
    pub commit_certificate: CommitCertificate,
}

impl SealedBlock {
    /// The block's name.
    pub fn id(&self) -> BlockId {
        BlockId::of(&self.header.digest(), &self.outcome.digest())
    }
}
