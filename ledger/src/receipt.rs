//! Receipts: what became of each transaction of a block.

use certchain_proto::{
    Height, codec, context,
    hash::{BlockId, CertificateId, LinesRoot, ReceiptHash, TransactionId, hash_parts},
    wire::v1::Code,
};
use serde::{Deserialize, Serialize};

use crate::{
    execution::{Line, Subject},
    merkle,
};

/// Length of every encoded receipt.
pub const RECEIPT_BYTES: usize = 32 + 2 + 32;

/// What became of one transaction. Its height and place follow from the block whose receipts root
/// it stands under. Every receipt encodes to [`RECEIPT_BYTES`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The transaction.
    pub transaction: TransactionId,
    /// The number of a [`Code`]; 0 if it took effect.
    code: u16,
    /// What it made or changed: the address of an account, the id of a certificate or of a check, or
    /// the root over the lines of a batch; zeros stand for none.
    subject: [u8; 32],
}

impl Receipt {
    /// The receipt of a transaction that took effect.
    pub fn executed(transaction: TransactionId, subject: Option<Subject>) -> Self {
        Self {
            transaction,
            code: 0,
            subject: subject.unwrap_or_default(),
        }
    }

    /// The receipt of a transaction that a conflict inside its block kept from taking effect.
    pub fn failed(transaction: TransactionId, code: Code) -> Self {
        // Codes are small numbers, each listed in the .proto file.
        Self {
            transaction,
            code: code as i32 as u16,
            subject: [0; 32],
        }
    }

    /// Puts a receipt together from its parts, as received.
    pub fn from_parts(transaction: TransactionId, code: Code, subject: Option<Subject>) -> Self {
        Self {
            code: code as i32 as u16,
            ..Self::executed(transaction, subject)
        }
    }

    /// Why it did not take effect, or [`Code::Ok`]. A number that this release does not know, which
    /// no block that it made or checked holds, reads as `Malformed`.
    pub fn code(&self) -> Code {
        Code::try_from(i32::from(self.code)).unwrap_or(Code::Malformed)
    }

    /// Whether it took effect.
    pub const fn is_ok(&self) -> bool {
        self.code == 0
    }

    /// What it made or changed; its kind tells what the bytes mean.
    pub fn subject(&self) -> Option<Subject> {
        (self.subject != [0; 32]).then_some(self.subject)
    }

    /// The bytes that are hashed.
    pub fn encode(&self) -> [u8; RECEIPT_BYTES] {
        let mut bytes = [0; RECEIPT_BYTES];
        bytes[..32].copy_from_slice(self.transaction.as_bytes());
        bytes[32..34].copy_from_slice(&self.code.to_le_bytes());
        bytes[34..].copy_from_slice(&self.subject);
        bytes
    }

    /// Reads the bytes that are hashed.
    ///
    /// # Errors
    /// If they are not as many as a receipt has.
    pub fn decode(bytes: &[u8]) -> Result<Self, codec::DecodeError> {
        codec::decode(bytes, RECEIPT_BYTES)
    }

    /// The leaf of the receipts tree.
    pub fn hash(&self) -> ReceiptHash {
        ReceiptHash::from_bytes(hash_parts(context::RECEIPT, &[&self.encode()]))
    }
}

/// Length of every encoded line of a batch's receipt.
pub const LINE_BYTES: usize = 2 + 32;

/// The bytes of a line that are hashed and stored: its code, little-endian, and the certificate's id.
pub fn encode_line(line: &Line) -> [u8; LINE_BYTES] {
    let mut bytes = [0; LINE_BYTES];
    bytes[..2].copy_from_slice(&(line.code as i32 as u16).to_le_bytes());
    bytes[2..].copy_from_slice(line.certificate.as_bytes());
    bytes
}

/// All lines of a batch, one after the other.
pub fn encode_lines(lines: &[Line]) -> Vec<u8> {
    lines.iter().flat_map(encode_line).collect()
}

/// Reads what [`encode_lines`] wrote; `None` if it is no such bytes.
pub fn decode_lines(bytes: &[u8]) -> Option<Vec<Line>> {
    let (lines, []) = bytes.as_chunks::<LINE_BYTES>() else {
        return None;
    };
    lines
        .iter()
        .map(|bytes| {
            let (code, id) = bytes.split_first_chunk::<2>()?;
            Some(Line {
                code: Code::try_from(i32::from(u16::from_le_bytes(*code))).ok()?,
                certificate: CertificateId::from_slice(id)?,
            })
        })
        .collect()
}

/// The leaf of a line in the tree over a batch's lines.
pub fn line_hash(line: &Line) -> ReceiptHash {
    ReceiptHash::from_bytes(hash_parts(context::RECEIPT_LINE, &[&encode_line(line)]))
}

/// What a batch's receipt names as its subject: the root over its lines, of the same form as the
/// root over a block's receipts, which proves each line.
pub fn lines_root(lines: &[Line]) -> LinesRoot {
    let leaves: Vec<ReceiptHash> = lines.iter().map(line_hash).collect();
    LinesRoot::from_bytes(*merkle::receipts_root(&leaves).as_bytes())
}

/// A receipt and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocatedReceipt {
    /// Height of its block.
    pub height: Height,
    /// Place in the block, from 0.
    pub index: u32,
    /// The block's name.
    pub block: BlockId,
    /// The receipt.
    pub receipt: Receipt,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn the_fixed_encoding_is_the_codecs() {
        let id = TransactionId::from_bytes([7; 32]);
        for receipt in [
            Receipt::executed(id, Some([3; 32])),
            Receipt::executed(id, None),
            Receipt::failed(id, Code::TagTaken),
        ] {
            assert_eq!(codec::encode(&receipt), receipt.encode());
            assert_eq!(Receipt::decode(&receipt.encode()), Ok(receipt));
        }
        assert_eq!(Receipt::failed(id, Code::TagTaken).code(), Code::TagTaken);
        assert!(Receipt::decode(&[0; 10]).is_err());
    }
}
