//! What a faulty validator remembers of the present height, beyond what its engine keeps.

use std::collections::BTreeMap;

use certchain_consensus::{
    Message,
    message::{PreparedCertificate, SignedClaim, ViewChange},
    statement::PreparedRef,
};
use certchain_proto::{
    BlockHeader, Height, Signature, ValidatorIndex, View, certificate::IndexedSignature,
    hash::HeaderDigest,
};

use super::{Tools, craft};

/// Headers, PREPAREs, VIEW-CHANGEs and certificates of one height.
#[derive(Debug, Default)]
pub struct Memory {
    height: Height,
    headers: BTreeMap<HeaderDigest, BlockHeader>,
    prepares: BTreeMap<PreparedRef, BTreeMap<ValidatorIndex, Signature>>,
    changes: BTreeMap<View, BTreeMap<ValidatorIndex, ViewChange>>,
    certificates: BTreeMap<PreparedRef, PreparedCertificate>,
    /// A certificate of an earlier height.
    past: Option<PreparedCertificate>,
}

impl Memory {
    /// Takes up what was heard or said.
    pub fn note(&mut self, tools: &Tools<'_>, message: &Message) {
        if tools.height() != self.height {
            self.turn(tools.height(), tools.quorum());
        }
        if message.height() != self.height {
            return;
        }
        match message {
            Message::PrePrepare(m) => {
                self.headers.insert(m.header.digest(), m.header.clone());
            }
            Message::Prepare(m) => {
                let (view, header) = (m.vote.view, m.vote.header);
                let votes = self.prepares.entry(PreparedRef { view, header });
                votes.or_default().insert(m.signer, m.signature);
            }
            Message::Commit(_) => {}
            Message::ViewChange(m) => {
                let asking = self.changes.entry(m.vote.view).or_default();
                asking.insert(m.signer, m.clone());
                self.note_certificate(m.certificate.as_ref());
            }
            Message::NewView(m) => self.note_certificate(m.prepared.as_ref()),
        }
    }

    fn turn(&mut self, height: Height, quorum: usize) {
        let last = self.certificates(quorum).into_values().next_back();
        *self = Self {
            height,
            past: last.or(self.past.take()),
            ..Self::default()
        };
    }

    fn note_certificate(&mut self, certificate: Option<&PreparedCertificate>) {
        if let Some(certificate) = certificate {
            let name = certificate.reference();
            self.headers.insert(name.header, certificate.header.clone());
            self.certificates.insert(name, certificate.clone());
        }
    }

    /// A certificate of an earlier height.
    pub fn past(&self) -> Option<&PreparedCertificate> {
        self.past.as_ref()
    }

    /// Who asked for a view, as a NEW-VIEW carries it.
    pub fn claims(&self, view: View) -> Vec<SignedClaim> {
        let asking = self.changes.get(&view);
        asking
            .into_iter()
            .flat_map(|asking| asking.values().map(craft::claim))
            .collect()
    }

    /// The certificate behind the highest of these claims.
    pub fn highest(&self, claims: &[SignedClaim]) -> Option<PreparedCertificate> {
        let highest = claims.iter().filter_map(|c| c.prepared).max()?;
        self.certificates.get(&highest).cloned()
    }

    /// All certificates of this height: those that came and those that the votes make, by view.
    pub fn certificates(&self, quorum: usize) -> BTreeMap<PreparedRef, PreparedCertificate> {
        let mut all = self.certificates.clone();
        for (name, votes) in self.prepares.iter().filter(|(_, v)| v.len() >= quorum) {
            let Some(header) = self.headers.get(&name.header) else {
                continue;
            };
            let signature = |(validator, signature): (&ValidatorIndex, &Signature)| {
                let (validator, signature) = (*validator, *signature);
                IndexedSignature {
                    validator,
                    signature,
                }
            };
            let certificate = PreparedCertificate {
                view: name.view,
                header: header.clone(),
                signatures: votes.iter().map(signature).collect(),
            };
            all.insert(*name, certificate);
        }
        all
    }
}
