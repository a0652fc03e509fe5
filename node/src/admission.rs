//! Who may connect: the network's list of peers follows main's state (G-10).
//!
//! # Rules
//!
//! - The list is that of the state after main's last block, without this node: the validators that
//!   decide the next block, and the observers whose time is not over. Who is no longer in it is
//!   disconnected. The configuration says where a peer is dialled, and admits nobody.
//! - Side chains hand over at a checkpoint of their own, by a block that the set before decides. Until
//!   then the members of that set are listed too, or a side chain that slept while main's validators
//!   changed might find no quorum.
//! - A node whose last block is older than `staleness_ms` by its own clock cannot know who is
//!   admitted now: it may begin from genesis, or others came and went while it was away. Until its
//!   last block is fresh again it lists its configured peers too, or it might find nobody who has the
//!   blocks. What they send is verified like everything else.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use certchain_config::{Peer, node::MAX_PEERS};
use certchain_ledger::{
    chain::Chain,
    governance::{MAX_OBSERVERS, read_members},
    state::StateKey,
    view::{ReadError, StateView, Value},
};
use certchain_net::{
    Address, IdentityError, ListedPeer, NetError, NetworkHandle, PeerId, limits::MAX_LISTED_PEERS,
};
use certchain_proto::{Height, limits::MAX_VALIDATORS};

use crate::chain::{ChainHost, now};

// The network never refuses a list.
const _: () = assert!(MAX_VALIDATORS + MAX_OBSERVERS + MAX_PEERS <= MAX_LISTED_PEERS);

/// How often it is looked, without a block, whether the last one has become too old.
const LOOK: Duration = Duration::from_secs(2);

/// A key that names a node on the network.
type Key = [u8; 32];

/// Why the list does not follow the chain.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// The state cannot be read.
    #[error("who may connect cannot be read from the state: {0}")]
    State(#[from] ReadError),
    /// The network does not take the list.
    #[error(transparent)]
    Net(#[from] NetError),
}

/// Keeps the network's list of peers.
#[derive(Debug)]
pub struct PeerList {
    main: Arc<ChainHost>,
    /// The side chains that this node follows, as they have started.
    sides: Vec<Arc<ChainHost>>,
    network: NetworkHandle,
    /// Where configured peers are dialled.
    addresses: BTreeMap<Key, Vec<Address>>,
    listed: BTreeSet<Key>,
    stale: bool,
}

impl PeerList {
    /// For a network that lists nobody yet.
    ///
    /// # Errors
    /// If a configured peer has an address that the network does not know how to dial.
    pub fn new(
        main: Arc<ChainHost>,
        network: NetworkHandle,
        peers: &[Peer],
    ) -> Result<Self, IdentityError> {
        let mut addresses: BTreeMap<Key, Vec<Address>> = BTreeMap::new();
        for peer in peers {
            let address = peer.address.to_string().parse()?;
            let known = addresses.entry(*peer.network_key.as_bytes()).or_default();
            known.push(address);
        }
        Ok(Self {
            main,
            sides: Vec::new(),
            network,
            addresses,
            listed: BTreeSet::new(),
            stale: false,
        })
    }

    /// A side chain has started.
    pub fn add_side(&mut self, side: Arc<ChainHost>) {
        self.sides.push(side);
    }

    /// Makes the network's list what main's last block and the clock say.
    ///
    /// # Errors
    /// If the state cannot be read, or the network has ended.
    pub async fn refresh(&mut self) -> Result<(), AdmissionError> {
        let head = self.main.chain.head();
        let staleness_ms = head.parameters.timers.staleness_ms;
        self.note_stale(now().since(head.time()) > staleness_ms);
        // As of this head, whatever is committed meanwhile: a validator that was an observer a block
        // ago is never in between.
        let members = read_members(&After {
            chain: &self.main.chain,
            height: head.height(),
        })?;
        let mut admitted: BTreeSet<Key> = members.admitted(&head.validators, head.time()).collect();
        for side in &self.sides {
            let set = side.seats.newest();
            admitted.extend(set.iter().map(|(_, member)| member.network_key));
        }
        let configured = self.addresses.keys().copied();
        let own = *self.network.local_peer().public_key();
        let wanted = wanted(&admitted, configured, self.stale, &own);
        let change = Change::between(&self.listed, &wanted);
        if change.is_empty() {
            return Ok(());
        }
        let peers = wanted.iter().filter_map(|key| self.peer(key)).collect();
        self.network.set_peers(peers).await?;
        tracing::info!(
            height = head.height().get(),
            listed = wanted.len(),
            added = change.list.len(),
            removed = change.unlist.len(),
            stale = self.stale,
            "who may connect has changed"
        );
        self.listed = wanted;
        Ok(())
    }

    /// Follows the chain until the network ends.
    pub async fn run(mut self) {
        let mut heights = self.main.heights();
        loop {
            match self.refresh().await {
                Ok(()) => {}
                Err(AdmissionError::Net(NetError::Stopped)) => return,
                Err(error) => tracing::error!(%error, "the list of peers stays as it is"),
            }
            // A block, or time for another look.
            let _ = tokio::time::timeout(LOOK, heights.changed()).await;
        }
    }

    fn note_stale(&mut self, stale: bool) {
        if stale == self.stale {
            return;
        }
        self.stale = stale;
        if stale {
            tracing::warn!(
                "main's last block is older than staleness_ms: configured peers may connect too, \
                 whoever is admitted now"
            );
        } else {
            tracing::info!("main's last block is fresh: nobody may connect but whom it admits");
        }
    }

    fn peer(&self, key: &Key) -> Option<ListedPeer> {
        let addresses = self.addresses.get(key).cloned().unwrap_or_default();
        match PeerId::from_public_key(key) {
            Ok(peer) => Some(ListedPeer { peer, addresses }),
            // The chain admits no such key, and the configuration is checked.
            Err(error) => {
                tracing::error!(key = hex::encode(key), %error, "an admitted key names no peer");
                None
            }
        }
    }
}

/// The state after a block.
struct After<'a> {
    chain: &'a Chain,
    height: Height,
}

