//! What stands in for the ledger: blocks of opaque transactions whose result is a hash.

use certchain_consensus::Contents;
use certchain_proto::{
    BlockHeader, ChainId, CommitCertificate, Epoch, Height, Outcome, TimeMs, ValidatorIndex,
    ValidatorSet, View,
    block::PROTOCOL,
    context::HashContext,
    hash::{
        BlockId, CertificateDigest, HistoryRoot, ReceiptsRoot, StateRoot, TxRoot, WitnessId,
        hash_parts,
    },
    hash_context,
};

const TX_ROOT: HashContext = hash_context!("certchain simulator tx root");
const HISTORY: HashContext = hash_context!("certchain simulator history");
const STATE: HashContext = hash_context!("certchain simulator state");

/// The block time of genesis.
pub const GENESIS_TIME: u64 = 1_000_000;

/// The simulated chain.
pub fn chain() -> ChainId {
    ChainId::main(b"simulator")
}

/// A block that a node holds.
#[derive(Clone, Debug)]
pub struct Block {
    /// Its order.
    pub header: BlockHeader,
    /// What its proposal carried.
    pub contents: Contents,
    /// Its result.
    pub outcome: Outcome,
    /// The proof that it is decided.
    pub certificate: CommitCertificate,
}

/// The block that every node starts from; these decide the first height.
pub fn genesis(validators: &ValidatorSet) -> Block {
    let header = BlockHeader {
        protocol: PROTOCOL,
        chain: chain(),
        epoch: Epoch::ZERO,
        height: Height::ZERO,
        view: View::ZERO,
        proposer: ValidatorIndex::ZERO,
        offset: 0,
        parent: BlockId::ZERO,
        parent_commit: CertificateDigest::ZERO,
        parent_view: View::ZERO,
        time_ms: TimeMs::new(GENESIS_TIME),
        tx_root: tx_root(&[]),
        tx_count: 0,
        history_root: HistoryRoot::ZERO,
        checkpoint: None,
    };
    let outcome = Outcome {
        state_root: StateRoot::ZERO,
        receipts_root: ReceiptsRoot::ZERO,
        next_validators: validators.digest(),
    };
    let certificate = CommitCertificate::genesis(header.digest(), outcome.digest());
    let contents = Contents {
        parent_certificate: certificate.clone(),
        witness_ids: Vec::new(),
    };
    Block {
        header,
        contents,
        outcome,
        certificate,
    }
}

/// The root over witness ids.
pub fn tx_root(ids: &[WitnessId]) -> TxRoot {
    let bytes: Vec<&[u8]> = ids.iter().map(|id| id.as_bytes().as_slice()).collect();
    TxRoot::from_bytes(hash_parts(TX_ROOT, &bytes))
}

/// The history root of the block above `parent`.
pub fn history_root(parent: &Block) -> HistoryRoot {
    let id = parent.certificate.block_id();
    HistoryRoot::from_bytes(hash_parts(
        HISTORY,
        &[parent.header.history_root.as_bytes(), id.as_bytes()],
    ))
}

/// Executes a block on its parent's state, by the release that all have or by another one. The
/// validators stay who they are.
pub fn execute(parent: &Block, header: &BlockHeader, other_release: bool) -> Outcome {
    let digest = header.digest();
    let release = [u8::from(other_release)];
    let parts: [&[u8]; 3] = [
        parent.outcome.state_root.as_bytes(),
        digest.as_bytes(),
        &release,
    ];
    Outcome {
        state_root: StateRoot::from_bytes(hash_parts(STATE, &parts)),
        receipts_root: ReceiptsRoot::ZERO,
        next_validators: parent.outcome.next_validators,
    }
}
