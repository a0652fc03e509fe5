//! What can be asked about a chain's past.

use certchain_proto::{
    Address, CommitCertificate, Epoch, Height, SealedBlock, ValidatorIndex, codec,
    hash::{BlockId, StateRoot, TransactionId},
};

use super::{Chain, reader};
use crate::{
    evidence::SealedHeader,
    genesis::GenesisBlock,
    identity::{IdentityAt, IdentityRecord, PastVersion, RestartNoticeRecord, keys},
    receipt::{LocatedReceipt, RECEIPT_BYTES, Receipt},
    state::StateKey,
    store::{HEADERS, INDEX, MAX_HEADER_BYTES, RECEIPTS, Slice, Store, StoreError},
    view::{BlockNames, ReadError, Value},
};

/// Marks block ids in the index.
pub(crate) const BLOCK_TAG: u8 = 0;
/// Marks transaction ids in the index.
pub(crate) const TRANSACTION_TAG: u8 = 1;

/// A decided transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionRecord {
    /// The envelope as its senders signed it.
    pub encoded: Vec<u8>,
    /// What became of it, and where.
    pub receipt: LocatedReceipt,
}

pub(crate) fn encode_place(height: Height, index: u32) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&height.to_be_bytes());
    bytes[8..].copy_from_slice(&index.to_be_bytes());
    bytes
}

pub(super) fn decode_place(bytes: &[u8]) -> Result<(Height, u32), StoreError> {
    let place = bytes.split_first_chunk::<8>().and_then(|(height, index)| {
        let index = index.try_into().map(u32::from_be_bytes).ok()?;
        Some((Height::new(u64::from_be_bytes(*height)), index))
    });
    place.ok_or_else(|| StoreError::corrupt("an entry of the transaction index is malformed"))
}

/// The sealed header at a height.
pub(crate) fn header(
    store: &Store,
    number: u16,
    height: Height,
) -> Result<Option<SealedHeader>, StoreError> {
    let key = reader::key(number, &[&height.to_be_bytes()]);
    let Some(bytes) = store.get(HEADERS, key)? else {
        return Ok(None);
    };
    let corrupt = |_| StoreError::corrupt(format!("the header at height {height} is malformed"));
    codec::decode(&bytes, MAX_HEADER_BYTES)
        .map(Some)
        .map_err(corrupt)
}

impl Chain {
    /// The block at a height, without its transactions.
    ///
    /// # Errors
    /// If the database fails or the entry is damaged.
    pub fn sealed_header(&self, height: Height) -> Result<Option<SealedHeader>, StoreError> {
        header(&self.store, self.number, height)
    }

    /// The block at a height. Genesis has no transactions and no certificates.
    ///
    /// # Errors
    /// If the database fails or an entry is damaged.
    pub fn block(&self, height: Height) -> Result<Option<SealedBlock>, StoreError> {
        let Some(SealedHeader {
            header,
            outcome,
            certificate,
        }) = self.sealed_header(height)?
        else {
            return Ok(None);
        };
        let (parent_certificate, transactions): (CommitCertificate, Vec<Vec<u8>>) =
            if height == Height::ZERO {
                (GenesisBlock::parent_certificate(), Vec::new())
            } else {
                let body = self.load_body(height, &header.digest())?.ok_or_else(|| {
                    StoreError::corrupt(format!("the body at height {height} is missing"))
                })?;
                (body.parent_certificate, body.transactions)
            };
        let commit_certificate = certificate;
        Ok(Some(SealedBlock {
            header,
            parent_certificate,
            transactions,
            outcome,
            commit_certificate,
        }))
    }

    /// The height of a block.
    ///
    /// # Errors
    /// If the database fails or the entry is damaged.
    pub fn height_of(&self, id: &BlockId) -> Result<Option<Height>, StoreError> {
        let key = reader::key(self.number, &[&[BLOCK_TAG], id.as_bytes()]);
        let Some(bytes) = self.store.get(INDEX, key)? else {
            return Ok(None);
        };
        let height = (&bytes[..])
            .try_into()
            .map(|b| Height::new(u64::from_be_bytes(b)));
        height
            .map(Some)
            .map_err(|_| StoreError::corrupt("an entry of the block index is malformed"))
    }

    /// Height and place of a decided transaction.
    ///
    /// # Errors
    /// If the database fails or the entry is damaged.
    pub fn place_of(&self, id: &TransactionId) -> Result<Option<(Height, u32)>, StoreError> {
        let key = reader::key(self.number, &[&[TRANSACTION_TAG], id.as_bytes()]);
        let found = self.store.get(INDEX, key)?;
        found.map(|bytes| decode_place(&bytes)).transpose()
    }

