//! What the records of a journal bind their writer to, read by code of our own.

use std::collections::BTreeMap;

use certchain_consensus::{Message, Record};
use certchain_proto::{
    Height, View,
    hash::{HeaderDigest, OutcomeDigest},
};

/// What binds at one height.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// The highest view asked for or spoken in.
    view: View,
    /// Outcomes that were voted for.
    outcomes: BTreeMap<HeaderDigest, OutcomeDigest>,
    /// View and block of the highest prepared certificate.
    prepared: Option<(View, HeaderDigest)>,
}

/// What binds: the height below which nothing is signed, the nonce of an amnesiac, and promises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    floor: Height,
    amnesia: Option<[u8; 32]>,
    heights: BTreeMap<Height, Bound>,
}

/// Reads records in the order of writing.
pub fn of(records: &[Record]) -> Binding {
    let mut binding = Binding::default();
    for record in records {
        match record {
            Record::Signed(message) => {
                let bound = binding.heights.entry(message.height()).or_default();
                bound.view = bound.view.max(message.view());
                if let Message::Commit(m) = message.as_ref() {
                    bound.outcomes.insert(m.vote.header, m.vote.outcome);
                }
            }
            Record::Prepared(certificate) => {
                let bound = binding
                    .heights
                    .entry(certificate.header.height)
                    .or_default();
                let found = (certificate.view, certificate.header.digest());
                bound.prepared = bound.prepared.max(Some(found));
            }
            Record::Header(_) => {}
            Record::Sealed { height } => binding.floor = binding.floor.max(*height),
            Record::Amnesia { nonce } => binding.amnesia = Some(*nonce),
            Record::Cleared { height } => {
                binding.amnesia = None;
                binding.floor = binding.floor.max(*height);
            }
        }
    }
    let floor = binding.floor;
    binding
        .heights
        .retain(|height, bound| *height > floor && *bound != Bound::default());
    binding
}
