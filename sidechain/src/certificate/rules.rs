//! The certificate application: which keys a transaction reads, and what its rules share.
//!
//! A kind's rule first checks what the message alone shows (number of signers, fields, what the
//! chain's types ask for), then the accounts that act (registered, of the right kind, active,
//! signing with their present key), then type, holders and subject in the order that each rule's
//! file tells. The first thing that fails gives the code. Everything about identities is asked of
//! main's state at the block's checkpoint; a block without one takes no certificates.

use std::collections::BTreeMap;

use certchain_config::catalogue::{CertificateType, SideChain};
use certchain_ledger::{
    execution::{Application, BlockContext, Effects, ParentSigners, Stop, check_signed_for},
    identity::{self, IdentityKind, IdentityRecord},
    refusal::Refusal,
    state::StateKey,
    view::{ReadError, StateView, Value},
};
use certchain_proto::{
    Address, TimeMs, codec,
    hash::{CertificateId, PresentationId},
    transaction::Transaction,
    wire::v1::{CertificateDraft, Code, transaction_body::Kind},
};

use super::{
    CertificateRecord,
    draft::Draft,
    issue::MAX_BATCH_LINES,
    keys,
    types::{self, TypeRules},
    verdicts::Verdicts,
};
use crate::{hand_over, presentation::Presentation};

/// Largest encoding of a type's entry of the catalogue.
pub(crate) const MAX_TYPE_BYTES: usize = 16 * 1024;

/// The certificates of one side chain.
#[derive(Clone, Debug)]
pub struct CertificateApplication {
    chain: SideChain,
    rules: &'static TypeRules,
    verdicts: Verdicts,
}

impl CertificateApplication {
    /// The application of a side chain. Its catalogue stands in its state, from genesis on
    /// ([`crate::genesis::genesis_leaves`]).
    pub fn new(chain: SideChain) -> Self {
        Self {
            chain,
            rules: types::rules(chain),
            verdicts: Verdicts::default(),
        }
    }

    /// The side chain.
    pub const fn chain(&self) -> SideChain {
        self.chain
    }
}

