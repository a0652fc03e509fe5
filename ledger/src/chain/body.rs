//! Bodies of blocks that may be decided: on disk before anybody votes for them.

use certchain_proto::{Height, codec, hash::HeaderDigest};

use super::{Chain, CheckedBlock, reader};
use crate::store::{BODIES, Batch, Body, MAX_BODY_BYTES, StoreError};

pub(crate) fn body_key(number: u16, height: Height, digest: &HeaderDigest) -> Vec<u8> {
    reader::key(number, &[&height.to_be_bytes(), digest.as_bytes()])
}

/// The encoding of a [`Body`], put together without copying transactions twice.
pub(super) fn encode(block: &CheckedBlock) -> Vec<u8> {
    let bytes: usize = block
        .transactions
        .iter()
        .map(|t| t.encoded().len() + 8)
        .sum();
    let mut encoded = Vec::with_capacity(bytes + 2048);
    encoded.extend(codec::encode(&block.header));
    encoded.extend(codec::encode(&block.parent_certificate));
    encoded.extend((block.transactions.len() as u64).to_le_bytes());
    for transaction in &block.transactions {
        let bytes = transaction.encoded();
        encoded.extend((bytes.len() as u64).to_le_bytes());
        encoded.extend_from_slice(bytes);
    }
    encoded
}

impl Chain {
    /// Puts a block's body on disk; when this returns, it outlives a power cut. It is not written
    /// again when the block is committed. Does nothing if it is there already, or if the head has
    /// moved on, so that nobody will ask for it.
    ///
    /// # Errors
    /// If the disk fails or is nearly full ([`StoreError::NoRoom`]).
    pub fn store_body(&self, block: &CheckedBlock) -> Result<(), StoreError> {
        let digest = block.header_digest();
        let mut tip = self.tip();
        if tip.bodies.contains(&digest) || self.head().id != block.parent() {
            return Ok(());
        }
        self.store.check_room()?;
        let key = body_key(self.number, block.header().height, &digest);
        let mut batch = Batch::default();
        batch.put(BODIES, key, encode(block));
        self.store.write(batch, true)?;
        tip.bodies.insert(digest);
        Ok(())
    }

    /// The body of a block, decided or merely stored for a vote.
    ///
    /// # Errors
    /// If the database fails or the entry is damaged.
    pub fn load_body(
        &self,
        height: Height,
        digest: &HeaderDigest,
    ) -> Result<Option<Body>, StoreError> {
        let key = body_key(self.number, height, digest);
        let Some(bytes) = self.store.get(BODIES, key)? else {
            return Ok(None);
        };
        let corrupt = |_| StoreError::corrupt(format!("the body at height {height} is malformed"));
        let body: Body = codec::decode(&bytes, MAX_BODY_BYTES).map_err(corrupt)?;
        if body.header.digest() != *digest {
            return Err(StoreError::corrupt(format!(
                "the body at height {height} is that of another header"
            )));
        }
        Ok(Some(body))
    }

    /// The headers for which bodies are on disk at the height after the head.
    pub fn stored_bodies(&self) -> Vec<HeaderDigest> {
        self.tip().bodies.iter().copied().collect()
    }
}
