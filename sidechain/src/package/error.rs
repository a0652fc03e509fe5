//! Why packages cannot be made, are none, or do not show what their bearer says.

use certchain_config::catalogue::MAX_FIELDS;
use certchain_proto::{Address, TimeMs, codec::DecodeError, hash::CertificateId};

use super::{MAX_PACKAGE_BYTES, PACKAGE_VERSION};
use crate::{fields::FieldError, presentation::PresentationError};

/// Why a holder cannot make a package.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The certificate has no such field.
    #[error("the certificate has no field '{name}'; choose among its own")]
    UnknownField {
        /// The name, cut to 80 characters.
        name: String,
    },
    /// A field is chosen twice.
    #[error("field '{name}' is chosen twice")]
    RepeatedField {
        /// Its name.
        name: String,
    },
    /// The challenge is too long.
    #[error(transparent)]
    Presentation(#[from] PresentationError),
    /// The chosen fields do not fit.
    #[error("the package has {actual} bytes, at most {MAX_PACKAGE_BYTES} fit; show fewer fields")]
    TooLarge {
        /// Bytes that it would have.
        actual: usize,
    },
}

/// Why bytes or text are no package.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// Not the bytes of a package.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Of another version.
    #[error("the package is of format {actual}, this release reads {PACKAGE_VERSION}; upgrade it")]
    Version {
        /// The version that came.
        actual: u8,
    },
    /// The presentation in it is none.
    #[error(transparent)]
    Presentation(#[from] PresentationError),
    /// No slot or more than any type has.
    #[error("the package has {actual} slots, a certificate has 1 to {MAX_FIELDS}")]
    Slots {
        /// Slots that came.
        actual: usize,
    },
    /// Shown fields are out of order, repeated, or beyond the slots.
    #[error("the shown fields are not in rising order of the certificate's slots")]
    Order,
}

/// Why a package does not show what its bearer says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// For another chain.
    #[error("the presentation is for another chain; ask for one of this network's chain")]
    OtherChain,
    /// Of another certificate than the record's.
    #[error("the presentation is of certificate {actual}, not of this one")]
    OtherCertificate {
        /// The certificate that it names.
        actual: CertificateId,
    },
    /// By another holder than expected.
    #[error("the presentation is by {actual}, not by this holder")]
    OtherHolder {
        /// The holder that it names.
        actual: Address,
    },
    /// For another verifier.
    #[error("the presentation is for verifier {named}; ask the holder for one that names you")]
    OtherVerifier {
        /// The verifier that it names.
        named: Address,
    },
    /// The challenge is not the one that the verifier gave.
    #[error("the presentation answers another challenge; ask the holder for a fresh one")]
    OtherChallenge,
    /// Its time is over.
    #[error("the presentation ended at {expires} ms; ask the holder for a fresh one")]
    Expired {
        /// Its end.
        expires: TimeMs,
    },
    /// It lives longer than the chain allows.
    #[error("the presentation ends at {expires} ms, later than the chain allows; refuse it")]
    TooFar {
        /// Its end.
        expires: TimeMs,
    },
    /// Not signed by the holder's present key.
    #[error(
        "the holder's signature does not hold: the presentation was changed, or its key was \
             replaced since"
    )]
    BadSignature,
    /// Of another type than the record.
    #[error("the package is of another type than the certificate")]
    OtherType,
    /// The commitments are not those of the certificate on chain.
    #[error(
        "the fields are not those of this certificate: they belong to another, or were changed"
    )]
    ForeignFields,
    /// A shown value, name or salt is not what was committed to.
    #[error("field '{name}' was changed: it is not what the issuer committed to")]
    ChangedField {
        /// Its name, cut to 80 characters.
        name: String,
    },
    /// Other fields are shown than the holder signed for.
    #[error("other fields are shown than the holder signed for")]
    OtherDisclosure,
    /// The issuer committed to a value that breaks the schema.
    #[error(transparent)]
    Schema(#[from] FieldError),
}
