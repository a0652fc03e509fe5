//! Presentations whose signatures held, so that a check that is admitted, drafted, judged and
//! executed verifies the holder's signature once. What is remembered follows from the bytes alone,
//! so it never changes what a node decides.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use certchain_proto::{Signature, hash::PresentationId};

/// Most presentations that are remembered.
const MOST: usize = 16_384;

/// A presentation, the key that signed it, the signature.
type Verdict = (PresentationId, [u8; 32], [u8; 64]);

/// What was found to hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdicts(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    known: HashSet<Verdict>,
    /// The same, oldest first.
    order: VecDeque<Verdict>,
}

impl Verdicts {
    /// Whether the signature is known to hold, else what `verify` says.
    pub(super) fn holds(
        &self,
        id: PresentationId,
        key: &[u8; 32],
        signature: &Signature,
        verify: impl FnOnce() -> bool,
    ) -> bool {
        let verdict = (id, *key, signature.to_bytes());
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lock().known.contains(&verdict) {
            return true;
        }
        // Outside the lock: it is what costs.
        if !verify() {
            return false;
        }
        let mut held = lock();
        if held.known.insert(verdict) {
            held.order.push_back(verdict);
        }
        while held.order.len() > MOST {
            if let Some(oldest) = held.order.pop_front() {
                held.known.remove(&oldest);
            }
        }
        true
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn only_what_held_is_remembered_and_not_for_ever() {
        let verdicts = Verdicts::default();
        let signature = Signature::from_bytes(&[1; 64]);
        let id = |n: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&n.to_le_bytes());
            PresentationId::from_bytes(bytes)
        };
        assert!(!verdicts.holds(id(0), &[2; 32], &signature, || false));
        assert!(verdicts.holds(id(0), &[2; 32], &signature, || true));
        assert!(verdicts.holds(id(0), &[2; 32], &signature, || false));
        assert!(!verdicts.holds(id(0), &[3; 32], &signature, || false));
        for n in 1..=MOST {
            verdicts.holds(id(n), &[2; 32], &signature, || true);
        }
        assert!(!verdicts.holds(id(0), &[2; 32], &signature, || false));
    }
}
