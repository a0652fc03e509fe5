//! The inbox: certificates sent to an account, each as it is decided.
//!
//! A stream is one task. It reads the account's lists block by block, waits while its client is slow,
//! and ends with the client, with the account's key, or after an hour at the latest.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use certchain_ledger::{chain::ListPosition, execution::Topic};
use certchain_proto::{
    Address, Height,
    hash::{CertificateId, TransactionId},
    wire::v1::{self, InboxRequest, InboxResponse, QueryTopic},
};
use futures::future::select_all;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{
    super::{Services, on_worker, status::unreadable},
    main_of,
    records::{self, Codes, Issuing},
};
use crate::chain::ChainHost;

/// Entries that wait for a slow client.
const STREAM_AHEAD: usize = 4;
/// Entries that are read at a time.
const PAGE: usize = 32;
/// Most streams of the node.
const MAX_STREAMS: usize = 1_024;
/// Most streams of one account.
const MAX_OF_ACCOUNT: usize = 8;
/// Longest that a stream stays open.
const LONGEST: Duration = Duration::from_secs(3_600);

/// The open streams, counted.
#[derive(Debug, Default)]
pub(super) struct InboxPlaces {
    taken: Mutex<BTreeMap<Address, usize>>,
}

/// The place of one open stream.
#[derive(Debug)]
struct Place {
    places: Arc<InboxPlaces>,
    owner: Address,
}

impl InboxPlaces {
    fn take(self: &Arc<Self>, owner: Address) -> Result<Place, Status> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.get(&owner).copied().unwrap_or_default();
        if own >= MAX_OF_ACCOUNT {
            return Err(Status::resource_exhausted(
                "this account has 8 inboxes open on this node; close one",
            ));
        }
        if taken.values().sum::<usize>() >= MAX_STREAMS {
            return Err(Status::resource_exhausted(
                "this node has too many inboxes open; use another node",
            ));
        }
        taken.insert(owner, own + 1);
        let places = Arc::clone(self);
        Ok(Place { places, owner })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self
            .places
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.owner) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.owner);
            }
        }
    }
}

/// One chain of a stream.
struct Follower {
    host: Arc<ChainHost>,
    heights: watch::Receiver<Height>,
    next: ListPosition,
}

/// Whose inbox it is, and the key that opened it.
#[derive(Clone, Copy)]
struct Owner {
    address: Address,
    /// The key that asked.
    key: [u8; 32],
}

type Entry = Result<InboxResponse, Status>;

pub(super) async fn inbox(
    services: &Services,
    request: InboxRequest,
) -> Result<ReceiverStream<Entry>, Status> {
    let (hosts, signed_for): (Vec<_>, _) = if request.chain.is_empty() {
        let all = services.side_chains().map(Arc::clone).collect();
        (all, services.chain("")?)
    } else {
        let host = services.side_chain(&request.chain)?;
        (vec![Arc::clone(host)], host)
    };
    if hosts.is_empty() {
        return Err(Status::not_found("this node follows no side chain"));
    }
    let topics = &[QueryTopic::Inbox];
    let asker = services
        .asker(signed_for, request.authorisation, topics)
        .await?;
    let place = services.certificates.inboxes.take(asker.query.address)?;
    let owner = Owner {
        address: asker.query.address,
        key: asker.key,
    };
    let follower = |host: Arc<ChainHost>| {
        let first = match request.from_height {
            Some(height) => Height::new(height),
            None => host.chain.head().height().next(),
        };
        Follower {
            heights: host.heights(),
            host,
            next: ListPosition::start_of(first),
        }
    };
    let mut followers: Vec<Follower> = hosts.into_iter().map(follower).collect();
    let (sender, receiver) = mpsc::channel(STREAM_AHEAD);
    tokio::spawn(async move {
        let _place = place;
        let end = tokio::select! {
            end = follow(&mut followers, owner, &sender) => end,
            () = sender.closed() => return,
            () = tokio::time::sleep(LONGEST) => Some(Status::aborted(
                "an inbox stays open for an hour; open it anew from the height of the last entry",
            )),
        };
        if let Some(status) = end {
            // The client may have gone, or not read what was sent before: its place is given back.
            let _ = sender.try_send(Err(status));
        }
    });
    Ok(ReceiverStream::new(receiver))
}

