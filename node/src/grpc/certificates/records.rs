//! Reading certificates, checks and accounts from the chains, and showing them as messages.

use std::collections::BTreeMap;

use certchain_ledger::{
    execution::Line,
    identity::{self, IdentityRecord},
    receipt::LocatedReceipt,
};
use certchain_proto::{
    Address, ChainId, Height,
    hash::{CertificateId, FieldRoot, PresentationId, TransactionId},
    wire::v1::{
        CertificateDraft, EncryptedFields, SignedTransaction, TransactionBody,
        transaction_body::Kind,
    },
};
use certchain_sidechain::certificate::{CertificateRecord, CheckRecord, keys};
use prost::Message as _;
use tonic::Status;

use super::super::status::unreadable;
use crate::chain::ChainHost;

/// An account in main's newest state.
pub(super) fn account(
    main: &ChainHost,
    address: &Address,
) -> Result<Option<IdentityRecord>, Status> {
    let key = identity::keys::identity(address);
    let value = main.chain.get(&key).map_err(unreadable)?;
    value
        .map(|value| IdentityRecord::decode(&value).map_err(unreadable))
        .transpose()
}

/// A certificate's record after the block at a height.
pub(super) fn certificate_at(
    host: &ChainHost,
    id: &CertificateId,
    height: Height,
) -> Result<Option<CertificateRecord>, Status> {
    let value = host.chain.get_at(&keys::certificate(id), height);
    value
        .map_err(unreadable)?
        .map(|value| CertificateRecord::decode(&value).map_err(unreadable))
        .transpose()
}

/// A certificate's newest record.
pub(super) fn certificate(
    host: &ChainHost,
    id: &CertificateId,
) -> Result<Option<CertificateRecord>, Status> {
    let value = host.chain.get(&keys::certificate(id));
    value
        .map_err(unreadable)?
        .map(|value| CertificateRecord::decode(&value).map_err(unreadable))
        .transpose()
}

/// The record of a check. It never changes.
pub(super) fn check(host: &ChainHost, id: &PresentationId) -> Result<Option<CheckRecord>, Status> {
    let value = host.chain.get(&keys::check(id)).map_err(unreadable)?;
    value
        .map(|value| CheckRecord::decode(&value).map_err(unreadable))
        .transpose()
}

/// Organisation codes of issuers, each read once.
pub(super) struct Codes<'a> {
    main: &'a ChainHost,
    known: BTreeMap<Address, String>,
}

impl<'a> Codes<'a> {
    pub(super) const fn new(main: &'a ChainHost) -> Self {
        Self {
            main,
            known: BTreeMap::new(),
        }
    }

    /// The code of an issuer; empty if main knows no such account.
    pub(super) fn of(&mut self, issuer: &Address) -> Result<String, Status> {
        if let Some(code) = self.known.get(issuer) {
            return Ok(code.clone());
        }
        let record = account(self.main, issuer)?;
        let code = record.map(|record| record.organisation_code);
        let code = code.unwrap_or_default();
        self.known.insert(*issuer, code.clone());
        Ok(code)
    }
}

/// The id that a draft has on a chain; none if its fields have wrong lengths.
pub(super) fn draft_id(
    chain: &ChainId,
    issuer: &Address,
    draft: &CertificateDraft,
) -> Option<CertificateId> {
    let root = FieldRoot::from_slice(&draft.field_root)?;
    let nonce: [u8; 16] = draft.nonce.as_slice().try_into().ok()?;
    Some(CertificateId::of(
        chain,
        issuer,
        &draft.r#type,
        &root,
        &nonce,
    ))
}

/// What is encrypted to one of a draft's holders.
pub(super) fn fields_of<'a>(
    draft: &'a CertificateDraft,
    holder: &Address,
) -> Option<&'a EncryptedFields> {
    let place = draft.holders.iter().position(|h| h == holder.as_bytes())?;
    draft.encrypted.get(place)
}

/// A decided transaction that was to issue certificates.
pub(super) struct Issuing {
    /// Who issues.
    pub(super) issuer: Address,
    /// The certificates in order.
    pub(super) drafts: Vec<CertificateDraft>,
    /// What became of each line, if it is a batch that took effect.
    pub(super) lines: Option<Vec<Line>>,
    /// What became of it.
    pub(super) receipt: LocatedReceipt,
}

/// A decided transaction that was to issue certificates; none if there is none of this id.
pub(super) fn issuing(host: &ChainHost, id: &TransactionId) -> Result<Option<Issuing>, Status> {
    let Some(found) = host.chain.transaction(id).map_err(unreadable)? else {
        return Ok(None);
    };
    let signed = SignedTransaction::decode(found.encoded.as_slice()).map_err(unreadable)?;
    let body = TransactionBody::decode(signed.body.as_ref()).map_err(unreadable)?;
    let (issuer, drafts, is_batch) = match body.kind {
        Some(Kind::IssueCertificate(m)) => (m.issuer, m.certificate.into_iter().collect(), false),
        Some(Kind::IssueBatch(m)) => (m.issuer, m.certificates, true),
        _ => return Ok(None),
    };
    let receipt = found.receipt;
    let lines = match is_batch && receipt.receipt.is_ok() {
        true => Some(lines_of(host, receipt.height, receipt.index)?),
        false => None,
    };
    let issuer = Address::from_slice(&issuer)
        .ok_or_else(|| unreadable("a decided transaction names no issuer"))?;
    Ok(Some(Issuing {
        issuer,
        drafts,
        lines,
        receipt,
    }))
}

/// The lines of a batch that took effect.
pub(super) fn lines_of(host: &ChainHost, height: Height, place: u32) -> Result<Vec<Line>, Status> {
    host.chain
        .batch_lines(height, place)
        .map_err(unreadable)?
        .ok_or_else(|| unreadable("the lines of a decided batch are missing"))
}
