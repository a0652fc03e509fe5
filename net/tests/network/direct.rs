//! The direct path.

use certchain_net::{Limits, SendError};

use crate::common::{CHANNEL, OTHER, connect, soon, start, start_with, until};

#[tokio::test]
async fn messages_arrive_in_order_from_everybody() {
    const COUNT: u32 = 2000;
    let limits = Limits {
        direct_out_frames: COUNT as usize,
        direct_out_bytes: 1 << 26,
        ..Limits::default()
    };
    let a = start_with(1, limits.clone()).await;
    let b = start_with(2, limits.clone()).await;
    let c = start_with(3, limits).await;
    connect(&[&a, &b, &c]).await;
    let _a_channel = a.subscribe(CHANNEL).await;
    let _b_channel = b.subscribe(CHANNEL).await;
    let mut channel = c.subscribe(CHANNEL).await;
    for number in 0..COUNT {
        for sender in [&a, &b] {
            // Sizes vary from nothing up to many packets.
            let mut data = number.to_le_bytes().to_vec();
            data.resize(4 + (number as usize * 7919) % 20_000, 0xda);
            assert_eq!(sender.net.send(c.peer(), CHANNEL, data), Ok(0));
        }
    }
    let mut next = [(a.peer(), 0), (b.peer(), 0)];
    for _ in 0..2 * COUNT {
        let message = soon("a message", channel.direct.recv())
            .await
            .expect("open");
        let (_, expected) = next
            .iter_mut()
            .find(|(peer, _)| *peer == message.from)
            .expect("a sender");
        let number = u32::from_le_bytes(message.data[..4].try_into().expect("four bytes"));
        assert_eq!(number, *expected);
        assert_eq!(message.data.len(), 4 + (number as usize * 7919) % 20_000);
        *expected += 1;
    }
    assert_eq!(next.map(|(_, count)| count), [COUNT; 2]);
    assert_eq!(c.net.stats().direct_received, u64::from(2 * COUNT));
    assert_eq!(a.net.stats().direct_dropped, 0);
}

#[tokio::test]
async fn a_broadcast_reaches_all() {
    let (a, b, c) = (start(1).await, start(2).await, start(3).await);
    connect(&[&a, &b, &c]).await;
    let _a_channel = a.subscribe(CHANNEL).await;
    // Queued before the others take part: it waits for them.
    assert_eq!(a.net.broadcast(CHANNEL, b"hear".to_vec()), Ok(2));
    for node in [&b, &c] {
        let mut channel = node.subscribe(CHANNEL).await;
        let message = soon("the broadcast", channel.direct.recv())
            .await
            .expect("open");
        assert_eq!(
            (message.from, message.data.as_slice()),
            (a.peer(), b"hear".as_slice())
        );
    }
    until("nothing is lost", || a.net.stats().direct_dropped == 0).await;
}

#[tokio::test]
async fn an_oversize_message_closes_its_stream_and_harms_nobody_else() {
    let a = start(1).await;
    let b = start_with(
        2,
        Limits {
            direct_bytes: 1000,
            ..Limits::default()
        },
    )
    .await;
    let mut c = start(3).await;
    connect(&[&a, &b, &c]).await;
    let _a_channel = a.subscribe(CHANNEL).await;
    let _c_channel = c.subscribe(CHANNEL).await;
    let mut channel = b.subscribe(CHANNEL).await;
    let too_much = b.net.send(a.peer(), CHANNEL, vec![0; 1001]);
    assert_eq!(
        too_much,
        Err(SendError::TooLarge {
            size: 1001,
            limit: 1000
        })
    );

    a.net
        .send(b.peer(), CHANNEL, vec![1; 1000])
        .expect("queued");
    assert_eq!(
        soon("the first", channel.direct.recv())
            .await
            .expect("open")
            .data,
        [1; 1000]
    );
    c.net
        .send(b.peer(), CHANNEL, b"one".to_vec())
        .expect("queued");
    assert_eq!(
        soon("C's first", channel.direct.recv())
            .await
            .expect("open")
            .data,
        b"one"
    );

    a.net
        .send(b.peer(), CHANNEL, vec![2; 1001])
        .expect("queued: A allows more");
    until("B refuses", || b.net.stats().oversize == 1).await;
    c.net
        .send(b.peer(), CHANNEL, b"two".to_vec())
        .expect("queued");
    assert_eq!(
        soon("C's second", channel.direct.recv())
            .await
            .expect("open")
            .data,
        b"two"
    );
    assert_eq!(
        c.net.stats().direct_streams,
        1,
        "C's stream was not touched"
    );

    // A's stream is opened again; the connection was never lost.
    until("A's second stream", || {
        let _ = a.net.send(b.peer(), CHANNEL, b"sorry".to_vec());
        a.net.stats().direct_streams >= 2
    })
    .await;
    let message = soon("A's next", channel.direct.recv()).await.expect("open");
    assert_eq!(
        (message.from, message.data.as_slice()),
        (a.peer(), b"sorry".as_slice())
    );
    for _ in 0..2 {
        let event = soon("connected", c.events.next()).await;
        assert!(
            matches!(event, Some(certchain_net::PeerEvent::Connected(_))),
            "{event:?}"
        );
    }
    assert_eq!(b.net.connected().len(), 2);
}

