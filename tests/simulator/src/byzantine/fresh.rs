//! What a faulty validator makes up: blocks, transactions, names and signatures.

use certchain_consensus::{Contents, message::PrePrepare};
use certchain_proto::{
    BlockHeader, Signature, TimeMs, View,
    block::PROTOCOL,
    hash::{HeaderDigest, OutcomeDigest, WitnessId},
};

use super::Tools;

impl Tools<'_> {
    /// A header and contents with other transactions, roots and counts to match.
    pub fn refill(&self, m: &mut PrePrepare, witness_ids: Vec<WitnessId>) {
        m.header.tx_root = self.ground.tx_root(&witness_ids);
        m.header.tx_count = witness_ids.len() as u32;
        m.contents.witness_ids = witness_ids;
    }

    /// A block of its own for a view of the present height, as its primary would propose it.
    pub fn fresh_block(&self, view: View, witness_ids: Vec<WitnessId>) -> PrePrepare {
        let head = self.engine.head();
        let least = head.time().saturating_add(1);
        let header = BlockHeader {
            protocol: PROTOCOL,
            chain: self.ground.chain(),
            epoch: head.header.epoch,
            height: self.height(),
            view,
            proposer: self.index(),
            offset: head.next_offset(self.ground.params().rotation),
            parent: head.id(),
            parent_commit: head.certificate.digest(),
            parent_view: head.certificate.view,
            time_ms: TimeMs::new(self.now).max(least),
            tx_root: self.ground.tx_root(&witness_ids),
            tx_count: witness_ids.len() as u32,
            history_root: self.ground.history_root(),
            checkpoint: self.ground.checkpoint(),
        };
        let contents = Contents {
            parent_certificate: head.certificate.clone(),
            witness_ids,
        };
        PrePrepare {
            header,
            contents,
            signature: Signature::from_bytes(&[0; 64]),
        }
    }

    /// A header that the primary of a view could have proposed, but did not.
    pub fn unproposed(&mut self, view: View) -> BlockHeader {
        let transaction = WitnessId::from_bytes(self.rng.bytes());
        let mut header = self.fresh_block(view, vec![transaction]).header;
        header.proposer = self.engine.primary(view);
        header
    }

    /// A transaction that nobody else has; its node gives it to whoever asks.
    pub fn invent(&mut self) -> WitnessId {
        let transaction = self.ground.invent(self.rng);
        self.invented.push(transaction);
        transaction
    }

    /// Bytes where a signature should be.
    pub fn scribble(&mut self) -> Signature {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.rng.bytes());
        bytes[32..].copy_from_slice(&self.rng.bytes());
        Signature::from_bytes(&bytes)
    }

    /// A header digest of nothing.
    pub fn any_header(&mut self) -> HeaderDigest {
        HeaderDigest::from_bytes(self.rng.bytes())
    }

    /// An outcome digest of nothing.
    pub fn any_outcome(&mut self) -> OutcomeDigest {
        OutcomeDigest::from_bytes(self.rng.bytes())
    }
}
