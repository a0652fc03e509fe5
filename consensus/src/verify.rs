//! The one place where bytes that were merely decoded become statements that the engine takes.
//!
//! Verification is pure and needs the chain and the validator sets only, so it runs on worker
//! threads. Whether an epoch, height, view or link fits the moment is the engine's question.

use std::ops::Deref;

use certchain_proto::{
    BlockHeader, ChainId, CommitCertificate, Epoch, Height, Outcome, PublicKey, Signature,
    ValidatorIndex, ValidatorSet, View,
    certificate::{CertificateError, SignatureVerifier, verify_quorum},
    hash::SigningHash,
    limits::MAX_BLOCK_TRANSACTIONS,
};

use crate::{
    message::{Message, NewView, PrePrepare, PreparedCertificate, ViewChange},
    planted::{self, Bug},
    sets::Membership,
    statement::{SignedStatement, Statement},
};

/// Why a message says nothing to us, at verification. All of these are the sender's fault, but for
/// [`Invalid::Epoch`], which a message from before or after a change of the set shows too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It speaks of another chain.
    #[error("the message is for another chain")]
    Chain,
    /// It speaks of a generation of the validator set that is not known; drop it, its sender sends
    /// again. A later one than ours shows that we may be behind (VS-7).
    #[error("the message is of epoch {actual}, the newest validator set has epoch {expected}")]
    Epoch {
        /// The newest set's epoch.
        expected: Epoch,
        /// The message's epoch.
        actual: Epoch,
    },
    /// The signer is no member.
    #[error("validator {0} is not in the set")]
    UnknownSigner(ValidatorIndex),
    /// The signature does not hold.
    #[error("the signature of validator {0} does not hold")]
    Signature(ValidatorIndex),
    /// A certificate inside does not hold.
    #[error("a certificate in the message does not hold: {0}")]
    Certificate(#[from] CertificateError),
    /// A certificate inside is not the one that the message names.
    #[error("a certificate in the message is not the one that the message names")]
    OtherCertificate,
    /// View 0 opens by itself; no message may ask for it or open it.
    #[error("view 0 cannot be asked for")]
    ViewZero,
    /// A certificate claims to be from the view asked for or a later one, or from before the block
    /// was proposed.
    #[error("a prepared certificate of view {0} cannot stand in this message")]
    CertificateView(View),
    /// More transactions than a block takes, or another number than the header says.
    #[error("{actual} transactions, the header says {stated}")]
    TransactionCount {
        /// As the header states.
        stated: u32,
        /// As listed.
        actual: usize,
    },
    /// The claims of a NEW-VIEW are fewer than a quorum, out of order, or of strangers.
    #[error("the claims are not those of a quorum of strictly rising members")]
    Claims,
}

impl Invalid {
    /// Whether an honest node could have sent it: one that follows another generation of the set.
    /// Everything else its sender should have found itself.
    pub fn may_be_honest(&self) -> bool {
        matches!(self, Self::Epoch { .. } | Self::UnknownSigner(_))
    }
}

/// A value whose signatures and certificates have been checked against a chain and the sets of the
/// epochs that they name.
///
/// Invariant: made by this module only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// The value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A decided block as sync brings it: order, result, proof. Its body is checked by the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The order.
    pub header: BlockHeader,
    /// The result.
    pub outcome: Outcome,
    /// The votes that decided it.
    pub certificate: CommitCertificate,
}

impl Sealed {
    /// Checks that a quorum of the header's epoch decided this header with this outcome. Whether that
    /// epoch decides that height, the engine says (VS-4).
    ///
    /// # Errors
    /// If the certificate is for another block or does not hold, or the header is of another chain
    /// or epoch. The genesis block is never sealed by votes and is refused.
    pub fn verify(
        self,
        chain: ChainId,
        sets: &dyn Membership,
        verifier: &dyn SignatureVerifier,
    ) -> Result<Verified<Self>, Invalid> {
        if self.header.chain != chain {
            return Err(Invalid::Chain);
        }
        let validators = set_of(sets, self.header.epoch)?;
        let certificate = &self.certificate;
        if certificate.header != self.header.digest()
            || certificate.outcome != self.outcome.digest()
            || certificate.height != self.header.height
            || certificate.signatures.is_empty()
        {
            return Err(Invalid::OtherCertificate);
        }
        if certificate.view < self.header.view {
            return Err(Invalid::CertificateView(certificate.view));
        }
        certificate.verify(chain, validators, verifier)?;
        Ok(Verified(self))
    }
}