impl Application for CertificateApplication {
    /// A certificate that holds a claim is read too when another one asks for it, under a key that
    /// only the claim's value names. It is asked for the end of its validity alone, which never
    /// changes; whoever frees a claim writes the claim's key, which is named.
    fn reads(&self, transaction: &Transaction) -> Vec<StateKey> {
        let certificate = |bytes: &[u8]| match CertificateId::from_slice(bytes) {
            Some(id) => vec![keys::certificate(&id)],
            None => Vec::new(),
        };
        match transaction.kind() {
            Kind::IssueCertificate(m) => {
                self.reads_of_issue(transaction, &m.issuer, m.certificate.as_slice())
            }
            Kind::IssueBatch(m) => self.reads_of_issue(transaction, &m.issuer, &m.certificates),
            Kind::AcceptCertificate(m) => certificate(&m.certificate),
            Kind::DeclineCertificate(m) => certificate(&m.certificate),
            Kind::RevokeCertificate(m) => certificate(&m.certificate),
            Kind::RecordCheck(m) => match Presentation::decode(&m.presentation) {
                Ok(shown) => vec![
                    keys::check(&PresentationId::of(&m.presentation)),
                    keys::certificate(&shown.certificate),
                ],
                Err(_) => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn deadline(&self, transaction: &Transaction) -> TimeMs {
        let end = match transaction.kind() {
            Kind::RecordCheck(m) => {
                Presentation::decode(&m.presentation).map_or(0, |shown| shown.expires.get())
            }
            Kind::IssueCertificate(m) => m.certificate.as_ref().map_or(0, |m| m.valid_until_ms),
            _ => 0,
        };
        earlier(transaction, end)
    }

    fn end_block(
        &self,
        _view: &dyn StateView,
        block: &BlockContext<'_>,
        _parent: &ParentSigners,
    ) -> Result<BTreeMap<StateKey, Option<Value>>, ReadError> {
        hand_over::take(block)
    }

    fn execute(
        &self,
        view: &dyn StateView,
        block: &BlockContext<'_>,
        transaction: &Transaction,
    ) -> Result<Effects, Stop> {
        if let Kind::RestartNotice(m) = transaction.kind() {
            return identity::restart_notice(block, transaction, m);
        }
        let not_here = || Stop::from(Refusal::new(Code::KindNotHere));
        let run = Run {
            view,
            main: block.main.ok_or_else(not_here)?.view,
            block,
            transaction,
            chain: self.chain,
            rules: self.rules,
            verdicts: &self.verdicts,
        };
        match transaction.kind() {
            Kind::IssueCertificate(m) => run.issue(m),
            Kind::IssueBatch(m) => run.issue_batch(m),
            Kind::AcceptCertificate(m) => run.accept(m),
            Kind::DeclineCertificate(m) => run.decline(m),
            Kind::RevokeCertificate(m) => run.revoke(m),
            Kind::RecordCheck(m) => run.record_check(m),
            _ => Err(not_here()),
        }
    }
}

/// The earlier of a transaction's end and that of what it carries; 0 stands for none.
fn earlier(transaction: &Transaction, end_ms: u64) -> TimeMs {
    let end = TimeMs::new(if end_ms == 0 { u64::MAX } else { end_ms });
    transaction.valid_until().min(end)
}

impl CertificateApplication {
    /// Drafts that are not in order name no keys: their rule refuses before it reads.
    fn reads_of_issue(
        &self,
        transaction: &Transaction,
        issuer: &[u8],
        drafts: &[CertificateDraft],
    ) -> Vec<StateKey> {
        let Some(issuer) = Address::from_slice(issuer) else {
            return Vec::new();
        };
        if drafts.len() > MAX_BATCH_LINES {
            return Vec::new();
        }
        let mut all = Vec::with_capacity(2 + 2 * drafts.len());
        // Most batches are of one type, whose keys are named once.
        let mut last_type = None;
        for m in drafts {
            let Ok(draft) = Draft::parse(&transaction.chain(), &issuer, self.rules, m) else {
                continue;
            };
            if last_type != Some(draft.type_name) {
                last_type = Some(draft.type_name);
                all.push(keys::certificate_type(draft.type_name));
                all.push(keys::serials(&issuer, draft.type_name));
            }
            all.push(keys::certificate(&draft.id));
            all.extend(draft.claim_keys(self.rules));
        }
        all
    }
}

/// One transaction on its way through its rule.
pub(super) struct Run<'a> {
    pub(super) view: &'a dyn StateView,
    pub(super) main: &'a dyn StateView,
    pub(super) block: &'a BlockContext<'a>,
    pub(super) transaction: &'a Transaction,
    pub(super) chain: SideChain,
    pub(super) rules: &'static TypeRules,
    pub(super) verdicts: &'a Verdicts,
}

impl Run<'_> {
    /// An account in main's state at the checkpoint. The role says in refusals who it is.
    pub(super) fn account(&self, role: &str, address: &Address) -> Result<IdentityRecord, Stop> {
        let key = identity::keys::identity(address);
        let Some(value) = self.main.value(&key)? else {
            return Err(Refusal::about(Code::UnknownAccount, format!("{role} {address}")).into());
        };
        let record = IdentityRecord::decode(&value).map_err(|source| ReadError::Value {
            key: Box::new(key),
            source,
        })?;
        Ok(record)
    }

    /// An account of one of these kinds that is active.
    pub(super) fn active(
        &self,
        role: &str,
        address: &Address,
        kinds: &[IdentityKind],
    ) -> Result<IdentityRecord, Stop> {
        let record = self.account(role, address)?;
        let refuse = |code| Err(Refusal::about(code, format!("{role} {address}")).into());
        if !kinds.contains(&record.kind) {
            return refuse(Code::NotEntitled);
        }
        match record.present.status.refusal() {
            None => Ok(record),
            Some(code) => refuse(code),
        }
    }

    /// An active account of one of these kinds, one of whose present keys signs at a place.
    pub(super) fn actor(
        &self,
        role: &str,
        address: &Address,
        kinds: &[IdentityKind],
        place: usize,
    ) -> Result<IdentityRecord, Stop> {
        let record = self.active(role, address, kinds)?;
        check_signed_for(self.transaction, place, &record.present)?;
        Ok(record)
    }

    /// A type of this chain.
    pub(super) fn certificate_type(&self, name: &str) -> Result<CertificateType, Stop> {
        let unknown = || {
            let shown: String = name.chars().take(32).collect();
            Stop::from(Refusal::about(Code::UnknownType, format!("'{shown}'")))
        };
        let key = keys::certificate_type(name);
        let value = self.view.value(&key)?.ok_or_else(unknown)?;
        let entry: CertificateType =
            codec::decode(&value, MAX_TYPE_BYTES).map_err(|source| ReadError::Value {
                key: Box::new(key),
                source,
            })?;
        match entry.chain == self.chain {
            true => Ok(entry),
            false => Err(unknown()),
        }
    }

    /// The record of a certificate that stands in the state for sure: another leaf names it.
    pub(super) fn named_certificate(&self, id: &CertificateId) -> Result<CertificateRecord, Stop> {
        Ok(self.read_certificate(id)?.ok_or_else(|| {
            let missing = codec::DecodeError::Malformed {
                what: "certificate: it is missing",
            };
            ReadError::Value {
                key: Box::new(keys::certificate(id)),
                source: missing,
            }
        })?)
    }

    /// The record of a certificate that a message names.
    pub(super) fn certificate(&self, id: &CertificateId) -> Result<CertificateRecord, Stop> {
        Ok(self
            .read_certificate(id)?
            .ok_or_else(|| Refusal::about(Code::UnknownCertificate, id.to_string()))?)
    }

    fn read_certificate(&self, id: &CertificateId) -> Result<Option<CertificateRecord>, ReadError> {
        let key = keys::certificate(id);
        let Some(value) = self.view.value(&key)? else {
            return Ok(None);
        };
        let record = CertificateRecord::decode(&value);
        record
            .map(Some)
            .map_err(|source| ReadError::record(key, source))
    }
}