    /// What became of a transaction; none if it is not decided.
    ///
    /// # Errors
    /// If the database fails or an entry is damaged.
    pub fn receipt(&self, id: &TransactionId) -> Result<Option<LocatedReceipt>, StoreError> {
        let Some((height, index)) = self.place_of(id)? else {
            return Ok(None);
        };
        let corrupt =
            || StoreError::corrupt(format!("the receipts at height {height} are damaged"));
        let bytes = self.receipt_bytes(height)?.ok_or_else(corrupt)?;
        let receipt = bytes
            .chunks(RECEIPT_BYTES)
            .nth(index as usize)
            .ok_or_else(corrupt)?;
        let receipt = Receipt::decode(receipt).map_err(|_| corrupt())?;
        let block = self
            .sealed_header(height)?
            .ok_or_else(corrupt)?
            .certificate
            .block_id();
        if receipt.transaction != *id {
            return Err(corrupt());
        }
        Ok(Some(LocatedReceipt {
            height,
            index,
            block,
            receipt,
        }))
    }

    /// The receipts of a block in order.
    ///
    /// # Errors
    /// If the database fails or the entry is damaged.
    pub fn receipts(&self, height: Height) -> Result<Option<Vec<Receipt>>, StoreError> {
        let Some(bytes) = self.receipt_bytes(height)? else {
            return Ok(None);
        };
        let receipts = bytes
            .chunks(RECEIPT_BYTES)
            .map(Receipt::decode)
            .collect::<Result<_, _>>();
        receipts.map(Some).map_err(|_| {
            StoreError::corrupt(format!("the receipts at height {height} are malformed"))
        })
    }

    fn receipt_bytes(&self, height: Height) -> Result<Option<Slice<'_>>, StoreError> {
        let key = reader::key(self.number, &[&height.to_be_bytes()]);
        self.store.get(RECEIPTS, key)
    }

    /// A decided transaction; none if it is not decided.
    ///
    /// # Errors
    /// If the database fails or an entry is damaged.
    pub fn transaction(&self, id: &TransactionId) -> Result<Option<TransactionRecord>, StoreError> {
        let Some(receipt) = self.receipt(id)? else {
            return Ok(None);
        };
        let missing = || {
            StoreError::corrupt(format!(
                "a transaction at height {} is missing",
                receipt.height
            ))
        };
        let block = self.block(receipt.height)?.ok_or_else(missing)?;
        let encoded = block
            .transactions
            .into_iter()
            .nth(receipt.index as usize)
            .ok_or_else(missing)?;
        Ok(Some(TransactionRecord { encoded, receipt }))
    }

    /// The present value of a state key.
    ///
    /// # Errors
    /// If the database fails.
    pub fn get(&self, key: &StateKey) -> Result<Option<Value>, StoreError> {
        Ok(self.reader().newest(key)?.and_then(|stored| stored.value))
    }

    /// The value that a state key had after the block at `height`, which must be committed.
    ///
    /// # Errors
    /// If the database fails.
    pub fn get_at(&self, key: &StateKey, height: Height) -> Result<Option<Value>, StoreError> {
        self.reader().at(key, height)
    }

    /// An identity as of a height, by default the newest; none if it was not registered then. The
    /// answer names the leaf that proves it: the present record, or the version that was in force.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn identity_at(
        &self,
        address: &Address,
        height: Option<Height>,
    ) -> Result<Option<IdentityAt>, ReadError> {
        let key = keys::identity(address);
        let Some(value) = self.get(&key)? else {
            return Ok(None);
        };
        let record =
            IdentityRecord::decode(&value).map_err(|source| ReadError::value(key, source))?;
        let present = record.present.clone();
        let height = height.unwrap_or(present.from_height.max(self.head().height()));
        if height < record.registered_height {
            return Ok(None);
        }
        if present.from_height <= height {
            let address = *address;
            let version = present;
            return Ok(Some(IdentityAt {
                address,
                record,
                version,
                until_height: None,
                key,
            }));
        }
        // The first past version that ends above the height; versions follow without gaps.
        let (mut low, mut high) = (0, present.sequence);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.past_version(address, middle)?.1.until_height > height {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        let (key, past) = self.past_version(address, low)?;
        let PastVersion {
            version,
            until_height,
        } = past;
        let until_height = Some(until_height);
        Ok(Some(IdentityAt {
            address: *address,
            record,
            version,
            until_height,
            key,
        }))
    }

    fn past_version(
        &self,
        address: &Address,
        sequence: u32,
    ) -> Result<(StateKey, PastVersion), ReadError> {
        let key = keys::past(address, sequence);
        let value = self.get(&key)?.ok_or_else(|| {
            StoreError::corrupt(format!(
                "version {sequence} of account {address} is missing"
            ))
        })?;
        let past = PastVersion::decode(&value).map_err(|source| ReadError::value(key, source))?;
        Ok((key, past))
    }

    /// The last notice of a validator that it lost its journal.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn restart_notice(
        &self,
        epoch: Epoch,
        validator: ValidatorIndex,
    ) -> Result<Option<RestartNoticeRecord>, ReadError> {
        let key = keys::restart(epoch, validator);
        let Some(value) = self.get(&key)? else {
            return Ok(None);
        };
        let record = RestartNoticeRecord::decode(&value);
        record
            .map(Some)
            .map_err(|source| ReadError::value(key, source))
    }
}

impl BlockNames for Chain {
    fn block(&self, height: Height) -> Result<Option<(BlockId, StateRoot)>, ReadError> {
        let sealed = self.sealed_header(height)?;
        Ok(sealed.map(|sealed| (sealed.id(), sealed.outcome.state_root)))
    }
}
