//! Judging a block: everything that must hold before anybody votes PREPARE for it.
//!
//! The engine judges views and clocks; whatever follows from the chain alone is judged here, and
//! again by the audit.

use std::collections::{HashMap, HashSet};

use certchain_proto::{
    BlockHeader, CommitCertificate, ValidatorIndex,
    block::PROTOCOL,
    certificate::{CertificateError, Ed25519Verifier},
    hash::{BlockId, HeaderDigest},
};

use super::{BlockError, Chain, Head, MainAt, Stored, draft::Evaluated};
use crate::{
    execution::Effects, merkle, side_chains, signatures::VerifiedTransaction, state::StateKey,
};

/// A block that may be voted for on top of the head that it was checked against.
///
/// Invariant: made by [`Chain::check_block`] only.
#[derive(Debug)]
pub struct CheckedBlock {
    pub(super) header: BlockHeader,
    pub(super) digest: HeaderDigest,
    pub(super) parent_certificate: CommitCertificate,
    pub(super) transactions: Vec<VerifiedTransaction>,
    pub(super) alone: Vec<Effects>,
    pub(super) entries: HashMap<StateKey, Option<Stored>>,
}

impl CheckedBlock {
    /// The order.
    pub const fn header(&self) -> &BlockHeader {
        &self.header
    }

    /// The header's digest.
    pub const fn header_digest(&self) -> HeaderDigest {
        self.digest
    }

    /// The block that it follows.
    pub const fn parent(&self) -> BlockId {
        self.header.parent
    }

    /// The certificate of the block before, as part of the body.
    pub const fn parent_certificate(&self) -> &CommitCertificate {
        &self.parent_certificate
    }

    /// The transactions in order.
    pub fn transactions(&self) -> &[VerifiedTransaction] {
        &self.transactions
    }
}

impl Chain {
    /// Judges a block that would follow the head.
    ///
    /// # Errors
    /// The first rule that it breaks; or that our own state cannot be read.
    pub fn check_block(
        &self,
        header: BlockHeader,
        parent_certificate: CommitCertificate,
        transactions: Vec<VerifiedTransaction>,
    ) -> Result<CheckedBlock, BlockError> {
        let head = self.head();
        check_header(&head, &header)?;
        check_parent_certificate(&head, &header, &parent_certificate)?;
        check_contents(&head, &header, &transactions)?;
        let main = self.main_at(header.checkpoint)?;
        check_checkpoint(&head, &header, main.as_ref())?;
        let (alone, entries) = match self.take_drafted(&head, &header) {
            Some(evaluated) => (evaluated.alone, evaluated.entries),
            None => {
                let judged = self.judge(&head, header.time_ms, main.as_ref(), &transactions)?;
                let mut alone = Vec::with_capacity(judged.alone.len());
                for (index, result) in judged.alone.into_iter().enumerate() {
                    let inadmissible = |refusal| BlockError::Inadmissible { index, refusal };
                    alone.push(result.map_err(inadmissible)?);
                }
                (alone, judged.entries)
            }
        };
        self.check_unmoved(&head)?;
        let digest = header.digest();
        Ok(CheckedBlock {
            header,
            digest,
            parent_certificate,
            transactions,
            alone,
            entries,
        })
    }

    /// The work of the last draft, if this block is made of it.
    fn take_drafted(&self, head: &Head, header: &BlockHeader) -> Option<Evaluated> {
        let mut drafted = self
            .drafted
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let fits = drafted.as_ref().is_some_and(|evaluated| {
            evaluated.parent == head.id
                && evaluated.time == header.time_ms
                && evaluated.tx_root == header.tx_root
                && evaluated.checkpoint == header.checkpoint
        });
        if fits { drafted.take() } else { None }
    }
}

fn must<T: PartialEq + std::fmt::Display>(
    field: &'static str,
    actual: T,
    expected: T,
) -> Result<(), BlockError> {
    if actual == expected {
        return Ok(());
    }
    let (actual, expected) = (actual.to_string(), expected.to_string());
    Err(BlockError::Header {
        field,
        actual,
        expected,
    })
}