impl Message {
    /// Checks everything that chain and validator sets suffice to check: membership in the set of its
    /// epoch, signature, and every certificate inside, in full.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn verify(
        self,
        chain: ChainId,
        sets: &dyn Membership,
        verifier: &dyn SignatureVerifier,
    ) -> Result<Verified<Self>, Invalid> {
        let validators = self.signed_statement().check(chain, sets, verifier)?;
        match &self {
            Self::PrePrepare(m) => check_pre_prepare(m, chain, validators, sets, verifier)?,
            Self::Prepare(_) | Self::Commit(_) => {}
            Self::ViewChange(m) => check_view_change(m, chain, validators, verifier)?,
            Self::NewView(m) => check_new_view(m, chain, validators, verifier)?,
        }
        Ok(Verified(self))
    }
}

impl SignedStatement {
    /// Checks chain, epoch, membership and signature.
    ///
    /// # Errors
    /// The first of them that does not hold.
    pub fn verify(
        &self,
        chain: ChainId,
        sets: &dyn Membership,
        verifier: &dyn SignatureVerifier,
    ) -> Result<(), Invalid> {
        self.check(chain, sets, verifier).map(|_| ())
    }

    /// The same; gives the set of its epoch.
    fn check<'a>(
        &self,
        chain: ChainId,
        sets: &'a dyn Membership,
        verifier: &dyn SignatureVerifier,
    ) -> Result<&'a ValidatorSet, Invalid> {
        let slot = self.statement.slot();
        if slot.chain != chain && !planted::is(Bug::TakesOtherChains) {
            return Err(Invalid::Chain);
        }
        let validators = match set_of(sets, slot.epoch) {
            Err(_) if planted::is(Bug::TakesOtherEpochs) => sets.newest(),
            found => found?,
        };
        let member = validators
            .get(self.signer)
            .ok_or(Invalid::UnknownSigner(self.signer))?;
        let item = (
            member.vote_key.clone(),
            self.statement.signing_hash(),
            self.signature,
        );
        if verifier.verify_all(&[item]) || planted::is(Bug::SkipsSignature) {
            Ok(validators)
        } else {
            Err(Invalid::Signature(self.signer))
        }
    }
}

/// VS-4: the set that whatever is said in an epoch is checked against.
fn set_of(sets: &dyn Membership, epoch: Epoch) -> Result<&ValidatorSet, Invalid> {
    sets.of(epoch).ok_or_else(|| Invalid::Epoch {
        expected: sets.newest().epoch(),
        actual: epoch,
    })
}

fn check_header(
    header: &BlockHeader,
    chain: ChainId,
    validators: &ValidatorSet,
) -> Result<(), Invalid> {
    if header.chain != chain {
        return Err(Invalid::Chain);
    }
    if header.epoch != validators.epoch() {
        return Err(Invalid::Epoch {
            expected: validators.epoch(),
            actual: header.epoch,
        });
    }
    Ok(())
}

