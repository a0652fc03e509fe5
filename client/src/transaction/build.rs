//! Builders: one per kind of transaction. They fill every field in canonical form; whether the
//! chain takes it is the chain's to say.

use certchain_ledger::governance::Change;
use certchain_proto::{
    Address, ChainId, Epoch, Height, PublicKey, TimeMs, ValidatorIndex,
    hash::{AttributeRoot, CertificateId, IdentityTag, TransactionId},
    transaction::NONCE_BYTES,
    wire::v1::{
        AcceptAccreditation, AcceptCertificate, AddDevice, CertificateDraft, CompleteRecovery,
        DecideRecovery, DeclineCertificate, IdentityEnd, IssueBatch, IssueCertificate,
        ObjectToRecovery, Propose, RecordCheck, RecoverKey, RegisterIdentity, ReinstateIdentity,
        RemoveDevice, RestartNotice, RevokeCertificate, RevokeIdentity, RotateKey, SuspendIdentity,
        TransactionBody, Vote, VoteChoice, transaction_body::Kind,
    },
};
use certchain_sidechain::presentation::SignedPresentation;

use crate::{NoRandomness, random, wallet::PublicAccount};

/// Which chain may execute a transaction, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The chain.
    pub chain: ChainId,
    /// Block time from which it can no longer be executed.
    pub valid_until: TimeMs,
}

impl Terms {
    /// Makes a body with a fresh nonce.
    ///
    /// # Errors
    /// If there is no randomness.
    pub fn body(&self, kind: Kind) -> Result<TransactionBody, NoRandomness> {
        let nonce: [u8; NONCE_BYTES] = random()?;
        Ok(TransactionBody {
            chain_id: self.chain.as_bytes().to_vec(),
            nonce: nonce.to_vec(),
            valid_until_ms: self.valid_until.get(),
            kind: Some(kind),
        })
    }
}

/// What an agency drafts at its counter.
#[derive(Clone, Copy, Debug)]
pub struct Registration<'a> {
    /// The holder, as its wallet exports it.
    pub holder: &'a PublicAccount,
    /// Root over its salted attributes.
    pub attribute_root: AttributeRoot,
    /// Pseudonym of its document.
    pub tag: IdentityTag,
    /// Version of the key that made the tag.
    pub tag_key_version: u32,
    /// The certifying agency.
    pub agency: Address,
    /// The registrar that will review.
    pub registrar: Address,
}

/// Registers an identity. Signed by agency, registrar, holder.
pub fn register_identity(registration: &Registration<'_>) -> Kind {
    let holder = registration.holder;
    Kind::RegisterIdentity(RegisterIdentity {
        kind: holder.kind().to_wire() as i32,
        public_key: key(holder.public_key()),
        encryption_key: holder.encryption_key().to_vec(),
        attribute_root: registration.attribute_root.as_bytes().to_vec(),
        tag: registration.tag.as_bytes().to_vec(),
        tag_key_version: registration.tag_key_version,
        agency: address(registration.agency),
        registrar: address(registration.registrar),
        organisation_code: holder.organisation_code().to_owned(),
    })
}

/// Replaces an account's keys. Signed by the present key, then the new one.
pub fn rotate_key(account: Address, public_key: &PublicKey, encryption_key: &[u8; 32]) -> Kind {
    Kind::RotateKey(RotateKey {
        address: address(account),
        public_key: key(public_key),
        encryption_key: encryption_key.to_vec(),
    })
}

/// Opens the recovery of lost keys, to be replaced by those of `holder`, a new wallet that bears the lost account's address.
/// Signed by agency, registrar, the new key.
pub fn recover_key(holder: &PublicAccount, agency: Address, registrar: Address) -> Kind {
    Kind::RecoverKey(RecoverKey {
        address: address(holder.address()),
        public_key: key(holder.public_key()),
        encryption_key: holder.encryption_key().to_vec(),
        agency: address(agency),
        registrar: address(registrar),
    })
}

/// Suspends an identity. Signed by the authority.
pub fn suspend_identity(account: Address, authority: Address, reason: u16) -> Kind {
    Kind::SuspendIdentity(SuspendIdentity {
        address: address(account),
        authority: address(authority),
        reason: reason.into(),
    })
}

/// Lifts a suspension. Signed by the authority, a registrar.
pub fn reinstate_identity(account: Address, authority: Address, reason: u16) -> Kind {
    Kind::ReinstateIdentity(ReinstateIdentity {
        address: address(account),
        authority: address(authority),
        reason: reason.into(),
    })
}

/// Ends an identity for good. Signed by agency, then registrar.
pub fn revoke_identity(
    account: Address,
    agency: Address,
    registrar: Address,
    reason: u16,
    end: IdentityEnd,
) -> Kind {
    Kind::RevokeIdentity(RevokeIdentity {
        address: address(account),
        agency: address(agency),
        registrar: address(registrar),
        reason: reason.into(),
        end: end as i32,
    })
}

/// Lets another device sign for an account. Signed by the main key, then the device's.
pub fn add_device(account: Address, device: &PublicKey) -> Kind {
    Kind::AddDevice(AddDevice {
        address: address(account),
        public_key: key(device),
    })
}

