//! Gossip: reaches all, but only with a verdict.

use certchain_net::{Limits, PublishError, Subscription, Verdict};
use tokio::time::{Duration, sleep};

use crate::common::{CHANNEL, Node, OTHER, connect, soon, start, start_with, until};

/// Publishes as soon as a peer of the channel is known.
async fn publish(node: &Node, data: &[u8]) {
    let publishing = async {
        loop {
            match node.net.publish(CHANNEL, data.to_vec()).await {
                Ok(()) => return,
                Err(PublishError::NoPeers) => sleep(Duration::from_millis(5)).await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    soon("published", publishing).await;
}

async fn next(node: &Node, subscription: &mut Subscription, verdict: Verdict) -> Vec<u8> {
    let gossip = soon("gossip", subscription.gossip.recv())
        .await
        .expect("open");
    assert_eq!(gossip.channel, CHANNEL);
    node.net.report(gossip.token, verdict).await;
    gossip.data
}

#[tokio::test]
async fn a_message_reaches_all_once_and_names_its_author() {
    let (a, b, c) = (start(1).await, start(2).await, start(3).await);
    connect(&[&a, &b, &c]).await;
    let _a_channel = a.subscribe(CHANNEL).await;
    let mut at_b = b.subscribe(CHANNEL).await;
    let mut at_c = c.subscribe(CHANNEL).await;
    // The largest that is allowed, so that nothing in the protocol around it is too tight.
    let data = vec![0x77; Limits::default().gossip_bytes];
    publish(&a, &data).await;
    for (node, subscription) in [(&b, &mut at_b), (&c, &mut at_c)] {
        let gossip = soon("gossip", subscription.gossip.recv())
            .await
            .expect("open");
        assert_eq!(gossip.author, Some(a.peer()));
        assert!(gossip.data == data, "the bytes are the same");
        node.net.report(gossip.token, Verdict::Accept).await;
    }
    until("verdicts", || {
        b.net.stats().gossip_accepted == 1 && c.net.stats().gossip_accepted == 1
    })
    .await;
    let again = a.net.publish(CHANNEL, data.clone()).await;
    assert!(matches!(again, Err(PublishError::Duplicate)), "{again:?}");
    let again = b.net.publish(CHANNEL, data).await;
    assert!(
        matches!(again, Err(PublishError::Duplicate)),
        "content, not author: {again:?}"
    );

    // A second message comes through as the next one: nothing came twice.
    publish(&a, b"second").await;
    assert_eq!(next(&b, &mut at_b, Verdict::Accept).await, b"second");
    assert_eq!(next(&c, &mut at_c, Verdict::Accept).await, b"second");
    assert_eq!(b.net.stats().gossip_received, 2);
}

#[tokio::test]
async fn what_is_not_accepted_is_not_forwarded() {
    let (a, b, c) = (start(1).await, start(2).await, start(3).await);
    // A line: A and C do not list each other.
    a.list(&[&b]).await;
    b.list(&[&a, &c]).await;
    c.list(&[&b]).await;
    until("the line stands", || b.net.connected().len() == 2).await;
    let _a_channel = a.subscribe(CHANNEL).await;
    let mut at_b = b.subscribe(CHANNEL).await;
    let mut at_c = c.subscribe(CHANNEL).await;

    // Until B knows that C takes part, B has nobody to forward to.
    let mut number = 0u32;
    let forwarded = loop {
        publish(&a, &number.to_le_bytes()).await;
        assert_eq!(
            next(&b, &mut at_b, Verdict::Accept).await,
            number.to_le_bytes()
        );
        number += 1;
        assert!(number < 1000, "nothing is forwarded");
        sleep(Duration::from_millis(20)).await;
        if let Some(gossip) = at_c.gossip.try_recv() {
            break gossip;
        }
    };
    assert_eq!(forwarded.from, b.peer(), "the forwarder");
    assert_eq!(forwarded.author, Some(a.peer()));
    c.net.report(forwarded.token, Verdict::Accept).await;

    publish(&a, b"rejected").await;
    assert_eq!(next(&b, &mut at_b, Verdict::Reject).await, b"rejected");
    publish(&a, b"ignored").await;
    assert_eq!(next(&b, &mut at_b, Verdict::Ignore).await, b"ignored");
    publish(&a, b"forgotten").await;
    let forgotten = soon("gossip", at_b.gossip.recv()).await.expect("open");
    assert_eq!(forgotten.data, b"forgotten");
    drop(forgotten.token);
    publish(&a, b"good").await;
    assert_eq!(next(&b, &mut at_b, Verdict::Accept).await, b"good");

    // What was forwarded before travels in order: the first that is no number must be the last.
    loop {
        let data = next(&c, &mut at_c, Verdict::Accept).await;
        if data.len() != 4 || data == b"good" {
            assert_eq!(data, b"good");
            break;
        }
    }
    let stats = b.net.stats();
    assert_eq!((stats.gossip_rejected, stats.gossip_ignored), (1, 1));
}

#[tokio::test]
async fn a_flood_is_dropped_in_its_own_lane() {
    let few = Limits {
        gossip_in_messages: 8,
        ..Limits::default()
    };
    let (flooder, honest) = (start(1).await, start(2).await);
    let node = start_with(3, few).await;
    connect(&[&flooder, &honest, &node]).await;
    let _f = flooder.subscribe(CHANNEL).await;
    let _h = honest.subscribe(CHANNEL).await;
    let mut channel = node.subscribe(CHANNEL).await;
    publish(&flooder, b"start").await;
    let mut number = 0u32;
    while node.net.stats().gossip_dropped_in == 0 {
        publish(&flooder, &number.to_le_bytes()).await;
        number += 1;
        assert!(number < 100_000, "nothing is dropped");
    }
    publish(&honest, b"batch").await;
    until("the batch is in its lane", || {
        let stats = node.net.stats();
        // Everything that came is in a lane or dropped, and lanes hold eight.
        stats.gossip_received > 8 + stats.gossip_dropped_in
    })
    .await;
    let first_two = [
        soon("gossip", channel.gossip.recv()).await.expect("open"),
        soon("gossip", channel.gossip.recv()).await.expect("open"),
    ];
    assert!(
        first_two.iter().any(|gossip| gossip.from == honest.peer()),
        "its turn came"
    );
}

#[tokio::test]
async fn what_cannot_be_published_is_refused() {
    let a = start(1).await;
    let unknown = a.net.publish(OTHER, vec![1]).await;
    assert!(
        matches!(unknown, Err(PublishError::NotSubscribed { channel: OTHER })),
        "{unknown:?}"
    );
    let _channel = a.subscribe(CHANNEL).await;
    let alone = a.net.publish(CHANNEL, vec![1]).await;
    assert!(matches!(alone, Err(PublishError::NoPeers)), "{alone:?}");
    let limit = Limits::default().gossip_bytes;
    let large = a.net.publish(CHANNEL, vec![1; limit + 1]).await;
    assert!(
        matches!(large, Err(PublishError::TooLarge { size, limit: told })
            if size == limit + 1 && told == limit),
        "{large:?}"
    );
}
