//! Requests and answers.

use std::time::Duration;

use certchain_net::{FetchError, Limits, Refusal, Subscription};

use crate::common::{CHANNEL, DEADLINE, OTHER, connect, key, soon, start, start_with, until};

/// Answers every request with its own bytes, so many times as its first byte says.
async fn echo(mut subscription: Subscription) {
    while let Some(request) = subscription.requests.recv().await {
        let times = request.data.first().copied().unwrap_or(0);
        request
            .responder
            .respond(request.data.repeat(usize::from(times)));
    }
}

#[tokio::test]
async fn many_requests_are_answered_whatever_their_size() {
    let (a, b) = (start(1).await, start(2).await);
    connect(&[&a, &b]).await;
    tokio::spawn(echo(b.subscribe(CHANNEL).await));
    // More at once than either side allows: the rest waits for a slot.
    let requests = (0..100usize).map(|number| {
        let net = a.net.clone();
        let peer = b.peer();
        tokio::spawn(async move {
            let question = vec![(number % 5) as u8; number * 600];
            let answer = net.request(peer, CHANNEL, &question, DEADLINE).await;
            assert_eq!(answer.expect("an answer"), question.repeat(number % 5));
        })
    });
    for request in requests.collect::<Vec<_>>() {
        soon("an answer", request).await.expect("no panic");
    }
    let question = vec![200; 64 * 1024];
    let answer = a.net.request(b.peer(), CHANNEL, &question, DEADLINE).await;
    assert!(answer.expect("twelve megabytes") == question.repeat(200));
    until("counted", || b.net.stats().requests_served == 101).await;
    assert_eq!(a.net.stats().requests_sent, 101);
    assert_eq!(a.net.stats().requests_failed, 0);
}

#[tokio::test]
async fn a_deadline_holds_and_the_answerer_learns_of_it() {
    let (a, b) = (start(1).await, start(2).await);
    connect(&[&a, &b]).await;
    let mut channel = b.subscribe(CHANNEL).await;
    let deadline = Duration::from_millis(300);
    let answer = soon("gives up", a.net.request(b.peer(), CHANNEL, b"?", deadline)).await;
    assert!(
        matches!(answer, Err(FetchError::Deadline { .. })),
        "{answer:?}"
    );
    let request = soon("the request", channel.requests.recv())
        .await
        .expect("open");
    assert_eq!(
        (request.from, request.data.as_slice()),
        (a.peer(), b"?".as_slice())
    );
    until("abandoned", || request.responder.is_abandoned()).await;
    request.responder.respond(b"too late".to_vec());

    // The slot is free again.
    let asking = a.net.request(b.peer(), CHANNEL, b"!", DEADLINE);
    let serving = async {
        let request = channel.requests.recv().await.expect("open");
        request.responder.respond(b"yes".to_vec());
    };
    let (answer, ()) = soon("an answer", async { tokio::join!(asking, serving) }).await;
    assert_eq!(answer.expect("an answer"), b"yes");
}

