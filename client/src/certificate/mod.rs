//! Certificates at the issuer's and the holder's desks: drafted and encrypted, opened and checked,
//! shown.
//!
//! - [`prepare`] checks values against the catalogue, salts them, encrypts them to each holder and
//!   makes the draft, whose id is known before it is on chain;
//! - [`ReceivedCertificate`] opens what came with a wallet and believes nothing that the draft does
//!   not commit to;
//! - [`present`] signs a presentation of chosen fields.
//!
//! Nothing is stored: as long as the wallet keeps its past keys, the fields can be opened again from
//! what the chain holds.

mod catalogue;
mod issue;
mod open;
mod present;

#[cfg(test)]
pub(crate) mod tests;

pub use catalogue::{CatalogueError, KnownType, known_type};
pub use issue::{
    Order, PrepareError, PreparedCertificate, Recipient, batch_kind, holders_sign, issue_kind,
    prepare, split_batches,
};
pub use open::{OpenError, ReceivedCertificate};
pub use present::{PresentError, Showing, present, present_sealed};