fn check_pre_prepare(
    m: &PrePrepare,
    chain: ChainId,
    validators: &ValidatorSet,
    sets: &dyn Membership,
    verifier: &dyn SignatureVerifier,
) -> Result<(), Invalid> {
    let actual = m.contents.witness_ids.len();
    let stated = m.header.tx_count;
    if actual > MAX_BLOCK_TRANSACTIONS || u32::try_from(actual) != Ok(stated) {
        return Err(Invalid::TransactionCount { stated, actual });
    }
    let parent = &m.contents.parent_certificate;
    if parent.digest() != m.header.parent_commit
        || (parent.block_id() != m.header.parent && !planted::is(Bug::TakesAnyParent))
        || parent.view != m.header.parent_view
        || Some(parent.height) != m.header.height.previous()
    {
        return Err(Invalid::OtherCertificate);
    }
    // VS-4: the block below was decided by the same set or by the one before it. Genesis was decided
    // by none.
    let below = if parent.height == Height::ZERO {
        validators
    } else if parent.epoch == m.header.epoch || parent.epoch.next() == m.header.epoch {
        set_of(sets, parent.epoch)?
    } else {
        return Err(Invalid::OtherCertificate);
    };
    parent.verify(chain, below, verifier)?;
    Ok(())
}

fn check_prepared(
    certificate: &PreparedCertificate,
    chain: ChainId,
    validators: &ValidatorSet,
    verifier: &dyn SignatureVerifier,
) -> Result<(), Invalid> {
    check_header(&certificate.header, chain, validators)?;
    if certificate.view < certificate.header.view {
        return Err(Invalid::CertificateView(certificate.view));
    }
    if planted::is(Bug::SkipsInnerCertificates) {
        return Ok(());
    }
    let message = certificate.vote().signing_hash();
    verify_quorum(&message, &certificate.signatures, validators, verifier)?;
    Ok(())
}

fn check_view_change(
    m: &ViewChange,
    chain: ChainId,
    validators: &ValidatorSet,
    verifier: &dyn SignatureVerifier,
) -> Result<(), Invalid> {
    if m.vote.view == View::ZERO {
        return Err(Invalid::ViewZero);
    }
    if m.certificate.as_ref().map(PreparedCertificate::reference) != m.vote.prepared {
        return Err(Invalid::OtherCertificate);
    }
    let Some(certificate) = &m.certificate else {
        return Ok(());
    };
    if certificate.header.height != m.vote.height {
        return Err(Invalid::OtherCertificate);
    }
    if certificate.view >= m.vote.view {
        return Err(Invalid::CertificateView(certificate.view));
    }
    check_prepared(certificate, chain, validators, verifier)
}

/// NV-2: every replica recomputes the primary's choice from the claims as signed.
fn check_new_view(
    m: &NewView,
    chain: ChainId,
    validators: &ValidatorSet,
    verifier: &dyn SignatureVerifier,
) -> Result<(), Invalid> {
    if m.view == View::ZERO {
        return Err(Invalid::ViewZero);
    }
    if m.claims.len() < validators.quorum() || m.claims.len() > validators.len() {
        return Err(Invalid::Claims);
    }
    let mut items: Vec<(PublicKey, SigningHash, Signature)> = Vec::with_capacity(m.claims.len());
    let mut before: Option<ValidatorIndex> = None;
    for claim in &m.claims {
        let member = validators.get(claim.signer).ok_or(Invalid::Claims)?;
        if before.is_some_and(|b| b >= claim.signer) {
            return Err(Invalid::Claims);
        }
        before = Some(claim.signer);
        let statement = Statement::ViewChange(m.claimed(claim));
        items.push((
            member.vote_key.clone(),
            statement.signing_hash(),
            claim.signature,
        ));
    }
    if !verifier.verify_all(&items) {
        return Err(Invalid::Claims);
    }
    if planted::is(Bug::BelievesNewView) {
        return Ok(());
    }
    match (&m.prepared, m.highest_claim()) {
        (None, None) => Ok(()),
        (Some(certificate), Some(highest)) => {
            let reference = certificate.reference();
            let claimed = m.claims.iter().any(|c| c.prepared == Some(reference));
            if certificate.view != highest || !claimed || certificate.header.height != m.height {
                return Err(Invalid::OtherCertificate);
            }
            if highest >= m.view {
                return Err(Invalid::CertificateView(highest));
            }
            check_prepared(certificate, chain, validators, verifier)
        }
        (Some(_), None) | (None, Some(_)) => Err(Invalid::OtherCertificate),
    }
}