#[tokio::test]
async fn sizes_are_kept_on_both_sides() {
    let a = start_with(
        1,
        Limits {
            response_bytes: 1000,
            ..Limits::default()
        },
    )
    .await;
    let b = start_with(
        2,
        Limits {
            request_bytes: 500,
            ..Limits::default()
        },
    )
    .await;
    let c = start_with(
        3,
        Limits {
            response_bytes: 10,
            ..Limits::default()
        },
    )
    .await;
    connect(&[&a, &b, &c]).await;
    tokio::spawn(echo(b.subscribe(CHANNEL).await));
    tokio::spawn(echo(c.subscribe(CHANNEL).await));

    let limit = Limits::default().request_bytes;
    let own = a
        .net
        .request(b.peer(), CHANNEL, &vec![1; limit + 1], DEADLINE)
        .await;
    assert!(
        matches!(own, Err(FetchError::RequestTooLarge { .. })),
        "{own:?}"
    );
    let theirs = a.net.request(b.peer(), CHANNEL, &[1; 501], DEADLINE).await;
    let expected = Refusal::RequestTooLarge;
    assert!(
        matches!(&theirs, Err(FetchError::Refused { refusal }) if *refusal == expected),
        "{theirs:?}"
    );
    let answer = a.net.request(b.peer(), CHANNEL, &[11; 100], DEADLINE).await;
    assert!(
        matches!(
            answer,
            Err(FetchError::ResponseTooLarge {
                size: 1100,
                limit: 1000
            })
        ),
        "{answer:?}"
    );
    let answer = a.net.request(c.peer(), CHANNEL, &[1; 11], DEADLINE).await;
    let expected = Refusal::ResponseTooLarge;
    assert!(
        matches!(&answer, Err(FetchError::Refused { refusal }) if *refusal == expected),
        "{answer:?}"
    );
    // None of it has hurt the connection.
    let answer = a.net.request(b.peer(), CHANNEL, &[10; 100], DEADLINE).await;
    assert_eq!(answer.expect("an answer").len(), 1000);
}

#[tokio::test]
async fn refusals_say_why() {
    let (a, b) = (start(1).await, start(2).await);
    connect(&[&a, &b]).await;
    let nobody = key(9).peer_id();
    let absent = a.net.request(nobody, CHANNEL, b"?", DEADLINE).await;
    assert!(
        matches!(absent, Err(FetchError::NotConnected { peer }) if peer == nobody),
        "{absent:?}"
    );

    let mut channel = b.subscribe(CHANNEL).await;
    let unknown = a.net.request(b.peer(), OTHER, b"?", DEADLINE).await;
    let refused = |answer: Result<Vec<u8>, FetchError>| match answer {
        Err(FetchError::Refused { refusal }) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(unknown), Refusal::UnknownChannel);

    for declines in [true, false] {
        let asking = a.net.request(b.peer(), CHANNEL, b"?", DEADLINE);
        let serving = async {
            let request = channel.requests.recv().await.expect("open");
            if declines {
                request.responder.decline();
            } else {
                drop(request);
            }
        };
        let (answer, ()) = soon("an answer", async { tokio::join!(asking, serving) }).await;
        assert_eq!(refused(answer), Refusal::Declined);
    }

    // The peer goes away while it is being asked.
    let asking = a.net.request(b.peer(), CHANNEL, b"?", DEADLINE);
    let leaving = async {
        let _request = channel.requests.recv().await.expect("open");
        b.net.shutdown().await;
    };
    let (answer, ()) = soon("an answer", async { tokio::join!(asking, leaving) }).await;
    assert!(matches!(answer, Err(FetchError::Broken)), "{answer:?}");
}

#[tokio::test]
async fn a_peer_cannot_have_more_requests_open_than_allowed() {
    // A allows itself more than B allows it.
    let a = start_with(
        1,
        Limits {
            requests_per_peer: 8,
            ..Limits::default()
        },
    )
    .await;
    let b = start_with(
        2,
        Limits {
            requests_per_peer: 2,
            ..Limits::default()
        },
    )
    .await;
    connect(&[&a, &b]).await;
    let mut channel = b.subscribe(CHANNEL).await;
    let asked: Vec<_> = (0..8u8)
        .map(|number| {
            let (net, peer) = (a.net.clone(), b.peer());
            tokio::spawn(async move { net.request(peer, CHANNEL, &[number], DEADLINE).await })
        })
        .collect();
    until("six are refused", || b.net.stats().requests_refused == 6).await;
    for _ in 0..2 {
        let request = soon("a request", channel.requests.recv())
            .await
            .expect("open");
        request.responder.respond(b"ok".to_vec());
    }
    let (mut answered, mut busy) = (0, 0);
    for request in asked {
        match soon("done", request).await.expect("no panic") {
            Ok(_) => answered += 1,
            Err(FetchError::Refused {
                refusal: Refusal::Busy,
            }) => busy += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((answered, busy), (2, 6));
}
