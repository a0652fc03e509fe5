//! The holder's side: showing fields to a verifier.

use certchain_proto::{ChainId, TimeMs, hash::CertificateId};
use certchain_sidechain::{
    encryption::{ENTROPY_BYTES, EncryptionError},
    fields::CertificateFields,
    package::{
        BuildError, PresentationPackage, PresentationTerms, sealed::SealedPackage, text::Carried,
    },
    presentation::Audience,
};
use zeroize::Zeroizing;

use crate::{NoRandomness, random, wallet::Wallet};

/// Why nothing can be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PresentError {
    /// The package cannot be made.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// It cannot be encrypted to the verifier.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    /// Only who is named can be encrypted to.
    #[error("a presentation for whoever bears it cannot be encrypted; name its verifier")]
    Bearer,
    /// The machine gave no random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// What is shown, of which certificate, to whom, until when.
#[derive(Clone, Debug)]
pub struct Showing<'a> {
    /// The side chain.
    pub chain: ChainId,
    /// The certificate.
    pub certificate: CertificateId,
    /// Names of the fields to show; may be none, to show only that it is held.
    pub names: &'a [&'a str],
    /// Who may record a check.
    pub audience: Audience,
    /// The verifier's challenge, at most 32 bytes; may be empty.
    pub challenge: &'a [u8],
    /// Block time from which it can no longer be recorded.
    pub expires: TimeMs,
}

/// Signs a presentation with the wallet's present key.
///
/// # Errors
/// If a name is not one of the certificate's, the fields do not fit, or there is no randomness.
pub fn present(
    wallet: &Wallet,
    fields: &CertificateFields,
    showing: &Showing<'_>,
) -> Result<PresentationPackage, PresentError> {
    let terms = PresentationTerms {
        chain: showing.chain,
        certificate: showing.certificate,
        holder: wallet.address(),
        audience: showing.audience,
        challenge: showing.challenge.to_vec(),
        nonce: random()?,
        expires: showing.expires,
    };
    let key = wallet.signing_key();
    Ok(PresentationPackage::build(
        fields,
        showing.names,
        &terms,
        key,
    )?)
}

/// The same, encrypted to the verifier that it names, whose X25519 key the main chain tells.
///
/// # Errors
/// As [`present`], or if it names no verifier, or the key is none.
pub fn present_sealed(
    wallet: &Wallet,
    fields: &CertificateFields,
    showing: &Showing<'_>,
    verifier_key: &[u8; 32],
) -> Result<Carried, PresentError> {
    if showing.audience == Audience::Bearer {
        return Err(PresentError::Bearer);
    }
    let package = present(wallet, fields, showing)?;
    let entropy = Zeroizing::new(random::<ENTROPY_BYTES>()?);
    let sealed = SealedPackage::seal(&package, verifier_key, &entropy)?;
    Ok(Carried::Sealed(sealed))
}
