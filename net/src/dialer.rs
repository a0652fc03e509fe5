//! When to dial whom: every listed peer with an address that is not connected, with growing waits.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::identity::{Address, PeerId};
use crate::limits::{REDIAL_CAP, REDIAL_FIRST, REDIAL_STAGGER, STABLE_AFTER};

enum State {
    Waiting { until: Instant },
    Dialing,
    Connected { since: Instant },
}

struct Entry {
    addresses: Vec<Address>,
    failures: u32,
    state: State,
}

/// Decides, never acts: the caller dials and reports what came of it.
pub(crate) struct Dialer {
    local: PeerId,
    entries: BTreeMap<PeerId, Entry>,
}

impl Dialer {
    pub(crate) fn new(local: PeerId) -> Self {
        Self {
            local,
            entries: BTreeMap::new(),
        }
    }

    pub(crate) fn contains(&self, peer: &PeerId) -> bool {
        self.entries.contains_key(peer)
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = &PeerId> {
        self.entries.keys()
    }

    /// Lists a peer, or gives a listed one new addresses.
    pub(crate) fn list(&mut self, peer: PeerId, addresses: Vec<Address>, now: Instant) {
        let stagger = self.stagger(&peer);
        let entry = self.entries.entry(peer).or_insert_with(|| Entry {
            addresses: Vec::new(),
            failures: 0,
            state: State::Waiting {
                until: now + stagger,
            },
        });
        if entry.addresses != addresses {
            entry.addresses = addresses;
            if matches!(entry.state, State::Waiting { .. }) {
                entry.failures = 0;
                entry.state = State::Waiting {
                    until: now + stagger,
                };
            }
        }
    }

    pub(crate) fn unlist(&mut self, peer: &PeerId) {
        self.entries.remove(peer);
    }

    pub(crate) fn connected(&mut self, peer: &PeerId, now: Instant) {
        if let Some(entry) = self.entries.get_mut(peer)
            && !matches!(entry.state, State::Connected { .. })
        {
            entry.state = State::Connected { since: now };
        }
    }

    /// The last connection is gone. A peer that hangs up at once counts as one that failed.
    pub(crate) fn disconnected(&mut self, peer: &PeerId, now: Instant) {
        if let Some(entry) = self.entries.get_mut(peer)
            && let State::Connected { since } = entry.state
        {
            if now.saturating_duration_since(since) >= STABLE_AFTER {
                entry.failures = 0;
            }
            self.wait(peer, now);
        }
    }

    pub(crate) fn failed(&mut self, peer: &PeerId, now: Instant) {
        if self
            .entries
            .get(peer)
            .is_some_and(|entry| matches!(entry.state, State::Dialing))
        {
            self.wait(peer, now);
        }
    }

    /// The peers to dial now; they count as being dialled from here on.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<(PeerId, Vec<Address>)> {
        let mut due = Vec::new();
        for (peer, entry) in &mut self.entries {
            if entry.addresses.is_empty() {
                continue;
            }
            if matches!(entry.state, State::Waiting { until } if until <= now) {
                entry.state = State::Dialing;
                due.push((*peer, entry.addresses.clone()));
            }
        }
        due
    }

    /// When somebody will next be due.
    pub(crate) fn next(&self) -> Option<Instant> {
        let waiting = self
            .entries
            .values()
            .filter(|entry| !entry.addresses.is_empty());
        waiting
            .filter_map(|entry| match entry.state {
                State::Waiting { until } => Some(until),
                State::Dialing | State::Connected { .. } => None,
            })
            .min()
    }

    fn wait(&mut self, peer: &PeerId, now: Instant) {
        let stagger = self.stagger(peer);
        if let Some(entry) = self.entries.get_mut(peer) {
            entry.state = State::Waiting {
                until: now + backoff(entry.failures) + stagger,
            };
            entry.failures = entry.failures.saturating_add(1);
        }
    }

    fn stagger(&self, peer: &PeerId) -> Duration {
        if self.local > *peer {
            REDIAL_STAGGER
        } else {
            Duration::ZERO
        }
    }
}

fn backoff(failures: u32) -> Duration {
    REDIAL_FIRST
        .saturating_mul(2u32.saturating_pow(failures))
        .min(REDIAL_CAP)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::identity::NetworkKey;

    fn two_peers() -> (PeerId, PeerId) {
        let one = NetworkKey::from_seed(&mut [1; 32]).unwrap().peer_id();
        let two = NetworkKey::from_seed(&mut [2; 32]).unwrap().peer_id();
        (one.min(two), one.max(two))
    }

    fn address() -> Vec<Address> {
        vec!["/ip4/127.0.0.1/tcp/1".parse().unwrap()]
    }

    #[test]
    fn waits_grow_up_to_the_cap_and_start_anew_after_a_stable_connection() {
        let (local, peer) = two_peers();
        let mut dialer = Dialer::new(local);
        let mut now = Instant::now();
        dialer.list(peer, address(), now);
        let mut waits = Vec::new();
        for _ in 0..10 {
            assert_eq!(dialer.due(now).len(), 1);
            assert!(dialer.due(now).is_empty(), "being dialled");
            dialer.failed(&peer, now);
            let next = dialer.next().unwrap();
            waits.push(next - now);
            now = next;
        }
        assert_eq!(waits[0], REDIAL_FIRST);
        assert_eq!(waits[1], REDIAL_FIRST * 2);
        assert_eq!(*waits.last().unwrap(), REDIAL_CAP);

        dialer.connected(&peer, now);
        assert_eq!(dialer.next(), None);
        dialer.disconnected(&peer, now);
        assert_eq!(
            dialer.next().unwrap() - now,
            REDIAL_CAP,
            "it hung up at once"
        );

        now += REDIAL_CAP;
        dialer.due(now);
        dialer.connected(&peer, now);
        now += STABLE_AFTER;
        dialer.disconnected(&peer, now);
        assert_eq!(dialer.next().unwrap() - now, REDIAL_FIRST);
    }

    #[test]
    fn the_greater_id_gives_way() {
        let (small, great) = two_peers();
        let now = Instant::now();
        let mut dialer = Dialer::new(great);
        dialer.list(small, address(), now);
        assert!(dialer.due(now).is_empty());
        assert_eq!(dialer.due(now + REDIAL_STAGGER).len(), 1);
    }

    #[test]
    fn without_an_address_nobody_is_dialled_until_one_is_given() {
        let (local, peer) = two_peers();
        let now = Instant::now();
        let mut dialer = Dialer::new(local);
        dialer.list(peer, Vec::new(), now);
        assert!(dialer.due(now + REDIAL_CAP).is_empty());
        assert_eq!(dialer.next(), None);
        dialer.list(peer, address(), now);
        assert_eq!(dialer.due(now).len(), 1);
        dialer.unlist(&peer);
        dialer.failed(&peer, now);
        assert_eq!(dialer.next(), None);
    }

    #[test]
    fn an_event_that_comes_late_changes_nothing() {
        let (local, peer) = two_peers();
        let now = Instant::now();
        let mut dialer = Dialer::new(local);
        dialer.list(peer, address(), now);
        dialer.due(now);
        dialer.connected(&peer, now);
        // Our own dial lost against the peer's.
        dialer.failed(&peer, now);
        assert_eq!(dialer.next(), None);
    }
}
