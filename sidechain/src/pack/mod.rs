//! The off-line pack: everything that proves a certificate to somebody without a network, who holds
//! main's validator set, or one block of main that it trusts.
//!
//! The way of the proof, from what the verifier trusts down to the certificate:
//!
//! 1. a block of main, *m*, by its commit certificate, by being the block that the verifier holds,
//!    or by standing in the history of that block;
//! 2. under *m*'s state root: main's record of the side chain, its anchor of side block *a*, and the
//!    identities of issuer and holders;
//! 3. *a*'s header and outcome, whose hash is the anchored name; and if the certificate was proven
//!    at an earlier side block *s*, the place of *s* in *a*'s history;
//! 4. under *s*'s state root: the certificate's record.
//!
//! What a pack cannot say is what came after: the record is as of *s*, the identities are as of *m*.
//! Who verifies compares those times with what it can accept.
//!
//! # Form [law]
//!
//! A byte 1, the version, then [`Pack`]'s fields in order in the codec's form, at most
//! [`MAX_PACK_BYTES`]. Every byte is covered by what is verified: none can be changed unseen.

mod error;
mod verify;

use certchain_ledger::{
    evidence::{HistoryEvidence, SealedHeader, StateEvidence},
    history::HistoryProof,
    side_chains,
    state::{StateKey, StateProof},
    versioned,
};
use certchain_proto::{
    BlockHeader, ChainId, CommitCertificate, Outcome,
    hash::{BlockId, CertificateId},
};
use serde::{Deserialize, Serialize};

pub use error::PackError;
pub use verify::{MainTrust, VerifiedPack};

use crate::certificate::{CertificateRecord, keys};

/// Largest encoding of a pack.
pub const MAX_PACK_BYTES: usize = 256 * 1024;

/// A pack. Nothing of it is believed before [`Pack::verify`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pack {
    main: ChainId,
    side_chain: String,
    certificate: CertificateId,
    record: Leaf,
    side_block: Block,
    anchored: Option<Later>,
    side_chain_record: Leaf,
    anchor: Leaf,
    issuer: Leaf,
    /// In the order of the certificate's record.
    holders: Vec<Leaf>,
    main_block: Block,
    link: MainLink,
}

/// A value of a state and its proof; the key follows from what is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Leaf {
    value: Vec<u8>,
    proof: StateProof,
}

/// A block by order and result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Block {
    header: BlockHeader,
    outcome: Outcome,
}

/// A later block, and the place of an earlier one in its history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Later {
    block: Block,
    proof: HistoryProof,
}

/// Why the verifier should believe the pack's block of main.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MainLink {
    /// Its commit certificate: for everybody who knows main's validators.
    Certificate(CommitCertificate),
    /// It is the very block that the verifier holds.
    Held,
    /// It stands in the history of the later block that the verifier holds.
    Later(HistoryProof),
}

/// What a pack is put together from: all of it as the ledger's chains hand it out.
#[derive(Clone, Debug)]
pub struct PackParts {
    /// The side chain's name.
    pub side_chain: String,
    /// The certificate.
    pub certificate: CertificateId,
    /// Its record in the side chain's state, after side block *s*.
    pub record: StateEvidence,
    /// If another side block than *s* is anchored: the place of *s* in its history.
    pub anchored: Option<HistoryEvidence>,
    /// Main's record of the side chain ([`side_chains::side_chain`]), after main block *m*.
    pub side_chain_record: StateEvidence,
    /// The anchor of that side block ([`side_chains::anchor`]), after *m*.
    pub anchor: StateEvidence,
    /// The issuer's identity, after *m*.
    pub issuer: StateEvidence,
    /// The holders' identities in the order of the record, after *m*.
    pub holders: Vec<StateEvidence>,
    /// Why to believe *m*.
    pub link: MainLink,
}

impl Pack {
    /// Puts a pack together. Proofs are not checked here; who hands packs out verifies its own.
    ///
    /// # Errors
    /// If parts are missing, or are not of the blocks and keys that belong together.
    pub fn new(parts: PackParts) -> Result<Self, PackError> {
        let PackParts {
            side_chain,
            certificate,
            record,
            anchored,
            side_chain_record,
            anchor,
            issuer,
            holders,
            link,
        } = parts;
        let side = record.block.header.chain;
        let main_block = Block::from(&anchor.block);
        let m = anchor.block.id();
        let anchored_height = match &anchored {
            Some(later) => later.later.height(),
            None => record.block.height(),
        };
        let names = read_record(record.value.as_deref())?;
        if names.holders.len() != holders.len() {
            return Err(PackError::Parts("the number of holders"));
        }
        let identity = certchain_ledger::identity::keys::identity;
        let side_block = Block::from(&record.block);
        let side_id = record.block.id();
        let anchored = match anchored {
            Some(later) if later.block == side_id => Some(Later {
                block: Block::from(&later.later),
                proof: later.proof,
            }),
            Some(_) => return Err(PackError::Parts("the anchored block's history")),
            None => None,
        };
        Ok(Self {
            main: main_block.header.chain,
            side_chain,
            certificate,
            record: leaf(record, &keys::certificate(&certificate), side_id, "record")?,
            side_block,
            anchored,
            side_chain_record: leaf(
                side_chain_record,
                &side_chains::side_chain(&side),
                m,
                "the side chain",
            )?,
            anchor: leaf(
                anchor,
                &side_chains::anchor(&side, anchored_height),
                m,
                "the anchor",
            )?,
            issuer: leaf(issuer, &identity(&names.issuer), m, "the issuer")?,
            holders: names
                .holders
                .iter()
                .zip(holders)
                .map(|(holder, part)| leaf(part, &identity(&holder.address), m, "a holder"))
                .collect::<Result<_, _>>()?,
            main_block,
            link,
        })
    }

    /// The main chain that it speaks of; not verified.
    pub const fn main(&self) -> ChainId {
        self.main
    }

    /// The name of the side chain that it speaks of; not verified.
    pub fn side_chain(&self) -> &str {
        &self.side_chain
    }

    /// The certificate that it speaks of; not verified.
    pub const fn certificate(&self) -> CertificateId {
        self.certificate
    }

    /// The bytes that travel.
    pub fn encode(&self) -> Vec<u8> {
        versioned::encode(self)
    }

    /// Reads the bytes that travel.
    ///
    /// # Errors
    /// If they are too many, of another version, or no pack.
    pub fn decode(bytes: &[u8]) -> Result<Self, PackError> {
        Ok(versioned::decode(bytes, MAX_PACK_BYTES)?)
    }
}

impl From<&SealedHeader> for Block {
    fn from(sealed: &SealedHeader) -> Self {
        Self {
            header: sealed.header.clone(),
            outcome: sealed.outcome.clone(),
        }
    }
}

impl Block {
    fn id(&self) -> BlockId {
        BlockId::of(&self.header.digest(), &self.outcome.digest())
    }
}

fn read_record(value: Option<&[u8]>) -> Result<CertificateRecord, PackError> {
    let value = value.ok_or(PackError::Absent("the certificate's record"))?;
    CertificateRecord::decode(value).map_err(|source| PackError::Record {
        what: "the certificate's record",
        source,
    })
}

fn leaf(
    part: StateEvidence,
    key: &StateKey,
    block: BlockId,
    what: &'static str,
) -> Result<Leaf, PackError> {
    if part.key != *key || part.block.id() != block {
        return Err(PackError::Parts(what));
    }
    Ok(Leaf {
        value: part.value.ok_or(PackError::Absent(what))?,
        proof: part.proof,
    })
}