#[tokio::test]
async fn a_slow_consumer_stalls_neither_other_peers_nor_other_channels() {
    let small = Limits {
        direct_in_frames: 4,
        direct_out_frames: 64,
        direct_out_bytes: 1 << 20,
        direct_bytes: 1 << 20,
        ..Limits::default()
    };
    let flooder = start_with(1, small.clone()).await;
    let honest = start_with(2, small.clone()).await;
    let slow = start_with(3, small).await;
    connect(&[&flooder, &honest, &slow]).await;
    let mut subscriptions = Vec::new();
    for node in [&flooder, &honest] {
        subscriptions.push(node.subscribe(CHANNEL).await);
        subscriptions.push(node.subscribe(OTHER).await);
    }
    let mut lagging = slow.subscribe(CHANNEL).await;
    let mut lively = slow.subscribe(OTHER).await;

    // The slow node's application does not read CHANNEL. The flooder goes on until its own queue
    // overflows: then its stream, both windows and the lane are full.
    until("the flooder's queue overflows", || {
        for _ in 0..20 {
            let _ = flooder.net.send(slow.peer(), CHANNEL, vec![0xff; 10_000]);
        }
        flooder.net.stats().direct_dropped > 100
    })
    .await;

    // The same flooder's other channel, and the flooder to another peer.
    for number in 0..100u8 {
        flooder
            .net
            .send(slow.peer(), OTHER, vec![number])
            .expect("queued");
        let message = soon("the other channel", lively.direct.recv())
            .await
            .expect("open");
        assert_eq!(message.data, [number]);
    }
    flooder
        .net
        .send(honest.peer(), CHANNEL, b"hello".to_vec())
        .expect("queued");
    let message = soon("the other peer", subscriptions[2].direct.recv())
        .await
        .expect("open");
    assert_eq!(message.data, b"hello");

    // Another peer on the very channel that lags: its own lane, and the next turn.
    let before = slow.net.stats().direct_received;
    honest
        .net
        .send(slow.peer(), CHANNEL, b"vote".to_vec())
        .expect("queued");
    until("the vote is in its lane", || {
        slow.net.stats().direct_received > before
    })
    .await;
    let first_two = [
        soon("a message", lagging.direct.recv())
            .await
            .expect("open"),
        soon("a message", lagging.direct.recv())
            .await
            .expect("open"),
    ];
    assert!(
        first_two
            .iter()
            .any(|message| message.from == honest.peer()),
        "its turn came"
    );

    // Once the application reads again, the flooder's newest message gets through.
    flooder
        .net
        .send(slow.peer(), CHANNEL, b"newest".to_vec())
        .expect("queued");
    loop {
        let message = soon("the newest message", lagging.direct.recv())
            .await
            .expect("open");
        if message.data == b"newest" {
            break;
        }
    }
}

#[tokio::test]
async fn a_channel_can_be_left_and_joined_again() {
    let (a, b) = (start(1).await, start(2).await);
    connect(&[&a, &b]).await;
    let _a_channel = a.subscribe(CHANNEL).await;
    let mut channel = b.subscribe(CHANNEL).await;
    a.net
        .send(b.peer(), CHANNEL, b"one".to_vec())
        .expect("queued");
    assert_eq!(
        soon("one", channel.direct.recv()).await.expect("open").data,
        b"one"
    );

    b.net.unsubscribe(CHANNEL).await;
    assert!(
        soon("the inbox ends", channel.direct.recv())
            .await
            .is_none()
    );
    assert!(b.net.send(a.peer(), CHANNEL, b"x".to_vec()).is_err());
    let mut channel = b.subscribe(CHANNEL).await;
    assert!(
        b.net.subscribe(CHANNEL).await.is_err(),
        "subscribed already"
    );
    until("a message on the new stream", || {
        let _ = a.net.send(b.peer(), CHANNEL, b"two".to_vec());
        channel
            .direct
            .try_recv()
            .is_some_and(|message| message.data == b"two")
    })
    .await;
}

#[tokio::test]
async fn a_flood_is_read_at_its_pace_and_arrives_whole() {
    const RATE: usize = 500;
    let slow = Limits {
        direct_in_rate: RATE,
        ..Limits::default()
    };
    let (a, b) = (start(1).await, start_with(2, slow).await);
    connect(&[&a, &b]).await;
    let _a_channel = a.subscribe(CHANNEL).await;
    let mut channel = b.subscribe(CHANNEL).await;
    let begun = std::time::Instant::now();
    for number in 0..RATE {
        let data = (number as u32).to_le_bytes().to_vec();
        assert_eq!(a.net.send(b.peer(), CHANNEL, data), Ok(0));
    }
    for number in 0..RATE {
        let message = soon("a message", channel.direct.recv())
            .await
            .expect("open");
        assert_eq!(message.data, (number as u32).to_le_bytes());
    }
    // A new stream has nothing saved up; a slow machine only takes longer.
    let took = begun.elapsed().as_millis();
    assert!(took >= 900, "{RATE} messages came in {took} ms");
}