impl StateView for After<'_> {
    fn value(&self, key: &StateKey) -> Result<Option<Value>, ReadError> {
        Ok(self.chain.get_at(key, self.height)?)
    }
}

/// Who is to be listed.
fn wanted(
    admitted: &BTreeSet<Key>,
    configured: impl Iterator<Item = Key>,
    stale: bool,
    own: &Key,
) -> BTreeSet<Key> {
    let mut wanted = admitted.clone();
    if stale {
        wanted.extend(configured);
    }
    wanted.remove(own);
    wanted
}

/// From one list to the next.
#[derive(Debug, Default, PartialEq, Eq)]
struct Change {
    list: BTreeSet<Key>,
    unlist: BTreeSet<Key>,
}

impl Change {
    fn between(before: &BTreeSet<Key>, wanted: &BTreeSet<Key>) -> Self {
        Self {
            list: wanted.difference(before).copied().collect(),
            unlist: before.difference(wanted).copied().collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.list.is_empty() && self.unlist.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Key = [0; 32];

    fn keys(seeds: &[u8]) -> BTreeSet<Key> {
        seeds.iter().map(|seed| [*seed; 32]).collect()
    }

    fn change(before: &[u8], admitted: &[u8], configured: &[u8], stale: bool) -> Change {
        let configured = keys(configured).into_iter();
        let wanted = wanted(&keys(admitted), configured, stale, &OWN);
        Change::between(&keys(before), &wanted)
    }

    #[test]
    fn what_is_listed_and_unlisted() {
        // Listed before; admitted; configured; stale; to list; to unlist.
        type Row<'a> = (&'a [u8], &'a [u8], &'a [u8], bool, &'a [u8], &'a [u8]);
        let rows: &[(&str, Row<'_>)] = &[
            ("a start", (&[], &[0, 1, 2], &[1, 2], false, &[1, 2], &[])),
            ("nothing new", (&[1, 2], &[0, 1, 2], &[1], false, &[], &[])),
            (
                "admitted without an address",
                (&[1], &[0, 1, 2], &[1], false, &[2], &[]),
            ),
            (
                "removed, though it is configured",
                (&[1, 2], &[0, 1], &[1, 2], false, &[], &[2]),
            ),
            (
                "another network key",
                (&[1, 2], &[0, 1, 3], &[1, 2], false, &[3], &[2]),
            ),
            (
                "configured, never admitted",
                (&[], &[0, 1], &[1, 5], false, &[1], &[]),
            ),
            (
                "a stale node lists whom it is configured to",
                (&[1], &[0, 1], &[1, 5], true, &[5], &[]),
            ),
            (
                "whom an old state admits stays too",
                (&[1, 2], &[0, 1, 2], &[5], true, &[5], &[]),
            ),
            (
                "fresh again",
                (&[1, 2, 5], &[0, 1, 7], &[1, 5, 7], false, &[7], &[2, 5]),
            ),
            ("alone", (&[], &[0], &[], true, &[], &[])),
            (
                "not admitted itself",
                (&[], &[1, 2], &[0, 1], true, &[1, 2], &[]),
            ),
        ];
        for (what, (before, admitted, configured, stale, list, unlist)) in rows {
            let expected = Change {
                list: keys(list),
                unlist: keys(unlist),
            };
            let found = change(before, admitted, configured, *stale);
            assert_eq!(found, expected, "{what}");
            assert_eq!(found.is_empty(), list.is_empty() && unlist.is_empty());
        }
    }
}