/// What the header alone shows against the head.
pub(crate) fn check_header(head: &Head, header: &BlockHeader) -> Result<(), BlockError> {
    must("protocol", header.protocol, PROTOCOL)?;
    must("chain", header.chain, head.header.chain)?;
    must("epoch", header.epoch, head.validators.epoch())?;
    must("height", header.height, head.height().next())?;
    must("parent", header.parent, head.id)?;
    let offset = head.next_offset();
    must("offset", header.offset, offset)?;
    let place =
        offset.wrapping_add(u64::from(header.view.get())) % head.validators.len().max(1) as u64;
    // Below the number of members, which fits.
    must(
        "proposer",
        header.proposer,
        ValidatorIndex::new(place as u16),
    )?;
    if header.time_ms <= head.time() {
        return Err(BlockError::Header {
            field: "time_ms",
            actual: header.time_ms.to_string(),
            expected: format!("above {}", head.time()),
        });
    }
    let pause = header.time_ms.since(head.time());
    let heartbeat = head.parameters.timers.heartbeat_ms;
    if header.tx_count == 0 && header.view.get() == 0 && pause < heartbeat {
        return Err(BlockError::Early {
            early_ms: heartbeat.saturating_sub(pause),
        });
    }
    if header.history_root != head.next_history_root {
        return Err(BlockError::History);
    }
    Ok(())
}

/// The certificate in the body must be the one that the header names, and decide the head. It may
/// have other signers than the one that we have.
pub(crate) fn check_parent_certificate(
    head: &Head,
    header: &BlockHeader,
    certificate: &CommitCertificate,
) -> Result<(), BlockError> {
    must("parent_commit", header.parent_commit, certificate.digest())?;
    must("parent_view", header.parent_view, certificate.view)?;
    let decides_head = certificate.height == head.height()
        && certificate.block_id() == head.id
        && certificate.view >= head.header.view;
    if !decides_head {
        return Err(BlockError::ParentCertificate(CertificateError::OtherBlock));
    }
    if *certificate == head.certificate {
        return Ok(());
    }
    certificate
        .verify(header.chain, &head.decided_by, &Ed25519Verifier)
        .map_err(BlockError::ParentCertificate)
}

/// Whether the block may name its checkpoint, `main`: given on side chains, none on main. Whether the
/// transactions may stand in a block whose checkpoint is old is asked with each of them.
pub(crate) fn check_checkpoint(
    head: &Head,
    header: &BlockHeader,
    main: Option<&MainAt<'_>>,
) -> Result<(), BlockError> {
    let bad = |reason| BlockError::Checkpoint { reason };
    let (checkpoint, main) = match (header.checkpoint, main) {
        (None, None) => return Ok(()),
        (Some(checkpoint), Some(main)) => (checkpoint, main.state()),
        (Some(_), None) => return Err(bad("blocks of this chain have none")),
        (None, Some(_)) => return Err(bad("it is missing")),
    };
    if head
        .header
        .checkpoint
        .is_some_and(|before| checkpoint.height < before.height)
    {
        return Err(bad("it lies below that of the block before"));
    }
    match side_chains::read_side_chain(main.view, &header.chain)? {
        None => Err(bad("main knows no such side chain")),
        Some(record) if record.frozen.is_some() => Err(BlockError::Frozen),
        Some(_) => Ok(()),
    }
}

/// Counts, sizes, names.
pub(crate) fn check_contents(
    head: &Head,
    header: &BlockHeader,
    transactions: &[VerifiedTransaction],
) -> Result<(), BlockError> {
    let limits = &head.parameters.limits;
    let count = transactions.len() as u64;
    let bytes = transactions.iter().map(|t| t.encoded().len() as u64).sum();
    for (what, actual, most) in [
        ("transactions", count, limits.block_transactions),
        ("bytes", bytes, limits.block_bytes),
    ] {
        if actual > most {
            return Err(BlockError::TooLarge { what, actual, most });
        }
    }
    let witness_ids: Vec<_> = transactions.iter().map(|t| t.witness_id()).collect();
    if count != u64::from(header.tx_count) || merkle::tx_root(&witness_ids) != header.tx_root {
        return Err(BlockError::Transactions);
    }
    let mut seen = HashSet::with_capacity(transactions.len());
    match transactions.iter().position(|t| !seen.insert(t.id())) {
        Some(index) => Err(BlockError::Duplicate { index }),
        None => Ok(()),
    }
}
