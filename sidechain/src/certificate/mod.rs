//! Certificates and checks: their records, and the rules by which they come, live and end.

mod check;
mod draft;
mod issue;
pub mod keys;
mod life;
mod message;
mod record;
mod rules;
pub mod types;
mod verdicts;

pub use check::judge;
pub use draft::{
    MAX_CIPHERTEXT_BYTES, MAX_CONTENT_BYTES, MAX_LOCATION_BYTES, MAX_MEDIA_TYPE_BYTES,
};
pub use issue::MAX_BATCH_LINES;
pub use record::{
    CertificateRecord, CertificateStatus, CheckRecord, CheckResult, HolderRecord, MAX_RECORD_BYTES,
};
pub use rules::CertificateApplication;

#[cfg(test)]
mod tests;
