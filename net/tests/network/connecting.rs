//! Who may connect, and who comes back.

use certchain_net::{ListedPeer, NetError, Network, NetworkConfig, PeerEvent, SendError};

use crate::common::{CHANNEL, config, connect, key, soon, start, start_config, until};

#[tokio::test]
async fn three_nodes_find_each_other_and_a_delisted_one_is_disconnected() {
    let (a, b, mut c) = (start(1).await, start(2).await, start(3).await);
    connect(&[&a, &b, &c]).await;
    let told = [
        soon("first", c.events.next()).await,
        soon("second", c.events.next()).await,
    ];
    for peer in [a.peer(), b.peer()] {
        assert!(told.contains(&Some(PeerEvent::Connected(peer))), "{told:?}");
    }

    // A itself in its own list is passed over.
    a.list(&[&a, &b]).await;
    until("C is gone", || a.net.connected() == [b.peer()]).await;
    assert_eq!(
        soon("goodbye", c.events.next()).await,
        Some(PeerEvent::Disconnected(a.peer()))
    );
    // C still lists A and dials on, in vain.
    until("C is refused", || a.net.stats().refused_unlisted > 0).await;
    assert_eq!(a.net.connected(), [b.peer()]);
    let sent = a.net.send(c.peer(), CHANNEL, b"x".to_vec());
    assert!(
        matches!(sent, Err(SendError::NotSubscribed { .. })),
        "{sent:?}"
    );
    let _subscription = a.subscribe(CHANNEL).await;
    let sent = a.net.send(c.peer(), CHANNEL, b"x".to_vec());
    assert_eq!(sent, Err(SendError::NotConnected { peer: c.peer() }));

    a.list(&[&b, &c]).await;
    until("C is back", || a.net.connected().len() == 2).await;
}

#[tokio::test]
async fn an_unlisted_peer_is_refused_and_counted() {
    let (a, b, stranger) = (start(1).await, start(2).await, start(3).await);
    connect(&[&a, &b]).await;
    let subscription = a.subscribe(CHANNEL).await;
    let mut heard = subscription.direct;
    stranger.subscribe(CHANNEL).await;
    stranger.list(&[&a]).await;
    // Twice: it dials again after the first refusal.
    until("refusals", || {
        // For an instant the stranger may believe that it is connected.
        let _ = stranger.net.broadcast(CHANNEL, b"let me in".to_vec());
        assert_eq!(a.net.connected(), [b.peer()]);
        a.net.stats().refused_unlisted >= 2
    })
    .await;
    assert!(heard.try_recv().is_none());
    assert_eq!(b.net.stats().refused_unlisted, 0);
}

#[tokio::test]
async fn another_key_at_a_listed_address_is_not_connected() {
    let (a, b) = (start(1).await, start(2).await);
    // B listens there, but A expects somebody else.
    let wrong = ListedPeer {
        peer: key(3).peer_id(),
        addresses: b.net.local_addresses(),
    };
    a.net.set_peers(vec![wrong]).await.expect("listed");
    until("failed dials", || a.net.stats().dials_failed >= 2).await;
    assert!(a.net.connected().is_empty());
}

#[tokio::test]
async fn a_peer_that_restarts_with_its_key_and_port_is_found_again() {
    let mut a = start(1).await;
    let b = start(2).await;
    // Only A knows an address, so A must be the one that dials again.
    a.list(&[&b]).await;
    let a_without_address = ListedPeer {
        peer: a.peer(),
        addresses: Vec::new(),
    };
    b.net
        .set_peers(vec![a_without_address.clone()])
        .await
        .expect("listed");
    let _a_channel = a.subscribe(CHANNEL).await;
    let (peer, address) = (b.peer(), b.net.local_addresses());
    assert_eq!(
        soon("connected", a.events.next()).await,
        Some(PeerEvent::Connected(peer))
    );

    soon("B ends", b.net.shutdown()).await;
    assert_eq!(
        soon("gone", a.events.next()).await,
        Some(PeerEvent::Disconnected(peer))
    );
    drop(b);

    let again = NetworkConfig {
        listen: address.clone(),
        peers: vec![a_without_address],
        ..config(2)
    };
    let b = start_config(again).await;
    assert_eq!(b.net.local_addresses(), address);
    let mut channel = b.subscribe(CHANNEL).await;
    assert_eq!(
        soon("back", a.events.next()).await,
        Some(PeerEvent::Connected(peer))
    );
    a.net
        .send(peer, CHANNEL, b"welcome".to_vec())
        .expect("queued");
    let message = soon("a message", channel.direct.recv())
        .await
        .expect("open");
    assert_eq!(
        (message.from, message.data.as_slice()),
        (a.peer(), b"welcome".as_slice())
    );
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let a = start(1).await;
    let address = a.net.local_addresses();
    let second = NetworkConfig {
        listen: address.clone(),
        ..config(2)
    };
    match Network::start(second.clone()).await {
        Err(NetError::AddressInUse { address: named }) => assert_eq!(vec![named], address),
        other => panic!("{other:?}"),
    }
    soon("A ends", a.net.shutdown()).await;
    start_config(second).await;
}

#[tokio::test]
async fn limits_that_make_no_sense_are_refused() {
    let mut config = config(1);
    config.limits.direct_bytes = 0;
    let started = Network::start(config).await;
    assert!(
        matches!(
            started,
            Err(NetError::BadLimit {
                name: "direct_bytes",
                value: 0,
                ..
            })
        ),
        "{started:?}"
    );
}

#[tokio::test]
async fn after_shutdown_everything_says_so() {
    let mut a = start(1).await;
    let mut b = start(2).await;
    connect(&[&a, &b]).await;
    let mut channel = a.subscribe(CHANNEL).await;
    assert_eq!(
        soon("B sees", b.events.next()).await,
        Some(PeerEvent::Connected(a.peer()))
    );
    soon("A ends", a.net.shutdown()).await;
    assert!(soon("inbox ends", channel.direct.recv()).await.is_none());
    assert!(soon("inbox ends", channel.gossip.recv()).await.is_none());
    assert!(soon("inbox ends", channel.requests.recv()).await.is_none());
    while soon("events end", a.events.next()).await.is_some() {}
    assert!(matches!(
        a.net.set_peers(Vec::new()).await,
        Err(NetError::Stopped)
    ));
    assert!(a.net.subscribe(CHANNEL).await.is_err());
    assert!(a.net.publish(CHANNEL, vec![1]).await.is_err());
    assert_eq!(
        soon("B sees", b.events.next()).await,
        Some(PeerEvent::Disconnected(a.peer()))
    );
}