/// Sends all that comes; ends with what to tell the client, if it is still there.
async fn follow(
    followers: &mut [Follower],
    owner: Owner,
    sender: &mpsc::Sender<Entry>,
) -> Option<Status> {
    loop {
        for follower in followers.iter_mut() {
            let reached = *follower.heights.borrow_and_update();
            while follower.next.height <= reached {
                let from = follower.next;
                let read = move |host: &ChainHost| page(host, &owner, from, reached);
                let page = match on_worker(&follower.host, read).await {
                    Ok(page) => page,
                    Err(status) => return Some(status),
                };
                for entry in page.entries {
                    sender.send(Ok(entry)).await.ok()?;
                }
                follower.next = page.next;
            }
        }
        let changes = followers
            .iter_mut()
            .map(|follower| Box::pin(follower.heights.changed()));
        let (changed, _, _) = select_all(changes).await;
        if changed.is_err() {
            let text = "the node is stopping; go on with another";
            return Some(Status::unavailable(text));
        }
    }
}

/// Some entries, and where to go on.
struct Page {
    entries: Vec<InboxResponse>,
    next: ListPosition,
}

fn page(
    host: &ChainHost,
    owner: &Owner,
    from: ListPosition,
    reached: Height,
) -> Result<Page, Status> {
    let mut listed = host
        .chain
        .list(&owner.address, Topic::Held, from, PAGE)
        .map_err(unreadable)?;
    let full = listed.len() >= PAGE;
    let beyond = listed.iter().position(|l| l.position.height > reached);
    listed.truncate(beyond.unwrap_or(listed.len()));
    let next = match listed.last() {
        Some(last) if full && beyond.is_none() => last.position.next(),
        _ => ListPosition::start_of(reached.next()),
    };
    let mut entries = Vec::with_capacity(listed.len());
    if !listed.is_empty() {
        let main = main_of(host)?;
        check_owner(main, owner)?;
        let mut codes = Codes::new(main);
        // Certificates of one batch follow each other.
        let mut last: Option<(TransactionId, Issuing)> = None;
        for listed in &listed {
            let id = CertificateId::from_bytes(listed.id);
            entries.push(entry(host, owner, &id, &mut last, &mut codes)?);
        }
    }
    Ok(Page { entries, next })
}

/// The key that opened the inbox must still be the account's.
fn check_owner(main: &ChainHost, owner: &Owner) -> Result<(), Status> {
    let present = records::account(main, &owner.address)?.map(|account| account.present);
    match present {
        Some(present) if present.signs(&owner.key) && !present.status.is_final() => Ok(()),
        _ => Err(Status::unauthenticated(
            "the account no longer has the key that opened the inbox, or has ended",
        )),
    }
}

fn entry(
    host: &ChainHost,
    owner: &Owner,
    id: &CertificateId,
    last: &mut Option<(TransactionId, Issuing)>,
    codes: &mut Codes<'_>,
) -> Result<InboxResponse, Status> {
    let missing = || unreadable("a list names what the chain does not hold");
    let record = records::certificate(host, id)?.ok_or_else(missing)?;
    let issuing = match last.take() {
        Some((transaction, issuing)) if transaction == record.transaction => issuing,
        _ => records::issuing(host, &record.transaction)?.ok_or_else(missing)?,
    };
    let line = usize::try_from(record.line).unwrap_or(usize::MAX);
    let draft = issuing.drafts.get(line).ok_or_else(missing)?;
    let fields = records::fields_of(draft, &owner.address).ok_or_else(missing)?;
    let code = codes.of(&record.issuer)?;
    let response = InboxResponse {
        certificate: Some(record.to_message(&host.name, id, code)),
        fields: Some(fields.clone()),
        receipt: Some(v1::Receipt::from(&issuing.receipt)),
    };
    *last = Some((record.transaction, issuing));
    Ok(response)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let places = Arc::new(InboxPlaces::default());
        let owner = |n: u32| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&n.to_le_bytes());
            Address::from_bytes(bytes)
        };
        let mut held: Vec<_> = (0..MAX_OF_ACCOUNT)
            .map(|_| places.take(owner(0)).unwrap())
            .collect();
        let refused = places.take(owner(0)).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        held.pop();
        held.push(places.take(owner(0)).unwrap());
        for n in 1.. {
            match places.take(owner(n)) {
                Ok(place) => held.push(place),
                Err(_) => break,
            }
        }
        assert_eq!(held.len(), MAX_STREAMS);
        drop(held);
        assert!(places.taken.lock().unwrap().is_empty());
    }
}
