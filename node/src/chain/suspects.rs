//! Who has lately sent a bad signature. Their transactions are verified one by one: a batch in
//! which one signature fails costs more than single checks, so whoever spoils batches would slow
//! everybody whose transactions stand in the same one. Their consensus messages are taken one at a
//! time.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use certchain_net::PeerId;

/// How long a sender stays out of batches after its last bad signature.
const TERM: Duration = Duration::from_secs(60);

/// Senders that are remembered; beyond it those go that would go first anyway.
const MOST: usize = 1_024;

/// Who answers for a transaction's signatures: who sent it here, never a key in it, since anybody
/// can put another's key above a bad signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sender {
    /// A node.
    Peer(PeerId),
    /// The host of a gRPC client. Several clients may share it; they lose speed, nothing else.
    Client(IpAddr),
}

impl Sender {
    /// The sender behind the address of a connection.
    pub fn client(address: IpAddr) -> Self {
        Self::Client(match address.to_canonical() {
            // A host has a whole network of 64 bits to choose addresses from.
            IpAddr::V6(address) => {
                let network = u128::from(address) >> 64 << 64;
                Ipv6Addr::from(network).into()
            }
            address => address,
        })
    }
}

/// The table of them.
#[derive(Debug, Default)]
pub struct Suspects(Mutex<BTreeMap<Sender, Instant>>);

impl Suspects {
    /// This sender has sent a bad signature.
    pub fn note(&self, sender: Sender, now: Instant) {
        let mut until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if until.len() >= MOST && !until.contains_key(&sender) {
            until.retain(|_, end| *end > now);
        }
        if until.len() >= MOST && !until.contains_key(&sender) {
            let first = until.iter().min_by_key(|(_, end)| **end).map(|(s, _)| *s);
            if let Some(first) = first {
                until.remove(&first);
            }
        }
        until.insert(sender, now + TERM);
    }

    /// Whether this sender's transactions are verified one by one.
    pub fn contains(&self, sender: &Sender, now: Instant) -> bool {
        let until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until.get(sender).is_some_and(|end| *end > now)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn client(text: &str) -> Sender {
        Sender::client(text.parse().unwrap())
    }

    #[test]
    fn a_suspect_is_forgiven_in_time() {
        let (suspects, start) = (Suspects::default(), Instant::now());
        let (bad, good) = (client("10.0.0.1"), client("10.0.0.2"));
        suspects.note(bad, start);
        assert!(suspects.contains(&bad, start));
        assert!(!suspects.contains(&good, start));
        suspects.note(bad, start + TERM / 2);
        assert!(suspects.contains(&bad, start + TERM));
        assert!(!suspects.contains(&bad, start + TERM * 2));
    }

    #[test]
    fn one_host_is_one_sender() {
        assert_eq!(client("::ffff:10.0.0.1"), client("10.0.0.1"));
        assert_eq!(client("2001:db8:0:1::5"), client("2001:db8:0:1:9::7"));
        assert_ne!(client("2001:db8:0:1::5"), client("2001:db8:0:2::5"));
    }

    #[test]
    fn the_table_is_bounded() {
        let (suspects, start) = (Suspects::default(), Instant::now());
        for number in 0..2 * MOST {
            let address = Ipv6Addr::from((number as u128) << 64);
            let time = start + Duration::from_millis(number as u64);
            suspects.note(Sender::client(address.into()), time);
        }
        let last = Ipv6Addr::from((2 * MOST as u128 - 1) << 64);
        assert_eq!(suspects.0.lock().unwrap().len(), MOST);
        assert!(suspects.contains(&Sender::client(last.into()), start));
        assert!(!suspects.contains(&client("::"), start));
    }
}
