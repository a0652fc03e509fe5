//! Counters for metrics: they only grow, from the start of the network.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])+ $name:ident),+ $(,)?) => {
        /// What the network has counted so far; the peers connected now stand first.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Stats {
            /// Peers connected now.
            pub peers: u64,
            $($(#[$doc])+ pub $name: u64,)+
        }

        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)+
        }

        impl Counters {
            pub(crate) fn snapshot(&self, peers: usize) -> Stats {
                Stats { peers: peers as u64, $($name: self.$name.get(),)+ }
            }
        }
    };
}

counters! {
    /// Connections refused because the peer is not listed.
    refused_unlisted,
    /// Connections refused because a limit was reached.
    refused_limit,
    /// Dials that failed.
    dials_failed,
    /// Connections closed because a ping stayed unanswered.
    pings_failed,
    /// Gossip messages published.
    gossip_published,
    /// Gossip messages received for the first time.
    gossip_received,
    /// Gossip messages that the application accepted and that were forwarded.
    gossip_accepted,
    /// Gossip messages that the application rejected.
    gossip_rejected,
    /// Gossip messages that the application ignored.
    gossip_ignored,
    /// Verdicts that came too late: the message was not forwarded.
    gossip_late,
    /// Gossip messages dropped because the application lagged.
    gossip_dropped_in,
    /// Gossip messages dropped because a peer was too slow.
    gossip_dropped_out,
    /// Direct messages queued for peers.
    direct_sent,
    /// Direct messages handed to the application.
    direct_received,
    /// Direct messages dropped from the queue of a slow or lost peer.
    direct_dropped,
    /// Direct streams opened by us.
    direct_streams,
    /// Messages refused because they announced more bytes than allowed.
    oversize,
    /// Streams refused: unknown channel, or too many of them.
    streams_refused,
    /// Requests that we made.
    requests_sent,
    /// Requests of ours that brought no answer.
    requests_failed,
    /// Requests of others that we answered.
    requests_served,
    /// Requests of others that got no answer.
    requests_refused,
}

/// One counter. Relaxed: it orders nothing.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