/// Ends a device's right to sign. Signed by the main key, or the device itself.
pub fn remove_device(account: Address, device: &PublicKey) -> Kind {
    Kind::RemoveDevice(RemoveDevice {
        address: address(account),
        public_key: key(device),
    })
}

/// Objects to the recovery of an account. Signed by one of its keys.
pub fn object_to_recovery(account: Address) -> Kind {
    Kind::ObjectToRecovery(ObjectToRecovery {
        address: address(account),
    })
}

/// Decides a contested recovery. Signed by agency, then registrar.
pub fn decide_recovery(
    account: Address,
    agency: Address,
    registrar: Address,
    new_key: &PublicKey,
    confirm: bool,
) -> Kind {
    Kind::DecideRecovery(DecideRecovery {
        address: address(account),
        agency: address(agency),
        registrar: address(registrar),
        public_key: key(new_key),
        confirm,
    })
}

/// Puts the keys of a recovery that is due in force. Signed by the new key.
pub fn complete_recovery(account: Address, new_key: &PublicKey) -> Kind {
    Kind::CompleteRecovery(CompleteRecovery {
        address: address(account),
        public_key: key(new_key),
    })
}

/// Tells that a validator lost its journal. Signed by its vote key.
pub fn restart_notice(epoch: Epoch, validator: ValidatorIndex, nonce: [u8; 32]) -> Kind {
    Kind::RestartNotice(RestartNotice {
        epoch: epoch.get(),
        validator: validator.get().into(),
        restart_nonce: nonce.to_vec(),
    })
}

/// Issues one certificate. Signed by the issuer and, if they sign, the holders in their order.
pub fn issue_certificate(issuer: Address, draft: CertificateDraft, holders_sign: bool) -> Kind {
    Kind::IssueCertificate(IssueCertificate {
        issuer: address(issuer),
        certificate: Some(draft),
        holders_sign,
    })
}

/// Issues many certificates. Signed by the issuer.
pub fn issue_batch(issuer: Address, drafts: Vec<CertificateDraft>) -> Kind {
    Kind::IssueBatch(IssueBatch {
        issuer: address(issuer),
        certificates: drafts,
    })
}

/// Takes a certificate. Signed by the holder.
pub fn accept_certificate(certificate: CertificateId, holder: Address) -> Kind {
    Kind::AcceptCertificate(AcceptCertificate {
        certificate: certificate.as_bytes().to_vec(),
        holder: address(holder),
    })
}

/// Refuses a certificate that was not accepted. Signed by the holder.
pub fn decline_certificate(certificate: CertificateId, holder: Address, reason: u16) -> Kind {
    Kind::DeclineCertificate(DeclineCertificate {
        certificate: certificate.as_bytes().to_vec(),
        holder: address(holder),
        reason: reason.into(),
    })
}

/// Ends a certificate for good. Signed by the authority.
pub fn revoke_certificate(certificate: CertificateId, authority: Address, reason: u16) -> Kind {
    Kind::RevokeCertificate(RevokeCertificate {
        certificate: certificate.as_bytes().to_vec(),
        authority: address(authority),
        reason: reason.into(),
    })
}

/// Records a check of a presentation. Signed by the verifier.
pub fn record_check(verifier: Address, presentation: &SignedPresentation, purpose: u16) -> Kind {
    Kind::RecordCheck(RecordCheck {
        verifier: address(verifier),
        presentation: presentation.encoded().to_vec(),
        holder_signature: presentation.signature().to_bytes().to_vec(),
        purpose: purpose.into(),
    })
}

/// Proposes a change for a height of main. Signed by the validator's vote key.
pub fn propose(
    epoch: Epoch,
    validator: ValidatorIndex,
    execution_height: Height,
    change: &Change,
) -> Kind {
    Kind::Propose(Propose {
        epoch: epoch.get(),
        validator: validator.get().into(),
        execution_height: execution_height.get(),
        change: Some(change.to_wire()),
    })
}

/// Approves or rejects a proposal. Signed by the validator's vote key.
pub fn vote(
    epoch: Epoch,
    validator: ValidatorIndex,
    proposal: TransactionId,
    approve: bool,
) -> Kind {
    let choice = match approve {
        true => VoteChoice::Approve,
        false => VoteChoice::Reject,
    };
    Kind::Vote(Vote {
        epoch: epoch.get(),
        validator: validator.get().into(),
        proposal: proposal.as_bytes().to_vec(),
        choice: choice.into(),
    })
}

/// Takes an accreditation that was voted for. Signed by the agency.
pub fn accept_accreditation(proposal: TransactionId, agency: Address) -> Kind {
    Kind::AcceptAccreditation(AcceptAccreditation {
        proposal: proposal.as_bytes().to_vec(),
        agency: address(agency),
    })
}

fn address(address: Address) -> Vec<u8> {
    address.as_bytes().to_vec()
}

fn key(key: &PublicKey) -> Vec<u8> {
    key.as_bytes().to_vec()
}
